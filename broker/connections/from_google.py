"""From Google: security events about accounts and tokens (Cross-Account Protection, docs/facts/google.md §2).

    verified ─► each event acted on, in transactions of its own that may be repeated ─► its jti kept ─► 202

What was acted on is durable before it is acknowledged: whatever fails before, Google sends it again. Nothing that was
connected after an event ends by it, however late it comes (docs/facts/security.md REL-34); one that names a token
speaks of that token, whenever it was issued.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from broker import audit
from broker.config import ProviderApp
from broker.connections.exchange import account_index
from broker.connections.fates import needs_reconnect, suspended_by_provider
from broker.connections.fingerprints import connections_of, forget_token
from broker.connections.read import noted
from broker.connections.revoke import ended_by_provider
from broker.connections.sessions import end_session
from broker.db import insert_if_missing
from broker.errors import NotFound, ProviderUnavailable
from broker.failpoint import failpoint
from broker.identity import OLDEST, SOONEST
from broker.models import Connection, ConnectSession, EventStream, SecurityEvent
from broker.providers import google_events
from broker.providers.google_events import Event
from broker.runtime import Broker
from broker.secret import digest

log = logging.getLogger("broker.connections")

PROVIDER = "google"
SECOND = timedelta(seconds=1)
"""How finely an event says when it was issued."""
KEPT = timedelta(seconds=OLDEST + SOONEST, hours=1)
"""For how long a `jti` is kept: until no token with it is taken any more."""
LONGEST_NAME = 120
INSECURE = ("sessions-revoked", "tokens-revoked", "account-disabled", "account-purged")
"""After these, no attempt to connect goes on that was begun before."""
ACCESS_REVOKED = "Google says that the user's tokens were revoked."
PURGED = "Google says that the account was deleted."


@dataclass(frozen=True)
class _Received:
    """One verified security event token."""

    app: ProviderApp
    before: datetime
    """What was connected from then on is not meant."""


def receive(broker: Broker, own: str | None, unverified: bytes) -> None:
    """Act on one security event token, once. `own`: the id of a tenant's own app. Raises `NotFound` where no Google app
    is configured, `BadEvent`, `ProviderUnavailable` (503) where Google's keys cannot be had, `Unavailable`."""
    app = _app(broker, own)
    claims = _verified(broker, app, unverified)
    if app is None:
        raise NotFound
    jti = digest(claims["jti"])
    if _is_known(broker, app, jti):
        return
    received = _Received(app, datetime.fromtimestamp(_occurred(claims), UTC) + SECOND)
    found = list(google_events.events(claims))
    touched = [len(_act(broker, received, event)) for event in found]
    failpoint("google_events.acted")
    _keep(broker, app, jti, found, touched)


def sweep(session: Session, now: datetime) -> None:
    """Forget each `jti` that could not come again."""
    session.execute(delete(SecurityEvent).where(SecurityEvent.expires_at < now))


def stream(broker: Broker, app_id: str) -> EventStream | None:
    """What is known of an app's stream from what came of it."""
    with broker.database.read() as session:
        return session.get(EventStream, app_id)


def _app(broker: Broker, own: str | None) -> ProviderApp | None:
    """The one app that the address is of; None for a tenant's own that does not exist, which then answers as one whose
    client id does not fit: whether it exists, nobody is to learn."""
    if own is None and PROVIDER not in broker.settings.apps:
        raise NotFound
    try:
        app = broker.app(own or PROVIDER)
    except ProviderUnavailable:
        return None
    return app if app.provider == PROVIDER and bool(app.tenant) == bool(own) else None


def _verified(broker: Broker, app: ProviderApp | None, unverified: bytes) -> Mapping[str, Any]:
    try:
        return broker.identity.event(
            unverified,
            configuration=google_events.CONFIGURATION,
            pins=google_events.PINS,
            client_id=app.client_id if app else None,
        )
    except ProviderUnavailable:
        raise ProviderUnavailable("Google's keys cannot be had now. Send it again.", status=503) from None


def _occurred(claims: Mapping[str, Any]) -> float:
    """When it happened, where that is said (`toe`, RFC 8417 §2.2); else when it was issued."""
    issued, happened = float(claims["iat"]), claims.get("toe")
    if isinstance(happened, int | float) and not isinstance(happened, bool) and 0 < happened < issued:
        return float(happened)
    return issued


def _is_known(broker: Broker, app: ProviderApp, jti: bytes) -> bool:
    with broker.database.read() as session:
        return session.get(SecurityEvent, (app.id, jti)) is not None


def _keep(broker: Broker, app: ProviderApp, jti: bytes, events: list[Event], touched: list[int]) -> None:
    """From now on this token is known, and the audit tells what it said, also where nothing was to be done."""
    now = broker.clock()
    with broker.database.write() as session:
        kept = {"received_at": now, "expires_at": now + KEPT}
        if not insert_if_missing(session, SecurityEvent, {"app_id": app.id, "jti_hash": jti}, kept):
            return
        insert_if_missing(session, EventStream, {"app_id": app.id})
        row = session.get_one(EventStream, app.id, with_for_update=True)
        row.last_at = now
        tenant = {"tenant": app.tenant} if app.tenant else {}
        for event, connections in zip(events, touched, strict=True):
            if event.name == "verification":
                row.verified_at, row.verified_hash = now, digest(event.state or "")
            if event.name is None:
                log.warning("a security event of a type that is not known: nothing is done about it")
            known = event.name or f"unknown: {event.uri[:LONGEST_NAME]}"
            audit.note(
                session,
                "security_event.received",
                actor="provider",
                app=app.id,
                event=known,
                reason=event.reason,
                connections=connections,
                **tenant,
            )


