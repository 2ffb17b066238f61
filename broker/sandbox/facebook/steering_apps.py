"""Apps, and the webhooks that are sent to them; a part of what a test can call (steering.py).

- `POST /_sandbox/apps` `{"app", "secret"?, "redirect_uris"?, "scopes"?, "require_app_secret"?}`: registers one, or
  changes it; from now on only registered ones pass
- `POST /_sandbox/configurations` `{"config_id", "scopes", "kind"?, "app"?}`: a login configuration, of one app or of
  whichever comes; `kind` is `user` or `system_user`
- `POST /_sandbox/webhook` `{"app", "url", "event" or "body", …}`: sends one → `{"answer", "sent"}`
- `POST /_sandbox/verify-webhook` `{"url", "verify_token", "challenge"?}`: asks whether a webhook is the app's
"""

import json
import secrets
from collections.abc import Callable

from flask import Blueprint, Response, abort, jsonify

from broker.sandbox import graph_hooks
from broker.sandbox.control import given, refused, text
from broker.sandbox.facebook.apps import Configuration
from broker.sandbox.facebook.permissions import MEANINGS
from broker.sandbox.facebook.seed import Page, user_id
from broker.sandbox.facebook.seed_sales import customer
from broker.sandbox.facebook.state import facebook
from broker.sandbox.facebook.steering import account, names, page, secret_of
from broker.sandbox.graph_paging import Record

CONTROL = Blueprint("steering_apps", __name__, url_prefix="/_sandbox")

for _status in (400, 404, 415):
    CONTROL.register_error_handler(_status, refused)


@CONTROL.post("/apps")
def register_app() -> Response:
    """What is not named stays."""
    body = given()
    name = text(body, "app", "") or abort(400, "app is an app id")
    with facebook().lock:
        app = facebook().apps.register(name)
        app.secret = text(body, "secret", app.secret or "") or abort(400, "secret is a text")
        if "redirect_uris" in body:
            app.redirect_uris = tuple(names(body, "redirect_uris"))
        if "scopes" in body:
            app.scopes = frozenset(names(body, "scopes", MEANINGS))
        app.require_app_secret = bool(body.get("require_app_secret", app.require_app_secret))
    return jsonify({})


@CONTROL.post("/configurations")
def configure() -> Response:
    body = given()
    name = text(body, "config_id", "") or abort(400, "config_id is a text")
    if (kind := text(body, "kind", "user")) not in ("user", "system_user"):
        abort(400, "kind is user or system_user")
    scopes = frozenset(names(body, "scopes", MEANINGS))
    if not scopes - {"email", "public_profile"}:
        abort(400, "scopes holds one permission at least beside email and public_profile")
    with facebook().lock:
        app = text(body, "app", "") or None
        if app and facebook().apps.get(app) is None:
            abort(404, "there is no such app in the sandbox")
        facebook().apps.configure(app, Configuration(name, scopes, kind == "system_user"))
    return jsonify({})


# --- webhooks ------------------------------------------------------------------------------------------------


@CONTROL.post("/webhook")
def webhook() -> Response:
    """`body` is sent as it is. `signature` stands in place of the right one, and none is sent where it is null; `sha1`:
    the older header alone. `copies`: how often the change stands in the one delivery. `values`: false leaves the
    values out, as with the setting of that name."""
    asked = given()
    with facebook().lock:
        secret = secret_of(asked, text(asked, "app", ""))
        body = asked["body"] if isinstance(asked.get("body"), str) else json.dumps(_event(asked))
    raw = body.encode()
    answer = graph_hooks.post_json(text(asked, "url", ""), raw, _signed(asked, secret, raw))
    return jsonify(answer=answer, sent=body)


def _signed(asked: Record, secret: str, raw: bytes) -> dict[str, str]:
    if asked.get("sha1") is True:
        return {"X-Hub-Signature": graph_hooks.hub_signature(secret, raw, "sha1")}
    signature = asked.get("signature", graph_hooks.hub_signature(secret, raw))
    return {} if signature is None else {"X-Hub-Signature-256": str(signature)}


