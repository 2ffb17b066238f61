"""Revoke: denied here first, then the provider is told, and told until it has answered. It ends in a receipt.

The transaction that ends a grant or connection also makes the receipt and the duty. When `end_*` has returned, no
request on any worker hands out that data any more (I2).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from broker.clients import ALL, Caller
from broker.connections import use
from broker.connections.owe import authorization, owe_telling
from broker.connections.read import Page, known_connection, noted, rfc3339
from broker.connections.sessions import end_session
from broker.errors import NotFound
from broker.failpoint import failpoint
from broker.models import Connection, ConnectSession, Grant, Revocation, RevocationItem
from broker.runtime import Broker
from broker.secret import fresh_id

PROVIDER = "provider"
"""As an actor: who revoked at the provider itself."""


OPTIONAL = ("connector", "remove_at")
"""Members of a receipt's item that stand there only where there is something to say."""


@dataclass(frozen=True)
class Ended:
    """How a revocation was answered: its receipt, and whether this call ended something or repeated an earlier one."""

    receipt: dict[str, Any]
    anew: bool


def end_connection(broker: Broker, caller: Caller, connection_id: str, *, reason: str | None = None) -> Ended:
    """Revoke one connection; repeated, the receipt is the same. Raises `NotFound`."""
    return _carried_out(broker, lambda session: _end_connection(broker, session, caller, connection_id, reason))


def end_grant(
    broker: Broker, caller: Caller, connection_id: str, connector: str, *, reason: str | None = None
) -> Ended:
    """Withdraw one connector; the last one ends the connection. Raises `NotFound` for one never granted."""
    return _carried_out(broker, lambda session: _end_grant(broker, session, caller, connection_id, connector, reason))


def ended_by_provider(broker: Broker, connection_id: str, *, reason: str, before: datetime | None = None) -> None:
    """The provider has said that the user ended it there: the same path, with a receipt. Nothing where it was ended, or
    connected anew and not `before` then."""
    with broker.database.write() as session:
        row = session.get_one(Connection, connection_id)
        authorization(session, row.app_id, row.account_index)
        session.refresh(row, with_for_update=True)
        if row.live and (before is None or row.activated_at < before):
            _ended(broker, session, PROVIDER, row, reason, connector=None)


def would_end(broker: Broker, caller: Caller, connection_id: str, connector: str | None = None) -> dict[str, Any]:
    """What a revocation would end, and the caller's other connections that share the authorization."""
    with broker.database.read() as session:
        row = known_connection(session, caller, connection_id)
        if connector:
            _require_grant(session, row, connector)
        live = [grant.connector for grant in _live_grants(session, row)]
        siblings = [{"connection": other.id} for other in _siblings(session, row) if caller.acts_for(other.tenant)]
    last = not connector or live == [connector]
    whole, one = {"connection": row.id}, {"connection": row.id, "connector": str(connector)}
    ended = [whole] if last and row.live else [one] if connector in live else []
    return {"would_end": ended, "siblings": siblings}


def receipt(broker: Broker, caller: Caller, revocation_id: str) -> dict[str, Any]:
    """Raises `NotFound`."""
    with broker.database.read() as session:
        row = session.get(Revocation, revocation_id)
        if row is None or not caller.acts_for(row.tenant):
            raise NotFound
        return _rendered(broker, session, row)


def receipts(
    broker: Broker,
    caller: Caller,
    *,
    tenant: str | None,
    subject: str | None,
    connection: str | None,
    limit: int,
    cursor: str | None,
) -> Page:
    """Receipts of the caller's tenants, in the order of their ids. Raises `NotFound` for a foreign tenant."""
    if tenant is not None:
        caller.require_tenant(tenant)
    query = select(Revocation).order_by(Revocation.id).limit(limit + 1)
    if tenant is not None:
        query = query.where(Revocation.tenant == tenant)
    elif ALL not in caller.tenants:
        query = query.where(Revocation.tenant.in_(sorted(caller.tenants)))
    if subject is not None:
        query = query.where(Revocation.subject == subject)
    if connection is not None:
        of_connection = select(RevocationItem.revocation_id).where(RevocationItem.connection_id == connection)
        query = query.where(Revocation.id.in_(of_connection))
    if cursor is not None:
        query = query.where(Revocation.id > cursor)
    with broker.database.read() as session:
        rows = session.scalars(query).all()
        items = [_rendered(broker, session, row) for row in rows[:limit]]
    return Page(items, rows[limit - 1].id if len(rows) > limit else None)


