"""Ending: connections and grants deny from now on, in the caller's transaction, one or hundreds at a time.

Rows are locked in one order: authorizations, connections, duties and sessions, receipts. Nothing is told to a provider
here; that is owed.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from broker.connections.owe import authorization, owe_tellings
from broker.connections.read import noted
from broker.connections.receipts import Item
from broker.connections.sessions import end_session
from broker.db import insert_if_missing
from broker.models import Authorization, Connection, ConnectSession, Grant
from broker.runtime import Broker

Grants = Mapping[str, Sequence[Grant]]
"""Connection id → its live grants."""


def locked(session: Session, row: Connection) -> Connection:
    """The connection, locked behind its authorization, as activation locks the two."""
    authorization(session, row.app_id, row.account_index)
    session.refresh(row, with_for_update=True)
    return row


def all_locked(session: Session, wanted: Sequence[tuple[str, str, bytes]]) -> Sequence[Connection]:
    """The same for many (id, app id, account index): those that are still live."""
    accounts = sorted({(app_id, index) for _, app_id, index in wanted})
    key = (Authorization.app_id, Authorization.account_index)
    among = tuple_(*key).in_(accounts)
    known = {(app_id, index) for app_id, index in session.execute(select(*key).where(among))}
    for app_id, index in accounts:
        if (app_id, index) not in known:
            insert_if_missing(session, Authorization, {"app_id": app_id, "account_index": index})
    session.execute(select(*key).where(among).order_by(*key).with_for_update()).all()
    rows = select(Connection).where(Connection.id.in_([connection_id for connection_id, _, _ in wanted]))
    fresh = rows.order_by(Connection.id).with_for_update().execution_options(populate_existing=True)
    return [row for row in session.scalars(fresh) if row.live]


def live_grants(session: Session, rows: Sequence[Connection]) -> Grants:
    query = select(Grant).where(Grant.connection_id.in_([row.id for row in rows]), Grant.live.is_(True))
    found: defaultdict[str, list[Grant]] = defaultdict(list)
    for grant in session.scalars(query.order_by(Grant.granted_at, Grant.id)):
        found[grant.connection_id].append(grant)
    return found


def end_connections(
    broker: Broker,
    session: Session,
    actor: str,
    rows: Sequence[Connection],
    grants: Grants,
    *,
    reason: str | None,
    connector: str | None = None,
) -> list[Item]:
    """Deny from now on, drop what could be used, and owe the provider the news. `connector`: the last one, whose
    withdrawal ends the whole."""
    now = broker.clock()
    for row in rows:
        withdraw(broker, session, actor, row, grants.get(row.id, ()))
        noted(session, row, "connection.revoked", actor=actor, reason=reason, connector=connector)
        row.state, row.live, row.ended_at = "revoking", None, now
        row.fence += 1
        row.lease_until, row.fresh_until, row.refresh_inflight = None, None, False
    session.flush()
    owe_tellings(session, [(row.app_id, row.account_index) for row in rows], now=now)
    _end_renewing(broker, session, rows)
    return [Item(row.id, row.provider, "connection", connector, "pending") for row in rows]


def end_grants(
    broker: Broker, session: Session, actor: str, rows: Sequence[Connection], grants: Grants, connector: str
) -> list[Item]:
    """One connector's, of connections that go on. Where the provider takes back single permissions, it is told which
    nothing needs any more (docs/facts/meta.md §1.10)."""
    items = []
    for row in rows:
        withdraw(broker, session, actor, row, [grant for grant in grants[row.id] if grant.connector == connector])
        takes_back = row.provider in broker.providers and broker.providers[row.provider].takes_back_permissions
        items.append(Item(row.id, row.provider, "grant", connector, "pending" if takes_back else "shared"))
    session.flush()
    told = {item.connection_id for item in items if item.outcome == "pending"}
    owe_tellings(session, [(row.app_id, row.account_index) for row in rows if row.id in told], now=broker.clock())
    return items


def withdraw(broker: Broker, session: Session, actor: str, row: Connection, grants: Sequence[Grant]) -> None:
    for grant in grants:
        grant.live, grant.withdrawn_at = None, broker.clock()
        noted(session, row, "grant.withdrawn", actor=actor, connector=grant.connector)


def _end_renewing(broker: Broker, session: Session, rows: Sequence[Connection]) -> None:
    renewing = select(ConnectSession).where(
        ConnectSession.renews.in_([row.id for row in rows]), ConnectSession.status.in_(("open", "pending"))
    )
    for attempt in session.scalars(renewing.order_by(ConnectSession.id)).all():
        end_session(broker, session, attempt, "failed")


def would_end(row: Connection, live: Sequence[str], connector: str | None) -> list[dict[str, Any]]:
    """What ends of a connection with these live grants: the whole, one connector, or nothing."""
    if not connector or list(live) == [connector]:
        return [{"connection": row.id}] if row.live else []
    return [{"connection": row.id, "connector": connector}] if connector in live else []
