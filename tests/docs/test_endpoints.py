"""The table of endpoints is the one of the code, with the scope that each demands."""

import re

import pytest
import requests

from broker.clients import SCOPES
from tests.docs.pages import page, spans
from tests.house import House

API = page("docs/api.md")


def _scoped() -> list[tuple[str, str]]:
    """(endpoint, scope) of each row that always demands one."""
    rows = [(spans(first)[0], re.fullmatch(r"`([a-z:]+)`", scope)) for first, scope, _ in API.rows("Endpoints")]
    return [(endpoint, scope[1]) for endpoint, scope in rows if scope]


def _call(house: House, endpoint: str, **headers: str) -> requests.Response:
    method, path = re.sub(r"<\w+>", "none", endpoint).split(" ")
    return requests.request(method, house.url + path, headers=headers, timeout=10)


def test_each_endpoint_is_on_the_page_and_no_other(sqlite_house: House) -> None:
    told = {span for span in spans(API.section("Endpoints")) if re.match(r"[A-Z]+ /", span)}
    rules = [rule for rule in sqlite_house.app.url_map.iter_rules() if rule.endpoint != "static"]
    assert told == {
        f"{method} {rule.rule}" for rule in rules for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def test_each_endpoint_with_a_scope_refuses_a_caller_that_has_every_other(sqlite_house: House) -> None:
    assert len(_scoped()) > 8
    for endpoint, scope in _scoped():
        other = sqlite_house.client(*(set(SCOPES) - {scope}))
        answer = _call(sqlite_house, endpoint, Authorization=f"Bearer {other.bearer}")
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), endpoint


@pytest.mark.parametrize("scope", ["scoped", "any"])
def test_each_endpoint_that_wants_a_token_refuses_a_caller_without(sqlite_house: House, scope: str) -> None:
    any_caller = [spans(row[0])[0] for row in API.rows("Endpoints") if row[1] == "any"]
    endpoints = any_caller if scope == "any" else [endpoint for endpoint, _ in _scoped()]
    assert endpoints
    for endpoint in endpoints:
        assert _call(sqlite_house, endpoint).status_code == 401, endpoint