def _carried_out(broker: Broker, end: Callable[[Session], tuple[str, bool]]) -> Ended:
    """Commit, wait until nobody relies on the old state, answer. A repeated one waits too: the first may be waiting."""
    with broker.database.write() as session:
        revocation_id, anew = end(session)
    failpoint("revoke.committed")
    time.sleep(use.WAIT)
    with broker.database.read() as session:
        return Ended(_rendered(broker, session, session.get_one(Revocation, revocation_id)), anew)


def _end_connection(
    broker: Broker, session: Session, caller: Caller, connection_id: str, reason: str | None
) -> tuple[str, bool]:
    row = _locked(session, caller, connection_id)
    if not row.live:
        return _earlier(session, row.id, "connection"), False
    return _ended(broker, session, caller.client_id, row, reason, connector=None), True


def _end_grant(
    broker: Broker, session: Session, caller: Caller, connection_id: str, connector: str, reason: str | None
) -> tuple[str, bool]:
    row = _locked(session, caller, connection_id)
    _require_grant(session, row, connector)
    live = _live_grants(session, row)
    ending = [grant for grant in live if grant.connector == connector]
    if not ending:
        return _earlier(session, row.id, "grant", connector), False
    if len(live) == 1:
        return _ended(broker, session, caller.client_id, row, reason, connector=connector), True
    _withdraw(broker, session, caller.client_id, row, ending)
    return _grant_receipt(broker, session, caller.client_id, row, reason, connector), True


def _grant_receipt(
    broker: Broker, session: Session, actor: str, row: Connection, reason: str | None, connector: str
) -> str:
    """The authorization goes on. Where the provider takes back single permissions, it is told which nothing needs any
    more (docs/facts/meta.md §1.10)."""
    takes_back = row.provider in broker.providers and broker.providers[row.provider].takes_back_permissions
    if takes_back:
        owe_telling(session, row.app_id, row.account_index.hex(), now=broker.clock())
    outcome = "pending" if takes_back else "shared"
    return _new_receipt(broker, session, actor, row, reason, "grant", connector, outcome=outcome)


def _locked(session: Session, caller: Caller, connection_id: str) -> Connection:
    """The connection, locked behind its authorization, as activation locks the two. A foreign one is not touched."""
    row = known_connection(session, caller, connection_id)
    authorization(session, row.app_id, row.account_index)
    session.refresh(row, with_for_update=True)
    return row


def _require_grant(session: Session, row: Connection, connector: str) -> None:
    """Raises `NotFound` for a connector that was never granted on this connection."""
    granted = select(Grant.id).where(Grant.connection_id == row.id, Grant.connector == connector)
    if session.scalar(granted.limit(1)) is None:
        raise NotFound


def _ended(
    broker: Broker,
    session: Session,
    actor: str,
    row: Connection,
    reason: str | None,
    connector: str | None,
) -> str:
    """Deny from now on, drop what could be used, and owe the provider the news."""
    now = broker.clock()
    _withdraw(broker, session, actor, row, _live_grants(session, row))
    noted(session, row, "connection.revoked", actor=actor, reason=reason, connector=connector)
    row.state, row.live, row.ended_at = "revoking", None, now
    row.fence += 1
    row.lease_until, row.fresh_until, row.refresh_inflight = None, None, False
    session.flush()
    owe_telling(session, row.app_id, row.account_index.hex(), now=now)
    renewing = select(ConnectSession).where(
        ConnectSession.renews == row.id, ConnectSession.status.in_(("open", "pending"))
    )
    for attempt in session.scalars(renewing).all():
        end_session(broker, session, attempt, "failed")
    return _new_receipt(broker, session, actor, row, reason, "connection", connector, outcome="pending")


