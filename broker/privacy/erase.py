"""Erase: everything about one subject goes, and a certificate stays (docs/facts/security.md PRV-10).

    asked ─► attempts to connect end, every connection ends, as by a revocation ─► the provider is told (may take days)
          ─► the last one is shredded ─► all tables are cleaned ─► certificate

The whole is a duty: whatever dies in between, it goes on until it is done. A provider must be told with the token that
is to go, so cleaning waits for that. What the subject connects anew meanwhile is another life, and stays.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, delete, func, or_, select, tuple_, update
from sqlalchemy.orm import Session

from broker import audit, signing
from broker.audit import ERASED, Noted, subject_hash
from broker.clients import Caller
from broker.connections import ending, receipts, use
from broker.connections.confirm import lost
from broker.connections.read import rfc3339
from broker.connections.sessions import end_session
from broker.db import insert_if_missing
from broker.errors import NotFound
from broker.failpoint import failpoint
from broker.models import (
    AccessCount,
    AuditEntry,
    Connection,
    ConnectSession,
    Consent,
    Duty,
    Erasure,
    Grant,
    GrantAsset,
    PortalSession,
    Revocation,
    RevocationItem,
    TokenFingerprint,
)
from broker.owing import owe
from broker.runtime import Broker
from broker.secret import fresh_id

ERASE = "erase"
"""Finish an erasure. One open duty each, by its id."""
REASON = "erasure"
TYPE = "erasure-certificate+jwt"
PREFIX = "erased:"
"""Before the keyed hash, where a table cannot do without a subject."""
SOONEST, LATEST = timedelta(seconds=2), timedelta(minutes=15)
KEPT = (
    "audit entries, consents, receipts and connections: under a keyed hash, for proof",
    "access counts: by the connection's id",
    "answers kept for repeated requests: sealed, for 24 hours at most",
)


@dataclass(frozen=True)
class Erased:
    """How an erasure was answered: like a revocation, and with how it stands itself."""

    receipt: dict[str, Any]
    erasure: dict[str, Any]
    anew: bool


def erase(broker: Broker, caller: Caller, tenant: str, subject: str) -> Erased:
    """End everything, and erase at once what no provider must be told of; the rest is owed. A repeated one answers as
    the first. Raises `NotFound` for a foreign tenant, `Unavailable`."""
    caller.require_tenant(tenant)
    erasure_id, anew = ask(broker, caller.client_id, tenant, subject)
    failpoint("erase.asked")
    broker.shred_log.flush()  # a repeated one, too, is answered only when the log knows
    time.sleep(use.WAIT)
    finish(broker, erasure_id)
    with broker.database.read() as session:
        row = session.get_one(Erasure, erasure_id)
        receipt = receipts.shown(broker, session, session.get_one(Revocation, row.revocation_id))
    return Erased(receipt, shown(broker, row), anew)


def ask(broker: Broker, client_id: str, tenant: str, subject: str) -> tuple[str, bool]:
    """End everything, and owe the rest. The erasure's id; False for a repeated one. Raises `Unavailable`."""
    with broker.database.write() as session:
        _end_attempts(broker, session, tenant, subject)
    return _asked(broker, client_id, tenant, subject)


def carry_on(broker: Broker, key: str, *, begin_by: float) -> datetime | None:  # noqa: ARG001 - a duty's signature
    """The duty: clean, as soon as every provider has been told. A time means that it is too early."""
    if finish(broker, key):
        return None
    now = broker.clock()
    with broker.database.read() as session:
        asked_at = session.get_one(Erasure, key).requested_at
    return now + min(max((now - asked_at) / 4, SOONEST), LATEST)


def awakener(clock: Callable[[], datetime]) -> Callable[[Session], None]:
    """What a `Database` calls before each commit, behind the audit: an erasure need not wait once the last connection
    is shredded."""

    def awaken(session: Session) -> None:
        audited: list[Noted] = session.info.get("audited", [])
        shredded = {(entry.tenant, str(entry.subject)) for entry in audited if entry.action == "connection.shredded"}
        if not shredded:
            return
        mine = tuple_(Erasure.tenant, Erasure.subject).in_(sorted(shredded))
        for erasure_id in session.scalars(select(Erasure.id).where(mine, Erasure.open.is_(True)).order_by(Erasure.id)):
            owe(session, ERASE, erasure_id, due_at=clock(), now=clock())

    return awaken


