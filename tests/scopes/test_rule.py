"""The whole decision: scopes, grant, operations, assets, parameters; what holds of it always, and in a small world."""

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain, combinations, permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.contract import Reads
from broker.scopes import Denied, NoAsset, Permitted, Question, Ruling, Withheld, needed, opened, opens, refused, rule

SCOPES = [f"scope{n}" for n in range(5)]
FIELDS = [f"field{n}" for n in range(5)]
ASSETS = ["asset0", "asset1", "asset2"]
OPERATIONS = ["list", "history", "parents"]
some_scopes = st.frozensets(st.sampled_from(SCOPES))
some_fields = st.lists(st.sampled_from(FIELDS), unique=True)
some_assets = st.frozensets(st.sampled_from(ASSETS))
scope_values = st.lists(st.sampled_from(SCOPES), unique=True, min_size=1, max_size=2).map(" ".join)
some_values = st.frozensets(scope_values, min_size=1, max_size=3)
tables = st.dictionaries(st.sampled_from(FIELDS), st.lists(scope_values, unique=True, max_size=3).map(tuple))
more_often = st.sampled_from(SCOPES).map(lambda scope: frozenset(SCOPES) - {scope})


@st.composite
def questions(draw: st.DrawFn) -> Question:
    fields = draw(some_fields)
    required = draw(st.integers(0, min(len(fields), 2)))
    return Question(
        reads=Reads("resource", tuple(fields[:required]), tuple(fields[required:])),
        table=draw(tables),
        operations=draw(st.dictionaries(st.sampled_from(OPERATIONS), some_values, max_size=2)),
        granted=draw(some_scopes | more_often),
        grant=draw(some_scopes | more_often),
        consented=tuple(draw(some_fields | st.just(FIELDS))),
        hangs_on_asset=draw(st.booleans()),
        chosen=draw(some_assets),
        asset=draw(st.none() | st.sampled_from(ASSETS)),
    )


def passed(question: Question) -> set[str]:
    """Fields that leave; none by a denial."""
    ruled = rule(question)
    return set(ruled.permitted.fields) if isinstance(ruled, Ruling) else set()


# --- scopes and grant ----------------------------------------------------------------------------------------


@given(questions(), some_scopes, some_scopes)
def test_more_scopes_never_take_away(question: Question, more: frozenset[str], too: frozenset[str]):
    wider = replace(question, granted={*question.granted, *more}, grant={*question.grant, *too})
    assert passed(question) <= passed(wider)


@given(questions(), some_scopes)
def test_fewer_scopes_never_give_whoever_takes_them_away(question: Question, taken: frozenset[str]):
    for less in (
        replace(question, granted=frozenset(question.granted) - taken),
        replace(question, grant=frozenset(question.grant) - taken),
    ):
        assert passed(less) <= passed(question)


@given(questions(), some_scopes)
def test_what_the_provider_granted_to_others_of_our_connectors_gives_nothing(question: Question, more: frozenset[str]):
    """An authorization covers all that the user ever granted; the grant is what counts (docs/adr/0004)."""
    wider = replace(question, granted={*question.granted, *(more - frozenset(question.grant))})
    assert rule(wider) == rule(question)


@given(questions())
def test_a_missing_grant_denies(question: Question):
    for gone in (replace(question, grant=()), replace(question, consented=()), replace(question, granted=())):
        assert isinstance(rule(gone), Denied)


@given(questions())
def test_nothing_unlisted_passes(question: Question):
    """Not a field, an operation, or an asset."""
    ruled = rule(question)
    if not isinstance(ruled, Ruling):
        return
    assert ruled.effective == frozenset(question.granted) & frozenset(question.grant)
    for field in ruled.permitted.fields:
        assert field in question.table
        assert field in question.reads.fields
        assert field in question.consented
        assert opened(field, question.table, ruled.effective)
    assert question.operations
    assert all(opens(values, ruled.effective) for values in question.operations.values())
    assert (ruled.asset in question.chosen) if question.hangs_on_asset else (ruled.asset is None)


# --- operations ----------------------------------------------------------------------------------------------


@given(questions(), some_values)
def test_a_further_operation_never_gives(question: Question, values: frozenset[str]):
    assert passed(replace(question, operations={**question.operations, "further": values})) <= (
        passed(question) if question.operations else set(FIELDS)
    )


@given(questions())
def test_one_closed_operation_closes_the_reading(question: Question):
    for values in (frozenset(), frozenset({"nobody has this"}), frozenset({""})):
        assert isinstance(rule(replace(question, operations={**question.operations, "closed": values})), Denied)


@given(questions())
def test_no_operation_is_a_denial(question: Question):
    assert isinstance(rule(replace(question, operations={})), Denied)


# --- assets --------------------------------------------------------------------------------------------------


@given(questions(), some_assets)
def test_fewer_assets_never_open_another(question: Question, taken: frozenset[str]):
    fewer = replace(question, chosen=frozenset(question.chosen) - taken)
    ruled = rule(fewer)
    if isinstance(ruled, Ruling) and question.hangs_on_asset:
        assert ruled.asset in question.chosen
        assert ruled.asset not in taken


