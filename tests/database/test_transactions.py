"""`broker.db`: what a transaction promises on either engine, and that whatever fails is `Unavailable` in time."""

# ruff: noqa: PT012 - it is the whole transaction that raises

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from broker.db import TRUSTED, Database, insert_if_missing
from broker.errors import Unavailable
from broker.models import AuditHead, Authorization, Duty, KeyCheck
from tests.house import free_port
from tests.postgres import Server

OpenDatabase = Callable[..., Database]
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Mishap(Exception):
    """Something that a transaction's block raises."""


def kids(database: Database) -> set[str]:
    with database.read() as session:
        return set(session.scalars(text("SELECT kid FROM key_checks")))


def add(session: Session, kid: str) -> None:
    session.execute(text("INSERT INTO key_checks VALUES (:kid, :value)"), {"kid": kid, "value": b"x"})


def is_postgres(database: Database) -> bool:
    return database.engine.dialect.name == "postgresql"


# --- all or nothing ------------------------------------------------------------------------------------------


def test_block_that_ends_is_committed(database: Database) -> None:
    with database.write() as session:
        session.add(KeyCheck(kid="k1", check_value=b"x"))
    assert kids(database) == {"k1"}


def test_block_that_raises_is_undone_and_the_error_goes_on(database: Database) -> None:
    with pytest.raises(Mishap), database.write() as session:
        add(session, "k1")
        raise Mishap
    assert kids(database) == set()


def test_statement_that_fails_undoes_what_went_before_it(database: Database) -> None:
    with pytest.raises(Unavailable), database.write() as session:
        add(session, "k1")
        session.execute(text("INSERT INTO nowhere VALUES (1)"))
    assert kids(database) == set()


def test_rows_that_cannot_be_flushed_at_the_end_undo_the_rest(database: Database) -> None:
    with database.write() as session:
        add(session, "k1")
    with pytest.raises(Unavailable), database.write() as session:
        add(session, "k2")
        session.add(KeyCheck(kid="k1", check_value=b"y"))
    assert kids(database) == {"k1"}


def test_rows_stay_readable_after_their_transaction(database: Database) -> None:
    with database.write() as session:
        row = KeyCheck(kid="k1", check_value=b"x")
        session.add(row)
    assert row.check_value == b"x"


def test_foreign_keys_hold(database: Database) -> None:
    statement = "INSERT INTO client_secrets (secret_hash, client_id, created_at) VALUES (:hash, 'nobody', :now)"
    with pytest.raises(Unavailable), database.write() as session:
        session.execute(text(statement), {"hash": b"x", "now": "2026-11-24 12:00:00+00:00"})


