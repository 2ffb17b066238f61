"""What a provider is: a value that says where its endpoints are, what its fields need, and how it departs from
the standards. The flow is written once, in `broker.connections`; a provider's file holds only what differs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from broker.config import Option, ProviderApp
from broker.endpoints import Endpoints
from broker.operations import Operation
from broker.providers import standard
from broker.providers.line import Line
from broker.providers.removal import Removal
from broker.providers.resource import Resource
from broker.providers.webhooks import Webhook
from broker.secret import Secret
from broker.upstream import Answer, Departure, TokenAnswer, TokenRefused, retry_after


@dataclass(frozen=True)
class Verdict:
    """What an error answer of a data call means, in the broker's words."""

    kind: Literal["token", "scope", "asset", "rate", "blocked", "place_lost", "setup", "gone", "refused", "server"]
    retry_after: int = 0
    app_wide: bool = False
    """Of a limit: it is of the whole provider app, not of one account."""
    refusal: TokenRefused | None = field(default=None, compare=False)
    """Of kind `token`: why, where the provider says it."""
    too_much: bool = False
    """Of kind `server`: perhaps it was asked for too much at once."""


@dataclass(frozen=True)
class Usage:
    """How near a limit an answer says that we are."""

    percent: float
    wait: int = 0
    """Seconds until it is open again, where the provider says so."""
    app_wide: bool = False


BUDGETS = (Option("ACCOUNT_BUDGET", "", r"[0-9]{0,6}"), Option("APP_BUDGET", "", r"[0-9]{0,6}"))
"""Options of a provider with limits: calls a minute, over all workers, that it takes for one account and for the whole
app, of each of its APIs; empty = as many as it takes."""

Fate = Literal["dead", "removed", "paused", "passing"]
"""What a provider's refusal of a token means for the connection: it must be connected again; the user removed the app
there; the provider holds it back until the user has acted there; nothing, for it may pass."""

Outcome = Literal["confirmed", "already_gone", "not_supported"]
"""How a revocation ended at the provider."""


@dataclass(frozen=True)
class Account:
    """The person at the provider, by the stable id."""

    id: str
    label: str
    scoped_id: str | None = None
    """By which the provider names the account in what it sends to the app, where that is another id."""


@dataclass(frozen=True)
class Report:
    """What the provider says of a token, asked from server to server."""

    account: Account
    granted: frozenset[str] | None
    """None: it does not say, and what it said last stands."""
    bounds: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """scope → the assets to which the provider limits it; a scope that is absent is not limited there."""
    expires_at: datetime | None = None
    """When the authorization ends unless it is renewed, if the provider says so."""
    data_access_expires_at: datetime | None = None
    """From then on the provider gives no data until the user has connected again, though the token may still live."""
    lasts: bool = False
    """It says that the token never expires."""

    @property
    def end(self) -> datetime | None:
        """The first of both ends."""
        return min((end for end in (self.expires_at, self.data_access_expires_at) if end), default=None)


@dataclass(frozen=True)
class Ending:
    """What is to end at the provider: an account's whole authorization of the provider app."""

    account_id: str | None
    """None for a token that never became a connection."""
    tokens: tuple[Secret, ...]
    """Lasting ones first."""


@dataclass(frozen=True)
class AuthorizationHints:
    """What the broker knows when it sends the browser to the provider."""

    login_hint: str | None = None
    account_id: str | None = None
    """The account that must come back, when one is known."""
    force_consent: bool = False
    declined: bool = False
    """The user once refused some of what is asked for now."""
    requested: frozenset[str] = field(default_factory=frozenset)


