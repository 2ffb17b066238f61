"""The real thing for tests: `broker serve`, `gunicorn wsgi:app`, `broker work` and `broker sandbox` as processes.

    installation.serve() ─► Process ─► kill(), pause(), resume(), said(), children()
    installation.client() ─► SalesApp, registered by `broker clients add`

Every process carries a mark in its environment, by which all of them and whatever they started are killed at the end,
however the test went; if the tests themselves are killed, the kernel does it (Linux). The time is the real one: what a
clock must decide is tested in the house (`tests.house`), or the database is told that time has passed.

`installation` is shared by all tests of a run, one for each kind of database, and empty at the start of each test.
A test that kills what others need builds its own with `install()`.
"""

import contextlib
import ctypes
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import delete
from sqlalchemy.orm import Session

from broker import clients, duties
from broker.app import assemble
from broker.db import Base, Database
from broker.runtime import Broker
from broker.sandbox.serve import PLAYED
from tests.house import (
    ALL_SCOPES,
    RETURN_URL,
    Google,
    SalesApp,
    environment,
    free_port,
    free_ports_in_a_row,
)
from tests.postgres import TEMPLATE, Server

ROOT = Path(__file__).parents[1]
MARK = "BROKER_TESTS"
BROKER = (sys.executable, "-m", "broker.cli")
START = 60.0
"""Seconds in which a process must be ready, on a machine that is busy."""
LASTING = {"key_checks", "tenant_keys", "clients", "client_secrets", "access_tokens", "log_marks"}
"""Tables that are left as they are between tests: running processes, or the shred log, know what stands in them."""
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


# --- processes -----------------------------------------------------------------------------------------------


@dataclass
class Process:
    """One process that was started, and what it says. `url`: where it answers, if it does."""

    name: str
    popen: "subprocess.Popen[bytes]"
    log: Path
    url: str = ""

    @property
    def pid(self) -> int:
        return self.popen.pid

    def said(self) -> str:
        """All that it and its children wrote so far."""
        return self.log.read_text(errors="replace")

    def is_running(self) -> bool:
        return self.popen.poll() is None

    def kill(self) -> None:
        """Outright (-9), this process alone."""
        self.popen.kill()
        self.popen.wait(10)

    def end(self, number: int = signal.SIGTERM, *, within: float = 15.0) -> int:
        """Ask it to end; its exit status. Raises `TimeoutExpired`."""
        self.popen.send_signal(number)
        return self.popen.wait(within)

    def wait(self, within: float = START) -> int:
        """Its exit status. Raises `TimeoutExpired`."""
        return self.popen.wait(within)

    def pause(self) -> None:
        pause(self.pid)

    def resume(self) -> None:
        resume(self.pid)

    def children(self) -> list[int]:
        """Process ids; those of a gunicorn are its workers (Linux)."""
        return children(self.pid)

    def wait_until(self, holds: Callable[[], bool], what: str, within: float = START) -> None:
        """Wait for something that needs this process; fails at once, with its words, when it has ended."""
        deadline = time.monotonic() + within
        while not holds():
            assert self.is_running(), f"{self.name} ended ({self.popen.returncode}) before {what}:\n{self.said()}"
            assert time.monotonic() < deadline, f"{self.name}: {what} did not come:\n{self.said()}"
            time.sleep(0.02)

    def wait_ready(self) -> None:
        """Until `/readyz` says yes."""
        self.wait_until(lambda: is_ready(self.url), f"{self.url}/readyz")


@dataclass
class Processes:
    """All that one installation starts."""

    folder: Path
    mark: str = field(default_factory=lambda: secrets.token_hex(8))
    started: list[Process] = field(default_factory=list)

    def start(
        self, name: str, *command: str, environ: Mapping[str, str], url: str = "", folder: Path = ROOT
    ) -> Process:
        """Start a command in an environment of its own. It runs in `folder`; `wsgi.py` is in the project's."""
        log = self.folder / f"{len(self.started)}-{name}.log"
        with log.open("wb") as output:
            popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**_inherited(), **environ, MARK: self.mark},
                start_new_session=True,
                preexec_fn=_die_with_parent(),
            )
        self.started.append(Process(name, popen, log, url))
        return self.started[-1]

    def end(self) -> None:
        """Kill all of them and all that they started."""
        while pids := self._marked():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for process in self.started:
                process.popen.poll()
            time.sleep(0.005)
        for process in self.started:
            if process.is_running():
                process.kill()

    def _marked(self) -> list[int]:
        """Those that still run. Without /proc, only those that were started here."""
        if not Path("/proc/self/environ").exists():
            return [process.pid for process in self.started if process.is_running()]
        mark = f"{MARK}={self.mark}".encode()
        return [pid for pid in _all_pids() if mark in _bytes(f"/proc/{pid}/environ").split(b"\0")]


