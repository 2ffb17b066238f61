"""Reading: provider calls for one page of one connector's records, each under a decision made just before it.

    decision ─► no pause in force ─► token ─► decision ─► one declared operation ─► verdict

A decision names the operation, the asset and the fields; it is made before the provider is called, and anew on the
state that the token was read from: with a token a provider may report less than before. Records that hang below others
(leads below forms) are read by walking: the parents are listed, then each is read in turn.
"""

import json
import logging
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from broker import pauses, scopes
from broker.connections import assets, derived, refresh, reread, use
from broker.connections.assets import Assets
from broker.connections.use import Standing
from broker.errors import (
    AssetRequired,
    InsufficientScope,
    NotGranted,
    ProviderUnavailable,
    RateLimited,
    ReconnectRequired,
)
from broker.operations import Operation
from broker.providers.base import Provider, Verdict
from broker.providers.line import Line
from broker.providers.resource import Listing, Place, Resource
from broker.runtime import Broker
from broker.scopes import Denied, NoAsset, Permitted, Question, Ruling
from broker.upstream import Answer, TokenRefused

log = logging.getLogger("broker.records")

PROVIDER_PLACE = re.compile(r"[\x20-\x7e]{1,2048}")
"""What a provider's page or sync token may be: several of them fit into a cursor, and each into a URL."""
PARENTS = 50
"""Parents listed at once: their ids wait in the cursor."""
MOST_CALLS = 60
"""Provider calls for one page, where a record takes a call of its own."""
ENOUGH = 0.4
"""Part of a request's time after which no further call is begun for a page that is not full yet."""


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
    """What one request may do: on which asset, for which fields. Made before any provider call."""

    provider: Provider
    resource: Resource
    operations: Mapping[str, Operation]
    """Those by which the resource, and its parents, may be read."""
    effective: frozenset[str]
    asset: str | None
    permitted: Permitted

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(sorted(self.permitted.fields))


def decide(broker: Broker, standing: Standing, asset: str | None) -> Decision:
    """Raises `InsufficientScope`, `NotGranted`, `AssetRequired`, `OperationDenied`: the provider was not called."""
    connection, grant, connector = standing.connection, standing.grant, standing.connector
    provider = broker.providers[connection.provider]
    resource = broker.resource(connector, provider)
    endpoints = broker.endpoints(broker.app(connection.app_id))
    operations = {name: provider.operation(name, endpoints) for name in declared_operations(provider, resource)}
    granted = _granted(broker, standing) if resource.asset_kind else Assets()
    ruled = scopes.rule(
        Question(
            reads=connector.reads,
            table=resource.fields,
            operations={name: operation.scopes for name, operation in operations.items()},
            granted=connection.granted_scopes,
            grant=grant.scopes,
            consented=grant.fields.get(resource.name, ()),
            hangs_on_asset=resource.asset_kind is not None,
            chosen=granted.chosen_ids(),
            asset=asset,
        )
    )
    if not isinstance(ruled, Ruling):
        raise _denied(ruled, granted)
    return Decision(provider, resource, operations, ruled.effective, ruled.asset, ruled.permitted)


def declared_operations(provider: Provider, resource: Resource) -> tuple[str, ...]:
    """Every operation that reading a resource may take, its own first."""
    above = provider.resources[resource.parent].operations if resource.parent else ()
    return tuple(dict.fromkeys((*resource.operations, *above)))


def _granted(broker: Broker, standing: Standing) -> Assets:
    with broker.database.read() as session:
        return assets.opened(broker, session, standing.connection, standing.grant)


def _denied(ruled: Denied | NoAsset, granted: Assets) -> Exception:
    """What a denial is to the caller."""
    if isinstance(ruled, Denied):
        return InsufficientScope(
            "The user did not grant this connector what it needs. Connect again to ask for it.",
            missing_scopes=list(ruled.missing_scopes),
            source="broker",
        )
    if ruled.reason == "takes none":
        return NotGranted("This connector reads no single asset.")
    if ruled.reason == "not chosen":
        return NotGranted("This asset is not among those that the user granted.")
    detail = "Name the asset to read." if ruled.reason == "not named" else "The user has not chosen an asset yet."
    return AssetRequired(detail, assets=[asdict(entry) for entry in granted.chosen or ()])


def gathered(broker: Broker, reading: Reading) -> tuple[Place, Listing]:
    """One page, and the place that it was asked with: one call, or where the records hang below others as many as it
    takes to fill it. Raises `PlaceLost` only where there was a place to lose."""
    began = time.monotonic()
    first, listing = _step(broker, reading)
    items, gone, calls = list(listing.items), list(listing.gone), 1
    while first.walking or (listing.next and listing.next.walking):
        hurried = time.monotonic() - began > ENOUGH * (reading.until - began)
        if not listing.has_more or len(items) >= reading.limit or calls >= MOST_CALLS or hurried:
            break
        _, listing = _step(broker, replace(reading, place=listing.next, limit=reading.limit - len(items)))
        items, gone, calls = items + listing.items, gone + list(listing.gone), calls + 1
    return first, replace(listing, items=items, gone=tuple(gone))


