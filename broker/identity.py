"""OpenID: an issuer's metadata, its keys, and the verified id_token or security event token. An unverified claim never
leaves this module.

Everything is fetched through `broker.upstream`, pinned to the issuer that the operator configured, and kept for
a while. docs/facts/google.md §1.11, §2.2, docs/facts/security.md STD-18, STD-36.
"""

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NewType

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from broker import strict_json
from broker.config import is_loopback, origin
from broker.endpoints import Endpoints
from broker.errors import ProviderUnavailable
from broker.upstream import Upstream

ALGORITHMS = ["RS256", "ES256"]
MAX_TOKEN = 16 * 1024
LEEWAY = 10
KEPT = 3600.0
"""Seconds for which metadata and keys are kept."""
STALE = 86_400.0
"""Seconds for which they are still good while the issuer does not answer: its outage is none of ours. What it answers
wrongly is no outage."""
REFETCH = 10.0
"""Seconds between two fetches for a key id that is not known."""

EVENT_ALGORITHM = "RS256"
COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
OLDEST, SOONEST = 7 * 86_400, 300
"""Seconds by which a security event may be issued before or after now (docs/facts/google.md §2.2, 8)."""
LONGEST_ID = 512

Claims = NewType("Claims", Mapping[str, Any])
"""Claims of an id_token whose signature, issuer, audience, nonce and times were checked."""


class BadEvent(ValueError):
    """No security event token for us; `err` is the code of RFC 8935 §2.4 that says why."""

    def __init__(self, err: str, description: str) -> None:
        super().__init__(description)
        self.err, self.description = err, description


@dataclass(frozen=True)
class _Sender:
    """Who sends security events, by its own configuration document."""

    issuer: str
    jwks: str


@dataclass
class _Kept:
    value: Any
    fetched: float


class Identity:
    """One per process; thread-safe."""

    def __init__(self, upstream: Upstream, *, now: Callable[[], float] = time.time) -> None:
        self._upstream = upstream
        self._now = now
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}

    def discovered(self, issuer: str) -> Endpoints:
        """OpenID Connect Discovery §4.3: the metadata's issuer must be the very one that was asked."""
        found: Endpoints = self._cached(
            f"issuer {issuer}", KEPT, lambda: _endpoints(issuer, self._fetch(_metadata_url(issuer)))
        )
        return found

    def verify(self, unverified: str | None, *, endpoints: Endpoints, client_id: str, nonce: str | None) -> Claims:
        """The claims of an id_token; without `nonce` one that came with a refresh (OpenID Connect Core §12.2).

        Raises `ProviderUnavailable`, not retryable, where anything does not check out.
        """
        if not unverified or len(unverified) > MAX_TOKEN:
            raise _forged()
        if endpoints.jwks is None:
            raise _forged()
        claims = self._signed_claims(unverified, endpoints.jwks)
        _check(claims, endpoints.issuers, client_id, nonce, self._now())
        return Claims(claims)

    def event(
        self, unverified: bytes, *, configuration: str, pins: frozenset[str], client_id: str | None
    ) -> Mapping[str, Any]:
        """The claims of a security event token (RFC 8417) that was issued to this client, of the sender whose
        configuration document stands at `configuration`. It does not expire; a client of None fits none.

        Raises `BadEvent`, and `ProviderUnavailable` where the sender's keys cannot be had.
        """
        token = _one_event_token(unverified)
        sender: _Sender = self._cached(
            f"sender {configuration}", KEPT, lambda: _sender(self._fetch(configuration), pins)
        )
        claims = _event_claims(token, self._event_keys(token, sender.jwks))
        _check_event(claims, sender.issuer, client_id, self._now())
        return claims

    def _event_keys(self, token: str, jwks: str) -> KeySet:
        keys, kid = self._keys(jwks), _key_id(token)
        if kid not in {key.kid for key in keys.keys}:
            keys = self._keys(jwks, at_most=REFETCH)
        if kid not in {key.kid for key in keys.keys}:
            raise BadEvent("invalid_key", "The token is signed with none of the sender's keys.")
        return keys

    def _signed_claims(self, unverified: str, jwks: str) -> dict[str, Any]:
        keys = self._keys(jwks)
        try:
            if _key_id(unverified) not in {key.kid for key in keys.keys}:
                keys = self._keys(jwks, at_most=REFETCH)
            return dict(jwt.decode(unverified, keys, algorithms=ALGORITHMS).claims)
        except (JoseError, ValueError, TypeError, KeyError):
            raise _forged() from None

    def _keys(self, jwks: str, at_most: float = KEPT) -> KeySet:
        found: KeySet = self._cached(f"keys {jwks}", at_most, lambda: _key_set(self._fetch(jwks)))
        return found

    def _fetch(self, url: str) -> Mapping[str, Any]:
        answer = self._upstream.call("GET", url, pins=frozenset({origin(url)}))
        body = answer.json() if answer.status == 200 else None
        if not isinstance(body, Mapping):
            raise ProviderUnavailable("The provider's OpenID metadata or keys could not be read.")
        return body

    def _cached(self, name: str, at_most: float, fetch: Callable[[], Any]) -> Any:  # noqa: ANN401 - two kinds of value
        with self._lock:
            kept = self._kept.get(name)
            if kept and self._now() - kept.fetched < at_most:
                return kept.value
        try:
            value = fetch()
        except ProviderUnavailable as error:
            if kept and error.retryable and at_most == KEPT and self._now() - kept.fetched < STALE:
                return kept.value
            raise
        with self._lock:
            self._kept[name] = _Kept(value, self._now())
        return value


