"""What a provider's resource makes of an answer, and what an error answer means: pure, no network."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.providers import built_in
from broker.providers.base import Provider, Verdict
from broker.providers.openid import OpenIDProvider
from broker.providers.resource import Listing, Place, Resource
from tests.records.raw import CLAIMS, CONTACT_SOURCE, EVENT, PERSON, disturbed, json_values

GOOGLE, OPENID = built_in()["google"], OpenIDProvider("idp")
CONTACTS, EVENTS, CALENDARS = (GOOGLE.resources[name] for name in ("contacts", "events", "calendars"))
USERINFO = OPENID.resources["userinfo"]
PLACE = Place(page="p1", changes="c1", fields=("names",), limit=50)
ANSWERS: list[tuple[Resource, dict[str, Any]]] = [
    (CONTACTS, {"connections": [PERSON], "nextPageToken": "p2", "nextSyncToken": "s2", "totalItems": 1}),
    (EVENTS, {"items": [EVENT], "nextPageToken": "p2", "nextSyncToken": "s2", "summary": "ani@example.com"}),
    (CALENDARS, {"items": [{"id": "a", "summary": "A", "primary": True}], "nextPageToken": "p2"}),
    (USERINFO, CLAIMS),
]
each_answer = pytest.mark.parametrize(("resource", "answer"), ANSWERS, ids=lambda value: getattr(value, "name", ""))
each_listing = pytest.mark.parametrize(("resource", "items"), [(CONTACTS, "connections"), (EVENTS, "items")])


# --- listings ------------------------------------------------------------------------------------------------


@each_listing
def test_a_page_with_a_successor_continues_there_with_what_the_reading_began_with(resource: Resource, items: str):
    listing = resource.listing({items: [], "nextPageToken": "p2"}, PLACE)
    assert listing == Listing([], Place("p2", "c1", ("names",), 50), has_more=True)


@each_listing
def test_the_last_page_leads_to_what_will_have_changed(resource: Resource, items: str):
    listing = resource.listing({items: [{"id": "x"}], "nextSyncToken": "c2"}, PLACE)
    assert listing == Listing([{"id": "x"}], Place(None, "c2", ("names",), 50), has_more=False)


@each_listing
def test_a_last_page_without_a_sync_token_leads_nowhere(resource: Resource, items: str):
    assert resource.listing({}, PLACE) == Listing([], None, has_more=False)


@each_listing
@pytest.mark.parametrize(
    "answer",
    [
        {"nextPageToken": 1},
        {"nextPageToken": ["p"]},
        {"nextSyncToken": {}},
        {"connections": {}, "items": {}},
        {"connections": None, "items": None},
        {"connections": ["x"], "items": ["x"]},
        {"connections": [None], "items": [None]},
    ],
)
def test_a_malformed_answer_is_told_from_an_empty_one(resource: Resource, items: str, answer: dict[str, Any]):
    with pytest.raises(ValueError, match="is not a"):
        resource.listing(answer, PLACE)


@each_answer
@settings(max_examples=50)
@given(data=st.data())
def test_whatever_a_provider_answers_is_a_listing_or_malformed(
    resource: Resource, answer: dict[str, Any], data: st.DataObject
):
    sent = data.draw(disturbed(answer).filter(lambda value: isinstance(value, dict)))
    try:
        listing = resource.listing(sent, PLACE)
    except ValueError:
        return
    for raw in listing.items:
        assert isinstance(raw, dict)
        resource.as_asset(raw)
        seen = resource.visible(dict(raw), frozenset())
        assert set(seen) <= set(raw)


def test_userinfo_without_a_subject_is_malformed():
    with pytest.raises(ValueError, match="sub"):
        USERINFO.listing({"name": "Dewi"}, PLACE)


# --- values of other sources (rule P8) -----------------------------------------------------------------------


def sourced(kind: object) -> dict[str, Any]:
    return {"value": "x", "metadata": {"source": {"type": kind}}}


@pytest.mark.parametrize(
    "kind",
    ["PROFILE", "ACCOUNT", "DOMAIN_PROFILE", "DOMAIN_CONTACT", "OTHER_CONTACT", "contact", "", None, 1, ["CONTACT"]],
)
def test_a_value_from_another_source_is_dropped(kind: object):
    seen = CONTACTS.visible({"emailAddresses": [sourced(kind), sourced("CONTACT")]}, frozenset())
    assert seen == {"emailAddresses": [sourced("CONTACT")]}


@pytest.mark.parametrize("metadata", [None, {"source": None}, {"source": "CONTACT"}, {"source": {}}, "CONTACT", []])
def test_a_value_whose_source_cannot_be_told_is_dropped(metadata: object):
    assert CONTACTS.visible({"names": [{"value": "x", "metadata": metadata}]}, frozenset()) == {"names": []}


def test_a_value_without_a_source_came_from_the_only_one_asked_for():
    values = [{"value": "x"}, {"value": "y", "metadata": {"primary": True}}]
    assert CONTACTS.visible({"names": values}, frozenset()) == {"names": values}


@pytest.mark.parametrize("value", ["x", 1, None, {"value": "x"}, ["x", 1, None]])
def test_what_is_no_list_of_values_is_dropped(value: object):
    assert CONTACTS.visible({"names": value}, frozenset()) == {"names": []}


def test_the_metadata_names_no_other_source():
    foreign = {"type": "PROFILE", "id": "1000"}
    own = {"type": "CONTACT", "id": "1f"}
    seen = CONTACTS.visible(
        {"resourceName": "people/c31", "metadata": {"sources": [foreign, own, "x"], "deleted": True}}, frozenset()
    )
    assert seen == {"resourceName": "people/c31", "metadata": {"sources": [own], "deleted": True}}


@pytest.mark.parametrize("metadata", [None, "x", [], 1])
def test_metadata_that_are_none_become_empty(metadata: object):
    assert CONTACTS.visible({"metadata": metadata}, frozenset()) == {"metadata": {}}


@given(json_values)
def test_no_value_of_another_source_is_ever_left(value: Any):
    seen = CONTACTS.visible({"names": [value, {"value": "s", "metadata": CONTACT_SOURCE}]}, frozenset())
    for entry in seen["names"]:
        source = entry.get("metadata", {}).get("source", {"type": "CONTACT"})
        assert source["type"] == "CONTACT"


# --- assets --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"id": "team@g", "summary": "Team"}, ("team@g", "Team")),
        ({"id": "ani@example.com", "summary": "Ani", "primary": True}, ("primary", "Ani")),
        ({"id": "ani@example.com", "primary": "true"}, ("ani@example.com", "ani@example.com")),
        ({"id": "a", "summary": 7}, ("a", "a")),
        ({"id": ""}, None),
        ({"id": 7}, None),
        ({}, None),
    ],
)
def test_a_calendar_is_offered_by_its_id_and_the_main_one_as_primary(raw: dict[str, Any], expected: object):
    assert CALENDARS.as_asset(raw) == expected


# --- error answers (docs/facts/google.md §5.8) ---------------------------------------------------------------


def older(reason: str, domain: str = "global") -> dict[str, Any]:
    return {"error": {"code": 0, "errors": [{"domain": domain, "reason": reason, "message": "m"}]}}


def newer(reason: str, status: str = "PERMISSION_DENIED") -> dict[str, Any]:
    return {"error": {"code": 0, "status": status, "details": [{"reason": reason, "domain": "googleapis.com"}]}}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, older("authError"), "token"),
        (401, newer("x", "UNAUTHENTICATED"), "token"),
        (401, None, "token"),
        (403, newer("ACCESS_TOKEN_SCOPE_INSUFFICIENT"), "scope"),
        (403, older("insufficientPermissions"), "scope"),
        (403, older("insufficientScopes"), "scope"),
        (403, older("rateLimitExceeded", "usageLimits"), "rate"),
        (403, older("userRateLimitExceeded", "usageLimits"), "rate"),
        (403, older("quotaExceeded"), "rate"),
        (403, older("dailyLimitExceeded"), "rate"),
        (403, older("variableTermLimitExceeded", "usageLimits"), "rate"),
        (403, newer("RATE_LIMIT_EXCEEDED"), "rate"),
        (429, newer("RATE_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED"), "rate"),
        (429, older("rateLimitExceeded"), "rate"),
        (429, None, "rate"),
        (403, older("accessNotConfigured", "usageLimits"), "setup"),
        (403, newer("SERVICE_DISABLED"), "setup"),
        (403, newer("DISALLOWED_OAUTH_SCOPES"), "setup"),
        (403, older("domainPolicy"), "setup"),
        (403, older("unheardOf"), "setup"),
        (403, None, "setup"),
        (400, newer("EXPIRED_SYNC_TOKEN", "FAILED_PRECONDITION"), "place_lost"),
        (400, newer("EXPIRED_SYNC_TOKEN", "INVALID_ARGUMENT"), "place_lost"),
        (410, newer("EXPIRED_SYNC_TOKEN", "FAILED_PRECONDITION"), "place_lost"),
        (410, older("fullSyncRequired", "calendar"), "place_lost"),
        (410, older("updatedMinTooLongAgo", "calendar"), "place_lost"),
        (410, older("deleted"), "gone"),
        (404, older("notFound"), "gone"),
        (500, newer("EXPIRED_SYNC_TOKEN"), "server"),
        (400, newer("x", "INVALID_ARGUMENT"), "refused"),
        (412, older("conditionNotMet"), "refused"),
        (408, None, "server"),
        (500, older("backendError"), "server"),
        (502, None, "server"),
        (503, older("rateLimitExceeded"), "server"),
        (204, None, "server"),
    ],
)
def test_an_error_answer_of_google_means_this(status: int, body: object, kind: str):
    found = GOOGLE.verdict(status, body, 7)
    assert (found.kind, found.retry_after) == (kind, 7 if kind == "rate" else 0)


@pytest.mark.parametrize(
    ("reason", "app_wide"),
    [
        ("dailyLimitExceeded", True),
        ("quotaExceeded", True),
        ("userRateLimitExceeded", False),
        ("rateLimitExceeded", False),
    ],
)
def test_a_limit_of_google_is_of_the_account_unless_it_says_that_it_is_the_projects(reason: str, app_wide: bool):
    assert GOOGLE.verdict(403, older(reason, "usageLimits"), 7).app_wide is app_wide


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, "token"),
        (403, "scope"),
        (429, "rate"),
        (400, "refused"),
        (404, "refused"),
        (408, "server"),
        (503, "server"),
    ],
)
def test_an_error_answer_of_any_other_provider_means_this(status: int, kind: str):
    assert OPENID.verdict(status, {"error": "x"}, 7) == Verdict(kind, 7 if kind == "rate" else 0)  # type: ignore[arg-type]


@pytest.mark.parametrize("provider", [GOOGLE, OPENID], ids=["google", "openid"])
@given(status=st.integers(200, 599), body=json_values | disturbed(newer("x")) | disturbed(older("x")))
def test_no_error_body_is_too_odd_to_be_judged(provider: Provider, status: int, body: Any):
    json.dumps(body)
    assert provider.verdict(status, body, 1).kind


def test_a_message_text_decides_nothing_but_where_it_names_the_scopes_required():
    body = {"error": {"message": "Request had insufficient authentication scopes. rateLimitExceeded", "errors": []}}
    assert GOOGLE.verdict(403, body, 1).kind == "setup"
    body = {"error": {"message": "Request requires one of the following scopes: [profile].", "code": 403}}
    assert GOOGLE.verdict(403, body, 1).kind == "scope"
    assert GOOGLE.verdict(400, body, 1).kind == "refused"
