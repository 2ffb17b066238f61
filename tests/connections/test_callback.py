"""The callback: one browser, one provider app, one use, and the code kept unspent (contract §3, 3 and 4;
docs/facts/security.md STD-01 to STD-03, STD-05 to STD-08, STD-14, STD-15, INP-52, INP-53)."""

import base64
import hashlib
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pytest
import requests

from broker.sandbox.serve import Running
from tests.connections.idp import Idp
from tests.connections.page import Shown
from tests.house import Browser, Clock, Google, House, SalesApp, query

CONTACTS = ("google_contacts",)


@pytest.fixture
def house(shared_house: House, google: Google) -> House:
    return shared_house


def test_the_browser_goes_back_to_the_app_with_a_code_of_ours(app: SalesApp, browser: Browser) -> None:
    """STD-14: neither the provider's code nor `state` stays in the address."""
    callback = app.callback(*CONTACTS, browser=browser)
    answer = browser.get(callback)
    assert answer.status_code == 303
    location = answer.headers["Location"]
    assert location.startswith("https://sales.example/linked?tab=accounts&session=ses_")
    returned = query(location)
    assert set(returned) == {"tab", "session", "status", "code"}
    assert returned["status"] == app.status(returned["session"]) == "pending"
    assert len(returned["code"]) == 43
    for secret in (query(callback)["code"], query(callback)["state"]):
        assert secret not in location


def test_an_abandoned_way_leaves_nothing_at_the_provider_but_a_code(
    app: SalesApp, browser: Browser, house: House, google: Google
) -> None:
    """Unconfirmed after ten minutes it ends, and no token was ever made."""
    returned = app.pending(*CONTACTS, browser=browser)
    house.clock.advance(minutes=11)
    house.work()
    assert app.status(returned["session"]) == "expired"
    assert google.live_tokens() == 0
    assert google.requests("/token") == []


# --- the browser that began ----------------------------------------------------------------------------------


def test_another_browser_is_refused(app: SalesApp, browser: Browser, google: Google) -> None:
    """STD-02: the victim of a link that somebody else began."""
    callback = app.callback(*CONTACTS, browser=browser)
    _refused(Browser().get(callback))
    assert google.requests("/token") == []
    assert browser.come_back(callback)["status"] == "pending"


def test_a_browser_with_a_way_of_its_own_under_way_is_refused(app: SalesApp, browser: Browser, google: Google) -> None:
    """The cookie of another session does not do, not under this session's name either."""
    callback = app.callback(*CONTACTS, browser=browser)
    name = _only(list(browser.http.cookies.get_dict()))
    other = Browser()
    app.callback(*CONTACTS, browser=other)
    _refused(other.get(callback))
    _refused(requests.get(callback, cookies={name: _only(other.http.cookies.get_dict())}, timeout=10))
    assert google.requests("/token") == []


def test_a_cookie_that_is_wrong_is_refused(app: SalesApp, browser: Browser) -> None:
    """STD-02, INC-09: none that follows from `state` either."""
    callback = app.callback(*CONTACTS, browser=browser)
    name, right = next(iter(browser.http.cookies.get_dict().items()))
    state = query(callback)["state"]
    hashed = hashlib.sha256(state.encode())
    derived = base64.urlsafe_b64encode(hashed.digest()).rstrip(b"=").decode()
    wrong = ["", '""', state, hashed.hexdigest(), derived, right[:-1], right + "x", right.swapcase(), "\xff", "%00"]
    for value in wrong:
        header = f"{name}={value}".encode("latin-1")
        _refused(requests.get(callback, headers={b"Cookie": header}, allow_redirects=False, timeout=10))
    _refused(requests.get(callback, headers={"Cookie": f"{name.upper()}={right}"}, allow_redirects=False, timeout=10))
    answer = requests.get(callback, headers={"Cookie": f"{name}={right}"}, allow_redirects=False, timeout=10)
    assert answer.status_code == 303


