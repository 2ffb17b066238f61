"""From discovery documents to our tables, and from a table to operations."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from broker import operations
from broker.commands import compiled
from broker.errors import InvalidRequest
from broker.operations import Parameter

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


def test_a_document_is_compiled_into_this_table():
    assert compiled.compiled(DOCUMENT, "by hand") == TABLE


def test_a_method_without_scopes_is_left_out():
    assert "ping" not in compiled.compiled(DOCUMENT, "by hand")["methods"]


def test_a_parameter_of_every_method_and_a_deprecated_one_are_left_out():
    text = json.dumps(compiled.compiled(DOCUMENT, "by hand"))
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


def test_where_a_document_lists_no_scopes_what_reads_is_opened_by_hand_and_nothing_else():
    """The one scope of Business Profile opens writing too (docs/facts/google.md §4.5)."""
    document = {**DOCUMENT, "name": "mybusinessbusinessinformation", "methods": {}, "resources": {}}
    document["methods"] = {
        "read": {"httpMethod": "GET", "path": "read"},
        "find": {"httpMethod": "POST", "path": "find"},
        "change": {"httpMethod": "PATCH", "path": "change"},
    }
    table = compiled.compiled(document, "by hand")
    assert list(table["methods"]) == ["read"]
    assert table["scopes"] == ["https://www.googleapis.com/auth/business.manage"]
    assert compiled.compiled({**document, "name": "oauth2"}, "by hand")["methods"] == {}


def test_each_shipped_table_says_where_it_is_from_and_holds_nothing_unused():
    for name, table in compiled.shipped().tables.items():
        assert table["source"] == "google-api-python-client 2.202.0"
        assert f"{table['api']}.{table['version']}" == name
        assert {entry["set"] for entry in table["methods"].values()} == set(range(len(table["sets"])))
        assert {number for members in table["sets"] for number in members} == set(range(len(table["scopes"])))


# --- a folder of documents, an archive of tables -------------------------------------------------------------


def folder(path: Path, **documents: Any) -> Path:
    path.mkdir()
    for name, document in documents.items():
        (path / f"{name.replace('__', '.')}.json").write_text(json.dumps(document))
    return path


def test_every_document_is_compiled_and_one_that_comes_twice_once(tmp_path: Path):
    found = folder(tmp_path / "documents", shop__v1=DOCUMENT, shopv1=DOCUMENT, index={"items": []})
    made = compiled.compile_all(found, "by hand")
    assert made == compiled.Compiled("by hand", {"shop.v1": TABLE}, documents=2, methods=8)


def test_of_two_documents_the_one_that_is_named_as_it_should_be_counts(tmp_path: Path):
    other = {**DOCUMENT, "revision": "19990101"}
    for number, names in enumerate((("a", "shop__v1"), ("shop__v1", "z"))):
        documents = {name: DOCUMENT if name == "shop__v1" else other for name in names}
        made = compiled.compile_all(folder(tmp_path / str(number), **documents), "by hand")
        assert made.tables == {"shop.v1": TABLE}


def test_what_is_written_is_read_back(tmp_path: Path):
    made = compiled.compile_all(folder(tmp_path / "documents", shop__v1=DOCUMENT), "by hand")
    compiled.write(made, tmp_path / "out")
    assert compiled.read(tmp_path / "out") == made
    (first,) = [(tmp_path / "out" / compiled.ARCHIVE).read_bytes()]
    compiled.write(made, tmp_path / "out")
    assert (tmp_path / "out" / compiled.ARCHIVE).read_bytes() == first


@pytest.mark.parametrize("harm", ["scopes", "another table", "cut off", "no zip"])
def test_an_archive_that_is_not_what_its_index_says_is_refused(tmp_path: Path, harm: str):
    made = compiled.compile_all(folder(tmp_path / "documents", shop__v1=DOCUMENT), "by hand")
    compiled.write(made, tmp_path / "out")
    index, archive = (tmp_path / "out" / name for name in (compiled.INDEX, compiled.ARCHIVE))
    kept = index.read_text()
    if harm == "scopes":
        compiled.write(replace(made, tables={"shop.v1": {**TABLE, "sets": [[1], [0, 1]]}}), tmp_path / "out")
    if harm == "another table":
        compiled.write(replace(made, tables={"shop.v1": TABLE, "shop.v2": TABLE}), tmp_path / "out")
    if harm == "cut off":
        archive.write_bytes(archive.read_bytes()[:-30])
    if harm == "no zip":
        archive.write_text("nothing")
    index.write_text(kept)
    with pytest.raises(InvalidRequest, match=r"google\.zip"):
        compiled.read(tmp_path / "out")


def test_the_digest_is_that_of_the_methods_whatever_they_are_taken_from(tmp_path: Path):
    made = compiled.compile_all(folder(tmp_path / "one", shop__v1=DOCUMENT), "by hand")
    newer = compiled.compile_all(folder(tmp_path / "two", shop__v1={**DOCUMENT, "revision": "20270101"}), "other")
    assert made.index["digest"] == newer.index["digest"]
    changed = json.loads(json.dumps(DOCUMENT).replace("https://a/read", "https://a/less"))
    other = compiled.compile_all(folder(tmp_path / "three", shop__v1=changed), "by hand")
    assert other.index["digest"] != made.index["digest"]


def test_a_wheel_is_read_as_it_lies_there(tmp_path: Path):
    wheel = tmp_path / "google_api_python_client-9.9.9-py3-none-any.whl"
    with ZipFile(wheel, "w") as opened:
        opened.writestr(f"{compiled.INSIDE}/shop.v1.json", json.dumps(DOCUMENT))
        opened.writestr(f"{compiled.INSIDE}/index.json", "{}")
        opened.writestr("googleapiclient/other.json", "{}")
    documents, source = compiled.documents(str(wheel))
    assert source == "google-api-python-client-9.9.9"
    assert list(compiled.compile_all(documents, source).tables) == ["shop.v1"]


def test_a_folder_with_the_package_in_it_is_as_good_as_its_documents(tmp_path: Path):
    inside = tmp_path / "target" / compiled.INSIDE
    inside.parent.mkdir(parents=True)
    folder(inside, shop__v1=DOCUMENT)
    for path in (tmp_path / "target", inside):
        assert list(compiled.compile_all(compiled.documents(str(path))[0], "x").tables) == ["shop.v1"]


def test_a_version_that_is_not_installed_is_said_with_how_to_get_it():
    with pytest.raises(InvalidRequest, match=r"pip install google-api-python-client==9\.9\.9"):
        compiled.documents("9.9.9")


@pytest.mark.parametrize("given", ["no/such/path", "no.whl", "9.9.9-py3.whl", "-r"])
def test_a_path_that_is_not_there_is_refused(given: str):
    with pytest.raises(InvalidRequest, match="no folder and no wheel"):
        compiled.documents(given)


def test_a_wheel_that_is_none_is_refused(tmp_path: Path):
    (tmp_path / "x.whl").write_text("nothing")
    with pytest.raises(InvalidRequest, match="no wheel"):
        compiled.documents(str(tmp_path / "x.whl"))


def test_a_folder_without_documents_is_refused(tmp_path: Path):
    with pytest.raises(InvalidRequest, match="no discovery documents"):
        compiled.compile_all(folder(tmp_path / "empty", index={}), "x")
