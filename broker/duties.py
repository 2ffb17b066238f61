"""Duties: what the broker owes and does even if it crashes. The database is the queue.

A worker leases a due row with a fence; a duty that fails comes back later, ever more slowly, for days. Beside the
duties the worker sweeps away what has expired.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select, update

from broker.connections import tell
from broker.connections.begin import end_session
from broker.errors import BrokerError, RateLimited
from broker.models import AccessToken, ConnectSession, Duty
from broker.runtime import Broker

log = logging.getLogger("broker.duties")

DELAYS = (5, 15, 60, 300, 900, 3600, 3 * 3600, 6 * 3600)
"""Seconds before each further try; the last one repeats until `PATIENCE` is over."""
PATIENCE = timedelta(days=7)
LEASE = timedelta(seconds=60)
IDLE = 0.5
SWEEP = 60.0


@dataclass(frozen=True)
class Leased:
    """A duty that this worker alone may do, as long as the fence stands."""

    id: str
    key: str
    fence: int
    attempts: int
    created_at: datetime


def work(broker: Broker, *, once: bool = False, stop: Callable[[], bool] = lambda: False) -> None:
    """Do duties until `stop`; `once` drains what is due and returns."""
    swept = float("-inf")
    while not stop():
        if time.monotonic() - swept > SWEEP:
            sweep(broker)
            swept = time.monotonic()
        duty = lease(broker)
        if duty:
            do(broker, duty)
        elif once:
            return
        else:
            time.sleep(IDLE)


def lease(broker: Broker) -> Leased | None:
    """The next due duty, leased; on PostgreSQL rivals skip rows that another worker is just taking."""
    now = broker.clock()
    with broker.database.write() as session:
        row = session.scalar(
            select(Duty)
            .where(Duty.open.is_(True), Duty.due_at <= now, or_(Duty.lease_until.is_(None), Duty.lease_until < now))
            .order_by(Duty.due_at)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        if row is None:
            return None
        row.fence += 1
        row.attempts += 1
        row.lease_until = now + LEASE
        return Leased(row.id, row.key, row.fence, row.attempts, row.created_at)


def do(broker: Broker, duty: Leased) -> None:
    """One try. A failure is recorded, not raised: the duty comes back."""
    try:
        again_at = tell.tell(broker, duty.key, duty.attempts)
    except BrokerError as error:
        _later(broker, duty, error)
        return
    _close(broker, duty, again_at)


def sweep(broker: Broker) -> None:
    """End connect sessions that nobody finished, with their secrets, and forget expired access tokens."""
    now = broker.clock()
    late = now - timedelta(seconds=2 * broker.settings.request_deadline)
    with broker.database.write() as session:
        expired = select(ConnectSession).where(
            ConnectSession.status.in_(("open", "pending")),
            ConnectSession.expires_at <= now,
            or_(ConnectSession.exchange_began_at.is_(None), ConnectSession.exchange_began_at < late),
        )
        for row in session.scalars(expired.limit(500).with_for_update(skip_locked=True)).all():
            end_session(broker, session, row, "expired")
        session.execute(delete(AccessToken).where(AccessToken.expires_at < now - timedelta(hours=1)))


def _close(broker: Broker, duty: Leased, again_at: datetime | None) -> None:
    """Close the duty, or put it off; nothing if somebody has owed it anew meanwhile."""
    mine = update(Duty).where(Duty.id == duty.id, Duty.fence == duty.fence)
    with broker.database.write() as session:
        if again_at:
            session.execute(mine.values(due_at=again_at, lease_until=None, attempts=Duty.attempts - 1))
        else:
            session.execute(mine.values(open=None, done_at=broker.clock(), lease_until=None))


def _later(broker: Broker, duty: Leased, error: BrokerError) -> None:
    """Put a failed duty off, or give up after days: either stands on the receipt."""
    now = broker.clock()
    gave_up = now - duty.created_at > PATIENCE
    delay = DELAYS[min(duty.attempts, len(DELAYS)) - 1]
    wait = error.members.get("retry_after", delay) if isinstance(error, RateLimited) else delay
    log.warning("duty %s failed at try %d: %s", duty.id, duty.attempts, error.detail)
    tell.failed(broker, duty.key, duty.attempts, error, gave_up=gave_up)
    if gave_up:
        _close(broker, duty, None)
        return
    mine = update(Duty).where(Duty.id == duty.id, Duty.fence == duty.fence)
    with broker.database.write() as session:
        due_at = now + timedelta(seconds=wait)
        session.execute(mine.values(due_at=due_at, lease_until=None, last_error=error.detail[:200]))
