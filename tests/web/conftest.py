"""One house for all tests of a file that do not need their own: each has a subject of its own there."""

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house import Clock, Google, House, SalesApp, built

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def shared_house(
    _fake_google: tuple[Google, Clock], _migrated_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    google, clock = _fake_google
    folder = tmp_path_factory.mktemp("shared")
    shutil.copy(_migrated_file, folder / "broker.db")
    with built(google, f"sqlite:///{folder / 'broker.db'}", folder, clock) as house:
        yield house


@pytest.fixture(scope="module")
def _shared_client(shared_house: House) -> SalesApp:
    return shared_house.client()


@pytest.fixture
def user(_shared_client: SalesApp, clock: Clock) -> SalesApp:
    """A sales app for whom a subject is logged in whom no other test knows."""
    known = _shared_client
    return SalesApp(known.url, known.client_id, known.client_secret, subject=f"user-{next(_NUMBERS)}")
