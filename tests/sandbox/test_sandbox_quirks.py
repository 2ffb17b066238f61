"""Each quirk once, and the control interface."""

import time

import pytest
import requests
from joserfc.errors import JoseError

from broker.sandbox import quirks
from broker.sandbox.google import ORIGINS, create_google
from broker.sandbox.google.quirks import KNOWN
from broker.sandbox.serve import origins
from tests.sandbox.google_client import ANI, BUDI, CONTACTS, EMAIL, EVENTS, Client, scopes


def test_an_unknown_quirk_is_refused_and_the_known_are_listed(google: Client) -> None:
    answer = google.quirk(no_such_thing=True, omit_iss=True)
    assert answer.status_code == 400
    assert set(answer.json()["known"]) == set(KNOWN)
    assert google.state()["quirks"] == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("partial", "contacts"),
        ("omit_iss", "yes"),
        ("expires_in", True),
        ("bad_id_token", "ugly"),
        ("outage", {"token": 500}),
        ("outage", {"/token": 42}),
        ("token_error", {"status": 400}),
        ("rate_limit", {"/": {"envelope": "brown"}}),
        ("expired_sync_token", True),
    ],
)
def test_a_value_that_a_quirk_does_not_take_is_refused(google: Client, name: str, value: object) -> None:
    assert google.quirk(**{name: value}).status_code == 400


def test_quirks_merge_are_switched_off_and_reset(google: Client) -> None:
    google.quirk(omit_iss=True, expires_in=5)
    assert google.quirk(omit_iss=False).json() == {"expires_in": 5}
    assert google.http.delete(f"{google.url}/_sandbox/quirks").json() == {}


def test_quirks_of_the_start_outlive_a_reset(start) -> None:
    google = start(quirks={"omit_iss": True})
    google.quirk(omit_iss=False)
    google.control("reset")
    assert google.state()["quirks"] == {"omit_iss": True}


def test_quirks_of_a_command_line_are_read_and_checked() -> None:
    texts = ["omit_iss", "expires_in=5", "bad_id_token=missing", 'outage={"/token": "html"}']
    assert quirks.parsed(texts) == {
        "omit_iss": True,
        "expires_in": 5,
        "bad_id_token": "missing",
        "outage": {"/token": "html"},
    }
    with pytest.raises(quirks.BadQuirk, match="no_refresh_token"):
        create_google(quirks=quirks.parsed(["surprise"]))


def test_no_refresh_token(google: Client) -> None:
    google.quirk(no_refresh_token=True)
    assert "refresh_token" not in google.connect(prompt="consent")


def test_refresh_token_once(google: Client) -> None:
    google.quirk(refresh_token_once=True)
    assert "refresh_token" in google.connect("openid", CONTACTS)
    assert "refresh_token" not in google.connect("openid", EVENTS)


def test_refresh_token_expires_in(google: Client, clock) -> None:
    google.quirk(refresh_token_expires_in=100)
    answer = google.connect()
    assert answer["refresh_token_expires_in"] == 100
    clock.now += 100
    assert google.refresh(answer["refresh_token"]).json()["error"] == "invalid_grant"
    assert google.state()["live_tokens"]["refresh"] == []


def test_rotated_refresh_tokens_and_the_reuse_of_one(google: Client) -> None:
    google.quirk(rotate_refresh_tokens=True)
    first = google.connect()["refresh_token"]
    renewed = google.refresh(first).json()
    assert google.refresh(renewed["refresh_token"]).status_code == 200
    assert google.refresh(first).json()["error"] == "invalid_grant"
    assert google.people(renewed["access_token"]).status_code == 401
    assert google.state()["live_tokens"] == {"access": [], "refresh": []}


def test_partial(google: Client) -> None:
    google.quirk(partial=[EVENTS, "email"])
    assert scopes(google.connect()) == {"openid", CONTACTS}


def test_extra_scopes(google: Client) -> None:
    google.quirk(extra_scopes=[EVENTS])
    answer = google.connect("openid", CONTACTS)
    assert EVENTS in scopes(answer)
    assert google.events(answer["access_token"]).status_code == 200
    assert EVENTS in scopes(google.refresh(answer["refresh_token"]).json())


def test_omit_scope(google: Client) -> None:
    google.quirk(omit_scope=True)
    answer = google.connect()
    assert "scope" not in answer
    assert "scope" not in google.refresh(answer["refresh_token"]).json()


def test_narrow_on_refresh(google: Client) -> None:
    answer = google.connect()
    google.quirk(narrow_on_refresh=[EVENTS])
    renewed = google.refresh(answer["refresh_token"]).json()
    assert scopes(answer) - scopes(renewed) == {EVENTS}
    assert google.events(renewed["access_token"]).status_code == 403


