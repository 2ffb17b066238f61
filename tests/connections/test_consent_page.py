"""The consent page: what it says, and that looking at it changes nothing (contract §3, 2; docs/facts/security.md
STD-09, STD-11, STD-13, INP-51, INP-57)."""

from collections.abc import Mapping
from dataclasses import asdict, fields, replace

import pytest

from broker.consent import consent_text
from broker.providers.base import AuthorizationHints
from broker.providers.google import Google as GoogleProvider
from tests.connections.insight import rows
from tests.connections.page import Shown
from tests.house import CALENDAR_LIST, CONTACTS, EVENTS, Browser, Google, House, SalesApp, query

BOTH = ("google_contacts", "google_calendar")
SCRIPT = '"><script>alert(1)</script>{{ 7*7 }}{provider}'


@pytest.fixture
def house(shared_house: House, google: Google) -> House:
    return shared_house


@pytest.mark.parametrize(
    ("locale", "title", "asks", "buttons"),
    [
        (
            "en",
            "Connect Google",
            "Toko Maju asks to read data from your Google account.",
            {"approve": "Continue to Google", "deny": "No, go back"},
        ),
        (
            "id",
            "Hubungkan Google",
            "Toko Maju meminta izin membaca data dari akun Google Anda.",
            {"approve": "Lanjut ke Google", "deny": "Tidak, kembali"},
        ),
    ],
)
def test_the_page_says_who_asks_in_the_language_asked_for(
    app: SalesApp, browser: Browser, locale: str, title: str, asks: str, buttons: dict[str, str]
) -> None:
    answer = browser.get(app.begin(*BOTH, locale=locale, tenant_label="Toko Maju"))
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    shown = Shown(answer.text)
    assert (shown.language, shown.title) == (locale, title)
    assert asks in shown.text
    assert shown.buttons() == buttons


def test_the_page_says_for_whom_and_for_what(app: SalesApp, browser: Browser) -> None:
    members = {"subject_label": "Ani (ani@toko.example)", "purpose": "Call customers back"}
    text = Shown(browser.get(app.begin(*BOTH, **members)).text).text
    assert "For: Ani (ani@toko.example)" in text
    assert "Purpose: Call customers back" in text
    assert "its email address" in text


def test_without_labels_the_page_still_says_that_somebody_asks(app: SalesApp, browser: Browser) -> None:
    text = Shown(browser.get(app.begin("google_contacts")).text).text
    assert "The sales app asks to read data" in text
    assert "For:" not in text
    assert "Purpose:" not in text


@pytest.mark.parametrize("locale", ["en", "id"])
def test_each_connector_stands_there_ticked_with_what_it_reads(app: SalesApp, browser: Browser, locale: str) -> None:
    boxes = Shown(browser.get(app.begin(*BOTH, locale=locale)).text).boxes()
    assert [box.value for box in boxes] == list(BOTH)
    assert all(box.ticked for box in boxes)
    words = {
        "en": [("Google Contacts", "phone numbers"), ("Google Calendar", "guests")],
        "id": [("Kontak Google", "nomor telepon"), ("Google Kalender", "tamu")],
    }
    for box, (title, reads) in zip(boxes, words[locale], strict=True):
        assert box.label == title
        assert reads in box.described


@pytest.mark.parametrize("locale", ["en", "id"])
def test_every_field_that_is_read_has_words_for_people(
    app: SalesApp, house: House, browser: Browser, locale: str
) -> None:
    """The provider's own names, like `phoneNumbers`, tell a user nothing."""
    names = [name for name, connector in house.broker.connectors.items() if connector.provider == "google"]
    text = Shown(browser.get(app.begin(*names, locale=locale)).text).text
    google = house.broker.provider("google")
    for name in names:
        reads = house.broker.connector(name).reads
        for field in reads.fields:
            assert google.resources[reads.resource].titles[field][locale] in text


