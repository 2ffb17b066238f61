"""Accesses are counted durably, and without counting there are no data (I10)."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, text

from broker.accesses import AT_MOST, Accesses, Counted
from broker.db import Database
from broker.errors import Unavailable
from broker.models import AccessCount
from tests.house import House, SalesApp

HOUR = datetime(2026, 11, 24, 10, tzinfo=UTC)
ONE = Counted("cli_1", "con_1", "google_contacts", "contacts", HOUR)


class Ticks:
    """A monotonic clock that stands still until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.dispose()


@pytest.fixture
def counting(database: Database) -> Iterator[Accesses]:
    accesses = Accesses(database)
    yield accesses
    accesses.close()


def counted(database: Database) -> dict[tuple[str, str], tuple[int, int]]:
    with database.read() as session:
        rows = session.scalars(select(AccessCount)).all()
    return {(row.client_id, row.connector): (row.pages, row.records) for row in rows}


def test_a_page_read_over_http_is_counted_by_client_connector_and_resource(house: House, app: SalesApp) -> None:
    connection = app.connect("google_contacts")
    records = app.records(connection["id"], limit=7).json()["records"]
    house.broker.accesses.write()
    with house.broker.database.read() as session:
        row = session.scalars(select(AccessCount)).one()
    assert (row.client_id, row.connection_id) == (app.client_id, connection["id"])
    assert (row.connector, row.resource, row.pages, row.records) == ("google_contacts", "contacts", 1, len(records))
    assert (row.hour.minute, row.hour.second) == (0, 0)


def test_a_refused_read_is_not_counted(house: House, app: SalesApp) -> None:
    connection = app.connect("google_contacts")
    app.withdraw(connection["id"], "google_contacts")
    app.records(connection["id"])
    house.broker.accesses.write()
    assert counted(house.broker.database) == {}


def test_counts_add_up_over_processes(database: Database, counting: Accesses) -> None:
    other = Accesses(database)
    for accesses in (counting, other, counting):
        accesses.count(ONE, 10)
        accesses.write()
    other.close()
    assert counted(database) == {("cli_1", "google_contacts"): (3, 30)}


def test_counts_are_written_within_a_second_without_being_asked(database: Database, counting: Accesses) -> None:
    counting.count(ONE, 1)
    deadline = time.monotonic() + AT_MOST
    while not counted(database) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert counted(database) == {("cli_1", "google_contacts"): (1, 1)}


def test_no_data_while_counts_cannot_be_written(database: Database) -> None:
    ticks = Ticks()
    accesses = Accesses(database, monotonic=ticks)
    with database.engine.begin() as raw:
        raw.execute(text("DROP TABLE access_counts"))
    accesses.count(ONE, 1)
    ticks.now = AT_MOST + 0.1
    with pytest.raises(Unavailable):
        accesses.count(ONE, 1)
    accesses.close()


def test_what_could_not_be_written_is_kept_for_the_next_time(database: Database) -> None:
    accesses = Accesses(database)
    with database.engine.begin() as raw:
        raw.execute(text("ALTER TABLE access_counts RENAME TO elsewhere"))
    accesses.count(ONE, 4)
    with pytest.raises(Unavailable):
        accesses.write()
    with database.engine.begin() as raw:
        raw.execute(text("ALTER TABLE elsewhere RENAME TO access_counts"))
    accesses.write()
    assert counted(database)[("cli_1", "google_contacts")][1] == 4
    accesses.close()


def test_counts_of_a_process_that_ends_well_are_written(database: Database) -> None:
    accesses = Accesses(database)
    accesses.count(ONE, 2)
    accesses.close()
    assert counted(database) == {("cli_1", "google_contacts"): (1, 2)}
