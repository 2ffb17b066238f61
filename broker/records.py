"""Records: one page, the way data take.

    right read ─► decision ─► token ─► one declared operation ─► cut ─► connector ─► right read again ─► answer

The decision is made before the provider is called. A connector receives what is left after the cut, never more.
"""

import base64
import binascii
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import or_, update

from broker import metrics, scopes
from broker.accesses import Counted
from broker.clients import Caller
from broker.connections import assets, refresh, use
from broker.connections.read import open_account
from broker.connections.use import Standing
from broker.errors import (
    AssetRequired,
    BrokerError,
    InsufficientScope,
    InvalidRequest,
    NotGranted,
    ProviderUnavailable,
    RateLimited,
)
from broker.models import Connection
from broker.operations import Operation
from broker.providers.base import Listing, Place, Provider, Resource
from broker.runtime import Broker
from broker.scopes import Denied, Permitted
from broker.upstream import Answer, retry_after
from broker.vault import Undecryptable

log = logging.getLogger("broker.records")

MAX_CURSOR = 8192
USED_EVERY = timedelta(minutes=1)
"""How exact `last_used_at` is: a write for every read would cost more than it tells."""


class PlaceLost(Exception):
    """The provider forgot our place; the reading starts anew."""


@dataclass(frozen=True)
class Decision:
    """What one request may do: which operation, on which asset, for which fields. Made before any provider call."""

    provider: Provider
    resource: Resource
    operation: Operation
    effective: frozenset[str]
    asset: str | None
    permitted: Permitted


@dataclass(frozen=True)
class RecordsPage:
    """One page as the caller gets it, and the right on which it rests."""

    body: dict[str, Any]
    standing: Standing


def read_page(
    broker: Broker,
    caller: Caller,
    connection_id: str,
    connector_name: str,
    *,
    asset: str | None,
    cursor: str | None,
    limit: int,
) -> RecordsPage:
    """One page of one connector's records. Raises the errors of contract §2 and §4."""
    standing = use.standing(broker, caller, connection_id, connector_name)
    decision = decide(broker, standing, asset)
    place = _open_cursor(broker, standing, decision, cursor)
    changed = place is not None and place.fields != tuple(sorted(decision.permitted.fields))
    try:
        listing = _fetched(broker, standing, decision, None if changed else place, limit)
        reset = changed
    except PlaceLost:
        listing, reset = _fetched(broker, standing, decision, None, limit), True
    records = _converted(broker, standing, decision, listing)
    _note_use(broker, caller, standing, decision, len(records))
    body = {
        "records": records,
        "next_cursor": _seal_cursor(broker, standing, decision, listing.next),
        "has_more": listing.has_more,
        "reset": reset,
        "withheld": [asdict(entry) for entry in decision.permitted.withheld],
    }
    return RecordsPage(body, use.again(broker, standing))


def decide(broker: Broker, standing: Standing, asset: str | None) -> Decision:
    """Raises `InsufficientScope`, `NotGranted`, `AssetRequired`, `OperationDenied`: the provider was not called."""
    connection, grant, connector = standing.connection, standing.grant, standing.connector
    provider = broker.providers[connection.provider]
    resource = broker.resource(connector, provider)
    operation = provider.operation(resource.operation, broker.endpoints(provider))
    effective = scopes.effective(connection.granted_scopes, grant.scopes)
    consented = grant.fields.get(resource.name, ())
    outcome = scopes.decide(connector.reads, resource.fields, operation.scopes, effective, consented)
    if isinstance(outcome, Denied):
        raise InsufficientScope(
            "The user did not grant this connector what it needs. Connect again to ask for it.",
            missing_scopes=list(outcome.missing_scopes),
            source="broker",
        )
    return Decision(provider, resource, operation, effective, _asset(broker, standing, resource, asset), outcome)


def _asset(broker: Broker, standing: Standing, resource: Resource, asked: str | None) -> str | None:
    """The granted asset to read. No list means that nothing was granted, never that all is."""
    if resource.asset_kind is None:
        if asked is not None:
            raise NotGranted("This connector reads no single asset.")
        return None
    with broker.database.read() as session:
        granted = assets.opened(broker, session, standing.connection, standing.grant)
    ids = granted.chosen_ids()
    if asked is not None and asked not in ids:
        raise NotGranted("This asset is not among those that the user granted.")
    if asked is None and len(ids) != 1:
        detail = "Name the asset to read." if ids else "The user has not chosen an asset yet."
        raise AssetRequired(detail, assets=[asdict(entry) for entry in granted.chosen or ()])
    return asked or ids[0]


def _fetched(broker: Broker, standing: Standing, decision: Decision, place: Place | None, limit: int) -> Listing:
    """Call the one operation. Raises `PlaceLost` only where there was a place to lose."""
    fields = tuple(sorted(decision.permitted.fields))
    asked_with = place or Place(fields=fields)
    values = decision.resource.parameters(fields, decision.asset, place, limit)
    url = decision.operation.url(values)
    token = refresh.access_token(broker, standing)
    answer = _call(broker, decision, url, token)
    if _kind(decision, answer) == "token":
        token = refresh.access_token(broker, standing, refused=token.version)
        answer = _call(broker, decision, url, token)
    if answer.status != 200:
        raise _failure(broker, standing, decision, answer, token, place)
    return _listing(decision.resource, answer, asked_with)