@given(questions())
def test_no_chosen_asset_is_a_denial_where_one_is_needed(question: Question):
    assert not isinstance(rule(replace(question, hangs_on_asset=True, chosen=())), Ruling)


@given(questions())
def test_an_asset_that_was_not_chosen_is_denied(question: Question):
    assert not isinstance(rule(replace(question, hangs_on_asset=True, asset="another")), Ruling)


@given(questions())
def test_where_several_are_chosen_one_must_be_named(question: Question):
    ruled = rule(replace(question, hangs_on_asset=True, chosen=ASSETS[:2], asset=None))
    assert isinstance(ruled, Denied) or ruled == NoAsset("not named")


@given(questions())
def test_the_asset_changes_nothing_of_which_fields_pass(question: Question):
    """It is another question than the scopes': whatever they deny is denied with any asset."""
    one = replace(question, hangs_on_asset=True, chosen=ASSETS[:1], asset=None)
    assert passed(one) == passed(replace(question, hangs_on_asset=False, chosen=(), asset=None))


@pytest.mark.parametrize(
    ("hangs", "chosen", "asked", "expected"),
    [
        (False, (), None, None),
        (False, ("x",), None, None),
        (False, ("x",), "x", NoAsset("takes none")),
        (True, (), None, NoAsset("none chosen")),
        (True, (), "x", NoAsset("not chosen")),
        (True, ("x",), None, "x"),
        (True, ("x",), "x", "x"),
        (True, ("x",), "y", NoAsset("not chosen")),
        (True, ("x", "y"), None, NoAsset("not named")),
        (True, ("x", "y"), "y", "y"),
    ],
)
def test_the_asset_is_the_one_that_was_chosen_or_asked_for_among_several_or_none_with_the_reason(
    hangs: bool, chosen: tuple[str, ...], asked: str | None, expected: object
):
    question = Question(
        Reads("resource", ("f",)), {"f": ("a",)}, {"list": {"a"}}, {"a"}, {"a"}, ("f",), hangs, chosen, asked
    )
    ruled = rule(question)
    assert (ruled.asset if isinstance(ruled, Ruling) else ruled) == expected


def test_where_no_operation_reads_it_what_is_missing_is_what_the_fields_need():
    """The required ones, or else all."""
    for reads, expected in (
        (Reads("resource", ("f",), ("g",)), ("a",)),
        (Reads("resource", (), ("f", "g")), ("a", "b")),
    ):
        question = Question(reads, {"f": ("a",), "g": ("b",)}, {}, {"a"}, {"a"}, ("f", "g"), hangs_on_asset=False)
        assert rule(question) == Denied(expected)


# --- order, and what is said -----------------------------------------------------------------------------------


@given(questions(), st.randoms(use_true_random=False))
def test_order_never_matters(question: Question, shuffle: random.Random):
    def turned(items: Iterable[str]) -> tuple[str, ...]:
        listed = sorted(items)
        shuffle.shuffle(listed)
        return tuple(listed)

    other = replace(
        question,
        reads=Reads("resource", turned(question.reads.required), turned(question.reads.optional)),
        table={field: question.table[field] for field in turned(question.table)},
        operations={name: turned(question.operations[name]) for name in turned(question.operations)},
        granted=turned(question.granted),
        grant=turned(question.grant),
        consented=turned(question.consented),
        chosen=turned(question.chosen),
    )
    ruled, again = rule(question), rule(other)
    assert type(ruled) is type(again)
    assert passed(question) == passed(other)
    if isinstance(ruled, Ruling) and isinstance(again, Ruling):
        assert (ruled.asset, ruled.effective) == (again.asset, again.effective)
        assert set(ruled.permitted.withheld) == set(again.permitted.withheld)
    else:
        assert ruled == again


@given(questions())
def test_every_denial_by_scopes_says_which_would_have_opened_it_where_any_would(question: Question):
    """With them, the operations open and all consented to, the connector's required fields pass."""
    ruled = rule(question)
    if isinstance(ruled, Denied) and question.reads.required and all(map(question.table.get, question.reads.required)):
        told = {*question.granted, *ruled.missing_scopes}
        opened_up = replace(
            question,
            granted=told,
            grant={*question.grant, *told},
            consented=question.reads.fields,
            operations={"any": SCOPES},
            hangs_on_asset=False,
            asset=None,
        )
        assert ruled.missing_scopes
        assert set(question.reads.required) <= passed(opened_up)


# --- parameters: what one call wants beside ------------------------------------------------------------------

wants = st.lists(some_values, max_size=4)


@given(wants, some_scopes)
def test_a_call_is_made_only_where_everything_it_wants_is_open(wanted: list[frozenset[str]], scopes: frozenset[str]):
    assert (refused(wanted, scopes) is None) == all(opens(values, scopes) for values in wanted)


@given(wants, some_scopes, some_scopes)
def test_more_scopes_never_refuse_a_call(wanted: list[frozenset[str]], scopes: frozenset[str], more: frozenset[str]):
    assert refused(wanted, scopes) or not refused(wanted, scopes | more)


