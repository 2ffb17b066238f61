"""A connection is looked after while nobody reads it: renewed ahead of its end, looked at daily, announced before it
ends; whatever clocks and lifetimes say, nothing loops. docs/token-life.md; docs/facts/meta.md §1.6, §3.1.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.connections import tend
from broker.connections.tokens import freshness
from broker.models import Connection
from broker.providers import built_in
from broker.sandbox.serve import mapped
from broker.secret import fresh_id
from broker.upstream import Answer
from broker.upstream.tokens import judged
from tests.connections.life import Life
from tests.house import Clock, Google, House, SalesApp, built
from tests.meta import ANI, SETTINGS, Facebook, Instagram

Lives = Callable[[str], Life]
each = pytest.mark.parametrize("provider", ["facebook", "instagram"])
RENEWAL = {"facebook": "/oauth/access_token", "instagram": "/refresh_access_token"}
START = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)
END = timedelta(days=60)


@pytest.fixture
def lives(meta: House, google: Google, facebook: Facebook, instagram: Instagram) -> Lives:
    """Ani's connection at a provider; `quirks`: those on from before it was made."""
    fakes = {"google": google, "facebook": facebook, "instagram": instagram}

    def made(provider: str, **quirks: Any) -> Life:
        fakes[provider].quirk(**quirks)
        return Life(meta, meta.client(), fakes[provider], provider).connect()

    return made


def days_of(path: str, asked: list[list[str]]) -> list[int]:
    """On which days, counted from 1, a path was asked for."""
    return [day for day, paths in enumerate(asked, 1) if path in paths]


