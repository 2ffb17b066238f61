"""Runs the fakes: each on a loopback port of its own, threaded, with connections that are kept.

Werkzeug's server as it stands closes each connection; a broker that keeps its own deserves a peer that does too.
"""

import io
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from flask import Flask
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.test import run_wsgi_app

from broker.sandbox import facebook, google, instagram
from broker.sandbox.quirks import BadQuirk

HOST = "127.0.0.1"
MAX_BODY = 1024 * 1024
IDLE = 60.0
"""Seconds after which a kept connection that is not used is closed."""


class Create(Protocol):
    """Makes a fake's application."""

    def __call__(self, *, quirks: Mapping[str, Any] | None = None) -> Flask: ...


@dataclass(frozen=True)
class Played:
    """One provider that the sandbox plays. Its port is the sandbox's first one plus its place in `PLAYED`."""

    name: str
    origins: tuple[str, ...]
    create: Create


PLAYED = (
    Played("google", google.ORIGINS, google.create_google),
    Played("facebook", facebook.ORIGINS, facebook.create_facebook),
    Played("instagram", instagram.ORIGINS, instagram.create_instagram),
)


def origins(base_url: str) -> str:
    """The value of BROKER_ORIGINS for a sandbox whose first port is that of `base_url`."""
    first = urlsplit(base_url)
    return _origins([f"{first.scheme}://{first.hostname}:{(first.port or 80) + place}" for place in range(len(PLAYED))])


def mapped(urls: Mapping[str, str]) -> str:
    """The value of BROKER_ORIGINS for fakes that run apart from each other: address by name."""
    return ",".join(f"{origin}={urls[p.name]}" for p in PLAYED if p.name in urls for origin in p.origins)


def _origins(urls: Sequence[str]) -> str:
    return mapped({played.name: url for played, url in zip(PLAYED, urls, strict=True)})


def serve(
    port: int = 9000,
    ready: Callable[[str], None] | None = None,
    *,
    quirks: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Serve until interrupted; port 0 takes a free one for each provider. `ready` is called once, with the value of
    BROKER_ORIGINS. `quirks`: those on at the start, by provider. Raises `BadQuirk`, and `SystemExit` where a port is
    taken."""
    at_start = quirks or {}
    if unknown := sorted(at_start.keys() - {played.name for played in PLAYED}):
        raise BadQuirk(f"not played here: {', '.join(unknown)}. Played: {', '.join(p.name for p in PLAYED)}")
    running = [
        Running(played.create(quirks=at_start.get(played.name)), port and port + place)
        for place, played in enumerate(PLAYED)
    ]
    try:
        if ready:
            ready(_origins([server.url for server in running]))
        threading.Event().wait()
    except KeyboardInterrupt:
        pass
    finally:
        for server in running:
            server.close()


class Running:
    """A fake that answers at `url` from now until `close`; also a context manager. Port 0 takes a free one."""

    def __init__(self, app: Flask, port: int = 0) -> None:
        self._server = _Server(HOST, port, app, _Handler)
        self.url = f"http://{HOST}:{self._server.port}"
        poll = {"poll_interval": 0.02}
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs=poll, daemon=True, name="sandbox")
        self._thread.start()

    def close(self) -> None:
        """Stop answering, on kept connections too."""
        self._server.shutdown()
        self._thread.join()
        self._server.drop_connections()

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(ThreadedWSGIServer):
    """Knows its open connections, so that it can end them."""

    def __init__(self, *args: Any) -> None:  # noqa: ANN401 - werkzeug's
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def drop_connections(self) -> None:
        with self._open_lock:
            for connection in self._open:
                _shut(connection)


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


class _Handler(WSGIRequestHandler):
    """Reads each body in full and sends each answer with its length: that makes a connection fit to be kept."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = IDLE

    def run_wsgi(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not re.fullmatch(r"[0-9]{1,18}", length) or int(length) > MAX_BODY:
            self.close_connection = True
            self.send_error(413)
            return
        self.environ = environ = self.make_environ()
        orders: dict[str, Any] = {}
        environ["sandbox.orders"] = orders
        environ["wsgi.input"] = io.BytesIO(self.rfile.read(int(length)))
        try:
            body, status, headers = run_wsgi_app(self.server.app, environ, buffered=True)
        except ConnectionResetError:
            self._reset()
            return
        whole = b"".join(body)
        self.send_response(int(status[:3]), status[4:])
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(whole)))
        self.end_headers()
        if self.command != "HEAD":
            self._send(whole, **orders)
        self.wfile.flush()

    def _send(self, body: bytes, *, pace: float = 0.0, cut: bool = False) -> None:
        """`pace`: seconds between one byte and the next. `cut`: lose the connection in the middle."""
        body = body[: len(body) // 2] if cut else body
        for at in range(len(body) if pace else 0):
            self.wfile.write(body[at : at + 1])
            self.wfile.flush()
            time.sleep(pace)
        if not pace:
            self.wfile.write(body)
        if cut:
            self.wfile.flush()
            self._reset()

    def _reset(self) -> None:
        """End the connection without an answer."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002, ANN401 - werkzeug's
        """Quiet: the control interface has the request log."""
