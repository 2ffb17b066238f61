"""People: paging, changes, sources, scopes, errors. docs/facts/google.md §4.6.2, §4.7, §5.2, §5.8."""

from typing import Any

import pytest

from tests.sandbox.google_client import ANI, AUTH, BUDI, CONTACTS, EMAIL, EVENTS, Client, contacts_read, reason

WEEK = 7 * 24 * 3600
SYNC = {"requestSyncToken": "true", "pageSize": 1000}


@pytest.fixture
def token(google: Client) -> str:
    return google.connect()["access_token"]


def test_contacts_come_in_pages_each_once(google: Client, token: str) -> None:
    first = google.people(token).json()
    assert (len(first["connections"]), first["totalItems"], "nextPageToken" in first) == (100, 260, True)
    people, _ = contacts_read(google, token)
    names = [person["resourceName"] for person in people]
    assert (len(names), len(set(names))) == (260, 260)


def test_a_person_has_only_the_fields_asked_for(google: Client, token: str) -> None:
    people = google.people(token, personFields="names,emailAddresses", pageSize=1).json()["connections"]
    assert set(people[0]) == {"resourceName", "etag", "names", "emailAddresses"}
    assert people[0]["names"][0]["metadata"] == {"primary": True, "source": {"type": "CONTACT", "id": "1"}}


@pytest.mark.parametrize(
    "query",
    [
        {"personFields": ""},
        {"personFields": "names,secrets"},
        {"pageSize": 0},
        {"pageSize": 1001},
        {"pageSize": "9" * 5000},
        {"pageSize": "٣"},
        {"sources": "READ_SOURCE_TYPE_MIND"},
        {"pageToken": "NOT-ONE"},
        {"syncToken": "NOT-ONE"},
        {"surprise": "1"},
    ],
)
def test_a_malformed_listing_is_refused(google: Client, token: str, query: dict[str, Any]) -> None:
    answer = google.people(token, **query)
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


def _sources(google: Client, token: str, **query: str) -> set[str]:
    fields = ("emailAddresses", "phoneNumbers", "organizations")
    people, _ = contacts_read(google, token, personFields=",".join(fields), pageSize=1000, **query)
    values = [value for person in people for field in fields for value in person.get(field, [])]
    return {value["metadata"]["source"]["type"] for value in values}


def test_values_come_from_the_sources_asked_for(google: Client, token: str) -> None:
    """Rule P8."""
    assert _sources(google, token) == {"CONTACT", "PROFILE"}
    assert _sources(google, token, sources="READ_SOURCE_TYPE_CONTACT") == {"CONTACT"}


def test_values_of_a_source_that_no_scope_opens_are_silently_absent(google: Client) -> None:
    """Rules P1, P4."""
    token = google.connect("openid", CONTACTS, f"{AUTH}directory.readonly")["access_token"]
    assert _sources(google, token) == {"CONTACT", "PROFILE", "DOMAIN_PROFILE"}


def test_the_quirk_brings_values_of_every_source(google: Client, token: str) -> None:
    google.quirk(ignore_sources=True)
    assert _sources(google, token, sources="READ_SOURCE_TYPE_CONTACT") == {"CONTACT", "PROFILE", "DOMAIN_PROFILE"}


@pytest.mark.parametrize("changed", [{"personFields": "names"}, {"pageSize": 99}, {"requestSyncToken": "false"}])
def test_with_a_page_token_all_else_must_stay_the_same(google: Client, token: str, changed: dict[str, Any]) -> None:
    query: dict[str, Any] = {"pageSize": 100, "requestSyncToken": "true"}
    page = google.people(token, **query).json()["nextPageToken"]
    assert google.people(token, pageToken=page, **query).status_code == 200
    assert google.people(token, pageToken=page, **(query | changed)).status_code == 400


def test_a_sync_token_comes_only_when_asked_for_and_at_the_end(google: Client, token: str) -> None:
    assert contacts_read(google, token)[1] is None
    assert "nextSyncToken" not in google.people(token, requestSyncToken="true").json()
    assert contacts_read(google, token, requestSyncToken="true")[1]


