"""What the broker owes: a duty is a row, made in the transaction of the change that owes it."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from broker.db import insert_if_missing
from broker.models import Authorization
from broker.owing import owe, owe_all

TELL_PROVIDER = "tell_provider"
"""Tell the provider that an account's authorization is over. One open duty per (provider app, account)."""
TEND = "tend"
"""Look after a connection: renew its token ahead of its end, ask what still stands, announce its end. One each."""


def owe_telling(session: Session, app_id: str, account: str, *, now: datetime) -> None:
    """`account` is the blind index in hex, or an orphan's id where the account is not known."""
    owe(session, TELL_PROVIDER, f"{app_id}:{account}", due_at=now, now=now)


def owe_tellings(session: Session, accounts: Collection[tuple[str, bytes]], *, now: datetime) -> None:
    """The same for many (app id, account index)."""
    keys = {f"{app_id}:{index.hex()}" for app_id, index in accounts}
    owe_all(session, TELL_PROVIDER, sorted(keys), due_at=now, now=now)


def owe_tending(session: Session, connection_id: str, *, due_at: datetime, now: datetime) -> None:
    """An open one is put to `due_at`."""
    owe(session, TEND, connection_id, due_at=due_at, now=now)


def authorization(session: Session, app_id: str, account_index: bytes) -> Authorization:
    """The authorization's row, made if need be and locked until the end of the transaction.

    It is locked before the rows of connections, and they before duties and sessions: in one order nobody waits in a
    circle.
    """
    key = {"app_id": app_id, "account_index": account_index}
    insert_if_missing(session, Authorization, key)
    query = select(Authorization).filter_by(**key).with_for_update()
    return session.scalars(query.execution_options(populate_existing=True)).one()
