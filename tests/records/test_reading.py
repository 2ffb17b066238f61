"""Reading page by page, and then change by change (contract §4)."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
import requests
from jsonschema import Draft202012Validator

from tests.house import Google, House, SalesApp
from tests.records.conftest import Asked, Probe

CONTACTS_URL = (
    "/v1/people/me/connections?personFields=emailAddresses%2Cmetadata%2Cnames%2Corganizations%2CphoneNumbers"
    "&sources=READ_SOURCE_TYPE_CONTACT"
)
Connection = dict[str, Any]


def page(answer: requests.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert sorted(body) == ["has_more", "next_cursor", "records", "reset", "withheld"]
    return body


def to_the_end(desk: SalesApp, connection: Connection, connector: str, **first: Any) -> list[dict[str, Any]]:
    """Every page of one reading."""
    pages = [page(desk.records(connection["id"], connector, **first))]
    while pages[-1]["has_more"]:
        pages.append(page(desk.records(connection["id"], connector, cursor=pages[-1]["next_cursor"])))
    return pages


def ids(pages: list[dict[str, Any]]) -> list[str]:
    return [record["id"] for one in pages for record in one["records"]]


# --- pages ---------------------------------------------------------------------------------------------------


def test_a_limit_outside_its_bounds_is_refused_before_the_provider_is_called(
    desk: SalesApp, connection: Connection, asked: Asked
):
    for limit in ("0", "-1", "1001", "99999999999999999999", "x", "", "1e2", "1.5", "0x10", "1,2"):
        answer = desk.records(connection["id"], limit=limit)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request"), limit
        assert [entry["field"] for entry in answer.json()["errors"]] == ["limit"]
    assert asked.entries() == []


def test_a_limit_is_the_size_of_a_page(desk: SalesApp, connection: Connection):
    for limit, count in ((1, 1), (100, 100), (1000, 260)):
        assert len(page(desk.records(connection["id"], limit=limit))["records"]) == count


def test_a_page_is_a_hundred_records_where_no_limit_is_named(desk: SalesApp, connection: Connection):
    assert len(page(desk.records(connection["id"]))["records"]) == 100


def test_a_parameter_that_is_not_known_is_refused(desk: SalesApp, connection: Connection, asked: Asked):
    for parameter in ("offset", "fields", "pageToken", "access_token", "personFields"):
        answer = desk.records(connection["id"], **{parameter: "1"})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert asked.entries() == []


@pytest.mark.parametrize(("connector", "count"), [("google_contacts", 260), ("google_calendar", 303)])
def test_a_reading_to_the_end_gives_each_record_once(
    desk: SalesApp, connection: Connection, connector: str, count: int
):
    pages = to_the_end(desk, connection, connector, limit=90)
    assert len(ids(pages)) == len(set(ids(pages))) == count
    assert [one["has_more"] for one in pages] == [True] * (len(pages) - 1) + [False]
    assert not any(one["reset"] for one in pages)
    assert all(one["next_cursor"] for one in pages)


def test_a_page_may_be_empty_and_have_a_successor(desk: SalesApp, connection: Connection, google: Google):
    google.quirk(empty_pages=True)
    first = page(desk.records(connection["id"], "google_calendar"))
    assert (first["records"], first["has_more"]) == ([], True)
    assert page(desk.records(connection["id"], "google_calendar", cursor=first["next_cursor"]))["records"]


def test_the_provider_receives_exactly_these_urls(desk: SalesApp, connection: Connection, asked: Asked):
    to_the_end(desk, connection, "google_contacts", limit=200)
    to_the_end(desk, connection, "google_calendar", limit=200)
    first, second, third, fourth = asked.urls()
    assert first == f"{CONTACTS_URL}&pageSize=200&requestSyncToken=true"
    token = second.removeprefix(f"{CONTACTS_URL}&pageSize=200&requestSyncToken=true&pageToken=")
    assert token == quote(token, safe="")
    assert third == "/calendar/v3/calendars/primary/events?maxResults=200"
    token = fourth.removeprefix("/calendar/v3/calendars/primary/events?maxResults=200&pageToken=")
    assert token == quote(token, safe="")
    assert {(entry["method"], entry["status"]) for entry in asked.entries()} == {("GET", 200)}


def test_the_page_size_of_a_reading_stays_whatever_limit_a_later_page_names(
    desk: SalesApp, connection: Connection, asked: Asked, google: Google
):
    """Google refuses a page or sync token beside other parameters than the first call's, the page size among them."""
    first = page(desk.records(connection["id"], limit=100))
    second = page(desk.records(connection["id"], limit=7, cursor=first["next_cursor"]))
    third = page(desk.records(connection["id"], limit=1000, cursor=second["next_cursor"]))
    change(google, connection, names=[{"displayName": "New"}])
    fourth = page(desk.records(connection["id"], limit=1, cursor=third["next_cursor"]))
    assert [len(one["records"]) for one in (first, second, third, fourth)] == [100, 100, 60, 1]
    assert all("&pageSize=100&" in url for url in asked.urls("/v1/people"))
    assert not any(one["reset"] for one in (first, second, third, fourth))


