"""Access tokens: kept fresh while used, one refresh for all who wait, and what a refresh may change (I3)."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import requests
from sqlalchemy import update

from broker.connections.tokens import open_token
from broker.models import Connection, Grant
from tests.house import ANI, BUDI, CONTACTS, EVENTS, Google, House, SalesApp
from tests.records.conftest import Asked

Later = Callable[..., None]


def stored(house: House, connection: dict[str, Any], column: str) -> str | None:
    """A token as the vault holds it."""
    with house.broker.database.read() as session:
        row = session.get_one(Connection, connection["id"])
        token = open_token(house.broker, session, row, column)
    return token.reveal() if token else None


def reads(desk: SalesApp, connection: dict[str, Any]) -> None:
    answer = desk.records(connection["id"])
    assert answer.status_code == 200, answer.text


def is_problem(answer: requests.Response, status: int, code: str) -> dict[str, Any]:
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), answer.text
    return problem


# --- when ----------------------------------------------------------------------------------------------------


def test_a_fresh_token_is_used_again(desk: SalesApp, connection: dict[str, Any], asked: Asked, later: Later):
    for _ in range(3):
        reads(desk, connection)
        later(desk, minutes=15)
    assert asked.refreshes() == 0
    assert len({entry["token"] for entry in asked.entries("/v1/people")}) == 1


def test_a_token_is_renewed_before_it_ends(desk: SalesApp, connection: dict[str, Any], asked: Asked, later: Later):
    """Google's own library begins 225 s ahead (docs/facts/google.md F20)."""
    later(desk, seconds=3599 - 200)
    reads(desk, connection)
    assert asked.refreshes() == 1
    assert [entry["status"] for entry in asked.entries("/v1/people")] == [200]


def test_a_token_that_has_ended_is_renewed_before_the_provider_is_called(
    desk: SalesApp, connection: dict[str, Any], asked: Asked, later: Later
):
    later(desk, hours=5)
    reads(desk, connection)
    reads(desk, connection)
    assert [(entry["path"], entry["status"]) for entry in asked.entries() if "certs" not in entry["path"]] == [
        ("/token", 200),
        ("/v1/people/me/connections", 200),
        ("/v1/people/me/connections", 200),
    ]


def test_at_expiry_twenty_requests_make_one_refresh(house: House, google: Google, clock: Any, later: Later):
    """Over both databases; the provider takes its time, so that all of them wait."""
    desk = house.client()
    connection = desk.connect()
    asked = Asked(google)
    asked.clear()
    later(desk, hours=2)
    google.quirk(delay={"/token": 0.3})
    desks = [replace(desk, _token=desk.bearer, http=requests.Session()) for _ in range(20)]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda each: each.records(connection["id"]), desks))
    assert {answer.status_code for answer in answers} == {200}
    assert asked.refreshes() == 1
    assert len({entry["token"] for entry in asked.entries("/v1/people")}) == 1


def test_when_a_token_is_refused_twenty_requests_make_one_refresh(
    sqlite_house: House, desk: SalesApp, connection: dict[str, Any], google: Google, asked: Asked
):
    google.control("kill", {"tokens": "access"})
    google.quirk(delay={"/token": 0.3})
    desks = [replace(desk, _token=desk.bearer, http=requests.Session()) for _ in range(20)]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda each: each.records(connection["id"]), desks))
    assert {answer.status_code for answer in answers} == {200}
    assert asked.refreshes() == 1


def test_while_one_request_renews_a_token_that_still_lives_others_use_it(
    desk: SalesApp, connection: dict[str, Any], google: Google, asked: Asked, later: Later
):
    later(desk, seconds=3599 - 200)
    google.quirk(delay={"/token": 1.0})
    desks = [replace(desk, _token=desk.bearer, http=requests.Session()) for _ in range(5)]
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda each: each.records(connection["id"]), desks))
    assert {answer.status_code for answer in answers} == {200}
    assert asked.refreshes() == 1
    statuses = [entry["path"] for entry in asked.entries()]
    assert statuses.index("/token") < 5
    assert len({entry["token"] for entry in asked.entries("/v1/people")}) == 2


@pytest.mark.parametrize(("lives", "refreshes_in_an_hour"), [(0, 1), (30, 1), (10**9, 0)])
def test_an_odd_lifetime_leads_to_no_loop(
    desk: SalesApp, google: Google, later: Later, asked: Asked, lives: int, refreshes_in_an_hour: int
):
    """At most one refresh a minute, whatever is stated (docs/facts/security.md REL-49)."""
    google.quirk(expires_in=lives)
    connection = desk.connect(account=BUDI)
    google.quirk(expires_in=None)
    asked.clear()
    later(desk, minutes=50)
    reads(desk, connection)
    reads(desk, connection)
    assert asked.refreshes() == refreshes_in_an_hour


