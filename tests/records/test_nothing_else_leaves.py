"""Whatever a provider answers, no value leaves that is of no permitted field: of every connector, under any grant.

Twice: as a property of the way from an answer to the records, pure; and over HTTP, with a provider that puts tokens,
addresses and fields that nobody asked for into every answer.
"""

import copy
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker import scopes
from broker.app import load_connectors
from broker.contract import Connector, RawRecord, Record
from broker.providers import built_in
from broker.providers.openid import OpenIDProvider
from broker.providers.resource import Place, Resource
from broker.reading import is_identified
from broker.sandbox.serve import Running, mapped
from broker.scopes import Permitted
from tests.house import ANI as ANI_AT_GOOGLE
from tests.house import Google, House, SalesApp
from tests.meta import ANI, ANI_AT_INSTAGRAM, SETTINGS, Facebook, Instagram
from tests.records.answers import MARKS, NUMBER, OUTSIDE, SECRET, TIME, WITHIN, Between, Spoiler, answer, seen

CONNECTORS = sorted(load_connectors().values(), key=lambda connector: connector.name)
each_connector = pytest.mark.parametrize("connector", CONNECTORS, ids=lambda connector: connector.name)
OUTER = (OUTSIDE, str(NUMBER), TIME)
"""Marks of what stands in no permitted field."""
ACCOUNTS = {"google": ANI_AT_GOOGLE, "facebook": ANI, "instagram": ANI_AT_INSTAGRAM}
WITHHELD = {"email"}
"""Scopes that the user unticks: optional ones."""


def resource_of(connector: Connector) -> Resource:
    provider = built_in().get(connector.provider) or OpenIDProvider("idp")
    return provider.resources[connector.reads.resource]


@dataclass(frozen=True)
class Reading:
    """What the user granted, what the consent page named, and what may come out by that."""

    connector: Connector
    effective: frozenset[str]
    consented: frozenset[str]

    @property
    def permitted(self) -> frozenset[str]:
        """Told apart from the code that decides it: listed, asked for, named at the consent, and opened as a whole."""
        table = resource_of(self.connector).fields
        return frozenset(
            field
            for field in self.connector.reads.fields
            if field in self.consented and any(set(value.split()) <= self.effective for value in table.get(field, ()))
        )


@st.composite
def readings(draw: st.DrawFn, connector: Connector) -> Reading:
    """Any scopes of the resource's table, any fields named; the required ones often enough for something to be read."""
    table = resource_of(connector).fields
    opening = sorted({scope for values in table.values() for value in values for scope in value.split()})
    effective = set(draw(st.sets(st.sampled_from(opening))))
    consented = set(draw(st.sets(st.sampled_from(sorted(table)))))
    if draw(st.integers(0, 9)):
        effective |= set(scopes.required_scopes(connector.reads, table))
        consented |= set(connector.reads.required)
    return Reading(connector, frozenset(effective), frozenset(consented))


