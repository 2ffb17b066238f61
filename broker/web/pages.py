"""What a browser sees: the consent page, the callback, and error pages. No script, no third-party asset.

GET and HEAD change nothing. Every answer leaves for the provider or a registered return URL by 303.
"""

from flask import Blueprint, Response, g, render_template, request
from werkzeug.exceptions import HTTPException

from broker.config import origin
from broker.connections import begin, complete, removed
from broker.connections.complete import Callback
from broker.errors import BrokerError, InvalidRequest
from broker.web.callers import the_broker
from broker.web.problems import fault_of_ours, of_werkzeug

pages = Blueprint("pages", __name__, template_folder="templates")

COOKIE_LIFETIME = 20 * 60
ERRORS = {
    "en": {
        "title": "This did not work",
        "not_answering": "The service is not answering at the moment. Please try again in a few minutes.",
        "other": "This link was used, has expired, or was not made for this browser. Please start again in the app.",
        "reference": "Reference",
    },
    "id": {
        "title": "Tidak berhasil",
        "not_answering": "Layanan sedang tidak menjawab. Silakan coba lagi beberapa menit lagi.",
        "other": "Tautan ini sudah dipakai, kedaluwarsa, atau bukan untuk peramban ini. Mulailah lagi di aplikasi.",
        "reference": "Referensi",
    },
}
DELETIONS = {
    "en": {
        "title": "Deletion of your data",
        "in_progress": "Your request is being carried out. Access to your account has ended; the last copies are being "
        "destroyed.",
        "completed": "Your request is completed: what this service held of your account is destroyed.",
        "kept": "What is kept is a record that an account was connected and ended, without your data.",
        "received": "Received",
    },
    "id": {
        "title": "Penghapusan data Anda",
        "in_progress": "Permintaan Anda sedang diproses. Akses ke akun Anda sudah berakhir; salinan terakhir sedang "
        "dihancurkan.",
        "completed": "Permintaan Anda selesai: data akun Anda yang disimpan layanan ini sudah dihancurkan.",
        "kept": "Yang tetap disimpan hanyalah catatan bahwa sebuah akun pernah dihubungkan dan diakhiri, tanpa data "
        "Anda.",
        "received": "Diterima",
    },
}


@pages.get("/connect/<ticket>")
def show(ticket: str) -> Response:
    return _consent(begin.page(the_broker(), ticket))


@pages.post("/connect/<ticket>")
def decide(ticket: str) -> Response:
    """One form, two buttons. Another site cannot send it (Sec-Fetch-Site, docs/facts/security.md INP-51)."""
    same_site()
    decision = request.form.getlist("decision")
    if decision == ["deny"]:
        session_id, return_url = begin.deny(the_broker(), ticket)
        return gone(complete.returned(return_url, {"session": session_id, "status": "denied"}))
    if decision != ["approve"]:
        raise InvalidRequest("Choose one of the two buttons.", status=400)
    ticked = request.form.getlist("connector")
    shown = begin.page(the_broker(), ticket)
    if not ticked and not shown.all_or_nothing:
        return _consent(shown, status=400, nothing_ticked=True)
    departure = begin.approve(the_broker(), ticket, ticked)
    response = gone(departure.url)
    allow_forms(departure.url, shown.return_url)
    response.set_cookie(
        departure.cookie,
        departure.value.reveal(),
        max_age=COOKIE_LIFETIME,
        path="/",
        secure=departure.cookie.startswith("__Host-"),
        httponly=True,
        samesite="Lax",
    )
    return response


@pages.get("/callback/<provider>")
def callback(provider: str) -> Response:
    """The answer to the app that all tenants share."""
    return _called_back(provider, None)


@pages.get("/callback/<provider>/<app_id>")
def own_callback(provider: str, app_id: str) -> Response:
    """The answer to a tenant's own app: nobody else's comes by this path (STD-03). Whether there is one of this name,
    nobody learns who has not begun at it (I6)."""
    return _called_back(provider, app_id)


@pages.get("/deletion/<code>")
def deletion(code: str) -> str:
    """How a request for deletion stands that came from the provider: to whoever has its code."""
    found, spoken = removed.deletion(the_broker(), code), language()
    return render_template(
        "deletion.html",
        locale=spoken,
        texts=DELETIONS[spoken],
        completed=found.completed,
        day=found.requested_at.date().isoformat(),
    )


def _called_back(provider: str, own: str | None) -> Response:
    """The provider's answer. Only a person's own navigation brings one (INP-53)."""
    headers = request.headers
    navigates = headers.get("Sec-Fetch-Mode", "navigate") == "navigate"
    in_a_window = headers.get("Sec-Fetch-Dest", "document") == "document"
    if not navigates or not in_a_window or "prefetch" in headers.get("Sec-Purpose", ""):
        raise InvalidRequest("Open this in the browser that began.", status=400)
    if request.method == "HEAD":
        raise InvalidRequest("A callback is used by GET.", status=400)
    answer = Callback.parse({name: values for name, values in request.args.lists()})
    return gone(complete.complete(the_broker(), provider, own, answer, request.cookies))


@pages.errorhandler(BrokerError)
def error_page(error: BrokerError) -> Response:
    """The same status as the API would give, in words for people; nothing of the request is echoed."""
    spoken = language()
    texts = ERRORS[spoken]
    text = texts["not_answering"] if error.status >= 500 else texts["other"]
    html = render_template("error.html", locale=spoken, texts=texts, text=text, reference=g.request_id)
    return Response(html, status=error.status)


@pages.errorhandler(HTTPException)
def http_error_page(error: HTTPException) -> Response:
    return error_page(of_werkzeug(error))


@pages.errorhandler(Exception)
def fault_page(error: Exception) -> Response:
    return error_page(fault_of_ours(error))


def language() -> str:
    """Of the browser, where nothing else says which."""
    return request.accept_languages.best_match(("en", "id")) or "en"


def _consent(page: begin.Page, *, status: int = 200, nothing_ticked: bool = False) -> Response:
    html = render_template(
        "consent.html",
        text=page.text,
        locale=page.text.locale,
        privacy_url=page.privacy_url,
        nothing_ticked=nothing_ticked,
    )
    response = Response(html, status=status)
    allow_forms(page.authorization_endpoint, page.return_url)
    return response


def gone(url: str) -> Response:
    return Response(status=303, headers={"Location": url})


def allow_forms(*urls: str) -> None:
    """Browsers apply form-action to the redirects after a form too, so these origins must be named."""
    named = " ".join(sorted({origin(url) for url in urls}))
    g.form_action = f"'self' {named}"


def same_site() -> None:
    """Our pages send no referrer, so browsers send `Origin: null` with their forms too; those that are not ancient
    say in Sec-Fetch-Site where the form stands."""
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    sent_from = request.headers.get("Origin", "null")
    if site not in ("same-origin", "none") or sent_from not in ("null", the_broker().settings.public_origin):
        raise InvalidRequest("This form can only be sent from its own page.", status=400)
