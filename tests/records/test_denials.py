"""Denied before the provider is called: the decision, case by case, with what the fake Google heard of it (nothing)."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from sqlalchemy import delete, update

from broker.models import Connection, Grant
from tests.house import BUDI, CALENDAR_LIST, CONTACTS, EVENTS, Browser, House, SalesApp
from tests.records.conftest import Asked, Probe

TEAM = "team-ani@group.calendar.google.com"


def is_denied(answer: requests.Response, status: int, code: str, **members: Any) -> None:
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert {name: problem.get(name) for name in members} == members
    assert "records" not in problem


@pytest.fixture(autouse=True)
def nothing_is_asked_of_the_provider(asked: Asked) -> Iterator[None]:
    """Not even for a token: a test that prepares more than a connection ends that with `asked.clear()`."""
    yield
    assert asked.entries() == []


def test_a_connector_that_was_never_granted(desk: SalesApp, asked: Asked):
    other = desk.connect("google_contacts", account=BUDI)
    asked.clear()
    is_denied(desk.records(other["id"], "google_calendar"), 403, "not_granted")


def test_a_connector_that_was_offered_and_unticked(desk: SalesApp, asked: Asked):
    browser = Browser()
    address = browser.approve(desk.begin("google_contacts", "google_calendar"), ["google_calendar"])
    connection = desk.confirm(browser.come_back(browser.at_google(address, account=BUDI))).json()["connection"]
    asked.clear()
    is_denied(desk.records(connection["id"], "google_contacts"), 403, "not_granted")


def test_a_connector_that_was_withdrawn(desk: SalesApp, connection: dict[str, Any], asked: Asked):
    assert desk.withdraw(connection["id"], "google_calendar").status_code == 200
    is_denied(desk.records(connection["id"], "google_calendar"), 403, "grant_withdrawn")


def test_another_connectors_grant_opens_nothing(desk: SalesApp, asked: Asked, probe: Callable[..., Probe]):
    """The provider's token would do: its scopes are those of the account, not of the connector."""
    probe("names_alone", "contacts", ("names",))
    connection = desk.connect("google_contacts", account=BUDI)
    asked.clear()
    is_denied(desk.records(connection["id"], "names_alone"), 403, "not_granted")


@pytest.mark.parametrize(
    ("without", "connector", "missing"),
    [(CONTACTS, "google_contacts", [CONTACTS]), (EVENTS, "google_calendar", [EVENTS])],
)
def test_a_scope_that_the_user_unticked_at_google(
    desk: SalesApp, asked: Asked, without: str, connector: str, missing: list[str]
):
    connection = desk.connect(account=BUDI, without=[without])
    asked.clear()
    answer = desk.records(connection["id"], connector)
    is_denied(answer, 403, "insufficient_scope", missing_scopes=missing, source="broker", retryable=False)


def test_a_scope_that_only_another_connector_of_the_connection_was_granted(
    desk: SalesApp, asked: Asked, probe: Callable[..., Probe], sqlite_house: House
):
    """Effective is what the provider granted and what this very connector was granted."""
    probe("names_alone", "contacts", ("names",))
    connection = desk.connect("google_contacts", "names_alone", account=BUDI)
    with sqlite_house.broker.database.write() as session:
        session.execute(update(Grant).where(Grant.connector == "names_alone").values(scopes=[]))
    asked.clear()
    answer = desk.records(connection["id"], "names_alone")
    is_denied(answer, 403, "insufficient_scope", missing_scopes=[CONTACTS], source="broker")


def test_a_scope_that_the_provider_no_longer_grants(
    desk: SalesApp, connection: dict[str, Any], asked: Asked, sqlite_house: House
):
    with sqlite_house.broker.database.write() as session:
        session.execute(update(Connection).values(granted_scopes=[EVENTS]))
    answer = desk.records(connection["id"])
    is_denied(answer, 403, "insufficient_scope", missing_scopes=[CONTACTS], source="broker")


def test_a_denied_request_does_not_even_renew_a_token(desk: SalesApp, asked: Asked, later: Callable[..., None]):
    connection = desk.connect(account=BUDI, without=[CONTACTS])
    asked.clear()
    later(desk, hours=2)
    is_denied(desk.records(connection["id"]), 403, "insufficient_scope", source="broker")
    is_denied(desk.records(connection["id"], "google_calendar", asset=TEAM), 403, "not_granted")
    is_denied(desk.records(connection["id"], "google_calendar", cursor="x"), 400, "invalid_request")


def test_a_grant_whose_row_is_gone(desk: SalesApp, connection: dict[str, Any], asked: Asked, sqlite_house: House):
    """Never "no restriction"."""
    with sqlite_house.broker.database.write() as session:
        session.execute(delete(Grant))
    is_denied(desk.records(connection["id"]), 403, "not_granted")


def test_a_grant_that_names_no_field_of_the_resource(
    desk: SalesApp, connection: dict[str, Any], asked: Asked, sqlite_house: House
):
    for fields in ({}, {"contacts": []}, {"other": ["names"]}):
        with sqlite_house.broker.database.write() as session:
            session.execute(update(Grant).values(fields=fields))
        is_denied(desk.records(connection["id"]), 403, "insufficient_scope", source="broker")


def test_a_field_that_a_newer_version_requires_and_the_grant_does_not_name(
    desk: SalesApp, asked: Asked, probe: Callable[..., Probe]
):
    probe("names_alone", "contacts", ("names",))
    connection = desk.connect("names_alone", account=BUDI)
    probe("names_alone", "contacts", ("names", "birthdays"))
    asked.clear()
    is_denied(desk.records(connection["id"], "names_alone"), 403, "insufficient_scope", source="broker")


