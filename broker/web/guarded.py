"""Data on their way out: each write to the network relies on a right that was read just now (I2)."""

import socket
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from flask import Response, stream_with_context

from broker.connections import use
from broker.connections.use import Standing
from broker.errors import BrokerError
from broker.failpoint import failpoint
from broker.runtime import Broker
from broker.web import problems

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

CHUNK = 64 * 1024
"""Most data that one read of the state may answer for. As much again, or a little more, may wait in the kernel for a
caller that reads slowly; left to itself it would take in megabytes, which no revocation could call back."""


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

    def _written(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterator[bytes]:
        length = len(self._document) if environ["REQUEST_METHOD"] != "HEAD" else 0
        if length > CHUNK and "gunicorn.socket" in environ:
            environ["gunicorn.socket"].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, CHUNK)
        headers = self.get_wsgi_headers(environ).to_wsgi_list()
        try:
            standing = use.recent(self._broker, self._standing)
        except BrokerError as error:
            yield from self._refusal(error)(environ, start_response)
            return
        # The first write rests on this check: a second one that failed here would be the server's own bare 500.
        start_response(self.status, headers)
        for start in range(0, length, CHUNK):
            if start:
                standing = use.recent(self._broker, standing)
            failpoint("write.checked")
            yield self._document[start : start + CHUNK]

    def _refusal(self, error: BrokerError) -> Response:
        refusal = problems.answered(error)
        for name, value in self.headers.items():
            if name not in ("Content-Type", "Content-Length"):
                refusal.headers.setdefault(name, value)
        return refusal
