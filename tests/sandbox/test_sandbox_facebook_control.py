"""Steering the fake Facebook: what people do on facebook.com, what an app is sent, dead tokens, more of everything."""

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.sandbox.conftest import Clock
from tests.sandbox.facebook_client import ANI, ANI_PAGE, BUDI, BUDI_PAGE, DAY, KOPI_PAGE, FacebookApp, error
from tests.sandbox.receiver import Receiver, receiving

SECRET = "FB-SECRET-1"
FORM = "330000100000001"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def app(facebook: FacebookApp) -> FacebookApp:
    """One that Facebook knows."""
    facebook.told("apps", {"app": facebook.client_id, "secret": SECRET})
    return facebook


def _hook(app: FacebookApp, receiver: Receiver, **members: Any) -> dict[str, Any]:
    return {"account": ANI, "app": app.client_id, "url": receiver.url, **members}


# --- removal and deletion ------------------------------------------------------------------------------------


def test_removing_every_app_ends_tokens_and_codes_of_that_person(facebook: FacebookApp) -> None:
    token, code = facebook.connect(), facebook.callback()["code"]
    page, other = facebook.page_token(token), facebook.connect(account=BUDI)
    assert facebook.told("revoke", {"account": ANI}) == {"ended": 1, "answer": None}
    for dead in (token, page):
        assert error(facebook.get("/me", dead)) == (400, 190, 458)
    assert facebook.exchange(code).status_code == 400
    assert facebook.get("/me", other).status_code == 200


def test_removing_one_app_leaves_the_others(facebook: FacebookApp) -> None:
    other = FacebookApp(facebook.url, "4810002", "OTHER")
    token, kept = facebook.connect(), other.connect()
    facebook.told("revoke", {"account": ANI, "app": facebook.client_id})
    assert error(facebook.get("/me", token)) == (400, 190, 458)
    assert other.get("/me", kept).status_code == 200


def test_a_removal_tells_the_app_by_a_signed_request(app: FacebookApp, receiver: Receiver) -> None:
    app.connect()
    answer = app.told("revoke", _hook(app, receiver))
    assert answer == {"ended": 1, "answer": {"status": 202, "body": "thanks"}}
    assert receiver.last.headers["Content-Type"] == "application/x-www-form-urlencoded"
    payload = receiver.last.signed_request(SECRET)
    assert payload
    assert isinstance(payload.pop("issued_at"), int)
    assert payload == {"algorithm": "HMAC-SHA256", "user_id": app.user_id()}
    assert receiver.last.signed_request("OTHER") is None


def test_issued_at_can_be_a_text_and_the_other_id_null(app: FacebookApp, receiver: Receiver) -> None:
    app.connect()
    app.told("revoke", _hook(app, receiver, issued_at="text", nulls=True))
    payload = receiver.last.signed_request(SECRET)
    assert payload
    assert (payload["issued_at"].isdigit(), payload["user_id"], payload["profile_id"]) == (True, app.user_id(), None)


def test_a_deauthorize_request_can_be_forged_or_changed(app: FacebookApp, receiver: Receiver) -> None:
    app.connect()
    app.told("revoke", _hook(app, receiver, secret="OTHER", payload={"algorithm": "none", "user_id": None}))
    assert receiver.last.signed_request(SECRET) is None
    payload = receiver.last.signed_request("OTHER")
    assert payload
    assert payload.keys() == {"algorithm", "issued_at"}
    assert payload["algorithm"] == "none"


