"""What one process works with, put together once by the composition root (`broker.app`)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from broker.accesses import Accesses
from broker.config import ProviderApp, Settings
from broker.contract import Connector
from broker.db import Database
from broker.errors import InvalidRequest, NotFound
from broker.identity import Identity
from broker.providers.base import Endpoints, Provider, Resource
from broker.upstream import Upstream
from broker.vault import Vault

Clock = Callable[[], datetime]
"""Aware UTC time. Passed in, so that a test can move it."""


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Broker:
    """Settings, the database, the vault, the way out, and the providers and connectors as values."""

    settings: Settings
    database: Database
    vault: Vault
    upstream: Upstream
    identity: Identity
    providers: Mapping[str, Provider]
    """By name, only those that have a provider app."""
    connectors: Mapping[str, Connector]
    accesses: Accesses
    clock: Clock

    def provider(self, name: str) -> Provider:
        """Raises `InvalidRequest` for a provider that is unknown or switched off."""
        try:
            return self.providers[name]
        except KeyError:
            problem = {"field": "provider", "problem": "unknown or not configured"}
            raise InvalidRequest("This provider is not configured here.", errors=[problem]) from None

    def app(self, provider: Provider) -> ProviderApp:
        return self.settings.apps[provider.name]

    def endpoints(self, provider: Provider) -> Endpoints:
        """Raises `ProviderUnavailable` when they must be discovered and cannot be."""
        return provider.endpoints or self.identity.discovered(self.app(provider).issuer)

    def connector(self, name: str) -> Connector:
        """Raises `NotFound`."""
        try:
            return self.connectors[name]
        except KeyError:
            raise NotFound("There is no such connector.") from None

    def resource(self, connector: Connector, provider: Provider) -> Resource:
        return provider.resources[connector.reads.resource]

    def callback_url(self, app: ProviderApp) -> str:
        """Registered at the provider; one path per provider app, so that answers cannot be mixed up (STD-03)."""
        return f"{self.settings.public_url}/callback/{app.id}"
