"""Orphans: provider tokens that no connection holds any more and that may still live at the provider (I5).

Some are sealed here until the provider has ended them; of others nothing is left here but that they may be alive.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from broker.connections.owe import TELL_PROVIDER
from broker.connections.read import rfc3339
from broker.models import Connection, Duty, Orphan, RevocationItem
from broker.runtime import Broker

STATES = ("owed", "kept", "given_up", "not_supported")
"""owed: the provider is still being told; kept: sealed here, and covered by an authorization that another connection
uses; given_up: the provider was told in vain; not_supported: it cannot be told, and the token ends by itself."""


def listed(broker: Broker) -> list[dict[str, Any]]:
    """Each token that is possibly orphaned, oldest first, without any secret."""
    with broker.database.read() as session:
        found = [*_sealed(session), *_not_ended(broker, session)]
    return sorted(found, key=lambda item: (item["since"], item["id"]))


def _sealed(session: Session) -> Iterator[dict[str, Any]]:
    for row in session.scalars(select(Orphan)):
        yield {
            "id": row.id,
            "tenant": row.tenant,
            "provider": row.app_id,
            "state": _state(session, row),
            "connection": None,
            "since": rfc3339(row.created_at),
            "expires_at": None,
        }


def _state(session: Session, row: Orphan) -> str:
    account = row.account_index.hex() if row.account_index else row.id
    key = f"{row.app_id}:{account}"
    if session.scalar(select(Duty.id).where(Duty.kind == TELL_PROVIDER, Duty.key == key, Duty.open.is_(True))):
        return "owed"
    live = select(Connection.id).where(
        Connection.app_id == row.app_id, Connection.account_index == row.account_index, Connection.live.is_(True)
    )
    return "kept" if session.scalar(live.limit(1)) else "given_up"


def _not_ended(broker: Broker, session: Session) -> Iterator[dict[str, Any]]:
    """What receipts say was not ended at the provider, as far as it has not ended by itself since."""
    lives = or_(Connection.access_expires_at.is_(None), Connection.access_expires_at > broker.clock())
    query = (
        select(RevocationItem, Connection)
        .join(Connection, Connection.id == RevocationItem.connection_id)
        .where(RevocationItem.ended == "connection")
        .where(
            (RevocationItem.provider_outcome == "gave_up")
            | ((RevocationItem.provider_outcome == "not_supported") & lives)
        )
    )
    for item, row in session.execute(query):
        yield {
            "id": item.revocation_id,
            "tenant": row.tenant,
            "provider": row.app_id,
            "state": "given_up" if item.provider_outcome == "gave_up" else "not_supported",
            "connection": row.id,
            "since": rfc3339(item.shredded_at or row.ended_at),
            "expires_at": rfc3339(row.access_expires_at) if item.provider_outcome == "not_supported" else None,
        }
