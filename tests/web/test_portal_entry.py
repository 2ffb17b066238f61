"""The way into the portal: a link for one browser, looked at as often as anybody likes (contract §3).

docs/facts/security.md STD-02, STD-11, INP-51.
"""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import select

from broker import clients
from broker.errors import BrokerError
from broker.models import AuditEntry, PortalSession
from tests.house import RETURN_URL, Browser, Clock, House, SalesApp
from tests.portal import Portal, asked, link, opened


def refused(answer: requests.Response) -> bool:
    """By a page for people, with a status that says so."""
    return answer.status_code == 400 and "<h1>" in answer.text and "Location" not in answer.headers


def entered(url: str, browser: Browser) -> bool:
    return browser.post(url).status_code == 303


def noted(house: House, user: SalesApp) -> list[tuple[str, str]]:
    with house.broker.database.read() as session:
        rows = session.scalars(select(AuditEntry).where(AuditEntry.subject == user.subject).order_by(AuditEntry.seq))
        return [(row.action, row.actor) for row in rows if row.action.startswith("portal.")]


# --- the link ------------------------------------------------------------------------------------------------


def test_a_link_is_given_for_the_clients_own_tenant_alone(user: SalesApp) -> None:
    assert asked(user, tenant="kios").json()["code"] == "not_found"
    assert asked(user).status_code == 201


@pytest.mark.parametrize("url", ["https://evil.example/", RETURN_URL + "&more=1", RETURN_URL.upper()])
def test_the_way_back_must_be_one_that_is_registered(user: SalesApp, url: str) -> None:
    answer = asked(user, return_url=url)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "return_url")


def test_looking_at_a_link_uses_nothing_up(user: SalesApp) -> None:
    """Mail programs, previews and prefetches look; then the person comes."""
    url = link(user)
    for method in ("GET", "HEAD", "GET", "GET"):
        answer = requests.request(method, url, timeout=10, allow_redirects=False)
        assert (answer.status_code, "Set-Cookie" in answer.headers) == (200, False)
    assert entered(url, Browser())


def test_the_page_of_the_link_tells_nothing_about_the_subject(user: SalesApp) -> None:
    user.connect("google_contacts")
    page = requests.get(link(user), timeout=10).text
    assert user.subject not in page
    assert "ani@example.com" not in page


def test_the_first_browser_that_sends_the_form_is_the_only_one(user: SalesApp) -> None:
    url, first, second = link(user), Browser(), Browser()
    assert entered(url, first)
    assert refused(second.post(url))
    assert refused(second.get(url))
    assert entered(url, first), "the same browser may press the button again"
    assert first.get(url).status_code == 303


def test_of_many_browsers_at_once_one_gets_in(house: House) -> None:
    url = link(house.client())
    browsers = [Browser() for _ in range(8)]
    with ThreadPoolExecutor(len(browsers)) as pool:
        answers = list(pool.map(lambda browser: browser.post(url), browsers))
    assert sorted(answer.status_code for answer in answers) == [303] + [400] * 7
    (address,) = {answer.headers["Location"] for answer in answers if answer.status_code == 303}
    assert [browser.get(house.url + address).status_code for browser in browsers].count(200) == 1


def test_the_address_of_the_page_opens_nothing_without_the_cookie(user: SalesApp) -> None:
    portal = opened(user)
    for path in ("", "/end?all=yes", "/receipts/rev_1"):
        assert refused(Browser().get(portal.url + path))


def test_the_cookie_of_one_session_opens_no_other(user: SalesApp) -> None:
    mine, other = opened(user), opened(SalesApp(user.url, user.client_id, user.client_secret, subject="somebody"))
    (name,), (value,) = other.browser.http.cookies.keys(), mine.browser.http.cookies.values()
    forged = Browser()
    forged.http.cookies.set(name, value)
    assert refused(forged.get(other.url))


def test_the_address_of_the_page_holds_no_secret_of_the_link(user: SalesApp) -> None:
    url, browser = link(user), Browser()
    assert url.rpartition("/")[2] not in browser.post(url).headers["Location"]


def test_neither_the_link_nor_the_cookie_is_stored(shared_house: House, user: SalesApp) -> None:
    url, browser = link(user), Browser()
    browser.post(url)
    (cookie,) = browser.http.cookies.values()
    folder = Path(shared_house.environ["BROKER_DATABASE_URL"].removeprefix("sqlite:///")).parent
    stored = b"".join(path.read_bytes() for path in folder.glob("broker.db*"))
    assert user.subject.encode() in stored
    assert url.rpartition("/")[2].encode() not in stored
    assert cookie.encode() not in stored


@pytest.mark.parametrize("text", ["nothing", "a" * 3000, "%00", "..%2f..", "é"])
def test_a_link_that_nobody_made_is_a_plain_page(user: SalesApp, text: str) -> None:
    for method in ("GET", "POST"):
        answer = requests.request(method, f"{user.url}/portal/open/{text}", timeout=10)
        assert answer.status_code in (400, 404)


# --- times ---------------------------------------------------------------------------------------------------


def test_a_link_is_good_for_ten_minutes(user: SalesApp, clock: Clock) -> None:
    early, late = link(user), link(user)
    clock.advance(minutes=9, seconds=50)
    assert entered(early, Browser())
    clock.advance(seconds=15)
    assert refused(Browser().get(late))
    assert refused(Browser().post(late))


