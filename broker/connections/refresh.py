"""Refresh: one access token per connection and expiry, over threads, processes and hosts (I3).

A lease row, a fence that rises with every lease, and a compare-and-set at the end; no transaction is held while
the provider is called. docs/facts/security.md §5.2. A token that renews itself is renewed by a duty ahead of its end;
where the provider refuses such a one, it is asked what still stands, under the same lease.
"""

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from broker.connections.exchange import account_index
from broker.connections.fates import is_over, needs_reconnect, suspended_by_provider, told
from broker.connections.owe import owe_tending
from broker.connections.reread import reread, set_granted
from broker.connections.revoke import ended_by_provider
from broker.connections.tokens import open_token, orphan, store_tokens
from broker.connections.use import RELIED_ON, Standing, again
from broker.errors import (
    BrokerError,
    ProviderUnavailable,
    RateLimited,
    ReconnectRequired,
    Unavailable,
)
from broker.failpoint import failpoint
from broker.models import Connection
from broker.providers.base import Provider, Report
from broker.providers.line import Line
from broker.runtime import Broker
from broker.secret import Secret
from broker.upstream import TokenAnswer, TokenRefused

log = logging.getLogger("broker.connections")

POLL = 0.05
LEASE_MARGIN = 5.0
"""Seconds by which a lease outlasts the total deadline of the calls made under it."""
LONGEST_RENEWAL = 3
"""Calls of a renewal: the token, whether it lives, what it opens (docs/facts/meta.md §1.6, §1.8, §1.9)."""
HELD = ("active", "suspended")
"""States in which a token is kept alive: one that is suspended goes on afterwards."""


@dataclass(frozen=True)
class Token:
    """An access token in use, and the version it was stored under."""

    value: Secret
    standing: Standing
    """The state it was read from: after a refresh the provider may report less than before."""

    @property
    def version(self) -> int:
        return self.standing.connection.token_version


@dataclass(frozen=True)
class _Lease:
    fence: int
    token: Secret
    """What renews the access token."""
    ambiguous: bool
    """An earlier holder called the provider, perhaps, and never stored the answer."""


def access_token(
    broker: Broker,
    standing: Standing,
    *,
    until: float,
    refused: int | None = None,
    because: TokenRefused | None = None,
) -> Token:
    """A token that is fresh; `refused` is the version of one that the provider has just refused, `because` its reason.

    `until`, on the monotonic clock, bounds it all. A token that still lives serves while it is renewed, and where it
    cannot be. Raises the errors of `use.again`, `ReconnectRequired`, `ConnectionSuspended`, `ProviderUnavailable`,
    `RateLimited`, `Unavailable`.
    """
    current, last_call = standing, until - broker.settings.provider_deadline
    renews_itself = broker.providers[standing.connection.provider].renewed_by == "access_token"
    while True:
        row = current.connection
        if row.token_version != refused and row.fresh_until and broker.clock() < row.fresh_until:
            return _opened(broker, current)
        lives = row.token_version != refused and _still_lives(broker, row)
        may_wait = time.monotonic() + broker.settings.provider_deadline <= until
        if may_wait and (row.refresh_token or not lives) and (lease := _lease(broker, row)):
            try:
                _look(broker, row, lease, because, begin_by=last_call) if renews_itself else _renew(broker, row, lease)
            except (ProviderUnavailable, RateLimited):
                if not lives:
                    raise
                return _opened(broker, current)
            refused = None if renews_itself else refused
        elif lives:
            return _opened(broker, current)
        elif may_wait:
            time.sleep(POLL)
        else:
            raise Unavailable("Renewing the access token takes too long. Repeat the request.")
        current = again(broker, standing)


def renew(broker: Broker, row: Connection, *, begin_by: float | None = None) -> None:
    """Renew a token that renews itself, ahead of its end. Nothing where another process holds the lease.

    Raises as `access_token`.
    """
    if lease := _lease(broker, row):
        _renew(broker, row, lease, begin_by=begin_by)


def look(broker: Broker, row: Connection, *, begin_by: float | None = None) -> None:
    """Ask the provider what still stands, and take away what does not. Raises as `access_token`."""
    if lease := _lease(broker, row):
        _look(broker, row, lease, None, begin_by=begin_by)


def _opened(broker: Broker, current: Standing) -> Token:
    row = current.connection

    def read() -> Secret | None:
        with broker.database.read() as session:
            return open_token(broker, session, row, "access_token")

    _, token = broker.recent.get((row.id, "access_token", row.token_version), read, age=RELIED_ON)
    if token is None:
        raise ReconnectRequired("There is no access token. Send the user to connect again.")
    return Token(token, current)


