"""Webhooks: what Facebook and Instagram tell of their users is done at once, and that there is something new to read is
announced to the sales app, without any of it (docs/facts/meta.md §5).

    signature over the raw body ─► what was taken back ends or shrinks ─► news ─► grants that cover it ─► announced

All of it is done before it is answered, in short transactions, each of which may be repeated. What does not fit into
the time for it, or fails, is answered so that the provider sends the whole delivery again.
"""

import hmac
import logging
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from broker import events
from broker.clients import Caller
from broker.config import ProviderApp
from broker.connections.exchange import account_indexes
from broker.connections.found import asset_indexes, found, live_of
from broker.connections.removed import REMOVED, SECOND, app_at, not_signed
from broker.connections.reread import look_soon, taken_back
from broker.connections.revoke import ended_by_provider
from broker.connections.use import Standing, state_error
from broker.db import insert_if_missing
from broker.errors import BrokerError, Forbidden, NotFound, Unavailable
from broker.failpoint import failpoint
from broker.models import Announcement, Connection, Grant
from broker.providers.webhooks import Change, News
from broker.reading import decide
from broker.runtime import Broker
from broker.vault import Undecryptable

T = TypeVar("T")

log = logging.getLogger("broker.webhooks")

HOOK = "webhook"
ENOUGH = 4.0
"""Seconds after which nothing further of a delivery is begun (docs/facts/security.md INP-84)."""
AVAILABLE = "records.available"
OURSELVES = Caller("broker", frozenset(), frozenset(), frozenset(), frozenset())
"""Who asks whether a grant covers something: nobody is handed any data."""


@dataclass(frozen=True)
class Announced:
    """One announcement."""

    connection: str
    grant: str
    connector: str
    asset: str | None


Candidate = tuple[News, Connection, Grant]
"""A grant that something may be news for, before it is known whether it covers it."""


def verify(broker: Broker, provider: str, own: str | None, token: str) -> None:
    """Whether the address is asked for by who entered it at the provider, and the token beside it. Raises `NotFound`
    where there is no such hook, or no token is set; `Forbidden`."""
    app = app_at(broker, HOOK, provider, own)
    expected = app.options.get("WEBHOOK_VERIFY_TOKEN", "") if app else ""
    if not expected and own is None:
        raise NotFound
    if not hmac.compare_digest(expected.encode(), token.encode(errors="surrogatepass")) or not expected:
        raise Forbidden("This is not the token that was agreed on for this address.")


def receive(broker: Broker, name: str, own: str | None, raw: bytes, signature: str) -> None:
    """Do what one delivery says. `own`: the id of a tenant's own app. Raises `NotFound` where there is no such hook,
    `InvalidRequest` for what its app's secret did not sign, `Unavailable` where it must be sent again."""
    until = time.monotonic() + ENOUGH
    app = app_at(broker, HOOK, name, own)
    if app is None:
        raise not_signed()
    try:
        webhook = broker.providers[name].webhook(app, raw, signature)
    except ValueError as error:
        log.info("webhook refused: %s", error)
        raise not_signed() from None
    _changed(broker, app, webhook.changes, until)
    failpoint("webhook.changed")
    wanted: dict[str, set[Announced]] = {}
    for one in _covered(broker, app, webhook.news, until):
        wanted.setdefault(one.connection, set()).add(one)
    for connection_id in _in_time(sorted(wanted), until):
        _announce(broker, connection_id, wanted[connection_id], webhook.signature)


def _in_time(things: Iterable[T], until: float) -> Iterator[T]:
    for thing in things:
        if time.monotonic() > until:
            raise Unavailable("Not all of this could be done in time. Send it again.")
        yield thing


def _changed(broker: Broker, app: ProviderApp, changes: Sequence[Change], until: float) -> None:
    """What is repeated costs little, so that each further delivery of a large one gets further."""
    now, touched = broker.clock(), set[str]()
    for change, row in _in_time(_of_live(broker, app, changes), until):
        before = min(change.at or now, now) + SECOND
        touched.add(row.id)
        if not change.revoked or row.activated_at >= before:
            continue
        if change.scope is None:
            ended_by_provider(broker, row.id, reason=REMOVED, before=before)
        elif change.assets or change.scope in {*row.granted_scopes, *row.confirmed_scopes}:
            taken_back(broker, row.id, change.scope, change.assets, before=before)
    if touched:
        look_soon(broker, touched)


