"""A connector gets the permitted fields of its own grant and no more: seen from inside a connector that listens."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.house import BUDI, CONTACTS, EVENTS, Google, House, SalesApp
from tests.records.conftest import Asked, Probe

FREE_BUSY = "https://www.googleapis.com/auth/calendar.events.freebusy"
BUSY_FIELDS = ("status", "start", "end", "transparency", "recurringEventId")


def read(desk: SalesApp, connection: dict[str, Any], connector: str, **params: Any) -> dict[str, Any]:
    answer = desk.records(connection["id"], connector, limit=1000, **params)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_a_connector_gets_the_fields_it_asked_for_and_the_identity(desk: SalesApp, probe: Callable[..., Probe]):
    names = probe("names_alone", "contacts", ("names",))
    assert read(desk, desk.connect("names_alone"), "names_alone")["withheld"] == []
    assert names.seen() == {"resourceName", "names"}
    assert len(names.got) == 260


def test_two_connectors_of_one_connection_get_each_its_own(desk: SalesApp, probe: Callable[..., Probe]):
    names = probe("names_alone", "contacts", ("names",))
    phones = probe("phones_alone", "contacts", ("phoneNumbers",))
    connection = desk.connect("names_alone", "phones_alone", "google_contacts")
    for connector in ("names_alone", "phones_alone", "google_contacts"):
        read(desk, connection, connector)
    assert names.seen() == {"resourceName", "names"}
    assert phones.seen() == {"resourceName", "phoneNumbers"}


def test_the_provider_is_asked_for_the_permitted_fields_alone(
    desk: SalesApp, probe: Callable[..., Probe], asked: Asked
):
    probe("names_alone", "contacts", ("names",))
    connection = desk.connect("names_alone", account=BUDI)
    asked.clear()
    read(desk, connection, "names_alone")
    assert asked.urls() == [
        "/v1/people/me/connections?personFields=names&sources=READ_SOURCE_TYPE_CONTACT&pageSize=1000"
        "&requestSyncToken=true"
    ]


def test_fields_that_the_provider_sends_unasked_are_cut(desk: SalesApp, probe: Callable[..., Probe]):
    """Calendar sends whole events; nothing but the cut stands between them and the connector."""
    busy = probe("busy", "events", ("status", "start", "end"), ("transparency",))
    read(desk, desk.connect("busy"), "busy")
    assert busy.seen() == {"id", "status", "start", "end", "transparency"}


def test_with_the_free_busy_scope_alone_a_connector_gets_no_title_and_the_page_says_why(
    desk: SalesApp, probe: Callable[..., Probe]
):
    """Rules C3, C6 of docs/facts/google.md: the user ticked "free/busy" and unticked "events"."""
    calendar = probe(
        "agenda", "events", ("status", "start", "end"), ("transparency", "recurringEventId", "summary", "attendees")
    )
    connection = desk.connect("agenda", without=[EVENTS])
    body = read(desk, connection, "agenda")
    assert connection["grants"][0]["scopes"] == [FREE_BUSY]
    assert body["withheld"] == [
        {"field": "summary", "missing_scopes": [EVENTS]},
        {"field": "attendees", "missing_scopes": [EVENTS]},
    ]
    assert calendar.seen() == {"id", *BUSY_FIELDS}


def test_what_the_token_opens_beyond_what_was_asked_for_is_cut(
    desk: SalesApp, google: Google, probe: Callable[..., Probe]
):
    """Google authorizes a project, not a connector: another feature's scope makes this token open titles."""
    google.quirk(extra_scopes=["https://www.googleapis.com/auth/calendar"])
    agenda = probe("agenda", "events", ("status", "start", "end"), ("summary",))
    body = read(desk, desk.connect("agenda", without=[EVENTS]), "agenda")
    assert [entry["field"] for entry in body["withheld"]] == ["summary"]
    assert agenda.seen() == {"id", "status", "start", "end"}


def test_a_grant_does_not_grow_with_the_scopes_of_another_connector(desk: SalesApp, probe: Callable[..., Probe]):
    """google_calendar's scope opens titles; the agenda of the same connection was confirmed without it."""
    agenda = probe("agenda", "events", ("status", "start", "end"), ("summary",))
    first = desk.connect("agenda", without=[EVENTS])
    second = desk.connect("google_calendar")
    assert second["id"] == first["id"]
    assert EVENTS in second["scopes"]
    body = read(desk, second, "agenda")
    assert [entry["field"] for entry in body["withheld"]] == ["summary"]
    assert "summary" not in agenda.seen()
    assert read(desk, second, "google_calendar")["records"][0]["title"]