def test_the_page_links_the_privacy_policy_and_nothing_else(app: SalesApp, browser: Browser) -> None:
    shown = Shown(browser.get(app.begin("google_contacts", privacy_url="https://toko.example/privacy?a=1&b=2")).text)
    assert [link["href"] for link in shown.all("a")] == ["https://toko.example/privacy?a=1&b=2"]
    assert "noreferrer" in shown.all("a")[0]["rel"]
    assert Shown(browser.get(app.begin("google_contacts")).text).all("a") == []


def test_the_page_needs_no_script_and_nothing_from_elsewhere(app: SalesApp, browser: Browser, house: House) -> None:
    """STD-13."""
    shown = Shown(browser.get(app.begin(*BOTH)).text)
    assert not {"script", "img", "iframe", "object", "embed", "svg"} & {name for name, _ in shown.elements}
    assert [link["href"] for link in shown.all("link")] == ["/static/broker.css"]
    assert not [attrs for _, attrs in shown.elements if "style" in attrs or any(name[:2] == "on" for name in attrs)]
    assert shown.all("form") == [{"method": "post"}]
    style = browser.get(f"{house.url}/static/broker.css")
    assert style.status_code == 200
    assert "url(" not in style.text
    assert "@import" not in style.text


@pytest.mark.parametrize("member", ["tenant_label", "subject_label", "purpose"])
def test_markup_in_labels_is_text(app: SalesApp, browser: Browser, member: str) -> None:
    """INP-57."""
    answer = browser.get(app.begin("google_contacts", **{member: SCRIPT}))
    assert answer.status_code == 200
    shown = Shown(answer.text)
    assert SCRIPT in shown.text
    assert shown.all("script") == []


def test_parameters_of_the_link_change_nothing(app: SalesApp, browser: Browser) -> None:
    """STD-09, INP-54: whoever passes the link on cannot add to it."""
    link = app.begin("google_contacts")
    added = f"{link}?scope=x&connector=google_calendar&return_url=https://evil.example&locale=id&next=//evil.example"
    assert browser.get(added).text == browser.get(link).text
    address = browser.approve(added, ["google_contacts"])
    assert "evil.example" not in address
    assert EVENTS not in query(address)["scope"]


def test_every_word_of_the_page_counts_in_its_fingerprint(house: House) -> None:
    """docs/facts/security.md §7.2: what the user saw can be proven, to the letter; but for their name, which is not
    kept with it."""
    broker = house.broker
    said = consent_text(
        broker.provider("google"),
        [broker.connector(name) for name in BOTH],
        locale="en",
        tenant_label="Toko",
        subject_label="Ani",
        purpose="Call back",
    )
    for field in fields(said):
        value = getattr(said, field.name)
        if field.name == "subject":
            assert replace(said, subject="For: Budi").fingerprint() == said.fingerprint()
            assert replace(said, subject=None).fingerprint() != said.fingerprint()
            continue
        other = value[:-1] if isinstance(value, tuple) else f"{value}." if isinstance(value, str) else not value
        assert replace(said, **{field.name: other}).fingerprint() != said.fingerprint(), field.name
    for field in fields(said.connectors[0]):
        changed = replace(said.connectors[0], **{field.name: "other"})
        other_text = replace(said, connectors=(changed, *said.connectors[1:]))
        assert other_text.fingerprint() != said.fingerprint(), field.name
    assert replace(said).fingerprint() == said.fingerprint()


def test_the_page_says_what_the_fingerprint_is_of(app: SalesApp, house: House, browser: Browser) -> None:
    """Every text of the value stands on the page."""
    broker = house.broker
    labels = {"tenant_label": "Toko", "subject_label": "Ani", "purpose": "Call back"}
    connectors = [broker.connector(name) for name in BOTH]
    said = consent_text(broker.provider("google"), connectors, locale="en", **labels)
    privacy = "https://toko.example/privacy"
    shown = Shown(browser.get(app.begin(*BOTH, locale="en", privacy_url=privacy, **labels)).text)
    texts = {name: value for name, value in asdict(said).items() if isinstance(value, str)}
    assert {name for name, value in texts.items() if value not in shown.text} <= {"locale", "nothing_ticked"}
    for connector in said.connectors:
        for value in (connector.title, connector.reads, connector.optional):
            assert value is None or value in shown.text


