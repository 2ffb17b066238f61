"""Fates: what becomes of a connection whose token the provider refuses, and what its callers hear."""

from datetime import datetime

from sqlalchemy.orm import Session

from broker.connections.read import noted
from broker.errors import (
    BrokerError,
    ConnectionRevoked,
    ConnectionSuspended,
    ProviderUnavailable,
    ReconnectRequired,
)
from broker.models import Connection
from broker.providers.base import Fate
from broker.runtime import Broker
from broker.upstream import TokenRefused


def is_over(broker: Broker, row: Connection) -> bool:
    """By the provider's own word about data access, or because a token that renews itself can do so no more. Whether a
    refresh token is over, only its refusal says."""
    renews_itself = broker.providers[row.provider].renewed_by == "access_token"
    return renews_itself and row.expires_at is not None and row.expires_at <= broker.clock()


def told(fate: Fate, refusal: TokenRefused | None) -> BrokerError:
    """What the caller hears of a fate."""
    if fate == "dead":
        return ReconnectRequired("The provider no longer honours this connection. Send the user to connect again.")
    if fate == "removed":
        return ConnectionRevoked("The user removed this app at the provider.")
    if fate == "paused":
        return ConnectionSuspended(
            "The provider holds this account until its owner has logged in there.", source="provider"
        )
    return ProviderUnavailable(f"The provider refused the refresh ({refusal}).", retryable=False)


def needs_reconnect(session: Session, row: Connection, *, actor: str = "provider", ambiguous: bool = False) -> None:
    """`ambiguous`: an earlier refresh never got its answer, so the provider may have spent the token then (REL-07)."""
    row.state, row.access_token, row.fresh_until = "reconnect_required", None, None
    row.asset_tokens = row.provider_suspended_at = None
    noted(session, row, "connection.reconnect_required", actor=actor, ambiguous_refresh=ambiguous or None)


def suspended_by_provider(session: Session, row: Connection, now: datetime) -> None:
    """The token is kept: the provider honours it again once its owner has acted there, or the user connects again. Said
    once, however often the provider repeats it."""
    row.state = "suspended"
    if row.provider_suspended_at is None:
        row.provider_suspended_at = now
        noted(session, row, "connection.suspended", actor="provider")
