"""A history of what many sync jobs receive while something is revoked, from one thread.

With a thread for each job nobody could tell whether data came after the revocation's answer or were only looked at
after it. Here, whenever the answer is there, everything that had arrived before is taken in first; what arrives then
has been sent too late.
"""

import json
import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from tests.house import SalesApp

CHUNK = 256 * 1024


@dataclass
class Answer:
    """One answer as far as it came. `late`: bytes of its body that came after the revocation's answer; `latest`: how
    many seconds after it the last of them came."""

    status: int
    body: bytes
    length: int
    late: int
    latest: float
    cut: bool

    @property
    def has_late_data(self) -> bool:
        return self.status == 200 and self.late > 0

    @property
    def code(self) -> str:
        return "" if self.cut or self.status == 200 else str(json.loads(self.body).get("code"))


@dataclass
class Wire:
    """One kept connection to a server, and the answers that came over it."""

    url: str
    request: bytes
    answers: list[Answer] = field(default_factory=list)
    receive_buffer: int = 0
    """Bytes that the kernel may keep for a reader that does not read; 0: as usual."""
    _received: bytes = b""
    _late: int = 0
    _latest: float = 0.0

    def __post_init__(self) -> None:
        self._connect()

    @property
    def received(self) -> int:
        """Bytes of the answer that is coming in, its head included."""
        return len(self._received)

    def fileno(self) -> int:
        return self.socket.fileno()

    def ask(self) -> None:
        self.socket.setblocking(True)
        self.socket.sendall(self.request)
        self.socket.setblocking(False)

    def take(self, *, since: float | None, most: int = CHUNK) -> bool:
        """Take in what has arrived, at most `most` bytes; True where an answer is complete or cut. `since`: when the
        revocation was answered, if it was."""
        try:
            got = self.socket.recv(most)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            got = b""
        head_before = len(self._received.partition(b"\r\n\r\n")[2])
        self._received += got
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return not got and self._closed()
        if since is not None and len(body) > head_before:
            self._late += len(body) - head_before
            self._latest = time.monotonic() - since
        status, length = _status_and_length(head)
        if len(body) < length and got:
            return False
        self.answers.append(Answer(status, body, length, self._late, self._latest, cut=len(body) < length))
        self._received, self._late = b"", 0
        return bool(got) or self._closed()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def _connect(self) -> None:
        parts = urlsplit(self.url)
        self.socket = socket.socket()
        if self.receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
        self.socket.connect((parts.hostname, parts.port))
        self.socket.setblocking(False)

    def _closed(self) -> bool:
        self.socket.close()
        self._received, self._late = b"", 0
        self._connect()
        return True


def request(app: SalesApp, method: str, path: str) -> bytes:
    host = urlsplit(app.url).netloc
    return (
        f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {app.bearer}\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def reader(app: SalesApp, connection: str, connector: str = "google_contacts", *, limit: int = 100) -> Wire:
    return Wire(app.url, request(app, "GET", f"/v1/connections/{connection}/records/{connector}?limit={limit}"))


def watch(readers: Sequence[Wire], revoker: Wire, *, after: float, tail: float = 0.3, within: float = 20.0) -> Answer:
    """Let the readers read all the time; revoke `after` seconds from when each has had an answer; read on until each
    was refused and `tail` seconds are over. The revocation's answer; the readers keep theirs."""
    deadline, due, answered_at = time.monotonic() + within, float("inf"), None
    refused: set[int] = set()
    with selectors.DefaultSelector() as selector:
        for wire in readers:
            wire.ask()
            selector.register(wire.fileno(), selectors.EVENT_READ, wire)
        while answered_at is None or len(refused) < len(readers) or time.monotonic() < answered_at + tail:
            assert time.monotonic() < deadline, f"{len(refused)} of {len(readers)} readers were refused"
            if due == float("inf") and all(wire.answers for wire in readers):
                due = time.monotonic() + after
            if time.monotonic() >= due and revoker.fileno() not in selector.get_map():
                due = deadline + 1
                revoker.ask()
                selector.register(revoker.fileno(), selectors.EVENT_READ, revoker)
            ready = [key.data for key, _ in selector.select(0.01)]
            answered = revoker in ready
            for wire in readers if answered else [wire for wire in ready if wire is not revoker]:
                _read(selector, wire, refused, since=answered_at)
            if answered and revoker.take(since=None):
                selector.unregister(revoker.fileno())
                answered_at = time.monotonic()
    return revoker.answers[-1]


def queued(wire: Wire) -> tuple[int, int]:
    """Bytes that lie in the kernel: on the server's side, and on this one (Linux, proc(5), /proc/net/tcp)."""
    ours, theirs = wire.socket.getsockname()[1], wire.socket.getpeername()[1]
    found = {(theirs, ours): 0, (ours, theirs): 0}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        local, remote, queues = (line.split()[place] for place in (1, 2, 4))
        ports = (int(local.split(":")[1], 16), int(remote.split(":")[1], 16))
        if ports in found:
            sending, received = (int(number, 16) for number in queues.split(":"))
            found[ports] = sending if ports[0] == theirs else received
    return found[theirs, ours], found[ours, theirs]


def stands_still(wire: Wire, seconds: float = 0.2) -> bool:
    """Whether the server has filled the kernel's buffers and can write no more."""
    before = queued(wire)
    time.sleep(seconds)
    return before == queued(wire) and before[0] > 0


def _read(selector: selectors.BaseSelector, wire: Wire, refused: set[int], *, since: float | None) -> None:
    """Take in all that is there; ask again where an answer is complete."""
    number = wire.fileno()
    if not wire.take(since=since):
        return
    if wire.answers and wire.answers[-1].status in (403, 410):
        refused.add(id(wire))
    if wire.fileno() != number or number < 0:
        selector.unregister(number)
        selector.register(wire.fileno(), selectors.EVENT_READ, wire)
    wire.ask()


def _status_and_length(head: bytes) -> tuple[int, int]:
    lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), int(headers["content-length"])
