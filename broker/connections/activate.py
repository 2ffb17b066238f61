"""Activate: a checked token answer becomes a connection and its grants, in one transaction.

The authorization's row is locked first: it orders "a connection becomes active" against "the provider is told to
revoke" (design decision 5). If the provider was told anything since this session's browser left, the new token is
probed before it counts.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from broker import audit
from broker.config import origin
from broker.connections.assets import Assets, choose, seal
from broker.connections.begin import connector_scopes, end_session
from broker.connections.owe import authorization
from broker.connections.read import seal_account
from broker.connections.tokens import freshness, store_tokens, token_status
from broker.errors import ConnectionRevoked, ProviderUnavailable
from broker.models import Connection, ConnectSession, Grant
from broker.providers.base import Account
from broker.runtime import Broker
from broker.secret import fresh_id
from broker.upstream import TokenAnswer, TokenRefused

POLL = 0.05


@dataclass(frozen=True)
class Exchanged:
    """What the exchange brought, checked: whose it is and what was granted."""

    answer: TokenAnswer
    account: Account
    account_index: bytes
    granted: frozenset[str]
    assets: Mapping[str, Assets] = field(default_factory=dict)
    """connector → what the provider reports to choose from."""


@dataclass(frozen=True)
class Activated:
    connection_id: str
    dropped_assets: tuple[tuple[str, str], ...]
    """(connector, asset id) that were asked for and are not on offer."""


class TokenDead(ProviderUnavailable):
    """The provider no longer honours the token that the exchange has just given."""

    def __init__(self) -> None:
        super().__init__("This authorization was revoked while it was being confirmed. Start again.", retryable=False)


@dataclass(frozen=True)
class _Told:
    """The provider was told to revoke this account since the session began, or is being told now."""

    at: datetime
    until: datetime | None


def activate(broker: Broker, session_id: str, exchanged: Exchanged, assets: Mapping[str, Sequence[str]]) -> Activated:
    """Raises `ProviderUnavailable` where the probe finds the token dead, `ConnectionRevoked` where what the session
    renews was ended meanwhile."""
    deadline = time.monotonic() + broker.settings.provider_deadline
    probed: datetime | None = None
    while True:
        outcome = _activate_once(broker, session_id, exchanged, assets, probed)
        if isinstance(outcome, Activated):
            return outcome
        if outcome.until and outcome.until > broker.clock():
            if time.monotonic() > deadline:
                raise ProviderUnavailable("A revocation of this account is under way at the provider. Try again.")
            time.sleep(POLL)
            continue
        exchanged = _probed(broker, session_id, exchanged)
        probed = outcome.at


def _activate_once(
    broker: Broker,
    session_id: str,
    exchanged: Exchanged,
    assets: Mapping[str, Sequence[str]],
    probed: datetime | None,
) -> Activated | _Told:
    with broker.database.write() as session:
        row = session.get_one(ConnectSession, session_id)
        told = authorization(session, row.app_id, exchanged.account_index)
        if told.told_at and row.began_at and told.told_at >= row.began_at and told.told_at != probed:
            return _Told(told.told_at, told.telling_until)
        connection = _connection(broker, session, row, exchanged)
        dropped = [
            entry for name in row.ticked for entry in _grant(broker, session, row, connection, exchanged, name, assets)
        ]
        row.connection_id = connection.id
        end_session(broker, session, row, "confirmed", actor=row.client_id)
        return Activated(connection.id, tuple(dropped))


def _probed(broker: Broker, session_id: str, exchanged: Exchanged) -> Exchanged:
    """Whether the token still lives: a refresh answers that, and its answer takes the token's place."""
    with broker.database.read() as session:
        provider = broker.provider(session.get_one(ConnectSession, session_id).provider)
    app, endpoints, answer = broker.app(provider), broker.endpoints(provider), exchanged.answer
    if answer.refresh_token is None:
        return _probed_by_userinfo(broker, exchanged, endpoints.userinfo)
    try:
        newer = broker.upstream.refresh(
            endpoint=endpoints.token,
            pins=frozenset({origin(endpoints.token)}),
            client_id=app.client_id,
            client_secret=app.client_secret,
            refresh_token=answer.refresh_token,
            auth_method=provider.auth_method,
        )
    except TokenRefused:
        raise TokenDead from None
    newer = replace(newer, refresh_token=newer.refresh_token or answer.refresh_token)
    granted = provider.granted_scopes(newer.scope, exchanged.granted) & exchanged.granted
    return replace(exchanged, answer=newer, granted=granted)


