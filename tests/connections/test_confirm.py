"""Confirming: the sales app's server says who is logged in, and only then is anything exchanged (contract §3, 5;
docs/facts/security.md STD-01, G-1, G-8, INP-55)."""

from typing import Any

import pytest

from tests.connections.insight import holds, logged, rows
from tests.house import ANI, Browser, Clock, Google, House, SalesApp, query

CONTACTS, CALENDAR = "google_contacts", "google_calendar"


@pytest.fixture
def house(sqlite_house: House) -> House:
    return sqlite_house


def test_a_confirmation_gives_the_connection(app: SalesApp) -> None:
    answer = app.confirm(app.pending(CONTACTS, CALENDAR))
    assert answer.status_code == 200
    assert set(answer.json()) == {"connection"}
    connection = answer.json()["connection"]
    assert set(connection) == {
        *("id", "tenant", "subject", "provider", "account", "state", "scopes", "grants"),
        *("created_at", "last_used_at", "expires_at", "data_access_expires_at"),
    }
    assert connection["account"] == {"id": ANI, "label": "ani@example.com"}
    assert (connection["tenant"], connection["subject"], connection["provider"]) == ("toko", "ani", "google")
    assert (connection["state"], connection["last_used_at"], connection["expires_at"]) == ("active", None, None)
    assert app.connection(connection["id"]) == connection
    assert app.records(connection["id"]).status_code == 200


def test_before_a_confirmation_there_is_no_connection_and_no_token(app: SalesApp, google: Google) -> None:
    """STD-01."""
    returned = app.pending()
    assert app.call("GET", "/v1/connections").json()["items"] == []
    assert (google.requests("/token"), google.live_tokens()) == ([], 0)
    assert app.confirm(returned).status_code == 200
    assert [call["grant_type"] for call in google.requests("/token")] == ["authorization_code"]
    assert app.status(returned["session"]) == "confirmed"


def test_a_link_begun_by_one_and_followed_by_another_never_serves_data(house: House, google: Google) -> None:
    """G-8, cross-user session fixation: Budi's link, Ani's browser and account. The app's server confirms for
    whoever is logged in in that browser, and that is Ani."""
    app = house.client()
    link = app.begin(CONTACTS, subject="budi")
    victim = Browser()
    returned = victim.come_back(victim.at_google(victim.approve(link, [CONTACTS]), account=ANI))
    answer = app.confirm(returned, subject="ani")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert (google.requests("/token"), app.call("GET", "/v1/connections").json()["items"]) == ([], [])


def test_no_answer_holds_a_token_of_the_provider(app: SalesApp, google: Google) -> None:
    """I1, G-1."""
    returned = app.pending()
    answers = [app.confirm(returned), app.confirm(returned), app.call("GET", "/v1/connections")]
    answers.append(app.records(answers[0].json()["connection"]["id"]))
    tokens = _tokens(google)
    assert len(tokens) == 2
    for answer in answers:
        assert answer.status_code == 200
        assert not [token for token in tokens if token in answer.text + str(answer.headers)]


def test_neither_the_database_nor_the_log_holds_a_secret(
    app: SalesApp, browser: Browser, house: House, google: Google, caplog: pytest.LogCaptureFixture
) -> None:
    """G-1, STD-70: after the whole way, a reading and a refresh; in clear, hex, base64 or URL-encoded."""
    address = browser.approve(app.begin(CONTACTS), [CONTACTS])
    callback = browser.at_google(address)
    returned = browser.come_back(callback)
    connection = app.confirm(returned).json()["connection"]["id"]
    first = _tokens(google)
    house.clock.advance(hours=2)
    app = house.client()  # the callers' own tokens have ended too
    assert app.records(connection).status_code == 200
    secrets = {
        *(first | _tokens(google)),
        *(query(callback)["code"], query(callback)["state"], query(address)["nonce"], returned["code"]),
        *browser.http.cookies.get_dict().values(),
    }
    assert len(secrets) == 8
    assert [secret for secret in secrets if holds(house, secret)] == []
    assert [secret for secret in secrets if logged(caplog, secret)] == []


def test_the_account_is_sealed(app: SalesApp, house: House) -> None:
    """The label and the id name a person."""
    app.connect(CONTACTS, subject_label="Loud Label", login_hint="loud@example.com")
    for personal in (ANI, "ani@example.com", "Loud Label", "loud@example.com"):
        assert not holds(house, personal)


# --- who confirms --------------------------------------------------------------------------------------------


