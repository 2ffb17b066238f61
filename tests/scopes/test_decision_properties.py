"""What holds of the decision whatever tables, connectors, grants and scopes are; in a small world, all of it."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, combinations, permutations, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.contract import Reads
from broker.scopes import Denied, Permitted, cut, decide, effective, missing, needed, opened, opens

SCOPES = [f"scope{n}" for n in range(6)]
FIELDS = [f"field{n}" for n in range(7)]
some_scopes = st.frozensets(st.sampled_from(SCOPES))
some_fields = st.lists(st.sampled_from(FIELDS), unique=True)
scope_values = st.lists(st.sampled_from(SCOPES), unique=True, min_size=1, max_size=3).map(" ".join)
some_values = st.frozensets(scope_values, max_size=4)
tables = st.dictionaries(st.sampled_from(FIELDS), st.lists(scope_values, unique=True, max_size=4).map(tuple))


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
    return Case(reads, draw(tables), draw(some_values), draw(some_scopes), tuple(draw(some_fields)))


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
def test_nothing_passes_without_all_scopes_of_one_scope_value_that_the_operation_accepts(case: Case):
    assert not case.fields() or any(set(value.split()) <= case.scopes for value in case.accepted)


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
def test_a_withheld_field_opens_with_the_scopes_that_are_named_and_with_no_fewer(case: Case):
    outcome = case.decided()
    for entry in outcome.withheld if isinstance(outcome, Permitted) else ():
        for scope in entry.missing_scopes:
            without = case.scopes.union(entry.missing_scopes) - {scope}
            assert not opened(entry.field, case.table, without)
        if entry.missing_scopes:
            assert entry.field in case.fields(
                scopes=case.scopes | set(entry.missing_scopes), consented=tuple(case.reads.fields)
            )


@given(cases())
def test_callers_are_told_single_scopes_of_which_none_is_there(case: Case):
    outcome = case.decided()
    if isinstance(outcome, Permitted):
        told = {scope for entry in outcome.withheld for scope in entry.missing_scopes}
        assert not told & case.scopes
    else:
        told = set(outcome.missing_scopes)
    assert told <= set(SCOPES)


@given(cases(), some_scopes)
def test_with_one_scope_of_each_alternative_missing_a_field_stays_closed(case: Case, taken: frozenset[str]):
    for field, values in case.table.items():
        if all(taken & set(value.split()) for value in values):
            assert not opened(field, case.table, frozenset(SCOPES) - taken)


@given(some_values, some_scopes, st.randoms(use_true_random=False))
def test_the_order_of_the_scopes_in_a_value_and_of_the_values_never_matters_to_what_opens(
    values: frozenset[str], scopes: frozenset[str], shuffle: random.Random
):
    turned = [" ".join(_shuffled(tuple(value.split()), shuffle)) for value in _shuffled(tuple(values), shuffle)]
    assert opens(turned, scopes) == opens(values, scopes)


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
    kept = cut(raw, ("id",), fields)
    assert set(kept) == set(raw) & {"id", *fields}
    assert all(raw[name] == value for name, value in kept.items())


# --- a small world, exhausted --------------------------------------------------------------------------------

TWO = ("f", "g")
ALTERNATIVES = [tuple(values) for size in range(3) for values in permutations(("a", "b", "a b"), size)]
TABLES = [dict(zip(TWO, pair, strict=True)) for pair in product(ALTERNATIVES, repeat=2)]


def _subsets(items: Iterable[str]) -> Iterator[frozenset[str]]:
    """The smallest first, and of one size in order."""
    listed = sorted(items)
    return map(frozenset, chain.from_iterable(combinations(listed, size) for size in range(len(listed) + 1)))


def _held(values: Iterable[str], scopes: frozenset[str]) -> bool:
    return any(all(scope in scopes for scope in value.split()) for value in values)


def _asked_for(fields: Iterable[str], table: dict[str, tuple[str, ...]], scopes: frozenset[str]) -> tuple[str, ...]:
    """The model of `missing`: every set of the first alternatives' scopes is tried."""
    closed = [table[field] for field in fields if table[field] and not _held(table[field], scopes)]
    firsts = {scope for values in closed for scope in values[0].split()} - scopes
    enough = (more for more in _subsets(firsts) if all(_held(values, scopes | more) for values in closed))
    return tuple(sorted(next(enough)))


@pytest.mark.parametrize("required", [0, 1, 2])
def test_in_a_world_of_two_fields_and_two_scopes_the_decision_is_the_models(required: int):
    reads = Reads("resource", TWO[:required], TWO[required:])
    accepting = [(), ("a",), ("a b",), ("a", "b")]
    for table, accepted, scopes, consented in product(TABLES, accepting, _subsets("ab"), _subsets(TWO)):
        passing = [field for field in TWO if field in consented and _held(table[field], scopes)]
        outcome = decide(reads, table, frozenset(accepted), scopes, consented)
        if passing and set(reads.required) <= set(passing) and _held(accepted, scopes):
            assert isinstance(outcome, Permitted)
            assert list(outcome.fields) == passing
            closed = {field: _asked_for((field,), table, scopes) for field in TWO if field not in passing}
            assert {entry.field: entry.missing_scopes for entry in outcome.withheld} == closed
        else:
            lacking = _asked_for(reads.required, table, scopes)
            assert outcome == Denied(lacking or _asked_for(reads.required or TWO, table, frozenset()))


def test_in_a_world_of_two_fields_and_three_scopes_the_least_is_asked_for():
    values = [" ".join(together) for size in (1, 2) for together in combinations("abc", size)]
    choices = [tuple(chosen) for size in range(3) for chosen in permutations(values, size)]
    for pair, scopes in product(product(choices, repeat=2), [frozenset(), frozenset("a")]):
        table = dict(zip(TWO, pair, strict=True))
        expected = _asked_for(TWO, table, scopes)
        assert missing(TWO, table, scopes) == missing(TWO[::-1], table, scopes) == expected


def _shuffled(items: tuple[Any, ...], shuffle: random.Random) -> tuple[Any, ...]:
    copy = list(items)
    shuffle.shuffle(copy)
    return tuple(copy)
