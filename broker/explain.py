"""Explain: why a connector may read something on a connection, or why not, from the same decision that rules a call."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from broker import scopes
from broker.clients import Caller
from broker.connections.assets import opened
from broker.connections.use import state_error
from broker.contract import Connector, Reads
from broker.errors import BrokerError, NotFound
from broker.models import Connection, Grant
from broker.operations import Operation
from broker.providers.base import Provider
from broker.providers.resource import Resource
from broker.reading import declared_operations
from broker.runtime import Broker
from broker.scopes import Denied, NoAsset, Permitted, Question, Ruling


@dataclass(frozen=True)
class _Subject:
    """What is asked about. `assets`: None where no choice was made, or nothing is granted."""

    connection: Connection
    connector: Connector
    provider: Provider
    grant: Grant | None
    withdrawn: bool
    assets: list[str] | None

    @property
    def effective(self) -> frozenset[str]:
        return scopes.effective(self.connection.granted_scopes, self.grant.scopes if self.grant else ())


@dataclass(frozen=True)
class _Part:
    """One resource of the connector: what it reads, or what lists the assets to choose from."""

    resource: Resource
    reads: Reads
    operations: dict[str, frozenset[str]]
    """id → what it accepts; nothing where it is not listed, or the provider cannot be asked for its endpoints."""
    ruled: Ruling | Denied | NoAsset


def explain(
    broker: Broker,
    connection_id: str,
    connector_name: str,
    operation_id: str | None = None,
    *,
    caller: Caller | None = None,
) -> dict[str, Any]:
    """{"verdict": allowed | cut | denied, "because": […], …}. `caller`: who asks, and of whose tenants it must be;
    None: the operator.

    Raises `NotFound`: a connection of others answers like one that does not exist (I6).
    """
    about = _about(broker, connection_id, connector_name, caller)
    reads = [about.connector.reads, *([about.connector.choices] if about.connector.choices else [])]
    parts = [_part(broker, about, entry) for entry in reads]
    asked = [part for part in parts if operation_id is None or operation_id in part.operations]
    because = _refusals(about, operation_id, asked)
    resources = [_told(about, part) for part in asked]
    cut = any(field["withheld"] for entry in resources for field in entry["fields"])
    return {
        "verdict": "denied" if because else "cut" if cut else "allowed",
        "because": because or ["some fields are withheld" if cut else "the grant opens all that the connector reads"],
        "connection": about.connection.id,
        "connector": about.connector.name,
        "state": about.connection.state,
        "scopes": {
            "granted_by_provider": sorted(about.connection.granted_scopes),
            "granted_to_connector": sorted(about.grant.scopes if about.grant else ()),
            "effective": sorted(about.effective),
        },
        "assets": about.assets,
        "resources": resources,
    }


def _about(broker: Broker, connection_id: str, connector_name: str, caller: Caller | None) -> _Subject:
    connector = broker.connector(connector_name)
    with broker.database.read() as session:
        connection = session.get(Connection, connection_id)
        known = connection is not None and (caller is None or caller.acts_for(connection.tenant))
        provider = broker.providers.get(connection.provider) if known and connection else None
        if connection is None or provider is None or provider.kind != connector.provider:
            raise NotFound("There is no such connection, or the connector belongs to another provider.")
        query = select(Grant).where(Grant.connection_id == connection.id, Grant.connector == connector_name)
        grants = session.scalars(query).all()
        live = next((grant for grant in grants if grant.live and connection.live), None)
        assets = opened(broker, session, connection, live).chosen_ids() if live and live.assets else None
    return _Subject(connection, connector, provider, live, bool(grants), assets)


def _part(broker: Broker, about: _Subject, reads: Reads) -> _Part:
    """Of the assets none is asked for: whether one must be named is not asked about here."""
    resource = about.provider.resources[reads.resource]
    names = declared_operations(about.provider, resource)
    listed = {name: _operation(broker, about, name) for name in names}
    operations = {name: found.scopes if found else frozenset() for name, found in listed.items()}
    ruled = scopes.rule(
        Question(
            reads=reads,
            table=resource.fields,
            operations=operations,
            granted=about.connection.granted_scopes,
            grant=about.grant.scopes if about.grant else (),
            consented=about.grant.fields.get(resource.name, ()) if about.grant else (),
            hangs_on_asset=resource.asset_kind is not None and reads is about.connector.reads,
            chosen=about.assets or (),
        )
    )
    return _Part(resource, reads, operations, ruled)


def _refusals(about: _Subject, operation_id: str | None, asked: list[_Part]) -> list[str]:
    """Why nothing is read. What lists the assets is not needed for reading, but where it is asked about."""
    found = []
    if error := state_error(about.connection):
        found.append(error.detail)
    if about.grant is None:
        found.append("the user withdrew this connector" if about.withdrawn else "the user never granted this connector")
    if operation_id and not asked:
        found.append(f"the connector does not declare the operation {operation_id}")
    for part in asked:
        if operation_id or part.reads is about.connector.reads:
            found += _why(about, part)
    return found


def _why(about: _Subject, part: _Part) -> list[str]:
    if isinstance(part.ruled, Denied):
        lacking = [scope for scope in part.ruled.missing_scopes if scope not in about.effective]
        if lacking:
            return [f"the user did not grant {', '.join(lacking)}"]
        return ["the consent page did not name what the connector reads" if about.grant else "nothing is granted"]
    if isinstance(part.ruled, NoAsset) and part.ruled.reason == "none chosen":
        return ["the user has not chosen an asset yet"]
    return []


def _told(about: _Subject, part: _Part) -> dict[str, Any]:
    resource, reads, effective = part.resource, part.reads, about.effective
    passed = _passed(about, part)
    return {
        "resource": resource.name,
        "operation": resource.operation,
        "accepted_scopes": sorted(part.operations[resource.operation]),
        "missing_scopes": list(part.ruled.missing_scopes) if isinstance(part.ruled, Denied) else [],
        "operations": [
            {"operation": name, "accepted_scopes": sorted(accepted), "missing_scopes": _missing(accepted, effective)}
            for name, accepted in part.operations.items()
        ],
        "fields": [
            {
                "field": field,
                "required": field in reads.required,
                "opened_by": list(resource.fields[field]),
                "withheld": field not in passed,
                "missing_scopes": list(scopes.missing((field,), resource.fields, effective)),
            }
            for field in reads.fields
        ],
    }


def _passed(about: _Subject, part: _Part) -> tuple[str, ...]:
    """Fields that would be passed on of any asset that was chosen, by the operations as they are."""
    if isinstance(part.ruled, Ruling):
        return part.ruled.permitted.fields
    if isinstance(part.ruled, Denied) or about.grant is None:
        return ()
    consented = about.grant.fields.get(part.resource.name, ())
    outcome = scopes.decide(
        part.reads, part.resource.fields, part.operations[part.resource.operation], about.effective, consented
    )
    return outcome.fields if isinstance(outcome, Permitted) else ()


def _missing(accepted: frozenset[str], effective: frozenset[str]) -> list[str]:
    refusal = scopes.refused([accepted], effective)
    return list(refusal.missing_scopes) if refusal else []


def _operation(broker: Broker, about: _Subject, name: str) -> Operation | None:
    try:
        return about.provider.operation(name, broker.endpoints(broker.app(about.connection.app_id)))
    except BrokerError:
        return None
