"""The Calendar API: events and the list of calendars (docs/facts/google.md §4.6.3, §5.3, scope sets of A.2)."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from flask import Blueprint, Response, jsonify, request

from broker.sandbox.envelopes import bad_request, gone, not_found
from broker.sandbox.grants import AUTH, Token
from broker.sandbox.listing import (
    Answered,
    Asked,
    Collection,
    Item,
    ParametersDiffer,
    Record,
    SyncTokenExpired,
    TokenUnknown,
)
from broker.sandbox.seed import ZONE, Account, Calendar
from broker.sandbox.state import google
from broker.sandbox.tokens import bearer

API = Blueprint("calendar", __name__, url_prefix="/calendar/v3")

SERVICE = "calendar-json.googleapis.com"

EVERYWHERE = frozenset(
    AUTH + name for name in ("calendar", "calendar.readonly", "calendar.events", "calendar.events.readonly")
)
OWNED = frozenset(AUTH + name for name in ("calendar.events.owned", "calendar.events.owned.readonly"))
PUBLIC = frozenset({f"{AUTH}calendar.events.public.readonly"})
BUSY = frozenset({f"{AUTH}calendar.events.freebusy"})
EVENTS = EVERYWHERE | OWNED | PUBLIC | BUSY | {f"{AUTH}calendar.app.created"}
CALENDAR_LIST = frozenset(
    AUTH + name for name in ("calendar", "calendar.calendarlist", "calendar.calendarlist.readonly", "calendar.readonly")
)

BUSY_FIELDS = ("kind", "id", "status", "start", "end", "transparency", "recurringEventId", "originalStartTime")
"""What a free/busy reader sees of an event (rules C3, C6)."""

NOT_WITH_SYNC_TOKEN = {
    *("iCalUID", "orderBy", "privateExtendedProperty", "q", "sharedExtendedProperty"),
    *("timeMin", "timeMax", "updatedMin"),
}
SAME_EVERY_TIME = {"singleEvents", "showDeleted", "showHiddenInvitations", "eventTypes", "timeZone", "maxAttendees"}


@API.get("/calendars/<path:calendar_id>/events")
def events(calendar_id: str) -> Response:
    """events.list."""
    access = bearer(SERVICE, "calendar.v3.Events.List", EVENTS)
    with google().lock:
        calendar = google().accounts[access.account].calendar(calendar_id)
        role = _role(access, calendar) if calendar else None
        if calendar is None or role is None:
            raise not_found()
        page = _page(calendar.events, _asked_events(), _chosen())
        items = [_event(item, role) for item in page.items]
    head = {"kind": "calendar#events", "etag": '"p1"', "timeZone": ZONE, "accessRole": role}
    return jsonify({**head, "summary": calendar.summary, "items": items, **_tokens(page)})


@API.get("/users/me/calendarList")
def calendar_list() -> Response:
    """calendarList.list; no `calendar.events*` scope opens it (rule C2)."""
    access = bearer(SERVICE, "calendar.v3.CalendarList.List", CALENDAR_LIST)
    with google().lock:
        collection = _listed(google().accounts[access.account])
        asked = Asked({}, _size(default=100, most=250), request.args.get("pageToken"), request.args.get("syncToken"))
        page = _page(collection, asked, lambda item: not item.deleted)
    items = [item.record for item in page.items]
    return jsonify({"kind": "calendar#calendarList", "etag": '"p1"', "items": items, **_tokens(page)})


def _listed(account: Account) -> Collection:
    entries = [_entry(calendar) for calendar in account.calendars.values()]
    return Collection(f"calendars of {account.sub}", {entry["id"]: Item(entry) for entry in entries})


def _entry(calendar: Calendar) -> Record:
    entry = {
        "kind": "calendar#calendarListEntry",
        "etag": '"1"',
        "id": calendar.id,
        "summary": calendar.summary,
        "timeZone": ZONE,
        "accessRole": calendar.access_role,
    }
    return {**entry, "primary": True} if calendar.primary else entry


def _role(access: Token, calendar: Calendar) -> str | None:
    """The reach of the token's scopes (rules C3, C4); None: this calendar is not visible to it."""
    if access.scopes & EVERYWHERE:
        return calendar.access_role
    if access.scopes & OWNED and calendar.access_role == "owner":
        return "owner"
    if access.scopes & PUBLIC and calendar.public:
        return "reader"
    return "freeBusyReader" if access.scopes & BUSY else None


