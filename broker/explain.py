"""Explain: why a connector may read something on a connection, or why not, from the same decision that rules a call."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from broker import scopes
from broker.connections.assets import opened
from broker.connections.use import state_error
from broker.contract import Connector, Reads
from broker.errors import BrokerError, NotFound
from broker.models import Connection, Grant
from broker.operations import Operation
from broker.providers.base import Provider
from broker.providers.resource import Resource
from broker.runtime import Broker
from broker.scopes import Denied


@dataclass(frozen=True)
class _Subject:
    """What is asked about."""

    connection: Connection
    connector: Connector
    provider: Provider
    grant: Grant | None
    withdrawn: bool
    assets: list[str] | None


def explain(broker: Broker, connection_id: str, connector_name: str, operation_id: str | None = None) -> dict[str, Any]:
    """{"verdict": allowed | cut | denied, "because": […], …}. Raises `NotFound`."""
    about = _about(broker, connection_id, connector_name)
    granted = frozenset(about.connection.granted_scopes)
    of_connector = frozenset(about.grant.scopes if about.grant else ())
    effective = scopes.effective(granted, of_connector)
    reads = [about.connector.reads, *([about.connector.choices] if about.connector.choices else [])]
    resources = [_resource(broker, about, entry, effective) for entry in reads]
    asked = [entry for entry in resources if operation_id in (None, entry["operation"])]
    because = _refusals(about, operation_id, asked)
    data = next((entry for entry in asked if entry["resource"] == about.connector.reads.resource), None)
    if data and data["missing_scopes"]:
        because.append(f"the user did not grant {', '.join(data['missing_scopes'])}")
    cut = any(field["withheld"] for entry in asked for field in entry["fields"])
    return {
        "verdict": "denied" if because else "cut" if cut else "allowed",
        "because": because or ["some fields are withheld" if cut else "the grant opens all that the connector reads"],
        "connection": about.connection.id,
        "connector": about.connector.name,
        "state": about.connection.state,
        "scopes": {
            "granted_by_provider": sorted(granted),
            "granted_to_connector": sorted(of_connector),
            "effective": sorted(effective),
        },
        "assets": about.assets,
        "resources": asked,
    }


def _about(broker: Broker, connection_id: str, connector_name: str) -> _Subject:
    connector = broker.connector(connector_name)
    with broker.database.read() as session:
        connection = session.get(Connection, connection_id)
        provider = broker.providers.get(connection.provider) if connection else None
        if connection is None or provider is None or provider.kind != connector.provider:
            raise NotFound("There is no such connection, or the connector belongs to another provider.")
        query = select(Grant).where(Grant.connection_id == connection.id, Grant.connector == connector_name)
        grants = session.scalars(query).all()
        live = next((grant for grant in grants if grant.live), None)
        assets = opened(broker, session, connection, live).chosen_ids() if live and live.assets else None
    return _Subject(connection, connector, provider, live, bool(grants), assets)


def _refusals(about: _Subject, operation_id: str | None, asked: list[dict[str, Any]]) -> list[str]:
    found = []
    if error := state_error(about.connection):
        found.append(error.detail)
    if about.grant is None:
        found.append("the user withdrew this connector" if about.withdrawn else "the user never granted this connector")
    if operation_id and not asked:
        found.append(f"the connector does not declare the operation {operation_id}")
    return found


def _resource(broker: Broker, about: _Subject, reads: Reads, effective: frozenset[str]) -> dict[str, Any]:
    resource = about.provider.resources[reads.resource]
    operation = _operation(broker, about, resource)
    accepted = operation.scopes if operation else frozenset()
    consented = about.grant.fields.get(resource.name, ()) if about.grant else ()
    outcome = scopes.decide(reads, resource.fields, accepted, effective, consented)
    passed = () if isinstance(outcome, Denied) else outcome.fields
    return {
        "resource": resource.name,
        "operation": resource.operation,
        "accepted_scopes": sorted(accepted),
        "missing_scopes": list(outcome.missing_scopes) if isinstance(outcome, Denied) else [],
        "fields": [
            {
                "field": field,
                "required": field in reads.required,
                "opened_by": list(resource.fields[field]),
                "withheld": field not in passed,
            }
            for field in reads.fields
        ],
    }


def _operation(broker: Broker, about: _Subject, resource: Resource) -> Operation | None:
    """None where it is not listed, or the provider cannot be asked for its endpoints: both deny."""
    try:
        return about.provider.operation(resource.operation, broker.endpoints(broker.app(about.connection.app_id)))
    except BrokerError:
        return None
