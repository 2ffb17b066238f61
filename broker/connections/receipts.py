"""Receipts: the lasting proof of how a revocation ended, shown to those who may see it and signed for all others.

A receipt is completed in the transaction in which its last pending item settles; that is said once, in the audit and
from there to the sales app.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from broker import audit, signing
from broker.clients import ALL, Caller
from broker.connections import use
from broker.connections.read import Page, rfc3339
from broker.errors import NotFound
from broker.models import Revocation, RevocationItem
from broker.runtime import Broker
from broker.secret import fresh_id

TYPE = "revocation-receipt+jwt"
"""Header `typ` of a signed receipt."""
OPTIONAL = ("connector", "remove_at")
"""Members of a receipt's item that stand there only where there is something to say."""
IN_LISTS = 50
"""Items of a receipt that a list shows; the receipt itself shows all."""


@dataclass(frozen=True)
class Ended:
    """How a revocation was answered: its receipt, and whether this call ended something or repeated an earlier one."""

    receipt: dict[str, Any]
    anew: bool


@dataclass(frozen=True)
class Item:
    """One thing that a revocation ends. `outcome` is `pending` where the provider is yet to be told."""

    connection_id: str
    provider: str
    ended: str
    """grant | connection"""
    connector: str | None
    outcome: str


# --- making --------------------------------------------------------------------------------------------------


def new_receipt(
    broker: Broker,
    session: Session,
    *,
    tenant: str,
    subject: str | None,
    client_id: str | None,
    reason: str | None,
    items: Sequence[Item],
) -> str:
    """The receipt of what this transaction ends; its id."""
    now = broker.clock()
    row = Revocation(
        id=fresh_id("rev"),
        tenant=tenant,
        subject=subject,
        client_id=client_id,
        reason=reason,
        requested_at=now,
        effective_at=now + timedelta(seconds=use.WAIT),
    )
    session.add(row)
    session.flush()
    add_items(session, row.id, items, first=0)
    changed(session, [row.id], now)
    return row.id


def add_items(session: Session, revocation_id: str, items: Sequence[Item], *, first: int) -> None:
    """With numbers from `first` on."""
    session.add_all(
        RevocationItem(
            revocation_id=revocation_id,
            number=number,
            connection_id=item.connection_id,
            ended=item.ended,
            connector=item.connector,
            provider=item.provider,
            provider_outcome=item.outcome,
            attempts=0,
        )
        for number, item in enumerate(items, first)
    )
    session.flush()


def earlier(session: Session, connection_id: str, ended: str, connector: str | None = None) -> str:
    """The newest receipt of what was ended before: of this very grant, or else of the whole connection.

    Raises `NotFound` where there is none.
    """
    query = select(RevocationItem).join(Revocation).where(RevocationItem.connection_id == connection_id)
    items = session.scalars(query.order_by(Revocation.requested_at.desc())).all()
    exact = [item for item in items if (item.ended, item.connector) == (ended, connector)]
    found = exact or [item for item in items if item.ended == "connection"]
    if not found:
        raise NotFound
    return found[0].revocation_id


def pending_items(session: Session, *which: ColumnElement[bool]) -> Sequence[RevocationItem]:
    """Items for which the provider is yet to be told."""
    query = select(RevocationItem).where(RevocationItem.provider_outcome == "pending", *which)
    return session.scalars(query).all()


def changed(session: Session, revocation_ids: Iterable[str], now: datetime) -> None:
    """To be called where items were made or settled. The last one completes the receipt.

    The receipts are locked one after the other, behind everything but the audit: of two transactions that settle the
    last two items, the second then sees the first.
    """
    session.flush()
    for revocation_id in sorted(set(revocation_ids)):
        query = select(Revocation).where(Revocation.id == revocation_id).with_for_update(key_share=True)
        row = session.scalars(query.execution_options(populate_existing=True)).one()
        row.changed_at = now
        if not (row.completed_at or row.open or _is_pending(session, row)):
            row.completed_at = now
            audit.note(session, "revocation.completed", tenant=row.tenant, subject=row.subject, revocation=row.id)


def _is_pending(session: Session, row: Revocation) -> bool:
    pending = select(RevocationItem.number).where(
        RevocationItem.revocation_id == row.id, RevocationItem.provider_outcome == "pending"
    )
    return session.scalar(pending.limit(1)) is not None


# --- showing -------------------------------------------------------------------------------------------------


