"""A small sales app, as an example of one that uses the broker: connect, show, withdraw, disconnect, show the receipt.

It knows only what docs say about the broker's API, and nothing of its code. Who is logged in is picked by a cookie that
anybody may change: a demo has no passwords. All else is as a real sales app should do it; above all `subject` comes
from the login, and only a session that this user began is confirmed.
"""

import time
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import quote, urlencode

from flask import Blueprint, Flask, Response, abort, current_app, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from broker.sandbox.salesapp_broker import Answer, BrokerApi, BrokerRefused
from broker.sandbox.salesapp_texts import LANGUAGES, OFFERS, PROVIDERS, TEXTS, moment, table

USERS = {"ani": "Ani", "budi": "Budi"}
SHOWN = 8
"""Records of a connector, and receipts."""

PAGES = Blueprint("salesapp", __name__)


@dataclass
class SalesApp:
    """What the app knows: its broker, itself, and who began which session."""

    broker: BrokerApi
    tenant: str
    public_url: str
    patience: float
    """Seconds that a receipt is awaited before it is shown as it is."""
    began: dict[str, str] = field(default_factory=dict)
    """Connect session → subject who began it."""


def create_salesapp(
    broker_url: str,
    client_id: str,
    client_secret: str,
    tenant: str = "demo",
    public_url: str = "http://127.0.0.1:9100",
    patience: float = 3.0,
) -> Flask:
    """`public_url`: where browsers see this app; `<public_url>/return` must be registered as the client's return URL.

    The client needs the broker scopes connect, connections:read, records:read and revoke. `patience`: seconds that a
    receipt is awaited before it is shown as it is.
    """
    app = Flask(__name__)
    api = BrokerApi(broker_url, client_id, client_secret)
    app.extensions["salesapp"] = SalesApp(api, tenant, public_url.rstrip("/"), patience)
    app.register_blueprint(PAGES)
    return app


def _app() -> SalesApp:
    return cast(SalesApp, current_app.extensions["salesapp"])


def _language() -> str:
    """Chosen, or chosen before, or the browser's."""
    asked = request.args.get("lang") or request.cookies.get("salesapp_lang", "")
    return asked if asked in TEXTS else request.accept_languages.best_match(list(TEXTS)) or "en"


def _user() -> str:
    """The subject that is logged in. A demo believes a cookie; a real app would not."""
    user = request.cookies.get("salesapp_user", "")
    return user if user in USERS else next(iter(USERS))


def _call(method: str, path: str, body: Answer | None = None) -> Answer:
    return _app().broker.call(method, path, body)


def _of_user(path: str) -> list[Answer]:
    """Items of a list of the broker's, as far as they are this user's."""
    query = urlencode({"tenant": _app().tenant, "subject": _user(), "limit": 200})
    items: list[Answer] = _call("GET", f"{path}?{query}").get("items", [])
    return items


def _connection_path(connection_id: str) -> str:
    return f"/v1/connections/{quote(connection_id, safe='')}"


def _page(template: str, status: int = 200, **values: Any) -> Response:  # noqa: ANN401 - for the template
    language = _language()
    shared = {"t": TEXTS[language], "lang": language, "languages": LANGUAGES, "user": _user(), "users": USERS}
    html = render_template(template, label=_label, moment=moment, providers=PROVIDERS, **shared, **values)
    response = make_response(html, status)
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    )
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.set_cookie("salesapp_lang", language, samesite="Lax", httponly=True)
    return response


def _label(connection: Answer) -> str:
    """The account's name; once that is shredded, the provider's and since when."""
    account, provider = connection.get("account"), connection["provider"]
    return account["label"] if account else f"{PROVIDERS.get(provider, provider)}, {moment(connection['created_at'])}"


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
    connections = sorted(_of_user("/v1/connections"), key=lambda c: str(c.get("created_at")), reverse=True)
    receipts = sorted(_of_user("/v1/revocations"), key=lambda r: str(r.get("requested_at")), reverse=True)
    return _page("salesapp.html", connections=connections, receipts=receipts[:SHOWN], offers=OFFERS)


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
    app, user, provider = _app(), _user(), request.form.get("provider", next(iter(OFFERS)))
    if provider not in OFFERS:
        abort(400)
    asked = {
        "tenant": app.tenant,
        "subject": user,
        "subject_label": USERS[user],
        "provider": provider,
        "connectors": list(OFFERS[provider]),
        "return_url": f"{app.public_url}/return",
        "locale": _language(),
    }
    session = _call("POST", "/v1/connect-sessions", asked)
    app.began[session["id"]] = user
    return redirect(session["url"], 303)


