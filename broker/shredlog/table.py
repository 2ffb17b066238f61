"""The log as a table of a second database, for several hosts: any that SQLAlchemy reaches and is not the data's."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import BigInteger, Column, ColumnElement, Integer, MetaData, Table, Text, inspect, select, text
from sqlalchemy.orm import Session

from broker.db import Database
from broker.shredlog.fault import LogFault
from broker.shredlog.line import START, Line, Mark, checked, last_of, written
from broker.shredlog.store import Ask, added, header

NAME = "broker_shred_log"
LOCK = 0x73687265646C
"""PostgreSQL's advisory lock under which the table is made."""
PAGE = 500

LINES = Table(
    NAME,
    MetaData(),
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("line", Text, nullable=False),
)
"""Not among the broker's tables: it outlives their versions, and its database need hold nothing else."""


class TableLog:
    """As `broker.shredlog.file.FileLog`; each step is a transaction."""

    def __init__(self, url: str) -> None:
        self.database = Database(url, pool_size=4)

    def begin(self, now: datetime) -> Mark:
        """Make the table and its first line unless they are there; the mark behind its last line."""
        with self.database.write() as session:
            connection = session.connection()
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
            LINES.create(connection, checkfirst=True)
            if last := _newest(session):
                return last
            return _insert(session, START, [header(now)])

    def check_writable(self) -> None:
        """A database says so itself."""

    def after(self, mark: Mark) -> Iterator[Line]:
        with self.database.read() as session:
            yield from _after(session, mark)

    def append(self, ask: Ask) -> Mark | None:
        with self.database.write() as session:
            _require_table(session)
            if session.get_bind().dialect.name == "postgresql":
                session.execute(text(f"LOCK TABLE {NAME} IN SHARE ROW EXCLUSIVE MODE"))
            mark, owed = ask()
            if not owed:
                return None
            return _insert(session, *added(mark, _after(session, mark), owed))

    def set_aside(self, now: datetime) -> None:
        with self.database.write() as session:
            if inspect(session.connection()).has_table(NAME):
                session.execute(text(f'ALTER TABLE {NAME} RENAME TO "{NAME}_{now:%Y%m%dT%H%M%S}"'))

    def stands_in(self, database: Database) -> bool:
        """Whether the second database is the first, by another address: the same first line stands in both."""
        own = next(self.after(START)).id
        with database.read() as session:
            return inspect(session.connection()).has_table(NAME) and next(_after(session, START)).id == own


def _after(session: Session, mark: Mark) -> Iterator[Line]:
    _require_table(session)
    if mark != START:
        found = _newest(session, LINES.c.seq <= mark.seq)
        if not found or found.seq < mark.seq:
            raise LogFault("is shorter than it was")
        if found.hash != mark.hash:
            raise LogFault("is not the one that was written to, or was changed")
    for line in checked(mark, _texts(session, mark.seq)):
        yield Line(line.seq, line.said, line.mark._replace(place=0))


def _texts(session: Session, seq: int) -> Iterator[str]:
    while True:
        query = select(LINES.c.seq, LINES.c.line).where(LINES.c.seq > seq).order_by(LINES.c.seq).limit(PAGE)
        found = session.execute(query).all()
        for seq, line in found:  # noqa: B007 - goes on behind the last one
            yield line
        if len(found) < PAGE:
            return


def _insert(session: Session, last: Mark, entries: object) -> Mark:
    texts, end = written(last, entries)  # type: ignore[arg-type]
    rows = [{"seq": last.seq + number, "line": line} for number, line in enumerate(texts.splitlines(), 1)]
    if rows:
        session.execute(LINES.insert(), rows)
    return end._replace(place=0)


def _newest(session: Session, *which: ColumnElement[bool]) -> Mark | None:
    query = select(LINES.c.line).where(*which).order_by(LINES.c.seq.desc()).limit(2)
    texts = session.scalars(query).all()
    return last_of(texts[::-1], 0) if texts else None


def _require_table(session: Session) -> None:
    if not inspect(session.connection()).has_table(NAME):
        raise LogFault("is missing: its table is not in the database that BROKER_SHRED_LOG names")