def test_a_connector_of_another_provider(desk: SalesApp, connection: dict[str, Any], asked: Asked):
    is_denied(desk.records(connection["id"], "openid_profile"), 403, "not_granted")


def test_a_connector_of_another_provider_though_a_grant_names_it(
    sqlite_house: House, desk: SalesApp, connection: dict[str, Any], asked: Asked
):
    with sqlite_house.broker.database.write() as session:
        session.execute(update(Grant).where(Grant.connector == "google_contacts").values(connector="openid_profile"))
    is_denied(desk.records(connection["id"], "openid_profile"), 403, "not_granted")


def test_a_connector_that_nobody_knows(desk: SalesApp, connection: dict[str, Any], asked: Asked):
    for name in ("google_contact", "GOOGLE_CONTACTS", "google_contacts ", "x", "%2e%2e", "a%2fb", "*"):
        is_denied(desk.records(connection["id"], name), 404, "not_found")


def test_a_client_that_may_not_read_this_connector(sqlite_house: House, connection: dict[str, Any], asked: Asked):
    job = sqlite_house.client("records:read", connectors=("google_calendar",))
    is_denied(job.records(connection["id"]), 403, "forbidden")


def test_a_client_that_may_read_no_connector(sqlite_house: House, connection: dict[str, Any], asked: Asked):
    job = sqlite_house.client("records:read", connectors=())
    is_denied(job.records(connection["id"]), 403, "forbidden")


def test_a_client_without_the_scope_for_records(sqlite_house: House, connection: dict[str, Any], asked: Asked):
    for scope in ("connect", "connections:read", "revoke", "relay"):
        is_denied(sqlite_house.client(scope).records(connection["id"]), 403, "forbidden")


def test_a_call_without_a_token(desk: SalesApp, connection: dict[str, Any], asked: Asked):
    answer = desk.http.get(f"{desk.url}/v1/connections/{connection['id']}/records/google_contacts", timeout=10)
    is_denied(answer, 401, "unauthorized")


def test_a_foreign_tenants_connection_answers_like_one_that_does_not_exist(
    sqlite_house: House, connection: dict[str, Any], asked: Asked
):
    stranger = sqlite_house.client(tenants=("warung",))
    foreign, unknown = stranger.records(connection["id"]), stranger.records("con_unknown")
    is_denied(foreign, 404, "not_found")
    parts = [{k: v for k, v in answer.json().items() if k != "request_id"} for answer in (foreign, unknown)]
    assert parts[0] == parts[1]


def test_a_calendar_that_the_user_did_not_choose(desk: SalesApp, connection: dict[str, Any], asked: Asked):
    """Rule C7 of docs/facts/google.md: somebody else's calendar may be named."""
    for asset in (TEAM, "ani@example.com", "PRIMARY", "primary/", "all", "*", "../primary", "primary\u200b"):
        is_denied(desk.records(connection["id"], "google_calendar", asset=asset), 403, "not_granted")


def test_an_asset_where_the_resource_has_none(desk: SalesApp, connection: dict[str, Any], asked: Asked):
    is_denied(desk.records(connection["id"], "google_contacts", asset="primary"), 403, "not_granted")


def test_one_of_several_granted_calendars_must_be_named(desk: SalesApp, asked: Asked):
    team = "team-budi@group.calendar.google.com"
    pending = desk.pending("google_calendar", account=BUDI)
    connection = desk.confirm(pending, assets={"google_calendar": ["primary", team]}).json()["connection"]
    asked.clear()
    answer = desk.records(connection["id"], "google_calendar")
    is_denied(answer, 400, "asset_required")
    assert {entry["id"] for entry in answer.json()["assets"]} == {"primary", team}


def test_without_a_chosen_calendar_none_is_read(
    sqlite_house: House, desk: SalesApp, connection: dict[str, Any], asked: Asked
):
    """A grant without assets grants none, never all."""
    with sqlite_house.broker.database.write() as session:
        session.execute(update(Grant).values(assets=None))
    is_denied(desk.records(connection["id"], "google_calendar"), 400, "asset_required", assets=[])
    is_denied(desk.records(connection["id"], "google_calendar", asset="primary"), 403, "not_granted")


def test_a_connection_that_is_not_active(sqlite_house: House, desk: SalesApp, connection: dict[str, Any], asked: Asked):
    denials = {
        "reconnect_required": (409, "reconnect_required"),
        "suspended": (409, "connection_suspended"),
        "revoking": (410, "connection_revoked"),
        "revoked": (410, "connection_revoked"),
        "unheard_of": (410, "connection_revoked"),
    }
    for state, (status, code) in denials.items():
        with sqlite_house.broker.database.write() as session:
            session.execute(update(Connection).values(state=state))
        is_denied(desk.records(connection["id"]), status, code)


def test_a_connection_of_a_provider_that_is_switched_off(
    sqlite_house: House, desk: SalesApp, connection: dict[str, Any], asked: Asked
):
    with sqlite_house.broker.database.write() as session:
        session.execute(update(Connection).values(provider="facebook"))
    is_denied(desk.records(connection["id"]), 403, "not_granted")


def test_the_calendar_list_scope_alone_opens_no_events(desk: SalesApp, asked: Asked):
    connection = desk.connect("google_calendar", "google_contacts", account=BUDI, without=[EVENTS])
    assert CALENDAR_LIST in connection["scopes"]
    asked.clear()
    is_denied(desk.records(connection["id"], "google_calendar"), 403, "insufficient_scope", missing_scopes=[EVENTS])
