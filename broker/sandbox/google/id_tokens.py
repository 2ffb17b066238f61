"""Google's signing keys and the id_tokens made with them (docs/facts/google.md §1.11)."""

import base64
import hashlib
import json
import secrets
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey

ISSUER = "https://accounts.google.com"

Claims = dict[str, Any]


def at_hash(access_token: str) -> str:
    """OpenID Connect Core §3.1.3.6, for RS256."""
    return _base64url(hashlib.sha256(access_token.encode()).digest()[:16])


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def _new_key() -> RSAKey:
    """A key id is never used twice: whoever cached the keys of an earlier run must see that these are others."""
    return RSAKey.generate_key(2048, {"kid": secrets.token_hex(20), "alg": "RS256", "use": "sig"}, private=True)


class Keys:
    """Two keys at a time; the first signs. Not thread-safe: the caller holds the sandbox's lock."""

    def __init__(self) -> None:
        self._keys = [_new_key(), _new_key()]

    def rotate(self) -> None:
        """A new key signs, the one before stays published, the oldest goes."""
        self._keys = [_new_key(), self._keys[0]]

    def published(self) -> dict[str, Any]:
        return {"keys": [key.as_dict(private=False) for key in self._keys]}

    def signed(self, claims: Claims, fault: str | None) -> str | None:
        """The id_token, with the `bad_id_token` quirk's fault if one is given."""
        if fault == "missing":
            return None
        claims = _spoiled(claims, fault)
        if fault == "alg_none":
            parts = ({"alg": "none", "typ": "JWT"}, claims)
            return "".join(_base64url(json.dumps(part).encode()) + "." for part in parts)
        header = {"alg": "RS256", "kid": self._keys[0].kid, "typ": "JWT"}
        key = _new_key() if fault == "bad_signature" else self._keys[0]
        return jwt.encode(header, claims, key)

    def verified(self, id_token: str) -> Claims | None:
        """The claims of a token that one of these keys signed."""
        try:
            keys = KeySet([*self._keys])
            return dict(jwt.decode(id_token, keys, algorithms=["RS256"]).claims)
        except (JoseError, ValueError):
            return None


def _spoiled(claims: Claims, fault: str | None) -> Claims:
    spoilt: dict[str | None, Claims] = {
        "wrong_aud": {"aud": "somebody-else.apps.example", "azp": "somebody-else.apps.example"},
        "wrong_nonce": {"nonce": "NONCE-OF-SOMEBODY-ELSE"},
        "wrong_iss": {"iss": "https://accounts.example.net"},
        "expired": {"iat": claims["iat"] - 7200, "exp": claims["iat"] - 3600},
    }
    return {**claims, **spoilt.get(fault, {})}
