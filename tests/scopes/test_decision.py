"""The decision as a table: what one connector may see, and why not the rest."""

import pytest

from broker.contract import Reads
from broker.scopes import (
    Denied,
    Permitted,
    Withheld,
    alternatives,
    cut,
    decide,
    effective,
    missing,
    needed,
    opened,
    opens,
    optional_scopes,
    required_scopes,
)

TABLE = {
    "start": ("busy", "events"),
    "title": ("events", "all"),
    "guests": ("events", "all"),
    "notes": ("notes",),
    "nothing": (),
}
READS = Reads("events", required=("start",), optional=("title", "notes"))
ACCEPTED = frozenset({"busy", "events", "all"})
CONSENTED = ("start", "title", "notes")


def decided(*scopes: str, reads: Reads = READS, accepted: frozenset[str] = ACCEPTED, consented=CONSENTED):
    return decide(reads, TABLE, accepted, frozenset(scopes), consented)


def test_what_the_scopes_open_is_permitted_in_the_connectors_order():
    assert decided("events", "notes") == Permitted(("start", "title", "notes"))


def test_a_field_whose_scope_is_missing_is_withheld_with_the_least_scope_that_opens_it():
    assert decided("busy") == Permitted(("start",), (Withheld("title", ("events",)), Withheld("notes", ("notes",))))


def test_without_a_required_fields_scope_the_call_is_denied():
    assert decided("notes") == Denied(("busy",))


def test_no_scope_at_all_is_a_denial():
    assert decided() == Denied(("busy",))


def test_an_operation_that_accepts_none_of_the_scopes_is_denied():
    assert decided("busy", accepted=frozenset({"events"})) == Denied(("busy",))


def test_an_operation_that_accepts_no_scope_is_denied():
    assert decided("busy", "events", "all", accepted=frozenset()) == Denied(("busy",))


def test_a_field_that_the_consent_page_did_not_name_is_withheld_though_a_scope_opens_it():
    assert decided("events", consented=("start", "notes")).withheld[0] == Withheld("title", ())


def test_a_required_field_that_the_consent_page_did_not_name_is_a_denial():
    assert decided("events", consented=("title", "notes")) == Denied(("busy",))


def test_a_grant_that_names_no_field_is_a_denial():
    assert decided("events", consented=()) == Denied(("busy",))


def test_a_field_that_nobody_lists_is_withheld_and_no_scope_opens_it():
    reads = Reads("events", required=("start",), optional=("secret",))
    assert decided("events", "all", reads=reads, consented=("start", "secret")) == Permitted(
        ("start",), (Withheld("secret", ()),)
    )


def test_a_field_that_no_scope_opens_is_withheld():
    reads = Reads("events", required=("start",), optional=("nothing",))
    assert decided("events", reads=reads, consented=("start", "nothing")).withheld == (Withheld("nothing", ()),)


def test_a_required_field_that_nobody_lists_is_a_denial():
    reads = Reads("events", required=("start", "secret"))
    assert isinstance(decided("events", "all", reads=reads, consented=("start", "secret")), Denied)


def test_a_connector_with_no_required_field_is_denied_where_nothing_is_open():
    reads = Reads("events", required=(), optional=("notes", "title"))
    assert decided("busy", reads=reads) == Denied(("events", "notes"))


def test_only_what_both_the_provider_and_the_grant_have_is_effective():
    assert effective(["a", "b"], ["b", "c"]) == {"b"}


def test_a_missing_grant_leaves_nothing_effective():
    assert effective(["a", "b"], []) == frozenset()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ((), ()),
        (("start",), ("busy",)),
        (("start", "title"), ("events",)),
        (("title", "start"), ("events",)),
        (("start", "title", "notes"), ("events", "notes")),
        (("nothing", "secret"), ()),
    ],
)
def test_the_least_scopes_are_asked_for(fields: tuple[str, ...], expected: tuple[str, ...]):
    assert needed(fields, TABLE) == expected


def test_a_scope_that_a_later_choice_makes_superfluous_is_not_asked_for():
    assert needed(("one", "two"), {"one": ("a", "b"), "two": ("b", "c")}) == ("b",)


def test_two_fields_that_prefer_each_others_scope_ask_alike_whoever_comes_first_and_in_every_process():
    """A set has another order in another process: what is asked for today must be what was asked for yesterday."""
    for number in range(12):
        first, second = f"a{number}", f"b{number}"
        table = {"one": (second, first), "two": (first, second)}
        assert needed(("one", "two"), table) == needed(("two", "one"), table) == (first,)


