"""The key tables: check values of key encryption keys, tenants' keys, connections' keys. Nothing is encrypted here."""

import hmac
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection as DatabaseConnection
from sqlalchemy import and_, bindparam, func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.dml import Insert

from broker.errors import ConfigurationError
from broker.keyring import KeySource
from broker.models import ConnectionKey, KeyCheck, TenantKey

ROOT = "*"
"""The reserved tenant, the broker itself: its key is the root of the blind indexes."""


# --- check values --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class KeyStatus:
    """A key encryption key that wraps nothing and is not primary can be retired (docs/facts/security.md §4.2.7)."""

    kid: str
    primary: bool
    held: bool
    """Whether this process can unwrap with it."""
    genuine: bool
    """Whether it is the key that was first used under this id; False too where it is not held."""
    tenant_keys: int
    """How many it wraps."""

    @property
    def state(self) -> str:
        """seals | opens | wrong | missing"""
        if self.held and self.genuine:
            return "seals" if self.primary else "opens"
        return "wrong" if self.held else "missing"


def key_status(database: DatabaseConnection, source: KeySource) -> list[KeyStatus]:
    """Each key encryption key that is held or wraps something, by id."""
    held, primary = source.check_values(), source.primary
    recorded, wraps = _recorded(database), _wraps(database)
    return [
        KeyStatus(
            kid,
            primary=kid == primary,
            held=kid in held,
            genuine=kid in held and hmac.compare_digest(held[kid], recorded.get(kid, held[kid])),
            tenant_keys=wraps.get(kid, 0),
        )
        for kid in sorted({*held, *wraps})
    ]


def check_keys(database: DatabaseConnection, source: KeySource) -> None:
    """See `broker.vault.Vault.check_keys`."""
    _refuse(key_status(database, source))
    for kid, value in source.check_values().items():
        _record(database, kid, value)
    _refuse(key_status(database, source))


def is_genuine(database: DatabaseConnection, kid: str, value: bytes) -> bool:
    """Whether a key is the one first used under its id; this may be its first use."""
    _record(database, kid, value)
    return hmac.compare_digest(_recorded(database)[kid], value)


def _refuse(status: list[KeyStatus]) -> None:
    other = [key for key in status if key.held and not key.genuine]
    missing = [key for key in status if not key.held]
    problems = [
        *(f"key {key.kid} is not the one that was first used under this id: put that one back" for key in other),
        *(f"key {key.kid} is missing and wraps tenant keys ({key.tenant_keys}): put it back" for key in missing),
    ]
    if problems:
        raise ConfigurationError(problems)


def _record(database: DatabaseConnection, kid: str, value: bytes) -> None:
    if kid not in _recorded(database):
        insert_once(database, insert(KeyCheck).values(kid=kid, check_value=value))


def _recorded(database: DatabaseConnection) -> dict[str, bytes]:
    return {kid: value for kid, value in database.execute(select(KeyCheck.kid, KeyCheck.check_value))}


def _wraps(database: DatabaseConnection) -> dict[str, int]:
    counted = select(TenantKey.kid, func.count()).group_by(TenantKey.kid)
    return {kid: count for kid, count in database.execute(counted)}


# --- keys ----------------------------------------------------------------------------------------------------


class TenantRow(NamedTuple):
    """A tenant's key."""

    tk_id: bytes
    kid: str
    wrapped: bytes


class KeyRows(NamedTuple):
    """A connection's key and its tenant's, as one SELECT of `KEY_COLUMNS` yields them."""

    dek_id: bytes
    wrapped_dek: bytes
    tk_id: bytes
    kid: str | None
    """None, as `wrapped_tk`: the tenant's key is gone."""
    wrapped_tk: bytes | None


KEY_COLUMNS = (
    ConnectionKey.dek_id,
    ConnectionKey.wrapped.label("wrapped_dek"),
    ConnectionKey.tk_id,
    TenantKey.kid,
    TenantKey.wrapped.label("wrapped_tk"),
)
WRAPPED_BY = and_(TenantKey.tenant == ConnectionKey.tenant, TenantKey.tk_id == ConnectionKey.tk_id)
"""ON clause of the outer join from connection keys to tenant keys, for callers of `Vault.open_prefetched`."""

_KEY_ROWS = (
    select(*KEY_COLUMNS)
    .outerjoin(TenantKey, WRAPPED_BY)
    .where(ConnectionKey.tenant == bindparam("tenant"), ConnectionKey.connection == bindparam("connection"))
)
_TENANT_ROWS = (
    select(TenantKey.tk_id, TenantKey.kid, TenantKey.wrapped)
    .where(TenantKey.tenant == bindparam("tenant"))
    .order_by(TenantKey.generation.desc())
)


def key_rows(database: DatabaseConnection, tenant: str, connection: str) -> KeyRows | None:
    row = database.execute(_KEY_ROWS, {"tenant": tenant, "connection": connection}).first()
    return KeyRows(*row) if row else None


def tenant_rows(database: DatabaseConnection, tenant: str) -> list[TenantRow]:
    """Newest first."""
    return [TenantRow(*row) for row in database.execute(_TENANT_ROWS, {"tenant": tenant})]


def primary_row(database: DatabaseConnection, tenant: str) -> TenantRow | None:
    return next(iter(tenant_rows(database, tenant)), None)


def insert_once(database: DatabaseConnection, statement: Insert) -> None:
    """Insert, or leave what another process inserted first; a savepoint keeps the transaction alive."""
    try:
        with database.begin_nested():
            database.execute(statement)
    except IntegrityError:
        pass
