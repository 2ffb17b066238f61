"""Killed outright (-9) in an erasure: it ends all the same, and nothing of the subject is left (PRV-10)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, text

from broker.db import Base
from broker.models import AuditEntry, Erasure
from tests.crash.test_crash import QUICK, Killing, dies, eventually
from tests.processes import installed, wait_until

SUBJECT = "kanari-subject-7"


@pytest.fixture
def killing(sqlite_url: str, tmp_path: Path) -> Iterator[Killing]:
    with installed(tmp_path, sqlite_url, **QUICK) as installation:
        yield Killing(installation, tmp_path)


def test_an_erasure_that_died_twice_on_its_way_ends_all_the_same(killing: Killing, tmp_path: Path) -> None:
    """Behind its request, and again behind its last transaction."""
    markers = [tmp_path / "asked", tmp_path / "cleaned"]
    armed = f"erase.asked=kill@{markers[0]},erase.cleaned=kill@{markers[1]}"
    killing.installation.serve("--threads", "4", BROKER_FAILPOINTS=armed)
    killing.installation.wait_ready()
    app = killing.installation.client("connect", "records:read", "revoke", "privacy", subject=SUBJECT)
    app.connect("google_contacts", subject_label="Kanari Wijaya")
    body = {"tenant": "toko", "subject": SUBJECT}
    dies(lambda: app.call("POST", "/v1/subjects/erase", body))

    def is_done() -> bool:
        with killing.installation.database() as session:
            return session.scalars(select(Erasure.open)).all() == [None]

    wait_until(is_done, "the erasure's end", within=30)
    wait_until(lambda: all(marker.exists() for marker in markers), "both kills")
    erasure = eventually(lambda: app.call("POST", "/v1/subjects/erase", body), 200).json()["erasure"]
    assert erasure["state"] == "completed"
    with killing.installation.database() as session:
        for table in Base.metadata.sorted_tables:
            for row in session.execute(text(f"SELECT * FROM {table.name}")):
                assert SUBJECT not in str(row), table.name
        assert session.scalars(select(AuditEntry.action)).all().count("subject.erased") == 1