def _probed_by_userinfo(broker: Broker, exchanged: Exchanged, userinfo: str | None) -> Exchanged:
    if userinfo is None or token_status(broker, userinfo, exchanged.answer.access_token) != 200:
        raise TokenDead
    return exchanged


def _connection(broker: Broker, session: Session, row: ConnectSession, exchanged: Exchanged) -> Connection:
    """The subject's live connection to this account, updated; or a new one."""
    now = broker.clock()
    connection = live_of(session, row, exchanged.account_index)
    if row.renews and (connection is None or connection.id != row.renews):
        raise ConnectionRevoked("The connection that this session renews was ended meanwhile.")
    if connection is None:
        connection = Connection(
            id=fresh_id("con"),
            tenant=row.tenant,
            subject=row.subject,
            provider=row.provider,
            app_id=row.app_id,
            account_index=exchanged.account_index,
            state="active",
            live=True,
            requested_scopes=[],
            confirmed_scopes=[],
            granted_scopes=[],
            account_version=0,
            token_version=0,
            fence=0,
            created_at=now,
            activated_at=now,
        )
        broker.vault.new_key(session, tenant=row.tenant, connection=connection.id)
        session.add(connection)
        session.flush()
    _update(broker, session, connection, row, exchanged)
    return connection


def live_of(session: Session, row: ConnectSession, account_index: bytes) -> Connection | None:
    query = select(Connection).where(
        Connection.tenant == row.tenant,
        Connection.subject == row.subject,
        Connection.app_id == row.app_id,
        Connection.account_index == account_index,
        Connection.live.is_(True),
    )
    return session.scalar(query.with_for_update())


def _update(
    broker: Broker, session: Session, connection: Connection, row: ConnectSession, exchanged: Exchanged
) -> None:
    """Scopes are replaced, never merged. A reconnect ends the provider's suspension, not a caller's."""
    now, answer = broker.clock(), exchanged.answer
    requested = set(connection.requested_scopes) | set(row.requested_scopes)
    connection.requested_scopes = sorted(requested)
    connection.confirmed_scopes = connection.granted_scopes = sorted(exchanged.granted & requested)
    connection.provider_suspended_at = None
    connection.state = "suspended" if connection.suspended_at else "active"
    connection.activated_at = now
    connection.fence += 1
    connection.lease_until, connection.refresh_inflight = None, False
    lifetime = answer.refresh_token_expires_in
    connection.expires_at = now + timedelta(seconds=lifetime) if lifetime else None
    audit.note(
        session,
        "connection.activated",
        tenant=row.tenant,
        actor=row.client_id,
        subject=row.subject,
        connection=connection.id,
        provider=row.provider,
        scopes=connection.granted_scopes,
        state=connection.state,
    )
    seal_account(broker, session, connection, exchanged.account)
    store_tokens(broker, session, connection, answer, freshness(now, answer.expires_in))


def _grant(
    broker: Broker,
    session: Session,
    row: ConnectSession,
    connection: Connection,
    exchanged: Exchanged,
    connector_name: str,
    assets: Mapping[str, Sequence[str]],
) -> list[tuple[str, str]]:
    """Record what the user allowed this connector; an earlier grant of it is replaced. Gives the dropped assets."""
    now, connector, provider = broker.clock(), broker.connector(connector_name), broker.provider(row.provider)
    earlier = select(Grant).where(
        Grant.connection_id == connection.id, Grant.connector == connector_name, Grant.live.is_(True)
    )
    for old in session.scalars(earlier).all():
        old.live, old.withdrawn_at = None, now
    session.flush()
    resource = provider.resources[connector.reads.resource]
    chosen, dropped = choose(resource, exchanged.assets.get(connector_name, Assets()), assets.get(connector_name))
    fields = {connector.reads.resource: list(connector.reads.fields)}
    if connector.choices:
        fields[connector.choices.resource] = list(connector.choices.fields)
    grant = Grant(
        id=fresh_id("gra"),
        connection_id=connection.id,
        connector=connector_name,
        live=True,
        scopes=sorted(set(connector_scopes(connector, provider)) & set(connection.confirmed_scopes)),
        fields=fields,
        assets_version=0,
        session_id=row.id,
        consent_text_hash=row.consent_text_hash or "",
        locale=row.locale,
        purpose=row.purpose,
        granted_at=now,
    )
    if resource.asset_kind is not None:
        seal(broker, session, connection, grant, chosen)
    session.add(grant)
    audit.note(
        session,
        "grant.given",
        tenant=row.tenant,
        actor="subject",
        subject=row.subject,
        connection=connection.id,
        connector=connector_name,
        scopes=grant.scopes,
        consent_text_hash=grant.consent_text_hash,
        session=row.id,
    )
    return [(connector_name, asset) for asset in dropped]
