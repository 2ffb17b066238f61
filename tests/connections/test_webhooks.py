"""Webhooks of Facebook and Instagram: what was taken back there counts at once, what is new is announced where a grant
covers it, without any of it. docs/facts/meta.md §5, docs/facts/security.md INP-83, INP-86.
"""

import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests
from sqlalchemy import select, text

from broker import webhooks
from broker.connections import found
from broker.duties import sweep
from broker.models import Announcement, EventDelivery, EventEndpoint, GrantAsset
from broker.providers.webhooks import MOST, News
from broker.sandbox.facebook.seed import ANI_PAGE, BUDI_PAGE, CATERING_PAGE, user_id
from broker.sandbox.graph_hooks import hub_signature
from tests.connections.insight import holds, logged
from tests.connections.own import FACEBOOK, INSTAGRAM, OWN_SECRET, Stage
from tests.house import House, SalesApp
from tests.meta import ANI, ANI_AT_INSTAGRAM, BUDI, BUDI_AT_INSTAGRAM, FACEBOOK_APP, Facebook, Instagram

LEADS, INBOX, PAGES, COMMENTS, PROFILE = (
    *("facebook_leads", "facebook_inbox", "facebook_pages", "facebook_comments"),
    "facebook_profile",
)
TOKEN = {"BROKER_FACEBOOK_WEBHOOK_VERIFY_TOKEN": "VERIFY-TOKEN-1"}
SECRETS = {"facebook": FACEBOOK.shared[1], "instagram": INSTAGRAM.shared[1]}


def url(house: House, provider: str = "facebook", own: str = "") -> str:
    return "/".join(filter(None, (house.url, "hooks", provider, own, "webhook")))


def tells(house: House, fake: Facebook | Instagram, event: str, own: str = "", **how: Any) -> int:
    """The provider sends a webhook; our answer's status."""
    provider = "facebook" if isinstance(fake, Facebook) else "instagram"
    named = {"event" if provider == "facebook" else "field": event}
    body = {"app": FACEBOOK_APP, "secret": SECRETS[provider], "url": url(house, provider, own), **named, **how}
    return int(fake.control("webhook", body)["answer"]["status"])


def posts(house: House, said: Any, secret: str = SECRETS["facebook"], **where: str) -> requests.Response:
    raw = said if isinstance(said, bytes) else json.dumps(said).encode()
    headers = {"X-Hub-Signature-256": hub_signature(secret, raw), "Content-Type": "application/json"}
    return requests.post(url(house, **where), data=raw, headers=headers, timeout=30)


def news(house: House, field: str, page: str = ANI_PAGE) -> int:
    """As Facebook tells it without its values."""
    time = int(house.clock().timestamp())
    return posts(
        house, {"object": "page", "entry": [{"id": page, "time": time, "changed_fields": [field]}]}
    ).status_code


def taken(house: House, *changes: Any, account: str = ANI, seconds: int = 0) -> requests.Response:
    """What the account changed, `seconds` later than now."""
    uid, now = user_id(FACEBOOK_APP, account), int(house.clock().timestamp())
    entry = {"id": uid, "uid": uid, "time": now + seconds, "changes": changes}
    return posts(house, {"object": "permissions", "entry": [entry]})


def revoked(scope: str, *targets: str) -> dict[str, Any]:
    return {"field": scope, "value": {"verb": "revoked", "target_ids": list(targets)}}


def connect(app: SalesApp, *connectors: str, pages: tuple[str, ...] = (ANI_PAGE, CATERING_PAGE), **how: Any) -> str:
    chosen = {name: list(pages) for name in connectors if name != PROFILE}
    return str(app.connect(*connectors, provider="facebook", **{"account": ANI, "assets": chosen, **how})["id"])


def hears(house: House, app: SalesApp) -> None:
    """The sales app has an endpoint; nobody delivers to it."""
    endpoint = EventEndpoint(id=f"eve_{app.client_id}", client_id=app.client_id, url="https://sales.example/hook")
    endpoint.tenants, endpoint.types, endpoint.created_at = ["*"], ["records.available"], house.clock()
    with house.broker.database.write() as session:
        session.add(endpoint)


def heard(house: House) -> list[tuple[str, str, str | None]]:
    """What was announced since the last time: of which connection, for which connector and asset."""
    with house.broker.database.write() as session:
        rows = session.scalars(select(EventDelivery).order_by(EventDelivery.seq)).all()
        told = [json.loads(row.body)["data"] for row in rows]
        assert all(set(one) == {"tenant", "subject", "connection", "connector", "asset"} for one in told)
        for row in rows:
            session.delete(row)
    return [(one["connection"], one["connector"], one["asset"]) for one in told]


