"""Activate: a checked token answer becomes a connection and its grants, in one transaction.

The authorization's row is locked: it orders "a connection becomes active" against "the provider is told to revoke"
(design decision 5). If the provider was told anything since this session's browser left, the new token is probed
before it counts. Locks are taken in the order in which a revocation takes them: authorization, connection, duty,
session; whoever has a later one never waits for an earlier. A tenant's own app, before them all, cannot be removed
meanwhile.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from broker import apps, audit
from broker.connections.assets import Assets, choose, seal
from broker.connections.begin import connector_scopes
from broker.connections.exchange import Exchanged, judge, lacks_lasting_access, live_of
from broker.connections.owe import authorization, owe_tending
from broker.connections.probe import probe
from broker.connections.read import seal_account
from broker.connections.reread import set_ends
from broker.connections.sessions import end_session
from broker.connections.tend import next_look
from broker.connections.tokens import set_aside, store_tokens
from broker.errors import ConnectionRevoked, ConsentAgain, Forbidden, ProviderUnavailable, Unavailable
from broker.models import Connection, ConnectSession, Grant
from broker.runtime import Broker
from broker.secret import fresh_id
from broker.upstream import TokenAnswer

POLL = 0.05

T = TypeVar("T")


@dataclass
class Attempt:
    """What the provider has given this session so far. Whatever fails, the provider is told of it (I5)."""

    answer: TokenAnswer | None = None
    account_index: bytes | None = None


@dataclass(frozen=True)
class Activated:
    connection_id: str
    dropped_assets: tuple[tuple[str, str], ...]
    """(connector, asset id) that were asked for and are not on offer."""

    @classmethod
    def by(cls, row: ConnectSession) -> "Activated":
        """How a confirmed session ended."""
        dropped = (row.outcome or {}).get("dropped_assets", ())
        return cls(str(row.connection_id), tuple((connector, asset) for connector, asset in dropped))


@dataclass(frozen=True)
class _Told:
    """The provider was told to revoke this account since the session began, or is being told now."""

    at: datetime
    until: datetime | None


def activate(
    broker: Broker,
    session_id: str,
    exchanged: Exchanged,
    assets: Mapping[str, Sequence[str]],
    attempt: Attempt,
    *,
    until: float,
) -> Activated:
    """Store it all. `until`: monotonic seconds after which nothing more is begun.

    Raises as `judge`, `ProviderUnavailable` where the probe finds the token dead, `ConnectionRevoked` where what it
    renews was ended meanwhile, `ConsentAgain` where no lasting access is left, `Forbidden` where the session is over,
    `AppRemoved`, `Unavailable`.
    """
    probed: datetime | None = None
    with broker.database.read() as session:
        row = session.get_one(ConnectSession, session_id)
    while True:
        outcome = insist(partial(_activate_once, broker, session_id, exchanged, assets, probed), until)
        if isinstance(outcome, Activated):
            return outcome
        if time.monotonic() > until:
            raise ProviderUnavailable("A revocation of this account is under way at the provider. Start again.")
        if outcome.until and outcome.until > broker.clock():
            time.sleep(POLL)
            continue
        exchanged = probe(broker, row.app_id, exchanged)
        attempt.answer, probed = exchanged.answer, outcome.at
        judge(broker, row, exchanged)


def insist(write: Callable[[], T], until: float) -> T:
    """A transaction that may be repeated, tried again while the database refuses it: a token in hand is not lost
    to a deadlock. Raises `Unavailable`."""
    while True:
        try:
            return write()
        except Unavailable:
            if time.monotonic() > until:
                raise
            time.sleep(POLL)


def _activate_once(
    broker: Broker,
    session_id: str,
    exchanged: Exchanged,
    assets: Mapping[str, Sequence[str]],
    probed: datetime | None,
) -> Activated | _Told:
    """May be repeated: where a COMMIT failed, nobody knows whether it counted."""
    with broker.database.write() as session:
        row = session.get_one(ConnectSession, session_id)
        apps.require_live(session, row.app_id)
        told = authorization(session, row.app_id, exchanged.account_index)
        held = live_of(session, row, exchanged.account_index, lock=True)
        row = session.get_one(ConnectSession, session_id, with_for_update=True, populate_existing=True)
        if row.connection_id:
            return Activated.by(row)
        if row.status != "pending":
            raise Forbidden("The session ended while it was being confirmed. Start again.")
        if told.told_at and row.began_at and told.told_at >= row.began_at and told.told_at != probed:
            return _Told(told.told_at, told.telling_until)
        connection = _connection(broker, session, row, exchanged, held)
        dropped = _grants(broker, session, row, connection, exchanged, assets)
        row.connection_id, row.outcome = connection.id, {"dropped_assets": dropped}
        end_session(broker, session, row, "confirmed", actor=row.client_id)
        return Activated(connection.id, tuple(dropped))


def _connection(
    broker: Broker, session: Session, row: ConnectSession, exchanged: Exchanged, connection: Connection | None
) -> Connection:
    """The subject's live connection to this account, updated; or a new one."""
    now = broker.clock()
    if lacks_lasting_access(broker.provider(row.provider), exchanged.answer, connection):
        raise ConsentAgain("The provider gave no lasting access.")
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
    connection.scoped_index = exchanged.scoped_index
    connection.fence += 1
    connection.lease_until, connection.refresh_inflight = None, False
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
    provider = broker.provider(row.provider)
    if not provider.one_revocation_ends_all:
        set_aside(broker, session, connection)
    store_tokens(broker, session, connection, answer, now)
    if provider.renewed_by == "access_token":
        connection.expires_at = connection.access_expires_at
    elif answer.refresh_token:
        lifetime = answer.refresh_token_expires_in
        connection.expires_at = None if lifetime is None else now + timedelta(seconds=lifetime)
    set_ends(broker, connection, exchanged.report)
    connection.expiring_told = None
    if due_at := next_look(broker, connection):
        owe_tending(session, connection.id, due_at=due_at, now=now)


def _grants(
    broker: Broker,
    session: Session,
    row: ConnectSession,
    connection: Connection,
    exchanged: Exchanged,
    assets: Mapping[str, Sequence[str]],
) -> list[tuple[str, str]]:
    """One for each ticked connector. Gives the assets that were asked for and are not granted."""
    dropped = [(name, asset) for name, ids in assets.items() if name not in row.ticked for asset in ids]
    for name in row.ticked:
        dropped += _grant(broker, session, row, connection, exchanged, name, assets)
    return dropped


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