def test_a_token_that_is_dead_on_arrival_is_renewed_once_a_request(
    desk: SalesApp, connection: dict[str, Any], google: Google, asked: Asked, later: Later
):
    """REL-51: a refresh that yields an expired token."""
    google.quirk(expires_in=0)
    later(desk, hours=2)
    is_problem(desk.records(connection["id"]), 409, "reconnect_required")
    assert asked.refreshes() == 2
    google.quirk(expires_in=None)
    reads(desk, connection)


# --- scopes --------------------------------------------------------------------------------------------------


def test_a_refresh_that_narrows_takes_away_before_the_provider_is_called(
    desk: SalesApp, connection: dict[str, Any], google: Google, asked: Asked, later: Later
):
    """The decision is made anew with what came with the token (REL-27, STD-24)."""
    google.quirk(narrow_on_refresh=[CONTACTS])
    later(desk, hours=2)
    problem = is_problem(desk.records(connection["id"]), 403, "insufficient_scope")
    assert (problem["source"], problem["missing_scopes"]) == ("broker", [CONTACTS])
    assert asked.entries("/v1/people") == []
    assert CONTACTS not in desk.connection(connection["id"])["scopes"]
    assert desk.records(connection["id"], "google_calendar").status_code == 200


def test_a_refresh_in_the_middle_of_a_request_takes_away_too(
    desk: SalesApp, connection: dict[str, Any], google: Google, asked: Asked
):
    google.quirk(narrow_on_refresh=[CONTACTS], unauthorized={"/v1/people": {"value": True, "times": 1}})
    problem = is_problem(desk.records(connection["id"]), 403, "insufficient_scope")
    assert problem["source"] == "broker"
    assert [entry["status"] for entry in asked.entries("/v1/people")] == [401]


def test_a_refresh_that_widens_gives_nothing(desk: SalesApp, google: Google, later: Later, asked: Asked):
    """Confirmed is the bound: what the provider reports later is not part of the grant (design decision 2)."""
    connection = desk.connect(account=BUDI, without=[EVENTS])
    google.quirk(widen_on_refresh=[EVENTS, "https://www.googleapis.com/auth/contacts"])
    asked.clear()
    later(desk, hours=2)
    reads(desk, connection)
    assert asked.refreshes() == 1
    assert desk.connection(connection["id"])["scopes"] == connection["scopes"]
    asked.clear()
    problem = is_problem(desk.records(connection["id"], "google_calendar"), 403, "insufficient_scope")
    assert (problem["source"], problem["missing_scopes"]) == ("broker", [EVENTS])
    assert asked.entries() == []


def test_a_refresh_that_widens_gives_nothing_even_to_a_grant_that_names_the_scope(
    sqlite_house: House, desk: SalesApp, google: Google, later: Later
):
    """Each bound holds by itself: the connection's stays closed although a grant would let it through."""
    connection = desk.connect(account=BUDI, without=[EVENTS])
    with sqlite_house.broker.database.write() as session:
        session.execute(update(Grant).where(Grant.connector == "google_calendar").values(scopes=[EVENTS]))
    google.quirk(widen_on_refresh=[EVENTS])
    later(desk, hours=2)
    reads(desk, connection)
    is_problem(desk.records(connection["id"], "google_calendar"), 403, "insufficient_scope")


def test_a_refresh_that_does_not_say_its_scope_grants_nothing_until_the_user_connects_again(
    desk: SalesApp, connection: dict[str, Any], google: Google, later: Later, asked: Asked
):
    """docs/facts/google.md §1.4: asked is not granted, and a later report cannot give what one took away."""
    google.quirk(omit_scope=True)
    later(desk, hours=2)
    is_problem(desk.records(connection["id"]), 403, "insufficient_scope")
    google.quirk(omit_scope=None)
    later(desk, hours=2)
    is_problem(desk.records(connection["id"]), 403, "insufficient_scope")
    assert asked.entries("/v1/people") == []
    assert desk.connect(connection=connection["id"])["id"] == connection["id"]
    reads(desk, connection)


# --- failures ------------------------------------------------------------------------------------------------


def test_a_dead_refresh_token_calls_for_a_reconnect_at_once_and_stays_so(
    desk: SalesApp, connection: dict[str, Any], google: Google, asked: Asked, later: Later
):
    google.control("revoke", {"account": ANI})
    later(desk, hours=2)
    is_problem(desk.records(connection["id"]), 409, "reconnect_required")
    assert desk.connection(connection["id"])["state"] == "reconnect_required"
    assert asked.refreshes() == 1
    for connector in ("google_contacts", "google_calendar"):
        is_problem(desk.records(connection["id"], connector), 409, "reconnect_required")
    later(desk, days=1)
    is_problem(desk.records(connection["id"]), 409, "reconnect_required")
    assert (asked.refreshes(), asked.entries("/v1/people")) == (1, [])


