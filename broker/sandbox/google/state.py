"""Everything the fake Google remembers. No rule of Google's stands here."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from broker.sandbox.fake import Fake, current
from broker.sandbox.google.clients import Clients
from broker.sandbox.google.grants import Grants
from broker.sandbox.google.id_tokens import Keys
from broker.sandbox.google.quirks import KNOWN
from broker.sandbox.google.seed import Account
from broker.sandbox.google.token_store import Token, TokenStore
from broker.sandbox.listing import Listings

SYNC_TOKEN_LIFETIME = 7 * 24 * 3600
"""Seconds from the full reading (docs/facts/google.md §5.2). Of Calendar's no lifetime is known; the same is taken."""


class Google(Fake):
    """One fake Google."""

    def __init__(
        self,
        *,
        accounts: Sequence[Account],
        clients: Callable[[], Clients],
        clock: Callable[[], float],
        quirks: Mapping[str, Any],
        streams: Callable[[], Any],
    ) -> None:
        """`clients`: makes those of the start; `streams`: an empty `security_events.Streams`. Raises `BadQuirk`."""
        super().__init__(clock=clock, known=KNOWN, quirks=quirks)
        self.keys = Keys()
        self._clients, self._accounts, self._streams = clients, tuple(accounts), streams
        self.start()

    def start(self) -> None:
        self.clients = self._clients()
        self.accounts: dict[str, Account] = {}
        self._by_email: dict[str, Account] = {}
        for account in self._accounts:
            self.add(account.copy())
        self.grants = Grants(self.clock, self.quirks, lambda client: self.clients.project_of(client))
        self.listings = Listings(self.clock, SYNC_TOKEN_LIFETIME)
        self.streams: Any = self._streams()
        self.analytics_tokens: Counter[str] = Counter()
        """Spent by the reports of each property."""

    def add(self, account: Account) -> None:
        self.accounts[account.sub] = account
        self._by_email[account.email] = account

    def account(self, name: object) -> Account | None:
        """By `sub` or e-mail address."""
        return self.accounts.get(str(name)) or self._by_email.get(str(name))

    def described(self) -> dict[str, Any]:
        now = self.clock()
        live = {"access": _shown(self.grants.access), "refresh": _shown(self.grants.refresh)}
        return {
            "now": now,
            "accounts": [{"sub": a.sub, "email": a.email, "name": a.name} for a in self.accounts.values()],
            "authorizations": [
                {"project": project, "account": account, "scopes": sorted(scopes)}
                for (project, account), scopes in self.grants.authorizations.items()
            ],
            "live_tokens": live,
            "counts": {kind: len(tokens) for kind, tokens in live.items()},
            "codes": [code.value for code in self.grants.codes.values() if code.expires_at > now],
        }


def _shown(tokens: TokenStore) -> list[dict[str, object]]:
    return [_token(token) for token in tokens]


def _token(token: Token) -> dict[str, object]:
    """In full, since this is a test double."""
    return {
        "value": token.value,
        "client": token.client,
        "project": token.project,
        "account": token.account,
        "scopes": sorted(token.scopes),
        "expires_at": token.expires_at,
    }


def google() -> Google:
    """The fake that answers this request."""
    return cast(Google, current())
