"""Engine and transactions, alike on SQLite and PostgreSQL.

`Database.write()` is one transaction; on SQLite it takes the write lock at once (BEGIN IMMEDIATE), so that a
read inside it cannot be overtaken. `Database.read()` is in autocommit: each statement sees the newest committed
state, and nothing is held during a provider call. Whatever a database does, neither waits for ever: a statement, a
lock, a connection or a server that takes too long is `Unavailable`.
"""

import math
import os
import select
import sqlite3
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import psycopg
from sqlalchemy import Connection, DateTime, Engine, MetaData, TypeDecorator, create_engine, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.pool import ConnectionPoolEntry

from broker.errors import Unavailable

PATIENCE = 10.0
"""Seconds that one statement may take, waiting for locks included."""
FOR_A_CONNECTION = 5.0
"""Seconds to wait for a connection of the pool, or for a new one."""
TRUSTED = 0.1
"""Seconds after its last use in which a connection to PostgreSQL is used again untried."""
IDLE = 3
"""Times `PATIENCE` that a transaction may stand still before PostgreSQL ends it: a stopped process frees its locks."""


class Base(DeclarativeBase):
    """The broker's tables. Every constraint has a name, so that a later migration can change it on any database."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        }
    )


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time; SQLite would otherwise give it back without its zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ANN401, ARG002 - SQLAlchemy's signature
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ANN401, ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Database:
    """One engine per process, made after the fork. Raises `Unavailable` when a transaction cannot be had or kept.

    After a failed commit nobody knows whether it was one: what is done in a transaction must bear repeating.
    `pool_size` is how many transactions and readings a process can have at a time, as many as it has threads.
    `keystore` is where the vault's tables are: this database, unless another is named (docs/adr/0015).
    """

    def __init__(
        self, url: str | URL, *, keystore: str | URL | None = None, pool_size: int = 16, patience: float = PATIENCE
    ) -> None:
        self.engine = _engine(make_url(url), pool_size, patience)
        self.keystore = Database(keystore, pool_size=pool_size, patience=patience) if keystore else self
        self.before_commit: list[Callable[[Session], None]] = []
        """What belongs into every transaction and is put there last, in this order: the audit is the first of it
        (`broker.audit.appender`)."""
        self.beside: list[Database] = []
        """Further databases that are used with this one and go with it."""
        self._autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction: committed at the end of the block, rolled back at any exception."""
        try:
            with Session(self.engine, expire_on_commit=False, info={"database": self}) as session, session.begin():
                yield session
                for put in self.before_commit:
                    put(session)
        except (DBAPIError, PoolTimeout) as error:
            raise Unavailable(f"The database refused the transaction ({_kind(error)}).") from None
        for follow in session.info.get("after_commit", {}).values():
            follow()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session in autocommit: each statement sees the newest committed state."""
        try:
            info = {"database": self}
            with Session(self._autocommit, expire_on_commit=False, autoflush=False, info=info) as session:
                yield session
        except (DBAPIError, PoolTimeout) as error:
            raise Unavailable(f"The database did not answer ({_kind(error)}).") from None

    def wipe(self) -> None:
        """What was deleted leaves SQLite's write-ahead log, too, unless somebody is just reading there; PostgreSQL has
        no such means (docs/adr/0015). Raises `Unavailable`."""
        if self.engine.dialect.name == "sqlite":
            with self.read() as session:
                session.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))

    def dispose(self) -> None:
        self.engine.dispose()
        for other in ([] if self.keystore is self else [self.keystore]) + self.beside:
            other.dispose()


def insert_if_missing(
    session: Session, table: type[Base], key: Mapping[str, Any], values: Mapping[str, Any] | None = None
) -> bool:
    """Insert a row unless one with this unique key is there; both engines wait for a rival's transaction."""
    dialect = session.get_bind().dialect.name
    insert = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    statement = insert.values(**key, **(values or {})).on_conflict_do_nothing(index_elements=list(key))
    # RETURNING, since an INSERT's row count is -1 with some drivers, which reads as "made".
    return session.connection().execute(statement.returning(table.__table__.c[next(iter(key))])).first() is not None


