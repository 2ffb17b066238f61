"""Appless: a tenant's own provider app was removed, and with it the secret. What was in use by it ends here.

Its connections give no data and say so: they must be connected anew, by another app. They are not revoked: the users'
grants stand on record until somebody ends them. Nothing here is needed for a denial: without the app no call is made.
"""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from broker.connections.fates import needs_reconnect
from broker.connections.refresh import HELD
from broker.connections.sessions import end_session
from broker.models import Connection, ConnectSession
from broker.runtime import Broker

BATCH = 100
"""Rows changed in one transaction: others wait for them."""


def live_connections(broker: Broker, app_id: str) -> int:
    """How many connections rest on a provider app."""
    query = select(func.count()).where(Connection.app_id == app_id, Connection.live.is_(True))
    with broker.database.read() as session:
        return session.scalar(query) or 0


def end_use(broker: Broker, app_id: str) -> None:
    """May be repeated, and goes on where it was interrupted. Raises `Unavailable`."""
    for step in (_connections, _sessions):
        more = True
        while more:
            with broker.database.write() as session:
                more = step(broker, session, app_id)


def _connections(broker: Broker, session: Session, app_id: str) -> bool:  # noqa: ARG001
    query = select(Connection).where(Connection.app_id == app_id, Connection.live.is_(True), Connection.state.in_(HELD))
    rows = session.scalars(query.order_by(Connection.id).limit(BATCH).with_for_update()).all()
    for row in rows:
        row.fence += 1
        row.lease_until, row.refresh_inflight = None, False
        needs_reconnect(session, row, actor="operator")
    return bool(rows)


def _sessions(broker: Broker, session: Session, app_id: str) -> bool:
    """One that is just being exchanged ends by itself."""
    query = select(ConnectSession).where(
        ConnectSession.app_id == app_id,
        ConnectSession.status.in_(("open", "pending")),
        ConnectSession.exchange_began_at.is_(None),
    )
    rows = session.scalars(query.order_by(ConnectSession.id).limit(BATCH).with_for_update()).all()
    for row in rows:
        end_session(broker, session, row, "failed", actor="operator")
    return bool(rows)
