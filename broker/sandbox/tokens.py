"""Google's token, revocation, key and identity endpoints (docs/facts/google.md §1.4, §1.7, §1.9 to §1.12)."""

from typing import Any

from flask import Blueprint, Response, jsonify, request

from broker.sandbox.envelopes import ApiError, scope_insufficient, unauthenticated
from broker.sandbox.grants import ALIASES, SIGN_IN, Issued, Token, TokenError
from broker.sandbox.id_tokens import ISSUER, at_hash
from broker.sandbox.seed import Account
from broker.sandbox.state import google

ENDPOINTS = Blueprint("tokens", __name__)

KEYS_MAX_AGE = 3600

EMAIL, PROFILE = ALIASES["email"], ALIASES["profile"]


@ENDPOINTS.errorhandler(TokenError)
def _refused(error: TokenError) -> tuple[Response, int]:
    return _private(jsonify(error.body)), error.status


def _private(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-cache, no-store, max-age=0, must-revalidate"
    return response


@ENDPOINTS.post("/token")
def token() -> Response:
    """RFC 6749 §4.1.3 and §6."""
    grant_type = request.form.get("grant_type", "")
    if error := google().quirks.token_error(grant_type):
        raise TokenError(
            error["error"],
            error.get("error_description"),
            status=error.get("status", 400),
            subtype=error.get("error_subtype"),
        )
    with google().lock:
        client = _client()
        if grant_type == "authorization_code":
            return _private(jsonify(_redeemed(client)))
        if grant_type == "refresh_token":
            return _private(jsonify(_renewed(client)))
    raise TokenError("unsupported_grant_type", f"Invalid grant_type: {grant_type}")


def _client() -> str:
    """`client_secret_basic` or `client_secret_post`; any pair is right unless the sandbox was told its clients."""
    basic = request.authorization
    given = basic if basic and basic.type == "basic" else None
    client = given.username if given else request.form.get("client_id")
    secret = given.password if given else request.form.get("client_secret")
    if not client or not secret:
        missing = "client_secret" if client else "client_id"
        raise TokenError("invalid_request", f"{missing} is missing.")
    clients = google().clients
    if clients is not None and clients.get(client) != secret:
        raise TokenError("invalid_client", "Unauthorized", status=401)
    return client


def _redeemed(client: str) -> dict[str, Any]:
    form = request.form
    if not form.get("code"):
        raise TokenError("invalid_request", "Missing required parameter: code")
    issued = google().grants.redeem(client, form["code"], form.get("redirect_uri"), form.get("code_verifier"))
    return _answer(issued, google().accounts[issued.access.account])


def _renewed(client: str) -> dict[str, Any]:
    form = request.form
    if not form.get("refresh_token"):
        raise TokenError("invalid_request", "Missing required parameter: refresh_token")
    asked = form["scope"].split() if form.get("scope") else None
    issued = google().grants.renew(client, form["refresh_token"], asked)
    account = google().accounts[issued.access.account]
    if google().quirks.get("other_sub_on_refresh"):
        account = next(other for other in google().accounts.values() if other is not account)
    return _answer(issued, account)


def _answer(issued: Issued, account: Account) -> dict[str, Any]:
    access, refresh = issued.access, issued.refresh
    answer: dict[str, Any] = {
        "access_token": access.value,
        "expires_in": int((access.expires_at or 0) - google().clock()),
        "token_type": "Bearer",
    }
    if not google().quirks.get("omit_scope"):
        answer["scope"] = " ".join(sorted(access.scopes))
    if refresh:
        answer["refresh_token"] = refresh.value
        if refresh.expires_at is not None:
            answer["refresh_token_expires_in"] = int(refresh.expires_at - google().clock())
    if access.scopes & SIGN_IN and (id_token := _id_token(issued, account)):
        answer["id_token"] = id_token
    return answer


def _id_token(issued: Issued, account: Account) -> str | None:
    """§1.11. Of a refresh without the nonce (OpenID Connect Core §12.2)."""
    access, now = issued.access, int(google().clock())
    claims = {
        "iss": ISSUER,
        "azp": access.client,
        "aud": access.client,
        **_identity(access, account),
        "at_hash": at_hash(access.value),
        "iat": now,
        "exp": now + 3600,
    }
    if account.hd:
        claims["hd"] = account.hd
    if issued.nonce is not None:
        claims["nonce"] = issued.nonce
    return google().keys.signed(claims, google().quirks.get("bad_id_token"))


def _identity(access: Token, account: Account) -> dict[str, Any]:
    """`sub` always, the rest by scope (§1.10)."""
    found: dict[str, Any] = {"sub": account.sub}
    if EMAIL in access.scopes:
        found |= {"email": account.email, "email_verified": True}
    if PROFILE in access.scopes:
        found |= {"name": account.name, "given_name": account.given_name, "family_name": account.family_name}
    return found


@ENDPOINTS.route("/revoke", methods=["POST"])
def revoke() -> Response:
    """`token` in the query or the body; a client does not authenticate (§1.7)."""
    value = request.values.get("token")
    if not value:
        raise TokenError("invalid_request", "Missing required parameter: token")
    with google().lock:
        google().grants.revoke(value)
    return _private(jsonify({}))


@ENDPOINTS.get("/revoke")
def revoke_by_get() -> tuple[str, int]:
    """Not 405: the real host knows no such page."""
    return "Not Found", 404


@ENDPOINTS.get("/oauth2/v3/certs")
def certs() -> Response:
    with google().lock:
        response = jsonify(google().keys.published())
    response.headers["Cache-Control"] = f"public, max-age={KEYS_MAX_AGE}, must-revalidate, no-transform"
    return response


@ENDPOINTS.get("/v1/userinfo")
@ENDPOINTS.get("/oauth2/v3/userinfo")
def userinfo() -> Response:
    access = bearer("oauth2.googleapis.com", "userinfo", SIGN_IN)
    with google().lock:
        return _private(jsonify(_identity(access, google().accounts[access.account])))


@ENDPOINTS.get("/oauth2/v2/userinfo")
def userinfo_older() -> Response:
    """The older form: `id` and `verified_email` (§1.10)."""
    access = bearer("oauth2.googleapis.com", "userinfo", SIGN_IN)
    with google().lock:
        found = _identity(access, google().accounts[access.account])
    older = {"sub": "id", "email_verified": "verified_email"}
    return _private(jsonify({older.get(name, name): value for name, value in found.items()}))


@ENDPOINTS.route("/tokeninfo", methods=["GET", "POST"])
def tokeninfo() -> Response:
    """Numbers arrive as texts (§1.10)."""
    with google().lock:
        if id_token := request.values.get("id_token"):
            claims = google().keys.verified(id_token)
        else:
            claims = _about(google().grants.live_access(request.values.get("access_token", "")))
    if claims is None:
        raise TokenError("invalid_token", "Invalid Value")
    return _private(jsonify({name: _text(value) for name, value in claims.items()}))


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _about(access: Token | None) -> dict[str, Any] | None:
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


@ENDPOINTS.get("/.well-known/openid-configuration")
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
        grant_types_supported=["authorization_code", "refresh_token"],
    )


def bearer(service: str, method: str, accepted: frozenset[str]) -> Token:
    """The live token of this request, which holds one of `accepted`. Raises `ApiError` (§5.8)."""
    given = request.authorization
    with google().lock:
        value = given.token if given and given.type == "bearer" else None
        access = google().grants.live_access(value) if value else None
    if access is None:
        raise unauthenticated(service)
    if not access.scopes & accepted:
        raise scope_insufficient(service, method)
    return access


def api_error(error: ApiError) -> Response:
    """Renders what a data call ended with."""
    response = jsonify(error.body)
    response.status_code = error.status
    response.headers.update(error.headers)
    return response
