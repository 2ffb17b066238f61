"""Incident: who and what was concerned within a window of time, from access counts and the audit (PRV-15).

Read page by page in the order of the primary key, which is what the counts are grouped by: one pass, and a million
rows take no more memory than a thousand. (An index on the hour would tempt SQLite to sort all of them for each page.)
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.orm import Session

from broker.connections.read import rfc3339
from broker.models import AccessCount, AuditEntry, Connection, Grant
from broker.runtime import Broker

PAGE = 1000
HOUR = timedelta(hours=1)
KEY = (AccessCount.connection_id, AccessCount.connector, AccessCount.resource, AccessCount.client_id)

Facts = dict[str, Any]


@dataclass(frozen=True)
class Window:
    """From, inclusive, to, exclusive; accesses are counted by the hour, so that each hour which it touches counts."""

    start: datetime
    end: datetime
    client: str | None = None
    tenant: str | None = None
    connector: str | None = None


def rows(broker: Broker, window: Window) -> int:
    """How many counts there are to go through."""
    with broker.database.read() as session:
        return session.scalar(_within(select(func.count()).select_from(AccessCount), window)) or 0


def accesses(broker: Broker, window: Window) -> Iterator[tuple[Facts, int]]:
    """Each (person, connector, resource, client) of which data was read, and of how many counts that is made up."""
    figures = (func.min(AccessCount.hour), func.max(AccessCount.hour))
    sums = (func.sum(AccessCount.pages), func.sum(AccessCount.records), func.count())
    last: tuple[str, ...] | None = None
    while True:
        columns: Any = select(*KEY, *figures, *sums)
        query = _within(columns, window).group_by(*KEY).order_by(*KEY).limit(PAGE)
        query = query.where(tuple_(*KEY) > last) if last else query
        with broker.database.read() as session:
            found = session.execute(query).all()
            known = _connections(session, [row[0] for row in found])
            fields = _fields(session, known, window)
        for row in found:
            yield _access(broker, known.get(row[0]), fields.get((row[0], row[1]), {}), row), int(row[8])
        if len(found) < PAGE:
            return
        last = tuple(found[-1][:4])


def changes(broker: Broker, window: Window) -> Iterator[Facts]:
    """What the audit says of the window, in the order of time."""
    last = _audit_id(window.start)
    while True:
        query = select(AuditEntry).where(AuditEntry.id > last, AuditEntry.id < _audit_id(window.end))
        query = query.where(AuditEntry.tenant == window.tenant) if window.tenant else query
        query = query.where(AuditEntry.actor == window.client) if window.client else query
        with broker.database.read() as session:
            found = session.scalars(query.order_by(AuditEntry.id).limit(PAGE)).all()
        for entry in found:
            detail = json.loads(entry.detail)
            if window.connector is None or window.connector in (detail.get("connector"), *detail.get("connectors", ())):
                yield _change(entry, detail)
        if len(found) < PAGE:
            return
        last = found[-1].id


def persons(broker: Broker, window: Window) -> int:
    """How many persons' data were read."""
    ids = _within(select(AccessCount.connection_id), window)
    each = select(Connection.tenant, Connection.subject).where(Connection.id.in_(ids)).distinct().subquery()
    with broker.database.read() as session:
        return session.scalar(select(func.count()).select_from(each)) or 0


def _within(query: Select[Any], window: Window) -> Select[Any]:
    first = window.start.replace(minute=0, second=0, microsecond=0)
    query = query.where(AccessCount.hour >= first, AccessCount.hour < window.end)
    query = query.where(AccessCount.client_id == window.client) if window.client else query
    query = query.where(AccessCount.connector == window.connector) if window.connector else query
    if window.tenant:
        mine = select(Connection.id).where(Connection.tenant == window.tenant)
        query = query.where(AccessCount.connection_id.in_(mine))
    return query


def _connections(session: Session, ids: Sequence[str]) -> Mapping[str, Connection]:
    return {row.id: row for row in session.scalars(select(Connection).where(Connection.id.in_(set(ids))))}


def _fields(
    session: Session, ids: Mapping[str, Connection], window: Window
) -> Mapping[tuple[str, str], dict[str, set[str]]]:
    """(connection, connector) → resource → the fields that were granted at any time within the window."""
    found: dict[tuple[str, str], dict[str, set[str]]] = {}
    query = select(Grant).where(Grant.connection_id.in_(ids), Grant.granted_at < window.end)
    for grant in session.scalars(query):
        if grant.withdrawn_at is None or grant.withdrawn_at >= window.start - HOUR:
            own = found.setdefault((grant.connection_id, grant.connector), {})
            for resource, fields in grant.fields.items():
                own.setdefault(resource, set()).update(fields)
    return found


def _access(broker: Broker, connection: Connection | None, fields: Mapping[str, set[str]], row: Sequence[Any]) -> Facts:
    connection_id, connector, resource, client, first, last, pages, records, _ = row
    provider = broker.providers.get(connection.provider) if connection else None
    known = provider.resources.get(resource) if provider else None
    return {
        "kind": "access",
        "tenant": connection.tenant if connection else None,
        "subject": connection.subject if connection else None,
        "connection": connection_id,
        "provider": connection.provider if connection else None,
        "connector": connector,
        "resource": resource,
        "operation": known.operation if known else None,
        "fields": sorted(fields.get(resource, ())),
        "client": client,
        "first_hour": rfc3339(first),
        "last_hour": rfc3339(last),
        "pages": int(pages),
        "records": int(records),
    }


def _change(entry: AuditEntry, detail: Facts) -> Facts:
    return {
        "kind": "change",
        "at": rfc3339(entry.at),
        "actor": entry.actor,
        "action": entry.action,
        "tenant": entry.tenant,
        "subject": entry.subject,
        "subject_hash": entry.subject_hash,
        "connection": entry.connection,
        "detail": detail,
    }


def _audit_id(time: datetime) -> str:
    """The ids of the audit sort by their time (`broker.audit`)."""
    return f"aud_{int(time.timestamp() * 1000):012x}"
