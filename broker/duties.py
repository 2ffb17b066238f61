"""Duties: what the broker owes and does even if it crashes. The database is the queue.

A worker leases a due row with a fence; a duty that fails comes back later, ever more slowly, for days. Here stand
the lease and the one duty there is so far: telling a provider that an authorization is over. Beside it the
worker sweeps away what has expired.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from broker.config import origin
from broker.connections.begin import end_session
from broker.connections.owe import authorization, owe_telling
from broker.connections.tokens import open_orphan, open_token
from broker.errors import BrokerError, ProviderUnavailable, RateLimited
from broker.models import AccessToken, Connection, ConnectSession, Duty, Orphan, RevocationItem
from broker.providers.base import Provider
from broker.runtime import Broker
from broker.secret import Secret
from broker.upstream import Answer
from broker.vault import Undecryptable

log = logging.getLogger("broker.duties")

DELAYS = (5, 15, 60, 300, 900, 3600, 3 * 3600, 6 * 3600)
"""Seconds before each further try; the last one repeats until `PATIENCE` is over."""
PATIENCE = timedelta(days=7)
LEASE = timedelta(seconds=60)
IDLE = 0.5
SWEEP = 60.0

Outcome = Literal["confirmed", "already_gone", "not_supported", "shared", "gave_up"]


@dataclass(frozen=True)
class Leased:
    """A duty that this worker alone may do, as long as the fence stands."""

    id: str
    key: str
    fence: int
    attempts: int
    created_at: datetime


@dataclass(frozen=True)
class _Owed:
    """What ends with one account's authorization: the connections that wait, and orphaned tokens."""

    connections: tuple[str, ...]
    orphans: tuple[str, ...]
    tokens: tuple[Secret, ...]


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
            .where(Duty.open, Duty.due_at <= now, or_(Duty.lease_until.is_(None), Duty.lease_until < now))
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
        _tell_provider(broker, duty)
    except BrokerError as error:
        _later(broker, duty, error)


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


# --- telling the provider ------------------------------------------------------------------------------------


def _tell_provider(broker: Broker, duty: Leased) -> None:
    """Design decision 5: counted just before it is sent, under the authorization's lock."""
    app_id, _, account = duty.key.partition(":")
    provider = broker.providers.get(app_id)
    if provider is None:
        raise ProviderUnavailable("The provider is not configured here any more.", sent=False)
    if account.startswith("orp_"):
        _place_orphan(broker, duty, app_id, account)
        return
    index = bytes.fromhex(account)
    owed = _owed(broker, duty, app_id, index)
    if owed is None:
        return
    outcome = _sent(broker, provider, owed.tokens)
    _settle(broker, duty, app_id, index, owed, outcome)


def _owed(broker: Broker, duty: Leased, app_id: str, index: bytes) -> _Owed | None:
    """What must be told now; None where another use still holds the authorization, which is settled here."""
    now = broker.clock()
    with broker.database.write() as session:
        row = authorization(session, app_id, index)
        connections = _waiting(session, app_id, index)
        orphans = session.scalars(select(Orphan).where(Orphan.app_id == app_id, Orphan.account_index == index)).all()
        if _in_use(session, app_id, index):
            _end_connections(broker, session, connections, "shared", duty.attempts)
            _end_orphans(broker, session, orphans)
            _done(session, duty, now)
            return None
        if until := _sessions_until(session, app_id, index, now):
            _end_connections(broker, session, connections, "shared", duty.attempts)
            _done(session, duty, now, again_at=until if orphans else None)
            return None
        if not connections and not orphans:
            _done(session, duty, now)
            return None
        row.told_at, row.telling_until = now, now + LEASE
        tokens = [token for item in connections for token in _tokens(broker, session, item)]
        tokens += [token for item in orphans for token in open_orphan(broker, session, item)]
    return _Owed(tuple(item.id for item in connections), tuple(item.id for item in orphans), tuple(tokens))


