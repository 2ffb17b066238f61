"""Conversations and their messages, each made from its number when it is asked for (docs/facts/meta.md §4.3)."""

import re
from datetime import UTC, datetime

from broker.sandbox.graph_fields import Record
from broker.sandbox.graph_paging import moment
from broker.sandbox.instagram.seed_media import FANS

FIRST_TALK = datetime(2026, 10, 1, 2, tzinfo=UTC).timestamp()
WORDS = (
    "Halo, apakah masih buka?",
    "Masih, silakan",
    "Saya ambil dua",
    "Baik, totalnya 150 ribu",
    "Sudah saya transfer",
)
LONG_TALK = 60
"""Messages of each account's second conversation; more than a page."""


def conversation_id(account: int, number: int) -> str:
    return f"aWdfSandboxThread{account:05}x{number:06}"


def message_id(account: int, number: int, place: int) -> str:
    return f"aWdfSandboxItem{account:05}x{number:06}x{place:04}"


def numbers(object_id: str) -> tuple[str, tuple[int, ...]]:
    """`conversation` or `message` and the numbers in the id, the account's first; nothing of any other id."""
    found = re.fullmatch(r"aWdfSandbox(Thread|Item)(\d+)x(\d+)(?:x(\d+))?", object_id)
    if found is None:
        return "", ()
    kind = "message" if found[1] == "Item" else "conversation"
    return kind, tuple(int(part) for part in found.groups()[1:] if part)


def updated_at(number: int) -> float:
    """Seconds since 1970."""
    return FIRST_TALK + number * 3600


def conversation(own: Record, account: int, number: int) -> Record:
    """The first waits in the folder of requests since long. `own`: id and username of the account itself."""
    other = {"id": f"13{account:05}{number:010}", "username": f"{FANS[number % len(FANS)]}{number}"}
    return {
        "id": conversation_id(account, number),
        "updated_time": moment(updated_at(number)),
        "folder": "request" if number == 1 else "primary",
        "participants": [own, other],
    }


def messages(talk: Record) -> list[Record]:
    """Of a conversation, the latest first. The other one begins, and they take turns."""
    account, number = numbers(talk["id"])[1]
    count = LONG_TALK if number == 2 else 1 + number % 4
    added: list[Record] = talk.get("added", [])
    return added + [_message(talk["participants"], account, number, place, count) for place in range(count, 0, -1)]


def _message(participants: list[Record], account: int, number: int, place: int, count: int) -> Record:
    own, other = participants
    sender, receiver = (other, own) if place % 2 else (own, other)
    return {
        "id": message_id(account, number, place),
        "created_time": moment(updated_at(number) - 60 * (count - place)),
        "from": sender,
        "to": [receiver],
        "message": WORDS[place % len(WORDS)],
    }
