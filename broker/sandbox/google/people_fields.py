"""What a call of the People API asks for: fields, sources, page; and what of a person a token sees (§4.6.2, §5.2).

Sections and rules are of docs/facts/google.md.
"""

import re
from collections.abc import Collection as Names
from typing import Any

from flask import request

from broker.sandbox.google.envelopes import expired_sync_token, invalid_argument
from broker.sandbox.google.scopes import auth
from broker.sandbox.google.state import google
from broker.sandbox.listing import (
    Answered,
    Asked,
    Collection,
    Item,
    Order,
    ParametersDiffer,
    Record,
    SyncTokenExpired,
    TokenUnknown,
)

FIELDS = frozenset(
    {
        *("addresses", "ageRanges", "biographies", "birthdays", "calendarUrls", "clientData", "coverPhotos"),
        *("emailAddresses", "events", "externalIds", "genders", "imClients", "interests", "locales", "locations"),
        *("memberships", "metadata", "miscKeywords", "names", "nicknames", "occupations", "organizations"),
        *("phoneNumbers", "photos", "relations", "sipAddresses", "skills", "urls", "userDefined"),
    }
)

SOURCES = {
    "READ_SOURCE_TYPE_CONTACT": {"CONTACT", "OTHER_CONTACT"},
    "READ_SOURCE_TYPE_PROFILE": {"PROFILE", "ACCOUNT", "DOMAIN_PROFILE"},
    "READ_SOURCE_TYPE_DOMAIN_CONTACT": {"DOMAIN_CONTACT"},
    "READ_SOURCE_TYPE_OTHER_CONTACT": {"OTHER_CONTACT"},
}

OPENED_BY = {
    "CONTACT": auth("contacts", "contacts.readonly"),
    "OTHER_CONTACT": auth("contacts.other.readonly"),
    "DOMAIN_PROFILE": auth("directory.readonly"),
    "DOMAIN_CONTACT": auth("directory.readonly"),
}
"""Which scopes open values of a source (rules P1, P8); a public profile is open to all."""

SYSTEM = {"alt", "prettyPrint", "quotaUser", "key", "fields", "$.xgafv"}
"""Parameters of every Google API; none changes what is read here."""

TOKENS = {"pageToken", "syncToken"}
ORDERS = {
    "LAST_MODIFIED_ASCENDING": Order(lambda item: item.version),
    "LAST_MODIFIED_DESCENDING": Order(lambda item: item.version, descending=True),
    "FIRST_NAME_ASCENDING": Order(lambda item: _name(item, "givenName")),
    "LAST_NAME_ASCENDING": Order(lambda item: _name(item, "familyName")),
}


def _name(item: Item, part: str) -> str:
    names = item.record.get("names")
    first = names[0] if names and isinstance(names, list) else {}
    return str(first.get(part, "")) if isinstance(first, dict) else ""


def mask(name: str, known: Names[str] = FIELDS) -> frozenset[str]:
    """The fields asked for by parameter `name`, which must be there (rule P5)."""
    fields = frozenset(field for value in request.args.getlist(name) for field in value.split(",") if field)
    if not fields:
        raise invalid_argument(f"{name} mask is required. Please specify one or more valid paths.")
    if unknown := sorted(fields - set(known)):
        raise invalid_argument(f"Invalid {name} mask path: {', '.join(unknown)}")
    return fields


def source_types(*otherwise: str) -> set[str]:
    """The sources asked for; `otherwise` are those of a call that names none."""
    sources = request.args.getlist("sources") or list(otherwise)
    if unknown := sorted(set(sources) - SOURCES.keys()):
        raise invalid_argument(f"Invalid value at 'sources': {', '.join(unknown)}")
    return {kind for source in sources for kind in SOURCES[source]}


def visible(record: Record, fields: frozenset[str], types: set[str], scopes: frozenset[str]) -> Record:
    """The fields asked for, of those sources asked for that the scopes open. What is closed is silently absent (P4)."""
    opened = {kind for kind in types if scopes & OPENED_BY.get(kind, scopes)}
    if google().quirks.get("ignore_sources"):
        opened = {kind for kinds in SOURCES.values() for kind in kinds}
    person: Record = {}
    for name in fields & record.keys():
        value = record[name]
        kept = [v for v in value if _source(v) in (None, *opened)] if isinstance(value, list) else value
        if kept:
            person[name] = kept
    return person


def _source(value: Any) -> Any:  # noqa: ANN401 - a test may have put in whatever it likes
    try:
        return value["metadata"]["source"]["type"]
    except (KeyError, TypeError):
        return None


def shown(item: Item, fields: frozenset[str], types: set[str], scopes: frozenset[str]) -> Record:
    """A person of a list; of a deleted one only that it was deleted."""
    record = item.record
    person: Record = {"resourceName": record["resourceName"], "etag": f"%E{item.version}"}
    if item.deleted:
        return {**person, "metadata": {**record["metadata"], "deleted": True}} if "metadata" in fields else person
    return person | visible(record, fields, types, scopes)


def page_of(collection: Collection, known: set[str]) -> Answered:
    """The page asked for. `known`: the call's parameters, of which all but the tokens must stay the same (§5.2)."""
    asked, order = _asked(known), ORDERS[request.args.get("sortOrder", "LAST_MODIFIED_ASCENDING")]
    try:
        return google().listings.answer(collection, asked, lambda item: not item.deleted, order)
    except TokenUnknown:
        raise invalid_argument("Page or sync token is invalid.") from None
    except ParametersDiffer:
        raise invalid_argument("Request parameters must match those of the first call.") from None
    except SyncTokenExpired:
        raise expired_sync_token() from None


def _asked(known: set[str]) -> Asked:
    if unknown := sorted(request.args.keys() - known - SYSTEM):
        raise invalid_argument(f'Invalid JSON payload received. Unknown name "{unknown[0]}".')
    if request.args.get("sortOrder", "LAST_MODIFIED_ASCENDING") not in ORDERS:
        raise invalid_argument("Invalid value at 'sort_order'.")
    sync_token = request.args.get("syncToken")
    if sync_token and (forgets := google().quirks.get("expired_sync_token")):
        code, status = (forgets, "FAILED_PRECONDITION") if isinstance(forgets, int) else (400, forgets)
        raise expired_sync_token(code, status)
    parameters = {name: tuple(values) for name, values in sorted(request.args.lists()) if name in known - TOKENS}
    return Asked(parameters, _page_size(), request.args.get("pageToken"), sync_token)


def _page_size() -> int:
    text = request.args.get("pageSize", "100")
    if not re.fullmatch(r"[0-9]{1,18}", text) or not 1 <= int(text) <= 1000:
        raise invalid_argument("Page size must be between 1 and 1000.")
    return int(text)


def tokens(page: Answered) -> dict[str, Any]:
    """`nextPageToken`, or on the last page the sync token if it was asked for."""
    if page.next_page_token:
        return {"nextPageToken": page.next_page_token}
    return {"nextSyncToken": page.next_sync_token} if request.args.get("requestSyncToken") == "true" else {}