# --- looking changes nothing ---------------------------------------------------------------------------------


def test_looking_changes_nothing_however_often(app: SalesApp, browser: Browser, google: Google, house: House) -> None:
    """STD-11: link previews and prefetches, then a person."""
    session = app.session(*BOTH).json()
    before = rows(house)
    for _ in range(3):
        for headers in (
            {},
            {"User-Agent": "WhatsApp/2.23"},
            {"Purpose": "prefetch", "Sec-Purpose": "prefetch"},
            {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"},
        ):
            answer = Browser().get(session["url"], **headers)
            assert (answer.status_code, answer.cookies.get_dict()) == (200, {})
        assert browser.http.head(session["url"], timeout=10).status_code == 200
    assert rows(house) == before
    assert app.status(session["id"]) == "open"
    assert google.requests() == []
    assert app.confirm(browser.come_back(browser.at_google(browser.approve(session["url"], BOTH)))).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_no_other_method_changes_anything(app: SalesApp, house: House, browser: Browser, method: str) -> None:
    session = app.session("google_contacts").json()
    before = rows(house)
    assert browser.http.request(method, session["url"], timeout=10).status_code in (200, 405)
    assert rows(house) == before


@pytest.mark.parametrize("ticket", ["unknown", "x" * 43, "x" * 5000, "%00", "%ff", "a b", "..", "%2e%2e", "ses_1"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_link_is_a_page_that_says_so(house: House, browser: Browser, ticket: str, method: str) -> None:
    """INP-51."""
    answer = browser.http.request(
        method, f"{house.url}/connect/{ticket}", data={"decision": "approve"}, timeout=10, allow_redirects=False
    )
    assert answer.status_code in (400, 404)
    if answer.status_code == 400:
        assert Shown(answer.text).title == "This did not work"


@pytest.mark.parametrize(("accepts", "title"), [("id-ID,id;q=0.9,en;q=0.5", "Tidak berhasil"), ("de", "This did not")])
def test_an_error_page_speaks_the_browsers_language(house: House, browser: Browser, accepts: str, title: str) -> None:
    answer = browser.get(f"{house.url}/connect/unknown", **{"Accept-Language": accepts})
    shown = Shown(answer.text)
    assert shown.title.startswith(title)
    assert answer.headers["X-Request-Id"] in shown.text


def test_a_link_ends_after_ten_minutes(app: SalesApp, house: House, browser: Browser) -> None:
    """STD-08."""
    session = app.session("google_contacts").json()
    house.clock.advance(minutes=9, seconds=50)
    assert browser.get(session["url"]).status_code == 200
    house.clock.advance(seconds=11)
    assert browser.get(session["url"]).status_code == 400
    assert browser.post(session["url"], {"decision": "approve", "connector": "google_contacts"}).status_code == 400
    assert browser.post(session["url"], {"decision": "deny"}).status_code == 400
    assert app.status(session["id"]) == "expired"


def test_sending_the_form_again_keeps_a_link_alive_for_an_hour_at_most(
    app: SalesApp, house: House, browser: Browser
) -> None:
    link = app.begin("google_contacts")
    sent = []
    for _ in range(9):
        sent.append(browser.post(link, {"decision": "approve", "connector": "google_contacts"}).status_code)
        house.clock.advance(minutes=8)
    assert sent == [303] * 8 + [400]


# --- the form ------------------------------------------------------------------------------------------------


def test_the_form_leads_to_the_provider_by_303(app: SalesApp, browser: Browser, google: Google) -> None:
    """STD-12: never 307, which would send the form on."""
    answer = browser.post(app.begin(*BOTH), [("decision", "approve"), *(("connector", name) for name in BOTH)])
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(f"{google.url}/o/oauth2/v2/auth?")
    assert answer.content == b""


@pytest.mark.parametrize(
    ("ticked", "scopes"), [("google_contacts", {CONTACTS}), ("google_calendar", {EVENTS, CALENDAR_LIST})]
)
def test_what_is_unticked_is_not_asked_for(app: SalesApp, browser: Browser, ticked: str, scopes: set[str]) -> None:
    asked = set(query(browser.approve(app.begin(*BOTH), [ticked]))["scope"].split())
    assert asked & {CONTACTS, EVENTS, CALENDAR_LIST} == scopes


def test_what_is_unticked_is_not_granted(house: House, browser: Browser) -> None:
    app = house.client(subject="chooser")
    callback = browser.at_google(browser.approve(app.begin(*BOTH), ["google_calendar"]))
    connection = app.confirm(browser.come_back(callback)).json()["connection"]
    assert [grant["connector"] for grant in connection["grants"]] == ["google_calendar"]
    assert CONTACTS not in connection["scopes"]
    answer = app.records(connection["id"], "google_contacts")
    assert (answer.status_code, answer.json()["code"]) == (403, "not_granted")


@pytest.mark.parametrize("locale", ["en", "id"])
def test_with_nothing_ticked_the_page_comes_back_and_says_so(app: SalesApp, browser: Browser, locale: str) -> None:
    session = app.session(*BOTH, locale=locale).json()
    answer = browser.post(session["url"], {"decision": "approve"})
    assert (answer.status_code, answer.cookies.get_dict()) == (400, {})
    shown = Shown(answer.text)
    assert {"en": "Tick at least one", "id": "Centang setidaknya satu"}[locale] in shown.text
    assert [box.ticked for box in shown.boxes()] == [False, False]
    assert [attrs for _, attrs in shown.elements if attrs.get("role") == "alert"]
    assert app.status(session["id"]) == "open"
    assert browser.approve(session["url"], ["google_contacts"])


@pytest.mark.parametrize("ticked", [["openid_profile"], ["google_calendar"], [""], ["google_contacts", "nope"]])
def test_a_tick_that_was_not_offered_is_refused(app: SalesApp, browser: Browser, ticked: list[str]) -> None:
    session = app.session("google_contacts").json()
    answer = browser.post(session["url"], [("decision", "approve"), *(("connector", name) for name in ticked)])
    assert (answer.status_code, answer.cookies.get_dict()) == (400, {})
    assert app.status(session["id"]) == "open"


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"decision": ""},
        {"decision": "yes"},
        {"decision": ["approve", "deny"]},
        {"decision": ["deny", "approve"]},
        {"decision": ["approve", "approve"]},
        {"connector": "google_contacts"},
    ],
)
def test_a_form_without_one_decision_is_refused(app: SalesApp, browser: Browser, form: dict[str, object]) -> None:
    session = app.session("google_contacts").json()
    assert browser.post(session["url"], {"connector": "google_contacts", **form}).status_code == 400
    assert app.status(session["id"]) == "open"


