"""`debug_token`: what Facebook itself says of a token (docs/facts/meta.md §1.8)."""

from typing import Any

from flask import Blueprint, Response, jsonify, request

from broker.sandbox.facebook.access import caller
from broker.sandbox.facebook.grants import Grant, Token
from broker.sandbox.facebook.permissions import ordered
from broker.sandbox.facebook.seed import user_id
from broker.sandbox.facebook.state import facebook
from broker.sandbox.graph import GraphError, bad_parameter, digits

ENDPOINTS = Blueprint("debug", __name__)


@ENDPOINTS.get("/debug_token")
def debug_token() -> Response:
    """For an app token, or a token of the same app."""
    with facebook().lock:
        found, value = caller(lively=False), request.args.get("input_token")
        if not value:
            raise bad_parameter("The parameter input_token is required.")
        token = facebook().grants.tokens.get(value)
        if token is None:
            return jsonify(data=_dead(190, None, "Invalid OAuth access token - Cannot parse access token"))
        if token.app != found.app.id:
            return jsonify(data=_dead(100, None, "The App_id in the input_token did not match the Viewing App"))
        return jsonify(data=_described(token))


def _dead(code: int, subcode: int | None, message: str) -> dict[str, Any]:
    error = {"code": code, "message": message}
    return {"error": error if subcode is None else {**error, "subcode": subcode}, "is_valid": False, "scopes": []}


def _described(token: Token) -> dict[str, Any]:
    facts = {**_about(token), "scopes": [], "is_valid": False}
    try:
        facebook().check(token)
    except GraphError as error:
        return {**facts, **_dead(error.code, error.subcode, error.message)}
    grant = facebook().grants.of[token.app, token.person]
    return {**facts, "is_valid": True, "scopes": ordered(grant.granted), **_granular(grant)}


def _about(token: Token) -> dict[str, Any]:
    """What holds of a dead one too."""
    app: int | str = "999000999000999" if facebook().quirks.get("other_app") else token.app
    user: int | str = user_id(token.app, token.person)
    if facebook().quirks.get("numeric_ids"):
        app, user = int(app) if str(app).isdigit() else app, int(user)
    grant = facebook().grants.of.get((token.app, token.person))
    ends = 0 if grant is None or facebook().people[token.person].system else int(grant.data_access_ends)
    found: dict[str, Any] = {
        "app_id": app,
        "type": token.kind,
        "application": f"App {digits(4, token.app)}",
        "data_access_expires_at": ends,
        "expires_at": 0 if token.expires_at is None else int(token.expires_at),
        "issued_at": int(token.issued_at),
        "user_id": user,
    }
    if token.page:
        found["profile_id"] = token.page
    return {**found, "metadata": token.metadata} if token.metadata else found


def _granular(grant: Grant) -> dict[str, Any]:
    """`target_ids` is left out where a permission is not limited: for all, now and later."""
    form = facebook().quirks.get("granular_scopes")
    if form == "absent":
        return {}
    found: list[dict[str, Any]] = []
    for permission in ordered(grant.granted):
        targets = grant.target_ids(permission)
        if targets is None and form != "empty":
            found.append({"scope": permission})
        else:
            found.append({"scope": permission, "target_ids": sorted(targets or ())})
    return {"granular_scopes": found}
