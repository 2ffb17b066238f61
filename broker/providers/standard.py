"""The life of a token as the standards have it: RFC 6749, RFC 7009, RFC 7636, OpenID Connect.

Whoever departs from it overrides the hook in its own file, and nothing here.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from broker.errors import ProviderUnavailable, RateLimited
from broker.providers.line import Line
from broker.secret import Secret
from broker.upstream import Answer, TokenAnswer, TokenRefused, retry_after

if TYPE_CHECKING:
    from broker.providers.base import Provider

AuthMethod = Literal["client_secret_post", "client_secret_basic"]


def auth_method(provider: "Provider", line: Line) -> AuthMethod:
    """The provider's own choice, unless its metadata name others only (RFC 8414 §2)."""
    supported = line.endpoints.auth_methods_supported
    if not supported or provider.auth_method in supported:
        return provider.auth_method
    return "client_secret_post" if "client_secret_post" in supported else "client_secret_basic"


def exchange(provider: "Provider", line: Line, code: Secret, code_verifier: Secret) -> TokenAnswer:
    """RFC 6749 §4.1.3, RFC 7636 §4.5."""
    line.may_begin()
    return line.upstream.exchange(
        endpoint=line.endpoints.token,
        pins=line.pins,
        client_id=line.app.client_id,
        client_secret=line.app.client_secret,
        code=code,
        code_verifier=code_verifier if provider.uses_pkce(line) else None,
        redirect_uri=line.redirect_uri,
        auth_method=auth_method(provider, line),
        departure=provider.departure,
    )


def refresh(provider: "Provider", line: Line, refresh_token: Secret) -> TokenAnswer:
    """RFC 6749 §6."""
    line.may_begin()
    return line.upstream.refresh(
        endpoint=line.endpoints.token,
        pins=line.pins,
        client_id=line.app.client_id,
        client_secret=line.app.client_secret,
        refresh_token=refresh_token,
        auth_method=auth_method(provider, line),
        departure=provider.departure,
    )


def probe(
    provider: "Provider", line: Line, answer: TokenAnswer, granted: frozenset[str]
) -> tuple[TokenAnswer, frozenset[str]]:
    """A refresh says whether the token lives, and its answer takes the token's place; without a refresh token the
    userinfo endpoint does, where only a 401 says that the token is dead (RFC 6750 §3.1)."""
    if answer.refresh_token is None:
        _probe_userinfo(line, answer.access_token)
        return answer, granted
    newer = refresh(provider, line, answer.refresh_token)
    if newer.refresh_token is None:
        lifetime = answer.refresh_token_expires_in
        newer = replace(newer, refresh_token=answer.refresh_token, refresh_token_expires_in=lifetime)
    return newer, provider.granted_scopes(newer.scope, granted) & granted


def _probe_userinfo(line: Line, token: Secret) -> None:
    userinfo = line.endpoints.userinfo
    status = line.call("GET", userinfo, token=token).status if userinfo else None
    if status == 401:
        raise TokenRefused("invalid_grant")
    if status != 200:
        raise ProviderUnavailable("Nobody can say whether this authorization still stands.", retryable=False)


def revoke(
    provider: "Provider", line: Line, tokens: Sequence[Secret]
) -> Literal["confirmed", "already_gone", "not_supported"]:
    """Revoke each token (RFC 7009), or only until one call has ended all. Raises to be tried again."""
    endpoint = line.endpoints.revocation
    if endpoint is None:
        return "not_supported"
    outcomes = set()
    for token in tokens:
        outcomes.add(_revoked(provider, line, endpoint, token))
        if "confirmed" in outcomes and provider.one_revocation_ends_all:
            break
    return "confirmed" if "confirmed" in outcomes else "already_gone"


def _revoked(provider: "Provider", line: Line, endpoint: str, token: Secret) -> Literal["confirmed", "already_gone"]:
    line.may_begin()
    answer = line.upstream.revoke(
        endpoint=endpoint,
        pins=line.pins,
        client_id=line.app.client_id,
        client_secret=line.app.client_secret,
        token=token,
        token_type_hint=None,
        auth_method=auth_method(provider, line) if provider.authenticates_revocation else None,
    )
    outcome = provider.revocation_outcome(answer.status, _error_of(answer))
    if outcome is None and answer.status == 429:
        raise RateLimited("The provider asks to be left alone for a while.", retry_after=retry_after(answer))
    if outcome is None:
        raise ProviderUnavailable(f"The provider answered the revocation with status {answer.status}.")
    return outcome


def _error_of(answer: Answer) -> str | None:
    """The `error` member of a refusal; None where the answer is no JSON object."""
    body = answer.lenient()
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, str) else None


def owner(provider: "Provider", line: Line, tokens: Sequence[Secret]) -> str | None:
    """Asked with the access token, the last one; once that has expired, with a new one."""
    *lasting, access = tokens
    userinfo = line.endpoints.userinfo
    if userinfo is None:
        return None
    subject = _named_by(provider, line, userinfo, access)
    if subject is None and lasting and not provider.rotates_refresh_tokens:
        renewed = _renewed(provider, line, lasting[0])
        subject = _named_by(provider, line, userinfo, renewed) if renewed else None
    return subject


def _renewed(provider: "Provider", line: Line, refresh_token: Secret) -> Secret | None:
    try:
        return refresh(provider, line, refresh_token).access_token
    except TokenRefused as refusal:
        if provider.fate(refusal) == "passing":
            raise ProviderUnavailable(f"The provider refused the refresh ({refusal.error}).") from None
        return None


def _named_by(provider: "Provider", line: Line, userinfo: str, token: Secret) -> str | None:
    """The account that userinfo names; None: the token is dead. A 403 may be a living token without the scope: where
    each token ends by itself it is revoked unnamed, else somebody must find out."""
    answer = line.call("GET", userinfo, token=token)
    if answer.status == 401 or (answer.status == 403 and not provider.one_revocation_ends_all):
        return None
    body = answer.json() if answer.status == 200 else None
    subject = body.get("sub") if isinstance(body, dict) else None
    if not isinstance(subject, str):
        raise ProviderUnavailable("The provider did not say whose the token is.")
    return subject
