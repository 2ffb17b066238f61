"""Calendar: events of one calendar, and the calendars that there are (docs/facts/google.md §5.3).

Rules C1 to C7 of §4.6.3. The list of events takes nine scopes of very different reach: each field names those that
open it, so that whoever may see when somebody is busy sees no title (C3, C6).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from broker.providers.data.googleapis import auth, listed
from broker.providers.resource import Listing, Place, Resource, Values

EVENTS = auth("calendar.events.readonly", "calendar.events", "calendar.readonly", "calendar")
BUSY = (*auth("calendar.events.freebusy"), *EVENTS)
CALENDAR_LIST = auth("calendar.calendarlist.readonly", "calendar.calendarlist", "calendar.readonly", "calendar")


class Events(Resource):
    """Events of one calendar (§5.3, rules C1–C7)."""

    name = "events"
    operation = "calendar.events.list"
    identity = "id"
    asset_kind = "calendar"
    default_asset = "primary"
    fields = {
        **dict.fromkeys(("status", "start", "end", "transparency", "recurringEventId"), BUSY),
        **dict.fromkeys(
            (
                "summary",
                "description",
                "location",
                "attendees",
                "organizer",
                "updated",
                "recurrence",
                "visibility",
            ),
            EVENTS,
        ),
    }
    titles = {
        "status": {
            "en": "whether an event stands or was cancelled",
            "id": "apakah acara berlaku atau dibatalkan",
        },
        "start": {"en": "start", "id": "waktu mulai"},
        "end": {"en": "end", "id": "waktu selesai"},
        "transparency": {"en": "free or busy", "id": "luang atau sibuk"},
        "recurringEventId": {"en": "the series it belongs to", "id": "rangkaian acaranya"},
        "summary": {"en": "title", "id": "judul"},
        "description": {"en": "description", "id": "deskripsi"},
        "location": {"en": "place", "id": "tempat"},
        "attendees": {"en": "guests", "id": "tamu"},
        "organizer": {"en": "organizer", "id": "penyelenggara"},
        "updated": {"en": "last change", "id": "perubahan terakhir"},
        "recurrence": {"en": "how often it repeats", "id": "seberapa sering berulang"},
        "visibility": {"en": "whether it is private", "id": "apakah bersifat pribadi"},
    }

    def parameters(self, fields: Sequence[str], asset: str | None, place: Place | None, limit: int) -> Values:  # noqa: ARG002
        """Nothing but the page size beside the tokens: a sync token forbids most other parameters (§5.3). Without an
        asset the operation is denied: it needs its calendar (rule C7)."""
        values: Values = {"maxResults": str(limit)}
        if asset:
            values["calendarId"] = asset
        if place and place.changes:
            values["syncToken"] = place.changes
        if place and place.page:
            values["pageToken"] = place.page
        return values

    def listing(self, answer: Mapping[str, Any], place: Place) -> Listing:
        return listed(answer, "items", place)


class CalendarList(Resource):
    """The calendars the user sees: what may be chosen as an asset (rule C2)."""

    name = "calendars"
    operation = "calendar.calendarList.list"
    identity = "id"
    fields = dict.fromkeys(("summary", "primary", "accessRole"), CALENDAR_LIST)
    titles = {
        "summary": {"en": "names of your calendars", "id": "nama kalender Anda"},
        "primary": {"en": "which one is your main calendar", "id": "kalender utama Anda"},
        "accessRole": {"en": "what you may do in them", "id": "hak Anda di dalamnya"},
    }

    def as_asset(self, raw: Mapping[str, Any]) -> tuple[str, str] | None:
        """The main calendar by the name under which it is read without a choice; its id is the account's address."""
        identity, summary = raw.get("id"), raw.get("summary")
        if not isinstance(identity, str) or not identity:
            return None
        label = summary if isinstance(summary, str) and summary else identity
        return ("primary" if raw.get("primary") is True else identity), label[:200]

    def parameters(self, fields: Sequence[str], asset: str | None, place: Place | None, limit: int) -> Values:  # noqa: ARG002
        values: Values = {"maxResults": str(min(limit, 250))}
        if place and place.page:
            values["pageToken"] = place.page
        return values

    def listing(self, answer: Mapping[str, Any], place: Place) -> Listing:
        return listed(answer, "items", place)
