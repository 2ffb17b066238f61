"""What a failing provider looks like to the caller (docs/facts/google.md §5.8), in both of Google's envelopes."""

import itertools
import json
import time
from collections.abc import Callable
from dataclasses import replace
from threading import Thread
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from broker import reading, records
from broker.clients import Caller
from broker.connections import use
from broker.errors import ProviderUnavailable
from broker.providers.resource import Place
from broker.upstream import Answer
from tests.house import CONTACTS, EVENTS, Clock, Google, House, SalesApp
from tests.records.conftest import Asked
from tests.records.raw import EVENT, PERSON, disturbed, json_values

PATHS = {"google_contacts": "/v1/people", "google_calendar": "/calendar"}
SCOPES = {"google_contacts": CONTACTS, "google_calendar": EVENTS}
each_connector = pytest.mark.parametrize("connector", PATHS)
Connection = dict[str, Any]


def is_a_problem(answer: requests.Response, status: int, code: str, *, retryable: bool) -> dict[str, Any]:
    problem: dict[str, Any] = answer.json()
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.status_code, problem["code"], problem["retryable"]) == (status, code, retryable), answer.text
    return problem


def reads_again(desk: SalesApp, connection: Connection, google: Google, connector: str) -> None:
    """The trouble was the provider's, and passed with it."""
    google.http.delete(f"{google.url}/_sandbox/quirks", timeout=10)
    assert desk.records(connection["id"], connector).status_code == 200
    assert desk.connection(connection["id"])["state"] == "active"


# --- 401 -----------------------------------------------------------------------------------------------------


@each_connector
def test_a_refused_token_is_renewed_once_and_the_call_made_once_more(
    desk: SalesApp, connection: Connection, google: Google, asked: Asked, connector: str
):
    google.quirk(unauthorized={PATHS[connector]: {"value": True, "times": 1}})
    assert desk.records(connection["id"], connector).status_code == 200
    assert [entry["status"] for entry in asked.entries(PATHS[connector])] == [401, 200]
    assert asked.refreshes() == 1
    tokens = [entry["token"] for entry in asked.entries(PATHS[connector])]
    assert tokens[0] != tokens[1]


@each_connector
def test_a_token_refused_again_after_that_calls_for_a_reconnect(
    desk: SalesApp, connection: Connection, google: Google, asked: Asked, connector: str
):
    google.quirk(unauthorized={PATHS[connector]: True})
    is_a_problem(desk.records(connection["id"], connector), 409, "reconnect_required", retryable=False)
    assert [entry["status"] for entry in asked.entries(PATHS[connector])] == [401, 401]
    assert asked.refreshes() == 1
    reads_again(desk, connection, google, connector)


def test_a_token_that_the_provider_forgot_is_replaced_without_the_caller_noticing(
    desk: SalesApp, connection: Connection, google: Google, asked: Asked
):
    google.control("kill", {"tokens": "access"})
    assert desk.records(connection["id"]).status_code == 200
    assert asked.refreshes() == 1


# --- 403 -----------------------------------------------------------------------------------------------------


@each_connector
def test_a_refusal_for_scope_is_the_providers_and_the_grant_is_read_again(
    desk: SalesApp, connection: Connection, google: Google, asked: Asked, connector: str
):
    for reason in (
        "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        "insufficientPermissions",
        "insufficientScopes",
        "requires_one_of",
    ):
        asked.clear()
        google.quirk(forbidden={PATHS[connector]: reason})
        problem = is_a_problem(desk.records(connection["id"], connector), 403, "insufficient_scope", retryable=False)
        assert (problem["source"], problem["missing_scopes"]) == ("provider", [SCOPES[connector]])
        assert [entry["status"] for entry in asked.entries(PATHS[connector])] == [403]
        assert asked.refreshes() == 1
        reads_again(desk, connection, google, connector)


def test_what_the_provider_took_away_is_denied_here_from_then_on(
    desk: SalesApp, connection: Connection, google: Google, asked: Asked
):
    google.quirk(forbidden={"/v1/people": "ACCESS_TOKEN_SCOPE_INSUFFICIENT"}, narrow_on_refresh=[CONTACTS])
    problem = is_a_problem(desk.records(connection["id"]), 403, "insufficient_scope", retryable=False)
    assert (problem["source"], problem["missing_scopes"]) == ("provider", [CONTACTS])
    assert CONTACTS not in desk.connection(connection["id"])["scopes"]
    asked.clear()
    problem = is_a_problem(desk.records(connection["id"]), 403, "insufficient_scope", retryable=False)
    assert problem["source"] == "broker"
    assert asked.entries() == []
    assert desk.records(connection["id"], "google_calendar").status_code == 200