def covered(house: House, resource: str) -> Iterator[webhooks.Announced]:
    """What would be announced, were nothing to happen before."""
    news = (News(ANI_PAGE, resource),)
    return webhooks._covered(house.broker, house.broker.app("facebook"), news, time.monotonic() + 5)


def effective(app: SalesApp, connection: str) -> set[str]:
    return set(app.connection(connection)["scopes"])


def indexed(house: House) -> int:
    with house.broker.database.read() as session:
        return len(session.scalars(select(GrantAsset.grant_id)).all())


# --- whose it is ---------------------------------------------------------------------------------------------


def test_the_challenge_is_answered_to_who_shows_the_token_of_that_very_app(
    build_meta: Callable[..., House], sqlite_url: str, facebook: Facebook
) -> None:
    house = build_meta(sqlite_url, **TOKEN)
    own = Stage(house, FACEBOOK, facebook).own()

    def asks(token: str = "VERIFY-TOKEN-1", path: str = "facebook/webhook", **more: str) -> requests.Response:
        asked = {"hub.mode": "subscribe", "hub.verify_token": token, "hub.challenge": "1158201444", **more}
        return requests.get(f"{house.url}/hooks/{path}", params=asked, timeout=30)

    answer = facebook.control("verify-webhook", {"url": url(house), "verify_token": "VERIFY-TOKEN-1"})
    assert answer["answer"] == {"status": 200, "body": answer["challenge"]}
    assert asks().headers["Content-Type"].startswith("text/plain")
    assert {asks(token).status_code for token in ("", "VERIFY-TOKEN-2", "VERIFY-TOKEN-1 ", "ä")} == {403}
    bad = ({"hub.challenge": "<b>1</b>"}, {"hub.challenge": ""}, {"hub.challenge": "1" * 65}, {"hub.mode": "x"})
    assert {asks(**more).status_code for more in bad} == {400}
    assert asks(path="instagram/webhook").status_code == asks("", "instagram/webhook").status_code == 404
    assert asks(path="google/webhook").status_code == asks(path="nobody/webhook").status_code == 404
    refused = [asks(token, f"facebook/{app}/webhook") for token in ("", "VERIFY-TOKEN-1") for app in (own, "app_no")]
    assert {(one.status_code, one.json()["detail"]) for one in refused} == {(403, refused[0].json()["detail"])}


def test_only_what_the_addresss_own_app_signed_counts(
    build_meta: Callable[..., House], sqlite_url: str, facebook: Facebook
) -> None:
    house = build_meta(sqlite_url)
    stage = Stage(house, FACEBOOK, facebook)
    other = connect(house.client(tenants=("kios",), tenant="kios"), PROFILE)
    own = stage.own()
    uid, now = user_id(FACEBOOK_APP, ANI), int(house.clock().timestamp())
    changes = [{"field": "connected", "verb": "revoked"}]
    said = {"object": "permissions", "entry": [{"id": uid, "uid": uid, "time": now, "changes": changes}]}
    raw = json.dumps(said).encode()
    refused = [
        requests.post(url(house), data=raw, timeout=30),
        requests.post(url(house), data=raw, headers={"X-Hub-Signature": hub_signature("x", raw, "sha1")}, timeout=30),
        posts(house, said, "ANOTHER-SECRET"),
        posts(house, said, OWN_SECRET),
        posts(house, said, SECRETS["instagram"]),
        posts(house, said, own=own),
        posts(house, said, own="app_unknown"),
        posts(house, said, OWN_SECRET, own="facebook"),
        posts(house, said, SECRETS["facebook"], provider="instagram"),
        posts(house, b'{"object":'),
    ]
    assert {(one.status_code, one.json()["code"]) for one in refused} == {(400, "invalid_request")}
    assert posts(house, said, provider="google").status_code == 404
    assert posts(house, b" " * (MOST + 1)).status_code == 413
    assert posts(house, said, OWN_SECRET, own=own).status_code == 200
    app = house.client(tenants=("kios",), tenant="kios")
    assert app.connection(other)["state"] == "active"
    assert posts(house, said).status_code == 200
    assert app.connection(other)["state"] == "revoking"


# --- what was taken back -------------------------------------------------------------------------------------


