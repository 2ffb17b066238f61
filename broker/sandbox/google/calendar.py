"""The Calendar API: which calendars a token reaches, single events, free and busy times (§4.6.3, §5.3).

Sections and rules are of docs/facts/google.md, scope sets of its §4.7. Lists of events: calendar_events.py.
"""

from datetime import datetime
from typing import Any

from flask import Blueprint, Response, jsonify, request

from broker.sandbox.google.access import bearer
from broker.sandbox.google.calendar_events import at, chosen, event, page_of, page_size, position
from broker.sandbox.google.envelopes import CALENDAR, bad_request, not_found
from broker.sandbox.google.scopes import auth
from broker.sandbox.google.seed import Account, Calendar
from broker.sandbox.google.seed_events import ZONE
from broker.sandbox.google.state import google
from broker.sandbox.google.token_store import Token
from broker.sandbox.listing import Asked, Collection, Record

API = Blueprint("calendar", __name__, url_prefix="/calendar/v3")

EVERYWHERE = auth("calendar", "calendar.readonly", "calendar.events", "calendar.events.readonly")
OWNED = auth("calendar.events.owned", "calendar.events.owned.readonly")
PUBLIC = auth("calendar.events.public.readonly")
BUSY = auth("calendar.events.freebusy")
EVENTS = EVERYWHERE | OWNED | PUBLIC | BUSY | auth("calendar.app.created")
FREE_BUSY = BUSY | auth("calendar", "calendar.readonly", "calendar.freebusy")
"""Rule C1."""
CALENDAR_LIST = auth("calendar", "calendar.calendarlist", "calendar.calendarlist.readonly", "calendar.readonly")
"""Rule C2."""

MOST_CALENDARS = 50
"""In one question for free and busy times (§5.1)."""


@API.get("/calendars/<path:calendar_id>/events")
def events(calendar_id: str) -> Response:
    """events.list."""
    access = bearer(CALENDAR, "calendar.v3.Events.List", EVENTS)
    with google().lock:
        calendar, role = _reached(access, calendar_id)
        page = page_of(calendar.events)
    items = [event(item, role) for item in page.items]
    head = {"kind": "calendar#events", "etag": '"p1"', "timeZone": ZONE, "accessRole": role}
    return jsonify({**head, "summary": calendar.summary, "items": items, **position(page)})


@API.get("/calendars/<path:calendar_id>/events/<event_id>")
def one_event(calendar_id: str, event_id: str) -> Response:
    """events.get; a deleted one is still told, as cancelled."""
    access = bearer(CALENDAR, "calendar.v3.Events.Get", EVENTS)
    with google().lock:
        calendar, role = _reached(access, calendar_id)
        item = calendar.events.items.get(event_id)
    if item is None:
        raise not_found()
    return jsonify(event(item, role))


def _reached(access: Token, calendar_id: str) -> tuple[Calendar, str]:
    """The calendar and the token's role in it. Raises `ApiError` for one that the user or the token does not see."""
    calendar = google().accounts[access.account].calendar(calendar_id)
    role = _role(access, calendar) if calendar else None
    if calendar is None or role is None:
        raise not_found()
    return calendar, role


def _role(access: Token, calendar: Calendar) -> str | None:
    """The reach of the token's scopes (rules C3, C4); None: this calendar is not visible to it."""
    if access.scopes & EVERYWHERE:
        return calendar.access_role
    if access.scopes & OWNED and calendar.access_role == "owner":
        return "owner"
    if access.scopes & PUBLIC and calendar.public:
        return "reader"
    return "freeBusyReader" if access.scopes & BUSY else None


@API.get("/users/me/calendarList")
def calendar_list() -> Response:
    """calendarList.list; no `calendar.events*` scope opens it (rule C2)."""
    access = bearer(CALENDAR, "calendar.v3.CalendarList.List", CALENDAR_LIST)
    with google().lock:
        size = page_size(default=100, most=250)
        asked = Asked({}, size, request.args.get("pageToken"), request.args.get("syncToken"))
        page = page_of(_listed(google().accounts[access.account]), asked)
    items = [item.record for item in page.items]
    return jsonify({"kind": "calendar#calendarList", "etag": '"p1"', "items": items, **position(page)})


def _listed(account: Account) -> Collection:
    found = Collection(f"calendars of {account.sub}")
    for calendar in account.calendars.values():
        found.put(calendar.id, _entry(calendar))
    return found


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


@API.post("/freeBusy")
def free_busy() -> Response:
    """freebusy.query: times alone, of calendars that the body names."""
    access = bearer(CALENDAR, "calendar.v3.Freebusy.Query", FREE_BUSY)
    body = request.get_json(silent=True)
    if not isinstance(body, dict) or not isinstance(body.get("items"), list):
        raise bad_request("Missing time range or items.", location="items")
    earliest, latest = (_moment(body, name) for name in ("timeMin", "timeMax"))
    names = [str(item.get("id")) for item in body["items"] if isinstance(item, dict)]
    if len(names) > MOST_CALENDARS:
        raise bad_request("Too many calendars requested.", location="items")
    with google().lock:
        account = google().accounts[access.account]
        found = {name: _busy(account.calendar(name), earliest, latest) for name in names}
    times = {name: body[name] for name in ("timeMin", "timeMax")}
    return jsonify({"kind": "calendar#freeBusy", **times, "calendars": found})


def _moment(body: Record, name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(str(body.get(name)))
    except ValueError:
        moment = datetime.min  # noqa: DTZ901 - told apart by its lack of a zone
    if moment.tzinfo is None:
        raise bad_request("Bad Request", location=name)
    return moment


def _busy(calendar: Calendar | None, earliest: datetime, latest: datetime) -> dict[str, Any]:
    if calendar is None:
        return {"errors": [{"domain": "global", "reason": "notFound"}], "busy": []}
    wanted = chosen(single=True, deleted=False, earliest=earliest, latest=latest)
    held = [item.record for item in calendar.events.items.values() if wanted(item)]
    times = sorted((at(e["start"]), at(e["end"])) for e in held if e.get("transparency") != "transparent")
    return {"busy": [{"start": start.isoformat(), "end": end.isoformat()} for start, end in times]}