def _sent(broker: Broker, provider: Provider, tokens: Sequence[Secret]) -> Outcome:
    """Revoke each token at the provider (RFC 7009), or only until one call has ended all. Raises to be tried again."""
    endpoint = broker.endpoints(provider).revocation
    if endpoint is None:
        return "not_supported"
    app, outcomes = broker.app(provider), set()
    for token in tokens:
        answer = broker.upstream.revoke(
            endpoint=endpoint,
            pins=frozenset({origin(endpoint)}),
            client_id=app.client_id,
            client_secret=app.client_secret,
            token=token,
            token_type_hint=None,
            auth_method=provider.auth_method if provider.authenticates_revocation else None,
        )
        outcome = provider.revocation_outcome(answer.status, _error_of(answer))
        if outcome is None:
            raise ProviderUnavailable(f"The provider answered the revocation with status {answer.status}.")
        outcomes.add(outcome)
        if outcome == "confirmed" and provider.one_revocation_ends_all:
            break
    return "confirmed" if "confirmed" in outcomes else "already_gone"


def _settle(broker: Broker, duty: Leased, app_id: str, index: bytes, owed: _Owed, outcome: Outcome) -> None:
    now = broker.clock()
    with broker.database.write() as session:
        row = authorization(session, app_id, index)
        row.telling_until = None
        connections = session.scalars(select(Connection).where(Connection.id.in_(owed.connections))).all()
        _end_connections(broker, session, connections, outcome, duty.attempts)
        _end_orphans(broker, session, session.scalars(select(Orphan).where(Orphan.id.in_(owed.orphans))).all())
        _done(session, duty, now)


def _place_orphan(broker: Broker, duty: Leased, app_id: str, orphan_id: str) -> None:
    """Find out whose a token is that failed before its account was known: its own userinfo says so."""
    provider = broker.providers[app_id]
    endpoints, app = broker.endpoints(provider), broker.app(provider)
    with broker.database.read() as session:
        row = session.get(Orphan, orphan_id)
        token = open_orphan(broker, session, row)[-1] if row else None
    if token is None or endpoints.userinfo is None:
        _forget(broker, duty, orphan_id)
        return
    answer = broker.upstream.call("GET", endpoints.userinfo, pins=frozenset({origin(endpoints.userinfo)}), token=token)
    if answer.status in (401, 403):
        _forget(broker, duty, orphan_id)
        return
    body = answer.json() if answer.status == 200 else None
    subject = body.get("sub") if isinstance(body, dict) else None
    if not isinstance(subject, str):
        raise ProviderUnavailable("The provider did not say whose the token is.")
    with broker.database.write() as session:
        index = broker.vault.blind_index(session, provider=app_id, client_id=app.client_id, value=subject)
        session.get_one(Orphan, orphan_id).account_index = index
        owe_telling(session, app_id, index.hex(), now=broker.clock())
        _done(session, duty, broker.clock())


def _forget(broker: Broker, duty: Leased, orphan_id: str) -> None:
    with broker.database.write() as session:
        _end_orphans(broker, session, session.scalars(select(Orphan).where(Orphan.id == orphan_id)).all())
        _done(session, duty, broker.clock())


def _waiting(session: Session, app_id: str, index: bytes) -> Sequence[Connection]:
    query = select(Connection).where(
        Connection.app_id == app_id, Connection.account_index == index, Connection.state == "revoking"
    )
    return session.scalars(query.with_for_update()).all()


def _in_use(session: Session, app_id: str, index: bytes) -> bool:
    """Whether a live connection still works on this authorization."""
    query = select(func.count()).where(
        Connection.app_id == app_id,
        Connection.account_index == index,
        Connection.live,
        Connection.state.in_(("active", "suspended")),
    )
    return bool(session.scalar(query))