def _forged() -> ProviderUnavailable:
    return ProviderUnavailable("The provider's id_token does not check out.", retryable=False)


def _key_id(unverified: str) -> str | None:
    header = jws.extract_compact(unverified.encode()).headers()
    kid = header.get("kid")
    return kid if isinstance(kid, str) else None


def _key_set(body: Mapping[str, Any]) -> KeySet:
    try:
        return KeySet.import_key_set({"keys": [key for key in body["keys"] if key.get("kty") in ("RSA", "EC")]})
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        raise ProviderUnavailable("The provider's keys could not be read.") from None


def _check(claims: Mapping[str, Any], issuers: tuple[str, ...], client_id: str, nonce: str | None, now: float) -> None:
    """OpenID Connect Core §3.1.3.7, against our own configuration, never against the token itself."""
    audience = claims.get("aud")
    checks = (
        claims.get("iss") in issuers,
        audience == client_id or audience == [client_id],
        claims.get("azp") in (None, client_id),
        nonce is None or claims.get("nonce") == nonce,
        _seconds(claims.get("exp")) > now - LEEWAY,
        _seconds(claims.get("iat")) < now + LEEWAY,
        _seconds(claims.get("nbf", 0)) < now + LEEWAY,
        isinstance(claims.get("sub"), str) and 0 < len(claims["sub"]) <= 255,
    )
    if not all(checks):
        raise _forged()


