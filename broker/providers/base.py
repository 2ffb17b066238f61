"""What a provider is: a value that says where its endpoints are, what its fields need, and how it departs from
the standards. The flow is written once, in `broker.connections`; a provider's file holds only what differs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from broker.config import Option
from broker.operations import Operation
from broker.scopes import FieldScopes

Values = dict[str, str | Sequence[str]]


@dataclass(frozen=True)
class Endpoints:
    """Where a provider app is served. Origins are pinned from these, never from an answer."""

    issuers: tuple[str, ...]
    """Accepted in an id_token; the first is the one expected in the callback's `iss` (RFC 9207)."""
    authorization: str
    token: str
    jwks: str
    revocation: str | None
    userinfo: str | None = None
    issuer_in_callback: bool = False
    """The provider promises `iss` in every callback: then a missing one is refused."""
    scopes_supported: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Place:
    """Where a reading stands, kept sealed in the cursor: the provider's own tokens, and what the reading began with.

    A later page repeats its fields and page size: providers take a token only beside the first call's parameters.
    """

    page: str | None = None
    changes: str | None = None
    fields: tuple[str, ...] = ()
    limit: int = 0

    @property
    def is_start(self) -> bool:
        return not (self.page or self.changes)


@dataclass(frozen=True)
class Listing:
    """One answer of a listing operation, taken apart but not yet cut."""

    items: list[Mapping[str, Any]]
    next: Place | None
    has_more: bool


class Resource:
    """A kind of data at a provider: the operation that fetches it and its fields with the scopes that open them."""

    name: str
    operation: str
    """The provider's own method id."""
    identity: str
    """The member that identifies a record; it is passed on whatever the fields."""
    fields: FieldScopes
    titles: Mapping[str, Mapping[str, str]] = {}
    """field → language → what the consent page calls it."""
    asset_kind: str | None = None
    """What the resource hangs on, one at a time: a calendar, a Page; None where it hangs on no asset."""
    default_asset: str | None = None
    """The asset that is granted without a choice, if there is one."""
    of_account = False
    """Its one record is the account itself, and must bear the account's id."""

    def parameters(self, fields: Sequence[str], asset: str | None, place: Place | None, limit: int) -> Values:
        """The operation's parameters for one page. `place` carries the tokens; `limit` is that of the first page."""
        raise NotImplementedError

    def listing(self, answer: Mapping[str, Any], place: Place) -> Listing:
        """Take one answer apart. `place` carries what this page was asked with. Raises `ValueError` if malformed."""
        raise NotImplementedError

    def as_asset(self, raw: Mapping[str, Any]) -> tuple[str, str] | None:
        """(id, label) of one record of a resource that lists assets; None for what is none."""
        identity = raw.get(self.identity)
        return (identity, identity) if isinstance(identity, str) and identity else None

    def visible(self, raw: dict[str, Any], scopes: frozenset[str]) -> dict[str, Any]:  # noqa: ARG002
        """Rules below the field (a value's source, a list's reach), on a record already cut."""
        return raw


@dataclass(frozen=True)
class Verdict:
    """What an error answer of a data call means, in the broker's words."""

    kind: Literal["token", "scope", "rate", "place_lost", "setup", "gone", "refused", "server"]
    retry_after: int = 0


@dataclass(frozen=True)
class Account:
    """The person at the provider, by the stable id."""

    id: str
    label: str


@dataclass(frozen=True)
class AuthorizationHints:
    """What the broker knows when it sends the browser to the provider."""

    login_hint: str | None = None
    account_id: str | None = None
    """The account that must come back, when one is known."""
    force_consent: bool = False
    requested: frozenset[str] = field(default_factory=frozenset)


class Provider:
    """A provider as a value. Subclasses set attributes and override a hook only where they depart."""

    kind: str
    """What a connector names as its provider; `openid` for every generic OpenID provider."""
    name: str
    title: str
    options: tuple[Option, ...] = ()
    endpoints: Endpoints | None = None
    """None: found by OpenID discovery at the provider app's issuer."""
    identity_scopes: tuple[str, ...] = ("openid", "email")
    needs_refresh_token = False
    """An authorization without a refresh token is of no use, and the user must be asked once more."""
    rotates_refresh_tokens = True
    """A refresh may spend the old refresh token: an answer lost on the way is then a connection lost."""
    omitted_scope_is_requested = False
    """RFC 6749 §5.1 lets an unchanged scope be left out; otherwise an absent scope grants nothing."""
    one_revocation_ends_all = False
    """Revoking any token ends the account's whole authorization of the provider app."""
    authenticates_revocation = True
    """RFC 7009 §2.1: the client authenticates; some providers take the token alone."""
    all_or_nothing = False
    settings_url: str | None = None
    """Where the user sees and ends this app's access at the provider."""
    resources: Mapping[str, Resource] = {}
    auth_method: Literal["client_secret_post", "client_secret_basic"] = "client_secret_post"

    def operation(self, operation_id: str, endpoints: Endpoints) -> Operation:
        """The declared operation by id. Raises `OperationDenied`."""
        raise NotImplementedError

    def authorize_parameters(self, hints: AuthorizationHints) -> dict[str, str]:  # noqa: ARG002
        """Parameters of the authorization request beyond RFC 6749 and PKCE."""
        return {}

    def asked(self, wanted: frozenset[str], endpoints: Endpoints) -> frozenset[str]:  # noqa: ARG002
        """What of the scopes that the connectors need is asked for at `endpoints`, and what lasting access takes."""
        return wanted

    def normalised(self, scopes: frozenset[str]) -> frozenset[str]:
        """Scopes under their full names, so that two spellings compare equal."""
        return scopes

    def granted_scopes(self, reported: frozenset[str] | None, requested: frozenset[str]) -> frozenset[str]:
        """What the provider granted: the `scope` of its token answer. Asked is not granted."""
        if reported is None:
            return requested if self.omitted_scope_is_requested else frozenset()
        return self.normalised(reported)

    def account(self, claims: Mapping[str, Any]) -> Account:
        """The account of a verified id_token: by `sub`, never by an address (docs/facts/security.md STD-16)."""
        label = claims.get("email") or claims.get("name") or claims["sub"]
        return Account(id=str(claims["sub"]), label=str(label)[:320])

    def revocation_outcome(self, status: int, error: str | None) -> Literal["confirmed", "already_gone"] | None:
        """What the answer of the revocation endpoint says; None = not yet, try again (RFC 7009 §2.2)."""
        if status == 200:
            return "confirmed"
        return "already_gone" if status == 400 and error == "invalid_token" else None

    def verdict(self, status: int, body: object, retry_after: int) -> Verdict:  # noqa: ARG002
        """What an error status of a data call means."""
        if status == 401:
            return Verdict("token")
        if status == 403:
            return Verdict("scope")
        if status == 429:
            return Verdict("rate", retry_after)
        return Verdict("refused" if 400 <= status < 500 and status != 408 else "server")
