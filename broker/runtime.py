"""What one process works with, put together once by the composition root (`broker.app`)."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from broker import apps
from broker.accesses import Accesses
from broker.config import ProviderApp, Settings
from broker.contract import Connector
from broker.db import Database
from broker.endpoints import Endpoints
from broker.errors import InvalidRequest, NotFound, ProviderUnavailable
from broker.identity import Identity
from broker.providers.base import Provider
from broker.providers.line import Line
from broker.providers.resource import Resource
from broker.recent import Recent
from broker.shredlog import ShredLog
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
    """By name: those that ship, and the generic ones that are configured. Whether one is on is `app_for`'s to say."""
    connectors: Mapping[str, Connector]
    accesses: Accesses
    shred_log: ShredLog
    recent: Recent
    clock: Clock

    def provider(self, name: str) -> Provider:
        """Raises `InvalidRequest` for a provider that is unknown."""
        try:
            return self.providers[name]
        except KeyError:
            raise _not_configured() from None

    def app_for(self, provider: Provider, tenant: str) -> ProviderApp:
        """The provider app by which this tenant connects: its own, or the one that all share.

        Raises `InvalidRequest` where there is neither.
        """
        own = apps.own_id(self.database, tenant, provider.name)
        app_id = own or (provider.name if provider.name in self.settings.apps else None)
        if app_id is None:
            raise _not_configured()
        return self.app(app_id)

    def providers_for(self, tenants: Collection[str] | None) -> list[Provider]:
        """By which providers one of these tenants can connect; None: any tenant."""
        on = apps.providers_of(self.database, tenants).union(self.settings.apps)
        return [provider for name, provider in self.providers.items() if name in on]

    def app(self, app_id: str) -> ProviderApp:
        """Raises `ProviderUnavailable` for one that is not configured any more, `AppRemoved` for one that was removed.

        A tenant's own has the options of the settings where it has none itself, but for those that are secret.
        """
        found = self.settings.apps.get(app_id) or apps.opened(self.database, self.vault, app_id)
        if found is None or found.provider not in self.providers:
            raise ProviderUnavailable("The provider app is not configured here any more.", retryable=False, sent=False)
        defaults = self.settings.options.get(found.provider, {})
        if found.tenant:
            own = {option.name: option.default for option in self.providers[found.provider].options if option.secret}
            defaults = {**defaults, **own}
        return replace(found, options={**defaults, **found.options})

    def endpoints(self, app: ProviderApp) -> Endpoints:
        """Raises `ProviderUnavailable` when they must be discovered and cannot be."""
        return self.providers[app.provider].served_at(app.options) or self.identity.discovered(self._issuer(app))

    def line(self, app_id: str, *, begin_by: float | None = None) -> Line:
        """The way to the provider of an app; no call is begun from `begin_by` (monotonic seconds) on.

        Raises `ProviderUnavailable`.
        """
        app = self.app(app_id)
        return Line(
            app=app,
            endpoints=self.endpoints(app),
            upstream=self.upstream,
            identity=self.identity,
            redirect_uri=self.callback_url(app),
            now=self.clock(),
            begin_by=begin_by,
        )

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
        return f"{self.settings.public_url}/callback/{_path(app)}"

    def hook_urls(self, app: ProviderApp) -> list[str]:
        """Where the provider reports to this app, one path per provider app as well: registered there."""
        hooks = self.providers[app.provider].hooks
        return [f"{self.settings.public_url}/hooks/{_path(app)}/{hook}" for hook in hooks]

    def _issuer(self, app: ProviderApp) -> str:
        """A tenant's own app at a generic provider is registered at the issuer that the operator configured."""
        return app.issuer or self.settings.apps[app.provider].issuer


def _path(app: ProviderApp) -> str:
    return f"{app.provider}/{app.id}" if app.tenant else app.provider


def _not_configured() -> InvalidRequest:
    problem = {"field": "provider", "problem": "unknown or not configured"}
    return InvalidRequest("This provider is not configured here.", errors=[problem])
