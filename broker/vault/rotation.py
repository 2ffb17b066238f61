"""A rotation from end to end (docs/facts/security.md §4.2.7), while everything else goes on.

Each key is rewrapped in a transaction of its own, by compare-and-set. What is left to do is read from the rows, so
that a rotation that was killed goes on where it stopped when it is started again. A key that does not open is left as
it is and reported. Other processes must hold the primary key before this begins.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, Select, func, select, tuple_
from sqlalchemy.orm import Session

from broker.db import Database
from broker.models import ConnectionKey, TenantKey
from broker.vault.cipher import Undecryptable
from broker.vault.rows import ROOT
from broker.vault.vault import Vault

PAGE = 500
"""Rows read at once."""
RENEWED_BEFORE = timedelta(days=1)
"""A tenant key younger than this is not replaced again, so that a killed rotation can be started again."""

Report = Callable[[str, int, int], None]
"""Told what is being done, how many are done, and of how many."""


@dataclass
class Rotated:
    """What a rotation did."""

    tenant_keys: int = 0
    """Tenant keys rewrapped under the primary key encryption key."""
    new_tenant_keys: int = 0
    connection_keys: int = 0
    """Connection keys rewrapped under their tenant's newest key."""
    failed: list[str] = field(default_factory=list)
    """Keys that do not open, by what they are of; left as they are."""


def rotate(database: Database, vault: Vault, *, tenant_keys: bool, report: Report) -> Rotated:
    """Bring every tenant key under the primary key encryption key.

    With `tenant_keys`, then also give each tenant a new key and bring its connection keys under it. Raises
    `Unavailable` where the database or the key source fails; what was done stays done.
    """
    database, rotated = database.keystore, Rotated()
    rotated.tenant_keys = _rewrap_tenant_keys(_Walk(database, report, rotated, "tenant keys"), vault)
    if tenant_keys:
        rotated.new_tenant_keys = _renew_tenant_keys(_Walk(database, report, rotated, "new tenant keys"), vault)
        rotated.connection_keys = _rewrap_connection_keys(_Walk(database, report, rotated, "connection keys"), vault)
    return rotated


def _rewrap_tenant_keys(walk: "_Walk", vault: Vault) -> int:
    def rewrap(session: Session, row: Row[*tuple[Any, ...]]) -> bool:
        return vault.rewrap_tenant_key(session, tenant=row.tenant, tk_id=row.tk_id)

    name = (TenantKey.tenant, TenantKey.generation)
    return walk.until_done(lambda: select(*name, TenantKey.tk_id).where(TenantKey.kid != vault.primary), name, rewrap)


def _renew_tenant_keys(walk: "_Walk", vault: Vault) -> int:
    """The broker's own is the root of the blind indexes and can only be rewrapped."""

    def renew(session: Session, row: Row[*tuple[Any, ...]]) -> bool:
        vault.new_tenant_key(session, tenant=row.tenant)
        return True

    old = func.max(TenantKey.created_at) <= vault.now() - RENEWED_BEFORE
    tenants = select(TenantKey.tenant).where(TenantKey.tenant != ROOT).group_by(TenantKey.tenant).having(old)
    return walk.until_done(lambda: tenants, (TenantKey.tenant,), renew)


def _rewrap_connection_keys(walk: "_Walk", vault: Vault) -> int:
    def rewrap(session: Session, row: Row[*tuple[Any, ...]]) -> bool:
        return vault.rewrap_connection_key(session, tenant=row.tenant, connection=row.connection)

    newest = select(TenantKey.tenant, func.max(TenantKey.generation).label("generation")).group_by(TenantKey.tenant)
    at = newest.subquery()
    name = (ConnectionKey.tenant, ConnectionKey.connection)
    outdated = (
        select(*name)
        .join(at, at.c.tenant == ConnectionKey.tenant)
        .join(TenantKey, (TenantKey.tenant == at.c.tenant) & (TenantKey.generation == at.c.generation))
        .where(TenantKey.tk_id != ConnectionKey.tk_id)
    )
    return walk.until_done(lambda: outdated, name, rewrap)


class _Walk:
    """Goes through the rows of a query, again and again until a pass changes nothing."""

    def __init__(self, database: Database, report: Report, rotated: Rotated, what: str) -> None:
        self._database, self._report, self._rotated, self._what = database, report, rotated, what

    def until_done(
        self,
        query: Callable[[], Select[*tuple[Any, ...]]],
        name: tuple[Any, ...],
        step: Callable[[Session, Row[*tuple[Any, ...]]], bool],
    ) -> int:
        """How many `step` changed. `query`: what is left to do now; `name`: its first columns, by which it is paged."""
        with self._database.read() as session:
            total = session.scalar(select(func.count()).select_from(query().subquery())) or 0
        changed, before = 0, -1
        while changed > before:
            before = changed
            for row in self._rows(query(), name):
                changed += self._step(row, step)
                self._report(self._what, changed, max(total, changed))
        return changed

    def _rows(self, query: Select[*tuple[Any, ...]], name: tuple[Any, ...]) -> Iterator[Row[*tuple[Any, ...]]]:
        page = query.order_by(*name).limit(PAGE)
        with self._database.read() as session:
            found = session.execute(page).all()
        while found:
            yield from found
            with self._database.read() as session:
                found = session.execute(page.where(tuple_(*name) > tuple_(*found[-1][: len(name)]))).all()

    def _step(self, row: Row[*tuple[Any, ...]], step: Callable[[Session, Row[*tuple[Any, ...]]], bool]) -> bool:
        try:
            with self._database.write() as session:
                return step(session, row)
        except Undecryptable as error:
            if error.reason == "wrong KEK":
                raise
            key = f"{self._what[:-1]} {'/'.join(str(part) for part in row[:2])}"
            if key not in self._rotated.failed:
                self._rotated.failed.append(key)
            return False
