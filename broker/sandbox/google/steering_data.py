"""How a test changes mail, files and properties at the fake Google. `account` is a sub or an address.

- `POST /_sandbox/mails` `{"account", "message": {"id"?, "from"?, "to"?, "cc"?, "subject"?, "text"?, "labelIds"?,
  "threadId"?, "internalDate"?, "headers"?}, "delete"?}`: a message arrives, changes its labels (for nothing else of one
  ever changes), or is deleted → `{"id"}`. A list of `headers` is handed out as it was put in
- `POST /_sandbox/history` `{"account"}`: the mailbox forgets all history up to now → `{"historyId"}`
- `POST /_sandbox/files` `{"account", "file": {"id"?, "name"?, "rows"?, "picked"?, "trashed"?}, "delete"?}`: makes a
  spreadsheet, changes or deletes a file → `{"id"}`. `rows`: those of its first sheet, or how many customers it lists
- `POST /_sandbox/properties` `{"account", "property", "hidden"}`: which kinds of metrics the user's role hides there,
  of `REVENUE_DATA` and `COST_DATA` → `{"property"}`
"""

from functools import partial
from typing import Any

from flask import Blueprint, Response, abort, jsonify

from broker.sandbox.control import given, refused, text
from broker.sandbox.google import seed_files
from broker.sandbox.google.mailbox import Mailbox, history_id
from broker.sandbox.google.seed import Account
from broker.sandbox.google.seed_analytics import HIDDEN_BY
from broker.sandbox.google.state import google
from broker.sandbox.google.steering import account_named
from broker.sandbox.listing import Collection, Record

CONTROL = Blueprint("steering_data", __name__, url_prefix="/_sandbox")

for _status in (400, 404, 415):
    CONTROL.register_error_handler(_status, refused)


@CONTROL.post("/mails")
def change_mail() -> Response:
    fields = _member("message")
    with google().lock:
        account = account_named()
        message_id = text(fields, "id", f"19b0{account.mailbox.history.version + 1:012}")
        if given().get("delete") is True:
            if not account.mailbox.delete(message_id):
                abort(404, "there is no such message")
        else:
            _put_mail(account, message_id, fields)
    return jsonify(id=message_id)


def _member(name: str) -> Record:
    found = given().get(name)
    return found if isinstance(found, dict) else abort(400, f"{name} is an object")


def _put_mail(account: Account, message_id: str, fields: Record) -> None:
    mailbox: Mailbox = account.mailbox
    labels = _texts(fields, "labelIds", ["INBOX", "UNREAD"])
    if mailbox.get(message_id):
        mailbox.relabel(message_id, labels)
        return
    own, at = f"{account.name} <{account.email}>", int(google().clock() * 1000)
    message = {
        "from": text(fields, "from", "Toko Cahaya <cahaya@example.org>"),
        "to": _texts(fields, "to", [own]),
        "cc": _texts(fields, "cc", []),
        "subject": text(fields, "subject", "A new order"),
        "text": text(fields, "text", "SECRET-TEXT"),
        "threadId": text(fields, "threadId", message_id),
        "internalDate": _digits(fields, "internalDate", str(at)),
    }
    mailbox.add(message_id, {**message, "id": message_id, "labelIds": labels, "headers": fields.get("headers")})


def _texts(fields: Record, name: str, otherwise: list[str]) -> list[str]:
    found = fields.get(name, otherwise)
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        abort(400, f"{name} is a list of texts")
    return found


def _digits(fields: Record, name: str, otherwise: str) -> str:
    found = text(fields, name, otherwise)
    return found if found.isdecimal() and len(found) < 15 else abort(400, f"{name} is a text of milliseconds")


@CONTROL.post("/history")
def expire_history() -> Response:
    with google().lock:
        mailbox = account_named().mailbox
        mailbox.expire()
        return jsonify(historyId=history_id(mailbox.history.version))


@CONTROL.post("/files")
def change_file() -> Response:
    fields = _member("file")
    with google().lock:
        files = account_named().files
        file_id = text(fields, "id", f"1Added{files.version + 1:038}")
        if given().get("delete") is True:
            if not files.delete(file_id):
                abort(404, "there is no such file")
        else:
            _put_file(files, file_id, fields)
    return jsonify(id=file_id)


def _put_file(files: Collection, file_id: str, fields: Record) -> None:
    item = files.items.get(file_id)
    empty = seed_files.file(file_id, "Spreadsheet", seed_files.tab(0, "Sheet1", list))
    held = item.record if item and not item.deleted else empty
    flags = {name: _flag(fields, name, held[name]) for name in ("picked", "trashed")}
    tabs = [_written(held["tabs"], fields["rows"]), *held["tabs"][1:]] if "rows" in fields else held["tabs"]
    files.put(file_id, {**held, "name": text(fields, "name", held["name"]), **flags, "tabs": tabs})


def _flag(fields: Record, name: str, otherwise: bool) -> bool:
    found = fields.get(name, otherwise)
    return found if isinstance(found, bool) else abort(400, f"{name} is true or false")


def _written(tabs: list[Record], rows: Any) -> Record:  # noqa: ANN401 - any JSON
    """The first sheet, with these rows."""
    first = tabs[0] if tabs else abort(400, "only a spreadsheet has rows")
    if isinstance(rows, int) and not isinstance(rows, bool) and 0 <= rows <= 1_000_000:
        return {**first, "rows": partial(seed_files.customers, rows), "height": max(1000, rows)}
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        abort(400, "rows is a list of lists, or how many")
    return {**first, "rows": lambda: rows, "height": max(1000, len(rows))}


@CONTROL.post("/properties")
def change_property() -> Response:
    body = given()
    property_id, hidden = text(body, "property", ""), _texts(body, "hidden", [])
    if unknown := sorted(set(hidden) - set(HIDDEN_BY.values())):
        abort(400, f"no kind of metrics: {unknown[0]}")
    with google().lock:
        analytics = account_named().analytics
        for key, item in analytics.items.items():
            held = item.record
            if any(one["id"] == property_id for one in held["properties"]):
                changed = [{**one, "hidden": hidden} if one["id"] == property_id else one for one in held["properties"]]
                analytics.put(key, {**held, "properties": changed})
                return jsonify(property=property_id)
    return abort(404, "there is no such property")
