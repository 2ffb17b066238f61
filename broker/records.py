"""Records: one page, the way data take.

    right read ─► decision ─► token ─► decision ─► one declared operation
        ─► right read again ─► decision ─► cut ─► connector ─► answer

The decision is made before the provider is called, and anew on what has changed since: with the token a provider may
report less than before. A connector receives what is left after the cut, never more.
"""

import logging
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import or_, update

from broker import cursors, metrics, scopes
from broker.accesses import Counted
from broker.clients import Caller
from broker.connections import assets, derived, refresh, reread, use
from broker.connections.read import open_account
from broker.connections.use import Standing
from broker.errors import (
    AssetRequired,
    InsufficientScope,
    NotGranted,
    ProviderUnavailable,
    RateLimited,
    ReconnectRequired,
)
from broker.models import Connection
from broker.operations import Operation
from broker.providers.base import Provider, Verdict
from broker.providers.line import Line
from broker.providers.resource import Listing, Place, Resource
from broker.runtime import Broker
from broker.scopes import Denied, Permitted
from broker.upstream import Answer, TokenRefused

log = logging.getLogger("broker.records")

PROVIDER_PLACE = re.compile(r"[\x20-\x7e]{1,2048}")
"""What a provider's page or sync token may be: two of them fit into a cursor, and each into a URL."""
USED_EVERY = timedelta(minutes=1)
"""How exact `last_used_at` is: a write for every read would cost more than it tells."""


class PlaceLost(Exception):
    """The provider forgot our place; the reading starts anew."""


@dataclass(frozen=True)
class Reading:
    """One request: what is read, from where on, and when it must have ended (monotonic seconds)."""

    standing: Standing
    asset: str | None
    place: Place | None
    limit: int
    until: float


@dataclass(frozen=True)
class Decision:
    """What one request may do: which operation, on which asset, for which fields. Made before any provider call."""

    provider: Provider
    resource: Resource
    operation: Operation
    effective: frozenset[str]
    asset: str | None
    permitted: Permitted

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(sorted(self.permitted.fields))


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
    until = time.monotonic() + broker.settings.request_deadline
    standing = use.standing(broker, caller, connection_id, connector_name)
    with use.unless_shredded(broker, standing):
        return _page(broker, caller, standing, asset, cursor, limit, until)


def _page(
    broker: Broker,
    caller: Caller,
    standing: Standing,
    asset: str | None,
    cursor: str | None,
    limit: int,
    until: float,
) -> RecordsPage:
    decision = decide(broker, standing, asset)
    place = cursors.opened(broker, standing, decision.asset, cursor) if cursor else None
    reading = Reading(standing, asset, place, limit, until)
    try:
        asked_with, listing = _fetched(broker, reading)
    except PlaceLost:
        asked_with, listing = _fetched(broker, replace(reading, place=None))
    standing = use.again(broker, standing)
    decision = decide(broker, standing, asset)
    records = _converted(broker, standing, decision, asked_with, listing)
    _note_use(broker, caller, standing, decision, len(records))
    body = {
        "records": records,
        "next_cursor": cursors.sealed(broker, standing, decision.asset, listing.next) if listing.next else None,
        "has_more": listing.has_more,
        "reset": place is not None and asked_with.is_start,
        "withheld": [asdict(entry) for entry in decision.permitted.withheld],
    }
    return RecordsPage(body, standing)


def decide(broker: Broker, standing: Standing, asset: str | None) -> Decision:
    """Raises `InsufficientScope`, `NotGranted`, `AssetRequired`, `OperationDenied`: the provider was not called."""
    connection, grant, connector = standing.connection, standing.grant, standing.connector
    provider = broker.providers[connection.provider]
    resource = broker.resource(connector, provider)
    operation = provider.operation(resource.operation, broker.endpoints(broker.app(connection.app_id)))
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


def _fetched(broker: Broker, reading: Reading) -> tuple[Place, Listing]:
    """Call the one operation; gives what it was asked with, too. Raises `PlaceLost` only where there was one to lose.

    A refused token is renewed, or asked about, once. Each call rests on a decision of the state that its token was
    read from.
    """
    refused: int | None = None
    because: TokenRefused | None = None
    while True:
        token = refresh.access_token(broker, reading.standing, until=reading.until, refused=refused, because=because)
        decision = decide(broker, token.standing, reading.asset)
        place = _starting(reading, decision)
        line = broker.line(token.standing.connection.app_id)
        answer = _called(broker, reading, decision, place, token, line)
        if isinstance(answer, Answer) and answer.status == 200:
            return place, _listing(decision.resource, answer, place)
        verdict = _judged(decision.provider, answer)
        if verdict.kind == "token" and refused is None:
            refused, because = token.version, verdict.refusal
            derived.forget(broker, token)
            continue
        if verdict.kind == "scope" or (verdict.kind == "token" and decision.operation.is_for_asset):
            raise _refused_for_scope(broker, reading, token, decision)
        if verdict.kind == "asset" and decision.asset:
            reread.drop_asset(broker, token.standing.connection.id, decision.asset)
        raise _failure(verdict, answer.status if isinstance(answer, Answer) else 400, place)


