"""Probe: whether a token that was just exchanged still lives, where a revocation may have been told meanwhile."""

from dataclasses import replace

from broker.connections.exchange import Exchanged
from broker.errors import ProviderUnavailable
from broker.runtime import Broker
from broker.upstream import TokenRefused


class TokenDead(ProviderUnavailable):
    """The provider no longer honours the token that the exchange has just given."""

    def __init__(self) -> None:
        super().__init__("This authorization was revoked while it was being confirmed. Start again.", retryable=False)


def probe(broker: Broker, app_id: str, exchanged: Exchanged) -> Exchanged:
    """Whether the token still lives; its successor takes its place. Raises `TokenDead`, `ProviderUnavailable`."""
    line = broker.line(app_id)
    provider = broker.providers[line.app.provider]
    try:
        answer, granted = provider.probe(line, exchanged.answer, exchanged.granted)
    except TokenRefused as refusal:
        raise TokenDead if provider.fate(refusal) in ("dead", "removed") else _unknown() from None
    return replace(exchanged, answer=answer, granted=granted)


def _unknown() -> ProviderUnavailable:
    return ProviderUnavailable("Nobody can say whether this authorization still stands. Start again.", retryable=False)
