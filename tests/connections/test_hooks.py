"""What Facebook and Instagram send when a user took the app back there: verified with that app's secret alone, and
nothing newer ends by it. docs/facts/meta.md §2."""

from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.connections.own import FACEBOOK, INSTAGRAM, Stage, Way
from tests.house import Google, House, SalesApp
from tests.meta import BUDI, BUDI_AT_INSTAGRAM, Facebook, Instagram

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
    sent: list[str] = []
    for member in ("user_id",):
        account = stage.way.account
        if stage.way is FACEBOOK:
            from broker.sandbox.facebook.seed import user_id as at_facebook

            sent.append(at_facebook(stage.way.shared[0], account))
        else:
            from broker.sandbox.instagram.apps import app_scoped
            from broker.sandbox.instagram.seed import accounts

            (found,) = [one.id for one in accounts() if one.username == account]
            sent.append(app_scoped(stage.way.shared[0], found))
        assert member
    return sent[0]


def payload(stage: Stage, **members: Any) -> dict[str, Any]:
    issued_at = int(stage.house.clock().timestamp())
    return {"algorithm": "HMAC-SHA256", "issued_at": issued_at, "user_id": user_id(stage), **members}


def state(app: SalesApp, connection: str) -> str:
    return str(app.connection(connection)["state"])


def receipts(app: SalesApp) -> list[dict[str, Any]]:
    return list(app.call("GET", "/v1/revocations").json()["items"])
