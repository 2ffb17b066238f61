"""The People API: the user's own contacts, page by page and change by change, and single persons (§4.6.2, §5.2).

Sections and rules are of docs/facts/google.md, scope sets of its §4.7.
"""

from typing import Any

from flask import Blueprint, Response, jsonify

from broker.sandbox.google import seed_people
from broker.sandbox.google.access import bearer
from broker.sandbox.google.envelopes import entity_not_found, invalid_argument, requires_one_of
from broker.sandbox.google.people_fields import mask, page_of, shown, source_types, tokens, visible
from broker.sandbox.google.scopes import EMAIL, PROFILE, auth
from broker.sandbox.google.seed import Account
from broker.sandbox.google.state import google
from broker.sandbox.google.token_store import Token
from broker.sandbox.listing import Record

API = Blueprint("people", __name__)

SERVICE = "people.googleapis.com"
METHODS = "google.people.v1.PeopleService"

CONTACTS = auth("contacts", "contacts.readonly")
"""Rule P7: `contacts.other.readonly` does not open this list."""

FIELDS_OF_OWN_PROFILE = {
    **dict.fromkeys(("names", "photos", "metadata"), PROFILE),
    **{
        field: next(iter(auth(f"user.{name}.read")))
        for field, name in {
            "addresses": "addresses",
            "birthdays": "birthday",
            "emailAddresses": "emails",
            "genders": "gender",
            "organizations": "organization",
            "phoneNumbers": "phonenumbers",
        }.items()
    },
}
"""Rule P3: what opens a field of `people/me`."""

ANY_PERSON = CONTACTS | auth("contacts.other.readonly", "directory.readonly") | {EMAIL, *FIELDS_OF_OWN_PROFILE.values()}
"""Rule P1: twelve scopes let a call of people.get pass; what it yields is another matter."""

LIST_PARAMETERS = {"personFields", "sources", "sortOrder", "pageSize", "pageToken", "requestSyncToken", "syncToken"}
DEFAULT_SOURCES = ("READ_SOURCE_TYPE_CONTACT", "READ_SOURCE_TYPE_PROFILE")


@API.get("/v1/people/<person>/connections")
def connections(person: str) -> Response:
    """people.connections.list; only for `people/me` (rule P9)."""
    access = bearer(SERVICE, f"{METHODS}.ListConnections", CONTACTS)
    if person != "me":
        raise invalid_argument("Only people/me has connections.")
    fields, types = mask("personFields"), source_types(*DEFAULT_SOURCES)
    with google().lock:
        contacts = google().accounts[access.account].contacts
        page = page_of(contacts, LIST_PARAMETERS)
        living = contacts.living
    people = [shown(item, fields, types, access.scopes) for item in page.items]
    answer: dict[str, Any] = {"connections": people, **tokens(page), "totalPeople": living, "totalItems": living}
    return jsonify(answer)


@API.get("/v1/people/<person>")
def get(person: str) -> Response:
    """people.get, of `people/me` or of a contact."""
    access = bearer(SERVICE, f"{METHODS}.GetPerson", ANY_PERSON)
    fields, types = mask("personFields"), source_types(*DEFAULT_SOURCES)
    with google().lock:
        account = google().accounts[access.account]
        if person in ("me", account.sub):
            return jsonify(_own_profile(account, access, fields))
        item = account.contacts.items.get(f"people/{person}")
        if item is None or item.deleted:
            raise entity_not_found()
        return jsonify(shown(item, fields, types, access.scopes))


def _own_profile(account: Account, access: Token, fields: frozenset[str]) -> Record:
    """Rule P2: without `profile` it is refused. Rules P3, P4: what has no scope of its own is silently absent."""
    if PROFILE not in access.scopes:
        raise requires_one_of("profile")
    profile = seed_people.own_profile(account.sub, account.email, account.given_name, account.family_name)
    opened = frozenset(name for name in fields if FIELDS_OF_OWN_PROFILE.get(name) in access.scopes)
    found = visible(profile, opened, {"PROFILE"}, access.scopes)
    if "emailAddresses" in fields - opened and EMAIL in access.scopes:
        found["emailAddresses"] = profile["emailAddresses"][:1]
    return {"resourceName": profile["resourceName"], "etag": "%Eme", **found}
