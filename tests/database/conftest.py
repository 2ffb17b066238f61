"""A database on each engine, and processes that are let loose on it at one moment."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from broker.db import Database
from tests.postgres import TEMPLATE, Server


@pytest.fixture
def open_database() -> Iterator[Callable[..., Database]]:
    """Opens databases with settings of their own: `open_database(url, patience=0.5)`."""
    opened: list[Database] = []

    def opening(url: str, **how: float) -> Database:
        opened.append(Database(url, **how))
        return opened[-1]

    yield opening
    for database in opened:
        database.dispose()


@pytest.fixture
def database(open_database: Callable[..., Database], database_url: str) -> Database:
    """Migrated and empty, on each engine in turn."""
    return open_database(database_url)


@pytest.fixture
def make_bare(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Makes a database without a single table, of the kind that is named."""
    with ExitStack() as stack:

        def making(kind: str) -> str:
            if kind == "sqlite":
                return f"sqlite:///{tmp_path / 'bare.db'}"
            server: Server = request.getfixturevalue("postgres")
            return stack.enter_context(server.database())

        yield making


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_url(request: pytest.FixtureRequest, make_bare: Callable[[str], str]) -> str:
    """A database without a single table, on each engine in turn."""
    return make_bare(request.param)


@pytest.fixture
def keystore_url(
    database_url: str, _migrated_file: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[str]:
    """Another database of the same kind, migrated and empty."""
    if database_url.startswith("sqlite"):
        (tmp_path / "keys.db").write_bytes(_migrated_file.read_bytes())
        yield f"sqlite:///{tmp_path / 'keys.db'}"
        return
    server: Server = request.getfixturevalue("postgres")
    with server.database(TEMPLATE) as url:
        yield url


def at_once(program: str, *arguments: str, times: int) -> list[str]:
    """Run a program in so many real processes; each has imported everything before the first may begin.

    `program` is Python text in which `begin()` waits for the others. Gives what each printed.
    """
    preamble = "import sys\ndef begin():\n    print('ready', flush=True)\n    sys.stdin.readline()\n"
    command = [sys.executable, "-c", preamble + program, *arguments]
    pipe = subprocess.PIPE
    running = [subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for _ in range(times)]
    try:
        for process in running:
            assert process.stdout
            assert process.stdout.readline() == "ready\n", process.communicate(timeout=10)
        for process in running:
            assert process.stdin
            process.stdin.write("\n")
            process.stdin.flush()
        ended = [process.communicate(timeout=60) for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0] * times, ended
    return [printed for printed, _ in ended]
