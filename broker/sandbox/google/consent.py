"""Google's account chooser and consent page, and the way back to the client (§1.2, §1.3, §1.5).

Only a decision goes back to the client. Sections are of docs/facts/google.md.
"""

from functools import partial
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from flask import Blueprint, Response, make_response, redirect, render_template, request
from werkzeug.datastructures import CombinedMultiDict

from broker.sandbox.google.authorize import ShownHere, authorization_request
from broker.sandbox.google.consent_texts import TEXTS
from broker.sandbox.google.endpoints import spelt
from broker.sandbox.google.grants import AuthorizationRequest, Code
from broker.sandbox.google.id_tokens import ISSUER
from broker.sandbox.google.scopes import full_names, meaning
from broker.sandbox.google.seed import Account
from broker.sandbox.google.state import google
from broker.sandbox.journal import note

PAGES = Blueprint("consent", __name__)

OFFERED = 8
"""Accounts that the page lists; any other is reached by `login_hint`."""


@PAGES.errorhandler(ShownHere)
def _shown(error: ShownHere) -> Response:
    language, t = _language()
    return _page(render_template("google_error.html", error=error, lang=language, t=t), error.status)


def _language() -> tuple[str, dict[str, str]]:
    language = request.accept_languages.best_match(TEXTS) or "en"
    return language, TEXTS[language]


def _page(html: str, status: int = 200) -> Response:
    """No `form-action`: browsers would apply it to the redirect that follows the form."""
    response = make_response(html, status)
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    )
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Vary"] = "Accept-Language"
    return response


@PAGES.get("/o/oauth2/v2/auth")
def choose() -> Response:
    """The page; with `prompt=none` an answer at once."""
    asked = authorization_request(request.args, " ".join(request.args.getlist("scope")))
    with google().lock:
        chosen = _proposed(asked)
        if "none" in asked.prompt:
            return _without_asking(asked, google().account(asked.login_hint))
        straight = google().quirks.get("straight_through") and not asked.prompt and asked.login_hint
        if straight and google().grants.covered(asked, chosen.sub):
            return _without_asking(asked, chosen)
        offered = _offered(chosen)
        covered = [account.sub for account in offered if google().grants.covered(asked, account.sub)]
    language, t = _language()
    html = render_template(
        "google_consent.html",
        asked=asked,
        accounts=offered,
        chosen=chosen,
        covered=covered,
        meaning=partial(meaning, language=language),
        fixed=sorted(asked.scopes - set(asked.choices)),
        lang=language,
        t=t,
        action=f"{request.path}?{request.query_string.decode()}",
    )
    return _page(html)


def _proposed(asked: AuthorizationRequest) -> Account:
    """The hinted account, else the first of the hinted domain, else the first."""
    accounts = list(google().accounts.values())
    of_domain = (account for account in accounts if asked.domain and account.hd == asked.domain)
    return google().account(asked.login_hint) or next(of_domain, accounts[0])


def _offered(chosen: Account) -> list[Account]:
    first = list(google().accounts.values())[:OFFERED]
    return first if chosen in first else [chosen, *first]


@PAGES.post("/o/oauth2/v2/auth")
def decide() -> Response:
    """The user's decision: `decision` (allow or cancel), `account` (sub or address), `scope` for each ticked box.

    The request's own parameters stand in the query, or in the form as well.
    """
    given: CombinedMultiDict[str, str] = CombinedMultiDict([request.args, request.form])
    ticked = [scope for value in request.form.getlist("scope") for scope in value.split()]
    asked = authorization_request(given, " ".join(request.args.getlist("scope")) or " ".join(ticked))
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


def _without_asking(asked: AuthorizationRequest, account: Account | None) -> Response:
    """`prompt=none`: there are no sessions here, so a login hint stands for one. Error names: OIDC Core §3.1.2.6."""
    if account is None:
        return _denied(asked, "login_required")
    if not google().grants.covered(asked, account.sub):
        return _denied(asked, "consent_required")
    code = google().grants.approve(asked, account.sub, asked.scopes)
    return _granted(asked, code, account) if code else _denied(asked, "consent_required")


def _denied(asked: AuthorizationRequest, error: str) -> Response:
    note(client=asked.client)
    return _back(asked, [("error", error), ("state", asked.state)])


def _granted(asked: AuthorizationRequest, code: Code, account: Account) -> Response:
    """The members in the order observed (§1.3)."""
    note(client=asked.client, account=account.sub)
    members = [
        ("state", asked.state),
        ("iss", _issuer()),
        ("code", code.value),
        ("scope", spelt(code.scopes)),
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
