"""Steering the fake Instagram: what users do on instagram.com, what an app is sent, dead tokens, faults."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from broker.sandbox.instagram.quirks import KNOWN
from tests.sandbox.instagram_client import ALL, ANI, BASIC, BUDI, COMMENTS, DAY, INSIGHTS, App, error

SECRET = b"IG-SECRET-1"


@dataclass
class Receiver:
    """The app's server: keeps what it is sent."""

    url: str
    got: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    @property
    def last(self) -> tuple[str, str, dict[str, str], bytes]:
        return self.got[-1]

    def signed(self, secret: bytes = SECRET) -> dict[str, Any] | None:
        """The payload of the signed request, if its signature is right."""
        signature, payload = parse_qs(self.last[3].decode())["signed_request"][0].split(".")
        right = hmac.new(secret, payload.encode(), hashlib.sha256).digest()
        return json.loads(_decoded(payload)) if hmac.compare_digest(_decoded(signature), right) else None


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self._keep(self.rfile.read(int(self.headers["Content-Length"])))

        def do_GET(self) -> None:
            self._keep(b"")

        def _keep(self, body: bytes) -> None:
            found.got.append((self.command, self.path, dict(self.headers), body))
            self.send_response(202)
            self.end_headers()
            self.wfile.write(b"thanks")

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Receiver(f"http://127.0.0.1:{server.server_port}/hooks/instagram")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


# --- removal and deletion ------------------------------------------------------------------------------------


def test_removing_the_app_on_instagram_ends_tokens_codes_and_subscriptions(instagram: App) -> None:
    token, short, code = instagram.connect(), instagram.short()["access_token"], instagram.callback()["code"]
    other = instagram.connect(account=BUDI)
    instagram.post(f"/{ANI}/subscribed_apps", token, subscribed_fields="comments")
    assert instagram.control("revoke", {"account": "ani.wijaya"}).json() == {"ended": 1, "answer": None}
    assert error(instagram.get("/me", token)) == (400, 190, 458)
    assert error(instagram.lengthen(short)) == (400, 190, 458)
    assert instagram.exchange(code).status_code == 400
    assert instagram.get("/me", other).status_code == 200
    state = instagram.state()
    assert (state["counts"], state["subscriptions"]) == ({"short": 1, "long": 1}, [])


def test_removing_one_app_leaves_the_others(instagram: App) -> None:
    first = instagram.connect()
    instagram.client_id = "IG-APP-2"
    second = instagram.connect()
    instagram.control("revoke", {"account": ANI, "app": "IG-APP-1"})
    assert error(instagram.get("/me", first)) == (400, 190, 458)
    assert instagram.get("/me", second).status_code == 200


def test_a_consent_after_a_removal_brings_no_old_token_back(instagram: App) -> None:
    old = instagram.connect()
    instagram.control("revoke", {"account": ANI})
    assert instagram.get("/me", instagram.connect()).status_code == 200
    assert error(instagram.get("/me", old)) == (400, 190, 458)


def test_a_removal_tells_the_app_by_a_request_signed_with_its_instagram_secret(instagram: App, receiver) -> None:
    """§2.4: the app-scoped id, the Instagram app's own secret."""
    user_id = instagram.short()["user_id"]
    body = {"account": ANI, "app": "IG-APP-1", "url": receiver.url}
    answer = instagram.control("revoke", body).json()
    assert answer == {"ended": 1, "answer": {"status": 202, "body": "thanks"}}
    assert receiver.last[:2] == ("POST", "/hooks/instagram")
    assert receiver.last[2]["Content-Type"] == "application/x-www-form-urlencoded"
    payload = receiver.signed()
    assert payload == {"algorithm": "HMAC-SHA256", "issued_at": payload["issued_at"], "user_id": user_id}
    assert receiver.signed(b"FACEBOOK-SECRET") is None


def test_a_deauthorize_request_may_be_forged_or_changed(instagram: App, receiver) -> None:
    """§2.1, §9.2: another secret, issued_at as a text."""
    instagram.connect()
    body = {"account": ANI, "app": "IG-APP-1", "url": receiver.url, "secret": "FACEBOOK-SECRET"}
    instagram.control("revoke", body | {"payload": {"issued_at": "1800000000", "user_id": None}})
    assert receiver.signed() is None
    assert receiver.signed(b"FACEBOOK-SECRET") == {"algorithm": "HMAC-SHA256", "issued_at": "1800000000"}


def test_a_request_for_deletion_tells_what_the_app_answered(instagram: App, receiver) -> None:
    user_id = instagram.short()["user_id"]
    body = {"account": ANI, "app": "IG-APP-1", "url": receiver.url}
    assert instagram.control("delete-data", body).json()["answer"] == {"status": 202, "body": "thanks"}
    assert receiver.signed()["user_id"] == user_id