def _still_lives(broker: Broker, row: Connection) -> bool:
    return row.access_expires_at is not None and broker.clock() < row.access_expires_at


def _lease(broker: Broker, row: Connection) -> _Lease | None:
    """One process gets it for this version; None for all others. Raises `ReconnectRequired` without a refresh token."""
    now = broker.clock()
    calls = LONGEST_RENEWAL if broker.providers[row.provider].renewed_by == "access_token" else 1
    until = now + timedelta(seconds=calls * broker.settings.provider_deadline + LEASE_MARGIN)
    statement = (
        update(Connection)
        .where(
            Connection.id == row.id,
            Connection.state.in_(HELD),
            Connection.token_version == row.token_version,
        )
        .where(or_(Connection.lease_until.is_(None), Connection.lease_until < now))
        .values(fence=Connection.fence + 1, lease_until=until, refresh_inflight=True)
        .returning(Connection.fence)
    )
    provider = broker.providers[row.provider]
    with broker.database.write() as session:
        ambiguous = session.scalar(select(Connection.refresh_inflight).where(Connection.id == row.id).with_for_update())
        fence = session.scalar(statement)
        if fence is None:
            return None
        leased = session.get_one(Connection, row.id)
        token = _renewing(broker, session, leased, provider)
        if token is None:
            _end_lease(leased)
            needs_reconnect(session, leased)
    if token is None:
        raise ReconnectRequired("The access token ended and there is none to renew it. Connect again.")
    failpoint("refresh.leased")
    return _Lease(fence, token, bool(ambiguous))


def _renewing(broker: Broker, session: Session, row: Connection, provider: Provider) -> Secret | None:
    """A token that renews itself does so only while it lives (docs/facts/meta.md §1.6, §3.1)."""
    if provider.renewed_by == "refresh_token":
        return open_token(broker, session, row, "refresh_token")
    return open_token(broker, session, row, "access_token") if _still_lives(broker, row) else None


def _renew(broker: Broker, row: Connection, lease: _Lease, *, begin_by: float | None = None) -> None:
    provider = broker.providers[row.provider]
    asked_at = broker.clock()
    try:
        line = broker.line(row.app_id, begin_by=begin_by)
        answer = provider.renew(line, lease.token)
        _check_account(broker, row, provider, line, answer)
        report = _reported(broker, row, provider, line, answer) if provider.renewed_by == "access_token" else None
    except TokenRefused as refusal:
        if error := _refused(broker, row, lease, refusal):
            raise error from None
        return
    except BrokerError as error:
        _release(broker, row, lease, sent=getattr(error, "sent", True))
        raise
    failpoint("refresh.answered")
    _store(broker, row, lease, provider, answer, report, asked_at)
    failpoint("refresh.stored")


def _reported(broker: Broker, row: Connection, provider: Provider, line: Line, answer: TokenAnswer) -> Report | None:
    """What the provider says of the token that it has just given; None where it fails to. That is no reason to lose
    it, for the one before may have ended with it (docs/facts/meta.md §10): the next look asks again.

    Raises `TokenRefused` for what ends every token of the account, `ProviderUnavailable` for a token that is dead on
    arrival, or another account's or app's.
    """
    try:
        report = provider.inspect(line, answer.access_token)
    except TokenRefused as refusal:
        fate = provider.fate(refusal)
        if fate in ("removed", "paused"):
            raise
        if fate == "dead":
            raise ProviderUnavailable(f"The provider refuses a token that it has just given ({refusal}).") from None
        return None
    except BrokerError as error:
        if not error.retryable:
            raise
        log.info("renewing connection %s: %s", row.id, error.detail)
        return None
    if report:
        _require_same_account(broker, row, line, report.account.id)
    return report


def _look(
    broker: Broker, row: Connection, lease: _Lease, because: TokenRefused | None, *, begin_by: float | None = None
) -> None:
    """Whether the token lives, whatever a data call was told. The provider's own word there may say more about why it
    does not (docs/facts/meta.md §6.1)."""
    provider = broker.providers[row.provider]
    try:
        line = broker.line(row.app_id, begin_by=begin_by)
        report = provider.inspect(line, lease.token)
        if report:
            _require_same_account(broker, row, line, report.account.id)
    except TokenRefused as refusal:
        if error := _refused(broker, row, lease, _plainer(provider, refusal, because)):
            raise error from None
        return
    except BrokerError:
        _release(broker, row, lease, sent=False)
        raise
    over = False
    with broker.database.write() as session:
        if current := _held(session, row, lease):
            _end_lease(current)
            if report:
                reread(broker, session, current, report)
            if over := is_over(broker, current):
                needs_reconnect(session, current)
    if over:
        raise told("dead", None)


