"""Owing: a duty is a row, made in the transaction of the change that owes it. Who does it: `broker.duties`."""

from datetime import datetime
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from broker.models import Duty
from broker.secret import fresh_id


def owe(session: Session, kind: str, key: str, *, due_at: datetime, now: datetime) -> None:
    """An open duty begins anew: with the patience of a new one, and fenced, so that a worker that is just finishing it
    looks once more. One statement: between two the duty could be closed, and what is owed now lost.
    """
    named: dict[str, Any] = {"kind": kind, "key": key, "open": True}
    anew = {"due_at": due_at, "created_at": now, "attempts": 0}
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    made = insert(Duty).values(**named, **anew, id=fresh_id("dut"), fence=0)
    owed = made.on_conflict_do_update(index_elements=list(named), set_={**anew, "fence": Duty.fence + 1})
    session.connection().execute(owed)