def test_nothing_is_signed_for_an_app_whose_secret_is_not_known(instagram: App, receiver) -> None:
    body = {"account": ANI, "app": "IG-APP-9", "url": receiver.url}
    assert instagram.control("delete-data", body).status_code == 400
    assert instagram.control("delete-data", {**body, "url": "http://example.com/", "secret": "S"}).status_code == 400
    assert receiver.got == []


# --- webhooks ------------------------------------------------------------------------------------------------


def test_a_webhook_is_signed_over_its_raw_body(instagram: App, receiver) -> None:
    """§5."""
    instagram.connect()
    value = {"id": "1", "text": "Masih ada?"}
    body = {"app": "IG-APP-1", "account": ANI, "url": receiver.url, "field": "comments", "value": value}
    assert instagram.control("webhook", body).json()["answer"]["status"] == 202
    _, _, headers, raw = receiver.last
    assert headers["X-Hub-Signature-256"] == "sha256=" + hmac.new(SECRET, raw, hashlib.sha256).hexdigest()
    event = json.loads(raw)
    assert event["object"] == "instagram"
    assert (event["entry"][0]["id"], event["entry"][0]["changes"]) == (ANI, [{"field": "comments", "value": value}])


def test_a_message_is_told_in_a_list_of_its_own(instagram: App, receiver) -> None:
    """§5."""
    token = instagram.connect()
    instagram.control("webhook", {"app": "IG-APP-1", "account": ANI, "url": receiver.url, "field": "messages"})
    (entry,) = json.loads(receiver.last[3])["entry"]
    (told,) = entry["messaging"]
    talk = instagram.data("/me/conversations", token, limit=1, platform="instagram")[0]["id"]
    newest = instagram.get(f"/{talk}", token, fields="messages.limit(1){message}").json()["messages"]["data"][0]
    assert (told["message"], told["recipient"]) == ({"mid": newest["id"], "text": newest["message"]}, {"id": ANI})
    assert "changes" not in entry


def test_a_webhook_may_have_a_wrong_signature_or_none_and_any_body(instagram: App, receiver) -> None:
    instagram.connect()
    body = {"app": "IG-APP-1", "url": receiver.url, "body": "not json"}
    instagram.control("webhook", body | {"signature": "sha256=00"})
    assert receiver.last[2]["X-Hub-Signature-256"] == "sha256=00"
    assert receiver.last[3] == b"not json"
    instagram.control("webhook", body | {"signature": None})
    assert "X-Hub-Signature-256" not in receiver.last[2]


def test_the_address_of_a_webhook_is_verified_by_a_challenge(instagram: App, receiver) -> None:
    answer = instagram.control("verify-webhook", {"url": receiver.url, "verify_token": "V-1", "challenge": "77"}).json()
    assert answer == {"answer": {"status": 202, "body": "thanks"}, "challenge": "77"}
    assert receiver.last[0] == "GET"
    assert dict(parse_qsl(urlsplit(receiver.last[1]).query)) == {
        "hub.mode": "subscribe",
        "hub.challenge": "77",
        "hub.verify_token": "V-1",
    }


# --- tokens and permissions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("why", "subcode"), [("password", 460), ("invalid", 467), ("expired", 463)])
def test_tokens_die_for_a_reason_and_a_new_consent_helps(instagram: App, why: str, subcode: int) -> None:
    token, other = instagram.connect(), instagram.connect(account=BUDI)
    assert instagram.control("kill", {"why": why, "account": ANI}).json() == {"killed": 2}
    assert error(instagram.get("/me", token)) == (400, 190, subcode)
    assert error(instagram.refresh(token)) == (400, 190, subcode)
    assert instagram.get("/me", other).status_code == 200
    assert instagram.get("/me", instagram.connect()).status_code == 200


def test_at_a_checkpoint_tokens_pause_until_the_person_has_passed(instagram: App) -> None:
    token = instagram.connect()
    instagram.control("checkpoint", {"account": ANI})
    assert error(instagram.get("/me", token)) == (400, 190, 459)
    instagram.control("checkpoint", {"account": ANI, "passed": True})
    assert instagram.get("/me", token).status_code == 200


def test_permissions_are_taken_and_given_from_outside(instagram: App) -> None:
    instagram.connect(BASIC, COMMENTS)
    body = {"account": ANI, "take": [COMMENTS], "give": [INSIGHTS]}
    assert instagram.control("permissions", body).json() == {"permissions": {"IG-APP-1": [BASIC, INSIGHTS]}}


# --- accounts and posts --------------------------------------------------------------------------------------


