"""The events of the seed (docs/facts/google.md §5.3)."""

from collections.abc import Iterator
from datetime import date, timedelta

from broker.sandbox.google.seed_people import SEEDED_AT
from broker.sandbox.listing import Record

ZONE = "Asia/Jakarta"


def of_each_kind() -> Iterator[Record]:
    """A whole day, one called off, and a weekly series."""
    yield whole_day("stocktake", "Stock-taking", "2026-12-31")
    yield {**timed("calledoff", "Lunch with a supplier", "2026-12-07", 12), "status": "cancelled"}
    yield from _weekly("weekly", "Sales meeting", "2026-12-01")


def call(email: str, name: str, number: int) -> Record:
    """A call with a customer, with guests, made by the account of this address and name."""
    day = date(2026, 12, 1) + timedelta(days=(number - 1) % 700 + 1)
    customer = {"email": f"customer{number}@example.org", "displayName": f"Customer {number}"}
    return {
        **timed(f"call{number}", f"Call with customer {number}", day.isoformat(), 8 + number % 8),
        "description": f"About order {number}",
        "location": "Bandung",
        "organizer": {"email": email, "displayName": name, "self": True},
        "creator": {"email": email, "self": True},
        "attendees": [
            {"email": email, "self": True, "organizer": True, "responseStatus": "accepted"},
            {**customer, "responseStatus": "needsAction"},
        ],
        "transparency": "transparent" if number % 5 == 0 else "opaque",
    }


def _weekly(event_id: str, summary: str, first: str) -> Iterator[Record]:
    """A series of four, its third instance called off. Plain instances show only with singleEvents=true."""
    yield {**timed(event_id, summary, first, 10), "recurrence": ["RRULE:FREQ=WEEKLY;COUNT=4"]}
    for week in range(4):
        day = (date.fromisoformat(first) + timedelta(weeks=week)).isoformat()
        instance = {
            **timed(f"{event_id}_{day.replace('-', '')}T030000Z", summary, day, 10),
            "recurringEventId": event_id,
        }
        yield {**instance, "originalStartTime": instance["start"], "status": "cancelled" if week == 2 else "confirmed"}


def timed(event_id: str, summary: str, day: str, hour: int) -> Record:
    """An hour of a day."""
    start, end = ({"dateTime": f"{day}T{at:02}:00:00+07:00", "timeZone": ZONE} for at in (hour, hour + 1))
    return _event(event_id, summary, start, end)


def whole_day(event_id: str, summary: str, day: str) -> Record:
    """A day without a time, which leaves the calendar free."""
    following = (date.fromisoformat(day) + timedelta(days=1)).isoformat()
    return {**_event(event_id, summary, {"date": day}, {"date": following}), "transparency": "transparent"}


def _event(event_id: str, summary: str, start: Record, end: Record) -> Record:
    return {
        "kind": "calendar#event",
        "id": event_id,
        "status": "confirmed",
        "summary": summary,
        "start": start,
        "end": end,
        "updated": SEEDED_AT,
    }
