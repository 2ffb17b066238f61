"""Deadlines before a byte is sent, and which addresses are connected to."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from broker.errors import ProviderUnavailable
from broker.upstream import Upstream
from broker.upstream.dial import LOOKUPS, is_permitted
from tests.upstream.hostile_peer import Peer
from tests.upstream.peers import REAL, Ask, Make, fails, failure, get


def test_the_callers_deadline_narrows_the_process_wide_one(peer: Peer, make: Make) -> None:
    peer.usual = lambda talk: talk.hold()
    for process_wide, deadline in ((0.1, 9.0), (9.0, 0.1), (9.0, 0.0), (9.0, -1.0)):
        began = time.monotonic()
        assert fails(make(peer, deadline=process_wide), deadline=deadline).status == 504
        assert time.monotonic() - began < 3.0


def test_a_connect_that_hangs_ends_by_the_deadline(make: Make, ask: Ask) -> None:
    """REL-43: where nobody accepts and the queue is full, the system lets a connect wait for minutes."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as waiting:
        for _ in range(3):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        began = time.monotonic()
        error = failure(ask, make(origins={REAL: f"http://127.0.0.1:{full.getsockname()[1]}"}, deadline=0.15))
        assert time.monotonic() - began < 3.0
    assert (error.status, error.sent) == (504, False)


def test_a_deadline_that_has_passed_sends_nothing(peer: Peer, upstream: Upstream) -> None:
    assert not fails(upstream, deadline=0.0).sent
    assert peer.requests == []


def test_a_name_lookup_that_hangs_ends_by_the_deadline(make: Make) -> None:
    """REL-44"""
    hanging = threading.Event()
    upstream = make(resolve=lambda *_, **__: (hanging.wait(5), [])[1], deadline=0.2)
    began = time.monotonic()
    # More than may be under way at once: the rest waits for its turn no longer than it may.
    errors = [fails(upstream, deadline=0.01) for _ in range(LOOKUPS + 5)]
    hanging.set()
    assert time.monotonic() - began < 4.0, "it hangs for 5 s"
    assert {(error.status, error.sent) for error in errors} == {(504, False)}


def test_a_name_that_is_not_found_is_a_typed_failure(make: Make, ask: Ask) -> None:
    """REL-40"""

    def not_found(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(ProviderUnavailable) as caught:
        ask(make(resolve=not_found))
    assert (caught.value.status, caught.value.sent, caught.value.retryable) == (502, False, True)


def test_a_name_that_no_resolver_takes_is_a_typed_failure(make: Make) -> None:
    """REL-40: a label of more than 63 characters does not even become a question."""
    origin = f"https://{'a' * 64}.example"
    assert "no address" in fails(make(), f"{origin}/", pins=frozenset({origin})).detail


def test_a_lookup_without_a_thread_is_a_typed_failure_and_gives_its_place_back(peer: Peer, make: Make) -> None:
    upstream = make(peer)
    threading.stack_size(1 << 46)
    try:
        # At different origins, lest the breaker steps in.
        origins = [f"https://{number}.example" for number in range(LOOKUPS)]
        errors = [fails(upstream, f"{origin}/", pins=frozenset({origin})) for origin in origins]
    finally:
        threading.stack_size(0)
    assert {(error.status, error.retryable, error.sent) for error in errors} == {(502, True, False)}
    assert get(upstream).status == 200


def at(*addresses: str) -> Callable[..., list[Any]]:
    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in addresses
        ]

    return resolve


INTERNAL = [
    *("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254"),
    *("100.64.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1"),
    *("::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1"),
    *("::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001:db8::1"),
    *("::7f00:1", "::ffff:0:7f00:1", "64:ff9b:1::7f00:1", "fec0::1", "2001:0:1:2:3:4:80ff:fffe", "5f00::1"),
]


@pytest.mark.parametrize("production", [True, False])
@pytest.mark.parametrize("address", INTERNAL)
def test_an_internal_address_is_not_connected_to(make: Make, address: str, production: bool) -> None:
    """REL-54: rebinding, IPv6-mapped and translated forms. Only the map leads to loopback, in development."""
    error = fails(
        make(production=production, resolve=at(address)), "https://provider.example:1/", pins=frozenset({f"{REAL}:1"})
    )
    assert error.detail == "provider.example:1 has no address that may be connected to."
    assert not error.sent


PUBLIC = ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_may_be_connected_to_unless_the_origin_is_mapped(address: str) -> None:
    """REL-54"""
    assert is_permitted(address, loopback=False)
    assert not is_permitted(address, loopback=True)


def test_a_decimal_address_is_not_connected_to(make: Make) -> None:
    """REL-54: with the system's own lookup."""
    pins = frozenset({"https://2130706433"})
    assert "no address" in fails(make(production=True), "https://2130706433/", pins=pins).detail


def test_a_mapped_origin_is_reached_on_loopback_and_nowhere_else(make: Make, peer: Peer) -> None:
    upstream = make(origins={REAL: f"http://localhost:{peer.port}"}, resolve=at("8.8.8.8"))
    assert "no address" in fails(upstream).detail
    assert peer.connections == 0


def test_the_next_address_is_tried_when_one_does_not_answer(make: Make, peer: Peer) -> None:
    upstream = make(peer, resolve=at("127.0.0.7", "127.0.0.1"))
    assert get(upstream).status == 200


def test_the_address_that_was_checked_is_the_one_connected_to(make: Make, peer: Peer) -> None:
    """REL-54: one lookup for one connection, so that no second answer can differ."""
    lookups: list[str] = []

    def resolve(host: str, port: int, **more: Any) -> list[Any]:
        lookups.append(host)
        return at("127.0.0.1")(host, port)

    upstream = make(peer, resolve=resolve)
    get(upstream)
    get(upstream)
    assert len(lookups) == 1


def test_a_name_that_would_lead_elsewhere_if_asked_again_is_not_asked_again(make: Make, peer: Peer) -> None:
    """REL-54: our lookup says where nobody listens; the system's would find the provider."""
    upstream = make(origins={REAL: f"http://localhost:{peer.port}"}, resolve=at("127.0.0.7"))
    assert fails(upstream).detail == "provider.example could not be reached."
    assert peer.connections == 0
