"""What else of the People API a contacts connector might stray into: other contacts and contact groups (§4.6.2).

Sections and rules are of docs/facts/google.md, scope sets of its §4.7.
"""

from flask import Blueprint, Response, jsonify, request

from broker.sandbox.google.access import bearer
from broker.sandbox.google.envelopes import invalid_argument
from broker.sandbox.google.people import CONTACTS, METHODS, SERVICE
from broker.sandbox.google.people_fields import FIELDS, mask, page_of, shown, source_types, tokens
from broker.sandbox.google.scopes import auth
from broker.sandbox.google.state import google

API = Blueprint("people_others", __name__)

OTHER_CONTACTS = auth("contacts.other.readonly")
"""Rule P7: the contacts scopes do not open this list."""

FIELDS_OF_OTHERS = frozenset({"emailAddresses", "metadata", "names", "phoneNumbers", "photos"})
"""Rule P6."""

PARAMETERS = {"readMask", "sources", "pageSize", "pageToken", "requestSyncToken", "syncToken"}
CONTACT, PROFILE = "READ_SOURCE_TYPE_CONTACT", "READ_SOURCE_TYPE_PROFILE"


@API.get("/v1/otherContacts")
def other_contacts() -> Response:
    """otherContacts.list."""
    access = bearer(SERVICE, f"{METHODS}.ListOtherContacts", OTHER_CONTACTS)
    asked = set(request.args.getlist("sources")) or {CONTACT}
    if asked not in ({CONTACT}, {CONTACT, PROFILE}):
        raise invalid_argument("sources is READ_SOURCE_TYPE_CONTACT, alone or with READ_SOURCE_TYPE_PROFILE.")
    fields, types = mask("readMask", FIELDS if PROFILE in asked else FIELDS_OF_OTHERS), source_types(CONTACT)
    with google().lock:
        others = google().accounts[access.account].other_contacts
        page = page_of(others, PARAMETERS)
        living = others.living
    people = [shown(item, fields, types, access.scopes) for item in page.items]
    return jsonify({"otherContacts": people, **tokens(page), "totalSize": living})


@API.get("/v1/contactGroups")
def contact_groups() -> Response:
    """contactGroups.list, which the contacts scopes open as well though no page of a connector's names it (§4.7)."""
    access = bearer(SERVICE, "google.people.v1.ContactGroupsService.ListContactGroups", CONTACTS)
    with google().lock:
        members = google().accounts[access.account].contacts.living
    group = {
        "resourceName": "contactGroups/myContacts",
        "groupType": "SYSTEM_CONTACT_GROUP",
        "name": "myContacts",
        "formattedName": "My Contacts",
        "memberCount": members,
    }
    return jsonify({"contactGroups": [group], "totalItems": 1})
