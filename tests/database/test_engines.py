"""How the engines are set up: durability, foreign keys, deletion that wipes, limits, times, whose file it is."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import Session

from broker.db import Database
from broker.models import Authorization

OpenDatabase = Callable[..., Database]
JAKARTA = timezone(timedelta(hours=7))
NOON = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)


# --- SQLite --------------------------------------------------------------------------------------------------


def pragmas(session: Session) -> dict[str, object]:
    names = ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "busy_timeout")
    return {name: session.scalar(text(f"PRAGMA {name}")) for name in names}


def test_every_connection_is_set_up_alike(sqlite_url: str, open_database: OpenDatabase) -> None:
    database = open_database(sqlite_url)
    full = 2
    wanted = {
        "journal_mode": "wal",
        "synchronous": full,
        "foreign_keys": 1,
        "secure_delete": 1,
        "busy_timeout": 10_000,
    }
    with database.read() as first, database.read() as second:
        assert pragmas(first) == pragmas(second) == wanted
    with database.write() as session:
        assert pragmas(session) == wanted


def test_deleted_row_is_wiped_from_the_file(sqlite_url: str, open_database: OpenDatabase, tmp_path: Path) -> None:
    """So that a shredded key cannot be dug out of it (I12)."""
    database = open_database(sqlite_url)
    marker = b"WRAPPED-KEY-1" * 8
    with database.write() as session:
        insert = "INSERT INTO key_checks VALUES (:kid, :value)"
        for number in range(200):
            session.execute(text(insert), {"kid": f"k{number}", "value": marker})
    database.dispose()
    assert marker in (tmp_path / "broker.db").read_bytes()
    with database.write() as session:
        session.execute(text("DELETE FROM key_checks"))
    database.dispose()
    assert all(marker not in path.read_bytes() for path in tmp_path.iterdir() if path.is_file())


def test_new_file_is_this_users_alone(tmp_path: Path, open_database: OpenDatabase) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'private.db'}")
    with database.write() as session:
        session.execute(text("CREATE TABLE some (id integer)"))
    with database.read() as session:
        session.execute(text("SELECT 1"))
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {name: 0o600 for name in ("private.db", "private.db-shm", "private.db-wal")}


# --- PostgreSQL ----------------------------------------------------------------------------------------------


def test_server_knows_the_limits(postgres_url: str, open_database: OpenDatabase) -> None:
    database = open_database(postgres_url)
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "TimeZone")
    with database.read() as session:
        assert [session.scalar(text(f"SHOW {name}")) for name in names] == ["10s", "5s", "30s", "UTC"]


# --- times ---------------------------------------------------------------------------------------------------


def kept(database: Database, told_at: datetime | None) -> datetime | None:
    """A time after its way through the database."""
    with database.write() as session:
        session.merge(Authorization(app_id="google", account_index=b"a", told_at=told_at))
    with database.read() as session:
        return session.scalar(select(Authorization.told_at))


def test_time_comes_back_in_utc_to_the_microsecond(database: Database) -> None:
    found = kept(database, NOON)
    assert found == NOON
    assert found.tzinfo == UTC


def test_time_of_another_zone_is_the_same_moment(database: Database) -> None:
    found = kept(database, NOON.astimezone(JAKARTA))
    assert found == NOON
    assert found.tzinfo == UTC


def test_no_time_stays_none(database: Database) -> None:
    assert kept(database, None) is None


def test_time_without_a_zone_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="without a zone"):
        kept(database, NOON.replace(tzinfo=None))


def test_times_are_compared_as_moments(database: Database) -> None:
    kept(database, NOON)
    later, earlier = NOON.astimezone(JAKARTA) + timedelta(seconds=1), NOON.astimezone(JAKARTA) - timedelta(seconds=1)
    with database.read() as session:
        assert session.scalar(select(Authorization.told_at).where(Authorization.told_at < later)) == NOON
        assert session.scalar(select(Authorization.told_at).where(Authorization.told_at < earlier)) is None
