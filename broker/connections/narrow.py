"""Narrow: the user's choice of assets after confirm, out of what the provider reported then. Never more than that."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from broker.clients import Caller
from broker.connections.assets import Assets, opened, seal
from broker.connections.read import known_connection, noted
from broker.errors import ConnectionRevoked, GrantWithdrawn, NotGranted
from broker.models import Connection, Grant
from broker.runtime import Broker


def listed(broker: Broker, caller: Caller, connection_id: str, connector: str) -> list[dict[str, object]]:
    """What the user may choose, and what is chosen. Raises `NotFound`, `NotGranted`, `GrantWithdrawn`,
    `ConnectionRevoked`."""
    with broker.database.read() as session:
        row, grant = _granted(session, caller, connection_id, connector)
        return _rendered(opened(broker, session, row, grant))


def narrow(
    broker: Broker, caller: Caller, connection_id: str, connector: str, ids: Sequence[str]
) -> list[dict[str, object]]:
    """The first choice among what is on offer, or a narrowing of an earlier one. Raises as `listed`; `NotGranted`
    for an id beyond the bound: more needs a new connect session."""
    with broker.database.write() as session:
        row, grant = _granted(session, caller, connection_id, connector, lock=True)
        assets = opened(broker, session, row, grant)
        within = {asset.id: asset for asset in (assets.offered if assets.chosen is None else assets.chosen)}
        if not set(ids) <= set(within):
            raise NotGranted(
                "Only assets on offer may be chosen, and a later choice only narrows. Connect again for more."
            )
        assets = replace(assets, chosen=tuple(within[asset] for asset in dict.fromkeys(ids)))
        seal(broker, session, row, grant, assets)
        noted(session, row, "grant.narrowed", actor=caller.client_id, connector=connector, assets=len(ids))
        return _rendered(assets)


def _granted(
    session: Session, caller: Caller, connection_id: str, connector: str, *, lock: bool = False
) -> tuple[Connection, Grant]:
    row = known_connection(session, caller, connection_id, lock=lock)
    grants = session.scalars(select(Grant).where(Grant.connection_id == row.id, Grant.connector == connector)).all()
    live = next((grant for grant in grants if grant.live), None)
    if not row.live:
        raise ConnectionRevoked("The connection was revoked.")
    if live is None:
        raise GrantWithdrawn("The user withdrew this connector.") if grants else NotGranted("It was never granted.")
    return row, live


def _rendered(assets: Assets) -> list[dict[str, object]]:
    chosen = set(assets.chosen_ids())
    return [{**asdict(asset), "granted": asset.id in chosen} for asset in assets.offered]