def _asked(broker: Broker, client_id: str, tenant: str, subject: str) -> tuple[str, bool]:
    """End every connection and owe the rest, in one transaction. The erasure's id; False where it was asked for before,
    and nothing of the subject has come since."""
    now = broker.clock()
    with broker.database.write() as session:
        hashed = subject_hash(session, broker.vault, tenant, subject)
        done = select(Erasure.id).where(Erasure.tenant == tenant, Erasure.subject_hash == hashed)
        last = session.scalar(done.order_by(Erasure.requested_at.desc()).limit(1))
        if last and not _is_held(session, tenant, subject):
            return last, False
        key = {"tenant": tenant, "subject_hash": hashed, "open": True}
        values = {"subject": subject, "client_id": client_id, "requested_at": now, "revocation_id": ""}
        if not insert_if_missing(session, Erasure, key, {**values, "id": (erasure_id := fresh_id("era"))}):
            return session.scalars(select(Erasure.id).filter_by(**key)).one(), False
        named = {"tenant": tenant, "actor": client_id, "subject": subject}
        audit.note(session, "subject.erasure_asked", **named, erasure=erasure_id)
        session.get_one(Erasure, erasure_id).revocation_id = _end_connections(
            broker, session, client_id, tenant, subject
        )
        owe(session, ERASE, erasure_id, due_at=now, now=now)
    return erasure_id, True


def _is_held(session: Session, tenant: str, subject: str) -> bool:
    """Whether anything names the subject that an erasure would take away."""
    tables: tuple[Any, ...] = (Connection, ConnectSession, PortalSession, Revocation, Consent, Erasure, AuditEntry)
    found = (select(table.tenant).where(table.tenant == tenant, table.subject == subject).limit(1) for table in tables)
    return any(session.scalar(query) is not None for query in found)


def _end_attempts(
    broker: Broker, session: Session, tenant: str, subject: str, *, until: datetime | None = None
) -> None:
    """No attempt to connect that is under way becomes a connection any more. In a transaction before the one that ends
    the connections: what was confirmed by then, that one sees."""
    mine = [ConnectSession.tenant == tenant, ConnectSession.subject == subject]
    mine += [ConnectSession.created_at <= until] if until else []
    query = select(ConnectSession).where(*mine, ConnectSession.status.in_(("open", "pending")))
    for row in session.scalars(query.order_by(ConnectSession.id).with_for_update()).all():
        if row.exchange_began_at:
            lost(broker, session, row)
        else:
            end_session(broker, session, row, "failed")


def _end_connections(broker: Broker, session: Session, actor: str, tenant: str, subject: str) -> str:
    """As a revocation does; the id of its receipt."""
    account = (Connection.id, Connection.app_id, Connection.account_index)
    mine = (Connection.tenant == tenant, Connection.subject == subject, Connection.live.is_(True))
    wanted = [(row.id, row.app_id, row.account_index) for row in session.execute(select(*account).where(*mine))]
    rows = ending.all_locked(session, wanted)
    items = ending.end_connections(broker, session, actor, rows, ending.live_grants(session, rows), reason=REASON)
    named = {"tenant": tenant, "subject": subject, "client_id": actor}
    return receipts.new_receipt(broker, session, **named, reason=REASON, items=items)


# --- cleaning ------------------------------------------------------------------------------------------------


def finish(broker: Broker, erasure_id: str) -> bool:
    """Clean all tables in one transaction; False while a provider is yet to be told or an exchange may be under way."""
    with broker.database.write() as session:
        row = session.get_one(Erasure, erasure_id, with_for_update=True)
        if not row.open:
            return True
        if not _may_be_cleaned(broker, session, row):
            return False
        _end_attempts(broker, session, row.tenant, str(row.subject), until=row.requested_at)
        row.erased = _cleaned(session, row)
        named = {"tenant": row.tenant, "actor": row.client_id, "subject": str(row.subject)}
        audit.note(session, ERASED, **named, erasure=row.id, revocation=row.revocation_id)
        row.subject, row.open, row.completed_at = None, None, broker.clock()
    failpoint("erase.cleaned")
    broker.database.wipe()
    return True


def _may_be_cleaned(broker: Broker, session: Session, row: Erasure) -> bool:
    mine = (Connection.tenant == row.tenant, Connection.subject == row.subject)
    left = select(Connection.id).where(*mine, Connection.created_at <= row.requested_at, Connection.state != "revoked")
    late = broker.clock() - timedelta(seconds=2 * broker.settings.request_deadline)
    exchanging = select(ConnectSession.id).where(
        ConnectSession.tenant == row.tenant,
        ConnectSession.subject == row.subject,
        ConnectSession.exchange_began_at > late,
        ConnectSession.status != "confirmed",
    )
    return not any(session.scalar(query.limit(1)) for query in (left, exchanging))


