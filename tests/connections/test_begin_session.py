"""POST /v1/connect-sessions: what the sales app may ask for (contract §3, 1; docs/facts/security.md §6.6 INP-50)."""

import re
from datetime import datetime, timedelta

import pytest

from tests.house import ALL_SCOPES, ANI, AUTH, BUDI, RETURN_URL, Browser, Google, House, SalesApp, query

TOO_LONG = "x" * 129
BAD_NAMES = ["", " ", TOO_LONG, "a b", "a/b", "a\n", "a\x00", "ä", "a\u202eb", "%41", 7, None, True, ["a"], {"a": 1}]
BAD_LABELS = ["", "x" * 201, "a\nb", "a\x00b", "a\u202eb", "a\u2066b", 7, True, ["a"], {}]
BAD_PAGES = [
    "",
    "javascript:alert(1)",
    "data:text/html,x",
    "http://privacy.example",
    "//privacy.example",
    "/privacy",
    "https://",
    "https://a@privacy.example",
    "https://[",
    "https://privacy.example/\n",
    "https://privacy.example/ä",
    "https://privacy.example/" + "x" * 2048,
    7,
]


@pytest.fixture
def house(shared_house: House, google: Google) -> House:
    return shared_house


def test_a_session_is_an_id_an_address_and_an_end(app: SalesApp, house: House) -> None:
    answer = app.session("google_contacts")
    assert answer.status_code == 201
    assert set(answer.json()) == {"id", "url", "expires_at"}
    assert re.fullmatch(rf"{house.url}/connect/[A-Za-z0-9_-]{{43}}", answer.json()["url"])
    assert answer.headers["Cache-Control"] == "no-store"
    left = datetime.fromisoformat(answer.json()["expires_at"]) - house.clock()
    assert timedelta(minutes=9) < left <= timedelta(minutes=10)


def test_the_address_says_nothing_about_tenant_subject_scopes_or_session(app: SalesApp) -> None:
    """STD-09: the browser carries one opaque reference."""
    answer = app.session("google_contacts", subject="someone-loud", tenant_label="Toko Loud")
    for told in ("toko", "someone-loud", "Loud", "google", answer.json()["id"]):
        assert told not in answer.json()["url"].split("/connect/")[1]


def test_a_new_session_is_open(app: SalesApp) -> None:
    assert app.status(app.session("google_contacts").json()["id"]) == "open"


