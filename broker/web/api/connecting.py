"""Connecting and what came of it (contract §3): connect sessions, connections, assets."""

from dataclasses import asdict
from typing import Any

from flask import Blueprint, g

from broker.clients import Caller
from broker.connections import begin, confirm, narrow, read, suspend
from broker.connections.begin import SessionRequest
from broker.connections.read import rfc3339
from broker.errors import (
    ConnectionRevoked,
    ConnectionSuspended,
    ConsentAgain,
    GrantWithdrawn,
    InsufficientScope,
    NotGranted,
    ProviderUnavailable,
    RateLimited,
    WrongAccount,
)
from broker.explain import explain
from broker.web import answers, bodies
from broker.web.callers import the_broker
from broker.web.routes import route

connecting = Blueprint("connecting", __name__)
CONNECTION = "/v1/connections/<connection_id>"
ENDED = (ConnectionRevoked, GrantWithdrawn, NotGranted)


@route(
    connecting,
    "POST",
    "/v1/connect-sessions",
    scope="connect",
    body=bodies.ConnectSessionBody,
    answers={201: answers.Session},
)
def begin_session(client: Caller, given: bodies.ConnectSessionBody) -> Any:  # noqa: ANN401 - JSON, here and below
    """Begin to connect an account: gives the address to send the user's browser to."""
    broker = the_broker()
    repeated = g.get("idempotent")
    row, ticket = begin.begin(broker, client, SessionRequest(**given.model_dump()), repeated=repeated)
    url = f"{broker.settings.public_url}/connect/{ticket.reveal()}"
    return {"id": row.id, "url": url, "expires_at": rfc3339(row.expires_at)}, 201


@route(
    connecting,
    "GET",
    "/v1/connect-sessions/<session_id>",
    scope="connect",
    answers={200: answers.SessionStatus},
)
def session_status(client: Caller, session_id: str) -> Any:  # noqa: ANN401
    """How a connect session stands."""
    return {"id": session_id, "status": confirm.status(the_broker(), client, session_id)}


@route(
    connecting,
    "POST",
    "/v1/connect-sessions/<session_id>/confirm",
    scope="connect",
    body=bodies.ConfirmBody,
    answers={200: answers.Confirmed},
    errors=(InsufficientScope, WrongAccount, ConsentAgain, ConnectionRevoked, ProviderUnavailable, RateLimited),
)
def confirm_session(client: Caller, session_id: str, given: bodies.ConfirmBody) -> Any:  # noqa: ANN401
    """Confirm who is logged in: only now the provider's code is exchanged and the connection made."""
    broker = the_broker()
    activated = confirm.confirm(broker, client, session_id, subject=given.subject, code=given.code, assets=given.assets)
    answer: dict[str, Any] = {"connection": read.shown(broker, client, activated.connection_id)}
    if activated.dropped_assets:
        problem = "the provider does not report it"
        answer["errors"] = [
            {"field": f"assets.{connector}", "asset": asset, "problem": problem}
            for connector, asset in activated.dropped_assets
        ]
    return answer


@route(
    connecting,
    "GET",
    "/v1/connections",
    scope="connections:read",
    query=bodies.ConnectionsQuery,
    answers={200: answers.Connections},
)
def list_connections(client: Caller, asked: bodies.ConnectionsQuery) -> Any:  # noqa: ANN401
    """The connections of the client's tenants."""
    given = asked.model_dump() | {"limit": bodies.bounded(asked.limit, 200)}
    return asdict(read.listed(the_broker(), client, **given))


@route(connecting, "GET", CONNECTION, scope="connections:read", answers={200: answers.Connection})
def show_connection(client: Caller, connection_id: str) -> Any:  # noqa: ANN401
    """One connection."""
    return read.shown(the_broker(), client, connection_id)


@route(
    connecting,
    "GET",
    f"{CONNECTION}/explain",
    scope="connections:read",
    query=bodies.ExplainQuery,
    answers={200: answers.Explained},
)
def explain_connection(client: Caller, connection_id: str, asked: bodies.ExplainQuery) -> Any:  # noqa: ANN401
    """Why a connector may read something on a connection, or why not: every scope that is missing."""
    return explain(the_broker(), connection_id, asked.connector, asked.operation, caller=client)


@route(
    connecting,
    "GET",
    f"{CONNECTION}/assets/<connector>",
    scope="connect",
    answers={200: answers.Assets},
    errors=ENDED,
)
def list_assets(client: Caller, connection_id: str, connector: str) -> Any:  # noqa: ANN401
    """What the user may choose for a connector, out of what the provider reported at confirm."""
    broker = the_broker()
    broker.connector(connector)
    return {"items": narrow.listed(broker, client, connection_id, connector), "next_cursor": None}


@route(
    connecting,
    "PUT",
    f"{CONNECTION}/assets/<connector>",
    scope="connect",
    body=bodies.AssetsBody,
    answers={200: answers.Assets},
    errors=ENDED,
)
def choose_assets(client: Caller, connection_id: str, connector: str, given: bodies.AssetsBody) -> Any:  # noqa: ANN401
    """Choose assets for a connector; once chosen they can only be narrowed."""
    broker = the_broker()
    broker.connector(connector)
    return {"items": narrow.narrow(broker, client, connection_id, connector, given.assets), "next_cursor": None}


@route(
    connecting,
    "POST",
    f"{CONNECTION}/suspend",
    scope="revoke",
    answers={200: answers.Connection},
    errors=(ConnectionRevoked,),
)
def suspend_connection(client: Caller, connection_id: str) -> Any:  # noqa: ANN401
    """Hold a connection's data back until it is resumed."""
    suspend.suspend(the_broker(), client, connection_id)
    return read.shown(the_broker(), client, connection_id)


@route(
    connecting,
    "POST",
    f"{CONNECTION}/resume",
    scope="revoke",
    answers={200: answers.Connection},
    errors=(ConnectionRevoked, ConnectionSuspended),
)
def resume_connection(client: Caller, connection_id: str) -> Any:  # noqa: ANN401
    """Let a suspended connection give data again."""
    suspend.resume(the_broker(), client, connection_id)
    return read.shown(the_broker(), client, connection_id)