def _plainer(provider: Provider, refusal: TokenRefused, because: TokenRefused | None) -> TokenRefused:
    return because if because and refusal.subcode is None and provider.fate(refusal) == "dead" else refusal


def _check_account(broker: Broker, row: Connection, provider: Provider, line: Line, answer: TokenAnswer) -> None:
    """An id_token that comes with a refresh must be of the same account (REL-50, OpenID Connect Core §12.2)."""
    if answer.id_token is None or not provider.is_openid:
        return
    client_id = line.app.client_id
    claims = broker.identity.verify(answer.id_token, endpoints=line.endpoints, client_id=client_id, nonce=None)
    _require_same_account(broker, row, line, provider.account(claims).id)


def _require_same_account(broker: Broker, row: Connection, line: Line, account_id: str) -> None:
    """Raises `ProviderUnavailable` (REL-50)."""
    with broker.database.write() as session:
        index = account_index(broker, session, line.app, account_id)
    if index != row.account_index:
        raise ProviderUnavailable("The provider answered with another account's token.", retryable=False)


def _store(
    broker: Broker,
    row: Connection,
    lease: _Lease,
    provider: Provider,
    answer: TokenAnswer,
    report: Report | None,
    asked_at: datetime,
) -> None:
    """Compare-and-set on the fence. Who loses to a revocation owes the provider the new token's end (REL-31).

    A lifetime counts from `asked_at`: the answer may have been long on its way (REL-57).
    """
    with broker.database.write() as session:
        current = _held(session, row, lease)
        if current is None:
            if answer.refresh_token or not session.get_one(Connection, row.id).live:
                orphan(
                    broker,
                    session,
                    answer,
                    tenant=row.tenant,
                    app_id=row.app_id,
                    account_index=row.account_index,
                )
            return
        store_tokens(broker, session, current, answer, asked_at)
        if provider.renewed_by == "refresh_token":
            granted = provider.granted_scopes(answer.scope, frozenset(current.granted_scopes))
            set_granted(session, current, granted & set(current.confirmed_scopes))
            _new_end(session, current, answer, asked_at)
        elif report or not provider.reports_grants:
            current.expires_at = current.access_expires_at  # until the report says otherwise
        if report:
            reread(broker, session, current, report)
        _end_lease(current)


def _new_end(session: Session, row: Connection, answer: TokenAnswer, asked_at: datetime) -> None:
    """A refresh token that rotates brings its own end along."""
    if answer.refresh_token and answer.refresh_token_expires_in is not None:
        row.expires_at = asked_at + timedelta(seconds=answer.refresh_token_expires_in)
        owe_tending(session, row.id, due_at=asked_at, now=asked_at)


def _refused(broker: Broker, row: Connection, lease: _Lease, refusal: TokenRefused) -> BrokerError | None:
    """What a refusal means for the connection; it is committed before anybody hears of it (§5.2.3, STD-23).

    None where the token that was refused is no longer the connection's: nothing is condemned (F10).
    """
    fate = broker.providers[row.provider].fate(refusal)
    with broker.database.write() as session:
        current = _held(session, row, lease)
        if current is None:
            return None
        _end_lease(current)
        if fate == "dead":
            needs_reconnect(session, current, ambiguous=lease.ambiguous)
        if fate == "paused":
            suspended_by_provider(session, current, broker.clock())
    if fate == "dead" and lease.ambiguous:
        log.warning("a refresh of connection %s was interrupted before, and its token is now refused", row.id)
    if fate == "passing":
        log.error("the provider of connection %s refuses to renew its token or to say what stands: %s", row.id, refusal)
    if fate == "removed":
        ended_by_provider(broker, row.id, reason="the user removed the app at the provider")
    return told(fate, refusal)


def _release(broker: Broker, row: Connection, lease: _Lease, *, sent: bool) -> None:
    """What may have reached the provider stays marked until an answer is stored."""
    with broker.database.write() as session:
        if current := _held(session, row, lease):
            current.lease_until, current.refresh_inflight = None, sent or lease.ambiguous


def _held(session: Session, row: Connection, lease: _Lease) -> Connection | None:
    """The row, if our lease is still the newest and the connection not over."""
    query = select(Connection).where(
        Connection.id == row.id, Connection.fence == lease.fence, Connection.state.in_(HELD)
    )
    return session.scalar(query.with_for_update())


def _end_lease(row: Connection) -> None:
    row.lease_until, row.refresh_inflight = None, False
