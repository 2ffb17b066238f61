"""Kept connections: used again, never twice at once, never with what another answer left behind."""

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from broker.errors import ProviderUnavailable
from broker.upstream import Upstream
from broker.upstream.wire import Exchange, Line
from tests.upstream.hostile_peer import Peer, Talk, message, says, sends
from tests.upstream.peers import PINS, REAL, Make, data, fails, get, refresh


def test_connections_are_kept_and_used_again(peer: Peer, upstream: Upstream) -> None:
    for _ in range(5):
        get(upstream)
    assert (len(peer.requests), peer.connections) == (5, 1)


def test_each_token_request_has_a_new_connection(peer: Peer, upstream: Upstream) -> None:
    """A kept connection that was lost would leave it unknown whether a refresh token was rotated."""
    peer.usual = says(200, {"access_token": "ACCESS-2", "token_type": "Bearer"})
    data(upstream)
    refresh(upstream)
    refresh(upstream)
    assert peer.connections == 3


def once_then(talk_end: Callable[[Talk], None]) -> Callable[[Talk], None]:
    return lambda talk: (talk.send(message(200, b"{}")), talk_end(talk))[0]


def test_a_kept_connection_closed_meanwhile_is_noticed(peer: Peer, upstream: Upstream) -> None:
    peer.will(once_then(Talk.end))
    get(upstream)
    peer.wait_until_all_are_closed()
    assert upstream.call("POST", f"{REAL}/", pins=PINS, body=b"x").status == 200
    assert (len(peer.requests), peer.connections) == (2, 2)


def test_a_get_on_a_kept_connection_lost_without_a_byte_is_sent_once_more(peer: Peer, upstream: Upstream) -> None:
    """The race that no look at the socket can see: it is closed when the request is on its way."""
    peer.will(says(200, {}), Talk.reset)
    get(upstream)
    assert get(upstream).status == 200
    assert (len(peer.requests), peer.connections) == (3, 2)


def test_a_get_is_sent_once_more_only_once(peer: Peer, upstream: Upstream) -> None:
    peer.will(says(200, {}), Talk.reset, Talk.reset)
    get(upstream)
    assert fails(upstream).sent
    assert len(peer.requests) == 3


def test_a_get_that_was_lost_may_have_arrived_even_if_its_repetition_cannot_leave(
    peer: Peer, upstream: Upstream
) -> None:
    peer.will(says(200, {}), lambda talk: (peer.stop_listening(), talk.reset())[1])
    get(upstream)
    assert fails(upstream).sent


def test_a_get_is_sent_once_more_on_a_new_connection_not_on_the_next_kept_one(peer: Peer, upstream: Upstream) -> None:
    kept, together = [], threading.Barrier(2, timeout=5)

    def answer(talk: Talk) -> None:
        if len(peer.requests) <= 2:
            kept.append(talk.sock)
            together.wait()
        elif talk.sock in kept:
            talk.reset()
        talk.send(message(200, b"{}"))

    peer.usual = answer
    threads = [threading.Thread(target=get, args=(upstream,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert get(upstream).status == 200
    assert peer.connections == 3


def test_a_get_is_not_repeated_once_a_byte_came_back(peer: Peer, upstream: Upstream) -> None:
    peer.will(says(200, {}), sends(b"HTTP/1.1"))
    get(upstream)
    fails(upstream)
    assert len(peer.requests) == 2


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "PATCH"])
def test_nothing_but_a_get_is_repeated(peer: Peer, upstream: Upstream, method: str) -> None:
    """REL-40"""
    peer.will(says(200, {}), Talk.reset)
    get(upstream)
    with pytest.raises(ProviderUnavailable) as caught:
        upstream.call(method, f"{REAL}/", pins=PINS)
    assert caught.value.sent
    assert len(peer.requests) == 2


POISON = message(200, b'{"of": "somebody else"}')


@pytest.mark.parametrize(
    "first",
    [
        lambda talk: talk.send(message(200, b"{}") + POISON),
        lambda talk: (talk.send(message(200, b"{}")), talk.hold(0.02), talk.send(POISON))[0],
        lambda talk: talk.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" + POISON),
        lambda talk: talk.send(b"HTTP/1.1 204 No\r\n\r\n" + POISON),
        lambda talk: talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + POISON),
        lambda talk: talk.send(message(200, b"{}") + b"\r\n"),
    ],
    ids=["at once", "later", "after chunks", "after 204", "after an empty body", "a blank line"],
)
def test_what_follows_an_answer_is_no_answer_to_the_next_request(
    peer: Peer, upstream: Upstream, first: Callable[[Talk], None]
) -> None:
    """REL-56"""
    done = threading.Event()
    peer.will(lambda talk: (first(talk), done.set())[1])
    get(upstream)
    assert done.wait(5)
    assert get(upstream).json() == {"hello": "world"}
    assert peer.connections == 2


