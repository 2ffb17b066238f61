"""Unwrapped tenant keys, for minutes, and the count of unwrappings."""

import logging
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from broker.secret import SecretBytes
from broker.vault.rows import TenantRow

REMEMBERED, REMEMBERED_FOR = 1024, 300.0
"""Unwrapped tenant keys kept in a process, and for how many seconds at most (docs/facts/security.md §4.2.5)."""
UNWRAPS_A_MINUTE = 2 * REMEMBERED
"""More in a process than filling its memory twice: it walks through the tenants, or the memory is too small."""

log = logging.getLogger(__name__)


class Unwrapped:
    """Unwrapped tenant keys by all that they were unwrapped from, so that a changed row is never answered for.

    Safe among threads. `monotonic`: seconds.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = Lock()
        self._kept: OrderedDict[tuple[str, TenantRow], tuple[float, SecretBytes]] = OrderedDict()
        self._since, self._unwraps = monotonic(), 0

    def get(self, tenant: str, row: TenantRow) -> SecretBytes | None:
        """The key; None where it must be unwrapped, which counts as one unwrapping."""
        now = self._monotonic()
        with self._lock:
            until, key = self._kept.get((tenant, row), (0.0, None))
            if key is None or until <= now:
                self._kept.pop((tenant, row), None)
                self._count(now)
                return None
            self._kept.move_to_end((tenant, row))
            return key

    def put(self, tenant: str, row: TenantRow, key: SecretBytes) -> None:
        now = self._monotonic()
        with self._lock:
            for name in [name for name, (until, _) in self._kept.items() if until <= now]:
                del self._kept[name]
            self._kept[tenant, row] = (now + REMEMBERED_FOR, key)
            while len(self._kept) > REMEMBERED:
                self._kept.popitem(last=False)

    def drop(self, tenant: str | None = None) -> None:
        """Forget a tenant's keys, or all."""
        with self._lock:
            for name in [name for name in self._kept if tenant in (None, name[0])]:
                del self._kept[name]

    def _count(self, now: float) -> None:
        """Tell, once in a minute, of more unwrappings than a broker in service needs (CRY-17)."""
        if now >= self._since + 60.0:
            self._since, self._unwraps = now, 0
        self._unwraps += 1
        if self._unwraps == UNWRAPS_A_MINUTE + 1:
            log.warning("more than %d tenant keys were unwrapped within a minute", UNWRAPS_A_MINUTE)
