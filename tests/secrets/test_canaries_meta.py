"""The same search over a whole life at Facebook and Instagram: user, Page and app tokens, their proofs, codes (I1)."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.house import Browser, Google, House, SalesApp
from tests.meta import ANI, ANI_AT_INSTAGRAM, FACEBOOK_APP, SETTINGS
from tests.secrets.test_canaries import Heard, found, stored

LIVES: Mapping[str, tuple[str, tuple[str, ...], str]] = {
    "facebook": (ANI, ("facebook_profile", "facebook_pages"), SETTINGS["BROKER_FACEBOOK_CLIENT_SECRET"]),
    "instagram": (
        ANI_AT_INSTAGRAM,
        ("instagram_profile", "instagram_media"),
        SETTINGS["BROKER_INSTAGRAM_CLIENT_SECRET"],
    ),
}


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Heard:
    caplog.set_level("DEBUG")
    return Heard(caplog, monkeypatch)


@pytest.fixture(params=LIVES)
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def fake(provider: str, request: pytest.FixtureRequest) -> Google:
    steered: Google = request.getfixturevalue(provider)
    return steered


def live(fake: Google) -> set[str]:
    """Every token and code that the fake knows of, and the proofs that it was sent."""
    state = fake.state()
    tokens = {entry["value"] for kind in state["live_tokens"].values() for entry in kind}
    sent = [parse_qs(entry["query"]).get("appsecret_proof", []) for entry in state["requests"]]
    return tokens | set(state["codes"]) | {proof for proofs in sent for proof in proofs}


def read_all(app: SalesApp, connection: str, connectors: Iterable[str]) -> list[int]:
    return [app.records(connection, connector).status_code for connector in connectors]


def a_whole_life(house: House, fake: Google, provider: str) -> set[str]:
    """Connect, choose, read, meet failures, be renewed, lose a grant, be revoked; what must stand nowhere."""
    account, connectors, secret = LIVES[provider]
    app, browser = house.client(), Browser()
    address = browser.approve(app.begin(*connectors, provider=provider), connectors)
    callback = browser.at_provider(address, account=account)
    secrets = {secret, parse_qs(urlsplit(callback).query)["code"][0]}
    if provider == "facebook":
        secrets.add(f"{FACEBOOK_APP}|{secret}")
    connection = app.confirm(browser.come_back(callback)).json()["connection"]["id"]
    path = f"/v1/connections/{connection}/assets/{connectors[1]}"
    if offered := app.call("GET", path).json()["items"]:
        app.call("PUT", path, {"assets": [offered[0]["id"]]})
    assert read_all(app, connection, connectors) == [200, 200]
    secrets |= live(fake)
    faults: list[dict[str, Any]] = [
        {"outage": {"/": 500}},
        {"outage": {"/": "html"}},
        {"outage": {"/": "reset"}},
        {"graph_error": {"/me": {"status": 400, "code": 190, "subcode": 460, "message": "x"}}},
    ]
    for fault in faults:
        fake.quirk(**fault)
        read_all(app, connection, connectors)
        house.work()
        fake.quirk(**dict.fromkeys(fault))
        secrets |= live(fake)
    house.clock.advance(days=50)
    house.work()
    secrets |= live(fake)
    app = house.client()
    app.withdraw(connection, connectors[1])
    house.work()
    app.revoke(connection)
    return secrets


def test_no_secret_of_a_whole_life_can_be_read_anywhere(
    meta_house: House, fake: Google, provider: str, heard: Heard, capsys: pytest.CaptureFixture[str]
) -> None:
    secrets = a_whole_life(meta_house, fake, provider)
    assert len(secrets) >= 4
    before = stored(meta_house)
    meta_house.work()
    everything = {
        "logs": heard.logged(),
        "database": before + stored(meta_house),
        "answers": heard.of_the_broker(meta_house),
        "output": "".join(capsys.readouterr()).encode(),
    }
    assert {place: found(secrets, text) for place, text in everything.items() if found(secrets, text)} == {}


@pytest.mark.parametrize("passed", [timedelta(), timedelta(days=50)])
def test_a_traceback_of_the_broker_shows_no_secret(
    meta: House, fake: Google, provider: str, heard: Heard, monkeypatch: pytest.MonkeyPatch, passed: timedelta
) -> None:
    account, connectors, secret = LIVES[provider]
    connection = meta.client().connect(*connectors, provider=provider, account=account)["id"]
    meta.clock.moved += passed
    secrets = live(fake) | {secret}

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(meta.broker.upstream, "_sent", broken)
    answer = meta.client().records(connection, connectors[0])
    meta.work()
    assert answer.status_code in (409, 500)
    assert found(secrets, heard.logged() + answer.content) == []