def test_a_decision_in_the_address_or_in_json_is_none(app: SalesApp, browser: Browser) -> None:
    session = app.session("google_contacts").json()
    ticked = {"connector": "google_contacts"}
    assert browser.post(session["url"] + "?decision=approve", ticked).status_code == 400
    assert browser.post(session["url"] + "?connector=google_contacts", {"decision": "approve"}).status_code == 400
    assert browser.post(session["url"] + "?decision=deny").status_code == 400
    by_json = {"decision": "approve", "connector": "google_contacts"}
    assert browser.http.post(session["url"], json=by_json, allow_redirects=False, timeout=10).status_code == 400
    assert app.status(session["id"]) == "open"


def test_deny_goes_back_to_the_app(app: SalesApp, browser: Browser, google: Google) -> None:
    session = app.session(*BOTH).json()
    answer = browser.post(session["url"], {"decision": "deny"})
    assert answer.status_code == 303
    location = answer.headers["Location"]
    assert location.startswith("https://sales.example/linked?tab=accounts&")
    assert query(location) == {"tab": "accounts", "session": session["id"], "status": "denied"}
    assert app.status(session["id"]) == "denied"
    assert google.requests() == []


def test_after_deny_the_link_is_over(app: SalesApp, browser: Browser) -> None:
    link = app.begin("google_contacts")
    browser.post(link, {"decision": "deny"})
    assert browser.get(link).status_code == 400
    assert browser.post(link, {"decision": "approve", "connector": "google_contacts"}).status_code == 400
    assert browser.post(link, {"decision": "deny"}).status_code == 400