def test_nobody_else_learns_the_status_of_a_session(app: SalesApp, house: House) -> None:
    """G-6: another client of the very same tenant neither."""
    session_id = app.session("google_contacts").json()["id"]
    for other in (house.client(), house.client(tenants=("warung",))):
        answer = other.call("GET", f"/v1/connect-sessions/{session_id}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        unknown = other.call("GET", "/v1/connect-sessions/ses_unknown")
        assert _without_request_id(unknown) == _without_request_id(answer)


@pytest.mark.parametrize("member", ["tenant", "subject", "provider", "connectors", "return_url"])
def test_a_member_that_is_needed_is_missing(app: SalesApp, member: str) -> None:
    assert _field_refused(app.session(**{member: None})) == [member]


@pytest.mark.parametrize("member", ["tenant", "subject"])
@pytest.mark.parametrize("value", [name for name in BAD_NAMES if name is not None])
def test_tenant_and_subject_are_plain_names(app: SalesApp, member: str, value: object) -> None:
    assert _field_refused(app.session(**{member: value})) == [member]


@pytest.mark.parametrize("member", ["subject_label", "tenant_label"])
@pytest.mark.parametrize("value", BAD_LABELS)
def test_labels_are_short_and_printable(app: SalesApp, member: str, value: object) -> None:
    """INP-57: no control character, nothing that turns the direction of a text round."""
    assert _field_refused(app.session(**{member: value})) == [member]


@pytest.mark.parametrize("value", ["", "x" * 501, "a\tb", "a\u202eb", 7, []])
def test_a_purpose_is_short_and_printable(app: SalesApp, value: object) -> None:
    assert _field_refused(app.session(purpose=value)) == ["purpose"]


@pytest.mark.parametrize("value", BAD_PAGES)
def test_a_privacy_page_is_an_https_address(app: SalesApp, value: object) -> None:
    assert _field_refused(app.session(privacy_url=value)) == ["privacy_url"]


@pytest.mark.parametrize("value", ["", "fr", "EN", "en-GB", "id ", 7, ["en"]])
def test_the_page_is_had_in_two_languages(app: SalesApp, value: object) -> None:
    assert _field_refused(app.session(locale=value)) == ["locale"]


@pytest.mark.parametrize("value", ["", "x" * 321, "a\r\nb", 7])
def test_a_login_hint_is_short_and_printable(app: SalesApp, value: object) -> None:
    assert _field_refused(app.session(login_hint=value)) == ["login_hint"]


@pytest.mark.parametrize("value", ["", "nope", "Google", "google ", "g" * 129, 7, ["google"]])
def test_a_provider_is_one_that_is_configured(app: SalesApp, value: object) -> None:
    assert _field_refused(app.session(provider=value)) == ["provider"]


@pytest.mark.parametrize(
    "value",
    [
        [],
        ["nope"],
        ["google_contacts", "nope"],
        ["google_contacts", "google_contacts"],
        [""],
        [7],
        [None],
        "google_contacts",
        {"google_contacts": True},
        [["google_contacts"]],
        ["x" * 129],
    ],
)
def test_connectors_are_a_list_of_known_ones_each_once(app: SalesApp, value: object) -> None:
    assert {field.partition(".")[0] for field in _field_refused(app.session(connectors=value))} == {"connectors"}


def test_connectors_of_two_providers_do_not_mix(app: SalesApp) -> None:
    assert _field_refused(app.session("google_contacts", "openid_profile")) == ["connectors"]


@pytest.mark.parametrize(
    "value",
    [
        RETURN_URL + "x",
        RETURN_URL + "&x=1",
        RETURN_URL + "#top",
        RETURN_URL.replace("https", "http"),
        RETURN_URL.replace("https", "HTTPS"),
        RETURN_URL.replace("sales.example", "SALES.example"),
        RETURN_URL.replace("sales.example", "sales.example."),
        RETURN_URL.replace("sales.example", "sales.example:443"),
        RETURN_URL.replace("sales.example", "sales.example.evil.example"),
        RETURN_URL.replace("sales.example", "ani@sales.example"),
        RETURN_URL.replace("sales.example", "sales.example@evil.example"),
        RETURN_URL.replace("sales.example", "sаles.example"),
        RETURN_URL.replace("/linked", "//linked"),
        RETURN_URL.replace("/linked", "/./linked"),
        RETURN_URL.replace("/linked", "/x/../linked"),
        RETURN_URL.replace("/linked", "/%2e%2e/linked"),
        RETURN_URL.replace("/linked", "\\linked"),
        RETURN_URL.replace("https://", "https:\\\\"),
        RETURN_URL.replace("https:", ""),
        RETURN_URL.partition("?")[0],
        " " + RETURN_URL,
        RETURN_URL + "\n",
        "javascript:alert(1)",
        "",
        "x" * 2049,
        7,
        [RETURN_URL],
    ],
)
def test_a_return_url_is_one_that_was_registered_letter_by_letter(app: SalesApp, value: object) -> None:
    """STD-10: suffixes, userinfo, other schemes, dots, ports, fragments, homographs."""
    assert _field_refused(app.session(return_url=value)) == ["return_url"]


def test_a_return_url_of_another_client_is_not_ours(house: House) -> None:
    house.client(return_urls=("https://other.example/back",))
    answer = house.client().session(return_url="https://other.example/back")
    assert _field_refused(answer) == ["return_url"]


@pytest.mark.parametrize("member", ["scope", "scopes", "state", "redirect_uri", "client_id", "Tenant", "__proto__", ""])
def test_a_member_that_nobody_knows_is_refused(app: SalesApp, member: str) -> None:
    """Nobody types a scope, and nothing is taken along unseen (STD-65)."""
    assert _field_refused(app.session(**{member: "x"})) == [member or "body"]


def test_parameters_in_the_address_are_refused(app: SalesApp) -> None:
    answer = app.call("POST", "/v1/connect-sessions?tenant=toko", {})
    assert answer.status_code in (400, 422)


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b"{}", "text/plain", 415, "unsupported_media_type"),
        (b"{}", None, 415, "unsupported_media_type"),
        (b"tenant=toko", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b"", "application/json", 400, "invalid_request"),
        (b"{", "application/json", 400, "invalid_request"),
        (b"\xff", "application/json", 400, "invalid_request"),
        (b'{"tenant": "a", "tenant": "b"}', "application/json", 400, "invalid_request"),
        (b'{"tenant": "\\ud800"}', "application/json", 400, "invalid_request"),
        (b'{"tenant": NaN}', "application/json", 400, "invalid_request"),
        (b"[" * 60_000, "application/json", 400, "invalid_request"),
        (b"[]", "application/json", 422, "invalid_request"),
        (b"null", "application/json", 422, "invalid_request"),
        (b'"x"', "application/json", 422, "invalid_request"),
        (b"x" * 65_537, "application/json", 413, "too_large"),
    ],
)
def test_a_body_is_one_json_object(app: SalesApp, body: bytes, kind: str | None, status: int, code: str) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = app.call("POST", "/v1/connect-sessions", data=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_refusal_never_says_back_what_was_sent(app: SalesApp) -> None:
    """A value may be a secret that was put into the wrong member."""
    answer = app.session(purpose="PROVIDER-SECRET-1\n", subject="PROVIDER SECRET")
    assert answer.status_code == 422
    assert "SECRET" not in answer.text


def test_all_that_is_wrong_is_said_at_once(app: SalesApp) -> None:
    answer = app.session(subject="a b", locale="fr", purpose="")
    assert sorted(_field_refused(answer)) == ["locale", "purpose", "subject"]


def test_a_foreign_tenant_answers_like_one_that_does_not_exist(house: House) -> None:
    """G-6."""
    house.client(tenants=("warung",)).begin("google_contacts", tenant="warung")
    mine = house.client()
    foreign = mine.session("google_contacts", tenant="warung")
    unknown = mine.session("google_contacts", tenant="nobody")
    assert (foreign.status_code, foreign.json()["code"]) == (404, "not_found")
    assert _without_request_id(foreign) == _without_request_id(unknown)


def test_a_client_of_all_tenants_begins_for_any(house: House) -> None:
    assert house.client(tenants=("*",)).session("google_contacts", tenant="any").status_code == 201


@pytest.mark.parametrize("scope", [scope for scope in ALL_SCOPES if scope != "connect"])
def test_the_scope_connect_is_needed(house: House, scope: str) -> None:
    answer = house.client(scope).session("google_contacts")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert "connect" in answer.json()["detail"]


def test_without_a_token_nothing_begins(app: SalesApp) -> None:
    answer = app.call("POST", "/v1/connect-sessions", {}, headers={"Authorization": ""})
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


# --- renewing a connection -----------------------------------------------------------------------------------


def test_a_session_renews_a_connection_of_its_own_subject(app: SalesApp) -> None:
    connection = app.connect()["id"]
    assert app.session("google_contacts", connection=connection).status_code == 201


def test_the_connection_of_another_subject_or_tenant_is_not_there(app: SalesApp, house: House) -> None:
    """G-6, G-8: it answers like an id that nobody ever gave out."""
    connection = app.connect()["id"]
    other = house.client(tenants=("warung", "toko"), tenant="warung")
    unknown = app.session("google_contacts", connection="con_" + "0" * 32)
    for foreign in (
        app.session("google_contacts", connection=connection, subject="budi"),
        other.session("google_contacts", connection=connection),
        house.client(tenants=("warung",), tenant="warung").session("google_contacts", connection=connection),
    ):
        assert foreign.status_code == 404
        assert _without_request_id(foreign) == _without_request_id(unknown)


def test_a_connection_that_was_ended_cannot_be_renewed(app: SalesApp) -> None:
    connection = app.connect()["id"]
    app.revoke(connection)
    assert app.session("google_contacts", connection=connection).status_code == 404


@pytest.mark.parametrize("value", ["", "a b", "x" * 129, 7, [], {}])
def test_a_connection_to_renew_is_a_plain_id(app: SalesApp, value: object) -> None:
    assert _field_refused(app.session("google_contacts", connection=value)) == ["connection"]


# --- scopes, derived -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("connectors", "scopes"),
    [
        (("google_contacts",), {"contacts.readonly"}),
        (("google_calendar",), {"calendar.events.readonly", "calendar.calendarlist.readonly"}),
        (
            ("google_contacts", "google_calendar"),
            {"contacts.readonly", "calendar.events.readonly", "calendar.calendarlist.readonly"},
        ),
    ],
)
def test_what_is_asked_is_the_least_that_the_ticked_connectors_read(
    app: SalesApp, browser: Browser, connectors: tuple[str, ...], scopes: set[str]
) -> None:
    """STD-20. Identity under its full names, docs/facts/google.md §1.4."""
    asked = query(browser.approve(app.begin("google_contacts", "google_calendar"), connectors))["scope"].split(" ")
    identity = {"openid", f"{AUTH}userinfo.email"}
    assert set(asked) == identity | {AUTH + scope for scope in scopes}
    assert asked[0] == "openid"


