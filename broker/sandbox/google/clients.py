"""The OAuth clients that this Google knows: secrets, registered redirect URIs, and the Cloud project of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Client:
    """One registration. With no redirect URI registered, any will do."""

    secret: str
    redirect_uris: tuple[str, ...] = ()


class Clients:
    """Until it is told of a client, it takes whoever comes; from then on those that it was told of, and no others.

    Not thread-safe: the caller holds the sandbox's lock.
    """

    def __init__(
        self,
        secrets: Mapping[str, str] | None = None,
        redirect_uris: Mapping[str, Sequence[str]] | None = None,
        projects: Mapping[str, str] | None = None,
    ) -> None:
        """Each by client id."""
        uris = redirect_uris or {}
        self._known = {name: Client(secret, tuple(uris.get(name, ()))) for name, secret in (secrets or {}).items()}
        self._choosy = secrets is not None
        self._projects = dict(projects or {})

    def register(self, client_id: str, client: Client, project: str | None) -> None:
        """Add one, or change it."""
        self._choosy = True
        self._known[client_id] = client
        if project:
            self._projects[client_id] = project

    def knows(self, client_id: str) -> bool:
        return not self._choosy or client_id in self._known

    def authenticates(self, client_id: str, secret: str) -> bool:
        client = self._known.get(client_id)
        return client.secret == secret if client else not self._choosy

    def redirects_to(self, client_id: str, uri: str) -> bool:
        """Compared character by character (docs/facts/google.md §1.2)."""
        client = self._known.get(client_id)
        return client is None or not client.redirect_uris or uri in client.redirect_uris

    def project_of(self, client_id: str) -> str:
        """Its own, unless it was told to share one."""
        return self._projects.get(client_id, client_id)
