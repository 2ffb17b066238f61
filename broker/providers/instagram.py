"""Instagram, by Instagram Login. https://developers.facebook.com/docs/instagram-platform (2026-11,
docs/facts/meta.md §3)

Departures: the code comes with `#_` behind it (§3.1); the token answer has two forms, and its permissions are all that
is ever said about what was granted; an hour's token is exchanged for one of 60 days, which renews itself between its
first day and its last; there is no revocation (§3.2), so the broker unsubscribes, shreds, and looks whether the token
still lives.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from broker.config import Option, ProviderApp
from broker.endpoints import Endpoints
from broker.errors import BrokerError, ProviderUnavailable
from broker.operations import Catalog, Operation, load
from broker.providers import graph, webhooks
from broker.providers.base import (
    BUDGETS,
    Account,
    AuthorizationHints,
    Ending,
    Fate,
    Outcome,
    Provider,
    Report,
    Usage,
    Verdict,
)
from broker.providers.data.instagram import BASIC, RESOURCES
from broker.providers.line import Line
from broker.providers.removal import Removal, verified
from broker.providers.webhooks import Webhook
from broker.secret import Named, Secret
from broker.upstream import Answer, TokenAnswer, TokenRefused

HOST = "https://graph.instagram.com"
TAILS = ("#_", "%23_")
YOUNGEST = timedelta(hours=25)
"""A younger token is not renewed: at least 24 hours, and a margin for clocks (§3.1)."""
NEWS = {"comments": ("comments",), "live_comments": ("comments",), "messages": ("messages",)}
"""Field of a webhook → resources."""
WINDOW = (0.5, 0.83)
"""Renewed between these parts of a token's life: from day 30 to day 50 of 60."""


def flat(members: Mapping[str, Any]) -> Mapping[str, Any]:
    """Both forms of the token answer as that of RFC 6749 §5.1: wrapped in `data`, or not; permissions as a list, or as
    a text with commas (§3.1). Raises `ValueError`."""
    wrapped = members.get("data")
    if wrapped is not None:
        if not isinstance(wrapped, list) or not wrapped or not isinstance(wrapped[0], dict):
            raise ValueError("data is not a list of one answer")
        members = wrapped[0]
    return {"token_type": "bearer", **members, **_scope(members.get("permissions"))}


def _scope(permissions: object) -> dict[str, str]:
    if isinstance(permissions, str):
        permissions = permissions.split(",")
    if permissions is None:
        return {}
    if not isinstance(permissions, list) or not all(isinstance(name, str) for name in permissions):
        raise ValueError("permissions are neither a list nor a text")
    return {"scope": " ".join(name.strip() for name in permissions)}