def test_a_reading_and_its_changes_over_each_kind_of_database(house: House, google: Google):
    desk = house.client()
    connection = desk.connect()
    for connector, count in (("google_contacts", 260), ("google_calendar", 303)):
        pages = to_the_end(desk, connection, connector, limit=150)
        assert len(set(ids(pages))) == count
        change(google, connection, resourceName="people/c7", names=[{"displayName": "Renamed"}])
        change_event(google, connection, id="call8", summary="Moved")
        assert len(page(desk.records(connection["id"], connector, cursor=pages[-1]["next_cursor"]))["records"]) == 1


@pytest.mark.parametrize("connector", ["google_contacts", "google_calendar"])
def test_every_record_is_valid_by_the_schema_that_is_published(desk: SalesApp, connection: Connection, connector: str):
    listed = desk.call("GET", "/v1/connectors").json()["items"]
    published = next(item for item in listed if item["name"] == connector)
    Draft202012Validator.check_schema(published["schema"])
    for one in to_the_end(desk, connection, connector, limit=1000):
        for record in one["records"]:
            Draft202012Validator(published["schema"]).validate(record)
            assert record["type"] == published["type"]
            assert record["source"] == {"provider": "google", "account": connection["account"]["id"]}


# --- changes -------------------------------------------------------------------------------------------------


def change(google: Google, connection: Connection, *, delete: bool = False, **contact: Any) -> None:
    google.control("contacts", {"account": connection["account"]["id"], "contact": contact, "delete": delete})


def change_event(google: Google, connection: Connection, *, delete: bool = False, **event: Any) -> None:
    google.control("contacts", {"account": connection["account"]["id"], "event": event, "delete": delete})


def test_after_a_reading_only_what_changed_is_given(desk: SalesApp, connection: Connection, google: Google):
    cursor = to_the_end(desk, connection, "google_contacts", limit=1000)[-1]["next_cursor"]
    change(google, connection, resourceName="people/c7", names=[{"displayName": "Renamed"}])
    change(google, connection, names=[{"displayName": "New"}])
    change(google, connection, delete=True, resourceName="people/c9")
    changed = page(desk.records(connection["id"], cursor=cursor))
    assert {record["id"]: record.get("name") for record in changed["records"]} == {
        "people/c7": "Renamed",
        "people/c261": "New",
        "people/c9": None,
    }
    assert {record["id"] for record in changed["records"] if record["deleted"]} == {"people/c9"}
    assert (changed["has_more"], changed["reset"]) == (False, False)


def test_where_nothing_changed_nothing_is_given_and_the_reading_goes_on(
    desk: SalesApp, connection: Connection, google: Google
):
    cursor = to_the_end(desk, connection, "google_contacts", limit=1000)[-1]["next_cursor"]
    unchanged = page(desk.records(connection["id"], cursor=cursor))
    assert (unchanged["records"], unchanged["has_more"], unchanged["reset"]) == ([], False, False)
    change(google, connection, resourceName="people/c7", names=[{"displayName": "Renamed"}])
    assert len(page(desk.records(connection["id"], cursor=unchanged["next_cursor"]))["records"]) == 1


def test_a_cursor_may_be_used_again(desk: SalesApp, connection: Connection, google: Google):
    cursor = to_the_end(desk, connection, "google_contacts", limit=1000)[-1]["next_cursor"]
    change(google, connection, resourceName="people/c7", names=[{"displayName": "Renamed"}])
    for _ in range(2):
        assert [record["id"] for record in page(desk.records(connection["id"], cursor=cursor))["records"]] == [
            "people/c7"
        ]


def test_a_cancelled_event_is_told_as_deleted(desk: SalesApp, connection: Connection, google: Google):
    cursor = to_the_end(desk, connection, "google_calendar", limit=1000)[-1]["next_cursor"]
    change_event(google, connection, delete=True, id="call7")
    change_event(google, connection, id="call8", summary="Moved")
    changed = page(desk.records(connection["id"], "google_calendar", cursor=cursor))
    assert {record["id"]: record["deleted"] for record in changed["records"]} == {"call7": True, "call8": False}


def test_changes_too_come_page_by_page(desk: SalesApp, connection: Connection, google: Google, asked: Asked):
    pages = to_the_end(desk, connection, "google_contacts", limit=130)
    for number in range(1, 141):
        change(google, connection, resourceName=f"people/c{number}", names=[{"displayName": "Renamed"}])
    asked.clear()
    changed = to_the_end(desk, connection, "google_contacts", cursor=pages[-1]["next_cursor"])
    assert [len(one["records"]) for one in changed] == [130, 10]
    assert all("&pageSize=130&" in url and "&syncToken=" in url for url in asked.urls())


