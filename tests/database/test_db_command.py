"""`broker db upgrade` as the operator runs it, and what refuses to start before it was run."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from broker.app import assemble, create_app
from broker.db import Database
from broker.errors import ConfigurationError
from broker.schema import HEAD, is_current
from tests.house import environment, free_port
from tests.postgres import Server

OpenDatabase = Callable[..., Database]
NO_GOOGLE = "http://127.0.0.1:9"


def run(*arguments: str, environ: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "broker.cli", *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=30)


def settings(database_url: str, folder: Path) -> dict[str, str]:
    return environment(f"http://127.0.0.1:{free_port()}", NO_GOOGLE, database_url, folder)


def set_version(database: Database, version: str) -> None:
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :version"), {"version": version})


def test_upgrade_says_when_it_is_done_and_may_be_repeated(
    bare_url: str, tmp_path: Path, open_database: OpenDatabase
) -> None:
    environ = settings(bare_url, tmp_path)
    for _ in range(2):
        ended = run("db", "upgrade", environ=environ)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "The database is up to date.\n", "")
    assert is_current(open_database(bare_url))


def test_upgrade_of_a_newer_schema_ends_with_a_way_out(database: Database, database_url: str, tmp_path: Path) -> None:
    set_version(database, f"{int(HEAD) + 1:04}")
    ended = run("db", "upgrade", environ=settings(database_url, tmp_path))
    assert ended.returncode == 1
    assert "newer version" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_upgrade_without_a_server_ends_in_a_line_without_the_password(tmp_path: Path) -> None:
    url = f"postgresql+psycopg://broker:DATABASE-PASSWORD-1@127.0.0.1:{free_port()}/broker"
    ended = run("db", "upgrade", environ=settings(url, tmp_path))
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert "DATABASE-PASSWORD-1" not in ended.stderr + ended.stdout


@pytest.mark.parametrize("command", ["serve", "work"])
def test_nothing_starts_on_an_older_schema(command: str, database: Database, database_url: str, tmp_path: Path) -> None:
    set_version(database, "0000")
    ended = run(command, environ=settings(database_url, tmp_path))
    assert ended.returncode == 1
    assert "broker db upgrade" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_application_does_not_start_on_an_empty_database(bare_url: str, tmp_path: Path) -> None:
    broker = assemble(settings(bare_url, tmp_path))
    try:
        with pytest.raises(ConfigurationError, match="broker db upgrade"):
            create_app(broker)
    finally:
        broker.upstream.close()
        broker.database.dispose()


def test_running_broker_is_not_ready_on_an_older_schema(database: Database, database_url: str, tmp_path: Path) -> None:
    broker = assemble(settings(database_url, tmp_path))
    client = create_app(broker).test_client()
    try:
        assert client.get("/readyz").status_code == 200
        set_version(database, "0000")
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert answer.get_json()["checks"]["database"] is True
        assert answer.get_json()["checks"]["schema"] is False
        set_version(database, HEAD)
        assert client.get("/readyz").status_code == 200
    finally:
        broker.upstream.close()
        broker.database.dispose()


def test_running_broker_is_not_ready_while_its_database_is_away_and_recovers(
    postgres: Server, postgres_url: str, tmp_path: Path
) -> None:
    broker = assemble(settings(postgres_url, tmp_path))
    client = create_app(broker).test_client()
    name = postgres_url.rpartition("/")[2]
    try:
        postgres.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        postgres.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert not any(answer.get_json()["checks"].values())
        assert client.get("/healthz").status_code == 200
        postgres.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        assert client.get("/readyz").status_code == 200
    finally:
        broker.upstream.close()
        broker.database.dispose()
