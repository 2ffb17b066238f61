"""The subject's portal as a browser sees it: no script, one page and the few that it leads to.

    /portal/open/<link>     one button; pressing it binds this browser, and leads on to an address without the secret
    /portal/<session>       what is connected, what each connector may read and has read
    /portal/<session>/…     asking before something ends, how it ended, downloads, the language, the way back

What changes something is a form of our own page: by `Sec-Fetch-Site`, by a cookie that no other site's form is sent
with, and by a token in the form (docs/facts/security.md INP-51).
"""

import json
from typing import Any

from flask import Blueprint, Response, render_template, request
from werkzeug.exceptions import HTTPException

from broker.errors import BrokerError, InvalidRequest
from broker.models import PortalSession
from broker.portal import ending, history, sessions, view
from broker.portal.ending import Wanted
from broker.portal.texts import LANGUAGES, TEXTS
from broker.secret import Secret
from broker.web.callers import the_broker
from broker.web.pages import allow_forms, error_page, fault_page, gone, http_error_page, same_site

portal = Blueprint("portal", __name__, url_prefix="/portal", template_folder="templates")
portal.register_error_handler(BrokerError, error_page)
portal.register_error_handler(HTTPException, http_error_page)
portal.register_error_handler(Exception, fault_page)


@portal.get("/open/<link>")
def door(link: str) -> Response:
    """One button. Nothing is changed, however often a mail program or a preview looks (STD-11)."""
    row = sessions.knock(the_broker(), link, request.cookies)
    if row.browser_hash is not None:
        return gone(_at(row.id))
    return Response(render_template("portal_open.html", locale=row.locale, texts=TEXTS[row.locale]))


@portal.post("/open/<link>")
def enter(link: str) -> Response:
    """The first browser that sends the form is the only one that gets in."""
    same_site()
    entry = sessions.enter(the_broker(), link, request.cookies)
    response = gone(_at(entry.session_id))
    if entry.value is not None:
        _set_cookie(response, entry.cookie, entry.value)
    return response


@portal.get("/<session_id>")
def show(session_id: str) -> Response:
    row = _row(session_id)
    page = request.args.get("page", "1")
    if not page.isascii() or not page.isdigit() or len(page) > 6:
        raise InvalidRequest("There is no such page.", status=400)
    return _page("portal.html", row, shown=view.shown(the_broker(), row, int(page)), languages=LANGUAGES)


@portal.get("/<session_id>/end")
def ask(session_id: str) -> Response:
    """Asks first; it changes nothing."""
    row, wanted = _row(session_id), _wanted(request.args.to_dict(flat=False))
    question = ending.question(the_broker(), row, wanted)
    if question is None:
        return gone(_at(row.id))
    return _page("portal_end.html", row, question=question, wanted=wanted)


@portal.post("/<session_id>/end")
def end(session_id: str) -> Response:
    """Once this has been answered nothing of it is handed out any more (I2), as by the API."""
    row = _sent(session_id)
    fields = {name: values for name, values in request.form.lists() if name != "token"}
    revocation = ending.end(the_broker(), row, _wanted(fields))
    return gone(f"{_at(row.id)}/receipts/{revocation}" if revocation else _at(row.id))


@portal.get("/<session_id>/receipts/<revocation_id>")
def receipt(session_id: str, revocation_id: str) -> Response:
    """What happened, and how it went at the provider so far."""
    row = _row(session_id)
    return _page("portal_receipt.html", row, receipt=history.receipt(the_broker(), row, revocation_id))


@portal.get("/<session_id>/receipts/<revocation_id>/signed")
def signed_receipt(session_id: str, revocation_id: str) -> Response:
    """The receipt as a signed statement that verifies without us."""
    signed = ending.signed_receipt(the_broker(), _row(session_id), revocation_id)
    return _download(signed, "application/jose", f"{revocation_id}.jws")


@portal.post("/<session_id>/export")
def download(session_id: str) -> Response:
    """Everything held about the subject, to read or for programs. That it was taken stands in the audit."""
    row, wanted = _sent(session_id), request.form.get("as")
    if wanted not in ("html", "json"):
        raise InvalidRequest("There is no such form.", status=400)
    held = sessions.exported(the_broker(), row, wanted)
    if wanted == "json":
        return _download(json.dumps(held, ensure_ascii=False, indent=2), "application/json", "my-data.json")
    page = render_template("portal_data.html", locale=row.locale, texts=TEXTS[row.locale], held=held)
    return _download(page, "text/html", "my-data.html")


@portal.post("/<session_id>/language")
def speak(session_id: str) -> Response:
    row, locale = _sent(session_id), request.form.get("locale", "")
    if locale not in TEXTS:
        raise InvalidRequest("There is no such language.", status=400)
    sessions.speak(the_broker(), row.id, request.cookies, locale)
    return gone(_at(row.id))


@portal.post("/<session_id>/leave")
def leave(session_id: str) -> Response:
    """The session ends with the way back: on a borrowed phone nobody comes after."""
    row = _sent(session_id)
    allow_forms(row.return_url)
    return gone(sessions.leave(the_broker(), row.id, request.cookies))


def _at(session_id: str) -> str:
    return f"/portal/{session_id}"


def _row(session_id: str) -> PortalSession:
    return sessions.visit(the_broker(), session_id, request.cookies)


def _sent(session_id: str) -> PortalSession:
    """The session of a form that one of its own pages sent. Raises `InvalidRequest` (400)."""
    same_site()
    row = _row(session_id)
    if not Secret(sessions.form_token(row)).matches(request.form.get("token", "")):
        raise InvalidRequest("This form can only be sent from its own page.", status=400)
    return row


def _wanted(given: dict[str, list[str]]) -> Wanted:
    """Exactly what is named, and nothing wider for a name that is wrong or twice there. Raises `InvalidRequest`."""
    whole = given == {"all": ["yes"]}
    known = given.keys() <= {"connection", "connector"} and "connection" in given
    if not whole and not (known and all(len(values) == 1 and values[0] for values in given.values())):
        raise InvalidRequest("It is not said what is to end.", status=400)
    if whole:
        return Wanted()
    return Wanted(given["connection"][0], given["connector"][0] if "connector" in given else None)


def _page(template: str, row: PortalSession, **values: Any) -> Response:  # noqa: ANN401 - for the template
    allow_forms(row.return_url)
    html = render_template(
        template,
        locale=row.locale,
        texts=TEXTS[row.locale],
        at=_at(row.id),
        token=sessions.form_token(row),
        **values,
    )
    return Response(html)


def _download(text: str, kind: str, name: str) -> Response:
    response = Response(text, mimetype=kind)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _set_cookie(response: Response, name: str, value: Secret) -> None:
    response.set_cookie(
        name,
        value.reveal(),
        max_age=int(sessions.LONGEST.total_seconds()),
        path="/",
        secure=name.startswith("__Host-"),
        httponly=True,
        samesite="Lax",
    )
