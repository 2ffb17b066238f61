"""A key store on a real database, a vault on it, and a clock that a test can move."""

from collections.abc import Iterator

import pytest

from broker.db import Database
from broker.vault import KeyRing, Vault
from tests.vault.acts import NOON, Source
from tests.vault.tpb1_reference import entry


class Monotonic:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def sqlite(sqlite_url: str) -> Iterator[Database]:
    """For what no kind of database has a part in, and for what only SQLite lets happen."""
    database = Database(sqlite_url)
    yield database
    database.dispose()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Each kind of database in turn."""
    database = Database(database_url)
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


@pytest.fixture
def source() -> Source:
    """The vault's key, in a service that counts and can fail."""
    return Source.parse(entry("k1", b"KEK-1"))


@pytest.fixture
def counted(source: Source, monotonic: Monotonic) -> Vault:
    return Vault(source, clock=lambda: NOON, monotonic=monotonic)
