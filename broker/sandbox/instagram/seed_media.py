"""Posts, and what people wrote beneath them, each made from its number when it is asked for.

docs/facts/meta.md §4.3.
"""

import re
from datetime import UTC, datetime

from broker.sandbox.graph_fields import Record
from broker.sandbox.graph_paging import moment

FIRST_POST = datetime(2024, 1, 1, 2, tzinfo=UTC).timestamp()
CAPTIONS = ("Stok baru sudah datang", "Promo akhir pekan", "Terima kasih, pelanggan!", "Buka sampai jam 9 malam")
WORDS = ("Masih ada?", "Bagus sekali", "Berapa harganya?", "Sudah sampai, terima kasih", "Bisa kirim ke Medan?")
FANS = ("adi.s", "bunga_w", "cahya88", "dewi.l", "eko_p", "fitri.h", "galih.n", "hana_k")
KINDS = (("CAROUSEL_ALBUM", "FEED"), ("IMAGE", "FEED"), ("VIDEO", "REELS"), ("IMAGE", "FEED"))

# Ids are texts of digits, beyond 2^53 as all of Instagram's (§3.1).


def media_id(account: int, number: int) -> str:
    return f"179{account:05}{number:09}"


def child_id(account: int, number: int, place: int) -> str:
    return f"181{account:05}{number:07}{place:02}"


def comment_id(account: int, number: int, place: int, reply: int = 0) -> str:
    """`reply`: that answer to the comment."""
    return f"180{account:05}{number:05}{place:04}{reply:02}"


def numbers(object_id: str) -> tuple[str, tuple[int, ...]]:
    """`media`, `child` or `comment` and the numbers in the id, the account's first; nothing of any other id."""
    for kind, shape in (
        ("media", r"179(\d{5})(\d{9})"),
        ("child", r"181(\d{5})(\d{7})(\d\d)"),
        ("comment", r"180(\d{5})(\d{5})(\d{4})(\d\d)"),
    ):
        if found := re.fullmatch(shape, object_id):
            return kind, tuple(int(part) for part in found.groups())
    return "", ()


def posted_at(number: int) -> float:
    """Seconds since 1970."""
    return FIRST_POST + number * 5 * 3600


def written_at(number: int, place: int) -> float:
    """Of comment `place` beneath post `number`."""
    return posted_at(number) + place * 180


def media(username: str, account: int, number: int) -> Record:
    """Post `number` of the account of that number; the greater, the later."""
    kind, product = KINDS[number % len(KINDS)]
    found = media_id(account, number)
    picture = f"https://scontent.cdninstagram.com/v/{found}.jpg?oh=SIGNED-{number}&oe=6A000000"
    return {
        "id": found,
        "caption": f"{CAPTIONS[number % len(CAPTIONS)]} #{number}",
        "media_type": kind,
        "media_product_type": product,
        "media_url": picture.replace(".jpg", ".mp4") if kind == "VIDEO" else picture,
        "permalink": f"https://www.instagram.com/p/SANDBOX{account}-{number}/",
        "shortcode": f"SANDBOX{account}-{number}",
        "timestamp": moment(posted_at(number)),
        "username": username,
        "like_count": number * 7 % 113,
        "is_comment_enabled": True,
        "thumbnail_url": picture if kind == "VIDEO" else None,
    }


def children(account: int, number: int) -> list[Record]:
    """The pictures of an album; none of any other post."""
    if KINDS[number % len(KINDS)][0] != "CAROUSEL_ALBUM":
        return []
    return [
        {
            "id": child_id(account, number, place),
            "media_type": "IMAGE",
            "media_url": f"https://scontent.cdninstagram.com/v/{number}-{place}.jpg?oh=SIGNED-{place}&oe=6A000000",
            "permalink": f"https://www.instagram.com/p/SANDBOX{account}-{number}-{place}/",
            "timestamp": moment(posted_at(number)),
        }
        for place in range(1, 4)
    ]


def comment_count(number: int) -> int:
    """Each hundredth post has more than fit on two pages."""
    return 120 if number % 100 == 0 else number % 5


def comment(account: int, number: int, place: int) -> Record:
    """Comment `place` beneath post `number`; every third has an answer, every sixth two."""
    answers = range(1, 1 + (place % 3 == 0) + (place % 6 == 0))
    replies = [_written(account, number, place, reply) for reply in answers]
    return {**_written(account, number, place), "replies": replies}


def _written(account: int, number: int, place: int, reply: int = 0) -> Record:
    fan = (place + reply) % len(FANS)
    return {
        "id": comment_id(account, number, place, reply),
        "text": WORDS[(place + reply) % len(WORDS)],
        "timestamp": moment(written_at(number, place) + reply),
        "username": FANS[fan],
        "from": {"id": f"12{fan:015}", "username": FANS[fan]},
        "like_count": place % 4,
        "hidden": False,
        "parent_id": comment_id(account, number, place) if reply else None,
    }
