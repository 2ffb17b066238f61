"""Tokens of nanoidp: it rotates refresh tokens, and one that comes a second time ends all that came of it.

So a refresh made twice, or its answer lost, is not forgiven here. Its access tokens live for an hour of its own clock,
which no test moves: the broker's is moved within that hour, or the token is ended at the provider.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.house import Clock, House, SalesApp
from tests.peers.acts import PROFILE, connect, later, profile, tokens
from tests.peers.nano import CLIENT_ID, CLIENT_SECRET, Nano

STALE: dict[str, float] = {"minutes": 58}
"""From then on the access token is renewed."""


@pytest.fixture
def connection(app: SalesApp, nano: Nano) -> dict[str, Any]:
    return connect(app, nano)


def test_the_token_that_a_refresh_brings_takes_the_old_one_s_place(
    app: SalesApp, house: House, nano: Nano, clock: Clock, connection: dict[str, Any]
):
    old = tokens(house, connection)
    later(app, clock, **STALE)
    assert profile(app, connection)["id"] == "ani"
    new = tokens(house, connection)
    assert nano.given("refresh_token") == 1
    assert set(old).isdisjoint(new)
    assert [nano.lives(token) for token in (*new, old[1])] == [True, True, False]


def test_one_refresh_after_another_works(app: SalesApp, house: House, nano: Nano, connection: dict[str, Any]):
    """Each takes the refresh token that the one before it brought. The provider ends the access tokens early."""
    for refreshes in (1, 2, 3):
        nano.revoke(tokens(house, connection)[0])
        assert profile(app, connection)["id"] == "ani"
        assert nano.given("refresh_token") == refreshes


def test_sixteen_readers_at_the_end_of_a_token_make_one_refresh(
    app: SalesApp, house: House, nano: Nano, connection: dict[str, Any]
):
    """A second one would have ended the family, and with it the connection (I3)."""
    nano.revoke(tokens(house, connection)[0])
    assert app.bearer
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: read(app, connection), range(16)))
    assert [answer.status_code for answer in answers] == [200] * 16
    assert nano.given("refresh_token") == 1
    nano.revoke(tokens(house, connection)[0])
    assert profile(app, connection)["id"] == "ani"


def read(app: SalesApp, connection: dict[str, Any]) -> requests.Response:
    """By a connection of its own, as another sync job would."""
    url = f"{app.url}/v1/connections/{connection['id']}/records/{PROFILE}"
    with requests.Session() as http:
        http.trust_env = False
        return http.get(url, headers={"Authorization": f"Bearer {app.bearer}"}, timeout=35)


def test_a_refresh_token_that_was_stolen_and_used_ends_the_connection_until_the_user_comes_again(
    app: SalesApp, house: House, nano: Nano, connection: dict[str, Any]
):
    """RFC 9700 §4.14.2: the provider cannot tell the thief from us, and ends both."""
    access, refresh = tokens(house, connection)
    assert used(nano, refresh) == 200
    nano.revoke(access)
    answer = app.records(connection["id"], PROFILE)
    assert (answer.status_code, answer.json()["code"]) == (409, "reconnect_required")
    assert app.connection(connection["id"])["state"] == "reconnect_required"
    assert connect(app, nano)["id"] == connection["id"]
    assert profile(app, connection)["id"] == "ani"


def used(nano: Nano, refresh_token: str) -> int:
    """Use a refresh token past the broker, who has the client's secret too."""
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    with requests.Session() as http:
        http.trust_env = False
        return http.post(f"{nano.url}/token", form, auth=(CLIENT_ID, CLIENT_SECRET), timeout=10).status_code


def test_a_secret_that_is_wrong_at_a_refresh_costs_no_connection(
    nano: Nano, build: Callable[..., House], sqlite_url: str, clock: Clock
):
    """An operator's mistake: only `invalid_grant` says that a connection is over (STD-23)."""
    house = build(sqlite_url, **nano.environ())
    app = house.client()
    connection = connect(app, nano)
    nano.revoke(tokens(house, connection)[0])
    mistaken = at(build(sqlite_url, **nano.environ(CLIENT_SECRET="not the secret")), app)
    answer = mistaken.records(connection["id"], PROFILE)
    assert (answer.status_code, answer.json()["code"], answer.json()["retryable"]) == (
        502,
        "provider_unavailable",
        False,
    )
    assert nano.given("refresh_token") == 0
    assert profile(app, connection)["id"] == "ani"