def pause(pid: int) -> None:
    """Stop a process (SIGSTOP), and return when all its threads stand still."""
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + 5
    while _state(pid) not in ("T", ""):
        assert time.monotonic() < deadline, f"{pid} does not stop"
        time.sleep(0.001)


def resume(pid: int) -> None:
    os.kill(pid, signal.SIGCONT)


def is_paused(pid: int) -> bool:
    return _state(pid) == "T"


def children(pid: int) -> list[int]:
    found = _bytes(f"/proc/{pid}/task/{pid}/children").split()
    return sorted(int(child) for child in found)


def command(pid: int) -> list[str]:
    """Its command line."""
    return [part.decode() for part in _bytes(f"/proc/{pid}/cmdline").split(b"\0")[:-1]]


def is_running(pid: int) -> bool:
    """A zombie does not run."""
    return _state(pid) not in ("Z", "")


def is_ready(url: str) -> bool:
    try:
        with _plain() as http:
            return http.get(f"{url}/readyz", timeout=5).status_code == 200
    except (requests.ConnectionError, requests.Timeout):
        return False


def _answers(url: str) -> bool:
    try:
        with _plain() as http:
            return http.get(url, timeout=5).status_code > 0
    except (requests.ConnectionError, requests.Timeout):
        return False


def wait_until(holds: Callable[[], bool], what: str, within: float = START) -> None:
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not come within {within:g} s"
        time.sleep(0.02)


# --- an installation -----------------------------------------------------------------------------------------


@dataclass
class Installation:
    """The broker's settings and database, a fake Google, and the processes that are started for them."""

    processes: Processes
    environ: dict[str, str]
    url: str
    """The broker's public one."""
    sandbox: Process
    google: Google
    database_url: str
    _default: tuple[str, str] | None = None

    @property
    def server(self) -> Process:
        """The newest one at the public address."""
        return next(process for process in reversed(self.processes.started) if process.url == self.url)

    def wait_ready(self, *servers: Process) -> None:
        """Until Google and `servers`, or the one at the public address, answer."""
        self.sandbox.wait_until(lambda: _answers(self.sandbox.url), "an answer of Google")
        for server in servers or (self.server,):
            server.wait_ready()

    def serve(self, *options: str, **environ: str) -> Process:
        """`broker serve` at the public address; not waited for."""
        bind = self.url.removeprefix("http://")
        return self._broker("serve", "--bind", bind, *options, url=self.url, **environ)

    def gunicorn(self, *options: str, elsewhere: bool = False, **environ: str) -> Process:
        """`gunicorn wsgi:app` with two workers, at the public address or `elsewhere`, as another host would."""
        url = f"http://127.0.0.1:{free_port()}" if elsewhere else self.url
        command = (sys.executable, "-m", "gunicorn", "--bind", url.removeprefix("http://"), "--workers", "2")
        threads = ("--config", "python:broker.preloaded", "--worker-class", "gthread", "--threads", "16")
        environ = {**self.environ, **environ}
        return self.processes.start("gunicorn", *command, *threads, *options, "wsgi:app", environ=environ, url=url)

    def work(self, *options: str, **environ: str) -> Process:
        """`broker work`."""
        return self._broker("work", *options, **environ)

    def drain(self) -> None:
        """Do every duty that is due, in this process: `broker work --once` without its start."""
        with self._assembled() as broker:
            duties.work(broker, once=True)

    @contextmanager
    def _assembled(self) -> Iterator[Broker]:
        broker = assemble(self.environ)
        try:
            yield broker
        finally:
            broker.accesses.close()
            broker.upstream.close()
            broker.database.dispose()

    def run(self, *arguments: str, **environ: str) -> str:
        """A command of the broker, to its end; what it said."""
        process = self._broker(*arguments, **environ)
        status = process.wait()
        assert status == 0, f"broker {' '.join(arguments)} ended with {status}:\n{process.said()}"
        return process.said()

    def register(self, *scopes: str, tenants: Collection[str] = ("toko", "kios"), **how: Any) -> tuple[str, str]:
        """A client's id and secret: `broker clients add` without its start."""
        with self._assembled() as broker:
            client_id, secret = clients.register(
                broker.database,
                broker.clock(),
                name=how.pop("name", "a client"),
                scopes=scopes or ALL_SCOPES,
                tenants=tenants,
                connectors=how.pop("connectors", ("*",)),
                return_urls=how.pop("return_urls", (RETURN_URL,)),
            )
        assert secret
        return client_id, secret.reveal()

    def client(self, *scopes: str, url: str = "", tenant: str = "toko", subject: str = "ani", **how: Any) -> SalesApp:
        """A newly registered client, as `House.client`."""
        return SalesApp(url or self.url, *self.register(*scopes, **how), tenant=tenant, subject=subject)

    def app(self, *, url: str = "", tenant: str = "toko", subject: str = "ani") -> SalesApp:
        """The sales app and sync job in one; all are the same client, which is registered once."""
        self._default = self._default or self.register()
        return SalesApp(url or self.url, *self._default, tenant=tenant, subject=subject)

    @contextmanager
    def database(self) -> Iterator[Session]:
        """One transaction in the database, past the broker."""
        database = Database(self.database_url, pool_size=1)
        try:
            with database.write() as session:
                yield session
        finally:
            database.dispose()

    def empty(self) -> None:
        """As at the start: nobody connected, nothing owed, Google as new."""
        self.google.control("reset")
        with self.database() as session:
            for table in reversed(Base.metadata.sorted_tables):
                if table.name not in LASTING:
                    session.execute(delete(table))

    def _broker(self, *arguments: str, url: str = "", **environ: str) -> Process:
        environ = {**self.environ, **environ}
        return self.processes.start(arguments[0], *BROKER, *arguments, environ=environ, url=url)


