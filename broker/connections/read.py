"""Connections and grants as callers see them (contract §3), and the sealed account."""

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from broker import audit, scopes
from broker.clients import ALL, Caller
from broker.connections.assets import opened
from broker.errors import InvalidRequest, NotFound
from broker.models import Connection, Grant
from broker.providers.base import Account
from broker.runtime import Broker
from broker.vault import Undecryptable

STATES = ("active", "reconnect_required", "suspended", "revoking", "revoked")


@dataclass(frozen=True)
class Page:
    items: list[dict[str, Any]]
    next_cursor: str | None


def live_connection(session: Session, caller: Caller, connection_id: str) -> Connection:
    """A connection that was not ended, of one of the caller's tenants. Raises `NotFound`."""
    row = known_connection(session, caller, connection_id)
    if not row.live:
        raise NotFound
    return row


def known_connection(session: Session, caller: Caller, connection_id: str, *, lock: bool = False) -> Connection:
    """A connection of one of the caller's tenants, ended or not; locked until the end of the transaction.

    Raises `NotFound`: a foreign one answers like one that does not exist (I6).
    """
    query = select(Connection).where(Connection.id == connection_id)
    row = session.scalar(query.with_for_update() if lock else query)
    if row is None or not caller.acts_for(row.tenant):
        raise NotFound
    return row


def noted(session: Session, row: Connection, action: str, *, actor: str, **detail: Any) -> None:  # noqa: ANN401
    """A change of a connection, for the audit."""
    audit.note(session, action, tenant=row.tenant, actor=actor, subject=row.subject, connection=row.id, **detail)


def shown(broker: Broker, caller: Caller, connection_id: str) -> dict[str, Any]:
    """One connection. Raises `NotFound`."""
    with broker.database.read() as session:
        return rendered(broker, session, known_connection(session, caller, connection_id))


def listed(
    broker: Broker,
    caller: Caller,
    *,
    tenant: str | None,
    subject: str | None,
    provider: str | None,
    state: str | None,
    limit: int,
    cursor: str | None,
) -> Page:
    """Connections of the caller's tenants in the order of their ids; the cursor is the last id. Raises `NotFound`."""
    if tenant is not None:
        caller.require_tenant(tenant)
    if state is not None and state not in STATES:
        raise InvalidRequest("state: unknown.", errors=[{"field": "state", "problem": f"one of {', '.join(STATES)}"}])
    query = select(Connection).order_by(Connection.id).limit(limit + 1)
    given = {"tenant": tenant, "subject": subject, "provider": provider, "state": state}
    for name, value in given.items():
        query = query.where(getattr(Connection, name) == value) if value is not None else query
    if tenant is None and ALL not in caller.tenants:
        query = query.where(Connection.tenant.in_(sorted(caller.tenants)))
    if cursor is not None:
        query = query.where(Connection.id > cursor)
    with broker.database.read() as session:
        rows = session.scalars(query).all()
        items = [rendered(broker, session, row) for row in rows[:limit]]
    return Page(items, rows[limit - 1].id if len(rows) > limit else None)


def rendered(broker: Broker, session: Session, row: Connection) -> dict[str, Any]:
    """The Connection of contract §3. No provider token stands in it. One that is shredded meanwhile is shown so."""
    try:
        return _rendered(broker, session, row)
    except Undecryptable:
        session.refresh(row)
        if row.account is not None:
            raise
        return _rendered(broker, session, row)


def _rendered(broker: Broker, session: Session, row: Connection) -> dict[str, Any]:
    grants = session.scalars(select(Grant).where(Grant.connection_id == row.id).order_by(Grant.granted_at, Grant.id))
    return {
        "id": row.id,
        "tenant": row.tenant,
        "subject": row.subject,
        "provider": row.provider,
        "account": open_account(broker, session, row) if row.account else None,
        "state": row.state,
        "scopes": row.granted_scopes,
        "grants": [_rendered_grant(broker, session, row, grant) for grant in _newest(grants.all())],
        "created_at": rfc3339(row.created_at),
        "last_used_at": rfc3339(row.last_used_at),
        "expires_at": rfc3339(row.expires_at),
        "data_access_expires_at": rfc3339(row.data_access_expires_at),
    }


def rfc3339(time: datetime | None) -> str | None:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z") if time else None


def open_account(broker: Broker, session: Session, row: Connection) -> dict[str, str]:
    plaintext = broker.vault.open(
        session,
        tenant=row.tenant,
        connection=row.id,
        column="account",
        version=row.account_version,
        blob=row.account,
    )
    account: dict[str, str] = json.loads(plaintext)
    return account


def seal_account(broker: Broker, session: Session, row: Connection, account: Account) -> None:
    row.account_version += 1
    row.account = broker.vault.seal(
        session,
        tenant=row.tenant,
        connection=row.id,
        column="account",
        version=row.account_version,
        plaintext=json.dumps({"id": account.id, "label": account.label}).encode(),
    )


def missing_scopes(broker: Broker, row: Connection, grant_scopes: Collection[str], connector_name: str) -> list[str]:
    """Required scopes of a connector that are not effective on this connection; all, for one no longer installed."""
    connector, provider = broker.connectors.get(connector_name), broker.providers.get(row.provider)
    if connector is None or provider is None:
        return []
    table = provider.resources[connector.reads.resource].fields
    effective = scopes.effective(row.granted_scopes, grant_scopes)
    return list(scopes.missing(connector.reads.required, table, effective))


def _newest(grants: Sequence[Grant]) -> list[Grant]:
    """One a connector: the live one, or else the last that was withdrawn."""
    newest: dict[str, Grant] = {}
    for grant in grants:
        if grant.live or not (grant.connector in newest and newest[grant.connector].live):
            newest[grant.connector] = grant
    return sorted(newest.values(), key=lambda grant: grant.connector)


def _rendered_grant(broker: Broker, session: Session, row: Connection, grant: Grant) -> dict[str, Any]:
    chosen = opened(broker, session, row, grant).chosen if row.account else None
    return {
        "connector": grant.connector,
        "scopes": grant.scopes,
        "missing_scopes": missing_scopes(broker, row, grant.scopes, grant.connector),
        "assets": None if chosen is None else [asdict(asset) for asset in chosen],
        "granted_at": rfc3339(grant.granted_at),
        "withdrawn_at": rfc3339(grant.withdrawn_at),
    }
