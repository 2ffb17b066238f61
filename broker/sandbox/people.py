"""The People API: the user's own contacts, page by page and change by change (docs/facts/google.md §4.6.2, §5.2)."""

from typing import Any

from flask import Blueprint, Response, jsonify, request

from broker.sandbox.envelopes import expired_sync_token, invalid_argument
from broker.sandbox.grants import AUTH
from broker.sandbox.listing import Asked, Item, ParametersDiffer, Record, SyncTokenExpired, TokenUnknown
from broker.sandbox.state import google
from broker.sandbox.tokens import bearer

API = Blueprint("people", __name__)

ACCEPTED = frozenset({f"{AUTH}contacts", f"{AUTH}contacts.readonly"})
"""Rule P7: `contacts.other.readonly` does not open this list."""

FIELDS = frozenset(
    {
        *("addresses", "ageRanges", "biographies", "birthdays", "calendarUrls", "clientData", "coverPhotos"),
        *("emailAddresses", "events", "externalIds", "genders", "imClients", "interests", "locales", "locations"),
        *("memberships", "metadata", "miscKeywords", "names", "nicknames", "occupations", "organizations"),
        *("phoneNumbers", "photos", "relations", "sipAddresses", "skills", "urls", "userDefined"),
    }
)

SOURCES = {
    "READ_SOURCE_TYPE_CONTACT": {"CONTACT"},
    "READ_SOURCE_TYPE_PROFILE": {"PROFILE", "ACCOUNT", "DOMAIN_PROFILE"},
    "READ_SOURCE_TYPE_DOMAIN_CONTACT": {"DOMAIN_CONTACT"},
    "READ_SOURCE_TYPE_OTHER_CONTACT": {"OTHER_CONTACT"},
}
DEFAULT_SOURCES = ["READ_SOURCE_TYPE_CONTACT", "READ_SOURCE_TYPE_PROFILE"]

ORDERS = {"LAST_MODIFIED_ASCENDING", "LAST_MODIFIED_DESCENDING", "FIRST_NAME_ASCENDING", "LAST_NAME_ASCENDING"}

KNOWN = {"personFields", "sources", "sortOrder", "pageSize", "pageToken", "requestSyncToken", "syncToken"}
SYSTEM = {"alt", "prettyPrint", "quotaUser", "key", "fields", "$.xgafv"}
"""Parameters of every Google API; none changes what is read here."""


@API.get("/v1/people/<person>/connections")
def connections(person: str) -> Response:
    """people.connections.list; only for `people/me` (rule P9)."""
    access = bearer("people.googleapis.com", "google.people.v1.PeopleService.ListConnections", ACCEPTED)
    if person != "me":
        raise invalid_argument("Only people/me has connections.")
    fields, types, asked = _fields(), _source_types(), _asked()
    with google().lock:
        contacts = google().accounts[access.account].contacts
        try:
            page = google().listings.answer(contacts, asked, lambda item: not item.deleted)
        except TokenUnknown:
            raise invalid_argument("Page or sync token is invalid.") from None
        except ParametersDiffer:
            raise invalid_argument("Request parameters must match those of the first call.") from None
        except SyncTokenExpired:
            raise expired_sync_token() from None
        living = sum(not item.deleted for item in contacts.items.values())
        answer: dict[str, Any] = {"connections": [_person(item, fields, types) for item in page.items]}
    if page.next_page_token:
        answer["nextPageToken"] = page.next_page_token
    elif request.args.get("requestSyncToken") == "true":
        answer["nextSyncToken"] = page.next_sync_token
    return jsonify({**answer, "totalPeople": living, "totalItems": living})


def _fields() -> frozenset[str]:
    """Rule P5."""
    fields = frozenset(name for value in request.args.getlist("personFields") for name in value.split(",") if name)
    if not fields:
        raise invalid_argument("personFields mask is required. Please specify one or more valid paths.")
    if unknown := sorted(fields - FIELDS):
        raise invalid_argument(f"Invalid personFields mask path: {', '.join(unknown)}")
    return fields


def _source_types() -> set[str]:
    sources = request.args.getlist("sources") or DEFAULT_SOURCES
    if unknown := sorted(set(sources) - SOURCES.keys()):
        raise invalid_argument(f"Invalid value at 'sources': {', '.join(unknown)}")
    if google().quirks.get("ignore_sources"):
        sources = list(SOURCES)
    return {kind for source in sources for kind in SOURCES[source]}


def _asked() -> Asked:
    """With a token all other parameters must be those of the first call (§5.2)."""
    if unknown := sorted(request.args.keys() - KNOWN - SYSTEM):
        raise invalid_argument(f'Invalid JSON payload received. Unknown name "{unknown[0]}".')
    if request.args.get("sortOrder", "LAST_MODIFIED_ASCENDING") not in ORDERS:
        raise invalid_argument("Invalid value at 'sort_order'.")
    sync_token = request.args.get("syncToken")
    forgets = google().quirks.get("expired_sync_token")
    if sync_token and forgets:
        code, status = {400: (400, "FAILED_PRECONDITION"), 410: (410, "FAILED_PRECONDITION")}.get(
            forgets, (400, forgets)
        )
        raise expired_sync_token(code, status)
    same = KNOWN - {"pageToken", "syncToken"}
    parameters = {name: tuple(values) for name, values in sorted(request.args.lists()) if name in same}
    return Asked(parameters, _page_size(), request.args.get("pageToken"), sync_token)


def _page_size() -> int:
    text = request.args.get("pageSize", "100")
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1000:
        raise invalid_argument("Page size must be between 1 and 1000.")
    return int(text)


def _person(item: Item, fields: frozenset[str], types: set[str]) -> Record:
    """The fields asked for, of the sources asked for. A field without a value is absent (rule P4)."""
    record = item.record
    person: Record = {"resourceName": record["resourceName"], "etag": f"%E{item.version}"}
    if item.deleted:
        return {**person, "metadata": {**record["metadata"], "deleted": True}} if "metadata" in fields else person
    for name in fields & record.keys():
        value = record[name]
        kept = [v for v in value if v["metadata"]["source"]["type"] in types] if isinstance(value, list) else value
        if kept:
            person[name] = kept
    return person
