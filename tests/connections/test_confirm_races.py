"""Confirming at once, on both databases: one exchange, one connection, and no token that nobody holds (docs/facts/
security.md INP-55, I3, I5, I6; design decision 5)."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from broker.sandbox.serve import Running
from tests.connections.idp import Idp
from tests.connections.insight import rows
from tests.house import Browser, Clock, Google, House, SalesApp

NAME = "google_contacts"


def test_twenty_confirmations_at_once_make_one_exchange_and_answer_alike(app: SalesApp, google: Google) -> None:
    """INP-55."""
    returned = app.pending(NAME)
    answers = _at_once([lambda: _another(app).confirm(returned)] * 20)
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert len(google.requests("/token")) == 1
    assert len(app.call("GET", "/v1/connections").json()["items"]) == 1


def test_twenty_confirmations_of_a_refused_code_answer_alike(app: SalesApp, google: Google) -> None:
    google.quirk(token_error={"error": "invalid_grant"})
    returned = app.pending(NAME)
    answers = _at_once([lambda: _another(app).confirm(returned)] * 20)
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(502, "provider_unavailable")}
    assert len({answer.json()["detail"] for answer in answers}) == 1
    assert len(google.requests("/token")) == 1


def test_wrong_tries_beside_the_right_one_do_not_break_it(app: SalesApp, google: Google) -> None:
    """A bug once: five wrong tries during the exchange ended the session, and the connection came about all the
    same, under a session that was called failed."""
    google.quirk(delay={"/token": 0.5})
    returned = app.pending(NAME)
    wrong = [lambda: _later(0.2, lambda: _another(app).confirm(returned, code="x"))] * 6
    right, *others = _at_once([lambda: _another(app).confirm(returned), *wrong])
    assert right.status_code == 200
    assert {answer.status_code for answer in others} == {403}
    assert app.status(returned["session"]) == "confirmed"


def test_two_sessions_of_one_account_at_once_make_one_connection(app: SalesApp, house: House, google: Google) -> None:
    sessions = [app.pending(NAME), app.pending(NAME)]
    answers = _at_once([lambda way=way: _another(app).confirm(way) for way in sessions])
    # Google gave one of them no refresh token: if that one comes first, there is none to keep.
    agreed = [answer for answer in answers if answer.status_code == 200]
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"consent_again"}
    assert len({answer.json()["connection"]["id"] for answer in agreed}) == 1
    house.work()
    assert google.requests("/revoke") == []
    assert app.records(agreed[0].json()["connection"]["id"]).status_code == 200


def test_three_sessions_of_a_held_account_at_once_update_one_connection(app: SalesApp) -> None:
    """The authorization's row orders them."""
    connection = app.connect()["id"]
    ways = [app.pending(NAME), app.pending("google_calendar"), app.pending(NAME, "google_calendar")]
    answers = _at_once([lambda way=way: _another(app).confirm(way) for way in ways])
    assert [answer.status_code for answer in answers] == [200] * 3
    assert {answer.json()["connection"]["id"] for answer in answers} == {connection}
    assert [grant["connector"] for grant in app.connection(connection)["grants"]] == ["google_calendar", NAME]
    for connector in ("google_calendar", NAME):
        assert app.records(connection, connector).status_code == 200


@pytest.mark.parametrize("ahead", [0.0, 0.05, 0.2])
def test_a_revocation_and_a_renewal_at_once_end_in_one_or_the_other(
    app: SalesApp, house: House, google: Google, ahead: float
) -> None:
    """Never a deadlock, never a live connection that was revoked, never a token that nobody holds. A bug once: the
    two took the same locks in opposite orders."""
    connection = app.connect(NAME)["id"]
    returned = app.pending(NAME, connection=connection)
    confirmed, revoked = _at_once(
        [
            lambda: _another(app).confirm(returned),
            lambda: _later(ahead, lambda: _another(app).revoke(connection)),
        ]
    )
    assert revoked.status_code == 202
    assert confirmed.status_code in (200, 403, 410, 502)
    assert app.records(connection).status_code == 410
    house.work()
    house.clock.advance(minutes=11)
    house.work()
    assert google.live_tokens() == 0
    assert rows(house)["orphans"] == []


# --- told since the session began ----------------------------------------------------------------------------


@pytest.fixture
def neighbour(house: House) -> SalesApp:
    """Another tenant's subject, with the very same account."""
    return house.client(tenants=("warung",), tenant="warung")


