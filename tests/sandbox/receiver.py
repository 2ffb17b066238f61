"""An app's own server, as Meta sees it: it keeps what it is sent."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs


@dataclass
class Sent:
    """One request that came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def signed_request(self, secret: str) -> dict[str, Any] | None:
        """The payload, if its signature is right."""
        signature, payload = parse_qs(self.body.decode())["signed_request"][0].split(".")
        right = hmac.new(secret.encode(), payload.encode(), hashlib.sha256).digest()
        return json.loads(_decoded(payload)) if hmac.compare_digest(_decoded(signature), right) else None


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Receiver:
    url: str
    got: list[Sent] = field(default_factory=list)

    @property
    def last(self) -> Sent:
        return self.got[-1]


@contextmanager
def receiving() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self._keep(self.rfile.read(int(self.headers["Content-Length"])))

        def do_GET(self) -> None:
            self._keep(b"")

        def _keep(self, body: bytes) -> None:
            found.got.append(Sent(self.command, self.path, dict(self.headers), body))
            self.send_response(202)
            self.end_headers()
            self.wfile.write(b"thanks")

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Receiver(f"http://127.0.0.1:{server.server_port}/hooks")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
