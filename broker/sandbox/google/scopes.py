"""Google's names of scopes (docs/facts/google.md §1.4)."""

from collections.abc import Iterable

from broker.sandbox.google.scope_texts import MEANINGS

AUTH = "https://www.googleapis.com/auth/"
ALIASES = {"email": f"{AUTH}userinfo.email", "profile": f"{AUTH}userinfo.profile"}
SHORT = {full: short for short, full in ALIASES.items()}
EMAIL, PROFILE = ALIASES["email"], ALIASES["profile"]
SIGN_IN = frozenset({"openid", EMAIL, PROFILE})
MAIL = "https://mail.google.com/"
"""The one scope of an API here that is named otherwise."""


def auth(*names: str) -> frozenset[str]:
    """Full names of scopes, from what stands after the common prefix."""
    return frozenset(AUTH + name for name in names)


def named(scope: str) -> str:
    """A scope under its full name."""
    return ALIASES.get(scope, scope)


def full_names(scopes: Iterable[str]) -> frozenset[str]:
    """As asked, under full names; `openid` is added by itself to an identity scope."""
    found = frozenset(named(scope) for scope in scopes)
    return found | {"openid"} if found & SIGN_IN else found


def foreign(scopes: Iterable[str]) -> list[str]:
    """Names that are not Google's: `offline_access` is none (§1.2)."""
    return sorted(s for s in scopes if s not in SIGN_IN and not s.startswith((AUTH, MAIL)))


def meaning(scope: str, language: str = "en") -> str:
    """What a scope opens, for people."""
    short = scope.removeprefix(AUTH)
    return MEANINGS.get(short, (short, short))[language == "id"]
