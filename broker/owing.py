"""Owing: a duty is a row, made in the transaction of the change that owes it. Who does it: `broker.duties`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from broker.models import Duty
from broker.secret import fresh_id

AT_ONCE = 500
"""Rows in one statement."""


def owe(session: Session, kind: str, key: str, *, due_at: datetime, now: datetime) -> None:
    """An open duty begins anew: with the patience of a new one, and fenced, so that a worker that is just finishing it
    looks once more. One statement: between two the duty could be closed, and what is owed now lost.
    """
    owe_all(session, kind, [key], due_at=due_at, now=now)


def owe_all(session: Session, kind: str, keys: Sequence[str], *, due_at: datetime, now: datetime) -> None:
    """The same for several, all different; in one order, so that two transactions do not wait for each other."""
    anew: dict[str, Any] = {"due_at": due_at, "created_at": now, "attempts": 0}
    rows = [{"kind": kind, "key": key, "open": True, **anew, "id": fresh_id("dut"), "fence": 0} for key in sorted(keys)]
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    for first in range(0, len(rows), AT_ONCE):
        made = insert(Duty).values(rows[first : first + AT_ONCE])
        again = {**anew, "fence": Duty.fence + 1}
        session.connection().execute(made.on_conflict_do_update(index_elements=["kind", "key", "open"], set_=again))
