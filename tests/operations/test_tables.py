"""What `load` makes of a table written by hand (docs/operations.md), key by key; and of one in an archive."""

import json
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from broker import operations
from broker.errors import OperationDenied
from broker.operations import Catalog, Operation, Parameter, archived, load

TABLE: dict[str, Any] = {
    "api": "shop",
    "source": "the whole table's",
    "origin": "https://shop.example",
    "kinds": {"id": {"location": "path", "required": True, "pattern": "[0-9]+"}, "text": {}},
    "methods": {
        "orders.list": {
            "method": "GET",
            "template": "/orders",
            "scopes": ["read", "list all"],
            "parameters": {
                "q": "text",
                "state": {"choices": ["open", "paid"], "listed": True},
                "none": {"choices": []},
            },
            "source": "page §1",
            "confidence": "D",
        },
        "order.get": {
            "method": "GET",
            "template": "/{order}",
            "token": "page",
            "asset": "order",
            "scopes": ["read"],
            "parameters": {"order": "id"},
            "fields": {"id": True, "note": True, "from": ["id", "name"], "items": "order.items"},
            "beside": {"note": ["notes", "all of it"], "items": ["goods"]},
        },
        "item.changes": {
            "method": "GET",
            "template": "/{item}/changes",
            "below": {"item": "order.get"},
            "scopes": ["read"],
            "parameters": {"item": "id"},
            "most": 50,
        },
        "status": {"method": "POST", "template": "/status", "flat": "/status", "scopes": []},
    },
    "edges": {
        "order.items": {"scopes": ["items"], "most": 5, "fields": {"id": True, "of": "order.items", "back": "order"}},
        "order": {"scopes": ["read"], "most": 2, "fields": {"id": True}},
    },
}


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the tables that we ship, with this one in it and in an archive."""
    folder = tmp_path / "catalog"
    folder.mkdir()
    (folder / "shop.json").write_text(json.dumps(TABLE))
    with ZipFile(folder / "shops.zip", "w") as archive:
        archive.writestr("shop.v1.json", json.dumps(TABLE))
        archive.writestr("shop.v2.json", json.dumps({**TABLE, "origin": "https://two.example"}))
    monkeypatch.setattr(operations, "files", lambda package: {"broker.providers": tmp_path}[package])
    return folder


@pytest.fixture
def catalog(shipped: Path) -> Catalog:
    return load("shop", "/v1")


@pytest.fixture
def order(catalog: Catalog) -> Operation:
    return catalog.operation("shop.order.get")


def test_each_row_is_an_operation_and_no_edge_is(catalog: Catalog):
    assert [found.id for found in catalog] == [f"shop.{name}" for name in TABLE["methods"]]


def test_a_row_says_its_method_host_path_and_scopes(catalog: Catalog):
    found = catalog.operation("shop.orders.list")
    assert (found.method, found.origin, found.template) == ("GET", "https://shop.example", "/v1/orders")
    assert found.scopes == {"read", "list all"}
    assert catalog.operation("shop.status").method == "POST"
    assert catalog.operation("shop.status").scopes == frozenset()


def test_a_row_without_a_flat_path_is_matched_by_its_template(catalog: Catalog):
    assert catalog.operation("shop.status").flat == "/v1/status"
    assert catalog.operation("shop.orders.list").flat == ""
    assert catalog.match("GET", "https://shop.example/v1/orders").id == "shop.orders.list"


def test_a_row_takes_the_users_token_unless_it_says_whose(catalog: Catalog, order: Operation):
    assert (order.token, order.is_for_asset) == ("page", True)
    assert {(found.token, found.is_for_asset) for found in catalog if found is not order} == {("user", False)}


def test_a_row_says_which_parameter_is_the_asset(catalog: Catalog, order: Operation):
    assert order.asset == "order"
    assert catalog.operation("shop.orders.list").asset is None


def test_what_lies_below_is_listed_by_an_operation_of_the_same_api(catalog: Catalog, order: Operation):
    assert catalog.operation("shop.item.changes").below == {"item": "shop.order.get"}
    assert order.below == {}


def test_a_row_is_known_from_its_own_source_or_its_tables(catalog: Catalog, order: Operation):
    assert catalog.operation("shop.orders.list").source == "page §1 [D]"
    assert order.source == "the whole table's"


def test_a_parameter_is_one_of_the_tables_kinds_or_the_rows_own(catalog: Catalog):
    assert catalog.operation("shop.orders.list").parameters == {
        "q": Parameter(),
        "state": Parameter(choices=frozenset({"open", "paid"}), listed=True),
        "none": Parameter(choices=frozenset()),
    }
    assert catalog.operation("shop.status").parameters == {}


def test_a_parameter_with_an_empty_list_of_choices_takes_none(catalog: Catalog):
    for value in ("", "open"):
        assert not catalog.operation("shop.orders.list").parameters["none"].admits(value)


def test_a_row_with_a_most_takes_a_limit_from_one_to_it(catalog: Catalog):
    listed = catalog.operation("shop.item.changes")
    assert listed.parameters["limit"] == Parameter(kind="integer", minimum=1, maximum=50)
    for limit, taken in (("1", True), ("50", True), ("0", False), ("51", False)):
        assert listed.parameters["limit"].admits(limit) is taken
    assert "fields" not in listed.parameters


def test_a_row_with_fields_needs_them_named(order: Operation):
    assert "limit" not in order.parameters
    with pytest.raises(OperationDenied, match=r"^The operation shop\.order\.get needs the parameter fields\.$"):
        order.url({"order": "1"})
    assert (
        order.url({"order": "1", "fields": "id,from{name}"}) == "https://shop.example/v1/1?fields=id%2Cfrom%7Bname%7D"
    )


READ, ITEMS, GOODS = (frozenset({scope}) for scope in ("read", "items", "goods"))


@pytest.mark.parametrize(
    ("fields", "beside"),
    [
        ("id", ()),
        ("from{id,name}", ()),
        ("note", (frozenset({"notes", "all of it"}),)),
        ("items{id}", (GOODS, ITEMS)),
        ("items.limit(5){of.limit(5){id}}", (GOODS, ITEMS, ITEMS)),
        ("items{back.limit(2){id}}", (GOODS, ITEMS, READ)),
    ],
)
def test_a_call_wants_the_rows_scopes_then_those_beside_a_field_and_those_of_each_edge(
    order: Operation, fields: str, beside: tuple[frozenset[str], ...]
):
    assert order.wanted({"order": "1", "fields": fields}) == (READ, *beside)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ("secret", "secret may not be named there"),
        ("note{id}", "note has nothing within it"),
        ("from", "from needs braces that say what of it"),
        ("from{email}", "email may not be named there"),
        ("from{id{id}}", "id has nothing within it"),
        ("items", "items needs braces that say what of it"),
        ("items.limit(6){id}", "items may not have this limit"),
        ("items{back.limit(3){id}}", "back may not have this limit"),
        ("items{note}", "note may not be named there"),
    ],
)
def test_what_the_row_does_not_offer_is_refused_with_the_reason(order: Operation, fields: str, why: str):
    with pytest.raises(OperationDenied) as refused:
        order.url({"order": "1", "fields": fields})
    assert refused.value.detail == f"What is named in fields of shop.order.get is refused: {why}."


def test_a_table_in_an_archive_is_read_by_its_name_under_the_ids_that_are_asked_for(shipped: Path):
    assert archived("shops.zip") == ("shop.v1", "shop.v2")
    found = load("shop.v2", "/x", archive="shops.zip", api="shop:v2")
    assert found.operation("shop:v2.status").origin == "https://two.example"
    assert found.operation("shop:v2.item.changes").below == {"item": "shop:v2.order.get"}
    assert found.operation("shop:v2.status").template == "/x/status"
    assert load("shop.v1", archive="shops.zip").operation("shop.status").template == "/status"


def test_a_table_that_the_archive_does_not_hold_is_not_found(shipped: Path):
    with pytest.raises(KeyError):
        load("shop", archive="shops.zip")


def test_a_base_that_is_no_path_is_refused_with_what_it_should_be(shipped: Path):
    with pytest.raises(ValueError, match=r"^The base of a table of operations is a path like /v26\.0\.$"):
        load("shop", "v1")