def _cleaned(session: Session, row: Erasure) -> dict[str, int]:
    """What was erased → how many. Everything from before the subject's next life, if there is one."""
    mine = (Connection.tenant == row.tenant, Connection.subject == row.subject)
    ids = session.scalars(select(Connection.id).where(*mine, Connection.created_at <= row.requested_at)).all()
    until = _next_life(session, row)
    hashed = PREFIX + row.subject_hash
    found = {
        "sessions": _rows(session, delete(ConnectSession).where(*_old(ConnectSession, row, until))),
        "portal_sessions": _rows(session, delete(PortalSession).where(*_old(PortalSession, row, until))),
        "receipts": _rows(session, _receipts(row, ids, until).values(subject=hashed, reason=None)),
        "consents": _rows(session, _unnamed(Consent, row, ids, until)),
        "audit_entries": _rows(session, _unnamed(AuditEntry, row, ids, until)),
    }
    counts = select(func.count()).select_from(AccessCount).where(AccessCount.connection_id.in_(ids))
    return {**found, **_connections(session, ids, hashed), "access_counts": session.scalar(counts) or 0}


def _next_life(session: Session, row: Erasure) -> datetime | None:
    """When the subject began to connect anew; None where that has not been."""
    begun = []
    for table in (ConnectSession, PortalSession, Connection):
        mine = (table.tenant == row.tenant, table.subject == row.subject, table.created_at > row.requested_at)
        begun.append(session.scalar(select(func.min(table.created_at)).where(*mine)))
    return min(filter(None, begun), default=None)


def _old(table: Any, row: Erasure, until: datetime | None) -> Sequence[ColumnElement[bool]]:  # noqa: ANN401 - a model
    mine = [table.tenant == row.tenant, table.subject == row.subject]
    return mine if until is None else [*mine, table.created_at < until]


def _unnamed(table: Any, row: Erasure, ids: Sequence[str], until: datetime | None) -> Any:  # noqa: ANN401
    """Of a table whose rows stay, the statement that takes the subject away."""
    mine = [table.tenant == row.tenant, table.subject == row.subject]
    if until is not None:
        mine.append(or_(table.at < until, table.connection.in_(ids)))
    return update(table).where(*mine).values(subject=None)


def _receipts(row: Erasure, ids: Sequence[str], until: datetime | None) -> Any:  # noqa: ANN401 - a statement
    mine = [Revocation.tenant == row.tenant, Revocation.subject == row.subject]
    if until is not None:
        about = select(RevocationItem.revocation_id).where(RevocationItem.connection_id.in_(ids))
        mine.append(or_(Revocation.requested_at < until, Revocation.id.in_(about)))
    return update(Revocation).where(*mine)


def _connections(session: Session, ids: Sequence[str], hashed: str) -> dict[str, int]:
    """Each keeps its id, which never revives; its account's index goes, and with it every tie to the account."""
    rows = session.scalars(select(Connection).where(Connection.id.in_(ids)).with_for_update()).all()
    for row in rows:
        done = Duty.key == f"{row.app_id}:{row.account_index.hex()}"
        session.execute(delete(Duty).where(done, Duty.open.is_(None)))
        row.subject, row.account_index, row.scoped_index = hashed, os.urandom(32), None
    session.flush()
    grants = select(Grant.id).where(Grant.connection_id.in_(ids))
    session.execute(delete(GrantAsset).where(GrantAsset.grant_id.in_(grants)))
    session.execute(delete(TokenFingerprint).where(TokenFingerprint.connection_id.in_(ids)))
    emptied = update(Grant).where(Grant.connection_id.in_(ids)).values(assets=None, purpose=None)
    return {"connections": len(rows), "grants": _rows(session, emptied)}


def _rows(session: Session, statement: Any) -> int:  # noqa: ANN401 - a DELETE or UPDATE
    done: CursorResult[Any] = session.connection().execute(statement)
    return done.rowcount


# --- showing -------------------------------------------------------------------------------------------------


def shown(broker: Broker, row: Erasure) -> dict[str, Any]:
    """How an erasure stands; once it is completed with `jws`, the signed certificate."""
    plain = {
        "id": row.id,
        "tenant": row.tenant,
        "subject_hash": row.subject_hash,
        "state": "in_progress" if row.open else "completed",
        "requested_at": rfc3339(row.requested_at),
        "completed_at": rfc3339(row.completed_at),
        "revocation": row.revocation_id,
        "erased": row.erased,
        "kept": list(KEPT),
    }
    if row.completed_at is None:
        return plain
    return {**plain, "jws": signing.signed(broker, plain, typ=TYPE, at=row.completed_at)}


def erasure(broker: Broker, caller: Caller, erasure_id: str) -> dict[str, Any]:
    """One erasure. Raises `NotFound`."""
    with broker.database.read() as session:
        row = session.get(Erasure, erasure_id)
    if row is None or not caller.acts_for(row.tenant):
        raise NotFound
    return shown(broker, row)
