"""Hints: what is known of the user when the browser leaves for the provider, from earlier connections and attempts."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from broker.connections.read import open_account
from broker.errors import InsufficientScope
from broker.models import Connection, ConnectSession, Grant
from broker.providers.base import AuthorizationHints, Provider
from broker.runtime import Broker

ATTEMPTS = 10
"""Earlier sessions that are looked through for how the last one ended: abandoned ones came to no end."""


def hints(broker: Broker, session: Session, row: ConnectSession, login_hint: str | None) -> AuthorizationHints:
    renewed = session.get(Connection, row.renews) if row.renews else None
    account = open_account(broker, session, renewed) if renewed and renewed.account else None
    return AuthorizationHints(
        login_hint=login_hint,
        account_id=account["id"] if account else None,
        force_consent=row.force_consent,
        declined=_declined(session, row),
        requested=frozenset(row.requested_scopes),
    )


def held_scopes(session: Session, row: ConnectSession, provider: Provider) -> frozenset[str]:
    """What the connectors of the connection that is renewed were granted, where the new authorization would not hold it
    by itself: its token takes the place of the one they work with."""
    if row.renews is None or provider.accumulates_grants:
        return frozenset()
    grants = select(Grant.scopes).where(Grant.connection_id == row.renews, Grant.live.is_(True))
    return frozenset().union(*session.scalars(grants))


def _declined(session: Session, row: ConnectSession) -> bool:
    """Whether the user once refused, at this provider app, some of what is asked for now: what a live connection lacks
    of it, or the reason for which the last attempt that came to an end failed. Some providers then ask only if told to
    (docs/facts/meta.md §1.1)."""
    mine = (Connection.tenant == row.tenant, Connection.subject == row.subject, Connection.app_id == row.app_id)
    for held in session.scalars(select(Connection).where(*mine, Connection.live.is_(True))):
        if set(row.requested_scopes) & set(held.requested_scopes) - set(held.granted_scopes):
            return True
    before = (
        select(ConnectSession.outcome)
        .where(
            ConnectSession.tenant == row.tenant,
            ConnectSession.subject == row.subject,
            ConnectSession.app_id == row.app_id,
            ConnectSession.created_at < row.created_at,
        )
        .order_by(ConnectSession.created_at.desc())
    )
    outcome: dict[str, Any] = next(filter(None, session.scalars(before.limit(ATTEMPTS))), {})
    return outcome.get("code") == InsufficientScope.code
