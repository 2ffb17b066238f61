"""`Operation.url`: the one URL of checked parameters, and what is refused instead (docs/facts/security.md §6)."""

from collections.abc import Sequence

import pytest

from broker.errors import OperationDenied
from broker.operations import Catalog, Operation, Parameter

ORIGIN = "https://api.example"
PLAIN = Parameter()


def operation(template: str, method: str = "GET", flat: str = "", **parameters: Parameter) -> Operation:
    return Operation("shop.orders.list", method, ORIGIN, template, frozenset({"orders"}), parameters, flat)


def in_path(**other: object) -> Parameter:
    return Parameter(location="path", required=True, **other)


ONE = operation("/v1/orders/{order}/items", order=in_path(), q=PLAIN)
NAMED = operation(
    "/v1/{+name}/items", flat="/v1/orders/{orderId}/items", name=in_path(pattern=r"^orders/[^/]+$"), q=PLAIN
)
QUERY = operation(
    "/v1/orders",
    q=PLAIN,
    state=Parameter(choices=frozenset({"open", "paid"})),
    many=Parameter(repeated=True),
    size=Parameter(kind="integer", minimum=1, maximum=500),
    number=Parameter(kind="integer"),
    deep=Parameter(kind="boolean"),
    code=Parameter(pattern=r"^[a-z]+$"),
)


@pytest.mark.parametrize(
    ("called", "values", "expected"),
    [
        (ONE, {"order": "o1"}, "/v1/orders/o1/items"),
        (ONE, {"order": ["o1"]}, None),
        (ONE, {"order": "a b?c#d&e=f:g@h"}, "/v1/orders/a%20b%3Fc%23d%26e%3Df%3Ag%40h/items"),
        (ONE, {"order": "...", "q": "x"}, "/v1/orders/.../items?q=x"),
        (NAMED, {"name": "orders/o:1"}, "/v1/orders/o%3A1/items"),
        (QUERY, {}, "/v1/orders"),
        (QUERY, {"q": ""}, "/v1/orders?q="),
        (QUERY, {"q": "a&b=c#d/e?f é"}, "/v1/orders?q=a%26b%3Dc%23d%2Fe%3Ff%20%C3%A9"),
        (QUERY, {"q": "../..%2f"}, "/v1/orders?q=..%2F..%252f"),
        (QUERY, {"many": ["a", "b"], "q": "c"}, "/v1/orders?many=a&many=b&q=c"),
        (QUERY, {"many": "a"}, "/v1/orders?many=a"),
        (QUERY, {"size": "500", "state": "paid", "deep": "true"}, "/v1/orders?size=500&state=paid&deep=true"),
        (QUERY, {"number": "-7"}, "/v1/orders?number=-7"),
    ],
)
def test_the_url_is_exactly_this(called: Operation, values: dict[str, str | Sequence[str]], expected: str | None):
    if expected is None:
        with pytest.raises(OperationDenied):
            called.url(values)
    else:
        assert called.url(values) == ORIGIN + expected


