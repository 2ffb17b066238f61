"""Off-boarding: a whole tenant goes, and its keys with it (PRV-13).

    everything ends ─► each subject is erased ─► every provider is told ─► the tenant's apps and keys go ─► certificate

Each step may be repeated: run again, it goes on where it was.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from broker import apps, audit
from broker.clients import Caller
from broker.connections.mass import end_all
from broker.connections.matching import Wanted
from broker.db import insert_if_missing
from broker.models import (
    AuditEntry,
    Connection,
    ConnectSession,
    Consent,
    Erasure,
    Orphan,
    OwnProviderApp,
    PortalSession,
    Revocation,
)
from broker.privacy import erase
from broker.runtime import Broker
from broker.secret import fresh_id

WHOLE = "*"
"""Instead of a subject's hash: the tenant."""
LONGEST = 3600.0
"""Seconds that ending may take in one run."""
NAMING: tuple[Any, ...] = (Connection, ConnectSession, PortalSession, Consent, Revocation, Erasure, AuditEntry)

Progress = Callable[[int, int], None]


def subjects(broker: Broker, tenant: str) -> list[str]:
    """Everybody of whom anything is held."""
    found: set[str] = set()
    with broker.database.read() as session:
        for table in NAMING:
            query = select(table.subject).where(table.tenant == tenant, table.subject.is_not(None)).distinct()
            found.update(name for name in session.scalars(query) if not name.startswith(erase.PREFIX))
    return sorted(found)


def erase_tenant(broker: Broker, tenant: str, on_progress: Progress | None = None) -> dict[str, Any]:
    """As far as it goes now; the erasure as it is shown, `in_progress` until every provider was told. Raises
    `Unavailable`."""
    operator = Caller("operator", frozenset(), frozenset({tenant}), frozenset(), frozenset())
    ended = end_all(broker, operator, Wanted(tenant), erase.REASON, on_progress, within=LONGEST)
    erasure_id = _begun(broker, tenant, ended.receipt["id"])
    for subject in subjects(broker, tenant):
        asked, _ = erase.ask(broker, operator.client_id, tenant, subject)
        erase.finish(broker, asked)
    _finish(broker, erasure_id)
    with broker.database.read() as session:
        row = session.get_one(Erasure, erasure_id)
    return erase.shown(broker, row)


def _begun(broker: Broker, tenant: str, revocation_id: str) -> str:
    """The erasure under way, or a new one."""
    values = {"client_id": "operator", "requested_at": broker.clock(), "revocation_id": revocation_id}
    key = {"tenant": tenant, "subject_hash": WHOLE, "open": True}
    with broker.database.write() as session:
        done = select(Erasure).where(Erasure.tenant == tenant, Erasure.subject_hash == WHOLE)
        last = session.scalar(done.order_by(Erasure.requested_at.desc()).limit(1))
        if last is not None and last.revocation_id == revocation_id:
            return last.id
        insert_if_missing(session, Erasure, key, {**values, "id": fresh_id("era")})
        return session.scalars(select(Erasure.id).filter_by(**key)).one()


def _finish(broker: Broker, erasure_id: str) -> None:
    """Nothing is left to tell a provider: now what that took goes, too."""
    with broker.database.read() as session:
        row = session.get_one(Erasure, erasure_id)
        if not row.open or _is_left(session, row.tenant):
            return
        own = select(OwnProviderApp.id).where(OwnProviderApp.tenant == row.tenant, OwnProviderApp.live.is_(True))
        app_ids = session.scalars(own).all()
    for app_id in app_ids:
        apps.remove(broker.database, broker.vault, broker.clock(), app_id)
    with broker.database.write() as session:
        row = session.get_one(Erasure, erasure_id, with_for_update=True)
        if not row.open:
            return
        done = select(Erasure.erased).where(Erasure.tenant == row.tenant, Erasure.subject_hash != WHOLE)
        row.erased = _total([found for found in session.scalars(done) if found]) | {"provider_apps": len(app_ids)}
        row.open, row.completed_at = None, broker.clock()
        audit.note(session, "tenant.erased", tenant=row.tenant, actor="operator", erasure=row.id)
        broker.vault.shred_tenant(session, tenant=row.tenant)
    broker.database.wipe()


def _is_left(session: Session, tenant: str) -> bool:
    waiting = (
        select(Connection.id).where(Connection.tenant == tenant, Connection.state != "revoked"),
        select(Orphan.id).where(Orphan.tenant == tenant),
        select(Erasure.id).where(Erasure.tenant == tenant, Erasure.open.is_(True), Erasure.subject_hash != WHOLE),
    )
    return any(session.scalar(query.limit(1)) is not None for query in waiting)


def _total(counts: list[dict[str, int]]) -> dict[str, int]:
    total = {"subjects": len(counts)}
    for found in counts:
        for name, count in found.items():
            total[name] = total.get(name, 0) + count
    return total
