"""The compiled tables of Google's methods: each finds itself, and providers name only what is there."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from broker.errors import OperationDenied
from broker.operations import Catalog, Operation, load
from broker.providers import built_in
from broker.providers.base import Provider
from broker.providers.resource import Place, Resource

CATALOGS = {name: load(name) for name in ("people.v1", "calendar.v3")}
GOOGLE = Catalog.merged(*CATALOGS.values())
METHODS = sorted(GOOGLE, key=lambda operation: operation.id)
ids = [operation.id for operation in METHODS]
LITERALS = {segment.prefix for operation in METHODS for segment in operation.segments if not segment.is_variable}
each_operation = pytest.mark.parametrize("operation", METHODS, ids=ids)
names = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="/\\%;"), min_size=1, max_size=12
).filter(lambda name: name not in (".", ".."))


def in_path(operation: Operation) -> list[str]:
    return [name for name, parameter in operation.parameters.items() if parameter.location == "path"]


def example(operation: Operation, name: str = "x1") -> dict[str, Any]:
    """Values that the operation admits, with `name` wherever the path has a variable."""
    values: dict[str, Any] = {}
    for parameter, known in operation.parameters.items():
        if known.location == "path":
            prefix = re.match(r"\^(\w+/)", known.pattern or "")
            values[parameter] = (prefix[1] if prefix else "") + name
        elif known.required:
            values[parameter] = "true" if known.kind == "boolean" else "text"
    return values


def path_of(operation: Operation, values: Mapping[str, Any]) -> str:
    return operation.url(values).partition("?")[0]


@pytest.mark.parametrize(("name", "count"), [("people.v1", 24), ("calendar.v3", 38)])
def test_each_table_has_every_method_of_its_document(name: str, count: int):
    assert len(list(CATALOGS[name])) == count


@each_operation
def test_each_method_is_found_by_its_id(operation: Operation):
    assert GOOGLE.operation(operation.id) is operation


@each_operation
def test_each_method_is_found_again_by_its_own_url(operation: Operation):
    assert GOOGLE.match(operation.method, path_of(operation, example(operation))) is operation


@each_operation
@settings(max_examples=25)
@given(name=names)
def test_whatever_name_stands_in_the_path_it_stays_the_same_method(operation: Operation, name: str):
    assume(name not in LITERALS)
    assert GOOGLE.match(operation.method, path_of(operation, example(operation, name))) is operation


@each_operation
def test_no_two_methods_tie(operation: Operation):
    shape = [(segment.prefix, segment.is_variable, segment.suffix) for segment in operation.segments]
    same = [
        other
        for other in METHODS
        if (other.method, other.origin) == (operation.method, operation.origin)
        and [(s.prefix, s.is_variable, s.suffix) for s in other.segments] == shape
    ]
    assert same == [operation]


@each_operation
def test_each_method_names_the_scopes_that_open_it(operation: Operation):
    assert operation.scopes
    assert all(scope.startswith("https://www.googleapis.com/auth/") for scope in operation.scopes)


@each_operation
def test_each_variable_of_a_path_is_a_required_parameter_and_one_of_several_segments_is_bounded(operation: Operation):
    variables = re.findall(r"\{(\+?)(\w+)\}", operation.template)
    assert sorted(name for _, name in variables) == sorted(in_path(operation))
    for several, name in variables:
        assert operation.parameters[name].required
        assert not several or operation.parameters[name].pattern


@each_operation
@pytest.mark.parametrize(
    "name", ["access_token", "key", "alt", "callback", "fields", "uploadType", "quotaUser", "$.xgafv", "oauth_token"]
)
def test_no_method_takes_what_carries_credentials_formats_or_callbacks(operation: Operation, name: str):
    with pytest.raises(OperationDenied):
        operation.url({**example(operation), name: "1"})


def resources() -> list[tuple[Provider, Resource]]:
    return [
        (provider, resource)
        for provider in built_in().values()
        if provider.endpoints
        for resource in provider.resources.values()
    ]


@pytest.mark.parametrize(("provider", "resource"), resources(), ids=lambda value: value.name)
def test_each_resource_names_an_operation_that_is_listed_and_only_reads(provider: Provider, resource: Resource):
    assert provider.endpoints
    assert provider.operation(resource.operation, provider.endpoints).method == "GET"


@pytest.mark.parametrize(("provider", "resource"), resources(), ids=lambda value: value.name)
def test_each_scope_that_opens_a_field_is_one_that_the_operation_accepts(provider: Provider, resource: Resource):
    assert provider.endpoints
    accepted = provider.operation(resource.operation, provider.endpoints).scopes
    for field, openers in resource.fields.items():
        assert openers, f"nothing opens {field}"
        assert set(openers) <= accepted


@pytest.mark.parametrize(("provider", "resource"), resources(), ids=lambda value: value.name)
@pytest.mark.parametrize("place", [None, Place(page="p"), Place(changes="c"), Place(page="p", changes="c")])
def test_each_resource_calls_its_operation_with_parameters_that_it_admits(
    provider: Provider, resource: Resource, place: Place | None
):
    assert provider.endpoints
    operation = provider.operation(resource.operation, provider.endpoints)
    asset = resource.default_asset if resource.asset_kind else None
    for limit in (1, 1000):
        assert operation.url(resource.parameters(sorted(resource.fields), asset, place, limit))


def test_a_resource_that_hangs_on_an_asset_is_denied_without_one():
    provider = built_in()["google"]
    assert provider.endpoints
    events = provider.resources["events"]
    operation = provider.operation(events.operation, provider.endpoints)
    with pytest.raises(OperationDenied):
        operation.url(events.parameters(("status",), None, None, 10))