def _of_live(broker: Broker, app: ProviderApp, changes: Sequence[Change]) -> list[tuple[Change, Connection]]:
    """Each change with every live connection that it is about."""
    if not changes:
        return []
    with broker.database.write() as session:
        indexes = account_indexes(broker, session, app, [change.account_id for change in changes])
        live = live_of(session, app.id, set(indexes))
    return [(change, row) for change, index in zip(changes, indexes, strict=True) for row in live.get(index, ())]


# --- news ----------------------------------------------------------------------------------------------------


def _covered(broker: Broker, app: ProviderApp, news: Sequence[News], until: float) -> Iterator[Announced]:
    """What of it live grants cover, each as a reading would be decided now."""
    resources = broker.providers[app.provider].resources
    of_assets = [one for one in news if resources[one.resource].asset_kind]
    of_accounts = [one for one in news if not resources[one.resource].asset_kind]
    candidates = [*_by_asset(broker, app, of_assets), *_by_account(broker, app, of_accounts)]
    for one, connection, grant in _in_time(candidates, until):
        asset = one.id if resources[one.resource].asset_kind else None
        if _covers(broker, connection, grant, one.resource, asset):
            yield Announced(connection.id, grant.id, grant.connector, asset)


def _by_asset(broker: Broker, app: ProviderApp, news: Sequence[News]) -> Iterator[Candidate]:
    if not news:
        return
    with broker.database.write() as session:
        indexes = asset_indexes(broker, session, app.id, [one.id for one in news])
        grants = found(session, app.id, set(indexes))
    for one, index in zip(news, indexes, strict=True):
        yield from ((one, connection, grant) for connection, grant in grants.get(index, ()))


def _by_account(broker: Broker, app: ProviderApp, news: Sequence[News]) -> Iterator[Candidate]:
    if not news:
        return
    with broker.database.write() as session:
        indexes = account_indexes(broker, session, app, [one.id for one in news])
        live = live_of(session, app.id, set(indexes))
        known = {row.id: _live_grants(session, row) for rows in live.values() for row in rows}
    for one, index in zip(news, indexes, strict=True):
        yield from ((one, row, grant) for row in live.get(index, ()) for grant in known[row.id])


def _live_grants(session: Session, row: Connection) -> Sequence[Grant]:
    return session.scalars(select(Grant).where(Grant.connection_id == row.id, Grant.live.is_(True))).all()


def _covers(broker: Broker, connection: Connection, grant: Grant, resource: str, asset: str | None) -> bool:
    connector = broker.connectors.get(grant.connector)
    if connector is None or connector.reads.resource != resource or state_error(connection):
        return False
    standing = Standing(connection, grant, connector, OURSELVES, time.monotonic())
    try:
        decide(broker, standing, asset)
    except Unavailable:
        raise
    except (BrokerError, Undecryptable):  # not granted, not open, or shredded in the middle of it
        return False
    return True


def _announce(broker: Broker, connection_id: str, wanted: Collection[Announced], signature: bytes) -> None:
    """Once for each delivery, however often it comes; behind whatever ends or suspends the connection just now: what is
    not live any more announces nothing."""
    with broker.database.write() as session:
        row = session.get_one(Connection, connection_id, with_for_update={"read": True})
        live = select(Grant.id).where(Grant.connection_id == row.id, Grant.live.is_(True))
        standing = frozenset() if state_error(row) else frozenset(session.scalars(live))
        given = sorted({(one.connector, one.asset) for one in wanted if one.grant in standing})
        delivery = {"connection_id": row.id, "signature": signature}
        if not given or not insert_if_missing(session, Announcement, delivery, {"at": broker.clock()}):
            return
        ids = {"tenant": row.tenant, "subject": row.subject, "connection": row.id}
        for connector, asset in given:
            events.publish(session, AVAILABLE, **ids, data={"connector": connector, "asset": asset})
