"""Lead forms, leads, conversations and messages of the seed, each made from its number when it is asked for."""

import re

from broker.sandbox.facebook.seed_posts import HOUR, SEEDED_AT, seeded_at, somebody
from broker.sandbox.graph import digits
from broker.sandbox.graph_paging import Record, moment

PLATFORMS = ("messenger", "instagram")
FORM_NUMBER, LEAD_NUMBER = "33", "44"
"""What the ids of forms and leads begin with, before the ordinal of the Page."""
FORMS = ("Promo akhir tahun", "Katalog grosir", "Pameran Bandung")
CITIES = ("Bandung", "Jakarta", "Surabaya", "Medan", "Makassar")
WORDS = (
    *("Halo, apakah stok masih ada?", "Masih, mau berapa?", "Dua, kirim ke Cimahi ya."),
    *("Baik, totalnya 150.000.", "Sudah saya transfer.", "Terima kasih, segera dikirim."),
)
LONG = 70
"""Messages of each twentieth conversation."""


def form_at(number: int) -> float:
    return SEEDED_AT - (100 - number) * 24 * HOUR


def form_id(ordinal: int, number: int) -> str:
    return f"{FORM_NUMBER}{ordinal:05}{number:08}"


def form(ordinal: int, page_id: str, number: int) -> Record:
    return {
        "id": form_id(ordinal, number),
        "name": FORMS[(number - 1) % len(FORMS)],
        "status": "ACTIVE",
        "locale": "id_ID",
        "created_time": moment(form_at(number)),
        "page_id": page_id,
        "questions": [
            {"key": "full_name", "label": "Nama lengkap", "type": "FULL_NAME", "id": digits(15, "q1", str(number))},
            {"key": "email", "label": "Email", "type": "EMAIL", "id": digits(15, "q2", str(number))},
            {"key": "phone_number", "label": "Telepon", "type": "PHONE", "id": digits(15, "q3", str(number))},
            {"key": "city", "label": "Kota", "type": "CITY", "id": digits(15, "q4", str(number))},
        ],
    }


def lead_at(number: int) -> float:
    """One each ten minutes."""
    return seeded_at(number, HOUR / 6)


def lead_id(ordinal: int, form_number: int, number: int) -> str:
    return f"{LEAD_NUMBER}{ordinal:05}{form_number:03}{number:07}"


def lead(ordinal: int, form_number: int, number: int) -> Record:
    """Each fourth is organic: it came from no ad."""
    name, email = somebody(number), f"{re.sub(' ', '.', somebody(number)).lower()}{number}@example.org"
    answers = {
        "full_name": name,
        "email": email,
        "phone_number": f"+62812555{number:05}",
        "city": CITIES[number % len(CITIES)],
    }
    found: Record = {
        "id": lead_id(ordinal, form_number, number),
        "created_time": moment(lead_at(number)),
        "form_id": form_id(ordinal, form_number),
        "field_data": [{"name": key, "values": [value]} for key, value in answers.items()],
        "is_organic": number % 4 == 0,
        "platform": "fb" if number % 3 else "ig",
    }
    return found if number % 4 == 0 else {**found, **_ad(number)}


def _ad(number: int) -> Record:
    found: Record = {}
    for kind, place in (("ad", number % 6), ("adset", number % 3), ("campaign", 1)):
        found |= {f"{kind}_id": digits(17, kind, str(place)), f"{kind}_name": f"{kind.title()} {place}"}
    return found


def talk_at(number: int) -> float:
    """Of the last message."""
    return seeded_at(number, 3 * HOUR)


def talk_id(ordinal: int, platform: str, number: int) -> str:
    return f"t_{PLATFORMS.index(platform) + 1}{ordinal:05}{number:010}"


def talk(ordinal: int, platform: str, number: int) -> Record:
    return {
        "id": talk_id(ordinal, platform, number),
        "link": f"/messages/{talk_id(ordinal, platform, number)}",
        "updated_time": moment(talk_at(number)),
        "snippet": WORDS[(message_count(number) - 1) % len(WORDS)],
        "message_count": message_count(number),
        "unread_count": number % 3,
        "can_reply": True,
    }


def customer(platform: str, number: int) -> Record:
    """The other side of a conversation, by a page-scoped id."""
    found = {"id": digits(16, "customer", platform, str(number))}
    if platform == "instagram":
        return {**found, "username": somebody(number).replace(" ", ".").lower()}
    return {**found, "name": somebody(number), "email": f"{found['id']}@facebook.com"}


def message_count(talk_number: int) -> int:
    """Of the seed."""
    return LONG if talk_number % 20 == 0 else 3 + talk_number % 5


def message_at(talk_number: int, number: int) -> float:
    return talk_at(talk_number) - 60.0 * (message_count(talk_number) - number)


def message_id(ordinal: int, platform: str, talk_number: int, number: int) -> str:
    return f"m_{PLATFORMS.index(platform) + 1}{ordinal:05}{talk_number:010}{number:06}"


def message(ordinal: int, page_id: str, page_name: str, platform: str, talk_number: int, number: int) -> Record:
    """The customer begins, the Page answers, and so on."""
    other, page = customer(platform, talk_number), {"id": page_id, "name": page_name}
    sender, receiver = (other, page) if number % 2 else (page, other)
    return {
        "id": message_id(ordinal, platform, talk_number, number),
        "created_time": moment(message_at(talk_number, number)),
        "message": WORDS[(number - 1) % len(WORDS)],
        "from": sender,
        "to": {"data": [receiver]},
    }
