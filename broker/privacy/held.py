"""Held: everything that the broker holds about one subject, from all tables, in one answer (PRV-09).

No provider token, no other person's data. What is sealed is opened, but for secrets of a running connect.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from broker import ledger
from broker.connections.assets import opened
from broker.connections.read import open_account, rfc3339
from broker.connections.sessions import open_people
from broker.models import (
    AccessCount,
    AuditEntry,
    Connection,
    ConnectSession,
    Consent,
    Erasure,
    EventDelivery,
    Grant,
    PortalSession,
    Revocation,
    RevocationItem,
)
from broker.runtime import Broker
from broker.vault import Undecryptable

Facts = dict[str, Any]


def export(broker: Broker, tenant: str, subject: str) -> Facts:
    """What is held about one subject of one tenant; empty lists where that is nothing. Raises `Unavailable`.

    `connections`, `grants`, `receipts` (of revocations), `accesses` (hour by hour), `consents`, `sessions` (attempts to
    connect), `portal_sessions`, `events` (told to the sales app), `erasures` (under way), `audit`.
    """
    with broker.database.read() as session:
        mine = (Connection.tenant == tenant, Connection.subject == subject)
        connections = session.scalars(select(Connection).where(*mine).order_by(Connection.id)).all()
        ids = [row.id for row in connections]
        return {
            "tenant": tenant,
            "subject": subject,
            "exported_at": rfc3339(broker.clock()),
            "connections": [_connection(broker, session, row) for row in connections],
            "grants": [fact for row in connections for fact in _grants(broker, session, row)],
            "receipts": _receipts(session, tenant, subject, ids),
            "accesses": _accesses(session, ids),
            "consents": _consents(session, _of(session, Consent, tenant, subject)),
            "sessions": [_session(broker, session, row) for row in _of(session, ConnectSession, tenant, subject)],
            "portal_sessions": [_portal(row) for row in _of(session, PortalSession, tenant, subject)],
            "events": _events(session, tenant, subject),
            "erasures": [_erasure(row) for row in _of(session, Erasure, tenant, subject)],
            "audit": [_entry(row) for row in _of(session, AuditEntry, tenant, subject)],
        }


def _of(session: Session, table: Any, tenant: str, subject: str) -> Sequence[Any]:  # noqa: ANN401 - any table of both
    query: Select[Any] = select(table).where(table.tenant == tenant, table.subject == subject).order_by(table.id)
    return session.scalars(query).all()


def _connection(broker: Broker, session: Session, row: Connection) -> Facts:
    return {
        "id": row.id,
        "provider": row.provider,
        "account": _account(broker, session, row),
        "state": row.state,
        "requested_scopes": row.requested_scopes,
        "confirmed_scopes": row.confirmed_scopes,
        "granted_scopes": row.granted_scopes,
        "created_at": rfc3339(row.created_at),
        "activated_at": rfc3339(row.activated_at),
        "last_used_at": rfc3339(row.last_used_at),
        "expires_at": rfc3339(row.expires_at),
        "data_access_expires_at": rfc3339(row.data_access_expires_at),
        "suspended_at": rfc3339(row.suspended_at),
        "provider_suspended_at": rfc3339(row.provider_suspended_at),
        "ended_at": rfc3339(row.ended_at),
    }


def _account(broker: Broker, session: Session, row: Connection) -> dict[str, str] | None:
    """The account at the provider; None once shredded, be it meanwhile."""
    if row.account is None:
        return None
    try:
        return open_account(broker, session, row)
    except Undecryptable:
        session.refresh(row)
        if row.account is not None:
            raise
        return None


def _grants(broker: Broker, session: Session, row: Connection) -> list[Facts]:
    grants = session.scalars(select(Grant).where(Grant.connection_id == row.id).order_by(Grant.granted_at, Grant.id))
    return [
        {
            "id": grant.id,
            "connection": row.id,
            "connector": grant.connector,
            "scopes": grant.scopes,
            "fields": grant.fields,
            "assets": _assets(broker, session, row, grant),
            "purpose": grant.purpose,
            "consent_text_hash": grant.consent_text_hash,
            "language": grant.locale,
            "granted_at": rfc3339(grant.granted_at),
            "withdrawn_at": rfc3339(grant.withdrawn_at),
        }
        for grant in grants
    ]


def _assets(broker: Broker, session: Session, row: Connection, grant: Grant) -> Facts | None:
    """What the provider offered and the user chose; None where there is nothing of the kind, or it is shredded."""
    if grant.assets is None or row.account is None:
        return None
    try:
        assets = opened(broker, session, row, grant)
    except Undecryptable:
        session.refresh(row)
        if row.account is not None:
            raise
        return None
    return {
        "offered": [asdict(asset) for asset in assets.offered],
        "chosen": None if assets.chosen is None else [asdict(asset) for asset in assets.chosen],
    }


def _receipts(session: Session, tenant: str, subject: str, connections: Sequence[str]) -> list[Facts]:
    """Receipts of the subject's own revocations, and of wider ones the items that are about the subject."""
    items = select(RevocationItem).where(RevocationItem.connection_id.in_(connections))
    found: dict[str, list[Facts]] = {}
    for item in session.scalars(items.order_by(RevocationItem.revocation_id, RevocationItem.number)):
        found.setdefault(item.revocation_id, []).append(_item(item))
    own = select(Revocation.id).where(Revocation.tenant == tenant, Revocation.subject == subject)
    query = select(Revocation).where(Revocation.id.in_({*found, *session.scalars(own)})).order_by(Revocation.id)
    return [
        {
            "id": row.id,
            "reason": row.reason,
            "client": row.client_id,
            "requested_at": rfc3339(row.requested_at),
            "effective_at": rfc3339(row.effective_at),
            "connections": found.get(row.id, []),
        }
        for row in session.scalars(query)
    ]


