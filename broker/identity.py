"""OpenID: an issuer's metadata, its keys, and the verified id_token. An unverified claim never leaves this module.

Everything is fetched through `broker.upstream`, pinned to the issuer that the operator configured, and kept for
a while. docs/facts/google.md §1.11, docs/facts/security.md STD-18, STD-36.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NewType

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

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

Claims = NewType("Claims", Mapping[str, Any])
"""Claims of an id_token whose signature, issuer, audience, nonce and times were checked."""


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
