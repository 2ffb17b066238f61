"""What goes wrong while confirming: the session is over, the answer is the same each time, no token is forgotten, and
the request ends in time (contract §3, 5; docs/facts/security.md STD-23, G-5, G-9, G-11)."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from broker.providers.base import Account
from broker.providers.google import Google as GoogleProvider
from tests.connections.insight import rows
from tests.house import Google, House, SalesApp
from tests.meta import ANI, Facebook

NAME, CALENDAR = "google_contacts", "google_calendar"
CALENDARS = "/calendar/v3/users/me/calendarList"


@pytest.fixture
def house(sqlite_house: House) -> House:
    return sqlite_house


# --- the provider --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quirk", "retryable"),
    [
        ({"outage": {"/token": 500}}, True),
        ({"outage": {"/token": 502}}, True),
        ({"outage": {"/token": 503}}, True),
        ({"outage": {"/token": "html"}}, True),
        ({"outage": {"/token": "reset"}}, True),
        ({"outage": {"/token": 302}}, False),
        ({"token_error": {"error": "invalid_grant", "error_description": "LOUD"}}, False),
        ({"token_error": {"error": "invalid_client", "status": 401}}, False),
        ({"token_error": {"error": "redirect_uri_mismatch"}}, False),
        ({"token_error": {"error": "temporarily_unavailable"}}, True),
        ({"token_error": {"error": "LOUD <script>"}}, False),
        ({"token_error": {"error": "x", "status": 429}}, True),
    ],
)
def test_an_exchange_that_fails_ends_the_session(
    app: SalesApp, google: Google, quirk: Mapping[str, Any], retryable: bool
) -> None:
    """The code is spent, or nobody knows whether it is: never a second try of it, and none of the provider's words."""
    google.quirk(**quirk)
    returned = app.pending(NAME)
    first = app.confirm(returned)
    assert (first.status_code, first.json()["code"]) == (502, "provider_unavailable")
    assert first.json()["retryable"] is retryable
    assert "LOUD" not in first.text
    google.quirk(**dict.fromkeys(quirk))
    again = app.confirm(returned)
    assert {**again.json(), "request_id": ""} == {**first.json(), "request_id": ""}
    assert again.headers["Content-Type"] == "application/problem+json"
    assert len(google.requests("/token")) == 1
    assert app.status(returned["session"]) == "failed"
    assert app.call("GET", "/v1/connections").json()["items"] == []


def test_calendars_that_cannot_be_listed_are_no_reason_to_fail(app: SalesApp, google: Google) -> None:
    """The primary calendar can be read without them."""
    google.quirk(outage={CALENDARS: 503})
    connection = app.connect(CALENDAR)
    assert [asset["id"] for asset in connection["grants"][0]["assets"]] == ["primary"]
    assert app.records(connection["id"], CALENDAR).status_code == 200


@pytest.mark.parametrize(
    ("hangs", "status"), [("/token", 504), ("/oauth2/v3/certs", 504), (CALENDARS, 200), ("/", 504)]
)
def test_a_provider_that_hangs_does_not_hold_the_request(
    build, sqlite_url: str, google: Google, hangs: str, status: int
) -> None:
    """G-11: each call has a deadline, and so has the whole."""
    house: House = build(sqlite_url, BROKER_PROVIDER_DEADLINE="0.5", BROKER_REQUEST_DEADLINE="3")
    app = house.client()
    returned = app.pending(CALENDAR)
    google.quirk(outage={hangs: "hang"})
    began = time.monotonic()
    answer = app.confirm(returned)
    took = time.monotonic() - began
    google.quirk(outage=None)
    assert answer.status_code == status
    assert took < 3
    if status == 504:
        assert answer.json()["code"] == "provider_unavailable"
        assert app.confirm(returned).status_code == 504
        house.work()
        # What a hanging token endpoint gave us we never saw; the rest is known, and told.
        assert google.live_tokens() == 0


def test_slow_answers_one_after_the_other_stay_within_the_deadline(build, sqlite_url: str, google: Google) -> None:
    """G-11: a provider that takes nearly as long as it may, each time."""
    house: House = build(sqlite_url, BROKER_PROVIDER_DEADLINE="0.9", BROKER_REQUEST_DEADLINE="3")
    app = house.client()
    returned = app.pending(CALENDAR)
    google.quirk(delay={"/": 0.8})
    began = time.monotonic()
    answer = app.confirm(returned)
    took = time.monotonic() - began
    google.quirk(delay=None)
    assert answer.status_code in (200, 504)
    assert took < 3