class Provider:
    """A provider as a value. Subclasses set attributes and override a hook only where they depart.

    The hooks of a token's life take a `Line`, the one thing that reaches the provider, and speak as the standards have
    it (`broker.providers.standard`) unless a provider's file says otherwise.
    """

    kind: str
    """What a connector names as its provider; `openid` for every generic OpenID provider."""
    name: str
    title: str
    options: tuple[Option, ...] = ()
    endpoints: Endpoints | None = None
    """None: found by OpenID discovery at the provider app's issuer, or made from its options."""
    identity_scopes: tuple[str, ...] = ("openid", "email")
    is_openid = True
    """It takes a nonce, and answers with an id_token."""
    renewed_by: Literal["refresh_token", "access_token"] = "refresh_token"
    """By what an access token is renewed: a token for that alone, or itself, ahead of its end."""
    usual_lifetime = 60 * 86_400
    """Seconds for which a token that renews itself lives where its answer does not say."""
    needs_refresh_token = False
    """An authorization without a refresh token is of no use, and the user must be asked once more."""
    rotates_refresh_tokens = True
    """A refresh may spend the old refresh token: an answer lost on the way is then a connection lost."""
    omitted_scope_is_requested = False
    """RFC 6749 §5.1 lets an unchanged scope be left out; otherwise an absent scope grants nothing."""
    accumulates_grants = False
    """A new authorization holds what was granted in earlier ones, too; else what is still needed of that must be asked
    for again."""
    reports_grants = True
    """It can be asked what is granted; else its refusal of a data call is all that is heard of it."""
    one_revocation_ends_all = False
    """Revoking any token ends the account's whole authorization of the provider app."""
    takes_back_permissions = False
    """It can be told to take back single permissions, so that what nothing live needs ends there too."""
    authenticates_revocation = True
    """RFC 7009 §2.1: the client authenticates; some providers take the token alone."""
    settings_url: str | None = None
    """Where the user sees and ends this app's access at the provider."""
    settings_path: str | None = None
    """The way there in words, as the provider's own pages name it."""
    resources: Mapping[str, Resource] = {}
    auth_method: Literal["client_secret_post", "client_secret_basic"] = "client_secret_post"
    hooks: tuple[str, ...] = ()
    """By what paths of the broker, below `/hooks/<provider>`, the provider reports what happens there."""

    departure: Departure | None = None
    """How its token answers become those of RFC 6749 §5.1."""

    def served_at(self, options: Mapping[str, str]) -> Endpoints | None:  # noqa: ARG002
        """Where a provider app with these options is served; None: to be discovered."""
        return self.endpoints

    def problems(self, options: Mapping[str, str]) -> list[str]:  # noqa: ARG002
        """What is wrong with the options, beyond the form of each: it keeps the broker from starting."""
        return []

    def warnings(self, options: Mapping[str, str], now: datetime) -> list[str]:  # noqa: ARG002
        """What the operator should mend in time; `broker doctor` says it."""
        return []

    def all_or_nothing(self, options: Mapping[str, str]) -> bool:  # noqa: ARG002
        """The provider lets the user grant all that is asked for, or none."""
        return False

    def operation(self, operation_id: str, endpoints: Endpoints) -> Operation:
        """The declared operation by id. Raises `OperationDenied`."""
        raise NotImplementedError

    # --- begin and complete ---------------------------------------------------------------------------------

    def authorize_parameters(self, hints: AuthorizationHints, line: Line) -> dict[str, str]:  # noqa: ARG002
        """Parameters of the authorization request beyond RFC 6749 and PKCE."""
        return {}

    def asked(self, wanted: frozenset[str], line: Line) -> frozenset[str]:  # noqa: ARG002
        """What of the scopes that the connectors need is asked for, and what lasting access takes."""
        return wanted

    def scope_value(self, scopes: frozenset[str], line: Line) -> str | None:  # noqa: ARG002
        """`scope` as it is sent (RFC 6749 §3.3); `openid` first, as OpenID Connect Core §3.1.2.1 would have it read."""
        return " ".join(sorted(scopes, key=lambda scope: (scope != "openid", scope)))

    def uses_pkce(self, line: Line) -> bool:  # noqa: ARG002
        """RFC 7636."""
        return True

    def code(self, received: str) -> str:
        """The authorization code in what came back as one."""
        return received

    # --- the life of a token --------------------------------------------------------------------------------

    def exchange(self, line: Line, code: Secret, code_verifier: Secret) -> TokenAnswer:
        """Spend the code. Raises `TokenRefused`, `RateLimited`, `ProviderUnavailable`."""
        return standard.exchange(self, line, code, code_verifier)

    def lasting(self, line: Line, answer: TokenAnswer) -> TokenAnswer:  # noqa: ARG002
        """The token that is kept, where the exchange gives one for the moment only. Raises as `exchange`."""
        return answer

    def report(self, line: Line, answer: TokenAnswer, nonce: str, requested: frozenset[str]) -> Report:
        """Whose the token is, and what was granted: by the verified id_token, and the `scope` of the answer.

        Raises `ProviderUnavailable`.
        """
        claims = line.identity.verify(
            answer.id_token, endpoints=line.endpoints, client_id=line.app.client_id, nonce=nonce
        )
        return Report(self.account(claims), self.granted_scopes(answer.scope, requested))

    def renew(self, line: Line, token: Secret) -> TokenAnswer:
        """A new access token for the one that renews. Raises as `exchange`."""
        return standard.refresh(self, line, token)

    def renewal(self, obtained_at: datetime, expires_at: datetime | None, spread: float) -> datetime | None:  # noqa: ARG002
        """When a token that renews itself should be renewed ahead of its end. `spread`, 0 to 1, is a connection's own
        place in the window, so that not all come at once. None: never, it is renewed when it is needed."""
        return None

    def inspect(self, line: Line, token: Secret) -> Report | None:  # noqa: ARG002
        """What still stands of a token, asked without spending anything; None where the provider cannot be asked.

        Raises `TokenRefused` for a token that is dead, `RateLimited`, `ProviderUnavailable`.
        """
        return None

    def probe(self, line: Line, answer: TokenAnswer, granted: frozenset[str]) -> tuple[TokenAnswer, frozenset[str]]:
        """Whether a token that was just exchanged still lives; its successor, and what is granted now.

        Raises `TokenRefused` where it is dead, `ProviderUnavailable` where nobody can say.
        """
        return standard.probe(self, line, answer, granted)

    def fate(self, refusal: TokenRefused) -> Fate:
        """Only `invalid_grant` is final (RFC 6749 §5.2, docs/facts/security.md STD-23)."""
        return "dead" if refusal.error == "invalid_grant" else "passing"

    def end(self, line: Line, ending: Ending) -> Outcome:
        """Tell the provider that it is over; may be repeated. Raises `BrokerError` to be tried again."""
        return standard.revoke(self, line, ending.tokens)

    def take_back(self, line: Line, account_id: str, keep: frozenset[str]) -> frozenset[str]:
        """Take back every permission but `keep`, where `takes_back_permissions`; gives what was taken. Raises as
        `end`."""
        raise NotImplementedError

    def owner(self, line: Line, tokens: Sequence[Secret]) -> str | None:
        """Whose a token is that failed before its account was known; None: nobody honours it. Raises as `end`."""
        return standard.owner(self, line, tokens)

    def removal(self, app: ProviderApp, signed_request: str) -> Removal:
        """Who removed the app, where the provider has the hooks `deauthorize` and `deletion`. Raises `ValueError` for
        what the app's own secret did not sign."""
        raise NotImplementedError

    def webhook(self, app: ProviderApp, raw: bytes, signature: str) -> Webhook:
        """What a delivery tells, where the provider has the hook `webhook`. `signature`: the header's value. Raises
        `ValueError` for what the app's own secret did not sign, or what is no delivery."""
        raise NotImplementedError

    # --- data -----------------------------------------------------------------------------------------------

    def signed(self, line: Line, url: str, token: Secret) -> str:  # noqa: ARG002
        """The URL of a data call as it is sent with this token."""
        return url

    def asset_token(self, line: Line, token: Secret, asset: str) -> Secret:
        """The token of one asset, where an operation needs that. Raises `TokenRefused`, `ProviderUnavailable`."""
        raise NotImplementedError

    def bound(
        self,
        asset_kind: str,  # noqa: ARG002
        scopes: frozenset[str],  # noqa: ARG002
        bounds: Mapping[str, frozenset[str]],  # noqa: ARG002
    ) -> frozenset[str] | None:
        """The assets of a kind beyond which the provider opens nothing to a connector with these scopes; None: it
        sets no bound."""
        return None

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
        label = claims.get("email") or claims.get("name") or claims.get("preferred_username") or claims["sub"]
        return Account(id=str(claims["sub"]), label=str(label)[:320])

    def revocation_outcome(self, status: int, error: str | None) -> Literal["confirmed", "already_gone"] | None:
        """What the answer of the revocation endpoint says; None = not yet, try again (RFC 7009 §2.2)."""
        if status == 200:
            return "confirmed"
        return "already_gone" if status == 400 and error == "invalid_token" else None

    def verdict_of(self, refusal: TokenRefused) -> Verdict:
        """What the refusal of an asset's token means for the data call that needed it."""
        return Verdict("token", refusal=refusal)

    def usage(self, answer: Answer) -> Usage | None:  # noqa: ARG002
        """What a good answer says about limits that are near."""
        return None

    def wait(self, answer: Answer) -> int:
        """Seconds for which the provider asks to be left alone."""
        return retry_after(answer)

    def verdict(self, status: int, body: object, retry_after: int) -> Verdict:  # noqa: ARG002
        """What an error answer of a data call means (RFC 6750 §3.1, RFC 6585 §4). `body`: its JSON, None if none."""
        if status == 401:
            return Verdict("token")
        if status == 403:
            return Verdict("scope")
        if status == 429:
            return Verdict("rate", retry_after)
        return Verdict("refused" if 400 <= status < 500 and status != 408 else "server")
