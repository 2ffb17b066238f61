"""Which webhooks an app gets of an account, and the end of an authorization (docs/facts/meta.md §3.2, §4.3)."""

from collections.abc import Mapping

from flask import Blueprint, Response, jsonify, request

from broker.sandbox.graph import not_found
from broker.sandbox.instagram.access import Caller, caller
from broker.sandbox.instagram.errors import bad
from broker.sandbox.instagram.permissions import BASIC, COMMENTS, INSIGHTS, MESSAGES, listed
from broker.sandbox.instagram.state import instagram

SUBSCRIPTIONS = Blueprint("subscriptions", __name__)

NEEDED: Mapping[str, str] = {
    "comments": COMMENTS,
    "live_comments": COMMENTS,
    "mentions": BASIC,
    "messages": MESSAGES,
    "message_reactions": MESSAGES,
    "messaging_postbacks": MESSAGES,
    "messaging_seen": MESSAGES,
    "story_insights": INSIGHTS,
}
"""By field, the permission that a subscription to it takes."""


@SUBSCRIPTIONS.post("/<object_id>/subscribed_apps")
def subscribe(object_id: str) -> Response:
    with instagram().lock:
        who = _owner(object_id)
        fields = listed(request.values.get("subscribed_fields", ""))
        if not fields or not set(fields) <= NEEDED.keys():
            raise bad(f"subscribed_fields must name some of {', '.join(NEEDED)}")
        who.permits(*(NEEDED[field] for field in fields))
        instagram().subscriptions.setdefault(who.token.pair, set()).update(fields)
    return jsonify(success=True)


@SUBSCRIPTIONS.delete("/<object_id>/subscribed_apps")
def unsubscribe(object_id: str) -> Response:
    """From all fields."""
    with instagram().lock:
        instagram().subscriptions.pop(_owner(object_id).token.pair, None)
    return _deleted()


def _owner(object_id: str) -> Caller:
    """By a token of the account itself. Raises `GraphError`."""
    who = caller()
    if object_id not in ("me", who.account.id):
        raise not_found(object_id, request.method)
    return who


@SUBSCRIPTIONS.delete("/<object_id>/permissions")
def end(object_id: str) -> Response:
    """No documented call, and by itself unsupported; with a quirk it does what many hope of it."""
    with instagram().lock:
        who = _owner(object_id)
        if not instagram().quirks.get("delete_permissions"):
            raise not_found(object_id, request.method)
        instagram().remove(who.account.id, who.token.app)
    return _deleted()


def _deleted() -> Response:
    """Both forms are met (§1.10)."""
    return jsonify(True if instagram().quirks.get("bare_true") else {"success": True})