def test_a_revoked_authorization_is_found_out_though_the_access_token_seemed_fresh(
    desk: SalesApp, connection: dict[str, Any], google: Google, asked: Asked
):
    google.control("revoke", {"account": ANI})
    is_problem(desk.records(connection["id"]), 409, "reconnect_required")
    assert desk.connection(connection["id"])["state"] == "reconnect_required"
    assert [entry["status"] for entry in asked.entries("/v1/people")] == [401]


def test_after_a_reconnect_the_connection_reads_again(desk: SalesApp, connection: dict[str, Any], google: Google):
    google.control("revoke", {"account": ANI})
    is_problem(desk.records(connection["id"]), 409, "reconnect_required")
    assert desk.connect(connection=connection["id"])["id"] == connection["id"]
    reads(desk, connection)


FAILURES: list[dict[str, Any]] = [
    {"outage": {"/token": 503}},
    {"outage": {"/token": "reset"}},
    {"outage": {"/token": "html"}},
    {"token_error": {"error": "internal_failure", "status": 500}},
    {"token_error": {"error": "temporarily_unavailable"}},
    {"token_error": {"error": "invalid_client", "status": 401}},
    {"token_error": {"error": "admin_policy_enforced"}},
    {"token_error": {"error": "unheard_of"}},
    {"rate_limit": {"/token": {"retry_after": 9, "status": 429}}},
    {"malformed": {"/token": "truncated"}},
    {"malformed": {"/token": "no_members"}},
    {"malformed": {"/token": "other_types"}},
]


def test_a_token_that_still_lives_serves_while_the_provider_fails_to_renew_it(
    desk: SalesApp, connection: dict[str, Any], google: Google, asked: Asked, later: Later
):
    later(desk, seconds=3599 - 200)
    for failure in FAILURES:
        google.http.delete(f"{google.url}/_sandbox/quirks", timeout=10)
        google.quirk(**failure)
        answer = desk.records(connection["id"])
        assert answer.status_code == 200, f"{failure}: {answer.text}"
    assert asked.refreshes() == len(FAILURES)


def test_no_failure_but_a_dead_grant_ends_a_connection(
    desk: SalesApp, connection: dict[str, Any], google: Google, later: Later
):
    """STD-23, as a table."""
    later(desk, hours=2)
    for failure in FAILURES:
        google.http.delete(f"{google.url}/_sandbox/quirks", timeout=10)
        google.quirk(**failure)
        answer = desk.records(connection["id"])
        assert answer.status_code in (429, 502, 503), f"{failure}: {answer.text}"
        assert answer.json()["code"] in ("provider_unavailable", "rate_limited")
        assert desk.connection(connection["id"])["state"] == "active"
        google.http.delete(f"{google.url}/_sandbox/quirks", timeout=10)
        reads(desk, connection)
        later(desk, hours=2)


@pytest.mark.parametrize("subtype", ["invalid_rapt", "rapt_required"])
def test_a_session_that_the_admin_ended_calls_for_a_reconnect(
    desk: SalesApp, connection: dict[str, Any], google: Google, later: Later, subtype: str
):
    google.quirk(token_error={"error": "invalid_grant", "error_subtype": subtype, "grant_type": "refresh_token"})
    later(desk, hours=2)
    is_problem(desk.records(connection["id"]), 409, "reconnect_required")


def test_a_refresh_that_answers_for_another_account_leaves_the_connection_unharmed(
    sqlite_house: House, desk: SalesApp, connection: dict[str, Any], google: Google, asked: Asked, later: Later
):
    """REL-50, OpenID Connect Core §12.2."""
    before = {column: stored(sqlite_house, connection, column) for column in ("access_token", "refresh_token")}
    google.quirk(other_sub_on_refresh=True)
    later(desk, hours=2)
    problem = is_problem(desk.records(connection["id"]), 502, "provider_unavailable")
    assert problem["retryable"] is False
    assert asked.entries("/v1/people") == []
    assert {column: stored(sqlite_house, connection, column) for column in before} == before
    assert desk.connection(connection["id"])["state"] == "active"
    assert desk.connection(connection["id"])["account"] == connection["account"]
    google.quirk(other_sub_on_refresh=None)
    reads(desk, connection)


@pytest.mark.parametrize("fault", ["alg_none", "wrong_aud", "wrong_iss", "expired", "bad_signature"])
def test_a_refresh_with_a_forged_id_token_is_not_stored(
    sqlite_house: House, desk: SalesApp, connection: dict[str, Any], google: Google, later: Later, fault: str
):
    before = stored(sqlite_house, connection, "access_token")
    google.quirk(bad_id_token=fault)
    later(desk, hours=2)
    is_problem(desk.records(connection["id"]), 502, "provider_unavailable")
    assert stored(sqlite_house, connection, "access_token") == before