@pytest.mark.parametrize(
    ("called", "values"),
    [
        (QUERY, {"unknown": "1"}),
        (QUERY, {"": "1"}),
        (QUERY, {"Q": "1"}),
        (QUERY, {"q[]": "1"}),
        (QUERY, {"access_token": "t"}),
        (QUERY, {"key": "t"}),
        (QUERY, {"alt": "media"}),
        (QUERY, {"fields": "*"}),
        (QUERY, {"$.xgafv": "1"}),
        (QUERY, {"q": ["a", "b"]}),
        (QUERY, {"q": []}),
        (QUERY, {"state": "OPEN"}),
        (QUERY, {"state": ""}),
        (QUERY, {"many": ["a", "b\n"]}),
        (QUERY, {"size": "0"}),
        (QUERY, {"size": "501"}),
        (QUERY, {"size": "-1"}),
        (QUERY, {"size": "1.0"}),
        (QUERY, {"size": "1e2"}),
        (QUERY, {"size": " 1"}),
        (QUERY, {"size": "+1"}),
        (QUERY, {"size": "0x1"}),
        (QUERY, {"size": "١"}),
        (QUERY, {"size": ""}),
        (QUERY, {"number": "1" * 20}),
        (QUERY, {"deep": "True"}),
        (QUERY, {"deep": "1"}),
        (QUERY, {"code": "ab1"}),
        (QUERY, {"code": "ab\n"}),
        (QUERY, {"q": "a\x00b"}),
        (QUERY, {"q": "a\rb"}),
        (QUERY, {"q": "a\x7fb"}),
        (QUERY, {"q": "\ud800"}),
        (ONE, {}),
        (ONE, {"order": ""}),
        (ONE, {"order": []}),
        (ONE, {"order": ["a", "b"]}),
        (ONE, {"order": "."}),
        (ONE, {"order": ".."}),
        (ONE, {"order": "a/b"}),
        (ONE, {"order": "a\\b"}),
        (ONE, {"order": "a;b"}),
        (ONE, {"order": "%2e%2e"}),
        (ONE, {"order": "a%"}),
        (ONE, {"order": "a\tb"}),
        (ONE, {"order": "．．"}),
        (ONE, {"order": "a\u202eb"}),
        (ONE, {"order": "caf\u00e9"}),
        (NAMED, {"name": "orders/o1/items"}),
        (NAMED, {"name": "orders/.."}),
        (NAMED, {"name": "orders/"}),
        (NAMED, {"name": "orders"}),
        (NAMED, {"name": "people/o1"}),
        (NAMED, {"name": "x/orders/o1"}),
        (NAMED, {"name": "orders/o1\n"}),
        (NAMED, {"name": "orders/%2e"}),
        (NAMED, {"q": "o1"}),
    ],
)
def test_a_parameter_that_is_unknown_missing_or_not_of_its_kind_is_denied(
    called: Operation, values: dict[str, str | Sequence[str]]
):
    with pytest.raises(OperationDenied) as denied:
        called.url(values)
    assert denied.value.status == 403


def test_several_segments_are_checked_one_by_one_where_no_pattern_bounds_them():
    anywhere = operation("/v1/{+name}", name=in_path())
    assert anywhere.url({"name": "a/b"}) == f"{ORIGIN}/v1/a/b"
    for name in ("a//b", "/a", "a/", "a/../b", "a/./b", ""):
        with pytest.raises(OperationDenied):
            anywhere.url({"name": name})


@pytest.mark.parametrize("value", ["people/me/folders/7", "folders/7/files/8", "folders/7x", "xfolders/7"])
def test_a_pattern_holds_for_the_whole_value_though_no_anchor_says_so(value: str):
    """As Google writes it in older documents, for several segments too."""
    assert Parameter(location="path", pattern="folders/[0-9]{1,19}").admits("folders/7")
    assert not Parameter(location="path", pattern="folders/[0-9]{1,19}").admits(value)


def test_a_template_variable_that_is_no_parameter_is_never_filled():
    broken = operation("/v1/orders/{order}")
    with pytest.raises(OperationDenied):
        broken.url({})
    with pytest.raises(OperationDenied):
        broken.url({"order": "o1"})


def test_a_required_parameter_that_is_repeated_needs_a_value():
    batch = operation("/v1/orders:batch", ids=Parameter(required=True, repeated=True))
    with pytest.raises(OperationDenied):
        batch.url({"ids": []})
    assert batch.url({"ids": ["a", "b"]}) == f"{ORIGIN}/v1/orders:batch?ids=a&ids=b"


def test_a_refusal_does_not_repeat_the_value():
    with pytest.raises(OperationDenied) as denied:
        QUERY.url({"size": "SECRET-1"})
    assert "SECRET-1" not in denied.value.detail


def test_an_operation_that_is_not_listed_is_denied_by_id():
    catalog = Catalog([ONE])
    assert catalog.operation("shop.orders.list") is ONE
    for unknown in ("shop.orders", "shop.orders.listall", "SHOP.orders.list", ""):
        with pytest.raises(OperationDenied):
            catalog.operation(unknown)


LISTED = operation("/v1/orders", states=Parameter(choices=frozenset({"open", "paid", "void"}), listed=True), q=PLAIN)


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        ("open", True),
        ("open,paid", True),
        ("paid,open,void", True),
        ("open,", False),
        ("open,open", False),
        ("open,sent", False),
        ("open;paid", False),
        ("open, paid", False),
        ("", False),
    ],
)
def test_where_choices_are_listed_each_may_stand_once_with_commas_between(value: str, taken: bool):
    assert LISTED.parameters["states"].admits(value) is taken