@PAGES.post("/portal")
def portal() -> AnyResponse:
    """To the broker's own page about this user's connections; a link is for one browser, so each press gets its own."""
    app = _app()
    asked = {"tenant": app.tenant, "subject": _user(), "return_url": f"{app.public_url}/return", "locale": _language()}
    return redirect(_call("POST", "/v1/portal-sessions", asked)["url"], 303)


@PAGES.get("/return")
def come_back() -> AnyResponse:
    """The browser is back. Who confirms is the user logged in here, whatever the address says."""
    if not request.args:  # from the portal
        return redirect("/", 303)
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
    """What it allows, and for each connector the first records, or why the broker gives none."""
    shown = _own(connection_id)
    shares = [_share(connection_id, grant) for grant in shown["grants"]]
    return _page("salesapp_connection.html", connection=shown, shares=shares)


def _share(connection_id: str, grant: Answer) -> dict[str, Any]:
    """One grant with its records, of the first asset chosen where it reads one of several. A withdrawn one is asked
    too, to show that it is refused."""
    share: dict[str, Any] = {"grant": grant, "refusal": None, "headings": [], "rows": [], "offered": []}
    asset = {"asset": grant["assets"][0]["id"]} if grant.get("assets") else {}
    query = urlencode({"limit": SHOWN, **asset})
    try:
        answer = _call("GET", f"{_connection_path(connection_id)}/records/{grant['connector']}?{query}")
    except BrokerRefused as error:
        if error.problem.get("code") == "asset_required":
            return {**share, "offered": _call("GET", _assets_path(connection_id, grant["connector"])).get("items", [])}
        return {**share, "refusal": error.problem}
    headings, rows = table(answer.get("records", []))
    return {**share, "headings": headings, "rows": rows}


def _assets_path(connection_id: str, connector: str) -> str:
    return f"{_connection_path(connection_id)}/assets/{quote(connector, safe='')}"


@PAGES.post("/connections/<connection_id>/choose")
def choose(connection_id: str) -> AnyResponse:
    """Which Pages, calendars or sheets a connector may read; later choices only narrow it."""
    _own(connection_id)
    body = {"assets": request.form.getlist("asset")}
    _call("PUT", _assets_path(connection_id, request.form.get("connector", "")), body)
    return redirect(f"/connections/{quote(connection_id, safe='')}", 303)


@PAGES.post("/connections/<connection_id>/withdraw")
def withdraw(connection_id: str) -> AnyResponse:
    """Ends one connector; what else the connection serves goes on."""
    _own(connection_id)
    connector = quote(request.form.get("connector", ""), safe="")
    return _to_receipt(_call("DELETE", f"{_connection_path(connection_id)}/grants/{connector}"))


@PAGES.post("/connections/<connection_id>/disconnect")
def disconnect(connection_id: str) -> AnyResponse:
    _own(connection_id)
    return _to_receipt(_call("DELETE", _connection_path(connection_id)))


def _to_receipt(answer: Answer) -> AnyResponse:
    return redirect(f"/receipts/{quote(str(answer['revocation']['id']), safe='')}", 303)


@PAGES.get("/receipts/<revocation_id>")
def receipt(revocation_id: str) -> Response:
    """How a withdrawal or disconnection ended; waits a little for the provider's answer."""
    ends = time.monotonic() + _app().patience
    while True:
        found = next((r for r in _of_user("/v1/revocations") if r.get("id") == revocation_id), None)
        if found is None:
            abort(404)
        if found.get("state") == "completed" or time.monotonic() >= ends:
            return _page("salesapp_receipt.html", receipt=found)
        time.sleep(0.1)


def _own(connection_id: str) -> Answer:
    """The connection, if it is this user's: the broker knows tenants, the app knows who is logged in."""
    found = _call("GET", _connection_path(connection_id))
    return found if found.get("subject") == _user() else abort(404)
