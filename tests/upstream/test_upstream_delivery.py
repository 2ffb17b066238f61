"""Where events may go, and what of a receiver's answer counts (docs/facts/security.md §5.1, REL-44, REL-46, REL-54)."""

import time
from typing import Any

import pytest

from broker.errors import ProviderUnavailable
from broker.upstream import Delivery
from tests.upstream.hostile_peer import Peer
from tests.upstream.test_upstream_addresses import INTERNAL, PUBLIC, at

HOOK = "https://hooks.example:1/events"
TYPE = {"Content-Type": "application/json"}


def undelivered(way: Delivery) -> ProviderUnavailable:
    with way, pytest.raises(ProviderUnavailable) as caught:
        way.post(b"{}", TYPE)
    return caught.value


@pytest.mark.parametrize("development", [True, False])
@pytest.mark.parametrize("address", INTERNAL)
def test_a_name_that_leads_inside_is_not_connected_to(address: str, development: bool) -> None:
    error = undelivered(Delivery(HOOK, development=development, resolve=at(address)))
    assert (error.sent, error.detail) == (False, "hooks.example:1 has no address that may be connected to.")


@pytest.mark.parametrize("address", PUBLIC)
def test_a_name_that_leads_to_the_internet_is_connected_to_at_that_very_address(address: str) -> None:
    """One look-up: a name that is bound anew in between is not asked again. Here nobody answers."""
    asked: list[str] = []

    def resolve(host: str, port: int, **named: Any) -> list[Any]:
        asked.append(host)
        return at(address if len(asked) == 1 else "127.0.0.1")(host, port, **named)

    error = undelivered(Delivery(HOOK, development=False, resolve=resolve, deadline=0.2))
    assert asked == ["hooks.example"]
    assert "no address" not in error.detail


def test_this_machine_is_reached_in_development_alone_and_by_its_own_name_alone(peer: Peer) -> None:
    with Delivery(f"{peer.origin}/events", development=True) as way:
        assert way.post(b"{}", TYPE).status == 200
    error = undelivered(Delivery(f"{peer.origin}/events", development=False))
    assert (error.sent, error.retryable) == (False, False)
    inside = f"http://hooks.example:{peer.origin.rpartition(':')[2]}/"
    assert not undelivered(Delivery(inside, development=True, resolve=at("127.0.0.1"))).sent
    assert len(peer.requests) == 1


HEAD = b"HTTP/1.1 200 OK\r\nX: "


def test_a_receiver_that_hangs_or_drips_costs_no_more_than_the_deadline(peer: Peer) -> None:
    for usual in (lambda talk: talk.hold(), lambda talk: talk.drip(HEAD + b"a" * 1000, 0.05)):
        peer.usual = usual
        began = time.monotonic()
        error = undelivered(Delivery(f"{peer.origin}/events", development=True, deadline=0.2))
        assert time.monotonic() - began < 3
        assert error.sent


def test_of_an_answer_the_status_counts_however_long_or_broken_the_rest_is(peer: Peer) -> None:
    """Each on a new connection or a clean one: what is left of an answer is no answer to the next event."""
    endless = b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n" + b"10000\r\n" + b"b" * 0x10000 + b"\r\n"
    peer.will(
        lambda talk: talk.send(endless + b"10000\r\n" + b"c" * 0x10000),
        lambda talk: (talk.send(b"HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\nhalf"), talk.end())[0],
        lambda talk: talk.send(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"),
    )
    with Delivery(f"{peer.origin}/events", development=True, deadline=2.0) as way:
        answers = [way.post(b"{}", TYPE) for _ in range(4)]
    assert [answer.status for answer in answers] == [202, 201, 302, 200]
    assert {answer.body for answer in answers} == {b""}
    assert len(peer.requests) == 4


def test_a_receiver_that_closes_between_events_gets_no_event_twice(peer: Peer) -> None:
    peer.will(lambda talk: talk.end())
    error = undelivered(Delivery(f"{peer.origin}/events", development=True))
    assert (error.sent, len(peer.requests)) == (True, 1)
