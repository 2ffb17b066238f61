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


@pytest.mark.parametrize("point", ["erase.asked", "erase.cleaned"])
def test_an_erasure_that_died_on_its_way_ends_all_the_same(killing: Killing, point: str) -> None:
    killing.serve(point)
    app = killing.installation.client("connect", "records:read", "revoke", "privacy", subject=SUBJECT)
    app.connect("google_contacts", subject_label="Kanari Wijaya")
    body = {"tenant": "toko", "subject": SUBJECT}
    if point == "erase.asked":
        dies(lambda: app.call("POST", "/v1/subjects/erase", body))
    else:
        app.call("POST", "/v1/subjects/erase", body)  # the worker dies, once the provider was told

    def is_done() -> bool:
        with killing.installation.database() as session:
            return session.scalars(select(Erasure.open)).all() == [None]

    wait_until(is_done, "the erasure's end", within=30)
    wait_until(killing.marker.exists, "the kill")
    killing.was_hit()
    erasure = eventually(lambda: app.call("POST", "/v1/subjects/erase", body), 200).json()["erasure"]
    assert erasure["state"] == "completed"
    with killing.installation.database() as session:
        for table in Base.metadata.sorted_tables:
            for row in session.execute(text(f"SELECT * FROM {table.name}")):
                assert SUBJECT not in str(row), table.name
        assert session.scalars(select(AuditEntry.action)).all().count("subject.erased") == 1
