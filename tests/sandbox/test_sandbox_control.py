"""Steering the sandbox and looking inside: /_sandbox/…"""

import pytest

from broker.sandbox import quirks
from broker.sandbox.google.quirks import KNOWN
from broker.sandbox.serve import PLAYED, origins, serve
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
    texts = ["omit_iss", "expires_in=5.5", "bad_id_token=missing", 'outage={"/token": "html"}']
    assert quirks.parsed(f"google.{text}" for text in texts) == {
        "google": {
            "omit_iss": True,
            "expires_in": 5.5,
            "bad_id_token": "missing",
            "outage": {"/token": "html"},
        }
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [("omit_iss", "google.omit_iss"), ("google.surprise", "no_refresh_token"), ("x.omit_iss", "google")],
)
def test_a_wrong_quirk_of_a_command_line_says_what_is_right(text: str, told: str) -> None:
    with pytest.raises(quirks.BadQuirk, match=told):
        serve(0, quirks=quirks.parsed([text]))


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


def test_origins_leads_each_origin_to_the_port_of_its_provider() -> None:
    pairs = [tuple(pair.split("=")) for pair in origins("http://127.0.0.1:9000").split(",")]
    ports = {origin: f"http://127.0.0.1:{9000 + place}" for place, one in enumerate(PLAYED) for origin in one.origins}
    assert dict(pairs) == ports
    assert len(pairs) == len(ports)


def test_each_known_quirk_takes_its_example_and_says_what_it_does(google: Client) -> None:
    known = google.http.get(f"{google.url}/_sandbox/quirks").json()["known"]
    assert known.keys() == KNOWN.keys()
    for name, quirk in known.items():
        assert quirk["meaning"]
        assert google.quirk(**{name: quirk["example"]}).status_code == 200, name


def test_the_journal_tells_who_called_what(google: Client) -> None:
    answer = google.connect()
    google.people(answer["access_token"])
    google.revoke(answer["refresh_token"])
    calls = [(c["path"], c["client"], c["account"], c["token"]) for c in google.requests()]
    assert calls == [
        ("/o/oauth2/v2/auth", "CLIENT-1", ANI, None),
        ("/token", "CLIENT-1", ANI, answer["access_token"]),
        ("/v1/people/me/connections", "CLIENT-1", ANI, answer["access_token"]),
        ("/revoke", "CLIENT-1", ANI, answer["refresh_token"]),
    ]


def test_the_journal_is_read_by_path_method_and_place(google: Client) -> None:
    token = google.connect()["refresh_token"]
    before = google.asked()["last"]
    google.revoke(token)
    assert [call["path"] for call in google.requests(since=before)] == ["/revoke"]
    assert google.requests("/revoke", method="GET") == []
    assert google.asked()["counts"] == {"POST /o/oauth2/v2/auth": 1, "POST /token": 1, "POST /revoke": 1}


def test_a_forgotten_journal_counts_anew_and_numbers_on(google: Client) -> None:
    google.revoke("ANY")
    before = google.asked()["last"]
    google.http.delete(f"{google.url}/_sandbox/requests")
    google.revoke("ANY")
    asked = google.asked()
    assert (asked["counts"], asked["last"]) == ({"POST /revoke": 1}, before + 1)


def test_the_clock_is_moved_and_a_reset_sets_it_right(google: Client) -> None:
    answer, code = google.connect(), google.callback()["code"]
    google.control("clock", {"advance": 3600})
    assert google.people(answer["access_token"]).status_code == 401
    assert google.exchange(code).json()["error"] == "invalid_grant"
    now = google.state()["now"]
    google.control("reset")
    assert google.state()["now"] == now - 3600


@pytest.mark.parametrize("advance", [-1, "soon", True, 1e9])
def test_the_clock_goes_forward_by_whole_seconds(google: Client, advance: object) -> None:
    assert google.control("clock", {"advance": advance}).status_code == 400


@pytest.mark.parametrize(
    ("which", "access", "refresh"), [("access", 401, 200), ("refresh", 200, 400), ("all", 401, 400)]
)
def test_killed_tokens_leave_the_authorization(google: Client, which: str, access: int, refresh: int) -> None:
    answer = google.connect()
    google.control("kill", {"tokens": which})
    assert google.people(answer["access_token"]).status_code == access
    assert google.refresh(answer["refresh_token"]).status_code == refresh
    assert google.state()["authorizations"] != []


