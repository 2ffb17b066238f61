"""A key store on real SQLite, a vault on it, and a clock that a test can move."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import broker.models  # noqa: F401 - declares the tables
from broker.db import Base, Database
from broker.vault import KeyRing, Vault
from tests.vault.tpb1_reference import entry

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Monotonic:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'keys.db'}")
    Base.metadata.create_all(database.engine)
    yield database
    database.dispose()


@pytest.fixture
def monotonic() -> Monotonic:
    return Monotonic()


@pytest.fixture
def ring() -> KeyRing:
    return KeyRing.parse(entry("k1", b"KEK-1"))


@pytest.fixture
def vault(ring: KeyRing, monotonic: Monotonic) -> Vault:
    return Vault(ring, clock=lambda: NOON, monotonic=monotonic)