# --- a place that the provider forgot ------------------------------------------------------------------------


@pytest.mark.parametrize("how", [400, 410, "FAILED_PRECONDITION", "INVALID_ARGUMENT"])
def test_contacts_are_read_anew_where_google_forgot_the_place(
    desk: SalesApp, connection: Connection, google: Google, asked: Asked, how: object
):
    cursor = to_the_end(desk, connection, "google_contacts", limit=1000)[-1]["next_cursor"]
    google.quirk(expired_sync_token=how)
    asked.clear()
    anew = page(desk.records(connection["id"], cursor=cursor, limit=200))
    assert (anew["reset"], anew["has_more"], len(anew["records"])) == (True, True, 200)
    assert "syncToken" in asked.urls()[0]
    assert asked.urls()[1] == f"{CONTACTS_URL}&pageSize=200&requestSyncToken=true"
    rest = page(desk.records(connection["id"], cursor=anew["next_cursor"]))
    assert (rest["reset"], rest["has_more"], len(rest["records"])) == (False, False, 60)


@pytest.mark.parametrize("reason", ["fullSyncRequired", "updatedMinTooLongAgo"])
def test_events_are_read_anew_where_google_forgot_the_place(
    desk: SalesApp, connection: Connection, google: Google, reason: str
):
    cursor = to_the_end(desk, connection, "google_calendar", limit=1000)[-1]["next_cursor"]
    google.quirk(calendar_gone=reason)
    anew = page(desk.records(connection["id"], "google_calendar", cursor=cursor))
    assert (anew["reset"], anew["has_more"], len(anew["records"])) == (True, True, 100)


def test_a_place_older_than_the_provider_keeps_it_leads_to_a_full_reading(
    desk: SalesApp, connection: Connection, later: Callable[..., None]
):
    cursor = to_the_end(desk, connection, "google_contacts", limit=1000)[-1]["next_cursor"]
    later(desk, days=8)
    anew = page(desk.records(connection["id"], cursor=cursor, limit=1000))
    assert (anew["reset"], len(anew["records"])) == (True, 260)


def test_a_calendar_that_is_gone_is_no_forgotten_place(desk: SalesApp, connection: Connection, google: Google):
    cursor = to_the_end(desk, connection, "google_calendar", limit=1000)[-1]["next_cursor"]
    google.quirk(calendar_gone="deleted")
    answer = desk.records(connection["id"], "google_calendar", cursor=cursor)
    assert (answer.status_code, answer.json()["code"]) == (502, "provider_unavailable")
    assert answer.json()["retryable"] is False


def test_a_first_page_is_not_asked_for_twice_whatever_the_provider_says(
    desk: SalesApp, connection: Connection, google: Google, asked: Asked
):
    google.quirk(outage={"/v1/people": 410})
    answer = desk.records(connection["id"])
    assert (answer.status_code, answer.json()["retryable"]) == (502, False)
    assert len(asked.entries()) == 1


def test_fields_that_are_permitted_no_more_lead_to_a_full_reading_without_them(
    desk: SalesApp,
    google: Google,
    later: Callable[..., None],
    probe: Callable[..., Probe],
):
    """A place is good for the fields it was read with; what a caller keeps must hold no field that was taken away."""
    busy = probe("busy", "events", ("status", "start", "end"), ("summary",))
    connection = desk.connect("busy")
    first = page(desk.records(connection["id"], "busy"))
    assert first["withheld"] == []
    google.quirk(narrow_on_refresh=["https://www.googleapis.com/auth/calendar.events.readonly"])
    later(desk, hours=2)
    busy.got.clear()
    anew = page(desk.records(connection["id"], "busy", cursor=first["next_cursor"]))
    assert anew["reset"] is True
    assert [entry["field"] for entry in anew["withheld"]] == ["summary"]
    assert "summary" not in busy.seen()
    again = page(desk.records(connection["id"], "busy", cursor=anew["next_cursor"]))
    assert (again["reset"], again["withheld"]) == (False, anew["withheld"])


def test_a_field_that_opened_again_leads_to_a_full_reading_with_it(
    desk: SalesApp, google: Google, later: Callable[..., None], probe: Callable[..., Probe]
):
    probe("busy", "events", ("status", "start", "end"), ("summary",))
    connection = desk.connect("busy")
    google.quirk(narrow_on_refresh=["https://www.googleapis.com/auth/calendar.events.readonly"])
    later(desk, hours=2)
    without = page(desk.records(connection["id"], "busy"))
    google.quirk(narrow_on_refresh=None)
    later(desk, hours=2)
    anew = page(desk.records(connection["id"], "busy", cursor=without["next_cursor"]))
    assert (anew["reset"], anew["withheld"]) == (True, [])
