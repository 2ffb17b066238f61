"""A provider that does nothing but answer: one page of contacts, keep-alive, at once or after a while.

python -m tests.bench.upstream PORT SECONDS
"""

import asyncio
import json
import sys

PEOPLE = 3


def page() -> bytes:
    """A page of the People API of some 2 KB (docs/facts/google.md §5.2)."""
    return json.dumps({"connections": [_person(n) for n in range(PEOPLE)], "totalPeople": PEOPLE}).encode()


def _person(number: int) -> dict[str, object]:
    source = {"type": "CONTACT", "id": f"{number:016x}", "updateTime": "2026-11-01T08:00:00Z"}
    metadata = {"primary": True, "source": {"type": "CONTACT", "id": source["id"]}}
    name = {"displayName": f"Sari Wulandari {number}", "givenName": "Sari", "familyName": f"Wulandari {number}"}
    return {
        "resourceName": f"people/c{number:019d}",
        "etag": f"%EgUBAj03LhoEAQIFByIMb{number:08d}=",
        "metadata": {"sources": [source], "objectType": "PERSON"},
        "names": [
            {"metadata": metadata, "displayName": name, "givenName": "Sari", "familyName": f"Wulandari {number}"}
        ],
        "emailAddresses": [{"metadata": metadata, "value": f"sari{number}@example.com", "type": "work"}],
    }


class _Answering(asyncio.Protocol):
    """HTTP/1.1 as far as a benchmark needs it: requests without a body."""

    def __init__(self, answer: bytes, delay: float) -> None:
        self.answer, self.delay, self.received = answer, delay, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        *requests, self.received = (self.received + data).split(b"\r\n\r\n")
        for _ in requests:
            if self.delay:
                asyncio.get_running_loop().call_later(self.delay, self.transport.write, self.answer)
            else:
                self.transport.write(self.answer)


async def _serve(port: int, delay: float) -> None:
    body = page()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=UTF-8\r\nContent-Length: {len(body)}\r\n\r\n"
    answer = head.encode() + body
    server = await asyncio.get_running_loop().create_server(
        lambda: _Answering(answer, delay), "127.0.0.1", port, backlog=1024
    )
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2])))
