"""Mass: everything of a tenant that matches is ended, under one receipt, however many connections that are.

    opened (the receipt, with what must match) ─► batch, batch, … ─► closed ─► wait L once ─► answered

Each batch is a transaction of its own and denies at once. While a receipt is open, everybody who asks for the same goes
on with it, and so does a duty, should nobody come back after a crash: an open receipt is honest about what is not yet
ended, and does not stay open.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

from broker import audit
from broker.clients import Caller
from broker.connections import use
from broker.connections.ending import all_locked, end_connections, end_grants, live_grants
from broker.connections.matching import Wanted, counted, matching, sessions
from broker.connections.receipts import Ended, Item, add_items, changed, shown
from broker.connections.sessions import end_session
from broker.db import insert_if_missing
from broker.errors import Unavailable
from broker.failpoint import failpoint
from broker.models import Connection, Duty, Revocation, RevocationItem
from broker.owing import owe
from broker.runtime import Broker
from broker.secret import fresh_id
from broker.vault import lp

END_MATCHING = "end_matching"
"""The duty to go on with an open receipt; its key is the receipt's id."""
BATCH = 250
"""Connections ended in one transaction: others wait for their rows, on SQLite for the whole database."""
ENOUGH = 0.7
"""Part of a request's deadline after which no further batch is begun."""

Progress = Callable[[int, int], None]
"""Called with how many are ended, and how many there are in all."""


@dataclass(frozen=True)
class _Opened:
    """A receipt to go on with; where it is not open, nothing matches any more."""

    id: str
    open: bool
    anew: bool


class _Closed(Exception):
    """The receipt was closed while this batch was being ended: the batch is undone, and another one opened."""


def end_all(
    broker: Broker,
    caller: Caller,
    wanted: Wanted,
    reason: str | None,
    on_progress: Progress | None = None,
    *,
    within: float | None = None,
) -> Ended:
    """End all that match, and wait until nobody relies on the old state. Repeated, it goes on where it was
    interrupted, and then answers with the same receipt; where nothing ever matched, with an empty one.

    `within`: seconds, by default the request's deadline. Raises `NotFound` for a foreign tenant; `Unavailable`, saying
    how many are ended so far, where there was not enough time.
    """
    caller.require_tenant(wanted.tenant)
    until = time.monotonic() + ENOUGH * (broker.settings.request_deadline if within is None else within)
    anew = False
    while True:
        opened = _open(broker, caller.client_id, wanted, reason)
        anew = anew or opened.anew
        try:
            if not opened.open or _carry_on(broker, opened.id, wanted, until, on_progress):
                break
        except _Closed:
            continue
    broker.shred_log.flush()  # a repeated one, too, is answered only when the log knows
    failpoint("revoke.committed")
    time.sleep(use.WAIT)
    with broker.database.read() as session:
        return Ended(shown(broker, session, session.get_one(Revocation, opened.id)), anew)


def go_on(broker: Broker, key: str, *, begin_by: float) -> datetime | None:
    """The duty: end what matched when the receipt was last asked for, and nothing that was connected since."""
    with broker.database.read() as session:
        row = session.get(Revocation, key)
    if row is None or not row.open:
        return None
    try:
        _carry_on(broker, row.id, Wanted.by(row), begin_by, None, before=row.asked_at)
    except _Closed:
        return None
    except Unavailable:
        if time.monotonic() < begin_by:
            raise
        return broker.clock()
    return None


# --- the receipt ---------------------------------------------------------------------------------------------


def _open(broker: Broker, client_id: str, wanted: Wanted, reason: str | None) -> _Opened:
    """The open receipt for these criteria, or a new one where something matches; else the newest one there was."""
    now = broker.clock()
    with broker.database.write() as session:
        criteria = _criteria(broker, session, wanted)
        mine = select(Revocation).where(Revocation.criteria == criteria)
        row = session.scalar(mine.where(Revocation.open.is_(True)).with_for_update(key_share=True))
        if row is not None:
            row.asked_at = now
            _owe_the_rest(broker, session, row.id, now)
            return _Opened(row.id, open=True, anew=False)
        connection = session.scalar(select(Connection.id).where(*matching(wanted)).limit(1))
        matches = connection or session.scalars(sessions(wanted).limit(1)).first()
        last = session.scalar(mine.order_by(Revocation.requested_at.desc(), Revocation.id.desc()).limit(1))
        if last is not None and not matches:
            return _Opened(last.id, open=False, anew=False)
        return _new(broker, session, criteria, client_id, wanted, reason)


def _new(
    broker: Broker, session: Session, criteria: bytes, client_id: str, wanted: Wanted, reason: str | None
) -> _Opened:
    """One of those who ask at the same moment makes it; the others wait for its commit, and find it."""
    now, revocation_id = broker.clock(), fresh_id("rev")
    values = {
        "id": revocation_id,
        "tenant": wanted.tenant,
        "subject": wanted.subject,
        "provider": wanted.provider,
        "connector": wanted.connector,
        "client_id": client_id,
        "reason": reason,
        "requested_at": now,
        "effective_at": now + timedelta(seconds=use.WAIT),
        "asked_at": now,
    }
    named = {"criteria": criteria, "open": True}
    anew = insert_if_missing(session, Revocation, named, values)
    row = session.scalars(select(Revocation).filter_by(**named)).one()
    _owe_the_rest(broker, session, row.id, now)
    if anew:
        audit.note(
            session,
            "revocation.requested",
            tenant=wanted.tenant,
            actor=client_id,
            subject=wanted.subject,
            revocation=row.id,
            provider=wanted.provider,
            connector=wanted.connector,
            reason=reason,
        )
    return _Opened(row.id, open=True, anew=anew)


