"""Data (contract §4), what each connector reads, and the audit."""

import json
from dataclasses import asdict
from functools import partial
from typing import Any

from flask import Blueprint, Response, request

from broker import scopes
from broker.clients import ALL, Caller
from broker.connections import history
from broker.connections.begin import connector_scopes
from broker.contract import Connector
from broker.errors import (
    AssetRequired,
    ConnectionRevoked,
    ConnectionSuspended,
    GrantWithdrawn,
    InsufficientScope,
    NotGranted,
    OperationDenied,
    ProviderUnavailable,
    RateLimited,
    ReconnectRequired,
)
from broker.providers.base import Provider
from broker.records import read_page
from broker.web import answers, bodies
from broker.web.callers import the_broker
from broker.web.guarded import NDJSON, Guarded, Stream
from broker.web.routes import route

reading = Blueprint("reading", __name__)

JSON = "application/json"
USUAL_PAGE, LONGEST_PAGE = 100, 1000
"""Records."""


@route(
    reading,
    "GET",
    "/v1/connections/<connection_id>/records/<connector>",
    scope="records:read",
    query=bodies.RecordsQuery,
    answers={200: answers.Records},
    errors=(
        AssetRequired,
        ConnectionRevoked,
        ConnectionSuspended,
        GrantWithdrawn,
        InsufficientScope,
        NotGranted,
        OperationDenied,
        ProviderUnavailable,
        RateLimited,
        ReconnectRequired,
    ),
)
def read_records(client: Caller, connection_id: str, connector: str, asked: bodies.RecordsQuery) -> Response:
    """One page of a connector's records, cut to what the user granted to it; as NDJSON, all pages of the reading."""
    broker = the_broker()
    streamed = request.accept_mimetypes.best_match((JSON, NDJSON)) == NDJSON
    usual = LONGEST_PAGE if streamed else USUAL_PAGE
    limit = bodies.bounded(usual if asked.limit is None else asked.limit, LONGEST_PAGE)
    read = partial(read_page, broker, client, connection_id, connector, asset=asked.asset, limit=limit)
    page = read(cursor=asked.cursor)
    if streamed:
        return Stream(broker, page, asked.cursor, lambda cursor: read(cursor=cursor))
    return Guarded(broker, page.standing, json.dumps(page.body, ensure_ascii=False).encode())


@route(reading, "GET", "/v1/connectors", scope=None, answers={200: answers.Connectors})
def list_connectors(client: Caller) -> Any:  # noqa: ANN401 - JSON, here and below; any client may ask
    """The connectors that the client's tenants can connect, what each reads, and the schema of its records."""
    broker = the_broker()
    on = broker.providers_for(None if ALL in client.tenants else client.tenants)
    described = [
        _described(connector, provider)
        for connector in sorted(broker.connectors.values(), key=lambda connector: connector.name)
        for provider in on
        if provider.kind == connector.provider
    ]
    return {"items": described, "next_cursor": None}


@route(
    reading,
    "GET",
    "/v1/audit",
    scope="audit:read",
    query=bodies.AuditQuery,
    answers={200: answers.AuditEntries},
)
def list_audit(client: Caller, asked: bodies.AuditQuery) -> Any:  # noqa: ANN401
    """Every state change of the client's tenants, oldest first."""
    given = asked.model_dump() | {"limit": bodies.bounded(asked.limit, 200)}
    return asdict(history.listed(the_broker(), client, **given))


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
