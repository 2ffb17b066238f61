"""The token endpoint: codes, long-lived tokens, app tokens (docs/facts/meta.md §1.3, §1.6). GET and POST alike."""

from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, jsonify, make_response, request

from broker.sandbox.facebook.grants import Token
from broker.sandbox.facebook.state import facebook
from broker.sandbox.graph import GraphError
from broker.sandbox.journal import note

ENDPOINTS = Blueprint("tokens", __name__)


@ENDPOINTS.route("/oauth/access_token", methods=["GET", "POST"])
def access_token() -> Response:
    """No answer has a refresh token, nor says what was granted."""
    given = request.values
    app = given.get("client_id", "")
    note(client=app or None)
    with facebook().lock:
        _authenticate(app)
        grant_type = given.get("grant_type", "authorization_code")
        if grant_type == "client_credentials":
            return _answered({"access_token": f"{app}|{given['client_secret']}", "token_type": "bearer"})
        if grant_type == "fb_exchange_token":
            if not given.get("fb_exchange_token"):
                raise GraphError(1, "fb_exchange_token parameter not specified")
            token = facebook().grants.lengthen(app, given["fb_exchange_token"])
        elif grant_type == "authorization_code":
            token = _redeemed(app)
        else:
            raise GraphError(1, f"Invalid grant_type: {grant_type}")
        note(account=token.person, token=token.value)
        return _answered({"access_token": token.value, "token_type": "bearer", **_end(token)})


def _authenticate(app: str) -> None:
    secret = request.values.get("client_secret")
    if not app or facebook().apps.get(app) is None:
        raise GraphError(101, "Error validating application. Cannot get application info due to a system error.")
    if not secret:
        raise GraphError(101, "Missing client_secret parameter.")
    if not facebook().apps.authenticates(app, secret):
        raise GraphError(1, "Error validating client secret.")


def _redeemed(app: str) -> Token:
    given = request.values
    for name in ("redirect_uri", "code"):
        if not given.get(name):
            raise GraphError(191 if name == "redirect_uri" else 1, f"Missing {name} parameter.")
    return facebook().grants.redeem(app, given["code"], given["redirect_uri"], given.get("code_verifier"))


def _end(token: Token) -> dict[str, Any]:
    """`expires_in`; tokens of system users do not say it."""
    told = facebook().quirks.get("expires_in")
    if told is not None:
        return {} if told == "absent" else {"expires_in": told}
    return {} if token.expires_at is None else {"expires_in": round(token.expires_at - facebook().clock())}


def _answered(members: dict[str, Any]) -> Response:
    if not facebook().quirks.get("token_form_encoded"):
        return jsonify(members)
    found = {("expires" if name == "expires_in" else name): value for name, value in members.items()}
    response = make_response(urlencode(found))
    response.headers["Content-Type"] = "text/plain; charset=UTF-8"
    return response
