"""Refresh: one access token per connection and expiry, over threads, processes and hosts (I3).

A lease row, a fence that rises with every lease, and a compare-and-set at the end; no transaction is held while
the provider is called. docs/facts/security.md §5.2.
"""

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from broker.config import origin
from broker.connections.read import noted
from broker.connections.tokens import freshness, open_token, orphan, store_tokens
from broker.connections.use import Standing, again
from broker.errors import BrokerError, ProviderUnavailable, RateLimited, ReconnectRequired, Unavailable
from broker.failpoint import failpoint
from broker.models import Connection
from broker.providers.base import Endpoints, Provider
from broker.runtime import Broker
from broker.secret import Secret
from broker.upstream import TokenAnswer, TokenRefused

log = logging.getLogger("broker.connections")

POLL = 0.05
LEASE_MARGIN = 5.0
"""Seconds by which a lease outlasts the total deadline of the call made under it."""


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
    refresh_token: Secret
    ambiguous: bool
    """An earlier holder called the provider, perhaps, and never stored the answer."""


def access_token(broker: Broker, standing: Standing, *, until: float, refused: int | None = None) -> Token:
    """A token that is fresh; `refused` is the version of one that the provider has just refused.

    `until`, on the monotonic clock, bounds it all. A token that still lives serves while it is renewed, and where it
    cannot be. Raises the errors of `use.again`, `ReconnectRequired`, `ProviderUnavailable`, `RateLimited`,
    `Unavailable`.
    """
    current = standing
    while True:
        row = current.connection
        if row.token_version != refused and row.fresh_until and broker.clock() < row.fresh_until:
            return _opened(broker, current)
        lives = row.token_version != refused and _still_lives(broker, row)
        may_wait = time.monotonic() + broker.settings.provider_deadline <= until
        if may_wait and (row.refresh_token or not lives) and (lease := _lease(broker, row)):
            try:
                _refresh(broker, row, lease)
            except (ProviderUnavailable, RateLimited):
                if not lives:
                    raise
                return _opened(broker, current)
        elif lives:
            return _opened(broker, current)
        elif may_wait:
            time.sleep(POLL)
        else:
            raise Unavailable("Renewing the access token takes too long. Repeat the request.")
        current = again(broker, standing)


def _opened(broker: Broker, current: Standing) -> Token:
    with broker.database.read() as session:
        token = open_token(broker, session, current.connection, "access_token")
    if token is None:
        raise ReconnectRequired("There is no access token. Send the user to connect again.")
    return Token(token, current)


def _still_lives(broker: Broker, row: Connection) -> bool:
    return row.access_expires_at is not None and broker.clock() < row.access_expires_at


def _lease(broker: Broker, row: Connection) -> _Lease | None:
    """One process gets it for this version; None for all others. Raises `ReconnectRequired` without a refresh token."""
    now = broker.clock()
    until = now + timedelta(seconds=broker.settings.provider_deadline + LEASE_MARGIN)
    statement = (
        update(Connection)
        .where(
            Connection.id == row.id,
            Connection.state == "active",
            Connection.token_version == row.token_version,
        )
        .where(or_(Connection.lease_until.is_(None), Connection.lease_until < now))
        .values(fence=Connection.fence + 1, lease_until=until, refresh_inflight=True)
        .returning(Connection.fence)
    )
    with broker.database.write() as session:
        ambiguous = session.scalar(select(Connection.refresh_inflight).where(Connection.id == row.id).with_for_update())
        fence = session.scalar(statement)
        if fence is None:
            return None
        leased = session.get_one(Connection, row.id)
        token = open_token(broker, session, leased, "refresh_token")
        if token is None:
            _end_lease(leased)
            _needs_reconnect(session, leased)
    if token is None:
        raise ReconnectRequired("The access token ended and there is none to renew it. Connect again.")
    failpoint("refresh.leased")
    return _Lease(fence, token, bool(ambiguous))


