"""Found: which live grants an asset is of, where a provider names nothing but the asset.

A table beside the grants holds a keyed hash of each asset that is on offer to a live grant or chosen in it, so that
nothing is scanned and nobody is named. It only finds: what a grant covers, the sealed assets say.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from broker.models import Announcement, Connection, Grant, GrantAsset
from broker.runtime import Broker

ENDS = frozenset({"grant.withdrawn", "grant.given", "connection.revoked", "connection.shredded"})
"""Actions after which a grant of the connection may not be live any more; one that is given replaces an earlier one."""
KEPT = timedelta(days=2)
"""For how long it is known what was announced: a delivery is repeated for up to 36 hours (docs/facts/meta.md §5)."""
AT_ONCE = 500
"""Values in one statement."""


def index_assets(broker: Broker, session: Session, row: Connection, grant: Grant, ids: Iterable[str]) -> None:
    """Make the grant found by these assets and no others; only where the provider tells of assets."""
    if "webhook" not in broker.providers[row.provider].hooks:
        return
    session.execute(delete(GrantAsset).where(GrantAsset.grant_id == grant.id))
    for index in asset_indexes(broker, session, row.app_id, set(ids)):
        session.add(GrantAsset(grant_id=grant.id, asset_index=index, app_id=row.app_id))


def index_unless_done(broker: Broker, session: Session, row: Connection, grant: Grant, ids: Iterable[str]) -> None:
    """For a grant that was made before grants were found by their assets."""
    if session.scalar(select(GrantAsset.grant_id).where(GrantAsset.grant_id == grant.id).limit(1)) is None:
        index_assets(broker, session, row, grant, ids)


def asset_indexes(broker: Broker, session: Session, app_id: str, ids: Collection[str]) -> list[bytes]:
    """By which assets are found without their ids, in the order of these."""
    return broker.vault.blind_indexes(session, provider=f"assets:{app_id}", client_id="", values=ids)


def found(session: Session, app_id: str, indexes: Collection[bytes]) -> dict[bytes, list[tuple[Connection, Grant]]]:
    """The live grants of each asset, with their connections."""
    known: dict[bytes, list[tuple[Connection, Grant]]] = {}
    wanted = sorted(indexes)
    for first in range(0, len(wanted), AT_ONCE):
        query = (
            select(GrantAsset.asset_index, Connection, Grant)
            .join(Grant, Grant.id == GrantAsset.grant_id)
            .join(Connection, Connection.id == Grant.connection_id)
            .where(GrantAsset.app_id == app_id, GrantAsset.asset_index.in_(wanted[first : first + AT_ONCE]))
            .where(Grant.live.is_(True), Connection.live.is_(True))
        )
        for index, connection, grant in session.execute(query):
            known.setdefault(bytes(index), []).append((connection, grant))
    return known


def live_of(session: Session, app_id: str, indexes: Collection[bytes]) -> dict[bytes, list[Connection]]:
    """The live connections of each account, by either of the ids that the provider has for it."""
    known: dict[bytes, list[Connection]] = {}
    wanted = sorted(indexes)
    for first in range(0, len(wanted), AT_ONCE):
        some = wanted[first : first + AT_ONCE]
        named = or_(Connection.account_index.in_(some), Connection.scoped_index.in_(some))
        query = select(Connection).where(Connection.app_id == app_id, named, Connection.live.is_(True))
        for row in session.scalars(query.order_by(Connection.id)):
            for index in {bytes(one) for one in (row.account_index, row.scoped_index) if one}:
                known.setdefault(index, []).append(row)
    return known


def forget_ended(session: Session) -> None:
    """Called before each commit, behind the audit: what ended is found no more."""
    ended = {entry.connection for entry in session.info.get("audited", ()) if entry.action in ENDS}
    wanted = sorted(filter(None, ended))
    for first in range(0, len(wanted), AT_ONCE):
        dead = select(Grant.id).where(Grant.connection_id.in_(wanted[first : first + AT_ONCE]), Grant.live.is_not(True))
        session.execute(delete(GrantAsset).where(GrantAsset.grant_id.in_(dead)))


def forget_old(session: Session, now: datetime) -> None:
    """Announcements of deliveries that no provider sends again any more."""
    session.execute(delete(Announcement).where(Announcement.at < now - KEPT))
