"""Before a fake's own code answers: the journal, and the faults of a network and of an overloaded service.

A WSGI layer, so that nothing of Flask softens a fault. What `/_sandbox` does is neither noted nor disturbed.
"""

import io
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from werkzeug.test import run_wsgi_app

from broker.sandbox.fake import Fake
from broker.sandbox.malformed import SPOILED

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HANG = 120.0
"""Seconds after which a hanging answer ends as a lost connection."""

HTML = b"<!doctype html><title>Error</title><h1>Something went wrong</h1><p>Sandbox: this is not the provider.</p>"

Headers = list[tuple[str, str]]


@dataclass(frozen=True)
class Bodies:
    """How a provider words what its overload says."""

    outage: Callable[[str, int], object]
    """By path and status, the JSON of a failure."""
    rate_limit: Callable[[str, Any], tuple[int, object, Headers]]
    """By path and the quirk's value, status, JSON and headers of a refusal for too many calls."""


class Faults:
    """Wraps a fake's WSGI application."""

    def __init__(self, app: "WSGIApplication", fake: Fake, bodies: Bodies) -> None:
        self._app, self._fake, self._bodies = app, fake, bodies

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """What the server itself must do wrong goes into `sandbox.orders`, which it put into `environ`."""
        path, quirks = environ["PATH_INFO"], self._fake.quirks
        if path.startswith("/_sandbox"):
            return self._app(environ, start_response)
        entry, paths = self._fake.journal.opened(environ, _form(environ)), self._fake.names_of(path)

        def start(status: str, headers: Headers, *exc_info: Any) -> Callable[[bytes], object]:  # noqa: ANN401
            entry["status"] = int(status[:3])
            return start_response(status, headers, *exc_info)

        if pace := quirks.take("trickle", *paths):
            environ.get("sandbox.orders", {})["pace"] = pace[0]
        if delay := quirks.take("delay", *paths):
            time.sleep(delay[0])
        if outage := quirks.take("outage", *paths):
            return self._outage(path, outage[0], start)
        if limit := quirks.take("rate_limit", *paths):
            status, body, headers = self._bodies.rate_limit(path, limit[0])
            return _answered(status, body, headers, start)
        if kind := quirks.take("malformed", *paths):
            return _spoiled(self._app, environ, kind[0], start)
        return self._app(environ, start)

    def _outage(self, path: str, kind: int | str, start: "StartResponse") -> Iterable[bytes]:
        """Raises `ConnectionResetError`, which the server takes as an order to drop the connection."""
        if kind == "html":
            start("200 OK", [("Content-Type", "text/html"), ("Content-Length", str(len(HTML)))])
            return [HTML]
        if kind == "hang":
            self._fake.quirks.wait_for_change(HANG)
        if isinstance(kind, str):
            raise ConnectionResetError("a fault that was asked for")
        headers = [("Location", "/elsewhere")] if kind < 400 else []
        return _answered(kind, self._bodies.outage(path, kind), headers, start)


def _form(environ: "WSGIEnvironment") -> bytes:
    """The body of a form, left in place for whoever reads it next."""
    if environ["REQUEST_METHOD"] != "POST" or "form" not in environ.get("CONTENT_TYPE", ""):
        return b""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return bytes(body)


def _spoiled(app: "WSGIApplication", environ: "WSGIEnvironment", kind: str, start: "StartResponse") -> Iterable[bytes]:
    """The true answer with its true status, made unreadable."""
    pieces, status, given = run_wsgi_app(app, environ, buffered=True)
    body = SPOILED[kind](b"".join(pieces))
    headers = [(name, value) for name, value in given if name != "Content-Length"]
    if kind == "bomb":
        headers.append(("Content-Encoding", "gzip"))
    environ.get("sandbox.orders", {})["cut"] = kind == "cut"
    start(status, [*headers, ("Content-Length", str(len(body)))])
    return [body]


def _answered(status: int, body: object, headers: Headers, start: "StartResponse") -> Iterable[bytes]:
    text = json.dumps(body).encode()
    fixed = [("Content-Type", "application/json; charset=UTF-8"), ("Content-Length", str(len(text)))]
    start(f"{status} Fault", [*fixed, *headers])
    return [text]