def test_a_page_that_removes_the_app_is_named_by_profile_id(app: FacebookApp, receiver: Receiver) -> None:
    token = app.connect()
    lost, kept = app.page_token(token), app.page_token(token, KOPI_PAGE)
    app.post(f"/{ANI_PAGE}/subscribed_apps", lost, subscribed_fields="feed")
    app.told("revoke", {"page": ANI_PAGE, "app": app.client_id, "url": receiver.url})
    payload = receiver.last.signed_request(SECRET)
    assert payload
    assert (payload["profile_id"], "user_id" in payload) == (ANI_PAGE, False)
    assert error(app.get("/me", lost)) == (400, 190, 458)
    assert app.get("/me", kept).status_code == 200
    assert ANI_PAGE not in [page["id"] for page in app.data("/me/accounts", token)]
    assert app.state()["subscriptions"] == []


def test_a_request_for_deletion_tells_what_the_app_answered(app: FacebookApp, receiver: Receiver) -> None:
    assert app.told("delete-data", _hook(app, receiver))["answer"] == {"status": 202, "body": "thanks"}
    payload = receiver.last.signed_request(SECRET)
    assert payload
    assert payload.keys() == {"algorithm", "expires", "issued_at", "user_id"}
    assert payload["user_id"] == app.user_id()


def test_nothing_is_signed_for_an_app_whose_secret_is_not_known(facebook: FacebookApp, receiver: Receiver) -> None:
    assert facebook.control("delete-data", _hook(facebook, receiver)).status_code == 400
    assert receiver.got == []


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "http://10.0.0.1/",
        "http://[::1",
        "http://127.0.0.1:99999/",
        "",
    ],
)
def test_hooks_go_to_loopback_alone(app: FacebookApp, url: str) -> None:
    body = {"account": ANI, "app": app.client_id, "url": url}
    assert app.control("delete-data", body).status_code == 400


def test_an_app_that_does_not_answer_is_told_as_such(app: FacebookApp) -> None:
    body = {"account": ANI, "app": app.client_id, "url": "http://127.0.0.1:1/"}
    assert app.told("delete-data", body)["answer"] == {"status": 0, "body": "ConnectionRefusedError"}


# --- webhooks ------------------------------------------------------------------------------------------------


def test_a_webhook_is_signed_over_its_raw_body(app: FacebookApp, receiver: Receiver) -> None:
    app.told("webhook", _hook(app, receiver, event="connected"))
    signature = hmac.new(SECRET.encode(), receiver.last.body, hashlib.sha256).hexdigest()
    assert receiver.last.headers["X-Hub-Signature-256"] == f"sha256={signature}"
    assert "X-Hub-Signature" not in receiver.last.headers


def test_the_end_of_a_grant_comes_without_a_value(app: FacebookApp, receiver: Receiver) -> None:
    app.told("webhook", _hook(app, receiver, event="connected"))
    event = json.loads(receiver.last.body)
    assert event["object"] == "permissions"
    assert (event["entry"][0]["id"], event["entry"][0]["uid"]) == (app.user_id(), app.user_id())
    assert event["entry"][0]["changes"] == [{"field": "connected", "verb": "revoked"}]


def test_the_change_of_a_permission_comes_with_one(app: FacebookApp, receiver: Receiver) -> None:
    more = {"event": "permission", "permission": "pages_messaging", "verb": "granted", "target_ids": [ANI_PAGE]}
    app.told("webhook", _hook(app, receiver, **more))
    (change,) = json.loads(receiver.last.body)["entry"][0]["changes"]
    assert change == {"field": "pages_messaging", "value": {"verb": "granted", "target_ids": [ANI_PAGE]}}


def test_a_lead_is_announced_by_its_ids_alone(app: FacebookApp, receiver: Receiver) -> None:
    made = app.told("records", {"page": ANI_PAGE, "lead": {}})["id"]
    app.told("webhook", _hook(app, receiver, event="leadgen", page=ANI_PAGE))
    event = json.loads(receiver.last.body)
    (change,) = event["entry"][0]["changes"]
    assert (event["object"], event["entry"][0]["id"], change["field"]) == ("page", ANI_PAGE, "leadgen")
    value = change["value"]
    assert (value["leadgen_id"], value["page_id"], value["form_id"]) == (made, ANI_PAGE, FORM)
    assert "field_data" not in value
    assert app.get(f"/{value['leadgen_id']}", app.of_page()).status_code == 200


