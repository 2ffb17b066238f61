"""Suspend and resume: a caller holds data back for a while. What the provider suspended, the provider alone resumes."""

import time

from sqlalchemy.orm import Session

from broker.clients import Caller
from broker.connections import use
from broker.connections.read import known_connection, noted
from broker.errors import ConnectionRevoked, ConnectionSuspended
from broker.models import Connection
from broker.runtime import Broker


def suspend(broker: Broker, caller: Caller, connection_id: str) -> None:
    """When this has returned, no request hands out that data (I2). Raises `NotFound`, `ConnectionRevoked`."""
    with broker.database.write() as session:
        row = _live(session, caller, connection_id)
        if row.suspended_at is None:
            row.suspended_at, row.state = broker.clock(), "suspended"
            noted(session, row, "connection.suspended", actor=caller.client_id)
    time.sleep(use.WAIT)


def resume(broker: Broker, caller: Caller, connection_id: str) -> None:
    """Raises as `suspend`, and `ConnectionSuspended` where the provider's own suspension still stands."""
    with broker.database.write() as session:
        row = _live(session, caller, connection_id)
        if row.suspended_at is not None:
            row.suspended_at = None
            noted(session, row, "connection.resumed", actor=caller.client_id)
            row.state = "suspended" if row.provider_suspended_at else _state_before(row)
        held = row.provider_suspended_at is not None
    if held:
        raise ConnectionSuspended("The provider suspended this account.", source="provider")


def _state_before(row: Connection) -> str:
    """An access token is dropped only where the provider no longer honours the connection."""
    return "active" if row.access_token else "reconnect_required"


def _live(session: Session, caller: Caller, connection_id: str) -> Connection:
    row = known_connection(session, caller, connection_id, lock=True)
    if not row.live:
        raise ConnectionRevoked("The connection was revoked.")
    return row
