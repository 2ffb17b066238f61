"""Instagram's page where a person chooses an account and allows an app, and the way back (docs/facts/meta.md §3.1).

Only a decision goes back to the app. www.instagram.com and api.instagram.com show the same page.
"""

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from flask import Blueprint, Response, make_response, redirect, render_template, request
from werkzeug.datastructures import CombinedMultiDict

from broker.sandbox.instagram.authorize import ShownHere, authorization_request
from broker.sandbox.instagram.consent_texts import TEXTS
from broker.sandbox.instagram.grants import AuthorizationRequest
from broker.sandbox.instagram.permissions import BASIC, MEANINGS, listed
from broker.sandbox.instagram.state import instagram
from broker.sandbox.journal import note

PAGES = Blueprint("consent", __name__)

OFFERED = 8
"""Accounts that the page lists; any other is chosen by sending its id or username."""

CANCELLED = {
    "error": "access_denied",
    "error_reason": "user_denied",
    "error_description": "The user denied your request",
}


@PAGES.errorhandler(ShownHere)
def _shown(error: ShownHere) -> Response:
    language, t = _language()
    return _page(render_template("instagram_error.html", error=error, lang=language, t=t), error.status)


def _language() -> tuple[str, dict[str, str]]:
    language = request.accept_languages.best_match(TEXTS) or "en"
    return language, TEXTS[language]


def _page(html: str, status: int = 200) -> Response:
    """No `form-action`: browsers would apply it to the redirect that follows the form."""
    response = make_response(html, status)
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    )
    response.headers["Referrer-Policy"] = "no-referrer"
    return _private(response)


def _private(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    response.headers["Vary"] = "Accept-Language"
    return response


@PAGES.get("/oauth/authorize")
def choose() -> Response:
    asked = authorization_request(request.args, ",".join(request.args.getlist("scope")))
    language, t = _language()
    with instagram().lock:
        accounts = [account for account in instagram().accounts.values() if account.professional][:OFFERED]
    html = render_template(
        "instagram_consent.html",
        asked=asked,
        accounts=accounts,
        fixed=[BASIC],
        meaning=MEANINGS[language],
        lang=language,
        t=t,
        action=f"{request.path}?{request.query_string.decode()}",
    )
    return _page(html)


@PAGES.post("/oauth/authorize")
def decide() -> Response:
    """The user's decision: `decision` (allow or cancel), `account` (id or username), `scope` for each ticked box.

    The request's own parameters stand in the query, or in the form as well.
    """
    given: CombinedMultiDict[str, str] = CombinedMultiDict([request.args, request.form])
    ticked = listed(",".join(request.form.getlist("scope")))
    asked = authorization_request(given, ",".join(request.args.getlist("scope")) or ",".join(ticked))
    note(client=asked.app)
    if request.form.get("decision") == "cancel":
        return _back(asked, CANCELLED)
    if request.form.get("decision") != "allow":
        raise ShownHere("invalid_request", "decision must be allow or cancel")
    with instagram().lock:
        account = instagram().account(request.form.get("account"))
        if account is None:
            raise ShownHere("invalid_request", "there is no such account in the sandbox")
        if not account.professional:
            raise ShownHere("not_professional", "Only a professional account can be linked.")
        code = instagram().grants.approve(asked, account.id, ticked)
    note(account=account.id)
    return _granted(asked, code)


def _granted(asked: AuthorizationRequest, code: str) -> Response:
    """The code, with the fragment behind the address that is no part of it."""
    quirks = instagram().quirks
    if error := quirks.get("callback_error"):
        return _back(asked, {name: str(value) for name, value in error.items()})
    if suffix := quirks.get("code_suffix"):
        return _back(asked, {"code": code + suffix})
    return _back(asked, {"code": code}, fragment="" if quirks.get("no_fragment") else "_")


def _back(asked: AuthorizationRequest, members: dict[str, str], fragment: str = "") -> Response:
    uri = urlsplit(asked.redirect_uri)
    query = parse_qsl(uri.query, keep_blank_values=True)
    query += [*members.items()] + ([] if asked.state is None else [("state", asked.state)])
    response = make_response(redirect(urlunsplit(uri._replace(query=urlencode(query), fragment=fragment)), 303))
    response.headers["Referrer-Policy"] = "no-referrer"
    return _private(response)
