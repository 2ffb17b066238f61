"""What holds of the decision whatever the tables, connectors, grants and scopes are."""

import random
from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from broker.contract import Reads
from broker.scopes import Denied, Permitted, cut, decide, effective, missing, needed, opened

SCOPES = [f"scope{n}" for n in range(6)]
FIELDS = [f"field{n}" for n in range(7)]
some_scopes = st.frozensets(st.sampled_from(SCOPES))
some_fields = st.lists(st.sampled_from(FIELDS), unique=True)
tables = st.dictionaries(st.sampled_from(FIELDS), st.lists(st.sampled_from(SCOPES), unique=True, max_size=4).map(tuple))


@dataclass(frozen=True)
class Case:
    """One question to `decide`."""

    reads: Reads
    table: dict[str, tuple[str, ...]]
    accepted: frozenset[str]
    scopes: frozenset[str]
    consented: tuple[str, ...]

    def decided(self, **other: Any) -> Permitted | Denied:
        given = {**vars(self), **other}
        return decide(given["reads"], given["table"], given["accepted"], given["scopes"], given["consented"])

    def fields(self, **other: Any) -> set[str]:
        """What is passed on; nothing by a denial."""
        outcome = self.decided(**other)
        return set(outcome.fields) if isinstance(outcome, Permitted) else set()


@st.composite
def cases(draw: st.DrawFn) -> Case:
    fields = draw(some_fields)
    required = draw(st.integers(0, len(fields)))
    reads = Reads("resource", tuple(fields[:required]), tuple(fields[required:]))
    return Case(reads, draw(tables), draw(some_scopes), draw(some_scopes), tuple(draw(some_fields)))


@given(cases(), some_scopes)
def test_more_scopes_never_take_away(case: Case, more: frozenset[str]):
    assert case.fields() <= case.fields(scopes=case.scopes | more)


@given(cases(), some_scopes)
def test_fewer_scopes_never_give(case: Case, taken: frozenset[str]):
    assert case.fields(scopes=case.scopes - taken) <= case.fields()


@given(cases(), some_fields)
def test_less_consent_never_gives(case: Case, taken: list[str]):
    fewer = tuple(field for field in case.consented if field not in taken)
    assert case.fields(consented=fewer) <= case.fields()


@given(cases())
def test_each_field_that_passes_is_listed_asked_for_consented_to_and_open(case: Case):
    for field in case.fields():
        assert field in case.table
        assert field in case.reads.fields
        assert field in case.consented
        assert opened(field, case.table, case.scopes)


@given(cases())
def test_nothing_passes_without_a_scope_that_the_operation_accepts(case: Case):
    assert not case.fields() or case.accepted & case.scopes


@given(cases())
def test_a_page_has_every_required_field_or_there_is_none(case: Case):
    assert not case.fields() or set(case.reads.required) <= case.fields()


@given(cases())
def test_a_missing_grant_denies(case: Case):
    assert isinstance(case.decided(scopes=effective(case.scopes, ())), Denied)
    assert isinstance(case.decided(consented=()), Denied)


@given(cases(), st.sampled_from(["required", "optional"]))
def test_a_field_that_a_newer_connector_adds_is_not_passed_on_for_an_old_grant(case: Case, kind: str):
    where = {"required": case.reads.required, "optional": case.reads.optional}
    where[kind] = (*where[kind], "added")
    newer = Reads("resource", **where)
    table = {**case.table, "added": tuple(SCOPES)}
    assert "added" not in case.fields(reads=newer, table=table, scopes=frozenset(SCOPES))


@given(cases())
def test_each_field_is_permitted_or_withheld_and_never_both(case: Case):
    outcome = case.decided()
    if isinstance(outcome, Permitted):
        withheld = [entry.field for entry in outcome.withheld]
        assert sorted([*outcome.fields, *withheld]) == sorted(case.reads.fields)


@given(cases())
def test_a_withheld_field_opens_with_the_scope_that_is_named(case: Case):
    outcome = case.decided()
    for entry in outcome.withheld if isinstance(outcome, Permitted) else ():
        if entry.missing_scopes:
            assert not opened(entry.field, case.table, case.scopes)
            assert opened(entry.field, case.table, frozenset(entry.missing_scopes))
            assert entry.field in case.fields(
                scopes=case.scopes | set(entry.missing_scopes), consented=tuple(case.reads.fields)
            )


@given(cases(), st.randoms(use_true_random=False))
def test_order_never_matters(case: Case, shuffle: random.Random):
    shuffled = Reads("resource", _shuffled(case.reads.required, shuffle), _shuffled(case.reads.optional, shuffle))
    table = dict(_shuffled(tuple(case.table.items()), shuffle))
    outcome = case.decided()
    other = case.decided(reads=shuffled, table=table, consented=_shuffled(case.consented, shuffle))
    assert case.fields() == case.fields(reads=shuffled, table=table)
    if isinstance(outcome, Denied):
        assert other == outcome
    else:
        assert isinstance(other, Permitted)
        assert set(other.withheld) == set(outcome.withheld)


@given(tables, some_fields, st.randoms(use_true_random=False))
def test_what_is_asked_for_does_not_depend_on_the_order_of_the_fields(
    table: dict[str, tuple[str, ...]], fields: list[str], shuffle: random.Random
):
    assert needed(fields, table) == needed(_shuffled(tuple(fields), shuffle), table)


@given(tables, some_fields)
def test_what_is_asked_for_opens_everything_that_can_be_opened_and_holds_nothing_superfluous(
    table: dict[str, tuple[str, ...]], fields: list[str]
):
    asked = needed(fields, table)
    openable = [field for field in fields if table.get(field)]
    assert all(opened(field, table, frozenset(asked)) for field in openable)
    for scope in asked:
        assert not all(opened(field, table, frozenset(asked) - {scope}) for field in openable)


@given(tables, some_fields, some_scopes)
def test_with_the_missing_scopes_nothing_is_missing(
    table: dict[str, tuple[str, ...]], fields: list[str], scopes: frozenset[str]
):
    lacking = missing(fields, table, scopes)
    assert not scopes & set(lacking)
    assert missing(fields, table, scopes | set(lacking)) == ()


@given(st.dictionaries(st.sampled_from([*FIELDS, "id", "secret"]), st.integers()), some_fields)
def test_a_cut_adds_nothing_changes_nothing_and_keeps_only_what_is_named(raw: dict[str, int], fields: list[str]):
    kept = cut(raw, "id", fields)
    assert set(kept) == set(raw) & {"id", *fields}
    assert all(raw[name] == value for name, value in kept.items())


def _shuffled(items: tuple[Any, ...], shuffle: random.Random) -> tuple[Any, ...]:
    copy = list(items)
    shuffle.shuffle(copy)
    return tuple(copy)
