"""Leaving a failing provider alone (docs/facts/security.md REL-58)."""

import contextlib
import threading
import time
from collections.abc import Callable

import pytest

from broker.errors import ProviderUnavailable
from broker.upstream import Upstream
from broker.upstream.breaker import FAILURES, FIRST_PAUSE, Breaker
from tests.upstream.hostile_peer import Peer, Talk, message, says
from tests.upstream.peers import REAL, Ask, Make, fails, get


class Clock:
    """A monotonic clock that a test can move on."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def broken(peer: Peer, make: Make, clock: Clock) -> Upstream:
    """A way out whose breaker has just opened."""
    upstream = make(peer, clock=clock)
    peer.will(*[says(503, {})] * 5, *[Talk.reset] * 6)
    for _ in range(5):
        assert get(upstream).status == 503
    for _ in range(5):
        # The first of them is lost on the kept connection, and sent once more.
        assert fails(upstream).status == 502
    peer.requests.clear()
    return upstream


def test_after_ten_failures_in_a_row_the_provider_is_left_alone(peer: Peer, broken: Upstream, ask: Ask) -> None:
    """REL-58"""
    with pytest.raises(ProviderUnavailable) as caught:
        ask(broken)
    error = caught.value
    assert (error.status, error.retryable, error.sent) == (503, True, False)
    assert error.members["retry_after"] == 2
    assert peer.requests == []


def test_after_the_pause_one_probe_goes_and_the_rest_wait(peer: Peer, broken: Upstream, clock: Clock) -> None:
    """REL-58: no stampede."""
    clock.ahead += 2.1
    probing, release = threading.Event(), threading.Event()
    peer.will(lambda talk: (probing.set(), release.wait(5), talk.send(message(200, b"{}")))[0])
    probe = threading.Thread(target=get, args=(broken,))
    probe.start()
    assert probing.wait(5)
    assert [fails(broken).status for _ in range(5)] == [503] * 5
    release.set()
    probe.join()
    assert len(peer.requests) == 1
    assert get(broken).status == 200


def test_each_failed_probe_doubles_the_pause_up_to_a_minute(peer: Peer, broken: Upstream, clock: Clock) -> None:
    """REL-58"""
    peer.usual = says(500, {})
    pauses = []
    for _ in range(7):
        pauses.append(fails(broken).members["retry_after"])
        clock.ahead += pauses[-1]
        assert get(broken).status == 500
    assert pauses == [2, 4, 8, 16, 32, 60, 60]


def test_an_hour_of_outage_costs_a_probe_a_minute_and_ends_with_the_first_success(
    peer: Peer, broken: Upstream, clock: Clock
) -> None:
    """REL-58: down for an hour, then back."""
    peer.usual = says(503, {})
    for _ in range(360):
        clock.ahead += 10
        with contextlib.suppress(ProviderUnavailable):
            get(broken)
    assert 55 <= len(peer.requests) <= 65
    peer.usual = says(200, {})
    clock.ahead += 60
    assert [get(broken).status for _ in range(3)] == [200] * 3


def test_the_next_outage_begins_with_a_short_pause_again(peer: Peer, broken: Upstream, clock: Clock) -> None:
    """REL-58"""
    peer.usual = says(503, {})
    for pause in (2, 4):
        clock.ahead += pause
        assert get(broken).status == 503
    peer.will(says(200, {}))
    clock.ahead += 8
    assert [get(broken).status for _ in range(11)] == [200] + [503] * 10
    assert fails(broken).members["retry_after"] == 2


def test_silence_counts_as_failure(peer: Peer, make: Make) -> None:
    """REL-43, REL-58"""
    peer.usual = Talk.hold
    upstream = make(peer, deadline=0.02)
    assert [fails(upstream).status for _ in range(11)] == [504] * 10 + [503]


def test_callers_in_a_hurry_do_not_make_a_provider_look_broken(peer: Peer, upstream: Upstream) -> None:
    """Else those who come with a spent deadline shut the provider off for all."""
    peer.usual = Talk.hold
    assert [fails(upstream, deadline=0.01).status for _ in range(15)] == [504] * 15
    peer.usual = says(200, {})
    assert get(upstream).status == 200


def test_failures_of_callers_in_a_hurry_count_if_they_are_no_time_outs(peer: Peer, upstream: Upstream) -> None:
    peer.will(*[says(500, {})] * 10)
    assert [get(upstream, deadline=0.9).status for _ in range(10)] == [500] * 10
    assert fails(upstream).status == 503


def test_a_probe_that_had_no_time_leaves_its_place_to_the_next(peer: Peer, broken: Upstream, clock: Clock) -> None:
    clock.ahead += 2.1
    assert fails(broken, deadline=0.0).status == 504
    assert get(broken).status == 200


def test_a_late_failure_from_before_does_not_let_a_second_probe_go() -> None:
    now = [0.0]
    breaker = Breaker("provider.example", lambda: now[0])
    for _ in range(FAILURES):
        breaker.record(probe=breaker.enter(), reached=False)
    now[0] += FIRST_PAUSE
    assert breaker.enter()
    breaker.record(probe=False, reached=False)
    breaker.record(probe=False, reached=None)
    with pytest.raises(ProviderUnavailable):
        breaker.enter()


def test_a_success_starts_the_count_again(peer: Peer, upstream: Upstream) -> None:
    peer.will(*[says(500, {})] * 9, says(200, {}), *[says(500, {})] * 9)
    assert [get(upstream).status for _ in range(19)] == [500] * 9 + [200] + [500] * 9
    assert get(upstream).status == 200


@pytest.mark.parametrize(
    "script",
    [
        says(400, {}),
        says(401, {}),
        says(429, {}),
        says(302, {}),
        says(200, b"x" * 2000),
        says(200, b"", "Content-Encoding: gzip"),
    ],
    ids=["400", "401", "429", "a redirect", "too large", "compressed"],
)
def test_an_answer_that_only_we_dislike_is_no_outage(
    peer: Peer, upstream: Upstream, script: Callable[[Talk], None]
) -> None:
    peer.will(*[script] * 12)
    for _ in range(12):
        with contextlib.suppress(ProviderUnavailable):
            get(upstream, max_bytes=1000)
    assert get(upstream).status == 200


def test_one_origins_breaker_is_not_anothers(peer: Peer, make: Make, broken: Upstream) -> None:
    assert fails(broken).status == 503
    other = "https://other.example"
    both = make(origins={REAL: "http://127.0.0.1:1", other: peer.origin})
    for _ in range(11):
        fails(both)
    assert fails(both).status == 503
    assert get(both, f"{other}/", pins=frozenset({other})).status == 200


def test_a_refused_url_does_not_count_against_the_provider(upstream: Upstream) -> None:
    for _ in range(15):
        fails(upstream, f"{REAL}/../x")
    assert get(upstream).status == 200
