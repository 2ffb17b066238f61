"""What was ended is written to the log before anybody is told of it.

    the transaction that ends something also owes a line  ─►  committed  ─►  log written and on its disk
        ─►  the database notes how far it knows the log, and owes nothing any more  ─►  write() returns

A crash in between leaves the line owed; the next ending, the worker's sweep or the next start writes it, and one that
was already written is known by its id. While the log cannot be written the ending stands, and whoever asked for it is
told to repeat.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from broker.audit import Noted, subject_hash
from broker.db import Database, insert_if_missing
from broker.errors import ConfigurationError, Unavailable
from broker.failpoint import failpoint
from broker.models import Connection, ConnectSession, LogMark, Orphan, OwedLine
from broker.secret import fresh_id
from broker.shredlog.fault import LogFault, PutBack
from broker.shredlog.file import FileLog
from broker.shredlog.line import START, Mark, canonical
from broker.shredlog.store import Said, Store
from broker.shredlog.table import TableLog
from broker.vault import Vault

log = logging.getLogger("broker.shredlog")

LOG, KEYS = "log", "keys"
"""Names of marks: how far the database knows the log, and up to where a key store of its own has lost its keys."""
BATCH = 500
ENDS: Mapping[str, tuple[str, ...]] = {
    "grant.withdrawn": ("connector",),
    "grant.narrowed": ("connector",),
    "connection.revoked": (),
    "connection.shredded": ("provider_outcome",),
    "orphan.ended": ("orphan",),
    "subject.erasure_asked": (),
    "subject.erased": (),
    "tenant.erased": (),
    "provider_app.removed": ("app",),
    "client.disabled": ("client",),
}
"""What ends something that must not return, as the audit calls it; and the details that say what. A suspension is
none of these: it ends nothing."""


class ShredLog:
    """The log at `place`, a path or a database's URL, and the database that it is kept for."""

    def __init__(self, place: str, database: Database, vault: Vault, clock: Callable[[], datetime]) -> None:
        self.store: Store = TableLog(place) if "://" in place else FileLog(place)
        if isinstance(self.store, TableLog):
            database.beside.append(self.store.database)
        self._database, self._vault, self._clock = database, vault, clock
        self._replays = False

    def put(self, session: Session) -> None:
        """Called before each commit, behind the audit: owe a line for each thing that this transaction ends."""
        audited: list[Noted] = session.info.get("audited", [])
        ended = [entry for entry in audited if entry.action in ENDS and _replayed(entry)]
        if not ended or self._replays:
            return
        whole = {entry.connection for entry in ended if entry.action == "connection.revoked"}
        for entry in ended:
            if not (entry.action.startswith("grant.") and entry.connection in whole):
                session.add(OwedLine(id=fresh_id("end"), said=canonical(self._said(session, entry))))
        session.info.setdefault("after_commit", {})["shred_log"] = self.flush

    def flush(self) -> None:
        """Write what is owed, whoever owes it. One look where nothing is. Raises `Unavailable`: repeat it later."""
        try:
            while self._owes():
                self._flush()
        except ConfigurationError as error:
            log.error("the shred log cannot be written: %s", " ".join(error.problems))
            raise Unavailable("The shred log cannot be written; the broker's own log has the reason.") from None

    def check(self) -> None:
        """Whether the database is the newest that the log knows of, and the log the one that the database knows.

        Begins a log where neither was ever used. Raises `PutBack`, `LogFault`, `Unavailable`.
        """
        mark = self.mark() or self._begin()
        self._check_known(mark)
        if KEYS in self._names():
            self._check_keys(mark)

    @contextmanager
    def replaying(self) -> Iterator[None]:
        """Until the end of the block nothing is owed to the log: what ends stands in it already."""
        self._replays = True
        try:
            yield
        finally:
            self._replays = False

    def check_writable(self) -> None:
        """Raises `LogFault`, `Unavailable`."""
        self.store.check_writable()

    def verify(self, on_line: Callable[[int], None] = lambda _seq: None) -> int:
        """Read the whole log, each line against the one before it; how many endings it holds. Raises `LogFault`."""
        seq = -1
        for line in self.store.after(START):
            seq = line.seq
            on_line(seq)
        if seq < 0:
            raise LogFault("is empty")
        return seq

    def mark(self, name: str = LOG) -> Mark | None:
        """How far the database knows the log, or its key store; None where it never heard of one."""
        with self._of(name).read() as session:
            return marked(session, name)

    def owed_ids(self) -> set[str]:
        """Of lines that the database still owes: it has done what they say."""
        with self._database.read() as session:
            return set(session.scalars(select(OwedLine.id)))

    def follow(self, mark: Mark, *, written: Sequence[str] = ()) -> None:
        """The log is known up to here, and the lines of these ids stand in it. Keys first: they never lag behind."""
        if KEYS in self._names():
            with self._database.keystore.write() as session:
                set_mark(session, KEYS, mark)
        with self._database.write() as session:
            session.execute(delete(OwedLine).where(OwedLine.id.in_(written)))
            set_mark(session, LOG, mark)

    def anew(self) -> None:
        """Set the log aside and begin another: nothing is known any more of what was ended (`broker restore`)."""
        self.store.set_aside(self._clock())
        end = self.store.begin(self._clock())
        for name in self._names():
            with self._of(name).write() as session:
                session.execute(delete(LogMark).where(LogMark.name == name))
                set_mark(session, name, end)

    def keys_moved(self) -> None:
        """A key store that keys have just moved to has lost what the database knows to be lost."""
        mark = self.mark()
        if mark and self.mark(KEYS) is None:
            with self._database.keystore.write() as session:
                set_mark(session, KEYS, mark)

    def _owes(self) -> bool:
        with self._database.read() as session:
            return session.scalar(select(OwedLine.number).limit(1)) is not None

    def _flush(self) -> None:
        failpoint("shredlog.owed")
        if self.mark() is None:
            self._begin()
        ids: list[str] = []

        def ask() -> tuple[Mark, Sequence[Said]]:
            mark, owed = self.mark(), self._owed()
            ids[:] = [str(said["id"]) for said in owed]
            return mark or START, owed

        end = self.store.append(ask)
        failpoint("shredlog.written")
        if end is not None:
            self.follow(end, written=ids)

    def _owed(self) -> list[Said]:
        """What is owed, in the order in which it was. Asked for while nobody else appends: what is not owed any more
        then stands in the log."""
        query = select(OwedLine.id, OwedLine.said).order_by(OwedLine.number).limit(BATCH)
        with self._database.read() as session:
            return [{"id": id_, **json.loads(said)} for id_, said in session.execute(query)]

    def _begin(self) -> Mark:
        """The first use of a log by this database, which then knows all of it. One in which there is something, beside
        a log in which something ended, is older than the log."""
        end = self.store.begin(self._clock())
        if isinstance(self.store, TableLog) and self.store.stands_in(self._database):
            raise ConfigurationError(["BROKER_SHRED_LOG must name another database than BROKER_DATABASE_URL."])
        if end.seq > 0 and not self._is_empty():
            found = self.mark()  # a rival may have begun it, and gone on since
            if found is None:
                raise PutBack
            return found
        for name in self._names():
            with self._of(name).write() as session:
                insert_if_missing(session, LogMark, {"name": name}, end._asdict())
        return self.mark() or end

    def _is_empty(self) -> bool:
        """Nothing that could have been ended is in it."""
        with self._database.read() as session:
            return not any(session.scalar(select(table.id).limit(1)) for table in (Connection, Orphan, ConnectSession))

    def _check_known(self, mark: Mark) -> None:
        """Each line behind the mark must be owed; or the mark has moved on meanwhile, for the log was read first."""
        lines = list(islice(self.store.after(mark), BATCH))
        if not lines:
            return
        with self._database.read() as session:
            owed = set(session.scalars(select(OwedLine.id).where(OwedLine.id.in_([line.id for line in lines]))))
        known = self.mark() or mark
        if any(line.id not in owed and line.seq > known.seq for line in lines):
            raise PutBack

    def _check_keys(self, mark: Mark) -> None:
        keys = self.mark(KEYS)
        if keys is None and mark.seq == 0:
            with self._database.keystore.write() as session:
                set_mark(session, KEYS, mark)
        elif keys is None or keys.seq < mark.seq:
            raise PutBack("key store")

    def _said(self, session: Session, entry: Noted) -> Said:
        """What replaying it takes, and no more."""
        said = {name: entry.detail.get(name) for name in ENDS[entry.action]}
        if entry.action.startswith("subject.") and entry.subject:
            said["subject"] = subject_hash(session, self._vault, entry.tenant, entry.subject)
        named = {"tenant": entry.tenant, "connection": entry.connection, **said}
        at = self._clock().isoformat(timespec="milliseconds")
        return {"at": at, "what": entry.action, **{name: value for name, value in named.items() if value}}

    def _names(self) -> tuple[str, ...]:
        return (LOG,) if self._database.keystore is self._database else (KEYS, LOG)

    def _of(self, name: str) -> Database:
        return self._database.keystore if name == KEYS else self._database


def _replayed(entry: Noted) -> bool:
    """A grant that the provider narrows, it narrows again when it is asked next."""
    return entry.action != "grant.narrowed" or entry.actor != "provider"


def marked(session: Session, name: str, *, lock: bool = False) -> Mark | None:
    query = select(LogMark).where(LogMark.name == name)
    row = session.scalar(query.with_for_update() if lock else query)
    return Mark(row.seq, row.hash, row.place) if row else None


def set_mark(session: Session, name: str, mark: Mark) -> None:
    """It only moves forward: of two who follow the log at the same time the later one counts."""
    if not insert_if_missing(session, LogMark, {"name": name}, mark._asdict()):
        forward = update(LogMark).where(LogMark.name == name, LogMark.seq < mark.seq)
        session.execute(forward.values(**mark._asdict()))
