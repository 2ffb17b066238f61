"""Lists of events: what a call asks for, which events it chooses, and how each is shown (§4.6.3, §5.3).

Sections and rules are of docs/facts/google.md.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from flask import request

from broker.sandbox.google.envelopes import bad_request, gone
from broker.sandbox.google.state import google
from broker.sandbox.listing import (
    Answered,
    Asked,
    Collection,
    Item,
    Order,
    ParametersDiffer,
    Record,
    SyncTokenExpired,
    TokenUnknown,
)

BUSY_FIELDS = ("kind", "id", "status", "start", "end", "transparency", "recurringEventId", "originalStartTime")
"""What a free/busy reader sees of an event (rules C3, C6)."""

NOT_WITH_SYNC_TOKEN = {
    *("iCalUID", "orderBy", "privateExtendedProperty", "q", "sharedExtendedProperty"),
    *("timeMin", "timeMax", "updatedMin"),
}
SAME_EVERY_TIME = {"singleEvents", "showDeleted", "showHiddenInvitations", "eventTypes", "timeZone", "maxAttendees"}

ORDERS = {
    "startTime": Order(lambda item: at(item.record["start"])),
    "updated": Order(lambda item: item.record["updated"]),
}

Chosen = Callable[[Item], bool]


def page_of(collection: Collection, asked: Asked | None = None) -> Answered:
    """The page asked for: of events, unless `asked` is given. Raises `ApiError`."""
    wanted, order = (_not_deleted, None) if asked else (_chosen(), _order())
    asked = asked or _asked()
    if google().quirks.get("empty_pages") and not asked.page_token:
        asked = replace(asked, size=0)
    try:
        return google().listings.answer(collection, asked, wanted, order)
    except (TokenUnknown, SyncTokenExpired):
        if asked.page_token:
            raise bad_request("Invalid page token value.", location="pageToken") from None
        raise gone("fullSyncRequired") from None
    except ParametersDiffer:
        raise bad_request("Parameters differ from those of the first call.", location="parameters") from None


def _not_deleted(item: Item) -> bool:
    return not item.deleted


def _asked() -> Asked:
    """Raises `ApiError` for what a sync token forbids."""
    args, sync_token = request.args, request.args.get("syncToken")
    reason = google().quirks.get("calendar_gone")
    if reason and (sync_token or args.get("updatedMin")):
        raise gone(reason)
    if sync_token:
        forbidden = sorted(NOT_WITH_SYNC_TOKEN & args.keys())
        if forbidden or args.get("showDeleted") == "false":
            name = forbidden[0] if forbidden else "showDeleted"
            raise bad_request(f"{name} cannot be used with a sync token.", location=name)
    size = page_size(default=250, most=2500)
    return Asked(_named(SAME_EVERY_TIME), size, args.get("pageToken"), sync_token, _named(NOT_WITH_SYNC_TOKEN))


def _named(names: set[str]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(request.args.getlist(name)) for name in names & request.args.keys()}


def page_size(*, default: int, most: int) -> int:
    """`maxResults`; more than the most is cut to it."""
    text = request.args.get("maxResults", str(default))
    if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) < 1:
        raise bad_request("Invalid value for maxResults.", location="maxResults")
    return min(int(text), most)


def _order() -> Order | None:
    """By start only where each event has one of its own."""
    name = request.args.get("orderBy")
    if name is not None and (
        name not in ORDERS or (name == "startTime" and request.args.get("singleEvents") != "true")
    ):
        raise bad_request("The requested ordering is not available for the particular query.", location="orderBy")
    return ORDERS[name] if name else None


def position(page: Answered) -> dict[str, str | None]:
    """One of the two tokens."""
    if page.next_page_token:
        return {"nextPageToken": page.next_page_token}
    return {"nextSyncToken": page.next_sync_token}


def _chosen() -> Chosen:
    """What a full reading holds."""
    args = request.args
    earliest, latest, updated = (_moment(name) for name in ("timeMin", "timeMax", "updatedMin"))
    within = chosen(
        single=args.get("singleEvents") == "true",
        deleted=args.get("showDeleted") == "true",
        earliest=earliest,
        latest=latest,
    )
    text = args.get("q", "").lower()

    def fits(item: Item) -> bool:
        if not within(item):
            return False
        found = item.record
        changed = updated is None or datetime.fromisoformat(found["updated"]) >= updated
        return changed and text in found.get("summary", "").lower()

    return fits


def chosen(*, single: bool, deleted: bool, earliest: datetime | None, latest: datetime | None) -> Chosen:
    """Events of a span of time; `single`: instances of a series instead of the series."""

    def within(item: Item) -> bool:
        found = item.record
        return (
            _shown(item, found, single=single, deleted=deleted)
            and (earliest is None or at(found["end"]) > earliest)
            and (latest is None or at(found["start"]) < latest)
        )

    return within


def _shown(item: Item, found: Record, *, single: bool, deleted: bool) -> bool:
    """A series shows as itself or as its instances; without the latter, called-off instances still show."""
    cancelled = item.deleted or found.get("status") == "cancelled"
    instance = "recurringEventId" in found
    if single:
        return "recurrence" not in found and (deleted or not cancelled)
    if instance:
        return cancelled and not item.deleted
    return deleted or not cancelled


def _moment(name: str) -> datetime | None:
    text = request.args.get(name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise bad_request("Bad Request", location=name) from None
    if moment.tzinfo is None:
        raise bad_request("Bad Request", location=name)
    return moment


def at(when: Record) -> datetime:
    """The moment of a start or an end; of a whole day its beginning."""
    if "dateTime" in when:
        return datetime.fromisoformat(when["dateTime"])
    day = date.fromisoformat(when["date"])
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def event(item: Item, role: str) -> dict[str, Any]:
    """An event as one of this role sees it."""
    found = {**item.record, "etag": f'"{item.version}"'}
    if item.deleted:
        found["status"] = "cancelled"
    if role == "freeBusyReader":
        return {name: found[name] for name in BUSY_FIELDS if name in found}
    return found