def test_committed_is_there_after_a_kill(database_url: str, database: Database) -> None:
    program = """
import os, signal, sys
from sqlalchemy import text
from broker.db import Database
with Database(sys.argv[1]).write() as session:
    session.execute(text("INSERT INTO key_checks VALUES ('k1', 'x')"))
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", program, database_url], timeout=30)
    assert ended.returncode == -signal.SIGKILL
    assert kids(database) == {"k1"}


# --- what a reading sees -------------------------------------------------------------------------------------


def test_reading_sees_what_was_committed_since_its_last_statement(database: Database) -> None:
    with database.read() as reading:
        assert reading.scalar(text("SELECT count(*) FROM key_checks")) == 0
        with database.write() as session:
            add(session, "k1")
        assert reading.scalar(text("SELECT count(*) FROM key_checks")) == 1


def test_reading_sees_nothing_of_a_transaction_under_way(database: Database) -> None:
    with database.write() as session:
        add(session, "k1")
        session.flush()
        assert kids(database) == set()


def test_reading_holds_nothing_between_its_statements(database: Database) -> None:
    """A provider may take seconds: meanwhile no snapshot keeps dead rows, and no lock stops an upgrade."""
    with database.read() as reading:
        reading.execute(text("SELECT * FROM key_checks"))
        with database.write() as session:
            if is_postgres(database):
                session.execute(text("LOCK TABLE key_checks IN ACCESS EXCLUSIVE MODE NOWAIT"))
            add(session, "k1")
        if not is_postgres(database):
            busy = reading.execute(text("PRAGMA wal_checkpoint(TRUNCATE)")).one()[0]
            assert busy == 0


def test_reading_inside_a_transaction_on_sqlite_cannot_be_overtaken(
    sqlite_url: str, open_database: OpenDatabase
) -> None:
    database, rival = open_database(sqlite_url), open_database(sqlite_url, patience=0.2)
    with database.write() as session:
        assert session.scalar(text("SELECT count(*) FROM key_checks")) == 0
        with pytest.raises(Unavailable), rival.write() as other:
            add(other, "k1")
        add(session, "k1")
    assert kids(database) == {"k1"}


def test_increments_by_many_threads_are_all_kept(database: Database) -> None:
    key = {"app_id": "google", "account_index": b"a"}
    with database.write() as session:
        session.add(Authorization(**key))
        session.add(Duty(id="d", kind="k", key="x", due_at=NOON, attempts=0, fence=0, created_at=NOON))

    def increment(_: int) -> None:
        with database.write() as session:
            session.get_one(Authorization, tuple(key.values()), with_for_update=True)
            duty = session.get_one(Duty, "d")
            duty.fence += 1

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(increment, range(40)))
    with database.read() as session:
        assert session.get_one(Duty, "d").fence == 40


# --- in time -------------------------------------------------------------------------------------------------


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """However it ends, it ends soon."""
    began = time.monotonic()
    try:
        yield
    finally:
        assert time.monotonic() - began < seconds


def test_row_locked_by_another_is_unavailable_in_time(database_url: str, open_database: OpenDatabase) -> None:
    database, hurried = open_database(database_url), open_database(database_url, patience=0.4)
    with database.write() as session:
        add(session, "k1")
    with database.write() as session:
        session.execute(text("UPDATE key_checks SET check_value = 'y'"))
        with within(2), pytest.raises(Unavailable) as caught, hurried.write() as other:
            other.execute(text("UPDATE key_checks SET check_value = 'z'"))
    assert caught.value.retryable


def test_readings_go_on_while_a_transaction_holds_its_locks(database: Database) -> None:
    with database.write() as session:
        add(session, "k1")
        with within(1):
            assert kids(database) == set()


def test_slow_statement_is_unavailable_in_time(postgres_url: str, open_database: OpenDatabase) -> None:
    database = open_database(postgres_url, patience=0.3)
    with within(2), pytest.raises(Unavailable, match="QueryCanceled"), database.read() as session:
        session.execute(text("SELECT pg_sleep(30)"))


def test_two_that_wait_for_each_other_are_parted(postgres_url: str, open_database: OpenDatabase) -> None:
    database = open_database(postgres_url, patience=6)
    with database.write() as session:
        add(session, "k1")
        add(session, "k2")
    both_hold_one = threading.Barrier(2)

    def update(first: str, second: str) -> bool:
        statement = text("UPDATE key_checks SET check_value = 'y' WHERE kid = :kid")
        try:
            with database.write() as session:
                session.execute(statement, {"kid": first})
                both_hold_one.wait(5)
                session.execute(statement, {"kid": second})
        except Unavailable:
            return False
        return True

    with within(5), ThreadPoolExecutor(2) as threads:
        ended = [threads.submit(update, "k1", "k2"), threads.submit(update, "k2", "k1")]
        assert {future.result() for future in ended} == {True, False}


def test_transaction_that_stands_still_loses_its_locks(postgres_url: str, open_database: OpenDatabase) -> None:
    """A process that was stopped in a transaction must not hold up all others."""
    stopped, other = open_database(postgres_url, patience=0.2), open_database(postgres_url)
    with within(5), pytest.raises(Unavailable), stopped.write() as session:
        session.execute(text("LOCK TABLE key_checks"))
        with other.write() as going_on:
            add(going_on, "k1")
        add(session, "k2")
    assert kids(other) == {"k1"}


def test_server_that_falls_silent_is_unavailable_in_time(
    postgres: Server, postgres_url: str, open_database: OpenDatabase
) -> None:
    """Its network is in order, it just says nothing: a disk that hangs, a stopped process."""
    database = open_database(postgres_url, patience=0.4)
    with database.read() as session:
        pid = session.scalar(text("SELECT pg_backend_pid()"))
        os.kill(pid, signal.SIGSTOP)
        try:
            with within(3), pytest.raises(Unavailable), database.read() as same_connection:
                same_connection.execute(text("SELECT 1"))
                session.execute(text("SELECT 1"))
        finally:
            os.kill(pid, signal.SIGCONT)
    assert kids(database) == set()


def test_server_that_is_not_there_is_unavailable_in_time(open_database: OpenDatabase) -> None:
    database = open_database(f"postgresql+psycopg://broker:secret@127.0.0.1:{free_port()}/broker")
    with within(3), pytest.raises(Unavailable), database.read() as session:
        session.execute(text("SELECT 1"))


def test_folder_that_is_not_there_is_unavailable(tmp_path: Path, open_database: OpenDatabase) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'missing' / 'broker.db'}")
    with pytest.raises(Unavailable), database.read() as session:
        session.execute(text("SELECT 1"))


def test_full_disk_is_unavailable_and_keeps_what_was_there(sqlite_url: str, open_database: OpenDatabase) -> None:
    database = open_database(sqlite_url)
    with database.write() as session:
        add(session, "k1")
    with pytest.raises(Unavailable), database.write() as session:
        session.execute(text("PRAGMA max_page_count = 1"))
        for number in range(1000):
            add(session, f"more-{number}")
    assert kids(database) == {"k1"}


def test_message_of_a_failure_holds_no_value(database: Database) -> None:
    with pytest.raises(Unavailable) as caught, database.write() as session:
        add(session, "SECRET-1")
        add(session, "SECRET-1")
    assert "SECRET-1" not in caught.value.detail
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


# --- the pool ------------------------------------------------------------------------------------------------


def test_pool_gives_as_many_connections_as_it_has_and_no_more(database_url: str, open_database: OpenDatabase) -> None:
    database = open_database(database_url, pool_size=2, patience=0.3)
    with database.read() as first, database.read() as second:
        first.execute(text("SELECT 1"))
        second.execute(text("SELECT 1"))
        with within(2), pytest.raises(Unavailable, match="Timeout"), database.read() as third:
            third.execute(text("SELECT 1"))
    assert kids(database) == set()


def test_threads_beyond_the_pool_wait_their_turn(postgres_url: str, open_database: OpenDatabase) -> None:
    database = open_database(postgres_url, pool_size=2)
    seen: list[int] = []

    def work(number: int) -> None:
        with database.write() as session:
            add(session, str(number))
            mine = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            seen.append(session.scalar(text(mine)) or 0)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(24)))
    assert len(kids(database)) == 24
    assert max(seen) <= 2


def test_failed_transaction_gives_its_connection_back(database_url: str, open_database: OpenDatabase) -> None:
    database = open_database(database_url, pool_size=1, patience=0.5)
    for _ in range(3):
        with pytest.raises(Unavailable), database.write() as session:
            session.execute(text("INSERT INTO nowhere VALUES (1)"))
        with pytest.raises(Mishap), database.write() as session:
            add(session, "k1")
            raise Mishap
    assert kids(database) == set()


# --- a server that goes away ---------------------------------------------------------------------------------


def terminate(postgres: Server, url: str) -> None:
    """End every connection to a database, as a restart or failover of the server does."""
    name = url.rpartition("/")[2]
    postgres.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")


def test_commit_that_fails_is_unavailable(postgres: Server, postgres_url: str, open_database: OpenDatabase) -> None:
    database = open_database(postgres_url)
    with pytest.raises(Unavailable) as caught, database.write() as session:
        add(session, "k1")
        terminate(postgres, postgres_url)
    assert caught.value.retryable
    assert kids(database) == set()


def test_connections_that_died_while_idle_are_replaced_unnoticed(
    postgres: Server, postgres_url: str, open_database: OpenDatabase
) -> None:
    database = open_database(postgres_url)
    with database.read() as first, database.read() as second:
        first.execute(text("SELECT 1"))
        second.execute(text("SELECT 1"))
    terminate(postgres, postgres_url)
    time.sleep(2 * TRUSTED)
    with database.write() as session:
        add(session, "k1")
    assert kids(database) == {"k1"}


def test_insert_if_missing_tells_who_made_the_row(database_url: str) -> None:
    """On PostgreSQL an INSERT's row count was -1, which read as made: a signed assertion counted as new each time."""
    database = Database(database_url)
    made = []
    for _ in range(2):
        with database.write() as session:
            made.append(insert_if_missing(session, AuditHead, {"tenant": "toko"}, {"seq": 0, "hash": b""}))
    database.dispose()
    assert made == [True, False]
