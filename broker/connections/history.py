"""History: the audit as a client entitled to it reads it (contract §8)."""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import select

from broker.clients import ALL, Caller
from broker.connections.read import Page, rfc3339
from broker.models import AuditEntry
from broker.runtime import Broker


def listed(
    broker: Broker,
    caller: Caller,
    *,
    tenant: str | None,
    subject: str | None,
    connection: str | None,
    since: datetime | None,
    limit: int,
    cursor: str | None,
) -> Page:
    """Entries of the caller's tenants, oldest first; the broker's own only for a client of all tenants.

    Raises `NotFound` for a foreign tenant.
    """
    if tenant is not None:
        caller.require_tenant(tenant)
    query = select(AuditEntry).order_by(AuditEntry.id).limit(limit + 1)
    for name, value in {"tenant": tenant, "subject": subject, "connection": connection}.items():
        query = query.where(getattr(AuditEntry, name) == value) if value is not None else query
    if tenant is None and ALL not in caller.tenants:
        query = query.where(AuditEntry.tenant.in_(sorted(caller.tenants)))
    if since is not None:
        query = query.where(AuditEntry.at >= since)
    if cursor is not None:
        query = query.where(AuditEntry.id > cursor)
    with broker.database.read() as session:
        rows = session.scalars(query).all()
    return Page([_rendered(row) for row in rows[:limit]], rows[limit - 1].id if len(rows) > limit else None)


def _rendered(row: AuditEntry) -> dict[str, Any]:
    return {
        "id": row.id,
        "at": rfc3339(row.at),
        "actor": row.actor,
        "action": row.action,
        "tenant": row.tenant,
        "subject": row.subject,
        "connection": row.connection,
        "detail": json.loads(row.detail),
    }
