"""What changed in a mailbox since a history id (docs/facts/google.md §5.4)."""

import re
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, jsonify, request

from broker.sandbox.google.envelopes import in_both
from broker.sandbox.google.gmail import MOST, READ, USUAL, reached, refuse
from broker.sandbox.google.mailbox import Mailbox, history_id
from broker.sandbox.google.parameters import following, number, only, page
from broker.sandbox.google.state import google
from broker.sandbox.listing import Item, Record

API = Blueprint("gmail_history", __name__, url_prefix="/gmail/v1/users/<user>/history")

KINDS = {
    "messageAdded": "messagesAdded",
    "messageDeleted": "messagesDeleted",
    "labelAdded": "labelsAdded",
    "labelRemoved": "labelsRemoved",
}
"""What `historyTypes` asks for, and what the answer calls it."""

SAME = {"startHistoryId", "historyTypes", "labelId"}


@API.get("")
def history(user: str) -> Response:
    """users.history.list; the key `history` is absent where nothing changed."""
    _, account = reached(user, "ListHistory", READ)
    only({*SAME, "maxResults", "pageToken"}, refuse)
    size, kinds = number("maxResults", default=USUAL, most=MOST, cut=True, refuse=refuse), _kinds()
    with google().lock:
        mailbox = account.mailbox
        found = page(mailbox.history, size, SAME, _since(mailbox, kinds), refuse=refuse)
        at = history_id(mailbox.history.version)
    records = [_shown(item, kinds) for item in found.items]
    answer: dict[str, Any] = {"history": records} if records else {}
    return jsonify({**answer, **following(found), "historyId": at})


def _kinds() -> set[str]:
    asked = request.args.getlist("historyTypes")
    if unknown := sorted(set(asked) - KINDS.keys()):
        raise refuse(f"Invalid value at 'history_types': {unknown[0]}")
    return {KINDS[name] for name in asked or KINDS}


def _since(mailbox: Mailbox, kinds: set[str]) -> Callable[[Item], bool]:
    """Raises `ApiError`: 404 for a place that the mailbox has forgotten."""
    text = request.args.get("startHistoryId", "")
    if not re.fullmatch(r"[0-9]{1,18}", text, re.ASCII):
        raise refuse("Missing or invalid startHistoryId")
    start, label = int(text), request.args.get("labelId")
    if start < int(history_id(mailbox.forgotten)) or google().quirks.get("history_gone"):
        raise in_both(404, "Requested entity was not found.", "NOT_FOUND", "notFound")

    def fits(item: Item) -> bool:
        if int(history_id(item.version)) <= start:
            return False
        change = item.record
        labels = change["message"]["labelIds"] + [name for names in change["changes"].values() for name in names]
        return bool(kinds & change["changes"].keys()) and label in (None, *labels)

    return fits


def _shown(item: Item, kinds: set[str]) -> Record:
    change = item.record
    message = change["message"]
    answer: Record = {"id": history_id(item.version)}
    answer["messages"] = [{name: message[name] for name in ("id", "threadId")}]
    for kind, names in change["changes"].items():
        if kind in kinds:
            answer[kind] = [{"message": message, **({"labelIds": names} if names else {})}]
    return answer
