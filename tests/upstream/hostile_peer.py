"""A provider that misbehaves on command: raw sockets on 127.0.0.1, one script per request."""

import contextlib
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Script = Callable[["Talk"], None]


@dataclass
class Talk:
    """One request as it came, and what to do about it."""

    sock: socket.socket
    request: bytes
    stopped: threading.Event

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def drip(self, data: bytes, every: float) -> None:
        for place in range(len(data)):
            self.send(data[place : place + 1])
            if self.stopped.wait(every):
                return

    def hold(self, seconds: float = 30.0) -> None:
        self.stopped.wait(seconds)

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def end(self) -> None:
        self.sock.close()


@dataclass
class Peer:
    """Answers request after request with `scripts`, then with `usual`."""

    tls: ssl.SSLContext | None = None
    scripts: list[Script] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self) -> None:
        self.usual: Script = says(200, {"hello": "world"})
        self.on_connect: Callable[[socket.socket, threading.Event], None] | None = None
        self.stopped = threading.Event()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)

    @property
    def origin(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def targets(self) -> list[str]:
        return [request.split(b" ")[1].decode() for request in self.requests]

    def will(self, *scripts: Script) -> "Peer":
        self.scripts += scripts
        return self

    def close(self) -> None:
        """May be called twice."""
        self.stopped.set()
        self.stop_listening()
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def wait_until_all_are_closed(self) -> None:
        """Until no connection is open on this side any more; on loopback that is when the other side can see it."""
        ends = time.monotonic() + 5
        while self._open and time.monotonic() < ends:
            time.sleep(0.002)
        assert not self._open

    def stop_listening(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _start(self, what: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=what, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.add(sock)
            self._start(self._serve, sock)

    def _serve(self, plain: socket.socket) -> None:
        sock = plain
        try:
            if self.on_connect:
                self.on_connect(plain, self.stopped)
            if self.tls:
                sock = self.tls.wrap_socket(plain, server_side=True)
                self._open.add(sock)
            while request := read_request(sock):
                self.requests.append(request)
                script = self.scripts.pop(0) if self.scripts else self.usual
                script(Talk(sock, request, self.stopped))
        except (OSError, ValueError):
            pass
        finally:
            sock.close()
            plain.close()
            self._open -= {plain, sock}


def read_request(sock: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    while len(body) < _content_length(head):
        body += sock.recv(65536)
    return head + b"\r\n\r\n" + body


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def message(status: int, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def says(status: int, document: object, *headers: str) -> Script:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return lambda talk: talk.send(message(status, body, "Content-Type: application/json", *headers))


def sends(raw: bytes) -> Script:
    """Bytes as they are, then the end of the connection."""

    def script(talk: Talk) -> None:
        talk.send(raw)
        talk.sock.shutdown(socket.SHUT_WR)
        talk.hold(0.05)
        talk.end()

    return script
