"""One exchange on a connection: every socket operation within its deadline, every byte counted before it is
kept.

urllib3 parses HTTP and pools connections; what it is given to read from and write to is a `Line`, which asks
the current `Exchange` before each operation. So a peer that drips bytes (docs/facts/security.md REL-44) or
never stops (REL-46) ends the exchange, whatever parser stands above, and no watchdog thread is needed.
"""

import contextvars
import http.client
import io
import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, cast

import urllib3.connection
from urllib3.util.response import assert_header_parsing

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from broker.upstream.dial import Dialer

HEAD_LIMIT = 64 * 1024
"""Bytes of status line and headers (REL-48)."""
READ = 16 * 1024


LOUD = frozenset({"oauthlib", "requests", "requests_oauthlib", "urllib3"})
"""At DEBUG these log tokens, codes and secrets; urllib3 logs a URL's query even at WARNING (G-1)."""


def quieten() -> None:
    """Silence them below ERROR. A level may be lowered again by whoever sets up logging; a filter stays."""
    for name in LOUD:
        logging.getLogger(name).setLevel(logging.ERROR)
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in LOUD:
            logging.getLogger(name).addFilter(_is_error)


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR


class Exchange:
    """One request and its answer: what time and bytes are left, how far it came, what it did wrong."""

    def __init__(self, *, seconds: float, max_bytes: int, fresh: bool, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.seconds = seconds
        self._ends = clock() + seconds
        self.max_bytes = max_bytes
        self.fresh = fresh
        """It must not ride on a connection that was used before."""
        self.reused = self.sent = self.answered = False
        """Whether the connection was used before; bytes may have left; a byte came back."""
        self.reached = False
        """Whether the provider works, as far as its breaker is concerned."""
        self.problem: str | None = None
        self._readable = HEAD_LIMIT

    def remaining(self) -> float:
        """Seconds left, above 0. Raises `TimeoutError`."""
        left = self._ends - self._clock()
        if left <= 0:
            raise TimeoutError
        return left

    def is_over(self) -> bool:
        return self._clock() >= self._ends

    def fault(self, problem: str) -> OSError:
        """Note what the provider did; returns what to raise."""
        self.problem = self.problem or problem
        return ConnectionAbortedError(problem)

    def received(self, count: int) -> None:
        """Raises `OSError` once the peer sent more than an answer within its caps can take."""
        self.answered = self.answered or count > 0
        self._readable -= count
        if self._readable < 0:
            raise self.fault("sent more than it may")

    def head_is_read(self) -> None:
        """The parser has the headers. Chunked framing may take as much again as the body itself."""
        self._readable = 2 * self.max_bytes + HEAD_LIMIT

    def again(self) -> None:
        """Once more, on a new connection, with what is left of the deadline. What may have left stays `sent`."""
        self.fresh = True
        self._readable = HEAD_LIMIT


CURRENT: contextvars.ContextVar[Exchange] = contextvars.ContextVar("exchange")
"""urllib3's pool hands nothing of ours to the connection it picks; the exchange reaches it this way."""


class Line:
    """A connected socket, as http.client uses one, under the deadline and caps of the exchange it now
    serves.
    """

    def __init__(self, sock: socket.socket, exchange: Exchange) -> None:
        self._sock = sock
        self.exchange = exchange
        self.spoilt = False
        """Something came after an answer's end: the next exchange would read it as its own (REL-56)."""
        self._readers = 0
        self._closing = False

    def makefile(self, *_: object) -> "Reader":
        self._readers += 1
        return Reader(self)

    def receive(self, buffer: "WriteableBuffer") -> int:
        self._sock.settimeout(self.exchange.remaining())
        count = self._sock.recv_into(buffer)
        self.exchange.received(count)
        return count

    def sendall(self, data: bytes) -> None:
        self.exchange.sent = True
        rest = memoryview(data)
        while rest:
            self._sock.settimeout(self.exchange.remaining())
            rest = rest[self._sock.send(rest) :]

    def is_clean(self) -> bool:
        """Whether nothing of an earlier exchange is left, in our buffer or in the TLS layer's."""
        pending = getattr(self._sock, "pending", lambda: 0)
        return not self.spoilt and not pending()

    def reader_closed(self, *, left_over: bool) -> None:
        self.spoilt = self.spoilt or left_over
        self._readers -= 1
        self._close_if_done()

    def close(self) -> None:
        """As with a socket's own files, an open reader keeps the socket."""
        self._closing = True
        self._close_if_done()

    def _close_if_done(self) -> None:
        if self._closing and self._readers <= 0:
            self._sock.close()

    def settimeout(self, _: float | None) -> None:
        """Each operation sets its own."""

    def fileno(self) -> int:
        return self._sock.fileno()


class _Received(io.RawIOBase):
    def __init__(self, line: Line) -> None:
        self._line = line
        self.ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        return 0 if self.ended else self._line.receive(buffer)


class Reader(io.BufferedReader):
    """What one answer is read from; when closed it knows whether more had come than was read."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self._received = _Received(line)
        super().__init__(self._received, READ)

    def close(self) -> None:
        if not self.closed:
            self._received.ended = True
            self.line.reader_closed(left_over=bool(self.peek(1)))
        super().close()


class _Response(http.client.HTTPResponse):
    def begin(self) -> None:
        super().begin()
        # Before urllib3 finds the same defects and logs the URL with them.
        assert_header_parsing(self.msg)
        cast(Reader, self.fp).line.exchange.head_is_read()


class Connection(urllib3.connection.HTTPConnection):
    """A connection of urllib3's pool that dials and reads as its current exchange allows."""

    def __init__(self, *args: Any, dialer: "Dialer", **kwargs: Any) -> None:  # noqa: ANN401 - passed on
        super().__init__(*args, **kwargs)
        self.response_class = _Response
        self._dialer = dialer

    @property
    def _line(self) -> Line | None:
        return cast("Line | None", self.sock)

    def connect(self) -> None:
        exchange = CURRENT.get()
        try:
            self.sock = cast(socket.socket, Line(self._dialer.dial(exchange), exchange))
        except ConnectionError as error:
            # Without an errno: urllib3 would take a reset for a request that was cut short.
            raise OSError(type(error).__name__) from None

    @property
    def is_connected(self) -> bool:
        return self._line is not None and self._line.is_clean() and super().is_connected

    def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on
        exchange = CURRENT.get()
        if exchange.fresh:
            self.close()
        if self._line is not None:
            exchange.reused, self._line.exchange = True, exchange
        super().request(*args, **kwargs)


class TLSConnection(Connection):
    default_port: ClassVar[int] = 443  # type: ignore[misc]
