"""Killed outright (-9) between two batches of a mass revocation: what was ended stays ended, and the rest follows,
whether somebody repeats the request or nobody does (I4).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from broker.connections.mass import BATCH
from broker.models import AuditEntry, Connection, Revocation, RevocationItem
from tests.connections.test_revoke_mass import many, revoke_all
from tests.crash.test_crash import QUICK, Killing, dies, eventually
from tests.processes import installed, wait_until


@pytest.fixture
def killing(database_url: str, tmp_path: Path) -> Iterator[Killing]:
    with installed(tmp_path, database_url, **QUICK) as installation:
        yield Killing(installation, tmp_path)


def counted(killing: Killing, what: Any, *conditions: Any) -> int:
    with killing.installation.database() as session:
        return session.scalar(select(func.count()).select_from(what).where(*conditions)) or 0


def test_what_died_between_two_batches_goes_on(killing: Killing, request: pytest.FixtureRequest) -> None:
    """Repeated on PostgreSQL; left to the duty on SQLite."""
    app = killing.serve("mass.batch")
    connection = app.connect()["id"]
    with killing.installation.database() as session:
        many(session, connection, BATCH)
    dies(lambda: revoke_all(app))
    killing.was_hit()
    with killing.installation.database() as session:
        (row,) = session.scalars(select(Revocation)).all()
        assert row.open
    assert counted(killing, RevocationItem) == BATCH
    assert counted(killing, Connection, Connection.live.is_(True)) == 1
    if "postgresql" in request.node.name:
        answer = eventually(lambda: revoke_all(app), 200, 202)
        assert (answer.status_code, answer.json()["revocation"]["id"]) == (200, row.id)
    wait_until(lambda: not counted(killing, Revocation, Revocation.open.is_(True)), "the end of the rest", within=40)
    assert counted(killing, RevocationItem) == BATCH + 1
    assert not counted(killing, Connection, Connection.live.is_(True))
    assert counted(killing, AuditEntry, AuditEntry.action == "connection.revoked") == BATCH + 1
    eventually(lambda: app.records(connection), 410)
