"""Pauses: what a provider's limits ask of all workers and hosts together, kept in the database.

A limit is of one account at one provider app, or of the whole app, and of one API. Whoever is told of one writes until
when; whoever is about to call looks first, and is refused with the wait that is left, so that the provider is not asked
meanwhile. An operator may set budgets besides, in calls a minute, so that no limit is reached at all.
docs/facts/google.md §5.8, docs/facts/meta.md §6.2.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from broker.connections.use import RELIED_ON
from broker.errors import RateLimited
from broker.models import Connection, ProviderCalls, ProviderPause
from broker.providers.base import Usage, Verdict
from broker.runtime import Broker

BUDGETS = ("ACCOUNT_BUDGET", "APP_BUDGET")
"""A provider's options: calls a minute for one account, and for the whole app; empty = no budget."""
NEARLY = 95
"""Percent of a limit from which on it is left alone before it is reached."""
BREATHER = 60
"""Seconds for which a nearly reached limit is left alone, where the provider does not say."""


def check(broker: Broker, row: Connection, api: str, options: Mapping[str, str]) -> None:
    """Before a call of the API at origin `api`: raises `RateLimited` while a pause of the account or the app is in
    force, or where a budget is spent."""
    now, keys = broker.clock(), _keys(row, api)

    def read() -> Sequence[datetime]:
        with broker.database.read() as session:
            return session.scalars(select(ProviderPause.until).where(ProviderPause.key.in_(keys))).all()

    _, pauses = broker.recent.get(keys, read, age=RELIED_ON)
    left = [(until - now).total_seconds() for until in pauses if until > now]
    if left:
        raise _limited(max(left))
    budgets = {key: int(options.get(name) or 0) for key, name in zip(keys, BUDGETS, strict=True)}
    _spend(broker, {key: budget for key, budget in budgets.items() if budget})


def put(broker: Broker, row: Connection, api: str, verdict: Verdict) -> None:
    """The provider has refused for a limit."""
    _until(broker, row, api, verdict.retry_after, app_wide=verdict.app_wide)


def heed(broker: Broker, row: Connection, api: str, usage: Usage | None) -> None:
    """An answer said how near a limit is."""
    if usage and usage.percent >= NEARLY:
        _until(broker, row, api, usage.wait or BREATHER, app_wide=usage.app_wide)


def _spend(broker: Broker, budgets: Mapping[str, int]) -> None:
    """One call from each budget, counted by the minute and over all workers."""
    if not budgets:
        return
    now = broker.clock()
    minute = now.replace(second=0, microsecond=0)
    with broker.database.write() as session:
        spent = {key: _counted(session, key, minute) for key in sorted(budgets)}
    if any(spent[key] > budget for key, budget in budgets.items()):
        raise _limited(60 - (now - minute).total_seconds())


def _counted(session: Session, key: str, minute: datetime) -> int:
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    made = insert(ProviderCalls).values(key=key, minute=minute, calls=1)
    more = {"calls": ProviderCalls.calls + 1}
    counted = made.on_conflict_do_update(index_elements=["key", "minute"], set_=more).returning(ProviderCalls.calls)
    return int(session.connection().execute(counted).scalar_one())


def _until(broker: Broker, row: Connection, api: str, seconds: int, *, app_wide: bool) -> None:
    """A longer pause that is in force stays."""
    account, app = _keys(row, api)
    values: dict[str, Any] = {"key": app if app_wide else account, "until": broker.clock() + timedelta(seconds=seconds)}
    with broker.database.write() as session:
        insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
        made = insert(ProviderPause).values(values)
        longer = made.excluded.until > ProviderPause.until
        session.connection().execute(
            made.on_conflict_do_update(index_elements=["key"], set_={"until": made.excluded.until}, where=longer)
        )


def _keys(row: Connection, api: str) -> tuple[str, str]:
    """Of the account at the app, and of the app; in the order of `BUDGETS`."""
    app = f"{row.app_id} {hashlib.sha256(api.encode()).hexdigest()}"
    return f"{app} {row.account_index.hex()}", app


def _limited(seconds: float) -> RateLimited:
    return RateLimited("The provider limits how often this may be read.", retry_after=max(math.ceil(seconds), 1))
