"""The demo sales app, against a stand-in for the broker on a real socket that answers as docs say."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from flask import Flask, Response, jsonify, request

from broker.sandbox.salesapp import create_salesapp
from broker.sandbox.salesapp_texts import ENGLISH, INDONESIAN
from broker.sandbox.serve import Running

CONSENT = "https://broker.example/connect/TICKET-1"


ENDED = {
    "id": "con_1",
    "ended": "connection",
    "provider": "google",
    "provider_outcome": "confirmed",
    "attempts": 1,
    "last_error": None,
    "shredded_at": "2026-11-25T00:18:02.000Z",
}
RECEIPT = {
    "id": "rev_1",
    "requested_at": "2026-11-25T00:18:00.000Z",
    "effective_at": "2026-11-25T00:18:01.000Z",
    "connections": [ENDED],
    "state": "completed",
}


@dataclass
class Broker:
    """What the stand-in was asked, and what it answers to a confirmation."""

    calls: list[tuple[str, str, Any]] = field(default_factory=list)
    confirmed: tuple[dict[str, Any], int] = ({"connection": {"id": "con_1"}}, 200)
    state: str = "active"
    records: tuple[dict[str, Any], int] = (
        {"records": [{"type": "contact", "name": "Dewi <b>", "emails": [{"value": "dewi@example.org"}]}]},
        200,
    )
    receipts: list[dict[str, Any]] = field(default_factory=lambda: [dict(RECEIPT)])
    assets: list[dict[str, str]] | None = None
    queries: list[dict[str, str]] = field(default_factory=list)
    """Of what was asked for records."""

    def app(self) -> Flask:
        app = Flask(__name__)
        app.add_url_rule("/<path:path>", "any", self._answer, methods=["GET", "POST", "PUT", "DELETE"])
        return app

    def _answer(self, path: str) -> Response | tuple[Response, int]:
        if path == "oauth/token":
            assert request.authorization is not None
            assert (request.authorization.username, request.authorization.password) == ("client", "CLIENT-SECRET-1")
            return jsonify(access_token="ACCESS-1", expires_in=900, token_type="Bearer")
        assert request.headers["Authorization"] == "Bearer ACCESS-1"
        self.calls.append((request.method, f"/{path}", request.get_json(silent=True)))
        if path == "v1/connect-sessions":
            return jsonify(id="ses_1", url=CONSENT), 201
        if path.endswith("/confirm"):
            return jsonify(self.confirmed[0]), self.confirmed[1]
        if "/assets/" in path:
            return jsonify(items=[{"id": "page-7", "label": "Toko <Ani>", "granted": False}])
        if "/records/" in path:
            self.queries.append(request.args.to_dict())
            return jsonify(self.records[0]), self.records[1]
        if path == "v1/revocations":
            mine = request.args["tenant"] == "demo" and request.args["subject"] == "ani"
            return jsonify(items=self.receipts if mine else [])
        if request.method == "DELETE":
            return jsonify(revocation=RECEIPT), 202
        return jsonify({"items": [self._connection()]} if path == "v1/connections" else self._connection())

    def _connection(self) -> dict[str, Any]:
        grant = {"connector": "google_contacts", "missing_scopes": [], "withdrawn_at": None, "assets": self.assets}
        account = {"id": "1", "label": "ani@example.com"}
        return {
            "id": "con_1",
            "subject": "ani",
            "provider": "google",
            "state": self.state,
            "created_at": "2026-11-25T00:17:00.000Z",
            "account": None if self.state == "revoked" else account,
            "grants": [grant],
        }


@dataclass
class Browser:
    url: str
    http: requests.Session = field(default_factory=requests.Session)

    def get(self, path: str) -> requests.Response:
        return self.http.get(self.url + path, allow_redirects=False)

    def post(self, path: str, **kwargs: Any) -> requests.Response:
        return self.http.post(self.url + path, allow_redirects=False, **kwargs)


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def browser(broker: Broker) -> Iterator[Browser]:
    with Running(broker.app()) as peer:
        app = create_salesapp(peer.url, "client", "CLIENT-SECRET-1", public_url="http://sales.example", patience=0.2)
        with Running(app) as running:
            browser = Browser(running.url)
            yield browser
            browser.http.close()


def test_connecting_sends_the_browser_to_the_broker(broker: Broker, browser: Browser) -> None:
    sent = browser.post("/connect")
    assert (sent.status_code, sent.headers["Location"]) == (303, CONSENT)
    body = broker.calls[-1][2]
    assert (body["tenant"], body["subject"], body["provider"]) == ("demo", "ani", "google")
    assert body["connectors"] == ["google_contacts", "google_calendar"]
    assert body["return_url"] == "http://sales.example/return"


def test_the_return_is_confirmed_for_the_user_who_is_logged_in(broker: Broker, browser: Browser) -> None:
    browser.post("/connect")
    home = browser.get("/return?session=ses_1&status=pending&code=CODE-1")
    assert (home.status_code, home.headers["Location"]) == (303, "/connections/con_1")
    expected = ("POST", "/v1/connect-sessions/ses_1/confirm", {"subject": "ani", "code": "CODE-1"})
    assert broker.calls[-1] == expected


def test_a_session_that_another_user_began_is_not_confirmed(broker: Broker, browser: Browser) -> None:
    """Invariant I8: or an attacker's account would end up with the victim."""
    browser.post("/connect")
    browser.post("/user", data={"user": "budi"})
    assert browser.get("/return?session=ses_1&status=pending&code=CODE-1").status_code == 403
    assert not any(path.endswith("/confirm") for _, path, _ in broker.calls)


