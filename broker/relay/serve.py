"""A call at the relay from end to end: decided, asked, decided again, cut."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from broker.clients import Caller
from broker.connections import use
from broker.connections.use import Standing
from broker.errors import OperationDenied, ProviderUnavailable
from broker.providers.data.relayed import Kept, Passing
from broker.reading import is_identified
from broker.records import note_use
from broker.relay.below import proven
from broker.relay.exchange import Answered, answered
from broker.relay.prepared import Call, prepared
from broker.relay.target import Asked
from broker.runtime import Broker


@dataclass(frozen=True)
class Relayed:
    """The answer as the caller gets it, and the right on which it rests."""

    document: bytes
    standing: Standing


def relayed(broker: Broker, caller: Caller, connection_id: str, connector_name: str, asked: Asked) -> Relayed:
    """One call in the provider's own form. Raises the errors of contract §2 and §4."""
    until = time.monotonic() + broker.settings.request_deadline
    standing = use.standing(broker, caller, connection_id, connector_name)
    with use.unless_shredded(broker, standing):
        calls = prepared(broker, standing, asked)
        first = proven(broker, standing, calls, until) if calls[0].is_below else calls[0]

        def make(current: Standing) -> Call:
            return first if _is_same(current, standing) else _same(prepared(broker, current, asked), first)

        found = answered(broker, standing, make, until)
        newest = use.current(broker, standing)
        document, records = _document(broker, newest, make(newest), found)
        note_use(broker, caller, newest, found.call.decision, records)
        return Relayed(document, newest)


def _is_same(current: Standing, earlier: Standing) -> bool:
    """By one reading: a newer one that says the same is decided on like any other."""
    return current.connection is earlier.connection and current.grant is earlier.grant


def _same(calls: list[Call], first: Call) -> Call:
    """The one on the asset that was decided on, as long as that is granted."""
    for call in calls:
        if call.decision.asset == first.decision.asset:
            return call
    raise OperationDenied("What the address names is not what the user granted to this connector.")


def _document(broker: Broker, standing: Standing, call: Call, found: Answered) -> tuple[bytes, int]:
    """The answer, cut by what is permitted now and what was permitted when it was asked for."""
    passing = _passing(broker, standing, call, found)
    try:
        answer = call.form.answer(found.body, passing)
    except ValueError:
        raise ProviderUnavailable("The provider's answer is not what its documents promise.") from None
    document = json.dumps(answer, ensure_ascii=False).encode()
    if found.bearer.reveal().encode() in document:
        raise ProviderUnavailable("The provider's answer holds what must not be passed on.", retryable=False)
    return document, passing.records


def _passing(broker: Broker, standing: Standing, call: Call, found: Answered) -> Passing:
    decision, resource = call.decision, call.decision.resource
    fields = frozenset(decision.fields) & frozenset(found.call.decision.fields)
    account = use.account_id(broker, standing.connection) if resource.of_account else None

    def keep(raw: object) -> Kept | None:
        if not isinstance(raw, Mapping) or not is_identified(raw, resource):
            return None
        if account is not None and raw[resource.identity] != account:
            raise ProviderUnavailable("The provider answered with another account's data.", retryable=False)
        if call.part == "choices" and (resource.as_asset(raw) or ("",))[0] not in call.granted:
            return None
        return resource.passed_on(raw, fields, decision.effective)

    link = partial(_linked, broker, standing, found.call)
    return Passing(resource, fields, found.call.values, found.call.body or {}, keep, link)


def _linked(broker: Broker, standing: Standing, call: Call, changed: Mapping[str, str]) -> str:
    """The same call at the relay with some parameters changed."""
    base = broker.settings.public_url + prefix(standing.connection.id, standing.connector.name)
    return base + call.operation.url({**call.values, **changed}).removeprefix("https://")


def prefix(connection_id: str, connector: str) -> str:
    """The relay's own part of a path."""
    return f"/v1/connections/{connection_id}/relay/{connector}/"