def test_the_cookie_is_for_this_host_and_not_for_scripts(app: SalesApp, browser: Browser, house: House) -> None:
    answer = browser.post(app.begin(*CONTACTS), {"decision": "approve", "connector": "google_contacts"})
    cookie, _, rest = answer.headers["Set-Cookie"].partition("; ")
    assert cookie.startswith("broker-ses_")
    attributes = dict(part.partition("=")[::2] for part in rest.split("; "))
    assert attributes["Path"] == "/"
    assert attributes["SameSite"] == "Lax"
    assert attributes["Max-Age"] == "1200"
    assert "HttpOnly" in attributes
    assert "Domain" not in attributes
    assert "Secure" not in attributes


def test_under_https_the_cookie_is_tied_to_the_host(build, sqlite_url: str, google: Google) -> None:
    """STD-02: `__Host-` with Secure, Path=/ and no Domain; the plain name does not do."""
    public = "https://broker.example"
    house: House = build(sqlite_url, BROKER_PUBLIC_URL=public)
    app, browser = house.client(), Browser()
    sent = browser.post(
        app.begin(*CONTACTS).replace(public, house.url), {"decision": "approve", "connector": "google_contacts"}
    )
    cookie, _, rest = sent.headers["Set-Cookie"].partition("; ")
    assert cookie.startswith("__Host-broker-ses_")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(rest.split("; "))
    assert "Domain" not in rest
    callback = browser.at_google(sent.headers["Location"])
    assert callback.startswith(f"{public}/callback/google?")
    callback = callback.replace(public, house.url)
    _refused(browser.get(callback, Cookie=cookie.removeprefix("__Host-")))
    answer = browser.get(callback, Cookie=cookie)
    assert query(answer.headers["Location"])["status"] == "pending"


# --- in time -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["", "x", "x" * 43, "A" * 10_000, "%00", "a\r\nSet-Cookie: x=1"])
def test_an_unknown_state_is_refused(house: House, browser: Browser, state: str) -> None:
    _refused(browser.get(f"{house.url}/callback/google?{urlencode({'state': state, 'code': '4/0Ax'})}"))


def test_a_state_ends_after_ten_minutes(app: SalesApp, browser: Browser, clock: Clock, google: Google) -> None:
    """STD-08."""
    session = app.session(*CONTACTS).json()
    callback = browser.at_google(browser.approve(session["url"], CONTACTS))
    clock.advance(minutes=9, seconds=55)
    early = app.callback(*CONTACTS, browser=browser)
    clock.advance(seconds=6)
    _refused(browser.get(callback))
    assert browser.come_back(early)["status"] == "pending"
    assert app.status(session["id"]) == "expired"
    assert google.requests("/token") == []


def test_a_denied_session_takes_no_callback(app: SalesApp, browser: Browser) -> None:
    """The user went back and said no after all."""
    link = app.begin(*CONTACTS)
    callback = browser.at_google(browser.approve(link, CONTACTS))
    browser.post(link, {"decision": "deny"})
    _refused(browser.get(callback))


# --- the provider that was asked -----------------------------------------------------------------------------


@pytest.fixture
def idp(clock: Clock) -> Iterator[Idp]:
    """It promises `iss` in each callback."""
    idp = Idp(clock)
    with Running(idp.app) as running:
        idp.url = running.url
        yield idp


@pytest.fixture
def two_providers(build, sqlite_url: str, idp: Idp) -> House:
    house: House = build(sqlite_url, **idp.environ(idp.url))
    return house


def test_an_answer_at_another_providers_path_is_refused(
    two_providers: House, idp: Idp, browser: Browser, google: Google
) -> None:
    """STD-03: else one provider's code ends at another's token endpoint (cross-toolkit account takeover)."""
    app = two_providers.client()
    callback = app.callback(*CONTACTS, browser=browser)
    for path in ("other", "nobody", "google2", "Google"):
        _refused(browser.get(callback.replace("/callback/google?", f"/callback/{path}?")))
    assert (google.requests("/token"), idp.asked) == ([], [])
    assert app.confirm(browser.come_back(callback)).status_code == 200


def test_each_provider_app_has_a_path_of_its_own(two_providers: House, idp: Idp, browser: Browser) -> None:
    app = two_providers.client()
    link = app.begin("openid_profile", provider="other")
    asked = query(browser.approve(link, ["openid_profile"]))
    assert asked["redirect_uri"] == f"{two_providers.url}/callback/other"
    form_action = browser.get(app.begin("openid_profile", provider="other")).headers["Content-Security-Policy"]
    assert idp.url in form_action


