"""`broker.schema`: from nothing to the newest schema, wholly or not at all, whoever else is at it."""

import re
from collections.abc import Callable

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

import broker.models  # noqa: F401 - fills the metadata
from broker.db import Base, Database
from broker.errors import ConfigurationError, Unavailable
from broker.schema import HEAD, alembic_config, is_current, upgrade
from tests.database.conftest import at_once

OpenDatabase = Callable[..., Database]
TABLES = set(Base.metadata.tables)


def tables(database: Database) -> set[str]:
    return set(inspect(database.engine).get_table_names())


def set_version(database: Database, version: str) -> None:
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :version"), {"version": version})


# --- what it makes -------------------------------------------------------------------------------------------


def test_upgrade_of_an_empty_database_makes_the_tables_of_the_models(
    bare_url: str, open_database: OpenDatabase
) -> None:
    database = open_database(bare_url)
    upgrade(database)
    assert tables(database) == TABLES | {"alembic_version"}
    assert is_current(database)


def test_models_and_migrations_do_not_drift_apart(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


def test_alembic_finds_nothing_to_migrate(database: Database) -> None:
    command.check(alembic_config(database))


def test_migrated_schema_is_to_the_letter_what_the_models_would_make(
    database: Database, make_bare: Callable[[str], str], open_database: OpenDatabase
) -> None:
    """Alembic's own comparison looks neither at the condition of a partial index nor at a constraint's name."""
    made = open_database(make_bare(database.engine.dialect.name))
    Base.metadata.create_all(made.engine)
    with made.engine.connect() as wanted, database.engine.connect() as migrated:
        assert written(migrated) == written(wanted)


def written(connection: Connection) -> set[str]:
    """Each column, constraint and index in the database's own words."""
    if connection.dialect.name == "sqlite":
        query = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> 'alembic_version'"
        lines = (line for sql in connection.scalars(text(query)) for line in _with_table(sql))
        return {line.strip(" ,\t") for line in lines}
    queries = (
        "SELECT concat_ws(' ', attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull)"
        " FROM pg_attribute JOIN pg_class ON oid = attrelid"
        " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND attnum > 0",
        "SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid))"
        " FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'",
    )
    found = {line for query in queries for line in connection.scalars(text(query))}
    return {line for line in found if "alembic_version" not in line}


def _with_table(sql: str) -> list[str]:
    """The lines of a CREATE statement, each with the first before it: the same column stands in many tables. A column
    that was added later stands behind a comma in another's line."""
    first, *rest = sql.splitlines()
    parts = [part for line in rest for part in re.split(r", (?![^(]*\))", line)]
    return [first, *(f"{first}: {part.strip(' ,	')}" for part in parts)]


def test_head_is_the_newest_revision() -> None:
    script = ScriptDirectory.from_config(alembic_config(Database("sqlite:///nowhere.db")))
    assert script.get_current_head() == HEAD
    assert [int(revision.revision) for revision in script.walk_revisions()] == list(range(int(HEAD), 0, -1))


def test_every_constraint_and_index_has_a_name() -> None:
    for table in Base.metadata.tables.values():
        assert all(constraint.name for constraint in table.constraints), table
        assert all(index.name for index in table.indexes), table


def test_downgrade_leaves_nothing_and_upgrade_begins_anew(database: Database) -> None:
    command.downgrade(alembic_config(database), "base")
    assert tables(database) == {"alembic_version"}
    assert not is_current(database)
    upgrade(database)
    assert tables(database) == TABLES | {"alembic_version"}


def test_password_with_a_percent_sign_reaches_alembic_whole() -> None:
    url = "postgresql+psycopg://broker:50%25%40home@db.example/broker"
    assert alembic_config(Database(url)).get_main_option("sqlalchemy.url") == url


# --- again, at once, halfway ---------------------------------------------------------------------------------


def test_upgrade_again_changes_nothing(database: Database) -> None:
    with database.engine.connect() as connection:
        before = written(connection)
    with database.write() as session:
        session.execute(text("INSERT INTO key_checks VALUES ('k1', 'x')"))
    upgrade(database)
    with database.engine.connect() as connection:
        assert written(connection) == before
        assert connection.scalar(text("SELECT count(*) FROM key_checks")) == 1


def test_upgrade_may_be_run_from_six_processes_at_once(bare_url: str, open_database: OpenDatabase) -> None:
    program = """
import alembic.command, broker.models
from broker.db import Database
from broker.schema import is_current, upgrade
begin()
database = Database(sys.argv[1])
upgrade(database)
print(is_current(database))
"""
    assert at_once(program, bare_url, times=6) == ["True\n"] * 6
    database = open_database(bare_url)
    assert tables(database) == TABLES | {"alembic_version"}
    with database.read() as session:
        assert session.scalars(text("SELECT version_num FROM alembic_version")).all() == [HEAD]


def test_upgrade_that_fails_halfway_leaves_nothing(bare_url: str, open_database: OpenDatabase) -> None:
    database = open_database(bare_url)
    with database.write() as session:
        session.execute(text("CREATE TABLE revocation_items (mine integer)"))
    with pytest.raises(Unavailable):
        upgrade(database)
    assert tables(database) == {"revocation_items"}


# --- which schema is good enough -----------------------------------------------------------------------------


def test_empty_database_is_not_current(bare_url: str, open_database: OpenDatabase) -> None:
    assert not is_current(open_database(bare_url))


@pytest.mark.parametrize("version", ["0000", "", "deadbeef"])
def test_older_or_unknown_schema_is_not_current(database: Database, version: str) -> None:
    set_version(database, version)
    assert not is_current(database)


def test_schema_without_a_version_is_not_current(database: Database) -> None:
    with database.write() as session:
        session.execute(text("DELETE FROM alembic_version"))
    assert not is_current(database)


def test_newer_schema_is_lived_with_so_that_an_upgrade_needs_no_outage(database: Database) -> None:
    set_version(database, f"{int(HEAD) + 1:04}")
    assert is_current(database)


def test_upgrade_of_a_newer_schema_is_refused_with_a_way_out(database: Database) -> None:
    set_version(database, f"{int(HEAD) + 1:04}")
    with pytest.raises(ConfigurationError, match="newer version"):
        upgrade(database)