def handed_out(reading: Reading, sent: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The records, and what the connector was passed for them; nothing where nothing may be read or read out of it."""
    connector, resource = reading.connector, resource_of(reading.connector)
    outcome = scopes.decide(
        connector.reads, resource.fields, frozenset(reading.effective), reading.effective, reading.consented
    )
    if not isinstance(outcome, Permitted):
        return [], []
    place = Place(
        fields=tuple(sorted(outcome.fields)), limit=100, began="2026-11-25T03:00:00Z", within=str(sent.get("id"))
    )
    try:
        listing = resource.listing(sent, place)
    except ValueError:
        return [], []
    above = {resource.below: "above"} if resource.below else {}
    raws = [{**raw, **above} for raw in listing.items if is_identified(raw, resource)]
    passed = [resource.passed_on(raw, outcome.fields, reading.effective) for raw in raws]
    return [connector.convert(raw) for raw in passed], passed


@each_connector
@settings(max_examples=150)
@given(data=st.data())
def test_no_value_outside_the_permitted_fields_leaves_whatever_the_provider_answers(
    connector: Connector, data: st.DataObject
) -> None:
    reading, resource = data.draw(readings(connector)), resource_of(connector)
    spoiler = Spoiler(random.Random(data.draw(st.integers(0, 2**32))), reading.permitted)
    answered_with = data.draw(st.sampled_from([reading.permitted, frozenset(resource.fields)]))
    sent = spoiler.spoiled(answer(connector, resource, answered_with))
    records, passed = handed_out(reading, sent)
    assert not [mark for mark in (*MARKS, WITHIN) if mark in seen(records)]
    assert not [mark for mark in OUTER if mark in seen(passed)], "whatever a connector does, it is passed no such thing"


@each_connector
def test_what_is_permitted_leaves_by_the_same_way(connector: Connector) -> None:
    """Else the property would hold for a way by which nothing leaves at all."""
    table = resource_of(connector).fields
    every = frozenset(scope for values in table.values() for value in values for scope in value.split())
    reading = Reading(connector, every, frozenset(table))
    true = Spoiler(random.Random(1), reading.permitted, wrong=0.0)
    records, _ = handed_out(reading, true.spoiled(answer(connector, resource_of(connector), reading.permitted)))
    assert records
    assert len(records[0]) > 4, "nothing but an empty record"


@each_connector
def test_the_answers_hold_what_must_not_leave(connector: Connector) -> None:
    """Else the property would hold by itself."""
    reading = Reading(connector, frozenset(), frozenset())
    sent = [
        Spoiler(random.Random(seed), reading.permitted).spoiled(answer(connector, resource_of(connector), ()))
        for seed in range(30)
    ]
    assert {mark for mark in (OUTSIDE, SECRET, "access_token") if mark in seen(sent)} == {
        OUTSIDE,
        SECRET,
        "access_token",
    }


# --- over HTTP -----------------------------------------------------------------------------------------------


@pytest.fixture
def between(google: Google, facebook: Facebook, instagram: Instagram) -> Iterator[dict[str, tuple[Between, str]]]:
    """By provider: what stands before the fake one, and its address."""
    with ExitStack() as stack:
        found = {}
        for name, fake in (("google", google), ("facebook", facebook), ("instagram", instagram)):
            before = Between(fake.url)
            found[name] = (before, stack.enter_context(Running(before.app())).url)
        yield found


def test_nothing_else_leaves_over_http(
    build: Callable[..., House], sqlite_url: str, between: dict[str, tuple[Between, str]]
) -> None:
    """Each connector of the three, of an account that withheld what it could: what the connector is passed, and the
    answer to the bytes."""
    origins = mapped({name: url for name, (_, url) in between.items()})
    house = build(sqlite_url, BROKER_ORIGINS=origins, **SETTINGS)
    app, passed = house.client(), listened(house)
    for grant in granted(app):
        connector = house.broker.connectors[grant["connector"]]
        before = between[connector.provider][0]
        withheld = {entry["field"] for entry in read(app, grant)["withheld"]}
        passed.clear()
        permitted = set(connector.reads.fields) - withheld
        before.outside = set(resource_of(connector).fields) - permitted - {resource_of(connector).identity}
        before.spoils, before.spoiled = True, 0
        answered = read(app, grant)
        before.spoils = False
        assert answered["records"], connector.name
        assert before.spoiled, connector.name
        assert not [mark for mark in (*MARKS, WITHIN) if mark in seen(answered)], connector.name
        assert OUTSIDE not in seen(passed), connector.name


def listened(house: House) -> list[Any]:
    """What connectors are passed from now on."""
    passed: list[Any] = []
    connectors = cast(dict[str, Connector], house.broker.connectors)
    for name, connector in connectors.items():
        connectors[name] = replace(connector, convert=_listening(connector, passed))
    return passed


def _listening(connector: Connector, passed: list[Any]) -> Callable[[RawRecord], Record]:
    def convert(raw: RawRecord) -> Record:
        passed.append(copy.deepcopy(raw))
        return connector.convert(raw)

    return convert


def granted(app: SalesApp) -> list[dict[str, Any]]:
    """A grant of each connector, with one asset where it hangs on some; `email` and what names calendars withheld."""
    found = []
    for provider, account in ACCOUNTS.items():
        names = sorted(name for name, one in load_connectors().items() if one.provider == provider)
        connection = app.connect(*names, provider=provider, account=account, without=[*WITHHELD])
        for grant in connection["grants"]:
            found.append({**grant, "connection": connection["id"], "asset": _asset(app, connection["id"], grant)})
    return found


def _asset(app: SalesApp, connection: str, grant: dict[str, Any]) -> str | None:
    path = f"/v1/connections/{connection}/assets/{grant['connector']}"
    answered = app.call("GET", path).json()
    offered = answered.get("items", [])
    if not offered:
        return None
    assert app.call("PUT", path, {"assets": [offered[0]["id"]]}).status_code == 200
    return str(offered[0]["id"])


def read(app: SalesApp, grant: dict[str, Any]) -> dict[str, Any]:
    params = {"asset": grant["asset"]} if grant["asset"] else {}
    answered = app.records(grant["connection"], grant["connector"], limit=10, **params)
    assert answered.status_code == 200, (grant["connector"], answered.text)
    return dict(answered.json())
