"""Rotation while four processes use the keys, killed in the middle of each step (CRY-07, CRY-08, INC-20T)."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Select, func, select

from broker.cli import main
from broker.db import Database
from broker.keyring import add_key, put_first, write_key_file
from broker.models import Connection, ConnectionKey, TenantKey
from broker.vault import WRAPPED_BY, KeyRing, Vault
from tests.vault.load import FORK, at_work, furnish, opens

TENANTS = 120


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    write_key_file(path, kid="k1")
    return path


@pytest.fixture
def environ(database_url: str, file: Path) -> dict[str, str]:
    return {
        "BROKER_ENV": "development",
        "BROKER_DATABASE_URL": database_url,
        "BROKER_KEYS": f"file:{file}",
        "BROKER_PUBLIC_URL": "http://127.0.0.1:8000",
    }


@pytest.fixture
def furnished(database_url: str, file: Path) -> None:
    database = Database(database_url)
    furnish(database, KeyRing.load(f"file:{file}"), TENANTS)
    database.dispose()  # no connection to a database may go through a fork


def _broker(environ: dict[str, str], words: tuple[str, ...]) -> None:
    os.environ.update(environ)
    sys.argv = ["broker", *words]
    main()


def started(environ: dict[str, str], *words: str) -> Any:
    """The command in a process of its own."""
    process = FORK.Process(target=_broker, args=(environ, words))
    process.start()
    return process


def ran(environ: dict[str, str], *words: str) -> int | None:
    process = started(environ, *words)
    process.join(60)
    process.kill()
    return process.exitcode


@contextmanager
def counting(url: str) -> Iterator[Callable[[Select[*tuple[Any, ...]]], int]]:
    """Looks into the database; closed before the next fork, since no connection may go through one."""
    database = Database(url, pool_size=1)
    try:
        with database.read() as session:
            yield lambda query: session.scalar(query) or 0
    finally:
        database.dispose()


UNDER_K2 = select(func.count()).select_from(TenantKey).where(TenantKey.kid == "k2", TenantKey.generation == 1)
SECOND = select(func.count()).select_from(TenantKey).where(TenantKey.generation == 2)
REWRAPPED = select(func.count()).select_from(ConnectionKey).join(TenantKey, WRAPPED_BY).where(TenantKey.generation == 2)


def killed_in_the_middle(environ: dict[str, str], step: Select[*tuple[Any, ...]], *words: str) -> int:
    """kill -9 as soon as some of a step's keys are done; how many are."""
    process = started(environ, *words)
    with counting(environ["BROKER_DATABASE_URL"]) as count:
        while count(step) < TENANTS // 10:
            assert process.is_alive(), f"it ended before it could be killed, with {process.exitcode}"
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.join(10)
        assert process.exitcode == -signal.SIGKILL
        return count(step)


@pytest.mark.usefixtures("furnished")
def test_a_rotation_killed_at_each_step_fails_no_read_and_loses_nothing(
    database_url: str, environ: dict[str, str], file: Path, tmp_path: Path
) -> None:
    """CRY-07: steps 1 to 7 of §4.2.7, tenant keys included, no process started anew."""
    rotate = ("keys", "rotate", "--to", "k2", "--tenant-keys")
    with at_work(database_url, f"file:{file}", tmp_path) as fleet:
        assert ran(environ, "keys", "add", "--kid", "k2") == 0
        for step in (UNDER_K2, SECOND, REWRAPPED):
            assert killed_in_the_middle(environ, step, *rotate) < TENANTS, "it was in the middle"
        assert ran(environ, *rotate) == 0
        with counting(database_url) as count:
            assert count(select(func.count()).where(TenantKey.kid == "k1")) == 0
        file.write_text("".join(line for line in file.read_text().splitlines(keepends=True) if line.startswith("k2:")))
        assert ran(environ, "keys", "status") == 0
        time.sleep(0.5)
    assert fleet.failures == []
    assert min(fleet.done[what] for what in ("read", "refresh", "connect")) > 0
    assert all_open(database_url, KeyRing.load(f"file:{file}"))
    with counting(database_url) as count:
        assert count(select(func.max(TenantKey.generation))) == 2, "no tenant key was replaced twice"


def all_open(url: str, ring: KeyRing) -> bool:
    database, vault = Database(url), Vault(ring, clock=lambda: datetime.now(UTC))
    try:
        with database.read() as session:
            return all([opens(vault, session, row) for row in session.scalars(select(Connection))])
    finally:
        database.dispose()


@pytest.mark.usefixtures("furnished")
def test_processes_that_never_got_the_new_key_fail_during_a_rotation(
    database_url: str, environ: dict[str, str], file: Path, tmp_path: Path
) -> None:
    """CRY-08's negative control: step 1 left out for hosts that have their keys from a variable."""
    old = {"RING": file.read_text()}
    with at_work(database_url, "env:RING", tmp_path, environ=old) as fleet:
        add_key(f"file:{file}", {}, kid="k2")
        put_first(f"file:{file}", {}, kid="k2")
        assert ran(environ, "keys", "rotate") == 0
        time.sleep(0.3)
    assert any("unknown KEK id" in failure for failure in fleet.failures)
