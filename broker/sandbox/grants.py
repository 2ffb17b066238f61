"""What Google remembers of consents and tokens, and what becomes of them (docs/facts/google.md §1.3 to §1.9).

The unit is the authorization: one account, one Cloud project, every scope ever granted (§1.6). Nothing here knows
of HTTP. Not thread-safe: the caller holds the sandbox's lock.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from broker.sandbox.quirks import Quirks

AUTH = "https://www.googleapis.com/auth/"
ALIASES = {"email": f"{AUTH}userinfo.email", "profile": f"{AUTH}userinfo.profile"}
SIGN_IN = frozenset({"openid", *ALIASES.values()})

CODE_LIFETIME = 600
ACCESS_LIFETIME = 3599
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
class Token:
    """A live token. `family` names the consent that it descends from."""

    value: str
    client: str
    project: str
    account: str
    scopes: frozenset[str]
    family: str
    expires_at: float | None = None


@dataclass(frozen=True)
class Issued:
    """What a successful token call gives."""

    access: Token
    refresh: Token | None
    nonce: str | None = None


@dataclass
class Grants:
    """Authorizations, codes and tokens of one fake Google."""

    clock: Callable[[], float]
    quirks: Quirks
    project_of: Callable[[str], str]
    authorizations: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    """(project, account) → every scope granted."""
    codes: dict[str, Code] = field(default_factory=dict)
    access: dict[str, Token] = field(default_factory=dict)
    refresh: dict[str, Token] = field(default_factory=dict)
    spent: dict[str, Token] = field(default_factory=dict)
    """Refresh tokens that rotation replaced."""

    def covered(self, request: AuthorizationRequest, account: str) -> bool:
        """Whether nothing has to be asked."""
        granted = self.authorizations.get((self.project_of(request.client), account))
        return granted is not None and request.scopes <= granted and "consent" not in request.prompt

    def approve(self, request: AuthorizationRequest, account: str, ticked: Collection[str]) -> Code | None:
        """The user agrees. None if that grants nothing at all.

        A refresh token is due when the consent screen was shown: something was asked for the first time, or
        `prompt=consent` (§1.2, §1.4). That a *new scope* counts as a first time is our reading; the quirk
        `refresh_token_once` is the stricter one.
        """
        project = self.project_of(request.client)
        refused = set(request.choices) - set(ticked) | {named(scope) for scope in self.quirks.get("partial", ())}
        granted = request.scopes - refused
        if not granted:
            return None
        first = (project, account) not in self.authorizations
        consented = not self.covered(request, account)
        combined = self.authorizations.setdefault((project, account), set())
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
        project = self.project_of(client)
        if self.clock() >= code.expires_at or (project, code.account) not in self.authorizations:
            raise TokenError("invalid_grant", "Bad Request")
        if redirect_uri != code.request.redirect_uri:
            raise TokenError("redirect_uri_mismatch", "Bad Request")
        _check_verifier(code.request, verifier)
        return self._exchanged(code, project)

    def renew(self, client: str, value: str, asked: Collection[str] | None) -> Issued:
        """Refresh; `asked` narrows the new access token. Raises `TokenError`."""
        token = self._refresh_token(client, value)
        granted = self.authorizations[token.project, token.account]
        scopes = (token.scopes & granted) - {named(scope) for scope in self.quirks.get("narrow_on_refresh", ())}
        scopes |= {named(scope) for scope in self.quirks.get("widen_on_refresh", ())}
        if asked is not None:
            wanted = {named(scope) for scope in asked}
            if not wanted <= scopes:
                raise TokenError("invalid_scope", "Some requested scopes were not authorized.")
            scopes = frozenset(wanted)
        access = self._new_access(replace(token, scopes=scopes))
        return Issued(access, self._rotated(token) if self.quirks.get("rotate_refresh_tokens") else None)

    def live_access(self, value: str) -> Token | None:
        token = self.access.get(value)
        return token if token and (token.expires_at or 0) > self.clock() else None

    def revoke(self, value: str) -> None:
        """Ends the whole authorization that the token belongs to. Raises `TokenError` for a dead token (§1.7)."""
        token = self.live_access(value) or self._live_refresh(value)
        if token is None:
            raise TokenError("invalid_token", "Token expired or revoked")
        self.end(token.project, token.account)

    def end(self, project: str, account: str) -> None:
        """Every scope, code and token of the pair dies."""
        self.authorizations.pop((project, account), None)
        for tokens in (self.access, self.refresh, self.spent):
            _drop(tokens, lambda token: (token.project, token.account) == (project, account))
        for code in list(self.codes.values()):
            if (self.project_of(code.request.client), code.account) == (project, account):
                del self.codes[code.value]

    def end_account(self, account: str) -> int:
        """The user removes every app's access; gives how many lost it."""
        ended = [pair for pair in self.authorizations if pair[1] == account]
        for project, _ in ended:
            self.end(project, account)
        return len(ended)

    def _exchanged(self, code: Code, project: str) -> Issued:
        extra = frozenset(named(scope) for scope in self.quirks.get("extra_scopes", ()))
        self.authorizations[project, code.account] |= extra
        origin = Token("", code.request.client, project, code.account, code.scopes | extra, secrets.token_hex(8))
        lasting = code.lasting and not self.quirks.get("no_refresh_token")
        return Issued(self._new_access(origin), self._new_refresh(origin) if lasting else None, code.request.nonce)

    def _new_access(self, origin: Token) -> Token:
        expires_at = self.clock() + self.quirks.get("expires_in", ACCESS_LIFETIME)
        token = replace(origin, value=f"ya29.{secrets.token_urlsafe(48)}", expires_at=expires_at)
        self.access[token.value] = token
        return token

    def _new_refresh(self, origin: Token) -> Token:
        lifetime = self.quirks.get("refresh_token_expires_in")
        expires_at = None if lifetime is None else self.clock() + lifetime
        token = replace(origin, value=f"1//0{secrets.token_urlsafe(48)}", expires_at=expires_at)
        self.refresh[token.value] = token
        siblings = [t for t in self.refresh.values() if (t.client, t.account) == (token.client, token.account)]
        for oldest in siblings[:-REFRESH_TOKENS]:
            del self.refresh[oldest.value]
        return token

    def _refresh_token(self, client: str, value: str) -> Token:
        if used := self.spent.get(value):
            for tokens in (self.access, self.refresh, self.spent):
                _drop(tokens, lambda token: token.family == used.family)
        token = self._live_refresh(value)
        if token is None or token.client != client:
            raise TokenError("invalid_grant", REVOKED)
        return token

    def _live_refresh(self, value: str) -> Token | None:
        token = self.refresh.get(value)
        ended = token and token.expires_at is not None and token.expires_at <= self.clock()
        return None if ended else token

    def _rotated(self, token: Token) -> Token:
        self.spent[token.value] = self.refresh.pop(token.value)
        return self._new_refresh(token)


def named(scope: str) -> str:
    """A scope under its full name (§1.4)."""
    return ALIASES.get(scope, scope)


def full_names(scopes: Iterable[str]) -> frozenset[str]:
    """As asked, under full names; `openid` is added by itself to an identity scope (§1.4)."""
    found = frozenset(named(scope) for scope in scopes)
    return found | {"openid"} if found & SIGN_IN else found


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


def _drop(tokens: dict[str, Token], dead: Callable[[Token], bool]) -> None:
    for token in [token for token in tokens.values() if dead(token)]:
        del tokens[token.value]


def by_value(tokens: Mapping[str, Token], now: float) -> list[dict[str, object]]:
    """The tokens that live at `now`, as the control interface shows them: in full, since this is a test double."""
    return [
        {
            "value": token.value,
            "client": token.client,
            "project": token.project,
            "account": token.account,
            "scopes": sorted(token.scopes),
            "expires_at": token.expires_at,
        }
        for token in tokens.values()
        if token.expires_at is None or token.expires_at > now
    ]