class Instagram(Provider):
    kind = name = "instagram"
    title = "Instagram"
    options = (
        *BUDGETS,
        Option("GRAPH_VERSION", "v26.0", r"v\d{1,3}\.\d"),
        Option("AUTHORIZE_URL", "https://www.instagram.com/oauth/authorize", r"https://[a-z0-9.-]+/[A-Za-z0-9/._-]+"),
        Option("AUTHORIZE_PARAMETERS", "force_reauth=true", r"[A-Za-z0-9_=&.-]*"),
        Option("REMOTE_REVOKE", "off", r"on|off"),
        Option("WEBHOOK_VERIFY_TOKEN", "", r"[\x21-\x7e]{0,256}", secret=True),
    )
    identity_scopes = (BASIC,)
    is_openid = False
    renewed_by = "access_token"
    accumulates_grants = True
    reports_grants = False
    one_revocation_ends_all = True
    settings_url = "https://www.instagram.com/accounts/manage_access/"
    settings_path = "Instagram > Settings > Website permissions > Apps and websites"
    hooks = ("deauthorize", "deletion", "webhook")
    resources = RESOURCES

    def __init__(self) -> None:
        self.departure = flat
        self._catalogs: dict[str, Catalog] = {}

    def served_at(self, options: Mapping[str, str]) -> Endpoints:
        return Endpoints(
            authorization=options["AUTHORIZE_URL"],
            token="https://api.instagram.com/oauth/access_token",  # noqa: S106 - an address
            api=HOST,
            base=f"/{options['GRAPH_VERSION']}",
        )

    def warnings(self, options: Mapping[str, str], now: datetime) -> list[str]:
        return graph.sunset("BROKER_INSTAGRAM_GRAPH_VERSION", options["GRAPH_VERSION"], now)

    def operation(self, operation_id: str, endpoints: Endpoints) -> Operation:
        if endpoints.base not in self._catalogs:
            self._catalogs[endpoints.base] = load("instagram", base=endpoints.base)
        return self._catalogs[endpoints.base].operation(operation_id)

    def authorize_parameters(self, hints: AuthorizationHints, line: Line) -> dict[str, str]:  # noqa: ARG002
        """§3.1: Meta has renamed these before, so they are a setting."""
        return dict(parse_qsl(line.app.options["AUTHORIZE_PARAMETERS"]))

    def uses_pkce(self, line: Line) -> bool:  # noqa: ARG002
        """Not documented there (§3.1)."""
        return False

    def scope_value(self, scopes: frozenset[str], line: Line) -> str | None:  # noqa: ARG002
        return ",".join(sorted(scopes))

    def code(self, received: str) -> str:
        for tail in TAILS:
            received = received.removesuffix(tail)
        return received

    def exchange(self, line: Line, code: Secret, code_verifier: Secret) -> TokenAnswer:
        with graph.refusals():
            return super().exchange(line, code, code_verifier)

    def lasting(self, line: Line, answer: TokenAnswer) -> TokenAnswer:
        """The hour's token for one of 60 days; what was granted stands in the first answer alone."""
        form = Named(
            grant_type="ig_exchange_token",
            client_secret=line.app.client_secret.reveal(),
            access_token=answer.access_token.reveal(),
        )
        with graph.refusals():
            return replace(line.ask("GET", f"{HOST}/access_token", form, flat), scope=answer.scope)

    def report(self, line: Line, answer: TokenAnswer, nonce: str, requested: frozenset[str]) -> Report:  # noqa: ARG002
        return replace(self.inspect(line, answer.access_token), granted=answer.scope or frozenset())

    def inspect(self, line: Line, token: Secret) -> Report:
        """The account by its `user_id`, never by the id in the token answer (§3.1); `id` is the app-scoped one, by
        which the callbacks name it (§2.4)."""
        me = graph.answered(
            line.call("GET", f"{HOST}{line.endpoints.base}/me", Named(fields="id,user_id,username"), token=token)
        )
        identity, username = graph.identity(me.get("user_id")), me.get("username")
        label = username[:320] if isinstance(username, str) and username else identity
        return Report(Account(identity, label, scoped_id=graph.identity(me["id"]) if me.get("id") else None), None)

    def renew(self, line: Line, token: Secret) -> TokenAnswer:
        """By GET alone (§3.1, H11)."""
        form = Named(grant_type="ig_refresh_token", access_token=token.reveal())
        with graph.refusals():
            return line.ask("GET", f"{HOST}/refresh_access_token", form, flat)

    def renewal(self, obtained_at: datetime, expires_at: datetime | None, spread: float) -> datetime | None:
        return graph.renewal(obtained_at, expires_at, WINDOW, spread, YOUNGEST)

    def probe(self, line: Line, answer: TokenAnswer, granted: frozenset[str]) -> tuple[TokenAnswer, frozenset[str]]:
        self.inspect(line, answer.access_token)
        return answer, granted

    def removal(self, app: ProviderApp, signed_request: str) -> Removal:
        return verified(app.client_secret, signed_request)

    def webhook(self, app: ProviderApp, raw: bytes, signature: str) -> Webhook:
        return webhooks.read(app.client_secret, raw, signature, "instagram", news)

    def fate(self, refusal: TokenRefused) -> Fate:
        return graph.fate(refusal)

    def end(self, line: Line, ending: Ending) -> Outcome:
        """Deliveries first, for only the user's token ends them (§3.2, H13); then whether the token still lives."""
        outcomes = [self._ended(line, token, ending.account_id) for token in ending.tokens]
        return "not_supported" if "not_supported" in outcomes or not outcomes else outcomes[-1]

    def _ended(self, line: Line, token: Secret, account_id: str | None) -> Outcome:
        """Only that the token is refused proves an end there (§3.2): ours, where it was told so just before."""
        told = False
        try:
            account_id = account_id or self.inspect(line, token).account.id
            self._sent(line, token, f"/{account_id}/subscribed_apps")
            if line.app.options["REMOTE_REVOKE"] == "on":
                told = self._sent(line, token, "/me/permissions")
            self.inspect(line, token)
        except TokenRefused as refusal:
            if self.fate(refusal) not in ("dead", "removed"):
                raise ProviderUnavailable(f"The provider refused to end it ({refusal}).") from None
            return "confirmed" if told else "already_gone"
        return "not_supported"

    def _sent(self, line: Line, token: Secret, path: str) -> bool:
        """Best effort: that it is not supported is no reason to keep anything. An outage is one to try again."""
        answer = line.call("DELETE", f"{HOST}{line.endpoints.base}{path}", token=token)
        if answer.status == 200:
            return True
        failure = graph.failure(answer, answer.lenient())
        if isinstance(failure, BrokerError) or (
            isinstance(failure, TokenRefused) and self.fate(failure) in ("dead", "removed")
        ):
            raise failure
        return False

    def owner(self, line: Line, tokens: Sequence[Secret]) -> str | None:
        try:
            return self.inspect(line, tokens[-1]).account.id
        except TokenRefused as refusal:
            if self.fate(refusal) == "passing":
                raise ProviderUnavailable(f"The provider did not say whose the token is ({refusal}).") from None
            return None

    def usage(self, answer: Answer) -> Usage | None:
        return graph.usage(answer)

    def wait(self, answer: Answer) -> int:
        return graph.wait(answer)

    def verdict(self, status: int, body: object, retry_after: int) -> Verdict:
        return graph.verdict(status, body, retry_after) or super().verdict(status, body, retry_after)


def news(field: str, value: object) -> tuple[str, ...]:  # noqa: ARG001
    """Of what an account's webhook tells that there is something new (§5)."""
    return NEWS.get(field, ())


PROVIDER = Instagram()
