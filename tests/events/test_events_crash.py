"""An event stands or falls with its transaction, and a worker that dies sends it again (docs/facts/security.md REL-12).

Real processes that are killed outright (-9), over the database of a house that lives on.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.events.conftest import Endpoint, happens
from tests.events.receiver import Receiver
from tests.house import House

CHANGING = """
import os, signal
from broker import audit
from broker.app import assemble, environment
def die():
    os.kill(os.getpid(), signal.SIGKILL)
database = assemble(environment()).database
if {before}:
    database.before_commit.append(lambda session: (session.flush(), die()))
with database.write() as session:
    audit.note(session, "connection.revoked", tenant="toko", subject="ani", connection="con_1")
die()
"""


def killed(house: House, *command: str, **environ: str) -> None:
    """Run a process of this broker until it is killed."""
    known = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    process = subprocess.run(
        [sys.executable, *command], env={**known, **house.environ, **environ}, capture_output=True, timeout=60
    )
    assert process.returncode == -signal.SIGKILL, process.stderr.decode()


@pytest.fixture
def house(build: Callable[..., House], postgres_url: str) -> House:
    return build(postgres_url)


def test_what_was_committed_is_told_though_the_process_died_and_what_was_not_never(
    house: House, endpoint: Endpoint, receiver: Receiver
) -> None:
    killed(house, "-c", CHANGING.format(before=True))
    house.work()
    assert receiver.received == []
    killed(house, "-c", CHANGING.format(before=False))
    house.work()
    assert receiver.types == ["connection.revoked"]


def test_a_worker_that_dies_between_sending_and_recording_sends_again_under_the_same_id(
    house: House, endpoint: Endpoint, receiver: Receiver, tmp_path: Path
) -> None:
    happens(house)
    armed = f"event.sent=kill@{tmp_path / 'hit'}"
    killed(house, "-m", "broker.cli", "work", "--once", BROKER_FAILPOINTS=armed)
    assert len(receiver.received) == 1
    house.clock.advance(minutes=1)  # the lease of the dead ends
    house.work()
    first, second = receiver.received
    assert first.id == second.id
    assert first.body == second.body
    assert [one["state"] for one in endpoint.deliveries()] == ["delivered"]