def test_the_account_of_a_renewed_connection_is_named_to_the_provider(
    app: SalesApp, browser: Browser, google: Google
) -> None:
    """docs/facts/google.md §1.2: a `sub` as login_hint suppresses the chooser; else the user is to choose."""
    first = query(browser.approve(app.begin("google_contacts"), ["google_contacts"]))
    assert (first["prompt"], first.get("login_hint")) == ("select_account", None)
    connection = app.connect("google_contacts", account=BUDI)["id"]
    again = query(browser.approve(app.begin("google_contacts", connection=connection), ["google_contacts"]))
    assert (again.get("prompt"), again["login_hint"]) == (None, BUDI)
    assert ANI != BUDI


def test_a_login_hint_of_the_app_is_passed_on(app: SalesApp, browser: Browser) -> None:
    address = browser.approve(app.begin("google_contacts", login_hint="ani@example.com"), ["google_contacts"])
    assert query(address)["login_hint"] == "ani@example.com"


def test_the_authorization_request_is_googles_own(app: SalesApp, browser: Browser, house: House) -> None:
    """docs/facts/google.md §1.2; STD-06, STD-08."""
    asked = query(browser.approve(app.begin("google_contacts"), ["google_contacts"]))
    assert asked["response_type"] == "code"
    assert asked["client_id"] == house.environ["BROKER_GOOGLE_CLIENT_ID"]
    assert asked["redirect_uri"] == f"{house.url}/callback/google"
    assert (asked["access_type"], asked["include_granted_scopes"]) == ("offline", "true")
    assert asked["code_challenge_method"] == "S256"
    for random in ("state", "nonce", "code_challenge"):
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", asked[random]), random
    assert len({asked["state"], asked["nonce"], asked["code_challenge"]}) == 3


def _field_refused(answer) -> list[str]:
    """The fields that a 422 names."""
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert problem["code"] == "invalid_request"
    assert all(set(entry) == {"field", "problem"} for entry in problem["errors"])
    return [entry["field"] for entry in problem["errors"]]


def _without_request_id(answer) -> dict[str, object]:
    return {name: value for name, value in answer.json().items() if name != "request_id"}
