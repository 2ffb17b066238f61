"""Fakes on ports of their own, their clocks, and clients of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from broker.sandbox.facebook import create_facebook
from broker.sandbox.google import create_google
from broker.sandbox.instagram import create_instagram
from broker.sandbox.serve import Running
from tests.sandbox.facebook_client import FacebookApp
from tests.sandbox.google_client import Client
from tests.sandbox.instagram_client import App

START = 1_800_000_000.0
"""2027-01-15T08:00:00Z"""


@dataclass
class Clock:
    now: float = START

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
    _served[1].now = START
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


@pytest.fixture(scope="session")
def _instagram_served() -> Iterator[tuple[str, Clock]]:
    clock = Clock()
    with Running(create_instagram(clock=clock)) as running:
        yield running.url, clock


@pytest.fixture
def instagram_clock(_instagram_served: tuple[str, Clock]) -> Clock:
    return _instagram_served[1]


@pytest.fixture
def instagram(_instagram_served: tuple[str, Clock]) -> Iterator[App]:
    """An app of a fake Instagram that is as at the start."""
    _instagram_served[1].now = START
    app = App(_instagram_served[0])
    app.control("reset")
    yield app
    app.http.close()


@pytest.fixture
def start_instagram() -> Iterator[Callable[..., App]]:
    """Starts a fake Instagram with settings of its own, and gives an app of it."""
    opened: list[tuple[Running, App]] = []

    def started(**settings: Any) -> App:
        running = Running(create_instagram(**settings))
        opened.append((running, App(running.url)))
        return opened[-1][1]

    yield started
    for running, app in opened:
        app.http.close()
        running.close()


@pytest.fixture(scope="session")
def _facebook_served() -> Iterator[tuple[str, Clock]]:
    clock = Clock()
    with Running(create_facebook(clock=clock)) as running:
        yield running.url, clock


@pytest.fixture
def facebook_clock(_facebook_served: tuple[str, Clock]) -> Clock:
    return _facebook_served[1]


@pytest.fixture
def facebook(_facebook_served: tuple[str, Clock]) -> Iterator[FacebookApp]:
    """An app of a fake Facebook that is as at the start."""
    _facebook_served[1].now = START
    app = FacebookApp(_facebook_served[0])
    app.control("reset")
    yield app
    app.http.close()


@pytest.fixture
def start_facebook() -> Iterator[Callable[..., FacebookApp]]:
    """Starts a fake Facebook with settings of its own, and gives an app of it."""
    opened: list[tuple[Running, FacebookApp]] = []

    def started(**settings: Any) -> FacebookApp:
        running = Running(create_facebook(**settings))
        opened.append((running, FacebookApp(running.url)))
        return opened[-1][1]

    yield started
    for running, app in opened:
        app.http.close()
        running.close()
