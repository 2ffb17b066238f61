"""`/openapi.json` agrees with contract.md's lists, with the code, and with what is really answered."""

import re
from typing import Any

import pytest
import requests
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from broker import errors
from broker.web.openapi import document
from tests.house import RETURN_URL, House, SalesApp

CONTRACT = {
    "POST /v1/connect-sessions": "connect",
    "GET /v1/connect-sessions/{session_id}": "connect",
    "POST /v1/connect-sessions/{session_id}/confirm": "connect",
    "POST /v1/portal-sessions": "connect",
    "GET /v1/connections": "connections:read",
    "GET /v1/connections/{connection_id}": "connections:read",
    "GET /v1/connections/{connection_id}/explain": "connections:read",
    "GET /v1/connections/{connection_id}/assets/{connector}": "connect",
    "PUT /v1/connections/{connection_id}/assets/{connector}": "connect",
    "POST /v1/connections/{connection_id}/suspend": "revoke",
    "POST /v1/connections/{connection_id}/resume": "revoke",
    "GET /v1/connections/{connection_id}/records/{connector}": "records:read",
    "GET /v1/connections/{connection_id}/relay/{connector}/{target}": "relay",
    "POST /v1/connections/{connection_id}/relay/{connector}/{target}": "relay",
    "GET /v1/connectors": None,
    "DELETE /v1/connections/{connection_id}": "revoke",
    "DELETE /v1/connections/{connection_id}/grants/{connector}": "revoke",
    "POST /v1/revocations": "revoke",
    "GET /v1/revocations": "revoke",
    "GET /v1/revocations/{revocation_id}": "revoke",
    "POST /v1/subjects/export": "privacy",
    "POST /v1/subjects/erase": "privacy",
    "GET /v1/erasures": "privacy",
    "GET /v1/erasures/{erasure_id}": "privacy",
    "GET /v1/consents": "privacy",
    "GET /v1/consents/{consent_id}": "privacy",
    "GET /v1/audit": "audit:read",
    "POST /v1/event-endpoints": "events",
    "GET /v1/event-endpoints": "events",
    "GET /v1/event-endpoints/{endpoint_id}": "events",
    "DELETE /v1/event-endpoints/{endpoint_id}": "events",
    "POST /v1/event-endpoints/{endpoint_id}/rotate-secret": "events",
    "POST /v1/event-endpoints/{endpoint_id}/enable": "events",
    "POST /v1/event-endpoints/{endpoint_id}/disable": "events",
    "GET /v1/event-endpoints/{endpoint_id}/deliveries": "events",
    "POST /v1/event-endpoints/{endpoint_id}/replay": "events",
}
"""Every call of the API and the broker scope that it needs."""

VARIABLE = re.compile(r"<(?:[a-z]+:)?([a-z_]+)>")
CODES = {
    "invalid_request": {400, 422},
    "unauthorized": {401},
    "forbidden": {403},
    "not_found": {404},
    "insufficient_scope": {403, 409},
    "not_granted": {403},
    "grant_withdrawn": {403},
    "asset_required": {400},
    "operation_denied": {403},
    "wrong_account": {409},
    "consent_again": {409},
    "connection_suspended": {409},
    "reconnect_required": {409},
    "connection_revoked": {410},
    "provider_unavailable": {502, 503, 504},
    "rate_limited": {429},
    "unavailable": {503},
    "unsupported_media_type": {415},
    "too_large": {413},
    "method_not_allowed": {405},
}
"""Every stable code and the statuses it may come with."""


@pytest.fixture
def house(sqlite_house: House) -> House:
    return sqlite_house


@pytest.fixture
def described(house: House) -> dict[str, Any]:
    return dict(requests.get(f"{house.url}/openapi.json", timeout=30).json())


def operations(described: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    }


def test_the_document_is_sound_openapi_3_1(described: dict[str, Any]) -> None:
    validate(described)


def test_it_names_exactly_the_calls_of_the_contract_with_their_scopes(described: dict[str, Any]) -> None:
    found = {
        name: next(iter(operation["security"][0]["oauth2"]), None)
        for name, operation in operations(described).items()
        if " /v1/" in name
    }
    assert found == CONTRACT


