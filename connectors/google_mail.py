"""Gmail: who wrote to whom, when and about what. The text of a message is never read."""

from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import getaddresses, parsedate_to_datetime
from typing import Any

from broker.contract import Connector, RawRecord, Reads, Record
from connectors.records import MESSAGE, entries, present, text, texts

AWAY = {"TRASH", "SPAM"}
"""Labels of messages that a full reading leaves out: one that gets such a label is gone."""


def convert(raw: RawRecord) -> Record:
    """The envelope of one message."""
    head = {"id": raw["id"], "type": "message"}
    labels = texts(raw.get("labelIds"))
    if AWAY.intersection(labels):
        return {**head, "deleted": True}
    headers = _headers(raw.get("payload"))
    fields = present(
        (
            ("thread", text(raw, "threadId")),
            ("from", next(iter(_parties(headers.get("from"))), None)),
            ("to", _parties(headers.get("to"))),
            ("cc", _parties(headers.get("cc"))),
            ("subject", headers.get("subject")),
            ("message_id", headers.get("message-id")),
            ("labels", labels),
            ("sent_at", _moment(raw.get("internalDate")) or _date(headers.get("date"))),
        )
    )
    return {**head, "deleted": False, **fields}


def _headers(payload: Any) -> dict[str, str]:  # noqa: ANN401 - any JSON
    """By the name in small letters; of two alike the first counts."""
    listed = entries(payload.get("headers")) if isinstance(payload, dict) else []
    pairs = ((text(header, "name"), text(header, "value")) for header in reversed(listed))
    return {name.lower(): value for name, value in pairs if name and value}


def _parties(header: str | None) -> list[dict[str, str]]:
    return [present((("name", name), ("email", email))) for name, email in _addresses(header) if name or email]


def _addresses(header: str | None) -> Iterable[tuple[str, str]]:
    return getaddresses([header]) if header else ()


def _moment(milliseconds: Any) -> str | None:  # noqa: ANN401
    """Gmail's own time of the message, in milliseconds as a text."""
    if not (isinstance(milliseconds, str) and milliseconds.isascii() and milliseconds.isdecimal()):
        return None
    return _written(int(milliseconds) // 1000) if len(milliseconds) < 16 else None


def _written(seconds: int) -> str | None:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        return None


def _date(header: str | None) -> str | None:
    """What the sender's own clock said."""
    try:
        return _written(int(parsedate_to_datetime(header).timestamp())) if header else None
    except (ValueError, OverflowError):
        return None


CONNECTOR = Connector(
    name="google_mail",
    provider="google",
    type="message",
    reads=Reads("messages", required=("threadId", "labelIds", "internalDate", "payload")),
    convert=convert,
    schema=MESSAGE,
    titles={"en": "Gmail: senders and subjects", "id": "Gmail: pengirim dan subjek"},
)
