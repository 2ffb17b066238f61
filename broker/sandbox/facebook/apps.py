"""The apps that this Facebook knows: secrets, redirect URIs, enabled permissions, login configurations."""

import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass
class App:
    """One registration. With no redirect URI registered, any will do; with no permissions named, all are enabled."""

    id: str
    secret: str | None = None
    redirect_uris: tuple[str, ...] = ()
    scopes: frozenset[str] | None = None
    require_app_secret: bool = False
    """The setting of that name: calls without `appsecret_proof` fail (docs/facts/meta.md §1.11)."""
    configurations: dict[str, "Configuration"] = field(default_factory=dict)

    def proves(self, proof: str, message: str) -> bool:
        """Whether the proof is that of the message, by this app's secret."""
        wanted = hmac.new((self.secret or "").encode(), message.encode(), hashlib.sha256).hexdigest()
        return hmac.compare_digest(wanted.encode(), proof.encode())


@dataclass(frozen=True)
class Configuration:
    """Facebook Login for Business: what `config_id` stands for (§1.7)."""

    id: str
    scopes: frozenset[str]
    system_user: bool = False


class Apps:
    """Until it is told of an app, it takes whoever comes, and the first secret that an app shows is its own.

    From then on only those pass that it was told of. Not thread-safe: the caller holds the sandbox's lock.
    """

    def __init__(
        self, secrets: Mapping[str, str] | None = None, redirect_uris: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        """Each by app id."""
        uris = redirect_uris or {}
        self._known = {name: App(name, secret, tuple(uris.get(name, ()))) for name, secret in (secrets or {}).items()}
        self._choosy = secrets is not None

    def get(self, app_id: str) -> App | None:
        """The app, if it may come at all."""
        if app_id not in self._known and not self._choosy and app_id:
            self._known[app_id] = App(app_id)
        return self._known.get(app_id)

    def register(self, app_id: str) -> App:
        """From now on only registered ones pass; those that came before stay."""
        self._choosy = True
        return self._known.setdefault(app_id, App(app_id))

    def configure(self, app_id: str | None, configuration: Configuration) -> None:
        """For one app, or for each that is known or comes later."""
        app = self.get(app_id or ANY)
        if app is None:
            app = self._known.setdefault(app_id or ANY, App(app_id or ANY))
        app.configurations[configuration.id] = configuration

    def configuration(self, app: App, config_id: str) -> Configuration | None:
        common = self._known.get(ANY)
        return app.configurations.get(config_id) or (common.configurations.get(config_id) if common else None)

    def authenticates(self, app_id: str, secret: str) -> bool:
        app = self.get(app_id)
        if app is None or not secret:
            return False
        if app.secret is None:
            app.secret = secret
        return hmac.compare_digest(app.secret.encode(), secret.encode())

    def __iter__(self) -> Iterator[App]:
        return iter([app for name, app in self._known.items() if name != ANY])


ANY = "*"
"""Holds what is configured for whichever app comes."""
