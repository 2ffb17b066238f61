"""What a test can do to the fake Instagram itself, beside the calls that every fake has (broker/sandbox/control.py).

- `POST /_sandbox/revoke` `{"account", "app"?, "url"?, …}`: the user removes every app on instagram.com, or one; with
  `url` the app is told by a deauthorize request → `{"ended", "answer"}`
- `POST /_sandbox/delete-data` `{"account", "app", "url", …}`: the user asks for deletion → `{"answer"}`
- `POST /_sandbox/kill` `{"why", "account"?, "app"?}`: tokens die and the authorization stays → `{"killed"}`
- `POST /_sandbox/checkpoint` `{"account", "passed"?}`: no token of the account works until the person passed it
- `POST /_sandbox/permissions` `{"account", "app"?, "take"?, "give"?}`: what an app may do changes → `{"permissions"}`
- `POST /_sandbox/webhook` `{"app", "url", "account"?, "field"?, "value"?, "body"?, …}`: sends one → `{"answer"}`
- `POST /_sandbox/verify-webhook` `{"url", "verify_token", "challenge"?}`: asks whether a webhook is the app's
- `POST /_sandbox/apps` `{"app", "secret", "redirect_uris"?}`: registers one; from now on only registered ones pass
- `POST /_sandbox/accounts` `{"username", …}` or `{"count", …}`: makes accounts, or changes how much one holds
- `POST /_sandbox/media` `{"account", "media"?, "comments"?, "delete"?}`: adds, changes or deletes a post
- `POST /_sandbox/records` `{"account", "comment" or "reply" or "message", "of"?}`: adds one of this moment

`account` is an id or a username. What is sent to an app is signed with its Instagram secret, or with `secret`; `answer`
is what came back, `{"status", "body"}`.
"""

import json
import secrets

from flask import Blueprint, Response, abort, jsonify

from broker.sandbox import graph_hooks
from broker.sandbox.control import given, refused, text
from broker.sandbox.graph_fields import Record
from broker.sandbox.graph_hooks import Answer, BadHook
from broker.sandbox.instagram import seed_messages
from broker.sandbox.instagram.apps import App, app_scoped
from broker.sandbox.instagram.grants import EXPIRED, INVALID, PASSWORD
from broker.sandbox.instagram.permissions import ALL, ordered
from broker.sandbox.instagram.seed import Account
from broker.sandbox.instagram.state import instagram

CONTROL = Blueprint("steering", __name__, url_prefix="/_sandbox")

WHY = {"password": PASSWORD, "expired": EXPIRED, "invalid": INVALID}
"""Why tokens die, and the subcode that they are answered with."""

for _status in (400, 404, 415):
    CONTROL.register_error_handler(_status, refused)


@CONTROL.errorhandler(BadHook)
def _bad_hook(error: BadHook) -> tuple[Response, int]:
    return jsonify(error=str(error)), 400


def account() -> Account:
    """That which the call names."""
    return instagram().account(given().get("account")) or abort(404, "there is no such account in the sandbox")


# --- people --------------------------------------------------------------------------------------------------


@CONTROL.post("/revoke")
def revoke() -> Response:
    body = given()
    url = text(body, "url", "")
    with instagram().lock:
        person = account().id
        request = _signed_request(body, person) if url else ""
        ended = instagram().remove(person, text(body, "app", "") or None)
    return jsonify(ended=ended, answer=graph_hooks.post_form(url, {"signed_request": request}) if url else None)


@CONTROL.post("/delete-data")
def delete_data() -> Response:
    body = given()
    with instagram().lock:
        request = _signed_request(body, account().id)
    return jsonify(answer=graph_hooks.post_form(text(body, "url", ""), {"signed_request": request}))


def _signed_request(body: Record, person: str) -> str:
    """Of the app-scoped id; `payload` changes members of it, and null leaves one out."""
    app, changed = text(body, "app", ""), body.get("payload", {})
    if not app or not isinstance(changed, dict):
        abort(400, "app is an app id, payload a JSON object")
    usual = {
        "algorithm": "HMAC-SHA256",
        "issued_at": int(instagram().clock()),
        "user_id": app_scoped(app, person),
    }
    payload = {name: value for name, value in {**usual, **changed}.items() if value is not None}
    return graph_hooks.signed_request(_secret(body, app), payload)


