"""Duties: what the broker owes and does even if it crashes. The database is the queue.

A worker leases a due row with a fence; a duty that fails comes back later, ever more slowly, for days. Beside the
duties the worker sweeps away what has expired. Whatever goes wrong, a worker goes on: what it owes, nobody else does.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from broker import events, idempotency
from broker.apps import AppRemoved
from broker.connections import found, from_google, mass, tell, tend
from broker.connections.confirm import lost
from broker.connections.owe import TELL_PROVIDER, TEND
from broker.connections.sessions import end_session
from broker.errors import BrokerError, RateLimited, Unavailable
from broker.events import deliver
from broker.models import (
    AccessToken,
    ClientAssertion,
    ConnectSession,
    Duty,
    PortalSession,
    ProviderCalls,
    ProviderPause,
)
from broker.privacy import erase, retain
from broker.runtime import Broker
from broker.vault import shred_owed

log = logging.getLogger("broker.duties")

DELAYS = (5, 15, 60, 300, 900, 3600, 3 * 3600, 6 * 3600)
"""Seconds before each further try; the last one repeats until `PATIENCE` is over."""
PATIENCE = timedelta(days=7)
SOON = 30
"""Seconds within which a duty that failed for the first time is tried again, whatever the provider asks for."""
IDLE = 0.5
SWEEP = 60.0
RETAIN = 3600.0
"""Seconds between two looks at what is past its time."""
KEPT = timedelta(days=30)
"""For how long a duty that is done stays to be looked at."""


@dataclass(frozen=True)
class Leased:
    """A duty that this worker alone may do until `until`, in calls begun before `begin_by` (monotonic seconds).

    The fence tells whether somebody has owed it anew since; `until`, whether another worker has taken it.
    """

    id: str
    kind: str
    key: str
    fence: int
    attempts: int
    created_at: datetime
    until: datetime
    begin_by: float


class Act(Protocol):
    """Does one duty by its key, in calls begun before `begin_by`; gives when it must be looked at again, if at all."""

    def __call__(self, broker: Broker, key: str, *, begin_by: float) -> datetime | None: ...


ACTS: Mapping[str, Act] = {
    TELL_PROVIDER: tell.tell,
    TEND: tend.tend,
    mass.END_MATCHING: mass.go_on,
    events.DELIVER: deliver.deliver,
    erase.ERASE: erase.carry_on,
}


APART = frozenset({events.DELIVER})
"""Done by a thread of their own: a receiver of events that hangs must not keep a provider from hearing of an end."""


def work(broker: Broker, *, once: bool = False, stop: Callable[[], bool] = lambda: False) -> None:
    """Do duties until `stop`; `once` drains what is due and returns. Raises `Unavailable` with `once` alone."""
    if once:
        _work(broker, frozenset(ACTS), once=True, stop=stop)
        return
    ended = threading.Event()
    apart = threading.Thread(target=_deliver, args=(broker, lambda: stop() or ended.is_set()), name="deliveries")
    apart.start()
    try:
        _work(broker, frozenset(ACTS) - APART, once=False, stop=lambda: stop() or not apart.is_alive())
    finally:
        ended.set()
        apart.join()


def _deliver(broker: Broker, stop: Callable[[], bool]) -> None:
    while not stop():
        try:
            busy = _next(broker, APART)
        except Unavailable as error:
            log.warning("deliveries wait for the database: %s", error.detail)
            busy = False
        if not busy:
            time.sleep(IDLE)


def _work(broker: Broker, kinds: Collection[str], *, once: bool, stop: Callable[[], bool]) -> None:
    swept, retained, enrolled = float("-inf"), float("-inf"), False
    while not stop():
        busy = False
        try:
            if not enrolled:
                tend.enrol(broker)
                enrolled = True
            if time.monotonic() - swept > SWEEP:
                sweep(broker)
                swept = time.monotonic()
            if time.monotonic() - retained > RETAIN:
                retain.sweep(broker)
                retained = time.monotonic()
            busy = _next(broker, kinds)
        except Unavailable as error:
            if once:
                raise
            log.warning("duties wait for the database: %s", error.detail)
        if once and not busy:
            return
        if not busy:
            time.sleep(IDLE)


def _next(broker: Broker, kinds: Collection[str]) -> bool:
    """Do one duty of these kinds; False where none is due. Raises `Unavailable`."""
    duty = lease(broker, kinds)
    if duty is None:
        return False
    try:
        do(broker, duty)
    except Unavailable:
        raise
    except Exception as error:  # a fault of ours must not keep this worker from other duties; the lease brings it back
        log.error("duty %s cannot even be put off: %s", duty.id, type(error).__qualname__, exc_info=error)
    return True


def lease(broker: Broker, kinds: Collection[str] = frozenset(ACTS)) -> Leased | None:
    """The next due duty of these kinds, leased; on PostgreSQL rivals skip rows that another worker is just taking."""
    now, began = broker.clock(), time.monotonic()
    with broker.database.write() as session:
        row = session.scalar(
            select(Duty)
            .where(Duty.open.is_(True), Duty.kind.in_(kinds), Duty.due_at <= now)
            .where(or_(Duty.lease_until.is_(None), Duty.lease_until < now))
            .order_by(Duty.due_at)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        if row is None:
            return None
        row.fence += 1
        row.attempts += 1
        row.lease_until = until = now + tell.longest(broker)
        begin_by = began + tell.TO_BEGIN
        return Leased(row.id, row.kind, row.key, row.fence, row.attempts, row.created_at, until, begin_by)


def do(broker: Broker, duty: Leased) -> None:
    """One try. A failure is recorded, not raised: the duty comes back. Raises `Unavailable` where it cannot be."""
    try:
        again_at = ACTS[duty.kind](broker, duty.key, begin_by=duty.begin_by)
    except BrokerError as error:
        _later(broker, duty, error)
    except Exception as error:  # a fault of ours; it has its patience and its receipt as any other failure
        log.error("duty %s: unexpected %s", duty.id, type(error).__qualname__, exc_info=error)
        _later(broker, duty, BrokerError("An error of ours; the log has it."))
    else:
        _close(broker, duty, again_at)


def sweep(broker: Broker) -> None:
    """End connect sessions that nobody finished, with their secrets; forget expired access tokens and old duties;
    destroy keys that should be gone already, and write what the shred log is still to be told."""
    now = broker.clock()
    late = now - timedelta(seconds=2 * broker.settings.request_deadline)
    with broker.database.write() as session:
        expired = select(ConnectSession).where(
            ConnectSession.status.in_(("open", "pending")),
            ConnectSession.expires_at <= now,
            or_(ConnectSession.exchange_began_at.is_(None), ConnectSession.exchange_began_at < late),
        )
        for row in session.scalars(expired.limit(500).with_for_update(skip_locked=True)).all():
            if row.exchange_began_at:
                lost(broker, session, row)
            else:
                end_session(broker, session, row, "expired")
        session.execute(delete(ClientAssertion).where(ClientAssertion.expires_at < now))
        idempotency.sweep(broker, session, now)
        deliver.sweep(session, now)
        from_google.sweep(session, now)
        session.execute(delete(PortalSession).where(PortalSession.expires_at <= now))
        session.execute(delete(AccessToken).where(AccessToken.expires_at < now - timedelta(hours=1)))
        session.execute(delete(Duty).where(Duty.done_at < now - KEPT))
        found.forget_old(session, now)
        session.execute(delete(ProviderPause).where(ProviderPause.until < now))
        session.execute(delete(ProviderCalls).where(ProviderCalls.minute < now - timedelta(hours=1)))
    shred_owed(broker.database)
    broker.shred_log.flush()
    broker.database.keystore.wipe()


def _close(broker: Broker, duty: Leased, again_at: datetime | None) -> None:
    """Close the duty, or put it off; it stays due if somebody has owed it anew meanwhile."""
    with broker.database.write() as session:
        row = _held(session, duty)
        if row and row.fence == duty.fence:
            if again_at:
                row.due_at, row.attempts = again_at, duty.attempts - 1
            else:
                row.open, row.done_at = None, broker.clock()


def _later(broker: Broker, duty: Leased, error: BrokerError) -> None:
    """Put a failed duty off, or give up: after days, or at once where the provider app was removed, for nobody can
    tell the provider any more. Either stands on the receipt. One that was owed anew meanwhile stays due, with all its
    patience."""
    now = broker.clock()
    log.warning("duty %s failed at try %d: %s", duty.id, duty.attempts, error.detail)
    with broker.database.write() as session:
        row = _held(session, duty)
        if row is None:
            return
        in_vain = now - duty.created_at > PATIENCE or isinstance(error, AppRemoved)
        gave_up = row.fence == duty.fence and in_vain and duty.kind == TELL_PROVIDER
        if duty.kind == TELL_PROVIDER:
            tell.failed(broker, session, duty.key, error, gave_up=gave_up)
        row.last_error = error.detail[:200]
        if gave_up:
            log.error("duty %s is given up: the provider may honour for longer what was to end", duty.id)
            row.open, row.done_at = None, now
        elif row.fence == duty.fence:
            row.due_at = now + _pause(duty, error)


def _held(session: Session, duty: Leased) -> Duty | None:
    """The duty's row, locked, its lease ended; None where another worker has leased it by now: its word counts."""
    mine = select(Duty).where(Duty.id == duty.id, Duty.open.is_(True), Duty.lease_until == duty.until)
    row = session.scalar(mine.with_for_update())
    if row:
        row.lease_until = None
    return row


def _pause(duty: Leased, error: BrokerError) -> timedelta:
    asked = error.members.get("retry_after", 0) if isinstance(error, RateLimited) else 0
    seconds = max(DELAYS[min(duty.attempts, len(DELAYS)) - 1], asked)
    return timedelta(seconds=min(seconds, SOON) if duty.attempts == 1 else seconds)
