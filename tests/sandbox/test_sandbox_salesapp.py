"""The demo sales app, against a stand-in for the broker on a real socket that answers as docs say."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from flask import Flask, Response, jsonify, request

from broker.sandbox.salesapp import create_salesapp
from broker.sandbox.serve import Running

CONSENT = "https://broker.example/connect/TICKET-1"


@dataclass
class Broker:
    """What the stand-in was asked, and what it answers to a confirmation."""

    calls: list[tuple[str, str, Any]] = field(default_factory=list)
    confirmed: tuple[dict[str, Any], int] = ({"connection": {"id": "con_1"}}, 200)
    state: str = "active"
    records: tuple[dict[str, Any], int] = (
        {"records": [{"name": "Dewi <b>", "emails": [{"value": "dewi@example.org"}]}]},
        200,
    )

    def app(self) -> Flask:
        app = Flask(__name__)
        app.add_url_rule("/<path:path>", "any", self._answer, methods=["GET", "POST", "DELETE"])
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
        if "/records/" in path:
            return jsonify(self.records[0]), self.records[1]
        if request.method == "DELETE":
            return jsonify(revocation={}), 202
        return jsonify({"items": [self._connection()]} if path == "v1/connections" else self._connection())

    def _connection(self) -> dict[str, Any]:
        grants = [{"connector": "google_contacts", "missing_scopes": [], "withdrawn_at": None}]
        account = {"id": "1", "label": "ani@example.com"}
        return {
            "id": "con_1",
            "subject": "ani",
            "provider": "google",
            "state": self.state,
            "account": account,
            "grants": grants,
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
        app = create_salesapp(peer.url, "client", "CLIENT-SECRET-1", public_url="http://sales.example")
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
    assert "Withdraw contacts" in page
    assert "Disconnect" in page


def test_refused_records_say_why(broker: Broker, browser: Browser) -> None:
    broker.records = ({"code": "grant_withdrawn", "status": 403}, 403)
    assert "grant_withdrawn (403)" in browser.get("/connections/con_1").text


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
    assert browser.post(f"/connections/con_1/{button}").status_code == 303
    assert broker.calls[-1][:2] == ("DELETE", path)


def test_a_form_of_another_site_is_refused(broker: Broker, browser: Browser) -> None:
    answer = browser.post("/connections/con_1/disconnect", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert broker.calls == []


def test_both_languages_are_spoken_and_kept(browser: Browser) -> None:
    page = browser.get("/?lang=id").text
    assert '<html lang="id">' in page
    assert "Hubungkan kontak dan kalender Google" in page
    assert "Koneksi Anda" in browser.get("/").text
    assert "Connect Google contacts and calendar" in browser.get("/?lang=en").text


def test_a_broker_that_is_away_is_told_to_the_user() -> None:
    app = create_salesapp("http://127.0.0.1:9", "client", "CLIENT-SECRET-1")
    with Running(app) as running:
        answer = requests.get(running.url, timeout=5)
    assert (answer.status_code, "Please try again" in answer.text) == (503, True)