def test_many_posts_and_accounts_are_made_cheaply(instagram: App) -> None:
    made = instagram.control("accounts", {"username": "ani.wijaya", "media": 25_000}).json()["accounts"]
    assert (made[0]["id"], made[0]["media"]) == (ANI, 25_000)
    made = instagram.control("accounts", {"count": 500, "media": 10, "conversations": 3}).json()["accounts"]
    assert len({account["id"] for account in made}) == 500
    token = instagram.connect(account=made[-1]["username"])
    assert len(instagram.data("/me/media", token)) == 10
    assert instagram.get("/me", token, fields="user_id").json()["user_id"] == made[-1]["id"]


def test_a_post_is_added_changed_and_deleted(instagram: App) -> None:
    token = instagram.connect()
    added = instagram.control("media", {"account": ANI, "media": {"caption": "Baru"}, "comments": 70}).json()["id"]
    assert instagram.data("/me/media", token, limit=1, fields="caption") == [{"caption": "Baru", "id": added}]
    assert instagram.get(f"/{added}", token, fields="comments_count").json()["comments_count"] == 70
    instagram.control("media", {"account": ANI, "media": {"id": added, "caption": "Lama"}})
    assert instagram.get(f"/{added}", token, fields="caption").json()["caption"] == "Lama"
    instagram.control("media", {"account": ANI, "media": {"id": added}, "delete": True})
    assert error(instagram.get(f"/{added}", token)) == (400, 100, 33)
    assert instagram.get("/me", token, fields="media_count").json()["media_count"] == 300


def test_a_comment_an_answer_and_a_message_are_added_of_this_moment(instagram: App) -> None:
    token = instagram.connect()
    post = instagram.data("/me/media", token, limit=1)[0]["id"]
    comment = instagram.control("records", {"account": ANI, "comment": {"text": "Baru"}}).json()["id"]
    answer = instagram.control("records", {"account": ANI, "reply": {"text": "Ya"}, "of": comment}).json()["id"]
    newest = instagram.data(f"/{post}/comments", token, limit=1, fields="text,replies{text,parent_id}")[0]
    assert (newest["id"], newest["text"]) == (comment, "Baru")
    assert newest["replies"]["data"] == [{"text": "Ya", "parent_id": comment, "id": answer}]
    talk = instagram.data("/me/conversations", token, limit=1, platform="instagram")[0]["id"]
    message = instagram.control("records", {"account": ANI, "message": {"message": "Halo"}, "of": talk}).json()["id"]
    found = instagram.get(f"/{talk}", token, fields="updated_time,messages.limit(1){message,created_time}").json()
    (told,) = found["messages"]["data"]
    assert (told["id"], told["message"], told["created_time"]) == (message, "Halo", found["updated_time"])


@pytest.mark.parametrize(
    ("call", "body", "status"),
    [
        ("records", {"account": ANI}, 400),
        ("records", {"account": ANI, "reply": {}, "of": "17900002000000001"}, 404),
        ("records", {"account": ANI, "comment": {}, "of": "17900002000000001"}, 404),
        ("records", {"account": ANI, "message": {}, "of": "aWdfSandboxThread00001x000999"}, 404),
        ("revoke", {"account": "nobody"}, 404),
        ("revoke", {"account": ANI, "url": "http://127.0.0.1:1/"}, 400),
        ("kill", {"why": "boredom"}, 400),
        ("permissions", {"account": ANI, "take": ["email"]}, 400),
        ("accounts", {}, 400),
        ("accounts", {"username": "x", "media": -1}, 400),
        ("media", {"account": ANI, "media": {"id": "17900002000000001"}}, 404),
        ("media", {"account": ANI, "media": "all"}, 400),
        ("apps", {"app": "1"}, 400),
        ("webhook", {"url": "http://127.0.0.1:1/", "app": ""}, 400),
        ("verify-webhook", {"url": "ftp://127.0.0.1/"}, 400),
    ],
    ids=str,
)
def test_a_mistake_in_a_control_call_is_told(instagram: App, call: str, body: dict[str, Any], status: int) -> None:
    answer = instagram.control(call, body)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_a_reset_brings_everything_back(instagram: App) -> None:
    token = instagram.connect()
    instagram.quirk(pages="half")
    instagram.control("accounts", {"username": "ani.wijaya", "media": 1})
    instagram.control("checkpoint", {"account": ANI})
    instagram.control("reset")
    state = instagram.state()
    assert (state["authorizations"], state["quirks"], state["requests"], state["codes"]) == ([], {}, [], [])
    assert error(instagram.get("/me", token)) == (400, 190, None)
    assert len(instagram.data("/me/media", instagram.connect(), limit=100)) == 100


