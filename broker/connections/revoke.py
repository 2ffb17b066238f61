"""Revoke: denied here first, then the provider is told, and told until it has answered. It ends in a receipt.

The transaction that ends a grant or connection also makes the receipt and the duty. When `end_*` has returned, no
request on any worker hands out that data any more (I2). All that match: `broker.connections.mass`.
"""

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from broker.clients import Caller
from broker.connections import use
from broker.connections.ending import end_connections, end_grants, live_grants, locked
from broker.connections.ending import would_end as _of_one
from broker.connections.read import known_connection
from broker.connections.receipts import Ended, Item, earlier, new_receipt, shown
from broker.errors import NotFound
from broker.failpoint import failpoint
from broker.models import Connection, Grant, Revocation
from broker.runtime import Broker

PROVIDER = "provider"
"""As an actor: who revoked at the provider itself."""


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
        row = locked(session, session.get_one(Connection, connection_id))
        if row.live and (before is None or row.activated_at < before):
            items = end_connections(broker, session, PROVIDER, [row], live_grants(session, [row]), reason=reason)
            _receipt(broker, session, PROVIDER, row, reason, items)
    broker.shred_log.flush()


def would_end(broker: Broker, caller: Caller, connection_id: str, connector: str | None = None) -> dict[str, Any]:
    """What a revocation would end, and the caller's other connections that share the authorization."""
    with broker.database.read() as session:
        row = known_connection(session, caller, connection_id)
        if connector:
            _require_grant(session, row, connector)
        live = [grant.connector for grant in live_grants(session, [row]).get(row.id, ())]
        siblings = [{"connection": other.id} for other in _siblings(session, row) if caller.acts_for(other.tenant)]
    return {"would_end": _of_one(row, live, connector), "siblings": siblings}


def _carried_out(broker: Broker, end: Callable[[Session], tuple[str, bool]]) -> Ended:
    """Commit, wait until nobody relies on the old state, answer. A repeated one waits too: the first may be waiting."""
    with broker.database.write() as session:
        revocation_id, anew = end(session)
    broker.shred_log.flush()  # a repeated one, too, is answered only when the log knows
    failpoint("revoke.committed")
    time.sleep(use.WAIT)
    with broker.database.read() as session:
        return Ended(shown(broker, session, session.get_one(Revocation, revocation_id)), anew)


def _end_connection(
    broker: Broker, session: Session, caller: Caller, connection_id: str, reason: str | None
) -> tuple[str, bool]:
    row = locked(session, known_connection(session, caller, connection_id))
    if not row.live:
        return earlier(session, row.id, "connection"), False
    items = end_connections(broker, session, caller.client_id, [row], live_grants(session, [row]), reason=reason)
    return _receipt(broker, session, caller.client_id, row, reason, items), True


def _end_grant(
    broker: Broker, session: Session, caller: Caller, connection_id: str, connector: str, reason: str | None
) -> tuple[str, bool]:
    row = locked(session, known_connection(session, caller, connection_id))
    _require_grant(session, row, connector)
    actor, grants = caller.client_id, live_grants(session, [row])
    live = [grant.connector for grant in grants.get(row.id, ())]
    if connector not in live:
        return earlier(session, row.id, "grant", connector), False
    if len(live) == 1:
        items = end_connections(broker, session, actor, [row], grants, reason=reason, connector=connector)
    else:
        items = end_grants(broker, session, actor, [row], grants, connector)
    return _receipt(broker, session, actor, row, reason, items), True


def _receipt(
    broker: Broker, session: Session, actor: str, row: Connection, reason: str | None, items: Sequence[Item]
) -> str:
    return new_receipt(
        broker,
        session,
        tenant=row.tenant,
        subject=row.subject,
        client_id=None if actor == PROVIDER else actor,
        reason=reason,
        items=items,
    )


def _require_grant(session: Session, row: Connection, connector: str) -> None:
    """Raises `NotFound` for a connector that was never granted on this connection."""
    granted = select(Grant.id).where(Grant.connection_id == row.id, Grant.connector == connector)
    if session.scalar(granted.limit(1)) is None:
        raise NotFound


def _siblings(session: Session, row: Connection) -> Sequence[Connection]:
    query = select(Connection).where(
        Connection.app_id == row.app_id, Connection.account_index == row.account_index, Connection.live.is_(True)
    )
    return session.scalars(query.where(Connection.id != row.id)).all()
