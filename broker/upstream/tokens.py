"""Judging what a token endpoint answered, before any library reads it (RFC 6749 §5; docs/facts/security.md
STD-21…23).

Only a definite refusal is a `TokenRefused`. Whatever can pass (an outage, HTML, an empty 200) is a
`ProviderUnavailable`, so that no connection dies of it. Nothing here keeps a token anywhere but in a
`Secret`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from broker.errors import ProviderUnavailable, RateLimited
from broker.secret import Secret
from broker.upstream.answer import Answer, retry_after

LONGEST_TOKEN = 16 * 1024
LONGEST_LIFETIME = 31_536_000
"""A year, in seconds; docs/facts/security.md REL-49."""
PASSING_ERRORS = frozenset({"internal_failure", "server_error", "temporarily_unavailable"})
"""docs/facts/google.md §1.9."""

Departure = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""A provider's own form of the answer, turned into that of RFC 6749 §5.1. Raises `ValueError` for an unknown one."""

_ERROR = re.compile(r"[a-z0-9_.]{1,64}")
_TOKEN = re.compile(r"[\x21-\x7e]+")
_STANDARD = frozenset({"token_type", "expires_in", "scope", "refresh_token_expires_in"})


class TokenRefused(Exception):
    """The provider refused for good: RFC 6749 §5.2, or Graph's error object. It carries no text of the
    provider's.
    """

    def __init__(
        self,
        error: str,
        error_subtype: str | None = None,
        *,
        code: int | None = None,
        subcode: int | None = None,
    ) -> None:
        numbers = "/".join(str(number) for number in (code, subcode) if number is not None)
        super().__init__(numbers or f"{error} {error_subtype or ''}".strip())
        self.error, self.error_subtype = error, error_subtype
        """As sent if a short plain word, else `unknown`; the subtype is Google's, None if absent."""
        self.code, self.subcode = code, subcode
        """Graph's numbers; `error` is then `unknown`."""


@dataclass(frozen=True)
class TokenAnswer:
    """RFC 6749 §5.1, checked and normalised."""

    access_token: Secret
    refresh_token: Secret | None
    """None (absent, empty or null): keep the one there is (STD-22)."""
    expires_in: int | None
    """Seconds from the start of the request, 0 to a year; None if not said or not a number."""
    scope: frozenset[str] | None
    """What was granted; None if not said, which is not what was asked."""
    id_token: str | None = field(repr=False)
    """Unverified."""
    refresh_token_expires_in: int | None
    members: Mapping[str, Any] = field(repr=False)
    """The other members, but for any with `token` or `secret` in its name."""


def judged(answer: Answer, departure: Departure | None = None) -> TokenAnswer:
    """The tokens, or `TokenRefused`, `RateLimited`, `ProviderUnavailable`."""
    if answer.status == 429:
        raise RateLimited("The provider asks to be left alone for a while.", retry_after=retry_after(answer))
    if answer.status >= 500 or answer.status == 408:
        wait = retry_after(answer) if "retry-after" in answer.headers else None
        raise ProviderUnavailable("The provider's token endpoint failed.", retry_after=wait)
    members = _members(answer)
    if answer.status >= 400:
        raise _refusal(members)
    if "error" in members:
        raise ProviderUnavailable("The provider's token endpoint answered with an error and success at once.")
    return _tokens(_normal(members, departure) if departure else members)


def _members(answer: Answer) -> Mapping[str, Any]:
    members = answer.json()
    if not isinstance(members, dict):
        raise ProviderUnavailable("The provider's token endpoint did not answer with a JSON object.")
    return members


def _normal(members: Mapping[str, Any], departure: Departure) -> Mapping[str, Any]:
    try:
        return departure(members)
    except ValueError:
        raise ProviderUnavailable("The provider's token answer is not what its documents promise.") from None


def _refusal(members: Mapping[str, Any]) -> Exception:
    error, subtype = members.get("error"), members.get("error_subtype")
    if isinstance(error, dict):
        return TokenRefused("unknown", code=_number(error.get("code")), subcode=_number(error.get("error_subcode")))
    if isinstance(members.get("error_type"), str):  # Instagram's flat form, docs/facts/meta.md §3.1
        return TokenRefused("unknown", code=_number(members.get("code")))
    if not isinstance(error, str):
        return ProviderUnavailable("The provider's token endpoint failed without saying why.")
    if error in PASSING_ERRORS:
        return ProviderUnavailable("The provider's token endpoint failed for the moment.")
    return TokenRefused(_word(error), None if subtype is None else _word(subtype))


def _word(value: object) -> str:
    return value if isinstance(value, str) and _ERROR.fullmatch(value) else "unknown"


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _tokens(members: Mapping[str, Any]) -> TokenAnswer:
    if "access_token" not in members:
        raise ProviderUnavailable("The provider's token endpoint answered without a token.")
    if str(members.get("token_type")).lower() != "bearer":
        raise ProviderUnavailable("The provider issued a token that is no bearer token.", retryable=False)
    id_token = members.get("id_token")
    return TokenAnswer(
        access_token=_secret(members["access_token"]),
        refresh_token=_secret(members["refresh_token"]) if members.get("refresh_token") not in (None, "") else None,
        expires_in=_seconds(members.get("expires_in")),
        scope=_scope(members.get("scope")),
        id_token=id_token if isinstance(id_token, str) and id_token else None,
        refresh_token_expires_in=_seconds(members.get("refresh_token_expires_in")),
        members={name: value for name, value in members.items() if _may_be_passed_on(name)},
    )


def _secret(value: object) -> Secret:
    if not isinstance(value, str) or len(value) > LONGEST_TOKEN or not _TOKEN.fullmatch(value):
        raise ProviderUnavailable("The provider issued something that is no token.", retryable=False)
    return Secret(value)


def _seconds(value: object) -> int | None:
    """REL-49: a number, or one in a string; anything else counts as not said."""
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,15}(?:\.[0-9]{1,15})?", value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(min(max(value, 0), LONGEST_LIFETIME))


def _scope(value: object) -> frozenset[str] | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise ProviderUnavailable("The provider did not say soundly what was granted.", retryable=False)
    return frozenset(value.split())


def _may_be_passed_on(name: str) -> bool:
    return name not in _STANDARD and "token" not in name.lower() and "secret" not in name.lower()
