"""Fixtures for the life of a connection."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house import Clock, Google, House, built


@pytest.fixture(scope="module")
def shared_house(
    _fake_google: tuple[Google, Clock], _migrated_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    """One broker over SQLite for all tests of a module: for those that look at nothing but sessions of their own."""
    google, clock = _fake_google
    folder = tmp_path_factory.mktemp("shared")
    database = shutil.copy(_migrated_file, folder / "broker.db")
    with built(google, f"sqlite:///{database}", folder, clock) as house:
        yield house