def _seconds(value: object) -> float:
    """As it is: turning a huge integer into a float would overflow."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _forged()
    return value


def _one_event_token(unverified: bytes) -> str:
    """Looked at before any key is asked for. Raises `BadEvent`."""
    text = unverified.decode("latin-1").strip()
    if len(text) > MAX_TOKEN or not COMPACT.fullmatch(text):
        raise BadEvent("invalid_request", "The body is not one security event token of at most 16 KiB.")
    try:
        header = jws.extract_compact(text.encode()).headers()
    except (JoseError, ValueError, TypeError):
        raise BadEvent("invalid_request", "The token cannot be read.") from None
    if header.get("alg") != EVENT_ALGORITHM or not isinstance(header.get("kid"), str) or "crit" in header:
        raise BadEvent("invalid_key", f"The token is not signed by {EVENT_ALGORITHM} with a key that it names.")
    return text


def _event_claims(token: str, keys: KeySet) -> Mapping[str, Any]:
    try:
        payload = jws.deserialize_compact(token, keys, algorithms=[EVENT_ALGORITHM]).payload
    except (JoseError, ValueError, TypeError, KeyError):
        raise BadEvent("invalid_key", "The token's signature does not check out.") from None
    try:
        claims = strict_json.parse(payload)
    except ValueError:
        claims = None
    if not isinstance(claims, dict):
        raise BadEvent("invalid_request", "The token's claims are no sound JSON object.")
    return claims


def _check_event(claims: Mapping[str, Any], issuer: str, client_id: str | None, now: float) -> None:
    """RFC 8417 §2.2, docs/facts/google.md §2.2. An id_token of ours is signed by the same keys, and has no events."""
    audience, issued_at = claims.get("aud"), claims.get("iat")
    audiences = audience if isinstance(audience, list) else [audience]
    if _plain(claims.get("iss")) not in (issuer, issuer.removeprefix("https://")):
        raise BadEvent("invalid_issuer", "The token is of another issuer.")
    if client_id is None or client_id not in audiences:
        raise BadEvent("invalid_audience", "The token is not for this client.")
    if isinstance(issued_at, bool) or not isinstance(issued_at, int | float):
        raise BadEvent("invalid_request", "The token does not say when it was issued.")
    if not now - OLDEST <= issued_at <= now + SOONEST:
        raise BadEvent("invalid_request", "The token was issued too long ago, or in the future.")
    jti, events = claims.get("jti"), claims.get("events")
    if not isinstance(jti, str) or not 0 < len(jti) <= LONGEST_ID or not isinstance(events, dict) or not events:
        raise BadEvent("invalid_request", "The token has no jti or no events.")


def _sender(body: Mapping[str, Any], pins: frozenset[str]) -> _Sender:
    """Its keys may stand at a pinned origin alone."""
    issuer, jwks = _plain(body.get("issuer")), body.get("jwks_uri")
    if not isinstance(jwks, str) or origin(jwks) not in pins or f"{issuer}" not in pins:
        raise ProviderUnavailable("The sender's configuration is not its own, or names no keys.", status=503)
    return _Sender(str(issuer), jwks)


def _plain(issuer: object) -> str | None:
    """With and without a slash at its end both occur (docs/facts/google.md §2.2, 5)."""
    return issuer.rstrip("/") if isinstance(issuer, str) else None


def _metadata_url(issuer: str) -> str:
    return f"{_https(issuer).rstrip('/')}/.well-known/openid-configuration"


def _https(url: str) -> str:
    """A development issuer on loopback is reached through the origin map, under its https name."""
    return "https" + url[4:] if url.startswith("http://") and is_loopback(url) else url


def _endpoints(issuer: str, metadata: Mapping[str, Any]) -> Endpoints:
    def address(name: str) -> str | None:
        value = metadata.get(name)
        url = _https(value) if isinstance(value, str) else None
        return url if url and url.startswith("https://") else None

    found = {name: address(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
    if metadata.get("issuer") != issuer or not all(found.values()):
        raise ProviderUnavailable("The issuer's metadata is not its own, or lacks an endpoint.", retryable=False)
    return Endpoints(
        issuers=(issuer,),
        authorization=str(found["authorization_endpoint"]),
        token=str(found["token_endpoint"]),
        jwks=str(found["jwks_uri"]),
        revocation=address("revocation_endpoint"),
        userinfo=address("userinfo_endpoint"),
        issuer_in_callback=metadata.get("authorization_response_iss_parameter_supported") is True,
        scopes_supported=frozenset(_texts(metadata, "scopes_supported")),
        auth_methods_supported=tuple(_texts(metadata, "token_endpoint_auth_methods_supported")),
    )


def _texts(metadata: Mapping[str, Any], name: str) -> list[str]:
    listed = metadata.get(name)
    return [text for text in listed if isinstance(text, str)] if isinstance(listed, list) else []
