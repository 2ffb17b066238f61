"""Revoking (contract §5) and the receipts of it."""

from dataclasses import asdict
from typing import Any

from flask import Blueprint

from broker.clients import Caller
from broker.connections import mass, receipts, revoke
from broker.connections.matching import Wanted, would_end_all
from broker.web import answers, bodies
from broker.web.callers import the_broker
from broker.web.routes import route

revoking = Blueprint("revoking", __name__)


@route(
    revoking,
    "DELETE",
    "/v1/connections/<connection_id>",
    scope="revoke",
    query=bodies.RevokeQuery,
    answers={200: answers.Revoked | answers.WouldEnd, 202: answers.Revoked},
)
def revoke_connection(client: Caller, connection_id: str, asked: bodies.RevokeQuery) -> Any:  # noqa: ANN401 - JSON
    """End a connection: from the answer on it gives no data, and the provider is told."""
    if asked.dry_run == "true":
        return revoke.would_end(the_broker(), client, connection_id)
    return _receipt(revoke.end_connection(the_broker(), client, connection_id))


@route(
    revoking,
    "DELETE",
    "/v1/connections/<connection_id>/grants/<connector>",
    scope="revoke",
    query=bodies.RevokeQuery,
    answers={200: answers.Revoked | answers.WouldEnd, 202: answers.Revoked},
)
def withdraw_grant(client: Caller, connection_id: str, connector: str, asked: bodies.RevokeQuery) -> Any:  # noqa: ANN401
    """Withdraw one connector; the last one ends the connection."""
    broker = the_broker()
    if asked.dry_run == "true":
        return revoke.would_end(broker, client, connection_id, connector)
    return _receipt(revoke.end_grant(broker, client, connection_id, connector))


@route(
    revoking,
    "POST",
    "/v1/revocations",
    scope="revoke",
    body=bodies.RevocationBody,
    query=bodies.RevokeQuery,
    answers={200: answers.Revoked | answers.WouldEnd, 202: answers.Revoked},
)
def revoke_all(client: Caller, given: bodies.RevocationBody, asked: bodies.RevokeQuery) -> Any:  # noqa: ANN401
    """End all that match, under one receipt; repeated, it goes on where it was interrupted."""
    wanted = Wanted(given.tenant, given.subject, given.provider, given.connector)
    if asked.dry_run == "true":
        return would_end_all(the_broker(), client, wanted)
    return _receipt(mass.end_all(the_broker(), client, wanted, given.reason))


@route(
    revoking,
    "GET",
    "/v1/revocations",
    scope="revoke",
    query=bodies.RevocationsQuery,
    answers={200: answers.Receipts},
)
def list_revocations(client: Caller, asked: bodies.RevocationsQuery) -> Any:  # noqa: ANN401
    """The receipts of the client's tenants."""
    given = asked.model_dump() | {"limit": bodies.bounded(asked.limit, 200)}
    return asdict(receipts.receipts(the_broker(), client, **given))


@route(revoking, "GET", "/v1/revocations/<revocation_id>", scope="revoke", answers={200: answers.Receipt})
def show_revocation(client: Caller, revocation_id: str) -> Any:  # noqa: ANN401
    """One receipt: what was ended, and how that went at the provider."""
    return receipts.receipt(the_broker(), client, revocation_id)


def _receipt(ended: receipts.Ended) -> tuple[Any, int]:
    """202 where the provider has yet to answer; here the revocation is in force. A repeated one is always 200."""
    in_progress = ended.anew and ended.receipt["state"] == "in_progress"
    return {"revocation": ended.receipt}, 202 if in_progress else 200