def test_a_provider_that_promises_iss_must_send_it(two_providers: House, idp: Idp, browser: Browser) -> None:
    """STD-07, RFC 9207 §2.4."""
    app = two_providers.client()
    for iss, status in ((idp.url, 303), (None, 400), (idp.url + "/", 400), ("https://accounts.google.com", 400)):
        session = app.session("openid_profile", provider="other").json()
        state = query(browser.approve(session["url"], ["openid_profile"]))["state"]
        answer = {"state": state, "code": "CODE-1", **({"iss": iss} if iss else {})}
        came = browser.get(f"{two_providers.url}/callback/other?{urlencode(answer)}")
        assert came.status_code == status, iss
        assert app.status(session["id"]) == ("pending" if status == 303 else "failed")
    assert not [path for path in idp.asked if "token" in path]


@pytest.mark.parametrize(
    "iss",
    [
        "https://accounts.example.net",
        "https://accounts.google.com/",
        "http://accounts.google.com",
        "accounts.google.com",
        "https://ACCOUNTS.google.com",
        "https://accounts.google.com.evil.example",
        " https://accounts.google.com",
    ],
)
def test_another_issuer_is_refused_and_the_state_used_up(
    app: SalesApp, browser: Browser, google: Google, iss: str
) -> None:
    """STD-07; docs/facts/google.md §1.3: if it is there it must be exactly Google's."""
    google.quirk(wrong_iss=iss)
    callback = app.callback(*CONTACTS, browser=browser)
    assert query(callback)["iss"] == iss
    _refused(browser.get(callback))
    _refused(browser.get(_with(callback, iss="https://accounts.google.com")))
    assert google.requests("/token") == []


def test_google_may_leave_iss_out(app: SalesApp, browser: Browser, google: Google) -> None:
    """docs/facts/google.md §1.3: it sends it and does not announce it."""
    google.quirk(omit_iss=True)
    callback = app.callback(*CONTACTS, browser=browser)
    assert "iss" not in query(callback)
    assert browser.come_back(callback)["status"] == "pending"


# --- what comes back -----------------------------------------------------------------------------------------


def test_access_denied_is_denied(app: SalesApp, browser: Browser, google: Google) -> None:
    returned = app.pending(*CONTACTS, browser=browser, decision="cancel")
    assert set(returned) == {"tab", "session", "status"}
    assert returned["status"] == app.status(returned["session"]) == "denied"
    assert google.requests("/token") == []


@pytest.mark.parametrize("error", ["server_error", "temporarily_unavailable", "ACCESS_DENIED", "<script>", "x" * 256])
def test_any_other_error_is_failed_and_not_said_back(app: SalesApp, browser: Browser, error: str) -> None:
    """STD-15: the provider's words are data, and `state` is used up."""
    callback = app.callback(*CONTACTS, browser=browser)
    failed = _with(callback, code=None, error=error, error_description="LOUD", error_uri="https://evil.example")
    answer = browser.get(failed)
    returned = query(answer.headers["Location"])
    assert set(returned) == {"tab", "session", "status"}
    assert returned["status"] == app.status(returned["session"]) == "failed"
    assert error not in answer.headers["Location"]
    _refused(browser.get(callback))


def test_an_error_that_nobody_asked_for_ends_nothing(app: SalesApp, browser: Browser, house: House) -> None:
    """A stranger cannot end a way that is under way: the cookie is needed for a denial too."""
    callback = app.callback(*CONTACTS, browser=browser)
    _refused(Browser().get(_with(callback, code=None, error="access_denied")))
    assert browser.come_back(callback)["status"] == "pending"