# --- what is done --------------------------------------------------------------------------------------------


def _act(broker: Broker, received: _Received, event: Event) -> list[str]:
    """Do what one event asks for; gives the connections that it is about."""
    if event.name == "token-revoked":
        return _token_revoked(broker, received, event)
    act = ACTS.get(event.name or "")
    if act is None:
        return []
    meant = _connections(broker, received, event)
    for connection_id in meant:
        act(broker, received, connection_id, event)
    return meant


def _connections(broker: Broker, received: _Received, event: Event) -> list[str]:
    """The live connections of the account by this app, in every tenant, that are older than the event. Where it says so
    much, attempts to connect the account anew end too: whoever held it then may have begun them."""
    if event.account_id is None:
        log.warning("a security event %s names no account of Google's", event.name)
        return []
    with broker.database.write() as session:
        index = account_index(broker, session, received.app, event.account_id)
        if event.name in INSECURE:
            _end_sessions(broker, session, received, index)
        query = select(Connection.id).where(
            Connection.app_id == received.app.id,
            Connection.account_index == index,
            Connection.live.is_(True),
            Connection.activated_at < received.before,
        )
        return list(session.scalars(query.order_by(Connection.id)))


def _end_sessions(broker: Broker, session: Session, received: _Received, index: bytes) -> None:
    under_way = select(ConnectSession).where(
        ConnectSession.app_id == received.app.id,
        ConnectSession.account_index == index,
        ConnectSession.status.in_(("open", "pending")),
        ConnectSession.exchange_began_at.is_(None),
        ConnectSession.created_at < received.before,
    )
    for row in session.scalars(under_way.order_by(ConnectSession.id).with_for_update()).all():
        end_session(broker, session, row, "failed", actor="provider")


def _revoked(broker: Broker, received: _Received, connection_id: str, event: Event) -> None:
    reason = PURGED if event.name == "account-purged" else ACCESS_REVOKED
    ended_by_provider(broker, connection_id, reason=reason, before=received.before)


def _locked(session: Session, received: _Received, connection_id: str) -> Connection | None:
    """The row, unless it was ended or connected anew meanwhile."""
    row = session.get_one(Connection, connection_id, with_for_update=True)
    return row if row.live and row.activated_at < received.before else None


def _renewed(broker: Broker, received: _Received, connection_id: str, event: Event) -> None:  # noqa: ARG001
    """The access token counts no more, nor one that is on its way: the next read asks for a new one, and Google says
    whether there is any."""
    with broker.database.write() as session:
        row = _locked(session, received, connection_id)
        if row and row.access_token and row.refresh_token:
            row.fresh_until = row.access_expires_at = None
            row.fence += 1
            row.lease_until = None
            noted(session, row, "connection.sessions_revoked", actor="provider")


def _suspended(broker: Broker, received: _Received, connection_id: str, event: Event) -> None:  # noqa: ARG001
    with broker.database.write() as session:
        row = _locked(session, received, connection_id)
        if row and row.state in ("active", "suspended"):
            suspended_by_provider(session, row, broker.clock())


def _reconnect(broker: Broker, received: _Received, connection_id: str, event: Event) -> None:  # noqa: ARG001
    with broker.database.write() as session:
        row = _locked(session, received, connection_id)
        if row and row.state != "reconnect_required":
            needs_reconnect(session, row)


def _at_risk(broker: Broker, received: _Received, connection_id: str, event: Event) -> None:  # noqa: ARG001
    with broker.database.write() as session:
        if row := _locked(session, received, connection_id):
            noted(session, row, "connection.account_at_risk", actor="provider")


def _token_revoked(broker: Broker, received: _Received, event: Event) -> list[str]:
    """One refresh token is dead, whichever connection holds it: it is deleted, and the user must connect again."""
    if event.token is None:
        log.warning("a security event token-revoked names no refresh token")
        return []
    with broker.database.write() as session:
        rows = connections_of(broker, session, received.app.id, event.token)
        for row in rows:
            row.refresh_token = None
            forget_token(session, row.id)
            if row.state != "reconnect_required":
                needs_reconnect(session, row)
        return [row.id for row in rows]


ACTS: Mapping[str, Callable[[Broker, _Received, str, Event], None]] = {
    "sessions-revoked": _renewed,
    "tokens-revoked": _revoked,
    "account-disabled": _suspended,
    "account-enabled": _reconnect,
    "account-purged": _revoked,
    "account-credential-change-required": _at_risk,
}
"""Event → what it does to each connection of its account (contract §6; docs/facts/google.md §2.4)."""
