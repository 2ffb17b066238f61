"""Event endpoints (contract §7): where a client's events go, what became of each, and sending it once more."""

from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response

from broker.clients import Caller
from broker.events import endpoints, looked_at
from broker.web import answers, bodies
from broker.web.callers import the_broker
from broker.web.routes import route

events = Blueprint("events", __name__)

ONE = "/v1/event-endpoints/<endpoint_id>"


@route(
    events,
    "POST",
    "/v1/event-endpoints",
    scope="events",
    body=bodies.EventEndpointBody,
    answers={201: answers.NewEventEndpoint},
)
def add_event_endpoint(client: Caller, given: bodies.EventEndpointBody) -> Any:  # noqa: ANN401 - JSON, here and below
    """Register where events of the client's tenants go; the secret that signs them is shown this once."""
    return endpoints.register(the_broker(), client, **given.model_dump()), 201


@route(
    events,
    "GET",
    "/v1/event-endpoints",
    scope="events",
    query=bodies.PageQuery,
    answers={200: answers.EventEndpoints},
)
def list_event_endpoints(client: Caller, asked: bodies.PageQuery) -> Any:  # noqa: ANN401
    """The client's own event endpoints."""
    limit = bodies.bounded(asked.limit, 200)
    return asdict(endpoints.listed(the_broker(), client, limit=limit, cursor=asked.cursor))


@route(events, "GET", ONE, scope="events", answers={200: answers.EventEndpoint})
def show_event_endpoint(client: Caller, endpoint_id: str) -> Any:  # noqa: ANN401
    """One event endpoint: how it does, and how many events wait for it."""
    return endpoints.shown(the_broker(), client, endpoint_id)


@route(events, "DELETE", ONE, scope="events", answers={204: None})
def remove_event_endpoint(client: Caller, endpoint_id: str) -> Response:
    """Remove an event endpoint, with what was not delivered to it yet."""
    endpoints.remove(the_broker(), client, endpoint_id)
    return Response(status=204)


@route(events, "POST", f"{ONE}/rotate-secret", scope="events", answers={200: answers.NewEventSecret})
def rotate_event_secret(client: Caller, endpoint_id: str) -> Any:  # noqa: ANN401
    """Give an event endpoint a new secret; the earlier one signs beside it for 24 hours."""
    return endpoints.rotate(the_broker(), client, endpoint_id)


@route(events, "POST", f"{ONE}/enable", scope="events", answers={200: answers.EventEndpoint})
def enable_event_endpoint(client: Caller, endpoint_id: str) -> Any:  # noqa: ANN401
    """Enable a disabled event endpoint; one that fails is tried at once."""
    return endpoints.enable(the_broker(), client, endpoint_id)


@route(events, "POST", f"{ONE}/disable", scope="events", answers={200: answers.EventEndpoint})
def disable_event_endpoint(client: Caller, endpoint_id: str) -> Any:  # noqa: ANN401
    """Disable an event endpoint: nothing more is told to it until it is enabled."""
    return endpoints.disable(the_broker(), client, endpoint_id)


@route(
    events,
    "GET",
    f"{ONE}/deliveries",
    scope="events",
    query=bodies.DeliveriesQuery,
    answers={200: answers.EventDeliveries},
)
def list_event_deliveries(client: Caller, endpoint_id: str, asked: bodies.DeliveriesQuery) -> Any:  # noqa: ANN401
    """What became of each event at an endpoint, oldest first."""
    given = asked.model_dump() | {"limit": bodies.bounded(asked.limit, 200)}
    return asdict(looked_at.deliveries(the_broker(), client, endpoint_id, **given))


@route(
    events,
    "POST",
    f"{ONE}/replay",
    scope="events",
    body=bodies.ReplayBody,
    answers={200: answers.Replayed},
)
def replay_events(client: Caller, endpoint_id: str, given: bodies.ReplayBody) -> Any:  # noqa: ANN401
    """Send one event once more, or all that failed."""
    count = looked_at.replay(the_broker(), client, endpoint_id, event_id=given.event, since=given.since)
    return {"replayed": count}
