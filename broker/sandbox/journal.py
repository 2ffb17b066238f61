"""What a fake was asked: kept so that a test can prove that a provider was called once, or not at all."""

import threading
from collections import Counter, deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from flask import request

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

KEPT = 10_000
"""Requests of which the details are kept; the counts are of all."""

Entry = dict[str, Any]


class Journal:
    """Requests in order, and how many there were of each method and path. Thread-safe; `lock` is the fake's."""

    def __init__(self, lock: threading.RLock, clock: Callable[[], float]) -> None:
        self._lock, self._clock = lock, clock
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._counts: Counter[str] = Counter()
        self._number = 0

    def opened(self, environ: "WSGIEnvironment", form: bytes) -> Entry:
        """The entry of a request that begins. Members that are not yet known are None: who learns one uses `note`."""
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        with self._lock:
            self._number += 1
            entry: Entry = {
                "n": self._number,
                "at": self._clock(),
                "method": method,
                "path": path,
                "query": environ.get("QUERY_STRING", ""),
                "status": None,
                "grant_type": parse_qs(form.decode("latin-1")).get("grant_type", [None])[0],
                "client": None,
                "account": None,
                "token": None,
            }
            self._entries.append(entry)
            self._counts[f"{method} {path}"] += 1
        environ["sandbox.entry"] = entry
        return entry

    def entries(self, path: str = "", method: str = "", since: int = 0) -> list[Entry]:
        """Copies, by the beginning of the path, after number `since`."""
        with self._lock:
            return [
                dict(entry)
                for entry in self._entries
                if entry["n"] > since and entry["path"].startswith(path) and method in ("", entry["method"])
            ]

    def counts(self) -> dict[str, int]:
        """Of all requests since the start: {"POST /token": 2}."""
        with self._lock:
            return dict(self._counts)

    @property
    def last(self) -> int:
        """The number of the newest request."""
        return self._number

    def clear(self) -> None:
        """The numbers go on, so that one seen before a clearing never comes again."""
        with self._lock:
            self._entries.clear()
            self._counts.clear()


def note(**members: str | None) -> None:
    """Write into the entry of the current request what became known of it."""
    entry = request.environ.get("sandbox.entry", {})
    assert members.keys() <= entry.keys() or not entry, members  # noqa: S101 - a slip of ours
    entry.update(members)
