"""Where Google sends security events (contract §6): push delivery by RFC 8935. The signature within is all that says
who it comes from: no caller, no cookie, and no matter under what content type (docs/facts/google.md §2.2)."""

from flask import Blueprint, Response, jsonify, request

from broker.connections import from_google
from broker.identity import BadEvent
from broker.web.callers import the_broker

google_events = Blueprint("google_events", __name__, url_prefix="/hooks/google")


@google_events.post("/events")
@google_events.post("/<app_id>/events")
def events(app_id: str | None = None) -> Response:
    """202 without a body once it is durable."""
    from_google.receive(the_broker(), app_id, request.get_data(cache=False))
    return Response(status=202)


@google_events.errorhandler(BadEvent)
def refused(error: BadEvent) -> tuple[Response, int]:
    """RFC 8935 §2.4."""
    answer = jsonify(err=error.err, description=error.description)
    answer.headers["Content-Language"] = "en"
    return answer, 400
