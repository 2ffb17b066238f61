"""The user's rights over what is held (contract §5): access, erasure, the proof of each consent."""

from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, make_response, render_template, request

from broker.clients import Caller
from broker.privacy import consents, export
from broker.privacy.erase import erase, erasure
from broker.web import answers, bodies
from broker.web.callers import the_broker
from broker.web.routes import route

privacy = Blueprint("privacy", __name__, template_folder="../templates")

HTML = "text/html"


@route(
    privacy,
    "POST",
    "/v1/subjects/export",
    scope="privacy",
    body=bodies.SubjectBody,
    query=bodies.ExportQuery,
    answers={200: answers.Export},
    changes=False,
)
def export_subject(client: Caller, given: bodies.SubjectBody, asked: bodies.ExportQuery) -> Any:  # noqa: ANN401
    """Everything that is held about one subject, as JSON or, with `format=html` or by `Accept`, as a page."""
    client.require_tenant(given.tenant)
    held = export(the_broker(), given.tenant, given.subject)
    best = request.accept_mimetypes.best_match(["application/json", HTML])
    return _page(held) if asked.format == "html" or (asked.format is None and best == HTML) else held


@route(
    privacy,
    "POST",
    "/v1/subjects/erase",
    scope="privacy",
    body=bodies.SubjectBody,
    answers={200: answers.SubjectErased, 202: answers.SubjectErased},
)
def erase_subject(client: Caller, given: bodies.SubjectBody) -> Any:  # noqa: ANN401
    """End everything of one subject, and erase it as soon as each provider was told; repeated, the same answer."""
    erased = erase(the_broker(), client, given.tenant, given.subject)
    under_way = erased.anew and erased.erasure["state"] == "in_progress"
    return {"revocation": erased.receipt, "erasure": erased.erasure}, 202 if under_way else 200


@route(
    privacy,
    "GET",
    "/v1/erasures",
    scope="privacy",
    query=bodies.ListQuery,
    answers={200: answers.Erasures},
)
def list_erasures(client: Caller, asked: bodies.ListQuery) -> Any:  # noqa: ANN401
    """Erasures of the client's tenants, with the certificates of those that are completed."""
    given = asked.model_dump() | {"limit": bodies.bounded(asked.limit, 200)}
    return asdict(consents.erasures(the_broker(), client, **given))


@route(privacy, "GET", "/v1/erasures/<erasure_id>", scope="privacy", answers={200: answers.Erasure})
def show_erasure(client: Caller, erasure_id: str) -> Any:  # noqa: ANN401
    """How one erasure stands; once it is completed, its signed certificate."""
    return erasure(the_broker(), client, erasure_id)


@route(
    privacy,
    "GET",
    "/v1/consents",
    scope="privacy",
    query=bodies.ConsentsQuery,
    answers={200: answers.Consents},
)
def list_consents(client: Caller, asked: bodies.ConsentsQuery) -> Any:  # noqa: ANN401
    """Each grant, narrowing and withdrawal, with what the page said."""
    given = asked.model_dump() | {"limit": bodies.bounded(asked.limit, 200)}
    return asdict(consents.listed(the_broker(), client, **given))


@route(privacy, "GET", "/v1/consents/<consent_id>", scope="privacy", answers={200: answers.SignedConsent})
def show_consent(client: Caller, consent_id: str) -> Any:  # noqa: ANN401
    """One of them, signed."""
    return consents.one(the_broker(), client, consent_id)


def _page(held: dict[str, Any]) -> Response:
    response = make_response(render_template("export.html", locale="en", held=held))
    response.headers["Content-Disposition"] = 'inline; filename="export.html"'
    return response
