"""Facebook's login dialog, and the way back to the app (docs/facts/meta.md §1.1, §1.2, §1.7).

Only a decision goes back to the app.
"""

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from flask import Blueprint, Response, make_response, redirect, render_template, request
from werkzeug.datastructures import CombinedMultiDict

from broker.sandbox.facebook.authorize import ShownHere, login_request
from broker.sandbox.facebook.consent_texts import TEXTS
from broker.sandbox.facebook.grants import Code, LoginRequest
from broker.sandbox.facebook.permissions import MEANINGS, PROFILE, limited_to, listed, ordered
from broker.sandbox.facebook.seed import Page, Person
from broker.sandbox.facebook.state import facebook
from broker.sandbox.facebook.system_users import system_user
from broker.sandbox.graph import own_path
from broker.sandbox.journal import note

PAGES = Blueprint("dialog", __name__)

OFFERED = 8
"""Accounts that the page lists; any other is chosen by sending its address."""

CANCELLED = [
    ("error", "access_denied"),
    ("error_reason", "user_denied"),
    ("error_description", "Permissions error"),
]


@PAGES.errorhandler(ShownHere)
def _shown(error: ShownHere) -> Response:
    language, t = _language()
    return _page(render_template("facebook_error.html", error=error, lang=language, t=t), error.status)


def _language() -> tuple[str, dict[str, str]]:
    language = request.accept_languages.best_match(TEXTS) or "en"
    return language, TEXTS[language]


def _page(html: str, status: int = 200) -> Response:
    """No `form-action`: browsers would apply it to the redirect that follows the form."""
    response = make_response(html, status)
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    )
    response.headers["Vary"] = "Accept-Language"
    return _private(response)


def _private(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


@PAGES.get("/dialog/oauth")
def choose() -> Response:
    """The page; with the quirk `straight_through` an answer at once where nothing has to be asked."""
    asked = login_request(request.args, ",".join(request.args.getlist("scope")))
    with facebook().lock:
        last = facebook().people.get(facebook().last_person or "")
        straight = facebook().quirks.get("straight_through") and not asked.auth_type
        if straight and last and not facebook().grants.to_ask(asked, last.key):
            return _granted(asked, facebook().grants.approve(asked, last.key, (), {}), last)
        people = [person for person in facebook().people.values() if not person.system][:OFFERED]
        pages = [(page, person) for person in people for page in facebook().pages_of(person)]
        covered = [person.key for person in people if not facebook().grants.to_ask(asked, person.key)]
    language, t = _language()
    html = render_template(
        "facebook_consent.html",
        asked=asked,
        people=people,
        covered=covered,
        fixed=ordered(asked.scopes) if not asked.choosable else [PROFILE],
        choices=ordered(asked.scopes - {PROFILE}) if asked.choosable else [],
        pages=pages if _kinds(asked) & {"pages"} else [],
        instagram=[pair for pair in pages if pair[0].instagram] if _kinds(asked) & {"instagram"} else [],
        meaning=lambda name: MEANINGS.get(name, (name, name))[language == "id"],
        lang=language,
        t=t,
        action=f"{own_path()}?{request.query_string.decode()}",
    )
    return _page(html)


def _kinds(asked: LoginRequest) -> set[str]:
    """Kinds of assets that the permissions asked for are limited to."""
    return {kind for scope in asked.scopes if (kind := limited_to(scope))}


@PAGES.post("/dialog/oauth")
def decide() -> Response:
    """The person's decision: `decision` (allow or cancel), `account` (an address), `scope` for each ticked permission,
    `pages` and `instagram` for each ticked id; where one of these two is absent, all are meant, now and later.

    The request's own parameters stand in the query, or in the form as well.
    """
    given: CombinedMultiDict[str, str] = CombinedMultiDict([request.args, request.form])
    ticked = listed(*request.form.getlist("scope"))
    asked = login_request(given, ",".join(request.args.getlist("scope") or ticked))
    note(client=asked.app)
    if request.form.get("decision") == "cancel":
        return _back(asked, CANCELLED)
    if request.form.get("decision") != "allow":
        raise ShownHere("Invalid parameter", "decision must be allow or cancel")
    with facebook().lock:
        person = facebook().person(request.form.get("account"))
        if person is None or person.system:
            raise ShownHere("Invalid parameter", "there is no such account in the sandbox")
        code = _approved(asked, person, ticked)
    return _granted(asked, code, person)


def _approved(asked: LoginRequest, person: Person, ticked: frozenset[str]) -> Code:
    """Assets are asked for when a permission is, or when the form names some: then the choice replaces the last one."""
    pages = facebook().pages_of(person)
    shown = _kinds(asked) if facebook().grants.to_ask(asked, person.key) else _kinds(asked) & request.form.keys()
    chosen = {kind: _chosen(kind, pages) for kind in shown}
    facebook().last_person = person.key
    if asked.system_user:
        person, chosen = system_user(asked.app, person, pages, chosen)
    return facebook().grants.approve(asked, person.key, ticked, chosen)


def _chosen(kind: str, pages: list[Page]) -> frozenset[str] | None:
    """Ids that the form names, each the person's own; None where it names none."""
    if kind not in request.form:
        return None
    own = {page.id for page in pages} if kind == "pages" else {page.instagram[0] for page in pages if page.instagram}
    named = listed(*request.form.getlist(kind))
    if not named <= own:
        raise ShownHere("Invalid parameter", f"{kind}: not of this person: {', '.join(sorted(named - own))}")
    return named


def _granted(asked: LoginRequest, code: Code, person: Person) -> Response:
    quirks = facebook().quirks
    note(client=asked.app, account=person.key)
    if error := quirks.get("callback_error"):
        members = {"error_code": str(error["error_code"]), "error_message": error.get("error_message", "Error")}
        return _back(asked, list(members.items()))
    members = {"code": code.value + ("#_=_" if quirks.get("code_with_suffix") else "")}
    if asked.tells_scopes:
        statuses = facebook().grants.of[asked.app, code.person].statuses
        for name, status in (("granted_scopes", "granted"), ("denied_scopes", "declined")):
            members[name] = ",".join(ordered(scope for scope, now in statuses.items() if now == status))
    return _back(asked, list(members.items()))


def _back(asked: LoginRequest, members: list[tuple[str, str]]) -> Response:
    uri = urlsplit(asked.redirect_uri)
    query = [*parse_qsl(uri.query, keep_blank_values=True), *members, ("state", asked.state)]
    fragment = "" if facebook().quirks.get("no_fragment") else "_=_"
    address = urlunsplit(uri._replace(query=urlencode(query), fragment=fragment))
    return _private(make_response(redirect(address, 302)))
