"""Google Calendar: the events of the user's primary calendar."""

from typing import Any

from broker.contract import Connector, RawRecord, Reads, Record
from connectors.records import EVENT, entries, present, text, texts


def convert(raw: RawRecord) -> Record:
    """One event. A cancelled one (also an exception of a series) counts as deleted.

    A series is one event with its `recurrence` (RFC 5545 lines); what departs from it names its `series`.
    """
    fields = present(
        (
            ("title", text(raw, "summary")),
            ("description", text(raw, "description")),
            ("location", text(raw, "location")),
            ("status", text(raw, "status")),
            ("start", _moment(raw.get("start"))),
            ("end", _moment(raw.get("end"))),
            ("series", text(raw, "recurringEventId")),
            ("recurrence", texts(raw.get("recurrence"))),
            ("organizer", text(raw, "organizer", "email")),
            ("attendees", [one for value in entries(raw.get("attendees")) if (one := _attendee(value))]),
            ("updated_at", text(raw, "updated")),
        )
    )
    deleted = raw.get("status") == "cancelled"
    busy = {} if deleted else {"busy": raw.get("transparency") != "transparent"}
    return {"id": raw["id"], "type": "event", "deleted": deleted, **busy, **fields}


def _moment(value: Any) -> dict[str, str]:  # noqa: ANN401 - any JSON
    """`date_time` for a moment, `date` for a whole day."""
    names = (("date_time", "dateTime"), ("date", "date"), ("time_zone", "timeZone"))
    return present((ours, text(value, theirs)) for ours, theirs in names)


def _attendee(value: Any) -> dict[str, str]:  # noqa: ANN401
    names = (("email", "email"), ("name", "displayName"), ("response", "responseStatus"))
    return present((ours, text(value, theirs)) for ours, theirs in names)


CONNECTOR = Connector(
    name="google_calendar",
    provider="google",
    type="event",
    reads=Reads(
        "events",
        required=("status", "start", "end", "summary"),
        optional=(
            "transparency",
            "recurringEventId",
            "recurrence",
            "description",
            "location",
            "attendees",
            "organizer",
            "updated",
        ),
    ),
    convert=convert,
    schema=EVENT,
    titles={"en": "Google Calendar", "id": "Google Kalender"},
    choices=Reads("calendars", required=("summary", "primary")),
)