def test_the_state_shows_accounts_authorizations_and_live_tokens(instagram: App, instagram_clock) -> None:
    short = instagram.short()
    token = instagram.lengthen(short["access_token"]).json()["access_token"]
    state = instagram.state()
    assert state["authorizations"] == [
        {"app": "IG-APP-1", "account": ANI, "user_id": short["user_id"], "permissions": list(ALL)}
    ]
    (lasting,) = state["live_tokens"]["long"]
    assert (lasting["value"], lasting["expires_at"]) == (token, instagram_clock.now + 60 * DAY)
    assert state["counts"] == {"short": 1, "long": 1}
    assert [entry["path"] for entry in state["requests"]] == [
        "/oauth/authorize",
        "/oauth/access_token",
        "/access_token",
    ]


# --- faults --------------------------------------------------------------------------------------------------


def test_each_known_quirk_takes_its_example(instagram: App) -> None:
    known = instagram.http.get(f"{instagram.url}/_sandbox/quirks").json()["known"]
    assert known.keys() == KNOWN.keys()
    for name, quirk in known.items():
        assert quirk["meaning"]
        assert instagram.quirk(**{name: quirk["example"]}).status_code == 200, name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("partial", COMMENTS),
        ("code_suffix", "#"),
        ("callback_error", {}),
        ("token_answer", "round"),
        ("expires_in", None),
        ("expires_in", True),
        ("token_lifetime", {"medium": 1}),
        ("token_error", {"code": 500}),
        ("permission_error", "10"),
        ("graph_error", {"/me": {"message": "no code"}}),
        ("rate_limit", {"/me": "many"}),
        ("usage", -1),
    ],
)
def test_a_value_that_a_quirk_does_not_take_is_refused(instagram: App, name: str, value: object) -> None:
    expected = 200 if value is None else 400
    assert instagram.quirk(**{name: value}).status_code == expected


@pytest.mark.parametrize("prefix", ["/me", "/v26.0/me"])
def test_quirk_graph_error_by_path_with_or_without_its_version(instagram: App, prefix: str) -> None:
    """§9.2: 190 with its subcodes."""
    token = instagram.connect()
    given = {"code": 190, "subcode": 460, "status": 400, "message": "Changed", "is_transient": False}
    instagram.quirk(graph_error={prefix: {"value": given, "times": 1}})
    answer = instagram.get("/v26.0/me", token)
    assert error(answer) == (400, 190, 460)
    assert answer.json()["error"]["is_transient"] is False
    assert instagram.get("/v26.0/me", token).status_code == 200


@pytest.mark.parametrize(
    ("limit", "header"),
    [(4, "X-App-Usage"), (17, "X-App-Usage"), (613, "X-App-Usage"), (80002, "X-Business-Use-Case-Usage")],
)
def test_quirk_rate_limit_answers_400_with_usage_headers(instagram: App, limit: int, header: str) -> None:
    """§6.1, §6.2."""
    token = instagram.connect()
    instagram.quirk(rate_limit={"/me": {"code": limit, "minutes": 7}})
    answer = instagram.get("/v26.0/me/media", token)
    assert error(answer)[:2] == (400, limit)
    usage = json.loads(answer.headers[header])
    if limit == 80002:
        ((told,),) = usage.values()
        assert (told["type"], told["estimated_time_to_regain_access"]) == ("instagram", 7)
    else:
        assert usage["call_count"] == 100


def test_quirk_outage_fails_as_the_host_would(instagram: App) -> None:
    token, code = instagram.connect(), instagram.callback()["code"]
    instagram.quirk(outage={"/": 503})
    assert error(instagram.get("/me", token))[:2] == (503, 2)
    assert instagram.exchange(code).json()["error_type"] == "OAuthException"
    instagram.quirk(outage=None)
    assert instagram.exchange(code).status_code == 200


def test_quirk_rate_limit_of_the_exchange_is_flat(instagram: App) -> None:
    instagram.quirk(rate_limit={"/oauth/access_token": 4})
    answer = instagram.exchange("CODE")
    assert (answer.status_code, answer.json()["error_type"]) == (400, "OAuthException")


def test_quirk_malformed_spoils_the_true_answer(instagram: App) -> None:
    token = instagram.connect()
    instagram.quirk(malformed={"/v26.0/me": "truncated"})
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        instagram.get("/v26.0/me", token).json()
    assert instagram.get("/v25.0/me", token).json()["user_id"] == ANI


def test_quirk_delay_waits(instagram: App) -> None:
    token = instagram.connect()
    instagram.quirk(delay={"/me": 0.2})
    assert instagram.get("/me", token).elapsed.total_seconds() >= 0.2
