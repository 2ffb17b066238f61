"""Everything the fake Google remembers, under one lock. No rule of Google's stands here."""

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from flask import current_app

from broker.sandbox.grants import Grants
from broker.sandbox.id_tokens import Keys
from broker.sandbox.listing import Listings
from broker.sandbox.quirks import Quirks
from broker.sandbox.seed import Account

LOGGED = 10_000
"""Requests that the log keeps."""

SYNC_TOKEN_LIFETIME = 7 * 24 * 3600
"""Seconds from the full reading (docs/facts/google.md §5.2)."""


class Google:
    """One fake Google. Whoever reads or changes more than the quirks holds `lock`."""

    def __init__(
        self,
        *,
        accounts: Sequence[Account],
        clock: Callable[[], float],
        clients: Mapping[str, str] | None,
        projects: Mapping[str, str],
        quirks: Mapping[str, Any],
    ) -> None:
        """Raises `BadQuirk`."""
        self.lock = threading.RLock()
        self.clock = clock
        self.clients = clients
        """Client id → secret; None: whoever asks is a client."""
        self.keys = Keys()
        self.quirks = Quirks(self.lock, quirks)
        self._projects = projects
        self._accounts = tuple(accounts)
        self._start()

    def reset(self) -> None:
        """As at the start, but for the signing keys, which others have cached."""
        with self.lock:
            self.quirks.reset()
            self._start()

    def _start(self) -> None:
        self.accounts = {account.sub: account for account in map(Account.copy, self._accounts)}
        self.grants = Grants(self.clock, self.quirks, self.project_of)
        self.listings = Listings(self.clock, SYNC_TOKEN_LIFETIME)
        self.requests: deque[dict[str, Any]] = deque(maxlen=LOGGED)

    def project_of(self, client: str) -> str:
        """The Cloud project of a client: its own, unless the start said otherwise."""
        return self._projects.get(client, client)

    def account(self, name: str | None) -> Account | None:
        """By `sub` or e-mail address."""
        found = (a for a in self.accounts.values() if name and name in (a.sub, a.email))
        return next(found, None)

    def log(self, entry: dict[str, Any]) -> None:
        """Keep a request; its status is written into `entry` once known."""
        with self.lock:
            self.requests.append(entry)


def google() -> Google:
    """The fake that answers this request."""
    return cast(Google, current_app.extensions["google"])