def test_tokens_are_killed_by_account_and_client(google: Client) -> None:
    ani, budi = google.connect(), google.connect(account=BUDI)
    assert google.control("kill", {"tokens": "access", "account": "budi@example.com"}).json() == {"killed": 1}
    assert google.control("kill", {"tokens": "access", "client": "CLIENT-2"}).json() == {"killed": 0}
    assert google.people(ani["access_token"]).status_code == 200
    assert google.people(budi["access_token"]).status_code == 401


def test_the_user_removes_the_access_of_one_project_alone(google: Client) -> None:
    first = google.connect()
    google.client_id = "CLIENT-2"
    second = google.connect()
    assert google.control("revoke", {"account": ANI, "project": "CLIENT-1"}).json() == {"ended": 1}
    assert google.people(first["access_token"]).status_code == 401
    assert google.people(second["access_token"]).status_code == 200


def test_a_registered_client_is_the_only_one_until_the_reset(google: Client) -> None:
    google.control("clients", {"client_id": "CLIENT-2", "client_secret": "SECRET-2"})
    assert google.refresh("ANY").status_code == 401
    assert google.token(grant_type="x", client_id="CLIENT-2", client_secret="SECRET-2").status_code == 400
    assert google.token(grant_type="x", client_id="CLIENT-2", client_secret="WRONG").status_code == 401
    google.control("reset")
    assert google.refresh("ANY").status_code == 400


def test_registered_clients_can_share_a_project(google: Client) -> None:
    for name in ("CLIENT-1", "CLIENT-2"):
        google.control("clients", {"client_id": name, "client_secret": "CLIENT-SECRET-1", "project": "PROJECT-1"})
    first = google.connect()
    google.client_id = "CLIENT-2"
    google.revoke(google.connect(prompt="consent")["refresh_token"])
    assert google.people(first["access_token"]).status_code == 401


def test_an_account_is_made_with_what_it_holds(google: Client) -> None:
    body = {"email": "dewi@example.com", "given_name": "Dewi", "contacts": 3, "events": 2, "hd": "example.com"}
    made = google.control("accounts", body).json()["accounts"]
    answer = google.connect(account="dewi@example.com")
    assert made == [{"sub": google.claims(answer["id_token"])["sub"], "email": "dewi@example.com"}]
    assert google.people(answer["access_token"]).json()["totalItems"] == 3
    assert [e["id"] for e in google.events(answer["access_token"], q="call").json()["items"]] == ["call1", "call2"]


def test_many_accounts_are_made_at_once_and_go_with_a_reset(google: Client) -> None:
    made = google.control("accounts", {"count": 500, "contacts": 1}).json()["accounts"]
    assert len({account["sub"] for account in made}) == 500
    assert google.people(google.connect(account=made[499]["sub"])["access_token"]).json()["totalItems"] == 1
    google.control("reset")
    assert len(google.state()["accounts"]) == 3


def test_an_account_that_holds_more_or_less_tells_a_sync_token(google: Client) -> None:
    query = {"requestSyncToken": "true", "pageSize": 1000}
    token = google.connect(account=BUDI)["access_token"]
    sync = google.people(token, **query).json()["nextSyncToken"]
    google.control("accounts", {"email": "budi@example.com", "contacts": 10})
    google.control("accounts", {"email": "budi@example.com", "contacts": 9})
    changes = google.people(token, syncToken=sync, **query).json()["connections"]
    deleted = {person["resourceName"]: person["metadata"].get("deleted", False) for person in changes}
    assert deleted == {"people/c9": False, "people/c10": True}


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("kill", {"tokens": "some"}),
        ("accounts", {"contacts": 5}),
        ("accounts", {"email": "a@example.com", "contacts": -1}),
        ("clients", {"client_id": "ONE"}),
        ("clients", {"client_id": "ONE", "client_secret": "S", "redirect_uris": "https://x.example"}),
        ("contacts", {"account": ANI, "event": {"summary": "When?"}}),
        ("contacts", {"account": ANI, "event": {"id": "call1", "start": "soon"}}),
        ("contacts", {"account": ANI, "event": {"id": 5}}),
        ("contacts", {"account": ANI, "contact": {"resourceName": 5}}),
        ("kill", {"tokens": ["access"]}),
        ("quirks", []),
    ],
)
def test_a_malformed_control_call_is_refused_in_json(google: Client, name: str, body: object) -> None:
    answer = google.control(name, body)
    assert (answer.status_code, "error" in answer.json()) == (400, True)