@each_connector
def test_a_refusal_that_is_no_users_fault_is_not_worth_another_try(
    desk: SalesApp, connection: Connection, google: Google, asked: Asked, connector: str
):
    for reason in ("SERVICE_DISABLED", "accessNotConfigured", "domainPolicy", "DISALLOWED_OAUTH_SCOPES", "no_reason"):
        google.quirk(forbidden={PATHS[connector]: reason})
        is_a_problem(desk.records(connection["id"], connector), 502, "provider_unavailable", retryable=False)
        reads_again(desk, connection, google, connector)
    assert asked.refreshes() == 0


# --- limits --------------------------------------------------------------------------------------------------


def is_limited(answer: requests.Response, wait: int) -> None:
    problem = is_a_problem(answer, 429, "rate_limited", retryable=True)
    assert (answer.headers["Retry-After"], problem["retry_after"]) == (str(wait), wait)


@each_connector
def test_a_limit_of_the_provider_is_told_in_either_envelope_and_status(
    desk: SalesApp, connection: Connection, google: Google, asked: Asked, connector: str, clock: Clock
):
    for envelope, status in itertools.product(("errors", "details"), (403, 429)):
        google.quirk(rate_limit={PATHS[connector]: {"envelope": envelope, "status": status, "retry_after": 7}})
        is_limited(desk.records(connection["id"], connector), 7)
        clock.advance(seconds=8)
    assert (len(asked.entries(PATHS[connector])), asked.refreshes()) == (4, 0)
    reads_again(desk, connection, google, connector)


@pytest.mark.parametrize(("said", "passed_on"), [(7, 7), (0, 1), (999_999, 3600), (None, 60)])
def test_the_waiting_time_of_a_limit_is_passed_on_within_bounds(
    desk: SalesApp, connection: Connection, google: Google, said: int | None, passed_on: int
):
    google.quirk(rate_limit={"/v1/people": said})
    is_limited(desk.records(connection["id"]), passed_on)


# --- outages -------------------------------------------------------------------------------------------------


def test_an_outage_is_worth_another_try(desk: SalesApp, connection: Connection, google: Google, asked: Asked):
    for outage in (500, 502, 503, 504, 408, "html", "reset"):
        google.quirk(outage={"/v1/people": outage})
        is_a_problem(desk.records(connection["id"]), 502, "provider_unavailable", retryable=True)
        reads_again(desk, connection, google, "google_contacts")
    assert asked.refreshes() == 0


def test_a_refusal_of_our_request_is_not_worth_another_try(
    desk: SalesApp, connection: Connection, google: Google, asked: Asked
):
    for status in (400, 404, 405, 410, 412, 418, 451):
        google.quirk(outage={"/v1/people": status})
        is_a_problem(desk.records(connection["id"]), 502, "provider_unavailable", retryable=False)
    assert len(asked.entries()) == 7


def test_a_redirect_is_not_followed(desk: SalesApp, connection: Connection, google: Google, asked: Asked):
    google.quirk(outage={"/v1/people": 302})
    problem = desk.records(connection["id"]).json()
    assert (problem["code"], len(asked.entries())) == ("provider_unavailable", 1)


@pytest.fixture
def hurried(
    build: Callable[..., House], sqlite_url: str, desk: SalesApp, connection: Connection
) -> Callable[..., SalesApp]:
    """The desk at another process of the same broker, with these deadlines in seconds: for one call of the provider,
    and for all."""

    def moved(call: float, request: float) -> SalesApp:
        house = build(sqlite_url, BROKER_PROVIDER_DEADLINE=str(call), BROKER_REQUEST_DEADLINE=str(request))
        return replace(desk, url=house.url)

    return moved


