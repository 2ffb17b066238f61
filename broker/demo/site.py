"""The processes of one demo, and what they work with."""

import contextlib
import os
import random
import socket
import subprocess
import sys
import time
import urllib.error
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from broker.demo.http import send

START = 30.0
"""Seconds for a process to answer."""
TENANT = "demo"
PROVIDERS = 3
"""That the sandbox plays, each on a port of its own."""


class StepFailed(Exception):
    """A step did not hold."""


@dataclass
class Site:
    """Where the processes of one demo listen, and their environment."""

    folder: Path
    broker: str
    sandbox: str
    environ: dict[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def played(self, place: int) -> str:
        """Where the sandbox plays its first, second or third provider."""
        address, _, port = self.sandbox.rpartition(":")
        return f"{address}:{int(port) + place}"


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Site]:
    first = _free_ports_in_a_row(PROVIDERS + 2)
    sandbox, broker, salesapp = (f"http://127.0.0.1:{first + place}" for place in (0, PROVIDERS, PROVIDERS + 1))
    environ = {name: value for name, value in os.environ.items() if not name.startswith("BROKER_")} | {
        "BROKER_ENV": "development",
        "BROKER_DATABASE_URL": f"sqlite:///{folder / 'broker.db'}",
        "BROKER_KEYS": f"file:{folder / 'keys'}",
        "BROKER_PUBLIC_URL": broker,
        "BROKER_GOOGLE_CLIENT_ID": "demo-client.apps.googleusercontent.com",
        "BROKER_GOOGLE_CLIENT_SECRET": "demo-secret",
        "BROKER_FACEBOOK_CLIENT_ID": "100000000000001",
        "BROKER_FACEBOOK_CLIENT_SECRET": "demo-secret",
        "BROKER_INSTAGRAM_CLIENT_ID": "100000000000002",
        "BROKER_INSTAGRAM_CLIENT_SECRET": "demo-secret",
        "BROKER_ORIGINS": _origins(sandbox),
        "DEMO_SALESAPP": salesapp,
    }
    site = Site(folder, broker, sandbox, environ)
    try:
        _spawn(site, "sandbox", "--port", str(first))
        run_broker(site, "keys", "generate")
        run_broker(site, "db", "upgrade")
        _spawn(site, "serve", "--workers", "2")
        wait_for(f"{sandbox}/_sandbox/state")
        wait_for(f"{broker}/readyz")
        yield site
    finally:
        for process in reversed(site.processes):
            process.terminate()
        for process in site.processes:
            process.wait()


def _origins(sandbox: str) -> str:
    from broker.sandbox.serve import origins

    return origins(sandbox)


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "broker.cli", *arguments]


def run_broker(site: Site, *arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own command
        _command(*arguments), env=site.environ, cwd=site.folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StepFailed(f"broker {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout


def _spawn(site: Site, *arguments: str) -> None:
    log = (site.folder / f"{arguments[0]}.log").open("wb")
    with log:
        process = subprocess.Popen(  # noqa: S603 - our own command
            _command(*arguments), env=site.environ, cwd=site.folder, stdout=log, stderr=log
        )
    site.processes.append(process)


def wait_for(url: str) -> None:
    deadline = time.monotonic() + START
    while True:
        try:
            if send("GET", url, None, {}).status == 200:
                return
        except (urllib.error.URLError, ConnectionError):
            pass
        if time.monotonic() > deadline:
            raise StepFailed(f"nothing answers at {url}")
        time.sleep(0.05)


def _free_ports_in_a_row(count: int) -> int:
    """The first of them: the sandbox takes one a provider, in order."""
    while True:
        first = random.randrange(10_000, 30_000)  # noqa: S311 - no secret
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + count):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first
