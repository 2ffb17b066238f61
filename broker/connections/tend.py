"""Tend: a connection is looked after while nobody reads it. One duty each, which sets its own next time.

    due ─► renew, if the token renews itself and its window has come
        ─► else ask the provider what still stands
        ─► announce an end that is near; at the end, ask for a new connect

Whatever fails is tried again the next day: the token lives for weeks, and a provider that is down is left alone
(docs/facts/meta.md §1.6, §3.1). Nothing here loops: each time something is asked once.
"""

import hashlib
import logging
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from broker.connections import refresh
from broker.connections.fates import is_over, needs_reconnect
from broker.connections.read import noted, rfc3339
from broker.errors import BrokerError
from broker.models import Connection
from broker.runtime import Broker

log = logging.getLogger("broker.connections")

DAILY = timedelta(days=1)
ANNOUNCED = timedelta(days=7)
"""How long before its end a connection is announced as expiring."""
SPREAD = timedelta(hours=4)
"""Connections made in the same minute are looked after within so long."""
OPEN = ("active", "suspended")


def next_look(broker: Broker, row: Connection) -> datetime | None:
    """When the connection is to be looked after next: within a day where the provider can be asked, else when its end
    is to be announced; None: nothing is known to come."""
    now = broker.clock()
    if broker.providers[row.provider].renewed_by == "access_token":
        daily = now + DAILY - SPREAD + SPREAD * spread(row.id)
        announcement = row.expires_at and row.expires_at - ANNOUNCED
        known = [time for time in (_renewal(broker, row), announcement, row.expires_at) if time and time > now]
        return min([daily, *known])
    if row.expires_at is None or row.expiring_told == row.expires_at:
        return None
    return max(row.expires_at - ANNOUNCED, now)


def tend(broker: Broker, key: str, *, begin_by: float) -> datetime | None:
    """Do the duty of the connection `key`; gives when it must be looked at again, None where nothing is to come. Never
    fails for the provider's sake."""
    row = _read(broker, key)
    if row is None:
        return None
    try:
        _ask(broker, row, begin_by)
    except BrokerError as error:
        log.warning("tending connection %s: %s", key, error.detail)
    with broker.database.write() as session:
        current = session.get_one(Connection, key, with_for_update=True)
        if not current.live or current.state not in OPEN:
            return None
        if is_over(broker, current):
            needs_reconnect(session, current)
            return None
        _announce(broker, session, current)
        following = next_look(broker, current)
        return following and max(following, broker.clock() + timedelta(minutes=1))


def spread(connection_id: str) -> float:
    """A connection's own place between 0 and 1, the same at each look."""
    return int.from_bytes(hashlib.sha256(connection_id.encode()).digest()[:4]) / 2**32


def _read(broker: Broker, connection_id: str) -> Connection | None:
    with broker.database.read() as session:
        row = session.get(Connection, connection_id)
    return row if row and row.live and row.state in OPEN else None


def _ask(broker: Broker, row: Connection, begin_by: float) -> None:
    renewal = _renewal(broker, row)
    if renewal and renewal <= broker.clock():
        refresh.renew(broker, row, begin_by=begin_by)
    elif broker.providers[row.provider].renewed_by == "access_token":
        refresh.look(broker, row, begin_by=begin_by)


def _renewal(broker: Broker, row: Connection) -> datetime | None:
    if row.obtained_at is None:
        return None
    return broker.providers[row.provider].renewal(row.obtained_at, row.access_expires_at, spread(row.id))


def _announce(broker: Broker, session: Session, row: Connection) -> None:
    """Once for each end: the sales app can send the user to connect again before anything stops."""
    if row.expires_at and row.expires_at - broker.clock() <= ANNOUNCED and row.expiring_told != row.expires_at:
        row.expiring_told = row.expires_at
        noted(session, row, "connection.expiring", actor="broker", expires_at=rfc3339(row.expires_at))
