"""Who the user is: id_tokens, keys, userinfo, tokeninfo, discovery (docs/facts/google.md §1.10 to §1.12)."""

from typing import Any

from flask import Blueprint, Response, jsonify, request

from broker.sandbox.google.access import bearer
from broker.sandbox.google.grants import Issued, TokenError
from broker.sandbox.google.id_tokens import ISSUER, at_hash
from broker.sandbox.google.scopes import EMAIL, PROFILE, SIGN_IN
from broker.sandbox.google.seed import Account
from broker.sandbox.google.state import google
from broker.sandbox.google.token_store import Token

IDENTITY = Blueprint("identity", __name__)

KEYS_MAX_AGE = 3600
"""Seconds that a caller may keep the keys."""


def private(response: Response) -> Response:
    """Not to be cached."""
    response.headers["Cache-Control"] = "no-cache, no-store, max-age=0, must-revalidate"
    return response


def id_token(issued: Issued, account: Account) -> str | None:
    """§1.11. Of a refresh without the nonce (OpenID Connect Core §12.2)."""
    access, quirks, now = issued.access, google().quirks, int(google().clock())
    claims = {
        "iss": "accounts.google.com" if quirks.get("iss_without_scheme") else ISSUER,
        "azp": access.client,
        "aud": access.client,
        **_identity(access, account),
        "at_hash": at_hash("ANOTHER" if quirks.get("bad_at_hash") else access.value),
        "iat": now,
        "exp": now + 3600,
    }
    if account.hd:
        claims["hd"] = account.hd
    if issued.nonce is not None:
        claims["nonce"] = issued.nonce
    return google().keys.signed(claims, quirks.get("bad_id_token"))


def _identity(access: Token, account: Account) -> dict[str, Any]:
    """`sub` always, the rest by scope (§1.10)."""
    found: dict[str, Any] = {"sub": account.sub}
    if EMAIL in access.scopes:
        verified = "true" if google().quirks.get("email_verified_as_text") else True
        found |= {"email": account.email, "email_verified": verified}
    if PROFILE in access.scopes:
        found |= {"name": account.name, "given_name": account.given_name, "family_name": account.family_name}
        found["picture"] = account.picture
    return found


@IDENTITY.get("/oauth2/v3/certs")
def certs() -> Response:
    with google().lock:
        response = jsonify(google().keys.published())
    response.headers["Cache-Control"] = f"public, max-age={KEYS_MAX_AGE}, must-revalidate, no-transform"
    return response


@IDENTITY.get("/v1/userinfo")
@IDENTITY.get("/oauth2/v3/userinfo")
def userinfo() -> Response:
    return private(jsonify(_about_user()))


@IDENTITY.get("/oauth2/v2/userinfo")
@IDENTITY.get("/userinfo/v2/me")
def userinfo_older() -> Response:
    """The older form: `id` and `verified_email` (§1.10)."""
    older = {"sub": "id", "email_verified": "verified_email"}
    return private(jsonify({older.get(name, name): value for name, value in _about_user().items()}))


def _about_user() -> dict[str, Any]:
    access = bearer("oauth2.googleapis.com", "userinfo", SIGN_IN)
    with google().lock:
        account = google().accounts[access.account]
        return _identity(access, account) | ({"hd": account.hd} if account.hd else {})


@IDENTITY.route("/tokeninfo", methods=["GET", "POST"])
def tokeninfo() -> Response:
    """Numbers arrive as texts (§1.10)."""
    with google().lock:
        if given := request.values.get("id_token"):
            claims = google().keys.verified(given)
        else:
            claims = _about_token(google().grants.access.get(request.values.get("access_token", "")))
    if claims is None:
        raise TokenError("invalid_token", "Invalid Value")
    return private(jsonify({name: _text(value) for name, value in claims.items()}))


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _about_token(access: Token | None) -> dict[str, Any] | None:
    if access is None:
        return None
    expires_at = int(access.expires_at or 0)
    return {
        "azp": access.client,
        "aud": access.client,
        **_identity(access, google().accounts[access.account]),
        "scope": " ".join(sorted(access.scopes)),
        "exp": expires_at,
        "expires_in": expires_at - int(google().clock()),
        "access_type": "offline",
    }


@IDENTITY.get("/.well-known/openid-configuration")
def discovery() -> Response:
    """Without `authorization_response_iss_parameter_supported`, as at Google (§1.3, §1.12)."""
    return jsonify(
        issuer=ISSUER,
        authorization_endpoint=f"{ISSUER}/o/oauth2/v2/auth",
        token_endpoint="https://oauth2.googleapis.com/token",  # noqa: S106 - an address
        userinfo_endpoint="https://openidconnect.googleapis.com/v1/userinfo",
        revocation_endpoint="https://oauth2.googleapis.com/revoke",
        jwks_uri="https://www.googleapis.com/oauth2/v3/certs",
        response_types_supported=["code"],
        subject_types_supported=["public"],
        id_token_signing_alg_values_supported=["RS256"],
        scopes_supported=["openid", "email", "profile"],
        token_endpoint_auth_methods_supported=["client_secret_post", "client_secret_basic"],
        code_challenge_methods_supported=["plain", "S256"],
        claims_supported=[
            *("aud", "email", "email_verified", "exp", "family_name", "given_name"),
            *("iat", "iss", "name", "picture", "sub"),
        ],
        grant_types_supported=["authorization_code", "refresh_token"],
    )