def test_a_denial_is_told_and_not_confirmed(broker: Broker, browser: Browser) -> None:
    browser.post("/connect")
    assert "You chose not to connect" in browser.get("/return?session=ses_1&status=denied").text
    assert broker.calls[-1][1] == "/v1/connect-sessions"


def test_consent_again_offers_the_way_on(broker: Broker, browser: Browser) -> None:
    browser.post("/connect")
    broker.confirmed = ({"code": "consent_again", "status": 409, "url": CONSENT}, 409)
    assert f'href="{CONSENT}"' in browser.get("/return?session=ses_1&status=pending&code=CODE-1").text


def test_the_connection_shows_its_records_escaped(browser: Browser) -> None:
    page = browser.get("/connections/con_1").text
    assert "Dewi &lt;b&gt;" in page
    assert "dewi@example.org" in page
    assert '<button name="connector" value="google_contacts">' in page
    assert "End this connection" in page


@pytest.mark.parametrize(
    ("record", "shown"),
    [
        ({"type": "event", "title": "Visit", "start": {"date_time": "2026-12-03T09:00:00+07:00"}}, "2026-12-03 09:00"),
        ({"type": "event", "title": "Stock-taking", "start": {"date": "2026-12-31"}}, "2026-12-31"),
        ({"type": "comment", "text": "Halo", "author": {"name": "Dewi", "id": "7"}}, "Dewi"),
        ({"type": "lead", "name": "Dewi", "emails": [{"value": "dewi@example.org"}]}, "dewi@example.org"),
        ({"type": "post", "text": "Teh baru", "posted_at": "2026-10-02T21:00:00+0000"}, "2026-10-02 21:00"),
        ({"type": "profile", "name": "Ani", "username": "ani.wijaya"}, "ani.wijaya"),
        ({"type": "something_new", "id": "RECORD-1"}, "RECORD-1"),
    ],
)
def test_records_of_each_type_are_shown(broker: Broker, browser: Browser, record: dict[str, Any], shown: str) -> None:
    broker.records = ({"records": [record]}, 200)
    assert f"<td>{shown}</td>" in browser.get("/connections/con_1").text


def test_an_ended_connection_offers_nothing_to_end(broker: Broker, browser: Browser) -> None:
    broker.state = "revoked"
    page = browser.get("/connections/con_1").text
    assert "Google, 2026-11-25 00:17" in page
    assert "<button" not in page


def test_refused_records_say_why(broker: Broker, browser: Browser) -> None:
    broker.records = ({"code": "grant_withdrawn", "status": 403}, 403)
    assert "<code>grant_withdrawn</code> (403)" in browser.get("/connections/con_1").text


def test_a_connection_of_another_user_is_not_shown_nor_ended(broker: Broker, browser: Browser) -> None:
    browser.post("/user", data={"user": "budi"})
    assert browser.get("/connections/con_1").status_code == 404
    assert browser.post("/connections/con_1/disconnect").status_code == 404
    assert not any(method == "DELETE" for method, _, _ in broker.calls)


