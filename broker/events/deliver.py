"""Deliver: an endpoint's events go out, signed by Standard Webhooks, for days, one connection's in their order.

    due ─► a round: its lanes side by side, each in order ─► what came of it, in one transaction ─► the next round

A lane is a connection: what follows an event that failed waits for it, and no other lane does. Where nothing at all
arrives, the whole endpoint is left alone for a while, and then asked with one event, so that neither a dead endpoint
nor thousands of events that wait for it make a storm. A crash between sending and recording sends again, under the
same `webhook-id`.
"""

import base64
import hashlib
import hmac
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session, aliased

from broker.errors import ProviderUnavailable
from broker.events import endpoints
from broker.events.outbox import ERASED, without_subject
from broker.failpoint import failpoint
from broker.models import Client, EventDelivery, EventEndpoint
from broker.runtime import Broker
from broker.secret import Secret
from broker.upstream import Delivery, retry_after

DELAYS = (5, 15, 60, 300, 900, 1800, 3600)
"""Seconds before each further try of one event; the last one repeats until `PATIENCE` is over."""
PAUSES = (5, 15, 60, 300, 600)
"""Seconds for which an endpoint is left alone where nothing arrives; then it is asked with one event."""
PATIENCE = timedelta(days=4)
ROUND = 4.0
"""Seconds in which one duty begins deliveries: what else the worker owes waits so long."""
BATCH = 200
PARALLEL = 8
IN_VAIN = 3
"""Failures without a success that end a round."""
SWEPT = 5000
"""Rows of a kind that one sweep forgets: it comes again in a minute, and must end in time."""
DELIVERED_KEPT, FAILED_KEPT = timedelta(days=7), timedelta(days=30)


@dataclass(frozen=True)
class Outcome:
    """What came of one delivery; `error` is None where it arrived."""

    seq: int
    status: int | None = None
    error: str | None = None
    retry_after: int | None = None
    """Seconds, where the receiver said so."""

    @property
    def gone(self) -> bool:
        return self.status == 410


@dataclass(frozen=True)
class _Endpoint:
    id: str
    url: str
    secrets: tuple[Secret, ...]
    failing: bool
    paused_until: datetime | None


def deliver(broker: Broker, key: str, *, begin_by: float) -> datetime | None:
    """Do the duty of the endpoint `key`; gives when there is something to deliver again, None where nothing is."""
    endpoint = _ready(broker, key)
    if endpoint is None:
        return None
    if endpoint.paused_until and endpoint.paused_until > broker.clock():
        return endpoint.paused_until
    ends = min(begin_by, time.monotonic() + ROUND)
    with Delivery(endpoint.url, development=not broker.settings.production, connections=PARALLEL) as way:
        while time.monotonic() < ends and (due := _due(broker, endpoint)):
            outcomes = _Round(way, endpoint, broker.clock, ends).sent(due)
            failpoint("event.sent")
            if not outcomes or not _settled(broker, key, outcomes):
                break
            endpoint = replace(endpoint, failing=False)
    return _next(broker, key)


def sweep(session: Session, now: datetime) -> None:
    """Forget what was delivered a week ago, or failed a month ago."""
    for state, kept in (("delivered", DELIVERED_KEPT), ("failed", FAILED_KEPT)):
        settled = (EventDelivery.state == state, EventDelivery.settled_at < now - kept)
        some = select(EventDelivery.seq).where(*settled).limit(SWEPT)
        session.execute(delete(EventDelivery).where(EventDelivery.seq.in_(some)))


def signature(secrets: Sequence[Secret], event_id: str, timestamp: int, body: str) -> str:
    """`webhook-signature`: one for each secret that signs (Standard Webhooks, signature scheme v1)."""
    text = f"{event_id}.{timestamp}.{body}".encode()
    keys = [base64.b64decode(secret.reveal().removeprefix(endpoints.PREFIX)) for secret in secrets]
    return " ".join("v1," + base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode() for key in keys)


