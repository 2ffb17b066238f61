"""What passes through is not stored (docs/facts/security.md PRV-08)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from tests.house import House


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)
    elif isinstance(value, str):
        yield value


def _written(house: House) -> bytes:
    """The database's files, its log among them."""
    house.broker.accesses.write()
    file = Path(str(make_url(house.environ["BROKER_DATABASE_URL"]).database))
    return b"".join(path.read_bytes() for path in file.parent.glob(f"{file.name}*") if path.is_file())


def test_of_the_data_that_were_read_nothing_is_in_the_database_or_the_log(
    sqlite_house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    app = sqlite_house.client()
    connection = app.connect("google_contacts")
    records = app.records(connection["id"]).json()["records"]
    addresses = {text for text in _texts(records) if "@" in text}
    assert len(addresses) > 3
    kept = _written(sqlite_house)
    assert connection["id"].encode() in kept
    assert not [address for address in addresses if address.encode() in kept or address in caplog.text]