def test_a_session_that_is_not_used_ends_after_half_an_hour(user: SalesApp, clock: Clock) -> None:
    portal = opened(user)
    clock.advance(minutes=31)
    assert refused(portal.browser.get(portal.url))


def test_a_session_that_is_used_goes_on_but_not_beyond_two_hours(user: SalesApp, clock: Clock) -> None:
    portal = opened(user)
    for _ in range(5):
        clock.advance(minutes=20)
        portal.page()
    clock.advance(minutes=21)
    assert refused(portal.browser.get(portal.url))


def test_what_is_over_is_swept_away(shared_house: House, user: SalesApp, clock: Clock) -> None:
    opened(user)
    clock.advance(hours=3)
    shared_house.work()
    with shared_house.broker.database.read() as session:
        assert session.scalars(select(PortalSession)).all() == []


def test_with_the_client_that_vouched_the_session_ends(shared_house: House) -> None:
    app = shared_house.client(subject="of-a-client-that-ends")
    waiting, portal = link(app), opened(app)
    clients.disable(shared_house.broker.database, shared_house.clock(), app.client_id)
    assert refused(portal.browser.get(portal.url))
    assert refused(Browser().post(waiting))


def test_leaving_ends_the_session_and_leads_back(user: SalesApp) -> None:
    portal = opened(user)
    answer = portal.post("/leave")
    assert (answer.status_code, answer.headers["Location"]) == (303, RETURN_URL)
    assert refused(portal.browser.get(portal.url))


# --- forms of others -----------------------------------------------------------------------------------------


@pytest.fixture
def victim(user: SalesApp) -> tuple[Portal, str]:
    """An open portal, and a connection that is to be there at the end."""
    connection = user.connect("google_contacts")["id"]
    return opened(user), connection


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
    ],
    ids=str,
)
def test_a_form_of_another_site_changes_nothing(
    user: SalesApp, victim: tuple[Portal, str], headers: dict[str, str]
) -> None:
    portal, connection = victim
    assert refused(portal.post("/end", {"connection": connection}, **headers))
    assert refused(portal.post("/leave", **headers))
    assert refused(Browser().post(link(user), **headers))
    assert user.connection(connection)["state"] == "active"


def test_a_form_without_this_sessions_token_changes_nothing(user: SalesApp, victim: tuple[Portal, str]) -> None:
    portal, connection = victim
    for token in ("", "0" * 64, opened(user).token()):
        for path in ("/end", "/export", "/leave", "/language"):
            form = {"token": token, "connection": connection, "as": "json", "locale": "id"}
            assert refused(portal.browser.post(portal.url + path, form)), path
    assert user.connection(connection)["state"] == "active"
    assert 'lang="en"' in portal.page()


# --- what surrounds it ---------------------------------------------------------------------------------------


def test_every_page_has_the_headers_of_a_page(user: SalesApp, victim: tuple[Portal, str]) -> None:
    portal, connection = victim
    for answer in (
        requests.get(link(user), timeout=10),
        portal.browser.get(portal.url),
        portal.browser.get(f"{portal.url}/end?connection={connection}"),
        portal.browser.get(f"{portal.url}/receipts/none"),
    ):
        policy = answer.headers["Content-Security-Policy"]
        assert {"default-src 'none'", "frame-ancestors 'none'"} <= {part.strip() for part in policy.split(";")}
        assert "unsafe" not in policy
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert not re.search(r"<script|style=|\son\w+=", answer.text)
    assert (
        "form-action 'self' https://sales.example" in portal.browser.get(portal.url).headers["Content-Security-Policy"]
    )


def test_the_cookie_is_tied_to_this_host_over_https(
    build: Callable[..., House], sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    house = build(sqlite_url, BROKER_PUBLIC_URL="https://broker.example")
    path = link(house.client()).removeprefix("https://broker.example")
    answer = requests.post(house.url + path, timeout=10, allow_redirects=False)
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-broker-por_")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= {part.strip() for part in cookie.split(";")}
    assert "Domain" not in cookie
    assert path.rpartition("/")[2] not in caplog.text


def test_who_began_opened_and_left_stands_in_the_audit(shared_house: House, user: SalesApp) -> None:
    portal = opened(user)
    portal.post("/export", {"as": "json"})
    portal.post("/leave")
    assert noted(shared_house, user) == [
        ("portal.begun", user.client_id),
        ("portal.opened", "subject"),
        ("portal.exported", "subject"),
        ("portal.left", "subject"),
    ]


def test_an_opening_that_cannot_be_written_to_the_audit_opens_nothing(shared_house: House, user: SalesApp) -> None:
    url, browser = link(user), Browser()

    def fails(_session: Any) -> None:
        raise BrokerError("the disk is full", status=503)

    before_commit = shared_house.broker.database.before_commit
    before_commit.append(fails)
    try:
        assert browser.post(url).status_code == 503
    finally:
        before_commit.remove(fails)
    with shared_house.broker.database.read() as session:
        assert session.scalar(select(PortalSession).where(PortalSession.subject == user.subject)).browser_hash is None
    assert entered(url, Browser())