def test_every_route_that_flask_has_stands_in_it(house: House) -> None:
    served = {
        f"{method} {VARIABLE.sub('{}', rule.rule).replace('{}', '{%s}') % tuple(VARIABLE.findall(rule.rule))}"
        for rule in house.app.url_map.iter_rules()
        if rule.endpoint != "static"
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert served == set(operations(document(house.url)))


def test_every_code_has_the_statuses_of_the_contract() -> None:
    kinds = _below(errors.BrokerError)
    assert {kind.code: {kind.status, *kind.also} for kind in kinds} == CODES


def _below(kind: type[errors.BrokerError]) -> list[type[errors.BrokerError]]:
    own = [below for below in kind.__subclasses__() if below.__module__ == "broker.errors"]
    return [*own, *(further for below in own for further in _below(below))]


def test_every_kind_of_answer_fits_its_schema(house: House, app: SalesApp, described: dict[str, Any]) -> None:
    """One walk through the API; each answer is held to what the document says of it."""
    client = house.client("connect", "connections:read", "records:read", "revoke", "audit:read", "privacy")
    connection = client.connect()["id"]
    walk = [
        ("GET", "/v1/connectors", None),
        ("POST", "/v1/portal-sessions", {"tenant": "toko", "subject": "ani", "return_url": RETURN_URL}),
        ("POST", "/v1/portal-sessions", {"tenant": "toko", "subject": "ani", "return_url": "https://other.example/"}),
        ("GET", "/v1/connections", None),
        ("GET", f"/v1/connections/{connection}", None),
        ("GET", f"/v1/connections/{connection}/explain?connector=google_calendar", None),
        ("GET", f"/v1/connections/{connection}/explain?connector=nothing", None),
        ("GET", f"/v1/connections/{connection}/records/google_contacts?limit=3", None),
        ("GET", f"/v1/connections/{connection}/records/google_contacts?limit=0", None),
        ("GET", f"/v1/connections/{connection}/records/openid_profile", None),
        ("GET", f"/v1/connections/{connection}/assets/google_calendar", None),
        ("PUT", f"/v1/connections/{connection}/assets/google_calendar", {"assets": ["primary"]}),
        ("PUT", f"/v1/connections/{connection}/assets/google_calendar", {"assets": ["elsewhere"]}),
        ("POST", f"/v1/connections/{connection}/suspend", None),
        ("GET", f"/v1/connections/{connection}/records/google_contacts", None),
        ("POST", f"/v1/connections/{connection}/resume", None),
        ("DELETE", f"/v1/connections/{connection}/grants/google_calendar?dry_run=true", None),
        ("DELETE", f"/v1/connections/{connection}/grants/google_calendar", None),
        ("GET", f"/v1/connections/{connection}/records/google_calendar", None),
        ("DELETE", f"/v1/connections/{connection}?dry_run=true", None),
        ("DELETE", f"/v1/connections/{connection}", None),
        ("GET", f"/v1/connections/{connection}/records/google_contacts", None),
        ("POST", "/v1/revocations?dry_run=true", {"tenant": "toko"}),
        ("POST", "/v1/revocations", {"tenant": "toko", "subject": "ani", "reason": "left"}),
        ("POST", "/v1/revocations", {"tenant": "kios"}),
        ("POST", "/v1/revocations", {}),
        ("GET", "/v1/revocations", None),
        ("GET", "/v1/audit", None),
        ("GET", "/v1/consents", None),
        ("POST", "/v1/subjects/export", {"tenant": "toko", "subject": "ani"}),
        ("POST", "/v1/subjects/erase", {"tenant": "toko", "subject": "ani"}),
        ("GET", "/v1/erasures", None),
        ("POST", "/v1/connect-sessions", {"tenant": 7}),
        ("GET", "/v1/connections/nothing", None),
    ]
    for method, path, body in walk:
        answer = client.call(method, path, body)
        held(described, method, path, answer)


def held(described: dict[str, Any], method: str, path: str, answer: requests.Response) -> None:
    route = _route(described, path.partition("?")[0])
    responses = described["paths"][route][method.lower()]["responses"]
    assert str(answer.status_code) in responses, f"{method} {path}: {answer.status_code} is not documented"
    content = responses[str(answer.status_code)]["content"]
    kind = answer.headers["Content-Type"].partition(";")[0]
    assert kind in content
    validator = Draft202012Validator({**content[kind]["schema"], "components": described["components"]})
    assert [error.message for error in validator.iter_errors(answer.json())] == []


def _route(described: dict[str, Any], path: str) -> str:
    exact = [route for route in described["paths"] if route == path]
    fitting = [route for route in described["paths"] if re.fullmatch(re.sub(r"\{[a-z_]+\}", "[^/]+", route), path)]
    return (exact or fitting)[0]


def test_people_are_shown_every_call_without_a_script(house: House, described: dict[str, Any]) -> None:
    page = requests.get(f"{house.url}/docs", timeout=30)
    assert page.status_code == 200
    assert "<script" not in page.text
    for path in described["paths"]:
        assert path in page.text
