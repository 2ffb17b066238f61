"""Duties by real processes: killed in the middle, several at once, and beside `broker serve`.

docs/facts/security.md REL-10 … REL-14, REL-32; docs/adr/0007 and 0008; I4, I5. What only a clock decides is tested in
test_duties.py.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from broker.models import Duty
from broker.runtime import utc_now
from tests.house import SalesApp
from tests.postgres import TEMPLATE, Server
from tests.processes import (
    Installation,
    Process,
    children,
    command,
    is_running,
    started,
    wait_until,
)


@pytest.fixture(scope="session")
def _workless_sqlite(_migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("workless")
    (folder / "broker.db").write_bytes(_migrated_file.read_bytes())
    with started(folder, f"sqlite:///{folder / 'broker.db'}", "--no-work") as installation:
        yield installation


@pytest.fixture(scope="session")
def _workless_postgres(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("workless")
    with postgres.database(TEMPLATE) as url, started(folder, url, "--no-work") as installation:
        yield installation


@pytest.fixture(params=["sqlite", "postgresql"])
def workless(request: pytest.FixtureRequest) -> Installation:
    """`broker serve --no-work`: whoever wants a duty done starts a worker. Its server must serve again at the end."""
    name = "_workless_postgres" if request.param == "postgresql" else "_workless_sqlite"
    found: Installation = request.getfixturevalue(name)
    found.empty()
    return found


def told(installation: Installation) -> list[int]:
    """The statuses with which Google answered."""
    return [request["status"] for request in installation.google.requests("/revoke")]


def outcome(app: SalesApp, receipt: str) -> str:
    return str(app.receipt(receipt)["connections"][0]["provider_outcome"])


def revoked(app: SalesApp, connection: str) -> str:
    """The receipt's id."""
    answer = app.revoke(connection)
    assert answer.status_code in (200, 202), answer.text
    return str(answer.json()["revocation"]["id"])


def let_leases_end(installation: Installation) -> None:
    """As half a minute would."""
    with installation.database() as session:
        session.execute(update(Duty).values(lease_until=utc_now() - timedelta(seconds=1)))


# --- killed --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "told_by_the_first", "outcomes"),
    [
        ("tell.counted", [], {"confirmed"}),
        ("tell.sent", [200], {"already_gone"}),
        ("tell.settled", [200], {"confirmed"}),
    ],
)
def test_what_a_killed_worker_was_telling_another_finishes(
    workless: Installation, place: str, told_by_the_first: list[int], outcomes: set[str]
) -> None:
    """REL-11. A crash between two steps costs a second call, no more; nobody shredded what was still needed."""
    app = workless.app()
    receipt = revoked(app, app.connect()["id"])
    assert workless.work(BROKER_FAILPOINTS=f"{place}=kill").wait() == -signal.SIGKILL
    assert told(workless) == told_by_the_first
    workless.drain()
    assert told(workless) == told_by_the_first, "the lease still stands"
    let_leases_end(workless)
    workless.drain()
    assert outcome(app, receipt) in outcomes
    assert workless.google.live_tokens() == 0
    with workless.database() as session:
        assert session.scalars(select(Duty.open).where(Duty.kind == "tell_provider")).all() == [None]


def test_a_revocation_that_was_committed_stands_though_its_answer_never_came(workless: Installation) -> None:
    """I4. The process is killed between the commit and the answer; the call repeated has the receipt."""
    elsewhere = workless.gunicorn(elsewhere=True, BROKER_FAILPOINTS="revoke.committed=kill")
    elsewhere.wait_ready()
    app, connection = workless.app(), workless.app().connect()["id"]
    with pytest.raises(OSError, match=r"abort|reset|closed"):
        workless.app(url=elsewhere.url).revoke(connection)
    assert app.records(connection).status_code == 410
    answer = app.revoke(connection)
    assert answer.status_code == 200
    workless.drain()
    assert outcome(app, answer.json()["revocation"]["id"]) == "confirmed"
    elsewhere.kill()


