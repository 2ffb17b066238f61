"""What Instagram remembers of consents and tokens, and what becomes of them (docs/facts/meta.md §3.1, §6.1).

The unit is the authorization: one account, one app. What it permits holds for every token of it, at once, whenever it
changes; a later consent adds what it grants, and takes away what it asked for and the user unticked. Nothing here
knows of HTTP. Not thread-safe: the caller holds the sandbox's lock.
"""

import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from broker.sandbox.instagram.permissions import BASIC, ordered
from broker.sandbox.quirks import Quirks

HOUR, DAY = 3600, 24 * 3600
CODE_LIFETIME = HOUR
SHORT_LIFETIME = HOUR
LONG_LIFETIME = 60 * DAY
REFRESHABLE_AFTER = DAY
"""Age that a long-lived token must have."""
KEPT = 50_000
"""Tokens that are remembered, dead ones among them; of the oldest it is then no longer known why they are dead."""

REMOVED, CHECKPOINT, PASSWORD, EXPIRED, INVALID = 458, 459, 460, 463, 467
"""Subcodes of error 190 (§6.1): why a token is dead."""

Pair = tuple[str, str]
"""(app, account): the unit of authorization."""


class CodeRefused(Exception):
    """A code is not exchanged; the text says why."""


class TokenDead(Exception):
    """The token opens nothing. `subcode`: why; None of one that never was, or is forgotten."""

    def __init__(self, subcode: int | None = None) -> None:
        super().__init__(subcode)
        self.subcode = subcode


class TokenUnfit(Exception):
    """A living token, but not for this: of the wrong kind, too young, or of another app. The text says which."""


@dataclass(frozen=True)
class AuthorizationRequest:
    """A checked authorization request."""

    app: str
    redirect_uri: str
    permissions: tuple[str, ...]
    state: str | None
    facebook_login: bool
    """The page offers to log in with Facebook."""
    forced: bool
    """The user has to log in again, though logged in."""

    @property
    def choices(self) -> tuple[str, ...]:
        """What the user may untick: all but the mandatory one."""
        return tuple(name for name in self.permissions if name != BASIC)


@dataclass(frozen=True)
class Code:
    """An authorization code, and what its exchange will give."""

    value: str
    request: AuthorizationRequest
    account: str
    expires_at: float


@dataclass(frozen=True)
class Token:
    """A token, living or dead. Times are in seconds since 1970."""

    value: str
    app: str
    account: str
    long: bool
    issued_at: float
    expires_at: float
    dead: int | None = None
    """The subcode of why."""

    @property
    def pair(self) -> Pair:
        return (self.app, self.account)


class Grants:
    """Authorizations, codes and tokens of one fake Instagram."""

    def __init__(self, clock: Callable[[], float], quirks: Quirks) -> None:
        self.clock, self.quirks = clock, quirks
        self.authorizations: dict[Pair, set[str]] = {}
        """What each permits now."""
        self.codes: dict[str, Code] = {}
        self.tokens: dict[str, Token] = {}
        self.checkpoints: set[str] = set()
        """Accounts that have to log in at Instagram before any token of theirs works again."""

    def approve(self, request: AuthorizationRequest, account: str, ticked: Collection[str]) -> str:
        """The user agrees; the code."""
        asked = set(request.permissions)
        granted = asked & ({BASIC} | set(ticked)) - set(self.quirks.get("partial", ()))
        held = self.authorizations.setdefault((request.app, account), set())
        held -= asked
        held |= granted
        code = Code(f"AQ{secrets.token_urlsafe(120)}", request, account, self.clock() + CODE_LIFETIME)
        self.codes[code.value] = code
        return code.value

    def redeem(self, app: str, value: str, redirect_uri: str | None) -> Token:
        """Exchange a code for a short-lived token. A try by its own app spends it. Raises `CodeRefused`."""
        code = self.codes.get(value)
        if code is None or code.request.app != app:
            raise CodeRefused("The code is not known or was used")
        del self.codes[value]
        if self.clock() >= code.expires_at:
            raise CodeRefused("The code has expired")
        if redirect_uri != code.request.redirect_uri:
            raise CodeRefused("redirect_uri is not that of the dialog")
        self.authorizations[app, code.account] |= set(self.quirks.get("extra_scopes", ()))
        return self._new(app, code.account, long=False)

    def lengthen(self, token: Token) -> Token:
        """A long-lived token for a short-lived one, which lives on for its hour. Raises `TokenUnfit`."""
        if token.long:
            raise TokenUnfit("The token is long-lived already")
        return self._new(token.app, token.account, long=True)

    def refresh(self, token: Token) -> Token:
        """Valid for 60 days from now. Raises `TokenUnfit`."""
        if not token.long:
            raise TokenUnfit("The token is not long-lived")
        if self.clock() < token.issued_at + REFRESHABLE_AFTER:
            raise TokenUnfit("The token is not yet 24 hours old")
        if self.quirks.get("refresh_keeps_token"):
            return self._put(replace(token, issued_at=self.clock(), expires_at=self._end(long=True)))
        return self._new(token.app, token.account, long=True)

    def living(self, value: str) -> Token:
        """Raises `TokenDead`."""
        token = self.tokens.get(value)
        if token is None:
            raise TokenDead
        if token.dead is not None:
            raise TokenDead(token.dead)
        if self.clock() >= token.expires_at:
            raise TokenDead(EXPIRED)
        if token.account in self.checkpoints:
            raise TokenDead(CHECKPOINT)
        return token

    def live(self) -> list[Token]:
        """Every token that is neither dead nor expired, the oldest first."""
        return [token for token in self.tokens.values() if token.dead is None and self.clock() < token.expires_at]

    def permitted(self, token: Token) -> set[str]:
        """What a token of this authorization may do now."""
        return self.authorizations.get(token.pair, set())

    def end(self, account: str, app: str | None = None) -> int:
        """The user removes every app, or one: permissions, codes and tokens die. Gives how many apps lost it."""
        ended = [pair for pair in self.authorizations if pair[1] == account and app in (None, pair[0])]
        for pair in ended:
            del self.authorizations[pair]
            self.kill(lambda token, pair=pair: token.pair == pair, REMOVED)  # type: ignore[misc]
        self.codes = {
            value: code for value, code in self.codes.items() if (code.request.app, code.account) not in ended
        }
        return len(ended)

    def kill(self, meant: Callable[[Token], bool], subcode: int) -> int:
        """Tokens die and the authorization stays; gives how many."""
        doomed = [token for token in self.live() if meant(token)]
        for token in doomed:
            self.tokens[token.value] = replace(token, dead=subcode)
        return len(doomed)

    def told(self, token: Token) -> list[str]:
        """The permissions as the token answer says them."""
        return ordered(self.permitted(token))

    def _new(self, app: str, account: str, *, long: bool) -> Token:
        value = f"IGAA{secrets.token_urlsafe(90 + secrets.randbelow(60))}"
        return self._put(Token(value, app, account, long, self.clock(), self._end(long=long)))

    def _end(self, *, long: bool) -> float:
        lifetimes = {"short": SHORT_LIFETIME, "long": LONG_LIFETIME, **self.quirks.get("token_lifetime", {})}
        return float(self.clock() + lifetimes["long" if long else "short"])

    def _put(self, token: Token) -> Token:
        self.tokens[token.value] = token
        if len(self.tokens) > KEPT:
            del self.tokens[next(iter(self.tokens))]
        return token