def test_a_sync_token_yields_only_what_changed(google: Client, token: str) -> None:
    sync = contacts_read(google, token, **SYNC)[1]
    assert google.people(token, syncToken=sync, **SYNC).json()["connections"] == []
    name = {"displayName": "Ani Baru"}
    google.control("contacts", {"account": ANI, "contact": {"resourceName": "people/c3", "names": [name]}})
    google.control("contacts", {"account": ANI, "contact": {"resourceName": "people/c5"}, "delete": True})
    added = google.control("contacts", {"account": "ani@example.com", "contact": {"names": [name]}}).json()["id"]
    changes = google.people(token, syncToken=sync, **SYNC).json()
    by_name = {person["resourceName"]: person for person in changes["connections"]}
    assert set(by_name) == {"people/c3", "people/c5", added}
    assert by_name["people/c5"]["metadata"]["deleted"] is True
    assert by_name["people/c3"]["names"][0]["displayName"] == "Ani Baru"
    assert google.people(token, syncToken=changes["nextSyncToken"], **SYNC).json()["connections"] == []


def test_a_full_reading_has_no_deleted_person(google: Client, token: str) -> None:
    google.control("contacts", {"account": ANI, "contact": {"resourceName": "people/c5"}, "delete": True})
    people, _ = contacts_read(google, token)
    assert "people/c5" not in {person["resourceName"] for person in people}


def test_a_change_during_a_reading_belongs_to_the_next(google: Client, token: str) -> None:
    query = SYNC | {"pageSize": 200}
    page = google.people(token, **query).json()["nextPageToken"]
    google.control("contacts", {"account": ANI, "contact": {"resourceName": "people/c1", "nicknames": []}})
    sync = google.people(token, pageToken=page, **query).json()["nextSyncToken"]
    changes = google.people(token, syncToken=sync, **query).json()["connections"]
    assert [person["resourceName"] for person in changes] == ["people/c1"]


def test_with_a_sync_token_all_else_must_stay_the_same(google: Client, token: str) -> None:
    sync = contacts_read(google, token, **SYNC)[1]
    assert google.people(token, syncToken=sync, **(SYNC | {"personFields": "names"})).status_code == 400


def test_a_sync_token_lives_a_week_from_the_full_reading(google: Client, clock) -> None:
    answer = google.connect()
    sync = contacts_read(google, answer["access_token"], **SYNC)[1]
    clock.now += WEEK
    token = google.refresh(answer["refresh_token"]).json()["access_token"]
    renewed = google.people(token, syncToken=sync, **SYNC).json()["nextSyncToken"]
    clock.now += 1
    assert reason(google.people(token, syncToken=renewed, **SYNC)) == "EXPIRED_SYNC_TOKEN"


def test_another_accounts_sync_token_is_not_known(google: Client, token: str) -> None:
    sync = contacts_read(google, token, **SYNC)[1]
    budi = google.connect(account=BUDI)["access_token"]
    assert google.people(budi, syncToken=sync, **SYNC).status_code == 400


def test_contacts_need_a_contacts_scope(google: Client) -> None:
    """Rule P7, §5.8: both envelopes in one body."""
    token = google.connect("openid", f"{AUTH}contacts.other.readonly")["access_token"]
    answer = google.people(token)
    error = answer.json()["error"]
    assert (answer.status_code, error["status"]) == (403, "PERMISSION_DENIED")
    assert reason(answer) == "ACCESS_TOKEN_SCOPE_INSUFFICIENT"
    assert error["errors"][0]["reason"] == "insufficientPermissions"


def test_a_bad_token_is_401_in_each_services_envelope(google: Client) -> None:
    people, events = google.people("ya29.NOT-ONE"), google.events("ya29.NOT-ONE")
    assert (people.status_code, people.json()["error"]["status"]) == (401, "UNAUTHENTICATED")
    assert (events.status_code, events.json()["error"]["errors"][0]["reason"]) == (401, "authError")


def test_each_account_has_its_own(google: Client) -> None:
    answer = google.connect("openid", CONTACTS, EVENTS, account=BUDI)
    assert google.people(answer["access_token"]).json()["totalItems"] == 8