def test_an_app_that_was_removed_there_ends_as_by_its_own_callback(meta: House, facebook: Facebook) -> None:
    """`connected`, without a `value`: the one path, with a receipt. Again, or older than the connection: nothing."""
    app, house = meta.client(), meta
    old = {"field": "connected", "verb": "revoked"}
    first, budi = connect(app, PROFILE), connect(app, PROFILE, account=BUDI)
    assert [tells(house, facebook, "connected", account=ANI) for _ in range(3)] == [200] * 3
    assert (app.connection(first)["state"], app.connection(budi)["state"]) == ("revoking", "active")
    house.work()
    assert app.connection(first)["state"] == "revoked"
    assert len(app.call("GET", "/v1/revocations").json()["items"]) == 1
    house.clock.advance(minutes=5)
    second = connect(app, PROFILE)
    assert taken(house, old, seconds=-60).status_code == 200
    assert app.connection(second)["state"] == "active"


def test_a_permission_that_was_taken_back_is_gone_at_once_and_stays_gone(meta: House, facebook: Facebook) -> None:
    """The provider's own answers may lag behind: it still grants it here, and that brings nothing back."""
    app = meta.client()
    connection = connect(app, PAGES, PROFILE)
    before = effective(app, connection)
    assert taken(meta, revoked("pages_read_engagement"), seconds=-60).status_code == 200
    assert effective(app, connection) == before
    assert tells(meta, facebook, "permission", account=ANI, permission="pages_read_engagement") == 200
    refused = app.records(connection, PAGES, asset=ANI_PAGE)
    assert (refused.json()["code"], refused.json()["source"]) == ("insufficient_scope", "broker")
    asked = len(facebook.requests("/v26.0/debug_token"))
    meta.work()
    assert len(facebook.requests("/v26.0/debug_token")) > asked
    assert effective(app, connection) == before - {"pages_read_engagement"}
    assert app.records(connection, PROFILE).status_code == 200


def test_what_was_granted_there_adds_nothing(meta: House, facebook: Facebook) -> None:
    app = meta.client()
    connection = connect(app, PROFILE)
    before = effective(app, connection)
    assert tells(meta, facebook, "permission", account=ANI, permission="leads_retrieval", verb="granted") == 200
    assert tells(meta, facebook, "connected", account=ANI, verb="granted") == 200
    meta.work()
    assert effective(app, connection) == before


def test_a_permission_taken_back_for_one_page_takes_that_page_alone(meta: House) -> None:
    app = meta.client()
    connection = connect(app, PAGES, PROFILE)
    assert taken(meta, revoked("pages_read_engagement", CATERING_PAGE)).status_code == 200
    assert app.records(connection, PAGES, asset=CATERING_PAGE).json()["code"] == "not_granted"
    assert app.records(connection, PAGES, asset=ANI_PAGE).status_code == 200
    assert "pages_read_engagement" in effective(app, connection)


# --- news ----------------------------------------------------------------------------------------------------


def test_news_are_announced_where_a_grant_covers_them_and_nowhere_else(meta_house: House, facebook: Facebook) -> None:
    house, app = meta_house, meta_house.client()
    other = house.client(tenants=("warung",), tenant="warung")
    hears(house, app), hears(house, other)
    connection = connect(app, LEADS, PAGES, PROFILE, pages=(ANI_PAGE,))
    theirs = connect(other, INBOX, pages=(CATERING_PAGE, ANI_PAGE))
    assert tells(house, facebook, "leadgen", page=ANI_PAGE, copies=1000) == 200
    assert tells(house, facebook, "feed", page=ANI_PAGE) == 200
    assert {news(house, "leadgen", page) for page in (CATERING_PAGE, BUDI_PAGE, "0")} == {200}
    assert heard(house) == [(connection, LEADS, ANI_PAGE)]
    assert news(house, "messages", CATERING_PAGE) == 200
    assert heard(house) == [(theirs, INBOX, CATERING_PAGE)]
    app.call("POST", f"/v1/connections/{connection}/suspend")
    news(house, "leadgen")
    assert heard(house) == []
    app.call("POST", f"/v1/connections/{connection}/resume")
    taken(house, revoked("leads_retrieval"))
    news(house, "leadgen"), news(house, "feed")
    assert heard(house) == [(connection, PAGES, ANI_PAGE)]
    app.withdraw(connection, PAGES), other.revoke(theirs)
    house.clock.advance(seconds=1)
    news(house, "feed"), news(house, "messages", CATERING_PAGE), news(house, "messages")
    assert heard(house) == []


