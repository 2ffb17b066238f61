"""What Facebook and Instagram send when a user took the app back there: verified with that app's secret alone, and
nothing newer ends by it. docs/facts/meta.md §2."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import requests

from broker.sandbox.facebook import user_id as at_facebook
from broker.sandbox.instagram.apps import app_scoped
from broker.sandbox.instagram.seed import accounts
from tests.connections.own import FACEBOOK, INSTAGRAM, OWN_SECRET, Stage, Way
from tests.house import Google, House, SalesApp
from tests.meta import ANI, BUDI, BUDI_AT_INSTAGRAM, Facebook, Instagram

BOTH = (FACEBOOK, INSTAGRAM)
HOOKS = ("deauthorize", "deletion")
BUDI_AT = {"facebook": BUDI, "instagram": BUDI_AT_INSTAGRAM}


@pytest.fixture(params=BOTH, ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def fakes(facebook: Facebook, instagram: Instagram) -> dict[str, Google]:
    return {"facebook": facebook, "instagram": instagram}


@pytest.fixture
def stage(build_meta: Callable[..., House], sqlite_url: str, fakes: dict[str, Google], way: Way) -> Stage:
    """The shared app, which is what the fake then signs for."""
    stage = Stage(build_meta(sqlite_url), way, fakes[way.provider])
    stage.shared()
    return stage


@pytest.fixture
def app(stage: Stage) -> SalesApp:
    return stage.client()


@pytest.fixture
def connection(stage: Stage, app: SalesApp) -> str:
    return stage.way.connect(app)


def url(stage: Stage, hook: str, own: str = "") -> str:
    return "/".join(filter(None, (stage.house.url, "hooks", stage.way.provider, own, hook)))


def removes(stage: Stage, hook: str = "deauthorize", own: str = "", **how: Any) -> dict[str, Any]:
    """The user removes the app at the provider, or asks for deletion, and the provider tells; our answer."""
    call = {"deauthorize": "revoke", "deletion": "delete-data"}[hook]
    body = {"account": stage.way.account, "app": stage.way.shared[0], "url": url(stage, hook, own), **how}
    return dict(stage.fake.control(call, body)["answer"])


def posts(stage: Stage, signed: str, hook: str = "deauthorize", own: str = "") -> requests.Response:
    return requests.post(url(stage, hook, own), data={"signed_request": signed}, timeout=30)


def user_id(stage: Stage) -> str:
    """By which the provider names the account to the shared app."""
    client_id, account = stage.way.shared[0], stage.way.account
    if stage.way is FACEBOOK:
        return at_facebook(client_id, account)
    (found,) = [one.id for one in accounts() if one.username == account]
    return app_scoped(client_id, found)


def payload(stage: Stage, **members: Any) -> dict[str, Any]:
    issued_at = int(stage.house.clock().timestamp())
    return {"algorithm": "HMAC-SHA256", "issued_at": issued_at, "user_id": user_id(stage), **members}


def signed(secret: str, said: Any) -> str:
    """As Meta signs: over the encoded payload (docs/facts/meta.md §2.1)."""
    encoded = _encoded(json.dumps(said).encode())
    return f"{_encoded(hmac.new(secret.encode(), encoded.encode(), hashlib.sha256).digest())}.{encoded}"


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def state(app: SalesApp, connection: str) -> str:
    return str(app.connection(connection)["state"])


# --- what the providers really send --------------------------------------------------------------------------


@pytest.mark.parametrize("hook", HOOKS)
def test_a_removal_at_the_provider_ends_the_connection_with_a_receipt(
    stage: Stage, app: SalesApp, connection: str, hook: str
) -> None:
    """§2.2, §2.3; H15, H16."""
    assert removes(stage, hook)["status"] == 200
    assert state(app, connection) == "revoking"
    assert stage.way.read(app, connection) == 410
    stage.house.work()
    assert state(app, connection) == "revoked"
    (receipt,) = app.call("GET", "/v1/revocations").json()["items"]
    (item,) = receipt["connections"]
    assert (item["id"], bool(item["shredded_at"]), receipt["state"]) == (connection, True, "completed")


def test_a_deletion_is_answered_with_a_page_that_says_how_it_stands(
    stage: Stage, app: SalesApp, connection: str
) -> None:
    """docs/facts/security.md PRV-12."""
    answer = removes(stage, "deletion")
    body = answer["body"] if isinstance(answer["body"], dict) else json.loads(answer["body"])
    assert body["url"] == f"{stage.house.url}/deletion/{body['confirmation_code']}"
    assert re.fullmatch(r"[0-9A-Za-z]{32,}", body["confirmation_code"])
    first = {language: page(body["url"], language) for language in ("en", "id")}
    stage.house.work()
    later = {language: page(body["url"], language) for language in ("en", "id")}
    assert state(app, connection) == "revoked"
    assert len({*first.values(), *later.values()}) == 4
    assert user_id(stage) not in "".join([*first.values(), *later.values()])


def page(url: str, language: str) -> str:
    answer = requests.get(url, headers={"Accept-Language": language}, timeout=30)
    assert answer.status_code == 200
    assert (answer.headers["Cache-Control"], f'lang="{language}"' in answer.text) == ("no-store", True)
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    return answer.text


def test_a_code_that_nobody_was_given_has_no_page(stage: Stage) -> None:
    assert requests.get(f"{stage.house.url}/deletion/{'0' * 32}", timeout=30).status_code == 404


def test_a_tenants_own_app_is_told_on_its_own_path(
    build_meta: Callable[..., House], sqlite_url: str, way: Way, fakes: dict[str, Google]
) -> None:
    stage = Stage(build_meta(sqlite_url), way, fakes[way.provider])
    stage.shared()
    own = stage.own()
    app, other = stage.client(), stage.client("kios")
    mine, theirs = way.connect(app), way.connect(other)
    assert removes(stage, own=own, app=way.own_id)["status"] == 200
    assert (state(app, mine), state(other, theirs)) == ("revoking", "active")


# --- what they did not sign ----------------------------------------------------------------------------------


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize(
    "forge",
    [
        lambda right, _: "A" * 43 + "." + right.partition(".")[2],
        lambda right, _: right[:-2],
        lambda right, _: right.partition(".")[2],
        lambda right, _: "." + right.partition(".")[2],
        lambda right, _: right + "=",
        lambda _, said: signed("ANOTHER-SECRET", said),
        lambda _, said: signed("", said),
        lambda _, said: _over_what_is_decoded(said),
        lambda _, said: signed(_right(said), {**said, "algorithm": "none"}),
        lambda _, said: signed(_right(said), {**said, "algorithm": "HMAC-SHA1"}),
        lambda _, said: signed(_right(said), [said]),
        lambda _, said: signed(_right(said), {**said, "user_id": None}),
        lambda _, said: signed(_right(said), {**said, "profile_id": "104820017650001"}),
        lambda _, said: signed(_right(said), {**said, "user_id": "1 or 1"}),
        lambda _, said: signed(_right(said), {**said, "padding": "x" * 9000}),
    ],
)
def test_what_the_apps_secret_did_not_sign_ends_nothing(
    stage: Stage, app: SalesApp, connection: str, hook: str, forge: Callable[[str, dict[str, Any]], str]
) -> None:
    said = {**payload(stage), "secret": stage.way.shared[1]}
    answer = posts(stage, forge(signed(stage.way.shared[1], said), said), hook)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert state(app, connection) == "active"


def _right(said: dict[str, Any]) -> str:
    return str(said["secret"])


def _over_what_is_decoded(said: dict[str, Any]) -> str:
    raw = json.dumps(said).encode()
    return f"{_encoded(hmac.new(_right(said).encode(), raw, hashlib.sha256).digest())}.{_encoded(raw)}"


@pytest.mark.parametrize("hook", HOOKS)
def test_each_apps_secret_counts_on_its_own_path_alone(
    build_meta: Callable[..., House], sqlite_url: str, way: Way, fakes: dict[str, Google], hook: str
) -> None:
    """Never two secrets on one address (§2.4)."""
    stage = Stage(build_meta(sqlite_url), way, fakes[way.provider])
    stage.shared()
    connection = way.connect(stage.client("kios"))
    own = stage.own()
    said = payload(stage)
    assert posts(stage, signed(OWN_SECRET, said), hook).status_code == 400
    assert posts(stage, signed(way.shared[1], said), hook, own).status_code == 400
    assert posts(stage, signed(way.shared[1], said), hook, "app_unknown").status_code == 400
    assert state(stage.client("kios"), connection) == "active"


@pytest.mark.parametrize("hook", HOOKS)
def test_another_providers_secret_does_not_count(stage: Stage, app: SalesApp, connection: str, hook: str) -> None:
    other = next(way for way in BOTH if way is not stage.way)
    assert posts(stage, signed(other.shared[1], payload(stage)), hook).status_code == 400
    assert state(app, connection) == "active"


@pytest.mark.parametrize("path", ["google/deauthorize", "google/deletion", "nobody/deauthorize", "facebook/other"])
def test_a_provider_without_such_a_hook_has_none(stage: Stage, path: str) -> None:
    assert (
        requests.post(f"{stage.house.url}/hooks/{path}", data={"signed_request": "x.y"}, timeout=30).status_code == 404
    )


def test_a_hook_is_posted_to_and_says_one_thing(stage: Stage) -> None:
    assert requests.get(url(stage, "deauthorize"), timeout=30).status_code == 405
    twice = [("signed_request", signed(stage.way.shared[1], payload(stage)))] * 2
    assert requests.post(url(stage, "deauthorize"), data=twice, timeout=30).status_code == 400
    assert requests.post(url(stage, "deauthorize"), data={}, timeout=30).status_code == 400


# --- late, again, of nobody ----------------------------------------------------------------------------------


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("issued_at", [int, str])
def test_one_that_was_issued_before_a_new_connect_ends_nothing(
    stage: Stage, app: SalesApp, connection: str, hook: str, issued_at: type
) -> None:
    old = signed(stage.way.shared[1], payload(stage, issued_at=issued_at(int(stage.house.clock().timestamp()))))
    stage.house.clock.advance(minutes=5)
    app.revoke(connection)
    stage.house.work()
    newer = stage.way.connect(app)
    assert posts(stage, old, hook).status_code == 200
    assert state(app, newer) == "active"


@pytest.mark.parametrize("hook", HOOKS)
def test_the_same_again_changes_nothing_more(stage: Stage, app: SalesApp, connection: str, hook: str) -> None:
    request = signed(stage.way.shared[1], payload(stage))
    assert [posts(stage, request, hook).status_code for _ in range(3)] == [200, 200, 200]
    assert len(app.call("GET", "/v1/revocations").json()["items"]) == 1


@pytest.mark.parametrize("hook", HOOKS)
def test_an_account_that_nobody_knows_is_answered_like_one_that_is_known(
    stage: Stage, app: SalesApp, connection: str, hook: str
) -> None:
    """OpenStreetMap answers 404 there, which Meta may count as a failure (§2.3)."""
    unknown = posts(stage, signed(stage.way.shared[1], payload(stage, user_id="4711")), hook)
    assert state(app, connection) == "active"
    known = posts(stage, signed(stage.way.shared[1], payload(stage)), hook)
    assert (unknown.status_code, sorted(unknown.headers)) == (known.status_code, sorted(known.headers))


def test_a_removal_ends_suspended_connections_and_dead_ones_too(stage: Stage, app: SalesApp, connection: str) -> None:
    app.call("POST", f"/v1/connections/{connection}/suspend", {})
    assert removes(stage)["status"] == 200
    assert state(app, connection) == "revoking"


def test_another_account_goes_on(stage: Stage, app: SalesApp, connection: str) -> None:
    way = stage.way
    other = app.connect(way.connector, provider=way.provider, account=BUDI_AT[way.provider])["id"]
    removes(stage)
    assert (state(app, connection), state(app, other)) == ("revoking", "active")


def test_a_page_that_removed_the_app_is_dropped_and_nobody_ends(meta: House, facebook: Facebook) -> None:
    """§2.1: `profile_id` in place of `user_id`."""
    app, pages = meta.client(), ["104820017650001", "104820017650002"]
    made = app.connect("facebook_pages", provider="facebook", account=ANI, assets={"facebook_pages": pages})
    issued_at = str(int(meta.clock().timestamp()) + 1)
    said = {"algorithm": "hmac-sha256", "issued_at": issued_at, "profile_id": pages[0]}
    stage = Stage(meta, FACEBOOK, facebook)
    meta.clock.advance(seconds=2)
    assert posts(stage, signed(FACEBOOK.shared[1], said)).status_code == 200
    assert app.records(made["id"], "facebook_pages", asset=pages[0]).json()["code"] == "not_granted"
    assert app.records(made["id"], "facebook_pages", asset=pages[1]).status_code == 200
