"""Google's security events: Cross-Account Protection (docs/facts/google.md §2). What they say, and by what they name a
token; what is done about them, `broker.connections.from_google` says.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from broker.secret import Secret

CONFIGURATION = "https://accounts.google.com/.well-known/risc-configuration"
PINS = frozenset({"https://accounts.google.com", "https://www.googleapis.com"})
"""Where the configuration and the keys may stand."""
ISSUERS = ("https://accounts.google.com", "accounts.google.com")
RISC = "https://schemas.openid.net/secevent/risc/event-type/"
OAUTH = "https://schemas.openid.net/secevent/oauth/event-type/"
TYPES = {
    "sessions-revoked": f"{RISC}sessions-revoked",
    "tokens-revoked": f"{OAUTH}tokens-revoked",
    "token-revoked": f"{OAUTH}token-revoked",
    "account-disabled": f"{RISC}account-disabled",
    "account-enabled": f"{RISC}account-enabled",
    "account-purged": f"{RISC}account-purged",
    "account-credential-change-required": f"{RISC}account-credential-change-required",
    "verification": f"{RISC}verification",
}
"""Name → URI of each event that something is done about. Google's page does not name `account-purged`: it is of the
RISC profile, and costs nothing to know."""
OFFERED = tuple(name for name in TYPES if name != "account-purged")
"""Those that Google offers (docs/facts/google.md §2.4)."""
NAMES = {uri: name for name, uri in TYPES.items()}
BEGINNING = 16
"""Characters of a refresh token that an event may give."""

Kind = Literal["whole", "beginning"]


@dataclass(frozen=True)
class NamedToken:
    """How an event names a refresh token."""

    kind: Kind
    value: str


@dataclass(frozen=True)
class Event:
    """One event of a token; what it does not say in a way that is understood is None."""

    name: str | None
    """None: of a type that is not known."""
    uri: str
    account_id: str | None = None
    token: NamedToken | None = None
    reason: str | None = None
    state: str | None = None


def events(claims: Mapping[str, Any]) -> Iterator[Event]:
    """Those of a verified token, in its order."""
    for uri, said in claims["events"].items():
        members = said if isinstance(said, dict) else {}
        subject = members.get("subject")
        subject = subject if isinstance(subject, dict) else {}
        yield Event(
            name=NAMES.get(uri),
            uri=uri,
            account_id=_account_id(subject),
            token=_named_token(subject),
            reason=_text(members, "reason", 64),
            state=_text(members, "state", 1024),
        )


def fingerprints(refresh_token: Secret) -> dict[Kind, str]:
    """By what an event may name this token (docs/facts/google.md §2.3)."""
    text = refresh_token.reveal()
    twice = hashlib.sha512(hashlib.sha512(text.encode()).digest())
    return {"whole": twice.hexdigest(), "beginning": text[:BEGINNING]}


def _account_id(subject: Mapping[str, Any]) -> str | None:
    """`sub` of an account at Google itself; what calls itself a token is none."""
    issuer = subject.get("iss")
    if subject.get("subject_type") == "oauth_token" or not isinstance(issuer, str):
        return None
    return _text(subject, "sub", 255) if issuer.rstrip("/") in ISSUERS else None


def _named_token(subject: Mapping[str, Any]) -> NamedToken | None:
    token = _text(subject, "token", 1024)
    if subject.get("subject_type") != "oauth_token" or subject.get("token_type") != "refresh_token" or token is None:
        return None
    match subject.get("token_identifier_alg"):
        case "prefix" if len(token) == BEGINNING:
            return NamedToken("beginning", token)
        case "hash_base64_sha512_sha512":
            digest = _decoded(token)
            return NamedToken("whole", digest.hex()) if digest else None
    return None


def _decoded(text: str) -> bytes | None:
    """Either alphabet of base64, padded or not: Google does not say which (docs/facts/google.md §2.3)."""
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        digest = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    return digest if len(digest) == hashlib.sha512().digest_size else None


def _text(members: Mapping[str, Any], name: str, longest: int) -> str | None:
    value = members.get(name)
    return value if isinstance(value, str) and 0 < len(value) <= longest else None