def test_optional_scopes_are_those_that_the_required_ones_leave_closed():
    assert required_scopes(READS, TABLE) == ("busy",)
    assert optional_scopes(READS, TABLE) == ("events", "notes")


def test_missing_scopes_name_what_is_closed_alone():
    assert missing(("start", "title"), TABLE, frozenset({"busy"})) == ("events",)
    assert missing(("start",), TABLE, frozenset({"events"})) == ()


def test_a_field_without_a_row_is_never_open():
    assert not opened("secret", TABLE, frozenset({"busy", "events", "notes", "all"}))


def test_a_cut_record_has_its_identity_and_the_permitted_fields_alone():
    raw = {"id": "e1", "start": 1, "title": "t", "secret": "s", "Start": 2}
    assert cut(raw, ("id",), ("start", "notes")) == {"id": "e1", "start": 1}
    assert raw == {"id": "e1", "start": 1, "title": "t", "secret": "s", "Start": 2}


# --- several scopes together (RFC 6749 §3.3) -----------------------------------------------------------------

PAGES = {
    "text": ("engagement",),
    "comments": ("engagement user_content",),
    "instagram": ("basic list", "basic engagement list"),
    "answers": ("leads ads list engagement", "everything"),
}
POSTS = Reads("posts", required=("text",), optional=("comments",))


def decided_on_pages(*scopes: str, accepted: frozenset[str] = frozenset({"engagement"})):
    return decide(POSTS, PAGES, accepted, frozenset(scopes), POSTS.fields)


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [
        ({"engagement", "user_content"}, True),
        ({"engagement", "user_content", "list"}, True),
        ({"engagement"}, False),
        ({"user_content"}, False),
        (set(), False),
        ({"engagement user_content"}, False),
    ],
)
def test_all_scopes_of_a_scope_value_are_needed_together(scopes: set[str], expected: bool):
    assert opened("comments", PAGES, frozenset(scopes)) is expected


def test_any_one_of_several_scope_values_opens():
    for scopes in ({"everything"}, {"leads", "ads", "list", "engagement"}):
        assert opened("answers", PAGES, frozenset(scopes))
    assert not opened("answers", PAGES, frozenset({"leads", "ads", "list"}))


def test_halves_of_two_scope_values_open_nothing():
    assert not opens(("a b", "c d"), frozenset({"a", "c"}))


@pytest.mark.parametrize(
    "value", ["", " ", "a ", " a", "a  b", "a\tb", "a\n", "a,b\n", 'a"b', "a\\b", "café", "a\u00a0b"]
)
def test_a_malformed_scope_value_opens_nothing_and_asks_for_nothing(value: str):
    """Least of all an empty one: no scope would be needed for it."""
    everything = frozenset({"", " ", "a", "b", "café", value, *value.split(" "), *value.split()})
    assert alternatives((value,)) == ()
    assert not opens((value,), everything)
    assert needed(("field",), {"field": (value,)}) == ()
    assert needed(("field",), {"field": (value, "c d")}) == ("c", "d")


def test_a_field_that_needs_two_scopes_is_withheld_with_the_one_that_is_missing():
    assert decided_on_pages("engagement") == Permitted(("text",), (Withheld("comments", ("user_content",)),))
    assert decided_on_pages("engagement", "user_content") == Permitted(("text", "comments"))


def test_an_operation_that_wants_several_scopes_is_denied_with_one_missing():
    both = frozenset({"engagement list"})
    assert isinstance(decided_on_pages("engagement", accepted=both), Denied)
    assert isinstance(decided_on_pages("engagement", "list", accepted=both), Permitted)


def test_what_is_asked_for_is_single_scopes():
    assert needed(("comments", "instagram"), PAGES) == ("basic", "engagement", "list", "user_content")
    assert required_scopes(Reads("leads", required=("answers",)), PAGES) == ("ads", "engagement", "leads", "list")
    assert optional_scopes(POSTS, PAGES) == ("user_content",)


def test_of_scopes_that_are_there_none_is_missing():
    assert missing(("comments", "instagram"), PAGES, frozenset({"engagement", "basic"})) == ("list", "user_content")


def test_a_scope_value_that_another_field_already_pays_for_is_preferred_to_the_first():
    table = {"one": ("a b", "c"), "two": ("c",)}
    assert needed(("one", "two"), table) == needed(("two", "one"), table) == ("c",)


def test_what_is_open_already_has_no_say_in_what_is_asked_for():
    """Its other scope value would do for the closed field too, and comes first by name."""
    table = {"open": ("a", "b"), "closed": ("c", "a")}
    assert missing(("open", "closed"), table, frozenset({"b"})) == ("c",)
