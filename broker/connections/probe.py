"""Probe: whether a token that was just exchanged still lives, where a revocation may have been told meanwhile."""

from dataclasses import replace

from broker.config import origin
from broker.connections.exchange import Exchanged
from broker.connections.tokens import token_status
from broker.errors import ProviderUnavailable
from broker.models import ConnectSession
from broker.runtime import Broker
from broker.upstream import TokenRefused


class TokenDead(ProviderUnavailable):
    """The provider no longer honours the token that the exchange has just given."""

    def __init__(self) -> None:
        super().__init__("This authorization was revoked while it was being confirmed. Start again.", retryable=False)


def probe(broker: Broker, session_id: str, exchanged: Exchanged) -> Exchanged:
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
    except TokenRefused as refusal:
        raise TokenDead if refusal.error == "invalid_grant" else _unknown() from None
    if newer.refresh_token is None:
        lifetime = answer.refresh_token_expires_in
        newer = replace(newer, refresh_token=answer.refresh_token, refresh_token_expires_in=lifetime)
    granted = provider.granted_scopes(newer.scope, exchanged.granted) & exchanged.granted
    return replace(exchanged, answer=newer, granted=granted)


def _probed_by_userinfo(broker: Broker, exchanged: Exchanged, userinfo: str | None) -> Exchanged:
    """Only a 401 says that the token is dead (RFC 6750 §3.1); else it may live, and somebody must end it."""
    status = token_status(broker, userinfo, exchanged.answer.access_token) if userinfo else None
    if status == 401:
        raise TokenDead
    if status != 200:
        raise _unknown()
    return exchanged


def _unknown() -> ProviderUnavailable:
    return ProviderUnavailable("Nobody can say whether this authorization still stands. Start again.", retryable=False)