@contextmanager
def installed(folder: Path, database_url: str, **more: str) -> Iterator[Installation]:
    """An installation whose fake Google is starting, and no broker yet; all is killed at the end."""
    processes, google_url, url = (
        Processes(folder),
        f"http://127.0.0.1:{free_ports_in_a_row(len(PLAYED))}",
        f"http://127.0.0.1:{free_port()}",
    )
    environ = environment(url, google_url, database_url, folder, **more)
    try:
        port = google_url.rpartition(":")[2]
        sandbox = processes.start("sandbox", *BROKER, "sandbox", "--port", port, environ={}, url=google_url)
        yield Installation(processes, environ, url, sandbox, Google(google_url), database_url)
        assert environ["BROKER_GOOGLE_CLIENT_SECRET"] not in "".join(process.said() for process in processes.started)
    finally:
        processes.end()


@contextmanager
def started(folder: Path, database_url: str, *options: str, **more: str) -> Iterator[Installation]:
    """An installation that serves, with a duty worker, and whose default client is registered."""
    with installed(folder, database_url, **more) as installation:
        installation.serve(*options)
        installation.app()
        installation.wait_ready()
        yield installation


# --- fixtures ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def _served_sqlite(_migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("served")
    (folder / "broker.db").write_bytes(_migrated_file.read_bytes())
    with started(folder, f"sqlite:///{folder / 'broker.db'}") as installation:
        yield installation


@pytest.fixture(scope="session")
def _served_postgres(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with postgres.database(TEMPLATE) as url, started(tmp_path_factory.mktemp("served"), url) as installation:
        yield installation


@pytest.fixture(params=["sqlite", "postgresql"])
def installation(request: pytest.FixtureRequest) -> Installation:
    """`broker serve` with two workers and a duty worker, over each kind of database in turn; empty. Leave it alive."""
    fixture = "_served_postgres" if request.param == "postgresql" else "_served_sqlite"
    found: Installation = request.getfixturevalue(fixture)
    found.empty()
    return found


@pytest.fixture
def sqlite_installation(_served_sqlite: Installation) -> Installation:
    """The same over SQLite alone."""
    _served_sqlite.empty()
    return _served_sqlite


@pytest.fixture
def install(tmp_path: Path) -> Iterator[Callable[..., Installation]]:
    """Installations of the test's own: `install(database_url, BROKER_…="…")`; no broker runs yet."""
    with contextlib.ExitStack() as stack:
        yield lambda url, **more: stack.enter_context(installed(tmp_path, url, **more))


# --- what the system tells -----------------------------------------------------------------------------------


def _plain() -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    return session


def _inherited() -> dict[str, str]:
    """The environment of the tests without settings of a broker that may be in it."""
    return {name: value for name, value in os.environ.items() if not name.startswith("BROKER_")}


def _die_with_parent() -> Callable[[], None] | None:
    """For a child's side: it is killed when the tests are (Linux). The kernel goes by the thread that forks, so only
    the main one may ask for it."""
    if _LIBC is None or threading.current_thread() is not threading.main_thread():
        return None
    return lambda: _LIBC.prctl(1, signal.SIGKILL) and None


def _all_pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _bytes(path: str) -> bytes:
    """Empty where the process is gone, or another user's."""
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def _state(pid: int) -> str:
    """R, S, D, T, Z as in proc(5); empty for none."""
    fields = _bytes(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return fields[0].decode() if fields else ""