def test_thousands_of_contacts_are_read_in_pages_each_once(google: Client, token: str) -> None:
    google.control("accounts", {"email": "ani@example.com", "contacts": 5000})
    people, _ = contacts_read(google, token, pageSize=1000)
    assert len({person["resourceName"] for person in people}) == len(people) == 5000


@pytest.mark.parametrize(
    ("order", "field"), [("FIRST_NAME_ASCENDING", "givenName"), ("LAST_NAME_ASCENDING", "familyName")]
)
def test_persons_come_in_the_order_asked_for(google: Client, token: str, order: str, field: str) -> None:
    people, _ = contacts_read(google, token, sortOrder=order)
    names = [person["names"][0][field] for person in people]
    assert names == sorted(names)


def test_the_last_changed_come_first_when_asked_for(google: Client, token: str) -> None:
    google.control("contacts", {"account": ANI, "contact": {"resourceName": "people/c7", "nicknames": []}})
    first = google.people(token, sortOrder="LAST_MODIFIED_DESCENDING", pageSize=1).json()["connections"][0]
    assert first["resourceName"] == "people/c7"


def test_a_person_deleted_during_a_reading_does_not_come(google: Client, token: str) -> None:
    page = google.people(token, pageSize=200).json()["nextPageToken"]
    google.control("contacts", {"account": ANI, "contact": {"resourceName": "people/c250"}, "delete": True})
    rest = google.people(token, pageSize=200, pageToken=page).json()["connections"]
    assert "people/c250" not in {person["resourceName"] for person in rest}


def test_a_renamed_person_names_its_former_self(google: Client, token: str) -> None:
    sync = contacts_read(google, token, **SYNC)[1]
    google.control(
        "contacts", {"account": ANI, "contact": {"resourceName": "people/c9000"}, "renamed_from": "people/c9"}
    )
    changes = google.people(token, syncToken=sync, **SYNC).json()["connections"]
    assert [person["resourceName"] for person in changes] == ["people/c9000"]
    assert changes[0]["metadata"]["previousResourceNames"] == ["people/c9"]
    assert changes[0]["names"]


def test_a_record_of_no_sound_shape_is_handed_out_as_it_was_put_in(google: Client, token: str) -> None:
    """What a provider should not send, a test of its client may want."""
    odd = {"resourceName": "people/c1", "names": [3, {"metadata": 7}], "emailAddresses": "none"}
    google.control("contacts", {"account": ANI, "contact": odd})
    found, _ = contacts_read(google, token, personFields="names,emailAddresses")
    assert len(contacts_read(google, token, sortOrder="LAST_NAME_ASCENDING")[0]) == 260
    shown = next(person for person in found if person["resourceName"] == "people/c1")
    assert (shown["names"], shown["emailAddresses"]) == ([3, {"metadata": 7}], "none")


def test_a_missing_token_is_401(google: Client) -> None:
    answer = google.http.get(f"{google.url}/v1/people/me/connections", params={"key": "KEY-1", "personFields": "names"})
    assert (answer.status_code, answer.json()["error"]["status"]) == (401, "UNAUTHENTICATED")


OWN = "names,emailAddresses,addresses,birthdays,genders,organizations,phoneNumbers"


@pytest.mark.parametrize(
    ("scopes", "fields"),
    [
        ((), {"names"}),
        (("userinfo.email",), {"names", "emailAddresses"}),
        (("user.birthday.read", "user.phonenumbers.read"), {"names", "birthdays", "phoneNumbers"}),
        (("contacts.readonly",), {"names"}),
    ],
)
def test_the_own_profile_shows_what_scopes_open_and_is_silent_about_the_rest(
    google: Client, scopes: tuple[str, ...], fields: set[str]
) -> None:
    """Rules P3, P4."""
    token = google.connect("openid", "profile", *(AUTH + name for name in scopes), ticked=[AUTH + n for n in scopes])
    person = google.get("/v1/people/me", token["access_token"], personFields=OWN).json()
    assert person.keys() - {"resourceName", "etag"} == fields


