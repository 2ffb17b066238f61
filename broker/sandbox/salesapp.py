"""A small sales app, as an example of one that uses the broker: connect, show, withdraw, disconnect.

It knows only what docs say about the broker's API, and nothing of its code. Who is logged in is picked by a cookie that
anybody may change: a demo has no passwords. All else is as a real sales app should do it; above all `subject` comes
from the login, and only a session that this user began is confirmed.
"""

import base64
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote, urlencode

from flask import Blueprint, Flask, Response, abort, current_app, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

TIMEOUT = 35
"""Seconds: a little more than the broker's own deadline."""

SCOPES = "connect connections:read records:read revoke"
CONNECTORS = ("google_contacts", "google_calendar")
USERS = {"ani": "Ani", "budi": "Budi"}
SHOWN = 20
"""Records a page."""

TEXTS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "title": "Demo sales app",
        "user": "Logged in as",
        "connect": "Connect Google contacts and calendar",
        "connections": "Your connections",
        "none": "Nothing is connected yet.",
        "open": "Open",
        "state": "State",
        "grants": "What you allow",
        "withdrawn": "withdrawn",
        "missing": "not granted at Google",
        "allowed": "allowed",
        "records": "Contacts",
        "no_records": "No contacts can be shown",
        "name": "Name",
        "email": "Email",
        "withdraw": "Withdraw contacts",
        "disconnect": "Disconnect",
        "back": "Back",
        "refused": "The connection was not made",
        "denied": "You chose not to connect.",
        "failed": "Something went wrong. Please try again.",
        "foreign": "This attempt was not begun by you.",
        "again": "Google must ask you once more.",
        "continue": "Continue",
        "fault": "The broker answered",
    },
    "id": {
        "title": "Aplikasi penjualan demo",
        "user": "Masuk sebagai",
        "connect": "Hubungkan kontak dan kalender Google",
        "connections": "Koneksi Anda",
        "none": "Belum ada yang terhubung.",
        "open": "Buka",
        "state": "Status",
        "grants": "Yang Anda izinkan",
        "withdrawn": "ditarik",
        "missing": "tidak diizinkan di Google",
        "allowed": "diizinkan",
        "records": "Kontak",
        "no_records": "Kontak tidak dapat ditampilkan",
        "name": "Nama",
        "email": "Email",
        "withdraw": "Tarik izin kontak",
        "disconnect": "Putuskan",
        "back": "Kembali",
        "refused": "Koneksi tidak dibuat",
        "denied": "Anda memilih untuk tidak menghubungkan.",
        "failed": "Terjadi kesalahan. Silakan coba lagi.",
        "foreign": "Percobaan ini tidak Anda mulai.",
        "again": "Google perlu bertanya sekali lagi.",
        "continue": "Lanjutkan",
        "fault": "Broker menjawab",
    },
}

PAGES = Blueprint("salesapp", __name__)

Answer = dict[str, Any]


class BrokerRefused(Exception):
    """The broker's problem document (RFC 9457)."""

    def __init__(self, problem: Answer) -> None:
        super().__init__(problem.get("code"))
        self.problem = problem


class BrokerApi:
    """The broker's API, with the standard library alone. Thread-safe."""

    def __init__(self, url: str, client_id: str, client_secret: str) -> None:
        self._url = url.rstrip("/")
        self._basic = base64.b64encode(f"{quote(client_id)}:{quote(client_secret)}".encode()).decode()
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._lock = threading.Lock()
        self._token, self._token_ends = "", 0.0

    def call(self, method: str, path: str, body: Answer | None = None) -> Answer:
        """One call with JSON both ways. Raises `BrokerRefused`."""
        headers = {"Authorization": f"Bearer {self._access_token()}"}
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        return self._sent(method, path, headers, data)

    def _access_token(self) -> str:
        """Client credentials (RFC 6749 §4.4); kept until shortly before its end."""
        with self._lock:
            if time.monotonic() >= self._token_ends:
                headers = {"Authorization": f"Basic {self._basic}", "Content-Type": "application/x-www-form-urlencoded"}
                form = urlencode({"grant_type": "client_credentials", "scope": SCOPES}).encode()
                answer = self._sent("POST", "/oauth/token", headers, form)
                self._token = answer["access_token"]
                self._token_ends = time.monotonic() + answer["expires_in"] - 30
            return self._token

    def _sent(self, method: str, path: str, headers: Mapping[str, str], data: bytes | None) -> Answer:
        call = urllib.request.Request(self._url + path, data, dict(headers), method=method)  # noqa: S310 - the operator's own URL
        try:
            with self._opener.open(call, timeout=TIMEOUT) as response:
                return _json(response.read())
        except urllib.error.HTTPError as error:
            with error:
                problem = _json(error.read())
            raise BrokerRefused({"status": error.code, **problem}) from None
        except OSError:
            raise BrokerRefused({"status": 503, "code": "unreachable"}) from None


def _json(text: bytes) -> Answer:
    try:
        answer = json.loads(text or b"{}")
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


@dataclass
class SalesApp:
    """What the app knows: its broker, itself, and who began which session."""

    broker: BrokerApi
    tenant: str
    public_url: str
    began: dict[str, str]
    """Connect session → subject who began it."""


