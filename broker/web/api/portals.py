"""The way into the subject's portal (contract §3)."""

from typing import Any

from flask import Blueprint

from broker.clients import Caller
from broker.portal import sessions
from broker.web import answers, bodies
from broker.web.callers import the_broker
from broker.web.routes import route

portals = Blueprint("portals", __name__)


@route(
    portals,
    "POST",
    "/v1/portal-sessions",
    scope="connect",
    body=bodies.PortalSessionBody,
    answers={201: answers.Session},
)
def begin_portal(client: Caller, given: bodies.PortalSessionBody) -> Any:  # noqa: ANN401 - JSON
    """Give the address of a page on which the subject sees and ends what is connected."""
    broker = the_broker()
    begun = sessions.begin(broker, client, **given.model_dump())
    return sessions.described(begun, broker.settings.public_url), 201
