"""What Google remembers of consents and tokens, and what becomes of them (docs/facts/google.md §1.3 to §1.9).

The unit is the authorization: one account, one Cloud project, every scope ever granted (§1.6). Nothing here knows
of HTTP. Not thread-safe: the caller holds the sandbox's lock.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from broker.sandbox.google.scopes import SIGN_IN, named
from broker.sandbox.google.token_store import Pair, Token, TokenStore
from broker.sandbox.quirks import Quirks

CODE_LIFETIME = 600
ACCESS_LIFETIME = 3599
UNUSED_LIFETIME = 182 * 24 * 3600
"""Seconds after which a refresh token that is not used ends (§1.8: six months)."""
TESTING_LIFETIME = 7 * 24 * 3600
"""Seconds that a refresh token lives while the app's status is Testing (§1.8)."""
REFRESH_TOKENS = 100
"""Live refresh tokens per account and client; the oldest dies silently (§1.8)."""

REVOKED = "Token has been expired or revoked."


class TokenError(Exception):
    """An answer of the token or revocation endpoint that is an error (§1.9)."""

    def __init__(
        self, error: str, description: str | None = None, *, status: int = 400, subtype: str | None = None
    ) -> None:
        super().__init__(error)
        self.status = status
        members = {"error": error, "error_description": description, "error_subtype": subtype}
        self.body = {name: value for name, value in members.items() if value is not None}


@dataclass(frozen=True)
class AuthorizationRequest:
    """A checked authorization request; scopes under their full names."""

    client: str
    redirect_uri: str
    scopes: frozenset[str]
    state: str | None
    nonce: str | None
    code_challenge: str | None
    code_challenge_method: str
    offline: bool
    prompt: frozenset[str]
    include_granted: bool
    login_hint: str | None
    domain: str | None
    """`hd`: which account the page proposes, no more than that (§1.2)."""

    @property
    def choices(self) -> tuple[str, ...]:
        """The scopes that get a checkbox: none where only one beyond signing in is asked (§1.5)."""
        beyond = sorted(self.scopes - SIGN_IN)
        return tuple(beyond) if len(beyond) > 1 else ()


@dataclass(frozen=True)
class Code:
    """An authorization code, and what its exchange will give."""

    value: str
    request: AuthorizationRequest
    account: str
    scopes: frozenset[str]
    lasting: bool
    """The exchange gives a refresh token."""
    consented: bool
    """The consent screen was shown."""
    expires_at: float


@dataclass(frozen=True)
class Issued:
    """What a successful token call gives."""

    access: Token
    refresh: Token | None
    nonce: str | None = None


