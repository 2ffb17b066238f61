"""The outbox: an event becomes a row an endpoint in the transaction of what it tells (docs/adr/0020).

The hook runs after the audit's, which holds the lock on the tenant's chain until the commit: so the numbers of one
tenant's events are given out in the order of its changes.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from broker.audit import Noted
from broker.clients import ALL
from broker.models import Client, EventDelivery, EventEndpoint
from broker.owing import owe
from broker.secret import fresh_id

DELIVER = "deliver"
"""Deliver what is due to an endpoint. One open duty each."""
ERASED = "subject.erased"

TYPES: Mapping[str, tuple[str, ...]] = {
    "connection.activated": ("provider", "scopes", "state"),
    "connection.scopes_changed": ("scopes",),
    "connection.reconnect_required": (),
    "connection.suspended": (),
    "connection.resumed": (),
    "connection.expiring": ("expires_at",),
    "connection.revoked": (),
    "grant.narrowed": ("connector",),
    "grant.withdrawn": ("connector",),
    "revocation.completed": ("revocation",),
    ERASED: ("erasure", "revocation"),
    "records.available": (),
}
"""Each type, and what of the audit's detail goes out with it: ids and scopes, never a text that somebody wrote."""
PUBLISHED = frozenset({"records.available"})
"""Told by `publish` alone: nothing here changes, so that the audit does not say it."""
SOURCES = frozenset({"broker", "operator", "provider", "subject"})


@dataclass(frozen=True)
class Event:
    """`data` beside the ids: nothing that opens anything, and no name of a person."""

    type: str
    tenant: str
    subject: str | None = None
    connection: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


def publish(
    session: Session,
    type: str,  # noqa: A002 - the contract's word
    /,
    *,
    tenant: str,
    subject: str | None = None,
    connection: str | None = None,
    data: Mapping[str, Any] | None = None,
) -> None:
    """Tell it with this transaction: one delivery for each endpoint that wants the type and the tenant.

    `data`: ids and plain words, no token, no content, no label. What the audit notes is told without this.
    """
    if type not in TYPES:
        raise ValueError(f"not a type of event: {type}")
    session.info.setdefault("events", []).append(Event(type, tenant, subject, connection, data or {}))


def writer(clock: Callable[[], datetime]) -> Callable[[Session], None]:
    """What a `Database` calls before each commit, after the audit's appender: it writes what is to be told."""

    def write(session: Session) -> None:
        noted: list[Noted] = session.info.get("audited", [])
        events = [*_of_audit(noted), *session.info.pop("events", [])]
        if not events:
            return
        for event in events:
            if event.type == ERASED and event.subject:
                forget(session, event.tenant, event.subject)
        _write(session, clock(), events)

    return write


def forget(session: Session, tenant: str, subject: str) -> None:
    """What was delivered of an erased subject goes; what was not yet is delivered without its name."""
    mine = (EventDelivery.tenant == tenant, EventDelivery.subject == subject, EventDelivery.type != ERASED)
    session.execute(delete(EventDelivery).where(*mine, EventDelivery.state == "delivered"))
    for row in session.scalars(select(EventDelivery).where(*mine).with_for_update()).all():
        row.subject, row.body = None, without_subject(row.body)


def without_subject(body: str) -> str:
    event = json.loads(body)
    event["data"]["subject"] = None
    return _text(event)


def endpoint_hears(tenants: Sequence[str], client_tenants: Sequence[str], tenant: str) -> bool:
    """Never more than the client itself may see now."""
    return all(ALL in named or tenant in named for named in (tenants, client_tenants))


def _of_audit(noted: Sequence[Noted]) -> list[Event]:
    return [_event(entry) for entry in noted if entry.action in TYPES and entry.action not in PUBLISHED]


def _event(entry: Noted) -> Event:
    named = {name: entry.detail[name] for name in TYPES[entry.action] if name in entry.detail}
    source = entry.actor if entry.actor in SOURCES else "client"
    return Event(entry.action, entry.tenant, entry.subject, entry.connection, {**named, "source": source})


def _write(session: Session, now: datetime, events: Sequence[Event]) -> None:
    endpoints = session.execute(
        select(EventEndpoint.id, EventEndpoint.tenants, EventEndpoint.types, Client.tenants)
        .join(Client, Client.id == EventEndpoint.client_id)
        .where(EventEndpoint.disabled_at.is_(None), Client.disabled_at.is_(None))
        .order_by(EventEndpoint.id)
    ).all()
    rows: list[dict[str, Any]] = []
    for event in events:
        event_id = fresh_id("evt")
        for endpoint_id, tenants, types, client_tenants in endpoints:
            wanted = ALL in types or event.type in types
            if wanted and endpoint_hears(tenants, client_tenants, event.tenant):
                rows.append(_row(now, event, event_id, endpoint_id))
    if rows:
        session.flush()
        session.execute(insert(EventDelivery), rows)
    for endpoint_id in sorted({row["endpoint_id"] for row in rows}):
        owe(session, DELIVER, endpoint_id, due_at=now, now=now)


def _row(now: datetime, event: Event, event_id: str, endpoint_id: str) -> dict[str, Any]:
    ids = {"tenant": event.tenant, "subject": event.subject, "connection": event.connection}
    # What was erased is named to whoever must erase it too, and to nobody else: the row itself is not found by it.
    subject = None if event.type == ERASED else event.subject
    return {
        "endpoint_id": endpoint_id,
        "event_id": event_id,
        "lane": event.connection or event_id,
        "type": event.type,
        "tenant": event.tenant,
        "subject": subject,
        "connection": event.connection,
        "body": _text({"type": event.type, "timestamp": rfc3339(now), "data": {**ids, **event.data}}),
        "state": "pending",
        "created_at": now,
        "queued_at": now,
        "due_at": now,
    }


def _text(event: Mapping[str, Any]) -> str:
    return json.dumps(event, separators=(",", ":"), ensure_ascii=True)


def rfc3339(time: datetime | None) -> str | None:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z") if time else None
