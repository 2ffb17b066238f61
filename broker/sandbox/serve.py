"""Runs the fakes: each on a loopback port of its own, threaded, with connections that are kept.

Werkzeug's server as it stands closes each connection; a broker that keeps its own deserves a peer that does too.
"""

import io
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from flask import Flask
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.test import run_wsgi_app

from broker.sandbox import google

HOST = "127.0.0.1"
MAX_BODY = 1024 * 1024
IDLE = 60.0
"""Seconds after which a kept connection that is not used is closed."""


class Create(Protocol):
    """Makes a fake's application."""

    def __call__(self, *, quirks: Mapping[str, Any] | None = None) -> Flask: ...


@dataclass(frozen=True)
class Fake:
    """One provider that the sandbox plays. Its port is the sandbox's first one plus its place in `FAKES`."""

    name: str
    origins: tuple[str, ...]
    create: Create


FAKES = (Fake("google", google.ORIGINS, google.create_google),)


def origins(base_url: str) -> str:
    """The value of BROKER_ORIGINS for a sandbox whose first port is that of `base_url`."""
    first = urlsplit(base_url)
    pairs = [
        f"{origin}={first.scheme}://{first.hostname}:{(first.port or 80) + place}"
        for place, fake in enumerate(FAKES)
        for origin in fake.origins
    ]
    return ",".join(pairs)


def serve(
    port: int = 9000,
    ready: Callable[[str], None] | None = None,
    *,
    quirks: Mapping[str, Any] | None = None,
) -> None:
    """Serve until interrupted. `ready` is called once, with the value of BROKER_ORIGINS. Raises `BadQuirk`, and
    `SystemExit` where a port is taken."""
    running = [Running(fake.create(quirks=quirks), port + place) for place, fake in enumerate(FAKES)]
    try:
        if ready:
            ready(origins(running[0].url))
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
        if "Transfer-Encoding" in self.headers or not length.isdigit() or int(length) > MAX_BODY:
            self.close_connection = True
            self.send_error(413)
            return
        self.environ = environ = self.make_environ()
        environ["wsgi.input"] = io.BytesIO(self.rfile.read(int(length)))
        try:
            body, status, headers = run_wsgi_app(self.server.app, environ, buffered=True)
        except ConnectionResetError:
            self._reset()
            return
        self.send_response(int(status[:3]), status[4:])
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"".join(body))
        self.wfile.flush()

    def _reset(self) -> None:
        """End the connection without an answer."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002, ANN401 - werkzeug's
        """Quiet: the control interface has the request log."""
