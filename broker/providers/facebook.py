"""Facebook: Login and Login for Business. https://developers.facebook.com/docs/facebook-login (2026-11,
docs/facts/meta.md §1)

Departures: no refresh token, an hour's token is exchanged for one of 60 days (§1.6); what was granted is said by
debug_token and /me/permissions alone, never by the browser (§1.8, §1.9); permissions are limited to assets (§1.8);
every call bears a proof of the app secret (§1.11); Pages have tokens of their own; revoking ends the account's whole
authorization, or single permissions of it (§1.10); errors are Graph's (§6.1).
"""

import hashlib
import hmac
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from broker.config import Option, ProviderApp
from broker.endpoints import Endpoints
from broker.errors import ProviderUnavailable
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
from broker.providers.data.facebook import PUBLIC, RESOURCES
from broker.providers.line import Line, with_query
from broker.providers.removal import Removal, verified
from broker.providers.webhooks import Webhook
from broker.secret import Named, Secret
from broker.upstream import Answer, TokenAnswer, TokenRefused

log = logging.getLogger("broker.providers")

HOST = "https://graph.facebook.com"
INVALID = 190
OF_PAGES = frozenset({"leads_retrieval", "read_insights"})
"""Permissions beside `pages_*` whose target ids are Pages (§1.8)."""
WINDOW = (0.66, 0.83)
"""Exchanged again between these parts of a token's life: from day 40 to day 50 of 60; best effort (§1.6)."""
YOUNGEST = timedelta(days=1)
SAMPLE = 3
"""Tokens that are looked at after a revocation: it ends them all together, and a try has an end."""
POSTED = frozenset({"album", "event", "link", "photo", "post", "share", "status", "video"})
"""Items of a Page's feed that are posts; the others are reactions, or comments."""
CALLBACK_TAIL = "#_=_"
PERMISSION = re.compile(r"[a-z0-9_]{1,128}")
"""It stands in the address by which it is taken back: the one without a name ends the whole authorization (§1.10)."""


def bearer(members: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"token_type": "bearer", **members}


