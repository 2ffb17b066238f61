"""Google's authorization endpoint: the checks, the account chooser and consent page, the way back (§1.2, §1.3, §1.5).

Errors about the request stay on this page; only a decision goes back to the client. Sections are of
docs/facts/google.md.
"""

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from flask import Blueprint, Response, make_response, redirect, render_template, request
from werkzeug.datastructures import CombinedMultiDict, MultiDict

from broker.sandbox.grants import AUTH, SIGN_IN, AuthorizationRequest, Code, full_names
from broker.sandbox.id_tokens import ISSUER
from broker.sandbox.seed import Account
from broker.sandbox.state import google

PAGES = Blueprint("consent", __name__)

PARAMETERS = frozenset(
    {
        *("client_id", "redirect_uri", "response_type", "state", "nonce", "code_challenge", "code_challenge_method"),
        *("access_type", "prompt", "include_granted_scopes", "login_hint", "hd"),
    }
)
"""What must not stand twice; `scope` is looked at by itself, since the form repeats it."""

MEANINGS = {
    "openid": "Know who you are on Google",
    "userinfo.email": "See your email address",
    "userinfo.profile": "See your name and picture",
    "contacts": "See, edit and delete your contacts",
    "contacts.readonly": "See and download your contacts",
    "contacts.other.readonly": "See the people you exchanged mail with",
    "directory.readonly": "See your organization's directory",
    "calendar": "See, edit and delete all your calendars",
    "calendar.readonly": "See all your calendars",
    "calendar.events": "See and edit events on all your calendars",
    "calendar.events.readonly": "See events on all your calendars",
    "calendar.events.freebusy": "See when you are free or busy",
    "calendar.calendarlist.readonly": "See the list of your calendars",
    "gmail.metadata": "See the headers of your mail, not its text",
    "spreadsheets.readonly": "See all your spreadsheets",
    "analytics.readonly": "See your Google Analytics data",
    "business.manage": "See and edit your Business Profile",
}


class ShownHere(Exception):
    """An error on Google's own page: the client never hears of it (§1.2)."""

    def __init__(self, error: str, detail: str, status: int = 400) -> None:
        super().__init__(error)
        self.error, self.detail, self.status = error, detail, status


@PAGES.errorhandler(ShownHere)
def _shown(error: ShownHere) -> Response:
    return _page(render_template("error.html", error=error), error.status)


def _page(html: str, status: int = 200) -> Response:
    """No `form-action`: browsers would apply it to the redirect that follows the form."""
    response = make_response(html, status)
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    )
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


@PAGES.get("/o/oauth2/v2/auth")
def choose() -> Response:
    """The page; with `prompt=none` an answer at once."""
    asked = _authorization_request(request.args, " ".join(request.args.getlist("scope")))
    with google().lock:
        hinted = google().account(asked.login_hint)
        if "none" in asked.prompt:
            return _without_asking(asked, hinted)
        accounts = list(google().accounts.values())
    html = render_template(
        "consent.html",
        asked=asked,
        accounts=accounts,
        chosen=hinted or accounts[0],
        meaning=meaning,
        fixed=sorted(asked.scopes - set(asked.choices)),
        action=f"{request.path}?{request.query_string.decode()}",
    )
    return _page(html)


@PAGES.post("/o/oauth2/v2/auth")
def decide() -> Response:
    """The user's decision: `decision` (allow or cancel), `account` (sub or address), `scope` for each ticked box.

    The request's own parameters stand in the query, or in the form as well.
    """
    given: CombinedMultiDict[str, str] = CombinedMultiDict([request.args, request.form])
    ticked = [scope for value in request.form.getlist("scope") for scope in value.split()]
    asked = _authorization_request(given, " ".join(request.args.getlist("scope")) or " ".join(ticked))
    if request.form.get("decision") == "cancel":
        return _denied(asked, "access_denied")
    if request.form.get("decision") != "allow":
        raise ShownHere("invalid_request", "decision must be allow or cancel")
    with google().lock:
        account = google().account(request.form.get("account") or asked.login_hint)
        if account is None:
            raise ShownHere("invalid_request", "there is no such account in the sandbox")
        code = google().grants.approve(asked, account.sub, full_names(ticked))
    return _granted(asked, code, account) if code else _denied(asked, "access_denied")


