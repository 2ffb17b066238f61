"""What every connector must do: a pure function from whatever it is passed to a valid record."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from broker.app import load_connectors
from broker.contract import Connector, Record
from broker.providers import built_in
from broker.providers.base import Provider
from broker.providers.openid import OpenIDProvider
from broker.providers.resource import Resource
from broker.trying import RULES, Trial
from tests.records.raw import CLAIMS, EVENT, PERSON, disturbed, json_values
from tests.records.raw_google import DELETED as DELETED_AT_GOOGLE
from tests.records.raw_google import GOOGLE
from tests.records.raw_meta import META

CONNECTORS = sorted(load_connectors().values(), key=lambda connector: connector.name)
FULL = {"google_contacts": PERSON, "google_calendar": EVENT, "openid_profile": CLAIMS, **GOOGLE, **META}
DELETED = {
    "google_contacts": {"resourceName": "people/c31", "metadata": {"deleted": True}},
    "google_calendar": {"id": "call1", "status": "cancelled"},
    **DELETED_AT_GOOGLE,
}
SOURCE = {"provider": "google", "account": "108"}
each_connector = pytest.mark.parametrize("connector", CONNECTORS, ids=lambda connector: connector.name)


def identity(connector: Connector) -> str:
    return resource(connector, connector.reads.resource).identity


def provider(connector: Connector) -> Provider:
    return built_in().get(connector.provider) or OpenIDProvider("idp")


def resource(connector: Connector, name: str) -> Resource:
    return provider(connector).resources[name]


def full(connector: Connector) -> dict[str, Any]:
    """A whole raw record, cut to what the connector reads."""
    kept = {identity(connector), resource(connector, connector.reads.resource).below, *connector.reads.fields}
    return {name: value for name, value in copy.deepcopy(FULL[connector.name]).items() if name in kept}


def is_valid(connector: Connector, record: Record) -> None:
    Draft202012Validator(connector.schema).validate({**record, "source": SOURCE})


@each_connector
def test_every_connector_has_a_whole_record_to_be_tried_with(connector: Connector):
    assert set(connector.reads.fields) <= {*FULL[connector.name], identity(connector)}


@each_connector
@pytest.mark.parametrize("rule", RULES)
def test_every_connector_keeps_each_rule_that_any_author_can_try(connector: Connector, rule: str):
    """`broker.trying` has them as a kit; tests/records/test_trying.py shows that each of them can be broken."""
    trial = Trial(connector, provider(connector), (FULL[connector.name],))
    assert list(RULES[rule](trial)) == []


@pytest.mark.parametrize("name", DELETED)
def test_a_deleted_record_says_so_and_is_valid(name: str):
    connector = load_connectors()[name]
    record = connector.convert(DELETED[name])
    is_valid(connector, record)
    assert record["deleted"] is True
    assert record == {"id": record["id"], "type": connector.type, "deleted": True} | (
        {"status": "cancelled"} if name == "google_calendar" else {}
    )


@each_connector
@settings(max_examples=50)
@given(data=st.data())
def test_whatever_a_provider_sends_becomes_a_valid_record(connector: Connector, data: st.DataObject):
    raw = data.draw(disturbed(full(connector)).filter(lambda value: isinstance(value, dict)))
    raw = {name: value for name, value in raw.items() if name in connector.reads.fields}
    record = connector.convert({**raw, identity(connector): "one"})
    is_valid(connector, record)
    assert record["id"] == "one"


@each_connector
@settings(max_examples=50)
@given(data=st.data())
def test_any_json_in_any_field_becomes_a_valid_record(connector: Connector, data: st.DataObject):
    fields = set(connector.reads.fields) - {identity(connector)}
    raw = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(sorted(fields), json_values)))
    is_valid(connector, connector.convert({**raw, identity(connector): "one"}))


@pytest.mark.parametrize("language", ["en", "id"])
def test_every_field_that_a_provider_lists_has_a_name_for_people(language: str):
    for provider in (*built_in().values(), OpenIDProvider("idp")):
        for listed in provider.resources.values():
            assert [field for field in listed.fields if not listed.titles.get(field, {}).get(language)] == []


def test_the_primary_value_of_a_contact_comes_first():
    record = load_connectors()["google_contacts"].convert(PERSON)
    assert record["name"] == "Dewi Putri"
    assert [email["value"] for email in record["emails"]] == ["dewi@example.org", "old@example.org"]
    assert record["updated_at"] == "2026-11-01T02:00:00Z"


@pytest.mark.parametrize(
    ("raw", "busy"),
    [({"transparency": "transparent"}, False), ({"transparency": "opaque"}, True), ({}, True)],
)
def test_an_event_is_busy_unless_it_says_otherwise(raw: dict[str, str], busy: bool):
    assert load_connectors()["google_calendar"].convert({"id": "e", "status": "confirmed", **raw})["busy"] is busy


def test_a_whole_day_and_a_moment_are_told_apart():
    record = load_connectors()["google_calendar"].convert(EVENT)
    assert record["start"] == {"date_time": "2026-12-02T09:00:00+07:00", "time_zone": "Asia/Jakarta"}
    assert record["end"] == {"date": "2026-12-03"}


@pytest.mark.parametrize(
    ("said", "expected"), [(True, True), ("true", True), (False, False), ("false", False), (1, False), (None, False)]
)
def test_an_address_is_verified_only_if_the_provider_says_so(said: object, expected: bool):
    record = load_connectors()["openid_profile"].convert({"sub": "s", "email_verified": said})
    assert record["email_verified"] is expected