def _item(item: RevocationItem) -> Facts:
    return {
        "id": item.connection_id,
        "ended": item.ended,
        "connector": item.connector,
        "provider": item.provider,
        "provider_outcome": item.provider_outcome,
        "shredded_at": rfc3339(item.shredded_at),
    }


def _accesses(session: Session, connections: Sequence[str]) -> list[Facts]:
    query = select(AccessCount).where(AccessCount.connection_id.in_(connections))
    return [
        {
            "connection": row.connection_id,
            "connector": row.connector,
            "resource": row.resource,
            "client": row.client_id,
            "hour": rfc3339(row.hour),
            "pages": row.pages,
            "records": row.records,
        }
        for row in session.scalars(query.order_by(AccessCount.hour, AccessCount.connection_id, AccessCount.connector))
    ]


def _session(broker: Broker, session: Session, row: ConnectSession) -> Facts:
    people: dict[str, str | None] = {}
    if row.people is not None:
        try:
            people = open_people(broker, session, row)
        except Undecryptable:
            session.refresh(row)
            if row.people is not None:
                raise
    return {
        "id": row.id,
        "provider": row.provider,
        "status": row.status,
        "connectors": row.connectors,
        "ticked": row.ticked,
        "requested_scopes": row.requested_scopes,
        "language": row.locale,
        "purpose": row.purpose,
        "privacy_url": row.privacy_url,
        "tenant_label": row.tenant_label,
        "subject_label": people.get("subject_label"),
        "login_hint": people.get("login_hint"),
        "consent_text_hash": row.consent_text_hash,
        "connection": row.connection_id,
        "created_at": rfc3339(row.created_at),
        "expires_at": rfc3339(row.expires_at),
    }


def _portal(row: PortalSession) -> Facts:
    return {
        "id": row.id,
        "language": row.locale,
        "created_at": rfc3339(row.created_at),
        "opened_at": rfc3339(row.opened_at),
        "expires_at": rfc3339(row.expires_at),
    }


def _consents(session: Session, rows: Sequence[Consent]) -> list[Facts]:
    words = ledger.wordings(session, rows)
    return [ledger.shown(row, words.get(row.id)) for row in rows]


def _events(session: Session, tenant: str, subject: str) -> list[Facts]:
    query = select(EventDelivery).where(EventDelivery.tenant == tenant, EventDelivery.subject == subject)
    return [
        {"id": row.event_id, "endpoint": row.endpoint_id, "state": row.state, **json.loads(row.body)}
        for row in session.scalars(query.order_by(EventDelivery.seq))
    ]


def _erasure(row: Erasure) -> Facts:
    return {"id": row.id, "revocation": row.revocation_id, "requested_at": rfc3339(row.requested_at)}


def _entry(row: AuditEntry) -> Facts:
    return {
        "id": row.id,
        "at": rfc3339(row.at),
        "actor": row.actor,
        "action": row.action,
        "connection": row.connection,
        "detail": json.loads(row.detail),
    }