def _criteria(broker: Broker, session: Session, wanted: Wanted) -> bytes:
    """Keyed, so that it tells nothing of a subject that is erased."""
    fields = (wanted.subject, wanted.provider, wanted.connector)
    text = lp(*("=" + field if field is not None else "" for field in fields)).hex()
    return broker.vault.blind_index(session, provider="revocation", client_id=wanted.tenant, value=text)


def _owe_the_rest(broker: Broker, session: Session, revocation_id: str, now: datetime) -> None:
    """Due when whoever asked must have had an answer."""
    due_at = now + timedelta(seconds=2 * broker.settings.request_deadline)
    owe(session, END_MATCHING, revocation_id, due_at=due_at, now=now)


# --- batch by batch ------------------------------------------------------------------------------------------


def _carry_on(
    broker: Broker,
    revocation_id: str,
    wanted: Wanted,
    until: float,
    on_progress: Progress | None,
    *,
    before: datetime | None = None,
) -> bool:
    """End all that match, then close the receipt. False where something new matched at the very end.

    Raises `Unavailable` at `until` (monotonic seconds), `_Closed`.
    """
    more = True
    while more:
        with broker.database.write() as session:
            more = _end_under_way(broker, session, wanted, before)
    while True:
        _report(broker, revocation_id, wanted, on_progress)
        with broker.database.write() as session:
            found = _batch(broker, session, revocation_id, wanted, before)
        if not found:
            return _close(broker, revocation_id, wanted, before)
        failpoint("mass.batch")
        if time.monotonic() > until:
            with broker.database.read() as session:
                done = _done(session, revocation_id)
            raise Unavailable(f"{done} are ended so far, and there are more. Repeat the request: it goes on with them.")


def _batch(broker: Broker, session: Session, revocation_id: str, wanted: Wanted, before: datetime | None) -> bool:
    """End the next ones; False where there were none."""
    query = select(Connection.id, Connection.app_id, Connection.account_index).where(*matching(wanted))
    if before is not None:
        query = query.where(Connection.activated_at <= before)
    query = query.order_by(Connection.app_id, Connection.account_index, Connection.id).limit(BATCH)
    found = [(row[0], row[1], row[2]) for row in session.execute(query)]
    if not found:
        return False
    rows = all_locked(session, found)
    receipt = session.get_one(Revocation, revocation_id)
    items = _end(broker, session, receipt, rows, wanted.connector)
    receipt = session.scalars(_locked(revocation_id)).one()
    if not receipt.open:
        raise _Closed
    add_items(session, revocation_id, items, first=_done(session, revocation_id))
    receipt.changed_at = broker.clock()
    return True


def _end(
    broker: Broker, session: Session, receipt: Revocation, rows: Sequence[Connection], connector: str | None
) -> list[Item]:
    grants = live_grants(session, rows)
    actor, reason = receipt.client_id or "operator", receipt.reason
    if connector is None:
        return end_connections(broker, session, actor, rows, grants, reason=reason)
    held = [row for row in rows if any(grant.connector == connector for grant in grants.get(row.id, ()))]
    last = [row for row in held if len(grants[row.id]) == 1]
    others = [row for row in held if len(grants[row.id]) > 1]
    items = end_connections(broker, session, actor, last, grants, reason=reason, connector=connector)
    return items + end_grants(broker, session, actor, others, grants, connector)


def _close(broker: Broker, revocation_id: str, wanted: Wanted, before: datetime | None) -> bool:
    """Under the receipt's lock nothing matches any more: a batch that another is ending still does, until it has
    committed its items."""
    now = broker.clock()
    with broker.database.write() as session:
        row = session.scalars(_locked(revocation_id)).one()
        if not row.open:
            return True
        if before is None and counted(session, wanted):
            return False
        row.open, row.effective_at = None, now + timedelta(seconds=use.WAIT)
        duty = update(Duty).where(Duty.kind == END_MATCHING, Duty.key == row.id, Duty.open.is_(True))
        session.execute(duty.values(open=None, done_at=now))
        changed(session, [row.id], now)
    return True


def _locked(revocation_id: str) -> Select[Revocation]:
    query = select(Revocation).where(Revocation.id == revocation_id).with_for_update(key_share=True)
    return query.execution_options(populate_existing=True)


def _done(session: Session, revocation_id: str) -> int:
    query = select(func.count()).select_from(RevocationItem).where(RevocationItem.revocation_id == revocation_id)
    return session.scalar(query) or 0


def _report(broker: Broker, revocation_id: str, wanted: Wanted, on_progress: Progress | None) -> None:
    if on_progress is not None:
        with broker.database.read() as session:
            done, left = _done(session, revocation_id), counted(session, wanted)
        on_progress(done, done + left)


def _end_under_way(broker: Broker, session: Session, wanted: Wanted, before: datetime | None) -> bool:
    rows = session.scalars(sessions(wanted, before).limit(BATCH).with_for_update()).all()
    for row in rows:
        end_session(broker, session, row, "failed")
    return bool(rows)