@pytest.mark.parametrize(
    ("button", "path"),
    [("withdraw", "/v1/connections/con_1/grants/google_contacts"), ("disconnect", "/v1/connections/con_1")],
)
def test_withdraw_and_disconnect_call_the_broker(broker: Broker, browser: Browser, button: str, path: str) -> None:
    answer = browser.post(f"/connections/con_1/{button}", data={"connector": "google_contacts"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/receipts/rev_1")
    assert broker.calls[-1][:2] == ("DELETE", path)


def test_the_receipt_says_how_it_ended(browser: Browser) -> None:
    page = browser.get("/receipts/rev_1").text
    assert "confirmed that it is gone" in page
    assert "2026-11-25 00:18 UTC" in page
    assert "menegaskan bahwa izin sudah dihapus" in browser.get("/receipts/rev_1?lang=id").text


def test_a_withdrawal_of_which_the_provider_was_not_told_says_nothing_of_it(broker: Broker, browser: Browser) -> None:
    withdrawn = {**ENDED, "ended": "grant", "connector": "google_contacts", "provider_outcome": "shared"}
    broker.receipts[0]["connections"] = [withdrawn]
    page = browser.get("/receipts/rev_1").text
    assert "reading by Google contacts" in page
    assert "The provider" not in page


def test_a_receipt_says_where_the_user_removes_the_app_by_hand(broker: Broker, browser: Browser) -> None:
    place = {"url": "https://www.instagram.com/accounts/manage_access/", "path": "Instagram > Settings"}
    broker.receipts[0]["connections"] = [{**ENDED, "provider_outcome": "not_supported", "remove_at": place}]
    page = browser.get("/receipts/rev_1").text
    assert f'<a href="{place["url"]}" rel="noreferrer">Instagram &gt; Settings</a>' in page
    assert "offers no way to be told" in page


def test_where_there_is_a_choice_the_user_makes_it(broker: Broker, browser: Browser) -> None:
    broker.records = ({"code": "asset_required", "status": 400, "assets": []}, 400)
    page = browser.get("/connections/con_1").text
    assert '<input type="checkbox" name="asset" value="page-7"> <span>Toko &lt;Ani&gt;</span>' in page
    answer = browser.post("/connections/con_1/choose", data={"connector": "google_contacts", "asset": ["page-7"]})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/connections/con_1")
    assert broker.calls[-1] == ("PUT", "/v1/connections/con_1/assets/google_contacts", {"assets": ["page-7"]})


def test_of_several_chosen_the_first_is_shown(broker: Broker, browser: Browser) -> None:
    broker.assets = [{"id": "page-7", "label": "Toko"}, {"id": "page-8", "label": "Kopi"}]
    browser.get("/connections/con_1")
    assert broker.queries[-1] == {"limit": "8", "asset": "page-7"}


def test_a_receipt_in_progress_is_shown_as_that(broker: Broker, browser: Browser) -> None:
    broker.receipts[0] |= {"state": "in_progress"}
    broker.receipts[0]["connections"] = [{**ENDED, "provider_outcome": "pending", "shredded_at": None}]
    page = browser.get("/receipts/rev_1").text
    assert "has not answered yet" in page
    assert "Look again" in page


def test_a_receipt_of_another_user_is_not_shown(browser: Browser) -> None:
    browser.post("/user", data={"user": "budi"})
    assert browser.get("/receipts/rev_1").status_code == 404


def test_a_form_of_another_site_is_refused(broker: Broker, browser: Browser) -> None:
    answer = browser.post("/connections/con_1/disconnect", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert broker.calls == []


def test_both_languages_are_spoken_and_kept(browser: Browser) -> None:
    page = browser.get("/?lang=id").text
    assert '<html lang="id">' in page
    assert "Hubungkan Google" in page
    assert "Koneksi Anda" in browser.get("/").text
    assert "Connect Google" in browser.get("/?lang=en").text


def test_the_browsers_language_is_the_first_guess(browser: Browser) -> None:
    browser.http.headers["Accept-Language"] = "id-ID,id;q=0.9,en;q=0.5"
    assert '<html lang="id">' in browser.get("/").text


def test_both_languages_say_the_same_things() -> None:
    assert INDONESIAN.keys() == ENGLISH.keys()
    assert [name for name, text in INDONESIAN.items() if not text.strip()] == []


def test_a_broker_that_is_away_is_told_to_the_user() -> None:
    app = create_salesapp("http://127.0.0.1:9", "client", "CLIENT-SECRET-1")
    with Running(app) as running:
        answer = requests.get(running.url, timeout=30)
    assert (answer.status_code, "Please try again" in answer.text) == (503, True)