def test_another_client_does_not_confirm(app: SalesApp, house: House, google: Google) -> None:
    """Whatever it sends, and however like ours it is: the session is not there for it."""
    returned = app.pending(CONTACTS)
    others = [
        house.client(),
        house.client(tenants=("*",)),
        house.client(tenants=("warung",), tenant="warung"),
    ]
    for other in others:
        for _ in range(3):
            answer = other.confirm(returned)
            unknown = other.confirm({**returned, "session": "ses_" + "0" * 32})
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
            assert _alike(answer, unknown)
    assert google.requests("/token") == []
    assert app.confirm(returned).status_code == 200


@pytest.mark.parametrize("scope", ["connections:read", "records:read", "revoke"])
def test_confirming_needs_the_scope_connect(app: SalesApp, house: House, scope: str) -> None:
    returned = app.pending(CONTACTS)
    weak = SalesApp(app.url, app.client_id, app.client_secret)
    weak._token = weak.token(scope=scope).json()["access_token"]
    answer = weak.confirm(returned)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert app.confirm(returned).status_code == 200


def test_wrong_subject_and_wrong_code_answer_alike(app: SalesApp, google: Google) -> None:
    returned, other = app.pending(CONTACTS), app.pending(CONTACTS)
    answers = [
        app.confirm(returned, subject="budi"),
        app.confirm(returned, code="x" * 43),
        app.confirm(returned, code=other["code"]),
        app.confirm(returned, code=returned["code"].swapcase()),
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert _alike(answer, answers[0])
    assert google.requests("/token") == []
    assert app.confirm(returned).status_code == 200


@pytest.mark.parametrize("wrong", [{"subject": "budi"}, {"code": "x" * 43}])
def test_after_five_wrong_tries_a_session_is_over(app: SalesApp, google: Google, wrong: dict[str, str]) -> None:
    returned = app.pending(CONTACTS)
    for _ in range(5):
        assert app.status(returned["session"]) == "pending"
        assert app.confirm(returned, **wrong).status_code == 403
    assert app.status(returned["session"]) == "failed"
    answer = app.confirm(returned)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert google.requests("/token") == []


def test_after_four_wrong_tries_the_right_one_counts(app: SalesApp) -> None:
    returned = app.pending(CONTACTS)
    for _ in range(4):
        app.confirm(returned, code="x")
    assert app.confirm(returned).status_code == 200


def test_a_session_that_nobody_came_back_from_is_not_confirmed(app: SalesApp, browser: Browser) -> None:
    session = app.session(CONTACTS).json()
    browser.approve(session["url"], [CONTACTS])
    for code in ("x", session["url"].rpartition("/")[2]):
        answer = app.confirm({"session": session["id"], "code": code})
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert app.status(session["id"]) == "open"


@pytest.mark.parametrize("how", ["deny", "cancel", "failed"])
def test_a_session_that_ended_otherwise_is_not_confirmed(app: SalesApp, browser: Browser, how: str) -> None:
    if how == "deny":
        returned = query(browser.post(app.begin(CONTACTS), {"decision": "deny"}).headers["Location"])
    else:
        callback = app.callback(CONTACTS, browser=browser, decision="cancel")
        returned = browser.come_back(
            callback.replace("access_denied", "server_error" if how == "failed" else "access_denied")
        )
    ended = "failed" if how == "failed" else "denied"
    assert returned["status"] == ended
    assert app.confirm(returned, code="x").status_code == 403
    assert app.status(returned["session"]) == ended


@pytest.mark.parametrize(
    "change",
    [
        {"subject": None},
        {"subject": ""},
        {"subject": 7},
        {"subject": "a b"},
        {"subject": ["ani"]},
        {"code": None},
        {"code": ""},
        {"code": 7},
        {"code": "x" * 257},
        {"code": {"$ne": ""}},
        {"assets": []},
        {"assets": "primary"},
        {"assets": {"google_calendar": "primary"}},
        {"assets": {"google_calendar": [7]}},
        {"assets": {"google_calendar": [""]}},
        {"assets": {"google_calendar": ["a\nb"]}},
        {"assets": {"a b": []}},
        {"tenant": "toko"},
        {"scopes": ["everything"]},
    ],
)
def test_a_body_that_is_wrong_counts_as_no_try(app: SalesApp, change: dict[str, Any]) -> None:
    returned = app.pending(CONTACTS)
    for _ in range(6):
        body = {"subject": "ani", "code": returned["code"], **change}
        answer = app.call(
            "POST",
            f"/v1/connect-sessions/{returned['session']}/confirm",
            {name: value for name, value in body.items() if value is not None},
        )
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
        assert {entry["field"].partition(".")[0] for entry in answer.json()["errors"]} == set(change)
    assert app.confirm(returned).status_code == 200


@pytest.mark.parametrize("session_id", ["", "x", "%ff", "ses_" + "0" * 32, "a" * 3000])
def test_an_unknown_session_is_not_there(app: SalesApp, session_id: str) -> None:
    answer = app.confirm({"session": session_id, "code": "x"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


# --- when ----------------------------------------------------------------------------------------------------


def test_unconfirmed_for_ten_minutes_it_ends(app: SalesApp, clock: Clock, google: Google) -> None:
    """STD-01."""
    early, late = app.pending(CONTACTS), app.pending(CONTACTS)
    clock.advance(minutes=9, seconds=50)
    assert app.confirm(early).status_code == 200
    clock.advance(seconds=11)
    exchanges = len(google.requests("/token"))
    assert app.status(late["session"]) == "expired"
    answer = app.confirm(late)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert app.status(late["session"]) == "expired"
    assert len(google.requests("/token")) == exchanges


def test_a_session_that_is_over_keeps_no_secret(app: SalesApp, house: House) -> None:
    """Its key is destroyed: neither code nor verifier opens any more, from a backup of the rows neither."""
    confirmed, expired, failed = (app.pending(CONTACTS) for _ in range(3))
    for _ in range(5):
        app.confirm(failed, code="x")
    app.confirm(confirmed)
    house.clock.advance(minutes=11)
    house.work()
    keys = {row[2] for row in rows(house)["connection_keys"]} | {row[1] for row in rows(house)["connection_keys"]}
    for session in (confirmed, expired, failed):
        assert f"session:{session['session']}" not in str(keys)


# --- again ---------------------------------------------------------------------------------------------------


def test_a_repeated_confirmation_answers_as_the_first_did(app: SalesApp, google: Google) -> None:
    """Decision beside REL-06: the answer may have been lost on its way."""
    returned = app.pending()
    first = app.confirm(returned)
    for _ in range(3):
        again = app.confirm(returned)
        assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert len(google.requests("/token")) == 1


def test_it_answers_alike_after_a_restart_and_a_day(app: SalesApp, house: House, build) -> None:
    returned = app.pending()
    first = app.confirm(returned)
    house.clock.advance(days=1)
    restarted: House = build(house.environ["BROKER_DATABASE_URL"])
    again = SalesApp(restarted.url, app.client_id, app.client_secret).confirm(returned)
    assert (again.status_code, again.json()) == (200, first.json())


def test_repeated_with_a_wrong_subject_or_code_it_is_refused(app: SalesApp) -> None:
    returned = app.pending(CONTACTS)
    app.confirm(returned)
    for wrong in ({"subject": "budi"}, {"code": "x"}):
        answer = app.confirm(returned, **wrong)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert app.status(returned["session"]) == "confirmed"


def test_wrong_tries_afterwards_end_nothing(app: SalesApp) -> None:
    returned = app.pending(CONTACTS)
    connection = app.confirm(returned).json()["connection"]["id"]
    for _ in range(6):
        app.confirm(returned, code="x")
    assert app.confirm(returned).status_code == 200
    assert app.records(connection).status_code == 200


def test_assets_that_are_not_on_offer_are_listed_each_time(app: SalesApp) -> None:
    returned = app.pending()
    assets = {CALENDAR: ["primary", "nobodys@example.com"], CONTACTS: ["x"], "nope": ["y"]}
    first = app.confirm(returned, assets=assets)
    assert first.status_code == 200
    dropped = {(entry["field"], entry["asset"]) for entry in first.json()["errors"]}
    assert dropped == {(f"assets.{CALENDAR}", "nobodys@example.com"), (f"assets.{CONTACTS}", "x"), ("assets.nope", "y")}
    grants = {grant["connector"]: grant for grant in first.json()["connection"]["grants"]}
    assert [asset["id"] for asset in grants[CALENDAR]["assets"]] == ["primary"]
    assert app.confirm(returned, assets=assets).json() == first.json()


def _tokens(google: Google) -> set[str]:
    return {token["value"] for tokens in google.state()["live_tokens"].values() for token in tokens}


def _alike(one, other) -> bool:
    """The same answer but for the name of the request."""
    bodies = [{**answer.json(), "request_id": ""} for answer in (one, other)]
    return one.status_code == other.status_code and bodies[0] == bodies[1]