def test_a_field_that_a_newer_version_adds_is_withheld_until_the_user_connects_again(
    desk: SalesApp, probe: Callable[..., Probe]
):
    probe("names_alone", "contacts", ("names",))
    connection = desk.connect("names_alone")
    newer = probe("names_alone", "contacts", ("names",), ("birthdays", "emailAddresses"))
    body = read(desk, connection, "names_alone")
    assert body["withheld"] == [
        {"field": "birthdays", "missing_scopes": []},
        {"field": "emailAddresses", "missing_scopes": []},
    ]
    assert newer.seen() == {"resourceName", "names"}
    desk.connect("names_alone")
    newer.got.clear()
    assert read(desk, connection, "names_alone")["withheld"] == []
    assert newer.seen() >= {"resourceName", "names", "emailAddresses"}


def test_a_connector_gets_no_token_no_client_and_no_account(
    desk: SalesApp, probe: Callable[..., Probe], google: Google
):
    names = probe("names_alone", "contacts", ("names", "metadata"))
    read(desk, desk.connect("names_alone"), "names_alone")
    tokens = [token["value"] for kind in google.state()["live_tokens"].values() for token in kind]
    assert tokens
    text = repr(names.got)
    assert not [token for token in tokens if token in text]
    assert "ani@example.com" not in text


@pytest.mark.parametrize("connector", ["google_contacts", "everything"])
def test_values_of_other_sources_are_dropped_though_the_provider_sends_them(
    desk: SalesApp, google: Google, probe: Callable[..., Probe], connector: str
):
    """Rule P8: a contacts scope does not open a person's own profile, nor a domain's directory."""
    everything = probe(
        "everything", "contacts", ("metadata", "names", "emailAddresses", "phoneNumbers", "organizations")
    )
    google.quirk(ignore_sources=True)
    text = repr(read(desk, desk.connect(connector), connector)["records"]) + repr(everything.got)
    for foreign in ("@profile.example", "+62 21 999", "Directory of Example", "PROFILE", "DOMAIN"):
        assert foreign not in text
    assert "example.org" in text or connector == "everything"


def test_a_caller_gets_the_source_that_the_broker_knows_whatever_a_connector_says(
    desk: SalesApp, probe: Callable[..., Probe]
):
    liar = probe("liar", "contacts", ("names",))
    liar.says = {"source": {"provider": "facebook", "account": "1"}}
    connection = desk.connect("liar", account=BUDI)
    record = read(desk, connection, "liar")["records"][0]
    assert record["source"] == {"provider": "google", "account": BUDI}


def test_only_the_main_calendar_is_read_where_no_other_was_chosen(
    desk: SalesApp, connection: dict[str, Any], asked: Asked
):
    read(desk, connection, "google_calendar")
    read(desk, connection, "google_calendar", asset="primary")
    assert {url.partition("?")[0] for url in asked.urls()} == {"/calendar/v3/calendars/primary/events"}


def test_a_chosen_calendar_is_read_and_no_other(desk: SalesApp, asked: Asked):
    team = "team-budi@group.calendar.google.com"
    pending = desk.pending("google_calendar", account=BUDI)
    connection = desk.confirm(pending, assets={"google_calendar": [team]}).json()["connection"]
    asked.clear()
    records = read(desk, connection, "google_calendar")["records"]
    assert [record["title"] for record in records] == ["Visit to Toko Cahaya"]
    assert [entry["path"] for entry in asked.entries()] == [f"/calendar/v3/calendars/{team}/events"]
    assert desk.records(connection["id"], "google_calendar", asset="primary").json()["code"] == "not_granted"


def test_private_and_free_events_are_told_as_they_are(desk: SalesApp, google: Google, connection: dict[str, Any]):
    account = connection["account"]["id"]
    times = {"start": {"date": "2026-12-24"}, "end": {"date": "2026-12-25"}}
    for event in (
        {"id": "p1", "visibility": "private", "summary": "Doctor"},
        {"id": "f1", "transparency": "transparent"},
    ):
        google.control("contacts", {"account": account, "event": {**event, **times}})
    records = {record["id"]: record for record in read(desk, connection, "google_calendar")["records"]}
    assert (records["p1"]["busy"], records["p1"]["title"]) == (True, "Doctor")
    assert records["f1"]["busy"] is False


def test_the_withheld_scope_is_one_that_a_new_session_would_ask_for(
    desk: SalesApp, sqlite_house: House, probe: Callable[..., Probe]
):
    probe("agenda", "events", ("status", "start", "end"), ("summary",))
    listed = desk.call("GET", "/v1/connectors").json()["items"]
    agenda = next(item for item in listed if item["name"] == "agenda")
    assert (agenda["required_scopes"], agenda["optional_scopes"]) == ([FREE_BUSY], [EVENTS])
    assert CONTACTS not in agenda["required_scopes"]
