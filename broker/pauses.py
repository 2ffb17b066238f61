"""Pauses: what a provider's limits ask of all workers and hosts together, kept in the database.

A limit is of one account at one provider app, or of the whole app. Whoever is told of one writes until when; whoever is
about to call looks first, and is refused with the wait that is left, so that the provider is not asked meanwhile.
docs/facts/google.md §5.8, docs/facts/meta.md §6.2.
"""

import math
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from broker.errors import RateLimited
from broker.models import Connection, ProviderPause
from broker.providers.base import Usage, Verdict
from broker.runtime import Broker

NEARLY = 95
"""Percent of a limit from which on it is left alone before it is reached."""
BREATHER = 60
"""Seconds for which a nearly reached limit is left alone, where the provider does not say."""


def check(broker: Broker, row: Connection) -> None:
    """Raises `RateLimited` while a pause of this account or its app is in force."""
    now = broker.clock()
    query = select(ProviderPause.until).where(ProviderPause.key.in_(_keys(row)), ProviderPause.until > now)
    with broker.database.read() as session:
        left = [(until - now).total_seconds() for until in session.scalars(query)]
    if left:
        raise RateLimited("The provider limits how often this may be read.", retry_after=math.ceil(max(left)))


def put(broker: Broker, row: Connection, verdict: Verdict) -> None:
    """The provider has refused for a limit."""
    _until(broker, row, verdict.retry_after, app_wide=verdict.app_wide)


def heed(broker: Broker, row: Connection, usage: Usage | None) -> None:
    """An answer said how near a limit is."""
    if usage and usage.percent >= NEARLY:
        _until(broker, row, usage.wait or BREATHER, app_wide=usage.app_wide)


def _until(broker: Broker, row: Connection, seconds: int, *, app_wide: bool) -> None:
    """A longer pause that is in force stays."""
    account, app = _keys(row)
    values: dict[str, Any] = {"key": app if app_wide else account, "until": broker.clock() + timedelta(seconds=seconds)}
    with broker.database.write() as session:
        insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
        made = insert(ProviderPause).values(values)
        longer = made.excluded.until > ProviderPause.until
        session.connection().execute(
            made.on_conflict_do_update(index_elements=["key"], set_={"until": made.excluded.until}, where=longer)
        )


def _keys(row: Connection) -> tuple[str, str]:
    """Of the account at the app, and of the app."""
    return f"{row.app_id}:{row.account_index.hex()}", row.app_id
