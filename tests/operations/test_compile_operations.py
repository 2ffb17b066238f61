"""`scripts/compile_operations.py`: from a discovery document to our table, and from the table to operations."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from broker import operations
from broker.operations import Parameter
from broker.providers import google

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT: dict[str, Any] = {
    "name": "shop",
    "version": "v1",
    "revision": "20261101",
    "rootUrl": "https://shop.googleapis.com/",
    "servicePath": "shop/v1/",
    "parameters": {"access_token": {"type": "string", "location": "query"}},
    "methods": {"ping": {"httpMethod": "GET", "path": "ping"}},
    "resources": {
        "orders": {
            "methods": {
                "list": {
                    "httpMethod": "GET",
                    "path": "orders",
                    "scopes": ["https://a/read", "https://a/all"],
                    "parameters": {
                        "size": {
                            "type": "integer",
                            "location": "query",
                            "minimum": "1",
                            "maximum": "50",
                            "default": "10",
                        },
                        "state": {"type": "string", "location": "query", "enum": ["open", "paid"], "repeated": True},
                        "old": {"type": "string", "location": "query", "deprecated": True},
                        "deep": {"type": "boolean", "location": "query"},
                    },
                },
                "delete": {
                    "httpMethod": "DELETE",
                    "path": "{+name}",
                    "flatPath": "orders/{ordersId}",
                    "scopes": ["https://a/all"],
                    "parameters": {
                        "name": {"type": "string", "location": "path", "required": True, "pattern": "^orders/[^/]+$"}
                    },
                },
            },
            "resources": {
                "items": {
                    "methods": {
                        "get": {
                            "httpMethod": "GET",
                            "path": "orders/{order}/items",
                            "flatPath": "orders/{order}/items",
                            "scopes": ["https://a/all", "https://a/read"],
                            "parameters": {"order": {"type": "string", "location": "path", "required": True}},
                        }
                    }
                }
            },
        }
    },
}
TABLE = {
    "api": "shop",
    "version": "v1",
    "revision": "20261101",
    "source": "by hand",
    "origin": "https://shop.googleapis.com",
    "scopes": ["https://a/all", "https://a/read"],
    "sets": [[0], [0, 1]],
    "methods": {
        "orders.delete": {
            "method": "DELETE",
            "template": "/shop/v1/{+name}",
            "set": 0,
            "flat": "/shop/v1/orders/{ordersId}",
            "parameters": {"name": {"location": "path", "required": True, "pattern": "^orders/[^/]+$"}},
        },
        "orders.items.get": {
            "method": "GET",
            "template": "/shop/v1/orders/{order}/items",
            "set": 1,
            "parameters": {"order": {"location": "path", "required": True}},
        },
        "orders.list": {
            "method": "GET",
            "template": "/shop/v1/orders",
            "set": 1,
            "parameters": {
                "deep": {"kind": "boolean"},
                "size": {"minimum": 1, "maximum": 50, "kind": "integer"},
                "state": {"repeated": True, "choices": ["open", "paid"]},
            },
        },
    },
}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compile_operations", ROOT / "scripts" / "compile_operations.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_document_is_compiled_into_this_table(script: ModuleType):
    assert script.compiled(DOCUMENT, "by hand") == TABLE


def test_a_method_without_scopes_is_left_out(script: ModuleType):
    assert "ping" not in script.compiled(DOCUMENT, "by hand")["methods"]


def test_a_parameter_of_every_method_and_a_deprecated_one_are_left_out(script: ModuleType):
    text = json.dumps(script.compiled(DOCUMENT, "by hand"))
    assert "access_token" not in text
    assert '"old"' not in text


def test_a_table_is_read_back_as_operations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "shop.v1.json").write_text(json.dumps(TABLE))
    monkeypatch.setattr(operations, "files", lambda package: tmp_path)
    catalog = operations.load("shop.v1")
    found = catalog.operation("shop.orders.list")
    assert (found.method, found.origin) == ("GET", "https://shop.googleapis.com")
    assert found.scopes == {"https://a/all", "https://a/read"}
    assert found.parameters == {
        "deep": Parameter(kind="boolean"),
        "size": Parameter(kind="integer", minimum=1, maximum=50),
        "state": Parameter(repeated=True, choices=frozenset({"open", "paid"})),
    }
    deleted = catalog.match("DELETE", "https://shop.googleapis.com/shop/v1/orders/o1")
    assert deleted.url({"name": "orders/o1"}) == "https://shop.googleapis.com/shop/v1/orders/o1"


def test_where_a_document_lists_no_scopes_what_reads_is_opened_by_hand_and_nothing_else(script: ModuleType):
    """The one scope of Business Profile opens writing too (docs/facts/google.md §4.5)."""
    document = {**DOCUMENT, "name": "mybusinessbusinessinformation", "methods": {}, "resources": {}}
    document["methods"] = {
        "read": {"httpMethod": "GET", "path": "read"},
        "find": {"httpMethod": "POST", "path": "find"},
        "change": {"httpMethod": "PATCH", "path": "change"},
    }
    table = script.compiled(document, "by hand")
    assert list(table["methods"]) == ["read"]
    assert table["scopes"] == ["https://www.googleapis.com/auth/business.manage"]
    assert script.compiled({**document, "name": "oauth2"}, "by hand")["methods"] == {}


@pytest.mark.parametrize("name", google.TABLES.values())
def test_each_committed_table_says_where_it_is_from_and_holds_nothing_unused(name: str):
    table = json.loads((ROOT / "broker" / "providers" / "catalog" / f"{name}.json").read_text())
    assert table["source"].startswith("google-api-python-client ")
    assert f"{table['api']}.{table['version']}" == name
    assert {entry["set"] for entry in table["methods"].values()} == set(range(len(table["sets"])))
    assert {number for members in table["sets"] for number in members} == set(range(len(table["scopes"])))
