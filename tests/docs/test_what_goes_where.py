"""docs/what-goes-where.md says of every connector what it reads, by what, and what comes of it; no more, no less."""

import re

import pytest

from broker.commands.described import Described, facts, markdown
from broker.connections.begin import connector_scopes
from broker.consent import consent_text
from broker.contract import Connector
from broker.installed import announced, kinds, unlisted
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "what-goes-where.md").read_text(encoding="utf-8")
OURS = {one.name: one.connector for one in announced() if one.connector and one.is_ours}
KNOWN = kinds()


def described(connector: Connector) -> Described:
    return Described(connector, next(one for one in KNOWN if not unlisted(connector, [one])))


ALL = [described(connector) for connector in OURS.values()]
each_connector = pytest.mark.parametrize("one", ALL, ids=OURS)


def section(name: str) -> str:
    """What the page says of one connector."""
    parts = [
        part
        for part in re.split(r"\n(?=##+ )", PAGE)
        if part.startswith("### ") and f"`{name}`" in part.splitlines()[0]
    ]
    assert len(parts) == 1, name
    return parts[0]


def test_the_page_is_what_the_command_writes_today():
    assert len(ALL) >= 18
    assert PAGE.endswith(markdown(ALL)), "write it anew: broker connectors describe --markdown"


@each_connector
def test_every_field_that_a_connector_reads_stands_there_with_what_opens_it_and_no_other(one: Described):
    rows = re.findall(r"^\| (.+) \| (.+) \| `(\w+)` \| (.+) \| (.+) \|$", section(one.connector.name), re.MULTILINE)
    assert [row[2] for row in rows] == list(one.connector.reads.fields)
    for english, indonesian, field, without, opened in rows:
        assert (english, indonesian) == tuple(one.resource.titles[field][language] for language in ("en", "id"))
        assert (without == "no data at all") == (field in one.connector.reads.required)
        full = {f"https://www.googleapis.com/auth/{name}" for name in re.split(" or | and ", opened)}
        assert {scope for value in one.resource.fields[field] for scope in value.split()} <= full | set(
            re.split(" or | and ", opened)
        )


@each_connector
def test_the_words_are_those_of_the_consent_page(one: Described):
    text = consent_text(one.provider, [one.connector], locale="en", tenant_label=None, subject_label=None, purpose=None)
    assert f"*{text.connectors[0].title}*" in section(one.connector.name)
    for field in one.connector.reads.fields:
        assert facts(one)["fields"][one.connector.reads.fields.index(field)]["titles"]["en"] in text.connectors[0].reads


@each_connector
def test_the_scopes_told_are_all_that_is_asked_of_the_user(one: Described):
    told = facts(one)
    names = {*told["required_scopes"], *told["optional_scopes"], *told["choice_scopes"]}
    assert one.provider.normalised(frozenset(names)) >= set(connector_scopes(one.connector, one.provider))


@each_connector
def test_a_connector_says_every_operation_that_it_may_call(one: Described):
    for name in (one.resource.operation, *one.resource.operations):
        assert f"`{name}`" in section(one.connector.name)
    if one.connector.choices:
        assert f"`{one.provider.resources[one.connector.choices.resource].operation}`" in section(one.connector.name)


def test_a_page_that_leaves_out_a_field_would_be_seen():
    one = next(one for one in ALL if len(one.connector.reads.fields) > 2)
    assert markdown([one]) != markdown([described(_with_fewer(one.connector))])


def _with_fewer(connector: Connector) -> Connector:
    members = {name: getattr(connector, name) for name in connector.__dataclass_fields__}
    reads = type(connector.reads)(connector.reads.resource, connector.reads.required[:1], ())
    return Connector(**{**members, "reads": reads})
