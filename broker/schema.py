"""The database's schema: brought to the newest version, and checked at start. Alembic is imported only when used."""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from broker.db import Database
from broker.errors import ConfigurationError

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0002"
"""The newest revision; a test holds it against `migrations/`. Revisions are numbers that rise."""
LOCK = 0x62726F6B6572
"""PostgreSQL's advisory lock for one upgrade at a time."""
PATIENCE = 600.0
"""Seconds that an upgrade waits for another, and that one of its statements may take."""


def upgrade(database: Database) -> None:
    """Bring it to `HEAD`, wholly or not at all, and its key store before it. Idempotent; several at once take turns.

    Raises `ConfigurationError` where a newer version of the broker was here, `Unavailable`.
    """
    for part in _parts(database):
        _upgrade(part)


def is_current(database: Database) -> bool:
    """Whether the schema is this version's or a newer one, which this one can live with. Raises `Unavailable`."""
    return all(_is_current(part) for part in _parts(database))


def _parts(database: Database) -> list[Database]:
    """A key store of its own has all tables, too: one schema, one history; only the vault's are used."""
    return [database] if database.keystore is database else [database.keystore, database]


def _upgrade(database: Database) -> None:
    from alembic import command
    from alembic.util import CommandError

    patient = Database(database.engine.url, pool_size=1, patience=PATIENCE)
    config = alembic_config(patient)
    try:
        with patient.write() as session:
            _take_turns(session.connection())
            config.attributes["connection"] = session.connection()
            command.upgrade(config, "head")
    except CommandError:
        problem = "The database's schema is of a newer version: install that one, or put back a backup."
        raise ConfigurationError([problem]) from None
    finally:
        patient.dispose()


def _is_current(database: Database) -> bool:
    with database.read() as session:
        if not inspect(session.connection()).has_table("alembic_version"):
            return False
        version = session.scalar(text("SELECT version_num FROM alembic_version"))
    return version is not None and version.isdigit() and int(version) >= int(HEAD)


def alembic_config(database: Database) -> "Config":
    """For Alembic's own commands on this database (CONTRIBUTING.md, Migrations)."""
    from alembic.config import Config

    import migrations

    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    config.set_main_option(
        "sqlalchemy.url", database.engine.url.render_as_string(hide_password=False).replace("%", "%%")
    )
    return config


def _take_turns(connection: Connection) -> None:
    """SQLite's transaction holds the write lock already. On PostgreSQL a change that waits for a table's lock makes
    everybody else wait behind it: there it gives up soon, and nothing is changed."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        connection.execute(text("SET LOCAL lock_timeout = '5s'"))
