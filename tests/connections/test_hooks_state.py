"""What the hooks of a user's removal leave behind: on each database, of each connection, and of nothing newer.

docs/facts/meta.md §2.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests

from broker.sandbox.facebook.seed import ANI_PAGE
from broker.sandbox.facebook.seed import user_id as at_facebook
from broker.sandbox.graph_hooks import signed_request
from broker.sandbox.instagram.apps import app_scoped
from broker.sandbox.instagram.seed import accounts
from tests.connections.insight import holds, rows
from tests.connections.own import FACEBOOK, INSTAGRAM, OWN_SECRET, Stage, Way
from tests.house import Google, House, SalesApp
from tests.meta import BUDI, BUDI_AT_INSTAGRAM, Facebook, Instagram

HOOKS = ("deauthorize", "deletion")
BUDI_AT = {"facebook": BUDI, "instagram": BUDI_AT_INSTAGRAM}
PAGES = "facebook_pages"


@pytest.fixture(params=(FACEBOOK, INSTAGRAM), ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    found: Way = request.param
    return found


@pytest.fixture
def fakes(facebook: Facebook, instagram: Instagram) -> dict[str, Google]:
    return {"facebook": facebook, "instagram": instagram}


@pytest.fixture
def stage(build_meta: Callable[..., House], sqlite_url: str, fakes: dict[str, Google], way: Way) -> Stage:
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
    """The user removes the app at the provider, or asks for deletion, and it tells; what we answered."""
    call = {"deauthorize": "revoke", "deletion": "delete-data"}[hook]
    body = {"account": stage.way.account, "app": stage.way.shared[0], "url": url(stage, hook, own), **how}
    return dict(stage.fake.control(call, {name: value for name, value in body.items() if value})["answer"])


def sent(stage: Stage, signed: str, hook: str = "deauthorize", own: str = "") -> requests.Response:
    return requests.post(url(stage, hook, own), data={"signed_request": signed}, timeout=30)


def payload(stage: Stage, **members: Any) -> dict[str, Any]:
    """What is told of the account to the shared app."""
    app_id, account = stage.way.shared[0], stage.way.account
    if stage.way is FACEBOOK:
        user_id = at_facebook(app_id, account)
    else:
        user_id = next(app_scoped(app_id, one.id) for one in accounts() if one.username == account)
    issued_at = int(stage.house.clock().timestamp())
    return {"algorithm": "HMAC-SHA256", "issued_at": issued_at, "user_id": user_id, **members}


def state(app: SalesApp, connection: str) -> str:
    return str(app.connection(connection)["state"])


def seen(address: str, language: str = "en") -> requests.Response:
    return requests.get(address, headers={"Accept-Language": language}, timeout=30)


# --- what ends -----------------------------------------------------------------------------------------------


def test_on_either_database(build_meta: Callable[..., House], database_url: str, fakes: dict[str, Google]) -> None:
    stage = Stage(build_meta(database_url), INSTAGRAM, fakes["instagram"])
    stage.shared()
    app = stage.client()
    connection = stage.way.connect(app)
    answer = removes(stage, "deletion")
    assert state(app, connection) == "revoking"
    stage.house.work()
    assert "is completed" in seen(json.loads(answer["body"])["url"]).text


def test_every_connection_of_the_account_ends_and_no_other(stage: Stage) -> None:
    """Of all subjects and tenants; suspended ones and those to be connected again too."""
    ani, budi, other = stage.client(), stage.client(), stage.client("warung")
    budi.subject = "budi"
    theirs = [(app, stage.way.connect(app)) for app in (ani, other)]
    suspended = stage.way.connect(budi)
    budi.call("POST", f"/v1/connections/{suspended}/suspend")
    kept = stage.client().connect(
        stage.way.connector, provider=stage.way.provider, account=BUDI_AT[stage.way.provider]
    )["id"]
    stage.fake.control("kill", {"account": stage.way.account, "why": "password"})
    stage.way.read(other, theirs[1][1])
    assert (state(other, theirs[1][1]), state(budi, suspended)) == ("reconnect_required", "suspended")
    assert removes(stage)["status"] == 200
    assert {state(app, one) for app, one in (*theirs, (budi, suspended))} == {"revoking"}
    assert state(ani, kept) == "active"


@pytest.mark.parametrize("issued_at", [None, "text", "soon"])
def test_when_it_was_issued_may_be_a_text_or_missing_or_nonsense(
    issued_at: str | None, stage: Stage, app: SalesApp, connection: str
) -> None:
    told = payload(stage)
    told["issued_at"] = str(told["issued_at"]) if issued_at == "text" else issued_at
    told["algorithm"] = "hmac-sha256"
    assert sent(stage, signed_request(stage.way.shared[1], told)).status_code == 200
    assert state(app, connection) == "revoking"


def test_no_id_of_the_account_is_kept_in_clear(stage: Stage, app: SalesApp, connection: str) -> None:
    removes(stage, "deletion")
    assert len(rows(stage.house)["deletion_requests"]) == 1
    assert not holds(stage.house, payload(stage)["user_id"])


# --- what a Page does ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [FACEBOOK], ids=str)
def test_an_old_removal_by_a_page_takes_nothing_from_what_was_connected_since(stage: Stage, app: SalesApp) -> None:
    old = signed_request(stage.way.shared[1], payload(stage, user_id=None, profile_id=ANI_PAGE))
    stage.house.clock.advance(minutes=1)
    connection = app.connect(PAGES, provider="facebook", account=stage.way.account, assets={PAGES: [ANI_PAGE]})["id"]
    assert sent(stage, old).status_code == 200
    assert app.records(connection, PAGES, asset=ANI_PAGE).status_code == 200


# --- what is refused -----------------------------------------------------------------------------------------


def test_a_deletion_is_of_a_user_never_of_a_page(stage: Stage) -> None:
    told = payload(stage, user_id=None, profile_id=ANI_PAGE)
    assert sent(stage, signed_request(stage.way.shared[1], told), "deletion").status_code == 400


def test_a_provider_that_is_not_configured_is_not_found(sqlite_house: House) -> None:
    """As a user of it is: nobody can have signed."""
    for hook in HOOKS:
        signed = {"signed_request": signed_request("", {"algorithm": "HMAC-SHA256", "user_id": "1"})}
        answer = requests.post(f"{sqlite_house.url}/hooks/facebook/{hook}", data=signed, timeout=30)
        assert answer.status_code == 404


# --- a tenant's own app --------------------------------------------------------------------------------------


def test_the_shared_apps_removal_ends_nothing_of_an_own_one(stage: Stage) -> None:
    other, app = stage.client("warung"), stage.client()
    shared = stage.way.connect(other)
    stage.own()
    mine = stage.way.connect(app)
    assert removes(stage)["status"] == 200
    assert (state(app, mine), state(other, shared)) == ("active", "revoking")


@pytest.mark.parametrize("own", ["app_none", "facebook", "instagram", "google"])
def test_an_own_app_that_there_is_not_is_answered_as_a_bad_signature(own: str, stage: Stage) -> None:
    """The shared app's name is no own app's; and nobody learns which there are."""
    told = signed_request(stage.way.shared[1], payload(stage))
    real = stage.own()
    answers = [sent(stage, told, own=name) for name in (own, real)]
    assert (answers[0].status_code, answers[0].json()["detail"]) == (400, answers[1].json()["detail"])


def test_an_own_app_of_another_provider_is_not_reached(stage: Stage, fakes: dict[str, Google], way: Way) -> None:
    other = Stage(stage.house, INSTAGRAM if way is FACEBOOK else FACEBOOK, fakes["facebook"])
    own = Stage(stage.house, other.way, fakes[other.way.provider]).own()
    assert sent(stage, signed_request(OWN_SECRET, payload(stage)), own=own).status_code == 400


# --- deletion ------------------------------------------------------------------------------------------------


def test_what_was_connected_since_is_no_part_of_a_deletion(stage: Stage, app: SalesApp, connection: str) -> None:
    address = json.loads(removes(stage, "deletion")["body"])["url"]
    stage.house.work()
    stage.house.clock.advance(minutes=1)
    stage.way.connect(app)
    assert "is completed" in seen(address).text