def _call(broker: Broker, decision: Decision, url: str, token: refresh.Token) -> Answer:
    operation = decision.operation
    return broker.upstream.call(operation.method, url, pins=frozenset({operation.origin}), token=token.value)


def _kind(decision: Decision, answer: Answer) -> str | None:
    if answer.status == 200:
        return None
    return decision.provider.verdict(answer.status, _lenient(answer), retry_after(answer)).kind


def _failure(
    broker: Broker,
    standing: Standing,
    decision: Decision,
    answer: Answer,
    token: refresh.Token,
    place: Place | None,
) -> Exception:
    """What an error answer means to the caller (docs/facts/google.md §5.8)."""
    verdict = decision.provider.verdict(answer.status, _lenient(answer), retry_after(answer))
    if verdict.kind == "place_lost" and place is not None:
        return PlaceLost()
    if verdict.kind == "rate":
        return RateLimited("The provider limits how often this may be read.", retry_after=verdict.retry_after)
    if verdict.kind == "scope":
        refresh.access_token(broker, standing, refused=token.version)
        table, reads = decision.resource.fields, standing.connector.reads
        return InsufficientScope(
            "The provider refused: the user's grant there no longer covers this.",
            missing_scopes=list(scopes.required_scopes(reads, table)),
            source="provider",
        )
    if verdict.kind == "setup":
        return ProviderUnavailable(
            "The provider refuses this app: its set-up there needs the operator.", retryable=False
        )
    return ProviderUnavailable(f"The provider answered with status {answer.status}.")


def _lenient(answer: Answer) -> object:
    """An error body, or nothing: a provider's error page need not be JSON."""
    try:
        return answer.json()
    except ProviderUnavailable:
        return None


def _listing(resource: Resource, answer: Answer, place: Place) -> Listing:
    body = answer.json()
    try:
        if not isinstance(body, dict):
            raise ValueError("not an object")
        return resource.listing(body, place)
    except ValueError:
        raise ProviderUnavailable("The provider's answer is not what its documents promise.") from None


def _converted(broker: Broker, standing: Standing, decision: Decision, listing: Listing) -> list[dict[str, Any]]:
    """Cut every record, then let the connector shape it. One without an identity is no record."""
    with broker.database.read() as session:
        account = open_account(broker, session, standing.connection)["id"]
    source = {"provider": standing.connection.provider, "account": account}
    resource, fields = decision.resource, decision.permitted.fields
    cut = (scopes.cut(raw, resource.identity, fields) for raw in listing.items if _identified(raw, resource))
    visible = (resource.visible(raw, decision.effective) for raw in cut)
    return [{**standing.connector.convert(raw), "source": source} for raw in visible]


def _identified(raw: Mapping[str, Any], resource: Resource) -> bool:
    identity = raw.get(resource.identity)
    return isinstance(identity, str) and bool(identity)


def _note_use(broker: Broker, caller: Caller, standing: Standing, decision: Decision, records: int) -> None:
    """Count the access before its data are served. Raises `Unavailable` where counts cannot be kept (I10)."""
    now, row = broker.clock(), standing.connection
    hour = now.replace(minute=0, second=0, microsecond=0)
    of = Counted(caller.client_id, row.id, standing.connector.name, decision.resource.name, hour)
    broker.accesses.count(of, records)
    metrics.RECORDS.labels(of.connector).inc(records)
    log.info("accessed", extra={**of._asdict(), "hour": of.hour.isoformat(), "records": records})
    if row.last_used_at and now - row.last_used_at < USED_EVERY:
        return
    stale = or_(Connection.last_used_at.is_(None), Connection.last_used_at < now - USED_EVERY)
    with broker.database.write() as session:
        session.execute(update(Connection).where(Connection.id == row.id, stale).values(last_used_at=now))


# --- cursors -------------------------------------------------------------------------------------------------


def _column(standing: Standing, decision: Decision) -> str:
    """Binds a cursor to its connector and asset; the vault binds it to the connection."""
    return f"cursor/{standing.connector.name}/{decision.asset or ''}"


def _seal_cursor(broker: Broker, standing: Standing, decision: Decision, place: Place | None) -> str | None:
    if place is None:
        return None
    place = replace(place, fields=tuple(sorted(decision.permitted.fields)))
    row = standing.connection
    with broker.database.read() as session:
        sealed = broker.vault.seal(
            session,
            tenant=row.tenant,
            connection=row.id,
            column=_column(standing, decision),
            version=0,
            plaintext=json.dumps(asdict(place)).encode(),
        )
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def _open_cursor(broker: Broker, standing: Standing, decision: Decision, cursor: str | None) -> Place | None:
    """Raises `InvalidRequest` (400) for a cursor that is not this connection's, connector's and asset's own."""
    if cursor is None:
        return None
    row = standing.connection
    try:
        if len(cursor) > MAX_CURSOR or not cursor.isascii():
            raise ValueError("not a cursor")
        sealed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        with broker.database.read() as session:
            plaintext = broker.vault.open(
                session,
                tenant=row.tenant,
                connection=row.id,
                column=_column(standing, decision),
                version=0,
                blob=sealed,
            )
    except (ValueError, binascii.Error, Undecryptable):
        raise _bad_cursor() from None
    kept = json.loads(plaintext)
    return Place(kept["page"], kept["changes"], tuple(kept["fields"]))


def _bad_cursor() -> BrokerError:
    problem = {"field": "cursor", "problem": "is not one that this reading gave out"}
    return InvalidRequest("The cursor was changed or belongs to another reading.", status=400, errors=[problem])
