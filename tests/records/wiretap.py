"""A tap on the wire between the broker and the fake Google: every byte that the broker sends, as it was sent."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Wiretap:
    """Listens at `url` and passes on to another address of this machine."""

    url: str
    sent: bytearray = field(default_factory=bytearray)

    def requests(self) -> list[list[str]]:
        """The lines of each request's head, in order."""
        heads = bytes(self.sent).decode("ascii").split("\r\n\r\n")
        return [head.split("\r\n") for head in heads if head]


@contextmanager
def tapped(target: str) -> Iterator[Wiretap]:
    there = urlsplit(target)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        tap = Wiretap(f"http://127.0.0.1:{listening.getsockname()[1]}")
        accepting = threading.Thread(target=_accept, args=(listening, (there.hostname, there.port), tap), daemon=True)
        accepting.start()
        try:
            yield tap
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            accepting.join(5)


def _accept(listening: socket.socket, there: tuple[str | None, int | None], tap: Wiretap) -> None:
    open_sockets: list[socket.socket] = []
    while True:
        try:
            near, _ = listening.accept()
        except OSError:
            break
        far = socket.create_connection(there)  # type: ignore[arg-type]
        open_sockets += [near, far]
        for source, sink, noted in ((near, far, tap.sent), (far, near, None)):
            threading.Thread(target=_pump, args=(source, sink, noted), daemon=True).start()
    for opened in open_sockets:
        opened.close()


def _pump(source: socket.socket, sink: socket.socket, noted: bytearray | None) -> None:
    try:
        while data := source.recv(65536):
            if noted is not None:
                noted += data
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return
