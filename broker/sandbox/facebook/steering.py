"""What people do to an app on facebook.com, and what becomes of their tokens; a part of what a test can call.

Beside the calls that every fake has (broker/sandbox/control.py):

- `POST /_sandbox/revoke` `{"account", "app"?, "url"?, …}`: the person removes every app, or one; with `url` the app is
  told by a deauthorize request. With `page` in place of `account` a Page removes it → `{"ended", "answer"}`
- `POST /_sandbox/delete-data` `{"account", "app", "url", …}`: the person asks for deletion → `{"answer"}`
- `POST /_sandbox/kill` `{"why", "tokens"?, "account"?, "app"?}`: tokens die and the grant stays → `{"killed"}`
- `POST /_sandbox/checkpoint` `{"account", "passed"?, "why"?}`: no token of the person works until it is passed
- `POST /_sandbox/permissions` `{"account", "app"?, "take"?, "give"?, "expire"?, "pages"?, "instagram"?}`: the grant
  changes → `{"grants"}`
- `POST /_sandbox/data-access` `{"account", "app"?, "in"?}`: the window of data access ends → `{"grants"}`
- `POST /_sandbox/role` `{"account", "page", "tasks"}`: what the person may do on a Page; nothing: the role is lost

Apps and webhooks: steering_apps.py; people, Pages and records: stocking.py. `account` is an address, or the id that
some app sees. What is sent to an app is signed with its secret, or with `secret`; `answer` is what came back,
`{"status", "body"}`, with status 0 where nothing did.
"""

from typing import Any

from flask import Blueprint, Response, abort, jsonify

from broker.sandbox import graph_hooks
from broker.sandbox.control import given, number, refused, text
from broker.sandbox.facebook.grants import Grant
from broker.sandbox.facebook.permissions import MEANINGS, ordered
from broker.sandbox.facebook.seed import TASKS, Page, Person, user_id
from broker.sandbox.facebook.state import facebook
from broker.sandbox.graph_hooks import BadHook
from broker.sandbox.graph_paging import Record

CONTROL = Blueprint("steering", __name__, url_prefix="/_sandbox")

WHY = {"password": 460, "expired": 463, "invalid": 467}
"""Why tokens die, and the subcode that they are answered with (docs/facts/meta.md §6.1)."""
KINDS = {"user": ("USER",), "page": ("PAGE",), "system_user": ("SYSTEM_USER",), "all": ("USER", "PAGE", "SYSTEM_USER")}
KINDS_OF_ASSETS: tuple[str, ...] = ("pages", "instagram")
HELD = {"checkpoint": 459, "unconfirmed": 464}

for _status in (400, 404, 415):
    CONTROL.register_error_handler(_status, refused)


@CONTROL.app_errorhandler(BadHook)
def _bad_hook(error: BadHook) -> tuple[Response, int]:
    return jsonify(error=str(error)), 400


def account() -> Person:
    """That which the call names."""
    return facebook().person(given().get("account")) or abort(404, "there is no such account in the sandbox")


def page() -> Page:
    """That which the call names."""
    return facebook().page(given().get("page")) or abort(404, "there is no such Page in the sandbox")


def names(body: Record, name: str, known: Any = None) -> list[str]:  # noqa: ANN401 - any container
    """A list of texts; empty where it is missing."""
    found = body.get(name, [])
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        abort(400, f"{name} is a list of texts")
    if known is not None and (unknown := sorted(set(found) - set(known))):
        abort(400, f"{name}: unknown: {', '.join(unknown)}")
    return found


def secret_of(body: Record, app: str) -> str:
    """`secret`, else the app's own."""
    known = facebook().apps.get(app)
    secret = text(body, "secret", (known.secret if known else None) or "")
    return secret or abort(400, "this app has not come yet: register it, or send secret")


# --- the end of a grant --------------------------------------------------------------------------------------


@CONTROL.post("/revoke")
def revoke() -> Response:
    """The request is signed for `app`; `issued_at`: `"text"` writes it as one, `nulls`: the id that is not meant is
    null, `payload`: members to change, where null leaves one out."""
    body = given()
    url, app = text(body, "url", ""), text(body, "app", "")
    with facebook().lock:
        whose = {"profile_id": page().id} if "page" in body else {"user_id": user_id(app, account().key)}
        request = _signed_request(body, whose) if url else ""
        ended = _removed_by_page(page(), app) if "page" in body else _removed_by(account(), app)
    return jsonify(ended=ended, answer=graph_hooks.post_form(url, {"signed_request": request}) if url else None)


def _removed_by(person: Person, app: str) -> int:
    pairs = [pair for pair in facebook().grants.of if pair[1] == person.key and app in ("", pair[0])]
    return sum(facebook().grants.end(pair) for pair in pairs)


