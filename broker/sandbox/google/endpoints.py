"""Google's token and revocation endpoints (docs/facts/google.md §1.4, §1.7, §1.9)."""

from typing import Any

from flask import Blueprint, Response, jsonify, request

from broker.sandbox.google.grants import Issued, TokenError
from broker.sandbox.google.identity import id_token, private
from broker.sandbox.google.scopes import SHORT, SIGN_IN
from broker.sandbox.google.seed import Account
from broker.sandbox.google.state import google
from broker.sandbox.journal import note

ENDPOINTS = Blueprint("endpoints", __name__)


def refused(error: TokenError) -> tuple[Response, int]:
    """Renders what a call of these endpoints ended with."""
    return private(jsonify(error.body)), error.status


@ENDPOINTS.post("/token")
def token() -> Response:
    """RFC 6749 §4.1.3 and §6."""
    grant_type = request.form.get("grant_type", "")
    note(client=_claimed()[0])
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
            return private(jsonify(_redeemed(client)))
        if grant_type == "refresh_token":
            return private(jsonify(_renewed(client)))
    if not grant_type:
        raise TokenError("invalid_request", "Required parameter is missing: grant_type")
    raise TokenError("unsupported_grant_type", f"Invalid grant_type: {grant_type}")


def _claimed() -> tuple[str | None, str | None]:
    """Id and secret by `client_secret_basic` or `client_secret_post`."""
    basic = request.authorization
    if basic and basic.type == "basic":
        return basic.username, basic.password
    return request.form.get("client_id"), request.form.get("client_secret")


def _client() -> str:
    """Any pair is right unless the sandbox was told its clients."""
    client, secret = _claimed()
    if not client or not secret:
        missing = "client_secret" if client else "client_id"
        raise TokenError("invalid_request", f"{missing} is missing.")
    if not google().clients.authenticates(client, secret):
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
    access, refresh, quirks = issued.access, issued.refresh, google().quirks
    note(account=access.account, token=access.value)
    answer: dict[str, Any] = {
        "access_token": access.value,
        "expires_in": int((access.expires_at or 0) - google().clock()),
        "token_type": "Bearer",
    }
    if not quirks.get("omit_scope"):
        answer["scope"] = spelt(access.scopes)
    if refresh:
        answer["refresh_token"] = refresh.value
        if refresh.expires_at is not None and not quirks.get("testing_status"):
            answer["refresh_token_expires_in"] = int(refresh.expires_at - google().clock())
    if access.scopes & SIGN_IN and (signed := id_token(issued, account)):
        answer["id_token"] = signed
    return answer


def spelt(scopes: frozenset[str]) -> str:
    """As the wire has them: sorted, and so hardly ever in the order in which they were asked."""
    short = google().quirks.get("short_scopes")
    return " ".join(sorted(SHORT.get(scope, scope) if short else scope for scope in scopes))


@ENDPOINTS.post("/revoke")
def revoke() -> Response:
    """`token` in the query or the body; a client does not authenticate (§1.7)."""
    value = request.values.get("token")
    if not value:
        raise TokenError("invalid_request", "Missing required parameter: token")
    note(token=value)
    with google().lock:
        ended = google().grants.revoke(value)
    note(client=ended.client, account=ended.account)
    return private(jsonify({}))


@ENDPOINTS.get("/revoke")
def revoke_by_get() -> tuple[str, int]:
    """Not 405: the real host knows no such page."""
    return "Not Found", 404