def _secret(body: Record, app: str) -> str:
    known = text(body, "secret", instagram().apps.secret_of(app) or "")
    return known or abort(400, "this app has not come yet: register it, or send secret")


@CONTROL.post("/checkpoint")
def checkpoint() -> Response:
    with instagram().lock:
        held, person = instagram().grants.checkpoints, account().id
        if given().get("passed") is True:
            held.discard(person)
        else:
            held.add(person)
        return jsonify(checkpoints=sorted(held))


@CONTROL.post("/permissions")
def permissions() -> Response:
    body = given()
    taken, added = _names(body, "take"), _names(body, "give")
    with instagram().lock:
        held = instagram().grants.authorizations
        pairs = [pair for pair in held if pair[1] == account().id and body.get("app") in (None, pair[0])]
        for pair in pairs:
            held[pair] = (held[pair] - taken) | added
        return jsonify(permissions={pair[0]: ordered(held[pair]) for pair in pairs})


def _names(body: Record, name: str) -> set[str]:
    names = body.get(name, [])
    if not isinstance(names, list) or not set(map(str, names)) <= set(ALL):
        abort(400, f"{name} is a list of permissions")
    return set(names)


# --- tokens and apps -----------------------------------------------------------------------------------------


@CONTROL.post("/kill")
def kill() -> Response:
    body = given()
    if (why := text(body, "why", "invalid")) not in WHY:
        abort(400, f"why is one of: {', '.join(WHY)}")
    with instagram().lock:
        person = account().id if "account" in body else None
        killed = instagram().grants.kill(
            lambda token: person in (None, token.account) and body.get("app") in (None, token.app), WHY[why]
        )
    return jsonify(killed=killed)


@CONTROL.post("/apps")
def register_app() -> Response:
    body = given()
    app, secret, uris = text(body, "app", ""), text(body, "secret", ""), body.get("redirect_uris", [])
    if not app or not secret:
        abort(400, "app and secret are texts")
    if not isinstance(uris, list) or not all(isinstance(uri, str) for uri in uris):
        abort(400, "redirect_uris is a list of texts")
    with instagram().lock:
        instagram().apps.register(app, App(secret, tuple(uris)))
    return jsonify({})


@CONTROL.post("/webhook")
def webhook() -> Response:
    """`body` is sent as it is, where given; `signature` in place of the right one, and none where it is null."""
    asked = given()
    with instagram().lock:
        secret = _secret(asked, text(asked, "app", ""))
        body = asked["body"] if isinstance(asked.get("body"), str) else json.dumps(_event(asked))
    raw = body.encode()
    right = graph_hooks.hub_signature(secret, raw)
    signature = asked.get("signature", right)
    headers = {} if signature is None else {"X-Hub-Signature-256": str(signature)}
    return jsonify(answer=graph_hooks.post_json(text(asked, "url", ""), raw, headers))


def _event(asked: Record) -> Record:
    """One change of one account, by the id of the professional account. Messages come in a list of their own (§5): the
    newest of the newest conversation, where no value is given."""
    field, now = text(asked, "field", "comments"), int(instagram().clock())
    entry: Record = {"id": account().id, "time": now}
    if field == "messages" and "value" not in asked:
        entry["messaging"] = [_newest_message(now)]
    else:
        entry["changes"] = [{"field": field, "value": asked.get("value", {})}]
    return {"object": "instagram", "entry": [entry]}


def _newest_message(now: int) -> Record:
    series = account().conversations
    talk = series.get(next(series.below(None), 0)) or abort(404, "the account has no conversation")
    newest = next(iter(seed_messages.messages(talk)), None) or abort(404, "the conversation has no message")
    ids = {"sender": {"id": newest["from"]["id"]}, "recipient": {"id": account().id}, "timestamp": now * 1000}
    return {**ids, "message": {"mid": newest["id"], "text": newest["message"]}}


@CONTROL.post("/verify-webhook")
def verify_webhook() -> Response:
    body = given()
    challenge = text(body, "challenge", str(secrets.randbelow(10**9)))
    answer: Answer = graph_hooks.verify(text(body, "url", ""), text(body, "verify_token", ""), challenge)
    return jsonify(answer=answer, challenge=challenge)