def test_a_comma_is_no_separator_where_nothing_is_listed():
    assert PLAIN.admits("a,a")
    assert not Parameter(choices=frozenset({"open", "paid"})).admits("open,paid")
    assert Parameter(choices=frozenset({"open,paid"})).admits("open,paid")


@pytest.mark.parametrize(
    ("known", "least", "most"),
    [
        (Parameter(kind="integer", minimum=5), "5", "9" * 19),
        (Parameter(kind="integer", maximum=5), "-" + "9" * 19, "5"),
        (Parameter(kind="integer", minimum=0, maximum=0), "0", "0"),
        (Parameter(kind="integer", minimum=-2, maximum=-1), "-2", "-1"),
    ],
)
def test_a_number_is_within_its_bounds_and_they_belong_to_it(known: Parameter, least: str, most: str):
    assert known.admits(least)
    assert known.admits(most)
    assert not known.admits(str(int(least) - 1))
    assert not known.admits(str(int(most) + 1))


@pytest.mark.parametrize("value", ["true", "false"])
def test_both_words_of_a_boolean_are_taken(value: str):
    assert Parameter(kind="boolean").admits(value)


@pytest.mark.parametrize(
    ("called", "values", "why"),
    [
        (QUERY, {"colour": "red"}, "The parameter colour is not one that shop.orders.list may be called with."),
        (QUERY, {"x" * 65: "1"}, f"The parameter {'x' * 64} is not one that shop.orders.list may be called with."),
        (QUERY, {"size": "0"}, "The parameter size is not one that shop.orders.list may be called with."),
        (ONE, {"q": "a"}, "The operation shop.orders.list needs the parameter order."),
        (ONE, {"order": ".."}, "The parameter order of shop.orders.list is not a name."),
        (ONE, {"order": ["o1"]}, "The parameter order of shop.orders.list is not a name."),
    ],
)
def test_a_refusal_says_which_parameter_of_which_operation(
    called: Operation, values: dict[str, str | Sequence[str]], why: str
):
    with pytest.raises(OperationDenied) as denied:
        called.url(values)
    assert denied.value.detail == why


def test_the_first_parameter_that_is_absent_is_named():
    two = operation("/v1/{a}/{b}", a=in_path(), b=in_path())
    with pytest.raises(OperationDenied, match=r"needs the parameter a\.$"):
        two.url({})
    with pytest.raises(OperationDenied, match=r"needs the parameter b\.$"):
        two.url({"a": "1", "b": ""})


def test_an_operation_wants_its_own_scopes_whatever_the_parameters_are():
    assert QUERY.wanted({}) == QUERY.wanted({"q": "a", "many": ["a", "b"]}) == (frozenset({"orders"}),)


def test_what_is_not_listed_is_refused_with_no_word_of_what_is():
    with pytest.raises(OperationDenied, match=r"^No such operation is listed\.$"):
        Catalog([ONE]).operation("shop.orders")
    with pytest.raises(OperationDenied, match=r"^No operation has this method and address\.$"):
        Catalog([ONE]).match("GET", f"{ORIGIN}/v1/orders")


def test_catalogs_are_merged_in_order_and_the_last_of_one_id_counts():
    other, newer = operation("/v2/orders"), operation("/v3/orders")
    merged = Catalog.merged(Catalog([ONE]), Catalog([other, newer]), Catalog([]))
    assert list(merged) == [newer]
    assert merged.match("GET", f"{ORIGIN}/v3/orders") is newer
    for gone in ("/v1/orders/o1/items", "/v2/orders"):
        with pytest.raises(OperationDenied):
            merged.match("GET", ORIGIN + gone)


def test_the_name_of_a_parameter_is_encoded_as_its_value_is():
    odd = operation("/v1/orders", **{"a/b&c=": PLAIN})
    assert odd.url({"a/b&c=": "d/e&f="}) == f"{ORIGIN}/v1/orders?a%2Fb%26c%3D=d%2Fe%26f%3D"