@pytest.mark.parametrize(("event", "member"), [("feed", "changes"), ("messages", "messaging")])
def test_comments_and_messages_are_announced(app: FacebookApp, receiver: Receiver, event: str, member: str) -> None:
    app.told("webhook", _hook(app, receiver, event=event, page=ANI_PAGE))
    entry = json.loads(receiver.last.body)["entry"][0]
    assert (entry["id"], len(entry[member])) == (ANI_PAGE, 1)


def test_a_delivery_can_hold_copies_or_no_values(app: FacebookApp, receiver: Receiver) -> None:
    hook = _hook(app, receiver, event="leadgen", page=ANI_PAGE, copies=3)
    app.told("webhook", hook)
    assert len(json.loads(receiver.last.body)["entry"][0]["changes"]) == 3
    app.told("webhook", {**hook, "values": False})
    assert json.loads(receiver.last.body)["entry"][0]["changed_fields"] == ["leadgen"] * 3


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        ({"signature": "sha256=00"}, {"X-Hub-Signature-256": "sha256=00"}),
        ({"signature": None}, {}),
        ({"sha1": True}, {"X-Hub-Signature": "sha1=" + hmac.new(SECRET.encode(), b"RAW", "sha1").hexdigest()}),
    ],
)
def test_a_webhook_can_be_signed_wrongly(
    app: FacebookApp, receiver: Receiver, signature: dict[str, Any], expected: dict[str, str]
) -> None:
    app.told("webhook", _hook(app, receiver, body="RAW", **signature))
    assert receiver.last.body == b"RAW"
    found = {name: value for name, value in receiver.last.headers.items() if name.startswith("X-Hub")}
    assert found == expected


def test_a_webhook_is_verified_by_a_challenge(app: FacebookApp, receiver: Receiver) -> None:
    found = app.told("verify-webhook", {"url": receiver.url, "verify_token": "VERIFY-1", "challenge": "77"})
    assert found == {"answer": {"status": 202, "body": "thanks"}, "challenge": "77"}
    query = dict(parse_qsl(urlsplit(receiver.last.path).query))
    assert receiver.last.method == "GET"
    assert query == {"hub.mode": "subscribe", "hub.challenge": "77", "hub.verify_token": "VERIFY-1"}


# --- tokens and grants ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("why", "subcode"), [("password", 460), ("expired", 463), ("invalid", 467)])
def test_tokens_die_for_a_reason_and_page_tokens_with_them(facebook: FacebookApp, why: str, subcode: int) -> None:
    token = facebook.connect()
    page, other = facebook.page_token(token), facebook.connect(account=BUDI)
    assert facebook.told("kill", {"why": why, "account": ANI})["killed"] == 3
    for dead in (token, page):
        assert error(facebook.get("/me", dead)) == (400, 190, subcode)
        assert facebook.debug(dead)["error"]["subcode"] == subcode
    assert error(facebook.lengthen(token)) == (400, 190, subcode)
    assert facebook.get("/me", other).status_code == 200
    assert facebook.get("/me", facebook.connect()).status_code == 200


def test_page_tokens_can_die_alone(facebook: FacebookApp) -> None:
    token = facebook.connect()
    page = facebook.page_token(token)
    facebook.told("kill", {"tokens": "page"})
    assert error(facebook.get("/me", page)) == (400, 190, 467)
    assert facebook.get("/me", token).status_code == 200


@pytest.mark.parametrize(("why", "subcode"), [("checkpoint", 459), ("unconfirmed", 464)])
def test_a_checkpoint_holds_tokens_until_it_is_passed(facebook: FacebookApp, why: str, subcode: int) -> None:
    token = facebook.connect()
    facebook.told("checkpoint", {"account": ANI, "why": why})
    assert error(facebook.get("/me", token)) == (400, 190, subcode)
    facebook.told("checkpoint", {"account": ANI, "passed": True})
    assert facebook.get("/me", token).status_code == 200


