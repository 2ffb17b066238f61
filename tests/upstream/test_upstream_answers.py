"""What comes back: statuses, chunks, cookies, Retry-After."""

import time
from collections.abc import Iterator

import pytest

from broker.upstream import Answer, Upstream, retry_after
from tests.upstream.hostile_peer import Peer, says, sends
from tests.upstream.peers import Ask, get


@pytest.mark.parametrize("status", [200, 201, 204, 400, 401, 403, 404, 429, 500, 503])
def test_every_other_status_is_an_answer(peer: Peer, upstream: Upstream, status: int) -> None:
    """REL-41: what an error or an empty answer means is the caller's to say."""
    peer.will(says(status, b"" if status == 204 else b'{"a": 1}', "X-Usage: 5", "X-Usage: 6"))
    answer = get(upstream)
    assert (answer.status, answer.headers["x-usage"]) == (status, "5, 6")
    assert answer.body == (b"" if status == 204 else b'{"a": 1}')


def test_chunks_are_put_together(peer: Peer, upstream: Upstream) -> None:
    peer.will(
        lambda talk: talk.send(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\n[1,\r\n2\r\n2]\r\n0\r\nT: r\r\n\r\n"
        )
    )
    assert get(upstream).json() == [1, 2]
    assert get(upstream).json() == {"hello": "world"}
    assert peer.connections == 1


def test_a_body_that_ends_with_the_connection_is_whole(peer: Peer, upstream: Upstream) -> None:
    peer.will(sends(b"HTTP/1.0 200 OK\r\n\r\n[1]"))
    assert get(upstream).json() == [1]


def test_an_answer_does_not_print_what_it_holds(peer: Peer, upstream: Upstream) -> None:
    peer.will(says(200, {"access_token": "ACCESS-2"}, "X-T: ACCESS-2"))
    assert repr(get(upstream)) == "Answer(status=200)"


def test_cookies_are_neither_kept_nor_passed_on(peer: Peer, upstream: Upstream, ask: Ask) -> None:
    """REL-55"""
    peer.usual = says(200, {"access_token": "ACCESS-2", "token_type": "Bearer"}, "Set-Cookie: sid=1; Path=/")
    ask(upstream)
    ask(upstream)
    assert b"cookie" not in peer.requests[1].lower()
    assert "set-cookie" not in get(upstream).headers


NOON = 1_800_000_000.0
WAITS = [
    ("", 60),
    ("7", 7),
    ("0", 1),
    ("-5", 1),
    ("1000000000", 3600),
    ("9" * 5000, 3600),
    ("1.5", 60),
    ("soon", 60),
    ("Fri, 15 Jan 2027 08:00:30 GMT", 30),
    ("Friday, 15-Jan-27 08:00:30 GMT", 30),
    ("Fri Jan 15 08:00:30 2027", 30),
    ("Fri, 15 Jan 2027 07:00:00 GMT", 1),
    ("Fri, 15 Jan 2100 08:00:00 GMT", 3600),
    ("Fri, 99 Jan 2027 08:00:30 GMT", 60),
]


@pytest.fixture
def far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where a time that names no zone must not be taken for a local one."""
    monkeypatch.setenv("TZ", "WIB-7")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(("said", "wait"), WAITS, ids=[said[:20] or "absent" for said, _ in WAITS])
def test_retry_after_is_honoured_within_bounds(said: str, wait: int, far_east: None) -> None:
    """REL-42"""
    answer = Answer(429, {"retry-after": said} if said else {}, b"")
    assert retry_after(answer, now=lambda: NOON) == wait


def test_a_retry_date_is_read_against_the_providers_own_clock() -> None:
    """REL-57: its clock is an hour ahead."""
    headers = {"retry-after": "Fri, 15 Jan 2027 09:00:30 GMT", "date": "Fri, 15 Jan 2027 09:00:00 GMT"}
    assert retry_after(Answer(429, headers, b""), now=lambda: NOON) == 30


def test_a_retry_date_is_read_against_our_own_clock_where_the_provider_tells_no_sound_date() -> None:
    """REL-57"""
    headers = {"retry-after": "Fri, 15 Jan 2027 08:00:30 GMT", "date": "yesterday"}
    assert retry_after(Answer(429, headers, b""), now=lambda: NOON) == 30
    assert retry_after(Answer(429, {"retry-after": "Fri, 15 Jan 2100 08:00:00 GMT"}, b"")) == 3600
