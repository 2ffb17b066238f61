"""Each quirk of Google once."""

import pytest
from joserfc.errors import JoseError

from broker.sandbox.google.id_tokens import at_hash
from broker.sandbox.google.quirks import FORBIDDEN
from tests.sandbox.google_client import ANI, BUDI, CONTACTS, EVENTS, Client, reason, scopes


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


def test_short_scopes(google: Client) -> None:
    google.quirk(short_scopes=True)
    back = google.callback("openid", "email", CONTACTS)
    answer = google.exchange(back["code"]).json()
    assert set(back["scope"].split()) == scopes(answer) == {"openid", "email", CONTACTS}
    assert scopes(google.refresh(answer["refresh_token"]).json()) == {"openid", "email", CONTACTS}
    assert google.get("/v1/userinfo", answer["access_token"]).json()["email"] == "ani@example.com"


def test_straight_through(google: Client) -> None:
    def opened(**parameters: str) -> int:
        asked = google.request(login_hint=ANI, **parameters)
        return google.http.get(f"{google.url}/o/oauth2/v2/auth", params=asked, allow_redirects=False).status_code

    google.quirk(straight_through=True)
    assert opened() == 200
    google.callback()
    assert opened() == 303
    assert opened(prompt="select_account") == 200


def test_lone_consent_ends_others(google: Client) -> None:
    google.quirk(lone_consent_ends_others=True)
    first = google.connect("openid", CONTACTS)
    google.connect("openid", EVENTS, include_granted_scopes="true")
    assert google.refresh(first["refresh_token"]).status_code == 200
    google.connect("openid", f"{CONTACTS.removesuffix('.readonly')}")
    assert google.refresh(first["refresh_token"]).json()["error"] == "invalid_grant"


def test_testing_status(google: Client, clock) -> None:
    google.quirk(testing_status=True)
    answer, sign_in = google.connect(), google.connect("openid", "email", account=BUDI)
    assert "refresh_token_expires_in" not in answer
    clock.now += 7 * 24 * 3600
    assert google.refresh(answer["refresh_token"]).json()["error"] == "invalid_grant"
    assert google.refresh(sign_in["refresh_token"]).status_code == 200


def test_ignore_scope_on_refresh(google: Client) -> None:
    google.quirk(ignore_scope_on_refresh=True)
    answer = google.connect()
    assert scopes(google.refresh(answer["refresh_token"], scope=CONTACTS).json()) == scopes(answer)


def test_revocation_lag(google: Client, clock) -> None:
    google.quirk(revocation_lag=30)
    answer = google.connect()
    assert google.revoke(answer["refresh_token"]).status_code == 200
    assert google.people(answer["access_token"]).status_code == 200
    assert google.refresh(answer["refresh_token"]).json()["error"] == "invalid_grant"
    assert google.revoke(answer["access_token"]).json()["error"] == "invalid_token"
    clock.now += 30
    assert google.people(answer["access_token"]).status_code == 401


def test_bad_at_hash(google: Client) -> None:
    google.quirk(bad_at_hash=True)
    answer = google.connect()
    assert google.claims(answer["id_token"])["at_hash"] != at_hash(answer["access_token"])


def test_iss_without_scheme(google: Client) -> None:
    google.quirk(iss_without_scheme=True)
    assert google.claims(google.connect()["id_token"])["iss"] == "accounts.google.com"


def test_email_verified_as_text(google: Client) -> None:
    google.quirk(email_verified_as_text=True)
    answer = google.connect()
    assert google.claims(answer["id_token"])["email_verified"] == "true"
    assert google.get("/v1/userinfo", answer["access_token"]).json()["email_verified"] == "true"


def test_unauthorized(google: Client) -> None:
    token = google.connect()["access_token"]
    google.quirk(unauthorized={"/v1/people": {"value": True, "times": 1}, "/calendar": True})
    assert [google.people(token).status_code for _ in range(2)] == [401, 200]
    assert [google.events(token).status_code for _ in range(2)] == [401, 401]


@pytest.mark.parametrize("kind", [kind for kind in FORBIDDEN if kind not in ("requires_one_of", "no_reason")])
def test_forbidden_for_a_reason(google: Client, kind: str) -> None:
    token = google.connect()["access_token"]
    google.quirk(forbidden={"/v1/people": kind})
    answer = google.people(token)
    error = answer.json()["error"]
    assert (answer.status_code, reason(answer)) == (403, kind)
    assert ("details" in error, "errors" in error) == (kind.isupper(), not kind.isupper())


@pytest.mark.parametrize("kind", ["requires_one_of", "no_reason"])
def test_forbidden_by_text_alone(google: Client, kind: str) -> None:
    token = google.connect()["access_token"]
    google.quirk(forbidden={"/v1/people": kind})
    answer = google.people(token)
    assert (answer.status_code, answer.json()["error"].keys()) == (403, {"code", "message", "status"})


def test_empty_pages(google: Client) -> None:
    google.quirk(empty_pages=True)
    token = google.connect()["access_token"]
    first = google.events(token, maxResults=2500).json()
    assert first["items"] == []
    second = google.events(token, maxResults=2500, pageToken=first["nextPageToken"]).json()
    assert (len(second["items"]), "nextSyncToken" in second) == (303, True)