def _refresh(broker: Broker, row: Connection, lease: _Lease) -> None:
    provider = broker.providers[row.provider]
    app = broker.app(provider)
    asked_at = broker.clock()
    try:
        endpoints = broker.endpoints(provider)
        answer = broker.upstream.refresh(
            endpoint=endpoints.token,
            pins=frozenset({origin(endpoints.token)}),
            client_id=app.client_id,
            client_secret=app.client_secret,
            refresh_token=lease.refresh_token,
            auth_method=provider.auth_method,
        )
        _check_account(broker, row, provider, endpoints, answer)
    except TokenRefused as refusal:
        if error := _refused(broker, row, lease, refusal):
            raise error from None
        return
    except BrokerError as error:
        _release(broker, row, lease, sent=getattr(error, "sent", True))
        raise
    failpoint("refresh.answered")
    _store(broker, row, lease, provider, answer, asked_at)
    failpoint("refresh.stored")


def _check_account(
    broker: Broker, row: Connection, provider: Provider, endpoints: Endpoints, answer: TokenAnswer
) -> None:
    """An id_token that comes with a refresh must be of the same account (REL-50, OpenID Connect Core §12.2)."""
    if answer.id_token is None:
        return
    client_id = broker.app(provider).client_id
    claims = broker.identity.verify(answer.id_token, endpoints=endpoints, client_id=client_id, nonce=None)
    account = provider.account(claims).id
    with broker.database.write() as session:
        index = broker.vault.blind_index(session, provider=row.app_id, client_id=client_id, value=account)
    if index != row.account_index:
        raise ProviderUnavailable("The provider answered with another account's token.", retryable=False)


def _store(
    broker: Broker, row: Connection, lease: _Lease, provider: Provider, answer: TokenAnswer, asked_at: datetime
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
        reported = provider.granted_scopes(answer.scope, frozenset(current.granted_scopes))
        granted = sorted(reported & set(current.confirmed_scopes))
        if granted != current.granted_scopes:
            noted(session, current, "connection.scopes_changed", actor="provider", scopes=granted)
        current.granted_scopes = granted
        store_tokens(broker, session, current, answer, freshness(asked_at, answer.expires_in))
        _end_lease(current)


def _refused(broker: Broker, row: Connection, lease: _Lease, refusal: TokenRefused) -> BrokerError | None:
    """Only `invalid_grant` ends a connection; it is committed before anybody hears of it (§5.2.3, STD-23).

    None where the token that was refused is no longer the connection's: nothing is condemned (F10).
    """
    final = refusal.error == "invalid_grant"
    with broker.database.write() as session:
        current = _held(session, row, lease)
        if current is None:
            return None
        _end_lease(current)
        if final:
            _needs_reconnect(session, current, ambiguous=lease.ambiguous)
    if final and lease.ambiguous:
        log.warning("a refresh of connection %s was interrupted before, and its token is now refused", row.id)
    if final:
        return ReconnectRequired("The provider no longer honours this connection. Send the user to connect again.")
    return ProviderUnavailable(f"The provider refused the refresh ({refusal.error}).", retryable=False)


def _release(broker: Broker, row: Connection, lease: _Lease, *, sent: bool) -> None:
    """What may have reached the provider stays marked until an answer is stored."""
    with broker.database.write() as session:
        if current := _held(session, row, lease):
            current.lease_until, current.refresh_inflight = None, sent or lease.ambiguous


def _held(session: Session, row: Connection, lease: _Lease) -> Connection | None:
    """The row, if our lease is still the newest and the connection active."""
    query = select(Connection).where(
        Connection.id == row.id, Connection.fence == lease.fence, Connection.state == "active"
    )
    return session.scalar(query.with_for_update())


def _end_lease(row: Connection) -> None:
    row.lease_until, row.refresh_inflight = None, False


def _needs_reconnect(session: Session, row: Connection, *, ambiguous: bool = False) -> None:
    """`ambiguous`: an earlier refresh never got its answer, so the provider may have spent the token then (REL-07)."""
    row.state, row.access_token, row.fresh_until = "reconnect_required", None, None
    noted(session, row, "connection.reconnect_required", actor="provider", ambiguous_refresh=ambiguous or None)
