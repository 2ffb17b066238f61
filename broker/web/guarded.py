"""Data on their way out: each write to the network relies on a right that was read just now (I2)."""

import json
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from flask import Response, stream_with_context

from broker.connections import use
from broker.connections.use import Standing
from broker.errors import BrokerError
from broker.failpoint import failpoint
from broker.records import RecordsPage
from broker.runtime import Broker
from broker.web import problems

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

CHUNK = 64 * 1024
"""Most data that one read of the state may answer for. As much again, or a little more, may wait in the kernel for a
caller that reads slowly; left to itself it would take in megabytes, which no revocation could call back."""
LONGEST_STREAM = 600.0
"""Seconds after which a stream ends, and says where to go on."""
NDJSON = "application/x-ndjson"

Piece = tuple[Standing, bytes]
"""At most `CHUNK` bytes, and the right on which they rest."""


class Guarded(Response):
    """A JSON document that is handed out while the right to it stands.

    A right that has ended by the time of the first write gives the refusal in its place; one that ends later, an
    answer that breaks off. So the status line waits for the first check, which WSGI allows (PEP 3333).
    """

    def __init__(self, broker: Broker, standing: Standing, document: bytes) -> None:
        super().__init__(mimetype="application/json")
        self.content_length = len(document)
        self._broker, self._standing, self._document = broker, standing, document

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        return stream_with_context(self._written(environ, start_response))

    def _pieces(self) -> Iterator[Piece]:
        for start in range(0, len(self._document), CHUNK):
            yield self._standing, self._document[start : start + CHUNK]

    def _is_large(self) -> bool:
        return len(self._document) > CHUNK

    def _broken_off(self, error: BrokerError) -> bytes:
        """The last bytes where the right has ended in the middle."""
        raise error

    def _written(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterator[bytes]:
        if self._is_large() and "gunicorn.socket" in environ:
            environ["gunicorn.socket"].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, CHUNK)
        headers = self.get_wsgi_headers(environ).to_wsgi_list()
        try:
            standing = use.recent(self._broker, self._standing)
        except BrokerError as error:
            yield from self._refusal(error)(environ, start_response)
            return
        # The first write rests on this check: a second one that failed here would be the server's own bare 500. But for
        # what rests on a later right: it was fetched since.
        start_response(self.status, headers)
        first = True
        for rests_on, piece in self._pieces() if environ["REQUEST_METHOD"] != "HEAD" else ():
            if not first or rests_on is not self._standing:
                try:
                    standing = use.recent(self._broker, max(standing, rests_on, key=lambda right: right.read_at))
                except BrokerError as error:
                    yield self._broken_off(error)
                    return
            first = False
            failpoint("write.checked")
            yield piece

    def _refusal(self, error: BrokerError) -> Response:
        refusal = problems.answered(error)
        for name, value in self.headers.items():
            if name not in ("Content-Type", "Content-Length"):
                refusal.headers.setdefault(name, value)
        return refusal


class Stream(Guarded):
    """Every page of a reading, a record a line, and a last line that says where it ended (contract §4).

    No more than one page is in memory. Whatever ends it, its last line has the cursor of the first page that was not
    sent to the end; without a last line it is incomplete.
    """

    automatically_set_content_length = False

    def __init__(
        self, broker: Broker, first: RecordsPage, cursor: str | None, more: Callable[[str], RecordsPage]
    ) -> None:
        """`cursor`: with which `first` was read. `more` reads the page of a cursor."""
        super().__init__(broker, first.standing, b"")
        self.mimetype = NDJSON
        self.headers.pop("Content-Length")
        self.headers["Broker-Reset"] = "true" if first.body["reset"] else "false"
        self._page, self._cursor, self._more = first, cursor, more
        self._in_a_line = False

    def _is_large(self) -> bool:
        return True

    def _pieces(self) -> Iterator[Piece]:
        until = time.monotonic() + LONGEST_STREAM
        while True:
            yield from self._lines()
            body = self._page.body
            self._cursor = body["next_cursor"]
            if not body["has_more"] or time.monotonic() > until:
                yield self._page.standing, self._last(has_more=body["has_more"])
                return
            try:
                page = self._more(str(self._cursor))
            except BrokerError as error:
                yield self._page.standing, self._broken_off(error)
                return
            if page.body["reset"]:  # a new reading begins: its header must say so
                yield page.standing, self._last(has_more=True)
                return
            self._page = page

    def _lines(self) -> Iterator[Piece]:
        standing, waiting = self._page.standing, b""
        for record in self._page.body["records"]:
            line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
            if waiting and len(waiting) + len(line) > CHUNK:
                yield standing, waiting
                waiting = b""
            waiting += line
            while len(waiting) > CHUNK:
                self._in_a_line = True
                yield standing, waiting[:CHUNK]
                waiting = waiting[CHUNK:]
        if waiting:
            yield standing, waiting
        self._in_a_line = False

    def _last(self, *, has_more: bool, error: BrokerError | None = None) -> bytes:
        body: dict[str, Any] = {
            "next_cursor": self._cursor,
            "has_more": has_more,
            "withheld": self._page.body["withheld"],
        }
        if error:
            body["error"] = problems.document(error)
        return json.dumps(body, ensure_ascii=False).encode() + b"\n"

    def _broken_off(self, error: BrokerError) -> bytes:
        """It holds nothing of the data; in the middle of a record there is no line to end with."""
        return b"" if self._in_a_line else self._last(has_more=True, error=error)
