"""The callback, where the database has a part in it: a code kept sealed, a state used once (docs/facts/security.md
STD-01, STD-05, G-1)."""

import base64
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.connections.insight import forms, holds, logged
from tests.house import Browser, Google, House, SalesApp, query

CONTACTS = ("google_contacts",)


def test_the_code_is_kept_sealed_and_unspent(
    app: SalesApp, browser: Browser, house: House, google: Google, caplog: pytest.LogCaptureFixture
) -> None:
    """STD-01, G-1: nothing is exchanged before the confirmation, and a stolen database or log gives no code."""
    link = app.begin(*CONTACTS)
    address = browser.approve(link, CONTACTS)
    callback = browser.at_google(address)
    returned = browser.come_back(callback)
    asked, given = query(address), query(callback)
    assert google.requests("/token") == []
    assert given["code"] in google.state()["codes"]
    secrets = {
        "ticket": link.rpartition("/")[2],
        "state": asked["state"],
        "nonce": asked["nonce"],
        "browser binding": next(iter(browser.http.cookies.get_dict().values())),
        "code": given["code"],
        "our code": returned["code"],
    }
    assert {name: holds(house, secret) for name, secret in secrets.items()} == dict.fromkeys(secrets, False)
    assert {name: logged(caplog, secret) for name, secret in secrets.items()} == dict.fromkeys(secrets, False)
    assert logged(caplog, "answered")


def test_the_search_finds_what_stands_there(app: SalesApp, browser: Browser, house: House) -> None:
    """Else the search above would prove nothing."""
    address = browser.approve(app.begin(*CONTACTS, purpose="A-LOUD-PURPOSE"), CONTACTS)
    assert holds(house, "A-LOUD-PURPOSE")
    assert holds(house, browser.come_back(browser.at_google(address))["session"])
    assert not holds(house, "A-LOUD-PURPOSE-2")


@pytest.mark.parametrize("before", [b"", b"a", b"ab", b"abc"])
def test_the_search_sees_through_base64(before: bytes) -> None:
    held = base64.b64encode(before + b"A-LOUD-CODE" + b"behind")
    assert any(form in held for form in forms("A-LOUD-CODE"))


def test_a_state_is_used_once(app: SalesApp, browser: Browser, google: Google) -> None:
    callback = app.callback(*CONTACTS, browser=browser)
    returned = browser.come_back(callback)
    _refused(browser.get(callback))
    _refused(browser.get(callback.replace("code=", "code=another")))
    assert app.status(returned["session"]) == "pending"
    assert app.confirm(returned).status_code == 200
    _refused(browser.get(callback))
    assert [call["grant_type"] for call in google.requests("/token")] == ["authorization_code"]


def test_of_fifty_equal_callbacks_one_counts(app: SalesApp, browser: Browser, google: Google) -> None:
    """STD-05, on both databases: one wins, and only its code confirms."""
    callback = app.callback(*CONTACTS, browser=browser)
    cookies, barrier = browser.http.cookies.get_dict(), threading.Barrier(50)

    def follow(_: int) -> requests.Response:
        barrier.wait()
        return requests.get(callback, cookies=cookies, allow_redirects=False, timeout=60)

    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(follow, range(50)))
    assert sorted(answer.status_code for answer in answers) == [303] + [400] * 49
    assert google.requests("/token") == []
    won = next(query(answer.headers["Location"]) for answer in answers if answer.status_code == 303)
    assert app.confirm(won).status_code == 200
    assert len(google.requests("/token")) == 1
    assert len(app.call("GET", "/v1/connections").json()["items"]) == 1


def _refused(answer: requests.Response) -> None:
    assert answer.status_code == 400, answer.text
