"""Real processes, killed between the commit and the shred log and in the middle of a restore; and what refuses to
start over a backup that was put back (I4, I12)."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from broker.models import ConnectionKey
from tests.database.test_restore import Backup, back_up, put_back, said
from tests.house import BUDI, House
from tests.processes import BROKER

__all__ = ["back_up"]

REVOKE = """
import sys
from broker.app import assemble, environment
from broker.clients import Caller
from broker.connections.revoke import end_connection
every = frozenset({"*"})
end_connection(assemble(environment()), Caller("cli_test", every, every, every, every), sys.argv[1])
"""


def run(house: House, *command: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """A process with the house's settings, to its end."""
    environ = {**house.environ, **environ}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, cwd="/")


@pytest.mark.parametrize("point", ["shredlog.owed", "shredlog.written"])
def test_a_revocation_killed_at_the_log_is_in_it_once_after_its_repeat(
    point: str, sqlite_house: House, tmp_path: Path
) -> None:
    app = sqlite_house.client()
    connection = app.connect()["id"]
    armed = f"{point}=kill@{tmp_path / 'hit'}"
    assert run(sqlite_house, sys.executable, "-c", REVOKE, connection, BROKER_FAILPOINTS=armed).returncode == -9
    assert app.records(connection).status_code == 410
    assert said(sqlite_house)[1:] == ([] if point == "shredlog.owed" else ["connection.revoked"])
    assert app.revoke(connection).status_code in (200, 202)
    assert said(sqlite_house)[1:] == ["connection.revoked"]
    sqlite_house.broker.shred_log.check()


def test_over_a_put_back_backup_nothing_starts_until_a_restore_that_may_be_killed_has_run(
    house: House, back_up: Callable[..., Backup], tmp_path: Path
) -> None:
    app = house.client()
    revoked, kept = app.connect()["id"], app.connect(account=BUDI)["id"]
    backup = back_up(house)
    app.revoke(revoked)
    house.work()
    put_back(house, backup)

    command = ("work", "--once") if "sqlite" in house.environ["BROKER_DATABASE_URL"] else ("serve", "--no-work")
    refused = run(house, *BROKER, *command)
    assert (refused.returncode, "Traceback" in refused.stderr) == (1, False)
    assert "broker restore" in refused.stderr
    armed = f"restore.replayed=kill@{tmp_path / 'hit'}"
    assert run(house, *BROKER, "restore", BROKER_FAILPOINTS=armed).returncode == -9
    finished = run(house, *BROKER, "restore", "--json")
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout)["connections"] == 0, "the killed one had committed its batch"

    house.broker.shred_log.check()
    app._token = ""
    assert app.records(revoked).status_code == 410
    assert app.records(kept).status_code == 200
    assert said(house)[1:] == ["connection.revoked", "connection.shredded"]
    with house.broker.database.read() as session:
        keys = select(func.count()).select_from(ConnectionKey).where(ConnectionKey.connection == revoked)
        assert session.scalar(keys) == 0
