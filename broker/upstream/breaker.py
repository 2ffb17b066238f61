"""Leaving a failing origin alone (docs/facts/security.md REL-58). Knows nothing of HTTP."""

import math
import threading
from collections.abc import Callable

from broker.errors import ProviderUnavailable

FAILURES = 10
"""Consecutive failures that open it."""
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0


class Breaker:
    """Opens after consecutive failures; after each pause one probe goes through and decides. Thread-safe."""

    def __init__(self, host: str, clock: Callable[[], float]) -> None:
        self._host, self._clock = host, clock
        self._lock = threading.Lock()
        self._failures = 0
        self._pause = FIRST_PAUSE
        self._open_until: float | None = None
        self._probing = False

    def enter(self) -> bool:
        """Whether this is the probe. Each `enter` that returns is followed by one `record`.

        Raises `ProviderUnavailable` (503).
        """
        with self._lock:
            if self._open_until is None:
                return False
            left = self._open_until - self._clock()
            if left > 0 or self._probing:
                raise ProviderUnavailable(
                    f"{self._host} has been failing and is left alone for a moment.",
                    status=503,
                    retry_after=max(1, math.ceil(left)),
                    sent=False,
                )
            self._probing = True
            return True

    def record(self, *, probe: bool, reached: bool | None) -> None:
        """`reached`: the provider answered, whatever it thought of the request; None: nothing is known of it."""
        with self._lock:
            if probe:
                self._probing = False
            if reached:
                self._failures, self._pause, self._open_until = 0, FIRST_PAUSE, None
            elif reached is False:
                self._failed(probe=probe)

    def _failed(self, *, probe: bool) -> None:
        self._failures += 1
        if probe:
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
            self._open_until = self._clock() + self._pause
        elif self._open_until is None and self._failures >= FAILURES:
            self._open_until = self._clock() + self._pause