def test_all_addresses_of_the_own_profile_need_a_scope_beyond_the_primary_ones(google: Client) -> None:
    """Rule P3."""

    def addresses(*more: str) -> int:
        token = google.connect("openid", "profile", "email", *more)["access_token"]
        return len(google.get("/v1/people/me", token, personFields="emailAddresses").json()["emailAddresses"])

    assert (addresses(), addresses(f"{AUTH}user.emails.read")) == (1, 2)


def test_the_own_profile_without_profile_is_refused_by_text_alone(google: Client) -> None:
    """Rule P2."""
    token = google.connect("openid", CONTACTS, EMAIL)["access_token"]
    answer = google.get("/v1/people/me", token, personFields="names")
    error = answer.json()["error"]
    assert answer.status_code == 403
    assert "Request requires one of the following scopes: [profile]" in error["message"]
    assert error.keys() == {"code", "message", "status"}


@pytest.mark.parametrize(("name", "status"), [("people/c1", 200), ("people/c99999", 404)])
def test_a_single_contact_is_found_by_its_name(google: Client, token: str, name: str, status: int) -> None:
    answer = google.get(f"/v1/{name}", token, personFields="names")
    assert answer.status_code == status


def test_a_single_contact_hides_its_values_from_a_token_without_contacts(google: Client) -> None:
    """Rules P1, P4."""
    token = google.connect("openid", f"{AUTH}contacts.other.readonly")["access_token"]
    person = google.get("/v1/people/c1", token, personFields="names,emailAddresses").json()
    assert person.keys() == {"resourceName", "etag"}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"readMask": "names,emailAddresses"}, 200),
        ({"readMask": "organizations"}, 400),
        ({}, 400),
        ({"readMask": "names", "sources": "READ_SOURCE_TYPE_PROFILE"}, 400),
        ({"readMask": "organizations", "sources": ["READ_SOURCE_TYPE_CONTACT", "READ_SOURCE_TYPE_PROFILE"]}, 200),
    ],
)
def test_other_contacts_give_few_fields(google: Client, query: dict[str, Any], status: int) -> None:
    """Rule P6."""
    token = google.connect("openid", f"{AUTH}contacts.other.readonly")["access_token"]
    assert google.get("/v1/otherContacts", token, **query).status_code == status


def test_other_contacts_with_their_profiles_give_more(google: Client) -> None:
    """Rule P6: the wider fields come from the source that opens them."""
    token = google.connect("openid", f"{AUTH}contacts.other.readonly")["access_token"]
    contact, profile, other = (f"READ_SOURCE_TYPE_{name}" for name in ("CONTACT", "PROFILE", "OTHER_CONTACT"))
    both = {"readMask": "names,organizations", "sources": [contact, profile]}
    people = google.get("/v1/otherContacts", token, **both).json()["otherContacts"]
    found = [person["organizations"][0] for person in people if "organizations" in person]
    assert {value["metadata"]["source"]["type"] for value in found} == {"PROFILE"}
    refused = google.get("/v1/otherContacts", token, readMask="names", sources=[contact, other])
    assert refused.status_code == 400


def test_other_contacts_are_read_in_pages_and_by_sync_token(google: Client) -> None:
    token = google.connect("openid", f"{AUTH}contacts.other.readonly")["access_token"]
    page = google.get("/v1/otherContacts", token, readMask="names", requestSyncToken="true").json()
    assert (len(page["otherContacts"]), page["totalSize"], "nextSyncToken" in page) == (65, 65, True)
    assert page["otherContacts"][0]["names"][0]["metadata"]["source"]["type"] == "OTHER_CONTACT"


@pytest.mark.parametrize(("path", "status"), [("/v1/otherContacts", 403), ("/v1/contactGroups", 200)])
def test_a_contacts_scope_opens_groups_as_well_but_no_other_contacts(
    google: Client, token: str, path: str, status: int
) -> None:
    """Rule P7, §4.7: a scope alone says nothing about what a connector may read."""
    assert google.get(path, token, readMask="names").status_code == status