def receipt(broker: Broker, caller: Caller, revocation_id: str) -> dict[str, Any]:
    """One receipt, whole and signed. Raises `NotFound`."""
    with broker.database.read() as session:
        row = session.get(Revocation, revocation_id)
        if row is None or not caller.acts_for(row.tenant):
            raise NotFound
        return shown(broker, session, row)


def receipts(
    broker: Broker,
    caller: Caller,
    *,
    tenant: str | None,
    subject: str | None,
    connection: str | None,
    limit: int,
    cursor: str | None,
) -> Page:
    """Receipts of the caller's tenants, in the order of their ids. Raises `NotFound` for a foreign tenant."""
    query = select(Revocation).order_by(Revocation.id).limit(limit + 1)
    query = query.where(*_chosen(caller, tenant, subject, connection))
    if cursor is not None:
        query = query.where(Revocation.id > cursor)
    with broker.database.read() as session:
        rows = session.scalars(query).all()
        items = [_listed(broker, session, row) for row in rows[:limit]]
    return Page(items, rows[limit - 1].id if len(rows) > limit else None)


def shown(broker: Broker, session: Session, row: Revocation) -> dict[str, Any]:
    """The Receipt of contract §5 with all its items, and `jws`: the same once more, signed. Its `iat` is when the
    receipt was last changed, so that the same receipt is signed alike each time."""
    plain = _rendered(broker, session, row, _items(session, row, None))
    at = row.changed_at or row.requested_at
    session.commit()  # signing needs a database connection: who held one meanwhile could wait for others who do
    return {**plain, "jws": signing.signed(broker, plain, typ=TYPE, at=at)}


def _chosen(
    caller: Caller, tenant: str | None, subject: str | None, connection: str | None
) -> Iterable[ColumnElement[bool]]:
    if tenant is not None:
        caller.require_tenant(tenant)
        yield Revocation.tenant == tenant
    elif ALL not in caller.tenants:
        yield Revocation.tenant.in_(sorted(caller.tenants))
    if subject is not None:
        yield Revocation.subject == subject
    if connection is not None:
        of_connection = select(RevocationItem.revocation_id).where(RevocationItem.connection_id == connection)
        yield Revocation.id.in_(of_connection)


def _listed(broker: Broker, session: Session, row: Revocation) -> dict[str, Any]:
    found = _items(session, row, IN_LISTS + 1)
    plain = _rendered(broker, session, row, found[:IN_LISTS])
    return plain | ({"cut": True} if len(found) > IN_LISTS else {})


def _items(session: Session, row: Revocation, limit: int | None) -> Sequence[RevocationItem]:
    query = select(RevocationItem).where(RevocationItem.revocation_id == row.id).order_by(RevocationItem.number)
    return session.scalars(query.limit(limit)).all()


def _rendered(broker: Broker, session: Session, row: Revocation, items: Sequence[RevocationItem]) -> dict[str, Any]:
    in_progress = row.open or _is_pending(session, row)
    return {
        "id": row.id,
        "tenant": row.tenant,
        "subject": row.subject,
        "provider": row.provider,
        "connector": row.connector,
        "reason": row.reason,
        "requested_at": rfc3339(row.requested_at),
        "effective_at": None if row.open else rfc3339(row.effective_at),
        "completed_at": rfc3339(row.completed_at),
        "connections": [_rendered_item(broker, item) for item in items],
        "state": "in_progress" if in_progress else "completed",
    }


def _rendered_item(broker: Broker, item: RevocationItem) -> dict[str, Any]:
    shown = {
        "id": item.connection_id,
        "ended": item.ended,
        "connector": item.connector,
        "provider": item.provider,
        "provider_outcome": item.provider_outcome,
        "attempts": item.attempts,
        "last_error": item.last_error,
        "shredded_at": rfc3339(item.shredded_at),
        "remove_at": _remove_at(broker, item),
    }
    return {name: value for name, value in shown.items() if name not in OPTIONAL or value is not None}


def _remove_at(broker: Broker, item: RevocationItem) -> dict[str, str] | None:
    """Where the user can end it at the provider, as far as the provider was not told or did not say that it is over."""
    provider = broker.providers.get(item.provider)
    if provider is None or item.provider_outcome in ("confirmed", "already_gone", "pending"):
        return None
    known = {"url": provider.settings_url, "path": provider.settings_path}
    return {name: text for name, text in known.items() if text} or None
