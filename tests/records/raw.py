"""Providers' records as they come over the wire, cut to nothing yet, and any JSON in their place."""

from typing import Any

from hypothesis import strategies as st

CONTACT_SOURCE = {"source": {"type": "CONTACT", "id": "1f"}}

PERSON: dict[str, Any] = {
    "resourceName": "people/c31",
    "etag": "%E1",
    "metadata": {"sources": [{"type": "CONTACT", "id": "1f", "updateTime": "2026-11-01T02:00:00Z"}]},
    "names": [
        {"displayName": "Dewi P.", "metadata": CONTACT_SOURCE},
        {
            "displayName": "Dewi Putri",
            "givenName": "Dewi",
            "familyName": "Putri",
            "metadata": {"primary": True, **CONTACT_SOURCE},
        },
    ],
    "emailAddresses": [
        {"value": "old@example.org", "metadata": CONTACT_SOURCE},
        {"value": "dewi@example.org", "type": "work", "metadata": {"primary": True, **CONTACT_SOURCE}},
    ],
    "phoneNumbers": [{"value": "0812-5550-0031", "type": "mobile", "metadata": CONTACT_SOURCE}],
    "organizations": [{"name": "Toko Cahaya", "title": "Owner", "metadata": CONTACT_SOURCE}],
}
EVENT: dict[str, Any] = {
    "id": "call1",
    "status": "confirmed",
    "summary": "Call",
    "description": "About order 1",
    "location": "Bandung",
    "start": {"dateTime": "2026-12-02T09:00:00+07:00", "timeZone": "Asia/Jakarta"},
    "end": {"date": "2026-12-03"},
    "organizer": {"email": "ani@example.com", "self": True},
    "attendees": [
        {"email": "ani@example.com", "responseStatus": "accepted", "self": True},
        {"email": "customer1@example.org", "displayName": "Customer 1", "responseStatus": "needsAction"},
    ],
    "recurringEventId": "weekly",
    "recurrence": ["RRULE:FREQ=WEEKLY;COUNT=4"],
    "transparency": "transparent",
    "updated": "2026-11-01T02:00:00Z",
}
CLAIMS: dict[str, Any] = {
    "sub": "248289761001",
    "name": "Dewi Putri",
    "given_name": "Dewi",
    "family_name": "Putri",
    "preferred_username": "dewi",
    "picture": "https://idp.example/dewi.png",
    "locale": "id",
    "email": "dewi@example.org",
    "email_verified": True,
}

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)


def disturbed(value: Any) -> st.SearchStrategy[Any]:
    """`value` with any part of it replaced by any JSON, or left out."""
    if isinstance(value, dict):
        whole: st.SearchStrategy[Any] = st.fixed_dictionaries(
            {}, optional={name: disturbed(inner) for name, inner in value.items()}
        )
    elif isinstance(value, list):
        whole = st.lists(st.one_of([disturbed(inner) for inner in value]), max_size=3) if value else st.just(value)
    else:
        whole = st.just(value)
    return whole | json_values
