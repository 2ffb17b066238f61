"""The API of contract §3–§5: connect sessions, connections, records, revocations."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, jsonify

from broker import scopes
from broker.connections import begin, confirm, history, narrow, read, revoke, suspend, use
from broker.connections.begin import SessionRequest, connector_scopes
from broker.connections.read import rfc3339
from broker.connections.use import Standing
from broker.contract import Connector
from broker.errors import NotFound
from broker.providers.base import Provider
from broker.records import read_page
from broker.runtime import Broker
from broker.web import bodies
from broker.web.callers import caller, the_broker

api = Blueprint("api", __name__)

CHUNK = 64 * 1024
"""Most data that one read of the state may answer for (I2)."""


@api.post("/v1/connect-sessions")
def begin_session() -> tuple[Response, int]:
    broker, client = the_broker(), caller("connect")
    row, ticket = begin.begin(broker, client, SessionRequest(**bodies.body(bodies.ConnectSessionBody).model_dump()))
    url = f"{broker.settings.public_url}/connect/{ticket.reveal()}"
    return jsonify({"id": row.id, "url": url, "expires_at": rfc3339(row.expires_at)}), 201


@api.get("/v1/connect-sessions/<session_id>")
def session_status(session_id: str) -> Response:
    client = caller("connect")
    return jsonify({"id": session_id, "status": confirm.status(the_broker(), client, session_id)})


@api.post("/v1/connect-sessions/<session_id>/confirm")
def confirm_session(session_id: str) -> Response:
    broker, client = the_broker(), caller("connect")
    given = bodies.body(bodies.ConfirmBody)
    activated = confirm.confirm(broker, client, session_id, subject=given.subject, code=given.code, assets=given.assets)
    answer: dict[str, Any] = {"connection": read.shown(broker, client, activated.connection_id)}
    if activated.dropped_assets:
        problem = "the provider does not report it"
        answer["errors"] = [
            {"field": f"assets.{connector}", "asset": asset, "problem": problem}
            for connector, asset in activated.dropped_assets
        ]
    return jsonify(answer)


@api.get("/v1/connections")
def list_connections() -> Response:
    client = caller("connections:read")
    asked = bodies.query(bodies.ConnectionsQuery)
    page = read.listed(
        the_broker(),
        client,
        tenant=asked.tenant,
        subject=asked.subject,
        provider=asked.provider,
        state=asked.state,
        limit=bodies.bounded(asked.limit, 200),
        cursor=asked.cursor,
    )
    return jsonify(asdict(page))


@api.get("/v1/connections/<connection_id>")
def show_connection(connection_id: str) -> Response:
    client = caller("connections:read")
    return jsonify(read.shown(the_broker(), client, connection_id))


@api.get("/v1/connections/<connection_id>/assets/<connector>")
def list_assets(connection_id: str, connector: str) -> Response:
    broker, client = the_broker(), caller("connect")
    broker.connector(connector)
    return jsonify({"items": narrow.listed(broker, client, connection_id, connector), "next_cursor": None})


@api.put("/v1/connections/<connection_id>/assets/<connector>")
def choose_assets(connection_id: str, connector: str) -> Response:
    broker, client = the_broker(), caller("connect")
    broker.connector(connector)
    ids = bodies.body(bodies.AssetsBody).assets
    return jsonify({"items": narrow.narrow(broker, client, connection_id, connector, ids), "next_cursor": None})


@api.post("/v1/connections/<connection_id>/suspend")
def suspend_connection(connection_id: str) -> Response:
    broker, client = the_broker(), caller("revoke")
    suspend.suspend(broker, client, connection_id)
    return jsonify(read.shown(broker, client, connection_id))


@api.post("/v1/connections/<connection_id>/resume")
def resume_connection(connection_id: str) -> Response:
    broker, client = the_broker(), caller("revoke")
    suspend.resume(broker, client, connection_id)
    return jsonify(read.shown(broker, client, connection_id))


@api.get("/v1/connections/<connection_id>/records/<connector>")
def read_records(connection_id: str, connector: str) -> Response:
    broker, client = the_broker(), caller("records:read")
    asked = bodies.query(bodies.RecordsQuery)
    page = read_page(
        broker,
        client,
        connection_id,
        connector,
        asset=asked.asset,
        cursor=asked.cursor,
        limit=bodies.bounded(asked.limit, 1000),
    )
    body = json.dumps(page.body, ensure_ascii=False).encode()
    response = Response(_guarded(broker, page.standing, body), mimetype="application/json")
    response.content_length = len(body)
    return response


@api.get("/v1/connectors")
def list_connectors() -> Response:
    caller()
    broker = the_broker()
    described = [
        _described(connector, provider)
        for connector in sorted(broker.connectors.values(), key=lambda connector: connector.name)
        for provider in broker.providers.values()
        if provider.kind == connector.provider
    ]
    return jsonify({"items": described, "next_cursor": None})


@api.delete("/v1/connections/<connection_id>")
def revoke_connection(connection_id: str) -> tuple[Response, int]:
    broker, client = the_broker(), caller("revoke")
    if bodies.query(bodies.RevokeQuery).dry_run == "true":
        return jsonify(revoke.would_end(broker, client, connection_id)), 200
    return _receipt(revoke.end_connection(broker, client, connection_id))


@api.delete("/v1/connections/<connection_id>/grants/<connector>")
def withdraw_grant(connection_id: str, connector: str) -> tuple[Response, int]:
    broker, client = the_broker(), caller("revoke")
    if connector not in broker.connectors:
        raise NotFound
    if bodies.query(bodies.RevokeQuery).dry_run == "true":
        return jsonify(revoke.would_end(broker, client, connection_id, connector)), 200
    return _receipt(revoke.end_grant(broker, client, connection_id, connector))


@api.get("/v1/revocations")
def list_revocations() -> Response:
    client = caller("revoke")
    asked = bodies.query(bodies.RevocationsQuery)
    page = revoke.receipts(
        the_broker(),
        client,
        tenant=asked.tenant,
        subject=asked.subject,
        connection=asked.connection,
        limit=bodies.bounded(asked.limit, 200),
        cursor=asked.cursor,
    )
    return jsonify(asdict(page))


@api.get("/v1/revocations/<revocation_id>")
def show_revocation(revocation_id: str) -> Response:
    client = caller("revoke")
    return jsonify(revoke.receipt(the_broker(), client, revocation_id))


@api.get("/v1/audit")
def list_audit() -> Response:
    client = caller("audit:read")
    asked = bodies.query(bodies.AuditQuery)
    page = history.listed(
        the_broker(),
        client,
        tenant=asked.tenant,
        subject=asked.subject,
        connection=asked.connection,
        since=asked.since,
        limit=bodies.bounded(asked.limit, 200),
        cursor=asked.cursor,
    )
    return jsonify(asdict(page))


def _receipt(receipt: dict[str, Any]) -> tuple[Response, int]:
    """202 while the provider has not answered yet; here the revocation is in force either way."""
    return jsonify({"revocation": receipt}), 200 if receipt["state"] == "completed" else 202


def _guarded(broker: Broker, standing: Standing, body: bytes) -> Iterator[bytes]:
    """Each piece relies on a state read at most L ago; a revocation ends the answer midway, unfinished (I2)."""
    for start in range(0, len(body), CHUNK):
        if not standing.is_recent():
            standing = use.again(broker, standing)
        yield body[start : start + CHUNK]


def _described(connector: Connector, provider: Provider) -> dict[str, Any]:
    resource = provider.resources[connector.reads.resource]
    required = set(scopes.required_scopes(connector.reads, resource.fields))
    reads = [connector.reads, *([connector.choices] if connector.choices else [])]
    return {
        "name": connector.name,
        "provider": provider.name,
        "type": connector.type,
        "required_scopes": sorted(required),
        "optional_scopes": sorted(set(connector_scopes(connector, provider)) - required),
        "reads": [
            {
                "resource": entry.resource,
                "operation": provider.resources[entry.resource].operation,
                "fields": list(entry.fields),
            }
            for entry in reads
        ],
        "assets": resource.asset_kind is not None,
        "schema": connector.schema,
    }
