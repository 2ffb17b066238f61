"""Everything the fake Instagram remembers. No rule of Instagram's stands here."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from broker.sandbox.fake import Fake, current
from broker.sandbox.graph import unversioned
from broker.sandbox.instagram.apps import Apps, app_scoped
from broker.sandbox.instagram.grants import Grants, Pair, Token
from broker.sandbox.instagram.permissions import ordered
from broker.sandbox.instagram.quirks import KNOWN
from broker.sandbox.instagram.seed import Account


class Instagram(Fake):
    """One fake Instagram."""

    def __init__(
        self,
        *,
        accounts: Callable[[], Sequence[Account]],
        apps: Callable[[], Apps],
        clock: Callable[[], float],
        quirks: Mapping[str, Any],
    ) -> None:
        """`accounts`, `apps`: make those of the start. Raises `BadQuirk`."""
        super().__init__(clock=clock, known=KNOWN, quirks=quirks)
        self._apps, self._accounts = apps, accounts
        self.start()

    def start(self) -> None:
        self.apps = self._apps()
        self.accounts: dict[str, Account] = {}
        self._by_username: dict[str, Account] = {}
        for account in self._accounts():
            self.add(account)
        self.grants = Grants(self.clock, self.quirks)
        self.subscriptions: dict[Pair, set[str]] = {}
        """Fields of which an app is told by webhook, by (app, account)."""

    def add(self, account: Account) -> None:
        self.accounts[account.id] = account
        self._by_username[account.username] = account

    def account(self, name: object) -> Account | None:
        """By the id of the professional account or by username."""
        return self.accounts.get(str(name)) or self._by_username.get(str(name))

    def remove(self, account: str, app: str | None = None) -> int:
        """The user removes every app, or one; gives how many lost their access."""
        self.subscriptions = {
            pair: fields
            for pair, fields in self.subscriptions.items()
            if pair[1] != account or app not in (None, pair[0])
        }
        return self.grants.end(account, app)

    def names_of(self, path: str) -> tuple[str, ...]:
        """A prefix in a quirk may leave the version out."""
        return (path, unversioned(path))

    def described(self) -> dict[str, Any]:
        now, live = self.clock(), self.grants.live()
        shown = {kind: [_token(t) for t in live if t.long == long] for kind, long in (("short", False), ("long", True))}
        return {
            "now": now,
            "accounts": [account.described() for account in self.accounts.values()],
            "authorizations": [
                {"app": app, "account": account, "user_id": app_scoped(app, account), "permissions": ordered(permitted)}
                for (app, account), permitted in self.grants.authorizations.items()
            ],
            "live_tokens": shown,
            "counts": {kind: len(tokens) for kind, tokens in shown.items()},
            "codes": [code.value for code in self.grants.codes.values() if code.expires_at > now],
            "subscriptions": [
                {"app": app, "account": account, "fields": sorted(fields)}
                for (app, account), fields in self.subscriptions.items()
            ],
        }


def _token(token: Token) -> dict[str, object]:
    """In full, since this is a test double."""
    return {
        "value": token.value,
        "app": token.app,
        "account": token.account,
        "issued_at": token.issued_at,
        "expires_at": token.expires_at,
    }


def instagram() -> Instagram:
    """The fake that answers this request."""
    return cast(Instagram, current())
