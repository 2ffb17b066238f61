"""`broker.fields`: one reading of a list of fields, or a refusal (docs/facts/meta.md §4.4, 1)."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.fields import DEEPEST, LONGEST, Asked, Known, parse, wanted

PLAIN = Known()
COMMENTS: dict[str, Known] = {"id": PLAIN, "text": PLAIN, "from": Known(within={"id": PLAIN})}
COMMENTS["replies"] = Known((frozenset({"comments"}),), COMMENTS, 5)
POSTS = {
    "id": PLAIN,
    "email": Known((frozenset({"email", "contact all"}),)),
    "comments": Known((frozenset({"comments"}),), COMMENTS, 50),
}

PIECES = (
    "a",
    "b",
    "c_1",
    ",",
    "{",
    "}",
    ",",
    "{",
    "}",
    "{b}",
    "{a,b}",
    ".limit(5)",
    ".limit(",
    ")",
    " ",
    "\n",
    "%",
    "+",
    "1",
)
names = st.from_regex(r"\A[a-z][a-z0-9_]{0,8}\Z")


def lists(within: st.SearchStrategy[Asked]) -> st.SearchStrategy[tuple[Asked, ...]]:
    return st.lists(within, min_size=1, max_size=4, unique_by=lambda one: one.name).map(tuple)


def entries(depth: int) -> st.SearchStrategy[Asked]:
    inner = st.none() if depth == DEEPEST else st.none() | lists(st.deferred(lambda: entries(depth + 1)))
    return st.builds(Asked, names, st.none() | st.integers(1, 9999), inner)


def written(asked: tuple[Asked, ...]) -> str:
    return ",".join(
        one.name
        + (f".limit({one.limit})" if one.limit else "")
        + (f"{{{written(one.within)}}}" if one.within is not None else "")
        for one in asked
    )


def test_names_braces_and_limits_are_read_as_a_tree():
    assert parse("id,posts.limit(3){message,comments{from}}") == (
        Asked("id"),
        Asked("posts", 3, (Asked("message"), Asked("comments", None, (Asked("from"),)))),
    )


@given(lists(entries(1)))
def test_what_is_written_of_a_tree_is_read_as_that_tree(asked: tuple[Asked, ...]):
    text = written(asked)
    if len(text) <= LONGEST:
        assert parse(text) == asked


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(max_size=30))
def test_any_text_is_read_in_the_one_way_or_refused(text: str):
    """What is accepted is exactly what would be written of the tree: nothing was skipped."""
    try:
        asked = parse(text)
    except ValueError:
        return
    assert written(asked) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", ",", "id,", ",id", "id,,name", "{", "}", "{id}", "id}", "id{", "id{}", "id{name", "id{name}}"),
        *(
            "id{name}x",
            "id{name}{name}",
            "id{name,}",
            "id{,name}",
            "id{{name}}",
            "id{name)",
            "id{name]",
            "id{name;",
            "id(name)",
            "id)",
            "(id)",
        ),
        *(" id", "id ", "id, name", "id\n", "\tid", "id{ name}", "id\x00", "\ufeffid", "id\u200b", "ｉｄ"),
        *("Id", "ID", "1d", "_id", "id-x", "id.x", "id:x", "id%2Cname", "id+name", "id&access_token", "i\u0131d", "é"),
        *("a.limit()", "a.limit(0)", "a.limit(03)", "a.limit(-1)", "a.limit(10000)", "a.limit(1e2)", "a.limit(٣)"),
        *("a.limit(1", "a.limit1", "a.limit(1).limit(2)", "a.limit(1,2)", "a.limit( 1)", "a.LIMIT(1)", "a{b}.limit(1)"),
        *(
            "a.after(x)",
            "a.summary(true)",
            "a.as(b)",
            "a.metric(reach)",
            "a.since(1)",
            "a.filter(x)",
            "a.limit(1).as(b)",
        ),
        *(
            "a.fields(b)",
            "a?b",
            "a/b",
            "a..b",
            "*",
            "a.*",
            "a|b",
            "a;b",
            "a=b",
            '"a"',
            "[a]",
            "a@b",
            "a#b",
            "$a",
            "a\\b",
        ),
        "a" * 65,
    ],
)
def test_what_is_not_of_the_grammar_is_refused(text: str):
    with pytest.raises(ValueError, match="no list of names can be read from character"):
        parse(text)


def test_a_name_may_stand_once_in_a_list_and_again_within_another():
    for text in ("id,id", "a{b},a{c}", "a,a.limit(1)", "a{b,c,b}"):
        with pytest.raises(ValueError, match="twice"):
            parse(text)
    assert len(parse("id,a{id,b{id}}")) == 2


def test_lists_lie_within_each_other_only_so_deep():
    deepest = "a{" * (DEEPEST - 1) + "a" + "}" * (DEEPEST - 1)
    assert parse(deepest)
    with pytest.raises(ValueError, match="within each other"):
        parse(f"a{{{deepest}}}")


def test_a_text_may_be_only_so_long():
    longest = ",".join(f"a{number:06}" for number in range(LONGEST // 8))
    assert len(longest) <= LONGEST
    assert parse(longest)
    with pytest.raises(ValueError, match="characters"):
        parse("a" * (LONGEST + 1))


@pytest.mark.parametrize("text", ["a{" * 500_000, "a," * 999, "a{" * 999, ".limit(1)" * 200, "{" * LONGEST])
def test_a_refusal_is_quick_whatever_was_sent(text: str):
    began = time.process_time()
    with pytest.raises(ValueError, match=r"characters|within each other|be read|twice"):
        parse(text)
    assert time.process_time() - began < 0.5


def test_a_refusal_repeats_nothing_that_is_no_name():
    with pytest.raises(ValueError, match="character 4") as refused:
        parse("id,SECRET-1")
    assert "SECRET" not in str(refused.value)


# --- what is known ---------------------------------------------------------------------------------------------


def test_known_names_want_what_their_edges_and_fields_want_in_the_order_they_are_named():
    assert wanted(parse("id"), POSTS) == ()
    assert wanted(parse("email,comments{id}"), POSTS) == (frozenset({"email", "contact all"}), frozenset({"comments"}))
    assert wanted(parse("comments.limit(50){text,replies.limit(5){from{id}}}"), POSTS) == (frozenset({"comments"}),) * 2


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("likes", "likes may not be named there"),
        ("id,likes", "likes may not be named there"),
        ("text", "text may not be named there"),
        ("comments{email}", "email may not be named there"),
        ("comments{replies{from{name}}}", "name may not be named there"),
        ("comments{comments{id}}", "comments may not be named there"),
        ("comments", "comments needs braces that say what of it"),
        ("comments.limit(5)", "comments needs braces that say what of it"),
        ("comments{from}", "from needs braces that say what of it"),
        ("comments{replies}", "replies needs braces that say what of it"),
        ("id{id}", "id has nothing within it"),
        ("email{id}", "email has nothing within it"),
        ("comments{text{id}}", "text has nothing within it"),
        ("comments.limit(51){id}", "comments may not have this limit"),
        ("comments{replies.limit(6){id}}", "replies may not have this limit"),
        ("id.limit(1)", "id may not have this limit"),
        ("comments{from.limit(1){id}}", "from may not have this limit"),
    ],
)
def test_a_name_that_is_not_known_where_it_stands_is_refused(text: str, why: str):
    with pytest.raises(ValueError, match=f"^{why}$"):
        wanted(parse(text), POSTS)


def test_tables_that_refer_to_each_other_in_circles_can_be_shown():
    assert "comments" in repr(POSTS)


def test_what_is_known_is_compared_by_being_the_same():
    """By their content nobody could compare what is in a circle, nor look it up."""
    assert Known() != Known()
    assert len({Known(), Known()}) == 2


# --- what a refusal says ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no list of names can be read from character 1 on"),
        ("id,", "no list of names can be read from character 4 on"),
        ("id,a{b", "no list of names can be read from character 7 on"),
        ("id,a{b}}", "no list of names can be read from character 8 on"),
        ("a{b,,c}", "no list of names can be read from character 5 on"),
        ("a.limit(10000)", "no list of names can be read from character 2 on"),
        ("a.limit(9){b}c", "no list of names can be read from character 14 on"),
        ("a{b,c,b}", "a name stands twice in one list"),
        ("a{b{c{d{e}}}}", "more than 4 lists within each other"),
        ("a" * 2001, "more than 2000 characters"),
    ],
)
def test_a_refusal_says_what_is_wrong_and_where(text: str, why: str):
    with pytest.raises(ValueError, match=r".") as refused:
        parse(text)
    assert str(refused.value) == why


def test_a_text_may_be_as_long_as_the_longest_and_no_longer():
    longest = ",".join(f"a{number:07}" for number in range(LONGEST // 9)) + ",ab"
    longest += "c" * (LONGEST - len(longest))
    assert len(longest) == LONGEST
    assert len(parse(longest)) == LONGEST // 9 + 1
    with pytest.raises(ValueError, match="more than 2000 characters"):
        parse(longest + "c")


def test_a_name_of_64_characters_and_a_limit_of_four_digits_are_taken():
    assert parse("a" * 64) == (Asked("a" * 64),)
    assert parse("a.limit(9999)") == (Asked("a", 9999),)
    assert parse("a.limit(1)") == (Asked("a", 1),)