def _event(asked: Record) -> Record:
    event = text(asked, "event", "")
    if event not in EVENTS:
        abort(400, f"event is one of: {', '.join(EVENTS)}; or send body")
    kind, owner, change = EVENTS[event](asked)
    entry: Record = {"id": owner, "time": int(facebook().clock())}
    if kind == "permissions":
        entry["uid"] = owner
    copies = asked.get("copies", 1)
    changes = [change] * (copies if isinstance(copies, int) and 0 < copies <= 1000 else 1)
    if event == "messages":
        return {"object": kind, "entry": [{**entry, "messaging": changes}]}
    if asked.get("values") is False:
        return {"object": kind, "entry": [{**entry, "changed_fields": [item["field"] for item in changes]}]}
    return {"object": kind, "entry": [{**entry, "changes": changes}]}


Event = tuple[str, str, Record]
"""Object, id of whose it is, and the change."""


def _connected(asked: Record) -> Event:
    """The grant as a whole, without any `value` (§5)."""
    owner = user_id(text(asked, "app", ""), account().key)
    return "permissions", owner, {"field": "connected", "verb": text(asked, "verb", "revoked")}


def _permission(asked: Record) -> Event:
    """One permission, with a `value`."""
    owner = user_id(text(asked, "app", ""), account().key)
    value: Record = {"verb": text(asked, "verb", "revoked"), "target_ids": names(asked, "target_ids")}
    return "permissions", owner, {"field": text(asked, "permission", "pages_show_list"), "value": value}


def _leadgen(asked: Record) -> Event:
    """Of the newest lead of `form`, the first form if none is named: its ids, not the answers."""
    meant = page()
    form = meant.forms.get(_form_number(meant, asked)) or abort(404, "there is no such form")
    leads = meant.leads(_form_number(meant, asked))
    newest = next(leads.below(None), 0)
    lead = leads.get(newest) or abort(404, "the form has no lead")
    value = {
        "leadgen_id": lead["id"],
        "page_id": meant.id,
        "form_id": form["id"],
        "created_time": int(leads.at(newest)),
        **{name: lead[name] for name in ("ad_id",) if name in lead},
    }
    return "page", meant.id, {"field": "leadgen", "value": value}


def _form_number(meant: Page, asked: Record) -> int:
    wanted = asked.get("form")
    ids = {(meant.forms.get(number) or {}).get("id"): number for number in meant.forms.below(None)}
    return ids.get(wanted, 0) if wanted else 1


def _feed(asked: Record) -> Event:
    """A comment on the newest post."""
    meant = page()
    post_number = next(meant.posts.below(None), 0)
    post = meant.posts.get(post_number) or abort(404, "the Page has no post")
    value = {"item": "comment", "verb": text(asked, "verb", "add"), "post_id": post["id"]}
    comments = meant.comments(post_number)
    newest = next(comments.below(None), 0)
    if comment := comments.get(newest):
        value |= {"comment_id": comment["id"], "from": comment["from"], "message": comment["message"]}
    return "page", meant.id, {"field": "feed", "value": {**value, "created_time": int(facebook().clock())}}


def _messages(_asked: Record) -> Event:
    """The newest message of the newest conversation."""
    meant = page()
    talk = next(meant.talks["messenger"].below(None), 0) or abort(404, "the Page has no conversation")
    series = meant.messages("messenger", talk)
    message = series.get(next(series.below(None), 0)) or abort(404, "the conversation has no message")
    change = {
        "sender": {"id": customer("messenger", talk)["id"]},
        "recipient": {"id": meant.id},
        "timestamp": int(facebook().clock() * 1000),
        "message": {"mid": message["id"], "text": message["message"]},
    }
    return "page", meant.id, change


EVENTS: dict[str, Callable[[Record], Event]] = {
    "connected": _connected,
    "permission": _permission,
    "leadgen": _leadgen,
    "feed": _feed,
    "messages": _messages,
}


@CONTROL.post("/verify-webhook")
def verify_webhook() -> Response:
    body = given()
    challenge = text(body, "challenge", str(secrets.randbelow(10**9)))
    answer = graph_hooks.verify(text(body, "url", ""), text(body, "verify_token", ""), challenge)
    return jsonify(answer=answer, challenge=challenge)