def test_an_answer_that_was_refused_leaves_no_connection_behind(peer: Peer, upstream: Upstream) -> None:
    """REL-56: the rest of its body would be the next answer's head."""
    peer.will(says(200, POISON, "Content-Encoding: gzip"), says(200, b"x" * 2000))
    fails(upstream)
    fails(upstream, max_bytes=1000)
    # Nothing but a GET would be sent once more if it came upon a connection that is not done.
    assert upstream.call("POST", f"{REAL}/", pins=PINS).json() == {"hello": "world"}
    assert peer.connections == 3


def test_an_answer_that_comes_before_the_request_has_ended_leaves_no_connection_behind(
    peer: Peer, upstream: Upstream
) -> None:
    """REL-56: what it had not read of the request would be read as the next one."""

    def early(sock: socket.socket, stopped: threading.Event) -> None:
        if peer.connections == 1:
            sock.recv(1000)
            sock.sendall(message(413, b"{}"))
            stopped.wait(0.05)
            Talk(sock, b"", stopped).reset()

    peer.on_connect = early
    with contextlib.suppress(ProviderUnavailable):
        assert upstream.call("POST", f"{REAL}/", pins=PINS, body=b"x" * 10_000_000).status == 413
    assert get(upstream).json() == {"hello": "world"}
    assert peer.connections == 2


FORKING = """
import os, sys
from broker.upstream import Upstream

upstream = Upstream(origins={"https://provider.example": sys.argv[1]}, production=False)
ask = lambda: upstream.call("GET", "https://provider.example/", pins=frozenset({"https://provider.example"}))
ask()
child = os.fork()
ask()
if child == 0:
    os._exit(0)
sys.exit(os.waitpid(child, 0)[1])
"""


def test_a_forked_process_does_not_share_its_parents_connections(peer: Peer) -> None:
    """REL-56: gunicorn may load the application before it forks."""
    subprocess.run([sys.executable, "-c", FORKING, peer.origin], check=True, timeout=30)
    assert (len(peer.requests), peer.connections) == (3, 2)


def test_a_socket_is_closed_with_its_last_reader() -> None:
    """A reader may be closed twice: by who read it, and by who clears up."""
    near, far = socket.socketpair()
    line = Line(near, Exchange(seconds=1.0, max_bytes=1, fresh=True, clock=time.monotonic))
    first, second = line.makefile(), line.makefile()
    line.close()
    first.close()
    first.close()
    assert near.fileno() >= 0
    second.close()
    assert near.fileno() < 0
    far.close()


def test_closing_ends_the_kept_connections_and_nothing_else(peer: Peer, upstream: Upstream) -> None:
    get(upstream)
    upstream.close()
    assert get(upstream).status == 200
    assert peer.connections == 2


def test_each_origin_has_a_pool_of_its_own(peer: Peer, make: Make) -> None:
    """Even where the map leads both to one place: what one provider left behind, no other reads."""
    other = "https://other.example"
    upstream = make(origins={REAL: peer.origin, other: peer.origin})
    for _ in range(2):
        get(upstream)
        get(upstream, f"{other}/", pins=frozenset({other}))
    assert peer.connections == 2


def test_threads_share_the_pool_and_get_their_own_answers(peer: Peer, upstream: Upstream) -> None:
    peer.usual = lambda talk: talk.send(message(200, b'{"target": "%b"}' % talk.request.split(b" ")[1]))
    wrong: list[str] = []

    def work(name: int) -> None:
        for turn in range(20):
            target = f"/{name}/{turn}"
            if get(upstream, REAL + target).json() != {"target": target}:
                wrong.append(target)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert peer.connections <= 8
