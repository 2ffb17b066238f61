"""The Drive API, as far as choosing a spreadsheet needs it: the list of files (§4.6.4).

Sections and rules are of docs/facts/google.md.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, jsonify, request

from broker.sandbox.google.access import bearer
from broker.sandbox.google.envelopes import DRIVE, ApiError, bad_request, forbidden
from broker.sandbox.google.field_masks import BadMask, Mask, kept, parsed
from broker.sandbox.google.parameters import number, page
from broker.sandbox.google.scopes import auth
from broker.sandbox.google.state import google
from broker.sandbox.listing import Item, Record

API = Blueprint("drive", __name__, url_prefix="/drive/v3")

EVERY_FILE = auth("drive", "drive.metadata", "drive.metadata.readonly", "drive.readonly")
LIST = EVERY_FILE | auth("drive.file", "drive.appdata", "drive.meet.readonly", "drive.photos.readonly")
"""What else of these opens is a part that holds no spreadsheet (rules R2, R4)."""
PICKED = auth("drive.file")

USUALLY = "kind,incompleteSearch,nextPageToken,files(kind,id,name,mimeType)"
"""What an answer holds when no `fields` are asked for."""
KNOWN = {
    *("kind", "incompleteSearch", "nextPageToken", "files"),
    *("id", "name", "mimeType", "modifiedTime", "trashed", "isAppAuthorized", "ownedByMe", "webViewLink", "owners"),
    *("emailAddress", "displayName", "me"),
}
CLAUSES: Mapping[str, Callable[[Record, str], bool]] = {
    r"mimeType *= *'([^']*)'": lambda file, text: file["mimeType"] == text,
    r"trashed *= *(true|false)": lambda file, text: file["trashed"] == (text == "true"),
    r"name +contains +'([^']*)'": lambda file, text: text.lower() in file["name"].lower(),
}
SAME = {"q", "orderBy", "corpora", "spaces", "fields"}

Clause = Callable[[Record], bool]


def _refuse(message: str) -> ApiError:
    return bad_request(message, location="pageToken", reason="invalid")


@API.get("/files")
def files() -> Response:
    """files.list. A token of `drive.file` alone sees what was picked for its app (rule R1)."""
    access = bearer(DRIVE, "drive.v3.Files.List", LIST)
    mask, clauses = _mask(), _clauses()
    size = number("pageSize", default=100, most=1000, refuse=_refuse)
    sees_all, sees_picked = bool(access.scopes & EVERY_FILE), bool(access.scopes & PICKED)
    if not sees_all and not sees_picked:
        raise forbidden("insufficientScopes", DRIVE, "drive.v3.Files.List")

    def wanted(item: Item) -> bool:
        if item.deleted or not (sees_all or (sees_picked and item.record["picked"])):
            return False
        return all(clause(item.record) for clause in clauses)

    with google().lock:
        account = google().accounts[access.account]
        found = page(account.files, size, SAME, wanted, refuse=_refuse)
    answer: dict[str, Any] = {"kind": "drive#fileList", "incompleteSearch": False}
    answer["files"] = [_shown(item.record, account.email, account.name) for item in found.items]
    if found.next_page_token:
        answer["nextPageToken"] = found.next_page_token
    return jsonify(kept(answer, mask))


def _mask() -> Mask:
    text = request.args.get("fields", USUALLY)
    try:
        return parsed(text, KNOWN)
    except BadMask as bad:
        message = f"Invalid field selection {bad}"
        raise bad_request(message, location="fields", reason="invalidParameter") from None


def _clauses() -> list[Clause]:
    """Of `q`: those that a picker of spreadsheets sends, joined by `and`. Raises `ApiError` for any other."""
    text = request.args.get("q", "").strip()
    return [_clause(part.strip()) for part in re.split(r" +and +", text)] if text else []


def _clause(text: str) -> Clause:
    for pattern, test in CLAUSES.items():
        if match := re.fullmatch(pattern, text):
            value = match[1]
            return lambda file: test(file, value)
    raise bad_request("Invalid Value", location="q", reason="invalid")


def _shown(file: Record, email: str, name: str) -> Record:
    return {
        "kind": "drive#file",
        **{member: file[member] for member in ("id", "name", "mimeType", "modifiedTime", "trashed")},
        "isAppAuthorized": file["picked"],
        "ownedByMe": True,
        "owners": [{"kind": "drive#user", "displayName": name, "emailAddress": email, "me": True}],
        "webViewLink": f"https://docs.google.com/spreadsheets/d/{file['id']}/edit",
    }
