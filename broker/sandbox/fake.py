"""What every fake has, whatever it plays: one lock, a clock that can be moved, quirks, a journal of its requests."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask, current_app

from broker.sandbox.journal import Journal
from broker.sandbox.quirks import Known, Quirks

TEMPLATES = "broker.sandbox"
"""The package beside which the pages of all fakes lie."""


class Fake:
    """One provider that is played. Whoever reads or changes more than quirks and journal holds `lock`."""

    def __init__(self, *, clock: Callable[[], float], known: Mapping[str, Known], quirks: Mapping[str, Any]) -> None:
        """`clock`: seconds since 1970. Raises `BadQuirk`."""
        self.lock = threading.RLock()
        self._clock = clock
        self._moved = 0.0
        self.quirks = Quirks(self.lock, known, quirks)
        self.journal = Journal(self.lock, self.clock)

    def clock(self) -> float:
        """Now, in seconds since 1970, as far ahead as it was moved."""
        return self._clock() + self._moved

    def advance(self, seconds: float) -> None:
        """Let time pass at this provider."""
        with self.lock:
            self._moved += seconds

    def reset(self) -> None:
        """As at the start."""
        with self.lock:
            self._moved = 0.0
            self.quirks.reset()
            self.journal.clear()
            self.start()

    def names_of(self, path: str) -> tuple[str, ...]:
        """Under which a quirk may name a path, beside itself: a provider with versions in its paths adds the one
        without."""
        return (path,)

    def start(self) -> None:
        """Forget what callers caused, but not what others may have cached, such as signing keys."""
        raise NotImplementedError

    def described(self) -> dict[str, Any]:
        """What `/_sandbox/state` tells, beside requests and quirks. Called under the lock."""
        raise NotImplementedError


def installed(app: Flask, fake: Fake) -> Flask:
    """`app` answers for `fake` from now on."""
    app.config["MAX_CONTENT_LENGTH"] = 1024 * 1024
    app.extensions["fake"] = fake
    return app


def current() -> Fake:
    """The fake that answers this request."""
    fake: Fake = current_app.extensions["fake"]
    return fake