@pytest.mark.parametrize("quirk", [{"outage": {"/v1/people": "hang"}}, {"trickle": {"/v1/people": 0.05}}])
def test_a_provider_that_hangs_is_given_up_within_the_deadline(
    hurried: Callable[..., SalesApp], connection: Connection, google: Google, quirk: dict[str, Any]
):
    desk = hurried(0.5, 5)
    google.quirk(**quirk)
    began = time.monotonic()
    is_a_problem(desk.records(connection["id"]), 504, "provider_unavailable", retryable=True)
    assert 0.5 <= time.monotonic() - began < 2.5
    google.control("reset")


def test_calls_that_are_quick_enough_each_for_itself_end_together_within_the_requests_deadline(
    hurried: Callable[..., SalesApp], connection: Connection, google: Google
):
    """Call, refresh, call take 1.3 s each, and have 3.4 s: the last one is cut off."""
    desk = hurried(1.5, 3.4)
    google.quirk(unauthorized={"/v1/people": True}, delay={"/v1/people": 1.3, "/token": 1.3})
    began = time.monotonic()
    is_a_problem(desk.records(connection["id"]), 504, "provider_unavailable", retryable=True)
    assert time.monotonic() - began < 3.8


def test_a_refresh_that_could_not_end_in_time_is_not_begun(
    hurried: Callable[..., SalesApp], connection: Connection, google: Google, asked: Asked
):
    """A refresh cut off in the middle may have spent the refresh token."""
    desk = hurried(2.0, 2.8)
    google.quirk(unauthorized={"/v1/people": True}, delay={"/v1/people": 1.0})
    is_a_problem(desk.records(connection["id"]), 503, "unavailable", retryable=True)
    assert asked.refreshes() == 0


def test_a_connection_that_was_revoked_while_the_provider_answered_gives_nothing(
    desk: SalesApp, sqlite_house: House, connection: Connection, google: Google
):
    google.quirk(delay={"/v1/people": 0.6})
    answers: list[requests.Response] = []
    reading = Thread(target=lambda: answers.append(desk.records(connection["id"])))
    reading.start()
    time.sleep(0.2)
    other = sqlite_house.client()
    assert other.revoke(connection["id"]).status_code in (200, 202)
    reading.join()
    is_a_problem(answers[0], 410, "connection_revoked", retryable=False)


# --- malformed answers ---------------------------------------------------------------------------------------


@each_connector
def test_an_answer_that_is_no_sound_json_is_a_failure_of_the_provider(
    desk: SalesApp, connection: Connection, google: Google, connector: str
):
    for kind in (
        *("truncated", "cut", "empty", "null", "list", "not_json", "not_utf8", "lone_surrogate", "nan"),
        *("endless_number", "deep", "twice", "other_types", "huge", "bomb"),
    ):
        google.quirk(malformed={PATHS[connector]: kind})
        answer = desk.records(connection["id"], connector)
        assert (answer.status_code, answer.json()["code"]) == (502, "provider_unavailable"), kind
        reads_again(desk, connection, google, connector)


def test_an_answer_without_members_is_an_empty_page(desk: SalesApp, connection: Connection, google: Google):
    google.quirk(malformed={"/v1/people": "no_members"})
    body = desk.records(connection["id"]).json()
    assert (body["records"], body["has_more"], body["next_cursor"]) == ([], False, None)


@pytest.mark.parametrize(
    ("connector", "whole"),
    [
        ("google_contacts", {"connections": [PERSON, PERSON], "nextPageToken": "p2", "nextSyncToken": "s2"}),
        ("google_calendar", {"items": [EVENT, EVENT], "nextPageToken": "p2", "nextSyncToken": "s2"}),
    ],
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_a_provider_answers_the_page_is_valid_or_it_is_the_providers_failure(
    sqlite_house: House, connection: Connection, connector: str, whole: dict[str, Any], data: st.DataObject
):
    """From the bytes of an answer to the records: what stands between, run as a request runs it."""
    broker, everything = sqlite_house.broker, frozenset({"*"})
    caller = Caller("cli_x", frozenset(), everything, everything, frozenset())
    standing = use.standing(broker, caller, connection["id"], connector)
    decision = records.decide(broker, standing, None)
    place = Place(fields=decision.fields, limit=100)
    body = json.dumps(data.draw(disturbed(whole) | json_values)).encode()
    try:
        listing = reading._listing(decision.resource, Answer(200, {}, body), place)
        page = records._converted(broker, standing, decision, place, listing)
    except ProviderUnavailable:
        return
    for record in page:
        Draft202012Validator(standing.connector.schema).validate(record)
        json.dumps(record)