def _starting(reading: Reading, decision: Decision) -> Place:
    """The place to read from: the caller's, unless other fields are permitted now than when its reading began."""
    if reading.place is not None and reading.place.fields == decision.fields:
        return reading.place
    return Place(fields=decision.fields, limit=reading.limit)


def _called(
    broker: Broker, reading: Reading, decision: Decision, place: Place, token: refresh.Token, line: Line
) -> Answer | TokenRefused:
    """One data call, with the asset's own token where the operation takes that, if that is to be had."""
    operation, provider = decision.operation, decision.provider
    values = decision.resource.parameters(place.fields, decision.asset, place, place.limit)
    try:
        bearer = derived.bearer(broker, line, provider, operation, token, decision.asset)
    except TokenRefused as refusal:
        return refusal
    url = provider.signed(line, operation.url(values), bearer)
    left = max(reading.until - time.monotonic(), 0.0)
    return line.operate(operation, url, token=bearer, deadline=left)


def _judged(provider: Provider, answer: Answer | TokenRefused) -> Verdict:
    if isinstance(answer, TokenRefused):
        return provider.verdict_of(answer)
    return provider.verdict(answer.status, answer.lenient(), provider.wait(answer))


def _refused_for_scope(broker: Broker, reading: Reading, token: refresh.Token, decision: Decision) -> InsufficientScope:
    """The provider knows better than our last report of the grant: it is read again. Where the provider tells nobody
    what was granted, its refusal is its word."""
    provider, reads, table = decision.provider, token.standing.connector.reads, decision.resource.fields
    required = scopes.required_scopes(reads, table)
    if provider.reports_grants:
        newer = refresh.access_token(broker, reading.standing, until=reading.until, refused=token.version).standing
    else:
        reread.take_away(broker, token.standing.connection.id, set(required) - set(provider.identity_scopes))
        newer = use.again(broker, reading.standing)
    effective = scopes.effective(newer.connection.granted_scopes, newer.grant.scopes)
    lost = scopes.missing(reads.required, table, effective)
    return InsufficientScope(
        "The provider refused: the user's grant there no longer covers this.",
        missing_scopes=list(lost or required),
        source="provider",
    )


def _failure(verdict: Verdict, status: int, place: Place) -> Exception:
    """What an error answer means to the caller (docs/facts/google.md §5.8)."""
    if verdict.kind == "place_lost" and not place.is_start:
        return PlaceLost()
    if verdict.kind == "token":
        return ReconnectRequired("The provider refuses a token it has just renewed. Send the user to connect again.")
    if verdict.kind == "asset":
        return NotGranted("The user's role at the provider no longer opens this asset.", source="provider")
    if verdict.kind == "blocked":
        log.error("a provider blocks this provider app for a breach of its policy: look at its dashboard")
    if verdict.kind in ("rate", "blocked"):
        return RateLimited("The provider limits how often this may be read.", retry_after=verdict.retry_after)
    if verdict.kind == "server":
        return ProviderUnavailable(f"The provider answered with status {status}.")
    details = {
        "setup": "The provider refuses this app here: the operator or the account's administrator must act.",
        "gone": "The provider knows nothing of what was to be read.",
    }
    detail = details.get(verdict.kind, f"The provider refused the request with status {status}.")
    return ProviderUnavailable(detail, retryable=False)


def _listing(resource: Resource, answer: Answer, place: Place) -> Listing:
    body = answer.json()
    try:
        if not isinstance(body, dict):
            raise ValueError("not an object")
        listing = resource.listing(body, place)
        if listing.next and not all(map(_is_token, (listing.next.page, listing.next.changes))):
            raise ValueError("not a token")
    except ValueError:
        raise ProviderUnavailable("The provider's answer is not what its documents promise.") from None
    following = listing.next and replace(listing.next, fields=place.fields, limit=place.limit)
    return replace(listing, next=following)


def _is_token(text: str | None) -> bool:
    return text is None or PROVIDER_PLACE.fullmatch(text) is not None


def _converted(
    broker: Broker, standing: Standing, decision: Decision, asked_with: Place, listing: Listing
) -> list[dict[str, Any]]:
    """Cut every record, then let the connector shape it. One without an identity is no record."""
    with broker.database.read() as session:
        account = open_account(broker, session, standing.connection)["id"]
    source = {"provider": standing.connection.provider, "account": account}
    resource, fields = decision.resource, set(decision.fields) & set(asked_with.fields)
    items = [raw for raw in listing.items if _identified(raw, resource)]
    if resource.of_account and any(raw[resource.identity] != account for raw in items):
        raise ProviderUnavailable("The provider answered with another account's data.", retryable=False)
    visible = (resource.visible(scopes.cut(raw, resource.identity, fields), decision.effective) for raw in items)
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