class _Round:
    """Lanes side by side, in threads that touch no database; each lane in order, until one of it fails."""

    def __init__(self, way: Delivery, endpoint: _Endpoint, clock: Callable[[], datetime], ends: float) -> None:
        self._way, self._endpoint, self._clock, self._ends = way, endpoint, clock, ends
        self._lock = threading.Lock()
        self._outcomes: list[Outcome] = []
        self._over = False

    def sent(self, due: Sequence[EventDelivery]) -> list[Outcome]:
        by_lane = sorted(due, key=lambda row: (row.lane, row.seq))
        lanes = [list(rows) for _, rows in groupby(by_lane, key=lambda row: row.lane)]
        lanes.sort(key=lambda rows: rows[0].seq)
        with ThreadPoolExecutor(min(PARALLEL, len(lanes))) as pool:
            for done in [pool.submit(self._lane, rows) for rows in lanes]:
                done.result()
        return self._outcomes

    def _lane(self, rows: Sequence[EventDelivery]) -> None:
        for row in rows:
            if self._over or time.monotonic() >= self._ends:
                return
            outcome = self._tried(row)
            self._noted(outcome)
            if outcome.error:
                return

    def _tried(self, row: EventDelivery) -> Outcome:
        timestamp = int(self._clock().timestamp())
        headers = {
            "Content-Type": "application/json",
            "webhook-id": row.event_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._endpoint.secrets, row.event_id, timestamp, row.body),
        }
        try:
            answer = self._way.post(row.body.encode(), headers)
        except ProviderUnavailable as error:
            return Outcome(row.seq, error=error.detail)
        if 200 <= answer.status < 300:
            return Outcome(row.seq, answer.status)
        wait = retry_after(answer, now=lambda: self._clock().timestamp()) if "retry-after" in answer.headers else None
        return Outcome(row.seq, answer.status, f"It answered {answer.status}.", wait)

    def _noted(self, outcome: Outcome) -> None:
        with self._lock:
            self._outcomes.append(outcome)
            in_vain = len(self._outcomes) >= IN_VAIN and all(one.error for one in self._outcomes)
            self._over = self._over or outcome.gone or outcome.retry_after is not None or in_vain


def _ready(broker: Broker, key: str) -> _Endpoint | None:
    """The endpoint; None where nobody is to be told any more, and then nothing stays pending."""
    with broker.database.read() as session:
        found = session.execute(
            select(EventEndpoint, Client.disabled_at)
            .join(Client, Client.id == EventEndpoint.client_id)
            .where(EventEndpoint.id == key)
        ).first()
        if found and not found[0].disabled_at and not found[1]:
            row: EventEndpoint = found[0]
            secrets = endpoints.signing_secrets(broker, session, row)
            return _Endpoint(row.id, row.url, tuple(secrets), row.failures > 0, row.paused_until)
    with broker.database.write() as session:
        if found:
            endpoints.give_up(session, key, broker.clock(), "the endpoint or its client is disabled")
        else:
            session.execute(delete(EventDelivery).where(EventDelivery.endpoint_id == key))
    return None


def _due(broker: Broker, endpoint: _Endpoint) -> Sequence[EventDelivery]:
    """The next events in their order, but those whose lane waits; of an endpoint that fails, one alone: of those that
    were tried least, so that one event that it does not take is not all it is asked with."""
    now = broker.clock()
    earlier = aliased(EventDelivery)
    before = select(earlier.seq).where(
        earlier.endpoint_id == endpoint.id,
        earlier.state == "pending",
        earlier.lane == EventDelivery.lane,
        earlier.seq < EventDelivery.seq,
    )
    pending = (EventDelivery.endpoint_id == endpoint.id, EventDelivery.state == "pending", EventDelivery.due_at <= now)
    query = select(EventDelivery).where(*pending)
    if endpoint.failing:
        query = query.where(~before.exists()).order_by(EventDelivery.attempts, EventDelivery.seq).limit(1)
    else:
        query = query.where(~before.where(earlier.due_at > now).exists()).order_by(EventDelivery.seq).limit(BATCH)
    with broker.database.read() as session:
        return session.scalars(query).all()