def test_a_provider_of_many_calls_does_not_outlast_the_deadline_either(
    build_meta: Callable[..., House], sqlite_url: str, facebook: Facebook
) -> None:
    """G-11: exchange, prolong, debug_token, permissions, person, Pages; what was obtained by then is told (I5)."""
    house = build_meta(sqlite_url, BROKER_PROVIDER_DEADLINE="1.6", BROKER_REQUEST_DEADLINE="3")
    app = house.client()
    returned = app.pending("facebook_pages", provider="facebook", account=ANI)
    facebook.quirk(delay={"/": 0.6})
    began = time.monotonic()
    answer = app.confirm(returned)
    took = time.monotonic() - began
    facebook.quirk(delay=None)
    assert (answer.status_code, answer.json()["code"]) == (502, "provider_unavailable")
    assert took < 3
    house.work()
    assert facebook.live_tokens() == 0


def test_what_can_be_left_out_is_not_asked_for_when_time_is_short(build, sqlite_url: str, google: Google) -> None:
    """G-11: nothing is begun that could outlast the deadline. The calendars are not listed; the primary one does."""
    house: House = build(sqlite_url, BROKER_PROVIDER_DEADLINE="0.9", BROKER_REQUEST_DEADLINE="2")
    app = house.client()
    returned = app.pending(CALENDAR)
    google.quirk(delay={"/token": 0.4})
    answer = app.confirm(returned)
    google.quirk(delay=None)
    assert answer.status_code == 200
    assert google.requests(CALENDARS) == []
    assert [asset["id"] for asset in answer.json()["connection"]["grants"][0]["assets"]] == ["primary"]


# --- ourselves -----------------------------------------------------------------------------------------------


class Broken(GoogleProvider):
    """A defect of ours, behind the exchange."""

    def account(self, claims: Mapping[str, Any]) -> Account:
        raise RuntimeError("a defect")


def test_a_defect_of_ours_forgets_no_token(app: SalesApp, house: House, google: Google) -> None:
    """I5: whatever is raised behind the exchange, what it gave is told to the provider."""
    house.broker.providers["google"] = Broken()  # type: ignore[index]
    returned = app.pending(NAME)
    first = app.confirm(returned)
    assert (first.status_code, first.json()["code"]) == (500, "internal_error")
    assert "defect" not in first.text
    again = app.confirm(returned)
    assert (again.status_code, again.json()["code"], again.json()["retryable"]) == (502, "provider_unavailable", False)
    assert app.status(returned["session"]) == "failed"
    assert google.live_tokens() == 2
    house.work()
    assert google.live_tokens() == 0


def test_a_database_connection_lost_while_activating_loses_nothing(build, postgres_url: str, google: Google) -> None:
    """A bug once: a deadlock or a lost connection behind the exchange ended the session, and the user had to go
    through it all again."""
    house: House = build(postgres_url)
    app = house.client()
    app.connect(NAME)
    returned = app.pending(NAME)
    with _authorization_held(postgres_url) as broken_off:
        answer = _meanwhile(lambda: app.confirm(returned), lambda: broken_off.wait(10))
    assert answer.status_code == 200
    assert len(google.requests("/token")) == 2
    assert app.confirm(returned).status_code == 200


def test_a_database_that_stays_away_while_activating_leaves_an_orphan_that_is_told(
    build, postgres_url: str, google: Google
) -> None:
    """I5: the session is over, and so is what it obtained."""
    house: House = build(postgres_url, BROKER_PROVIDER_DEADLINE="0.5", BROKER_REQUEST_DEADLINE="3")
    app = house.client()
    connection = app.connect(NAME)["id"]
    returned = app.pending(NAME)
    with _authorization_held(postgres_url, times=1000):
        answer = app.confirm(returned)
    assert (answer.status_code, answer.json()["code"], answer.json()["retryable"]) == (
        502,
        "provider_unavailable",
        False,
    )
    assert app.status(returned["session"]) == "failed"
    assert len(rows(house)["orphans"]) == 1
    house.work()
    assert rows(house)["orphans"] == []
    assert google.requests("/revoke") == []
    assert app.records(connection).status_code == 200