def _sessions_until(session: Session, app_id: str, index: bytes, now: datetime) -> datetime | None:
    """When the last open session known to be for this account ends, if there is one."""
    query = select(func.max(ConnectSession.expires_at)).where(
        ConnectSession.app_id == app_id,
        ConnectSession.account_index == index,
        ConnectSession.status.in_(("open", "pending")),
        ConnectSession.expires_at > now,
    )
    return session.scalar(query)


def _tokens(broker: Broker, session: Session, row: Connection) -> list[Secret]:
    """Refresh token first: it takes the access tokens with it (docs/facts/google.md §1.7)."""
    found = [open_token(broker, session, row, column) for column in ("refresh_token", "access_token")]
    return [token for token in found if token]


def _end_connections(
    broker: Broker, session: Session, rows: Sequence[Connection], outcome: Outcome, attempts: int
) -> None:
    """Shred each, and write on every receipt that waits for it how it ended."""
    now = broker.clock()
    for row in rows:
        row.state = "revoked"
        row.account = row.access_token = row.refresh_token = None
        broker.vault.shred(session, tenant=row.tenant, connection=row.id)
        waiting = update(RevocationItem).where(
            RevocationItem.connection_id == row.id, RevocationItem.provider_outcome == "pending"
        )
        session.execute(
            waiting.values(provider_outcome=outcome, attempts=attempts, last_error=None, shredded_at=now)
        )


def _end_orphans(broker: Broker, session: Session, rows: Sequence[Orphan]) -> None:
    for row in rows:
        broker.vault.shred(session, tenant=row.tenant, connection=f"orphan:{row.id}")
        session.delete(row)


def _done(session: Session, duty: Leased, now: datetime, again_at: datetime | None = None) -> None:
    """Close the duty, or put it off; nothing if somebody has owed it anew meanwhile."""
    mine = update(Duty).where(Duty.id == duty.id, Duty.fence == duty.fence)
    if again_at:
        session.execute(mine.values(due_at=again_at, lease_until=None, attempts=Duty.attempts - 1))
    else:
        session.execute(mine.values(open=None, done_at=now, lease_until=None))


def _later(broker: Broker, duty: Leased, error: BrokerError) -> None:
    """Put a failed duty off, or give up after days: either stands on the receipt."""
    now = broker.clock()
    app_id, _, account = duty.key.partition(":")
    gave_up = now - duty.created_at > PATIENCE
    delay = DELAYS[min(duty.attempts, len(DELAYS)) - 1]
    wait = error.members.get("retry_after", delay) if isinstance(error, RateLimited) else delay
    log.warning("duty failed", extra={"duty": duty.id, "attempts": duty.attempts, "error": error.detail})
    with broker.database.write() as session:
        if not account.startswith("orp_"):
            _note(broker, session, app_id, bytes.fromhex(account), duty, error, gave_up=gave_up)
        if gave_up:
            _done(session, duty, now)
        else:
            mine = update(Duty).where(Duty.id == duty.id, Duty.fence == duty.fence)
            due_at = now + timedelta(seconds=wait)
            session.execute(mine.values(due_at=due_at, lease_until=None, last_error=error.detail[:200]))


def _note(
    broker: Broker, session: Session, app_id: str, index: bytes, duty: Leased, error: BrokerError, *, gave_up: bool
) -> None:
    authorization(session, app_id, index).telling_until = None
    rows = _waiting(session, app_id, index)
    if gave_up:
        _end_connections(broker, session, rows, "gave_up", duty.attempts)
        return
    items = update(RevocationItem).where(
        RevocationItem.connection_id.in_([row.id for row in rows]), RevocationItem.provider_outcome == "pending"
    )
    session.execute(items.values(attempts=duty.attempts, last_error=error.detail[:200]))


def _error_of(answer: Answer) -> str | None:
    """The `error` member of a refusal; None where the answer is no JSON object."""
    try:
        body = answer.json()
    except ProviderUnavailable:
        return None
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, str) else None
