"""Steering the sandbox and looking inside: /_sandbox/…"""

import pytest

from broker.sandbox import quirks
from broker.sandbox.google import ORIGINS, create_google
from broker.sandbox.google.quirks import KNOWN
from broker.sandbox.serve import origins
from tests.sandbox.google_client import ANI, BUDI, CONTACTS, EMAIL, Client


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
