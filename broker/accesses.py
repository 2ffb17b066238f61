"""Accesses: every data access is counted durably, per client, connection, connector, resource and hour (I10).

A request does not wait for the database: counts gather in the process and are written twice a second. At a crash at
most a second of them is lost; while they cannot be written for longer than that, no data is served.
"""

import atexit
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import or_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from broker.db import Database
from broker.errors import BrokerError, Unavailable
from broker.models import AccessCount, Connection

EVERY = 0.4
"""Seconds between two writes."""
AT_MOST = 1.0
"""Seconds for which counts may wait to be written before data are refused."""


class Counted(NamedTuple):
    """What is counted apart."""

    client_id: str
    connection_id: str
    connector: str
    resource: str
    hour: datetime


class Accesses:
    """One a process; thread-safe. Its thread starts with the first access, and so after any fork."""

    def __init__(self, database: Database, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._database, self._monotonic = database, monotonic
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._pages: Counter[Counted] = Counter()
        self._records: Counter[Counted] = Counter()
        self._used: dict[str, datetime] = {}
        """Connections whose last use is to be written."""
        self._since: float | None = None
        """When the oldest count that is not yet written was made."""
        self._wake, self._closed = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def count(self, accessed: Counted, records: int, used_at: datetime | None = None) -> None:
        """Count one page before it is served; `used_at`: to be written as the connection's last use.

        Raises `Unavailable` where counts have waited too long.
        """
        with self._lock:
            if self._since is not None and self._monotonic() - self._since > AT_MOST:
                raise Unavailable("Accesses cannot be counted at the moment, so no data is given out.")
            self._pages[accessed] += 1
            self._records[accessed] += records
            if used_at:
                self._used[accessed.connection_id] = used_at
            self._since = self._monotonic() if self._since is None else self._since
            if self._thread is None:
                self._start()
        self._wake.set()

    def write(self) -> None:
        """Write what was counted; a failure keeps it for the next time. Raises `Unavailable`."""
        with self._writing:
            with self._lock:
                pages, records, used, since = self._pages, self._records, self._used, self._since
                self._pages, self._records, self._used, self._since = Counter(), Counter(), {}, None
            if not pages:
                return
            try:
                with self._database.write() as session:
                    for accessed in sorted(pages):
                        _add(session, accessed, pages[accessed], records[accessed])
                    for connection_id in sorted(used):
                        _use(session, connection_id, used[connection_id])
            except BrokerError:
                with self._lock:
                    self._pages.update(pages)
                    self._records.update(records)
                    self._used = {**used, **self._used}
                    self._since = since
                raise

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="accesses", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def _run(self) -> None:
        while not self._closed.is_set():
            self._wake.wait()
            self._wake.clear()
            self._try()
            self._closed.wait(EVERY)

    def _try(self) -> None:
        try:
            self.write()
        except Unavailable:
            self._wake.set()

    def close(self) -> None:
        """Write what is left and count no more, as at the end of the process."""
        self._closed.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self._try()


def _add(session: Session, accessed: Counted, pages: int, records: int) -> None:
    dialect = session.get_bind().dialect.name
    insert = sqlite.insert(AccessCount) if dialect == "sqlite" else postgresql.insert(AccessCount)
    statement = insert.values(**accessed._asdict(), pages=pages, records=records)
    total = {
        "pages": AccessCount.pages + statement.excluded.pages,
        "records": AccessCount.records + statement.excluded.records,
    }
    session.execute(statement.on_conflict_do_update(index_elements=list(Counted._fields), set_=total))


def _use(session: Session, connection_id: str, at: datetime) -> None:
    earlier = or_(Connection.last_used_at.is_(None), Connection.last_used_at < at)
    session.execute(update(Connection).where(Connection.id == connection_id, earlier).values(last_used_at=at))
