"""Calendar: paging, changes, scopes, errors. docs/facts/google.md §4.6.3, §4.7, §5.3, §5.8."""

from typing import Any

import pytest
import requests

from tests.sandbox.google_client import ANI, AUTH, Client, reason


@pytest.fixture
def token(google: Client) -> str:
    return google.connect()["access_token"]


def _all_events(
    google: Client, token: str, calendar: str = "primary", **query: Any
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    found, page = [], {"nextPageToken": None}
    while "nextPageToken" in page:
        page = google.events(token, calendar, pageToken=page["nextPageToken"], **query).json()
        found += page["items"]
    return found, page


def test_events_come_in_pages_and_end_with_a_sync_token(google: Client, token: str) -> None:
    first = google.events(token).json()
    assert (first["kind"], first["accessRole"], len(first["items"])) == ("calendar#events", "owner", 250)
    assert "nextSyncToken" not in first
    events, last = _all_events(google, token)
    assert (len(events), len({event["id"] for event in events})) == (303, 303)
    assert "nextSyncToken" in last


def test_the_seed_has_each_kind_of_event(google: Client, token: str) -> None:
    events = {event["id"]: event for event in _all_events(google, token, maxResults=2500)[0]}
    assert events["stocktake"]["start"] == {"date": "2026-12-31"}
    assert len(events["call1"]["attendees"]) == 2
    assert "recurrence" in events["weekly"]
    assert [e["id"] for e in events.values() if e["status"] == "cancelled"] == ["weekly_20261215T030000Z"]


def test_cancelled_events_show_when_asked_for(google: Client, token: str) -> None:
    plain = {event["id"] for event in _all_events(google, token)[0]}
    deleted = {event["id"] for event in _all_events(google, token, showDeleted="true")[0]}
    assert deleted - plain == {"calledoff"}


def test_single_events_are_instances(google: Client, token: str) -> None:
    events = _all_events(google, token, singleEvents="true")[0]
    assert len([event for event in events if event.get("recurringEventId") == "weekly"]) == 3
    assert not any("recurrence" in event for event in events)


def test_events_of_a_span_of_time(google: Client, token: str) -> None:
    span = {"timeMin": "2026-12-02T00:00:00+07:00", "timeMax": "2026-12-04T00:00:00Z", "singleEvents": "true"}
    assert [event["id"] for event in _all_events(google, token, **span)[0]] == ["call1", "call2"]


def test_a_sync_token_of_events_yields_changes_and_cancellations(google: Client, token: str) -> None:
    sync = _all_events(google, token)[1]["nextSyncToken"]
    assert google.events(token, syncToken=sync).json()["items"] == []
    google.control("contacts", {"account": ANI, "event": {"id": "call7", "summary": "Moved"}})
    google.control("contacts", {"account": ANI, "event": {"id": "call8"}, "delete": True})
    changes = {event["id"]: event for event in google.events(token, syncToken=sync).json()["items"]}
    assert (changes["call7"]["summary"], changes["call8"]["status"]) == ("Moved", "cancelled")
    assert len(changes) == 2


@pytest.mark.parametrize(
    "query", [{"timeMin": "2026-12-01T00:00:00Z"}, {"q": "call"}, {"orderBy": "updated"}, {"showDeleted": "false"}]
)
def test_a_sync_token_forbids_other_parameters(google: Client, token: str, query: dict[str, str]) -> None:
    sync = _all_events(google, token)[1]["nextSyncToken"]
    answer = google.events(token, syncToken=sync, **query)
    assert (answer.status_code, answer.json()["error"]["errors"][0]["reason"]) == (400, "badRequest")


def test_an_unknown_sync_token_of_events_asks_for_a_full_reading(google: Client, token: str) -> None:
    answer = google.events(token, syncToken="NOT-ONE")
    assert answer.status_code == 410
    assert answer.json()["error"]["errors"][0]["reason"] == "fullSyncRequired"


def test_a_free_busy_token_gets_no_titles(google: Client) -> None:
    """Rule C3."""
    token = google.connect("openid", f"{AUTH}calendar.events.freebusy")["access_token"]
    page = google.events(token).json()
    assert page["accessRole"] == "freeBusyReader"
    allowed = {"kind", "id", "status", "start", "end", "transparency", "recurringEventId", "originalStartTime"}
    assert {name for event in page["items"] for name in event} <= allowed


HOLIDAYS = "id.indonesian%23holiday@group.v.calendar.google.com"


@pytest.mark.parametrize(
    ("scope", "calendar", "status"),
    [
        ("calendar", "primary", 200),
        ("calendar.readonly", HOLIDAYS, 200),
        ("calendar.events", "ani@example.com", 200),
        ("calendar.events.readonly", "team-ani@group.calendar.google.com", 200),
        ("calendar.events.owned", "primary", 200),
        ("calendar.events.owned.readonly", HOLIDAYS, 404),
        ("calendar.events.public.readonly", HOLIDAYS, 200),
        ("calendar.events.public.readonly", "primary", 404),
        ("calendar.app.created", "primary", 404),
        ("calendar.events.freebusy", "primary", 200),
        ("calendar.events.readonly", "budi@example.com", 404),
        ("calendar.calendarlist.readonly", "primary", 403),
        ("calendar.freebusy", "primary", 403),
        ("contacts.readonly", "primary", 403),
    ],
)
def test_each_scope_reaches_its_calendars(google: Client, scope: str, calendar: str, status: int) -> None:
    """The nine scopes of A.2 and their reach (rule C3)."""
    token = google.connect("openid", AUTH + scope)["access_token"]
    assert google.events(token, calendar).status_code == status


@pytest.mark.parametrize(
    ("scope", "status"),
    [
        ("calendar", 200),
        ("calendar.calendarlist", 200),
        ("calendar.calendarlist.readonly", 200),
        ("calendar.readonly", 200),
        ("calendar.events", 403),
        ("calendar.events.readonly", 403),
    ],
)
def test_the_calendar_list_is_not_opened_by_event_scopes(google: Client, scope: str, status: int) -> None:
    """Rule C2."""
    token = google.connect("openid", AUTH + scope)["access_token"]
    assert google.get("/calendar/v3/users/me/calendarList", token).status_code == status


def test_the_calendar_list_names_the_primary_one(google: Client) -> None:
    token = google.connect("openid", f"{AUTH}calendar.readonly")["access_token"]
    first = google.get("/calendar/v3/users/me/calendarList", token, maxResults=2).json()
    rest = google.get(
        "/calendar/v3/users/me/calendarList", token, maxResults=2, pageToken=first["nextPageToken"]
    ).json()
    entries = [*first["items"], *rest["items"]]
    assert [entry["id"] for entry in entries if entry.get("primary")] == ["ani@example.com"]
    assert [entry["accessRole"] for entry in entries] == ["owner", "owner", "reader"]


def test_events_come_in_the_order_asked_for(google: Client, token: str) -> None:
    events = _all_events(google, token, singleEvents="true", orderBy="startTime")[0]
    starts = [event["start"].get("dateTime", event["start"].get("date")) for event in events]
    assert starts == sorted(starts)
    assert google.events(token, orderBy="startTime").status_code == 400


def test_with_a_page_token_of_events_all_else_must_stay_the_same(google: Client, token: str) -> None:
    query = {"timeMin": "2026-12-02T00:00:00Z", "maxResults": 5}
    page = google.events(token, **query).json()["nextPageToken"]
    assert google.events(token, pageToken=page, **query).status_code == 200
    assert google.events(token, pageToken=page, maxResults=5).status_code == 400


def test_changes_after_a_filtered_reading_come_in_pages_without_its_filters(google: Client, token: str) -> None:
    sync = _all_events(google, token, timeMin="2026-12-05T00:00:00Z")[1]["nextSyncToken"]
    for event in ("call7", "call8", "call9"):
        google.control("contacts", {"account": ANI, "event": {"id": event, "summary": "Moved"}})
    changes = _all_events(google, token, syncToken=sync, maxResults=1)[0]
    assert [event["id"] for event in changes] == ["call7", "call8", "call9"]


@pytest.mark.parametrize("size", ["0", "-1", "9" * 5000, "many"])
def test_a_malformed_page_size_of_events_is_refused(google: Client, token: str, size: str) -> None:
    assert google.events(token, maxResults=size).status_code == 400


def test_a_sync_token_of_events_ends_too(google: Client, clock) -> None:
    answer = google.connect()
    sync = _all_events(google, answer["access_token"])[1]["nextSyncToken"]
    clock.now += 7 * 24 * 3600 + 1
    token = google.refresh(answer["refresh_token"]).json()["access_token"]
    refused = google.events(token, syncToken=sync)
    assert (refused.status_code, reason(refused)) == (410, "fullSyncRequired")


def test_with_a_sync_token_of_events_all_else_must_stay_the_same(google: Client, token: str) -> None:
    sync = _all_events(google, token, singleEvents="true")[1]["nextSyncToken"]
    assert google.events(token, syncToken=sync, singleEvents="true").status_code == 200
    assert google.events(token, syncToken=sync).status_code == 400


@pytest.mark.parametrize(("event", "status"), [("call1", 200), ("calledoff", 200), ("no-such", 404)])
def test_a_single_event_is_found(google: Client, token: str, event: str, status: int) -> None:
    assert google.get(f"/calendar/v3/calendars/primary/events/{event}", token).status_code == status


def test_a_single_event_hides_its_title_from_a_free_busy_token(google: Client) -> None:
    """Rule C3."""
    token = google.connect("openid", f"{AUTH}calendar.events.freebusy")["access_token"]
    assert "summary" not in google.get("/calendar/v3/calendars/primary/events/call1", token).json()


BUSY = {"timeMin": "2026-12-02T00:00:00+07:00", "timeMax": "2026-12-03T00:00:00+07:00"}


def _busy(google: Client, token: str, **body: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return google.http.post(f"{google.url}/calendar/v3/freeBusy", json=body, headers=headers)


@pytest.mark.parametrize(
    ("scope", "status"),
    [("calendar.freebusy", 200), ("calendar.events.freebusy", 200), ("calendar.events.readonly", 403)],
)
def test_free_and_busy_times_are_not_opened_by_event_scopes(google: Client, scope: str, status: int) -> None:
    """Rule C1."""
    token = google.connect("openid", AUTH + scope)["access_token"]
    assert _busy(google, token, items=[{"id": "primary"}], **BUSY).status_code == status


def test_free_and_busy_times_are_times_alone(google: Client) -> None:
    token = google.connect("openid", f"{AUTH}calendar.freebusy")["access_token"]
    calendars = _busy(google, token, items=[{"id": "primary"}, {"id": "no-such"}], **BUSY).json()["calendars"]
    assert calendars["primary"] == {
        "busy": [{"start": "2026-12-02T09:00:00+07:00", "end": "2026-12-02T10:00:00+07:00"}]
    }
    assert calendars["no-such"]["errors"][0]["reason"] == "notFound"


@pytest.mark.parametrize("body", [{}, {"items": []}, {"items": [{"id": "primary"}], **BUSY, "timeMin": "yesterday"}])
def test_a_malformed_question_for_free_times_is_refused(google: Client, body: dict[str, Any]) -> None:
    token = google.connect("openid", f"{AUTH}calendar.freebusy")["access_token"]
    assert _busy(google, token, **body).status_code == 400
