"""One SQLite file and several processes: what one has committed, all see (I2, I4)."""

import subprocess
import sys
from pathlib import Path

from sqlalchemy import func, select

from broker.db import Database
from broker.models import KeyCheck

LOOK = """
import sys
from sqlalchemy import func, select
from broker.db import Database
from broker.models import KeyCheck

database = Database(sys.argv[1])
with database.read() as session:
    print(session.scalar(select(func.count()).select_from(KeyCheck)))
database.dispose()
"""


def seen_by_another_process(url: str) -> int:
    """Which is the last to close the file, as far as it can tell."""
    asked = subprocess.run([sys.executable, "-c", LOOK, url], capture_output=True, text=True, check=True)
    return int(asked.stdout)


def test_a_process_that_comes_and_goes_does_not_cut_others_off(sqlite_url: str) -> None:
    """A process with two connections once lost its locks on the file at the second: whoever closed the file next took
    itself for the last, deleted the log, and all that the first wrote from then on was seen by nobody and lost."""
    database = Database(sqlite_url)
    with database.engine.connect() as first, database.engine.connect() as second:
        for connection in (first, second):
            connection.scalar(select(func.count()).select_from(KeyCheck))
            connection.rollback()
        assert seen_by_another_process(sqlite_url) == 0
        assert Path(sqlite_url.removeprefix("sqlite:///") + "-wal").exists()
        with database.write() as session:
            session.add(KeyCheck(kid="new", check_value=b"1"))
        assert seen_by_another_process(sqlite_url) == 1
    database.dispose()
    assert seen_by_another_process(sqlite_url) == 1
