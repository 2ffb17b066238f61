"""Google's own flow and a calendar against emulate, which is in Google's place by the origin map alone.

`tests/peers/emulated.py` tells in what it is laxer than Google: that data are refused with a wrong scope or a dead
token cannot be seen here, and what it says of a revocation is only that its refresh token is over.
"""

from collections.abc import Callable
from typing import Any

import pytest

from tests.house import AUTH, CALENDAR_LIST, EVENTS, Browser, Clock, House, SalesApp, query
from tests.peers.acts import CALENDAR, connect, departure, later, pending, tokens, with_query
from tests.peers.emulated import ANI, BUDI, Emulated
from tests.peers.emulated import EVENTS as TITLES


@pytest.fixture
def house(build: Callable[..., House], sqlite_url: str, emulated: Emulated) -> House:
    house = build(sqlite_url, **emulated.environ())
    emulated.start(f"{house.url}/callback/google")
    return house


def calendar(app: SalesApp, connection: dict[str, Any], **params: Any) -> dict[str, Any]:
    answer = app.records(connection["id"], CALENDAR, **params)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_calendar_is_connected_and_read_page_by_page(app: SalesApp, emulated: Emulated):
    """Google's would end with a token for what changes later; this one has none, so the reading leads nowhere."""
    connection = connect(app, emulated, "google")
    assert connection["account"]["label"] == ANI
    assert {EVENTS, CALENDAR_LIST, "openid"} < set(connection["scopes"])
    first = calendar(app, connection, limit=2)
    second = calendar(app, connection, cursor=first["next_cursor"], limit=2)
    records = first["records"] + second["records"]
    assert [(record["id"], record["title"]) for record in records] == list(TITLES)
    assert (first["has_more"], second["has_more"], second["next_cursor"]) == (True, False, None)
    assert records[0]["start"] == {"date_time": "2026-11-20T02:00:00.000Z", "time_zone": "Asia/Jakarta"}
    assert (records[0]["type"], records[0]["location"], records[0]["busy"]) == ("event", "Bandung", True)


def test_each_account_has_its_own_calendar_alone(app: SalesApp, emulated: Emulated):
    mine, other = connect(app, emulated, "google"), connect(app, emulated, "google", user=BUDI)
    assert mine["account"]["id"] != other["account"]["id"]
    assert len(calendar(app, mine)["records"]) == len(TITLES)
    assert calendar(app, other)["records"] == []


def test_a_calendar_that_was_not_granted_is_not_connected_though_the_server_would_give_it(
    app: SalesApp, emulated: Emulated
):
    """Its data are open to any token; that the scope is missing is for the broker to see."""
    answer = app.confirm(pending(app, emulated, "google", scope=f"openid email {CALENDAR_LIST}"))
    assert (answer.status_code, answer.json()["code"]) == (409, "insufficient_scope")
    assert EVENTS in answer.json()["missing_scopes"]


def test_an_optional_scope_may_be_left_out_and_a_short_name_counts(app: SalesApp, emulated: Emulated):
    """It repeats the names that it was asked with."""
    connection = connect(app, emulated, "google", scope=f"openid email {EVENTS}")
    assert connection["scopes"] == sorted([EVENTS, f"{AUTH}userinfo.email", "openid"])
    assert connection["grants"][0]["scopes"] == [EVENTS]
    assert len(calendar(app, connection)["records"]) == len(TITLES)


def test_an_access_token_is_renewed_and_the_refresh_token_stays(
    app: SalesApp, house: House, emulated: Emulated, clock: Clock
):
    """Google's do not rotate, nor do these. That the old access token is over is our own reckoning."""
    connection = connect(app, emulated, "google")
    held = [tokens(house, connection)]
    for _ in range(2):
        later(app, clock, minutes=61)
        assert len(calendar(app, connection)["records"]) == len(TITLES)
        held.append(tokens(house, connection))
    assert len({access for access, _ in held}) == 3
    assert len({refresh for _, refresh in held}) == 1


@pytest.mark.parametrize("nonce", ["another", None])
def test_an_id_token_with_another_nonce_or_none_is_refused(app: SalesApp, emulated: Emulated, nonce: str | None):
    """It repeats whatever nonce it was given."""
    answer = app.confirm(pending(app, emulated, "google", nonce=nonce))
    assert (answer.status_code, answer.json()["retryable"]) == (502, False)
    assert app.call("GET", "/v1/connections").json()["items"] == []


def test_a_code_of_another_attempt_is_refused(app: SalesApp, emulated: Emulated):
    thief, victim = Browser(), Browser()
    stolen = query(emulated.sign_in(thief, departure(app, thief, "google"), user=BUDI))["code"]
    callback = emulated.sign_in(victim, departure(app, victim, "google"))
    answer = app.confirm(victim.come_back(with_query(callback, code=stolen)))
    assert (answer.status_code, answer.json()["retryable"]) == (502, False)


def test_a_wrong_client_secret_is_no_passing_fault(build: Callable[..., House], sqlite_url: str, emulated: Emulated):
    wrong = {"BROKER_GOOGLE_CLIENT_SECRET": "not the secret"}
    house = build(sqlite_url, **emulated.environ(), **wrong)
    emulated.start(f"{house.url}/callback/google")
    app = house.client()
    answer = app.confirm(pending(app, emulated, "google"))
    assert (answer.status_code, answer.json()["code"], answer.json()["retryable"]) == (
        502,
        "provider_unavailable",
        False,
    )


def test_a_revocation_ends_the_refresh_token_there(app: SalesApp, house: House, emulated: Emulated):
    """At Google the access tokens would go with it; here they stay, so the broker's own denial is all there is."""
    connection, other = connect(app, emulated, "google"), connect(app, emulated, "google", user=BUDI)
    refresh, others = tokens(house, connection)[1], tokens(house, other)[1]
    assert emulated.refreshes(refresh)
    receipt = app.revoke(connection["id"]).json()["revocation"]["id"]
    assert app.records(connection["id"], CALENDAR).status_code == 410
    house.work()
    assert app.receipt(receipt)["connections"][0]["provider_outcome"] == "confirmed"
    assert (emulated.refreshes(refresh), emulated.refreshes(others)) == (False, True)
