"""The code exchange, the long-lived exchange and the refresh (docs/facts/meta.md §3.1).

The exchange of a code stands on api.instagram.com and fails with flat errors; the others stand on graph.instagram.com,
by GET alone, and fail as the Graph does.
"""

from typing import Any

from flask import Blueprint, Response, jsonify, request

from broker.sandbox.graph import GraphError
from broker.sandbox.instagram.access import caller
from broker.sandbox.instagram.apps import app_scoped
from broker.sandbox.instagram.errors import bad, flat
from broker.sandbox.instagram.grants import CodeRefused, Token, TokenUnfit
from broker.sandbox.instagram.state import instagram
from broker.sandbox.journal import note

EXCHANGE = Blueprint("exchange", __name__)
TOKENS = Blueprint("tokens", __name__)


class FlatError(Exception):
    """What the code exchange ends with."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message, self.status = message, status


@EXCHANGE.errorhandler(FlatError)
def _flat(error: FlatError) -> tuple[Response, int]:
    body = flat(error.status, error.message)
    return _private(jsonify(body)), error.status


def _private(response: Response) -> Response:
    response.headers["Cache-Control"] = "private, no-cache, no-store, must-revalidate"
    return response


@EXCHANGE.post("/oauth/access_token")
def exchange() -> Response:
    """A code for a short-lived token."""
    form = request.form
    app = form.get("client_id", "")
    note(client=app)
    if refusal := instagram().quirks.token_error("authorization_code"):
        raise FlatError(refusal["error_message"], refusal.get("code", 400))
    missing = [
        name for name in ("client_id", "client_secret", "grant_type", "redirect_uri", "code") if not form.get(name)
    ]
    if missing:
        raise FlatError(f"Missing: {', '.join(missing)}")
    if form["grant_type"] != "authorization_code":
        raise FlatError("grant_type must be authorization_code")
    with instagram().lock:
        if not instagram().apps.authenticates(app, form["client_secret"]):
            raise FlatError("client_id and client_secret do not belong together")
        try:
            token = instagram().grants.redeem(app, form["code"], form["redirect_uri"])
        except CodeRefused as refused:
            raise FlatError(str(refused)) from None
        return _private(jsonify(_answer(token)))


@EXCHANGE.get("/oauth/access_token")
def exchange_by_get() -> Response:
    raise FlatError("The code is exchanged by POST", 405)


def _answer(token: Token) -> dict[str, Any]:
    """The documented form, in which the id is a text, or the flat one, in which it is a number."""
    note(account=token.account, token=token.value)
    quirks, permissions = instagram().quirks, instagram().grants.told(token)
    form = quirks.get("token_answer", "wrapped")
    user_id = token.account if quirks.get("professional_user_id") else app_scoped(token.app, token.account)
    answer: dict[str, Any] = {"access_token": token.value, "user_id": user_id if form == "wrapped" else int(user_id)}
    if not quirks.get("omit_permissions"):
        answer["permissions"] = permissions if form == "flat_list" else ",".join(permissions)
    return {"data": [answer]} if form == "wrapped" else answer


@TOKENS.get("/access_token")
def lengthen() -> Response:
    """`ig_exchange_token`."""
    with instagram().lock:
        token = _asked("ig_exchange_token")
        if not instagram().apps.authenticates(token.app, request.args.get("client_secret", "")):
            raise GraphError(1, "Error validating client secret.")
        try:
            return _lasting(instagram().grants.lengthen(token))
        except TokenUnfit as unfit:
            raise bad(str(unfit)) from None


@TOKENS.get("/refresh_access_token")
def refresh() -> Response:
    """`ig_refresh_token`: whoever holds the token can do it."""
    with instagram().lock:
        token = _asked("ig_refresh_token")
        try:
            return _lasting(instagram().grants.refresh(token))
        except TokenUnfit as unfit:
            raise bad(str(unfit)) from None


def _asked(grant_type: str) -> Token:
    if request.args.get("grant_type") != grant_type:
        raise bad(f"grant_type must be {grant_type}")
    return caller().token


def _lasting(token: Token) -> Response:
    """`expires_in` is what the token will live, unless a quirk says something else."""
    note(token=token.value)
    said = instagram().quirks.get("expires_in", round(token.expires_at - instagram().clock()))
    answer = {"access_token": token.value, "token_type": "bearer", "expires_in": said}
    return _private(jsonify({name: value for name, value in answer.items() if value != "absent"}))
