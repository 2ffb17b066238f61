"""Retain: what is held no longer than its purpose needs goes by itself (docs/privacy.md has the table).

The audit and the wordings of consent pages stay: they name nobody but by what erasure takes away.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, or_, select
from sqlalchemy.orm import Session

from broker.models import (
    AccessCount,
    Connection,
    ConnectSession,
    Consent,
    DeletionRequest,
    Grant,
    GrantAsset,
    Revocation,
    RevocationItem,
)
from broker.runtime import Broker

BATCH = 500
"""Rows in one transaction."""
MOST = 200
"""Batches at a time; the rest goes the next time."""


def sweep(broker: Broker) -> int:
    """Delete what is past its time, and say how many rows of the main tables. A setting of 0 keeps for good. Any number
    may do it at once. Raises `Unavailable`."""
    keep, now = broker.settings.retention, broker.clock()
    swept = 0
    for days, forget in (
        (keep.sessions, _sessions),
        (keep.failed, _failed),
        (keep.ended, _ended),
        (keep.ended, _receipts),
        (keep.accesses, _accesses),
        (keep.deletions, _deletions),
    ):
        if days:
            swept += _in_batches(broker, forget, now - timedelta(days=days))
    return swept


def _in_batches(broker: Broker, forget: Callable[[Session, datetime], int], before: datetime) -> int:
    swept = 0
    for _ in range(MOST):
        with broker.database.write() as session:
            found = forget(session, before)
        swept += found
        if found < BATCH:
            break
    return swept


def _sessions(session: Session, before: datetime) -> int:
    """Attempts that are over, but for those that failed: these are looked into for longer."""
    over = ConnectSession.status.in_(("confirmed", "denied", "expired"))
    return _deleted(session, ConnectSession, over, ConnectSession.expires_at < before)


def _failed(session: Session, before: datetime) -> int:
    return _deleted(session, ConnectSession, ConnectSession.status == "failed", ConnectSession.expires_at < before)


def _ended(session: Session, before: datetime) -> int:
    """Connections with their grants, consents and access counts. What the provider was not yet told of stays."""
    over = (Connection.state == "revoked", Connection.ended_at < before)
    query = select(Connection.id).where(*over).order_by(Connection.id).limit(BATCH)
    ids = session.scalars(query.with_for_update(skip_locked=True)).all()
    grants = select(Grant.id).where(Grant.connection_id.in_(ids))
    session.execute(delete(GrantAsset).where(GrantAsset.grant_id.in_(grants)))
    session.execute(delete(Grant).where(Grant.connection_id.in_(ids)))
    session.execute(delete(Consent).where(Consent.connection.in_(ids)))
    session.execute(delete(AccessCount).where(AccessCount.connection_id.in_(ids)))
    session.execute(delete(Connection).where(Connection.id.in_(ids)))
    return len(ids)


def _receipts(session: Session, before: datetime) -> int:
    """Receipts on which nothing is pending any more."""
    pending = select(RevocationItem.revocation_id).where(RevocationItem.provider_outcome == "pending")
    over = (Revocation.completed_at < before, Revocation.id.not_in(pending))
    ids = session.scalars(select(Revocation.id).where(*over).order_by(Revocation.id).limit(BATCH)).all()
    session.execute(delete(RevocationItem).where(RevocationItem.revocation_id.in_(ids)))
    session.execute(delete(Revocation).where(Revocation.id.in_(ids)))
    return len(ids)


def _accesses(session: Session, before: datetime) -> int:
    key = (AccessCount.connection_id, AccessCount.connector, AccessCount.resource, AccessCount.client_id)
    oldest = select(*key, AccessCount.hour).where(AccessCount.hour < before).limit(BATCH)
    rows = session.execute(oldest).all()
    for row in rows:
        same = (AccessCount.hour == row.hour, *(column == value for column, value in zip(key, row[:4], strict=True)))
        session.execute(delete(AccessCount).where(*same))
    return len(rows)


def _deletions(session: Session, before: datetime) -> int:
    """Requests for deletion that came from a provider: until then their status page answers."""
    waiting = select(Connection.account_index).where(Connection.state == "revoking")
    scoped = select(Connection.scoped_index).where(Connection.state == "revoking", Connection.scoped_index.is_not(None))
    still = or_(DeletionRequest.account_index.in_(waiting), DeletionRequest.account_index.in_(scoped))
    return _deleted(session, DeletionRequest, DeletionRequest.requested_at < before, ~still)


def _deleted(session: Session, table: Any, *which: ColumnElement[bool]) -> int:  # noqa: ANN401 - a model
    key = table.__mapper__.primary_key[0]
    ids = session.scalars(select(key).where(*which).order_by(key).limit(BATCH)).all()
    session.execute(delete(table).where(key.in_(ids)))
    return len(ids)