def test_a_form_sent_twice_makes_the_first_way_worthless(app: SalesApp, browser: Browser, google: Google) -> None:
    """INP-51: two tabs. One session, one state that counts."""
    link = app.begin("google_contacts")
    first, second = (browser.approve(link, ["google_contacts"]) for _ in range(2))
    assert query(first)["state"] != query(second)["state"]
    assert browser.get(browser.at_google(first)).status_code == 400
    assert browser.come_back(browser.at_google(second))["status"] == "pending"
    assert google.requests("/token") == []


def test_a_used_link_is_over(app: SalesApp, browser: Browser) -> None:
    link = app.begin("google_contacts")
    browser.come_back(browser.at_google(browser.approve(link, ["google_contacts"])))
    assert browser.get(link).status_code == 400
    assert browser.post(link, {"decision": "approve", "connector": "google_contacts"}).status_code == 400
    assert browser.post(link, {"decision": "deny"}).status_code == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "nonsense"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "null"},
        {"Origin": "https://evil.example"},
        {"Origin": "https://127.0.0.1"},
        {"Origin": "http://localhost"},
        {"Origin": "http://["},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
    ],
)
@pytest.mark.parametrize("decision", ["approve", "deny"])
def test_a_form_from_another_site_is_refused(
    app: SalesApp, browser: Browser, headers: dict[str, str], decision: str
) -> None:
    """INP-51: else an attacker's page begins the flow that the user never saw."""
    session = app.session("google_contacts").json()
    answer = browser.post(session["url"], {"decision": decision, "connector": "google_contacts"}, **headers)
    assert (answer.status_code, answer.cookies.get_dict()) == (400, {})
    assert app.status(session["id"]) == "open"


def test_a_page_of_another_origin_on_this_host_is_another_site(app: SalesApp, browser: Browser, house: House) -> None:
    session = app.session("google_contacts").json()
    form = {"decision": "approve", "connector": "google_contacts"}
    for origin in (house.url.replace("http:", "https:"), f"{house.url}.evil.example", "http://127.0.0.1:1"):
        host = {"Host": origin.partition("//")[2]}
        assert browser.post(session["url"], form, Origin=origin, **host).status_code == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Origin": "null"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {},
    ],
)
def test_a_form_from_the_page_itself_is_taken(app: SalesApp, browser: Browser, headers: dict[str, str]) -> None:
    """Browsers send `Origin: null` from a page with `Referrer-Policy: no-referrer`."""
    form = {"decision": "approve", "connector": "google_contacts"}
    assert browser.post(app.begin("google_contacts"), form, **headers).status_code == 303
    own = app.url
    assert browser.post(app.begin("google_contacts"), form, Origin=own).status_code == 303


class AllOrNothing(GoogleProvider):
    """A provider like Login for Business."""

    def all_or_nothing(self, options: Mapping[str, str]) -> bool:
        return True


