"""The apps that this Instagram knows: an INSTAGRAM app id and secret each, apart from any Facebook app's (§2.4).

Sections are of docs/facts/meta.md.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class App:
    """One registration. With no redirect URI registered, any will do."""

    secret: str
    redirect_uris: tuple[str, ...] = ()


class Apps:
    """Until it is told of an app, it takes whoever comes; from then on those that it was told of, and no others.

    Not thread-safe: the caller holds the sandbox's lock.
    """

    def __init__(
        self, secrets: Mapping[str, str] | None = None, redirect_uris: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        """Each by app id."""
        uris = redirect_uris or {}
        self._known = {name: App(secret, tuple(uris.get(name, ()))) for name, secret in (secrets or {}).items()}
        self._choosy = secrets is not None
        self._seen: dict[str, str] = {}

    def register(self, app_id: str, app: App) -> None:
        """Add one, or change it."""
        self._choosy = True
        self._known[app_id] = app

    def knows(self, app_id: str) -> bool:
        return not self._choosy or app_id in self._known

    def authenticates(self, app_id: str, secret: str) -> bool:
        app = self._known.get(app_id)
        right = app.secret == secret if app else not self._choosy
        if right:
            self._seen[app_id] = secret
        return right

    def secret_of(self, app_id: str) -> str | None:
        """What callbacks to the app are signed with: of one that was not registered, the secret it last came with."""
        app = self._known.get(app_id)
        return app.secret if app else self._seen.get(app_id)

    def redirects_to(self, app_id: str, uri: str) -> bool:
        """Compared character by character, query and trailing slash included (§3.1)."""
        app = self._known.get(app_id)
        return app is None or not app.redirect_uris or uri in app.redirect_uris


def app_scoped(app_id: str, account: str) -> str:
    """The id by which an app alone knows an account, beyond 2^53; the same each time (§3.1)."""
    digest = hashlib.sha256(f"{app_id} {account}".encode()).digest()
    return f"2{int.from_bytes(digest[:8]) % 10**16:016}"