def _fitting(place: Place, listing: Listing, room: int) -> Listing:
    """No more than there is room for: what one answer holds beyond that is asked for again, and skipped as far as it
    was handed out."""
    if len(listing.items) <= room:
        return listing
    return replace(listing, items=listing.items[:room], next=replace(place, skip=place.skip + room), has_more=True)


def _step(broker: Broker, reading: Reading) -> tuple[Place, Listing]:
    """One provider call. A refused token is renewed, or asked about, once; what is too much at once is asked for by
    half, once. Each call rests on a decision of the state that its token was read from."""
    refused: int | None = None
    because: TokenRefused | None = None
    halved = False
    while True:
        token = refresh.access_token(broker, reading.standing, until=reading.until, refused=refused, because=because)
        decision = decide(broker, token.standing, reading.asset)
        place = _starting(broker, reading, decision)
        call = _Call.at(decision, place, reading.limit)
        if halved:
            call = replace(call, limit=max(call.limit // 2, 1))
        line, connection, api = (
            broker.line(token.standing.connection.app_id),
            token.standing.connection,
            call.operation.origin,
        )
        pauses.check(broker, connection, api, line.app.options)
        answer = _called(broker, reading, decision, call, token, line)
        if isinstance(answer, Answer) and answer.status == 200:
            pauses.heed(broker, connection, api, decision.provider.usage(answer))
            listing = _following(decision, call, place, _listing(call.resource, answer, call.place))
            return place, _fitting(place, listing, reading.limit if call.below else place.limit)
        verdict = judged(decision.provider, answer)
        if verdict.kind == "gone":
            verdict = Verdict(call.resource.not_found)
        if verdict.kind == "token" and refused is None:
            refused, because = token.version, verdict.refusal
            derived.forget(broker, token)
            continue
        if verdict.too_much and not halved and call.limit > 1:
            halved = True
            continue
        if verdict.kind == "gone" and call.below:
            return place, _following(decision, call, place, Listing([], None, has_more=False))
        if verdict.kind == "scope" or (verdict.kind == "token" and call.operation.is_for_asset):
            raise refused_for_scope(broker, reading, token, decision)
        if verdict.kind == "asset" and decision.asset:
            reread.drop_asset(broker, token.standing.connection.id, token.version, decision.asset)
        if verdict.kind in ("rate", "blocked"):
            pauses.put(broker, connection, api, verdict)
        raise failure(verdict, answer.status if isinstance(answer, Answer) else 400, place)


def _starting(broker: Broker, reading: Reading, decision: Decision) -> Place:
    """The place to read from: the caller's, unless other fields are permitted now than when its reading began."""
    now = broker.clock().isoformat(timespec="seconds").replace("+00:00", "Z")
    if reading.place is not None and reading.place.fields == decision.fields:
        return reading.place if reading.place.began else replace(reading.place, began=now)
    return Place(fields=decision.fields, limit=reading.limit, began=now)


@dataclass(frozen=True)
class _Call:
    """What is asked next from a place: a page of the records, of those below one parent, or of the parents."""

    resource: Resource
    operation: Operation
    fields: tuple[str, ...]
    place: Place
    limit: int
    below: bool = False
    lists_parents: bool = False

    @classmethod
    def at(cls, decision: Decision, place: Place, left: int) -> "_Call":
        """`left`: records that the page still has room for, which counts where they hang below others."""
        resource = decision.resource
        if resource.parent is None:
            operation = decision.operations[resource.operation_at(place)]
            return cls(resource, operation, place.fields, place, min(place.limit, resource.most))
        if place.within or place.queue:
            inner = replace(place, within=place.within or place.queue[0])
            return cls(
                resource,
                decision.operations[resource.operation_at(inner)],
                place.fields,
                inner,
                min(place.limit, left, resource.most),
                below=True,
            )
        parent = decision.provider.resources[resource.parent]
        above = replace(place, page=place.parents)
        operation = decision.operations[parent.operation_at(above)]
        return cls(parent, operation, resource.parent_fields, above, min(PARENTS, parent.most), lists_parents=True)


def _following(decision: Decision, call: _Call, place: Place, listing: Listing) -> Listing:
    """The answer with the place after it: the provider's tokens, and where the walk stands."""
    found = listing.next or Place()
    newest = place.newest or found.changes
    if call.lists_parents:
        queue = tuple(
            str(raw[call.resource.identity])
            for raw in listing.items
            if is_identified(raw, call.resource) and decision.resource.has_news(raw, place)
        )
        more = found.page if listing.has_more else None
        after = replace(place, walking=True, queue=queue, parents=more, page=None, newest=newest)
        return _ended(decision, after, replace(listing, items=[]))
    if call.below:
        queue = place.queue if place.within else place.queue[1:]
        within = call.place.within if listing.has_more else None
        page = found.page if within else None
        after = replace(place, within=within, page=page, queue=queue, newest=newest, skip=0)
        items = [_told(raw, decision.resource, call.place.within) for raw in listing.items[place.skip :]]
        return _ended(decision, after, replace(listing, items=items))
    after = replace(found, fields=place.fields, limit=place.limit, began=place.began, newest=newest)
    listing = replace(listing, items=[_of_asset(raw, decision) for raw in listing.items[place.skip :]])
    if listing.has_more:
        return replace(listing, next=after)
    return replace(listing, next=_resumed(decision, after))


def _ended(decision: Decision, after: Place, listing: Listing) -> Listing:
    more = bool(after.within or after.queue or after.parents)
    return replace(listing, next=after if more else _resumed(decision, after), has_more=more)


def _resumed(decision: Decision, after: Place) -> Place | None:
    """Where a later reading begins: at the provider's own token, or at the time at which this one began."""
    changes = after.began if decision.resource.resumes_by_time else after.newest
    return Place(changes=changes, fields=after.fields, limit=after.limit) if changes else None


def _told(raw: Mapping[str, Any], resource: Resource, parent: str | None) -> Mapping[str, Any]:
    return {**raw, resource.below: parent} if resource.below else raw


def _of_asset(raw: Mapping[str, Any], decision: Decision) -> Mapping[str, Any]:
    """The id with the asset's in front, where it would not tell records apart otherwise."""
    resource = decision.resource
    if not resource.ids_are_of_asset or not is_identified(raw, resource):
        return raw
    return {**raw, resource.identity: f"{decision.asset}/{raw[resource.identity]}"}


def _called(
    broker: Broker, reading: Reading, decision: Decision, call: _Call, token: refresh.Token, line: Line
) -> Answer | TokenRefused:
    """One data call, with the asset's own token where the operation takes that, if that is to be had."""
    operation, provider = call.operation, decision.provider
    values = call.resource.parameters(call.fields, decision.asset, call.place, call.limit)
    if excess := scopes.refused(operation.wanted(values), decision.effective):
        raise InsufficientScope(
            "What is asked for takes more than was granted.",
            missing_scopes=list(excess.missing_scopes),
            source="broker",
        )
    try:
        in_time = replace(line, begin_by=reading.until - broker.settings.provider_deadline)
        bearer = derived.bearer(broker, in_time, provider, operation, token, decision.asset)
    except TokenRefused as refusal:
        return refusal
    url = provider.signed(line, operation.url(values), bearer)
    body = call.resource.body(call.fields, decision.asset, call.place, call.limit)
    left = max(reading.until - time.monotonic(), 0.0)
    sent = None if body is None else json.dumps(body).encode()
    return line.operate(operation, url, token=bearer, deadline=left, body=sent)


def judged(provider: Provider, answer: Answer | TokenRefused) -> Verdict:
    if isinstance(answer, TokenRefused):
        return provider.verdict_of(answer)
    return provider.verdict(answer.status, answer.lenient(), provider.wait(answer))


def refused_for_scope(broker: Broker, reading: Reading, token: refresh.Token, decision: Decision) -> InsufficientScope:
    """The provider knows better than our last report of the grant: it is read again. Where the provider tells nobody
    what was granted, its refusal is its word."""
    provider, reads, table = decision.provider, token.standing.connector.reads, decision.resource.fields
    required = scopes.required_scopes(reads, table)
    if provider.reports_grants:
        newer = refresh.access_token(broker, reading.standing, until=reading.until, refused=token.version).standing
    else:
        reread.take_away(
            broker, token.standing.connection.id, token.version, set(required) - set(provider.identity_scopes)
        )
        newer = use.again(broker, reading.standing)
    effective = scopes.effective(newer.connection.granted_scopes, newer.grant.scopes)
    lost = scopes.missing(reads.required, table, effective)
    return InsufficientScope(
        "The provider refused: the user's grant there no longer covers this.",
        missing_scopes=list(lost or required),
        source="provider",
    )


def failure(verdict: Verdict, status: int, place: Place) -> Exception:
    """What an error answer means to the caller (docs/facts/google.md §5.8, docs/facts/meta.md §6.1)."""
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
    return listing


def _is_token(text: str | None) -> bool:
    return text is None or PROVIDER_PLACE.fullmatch(text) is not None


def is_identified(raw: Mapping[str, Any], resource: Resource) -> bool:
    identity = raw.get(resource.identity)
    return isinstance(identity, str) and bool(identity)