def meaning(scope: str) -> str:
    """What a scope opens, for people."""
    short = scope.removeprefix(AUTH)
    return MEANINGS.get(short, short)


def _authorization_request(given: MultiDict[str, str], scope: str) -> AuthorizationRequest:
    """Raises `ShownHere`."""
    if repeated := sorted(name for name in PARAMETERS if len(set(given.getlist(name))) > 1):
        raise ShownHere("invalid_request", f"parameter given twice: {', '.join(repeated)}")
    _check_client(given)
    prompt = frozenset(given.get("prompt", "").split())
    if not prompt <= {"none", "consent", "select_account"} or ("none" in prompt and len(prompt) > 1):
        raise ShownHere("invalid_request", "prompt: none stands alone; else consent, select_account")
    method = given.get("code_challenge_method", "plain")
    if method not in ("S256", "plain"):
        raise ShownHere("invalid_request", "code_challenge_method must be S256 or plain")
    return AuthorizationRequest(
        client=given["client_id"],
        redirect_uri=given["redirect_uri"],
        scopes=_scopes(scope),
        state=given.get("state"),
        nonce=given.get("nonce"),
        code_challenge=given.get("code_challenge"),
        code_challenge_method=method,
        offline=given.get("access_type", "online") == "offline",
        prompt=prompt,
        include_granted=given.get("include_granted_scopes") == "true",
        login_hint=given.get("login_hint"),
    )


def _check_client(given: MultiDict[str, str]) -> None:
    clients, client = google().clients, given.get("client_id")
    if not client:
        raise ShownHere("invalid_request", "client_id is missing")
    if clients is not None and client not in clients:
        raise ShownHere("invalid_client", "The OAuth client was not found.", 401)
    uri = urlsplit(given.get("redirect_uri", ""))
    if uri.scheme not in ("http", "https") or not uri.netloc or uri.fragment:
        raise ShownHere("redirect_uri_mismatch", "redirect_uri must be an absolute http(s) address without fragment")
    if given.get("response_type") != "code":
        raise ShownHere("invalid_request", "response_type must be code")


def _scopes(text: str) -> frozenset[str]:
    """`offline_access` and other names that are not Google's are refused."""
    scopes = full_names(text.split())
    if not scopes:
        raise ShownHere("invalid_request", "scope is missing")
    foreign = [s for s in scopes if s not in SIGN_IN and not s.startswith((AUTH, "https://mail.google.com/"))]
    if foreign:
        raise ShownHere("invalid_scope", f"some requested scopes were invalid: {', '.join(sorted(foreign))}")
    return scopes


def _without_asking(asked: AuthorizationRequest, account: Account | None) -> Response:
    """`prompt=none`: there are no sessions here, so a login hint stands for one. Error names: OIDC Core §3.1.2.6."""
    if account is None:
        return _denied(asked, "login_required")
    if not google().grants.covered(asked, account.sub):
        return _denied(asked, "consent_required")
    code = google().grants.approve(asked, account.sub, asked.scopes)
    return _granted(asked, code, account) if code else _denied(asked, "consent_required")


def _denied(asked: AuthorizationRequest, error: str) -> Response:
    return _back(asked, [("error", error), ("state", asked.state)])


def _granted(asked: AuthorizationRequest, code: Code, account: Account) -> Response:
    """The members in the order observed (§1.3)."""
    members = [
        ("state", asked.state),
        ("iss", _issuer()),
        ("code", code.value),
        ("scope", " ".join(sorted(code.scopes))),
        ("authuser", "0"),
        ("hd", account.hd),
        ("prompt", "consent" if code.consented else "none"),
    ]
    return _back(asked, members)


def _issuer() -> str | None:
    quirks = google().quirks
    if quirks.get("omit_iss"):
        return None
    wrong = quirks.get("wrong_iss")
    return ISSUER if not wrong else wrong if isinstance(wrong, str) else "https://accounts.example.net"


def _back(asked: AuthorizationRequest, members: list[tuple[str, str | None]]) -> Response:
    uri = urlsplit(asked.redirect_uri)
    query = parse_qsl(uri.query, keep_blank_values=True)
    query += [(name, value) for name, value in members if value is not None]
    response = make_response(redirect(urlunsplit(uri._replace(query=urlencode(query))), 303))
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
