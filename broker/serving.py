"""`broker serve`: gunicorn with a duty worker beside it. A dead worker is started again; gunicorn's end ends all."""

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from types import FrameType
from urllib.parse import urlsplit

from broker import metrics
from broker.config import Settings, is_loopback

PR_SET_PDEATHSIG = 1
GRACE = 5
"""Seconds beyond the request deadline in which gunicorn lets requests finish (docs/facts/security.md REL-69)."""
RESTART_DELAY = 1.0


def bind_address(settings: Settings, environ: Mapping[str, str]) -> str:
    """BROKER_BIND; or where the public URL points if that is loopback; or 127.0.0.1:8000, for a proxy in front."""
    given = environ.get("BROKER_BIND", "")
    if given or not is_loopback(settings.public_url):
        return given or "127.0.0.1:8000"
    parts = urlsplit(settings.public_url)
    host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname
    return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def gunicorn_command(settings: Settings, *, bind: str, workers: int, threads: int) -> list[str]:
    """No forwarder is trusted and no access log is written: request lines carry one-time codes (INP-70, I1)."""
    deadline = int(settings.request_deadline)
    options = {
        "--config": "python:broker.preloaded",
        "--bind": bind,
        "--workers": str(workers),
        "--worker-class": "gthread",
        "--threads": str(threads),
        "--timeout": str(2 * deadline),
        "--graceful-timeout": str(deadline + GRACE),
        "--limit-request-line": "8190",
        "--forwarded-allow-ips": "",
        "--log-level": "warning",
    }
    arguments = [part for option in options.items() for part in option]
    return [sys.executable, "-m", "gunicorn", *arguments, "--no-control-socket", "broker.app:create_app()"]


def serve(command: list[str], *, with_worker: bool) -> int:
    """Run until a signal or gunicorn's end; gives gunicorn's exit status."""
    with tempfile.TemporaryDirectory(prefix="broker-metrics-") as folder:
        os.environ.setdefault(metrics.FOLDER, folder)  # all workers of gunicorn count together
        return _served(command, with_worker=with_worker)


def _served(command: list[str], *, with_worker: bool) -> int:
    server = _start(command)
    worker = _start([sys.executable, "-m", "broker.cli", "work"]) if with_worker else None
    stopping: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        stopping.append(number)
        server.send_signal(signal.SIGTERM)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, stop)
    while server.poll() is None:
        if worker and worker.poll() is not None and not stopping:
            time.sleep(RESTART_DELAY)
            worker = _start([sys.executable, "-m", "broker.cli", "work"])
        time.sleep(0.1)
    if worker:
        _end(worker)
    return 0 if stopping else server.returncode


def _end(worker: subprocess.Popen[bytes]) -> None:
    """A duty in the middle of a call may finish it; one that hangs is cut off, and another worker takes it up."""
    worker.terminate()
    try:
        worker.wait(GRACE)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, preexec_fn=_die_with_parent, start_new_session=True)  # noqa: S603 - our own commands


def _die_with_parent() -> None:
    """If `broker serve` is killed outright, its children are told to end (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() == 1:
            os.kill(os.getpid(), signal.SIGTERM)
