"""One call at the relay, decided: which declared operation, on which asset, with which parameters. No provider is
called here, so it can be decided anew on whatever has changed meanwhile."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from broker import scopes
from broker.connections import assets
from broker.connections.use import Standing
from broker.contract import Connector
from broker.errors import InsufficientScope, MethodNotAllowed, OperationDenied
from broker.operations import Catalog, Operation
from broker.providers.base import Provider
from broker.providers.data import relayed_google, relayed_graph
from broker.providers.data.relayed import Form
from broker.providers.resource import Resource, Values
from broker.reading import Decision, decide
from broker.relay.checked import merged
from broker.relay.target import Asked, in_path
from broker.runtime import Broker
from broker.scopes import Denied, Permitted

FORMS: Mapping[str, Form] = {**relayed_google.FORMS, **relayed_graph.FORMS}
USUAL = 100
"""Records of a page, where the caller does not say."""
Part = Literal["reads", "parent", "choices"]
"""What the resource is to the connector: what it reads, what that hangs below, what lists the assets to choose from."""


@dataclass(frozen=True)
class Call:
    """What goes out, and the decision on which it rests (its `resource` is the one of this operation)."""

    decision: Decision
    part: Part
    form: Form
    operation: Operation
    values: Values
    body: Mapping[str, Any] | None
    within: str | None
    """The id below which it reads."""
    granted: tuple[str, ...]
    """The assets that the user chose."""

    @property
    def is_below(self) -> bool:
        """Its id does not say of what it is one, so that it must be known from a listing."""
        return bool(self.operation.below) and self.within is not None


def prepared(broker: Broker, standing: Standing, asked: Asked) -> list[Call]:
    """The call, once for each granted asset that it may be of: more than one only where `is_below`.

    Raises `OperationDenied`, `MethodNotAllowed`, `InsufficientScope`, `AssetRequired`.
    """
    connection, connector = standing.connection, standing.connector
    provider = broker.providers[connection.provider]
    operation, resource, part = _matched(broker, standing, provider, asked)
    form = FORMS.get(operation.id)
    if form is None:
        raise OperationDenied(f"The operation {operation.id} is not served raw.")
    granted = _granted(broker, standing)
    hangs_on_asset = part != "choices" and provider.resources[connector.reads.resource].asset_kind is not None
    if hangs_on_asset and not granted:
        decide(broker, standing, None)  # refuses, and says what there is to choose from
    path = in_path(operation, asked.url)
    candidates = granted if hangs_on_asset else (None,)
    pinned = [found for asset in candidates if (found := _pinned(resource, form, path, asset))]
    if not pinned:
        raise OperationDenied("What the address names is not what the user granted to this connector.")
    calls = []
    for asset, within in pinned:
        decision = _decided(broker, standing, provider, resource, part, operation, asset)
        calls.append(_call(broker, decision, part, form, operation, asked, within, granted))
    return calls


def _matched(broker: Broker, standing: Standing, provider: Provider, asked: Asked) -> tuple[Operation, Resource, Part]:
    endpoints = broker.endpoints(broker.app(standing.connection.app_id))
    declared = _declared(provider, standing.connector)
    catalog = Catalog(provider.operation(name, endpoints) for name in declared)
    try:
        operation = catalog.match(asked.method, asked.url)
    except OperationDenied:
        if asked.method == "GET":
            raise OperationDenied("This connector declares no operation with this address.") from None
        raise MethodNotAllowed("Only what reads by POST may be sent by POST.") from None
    return operation, *declared[operation.id]


def _declared(provider: Provider, connector: Connector) -> dict[str, tuple[Resource, Part]]:
    """By id: the connector's operations, with the resource that each is of."""
    resource = provider.resources[connector.reads.resource]
    parts: list[tuple[Resource, Part]] = [(resource, "reads")]
    if resource.parent:
        parts.append((provider.resources[resource.parent], "parent"))
    if connector.choices:
        parts.append((provider.resources[connector.choices.resource], "choices"))
    return {name: (one, part) for one, part in reversed(parts) for name in one.operations}


def _granted(broker: Broker, standing: Standing) -> tuple[str, ...]:
    with broker.database.read() as session:
        return tuple(assets.opened(broker, session, standing.connection, standing.grant).chosen_ids())


def _pinned(
    resource: Resource, form: Form, path: Mapping[str, str], asset: str | None
) -> tuple[str | None, str | None] | None:
    """The asset, and the id below which it reads, with which the broker itself would call this very path."""
    for within in (None, *(path.values() if resource.parent else ())):
        usual = resource.parameters((), asset, replace(form.at, within=within), USUAL)
        if all(usual.get(name) == value for name, value in path.items()):
            return asset, within
    return None


def _decided(
    broker: Broker,
    standing: Standing,
    provider: Provider,
    resource: Resource,
    part: Part,
    operation: Operation,
    asset: str | None,
) -> Decision:
    """Of what the records hang below nothing but the ids is granted; of what may be chosen, the fields that the consent
    page named."""
    if part == "choices":
        return _of_choices(standing, provider, resource, operation)
    decision = decide(broker, standing, asset)
    return decision if part == "reads" else replace(decision, resource=resource, permitted=Permitted(()))


def _of_choices(standing: Standing, provider: Provider, resource: Resource, operation: Operation) -> Decision:
    reads = standing.connector.choices
    if reads is None:
        raise OperationDenied("This connector offers no choice.")
    effective = scopes.effective(standing.connection.granted_scopes, standing.grant.scopes)
    consented = standing.grant.fields.get(resource.name, ())
    outcome = scopes.decide(reads, resource.fields, operation.scopes, effective, consented)
    if isinstance(outcome, Denied):
        raise InsufficientScope(
            "The user did not grant this connector what it needs. Connect again to ask for it.",
            missing_scopes=list(outcome.missing_scopes),
            source="broker",
        )
    return Decision(provider, resource, {operation.id: operation}, effective, None, outcome)


def _call(
    broker: Broker,
    decision: Decision,
    part: Part,
    form: Form,
    operation: Operation,
    asked: Asked,
    within: str | None,
    granted: tuple[str, ...],
) -> Call:
    resource, fields = decision.resource, frozenset(decision.fields)
    began = broker.clock().isoformat(timespec="seconds").replace("+00:00", "Z")
    place = replace(form.at, within=within, began=began, limit=USUAL)
    usual = resource.parameters(decision.fields, decision.asset, place, min(USUAL, resource.most))
    values = merged(operation, form, usual, asked.query, fields, resource.identity)
    if refusal := scopes.refused(operation.wanted(values), decision.effective):
        raise InsufficientScope(
            "What is asked for takes more than was granted.",
            missing_scopes=list(refusal.missing_scopes),
            source="broker",
        )
    return Call(decision, part, form, operation, values, _body(form, operation, asked, fields), within, granted)


def _body(form: Form, operation: Operation, asked: Asked, fields: frozenset[str]) -> Mapping[str, Any] | None:
    if operation.method == "GET":
        if asked.body is not None:
            raise OperationDenied("A reading by GET takes no body.")
        return None
    try:
        return form.body(asked.body or {}, fields)
    except ValueError as reason:
        raise OperationDenied(f"The body of {operation.id} is refused: {reason}.") from None
