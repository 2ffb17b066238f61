"""The stage of one run: the upstream, the contenders, and the broker on SQLite and PostgreSQL, all served alike."""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.bench.contenders import PATH
from tests.house import ALL_SCOPES, SalesApp, free_port
from tests.postgres import Server, running
from tests.processes import Installation, Process, Processes, installed, wait_until

BY_HAND = {
    "constant": "constant_app",
    "requests-oauthlib": "oauthlib_app",
    "urllib3": "urllib3_app",
    "records by hand": "records_app",
}
"""Name → application in `tests.bench.contenders`."""
DATABASES = ("sqlite", "postgresql")
TOKEN_LASTS = 600.0
"""Seconds after which a run takes a new access token."""


@dataclass
class Contender:
    """An address that is measured, and the gunicorn behind it."""

    name: str
    server: Process
    path: str
    app: SalesApp | None = None
    _since: float = 0.0

    @property
    def url(self) -> str:
        return self.server.url + self.path

    @property
    def headers(self) -> dict[str, str]:
        if self.app is None:
            return {}
        if time.monotonic() - self._since > TOKEN_LASTS:
            self.app._token, self._since = "", time.monotonic()
        return {"Authorization": f"Bearer {self.app.bearer}"}

    def answers(self) -> bool:
        """Raises `AssertionError` for a refusal."""
        try:
            answer = requests.get(self.url, headers=self.headers, timeout=20)
        except requests.ConnectionError:
            return False
        assert answer.status_code == 200, f"{self.name}: {answer.text}"
        return True


@contextmanager
def staged(folder: Path, *, delay: float, threads: int) -> Iterator[list[Contender]]:
    """Everything up and answering; all is killed at the end."""
    with ExitStack() as stack:
        processes = Processes(folder)
        stack.callback(processes.end)
        upstream = _upstream(processes, delay)
        found = [_by_hand(processes, name, app, upstream, threads) for name, app in BY_HAND.items()]
        postgres = stack.enter_context(running())
        for kind in DATABASES:
            found += _brokers(stack, folder / kind, kind, postgres, upstream, threads)
        for contender in found:
            wait_until(contender.answers, f"an answer of {contender.name}")
        yield found


def _upstream(processes: Processes, delay: float) -> str:
    port = free_port()
    processes.start("upstream", sys.executable, "-m", "tests.bench.upstream", str(port), str(delay), environ={})
    return f"http://127.0.0.1:{port}"


def _gunicorn(threads: int) -> list[str]:
    return ["--workers", "2", "--worker-class", "gthread", "--threads", str(threads), "--log-level", "warning"]


def _by_hand(processes: Processes, name: str, app: str, upstream: str, threads: int) -> Contender:
    url = f"http://127.0.0.1:{free_port()}"
    bind = ["--bind", url.removeprefix("http://")]
    command = [sys.executable, "-m", "gunicorn", *bind, *_gunicorn(threads), f"tests.bench.contenders:{app}"]
    server = processes.start(name.replace(" ", "-"), *command, environ={"UPSTREAM": upstream}, url=url)
    return Contender(name, server, "/")


def _brokers(
    stack: ExitStack, folder: Path, kind: str, postgres: Server, upstream: str, threads: int
) -> list[Contender]:
    folder.mkdir()
    url = f"sqlite:///{folder / 'broker.db'}"
    if kind == "postgresql":
        url = stack.enter_context(postgres.database())
    installation = stack.enter_context(installed(folder, url))
    _people_from(installation, upstream)
    installation.run("db", "upgrade")
    server = installation.gunicorn(*_gunicorn(threads))
    installation.wait_ready(server)
    app = installation.client(*ALL_SCOPES, "relay")
    connection = app.connect("google_contacts")["id"]
    base = f"/v1/connections/{connection}"
    relay = f"{base}/relay/google_contacts/people.googleapis.com{PATH}"
    return [
        Contender(f"relay, {kind}", server, relay, app),
        Contender(f"records, {kind}", server, f"{base}/records/google_contacts", app),
    ]


def _people_from(installation: Installation, upstream: str) -> None:
    """The flow runs at the fake Google; its People API is the upstream."""
    pairs = dict(pair.split("=", 1) for pair in installation.environ["BROKER_ORIGINS"].split(","))
    pairs["https://people.googleapis.com"] = upstream
    installation.environ["BROKER_ORIGINS"] = ",".join("=".join(pair) for pair in pairs.items())