def test_a_token_that_died_between_exchange_and_activation_makes_no_connection(
    app: SalesApp, house: House, google: Google, neighbour: SalesApp
) -> None:
    """Decision 5: the neighbour's end is told to Google while ours is being confirmed; ours is probed, and found
    dead."""
    theirs = neighbour.connect("google_calendar")["id"]
    returned = app.pending("google_calendar", NAME)
    google.quirk(delay={"/calendar/v3/users/me/calendarList": 1.5})
    neighbour.revoke(theirs)
    confirmed, _ = _at_once([lambda: app.confirm(returned), lambda: _later(0.5, house.work)])
    assert (confirmed.status_code, confirmed.json()["code"]) == (502, "provider_unavailable")
    assert confirmed.json()["retryable"] is False
    assert app.call("GET", "/v1/connections").json()["items"] == []
    google.quirk(delay=None)
    house.work()
    assert (google.live_tokens(), rows(house)["orphans"]) == (0, [])


def test_a_token_that_outlived_a_telling_that_failed_is_taken(
    app: SalesApp, house: House, google: Google, neighbour: SalesApp
) -> None:
    """It was to be told and Google did not answer: the probe finds our token alive. The telling, tried again, finds
    it in use."""
    theirs = neighbour.connect("google_calendar")["id"]
    returned = app.pending("google_calendar", NAME)
    google.quirk(outage={"/revoke": 503})
    receipt = neighbour.revoke(theirs).json()["revocation"]["id"]
    house.work()
    connection = app.confirm(returned)
    assert connection.status_code == 200
    assert [call["grant_type"] for call in google.requests("/token")][-1] == "refresh_token"
    google.quirk(outage=None)
    house.clock.advance(minutes=1)
    house.work()
    told = neighbour.receipt(receipt)["connections"][0]["provider_outcome"]
    assert told == "shared"
    assert app.records(connection.json()["connection"]["id"]).status_code == 200


def test_a_probe_that_is_limited_is_no_limit_of_ours(
    app: SalesApp, house: House, google: Google, neighbour: SalesApp
) -> None:
    """Repeating the request would not help: the session is over."""
    theirs = neighbour.connect("google_calendar")["id"]
    returned = app.pending("google_calendar", NAME)
    neighbour.revoke(theirs)
    limit = {"error": "slow_down", "status": 429, "grant_type": "refresh_token"}
    google.quirk(outage={"/revoke": 503}, token_error=limit)
    house.work()
    answer = app.confirm(returned)
    assert (answer.status_code, answer.json()["code"]) == (502, "provider_unavailable")
    assert len(rows(house)["orphans"]) == 1


def test_a_probe_that_is_not_answered_ends_the_session_and_owes_the_token(
    app: SalesApp, house: House, google: Google, neighbour: SalesApp
) -> None:
    """A bug once: whatever was no success counted as a dead token, and a live one was forgotten (I5)."""
    theirs = neighbour.connect("google_calendar")["id"]
    returned = app.pending("google_calendar", NAME)
    neighbour.revoke(theirs)
    google.quirk(outage={"/revoke": 503}, token_error={"error": "invalid_client", "grant_type": "refresh_token"})
    house.work()
    answer = app.confirm(returned)
    assert (answer.status_code, answer.json()["code"]) == (502, "provider_unavailable")
    assert len(rows(house)["orphans"]) == 1
    google.quirk(outage=None, token_error=None)
    house.clock.advance(minutes=1)
    house.work()
    assert google.live_tokens() == 0


@pytest.fixture
def idp(clock: Clock) -> Iterator[Idp]:
    idp = Idp(clock)
    with Running(idp.app) as running:
        idp.url = running.url
        yield idp


@pytest.mark.parametrize(("status", "answer", "orphans"), [(200, 200, 0), (401, 502, 0), (403, 502, 1), (503, 502, 1)])
def test_without_a_refresh_token_the_probe_asks_whose_the_token_is(
    build, sqlite_url: str, idp: Idp, status: int, answer: int, orphans: int
) -> None:
    """Only a 401 says that it is dead; what may live is owed to the provider (I5)."""
    house: House = build(sqlite_url, **idp.environ(idp.url))
    ours, neighbour = house.client(), house.client(subject="budi")
    theirs = neighbour.confirm(idp.pending(neighbour, Browser())).json()["connection"]["id"]
    returned = idp.pending(ours, Browser())
    neighbour.revoke(theirs)
    house.work()
    idp.userinfo_status = status
    confirmed = ours.confirm(returned)
    assert confirmed.status_code == answer
    assert "/userinfo" in idp.asked
    assert len(rows(house)["orphans"]) == orphans


def _at_once(acts: Sequence[Callable[[], Any]]) -> list[Any]:
    barrier = Barrier(len(acts))

    def act(one: Callable[[], Any]) -> Any:
        barrier.wait()
        return one()

    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(act, acts))


def _later(seconds: float, act: Callable[[], Any]) -> Any:
    time.sleep(seconds)
    return act()


def _another(app: SalesApp) -> SalesApp:
    """The same client over a connection of its own."""
    return SalesApp(app.url, app.client_id, app.client_secret, app.tenant, app.subject, _token=app.bearer)