class Facebook(Provider):
    kind = name = "facebook"
    title = "Facebook"
    options = (
        *BUDGETS,
        Option("GRAPH_VERSION", "v26.0", r"v\d{1,3}\.\d"),
        Option("CONFIG_ID", "", r"[0-9]{0,32}"),
        Option("PERMISSIONS", "", r"[a-z_,]*"),
        Option("PKCE", "on", r"on|off"),
        Option("WEBHOOK_VERIFY_TOKEN", "", r"[\x21-\x7e]{0,256}", secret=True),
    )
    identity_scopes = (PUBLIC,)
    is_openid = False
    renewed_by = "access_token"
    accumulates_grants = True
    one_revocation_ends_all = True
    takes_back_permissions = True
    settings_url = "https://www.facebook.com/settings/?tab=business_tools"
    settings_path = "Facebook > Settings > Business integrations"
    hooks = ("deauthorize", "deletion", "webhook")
    resources = RESOURCES

    def __init__(self) -> None:
        self.departure = bearer
        self._catalogs: dict[str, Catalog] = {}

    def served_at(self, options: Mapping[str, str]) -> Endpoints:
        base = f"/{options['GRAPH_VERSION']}"
        return Endpoints(
            authorization=f"https://www.facebook.com{base}/dialog/oauth",
            token=f"{HOST}{base}/oauth/access_token",
            api=HOST,
            base=base,
        )

    def warnings(self, options: Mapping[str, str], now: datetime) -> list[str]:
        return graph.sunset("BROKER_FACEBOOK_GRAPH_VERSION", options["GRAPH_VERSION"], now)

    def all_or_nothing(self, options: Mapping[str, str]) -> bool:
        """Login for Business: the configuration at Meta says what is asked, and all of it is granted or none (§1.7)."""
        return bool(options["CONFIG_ID"])

    def operation(self, operation_id: str, endpoints: Endpoints) -> Operation:
        if endpoints.base not in self._catalogs:
            self._catalogs[endpoints.base] = load("facebook", base=endpoints.base)
        return self._catalogs[endpoints.base].operation(operation_id)

    def removal(self, app: ProviderApp, signed_request: str) -> Removal:
        return verified(app.client_secret, signed_request)

    def webhook(self, app: ProviderApp, raw: bytes, signature: str) -> Webhook:
        return webhooks.read(app.client_secret, raw, signature, "page", news)

    # --- begin ----------------------------------------------------------------------------------------------

    def asked(self, wanted: frozenset[str], line: Line) -> frozenset[str]:
        """One permission that is not enabled for the app fails the whole dialog (H17)."""
        enabled = frozenset(filter(None, line.app.options["PERMISSIONS"].split(",")))
        return wanted & (enabled | {PUBLIC}) if enabled else wanted

    def uses_pkce(self, line: Line) -> bool:
        return line.app.options["PKCE"] == "on"

    def scope_value(self, scopes: frozenset[str], line: Line) -> str | None:
        return None if line.app.options["CONFIG_ID"] else ",".join(sorted(scopes))

    def authorize_parameters(self, hints: AuthorizationHints, line: Line) -> dict[str, str]:
        """Without `rerequest` the dialog never asks again for what was once declined (§1.1, H6)."""
        config_id = line.app.options["CONFIG_ID"]
        parameters = {"config_id": config_id} if config_id else {}
        return parameters | ({"auth_type": "rerequest"} if hints.declined else {})

    def code(self, received: str) -> str:
        return received.removesuffix(CALLBACK_TAIL)

    # --- the life of a token --------------------------------------------------------------------------------

    def exchange(self, line: Line, code: Secret, code_verifier: Secret) -> TokenAnswer:
        with graph.refusals():
            return super().exchange(line, code, code_verifier)

    def lasting(self, line: Line, answer: TokenAnswer) -> TokenAnswer:
        """A system user's token ends never, and is not exchanged (§1.6)."""
        if answer.expires_in is None and self.debugged(line, answer.access_token).get("type") == "SYSTEM_USER":
            return answer
        return self.renew(line, answer.access_token)

    def renew(self, line: Line, token: Secret) -> TokenAnswer:
        """A new text each time; whether it also lives longer, debug_token tells (§1.6, H18)."""
        form = Named(
            grant_type="fb_exchange_token",
            client_id=line.app.client_id,
            client_secret=line.app.client_secret.reveal(),
            fb_exchange_token=token.reveal(),
        )
        with graph.refusals():
            return line.ask("POST", line.endpoints.token, form, bearer)

    def report(self, line: Line, answer: TokenAnswer, nonce: str, requested: frozenset[str]) -> Report:  # noqa: ARG002
        found = self.inspect(line, answer.access_token)
        me = self._asked(line, "/me", answer.access_token, {"fields": "id,name"})
        if graph.identity(me.get("id")) != found.account.id:
            raise ProviderUnavailable("The provider contradicts itself about whose the token is.", retryable=False)
        name = me.get("name")
        label = name[:320] if isinstance(name, str) and name else found.account.id
        return replace(found, account=Account(found.account.id, label))

    def inspect(self, line: Line, token: Secret) -> Report:
        """Both must say so: the token's own list, and the person's (§1.8, §1.9)."""
        data = self.debugged(line, token)
        if not isinstance(data.get("scopes"), list):
            raise ProviderUnavailable("The provider did not say what is granted.")
        granted = _texts(data["scopes"])
        if data.get("type") != "SYSTEM_USER":
            granted &= self._permissions(line, "/me/permissions", token)
        user_id = graph.identity(data.get("user_id"))
        return Report(
            Account(user_id, user_id),
            granted,
            bounds=_bounds(data.get("granular_scopes")),
            expires_at=_moment(data.get("expires_at")),
            data_access_expires_at=_moment(data.get("data_access_expires_at")),
            lasts=data.get("expires_at") == 0 and data["expires_at"] is not False,
        )

    def debugged(self, line: Line, token: Secret) -> Mapping[str, Any]:
        """What the provider knows of a token (§1.8). Raises `TokenRefused` for one that is dead, `ProviderUnavailable`
        where it says nothing clear, or refuses us, or another app was given the token."""
        with as_app():
            body = self._asked(line, "/debug_token", app_token(line), Named(input_token=token.reveal()))
        data = body.get("data")
        if not isinstance(data, dict) or not isinstance(data.get("is_valid"), bool):
            raise ProviderUnavailable("The provider said nothing about the token.")
        if not data["is_valid"]:
            said = graph.refusal({"error": data.get("error")})
            raise said if said and said.code is not None else TokenRefused("unknown", code=INVALID)
        if str(data.get("app_id")) != line.app.client_id:
            raise ProviderUnavailable("The provider answered with another app's token.", retryable=False)
        return data

    def renewal(self, obtained_at: datetime, expires_at: datetime | None, spread: float) -> datetime | None:
        return graph.renewal(obtained_at, expires_at, WINDOW, spread, YOUNGEST)

    def probe(self, line: Line, answer: TokenAnswer, granted: frozenset[str]) -> tuple[TokenAnswer, frozenset[str]]:
        return answer, (self.inspect(line, answer.access_token).granted or frozenset()) & granted

    def fate(self, refusal: TokenRefused) -> Fate:
        return graph.fate(refusal)

    # --- revocation -----------------------------------------------------------------------------------------

    def end(self, line: Line, ending: Ending) -> Outcome:
        """The whole authorization, by the app's token; then whether it is so (§1.10). Whose it is that never became a
        connection, any of its tokens that still lives says."""
        owners = (self.owner(line, (token,)) for token in ending.tokens)
        account_id = ending.account_id or next(filter(None, owners), None)
        if account_id is None:
            return "already_gone"
        try:
            with as_app(*graph.REMOVED):
                self._deleted(line, f"/{account_id}/permissions", app_token(line))
            outcome: Outcome = "confirmed"
        except TokenRefused as refusal:
            if self.fate(refusal) == "passing" and (refusal.code, refusal.subcode) != graph.MISSING:
                raise ProviderUnavailable(f"The provider refused the revocation ({refusal}).") from None
            outcome = "already_gone"
        if any(self._lives(line, token) for token in ending.tokens[:SAMPLE]):
            raise ProviderUnavailable("The provider still honours a token that it was told to end.")
        return outcome

    def take_back(self, line: Line, account_id: str, keep: frozenset[str]) -> frozenset[str]:
        path = f"/{account_id}/permissions"
        try:
            unneeded = self._permissions(line, path, app_token(line)) - keep - {PUBLIC}
            for permission in sorted(unneeded):
                self._deleted(line, f"{path}/{permission}", app_token(line))
        except TokenRefused as refusal:
            raise ProviderUnavailable(f"The provider refused to take back permissions ({refusal}).") from None
        return unneeded

    def owner(self, line: Line, tokens: Sequence[Secret]) -> str | None:
        try:
            return graph.identity(self.debugged(line, tokens[-1]).get("user_id"))
        except TokenRefused as refusal:
            if self.fate(refusal) == "passing":
                raise ProviderUnavailable(f"The provider did not say whose the token is ({refusal}).") from None
            return None

    def _lives(self, line: Line, token: Secret) -> bool:
        try:
            self.debugged(line, token)
        except TokenRefused as refusal:
            if self.fate(refusal) == "passing":
                raise ProviderUnavailable(f"The provider did not say whether a token lives ({refusal}).") from None
            return False
        return True

    # --- data -----------------------------------------------------------------------------------------------

    def signed(self, line: Line, url: str, token: Secret) -> str:
        return with_query(url, proof(line, token))

    def asset_token(self, line: Line, token: Secret, asset: str) -> Secret:
        """A Page's own token (§1.6). A Page that is there and has none for this user is not to be seen by it (H2)."""
        page = self._asked(line, f"/{graph.identity(asset)}", token, {"fields": "access_token"})
        if graph.identity(page.get("id")) != asset:
            raise ProviderUnavailable("The provider answered with another Page.")
        if "access_token" not in page:
            raise TokenRefused("unknown", code=graph.MISSING[0], subcode=graph.MISSING[1])
        found = page["access_token"]
        if not isinstance(found, str) or not found.isascii() or not found.isprintable():
            raise ProviderUnavailable("The provider gave something that is no token.")
        return Secret(found)

    def bound(
        self, asset_kind: str, scopes: frozenset[str], bounds: Mapping[str, frozenset[str]]
    ) -> frozenset[str] | None:
        """The Pages that every one of the connector's Page permissions names; one that names none is not limited."""
        of_pages = [
            bounds[name] for name in scopes if name in bounds and (name.startswith("pages_") or name in OF_PAGES)
        ]
        return frozenset.intersection(*of_pages) if asset_kind == "page" and of_pages else None

    def usage(self, answer: Answer) -> Usage | None:
        return graph.usage(answer)

    def wait(self, answer: Answer) -> int:
        return graph.wait(answer)

    def verdict(self, status: int, body: object, retry_after: int) -> Verdict:
        return graph.verdict(status, body, retry_after) or super().verdict(status, body, retry_after)

    def verdict_of(self, refusal: TokenRefused) -> Verdict:
        if refusal.subcode in graph.NO_ROLE or (refusal.code, refusal.subcode) == graph.MISSING:
            return Verdict("asset")
        return Verdict("token", refusal=refusal) if refusal.code in graph.TOKEN else Verdict("scope")

    def _asked(self, line: Line, path: str, token: Secret, parameters: Mapping[str, str]) -> Mapping[str, Any]:
        url = f"{HOST}{line.endpoints.base}{path}"
        return graph.answered(line.call("GET", url, Named({**parameters, **proof(line, token)}), token=token))

    def _permissions(self, line: Line, path: str, token: Secret) -> frozenset[str]:
        listed = self._asked(line, path, token, {}).get("data")
        if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
            raise ProviderUnavailable("The provider did not say what is granted.")
        granted = _texts([entry.get("permission") for entry in listed if entry.get("status") == "granted"])
        return frozenset(filter(PERMISSION.fullmatch, granted))

    def _deleted(self, line: Line, path: str, token: Secret) -> None:
        """`true`, or `{"success": true}` (§1.10)."""
        answer = line.call("DELETE", f"{HOST}{line.endpoints.base}{path}", proof(line, token), token=token)
        body = answer.lenient()
        said = answer.body.strip() == b"true" or (isinstance(body, dict) and body.get("success") is True)
        if answer.status != 200 or not said:
            raise graph.failure(answer, body)