# --- what happens meanwhile ----------------------------------------------------------------------------------


def in_flight(
    desk: SalesApp, connection: dict[str, Any], connector: str = "google_contacts"
) -> Future[requests.Response]:
    """A read under way; the provider was told to take its time."""
    pool = ThreadPoolExecutor(1)
    reading = pool.submit(replace(desk, http=requests.Session()).records, connection["id"], connector)
    pool.shutdown(wait=False)
    time.sleep(0.4)
    return reading


def test_a_refusal_that_comes_after_a_reconnect_condemns_nothing(desk: SalesApp, google: Google, later: Later):
    """Only the token that failed is dead, and it is the connection's no more (docs/facts/google.md F10)."""
    connection = desk.connect("google_contacts")
    later(desk, hours=2)
    refused = {"error": "invalid_grant", "grant_type": "refresh_token", "times": 1}
    google.quirk(token_error=refused, delay={"/token": {"value": 1.2, "times": 1}})
    reading = in_flight(desk, connection)
    assert desk.connect("google_calendar")["id"] == connection["id"]
    assert reading.result().status_code == 200
    assert desk.connection(connection["id"])["state"] == "active"


def test_a_reconnect_in_the_middle_of_a_read_is_told_as_something_to_repeat(desk: SalesApp, google: Google):
    """The newer grant may allow less than the one that the request began with."""
    connection = desk.connect("google_contacts")
    google.quirk(delay={"/v1/people": {"value": 1.2, "times": 1}})
    reading = in_flight(desk, connection)
    desk.connect("google_contacts")
    problem = is_problem(reading.result(), 503, "unavailable")
    assert problem["retryable"] is True
    reads(desk, connection)


def test_a_connector_withdrawn_in_the_middle_of_a_read_gives_nothing(desk: SalesApp, google: Google):
    connection = desk.connect()
    google.quirk(delay={"/v1/people": {"value": 1.0, "times": 1}})
    reading = in_flight(desk, connection)
    assert desk.withdraw(connection["id"], "google_contacts").status_code == 200
    is_problem(reading.result(), 403, "grant_withdrawn")


def test_a_connection_revoked_in_the_middle_of_a_refresh_leaves_no_live_token(
    sqlite_house: House, desk: SalesApp, google: Google, later: Later
):
    """REL-31: what the refresh brings is the provider's to end, and it is told so."""
    connection = desk.connect()
    google.quirk(rotate_refresh_tokens=True)
    later(desk, hours=2)
    google.quirk(delay={"/token": {"value": 1.5, "times": 1}})
    assert desk.bearer
    reading = in_flight(desk, connection)
    assert desk.revoke(connection["id"]).status_code in (200, 202)
    is_problem(reading.result(), 410, "connection_revoked")
    sqlite_house.work()
    assert google.live_tokens() == 0


# --- what is stored ------------------------------------------------------------------------------------------


def test_a_new_refresh_token_takes_the_place_of_the_old(
    sqlite_house: House, desk: SalesApp, connection: dict[str, Any], google: Google, later: Later
):
    google.quirk(rotate_refresh_tokens=True)
    seen = {stored(sqlite_house, connection, "refresh_token")}
    for _ in range(3):
        later(desk, hours=2)
        reads(desk, connection)
        seen.add(stored(sqlite_house, connection, "refresh_token"))
    live = [token["value"] for token in google.state()["live_tokens"]["refresh"]]
    assert len(seen) == 4
    assert live == [stored(sqlite_house, connection, "refresh_token")]


def test_an_answer_without_a_refresh_token_keeps_the_old(
    sqlite_house: House, desk: SalesApp, connection: dict[str, Any], later: Later
):
    before = {column: stored(sqlite_house, connection, column) for column in ("access_token", "refresh_token")}
    later(desk, hours=2)
    reads(desk, connection)
    assert stored(sqlite_house, connection, "refresh_token") == before["refresh_token"]
    assert stored(sqlite_house, connection, "access_token") != before["access_token"]


def test_no_token_stands_in_the_database_in_clear(
    sqlite_house: House, desk: SalesApp, connection: dict[str, Any], later: Later
):
    later(desk, hours=2)
    reads(desk, connection)
    tokens = [stored(sqlite_house, connection, column) for column in ("access_token", "refresh_token")]
    with sqlite_house.broker.database.read() as session:
        row = session.get_one(Connection, connection["id"])
        held = [value for value in vars(row).values() if isinstance(value, bytes | str)]
    for token in tokens:
        assert token
        assert not [value for value in held if token in (value if isinstance(value, str) else value.decode("latin-1"))]