def test_widen_on_refresh(google: Client) -> None:
    answer = google.connect("openid", CONTACTS)
    google.quirk(widen_on_refresh=[EVENTS])
    assert scopes(google.refresh(answer["refresh_token"]).json()) == {"openid", CONTACTS, EVENTS}


def test_expires_in(google: Client, clock) -> None:
    google.quirk(expires_in=5)
    answer = google.connect()
    assert answer["expires_in"] == 5
    clock.now += 5
    assert google.people(answer["access_token"]).status_code == 401


def test_token_error_for_some_calls(google: Client) -> None:
    token = google.connect()["refresh_token"]
    error = {"error": "invalid_grant", "error_subtype": "invalid_rapt", "times": 2, "grant_type": "refresh_token"}
    google.quirk(token_error=error)
    assert google.connect(prompt="consent")
    answers = [google.refresh(token) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [400, 400, 200]
    assert answers[0].json() == {"error": "invalid_grant", "error_subtype": "invalid_rapt"}


def test_token_error_for_all_calls(google: Client) -> None:
    google.quirk(token_error={"error": "internal_failure", "status": 500})
    assert [google.refresh("ANY").status_code for _ in range(3)] == [500] * 3


def test_omit_iss(google: Client) -> None:
    google.quirk(omit_iss=True)
    assert "iss" not in google.callback()


@pytest.mark.parametrize(
    ("value", "seen"), [(True, "https://accounts.example.net"), ("https://evil.example", "https://evil.example")]
)
def test_wrong_iss(google: Client, value: object, seen: str) -> None:
    google.quirk(wrong_iss=value)
    assert google.callback()["iss"] == seen


@pytest.mark.parametrize(
    ("fault", "claim", "wrong"),
    [
        ("wrong_aud", "aud", "somebody-else.apps.example"),
        ("wrong_nonce", "nonce", "NONCE-OF-SOMEBODY-ELSE"),
        ("wrong_iss", "iss", "https://accounts.example.net"),
    ],
)
def test_an_id_token_with_a_wrong_claim(google: Client, fault: str, claim: str, wrong: str) -> None:
    google.quirk(bad_id_token=fault)
    assert google.claims(google.connect()["id_token"])[claim] == wrong


def test_an_expired_id_token(google: Client, clock) -> None:
    google.quirk(bad_id_token="expired")
    assert google.claims(google.connect()["id_token"])["exp"] < clock.now


def test_an_id_token_that_nobody_signed(google: Client) -> None:
    google.quirk(bad_id_token="alg_none")
    id_token = google.connect()["id_token"]
    assert id_token.endswith(".")
    assert id_token.count(".") == 2
    with pytest.raises((JoseError, ValueError)):
        google.claims(id_token)


def test_an_id_token_with_a_bad_signature(google: Client) -> None:
    google.quirk(bad_id_token="bad_signature")
    with pytest.raises(JoseError):
        google.claims(google.connect()["id_token"])


def test_a_missing_id_token(google: Client) -> None:
    google.quirk(bad_id_token="missing")
    assert "id_token" not in google.connect()


def test_other_sub_on_refresh(google: Client) -> None:
    answer = google.connect()
    google.quirk(other_sub_on_refresh=True)
    assert google.claims(google.refresh(answer["refresh_token"]).json()["id_token"])["sub"] == BUDI


@pytest.mark.parametrize(
    ("value", "code", "status"),
    [
        (400, 400, "FAILED_PRECONDITION"),
        (410, 410, "FAILED_PRECONDITION"),
        ("INVALID_ARGUMENT", 400, "INVALID_ARGUMENT"),
    ],
)
def test_expired_sync_token(google: Client, value: object, code: int, status: str) -> None:
    query = {"requestSyncToken": "true", "pageSize": 1000}
    token = google.connect()["access_token"]
    sync = google.people(token, **query).json()["nextSyncToken"]
    google.quirk(expired_sync_token=value)
    answer = google.people(token, syncToken=sync, **query)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["status"]) == (code, code, status)
    assert error["details"][0]["reason"] == "EXPIRED_SYNC_TOKEN"
    assert google.people(token, **query).status_code == 200


@pytest.mark.parametrize("reason", ["fullSyncRequired", "updatedMinTooLongAgo", "deleted"])
def test_calendar_gone(google: Client, reason: str) -> None:
    token = google.connect()["access_token"]
    google.quirk(calendar_gone=reason)
    answer = google.events(token, syncToken="ANY")
    assert (answer.status_code, answer.json()["error"]["errors"][0]["reason"]) == (410, reason)
    assert google.events(token).status_code == 200


def test_an_outage_with_a_status(google: Client) -> None:
    token = google.connect()["access_token"]
    google.quirk(outage={"/v1/people": 503, "/token": 500})
    assert google.people(token).status_code == 503
    assert google.refresh("ANY").json() == {"error": "internal_failure"}
    assert google.events(token).status_code == 200