def test_a_person_changes_what_an_app_may_do(facebook: FacebookApp) -> None:
    token = facebook.connect("email", "pages_show_list", "ads_read")
    more = {"take": ["email"], "expire": ["ads_read"], "give": ["read_insights"], "pages": [KOPI_PAGE]}
    (told,) = facebook.told("permissions", {"account": ANI, **more})["grants"]
    expected = {
        "public_profile": "granted",
        "email": "declined",
        "pages_show_list": "granted",
        "read_insights": "granted",
        "ads_read": "expired",
    }
    assert (told["permissions"], told["targets"]) == (expected, {"pages": [KOPI_PAGE]})
    assert facebook.permissions(token) == expected
    assert facebook.debug(token)["scopes"] == ["public_profile", "pages_show_list", "read_insights"]
    facebook.told("permissions", {"account": ANI, "pages": None})
    assert len(facebook.data("/me/accounts", token)) == 3


def test_data_access_can_be_set_to_end_later(facebook: FacebookApp, facebook_clock: Clock) -> None:
    token = facebook.connect()
    facebook.told("data-access", {"account": ANI, "in": 60})
    assert facebook.debug(token)["data_access_expires_at"] == facebook_clock.now + 60
    assert facebook.get("/me", token).status_code == 200
    facebook.told("clock", {"advance": 61})
    assert error(facebook.get("/me", token))[:2] == (400, 190)


# --- more of everything --------------------------------------------------------------------------------------


def test_a_hundred_thousand_posts_cost_nothing(facebook: FacebookApp) -> None:
    began = time.process_time()
    facebook.told("pages", {"page": ANI_PAGE, "posts": 100_000, "leads": 50_000, "conversations": 20_000})
    token = facebook.of_page()
    post = facebook.data(f"/{ANI_PAGE}/posts", token, limit=1)[0]
    assert post["id"] == f"{ANI_PAGE}_122000010099999"
    assert len(facebook.all(f"/{ANI_PAGE}/feed", token, limit=100, since="2026-11-02T03:00:00+0000")) > 1000
    assert len(facebook.data(f"/{FORM}/leads", token, limit=500)) == 500
    assert time.process_time() - began < 5


def test_seeded_records_keep_id_and_time_as_a_page_grows(facebook: FacebookApp) -> None:
    token = facebook.of_page(page=KOPI_PAGE)
    before = facebook.data(f"/{KOPI_PAGE}/feed", token)
    facebook.told("pages", {"page": KOPI_PAGE, "posts": 2000})
    assert facebook.all(f"/{KOPI_PAGE}/feed", token, limit=100)[-3:] == before


def test_comments_and_messages_of_the_newest_can_be_many(facebook: FacebookApp) -> None:
    facebook.told("pages", {"page": ANI_PAGE, "comments": 500, "messages": 400})
    token = facebook.of_page()
    assert len(facebook.all(f"/{ANI_PAGE}_122000010000300/comments", token, limit=100)) == 500
    assert len(facebook.all("/t_1000010000000040/messages", token, limit=100)) == 400


def test_pages_and_people_are_made(facebook: FacebookApp) -> None:
    made = facebook.told("accounts", {"count": 500, "pages": 2})["accounts"]
    assert len({account["email"] for account in made}) == 500
    token = facebook.connect(account=made[-1]["email"])
    assert len(facebook.data("/me/accounts", token)) == 2
    page = facebook.told("pages", {"account": made[-1]["email"], "name": "Baru", "posts": 7, "instagram": True})["page"]
    assert page["name"] == "Baru"
    posts = facebook.all(f"/{page['id']}/feed", facebook.page_token(token, page["id"]))
    assert len(posts) == 7
    asked = facebook.get(f"/{page['id']}", token, fields="instagram_business_account").json()
    assert asked["instagram_business_account"]["id"] == page["instagram"][0]


