"""The Gmail API: the profile, labels, lists of messages and single ones (§4.6.1, §5.4).

Sections and rules are of docs/facts/google.md. What changed since: gmail_history.py.
"""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, jsonify, request

from broker.sandbox.google.access import bearer
from broker.sandbox.google.envelopes import GMAIL, ApiError, in_both
from broker.sandbox.google.gmail_formats import FORMATS, shown
from broker.sandbox.google.mailbox import history_id
from broker.sandbox.google.parameters import flag, following, number, only, page
from broker.sandbox.google.scopes import MAIL, auth
from broker.sandbox.google.seed import Account
from broker.sandbox.google.state import google
from broker.sandbox.google.token_store import Token
from broker.sandbox.listing import Item, Order, Record

API = Blueprint("gmail", __name__, url_prefix="/gmail/v1/users/<user>")

METADATA = next(iter(auth("gmail.metadata")))
READ = auth("gmail.metadata", "gmail.modify", "gmail.readonly") | {MAIL}
"""Scopes for an add-on's open message are left out: no server has one open (rule G8)."""
PROFILE = READ | auth("gmail.compose")
LABELS = READ | auth("gmail.labels")
"""Rule G7."""

MOST, USUAL = 500, 100
LIST_PARAMETERS = {"includeSpamTrash", "labelIds", "q"}
HIDDEN = {"SPAM", "TRASH"}
NEWEST_FIRST = Order(lambda item: int(item.record["internalDate"]), descending=True)

SYSTEM_LABELS = (
    *("INBOX", "SENT", "DRAFT", "TRASH", "SPAM", "UNREAD", "STARRED", "IMPORTANT", "CHAT"),
    *("CATEGORY_PERSONAL", "CATEGORY_SOCIAL", "CATEGORY_PROMOTIONS", "CATEGORY_UPDATES", "CATEGORY_FORUMS"),
)
OWN_LABELS: Mapping[str, str] = {"Label_1": "Customers"}


def refuse(message: str) -> ApiError:
    """400 as Gmail words it."""
    return in_both(400, message, "INVALID_ARGUMENT", "invalidArgument")


def reached(user: str, method: str, accepted: frozenset[str]) -> tuple[Token, Account]:
    """The token and its mailbox's owner. Raises `ApiError` for anybody else's mailbox (rule G9)."""
    access = bearer(GMAIL, f"caribou.api.proto.MailboxService.{method}", accepted)
    with google().lock:
        account = google().accounts[access.account]
    if user not in ("me", account.email):
        raise in_both(403, f"Delegation denied for {account.email}", "PERMISSION_DENIED", "forbidden")
    return access, account


@API.get("/profile")
def profile(user: str) -> Response:
    """users.getProfile."""
    _, account = reached(user, "GetProfile", PROFILE)
    only(set(), refuse)
    with google().lock:
        messages = account.mailbox.living()
        threads = {item.record["threadId"] for item in messages}
        totals = {"messagesTotal": len(messages), "threadsTotal": len(threads)}
        at = history_id(account.mailbox.history.version)
    return jsonify({"emailAddress": account.email, **totals, "historyId": at})


@API.get("/labels")
def labels(user: str) -> Response:
    """users.labels.list."""
    reached(user, "ListLabels", LABELS)
    only(set(), refuse)
    system = [{"id": name, "name": name, "type": "system"} for name in SYSTEM_LABELS]
    own = [{"id": key, "name": name, "type": "user"} for key, name in OWN_LABELS.items()]
    return jsonify(labels=[*system, *own])


@API.get("/messages")
def messages(user: str) -> Response:
    """users.messages.list: ids alone, the newest first. The estimate of how many is a poor one, as Gmail's is."""
    access, account = reached(user, "ListMessages", READ)
    only({*LIST_PARAMETERS, "maxResults", "pageToken"}, refuse)
    if METADATA in access.scopes and "q" in request.args:
        raise _forbidden("Metadata scope does not support 'q' parameter")
    size = number("maxResults", default=USUAL, most=MOST, cut=True, refuse=refuse)
    with google().lock:
        found = page(account.mailbox.messages, size, LIST_PARAMETERS, _wanted(), NEWEST_FIRST, refuse)
        estimate = account.mailbox.messages.living if found.items else 0
    ids = [{name: item.record[name] for name in ("id", "threadId")} for item in found.items]
    answer: dict[str, Any] = {"messages": ids} if ids else {}
    return jsonify({**answer, **following(found), "resultSizeEstimate": estimate})


def _wanted() -> Callable[[Item], bool]:
    """Every label asked for; spam and trash where they are asked for; of `q` each word, in the subject or a name."""
    asked = set(request.args.getlist("labelIds"))
    hidden = set() if flag("includeSpamTrash", refuse) else HIDDEN - asked
    words = request.args.get("q", "").lower().split()

    def fits(item: Item) -> bool:
        if item.deleted:
            return False
        message = item.record
        held = set(message["labelIds"])
        return asked <= held and not held & hidden and all(word in _searched(message) for word in words)

    return fits


def _searched(message: Record) -> str:
    return " ".join([message["subject"], message["from"], *message["to"], *message["cc"]]).lower()


@API.get("/messages/<message_id>")
def one_message(user: str, message_id: str) -> Response:
    """users.messages.get."""
    access, account = reached(user, "GetMessage", READ)
    only({"format", "metadataHeaders"}, refuse)
    how = request.args.get("format", "full").lower()
    if how not in FORMATS:
        raise refuse(f"Invalid value at 'format': {how}")
    headers_only = METADATA in access.scopes
    if headers_only and how in ("full", "raw"):
        raise _forbidden(f"Metadata scope doesn't allow format {how.upper()}")
    with google().lock:
        item = account.mailbox.get(message_id)
    if item is None:
        raise in_both(404, "Requested entity was not found.", "NOT_FOUND", "notFound")
    return jsonify(shown(item, how, request.args.getlist("metadataHeaders"), headers_only=headers_only))


def _forbidden(message: str) -> ApiError:
    """What a token with `gmail.metadata` may not, whichever wider scopes it holds beside it (rules G1 to G4)."""
    return in_both(403, message, "PERMISSION_DENIED", "forbidden")