def _removed_by_page(page: Page, app: str) -> int:
    """Page tokens die, and no grant reaches the Page any more."""
    others = frozenset(facebook().pages) - {page.id}
    for grant in facebook().grants.of.values():
        if app in ("", grant.app):
            grant.targets["pages"] = grant.targets.get("pages", others) - {page.id}
    for subscribed in [name for name in page.subscribed if app in ("", name)]:
        del page.subscribed[subscribed]
    return facebook().grants.kill(458, lambda token: token.page == page.id and app in ("", token.app))


@CONTROL.post("/delete-data")
def delete_data() -> Response:
    """Members as those of `revoke`."""
    body = given()
    with facebook().lock:
        expires = int(facebook().clock()) + 7200
        whose = {"user_id": user_id(text(body, "app", ""), account().key), "expires": expires}
        request = _signed_request(body, whose)
    return jsonify(answer=graph_hooks.post_form(text(body, "url", ""), {"signed_request": request}))


def _signed_request(body: Record, whose: Record) -> str:
    app, changed, now = text(body, "app", ""), body.get("payload", {}), int(facebook().clock())
    if not app or not isinstance(changed, dict):
        abort(400, "app is an app id, payload a JSON object")
    issued_at = str(now) if body.get("issued_at") == "text" else now
    usual: Record = {"algorithm": "HMAC-SHA256", "issued_at": issued_at, **whose, **changed}
    payload = {name: value for name, value in usual.items() if value is not None}
    if body.get("nulls") is True:
        payload = {"user_id": None, "profile_id": None, **payload}
    return graph_hooks.signed_request(secret_of(body, app), payload)


# --- tokens --------------------------------------------------------------------------------------------------


@CONTROL.post("/kill")
def kill() -> Response:
    body = given()
    why, kind = text(body, "why", "invalid"), text(body, "tokens", "all")
    if why not in WHY or kind not in KINDS:
        abort(400, f"why is one of: {', '.join(WHY)}; tokens one of: {', '.join(KINDS)}")
    with facebook().lock:
        key = account().key if "account" in body else None
        killed = facebook().grants.kill(
            WHY[why],
            lambda token: (
                token.kind in KINDS[kind] and key in (None, token.person) and body.get("app") in (None, token.app)
            ),
        )
    return jsonify(killed=killed)


@CONTROL.post("/checkpoint")
def checkpoint() -> Response:
    body = given()
    if (why := text(body, "why", "checkpoint")) not in HELD:
        abort(400, f"why is one of: {', '.join(HELD)}")
    with facebook().lock:
        account().blocked = None if body.get("passed") is True else HELD[why]
        return jsonify(held=[person.key for person in facebook().people.values() if person.blocked])


# --- grants and roles ----------------------------------------------------------------------------------------


def _grants(body: Record) -> list[Grant]:
    app, key = body.get("app"), account().key
    return [grant for grant in facebook().grants.of.values() if grant.person == key and app in (None, grant.app)]


def _shown(grants: list[Grant]) -> Response:
    return jsonify(
        grants=[
            {
                "app": grant.app,
                "permissions": {name: grant.statuses[name] for name in ordered(grant.statuses)},
                "targets": {kind: sorted(ids) for kind, ids in grant.targets.items()},
                "data_access_expires_at": int(grant.data_access_ends),
            }
            for grant in grants
        ]
    )


@CONTROL.post("/permissions")
def permissions() -> Response:
    """`take` is declined, `give` granted, `expire` expired from now on. `pages`, `instagram`: the ids that permissions
    are limited to, null for no limit."""
    body = given()
    changes = {"take": "declined", "give": "granted", "expire": "expired"}
    statuses = {name: status for how, status in changes.items() for name in names(body, how, MEANINGS)}
    targets = {kind: _target_ids(body, kind) for kind in KINDS_OF_ASSETS if kind in body}
    with facebook().lock:
        found = _grants(body)
        for grant in found:
            grant.statuses |= statuses
            grant.limit(targets)
        return _shown(found)


def _target_ids(body: Record, kind: str) -> frozenset[str] | None:
    return None if body[kind] is None else frozenset(names(body, kind))


@CONTROL.post("/data-access")
def data_access() -> Response:
    """It ends `in` so many seconds, now if that is missing."""
    body = given()
    seconds = number(body, "in", 0, most=10**9)
    with facebook().lock:
        found = _grants(body)
        for grant in found:
            grant.data_access_ends = facebook().clock() + seconds
        return _shown(found)


@CONTROL.post("/role")
def role() -> Response:
    tasks = names(given(), "tasks", TASKS)
    with facebook().lock:
        if tasks:
            page().roles[account().key] = frozenset(tasks)
        else:
            page().roles.pop(account().key, None)
        return jsonify(roles={key: sorted(held) for key, held in page().roles.items()})