def _next(broker: Broker, key: str) -> datetime | None:
    with broker.database.read() as session:
        pending = (EventDelivery.endpoint_id == key, EventDelivery.state == "pending")
        earlier = aliased(EventDelivery)
        before = select(earlier.seq).where(
            earlier.endpoint_id == key,
            earlier.state == "pending",
            earlier.lane == EventDelivery.lane,
            earlier.seq < EventDelivery.seq,
        )
        due_at = session.scalar(select(func.min(EventDelivery.due_at)).where(*pending, ~before.exists()))
        paused_until = session.scalar(select(EventEndpoint.paused_until).where(EventEndpoint.id == key))
    return due_at and max(due_at, paused_until or due_at)


def _settled(broker: Broker, key: str, outcomes: Sequence[Outcome]) -> bool:
    """Record what came of a round. False where the endpoint is to be left alone."""
    now = broker.clock()
    failed = [one for one in outcomes if one.error]
    with broker.database.write() as session:
        row = session.get(EventEndpoint, key, with_for_update={"key_share": True})
        if row is None:
            return False
        _arrived(session, now, [one for one in outcomes if not one.error])
        for one in failed:
            _put_off(session, now, one)
        if any(one.gone for one in outcomes):
            endpoints.end(session, row, now, by="receiver", actor="broker")
            return False
        _paused(row, now, outcomes)
        if failed:
            _out_of_patience(session, row, now)
        return not (row.paused_until and row.paused_until > now)


def _arrived(session: Session, now: datetime, outcomes: Sequence[Outcome]) -> None:
    """What named an erased subject has named it for the last time."""
    seqs = [one.seq for one in outcomes]
    status: Mapping[int, int | None] = {one.seq: one.status for one in outcomes}
    for code in sorted({code for code in status.values() if code}):
        mine = EventDelivery.seq.in_([seq for seq in seqs if status[seq] == code])
        values = {"state": "delivered", "settled_at": now, "last_status": code, "last_error": None}
        tried = {"attempts": EventDelivery.attempts + 1}
        change = update(EventDelivery).where(mine).values({**values, **tried})
        session.execute(change.execution_options(synchronize_session=False))
    erased = select(EventDelivery).where(EventDelivery.seq.in_(seqs), EventDelivery.type == ERASED)
    for row in session.scalars(erased).all():
        row.body = without_subject(row.body)


def _put_off(session: Session, now: datetime, outcome: Outcome) -> None:
    query = select(EventDelivery).where(EventDelivery.seq == outcome.seq, EventDelivery.state == "pending")
    row = session.scalar(query.with_for_update())
    if row is None:
        return
    row.attempts += 1
    row.last_status, row.last_error = outcome.status, (outcome.error or "")[:200]
    seconds = max(DELAYS[min(row.attempts, len(DELAYS)) - 1], outcome.retry_after or 0)
    row.due_at = now + timedelta(seconds=seconds)


def _paused(row: EventEndpoint, now: datetime, outcomes: Sequence[Outcome]) -> None:
    asked = max((one.retry_after or 0 for one in outcomes), default=0)
    if all(one.error for one in outcomes):
        row.failures += 1
        row.failing_since = row.failing_since or now
        asked = max(asked, PAUSES[min(row.failures, len(PAUSES)) - 1])
    else:
        row.failures, row.failing_since = 0, None
    row.paused_until = now + timedelta(seconds=asked) if asked else None


def _out_of_patience(session: Session, row: EventEndpoint, now: datetime) -> None:
    """Where nothing arrives, what was never even tried, too."""
    tried = () if row.failures else (EventDelivery.attempts > 0,)
    old = EventDelivery.queued_at < now - PATIENCE
    session.flush()
    endpoints.give_up(session, row.id, now, "the endpoint did not answer in days", old, *tried)