def test_a_confirmation_that_never_ended_is_called_interrupted(app: SalesApp, house: House, google: Google) -> None:
    """REL-04: the process died behind the claim. Whoever repeats waits, and is told after twice the deadline."""
    returned = app.pending(NAME)
    _set(house, "UPDATE connect_sessions SET exchange_began_at = :now", now=house.clock())
    assert app.status(returned["session"]) == "pending"
    house.clock.advance(seconds=61)
    answer = app.confirm(returned)
    assert (answer.status_code, answer.json()["code"], answer.json()["retryable"]) == (
        502,
        "provider_unavailable",
        False,
    )
    assert app.status(returned["session"]) == "failed"
    assert google.requests("/token") == []


def test_while_another_confirms_one_waits_for_the_deadline_and_no_longer(build, sqlite_url: str) -> None:
    house: House = build(sqlite_url, BROKER_PROVIDER_DEADLINE="0.5", BROKER_REQUEST_DEADLINE="2")
    app = house.client()
    returned = app.pending(NAME)
    _set(house, "UPDATE connect_sessions SET exchange_began_at = :now", now=house.clock())
    began = time.monotonic()
    answer = app.confirm(returned)
    assert (answer.status_code, answer.json()["code"], answer.json()["retryable"]) == (503, "unavailable", True)
    assert time.monotonic() - began < 2
    assert app.status(returned["session"]) == "pending"


def test_who_comes_back_too_late_activates_nothing(build, sqlite_url: str, google: Google) -> None:
    """A process that was stopped behind the exchange: its session was called interrupted meanwhile. What it got is
    told to the provider, and no connection appears that nobody was told of."""
    house: House = build(sqlite_url)
    app = house.client()
    returned = app.pending(CALENDAR)
    google.quirk(delay={CALENDARS: 1.0})
    late = _meanwhile(lambda: app.confirm(returned), lambda: _called_interrupted(house, app, returned))
    google.quirk(delay=None)
    assert (late.status_code, late.json()["code"]) == (403, "forbidden")
    assert app.call("GET", "/v1/connections").json()["items"] == []
    assert app.confirm(returned).status_code == 502
    house.work()
    assert google.live_tokens() == 0


def _called_interrupted(house: House, app: SalesApp, returned: Mapping[str, str]) -> None:
    time.sleep(0.5)
    house.clock.advance(seconds=61)
    again = SalesApp(app.url, app.client_id, app.client_secret).confirm(returned)
    assert again.status_code == 502, again.text


def _set(house: House, statement: str, **values: Any) -> None:
    with house.broker.database.write() as session:
        session.execute(text(statement), values)


def _meanwhile(act, other) -> Any:
    """What `act` returns, while `other` is done beside it."""
    failures: list[BaseException] = []

    def beside() -> None:
        try:
            other()
        except BaseException as error:  # noqa: BLE001 - raised again below
            failures.append(error)

    thread = threading.Thread(target=beside)
    thread.start()
    result = act()
    thread.join()
    if failures:
        raise failures[0]
    return result


@contextmanager
def _authorization_held(url: str, times: int = 1) -> Iterator[threading.Event]:
    """Hold the row that every activation locks, and end the database connections of those who wait for it, so many
    times; the row is let go once that is done, or at the end of the block. The event says that it was done."""
    parts, done, over = make_url(url), threading.Event(), threading.Event()
    address = f"host={parts.host} port={parts.port} user={parts.username} dbname={parts.database}"
    waiting = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'"

    def hold() -> None:
        ended = 0
        with (
            psycopg.connect(address, password=parts.password) as holder,
            psycopg.connect(address, password=parts.password, autocommit=True) as killer,
        ):
            holder.execute("SELECT * FROM authorizations FOR UPDATE")
            ready.set()
            while ended < times and not over.is_set():
                ended += len(killer.execute(waiting, [parts.database]).fetchall())
                time.sleep(0.02)
            holder.rollback()
        done.set()

    ready = threading.Event()
    thread = threading.Thread(target=hold)
    thread.start()
    ready.wait(10)
    try:
        yield done
    finally:
        over.set()
        thread.join()
