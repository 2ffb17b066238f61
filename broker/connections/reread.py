"""Reread: what the provider now says of an authorization. It can only take away (design decision 2).

More than the user confirmed counts only after a new connect session; less counts at once: fewer scopes, fewer assets,
an earlier end.
"""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from broker.connections.assets import narrowed, opened, seal
from broker.connections.found import index_unless_done
from broker.connections.owe import owe_tending
from broker.connections.read import noted
from broker.models import Connection, Grant
from broker.providers.base import Report
from broker.runtime import Broker

NEVER = datetime(9000, 1, 1, tzinfo=UTC)
"""When a token ends that never does: nothing renews it meanwhile."""


def reread(broker: Broker, session: Session, row: Connection, report: Report) -> None:
    """Take a report over into a connection whose row is locked. Whoever reports on a token honours it: a suspension by
    the provider is over."""
    if report.granted is not None:
        set_granted(session, row, report.granted & set(row.confirmed_scopes))
    set_ends(broker, row, report)
    _narrow(broker, session, row, report)
    if row.provider_suspended_at:
        row.provider_suspended_at = None
        row.state = "suspended" if row.suspended_at else "active"
        noted(session, row, "connection.resumed", actor="provider")


def set_ends(broker: Broker, row: Connection, report: Report) -> None:
    """When the authorization ends, by the provider's word; what it does not say stands as it was reckoned."""
    provider = broker.providers[row.provider]
    row.data_access_expires_at = report.data_access_expires_at
    if provider.renewed_by == "access_token" and (report.expires_at or report.lasts):
        row.fresh_until = row.access_expires_at = report.expires_at or NEVER
        row.expires_at = report.end
    elif report.end:
        row.expires_at = min(row.expires_at or report.end, report.end)


def set_granted(session: Session, row: Connection, granted: Iterable[str]) -> None:
    """As the provider last reported, within what was confirmed."""
    scopes = sorted(granted)
    if scopes != row.granted_scopes:
        noted(session, row, "connection.scopes_changed", actor="provider", scopes=scopes)
    row.granted_scopes = scopes


def drop_asset(broker: Broker, connection_id: str, token_version: int, asset: str) -> None:
    """The provider opens one asset no longer: it leaves every grant of the connection (docs/facts/meta.md §6.1)."""
    with broker.database.write() as session:
        row = session.get_one(Connection, connection_id, with_for_update=True)
        if _is_of(row, token_version):
            _drop(broker, session, row, asset)


def drop_removed_asset(broker: Broker, connection_id: str, asset: str, *, before: datetime) -> None:
    """The provider has said that one asset removed the app (docs/facts/meta.md §2.1): the same, unless the connection
    was made or connected anew since `before`."""
    with broker.database.write() as session:
        row = session.get_one(Connection, connection_id, with_for_update=True)
        if row.live and row.activated_at < before:
            _drop(broker, session, row, asset)


def taken_back(broker: Broker, connection_id: str, scope: str, assets: Collection[str], *, before: datetime) -> None:
    """The provider has said that the user took a scope back there, or that for these assets alone. It counts at once,
    and whatever is reported later, a new connect session is needed for more; nothing where the connection was made or
    connected anew since `before` (docs/facts/meta.md §5)."""
    with broker.database.write() as session:
        row = session.get_one(Connection, connection_id, with_for_update=True)
        if row.live and row.activated_at < before:
            _take_back(broker, session, row, scope, assets)


def look_soon(broker: Broker, connection_ids: Iterable[str]) -> None:
    """Ask the provider anew what stands, by a duty of each: it may have changed more than was told."""
    with broker.database.write() as session:
        for connection_id in sorted(connection_ids):
            owe_tending(session, connection_id, due_at=broker.clock(), now=broker.clock())


def _take_back(broker: Broker, session: Session, row: Connection, scope: str, assets: Collection[str]) -> None:
    """The scope; or, where it is for single assets, these, in each grant that needs it for them."""
    if not assets:
        set_granted(session, row, set(row.granted_scopes) - {scope})
        row.confirmed_scopes = [name for name in row.confirmed_scopes if name != scope]
        return
    provider = broker.providers[row.provider]
    for grant in _live_grants(session, row):
        connector = broker.connectors.get(grant.connector)
        kind = broker.resource(connector, provider).asset_kind if connector else None
        if kind:
            left = opened(broker, session, row, grant).ids() - set(assets)
            scopes = frozenset(grant.scopes) & frozenset(row.granted_scopes)
            _keep(broker, session, row, grant, provider.bound(kind, scopes, {scope: frozenset(left)}))


def take_away(broker: Broker, connection_id: str, token_version: int, scopes: Iterable[str]) -> None:
    """The provider has refused what these scopes should open, and cannot be asked which it still grants."""
    with broker.database.write() as session:
        row = session.get_one(Connection, connection_id, with_for_update=True)
        if _is_of(row, token_version):
            set_granted(session, row, set(row.granted_scopes) - set(scopes))


def _is_of(row: Connection, token_version: int) -> bool:
    """Whether a token's refusal still speaks of this connection: a newer one may have come with a newer grant."""
    return bool(row.live) and row.token_version == token_version


def _narrow(broker: Broker, session: Session, row: Connection, report: Report) -> None:
    provider = broker.providers[row.provider]
    for grant in _live_grants(session, row):
        connector = broker.connectors.get(grant.connector)
        kind = broker.resource(connector, provider).asset_kind if connector else None
        if kind:
            scopes = frozenset(grant.scopes) & frozenset(row.granted_scopes)
            _keep(broker, session, row, grant, provider.bound(kind, scopes, report.bounds))


def _drop(broker: Broker, session: Session, row: Connection, asset: str) -> None:
    for grant in _live_grants(session, row):
        known = opened(broker, session, row, grant)
        _keep(broker, session, row, grant, frozenset(entry.id for entry in known.offered if entry.id != asset))


def _keep(broker: Broker, session: Session, row: Connection, grant: Grant, bound: frozenset[str] | None) -> None:
    if grant.assets is None:
        return
    before = opened(broker, session, row, grant)
    after = narrowed(before, bound)
    if after == before:
        index_unless_done(broker, session, row, grant, after.ids())
    else:
        seal(broker, session, row, grant, after)
        count = len(after.chosen or ())
        noted(session, row, "grant.narrowed", actor="provider", connector=grant.connector, assets=count)


def _live_grants(session: Session, row: Connection) -> list[Grant]:
    return list(session.scalars(select(Grant).where(Grant.connection_id == row.id, Grant.live.is_(True))))
