"""TLS to the provider: who it is, how it breaks off, and the deadline below it (docs/facts/security.md REL-40)."""

import contextlib
import datetime
import socket
import ssl
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broker.upstream.dial import tls_context
from broker.upstream.wire import Exchange, Line
from tests.upstream.certificates import DAY, NOW, Authority
from tests.upstream.hostile_peer import Peer, Talk, message, says, sends
from tests.upstream.peers import REAL, Ask, Make, fails, failure, get


@pytest.fixture
def serving(authority: Authority) -> Iterator[Callable[[ssl.SSLContext], Peer]]:
    """Makes providers that speak TLS, and ends them."""
    peers: list[Peer] = []

    def serve(context: ssl.SSLContext) -> Peer:
        peers.append(Peer(tls=context))
        return peers[-1]

    yield serve
    for peer in peers:
        peer.close()


@pytest.fixture
def secure(serving: Callable[[ssl.SSLContext], Peer], authority: Authority) -> Peer:
    return serving(authority.server())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_provider_that_proves_to_be_itself_is_asked(secure: Peer, make: Make, host: str) -> None:
    upstream = make(origins={REAL: f"https://{host}:{secure.port}"})
    assert [get(upstream).json() for _ in range(2)] == [{"hello": "world"}] * 2
    assert secure.connections == 1


def old(context: ssl.SSLContext, version: ssl.TLSVersion) -> ssl.SSLContext:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def impostors(authority: Authority, folder: Path) -> dict[str, ssl.SSLContext]:
    other = Authority(folder, "Another Authority")
    return {
        "another authority": other.server(),
        "expired": authority.server(until=NOW - datetime.timedelta(hours=1)),
        "not valid yet": authority.server(until=NOW + 10 * DAY),
        "another host": authority.server(dns="other.example", ip=None),
        "another address": authority.server(ip="127.0.0.2"),
        "a name for the host's address": authority.server(dns="127.0.0.1", ip=None),
        "a common name alone": authority.server(dns="127.0.0.1", ip=None, alternative=False),
        "TLS 1.0": old(authority.server(), ssl.TLSVersion.TLSv1),
        "TLS 1.1": old(authority.server(), ssl.TLSVersion.TLSv1_1),
    }