def create_salesapp(
    broker_url: str, client_id: str, client_secret: str, tenant: str = "demo", public_url: str = "http://127.0.0.1:9100"
) -> Flask:
    """`public_url`: where browsers see this app; `<public_url>/return` must be registered as the client's return URL.

    The client needs the broker scopes connect, connections:read, records:read and revoke.
    """
    app = Flask(__name__)
    api = BrokerApi(broker_url, client_id, client_secret)
    app.extensions["salesapp"] = SalesApp(api, tenant, public_url.rstrip("/"), {})
    app.register_blueprint(PAGES)
    return app


def _app() -> SalesApp:
    return cast(SalesApp, current_app.extensions["salesapp"])


def _language() -> str:
    asked = request.args.get("lang") or request.cookies.get("salesapp_lang", "")
    return asked if asked in TEXTS else "en"


def _user() -> str:
    """The subject that is logged in. A demo believes a cookie; a real app would not."""
    user = request.cookies.get("salesapp_user", "")
    return user if user in USERS else next(iter(USERS))


def _call(method: str, path: str, body: Answer | None = None) -> Answer:
    return _app().broker.call(method, path, body)


def _page(template: str, status: int = 200, **values: Any) -> Response:  # noqa: ANN401 - for the template
    language = _language()
    html = render_template(template, t=TEXTS[language], lang=language, user=_user(), users=USERS, **values)
    response = make_response(html, status)
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    )
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.set_cookie("salesapp_lang", language, samesite="Lax", httponly=True)
    return response


def _refusal(text: str, status: int = 400, *, detail: str | None = None, url: str | None = None) -> Response:
    return _page("salesapp_refused.html", status, text=TEXTS[_language()][text], detail=detail, url=url)


@PAGES.before_request
def _from_our_pages() -> None:
    """A form of another site changes nothing here."""
    if request.method == "POST" and request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        abort(403)


@PAGES.errorhandler(BrokerRefused)
def _refused(error: BrokerRefused) -> Response:
    problem = error.problem
    if url := problem.get("url"):
        return _refusal("again", url=str(url))
    status = problem["status"] if problem.get("status", 0) >= 400 else 502
    return _refusal("failed", status, detail=f"{problem.get('status')} {problem.get('code', '')}")


@PAGES.get("/")
def home() -> Response:
    query = urlencode({"tenant": _app().tenant, "subject": _user()})
    return _page("salesapp.html", connections=_call("GET", f"/v1/connections?{query}").get("items", []))


@PAGES.post("/user")
def switch_user() -> AnyResponse:
    user = request.form.get("user", "")
    if user not in USERS:
        abort(400)
    response = redirect("/", 303)
    response.set_cookie("salesapp_user", user, samesite="Lax", httponly=True)
    return response


@PAGES.post("/connect")
def connect() -> AnyResponse:
    """Ask the broker for a session and send the browser there (contract: connecting, step 1)."""
    app, user = _app(), _user()
    session = _call(
        "POST",
        "/v1/connect-sessions",
        {
            "tenant": app.tenant,
            "subject": user,
            "subject_label": USERS[user],
            "provider": "google",
            "connectors": list(CONNECTORS),
            "return_url": f"{app.public_url}/return",
            "locale": _language(),
        },
    )
    app.began[session["id"]] = user
    return redirect(session["url"], 303)


@PAGES.get("/return")
def come_back() -> AnyResponse:
    """The browser is back. Who confirms is the user logged in here, whatever the address says."""
    session, status = request.args.get("session", ""), request.args.get("status")
    if _app().began.get(session) != _user():
        return _refusal("foreign", 403)
    if status != "pending":
        return _refusal("denied" if status == "denied" else "failed", 200)
    body = {"subject": _user(), "code": request.args.get("code", "")}
    confirmed = _call("POST", f"/v1/connect-sessions/{quote(session, safe='')}/confirm", body)
    return redirect(f"/connections/{quote(confirmed['connection']['id'], safe='')}", 303)


@PAGES.get("/connections/<connection_id>")
def connection(connection_id: str) -> Response:
    shown = _own(connection_id)
    records: Answer = {}
    refusal = None
    try:
        path = f"/v1/connections/{quote(connection_id, safe='')}/records/{CONNECTORS[0]}?limit={SHOWN}"
        records = _call("GET", path)
    except BrokerRefused as error:
        refusal = error.problem
    items = records.get("records", [])
    return _page("salesapp_connection.html", connection=shown, records=items, refusal=refusal, connector=CONNECTORS[0])


@PAGES.post("/connections/<connection_id>/withdraw")
def withdraw(connection_id: str) -> AnyResponse:
    """Ends the contacts connector; what else the connection serves goes on."""
    _own(connection_id)
    _call("DELETE", f"/v1/connections/{quote(connection_id, safe='')}/grants/{CONNECTORS[0]}")
    return redirect(f"/connections/{quote(connection_id, safe='')}", 303)


@PAGES.post("/connections/<connection_id>/disconnect")
def disconnect(connection_id: str) -> AnyResponse:
    _own(connection_id)
    _call("DELETE", f"/v1/connections/{quote(connection_id, safe='')}")
    return redirect("/", 303)


def _own(connection_id: str) -> Answer:
    """The connection, if it is this user's: the broker knows tenants, the app knows who is logged in."""
    found = _call("GET", f"/v1/connections/{quote(connection_id, safe='')}")
    return found if found.get("subject") == _user() else abort(404)
