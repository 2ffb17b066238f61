"""Fixtures that all tests share: databases (`tests.postgres`), and a house to live in."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import hypothesis
import pytest

from broker.connections import use
from broker.sandbox.google import create_google
from broker.sandbox.serve import Running
from tests.house import Browser, Clock, Google, House, SalesApp, built

pytest_plugins = ("tests.postgres", "tests.processes", "tests.meta")

hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")
"""A machine that does other things besides is slow at times; that is no failure."""

SECRETS = ("PROVIDER-SECRET-1", "PROVIDER-SECRET-2", "PROVIDER-SECRET-3")
"""Loud constants that must stand in no log, whatever the level."""


@pytest.fixture(autouse=True)
def no_secret_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fails any test during which a known secret was logged, at DEBUG too (I1, G-1)."""
    caplog.set_level(logging.DEBUG)
    yield
    logged = "\n".join(record.getMessage() for when in ("setup", "call") for record in caplog.get_records(when))
    assert not [secret for secret in SECRETS if secret in logged]


@pytest.fixture(autouse=True)
def revocations_in_this_process_wait_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each waits before it answers, and there are thousands. What the wait is for is tested with real processes."""
    monkeypatch.setattr(use, "WAIT", use.RELIED_ON + 0.05)


@pytest.fixture(scope="session")
def _fake_google() -> Iterator[tuple[Google, Clock]]:
    clock = Clock()
    with Running(create_google(clock=clock.timestamp)) as running:
        yield Google(running.url), clock


@pytest.fixture
def clock(_fake_google: tuple[Google, Clock]) -> Iterator[Clock]:
    """The time for the broker and the fake Google."""
    clock = _fake_google[1]
    clock.moved *= 0
    yield clock
    clock.moved *= 0


@pytest.fixture
def google(_fake_google: tuple[Google, Clock], clock: Clock) -> Google:
    """A fake Google that is as at the start."""
    google = _fake_google[0]
    google.control("reset")
    return google


@pytest.fixture
def build(google: Google, clock: Clock, tmp_path: Path) -> Iterator[Callable[..., House]]:
    """Builds houses with settings of their own: `build(database_url, BROKER_…="…")`."""
    with ExitStack() as stack:
        yield lambda url, **more: stack.enter_context(built(google, url, tmp_path, clock, **more))


@pytest.fixture
def house(build: Callable[..., House], database_url: str) -> House:
    """The broker over each kind of database in turn."""
    return build(database_url)


@pytest.fixture
def sqlite_house(build: Callable[..., House], sqlite_url: str) -> House:
    """The broker over SQLite alone, for what no database has a part in."""
    return build(sqlite_url)


@pytest.fixture
def app(house: House) -> SalesApp:
    """A sales app and sync job in one, with a token for all of contract §3–§5."""
    return house.client()


@pytest.fixture
def browser() -> Browser:
    return Browser()