KINDS = [
    *("another authority", "expired", "not valid yet", "another host", "another address"),
    *("a name for the host's address", "a common name alone", "TLS 1.0", "TLS 1.1"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_provider_that_does_not_prove_to_be_itself_is_told_nothing(
    serving: Callable[[ssl.SSLContext], Peer], authority: Authority, make: Make, ask: Ask, tmp_path: Path, kind: str
) -> None:
    """REL-40"""
    peer = serving(impostors(authority, tmp_path)[kind])
    error = failure(ask, make(peer))
    assert error.detail == "provider.example did not prove over TLS to be itself."
    assert (error.status, error.retryable, error.sent) == (502, True, False)
    assert peer.requests == []


def test_a_common_name_proves_nothing(
    serving: Callable[[ssl.SSLContext], Peer], authority: Authority, make: Make
) -> None:
    """REL-40: a name in no alternative name is no name."""
    peer = serving(authority.server(dns="localhost", ip=None, alternative=False))
    assert "did not prove" in fails(make(origins={REAL: f"https://localhost:{peer.port}"})).detail


def test_a_provider_that_speaks_no_tls_is_told_nothing(peer: Peer, make: Make, ask: Ask) -> None:
    """REL-40"""
    peer.on_connect = lambda sock, _: sock.sendall(message(400, b"{}"))
    error = failure(ask, make(origins={REAL: peer.origin.replace("http:", "https:")}))
    assert error.detail == "provider.example did not prove over TLS to be itself."
    assert not error.sent


def test_a_handshake_that_hangs_ends_by_the_deadline(secure: Peer, make: Make, ask: Ask) -> None:
    """REL-43"""
    secure.on_connect = lambda _, stopped: stopped.wait(10) and None
    began = time.monotonic()
    error = failure(ask, make(secure, deadline=0.15))
    assert time.monotonic() - began < 3.0
    assert (error.status, error.sent) == (504, False)


def test_a_handshake_that_is_reset_is_a_typed_failure(secure: Peer, make: Make, ask: Ask) -> None:
    """REL-40: urllib3 takes a reset for a request that was cut short, and looks for an answer to it."""
    secure.on_connect = lambda sock, stopped: (sock.recv(1), Talk(sock, b"", stopped).reset())[1]
    error = failure(ask, make(secure))
    assert error.detail == "provider.example did not prove over TLS to be itself."
    assert not error.sent


def test_what_waits_decrypted_in_the_tls_layer_is_noticed(secure: Peer, authority: Authority) -> None:
    """REL-56: the socket itself shows nothing of it."""
    plain = socket.create_connection(("127.0.0.1", secure.port))
    with tls_context(authority.file).wrap_socket(plain, server_hostname="127.0.0.1") as sock:
        line = Line(sock, Exchange(seconds=5.0, max_bytes=1000, fresh=True, clock=time.monotonic))
        line.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert line.receive(bytearray(10)) == 10
        assert not line.is_clean()


def test_a_body_cut_off_without_a_goodbye_is_no_answer(secure: Peer, make: Make, ask: Ask) -> None:
    """REL-40: its end is the connection's, which anybody on the way can bring about."""
    secure.will(sends(b'HTTP/1.1 200 OK\r\n\r\n{"access_token": "ACCESS-2", "token_type": "Bearer"}'))
    assert failure(ask, make(secure)).detail == "provider.example broke off or did not speak HTTP."


def test_a_body_that_ends_with_a_goodbye_is_whole(secure: Peer, make: Make) -> None:
    def goodbye(talk: Talk) -> None:
        talk.send(b"HTTP/1.1 200 OK\r\n\r\n[1]")
        assert isinstance(talk.sock, ssl.SSLSocket)
        talk.sock.unwrap()
        talk.end()

    secure.will(goodbye)
    assert get(make(secure)).json() == [1]


POISON = message(200, b'{"of": "somebody else"}')


def test_what_follows_an_answer_is_no_answer_to_the_next_request(secure: Peer, make: Make) -> None:
    """REL-56"""
    secure.will(lambda talk: talk.send(message(200, b"x" * 40_000) + POISON))
    upstream = make(secure)
    get(upstream)
    assert get(upstream).json() == {"hello": "world"}
    assert secure.connections == 2


def test_a_kept_connection_that_was_closed_meanwhile_is_noticed(secure: Peer, make: Make) -> None:
    secure.will(lambda talk: (says(200, {})(talk), talk.end())[1])
    upstream = make(secure)
    get(upstream)
    secure.wait_until_all_are_closed()
    assert upstream.call("POST", f"{REAL}/", pins=frozenset({REAL}), body=b"x").status == 200


class Dripper:
    """Stands between client and provider; once `slow` is set, what the provider sends passes a byte at a time."""

    def __init__(self, peer: Peer) -> None:
        self.slow, self._peer = threading.Event(), peer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.origin = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._pass_on, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._thread.join(5)
        self._listener.close()

    def _pass_on(self) -> None:
        near, _ = self._listener.accept()
        with near, socket.create_connection(("127.0.0.1", self._peer.port)) as far, contextlib.suppress(OSError):
            up = threading.Thread(target=_copy, args=(near, far), daemon=True)
            up.start()
            while data := far.recv(1 if self.slow.is_set() else 4096):
                near.sendall(data)
                if self.slow.is_set():
                    self._peer.stopped.wait(0.02)
            up.join(5)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_RDWR)


def test_an_encrypted_record_that_drips_ends_by_the_deadline(secure: Peer, make: Make) -> None:
    """REL-44: one read of the TLS layer is many of the socket."""
    dripper = Dripper(secure)
    secure.will(lambda talk: (dripper.slow.set(), talk.send(message(200, b"x" * 16_000)))[1])
    began = time.monotonic()
    error = fails(make(origins={REAL: dripper.origin}, deadline=0.8))
    assert time.monotonic() - began < 3.0
    assert (error.status, error.sent) == (504, True)
    dripper.close()
