"""nanoidp is killed, stopped or not there: each time a clear answer, and nothing lost (I4, I5; contract §2)."""

from collections.abc import Callable

import pytest
import requests

from tests.house import Browser, Clock, House, SalesApp
from tests.peers.acts import PROFILE, connect, later, pending, profile, tokens
from tests.peers.nano import Nano
from tests.processes import Process

STALE: dict[str, float] = {"minutes": 58}
"""The access token is to be renewed; what is known of the provider is still fresh, as it is for an hour."""
ENDED: dict[str, float] = {"minutes": 60, "seconds": 5}
"""The access token is over; the provider's own clock stands five seconds less than what is forgiven behind."""


@pytest.fixture
def nano(mortal: Nano) -> Nano:
    return mortal


@pytest.fixture
def house(build: Callable[..., House], sqlite_url: str, nano: Nano) -> House:
    return build(sqlite_url, **nano.environ(), BROKER_PROVIDER_DEADLINE="1")


@pytest.fixture
def server(nano: Nano) -> Process:
    assert nano.process
    return nano.process


def unavailable(answer: requests.Response) -> bool:
    """A problem that says: the provider, and try again."""
    body = answer.json()
    assert body["code"] == "provider_unavailable", body
    return answer.status_code in (502, 503, 504) and bool(body["retryable"])


def test_a_provider_that_cannot_be_discovered_yet_costs_no_link(app: SalesApp, nano: Nano):
    nano.kill()
    url = app.begin(PROFILE, provider="nano")
    assert [Browser().get(url).status_code for _ in range(2)] == [502, 502]
    nano.start().wait()
    browser = Browser()
    callback = nano.sign_in(browser, browser.approve(url, [PROFILE]))
    assert app.confirm(browser.come_back(callback)).status_code == 200


def test_a_provider_that_is_gone_at_the_confirmation_ends_the_session_and_no_connection(app: SalesApp, nano: Nano):
    """The code may be spent or not, nobody knows; the one who confirms is told to start again, and the same each
    time. What worked before works on."""
    connection = connect(app, nano)
    returned = pending(app, nano)
    nano.kill()
    first, again = app.confirm(returned), app.confirm(returned)
    assert unavailable(first)
    assert {**again.json(), "request_id": ""} == {**first.json(), "request_id": ""}
    assert app.status(returned["session"]) == "failed"
    nano.start().wait()
    assert profile(app, connection)["id"] == "ani"
    assert connect(app, nano)["id"] == connection["id"]


def test_a_provider_that_is_gone_at_a_refresh_costs_no_connection(
    app: SalesApp, house: House, nano: Nano, clock: Clock
):
    connection = connect(app, nano)
    nano.kill()
    later(app, clock, **ENDED)
    assert unavailable(app.records(connection["id"], PROFILE))
    assert app.connection(connection["id"])["state"] == "active"
    before = tokens(house, connection)
    nano.start().wait()
    assert profile(app, connection)["id"] == "ani"
    assert nano.given("refresh_token") == 1
    assert set(before).isdisjoint(tokens(house, connection))


def test_a_rotation_whose_answer_was_lost_surfaces_once_and_ends_with_a_new_consent(
    app: SalesApp, nano: Nano, server: Process, clock: Clock
):
    """A provider that is stopped takes the request, and answers when nobody listens any more: the token it then gave is
    lost, and the old one is used up. No client can mend that (docs/facts/security.md §5.2); it must not be an error
    that goes on for ever."""
    connection = connect(app, nano)
    later(app, clock, **STALE)
    server.pause()
    assert unavailable(app.records(connection["id"], PROFILE))
    assert app.connection(connection["id"])["state"] == "active"
    server.resume()
    server.wait_until(lambda: nano.given("refresh_token") == 1, "the refresh that nobody waits for")
    answer = app.records(connection["id"], PROFILE)
    assert (answer.status_code, answer.json()["code"]) == (409, "reconnect_required")
    later(app, clock, minutes=-58)
    assert connect(app, nano)["id"] == connection["id"]
    assert profile(app, connection)["id"] == "ani"


def test_a_provider_that_is_gone_at_a_revocation_is_told_when_it_is_back(
    app: SalesApp, house: House, nano: Nano, clock: Clock
):
    connection = connect(app, nano)
    held = tokens(house, connection)
    nano.kill()
    answer = app.revoke(connection["id"])
    assert answer.status_code == 202
    receipt = answer.json()["revocation"]["id"]
    assert app.records(connection["id"], PROFILE).status_code == 410
    house.work()
    assert app.receipt(receipt)["connections"][0]["provider_outcome"] == "pending"
    nano.start().wait()
    assert nano.lives(held[1])
    clock.advance(minutes=1)
    house.work()
    assert app.receipt(receipt)["state"] == "completed"
    assert app.receipt(receipt)["connections"][0]["provider_outcome"] == "confirmed"
    assert [nano.lives(token) for token in held] == [False, False]