def test_one_account_is_made_by_its_address(facebook: FacebookApp) -> None:
    facebook.told("accounts", {"email": "dewi@example.com", "first_name": "Dewi", "last_name": "Halim"})
    token = facebook.connect("email", account="dewi@example.com")
    assert facebook.get("/me", token, fields="name,email").json() == {
        "id": facebook.user_id("dewi@example.com"),
        "name": "Dewi Halim",
        "email": "dewi@example.com",
    }


@pytest.mark.parametrize(
    ("kind", "path", "fields"),
    [
        ("post", f"/{ANI_PAGE}/posts", "id,message,created_time"),
        ("comment", f"/{ANI_PAGE}_122000010000300/comments?order=reverse_chronological", "id,message,created_time"),
        ("message", "/t_1000010000000040/messages", "id,message,created_time"),
    ],
)
def test_a_new_record_comes_first_with_the_time_of_now(
    facebook: FacebookApp, facebook_clock: Clock, kind: str, path: str, fields: str
) -> None:
    made = facebook.told("records", {"page": ANI_PAGE, kind: {"message": "Baru"}})["id"]
    found = facebook.data(path, facebook.of_page(), fields=fields, limit=2)
    assert found[0] == {"id": made, "message": "Baru", "created_time": "2027-01-15T08:00:00+0000"}
    assert found[1]["id"] != made


def test_a_visitor_can_post_too(facebook: FacebookApp) -> None:
    made = facebook.told("records", {"page": ANI_PAGE, "post": {"message": "Halo", "visitor": "Dewi Halim"}})["id"]
    token = facebook.of_page()
    newest = facebook.data(f"/{ANI_PAGE}/visitor_posts", token, fields="from", limit=1)[0]
    assert (newest["id"], newest["from"]["name"]) == (made, "Dewi Halim")
    assert made not in [post["id"] for post in facebook.data(f"/{ANI_PAGE}/posts", token)]


def test_a_conversation_tells_of_a_new_message(facebook: FacebookApp) -> None:
    facebook.told("records", {"page": ANI_PAGE, "message": {"message": "Baru"}, "of": "t_1000010000000007"})
    asked = {"fields": "snippet,message_count,updated_time"}
    talk = facebook.get("/t_1000010000000007", facebook.of_page(), **asked).json()
    assert (talk["snippet"], talk["message_count"], talk["updated_time"][:4]) == ("Baru", 6, "2027")


def test_a_post_tells_of_a_new_comment_by_its_last_change(facebook: FacebookApp) -> None:
    post, token = f"{ANI_PAGE}_122000010000299", facebook.of_page()
    facebook.told("records", {"page": ANI_PAGE, "comment": {}, "of": post})
    found = facebook.get(f"/{post}", token, fields="created_time,updated_time").json()
    assert found["created_time"] < found["updated_time"] == "2027-01-15T08:00:00+0000"


def test_records_are_changed_and_deleted(facebook: FacebookApp) -> None:
    token, post = facebook.of_page(), f"{ANI_PAGE}_122000010000299"
    facebook.told("records", {"page": ANI_PAGE, "post": {"id": post, "message": "Lain"}})
    assert facebook.get(f"/{post}", token).json()["message"] == "Lain"
    lead = facebook.told("records", {"page": ANI_PAGE, "lead": {}, "of": "330000100000002"})["id"]
    for record in (post, lead, "122000010000300_181000000001"):
        assert facebook.get(f"/{record}", token).status_code == 200
        facebook.told("records", {"page": ANI_PAGE, "delete": record})
        assert error(facebook.get(f"/{record}", token)) == (400, 100, 33)
        assert facebook.control("records", {"page": ANI_PAGE, "delete": record}).status_code == 404