def test_an_outage_with_html(google: Client) -> None:
    google.quirk(outage={"/token": "html"})
    answer = google.refresh("ANY")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html")


def test_an_outage_that_drops_the_connection(google: Client) -> None:
    google.quirk(outage={"/token": "reset"})
    with pytest.raises(requests.ConnectionError):
        google.refresh("ANY")
    google.http.delete(f"{google.url}/_sandbox/quirks")
    assert google.refresh("ANY").status_code == 400


def test_an_outage_that_hangs_until_the_quirk_ends(google: Client) -> None:
    google.quirk(outage={"/v1/userinfo": "hang"})
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{google.url}/v1/userinfo", timeout=0.2)
    assert google.http.get(f"{google.url}/oauth2/v3/certs").status_code == 200


def test_delay(google: Client) -> None:
    google.quirk(delay={"/oauth2/v3/certs": 0.2})
    began = time.monotonic()
    google.http.get(f"{google.url}/oauth2/v3/certs")
    assert time.monotonic() - began >= 0.2


def test_rate_limits_come_in_each_services_envelope(google: Client) -> None:
    google.quirk(rate_limit={"/v1/people": 7, "/calendar": None})
    people, events = google.people("ANY"), google.events("ANY")
    assert (people.status_code, people.headers["Retry-After"]) == (429, "7")
    assert people.json()["error"]["details"][0]["reason"] == "RATE_LIMIT_EXCEEDED"
    assert (events.status_code, "Retry-After" in events.headers) == (403, False)
    assert events.json()["error"]["errors"][0] == {
        "domain": "usageLimits",
        "reason": "rateLimitExceeded",
        "message": "Rate Limit Exceeded",
    }


def test_a_rate_limit_in_a_chosen_envelope(google: Client) -> None:
    google.quirk(rate_limit={"/calendar": {"envelope": "details", "status": 429, "retry_after": 3}})
    events = google.events("ANY")
    assert (events.status_code, events.headers["Retry-After"]) == (429, "3")
    assert events.json()["error"]["status"] == "RESOURCE_EXHAUSTED"


def test_the_state_shows_requests_tokens_and_authorizations(google: Client) -> None:
    answer = google.connect("openid", "email", CONTACTS)
    google.refresh(answer["refresh_token"])
    state = google.state()
    assert state["authorizations"] == [
        {"project": "CLIENT-1", "account": ANI, "scopes": sorted(["openid", EMAIL, CONTACTS])}
    ]
    assert [token["value"] for token in state["live_tokens"]["refresh"]] == [answer["refresh_token"]]
    assert answer["access_token"] in [token["value"] for token in state["live_tokens"]["access"]]
    assert state["counts"] == {"access": 2, "refresh": 1}
    calls = [(entry["path"], entry.get("grant_type"), entry["status"]) for entry in state["requests"]]
    assert calls == [
        ("/o/oauth2/v2/auth", None, 303),
        ("/token", "authorization_code", 200),
        ("/token", "refresh_token", 200),
    ]


def test_a_request_that_met_an_outage_is_logged(google: Client) -> None:
    google.quirk(outage={"/token": 503})
    google.refresh("ANY")
    last = google.state()["requests"][-1]
    assert (last["path"], last["grant_type"], last["status"]) == ("/token", "refresh_token", 503)


def test_the_user_removes_access_at_google(google: Client) -> None:
    answer, other = google.connect(), google.connect(account=BUDI)
    assert google.control("revoke", {"account": "ani@example.com"}).json() == {"ended": 1}
    assert google.refresh(answer["refresh_token"]).json()["error"] == "invalid_grant"
    assert google.refresh(other["refresh_token"]).status_code == 200


def test_control_wants_json_and_known_accounts(google: Client) -> None:
    assert google.http.post(f"{google.url}/_sandbox/revoke", data="{}").status_code == 415
    assert google.control("revoke", {"account": "nobody"}).status_code == 404
    assert google.control("contacts", {"account": ANI}).status_code == 400


def test_a_reset_forgets_everything_but_the_keys(google: Client) -> None:
    keys = google.http.get(f"{google.url}/oauth2/v3/certs").json()
    token = google.connect()["access_token"]
    google.control("contacts", {"account": ANI, "contact": {"resourceName": "people/c1"}, "delete": True})
    google.control("reset")
    assert google.state()["requests"] == []
    assert google.people(token).status_code == 401
    assert google.people(google.connect()["access_token"]).json()["totalItems"] == 260
    assert google.http.get(f"{google.url}/oauth2/v3/certs").json() == keys


def test_origins_names_each_of_googles_once() -> None:
    pairs = dict(pair.split("=") for pair in origins("http://127.0.0.1:9000").split(","))
    assert pairs == dict.fromkeys(ORIGINS, "http://127.0.0.1:9000")
