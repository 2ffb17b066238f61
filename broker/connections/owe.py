"""What the broker owes: a duty is a row, made in the transaction of the change that owes it."""

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from broker.db import insert_if_missing
from broker.models import Authorization, Duty
from broker.secret import fresh_id

TELL_PROVIDER = "tell_provider"
"""Tell the provider that an account's authorization is over. One open duty per (provider app, account)."""


def owe_telling(session: Session, app_id: str, account: str, *, now: datetime) -> None:
    """`account` is the blind index in hex, or an orphan's id where the account is not known.

    An open duty is made due again and fenced, so that a worker that is just finishing looks once more.
    """
    key = f"{app_id}:{account}"
    made = insert_if_missing(
        session,
        Duty,
        {"kind": TELL_PROVIDER, "key": key, "open": True},
        {"id": fresh_id("dut"), "due_at": now, "attempts": 0, "fence": 0, "created_at": now},
    )
    if not made:
        again = update(Duty).where(Duty.kind == TELL_PROVIDER, Duty.key == key, Duty.open.is_(True))
        session.execute(again.values(due_at=now, fence=Duty.fence + 1, lease_until=None))


def authorization(session: Session, app_id: str, account_index: bytes) -> Authorization:
    """The authorization's row, made if need be and locked until the end of the transaction."""
    key = {"app_id": app_id, "account_index": account_index}
    insert_if_missing(session, Authorization, key)
    query = select(Authorization).filter_by(**key).with_for_update()
    return session.scalars(query.execution_options(populate_existing=True)).one()