def test_an_acknowledged_revocation_outlives_the_death_of_everything(workless: Installation) -> None:
    """I4: kill -9 of all processes right after the answer."""
    app = workless.app()
    kept, ended = app.connect("google_contacts", account="budi@example.com")["id"], app.connect()["id"]
    family = [workless.server.pid, *descendants(workless.server.pid)]
    receipt = revoked(app, ended)
    for pid in family:
        os.kill(pid, signal.SIGKILL)
    workless.server.popen.wait()
    wait_until(lambda: not any(is_running(pid) for pid in family), "their end")
    workless.serve("--no-work").wait_ready()
    app = workless.app()
    assert app.records(ended).status_code == 410
    assert app.records(kept).status_code == 200
    workless.drain()
    assert outcome(app, receipt) == "confirmed"
    assert app.revoke(ended).json()["revocation"]["id"] == receipt


def test_a_worker_that_is_asked_to_end_ends(workless: Installation) -> None:
    worker = workless.work()
    app = workless.app()
    receipt = revoked(app, app.connect()["id"])
    worker.wait_until(lambda: outcome(app, receipt) == "confirmed", "the telling")
    assert worker.end() == 0


# --- several -------------------------------------------------------------------------------------------------


def test_many_workers_tell_each_account_once(workless: Installation) -> None:
    """REL-32, and a drain takes no longer than it must: the accounts are told one after another within seconds."""
    app = workless.app()
    accounts = [entry["sub"] for entry in workless.google.control("accounts", {"count": 12})["accounts"]]
    connections = [app.connect("google_contacts", account=account)["id"] for account in accounts]
    receipts = [revoked(app, connection) for connection in connections]
    began = time.monotonic()
    workers = [workless.work("--once") for _ in range(3)]
    assert [worker.wait() for worker in workers] == [0] * 3, [worker.said() for worker in workers]
    assert time.monotonic() - began < 30
    assert told(workless) == [200] * 12
    assert {outcome(app, receipt) for receipt in receipts} == {"confirmed"}


# --- beside broker serve -------------------------------------------------------------------------------------


def descendants(pid: int) -> list[int]:
    return [found for child in children(pid) for found in (child, *descendants(child))]


def worker_of(server: Process) -> int | None:
    """The duty worker beside gunicorn."""
    return next((pid for pid in server.children() if command(pid)[-1:] == ["work"]), None)


def test_broker_serve_starts_a_dead_duty_worker_again(installation: Installation) -> None:
    first = worker_of(installation.server)
    assert first
    os.kill(first, signal.SIGKILL)
    app = installation.app()
    receipt = revoked(app, app.connect()["id"])
    installation.server.wait_until(lambda: outcome(app, receipt) == "confirmed", "the telling")
    assert worker_of(installation.server) not in (first, None)


@pytest.fixture
def served(install: Callable[..., Installation], sqlite_url: str) -> Installation:
    """`broker serve` that may be killed."""
    installation = install(sqlite_url)
    installation.serve()
    installation.wait_ready()
    wait_until(lambda: worker_of(installation.server) is not None, "the duty worker")
    return installation


def test_the_children_of_broker_serve_end_with_it(served: Installation) -> None:
    """REL-14: killed outright, it leaves nobody who serves."""
    family = descendants(served.server.pid)
    assert len(family) == 4
    served.server.kill()
    wait_until(lambda: not any(is_running(pid) for pid in family), "their end", within=10)


def test_broker_serve_ends_cleanly_when_asked_to(served: Installation) -> None:
    family = descendants(served.server.pid)
    assert served.server.end() == 0
    assert not any(is_running(pid) for pid in family)


def test_broker_serve_ends_when_gunicorn_does(served: Installation) -> None:
    """REL-14. Whoever started it can then start it again."""
    gunicorn = next(pid for pid in served.server.children() if any("gunicorn" in part for part in command(pid)))
    family = descendants(served.server.pid)
    os.kill(gunicorn, signal.SIGKILL)
    assert served.server.wait() != 0
    wait_until(lambda: not any(is_running(pid) for pid in family), "the workers' end", within=10)


def test_broker_serve_does_not_wait_for_a_worker_that_hangs(served: Installation) -> None:
    worker = worker_of(served.server)
    assert worker
    os.kill(worker, signal.SIGSTOP)
    assert served.server.end(within=20) == 0
    assert not is_running(worker)
