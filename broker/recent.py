"""Recent: what was read from the database a moment ago, for the requests of one process that come together.

Readings of the same thing by many threads are one reading: who asks while it is under way waits for it, and who asks
soon after gets its value, together with when it began. How old a value may be, the caller says each time: for a state
on which data are handed out that is L of invariant I2 (`broker.connections.use`). A change that this process itself
commits is never hidden by an older value.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

V = TypeVar("V")
Key = tuple[Hashable, ...]

KEPT = 1.0
"""Seconds after which a value is dropped from memory when another one comes."""
MOST = 10_000


class _Reading:
    """One reading: under way while its lock is held; `value` is empty where it failed."""

    __slots__ = ("began", "lock", "value")

    def __init__(self, began: float) -> None:
        self.began = began
        self.lock = threading.Lock()
        self.lock.acquire()
        self.value: tuple[()] | tuple[Any] = ()


class Recent:
    """One a process; safe among threads. `monotonic`: seconds."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._readings: OrderedDict[Key, _Reading] = OrderedDict()
        self._dropped = float("-inf")

    def get(self, key: Key, read: Callable[[], V], *, age: float) -> tuple[float, V]:
        """When the reading began, at most `age` seconds ago, and its value. Raises what `read` raises: a failure is
        its caller's own, and is not kept."""
        while True:
            with self._lock:
                reading = self._readings.get(key)
                if mine := reading is None or not self._counts(reading, age):
                    reading = self._begin(key)
            if mine:
                return self._read(key, reading, read)
            if not reading.value:
                with reading.lock:  # until it is no longer under way
                    pass
            if reading.value and self._counts(reading, age):
                return reading.began, reading.value[0]

    def drop(self) -> None:
        """Rely on nothing that was read so far, or is just being read: this process has changed something."""
        self._dropped = self._monotonic()

    def has_changed_since(self, began: float) -> bool:
        """Whether this process has changed something since a reading that began then."""
        return began <= self._dropped

    def _counts(self, reading: _Reading, age: float) -> bool:
        return self._dropped < reading.began >= self._monotonic() - min(age, KEPT)

    def _begin(self, key: Key) -> _Reading:
        """Put in a new reading, and drop what is old: the oldest stand first."""
        now = self._monotonic()
        self._readings[key] = reading = _Reading(now)
        self._readings.move_to_end(key)
        oldest = next(iter(self._readings.values()))
        while now - oldest.began > KEPT or len(self._readings) > MOST:
            self._readings.popitem(last=False)
            oldest = next(iter(self._readings.values()))
        return reading

    def _read(self, key: Key, reading: _Reading, read: Callable[[], V]) -> tuple[float, V]:
        try:
            value = read()
            reading.value = (value,)
            return reading.began, value
        finally:
            if not reading.value:
                with self._lock:
                    if self._readings.get(key) is reading:
                        del self._readings[key]
            reading.lock.release()
