"""A fake Google on a port of its own, its clock, and clients of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from broker.sandbox.google import create_google
from broker.sandbox.serve import Running
from tests.sandbox.google_client import Client


@dataclass
class Clock:
    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="session")
def _served() -> Iterator[tuple[str, Clock]]:
    clock = Clock()
    with Running(create_google(clock=clock)) as running:
        yield running.url, clock


@pytest.fixture
def clock(_served: tuple[str, Clock]) -> Clock:
    return _served[1]


@pytest.fixture
def google(_served: tuple[str, Clock]) -> Iterator[Client]:
    """A client of a fake that is as at the start."""
    client = Client(_served[0])
    client.control("reset")
    yield client
    client.http.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Client]]:
    """Starts a fake with settings of its own, and gives a client of it."""
    opened: list[tuple[Running, Client]] = []

    def started(**settings: Any) -> Client:
        running = Running(create_google(**settings))
        opened.append((running, Client(running.url)))
        return opened[-1][1]

    yield started
    for running, client in opened:
        client.http.close()
        running.close()
