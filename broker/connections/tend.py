"""Tend: a connection is looked after while nobody reads it. One duty each, which sets its own next time.

    due ─► renew, if the token renews itself and its window has come
        ─► else ask the provider what still stands: where it cannot be asked, by a refresh that nobody else needed for
           a day, for its refusal is all that is ever heard of a user who removed the app there
        ─► announce an end that is near; at the end, ask for a new connect

Whatever fails is tried again the next day: the token lives for weeks, and a provider that is down is left alone
(docs/facts/meta.md §1.6, §3.1). Nothing here loops: each time something is asked once.
"""

import hashlib
import logging
from datetime import datetime, timedelta

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from broker.config import DAILY_LOOK
from broker.connections import refresh
from broker.connections.fates import is_over, needs_reconnect
from broker.connections.owe import TEND, owe_tending
from broker.connections.read import noted, rfc3339
from broker.errors import BrokerError
from broker.models import Connection, Duty
from broker.runtime import Broker

log = logging.getLogger("broker.connections")

DAILY = timedelta(days=1)
ANNOUNCED = timedelta(days=7)
"""How long before its end a connection is announced as expiring."""
SPREAD = timedelta(hours=4)
"""Connections made in the same minute are looked after within so long."""
OPEN = ("active", "suspended")
BATCH = 500


def next_look(broker: Broker, row: Connection) -> datetime | None:
    """When the connection is to be looked after next: within a day where the provider can be asked, else when its end
    is to be announced; None: nothing is known to come."""
    now = broker.clock()
    if broker.providers[row.provider].renewed_by == "access_token":
        daily = now + _interval(row)
        announcement = row.expires_at and row.expires_at - ANNOUNCED
        known = [time for time in (_renewal(broker, row), announcement, row.expires_at) if time and time > now]
        return min([daily, *known])
    times = []
    if _is_looked_at(broker, row):
        times.append(unused if (unused := _unused_from(row)) and unused > now else now + _interval(row))
    if row.expires_at is not None and row.expiring_told != row.expires_at:
        times.append(max(row.expires_at - ANNOUNCED, now))
    return min(times, default=None)


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


def enrol(broker: Broker) -> None:
    """Whatever is to be looked at daily has its duty, also where it was connected before that was so; their first looks
    come all over a day."""
    names = [name for name, provider in broker.providers.items() if provider.renewed_by == "refresh_token"]
    owed = exists().where(Duty.kind == TEND, Duty.key == Connection.id, Duty.open.is_(True))
    query = select(Connection.id).where(
        Connection.provider.in_([name for name in names if _looks_daily(broker, name)]),
        Connection.live.is_(True),
        Connection.state.in_(OPEN),
        Connection.refresh_token.is_not(None),
        Connection.provider_suspended_at.is_(None),
        ~owed,
    )
    while True:
        with broker.database.write() as session:
            now = broker.clock()
            found = session.scalars(query.limit(BATCH)).all()
            for connection_id in found:
                owe_tending(session, connection_id, due_at=now + DAILY * spread(connection_id), now=now)
        if len(found) < BATCH:
            return


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
    elif _is_unused(broker, row):
        refresh.renew(broker, row, begin_by=begin_by)


def _is_looked_at(broker: Broker, row: Connection) -> bool:
    """By a refresh: what has no refresh token lives on without; what the provider holds back is left alone."""
    return row.refresh_token is not None and row.provider_suspended_at is None and _looks_daily(broker, row.provider)


def _is_unused(broker: Broker, row: Connection) -> bool:
    """Nobody renewed it for a day, and neither the settings nor a tenant's own app say that this is no matter."""
    unused = _unused_from(row)
    if not _is_looked_at(broker, row) or unused is None or unused > broker.clock():
        return False
    return broker.app(row.app_id).options.get(DAILY_LOOK.name, DAILY_LOOK.default) == "on"


def _looks_daily(broker: Broker, provider: str) -> bool:
    return broker.settings.options.get(provider, {}).get(DAILY_LOOK.name, DAILY_LOOK.default) == "on"


def _interval(row: Connection) -> timedelta:
    return DAILY - SPREAD + SPREAD * spread(row.id)


def _unused_from(row: Connection) -> datetime | None:
    """From then on its token counts as unused for a day, if nobody's read renews it before."""
    return row.obtained_at and row.obtained_at + _interval(row)


def _renewal(broker: Broker, row: Connection) -> datetime | None:
    if row.obtained_at is None:
        return None
    return broker.providers[row.provider].renewal(row.obtained_at, row.access_expires_at, spread(row.id))


def _announce(broker: Broker, session: Session, row: Connection) -> None:
    """Once for each end: the sales app can send the user to connect again before anything stops."""
    if row.expires_at and row.expires_at - broker.clock() <= ANNOUNCED and row.expiring_told != row.expires_at:
        row.expiring_told = row.expires_at
        noted(session, row, "connection.expiring", actor="broker", expires_at=rfc3339(row.expires_at))