@pytest.mark.parametrize(
    "change",
    [
        {"code": None},
        {"code": ""},
        {"code": None, "error": ""},
        {"code": "", "error": "access_denied"},
        {"error": "access_denied"},
        {"error": ""},
        {"state": None},
        {"state": ""},
        {"code": "4/" + "x" * 2047},
        {"code": "4/0A\x00"},
        {"code": "4/0A\r\nHost: evil"},
        {"code": "4/0A\u0430"},
        {"code": "4/0A\x7f"},
        {"state": "x" * 10_000},
        {"iss": "https://accounts.google.com\n"},
        {"iss": ""},
        {"iss": "x" * 513},
        {"code": None, "error": "x" * 257},
        {"access_token": "ya29.x"},
        {"id_token": "e30.e30.x"},
        {"refresh_token": ""},
        {"code[]": "4/0Ax"},
        {"state[0]": "x"},
        {"error[a]": "x"},
        {"iss[]": "x"},
    ],
)
def test_an_answer_that_is_none_is_refused_and_uses_nothing_up(
    app: SalesApp, browser: Browser, google: Google, change: dict[str, str | None]
) -> None:
    """INP-52: missing, empty, over-long, with control characters, contradictory, in brackets."""
    callback = app.callback(*CONTACTS, browser=browser)
    _refused(browser.get(_with(callback, **change)))
    assert browser.come_back(callback)["status"] == "pending"
    assert google.requests("/token") == []


@pytest.mark.parametrize("name", ["state", "code", "iss"])
@pytest.mark.parametrize("again", ["x", None])
def test_a_parameter_that_stands_twice_is_refused(
    app: SalesApp, browser: Browser, name: str, again: str | None
) -> None:
    """INP-52, STD-65: also where it says the same twice."""
    callback = app.callback(*CONTACTS, browser=browser)
    second = query(callback)[name] if again is None else again
    _refused(browser.get(f"{callback}&{urlencode({name: second})}"))
    _refused(browser.get(callback.replace("?", f"?{urlencode({name: second})}&")))
    assert browser.come_back(callback)["status"] == "pending"


def test_what_google_adds_is_let_through(app: SalesApp, browser: Browser) -> None:
    """docs/facts/google.md §1.3; and the `scope` of an address that the user can change counts for nothing."""
    callback = app.callback(*CONTACTS, browser=browser, without={"nothing"})
    added = _with(callback, authuser="3", prompt="consent", hd="example.com", scope="everything", next="//evil")
    connection = app.confirm(browser.come_back(added)).json()["connection"]
    assert "everything" not in connection["scopes"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Mode": "cors"},
        {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
        {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "embed"},
        {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Purpose": "prefetch;prerender"},
    ],
)
def test_only_a_persons_own_navigation_brings_an_answer(
    app: SalesApp, browser: Browser, headers: dict[str, str]
) -> None:
    """INP-53: no fetch, no frame, no prefetch uses it up."""
    callback = app.callback(*CONTACTS, browser=browser)
    _refused(browser.get(callback, **headers))
    navigation = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "cross-site"}
    assert browser.get(callback, **navigation).status_code == 303


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE"])
def test_an_answer_comes_by_get_alone(app: SalesApp, browser: Browser, method: str) -> None:
    callback = app.callback(*CONTACTS, browser=browser)
    answer = browser.http.request(method, callback, allow_redirects=False, timeout=10)
    assert answer.status_code in (400, 405)
    assert browser.come_back(callback)["status"] == "pending"


def test_every_way_has_random_values_of_its_own(app: SalesApp, browser: Browser) -> None:
    """STD-06, STD-08: per flow, none derived from another."""
    asked = [query(browser.approve(app.begin(*CONTACTS), CONTACTS)) for _ in range(3)]
    values = [way[name] for way in asked for name in ("state", "nonce", "code_challenge")]
    values += browser.http.cookies.get_dict().values()
    assert len(set(values)) == len(values) == 12


def _refused(answer: requests.Response) -> None:
    """A plain page, the same for every reason, that says nothing of the request (STD-15)."""
    assert answer.status_code == 400, answer.text
    shown = Shown(answer.text)
    assert shown.title == "This did not work"
    assert "start again in the app" in shown.text
    assert "Location" not in answer.headers
    assert "Set-Cookie" not in answer.headers


def _with(address: str, **changes: str | None) -> str:
    """The address with parameters set, or with None taken out."""
    parts = urlsplit(address)
    parameters = {**dict(parse_qsl(parts.query)), **changes}
    kept = {name: value for name, value in parameters.items() if value is not None}
    return urlunsplit(parts._replace(query=urlencode(kept)))


def _only(values):
    (value,) = values.values() if isinstance(values, dict) else values
    return value
