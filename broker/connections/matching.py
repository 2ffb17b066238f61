"""Matching: which connections a mass revocation ends (`broker.connections.mass`), and what it would end."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, false, func, select
from sqlalchemy.orm import Session, aliased

from broker.clients import ALL, Caller
from broker.connections.ending import would_end
from broker.models import Connection, ConnectSession, Grant, Revocation
from broker.runtime import Broker


@dataclass(frozen=True)
class Wanted:
    """What must match: everything that is said. `connector`: its grants; the last one ends its connection."""

    tenant: str
    subject: str | None = None
    provider: str | None = None
    connector: str | None = None

    @classmethod
    def by(cls, row: Revocation) -> "Wanted":
        return cls(row.tenant, row.subject, row.provider, row.connector)


def would_end_all(broker: Broker, caller: Caller, wanted: Wanted) -> dict[str, list[dict[str, str]]]:
    """What would end, and the caller's other connections that share an authorization with some of it. Raises
    `NotFound` for a foreign tenant."""
    caller.require_tenant(wanted.tenant)
    other = aliased(Connection)
    shared = (other.app_id == Connection.app_id, other.account_index == Connection.account_index, other.live.is_(True))
    siblings = select(other.id).join(Connection, shared[0] & shared[1]).where(shared[2], *matching(wanted)).distinct()
    if ALL not in caller.tenants:
        siblings = siblings.where(other.tenant.in_(sorted(caller.tenants)))
    with broker.database.read() as session:
        rows = session.scalars(select(Connection).where(*matching(wanted)).order_by(Connection.id)).all()
        grants = session.execute(
            select(Grant.connection_id, Grant.connector)
            .where(Grant.live.is_(True), Grant.connection_id.in_(select(Connection.id).where(*matching(wanted))))
            .order_by(Grant.connection_id)
        ).all()
        beside = sorted(set(session.scalars(siblings)) - {row.id for row in rows})
    live: dict[str, list[str]] = {}
    for connection_id, connector in grants:
        live.setdefault(connection_id, []).append(connector)
    ended = [item for row in rows for item in would_end(row, live.get(row.id, []), wanted.connector)]
    return {"would_end": ended, "siblings": [{"connection": connection_id} for connection_id in beside]}


def tenants_with(broker: Broker, *, subject: str | None, provider: str | None, connector: str | None) -> list[str]:
    """Where anything matches: an operator may end something in every tenant."""
    anywhere = matching(Wanted("", subject, provider, connector))[1:]
    with broker.database.read() as session:
        return sorted(session.scalars(select(Connection.tenant).where(*anywhere).distinct()))


def count(broker: Broker, wanted: Wanted) -> int:
    """How many connections match now."""
    with broker.database.read() as session:
        return counted(session, wanted)


def matching(wanted: Wanted) -> list[ColumnElement[bool]]:
    """The tenant first."""
    conditions = [Connection.tenant == wanted.tenant, Connection.live.is_(True)]
    if wanted.subject is not None:
        conditions.append(Connection.subject == wanted.subject)
    if wanted.provider is not None:
        conditions.append(Connection.provider == wanted.provider)
    if wanted.connector is not None:
        granted = select(Grant.id).where(
            Grant.connection_id == Connection.id, Grant.connector == wanted.connector, Grant.live.is_(True)
        )
        conditions.append(granted.exists())
    return conditions


def counted(session: Session, wanted: Wanted) -> int:
    return session.scalar(select(func.count()).select_from(Connection).where(*matching(wanted))) or 0


def sessions(wanted: Wanted, before: datetime | None = None) -> Select[ConnectSession]:
    """What is under way, and would be connected a moment later. One connector alone ends no session."""
    query = select(ConnectSession).where(
        ConnectSession.tenant == wanted.tenant, ConnectSession.status.in_(("open", "pending"))
    )
    if wanted.subject is not None:
        query = query.where(ConnectSession.subject == wanted.subject)
    if wanted.provider is not None:
        query = query.where(ConnectSession.provider == wanted.provider)
    if wanted.connector is not None:
        query = query.where(false())
    if before is not None:
        query = query.where(ConnectSession.created_at <= before)
    return query.order_by(ConnectSession.id)