def at(house: House, app: SalesApp) -> SalesApp:
    """The same client at another broker over the same database."""
    return SalesApp(house.url, app.client_id, app.client_secret)


# --- revoking ----------------------------------------------------------------------------------------------------


def test_a_revocation_ends_both_tokens_at_the_provider(
    app: SalesApp, house: House, nano: Nano, connection: dict[str, Any]
):
    """Neither takes the other with it here: each is told, and the client authenticates (RFC 7009 §2.1)."""
    held = tokens(house, connection)
    assert [nano.lives(token) for token in held] == [True, True]
    receipt = app.revoke(connection["id"]).json()["revocation"]
    assert app.records(connection["id"], PROFILE).status_code == 410
    house.work()
    (entry,) = app.receipt(receipt["id"])["connections"]
    assert (entry["provider_outcome"], entry["last_error"]) == ("confirmed", None)
    assert entry["shredded_at"]
    assert [nano.lives(token) for token in held] == [False, False]
    assert nano.userinfo(held[0]).status_code == 401
    told = nano.heard("revocation_request")
    assert [(one["status"], one["client_id"]) for one in told] == [("success", CLIENT_ID)] * 2


def test_what_was_refreshed_is_what_is_revoked(
    app: SalesApp, house: House, nano: Nano, clock: Clock, connection: dict[str, Any]
):
    later(app, clock, **STALE)
    profile(app, connection)
    held = tokens(house, connection)
    app.revoke(connection["id"])
    house.work()
    assert [nano.lives(token) for token in held] == [False, False]


def test_tokens_that_a_reconnect_replaced_end_with_the_connection(
    app: SalesApp, house: House, nano: Nano, connection: dict[str, Any]
):
    """I5: one revocation does not end all here, so what was replaced is kept until it can be ended."""
    replaced = tokens(house, connection)
    assert connect(app, nano)["id"] == connection["id"]
    house.work()
    held = tokens(house, connection)
    assert set(held).isdisjoint(replaced)
    app.revoke(connection["id"])
    house.work()
    assert [nano.lives(token) for token in (*held, *replaced)] == [False] * 4


def test_tokens_of_a_shared_account_end_with_its_last_use(
    app: SalesApp, house: House, nano: Nano, connection: dict[str, Any]
):
    """I5: the first one's outcome is `shared`, and its tokens end when the second one's do."""
    first = tokens(house, connection)
    colleague = house.client(subject="budi")
    second = connect(colleague, nano)
    receipt = app.revoke(connection["id"]).json()["revocation"]
    house.work()
    assert app.receipt(receipt["id"])["connections"][0]["provider_outcome"] == "shared"
    assert profile(colleague, second)["id"] == "ani"
    held = tokens(house, second)
    colleague.revoke(second["id"])
    house.work()
    assert [nano.lives(token) for token in (*held, *first)] == [False] * 4


def test_a_revocation_of_one_account_leaves_another_s_alone(
    app: SalesApp, house: House, nano: Nano, connection: dict[str, Any]
):
    other = connect(app, nano, user="budi")
    app.revoke(connection["id"])
    house.work()
    assert [nano.lives(token) for token in tokens(house, other)] == [True, True]
    assert profile(app, other)["id"] == "budi"


def test_a_revocation_that_the_provider_refuses_is_not_called_done_and_is_told_again(
    nano: Nano, build: Callable[..., House], sqlite_url: str, clock: Clock
):
    """With a wrong secret it answers 401. Here data stop at once; the receipt waits for the provider."""
    house = build(sqlite_url, **nano.environ())
    app = house.client()
    connection = connect(app, nano)
    held = tokens(house, connection)
    mistaken = build(sqlite_url, **nano.environ(CLIENT_SECRET="not the secret"))
    receipt = at(mistaken, app).revoke(connection["id"]).json()["revocation"]
    mistaken.work()
    (entry,) = app.receipt(receipt["id"])["connections"]
    assert (entry["provider_outcome"], entry["attempts"], bool(entry["last_error"])) == ("pending", 1, True)
    assert app.records(connection["id"], PROFILE).status_code == 410
    assert [nano.lives(token) for token in held] == [True, True]
    clock.advance(minutes=1)
    house.work()
    assert app.receipt(receipt["id"])["connections"][0]["provider_outcome"] == "confirmed"
    assert [nano.lives(token) for token in held] == [False, False]
