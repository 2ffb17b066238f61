"""Provider limits, shared by all workers and hosts through the database (docs/facts/google.md §5.8, meta.md §6.2)."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.house import Clock, Google, House, SalesApp
from tests.meta import ANI, ANI_AT_INSTAGRAM, Facebook, Instagram

CONTACTS, CALENDAR = "/v1/people", "/calendar"


def limited(app: SalesApp, connection: str, connector: str = "google_contacts", **params: Any) -> int | None:
    """The wait that a read is answered with; None where it gives records."""
    answer = app.records(connection, connector, **params)
    if answer.status_code == 200:
        return None
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited"), answer.text
    return int(answer.headers["Retry-After"])


def test_while_a_limit_lasts_the_provider_is_not_asked_again(house: House, google: Google, clock: Clock) -> None:
    app = house.client()
    connection = app.connect()["id"]
    google.quirk(rate_limit={CONTACTS: {"value": 30, "times": 1}})
    assert limited(app, connection) == 30
    clock.advance(seconds=10)
    assert limited(app, connection) in (20, 19)
    assert len(google.requests("/v1/people/me")) == 1
    clock.advance(seconds=21)
    assert limited(app, connection) is None


def test_another_worker_over_the_same_database_heeds_it_too(
    house: House, build: Callable[..., House], google: Google
) -> None:
    other = build(house.environ["BROKER_DATABASE_URL"])
    app = house.client()
    connection = app.connect()["id"]
    google.quirk(rate_limit={CONTACTS: {"value": 30, "times": 1}})
    assert limited(app, connection) == 30
    there = SalesApp(other.url, app.client_id, app.client_secret)
    assert limited(there, connection) in (30, 29)
    assert len(google.requests("/v1/people/me")) == 1


def test_a_limit_of_one_account_holds_up_nobody_else(sqlite_house: House, google: Google) -> None:
    app = sqlite_house.client()
    mine, theirs = app.connect()["id"], app.connect(account="109876543210987654321")["id"]
    google.quirk(rate_limit={CONTACTS: {"value": 30, "times": 1}})
    assert limited(app, mine) == 30
    assert limited(app, theirs) is None


def test_a_limit_of_one_api_holds_up_no_other(sqlite_house: House, google: Google) -> None:
    app = sqlite_house.client()
    connection = app.connect()["id"]
    google.quirk(rate_limit={CONTACTS: {"value": 30, "times": 1}})
    assert limited(app, connection) == 30
    assert limited(app, connection, "google_calendar") is None


def test_a_limit_of_the_whole_app_holds_up_every_account(meta: House, facebook: Facebook) -> None:
    """Graph's code 4 is the app's, 17 the user's (docs/facts/meta.md §6.1)."""
    app = meta.client()
    mine = app.connect("facebook_profile", provider="facebook", account=ANI)["id"]
    theirs = app.connect("facebook_profile", provider="facebook", account="budi@example.com")["id"]
    facebook.quirk(graph_error={"/me": {"value": {"status": 400, "code": 17, "message": "x"}, "times": 1}})
    assert limited(app, mine, "facebook_profile") is not None
    assert limited(app, theirs, "facebook_profile") is None
    facebook.quirk(graph_error={"/me": {"value": {"status": 400, "code": 4, "message": "x"}, "times": 1}})
    assert limited(app, theirs, "facebook_profile") is not None
    meta.clock.advance(hours=2)
    app = meta.client()
    facebook.quirk(graph_error={"/me": {"value": {"status": 400, "code": 4, "message": "x"}, "times": 1}})
    assert limited(app, mine, "facebook_profile") is not None
    assert limited(app, theirs, "facebook_profile") is not None


def test_a_limit_that_is_nearly_reached_is_left_alone_before_it_is(meta: House, instagram: Instagram) -> None:
    """The usage headers of a good answer (docs/facts/meta.md §6.2)."""
    app = meta.client()
    connection = app.connect("instagram_profile", provider="instagram", account=ANI_AT_INSTAGRAM)["id"]
    instagram.quirk(usage=97)
    assert limited(app, connection, "instagram_profile") is None
    assert limited(app, connection, "instagram_profile") is not None


@pytest.mark.parametrize("budget", ["ACCOUNT", "APP"])
def test_a_budget_is_counted_over_all_workers_and_by_the_minute(
    build: Callable[..., House], database_url: str, google: Google, budget: str
) -> None:
    settings = {f"BROKER_GOOGLE_{budget}_BUDGET": "3"}
    one, other = build(database_url, **settings), build(database_url, **settings)
    app = one.client()
    connection = app.connect()["id"]
    there = SalesApp(other.url, app.client_id, app.client_secret)
    one.clock.advance(seconds=60 - one.clock().second)
    assert [limited(client, connection) for client in (app, there, app)] == [None, None, None]
    wait = limited(there, connection)
    assert wait in range(50, 61)
    assert len(google.requests("/v1/people/me")) == 3
    one.clock.advance(seconds=60)
    assert limited(app, connection) is None


def test_a_budget_of_the_account_is_each_accounts_own(build: Callable[..., House], sqlite_url: str) -> None:
    house = build(sqlite_url, BROKER_GOOGLE_ACCOUNT_BUDGET="1")
    app = house.client()
    mine, theirs = app.connect()["id"], app.connect(account="109876543210987654321")["id"]
    house.clock.advance(seconds=60 - house.clock().second)
    assert [limited(app, connection) for connection in (mine, theirs)] == [None, None]
    assert limited(app, mine) is not None