def test_a_delivery_is_announced_once_and_not_after_what_has_just_ended(meta: House, facebook: Facebook) -> None:
    app = meta.client()
    hears(meta, app)
    connection = connect(app, LEADS, pages=(ANI_PAGE,))
    said = {"object": "page", "entry": [{"id": ANI_PAGE, "time": 1, "changes": [{"field": "leadgen", "value": {}}]}]}
    assert [posts(meta, said).status_code for _ in range(3)] == [200] * 3
    assert heard(meta) == [(connection, LEADS, ANI_PAGE)]
    found_before = list(covered(meta, "leads"))
    app.call("POST", f"/v1/connections/{connection}/suspend")
    webhooks._announce(meta.broker, connection, found_before, b"another delivery")
    assert (len(found_before), heard(meta)) == (1, [])
    meta.clock.advance(seconds=(found.KEPT + timedelta(minutes=1)).total_seconds())
    sweep(meta.broker)
    with meta.broker.database.read() as session:
        assert session.scalars(select(Announcement)).all() == []


def test_an_instagram_account_announces_to_its_own_connections(meta: House, instagram: Instagram) -> None:
    app = meta.client()
    hears(meta, app)
    names = ("instagram_comments", "instagram_inbox", "instagram_media")
    ani = app.connect(*names, provider="instagram", account=ANI_AT_INSTAGRAM)["id"]
    app.subject = "budi"
    budi = app.connect("instagram_comments", provider="instagram", account=BUDI_AT_INSTAGRAM)["id"]
    assert tells(meta, instagram, "comments", account=ANI_AT_INSTAGRAM, value={"text": "CANARY-OF-A-COMMENT"}) == 200
    assert heard(meta) == [(ani, "instagram_comments", None)]
    assert tells(meta, instagram, "messages", account=ANI_AT_INSTAGRAM) == 200
    assert heard(meta) == [(ani, "instagram_inbox", None)]
    assert tells(meta, instagram, "messages", account=BUDI_AT_INSTAGRAM) == 200
    assert tells(meta, instagram, "comments", account=BUDI_AT_INSTAGRAM) == 200
    assert heard(meta) == [(budi, "instagram_comments", None)]


def test_nothing_of_the_content_is_kept_or_logged(
    meta: House, caplog: pytest.LogCaptureFixture, facebook: Facebook
) -> None:
    app, canary = meta.client(), "CANARY-OF-A-MESSAGE"
    connection = connect(app, INBOX, pages=(ANI_PAGE,))
    message = {"sender": {"id": "5" * 16}, "message": {"mid": canary, "text": f"{canary} \ud83d\ude00"}}
    said = {"object": "page", "entry": [{"id": ANI_PAGE, "time": 1, "messaging": [message]}]}
    caplog.set_level("DEBUG")
    assert posts(meta, said).status_code == 200
    assert not holds(meta, ANI_PAGE)
    hears(meta, app)
    said["entry"][0]["time"] = 2
    assert posts(meta, said).status_code == 200
    assert posts(meta, said, "ANOTHER-SECRET").status_code == 400
    assert heard(meta) == [(connection, INBOX, ANI_PAGE)]
    assert not holds(meta, canary)
    assert not logged(caplog, canary)


def test_what_cannot_be_done_in_time_is_asked_for_again(
    meta: House, facebook: Facebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never acknowledged before it is done (INP-84)."""
    app = meta.client()
    hears(meta, app)
    connection = connect(app, LEADS, pages=(ANI_PAGE,))
    monkeypatch.setattr(webhooks, "ENOUGH", -1.0)
    assert tells(meta, facebook, "connected", account=ANI) == 503
    assert tells(meta, facebook, "leadgen", page=ANI_PAGE) == 503
    assert (app.connection(connection)["state"], heard(meta)) == ("active", [])


# --- how a grant is found ------------------------------------------------------------------------------------


def test_a_grant_is_found_by_its_assets_as_long_as_it_lives(meta_house: House, facebook: Facebook) -> None:
    house, app = meta_house, meta_house.client()
    connection = connect(app, LEADS, PAGES, PROFILE, pages=(ANI_PAGE,))
    offered = indexed(house)
    assert offered == 2 * len(app.call("GET", f"/v1/connections/{connection}/assets/{PAGES}").json()["items"])
    connect(app, PAGES, pages=(ANI_PAGE,))
    assert indexed(house) == offered
    app.withdraw(connection, LEADS)
    assert indexed(house) == offered // 2
    app.revoke(connection)
    assert indexed(house) == 0


def test_a_grant_of_an_earlier_version_is_found_once_it_was_looked_after(meta: House, facebook: Facebook) -> None:
    app = meta.client()
    connect(app, PAGES, pages=(ANI_PAGE,))
    offered = indexed(meta)
    with meta.broker.database.write() as session:
        session.execute(text("DELETE FROM grant_assets"))
    meta.clock.advance(days=1, hours=1)
    meta.work()
    assert indexed(meta) == offered > 0