class Grants:
    """Authorizations, codes and tokens of one fake Google."""

    def __init__(self, clock: Callable[[], float], quirks: Quirks, project_of: Callable[[str], str]) -> None:
        self.clock, self.quirks, self.project_of = clock, quirks, project_of
        self.authorizations: dict[Pair, set[str]] = {}
        """Every scope granted."""
        self.codes: dict[str, Code] = {}
        self.access, self.refresh = TokenStore(clock), TokenStore(clock)
        self.spent = TokenStore(clock)
        """Refresh tokens that rotation replaced."""

    def covered(self, request: AuthorizationRequest, account: str) -> bool:
        """Whether nothing has to be asked."""
        granted = self.authorizations.get((self.project_of(request.client), account))
        return granted is not None and request.scopes <= granted and "consent" not in request.prompt

    def approve(self, request: AuthorizationRequest, account: str, ticked: Collection[str]) -> Code | None:
        """The user agrees. None if that grants nothing at all. Where nothing has to be asked, `ticked` is moot.

        A refresh token is due when the consent screen was shown: something was asked for the first time, or
        `prompt=consent` (§1.2, §1.4). That a *new scope* counts as a first time is our reading; the quirk
        `refresh_token_once` is the stricter one.
        """
        pair = (self.project_of(request.client), account)
        first, consented = pair not in self.authorizations, not self.covered(request, account)
        unticked = set(request.choices) - set(ticked) if consented else set()
        granted = request.scopes - unticked - {named(scope) for scope in self.quirks.get("partial", ())}
        if not granted:
            return None
        if consented and not request.include_granted and self.quirks.get("lone_consent_ends_others"):
            self._end_tokens(pair)
        combined = self.authorizations.setdefault(pair, set())
        combined |= granted
        once = first or "consent" in request.prompt
        lasting = request.offline and (once if self.quirks.get("refresh_token_once") else consented)
        scopes = frozenset(combined) if request.include_granted else granted
        expires_at = self.clock() + CODE_LIFETIME
        code = Code(f"4/0A{secrets.token_urlsafe(40)}", request, account, scopes, lasting, consented, expires_at)
        self.codes[code.value] = code
        return code

    def redeem(self, client: str, value: str, redirect_uri: str | None, verifier: str | None) -> Issued:
        """Exchange a code. Raises `TokenError`; a code is spent by the first try that its own client makes."""
        if not value.startswith("4/"):
            raise TokenError("invalid_grant", "Malformed auth code.")
        code = self.codes.get(value)
        if code is None or code.request.client != client:
            raise TokenError("invalid_grant", "Bad Request")
        del self.codes[value]
        pair = (self.project_of(client), code.account)
        if self.clock() >= code.expires_at or pair not in self.authorizations:
            raise TokenError("invalid_grant", "Bad Request")
        if redirect_uri != code.request.redirect_uri:
            raise TokenError("redirect_uri_mismatch", "Bad Request")
        _check_verifier(code.request, verifier)
        return self._exchanged(code, pair)

    def renew(self, client: str, value: str, asked: Collection[str] | None) -> Issued:
        """Refresh; `asked` narrows the new access token. Raises `TokenError`."""
        token = self._refresh_token(client, value)
        granted = self.authorizations[token.pair]
        scopes = (token.scopes & granted) - {named(scope) for scope in self.quirks.get("narrow_on_refresh", ())}
        scopes |= {named(scope) for scope in self.quirks.get("widen_on_refresh", ())}
        if asked is not None:
            wanted = frozenset(named(scope) for scope in asked)
            if not wanted <= scopes:
                raise TokenError("invalid_scope", "Some requested scopes were not authorized.")
            scopes = scopes if self.quirks.get("ignore_scope_on_refresh") else wanted
        access = self._new_access(replace(token, scopes=scopes))
        return Issued(access, self._rotated(token) if self.quirks.get("rotate_refresh_tokens") else None)

    def revoke(self, value: str) -> Token:
        """Ends the whole authorization that the token belongs to. Raises `TokenError` for a dead token (§1.7)."""
        token = self.access.get(value) or self.refresh.get(value)
        if token is None or token.pair not in self.authorizations:
            raise TokenError("invalid_token", "Token expired or revoked")
        self.end(token.pair)
        return token

    def end(self, pair: Pair) -> None:
        """Every scope, code and token of the pair dies."""
        self.authorizations.pop(pair, None)
        self._end_tokens(pair)
        for code in list(self.codes.values()):
            if (self.project_of(code.request.client), code.account) == pair:
                del self.codes[code.value]

    def end_account(self, account: str, project: str | None = None) -> int:
        """The user removes every app's access, or one project's; gives how many lost it."""
        ended = [pair for pair in self.authorizations if pair[1] == account and project in (None, pair[0])]
        for pair in ended:
            self.end(pair)
        return len(ended)

    def _end_tokens(self, pair: Pair) -> None:
        lag = self.quirks.get("revocation_lag", 0)
        for tokens in (self.access, self.refresh, self.spent):
            for token in tokens.of(pair):
                tokens.remove(token)
                if lag and tokens is self.access:
                    ends = min(token.expires_at or 0, self.clock() + lag)
                    tokens.put(replace(token, expires_at=ends))

    def _exchanged(self, code: Code, pair: Pair) -> Issued:
        extra = frozenset(named(scope) for scope in self.quirks.get("extra_scopes", ()))
        self.authorizations[pair] |= extra
        origin = Token("", code.request.client, *pair, code.scopes | extra, secrets.token_hex(8))
        lasting = code.lasting and not self.quirks.get("no_refresh_token")
        return Issued(self._new_access(origin), self._new_refresh(origin) if lasting else None, code.request.nonce)

    def _new_access(self, origin: Token) -> Token:
        expires_at = self.clock() + self.quirks.get("expires_in", ACCESS_LIFETIME)
        token = replace(origin, value=f"ya29.{secrets.token_urlsafe(48)}", expires_at=expires_at)
        self.access.put(token)
        return token

    def _new_refresh(self, origin: Token) -> Token:
        token = replace(origin, value=f"1//0{secrets.token_urlsafe(48)}", expires_at=self._refresh_ends(origin))
        self.refresh.put(replace(token, used_at=self.clock()))
        siblings = [kept for kept in self.refresh.of(token.pair) if kept.client == token.client]
        for oldest in siblings[:-REFRESH_TOKENS]:
            self.refresh.remove(oldest)
        return token

    def _refresh_ends(self, origin: Token) -> float | None:
        lifetime: float | None = self.quirks.get("refresh_token_expires_in")
        if lifetime is None and self.quirks.get("testing_status") and not origin.scopes <= SIGN_IN:
            lifetime = TESTING_LIFETIME
        return None if lifetime is None else self.clock() + lifetime

    def _refresh_token(self, client: str, value: str) -> Token:
        if used := self.spent.get(value):
            for tokens in (self.access, self.refresh, self.spent):
                tokens.drop(lambda token: token.family == used.family)
        token = self.refresh.get(value)
        if token is None or token.client != client or self.clock() > token.used_at + UNUSED_LIFETIME:
            raise TokenError("invalid_grant", REVOKED)
        self.refresh.put(replace(token, used_at=self.clock()))
        return token

    def _rotated(self, token: Token) -> Token:
        self.refresh.remove(token)
        self.spent.put(token)
        return self._new_refresh(token)


def _check_verifier(request: AuthorizationRequest, verifier: str | None) -> None:
    """RFC 7636 §4.6. A verifier nobody asked for is ignored."""
    if request.code_challenge is None:
        return
    if not verifier:
        raise TokenError("invalid_grant", "Missing code verifier.")
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    shown = digest if request.code_challenge_method == "S256" else verifier
    if not hmac.compare_digest(shown.encode(), request.code_challenge.encode()):
        raise TokenError("invalid_grant", "Invalid code verifier.")
