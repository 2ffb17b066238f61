"""Each fault of docs/facts/security.md §5.3.3, at each of data, exchange, refresh and revoke."""

import functools
import gzip
import socket
import threading
import time
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.errors import ProviderUnavailable
from broker.upstream import Upstream
from tests.upstream.hostile_peer import Peer, Script, Talk, message, says, sends
from tests.upstream.peers import REAL, Ask, Make, fails, failure


def resets(talk: Talk) -> None:
    talk.reset()


def resets_amid(raw: bytes) -> Script:
    def script(talk: Talk) -> None:
        talk.send(raw)
        talk.hold(0.05)
        talk.reset()

    return script


def holds(talk: Talk) -> None:
    talk.hold()


def drips(raw: bytes) -> Script:
    return lambda talk: talk.drip(raw, 0.05)


def sends_forever(head: bytes, piece: bytes) -> Script:
    def script(talk: Talk) -> None:
        talk.send(head)
        while not talk.stopped.is_set():
            talk.send(piece)

    return script


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
BROKEN: dict[str, Script] = {
    "REL-40 closed at once": sends(b""),
    "REL-40 reset at once": resets,
    "REL-40 reset amid headers": resets_amid(OK + b"Content-"),
    "REL-40 reset amid the body": resets_amid(OK + b"Content-Length: 10\r\n\r\n{}"),
    "REL-46 Content-Length too long": sends(OK + b"Content-Length: 10\r\n\r\n{}"),
    "REL-46 Content-Length negative": sends(OK + b"Content-Length: -2\r\n\r\n{}"),
    "REL-46 Content-Length no number": sends(OK + b"Content-Length: +2\r\n\r\n{}"),
    "REL-46 Content-Length twice, differing": sends(OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} "),
    "REL-46 Content-Length twice, alike": sends(OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}"),
    "REL-46 Content-Length and chunked": sends(
        OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    ),
    "REL-46 an unknown transfer coding": sends(OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "REL-46 chunks cut off": sends(CHUNKED + b"5\r\n{}"),
    "REL-46 a chunk of negative size": sends(CHUNKED + b"-1\r\n" + b"x" * 100_000),
    "REL-46 a chunk of no size": sends(CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n"),
    "REL-48 a header of 100 kB": sends(OK + b"X: " + b"x" * 100_000 + b"\r\n\r\n"),
    "REL-48 headers of 90 kB in all": sends(OK + (b"X: " + b"x" * 1000 + b"\r\n") * 90 + b"\r\n"),
    "REL-48 10,000 headers": sends(OK + b"X: y\r\n" * 10_000 + b"\r\n"),
    "REL-48 a NUL in a header": sends(OK + b"X: a\x00b\r\nContent-Length: 2\r\n\r\n{}"),
    "REL-48 a header name that is none": sends(OK + b"X(Y): z\r\nContent-Length: 2\r\n\r\n{}"),
    "REL-48 a line that is no header": sends(OK + b"no header\r\nContent-Length: 2\r\n\r\n{}"),
    "REL-48 a bare CR in a header": sends(OK + b"X: a\rb\r\nContent-Length: 2\r\n\r\n{}"),
    "no HTTP": sends(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "HTTP/0.9": sends(b"{}"),
    "a status of 999": sends(b"HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\n{}"),
    "an early hint instead of an answer": sends(b"HTTP/1.1 103 Early Hints\r\n\r\n" + message(200, b"{}")),
    "HTTP/2.0 preface": sends(b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
}


@pytest.mark.parametrize("script", BROKEN.values(), ids=list(BROKEN))
def test_what_is_no_answer_is_a_typed_failure_and_not_repeated(
    peer: Peer, upstream: Upstream, ask: Ask, script: Script
) -> None:
    """REL-40, REL-46, REL-48"""
    peer.will(script)
    assert failure(ask, upstream).status == 502
    assert len(peer.requests) == 1


@pytest.mark.parametrize("script", [resets, holds], ids=["reset", "silence"])
def test_a_request_that_left_is_reported_as_sent(peer: Peer, make: Make, ask: Ask, script: Script) -> None:
    peer.will(script)
    assert failure(ask, make(peer, deadline=0.8)).sent


def test_a_refused_connection_is_reported_as_not_sent(peer: Peer, upstream: Upstream, ask: Ask) -> None:
    """REL-40"""
    peer.close()
    error = failure(ask, upstream)
    assert (error.status, error.retryable, error.sent) == (502, True, False)
    assert error.detail == "provider.example could not be reached."


LOCATIONS = [
    f"{REAL}/elsewhere",
    "https://other.example/",
    "http://provider.example/",
    "file:///etc/passwd",
    "http://127.0.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "",
]


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
@pytest.mark.parametrize("location", LOCATIONS)
def test_a_redirect_is_never_followed(peer: Peer, upstream: Upstream, ask: Ask, status: int, location: str) -> None:
    """REL-52"""
    peer.will(says(status, {}, f"Location: {location}" if location else "X-No: location"))
    assert not failure(ask, upstream).retryable
    assert len(peer.requests) == 1


SLOW: dict[str, Script] = {
    "REL-43 silence": holds,
    "REL-44 headers drip": drips(OK + b"X-Slow: " + b"x" * 1000),
    "REL-44 the status line drips": drips(b"HTTP/1.1 200 " + b"x" * 1000),
    "REL-44 the body drips": lambda talk: (
        talk.send(OK + b"Content-Length: 1000\r\n\r\n"),
        talk.drip(b"x" * 1000, 0.05),
    )[0],
    "REL-44 chunks drip": lambda talk: (talk.send(CHUNKED), talk.drip(b"1\r\nx\r\n" * 500, 0.05))[0],
    "REL-44 the last chunk's trailers drip": lambda talk: (
        talk.send(CHUNKED + b"0\r\n"),
        talk.drip(b"X: y\r\n" * 500, 0.05),
    )[0],
    "REL-44 100 Continue without end": lambda talk: talk.drip(b"HTTP/1.1 100 Continue\r\n\r\n" * 500, 0.02),
}


@pytest.mark.parametrize("script", SLOW.values(), ids=list(SLOW))
def test_a_slow_answer_ends_by_the_deadline(peer: Peer, make: Make, ask: Ask, script: Script) -> None:
    """REL-43, REL-44: a deadline for all of it, not for each read."""
    peer.will(script)
    upstream = make(peer, deadline=0.8)
    began = time.monotonic()
    error = failure(ask, upstream)
    assert time.monotonic() - began < 4.0, "each of these goes on for 10 s and more"
    assert (error.status, error.retryable, error.sent) == (504, True, True)


def test_a_peer_that_does_not_read_ends_by_the_deadline(peer: Peer, make: Make) -> None:
    """REL-43: sending counts too."""

    def reads_nothing(_: socket.socket, stopped: threading.Event) -> None:
        stopped.wait(5)
        raise OSError

    peer.on_connect = reads_nothing
    upstream = make(peer, deadline=0.3)
    began = time.monotonic()

    def ask(upstream: Upstream) -> object:
        return upstream.call("POST", f"{REAL}/", pins=frozenset({REAL}), body=b"x" * 10_000_000)

    assert failure(ask, upstream).status == 504
    assert time.monotonic() - began < 3.0


def test_a_peer_that_reads_slowly_ends_by_the_deadline_of_this_request(peer: Peer, make: Make) -> None:
    """REL-44: not by that of each piece, nor by what an earlier request on the connection had."""

    def reads_slowly(sock: socket.socket, stopped: threading.Event) -> None:
        sock.recv(1000)
        sock.sendall(message(200, b"{}"))
        while not stopped.wait(0.02):
            sock.recv(200_000)
        raise OSError

    peer.on_connect = reads_slowly
    upstream = make(peer, deadline=9.0)
    upstream.call("GET", f"{REAL}/", pins=frozenset({REAL}))
    began = time.monotonic()

    def ask(upstream: Upstream) -> object:
        return upstream.call("POST", f"{REAL}/", pins=frozenset({REAL}), body=b"x" * 60_000_000, deadline=0.4)

    error = failure(ask, upstream)
    assert time.monotonic() - began < 3.0
    assert (error.status, error.sent, peer.connections) == (504, True, 1)


ENDLESS: dict[str, Script] = {
    "REL-46 an endless body": sends_forever(OK + b"\r\n", b"x" * 65536),
    "REL-46 an endless chunked body": sends_forever(CHUNKED, b"10000\r\n" + b"x" * 65536 + b"\r\n"),
    "REL-46 endless empty-ish chunks": sends_forever(CHUNKED, b"1\r\nx\r\n" * 10_000),
    "REL-46 one endless chunk": sends_forever(CHUNKED + b"FFFFFFFFFFFF\r\n", b"x" * 65536),
    "REL-46 a chunk of negative size": sends_forever(CHUNKED + b"-1\r\n", b"x" * 65536),
    "REL-46 an endless chunk size line": sends_forever(CHUNKED, b"0" * 65536),
    "REL-46 endless trailers": sends_forever(CHUNKED + b"0\r\n", b"X: y\r\n" * 10_000),
    "REL-46 an endless length": sends_forever(OK + b"Content-Length: 99999999999\r\n\r\n", b"x" * 65536),
    "REL-48 an endless status line": sends_forever(b"HTTP/1.1 200 ", b"x" * 65536),
    "REL-48 endless headers": sends_forever(OK, b"X: y\r\n" * 10_000),
}


@pytest.mark.parametrize("script", ENDLESS.values(), ids=list(ENDLESS))
def test_an_endless_answer_ends_with_memory_flat(peer: Peer, make: Make, ask: Ask, script: Script) -> None:
    """REL-46, REL-48"""
    peer.will(script)
    upstream = make(peer, max_bytes=100_000)
    tracemalloc.start()
    try:
        error = failure(ask, upstream)
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()
    assert error.status == 502


@functools.cache
def bomb() -> bytes:
    return gzip.compress(bytes(30_000_000), 9)


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "deflate", "identity, gzip"])
def test_a_compressed_body_is_refused_before_it_is_read(peer: Peer, upstream: Upstream, ask: Ask, coding: str) -> None:
    """REL-47: 30 MB in 30 kB."""
    peer.will(says(200, bomb(), f"Content-Encoding: {coding}"))
    tracemalloc.start()
    try:
        error = failure(ask, upstream)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
    assert not error.retryable
    assert b"Accept-Encoding: identity\r\n" in peer.requests[0]


def test_a_body_is_kept_up_to_the_cap_and_not_a_byte_further(peer: Peer, upstream: Upstream) -> None:
    """REL-46"""

    def of(size: int, *, chunked: bool) -> Script:
        chunk = CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (size, b"x" * size)
        return sends(chunk) if chunked else says(200, b"x" * size)

    def ask(upstream: Upstream) -> object:
        return len(upstream.call("GET", f"{REAL}/", pins=frozenset({REAL}), max_bytes=1000).body)

    for chunked in (False, True):
        peer.will(of(1000, chunked=chunked), of(1001, chunked=chunked))
        assert ask(upstream) == 1000
        assert failure(ask, upstream).detail == "provider.example sent more than it may."


def test_a_caller_may_only_narrow_the_cap(peer: Peer, make: Make) -> None:
    """REL-46"""
    peer.usual = says(200, b"x" * 2000)
    upstream = make(peer, max_bytes=1000)
    assert fails(upstream, max_bytes=9999).detail == "provider.example sent more than it may."


PREFIXES = [
    *(b"", b"HTTP/1.1 ", b"HTTP/1.1 200 ", b"HTTP/1.1 100 Continue\r\n\r\n", OK, OK + b"X: y\r\n", CHUNKED),
    *(OK + name + b": " for name in (b"Content-Length", b"Transfer-Encoding", b"Content-Encoding", b"Connection")),
]


@given(raw=st.binary(max_size=300), prefix=st.sampled_from(PREFIXES))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_bytes_come_back_the_failure_is_typed(peer: Peer, make: Make, raw: bytes, prefix: bytes) -> None:
    upstream = make(peer, deadline=2.0)
    peer.scripts[:] = [lambda talk: (talk.send(prefix + raw), talk.end())[0]]
    try:
        answer = upstream.call("GET", f"{REAL}/", pins=frozenset({REAL}))
    except ProviderUnavailable:
        return
    finally:
        upstream.close()
    assert 200 <= answer.status < 300 or answer.status >= 400