# --- when ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("provider", "first", "last"), [("facebook", 39, 50), ("instagram", 30, 50)])
def test_a_thousand_connections_of_one_minute_are_renewed_all_over_the_window(
    provider: str, first: int, last: int
) -> None:
    value = built_in()[provider]
    at = [value.renewal(START, START + END, tend.spread(fresh_id("con"))) for _ in range(1000)]
    after = [time - START for time in at if time]
    assert len(after) == 1000
    assert timedelta(days=first) <= min(after) < timedelta(days=first + 2)
    assert timedelta(days=last - 2) < max(after) <= timedelta(days=last)
    an_hour = Counter(int(passed.total_seconds() // 3600) for passed in after)
    assert max(an_hour.values()) < 30, "they come in a crowd"


def test_their_daily_looks_are_spread_too(meta: House) -> None:
    at = [tend.next_look(meta.broker, new("instagram", meta.clock())) for _ in range(1000)]
    after = [(time - meta.clock()).total_seconds() / 3600 for time in at if time]
    assert (len(after), min(after) > 19.9, max(after) <= 24) == (1000, True, True)
    assert max(Counter(int(hours) for hours in after).values()) < 667


def new(provider: str, now: datetime) -> Connection:
    return Connection(
        id=fresh_id("con"), provider=provider, obtained_at=now, access_expires_at=now + END, expires_at=now + END
    )


def test_a_connections_place_in_the_window_is_the_same_at_each_look() -> None:
    assert tend.spread("con_1") == tend.spread("con_1") != tend.spread("con_2")


# --- renewal -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("provider", "first"), [("facebook", 39), ("instagram", 30)])
def test_a_connection_that_nobody_reads_is_renewed_in_time_again_and_again(
    lives: Lives, provider: str, first: int
) -> None:
    life = lives(provider)
    tokens = {life.token()}
    asked = life.days(75)
    tokens.add(life.token())
    renewed = days_of(RENEWAL[provider], asked)
    assert first <= renewed[0] <= 51
    assert len(renewed) in (1, 2)
    assert len(tokens) == 2
    assert all(0 < len(day) <= 4 for day in asked), "looked at daily, and no more than that"
    assert (life.hears(), life.said("connection.expiring", "connection.reconnect_required")) == ("200", [])


def test_a_worker_that_looks_for_duties_all_the_time_asks_no_more_of_the_provider(lives: Lives) -> None:
    life = lives("instagram")
    asked = life.days(6, a_day=24)
    assert sum(map(len, asked)) in (6, 7, 8)
    assert all(len(day) <= 2 for day in asked)


@pytest.mark.parametrize("said", [3600, 90_000, 100_000])
def test_instagram_is_never_asked_to_renew_a_token_younger_than_a_day(lives: Lives, said: int) -> None:
    """However soon it says that the token ends."""
    life = lives("instagram", expires_in=said)
    life.days(4, a_day=24)
    refreshes = life.fake.requests("/refresh_access_token")
    assert {entry["status"] for entry in refreshes} <= {200}
    assert [entry["status"] for entry in refreshes] == ([] if said == 3600 else [200] * len(refreshes))
    assert len(refreshes) <= 4


@each
def test_a_renewal_that_fails_is_tried_again_daily_and_not_more_often(lives: Lives, provider: str) -> None:
    life = lives(provider)
    life.passes(days=51)
    with life.quirk(outage={RENEWAL[provider]: 503}):
        asked = life.days(5, a_day=12)
    tries = [day.count(RENEWAL[provider]) for day in asked]
    assert set(tries) <= {1, 2}
    assert sum(tries) <= 7
    assert (life.state, life.hears()) == ("active", "200")
    life.days(2)
    assert life.row.access_expires_at is not None
    assert life.row.access_expires_at - life.house.clock() > timedelta(days=57)


@each
def test_a_token_that_could_not_be_renewed_in_time_is_announced_once_and_ends(lives: Lives, provider: str) -> None:
    life = lives(provider)
    life.passes(days=30)
    with life.quirk(outage={RENEWAL[provider]: 503}):
        life.days(21)
        assert life.said("connection.expiring") == []
        life.days(7)
        assert (life.said("connection.expiring"), life.state) == (["connection.expiring"], "active")
        life.days(3)
        assert life.state == "reconnect_required"
        assert life.days(3) == [[], [], []]
    ends = ("connection.expiring", "connection.reconnect_required")
    assert life.said(*ends) == list(ends)
    assert life.hears() == "409 reconnect_required"


def test_the_announcement_comes_seven_days_ahead_and_names_the_end(lives: Lives) -> None:
    life = lives("instagram")
    end, clock = life.row.expires_at, life.house.clock
    assert end
    with life.quirk(outage={RENEWAL["instagram"]: 503}):
        life.days(54, a_day=4)
    (entry,) = [entry for entry in life.entries() if entry.action == "connection.expiring"]
    assert timedelta(days=6, hours=17) < end - entry.at <= timedelta(days=7)
    assert entry.actor == "broker"
    assert life.shown["expires_at"] in entry.detail
    assert clock() < end


def test_a_suspended_connection_is_renewed_all_the_same(lives: Lives) -> None:
    life = lives("instagram")
    life.app.call("POST", f"/v1/connections/{life.id}/suspend")
    asked = life.days(70)
    assert days_of(RENEWAL["instagram"], asked)
    assert life.hears() == "409 connection_suspended"
    life.app.call("POST", f"/v1/connections/{life.id}/resume")
    assert life.hears() == "200"


@each
def test_after_a_revocation_nothing_is_tended(lives: Lives, provider: str) -> None:
    life = lives(provider)
    life.app.revoke(life.id)
    life.house.work()
    life.calls()
    assert life.days(3) == [[], [], []]
    assert life.duty is None


def test_a_duty_that_raises_unexpectedly_comes_back(lives: Lives, caplog: pytest.LogCaptureFixture) -> None:
    life = lives("instagram")
    life.set(provider="one that is installed no more")
    life.tended()
    assert "unexpected KeyError" in caplog.text
    assert life.duty is not None
    assert timedelta(0) < life.duty.due_at - life.house.clock() < timedelta(minutes=1)
    life.set(provider="instagram")
    life.passes(minutes=1)
    life.house.work()
    assert life.calls() == ["/me"]
    assert life.state == "active"


def test_a_token_that_cannot_be_opened_is_tried_again_the_next_day(
    lives: Lives, caplog: pytest.LogCaptureFixture
) -> None:
    """A key that is missing may be brought back."""
    life = lives("instagram")
    whole = life.row.access_token
    life.set(access_token=b"not what the vault has sealed")
    assert life.days(2) == [[], []]
    assert [record for record in caplog.records if record.levelname == "WARNING" and life.id in record.message]
    life.set(access_token=whole)
    assert life.days(1) == [["/me"]]
    assert life.state == "active"


# --- Facebook ------------------------------------------------------------------------------------------------


def test_facebooks_second_exchange_brings_a_new_token_and_the_end_that_debug_token_names(lives: Lives) -> None:
    """H18: who only moves the date keeps a dead token."""
    life = lives("facebook")
    before = life.token()
    life.passes(days=51)
    with life.quirk(expires_in=999):
        assert life.tended() == ["/oauth/access_token", "/debug_token", "/me/permissions"]
    assert life.token() != before
    (token,) = [token for token in life.fake.state()["live_tokens"]["user"] if token["value"] == life.token()]
    end = life.row.access_expires_at
    assert end is not None
    assert abs(end.timestamp() - token["expires_at"]) < 2
    assert life.hears() == "200"


def test_an_exchange_that_does_not_move_the_end_does_not_pretend(lives: Lives) -> None:
    life = lives("facebook", second_exchange_keeps_end=True, expires_in=5_184_000)
    end = life.shown["expires_at"]
    asked = life.days(58)
    assert 1 < len(days_of(RENEWAL["facebook"], asked)) < 12
    assert life.shown["expires_at"] == end
    assert life.said("connection.expiring") == ["connection.expiring"]
    life.days(3)
    assert life.state == "reconnect_required"


def test_past_data_access_the_user_is_needed_though_the_token_lives(lives: Lives) -> None:
    """docs/facts/meta.md §1.6: 90 days after the last login; the token was renewed until day 100 or later."""
    life = lives("facebook")
    shown = life.shown
    assert shown["data_access_expires_at"] > shown["expires_at"]
    life.days(82)
    assert life.shown["expires_at"] == life.shown["data_access_expires_at"] == shown["data_access_expires_at"]
    assert life.said("connection.expiring") == []
    life.days(7)
    assert (life.said("connection.expiring"), life.hears()) == (["connection.expiring"], "200")
    life.days(2)
    assert life.state == "reconnect_required"
    held = life.fake.state()["live_tokens"]["user"]
    assert [token for token in held if token["expires_at"] > life.house.clock().timestamp()]
    assert life.connect().hears() == "200"
    assert life.said("connection.expiring") == ["connection.expiring"], "the new end is far away"


def test_a_read_after_data_access_has_ended_hears_so_before_any_duty(lives: Lives) -> None:
    life = lives("facebook")
    life.fake.control("data-access", {"account": ANI})
    assert life.hears() == "409 reconnect_required"
    assert life.state == "reconnect_required"


def test_a_token_without_an_end_is_looked_at_and_never_exchanged(
    build_meta: Callable[..., House], sqlite_url: str, facebook: Facebook
) -> None:
    """A system user's (docs/facts/meta.md §1.6)."""
    facebook.control(
        "configurations",
        {"config_id": "77", "kind": "system_user", "scopes": ["pages_show_list", "pages_read_engagement"]},
    )
    house = build_meta(sqlite_url, BROKER_FACEBOOK_CONFIG_ID="77")
    life = Life(house, house.client(), facebook, "facebook")
    life.id = life.app.connect("facebook_pages", provider="facebook", account=ANI)["id"]
    life.calls()
    assert life.shown["expires_at"] is None
    life.passes(days=300)
    asked = life.days(5)
    assert days_of("/debug_token", asked) == [1, 2, 3, 4, 5]
    assert days_of(RENEWAL["facebook"], asked) == []
    assert life.state == "active"


# --- Google --------------------------------------------------------------------------------------------------


def test_googles_limited_access_is_announced_a_week_ahead(lives: Lives) -> None:
    life = lives("google", refresh_token_expires_in=30 * 86_400)
    life.days(22)
    assert life.said("connection.expiring") == []
    life.days(2)
    assert life.said("connection.expiring") == ["connection.expiring"]
    life.days(10)
    assert life.said("connection.expiring", "connection.reconnect_required")[1:] == ["connection.reconnect_required"]
    assert life.hears() == "409 reconnect_required"


def test_google_is_asked_once_a_day_about_a_connection_that_nobody_reads(lives: Lives) -> None:
    """However often a worker looks, and not where a read has just asked."""
    life = lives("google")
    asked = life.days(4, a_day=12)
    assert sum(len(day) for day in asked) in (3, 4, 5)
    assert {path for day in asked for path in day} == {"/token"}
    for _ in range(4):
        life.passes(hours=12)
        assert life.hears() == "200"
        life.calls()
        life.house.work()
        assert life.calls() == [], "a read has just asked"
    assert life.state == "active"


def test_a_removal_at_google_that_nobody_announced_is_found_within_a_day(lives: Lives) -> None:
    life = lives("google")
    life.fake.control("revoke", {"account": "ani@example.com"})
    life.calls()
    assert life.days(3) == [["/token"], [], []], "one refusal says it all"
    assert life.said()[-1] == "connection.reconnect_required"
    assert life.duty is None


def test_an_outage_of_google_condemns_nothing_and_is_met_once_a_day(lives: Lives) -> None:
    life = lives("google")
    with life.quirk(outage={"/token": 503}):
        asked = life.days(3, a_day=12)
    assert sum(len(day) for day in asked) in (2, 3, 4)
    assert (life.state, life.said("connection.reconnect_required")) == ("active", [])


def test_the_daily_look_is_switched_off_and_on(
    build_meta: Callable[..., House], sqlite_url: str, google: Google
) -> None:
    """Switched on again, what was connected meanwhile is looked at too: all over a day."""
    house = build_meta(sqlite_url, BROKER_GOOGLE_DAILY_LOOK="off")
    life = Life(house, house.client(), google, "google").connect()
    assert (life.duty, life.days(3)) == (None, [[], [], []])
    on = build_meta(sqlite_url)
    tend.enrol(on.broker)
    duty = life.duty
    assert duty
    assert house.clock() < duty.due_at <= house.clock() + DAY


def test_when_google_revokes_everything_at_once_each_connection_is_marked_once_by_one_call(
    lives: Lives, google: Google
) -> None:
    """REL-35: no storm of retries."""
    first = lives("google")
    others = []
    for subject in ("budi", "citra", "dewi"):
        app = first.house.client()
        app.subject = subject
        others.append(Life(first.house, app, google, "google").connect())
    google.control("kill", {"tokens": "all"})
    first.calls()
    assert [path for day in first.days(3, a_day=6) for path in day] == ["/token"] * 4
    assert [life.said("connection.reconnect_required") for life in (first, *others)] == [
        ["connection.reconnect_required"]
    ] * 4


# --- lifetimes and clocks ------------------------------------------------------------------------------------

ABSURD: list[Any] = [0, -5, 10**18, "abc", "absent", 3.7, 5183944.9, [60]]


@pytest.mark.parametrize("said", ABSURD, ids=str)
@each
def test_whatever_a_provider_says_of_a_lifetime_the_connection_lives_and_nothing_loops(
    lives: Lives, provider: str, said: Any
) -> None:
    """REL-49. The true lifetime is 60 days: the connection is renewed before they are over."""
    life = lives(provider, expires_in=said)
    near = life.days(3, a_day=12)
    assert all(len(day) <= 8 for day in near), near
    life.passes(days=48)
    asked = life.days(20)
    assert all(len(day) <= 4 for day in asked), asked
    assert len(days_of(RENEWAL[provider], asked)) <= 2
    assert (life.state, life.hears()) == ("active", "200")


@pytest.mark.parametrize("said", [0, 3.7, 10**18])
def test_google_is_asked_for_a_token_once_a_read_at_most_whatever_it_says_of_its_lifetime(
    lives: Lives, said: Any
) -> None:
    life = lives("google", expires_in=said)
    for _ in range(24):
        life.passes(hours=1)
        life.fake.quirk(expires_in=said)
        life.read()
    assert life.calls().count("/token") <= 48
    assert life.state == "active"


@pytest.mark.parametrize("said", ["0", "-5", "1e18", "1000000000000000000", '"abc"', "null", "true", "3.7", "[]", "{}"])
@pytest.mark.parametrize("provider", ["google", "facebook", "instagram"])
def test_a_lifetime_is_normalised_from_the_bytes_of_the_answer(provider: str, said: str) -> None:
    body = f'{{"access_token": "T", "token_type": "bearer", "expires_in": {said}}}'.encode()
    answer = judged(Answer(200, {}, body))
    found = freshness(built_in()[provider], START, answer.expires_in)
    assert START + timedelta(minutes=1) <= found.fresh_until <= found.expires_at <= START + END


def test_a_token_that_lives_for_less_than_it_says_is_found_dead_by_the_next_look(lives: Lives) -> None:
    life = lives("instagram", token_lifetime={"short": 3600, "long": 7200}, expires_in="absent")
    life.days(2)
    assert life.state == "reconnect_required"


@dataclass
class Skewed(Clock):
    """The broker's clock beside the fakes'."""

    true: Clock | None = None
    skew: timedelta = timedelta()

    def __call__(self) -> datetime:
        assert self.true
        return self.true() + self.skew

    def advance(self, **by: float) -> None:
        assert self.true
        self.true.advance(**by)


@pytest.fixture
def skewed(
    google: Google, facebook: Facebook, instagram: Instagram, clock: Clock, sqlite_url: str, tmp_path: Path
) -> Iterator[Life]:
    """A connection at Instagram; its broker's clock can be set by `house.clock.skew`."""
    fakes: Mapping[str, Google] = {"google": google, "facebook": facebook, "instagram": instagram}
    origins = mapped({name: fake.url for name, fake in fakes.items()})
    with built(google, sqlite_url, tmp_path, Skewed(true=clock), **{"BROKER_ORIGINS": origins, **SETTINGS}) as house:
        yield Life(house, house.client(), instagram, "instagram")


@pytest.mark.parametrize("before", [-1, 0, 1])
@pytest.mark.parametrize("after", [-1, 0, 1])
def test_a_clock_that_is_an_hour_wrong_or_jumps_by_two_costs_nothing(skewed: Life, before: int, after: int) -> None:
    clock = skewed.house.clock
    assert isinstance(clock, Skewed)
    clock.skew = timedelta(hours=before)
    skewed.connect()
    skewed.days(20)
    clock.skew = timedelta(hours=after)
    skewed.app._token = ""
    asked = skewed.days(50)
    assert all(len(day) <= 3 for day in asked)
    refreshes = skewed.fake.requests("/refresh_access_token")
    assert {entry["status"] for entry in refreshes} == {200}
    assert len(refreshes) <= 2
    assert skewed.said("connection.expiring", "connection.reconnect_required") == []
    assert skewed.hears() == "200"


def test_a_facebook_that_refuses_our_clocks_proofs_condemns_nothing(lives: Lives) -> None:
    """A proof is good for five minutes (docs/facts/meta.md §1.11): an hour's skew refuses every call."""
    life = lives("facebook")
    life.fake.control("clock", {"advance": 3600})
    asked = life.days(4)
    assert all(len(day) <= 3 for day in asked)
    assert (life.state, life.said("connection.reconnect_required")) == ("active", [])
    assert life.hears() == "502 provider_unavailable"


def test_the_sales_app_sees_the_ends(lives: Lives, meta: House) -> None:
    life = lives("facebook")
    listed = SalesApp(meta.url, life.app.client_id, life.app.client_secret).call("GET", "/v1/connections").json()
    (shown,) = listed["items"]
    assert shown["expires_at"] < shown["data_access_expires_at"]
    assert datetime.fromisoformat(shown["data_access_expires_at"]) - meta.clock() > 89 * DAY