def _withdraw(broker: Broker, session: Session, actor: str, row: Connection, grants: Sequence[Grant]) -> None:
    for grant in grants:
        grant.live, grant.withdrawn_at = None, broker.clock()
        noted(session, row, "grant.withdrawn", actor=actor, connector=grant.connector)


def _new_receipt(
    broker: Broker,
    session: Session,
    actor: str,
    row: Connection,
    reason: str | None,
    ended: str,
    connector: str | None,
    *,
    outcome: str,
) -> str:
    now = broker.clock()
    revocation = Revocation(
        id=fresh_id("rev"),
        tenant=row.tenant,
        subject=row.subject,
        client_id=None if actor == PROVIDER else actor,
        reason=reason,
        requested_at=now,
        effective_at=now + timedelta(seconds=use.WAIT),
    )
    session.add(revocation)
    session.flush()
    session.add(
        RevocationItem(
            revocation_id=revocation.id,
            number=0,
            connection_id=row.id,
            ended=ended,
            connector=connector,
            provider=row.provider,
            provider_outcome=outcome,
            attempts=0,
        )
    )
    return revocation.id


def _earlier(session: Session, connection_id: str, ended: str, connector: str | None = None) -> str:
    """The newest receipt of what was ended before: of this very grant, or else of the whole connection.

    Raises `NotFound` where there is none.
    """
    query = select(RevocationItem).join(Revocation).where(RevocationItem.connection_id == connection_id)
    items = session.scalars(query.order_by(Revocation.requested_at.desc())).all()
    exact = [item for item in items if (item.ended, item.connector) == (ended, connector)]
    found = exact or [item for item in items if item.ended == "connection"]
    if not found:
        raise NotFound
    return found[0].revocation_id


def _live_grants(session: Session, row: Connection) -> Sequence[Grant]:
    return session.scalars(select(Grant).where(Grant.connection_id == row.id, Grant.live.is_(True))).all()


def _siblings(session: Session, row: Connection) -> Sequence[Connection]:
    query = select(Connection).where(
        Connection.app_id == row.app_id, Connection.account_index == row.account_index, Connection.live.is_(True)
    )
    return session.scalars(query.where(Connection.id != row.id)).all()


def _rendered(broker: Broker, session: Session, row: Revocation) -> dict[str, Any]:
    """The Receipt of contract §5."""
    query = select(RevocationItem).where(RevocationItem.revocation_id == row.id).order_by(RevocationItem.number)
    items = session.scalars(query).all()
    pending = any(item.provider_outcome == "pending" for item in items)
    return {
        "id": row.id,
        "tenant": row.tenant,
        "subject": row.subject,
        "reason": row.reason,
        "requested_at": rfc3339(row.requested_at),
        "effective_at": rfc3339(row.effective_at),
        "connections": [_rendered_item(broker, item) for item in items],
        "state": "in_progress" if pending else "completed",
    }


def _rendered_item(broker: Broker, item: RevocationItem) -> dict[str, Any]:
    shown = {
        "id": item.connection_id,
        "ended": item.ended,
        "connector": item.connector,
        "provider": item.provider,
        "provider_outcome": item.provider_outcome,
        "attempts": item.attempts,
        "last_error": item.last_error,
        "shredded_at": rfc3339(item.shredded_at),
        "remove_at": _remove_at(broker, item),
    }
    return {name: value for name, value in shown.items() if name not in OPTIONAL or value is not None}


def _remove_at(broker: Broker, item: RevocationItem) -> dict[str, str] | None:
    """Where the user can end it at the provider, as far as the provider was not told or did not say that it is over."""
    provider = broker.providers.get(item.provider)
    if provider is None or item.provider_outcome in ("confirmed", "already_gone", "pending"):
        return None
    known = {"url": provider.settings_url, "path": provider.settings_path}
    return {name: text for name, text in known.items() if text} or None
