"""Processes that use connections as the broker does while its keys are rotated: read, refresh, connect, revoke.

Each token tells which connection and version it belongs to, so that a lost or exchanged one is seen.
"""

import json
import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from broker.db import Database
from broker.models import Connection
from broker.vault import KeyRing, Undecryptable, Vault

FORK = multiprocessing.get_context("fork")
PAUSE = 0.04
"""Seconds between two uses in one process: four processes make at most a hundred uses a second."""
LAST = "con_last"


@dataclass
class Fleet:
    """What four processes did until the end of the block."""

    done: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


@contextmanager
def at_work(url: str, source: str, folder: Path, *, environ: Mapping[str, str] | None = None) -> Iterator[Fleet]:
    """Four processes that share nothing but the database and the key source."""
    fleet, stop = Fleet(), FORK.Event()
    reports = [folder / f"worker-{number}.json" for number in range(4)]
    workers = [FORK.Process(target=_work, args=(url, source, environ or {}, report, stop)) for report in reports]
    for worker in workers:
        worker.start()
    try:
        yield fleet
    finally:
        stop.set()
        for worker in workers:
            worker.join(20)
            worker.kill()
    for report in reports:
        told = json.loads(report.read_text())
        fleet.done.update(told["done"])
        fleet.failures += told["failures"]


def connect(vault: Vault, session: Session, tenant: str, number: object) -> None:
    row = Connection(id=f"con_{number}", tenant=tenant, token_version=1, account_index=f"{number}".encode(), live=True)
    row.subject = row.provider = row.app_id = "some"
    row.requested_scopes = row.confirmed_scopes = row.granted_scopes = []
    row.state, row.created_at = "active", datetime.now(UTC)
    row.activated_at = row.created_at
    vault.new_key(session, tenant=tenant, connection=row.id)
    row.refresh_token = vault.seal(session, **_place(row), plaintext=_token(row))
    session.add(row)


def opens(vault: Vault, session: Session, row: Connection) -> bool:
    return vault.open(session, **_place(row), blob=row.refresh_token) == _token(row)


def furnish(database: Database, vault_source: KeyRing, tenants: int) -> None:
    """So many tenants with a connection each, all of the day before yesterday."""
    vault = Vault(vault_source, clock=lambda: datetime.now(UTC) - timedelta(days=2))
    with database.write() as session:
        vault.check_keys(session)
        connect(vault, session, "tenant-0000", "last")
        for number in range(tenants):
            connect(vault, session, f"tenant-{number:04}", number)


class _Worker:
    def __init__(self, database: Database, vault: Vault) -> None:
        self.database, self.vault = database, vault
        self.dice = random.Random(time.monotonic_ns())
        self.done: Counter[str] = Counter()
        self.failures: list[str] = []

    def use(self) -> None:
        """One use of a connection. Whatever it raises is a failure."""
        what = self.dice.choices(["read", "refresh", "connect", "revoke"], [60, 20, 12, 8])[0]
        try:
            getattr(self, what)()
            self.done[what] += 1
        except Exception as error:  # noqa: BLE001 - each is told
            reason = error.reason if isinstance(error, Undecryptable) else ""
            self.failures.append(f"{what}: {type(error).__name__} {error} {reason}")

    def read(self) -> None:
        with self.database.read() as session:
            row = self._any(session)
            name = row.id
            try:
                whole = opens(self.vault, session, row)
            except Undecryptable:
                session.expunge_all()
                if session.get(Connection, name):
                    raise
                return  # it was revoked just then
        assert whole, f"another token in {name}"

    def refresh(self) -> None:
        with self.database.write() as session:
            picked = self._any(session).id
            row = session.get(Connection, picked, with_for_update=True, populate_existing=True)
            if row is None:
                return
            assert opens(self.vault, session, row), f"another token in {row.id}"
            row.token_version += 1
            row.refresh_token = self.vault.seal(session, **_place(row), plaintext=_token(row))

    def connect(self) -> None:
        number = f"{self.dice.getrandbits(64):x}"
        tenant = self.dice.choice([f"new-{number}", "tenant-0000"])
        with self.database.write() as session:
            connect(self.vault, session, tenant, number)

    def revoke(self) -> None:
        with self.database.write() as session:
            row = session.get(Connection, self._any(session).id, with_for_update=True, populate_existing=True)
            if row is not None and row.id != LAST:
                self.vault.shred(session, tenant=row.tenant, connection=row.id)
                session.delete(row)

    def _any(self, session: Session) -> Connection:
        """The first from a random name on; the last of all is never revoked."""
        name = f"con_{self.dice.choice('0123456789abcdef')}{self.dice.randrange(10)}"
        first = select(Connection).where(Connection.id >= name, Connection.id <= LAST)
        return session.scalars(first.order_by(Connection.id).limit(1)).one()


def _work(url: str, source: str, environ: Mapping[str, str], report: Path, stop: Any) -> None:
    database = Database(url, pool_size=2)
    worker = _Worker(database, Vault(KeyRing.load(source, environ=environ), clock=lambda: datetime.now(UTC)))
    while not stop.wait(PAUSE):
        worker.use()
    database.dispose()
    report.write_text(json.dumps({"done": worker.done, "failures": worker.failures}))


def _place(row: Connection) -> dict[str, Any]:
    return {"tenant": row.tenant, "connection": row.id, "column": "refresh_token", "version": row.token_version}


def _token(row: Connection) -> bytes:
    return f"REFRESH-{row.id}-{row.token_version}".encode()
