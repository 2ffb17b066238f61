"""The tables of Google's methods that we use: each finds itself, whatever is in its path; and what providers name."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from broker import scopes
from broker.endpoints import Endpoints
from broker.errors import OperationDenied
from broker.operations import Catalog, Operation, Parameter, load
from broker.providers import built_in, google
from broker.providers.base import Provider
from broker.providers.resource import Place, Resource

COUNTS = {
    "people.v1": 24,
    "calendar.v3": 38,
    "gmail.v1": 79,
    "drive.v3": 64,
    "sheets.v4": 17,
    "analyticsadmin.v1beta": 55,
    "analyticsdata.v1beta": 11,
    "mybusinessbusinessinformation.v1": 10,
    "businessprofileperformance.v1": 3,
}
"""Methods of each document; of those without scopes only what is read (docs/facts/google.md §4.5)."""
CATALOGS = {name: load(name, archive=google.ARCHIVE) for name in COUNTS}
GOOGLE = Catalog.merged(*CATALOGS.values())
METHODS = sorted(GOOGLE, key=lambda operation: operation.id)
ids = [operation.id for operation in METHODS]
LITERALS = {segment.prefix for operation in METHODS for segment in operation.segments if not segment.is_variable}
FORBIDDEN = ("access_token", "key", "alt", "callback", "fields", "uploadType", "quotaUser", "$.xgafv", "oauth_token")
each_operation = pytest.mark.parametrize("operation", METHODS, ids=ids)
names = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="/\\%;"), min_size=1, max_size=12
).filter(lambda name: name not in (".", ".."))


def in_path(operation: Operation) -> list[str]:
    return [name for name, parameter in operation.parameters.items() if parameter.location == "path"]


def in_place(known: Parameter, name: str) -> str:
    """What a parameter of the path admits: a number, `x1`, or by its pattern `properties/x1/audienceExports/x1`."""
    if known.kind == "integer":
        return "7"
    return re.sub(r"\[\^/\]\+", lambda _: name, known.pattern.strip("^$")) if known.pattern else name


def example(operation: Operation, name: str = "x1") -> dict[str, Any]:
    """Values that the operation admits, with `name` wherever the path has a variable."""
    values: dict[str, Any] = {}
    for parameter, known in operation.parameters.items():
        if known.location == "path":
            values[parameter] = in_place(known, name)
        elif known.required:
            values[parameter] = "true" if known.kind == "boolean" else "text"
    return values


def path_of(operation: Operation, values: Mapping[str, Any]) -> str:
    return operation.url(values).partition("?")[0]


def test_every_version_that_google_names_is_looked_at():
    assert {f"{api}.{version}" for api, version in google.VERSIONS.items()} == set(COUNTS)


@pytest.mark.parametrize(("name", "count"), COUNTS.items())
def test_each_table_has_every_method_of_its_document(name: str, count: int):
    assert len(list(CATALOGS[name])) == count


@each_operation
def test_each_method_is_found_by_its_id(operation: Operation):
    assert GOOGLE.operation(operation.id) is operation


@each_operation
def test_each_method_is_found_again_by_its_own_url(operation: Operation):
    assert GOOGLE.match(operation.method, path_of(operation, example(operation))) is operation


@settings(max_examples=500, suppress_health_check=[HealthCheck.too_slow])
@given(operation=st.sampled_from(METHODS), name=names)
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
    known = ("https://www.googleapis.com/auth/", "https://mail.google.com/")
    assert all(scope.startswith(known) for scope in operation.scopes)


@each_operation
def test_each_variable_of_a_path_is_a_required_parameter_and_one_of_several_segments_is_bounded(operation: Operation):
    variables = re.findall(r"\{(\+?)(\w+)\}", operation.template)
    assert sorted(name for _, name in variables) == sorted(in_path(operation))
    for several, name in variables:
        assert operation.parameters[name].required
        assert not several or operation.parameters[name].pattern


@each_operation
def test_no_method_takes_what_carries_credentials_formats_or_callbacks(operation: Operation):
    for name in FORBIDDEN:
        with pytest.raises(OperationDenied):
            operation.url({**example(operation), name: "1"})


def endpoints(provider: Provider) -> Endpoints:
    """Where it is served with the options as they are by default."""
    found = provider.served_at({option.name: option.default for option in provider.options})
    assert found
    return found


def resources() -> list[tuple[Provider, Resource]]:
    return [(provider, resource) for provider in built_in().values() for resource in provider.resources.values()]


def asset(resource: Resource) -> str | None:
    return (
        (resource.default_asset or ASSETS.get(resource.asset_kind, "104820017650001")) if resource.asset_kind else None
    )


ASSETS = {"property": "properties/510001", "location": "locations/710001"}
"""Ids of assets that are no mere number."""
READ_BY_POST = {"analyticsdata.properties.runReport"}
"""Operations that change nothing, though they take a body."""
PARENTS = {
    "google-messages": "19a0000000000001",
    "facebook-comments": "12_34",
    "facebook-leads": "33",
    "facebook-messages": "t_100001000",
    "instagram-comments": "179",
    "instagram-messages": "aWdf0000000000X1",
}
"""Ids below which a resource may read."""


def somewhere(provider: Provider, resource: Resource, place: Place | None) -> Place | None:
    """The place, below a parent where the resource needs one."""
    if resource.parent is None:
        return place
    return replace(place or Place(), within=PARENTS[f"{provider.name}-{resource.name}"])


each_resource = pytest.mark.parametrize(
    ("provider", "resource"),
    resources(),
    ids=[f"{provider.name}-{resource.name}" for provider, resource in resources()],
)


def test_every_provider_that_we_ship_is_looked_at():
    assert {provider.name for provider, _ in resources()} >= {"google", "facebook", "instagram"}


@each_resource
def test_each_resource_names_an_operation_that_is_listed_and_only_reads(provider: Provider, resource: Resource):
    assert resource.operation in resource.operations
    for name in resource.operations:
        operation = provider.operation(name, endpoints(provider))
        assert operation.method == ("POST" if name in READ_BY_POST else "GET")
        assert (operation.method == "POST") == (resource.body((), asset(resource), None, 10) is not None)


@each_resource
def test_what_opens_a_field_opens_the_call_that_fetches_it(provider: Provider, resource: Resource):
    """Each alternative by itself, beside the scopes that every connection has: the operation, and the edge or field."""
    operation = provider.operation(resource.operation, endpoints(provider))
    always = provider.normalised(frozenset(provider.identity_scopes))
    for field, openers in resource.fields.items():
        assert len(scopes.alternatives(openers)) == len(openers) > 0, f"nothing opens {field}"
        wanted = operation.wanted(resource.parameters((field,), asset(resource), None, 10))
        for together in scopes.alternatives(openers):
            assert all(scopes.opens(values, together | always) for values in wanted), (field, together)


@each_resource
@pytest.mark.parametrize("place", [None, Place(page="p"), Place(changes="c"), Place(page="p", changes="c")])
def test_each_resource_calls_its_operation_with_parameters_that_it_admits(
    provider: Provider, resource: Resource, place: Place | None
):
    place = somewhere(provider, resource, place)
    operation = provider.operation(resource.operation_at(place or Place()), endpoints(provider))
    for limit in (1, 1000):
        assert operation.url(resource.parameters(sorted(resource.fields), asset(resource), place, limit))


@each_resource
def test_a_resource_that_hangs_below_another_is_read_below_the_one_it_is_told(provider: Provider, resource: Resource):
    if resource.parent is None:
        return
    operation = provider.operation(resource.operation, endpoints(provider))
    above = provider.resources[resource.parent]
    assert not operation.below or above.operation in operation.below.values()
    assert above.asset_kind == resource.asset_kind
    place = somewhere(provider, resource, None)
    assert place
    assert place.within
    assert place.within in operation.url(resource.parameters((), asset(resource), place, 10))
    seen = provider.operation(above.operation, endpoints(provider))
    listed = seen.wanted(above.parameters(resource.parent_fields, asset(above), Place(), 10))
    opened = frozenset(scopes.needed(resource.fields, resource.fields))
    always = provider.normalised(frozenset(provider.identity_scopes))
    assert all(scopes.opens(values, opened | always) for values in listed)


@each_resource
def test_an_operation_of_an_asset_is_called_for_the_asset_that_was_granted(provider: Provider, resource: Resource):
    operation = provider.operation(resource.operation, endpoints(provider))
    assert resource.asset_kind or not operation.is_for_asset
    if operation.asset:
        values = resource.parameters(sorted(resource.fields), asset(resource), None, 10)
        assert resource.asset_kind
        assert values[operation.asset] == asset(resource)


@each_resource
def test_a_resource_that_hangs_on_an_asset_cannot_be_called_without_one(provider: Provider, resource: Resource):
    operation = provider.operation(resource.operation, endpoints(provider))
    if resource.asset_kind:
        with pytest.raises(OperationDenied):
            operation.url(resource.parameters(sorted(resource.fields), None, None, 10))
