"""Every method of every Google API: id, address and scopes lead to one another, and no two of them are confused."""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

import pytest

from broker.commands import compiled
from broker.errors import OperationDenied
from broker.operations import Catalog, Operation, archived, load
from broker.providers import google

INDEX: Mapping[str, Any] = json.loads((compiled.files("broker.providers") / "catalog" / compiled.INDEX).read_text())

DAY = "2026-11-25"
LIKELY = (
    "7",
    "a7",
    "true",
    DAY,
    DAY.replace("-", ""),
    "7:7",
    "UA-7-7",
    "ga",
    "ga:7",
    "mcf:7",
    "a" * 22,
    "https://a.example/",
)
"""One of these every parameter admits."""


@pytest.fixture(scope="module")
def catalogs() -> dict[str, Catalog]:
    """`api:version` → its table."""
    names = archived(google.ARCHIVE)
    return {(api := name.replace(".", ":", 1)): load(name, archive=google.ARCHIVE, api=api) for name in names}


@pytest.fixture(scope="module")
def methods(catalogs: dict[str, Catalog]) -> list[Operation]:
    return [operation for catalog in catalogs.values() for operation in catalog]


VARIABLE = re.compile(r"\{(\+?)([A-Za-z0-9_.]+)\}")


def sample(operation: Operation) -> str:
    """The path with a name in each variable that it admits."""
    flat = operation.flat or operation.template
    return VARIABLE.sub(lambda found: quote(name(operation, found[2]), safe=""), flat)


def name(operation: Operation, variable: str) -> str:
    """A flat path calls `targetingTypesId` what the template calls `targetingType`, and has choices for."""
    known = operation.parameters.get(variable)
    above = operation.parameters.get(variable.removesuffix("sId"))
    choices = known.choices if known else above.choices if above else None
    names = (*sorted(choices or ()), *LIKELY)
    return next(text for text in names if known is None or known.admits(text))


def values(operation: Operation) -> dict[str, str]:
    """The parameters that make the sample."""
    pattern, at = "", 0
    for found in VARIABLE.finditer(operation.template):
        admitted = (operation.parameters[found[2]].pattern or ".+").strip("^$") if found[1] else "[^/]+"
        pattern += f"{re.escape(operation.template[at : found.start()])}(?P<v{found.start()}>{admitted})"
        at = found.end()
    taken = re.fullmatch(pattern + re.escape(operation.template[at:]), sample(operation))
    assert taken, operation.id
    return {found[2]: unquote(taken[f"v{found.start()}"]) for found in VARIABLE.finditer(operation.template)}


def test_all_of_google_is_there(methods: list[Operation]):
    """docs/facts/google.md §4.1: three documents come twice, with 139 methods; of 274 without scopes 30 are opened by
    hand."""
    assert (INDEX["documents"], INDEX["methods"]) == (610, 28137)
    assert len(INDEX["tables"]) == 607
    assert len(methods) == sum(table["methods"] for table in INDEX["tables"].values()) == 28137 - 139 - 274 + 30
    assert len({scope for operation in methods for scope in operation.scopes}) == 526


def test_the_archive_is_the_one_that_its_index_tells_of():
    assert compiled.shipped().index == INDEX


def test_each_method_has_an_id_of_its_own_by_which_it_is_found(methods: list[Operation]):
    assert max(Counter(operation.id for operation in methods).values()) == 1
    for operation in methods:
        assert google.table(operation.id).operation(operation.id) == operation


def test_each_method_is_found_again_by_its_own_address(catalogs: dict[str, Catalog]):
    for catalog in catalogs.values():
        for operation in catalog:
            assert catalog.match(operation.method, operation.origin + sample(operation)) is operation


def test_each_method_builds_its_own_address_out_of_parameters_that_it_admits(methods: list[Operation]):
    for operation in methods:
        given = values(operation)
        given |= {
            known: name(operation, known)
            for known, what in operation.parameters.items()
            if what.required and known not in given
        }
        assert operation.url(given).partition("?")[0] == operation.origin + sample(operation)


def test_methods_of_one_address_are_opened_by_the_same_scopes(methods: list[Operation]):
    """Versions of an API share addresses; whichever of them is meant, the same is wanted of the user."""
    opened: dict[tuple[Any, ...], frozenset[str]] = {}
    for operation in methods:
        shape = (operation.method, operation.origin, re.sub(r"\{[^}]*\}", "{}", operation.flat or operation.template))
        assert opened.setdefault(shape, operation.scopes) == operation.scopes, operation.id


def test_no_two_methods_of_one_document_tie(catalogs: dict[str, Catalog]):
    for catalog in catalogs.values():
        shapes = Counter(
            (one.method, one.origin, re.sub(r"\{[^}]*\}", "{}", one.flat or one.template)) for one in catalog
        )
        assert not shapes or max(shapes.values()) == 1


def test_each_method_names_scopes_that_open_it(methods: list[Operation]):
    for operation in methods:
        assert operation.scopes, operation.id
        assert all(scope.startswith(("https://", "email", "openid", "profile")) for scope in operation.scopes), (
            operation
        )


def test_what_documents_list_without_scopes_only_reads(methods: list[Operation]):
    """docs/facts/google.md §4.5: the one scope of Business Profile opens writing too."""
    by_hand = [operation for operation in methods if operation.id.startswith(tuple(compiled.BY_HAND))]
    assert len(by_hand) == 30
    assert all((one.method, one.scopes) == ("GET", {compiled.MANAGE}) for one in by_hand)


@pytest.mark.parametrize(
    ("named", "version"),
    [
        ("people.people.get", "people.v1"),
        ("people:v1.people.get", "people.v1"),
        ("drive.files.list", "drive.v3"),
        ("drive:v2.files.list", "drive.v2"),
        ("tasks.tasks.list", "tasks.v1"),
        ("admin:directory_v1.users.list", "admin.directory_v1"),
        ("dfareporting:v3.4.accounts.list", "dfareporting.v3.4"),
    ],
)
def test_an_id_may_name_the_version_and_must_where_there_are_several(named: str, version: str):
    found = google.table(named).operation(named)
    expected = load(version, archive=google.ARCHIVE)
    assert found.id == named
    assert found in [vars_of(other, named) for other in expected]


def vars_of(operation: Operation, named: str) -> Operation:
    """The same under the id by which it was asked for."""
    return type(operation)(**{**{k: getattr(operation, k) for k in operation.__dataclass_fields__}, "id": named})


@pytest.mark.parametrize(
    "unknown",
    [
        "",
        ":",
        "nothing.at.all",
        "compute.instances.list",
        "people:v9.people.get",
        "people:.people.get",
        "people:v1",
        "people.v1.people.get",
        "oauth2.tokeninfo",
        "oauth2:v2.tokeninfo",
        "../facebook.me.get",
        "people:v1.",
        "facebook.me.get",
    ],
)
def test_what_is_not_listed_is_denied(unknown: str):
    with pytest.raises(OperationDenied):
        google.table(unknown).operation(unknown)


def test_nothing_is_read_before_an_operation_is_asked_for_and_then_its_api_alone():
    script = (
        "from broker.providers import google\n"
        "print(google._loaded.cache_info().currsize, google._versions.cache_info().currsize)\n"
        "google.PROVIDER.operation('people.people.get', None)\n"
        "google.PROVIDER.operation('people.people.connections.list', None)\n"
        "print(google._loaded.cache_info().currsize)\n"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["0", "0", "1"]
