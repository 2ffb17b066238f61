"""Faults of the fake Facebook: throttles, errors, outages, in Graph's words. docs/facts/meta.md §6, §9.2."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from broker import sandbox
from broker.sandbox.facebook.quirks import KNOWN
from broker.sandbox.graph import THROTTLES
from tests.sandbox.facebook_client import ANI_PAGE, FacebookApp, error

FOLDER = Path(sandbox.__file__).parent / "facebook"
DOCUMENT = (FOLDER.parents[2] / "docs" / "sandbox.md").read_text()
STEERING = [FOLDER / "steering.py", FOLDER / "steering_apps.py", FOLDER / "stocking.py"]


def test_each_known_quirk_takes_its_example(facebook: FacebookApp) -> None:
    known = facebook.http.get(f"{facebook.url}/_sandbox/quirks").json()["known"]
    assert known.keys() == KNOWN.keys()
    for name, quirk in known.items():
        assert quirk["meaning"]
        assert facebook.quirk(**{name: quirk["example"]}).status_code == 200, name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("partial", "email"),
        ("allowed_scopes", 1),
        ("callback_error", {"error": "x"}),
        ("token_lifetime", {"medium": 1}),
        ("granular_scopes", "full"),
        ("permission_error", "10"),
        ("usage", -1),
        ("pages", "long"),
        ("rate_limit", {"/me": "4"}),
        ("rate_limit", {"/me": {"minutes": 1}}),
        ("graph_error", {"/me": {"subcode": 460}}),
        ("graph_error", {"/me": {"code": 190, "is_transient": "no"}}),
        ("graph_error", {"me": {"code": 190}}),
        ("unknown", True),
    ],
)
def test_a_value_that_a_quirk_does_not_take_is_refused(facebook: FacebookApp, name: str, value: object) -> None:
    assert facebook.quirk(**{name: value}).status_code == 400


@pytest.mark.parametrize("prefix", ["/v26.0/me", "/me"])
def test_the_version_may_be_left_out_of_a_prefix(facebook: FacebookApp, prefix: str) -> None:
    token = facebook.connect()
    facebook.quirk(graph_error={prefix: {"value": {"code": 2}, "times": 1}})
    assert error(facebook.get("/me/permissions", token))[:2] == (400, 2)
    assert facebook.get("/me/permissions", token).status_code == 200


@pytest.mark.parametrize("subcode", [458, 459, 460, 463, 464, 467, 492])
def test_any_error_of_graph_can_be_asked_for(facebook: FacebookApp, subcode: int) -> None:
    token = facebook.connect()
    facebook.quirk(graph_error={"/me": {"code": 190, "subcode": subcode, "status": 401, "is_transient": True}})
    answer = facebook.get("/me", token)
    assert error(answer) == (401, 190, subcode)
    assert answer.json()["error"].keys() == {
        *("message", "type", "code", "error_subcode", "is_transient", "fbtrace_id"),
    }


def test_the_token_endpoint_can_fail_in_graphs_words(facebook: FacebookApp) -> None:
    code = facebook.callback()["code"]
    facebook.quirk(graph_error={"/oauth/access_token": {"value": {"code": 1, "status": 500}, "times": 1}})
    assert error(facebook.exchange(code))[:2] == (500, 1)
    assert facebook.exchange(code).status_code == 200


@pytest.mark.parametrize("code", sorted(THROTTLES))
def test_a_throttle_comes_with_400_and_full_usage(facebook: FacebookApp, code: int) -> None:
    token = facebook.connect()
    facebook.quirk(rate_limit={"/me": {"code": code, "minutes": 7}})
    answer = facebook.get("/me", token)
    assert error(answer)[:2] == (400, code)
    usage = answer.headers.get("X-App-Usage")
    if usage:
        assert json.loads(usage)["call_count"] == 100
    else:
        ((entry,),) = json.loads(answer.headers["X-Business-Use-Case-Usage"]).values()
        assert (entry["call_count"], entry["estimated_time_to_regain_access"]) == (100, 7)
    assert "Retry-After" not in answer.headers


def test_usage_is_told_by_the_kind_of_token(facebook: FacebookApp) -> None:
    token = facebook.connect()
    page = facebook.page_token(token)
    facebook.quirk(usage=85)
    assert json.loads(facebook.get("/me", token).headers["X-App-Usage"])["call_count"] == 85
    headers = facebook.get(f"/{ANI_PAGE}/posts", page).headers
    ((entry,),) = json.loads(headers["X-Business-Use-Case-Usage"]).values()
    assert (entry["type"], entry["call_count"], "X-App-Usage" in headers) == ("pages", 85, False)


def test_an_outage_speaks_as_graph(facebook: FacebookApp) -> None:
    token = facebook.connect()
    facebook.quirk(outage={"/me": 503})
    answer = facebook.get("/me", token)
    assert error(answer)[:2] == (503, 2)
    assert answer.json()["error"]["is_transient"] is True


@pytest.mark.parametrize("kind", ["empty", "truncated", "not_json", "list", "null"])
def test_an_answer_can_be_spoiled(facebook: FacebookApp, kind: str) -> None:
    token = facebook.connect()
    sound = facebook.get("/me", token).content
    facebook.quirk(malformed={"/me": kind})
    answer = facebook.get("/me", token)
    assert (answer.status_code, answer.content != sound) == (200, True)


def test_a_lost_connection_is_one(facebook: FacebookApp) -> None:
    facebook.quirk(outage={"/debug_token": "reset"})
    with pytest.raises(requests.ConnectionError):
        facebook.get("/debug_token", facebook.app_token)


def test_each_answer_has_another_trace(facebook: FacebookApp) -> None:
    traces = {facebook.get("/me", "EAAnothing").json()["error"]["fbtrace_id"] for _ in range(5)}
    assert len(traces) == 5


# --- the page of the documentation ---------------------------------------------------------------------------


def _section() -> str:
    return re.search(r"^## Facebook\n(.*?)(?=^## |\Z)", DOCUMENT, re.M | re.S)[1]  # type: ignore[index]


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_each_quirk_is_documented_in_its_own_words(name: str) -> None:
    quirk = KNOWN[name]
    assert f"| `{name}` | `{json.dumps(quirk.example)}` | {quirk.meaning} |\n" in DOCUMENT


@pytest.mark.parametrize("source", STEERING, ids=lambda path: path.stem)
def test_each_control_call_is_documented(source: Path) -> None:
    routes = re.findall(r'^@CONTROL\.(get|post|delete)\("(.+)"\)$', source.read_text(), re.MULTILINE)
    assert routes
    assert [path for method, path in routes if f"| `{method.upper()} /_sandbox{path}` |" not in _section()] == []


def test_the_documented_way_through_facebooks_page_is_one(facebook: FacebookApp) -> None:
    (block,) = [b for b in re.findall(r"^```python\n(.*?)^```$", DOCUMENT, re.M | re.S) if "def at_facebook" in b]
    names: dict[str, Any] = {}
    exec(block, names)
    asked = facebook.request("email", "pages_show_list", "pages_read_engagement")
    address = requests.Request("GET", f"{facebook.url}/v26.0/dialog/oauth", params=asked).prepare().url
    callback = dict(parse_qsl(urlsplit(names["at_facebook"](address, ["email", "pages_show_list"], [ANI_PAGE])).query))
    token = facebook.exchange(callback["code"]).json()["access_token"]
    assert facebook.permissions(token)["pages_read_engagement"] == "declined"
    assert [page["id"] for page in facebook.data("/me/accounts", token)] == [ANI_PAGE]


def test_the_documented_people_live_there_and_hold_what_is_said(facebook: FacebookApp) -> None:
    for account in facebook.state()["accounts"]:
        assert f"| `{account['email']}` |" in _section()
    for page in facebook.state()["pages"]:
        assert f"`{page['id']}`" in _section(), page
