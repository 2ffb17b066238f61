"""Records: one page, the way data take.

    right read ─► decision ─► token ─► decision ─► one declared operation
        ─► right read again ─► decision ─► cut ─► connector ─► answer

The decision is made before the provider is called, and anew on what has changed since: with the token a provider may
report less than before. A connector receives what is left after the cut, never more.
"""

import logging
import time
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any

from broker import cursors, metrics
from broker.accesses import Counted
from broker.clients import Caller
from broker.connections import use
from broker.connections.use import Standing
from broker.errors import ProviderUnavailable
from broker.providers.resource import Listing, Place
from broker.reading import Decision, PlaceLost, Reading, decide, gathered, is_identified
from broker.runtime import Broker

log = logging.getLogger("broker.records")

USED_EVERY = timedelta(minutes=1)
"""How exact `last_used_at` is: a write for every read would cost more than it tells."""


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
        asked_with, listing = gathered(broker, reading)
    except PlaceLost:
        asked_with, listing = _anew(broker, reading)
    standing = use.current(broker, standing)
    decision = decide(broker, standing, asset)
    records = _converted(broker, standing, decision, asked_with, listing)
    note_use(broker, caller, standing, decision, len(records))
    body = {
        "records": records,
        "next_cursor": cursors.sealed(broker, standing, decision.asset, listing.next) if listing.next else None,
        "has_more": listing.has_more,
        "reset": place is not None and asked_with.is_start,
        "withheld": [asdict(entry) for entry in decision.permitted.withheld],
    }
    return RecordsPage(body, standing)


def _anew(broker: Broker, reading: Reading) -> tuple[Place, Listing]:
    """From the beginning, once: what is refused again had nothing to do with the place."""
    try:
        return gathered(broker, replace(reading, place=None))
    except PlaceLost:
        raise ProviderUnavailable("The provider refused the request.", retryable=False) from None


def _converted(
    broker: Broker, standing: Standing, decision: Decision, asked_with: Place, listing: Listing
) -> list[dict[str, Any]]:
    """Cut every record, then let the connector shape it. One without an identity is no record."""
    account = use.account_id(broker, standing.connection)
    source = {"provider": standing.connection.provider, "account": account}
    resource, fields = decision.resource, set(decision.fields) & set(asked_with.fields)
    items = [raw for raw in listing.items if is_identified(raw, resource)]
    if resource.of_account and any(raw[resource.identity] != account for raw in items):
        raise ProviderUnavailable("The provider answered with another account's data.", retryable=False)
    seen = (resource.passed_on(raw, fields, decision.effective) for raw in items)
    records = [{**standing.connector.convert(raw), "source": source} for raw in seen]
    kind = standing.connector.type
    return records + [{"id": gone, "type": kind, "deleted": True, "source": source} for gone in listing.gone]


def note_use(broker: Broker, caller: Caller, standing: Standing, decision: Decision, records: int) -> None:
    """Count the access before its data are served. Raises `Unavailable` where counts cannot be kept (I10)."""
    now, row = broker.clock(), standing.connection
    hour = now.replace(minute=0, second=0, microsecond=0)
    of = Counted(caller.client_id, row.id, standing.connector.name, decision.resource.name, hour)
    broker.accesses.count(
        of, records, now if row.last_used_at is None or now - row.last_used_at >= USED_EVERY else None
    )
    metrics.RECORDS.labels(of.connector).inc(records)
    log.info("accessed", extra={**of._asdict(), "hour": of.hour.isoformat(), "records": records})