def _kind(error: DBAPIError | PoolTimeout) -> str:
    """The driver's name for it, never its text: that quotes values."""
    return type(getattr(error, "orig", None) or error).__name__


def _engine(url: URL, pool_size: int, patience: float) -> Engine:
    """`max_overflow=0`: connections that are opened and closed all the time halve the throughput."""
    embedded = url.get_backend_name() == "sqlite"
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=min(patience, FOR_A_CONNECTION),
        hide_parameters=True,
        connect_args={"timeout": patience} if embedded else _postgres_arguments(patience),
    )
    if embedded:
        event.listen(engine, "do_connect", _make_private)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_immediate)
    else:
        event.listen(engine, "do_connect", _connect_bounded(patience))
        event.listen(engine, "checkin", _left)
        event.listen(engine, "checkout", _tried(engine))
    return engine


# --- SQLite --------------------------------------------------------------------------------------------------


def _make_private(_dialect: object, _record: object, arguments: Any, _named: object) -> None:  # noqa: ANN401
    """A new file is this user's alone, and so are the ones that SQLite puts beside it. A folder that is missing is
    for SQLite to report.

    A file that exists must not even be opened: closing it again would drop all locks that this process has on it
    (https://sqlite.org/howtocorrupt.html §2.2), and another process would delete the log that this one writes to.
    """
    with suppress(OSError):
        os.close(os.open(arguments[0], os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where SQLAlchemy says so, not where the driver guesses
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: Connection) -> None:
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE")


# --- PostgreSQL ----------------------------------------------------------------------------------------------


def _postgres_arguments(patience: float) -> dict[str, object]:
    """What the server and the network are held to; `_Bounded` holds a server that does neither."""
    settings = {
        "statement_timeout": patience,
        "lock_timeout": patience / 2,
        "idle_in_transaction_session_timeout": patience * IDLE,
    }
    options = [f"-c {name}={int(seconds * 1000)}" for name, seconds in settings.items()]
    return {
        "options": " ".join([*options, "-c timezone=UTC"]),
        "connect_timeout": int(FOR_A_CONNECTION),
        "application_name": "broker",
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 15_000,
    }


def _left(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info["left_at"] = time.monotonic()


def _tried(engine: Engine) -> Callable[[Any, ConnectionPoolEntry, object], None]:
    """One is tried first that was not in use just before, or on which the server has said something: that it goes, as
    a rule. To try each time would double the round trips of a busy process."""

    def taken(connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:  # noqa: ANN401 - SQLAlchemy's
        if _has_said(connection.pgconn.socket) or time.monotonic() - record.info.get("left_at", math.inf) > TRUSTED:
            try:
                engine.dialect.do_ping(connection)
            except psycopg.Error:
                raise DisconnectionError from None

    return taken


def _has_said(socket: int) -> bool:
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))


def _connect_bounded(patience: float) -> Any:  # noqa: ANN401 - SQLAlchemy's signature
    class Bounded(_Bounded):
        longest = 1.5 * patience

    return lambda _dialect, _record, arguments, named: Bounded.connect(*arguments, **named)


class _Bounded(psycopg.Connection[Any]):
    """Gives up on a server that takes a statement and falls silent, its network still in order."""

    longest: float
    """Seconds: more than the server's own limit."""

    def wait(self, gen: Generator[Any, Any, Any], *arguments: Any, **named: Any) -> Any:  # noqa: ANN401
        return super().wait(self._until(gen, time.monotonic() + self.longest), *arguments, **named)

    def _until(self, gen: Generator[Any, Any, Any], deadline: float) -> Generator[Any, Any, Any]:
        try:
            wants = next(gen)
            while True:
                ready = yield wants
                if not ready and time.monotonic() > deadline:
                    self.pgconn.finish()
                    raise psycopg.OperationalError("the server is silent")
                wants = gen.send(ready)
        except StopIteration as ended:
            return ended.value
