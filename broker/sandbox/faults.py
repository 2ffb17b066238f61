"""Before Google's own code answers: the request log, and the faults of a network and of an overloaded service.

A WSGI layer, so that nothing of Flask softens a fault. What `/_sandbox` does is neither logged nor disturbed.
"""

import io
import json
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from broker.sandbox import envelopes

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from broker.sandbox.state import Google

HANG = 120.0
"""Seconds after which a hanging answer ends as a lost connection."""

HTML = b"<!doctype html><title>Error</title><h1>Something went wrong</h1><p>Sandbox: this is not Google.</p>"


class Faults:
    """Wraps the fake's WSGI application."""

    def __init__(self, app: "WSGIApplication", google: "Google") -> None:
        self._app = app
        self._google = google

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith("/_sandbox"):
            return self._app(environ, start_response)
        entry = self._logged(environ)

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Callable[[bytes], object]:  # noqa: ANN401
            entry["status"] = int(status[:3])
            return start_response(status, headers, *exc_info)

        if delay := self._google.quirks.for_path("delay", path):
            time.sleep(delay[0])
        return self._fault(path, start) or self._app(environ, start)

    def _logged(self, environ: "WSGIEnvironment") -> dict[str, Any]:
        entry = {
            "method": environ["REQUEST_METHOD"],
            "path": environ["PATH_INFO"],
            "query": environ.get("QUERY_STRING", ""),
            "status": None,
        }
        if entry["method"] == "POST" and entry["path"] == "/token":
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = io.BytesIO(body)
            entry["grant_type"] = parse_qs(body.decode("latin-1")).get("grant_type", [None])[0]
        self._google.log(entry)
        return entry

    def _fault(self, path: str, start: "StartResponse") -> Iterable[bytes] | None:
        if outage := self._google.quirks.for_path("outage", path):
            return self._outage(path, outage[0], start)
        if limit := self._google.quirks.for_path("rate_limit", path):
            return _rate_limited(path, limit[0], start)
        return None

    def _outage(self, path: str, kind: int | str, start: "StartResponse") -> Iterable[bytes]:
        """Raises `ConnectionResetError`, which the server takes as an order to drop the connection."""
        if kind == "html":
            start("200 OK", [("Content-Type", "text/html"), ("Content-Length", str(len(HTML)))])
            return [HTML]
        if kind == "hang":
            self._google.quirks.wait_for_change(HANG)
        if isinstance(kind, str):
            raise ConnectionResetError("a fault that was asked for")
        body = {"error": "internal_failure"} if path == "/token" else envelopes.outage(kind)
        return _answered(kind, body, {}, start)


def _rate_limited(path: str, limit: Any, start: "StartResponse") -> Iterable[bytes]:  # noqa: ANN401 - any JSON
    """Calendar speaks the older envelope by itself, with 403; the others the newer, with 429 (§5.3, §5.8)."""
    given = limit if isinstance(limit, dict) else {"retry_after": limit}
    older = given.get("envelope", "errors" if path.startswith("/calendar/") else "details") == "errors"
    status = given.get("status", 403 if older else 429)
    body = envelopes.rate_limit_older(status) if older else envelopes.rate_limit_newer(status)
    after = given.get("retry_after")
    return _answered(status, body, {} if after is None else {"Retry-After": str(after)}, start)


def _answered(status: int, body: object, headers: dict[str, str], start: "StartResponse") -> Iterable[bytes]:
    text = json.dumps(body).encode()
    fixed = [("Content-Type", "application/json; charset=UTF-8"), ("Content-Length", str(len(text)))]
    start(f"{status} Fault", [*fixed, *headers.items()])
    return [text]