@given(wants, some_scopes, some_values)
def test_a_call_that_wants_more_is_never_opened_by_that(
    wanted: list[frozenset[str]], scopes: frozenset[str], more: frozenset[str]
):
    assert not refused(wanted, scopes) or refused([*wanted, more], scopes)


@given(wants, some_scopes)
def test_a_refused_call_says_which_scopes_would_have_opened_it(wanted: list[frozenset[str]], scopes: frozenset[str]):
    denied = refused(wanted, scopes)
    if denied:
        assert not scopes & set(denied.missing_scopes)
        assert refused(wanted, scopes | set(denied.missing_scopes)) is None


@given(wants, some_scopes, st.randoms(use_true_random=False))
def test_the_order_in_which_a_call_wants_never_matters(
    wanted: list[frozenset[str]], scopes: frozenset[str], shuffle: random.Random
):
    other = list(wanted)
    shuffle.shuffle(other)
    assert refused(wanted, scopes) == refused(other, scopes)


def test_what_no_scope_value_opens_is_refused_and_none_is_named():
    assert refused([frozenset()], frozenset(SCOPES)) == Denied(())
    assert refused([frozenset({"a b", "c"})], frozenset({"a"})) == Denied(("c",))
    assert refused([], frozenset()) is None


# --- a small world, exhausted --------------------------------------------------------------------------------


def _subsets(items: Iterable[str]) -> Iterator[frozenset[str]]:
    listed = sorted(items)
    return map(frozenset, chain.from_iterable(combinations(listed, size) for size in range(len(listed) + 1)))


def _model(question: Question, opens_: Callable[[Iterable[str], frozenset[str]], bool]) -> object:
    """What is said, written down anew: None where no scope is wanting."""
    effective = frozenset(scope for scope in question.granted if scope in question.grant)
    names = question.reads.fields
    passing = tuple(name for name in names if name in question.consented and opens_(question.table[name], effective))
    lacking = set(question.reads.required) - set(passing)
    closed = [name for name, values in question.operations.items() if not opens_(values, effective)]
    if not passing or lacking or closed or not question.operations:
        return "denied"
    if not question.hangs_on_asset:
        return NoAsset("takes none") if question.asset else (None, passing)
    if question.asset:
        return (question.asset, passing) if question.asset in question.chosen else NoAsset("not chosen")
    if len(question.chosen) != 1:
        return NoAsset("not named" if question.chosen else "none chosen")
    return (*question.chosen, passing)


def _held(values: Iterable[str], scopes: frozenset[str]) -> bool:
    return any(all(scope in scopes for scope in value.split()) for value in values)


READINGS = [Reads("resource", ("f",), ("g",)), Reads("resource", (), ("f", "g"))]
TABLES = [{"f": f, "g": g} for f, g in product([("a",), ("a b",), ()], [("b",), ("a", "b")])]
CALLED_BY = [
    dict(zip(("one", "two"), values, strict=False))
    for size in range(3)
    for values in permutations([("a",), ("b", "a b"), ()], size)
]


@pytest.mark.parametrize("reads", READINGS)
def test_in_a_world_of_two_fields_scopes_operations_and_assets_the_ruling_is_the_models(reads: Reads):
    seen = set()
    for table, operations, granted, grant, consented in product(
        TABLES, CALLED_BY, _subsets("ab"), _subsets("ab"), ((), ("f",), ("f", "g"))
    ):
        for hangs, chosen, asset in product((False, True), ((), ("x",), ("x", "y")), (None, "x", "z")):
            question = Question(reads, table, operations, granted, grant, consented, hangs, chosen, asset)
            ruled, expected = rule(question), _model(question, _held)
            if isinstance(ruled, Denied):
                said: object = "denied"
            elif isinstance(ruled, NoAsset):
                said = ruled
            else:
                said = (ruled.asset, ruled.permitted.fields)
            assert said == expected, question
            seen.add(said)
    assert {"denied", NoAsset("takes none"), NoAsset("none chosen"), (None, ("f", "g")), ("x", ("f", "g"))} <= seen


def test_what_is_missing_is_said_before_the_asset_is():
    question = Question(
        Reads("resource", ("f",)), {"f": ("a",)}, {"list": {"a"}}, {"b"}, {"b"}, ("f",), hangs_on_asset=True
    )
    assert rule(question) == Denied(("a",))
    assert rule(replace(question, granted={"a"}, grant={"a"})) == NoAsset("none chosen")


def test_a_ruling_says_what_is_withheld():
    question = Question(
        Reads("resource", ("f",), ("g",)),
        {"f": ("a",), "g": ("b",)},
        {"list": {"a"}},
        {"a", "b"},
        {"a"},
        ("f", "g"),
        hangs_on_asset=False,
    )
    assert rule(question) == Ruling(frozenset("a"), None, Permitted(("f",), (Withheld("g", ("b",)),)))
    assert needed(("g",), question.table) == ("b",)
