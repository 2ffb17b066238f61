"""The database's schema: brought to the newest version, and checked at start. Alembic is imported only when used."""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

from broker.db import Database

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0001"
"""The newest revision; a test holds it against `migrations/`."""


def upgrade(database: Database) -> None:
    """Idempotent. Several at once are put in order by a lock; each kind of database has its own."""
    from alembic import command

    config = alembic_config(database)
    with database.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": 0x62726F6B6572})
        elif not connection.in_transaction():
            connection.begin()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def is_current(database: Database) -> bool:
    """Whether the schema is the one that this version works with. Raises `Unavailable`."""
    with database.read() as session:
        if not inspect(session.connection()).has_table("alembic_version"):
            return False
        return bool(session.scalar(text("SELECT version_num FROM alembic_version")) == HEAD)


def alembic_config(database: Database) -> "Config":
    from alembic.config import Config

    import migrations

    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.set_main_option(
        "sqlalchemy.url", database.engine.url.render_as_string(hide_password=False).replace("%", "%%")
    )
    return config
