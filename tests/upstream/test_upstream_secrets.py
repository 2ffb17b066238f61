"""No token, code, verifier, secret or URL in a log, an error or a traceback (docs/facts/security.md G-1)."""

import logging
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from types import TracebackType

import pytest

from broker.errors import BrokerError, ProviderUnavailable
from broker.secret import Secret
from broker.upstream import TokenRefused, Upstream
from broker.upstream.request import checked
from broker.upstream.wire import LOUD
from tests.upstream.hostile_peer import Peer, Script, Talk, message, says, sends
from tests.upstream.peers import REAL, Ask, Make, assert_tells_nothing, data, exchange, failure, refresh, revoke

ECHO = {"access_token": "ACCESS-2", "refresh_token": "REFRESH-2", "token_type": "Bearer", "scope": "another"}
ANSWERS: dict[str, Script] = {
    "tokens": says(200, ECHO),
    "a refusal that echoes": says(400, {"error": "invalid_grant", "error_description": "ACCESS-1 CODE-1 REFRESH-1"}),
    "an error word that echoes": says(400, {"error": "REFRESH-1", "error_subtype": "CODE-1"}),
    "a rate limit": says(429, {"error": "ACCESS-1"}, "Retry-After: ACCESS-1"),
    "an outage": says(503, b"<html>ACCESS-1 REFRESH-1 CODE-1</html>"),
    "no JSON": says(200, b'{"access_token": "ACCESS-2", "refresh_token": "REFRESH-2"'),
    "no UTF-8": says(200, b'{"access_token": "ACCESS-2\xff"}'),
    "another kind of token": says(200, {**ECHO, "token_type": "ACCESS-2"}),
    "no token": says(200, {**ECHO, "access_token": ["ACCESS-2"]}),
    "no scope": says(200, {**ECHO, "scope": ["ACCESS-2"]}),
    "a redirect": says(302, ECHO, "Location: https://other.example/?token=ACCESS-1"),
    "bad headers": sends(b"HTTP/1.1 200 OK\r\nACCESS-2\r\n\r\n{}"),
    "a bad status line": sends(b"HTTP/1.1 ACCESS-2\r\n\r\n"),
    "a bad length": sends(b"HTTP/1.1 200 OK\r\nContent-Length: ACCESS-2\r\n\r\n{}"),
    "bad chunks": sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nACCESS-2\r\n"),
    "too short": sends(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nACCESS-2"),
    "a reset": Talk.reset,
    "silence": Talk.hold,
    "surplus": lambda talk: talk.send(message(200, b"{}") + b"ACCESS-2"),
}


@pytest.fixture
def every_logger_open() -> Iterator[None]:
    """As a hasty operator sets it up while looking for a fault: each logger at DEBUG by name, after the start."""
    loggers = [logging.getLogger(name) for name in [*logging.root.manager.loggerDict, *LOUD]]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    yield
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


@pytest.mark.parametrize("script", ANSWERS.values(), ids=list(ANSWERS))
def test_nothing_is_logged_or_printed(
    peer: Peer,
    make: Make,
    ask: Ask,
    script: Script,
    every_logger_open: None,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """G-1, STD-25: with every logger at DEBUG. `conftest` looks for secrets, also encoded; here for anything at all."""
    peer.will(script)
    upstream = make(peer, deadline=0.15)
    caplog.set_level(logging.DEBUG)
    errors(ask, upstream)
    theirs = [record for record in caplog.records if record.name.partition(".")[0] in LOUD]
    assert theirs == []
    printed = capfd.readouterr()
    assert_tells_nothing(printed.out + printed.err)


def test_more_connections_than_are_kept_are_not_worth_a_word(
    peer: Peer, make: Make, every_logger_open: None, caplog: pytest.LogCaptureFixture
) -> None:
    """urllib3 warns of each that it lets go."""
    upstream, together = make(peer, connections=1), threading.Barrier(2, timeout=5)
    peer.usual = lambda talk: (together.wait(), talk.send(message(200, b"{}")))[1]
    threads = [threading.Thread(target=data, args=(upstream,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert peer.connections == 2
    assert [record for record in caplog.records if record.name.partition(".")[0] in LOUD] == []


class Overheard(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += self.format(record)


@pytest.mark.parametrize(
    ("name", "secrets"),
    [
        ("requests_oauthlib.oauth2_session", ["CODE-1", "VERIFIER-1", "CLIENT-SECRET-1", "ACCESS-2", "REFRESH-2"]),
        ("urllib3.connectionpool", ["QUERY-1"]),
    ],
)
def test_a_logger_that_was_not_silenced_would_tell(
    peer: Peer, upstream: Upstream, name: str, secrets: list[str]
) -> None:
    """Else the test above could not fail: the libraries, in the versions installed, do log these."""
    logger, overheard = logging.getLogger(name), Overheard()
    filters, level = logger.filters[:], logger.level
    logger.filters.clear()
    logger.setLevel(logging.DEBUG)
    logger.addHandler(overheard)
    logger.propagate = False
    try:
        peer.usual = says(200, ECHO)
        exchange(upstream)
        data(upstream)
    finally:
        logger.filters[:], logger.propagate = filters, True
        logger.setLevel(level)
        logger.removeHandler(overheard)
    assert [secret for secret in secrets if secret in overheard.text] == secrets


def frames(end: TracebackType | None) -> Iterator[TracebackType]:
    while end is not None:
        if "/tests/" not in end.tb_frame.f_code.co_filename:
            yield end
        end = end.tb_next


def told(error: BaseException) -> str:
    """All that a crash reporter makes of it, but for our own test's lines: texts, attributes, source, locals."""
    text = [repr(error), str(error), repr(error.__dict__), repr(error.args)]
    for frame in frames(error.__traceback__):
        text += traceback.format_tb(frame, limit=1)
        text += [f"{name} = {value!r}" for name, value in frame.tb_frame.f_locals.items() if name != "url"]
    return "\n".join(text)


def errors(ask: Ask, upstream: Upstream) -> list[Exception]:
    try:
        ask(upstream)
    except (BrokerError, TokenRefused) as error:
        return [error]
    return []


@pytest.mark.parametrize("script", ANSWERS.values(), ids=list(ANSWERS))
def test_no_error_tells_a_secret_even_with_the_locals_of_its_frames(
    peer: Peer, make: Make, ask: Ask, script: Script
) -> None:
    """G-1; docs/adr/0009: a traceback of ours is safe to send on."""
    peer.will(script)
    for error in errors(ask, make(peer, deadline=0.15)):
        assert_tells_nothing(told(error))
        assert (error.__cause__, error.__context__) == (None, None), "a library's error, which holds the request"


REFUSED: dict[str, Callable[[Upstream], object]] = {
    "another origin": lambda upstream: refresh(upstream, endpoint="https://other.example/token"),
    "not in plain form": lambda upstream: exchange(upstream, endpoint=f"{REAL}/a/../token"),
    "another origin, to revoke": lambda upstream: revoke(upstream, endpoint="https://other.example/revoke"),
}


@pytest.mark.parametrize("way", REFUSED.values(), ids=list(REFUSED))
def test_a_request_that_may_not_leave_is_not_told_either(upstream: Upstream, way: Callable[[Upstream], object]) -> None:
    """G-1"""
    assert_tells_nothing(told(failure(way, upstream)))


def test_an_error_of_the_network_names_the_provider_and_nothing_more(peer: Peer, make: Make, ask: Ask) -> None:
    """G-1: no path, query, address or port."""

    def broken(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(-2, "Name or service not known: ACCESS-1")

    peer.usual = Talk.reset
    upstreams = [make(peer), make(origins={REAL: "http://127.0.0.1:1"}), make(resolve=broken)]
    for upstream in upstreams:
        with pytest.raises(ProviderUnavailable) as caught:
            ask(upstream)
        words = caught.value.detail.split()
        assert words[0] == "provider.example"
        assert not [word for word in words if "/" in word or ":" in word or "?" in word]


def test_what_holds_a_request_does_not_print_it(peer: Peer, upstream: Upstream) -> None:
    """G-1"""
    request = checked("GET", f"{REAL}/x?q=QUERY-1", pins=frozenset({REAL}), over_http=())
    request = request.carrying({"Accept": "QUERY-1"}, Secret("ACCESS-1"), b"REFRESH-1")
    assert repr(request) == (
        "Request(method='GET', origin='https://provider.example', "
        "headers=Headers(Accept, Authorization, Accept-Encoding, User-Agent))"
    )