def _asked_events() -> Asked:
    """Raises `ApiError` for what a sync token forbids (§5.3)."""
    args, sync_token = request.args, request.args.get("syncToken")
    reason = google().quirks.get("calendar_gone")
    if reason and (sync_token or args.get("updatedMin")):
        raise gone(reason)
    if sync_token:
        forbidden = sorted(NOT_WITH_SYNC_TOKEN & args.keys())
        if forbidden or args.get("showDeleted") == "false":
            name = forbidden[0] if forbidden else "showDeleted"
            raise bad_request(f"{name} cannot be used with a sync token.", location=name)
    parameters = {name: tuple(values) for name, values in sorted(args.lists()) if name in SAME_EVERY_TIME}
    if args.get("pageToken") and not sync_token:
        parameters |= {name: tuple(args.getlist(name)) for name in NOT_WITH_SYNC_TOKEN & args.keys()}
    return Asked(parameters, _size(default=250, most=2500), args.get("pageToken"), sync_token)


def _page(collection: Collection, asked: Asked, chosen: Callable[[Item], bool]) -> Answered:
    try:
        return google().listings.answer(collection, asked, chosen)
    except (TokenUnknown, SyncTokenExpired):
        if asked.page_token:
            raise bad_request("Invalid page token value.", location="pageToken") from None
        raise gone("fullSyncRequired") from None
    except ParametersDiffer:
        raise bad_request("Parameters differ from those of the first call.", location="parameters") from None


def _tokens(page: Answered) -> dict[str, str | None]:
    """One of the two."""
    if page.next_page_token:
        return {"nextPageToken": page.next_page_token}
    return {"nextSyncToken": page.next_sync_token}


def _size(*, default: int, most: int) -> int:
    """More than the most is cut to it."""
    text = request.args.get("maxResults", str(default))
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise bad_request("Invalid value for maxResults.", location="maxResults")
    return min(int(text), most)


def _chosen() -> Callable[[Item], bool]:
    """What a full reading holds."""
    args = request.args
    single, deleted = args.get("singleEvents") == "true", args.get("showDeleted") == "true"
    earliest, latest, updated = (_moment(name) for name in ("timeMin", "timeMax", "updatedMin"))
    text = args.get("q", "").lower()

    def chosen(item: Item) -> bool:
        event = item.record
        return (
            _shown(item, single=single, deleted=deleted)
            and (earliest is None or _at(event["end"]) > earliest)
            and (latest is None or _at(event["start"]) < latest)
            and (updated is None or datetime.fromisoformat(event["updated"]) >= updated)
            and text in event.get("summary", "").lower()
        )

    return chosen


def _shown(item: Item, *, single: bool, deleted: bool) -> bool:
    """A series shows as itself or as its instances; without the latter, called-off instances still show."""
    event = item.record
    cancelled = item.deleted or event.get("status") == "cancelled"
    instance = "recurringEventId" in event
    if single:
        return "recurrence" not in event and (deleted or not cancelled)
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


def _at(when: Record) -> datetime:
    if "dateTime" in when:
        return datetime.fromisoformat(when["dateTime"])
    day = date.fromisoformat(when["date"])
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _event(item: Item, role: str) -> dict[str, Any]:
    event = {**item.record, "etag": f'"{item.version}"'}
    if item.deleted:
        event["status"] = "cancelled"
    if role == "freeBusyReader":
        return {name: event[name] for name in BUSY_FIELDS if name in event}
    return event