@contextmanager
def as_app(*unless: int) -> Iterator[None]:
    """Asked with the app's own token. That this one is refused is a matter of our id and secret and says nothing about
    anybody's token, `unless` it has one of these subcodes. Raises `ProviderUnavailable`."""
    try:
        yield
    except TokenRefused as refusal:
        if refusal.code not in graph.TOKEN or refusal.subcode in unless:
            raise
        log.error("Facebook refuses the app's own token (%s): check the app id and secret", refusal)
        raise ProviderUnavailable("The provider refuses this app itself.", retryable=False) from None


def news(field: str, value: object) -> tuple[str, ...]:
    """Of what a Page's webhook tells that there is something new (§5). `feed` is of comments, and of all else that is
    posted; what was taken away is not new."""
    said = value if isinstance(value, dict) else {}
    if field != "feed":
        return {"leadgen": ("leads",), "messages": ("messages",)}.get(field, ())
    if said.get("verb") in ("remove", "hide", "unhide"):
        return ()
    item = said.get("item")
    if item in (None, "comment"):
        return ("comments",) if item else ("comments", "posts")
    return ("posts",) if item in POSTED else ()


def app_token(line: Line) -> Secret:
    """It speaks for the app about every user of it (§1.6)."""
    return Secret(f"{line.app.client_id}|{line.app.client_secret.reveal()}")


def proof(line: Line, token: Secret) -> Named:
    """That whoever calls has the app secret, over the very token of the call, for five minutes (§1.11)."""
    time = str(int(line.now.timestamp()))
    message = f"{token.reveal()}|{time}".encode()
    signature = hmac.new(line.app.client_secret.reveal().encode(), message, hashlib.sha256).hexdigest()
    return Named(appsecret_proof=signature, appsecret_time=time)


def _texts(value: object) -> frozenset[str]:
    return frozenset(text for text in value if isinstance(text, str)) if isinstance(value, list) else frozenset()


def _moment(value: object) -> datetime | None:
    """Seconds since 1970; 0 and what is none mean never."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**33:
        return None
    return datetime.fromtimestamp(value, UTC)


def _bounds(value: object) -> dict[str, frozenset[str]]:
    """An absent or empty list means that Meta sets no bound (§1.8, H5)."""
    entries = [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
    named = {str(entry.get("scope")): entry.get("target_ids") for entry in entries}
    return {
        scope: frozenset(str(target) for target in targets)
        for scope, targets in named.items()
        if isinstance(targets, list) and targets
    }


PROVIDER = Facebook()
