"""Consents and erasures as callers see them: listed, and one by one with a signature that verifies offline."""

from typing import Any

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from broker import ledger, signing
from broker.audit import subject_hash
from broker.clients import ALL, Caller
from broker.connections.read import Page
from broker.errors import NotFound
from broker.models import Consent, Erasure
from broker.privacy import erase
from broker.runtime import Broker

TYPE = "consent-receipt+jwt"


def listed(
    broker: Broker,
    caller: Caller,
    *,
    tenant: str | None,
    subject: str | None,
    connection: str | None,
    limit: int,
    cursor: str | None,
) -> Page:
    """Consents of the caller's tenants, in the order of their ids; by tenant and subject also those of a subject that
    was erased. Raises `NotFound` for a foreign tenant."""
    with broker.database.read() as session:
        query = select(Consent).where(*_chosen(broker, session, caller, Consent, tenant, subject))
        query = query.where(Consent.connection == connection) if connection is not None else query
        query = query.where(Consent.id > cursor) if cursor is not None else query
        rows = session.scalars(query.order_by(Consent.id).limit(limit + 1)).all()
        shown = rows[:limit]
        words = ledger.wordings(session, shown)
    items = [ledger.shown(row, words.get(row.id)) for row in shown]
    return Page(items, shown[-1].id if len(rows) > limit else None)


def one(broker: Broker, caller: Caller, consent_id: str) -> dict[str, Any]:
    """One consent, and `jws`: the same signed, but for the subject, whom the record names by a keyed hash.

    Raises `NotFound`.
    """
    with broker.database.read() as session:
        row = session.get(Consent, consent_id)
        if row is None or not caller.acts_for(row.tenant):
            raise NotFound
        plain = ledger.shown(row, ledger.wordings(session, [row]).get(row.id))
    stated = {name: value for name, value in plain.items() if name != "subject"}
    return {**plain, "jws": signing.signed(broker, stated, typ=TYPE, at=row.at)}


def erasures(
    broker: Broker, caller: Caller, *, tenant: str | None, subject: str | None, limit: int, cursor: str | None
) -> Page:
    """Likewise; each that is completed with its certificate."""
    with broker.database.read() as session:
        query = select(Erasure).where(*_chosen(broker, session, caller, Erasure, tenant, subject))
        query = query.where(Erasure.id > cursor) if cursor is not None else query
        rows = session.scalars(query.order_by(Erasure.id).limit(limit + 1)).all()
    return Page([erase.shown(broker, row) for row in rows[:limit]], rows[limit - 1].id if len(rows) > limit else None)


def _chosen(
    broker: Broker,
    session: Session,
    caller: Caller,
    table: Any,  # noqa: ANN401 - either model
    tenant: str | None,
    subject: str | None,
) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if tenant is not None:
        caller.require_tenant(tenant)
        found.append(table.tenant == tenant)
    elif ALL not in caller.tenants:
        found.append(table.tenant.in_(sorted(caller.tenants)))
    if subject is not None:
        named = table.subject == subject
        hashed = subject_hash(session, broker.vault, tenant, subject) if tenant is not None else None
        found.append(named if hashed is None else or_(named, table.subject_hash == hashed))
    return found
