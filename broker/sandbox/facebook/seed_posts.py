"""Posts and comments of the seed, each made from its number when it is asked for."""

from broker.sandbox.graph import digits
from broker.sandbox.graph_paging import Record, moment

SEEDED_AT = 1_793_498_400.0
"""2026-11-01T02:00:00Z."""
HOUR = 3600.0

GIVEN = ("Adi", "Bunga", "Cahya", "Dewi", "Eko", "Fitri", "Galih", "Hana", "Indra", "Joko", "Kartika", "Lukman", "Maya")
FAMILY = ("Santoso", "Wijaya", "Lestari", "Pratama", "Siregar", "Halim", "Nasution", "Putri", "Gunawan", "Kusuma")
WARES = ("Kain batik", "Kopi Gayo", "Keripik singkong", "Tas anyaman", "Sambal terasi", "Teh melati", "Madu hutan")
REMARKS = (
    *("Berapa harganya?", "Masih ada?", "Bagus sekali!", "Bisa kirim ke Surabaya?"),
    *("Sudah saya pesan, terima kasih.", "Buka sampai jam berapa?"),
)

POST_NUMBER, COMMENT_NUMBER, REPLY_NUMBER = "122", "181", "182"
"""What the ids of posts, comments and answers to comments begin with, before ordinal and number."""
LIVELY = 60
"""Comments on each hundredth post."""


def somebody(number: int) -> str:
    """A name; the same for the same number."""
    return f"{GIVEN[number % len(GIVEN)]} {FAMILY[number * 7 % len(FAMILY)]}"


def seeded_at(number: int, apart: float) -> float:
    """When the record of a number came to be: number 1000 at the time of the seed, older ones so many seconds apart,
    newer ones a second, so that a hundred thousand of them are not in the future."""
    return SEEDED_AT + (number - 1000) * (apart if number < 1000 else 1.0)


def posted_at(number: int) -> float:
    """One an hour."""
    return seeded_at(number, HOUR)


def post_id(page_id: str, ordinal: int, number: int) -> str:
    return f"{page_id}_{POST_NUMBER}{ordinal:05}{number:07}"


def post(page_id: str, ordinal: int, number: int) -> Record:
    """Each fifth is by a visitor, which only the feed shows."""
    ware, at = WARES[number % len(WARES)], moment(posted_at(number))
    identifier = post_id(page_id, ordinal, number)
    found: Record = {
        "id": identifier,
        "created_time": at,
        "updated_time": at,
        "message": f"{ware} baru datang, nomor {number}. #toko",
        "permalink_url": f"https://www.facebook.com/{identifier}",
        "full_picture": f"https://scontent.xx.fbcdn.net/v/t39/{digits(12, identifier)}.jpg?oh=00_AfSIGNED&oe=6B000000",
        "is_published": True,
        "status_type": "added_photos",
        "shares": {"count": number % 9},
        "story": f"Toko menambahkan foto nomor {number}." if number % 7 == 0 else None,
    }
    if number % 5 == 0:
        found |= {"message": f"Terima kasih, {ware.lower()} nomor {number} enak!", "visitor": somebody(number)}
    return found


def comment_count(post_number: int) -> int:
    """Of the seed."""
    return LIVELY if post_number % 100 == 0 else post_number * 7 % 6


def commented_at(post_number: int, number: int) -> float:
    """A minute after one another."""
    return posted_at(post_number) + 60.0 * number


def comment_id(ordinal: int, post_number: int, number: int) -> str:
    return f"{POST_NUMBER}{ordinal:05}{post_number:07}_{COMMENT_NUMBER}{number:09}"


def comment(ordinal: int, post_number: int, number: int) -> Record:
    who = post_number + number
    return {
        "id": comment_id(ordinal, post_number, number),
        "created_time": moment(commented_at(post_number, number)),
        "message": REMARKS[who % len(REMARKS)],
        "from": {"id": digits(16, "commenter", str(who % 500)), "name": somebody(who)},
        "like_count": who % 4,
        "comment_count": reply_count(number),
        "is_hidden": False,
        "permalink_url": f"https://www.facebook.com/{comment_id(ordinal, post_number, number)}",
    }


def reply_count(comment_number: int) -> int:
    """Two answers to each third comment of the seed."""
    return 0 if comment_number % 3 else 2


def reply_id(ordinal: int, post_number: int, comment_number: int, number: int) -> str:
    return f"{POST_NUMBER}{ordinal:05}{post_number:07}_{REPLY_NUMBER}{comment_number:06}{number:03}"


def reply(ordinal: int, post_number: int, comment_number: int, number: int) -> Record:
    """An answer beneath a comment, by somebody else each time."""
    found = comment(ordinal, post_number, comment_number + 7 * number)
    identifier = reply_id(ordinal, post_number, comment_number, number)
    return {
        **found,
        "id": identifier,
        "created_time": moment(commented_at(post_number, comment_number) + number),
        "parent": {"id": comment_id(ordinal, post_number, comment_number)},
        "comment_count": 0,
        "permalink_url": f"https://www.facebook.com/{identifier}",
    }