def test_where_the_provider_grants_all_or_nothing_there_is_nothing_to_untick(
    sqlite_house: House, browser: Browser
) -> None:
    """Contract §3, 2: no checkboxes, and whatever a form says, all of it is asked for."""
    sqlite_house.broker.providers["google"] = AllOrNothing()  # type: ignore[index]
    app = sqlite_house.client()
    shown = Shown(browser.get(app.begin(*BOTH)).text)
    assert shown.all("input") == []
    assert "Google grants all of this or nothing." in shown.text
    assert "Google Contacts" in shown.text
    assert "Google Calendar" in shown.text
    for ticked in ([], ["google_contacts"]):
        asked = set(query(browser.approve(app.begin(*BOTH), ticked))["scope"].split())
        assert {CONTACTS, EVENTS, CALENDAR_LIST} <= asked


class Broken(GoogleProvider):
    """A defect of ours."""

    def authorize_parameters(self, hints: AuthorizationHints) -> dict[str, str]:
        raise RuntimeError("LOUD")


def test_a_defect_of_ours_is_a_page_too(sqlite_house: House, browser: Browser) -> None:
    sqlite_house.broker.providers["google"] = Broken()  # type: ignore[index]
    link = sqlite_house.client().begin("google_contacts")
    answer = browser.post(link, {"decision": "approve", "connector": "google_contacts"})
    assert answer.status_code == 500
    shown = Shown(answer.text)
    assert "not answering at the moment" in shown.text
    assert "LOUD" not in answer.text
    assert answer.headers["X-Request-Id"] in shown.text


# --- headers -------------------------------------------------------------------------------------------------


def test_every_browser_answer_carries_the_headers(
    app: SalesApp, browser: Browser, house: House, google: Google
) -> None:
    """STD-13, on pages, errors and redirects alike."""
    link = app.begin("google_contacts")
    shown = browser.get(link)
    sent = browser.post(link, {"decision": "approve", "connector": "google_contacts"})
    returned = browser.get(browser.at_google(sent.headers["Location"]))
    answers = [
        shown,
        sent,
        returned,
        browser.get(link),
        browser.post(app.begin("google_contacts"), {"decision": "approve"}),
        browser.post(app.begin("google_contacts"), {"decision": "deny"}),
        browser.get(f"{house.url}/callback/google"),
        browser.get(f"{house.url}/callback/nobody?state=x&code=y"),
        browser.get(f"{house.url}/static/broker.css"),
    ]
    assert [answer.status_code for answer in answers] == [200, 303, 303, 400, 400, 303, 400, 400, 200]
    for answer in answers:
        policy = _policy(answer)
        assert policy["default-src"] == ["'none'"]
        assert policy["frame-ancestors"] == ["'none'"]
        assert policy["base-uri"] == ["'none'"]
        assert policy["style-src"] == ["'self'"]
        assert set(policy) == {"default-src", "frame-ancestors", "base-uri", "style-src", "form-action"}
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Server" not in answer.headers or "broker" not in answer.headers["Server"].lower()


def test_the_form_may_lead_to_the_provider_and_back_to_the_app_alone(
    app: SalesApp, browser: Browser, google: Google
) -> None:
    """Browsers apply form-action to the redirects after a form too (contract §2)."""
    shown = browser.get(app.begin("google_contacts"))
    assert sorted(_policy(shown)["form-action"]) == sorted(["'self'", google.url, "https://sales.example"])
    refused = browser.post(app.begin("google_contacts"), {"decision": "approve"})
    assert _policy(refused)["form-action"] == _policy(shown)["form-action"]


def test_in_production_the_page_asks_for_https_for_good(build, sqlite_url: str, browser: Browser) -> None:
    """STD-13; and the provider is named by its real origin."""
    house = build(sqlite_url, BROKER_ENV="production", BROKER_PUBLIC_URL="https://broker.example", BROKER_ORIGINS="")
    link = house.client().begin("google_contacts")
    assert link.startswith("https://broker.example/connect/")
    answer = browser.get(link.replace("https://broker.example", house.url))
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=63072000")
    assert "https://accounts.google.com" in _policy(answer)["form-action"]


def _policy(answer) -> dict[str, list[str]]:
    directives = (directive.split() for directive in answer.headers["Content-Security-Policy"].split(";"))
    return {name: values for name, *values in directives}
