"""What tests of the vault do and look at: keys, places, a key service that can fail, sealing and opening."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from broker.db import Database
from broker.errors import Unavailable
from broker.models import ConnectionKey, TenantKey
from broker.vault import KeyRing, Undecryptable, Vault
from tests.vault.tpb1_reference import entry

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
MINE: dict[str, Any] = {"tenant": "acme", "connection": "con_1"}
PLACE: dict[str, Any] = {**MINE, "column": "refresh_token", "version": 7}
TABLES = (TenantKey.__table__, ConnectionKey.__table__)
K1, K2 = entry("k1", b"KEK-1"), entry("k2", b"KEK-2")


class Source(KeyRing):
    """A key service that counts, and can be out of reach or answer nonsense."""

    __slots__ = ("answer", "down", "overtaken_by", "unwraps")

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.unwraps, self.down = 0, False
        self.answer: bytes | None = None
        self.overtaken_by: Callable[[], None] | None = None

    def unwrap(self, kid: str, blob: bytes, context: bytes) -> bytes:
        self.unwraps += 1
        if self.down:
            raise Unavailable("The key service did not answer.")
        return super().unwrap(kid, blob, context) if self.answer is None else self.answer

    def wrap(self, plaintext: bytes, context: bytes) -> tuple[str, bytes]:
        if self.overtaken_by:
            overtake, self.overtaken_by = self.overtaken_by, None
            overtake()
        return super().wrap(plaintext, context)


def vault_with(*entries: str) -> Vault:
    """Another process of the broker, with these keys."""
    return Vault(KeyRing.parse(" ".join(entries)), clock=lambda: NOON)


def sealed(database: Database, vault: Vault, **place: Any) -> bytes:
    """A new connection's sealed token."""
    place = {**PLACE, **place}
    with database.write() as keys:
        vault.new_key(keys, tenant=place["tenant"], connection=place["connection"])
        return vault.seal(keys, plaintext=b"REFRESH-1", **place)


def opened(database: Database, vault: Vault, blob: bytes, **place: Any) -> bytes:
    with database.read() as keys:
        return vault.open(keys, blob=blob, **{**PLACE, **place})


def refused(database: Database, vault: Vault, blob: bytes, **place: Any) -> str:
    with pytest.raises(Undecryptable) as caught:
        opened(database, vault, blob, **place)
    return caught.value.reason


def rewrapped(keys: Session, vault: Vault, tenant: str = "acme") -> int:
    """How many of a tenant's keys were not yet under the primary key encryption key."""
    ids = keys.scalars(select(TenantKey.tk_id).filter_by(tenant=tenant)).all()
    return sum(vault.rewrap_tenant_key(keys, tenant=tenant, tk_id=tk_id) for tk_id in ids)


def count(database: Database, table: Any) -> int:
    with database.read() as keys:
        return keys.scalar(select(func.count()).select_from(table)) or 0


def check(database: Database, vault: Vault) -> None:
    with database.write() as keys:
        vault.check_keys(keys)


def index_of(vault: Vault, keys: Session, **changed: str) -> bytes:
    return vault.blind_index(keys, **{"provider": "google", "client_id": "client-1", "value": "sub-1", **changed})