@pytest.mark.parametrize(
    ("call", "body", "status"),
    [
        ("revoke", {"account": "nobody@example.com"}, 404),
        ("revoke", {"page": "1"}, 404),
        ("kill", {"why": "boredom"}, 400),
        ("kill", {"tokens": "some"}, 400),
        ("checkpoint", {"account": ANI, "why": "boredom"}, 400),
        ("permissions", {"account": ANI, "take": ["contacts"]}, 400),
        ("permissions", {"account": ANI, "take": "email"}, 400),
        ("data-access", {"account": ANI, "in": -1}, 400),
        ("role", {"account": ANI, "page": ANI_PAGE, "tasks": ["SLEEP"]}, 400),
        ("apps", {"secret": "S"}, 400),
        ("apps", {"app": "1"}, 400),
        ("configurations", {"config_id": "1", "scopes": ["email"]}, 400),
        ("configurations", {"config_id": "1", "scopes": ["ads_read"], "kind": "robot"}, 400),
        ("configurations", {"scopes": ["ads_read"]}, 400),
        ("webhook", {"app": "1", "secret": "S", "url": "http://127.0.0.1:1/", "event": "rain"}, 400),
        ("webhook", {"app": "1", "secret": "S", "url": "http://127.0.0.1:1/", "body": "", "signature": "a\nb"}, 400),
        ("webhook", {"app": "1", "secret": "\ud800", "url": "http://127.0.0.1:1/", "event": "connected"}, 400),
        ("verify-webhook", {"url": "http://127.0.0.1:1/", "verify_token": "\ud800"}, 400),
        ("accounts", {"email": "nobody"}, 400),
        ("accounts", {"count": "many"}, 400),
        ("pages", {"page": "1"}, 404),
        ("pages", {"page": BUDI_PAGE, "posts": -1}, 400),
        ("records", {"page": ANI_PAGE}, 400),
        ("records", {"page": ANI_PAGE, "delete": "1"}, 404),
        ("records", {"page": ANI_PAGE, "comment": {}, "of": "1"}, 404),
    ],
)
def test_a_mistake_is_answered_as_one(facebook: FacebookApp, call: str, body: dict[str, Any], status: int) -> None:
    answer = facebook.control(call, body)
    assert (answer.status_code, "error" in answer.json()) == (status, True)


def test_the_state_shows_accounts_grants_and_live_tokens(facebook: FacebookApp) -> None:
    facebook.of_page("pages_show_list", pages=[ANI_PAGE])
    state = facebook.state()
    assert state["counts"] == {"user": 2, "page": 1, "system_user": 0}
    (grant,) = state["grants"]
    assert (grant["account"], grant["user_id"], grant["targets"]) == (ANI, facebook.user_id(), {"pages": [ANI_PAGE]})
    ani = next(account for account in state["accounts"] if account["email"] == ANI)
    assert ani["user_ids"] == {facebook.client_id: facebook.user_id()}
    facebook.told("revoke", {"account": ANI})
    assert sum(facebook.state()["counts"].values()) == 0


def test_a_reset_forgets_everything(facebook: FacebookApp) -> None:
    token = facebook.connect()
    facebook.told("pages", {"page": ANI_PAGE, "posts": 0})
    facebook.told("clock", {"advance": DAY})
    facebook.control("reset")
    assert error(facebook.get("/me", token))[:2] == (400, 190)
    assert facebook.state()["grants"] == []
    assert len(facebook.data(f"/{ANI_PAGE}/feed", facebook.of_page(), limit=100)) == 100


def test_the_journal_knows_whose_token_it_was(facebook: FacebookApp) -> None:
    token = facebook.connect()
    facebook.get("/me", token)
    entry = facebook.state()["requests"][-1]
    known = {name: entry[name] for name in ("path", "client", "account", "token")}
    assert known == {"path": "/v26.0/me", "client": facebook.client_id, "account": ANI, "token": token}
