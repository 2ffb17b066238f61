"""What Facebook remembers of consents and tokens, and what becomes of them (docs/facts/meta.md §1.3 to §1.10).

The unit is the grant: one person, one app, every permission ever given, and the Pages that the last consent chose. A
token has no permissions of its own: it opens what its grant holds at that moment. Nothing here knows of HTTP. Not
thread-safe: the caller holds the sandbox's lock.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from broker.sandbox.facebook.permissions import PROFILE, limited_to, listed
from broker.sandbox.facebook.seed import Page, Person
from broker.sandbox.graph import GraphError, bad_parameter, invalid_token
from broker.sandbox.quirks import Quirks

DAY = 24 * 3600
CODE_LIFETIME = 600
SHORT_LIFETIME = 5400
LONG_LIFETIME = 5_183_944
"""Seconds (§1.6)."""
DATA_ACCESS = 90 * DAY
"""Seconds after the last consent."""

Pair = tuple[str, str]
"""(app, key of the person): the unit of a grant (§1.10)."""


@dataclass(frozen=True)
class LoginRequest:
    """A checked request of the dialog."""

    app: str
    redirect_uri: str
    state: str
    scopes: frozenset[str]
    config_id: str | None = None
    system_user: bool = False
    rerequest: bool = False
    auth_type: str | None = None
    auth_nonce: str | None = None
    code_challenge: str | None = None
    tells_scopes: bool = False
    """The callback says what was granted."""

    @property
    def choosable(self) -> bool:
        """Permissions are ticked one by one: not with a configuration (§1.7)."""
        return self.config_id is None


@dataclass
class Grant:
    """What one person gave to one app."""

    app: str
    person: str
    statuses: dict[str, str] = field(default_factory=dict)
    """`granted`, `declined` or `expired` by permission (§1.9)."""
    targets: dict[str, frozenset[str]] = field(default_factory=dict)
    """Ids of Pages and of Instagram accounts, by kind of asset; a kind that is missing is not limited (§1.8)."""
    data_access_ends: float = 0.0

    @property
    def granted(self) -> frozenset[str]:
        return frozenset(name for name, status in self.statuses.items() if status == "granted")

    def target_ids(self, permission: str) -> frozenset[str] | None:
        """None: not limited."""
        kind = limited_to(permission)
        return self.targets.get(kind) if kind else None

    def reaches(self, permission: str, asset_id: str) -> bool:
        targets = self.target_ids(permission)
        return permission in self.granted and (targets is None or asset_id in targets)

    def limit(self, chosen: Mapping[str, frozenset[str] | None]) -> None:
        """To these ids, by kind of asset; None: no longer limited. Kinds that are missing stay as they are."""
        wanted = {**self.targets, **chosen}
        self.targets = {kind: ids for kind, ids in wanted.items() if ids is not None}


@dataclass(frozen=True)
class Code:
    """What an exchange will give."""

    value: str
    request: LoginRequest
    person: str
    expires_at: float


@dataclass
class Token:
    """A token, alive or not."""

    value: str
    app: str
    kind: str
    """USER, PAGE or SYSTEM_USER (§1.8)."""
    person: str
    issued_at: float
    expires_at: float | None
    """None: never."""
    page: str | None = None
    lasting: bool = False
    """Long-lived, or from one that is."""
    metadata: dict[str, Any] = field(default_factory=dict)
    dead: int | None = None
    """The subcode that it is answered with (§6.1)."""


class Grants:
    """Grants, codes and tokens of one fake Facebook."""

    def __init__(self, clock: Callable[[], float], quirks: Quirks) -> None:
        self.clock, self.quirks = clock, quirks
        self.of: dict[Pair, Grant] = {}
        self.codes: dict[str, Code] = {}
        self.spent: dict[str, str] = {}
        """Codes that were exchanged, with their app."""
        self.tokens: dict[str, Token] = {}

    def __iter__(self) -> Iterator[Token]:
        return iter(list(self.tokens.values()))

    # --- consent ---

    def to_ask(self, request: LoginRequest, person: str) -> frozenset[str]:
        """What the dialog asks for: not what is granted, nor what was once declined without `rerequest` (§1.1)."""
        grant = self.of.get((request.app, person))
        if grant is None or not request.choosable:
            return request.scopes - (grant.granted if grant else frozenset())
        declined = {name for name, status in grant.statuses.items() if status == "declined"}
        return request.scopes - grant.granted - (set() if request.rerequest else declined)

    def approve(
        self, request: LoginRequest, person: str, ticked: Collection[str], chosen: Mapping[str, frozenset[str] | None]
    ) -> Code:
        """The person agrees. `chosen`: ids of assets, by each kind that the dialog let choose from; None stands for
        all, now and later. The choice replaces the one before (H3).
        """
        grant = self.of.setdefault((request.app, person), Grant(request.app, person))
        for permission in self.to_ask(request, person):
            agreed = not request.choosable or permission in ticked or permission == PROFILE
            grant.statuses[permission] = "granted" if agreed else "declined"
        for permission in self.quirks.get("partial", ()):
            if permission in request.scopes:
                grant.statuses[permission] = "declined"
        grant.statuses |= dict.fromkeys(self.quirks.get("extra_scopes", ()), "granted")
        grant.limit(chosen)
        grant.data_access_ends = self.clock() + DATA_ACCESS
        code = Code(f"AQ{secrets.token_urlsafe(120)}", request, person, self.clock() + CODE_LIFETIME)
        self.codes[code.value] = code
        return code

    # --- tokens ---

    def redeem(self, app: str, value: str, redirect_uri: str, verifier: str | None) -> Token:
        """Exchange a code. Raises `GraphError`; a code is spent by the first try that its own app makes."""
        if self.spent.get(value) == app:
            raise GraphError(100, "This authorization code has been used.", subcode=36009)
        code = self.codes.get(value)
        if code is None or code.request.app != app:
            raise GraphError(100, "Invalid verification code format.", subcode=36009)
        del self.codes[value]
        self.spent[value] = app
        if self.clock() >= code.expires_at:
            raise GraphError(100, "This authorization code has expired.", subcode=36007)
        if redirect_uri != code.request.redirect_uri:
            message = "Error validating verification code. Please make sure your redirect_uri is identical to the one"
            raise GraphError(100, f"{message} you used in the OAuth dialog request", subcode=36008)
        _check_verifier(code.request, verifier)
        if (app, code.person) not in self.of:
            raise self.refusal(app, 458)
        return self._first(code.request, code.person)

    def _first(self, request: LoginRequest, person: str) -> Token:
        if request.system_user:
            return self._new(request.app, "SYSTEM_USER", person, None, lasting=True)
        metadata = {"auth_type": request.auth_type, "auth_nonce": request.auth_nonce}
        token = self._new(request.app, "USER", person, self.clock() + self._lifetime("short", SHORT_LIFETIME))
        token.metadata = {name: value for name, value in metadata.items() if value}
        return token

    def lengthen(self, app: str, value: str) -> Token:
        """`fb_exchange_token`: a new string, while the old one lives until its own end. Raises `GraphError`."""
        old = self.tokens.get(value)
        if old is None or old.app != app or old.kind == "PAGE":
            raise invalid_token("Invalid OAuth access token - Cannot parse access token")
        self.check(old)
        ends: float | None = self.clock() + self._lifetime("long", LONG_LIFETIME)
        if old.expires_at is None or (old.lasting and self.quirks.get("second_exchange_keeps_end")):
            ends = old.expires_at
        token = self._new(app, old.kind, old.person, ends, lasting=True)
        token.metadata = old.metadata
        return token

    def page_token(self, origin: Token, page: Page) -> Token:
        """Without an end if it is from a long-lived token, else with the end of that one (§1.6)."""
        value = "EAAP" + hashlib.sha256(f"{origin.value}/{page.id}".encode()).hexdigest()
        if value not in self.tokens:
            ends = None if origin.lasting else origin.expires_at
            made = Token(value, origin.app, "PAGE", origin.person, self.clock(), ends, page.id, origin.lasting)
            self.tokens[value] = made
        return self.tokens[value]

    def _new(self, app: str, kind: str, person: str, ends: float | None, *, lasting: bool = False) -> Token:
        token = Token(f"EAA{secrets.token_hex(90)}", app, kind, person, self.clock(), ends, lasting=lasting)
        self.tokens[token.value] = token
        return token

    def _lifetime(self, kind: str, usual: int) -> float:
        lifetime: float = self.quirks.get("token_lifetime", {}).get(kind, usual)
        return lifetime

    # --- life and death ---

    def check(self, token: Token, person: Person | None = None, page: Page | None = None) -> None:
        """Raises the `GraphError` that a token is answered with once it is no good.

        `person` and `page`: who it is of, where their own state counts too.
        """
        subcode = token.dead
        if subcode is None and (token.app, token.person) not in self.of:
            subcode = 458
        if subcode is None and person and person.blocked:
            subcode = person.blocked
        if subcode is None and token.expires_at is not None and token.expires_at <= self.clock():
            subcode = 463
        if subcode is None and token.page and page and token.person not in page.roles:
            subcode = 492
        if subcode is not None:
            raise self.refusal(token.app, subcode)

    def refusal(self, app: str, subcode: int) -> GraphError:
        """190 with a subcode (§6.1)."""
        return invalid_token(f"Error validating access token: {REASONS[subcode].format(app=app)}", subcode)

    def end(self, pair: Pair) -> bool:
        """The whole grant goes, with each token and code that hangs on it; whether there was one."""
        ended = self.of.pop(pair, None) is not None
        self.kill(458, lambda token: (token.app, token.person) == pair)
        for code in list(self.codes.values()):
            if (code.request.app, code.person) == pair:
                del self.codes[code.value]
        return ended

    def kill(self, subcode: int, meant: Callable[[Token], bool]) -> int:
        """Living tokens die of this; gives how many."""
        found = [token for token in self.tokens.values() if token.dead is None and meant(token)]
        for token in found:
            token.dead = subcode
        return len(found)


REASONS = {
    452: "Session key invalid. This could be because the session key has an incorrect format.",
    458: "The user has not authorized application {app}.",
    459: "You cannot access the app till you log in to www.facebook.com and follow the instructions given.",
    460: "The session has been invalidated because the user changed their password or Facebook has changed the session "
    "for security reasons.",
    463: "Session has expired.",
    464: "Sessions for the user are not allowed because the user is not a confirmed user.",
    467: "The session is invalid because the user logged out.",
    492: "The session user is no longer an administrator of this Page.",
    493: "The user has not engaged the app in longer than 90 days.",
}
"""By subcode of 190."""


def _check_verifier(request: LoginRequest, verifier: str | None) -> None:
    """RFC 7636 §4.6. A verifier nobody asked for is ignored."""
    if request.code_challenge is None:
        return
    digest = base64.urlsafe_b64encode(hashlib.sha256((verifier or "").encode()).digest()).rstrip(b"=").decode()
    if not verifier or not hmac.compare_digest(digest.encode(), request.code_challenge.encode()):
        raise bad_parameter("Invalid code_verifier")


def named(*texts: str) -> frozenset[str]:
    """Permissions of a request; `public_profile` comes with each."""
    return listed(*texts) | {PROFILE}
