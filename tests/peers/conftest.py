"""Servers that nobody here wrote, as processes: the broker's own reading of a standard is no proof that it is right."""

from collections.abc import Callable, Iterator

import pytest

from broker.sandbox.serve import origins
from tests.house import Google, House
from tests.peers.certified import Certified
from tests.peers.certified import certified as certified_provider
from tests.peers.emulated import Emulated
from tests.peers.nano import Nano
from tests.peers.nano import nano as made
from tests.processes import Processes

NAMED = "https://id.named.example"
"""An issuer by a name of its own, as in production; BROKER_ORIGINS says where it is."""


@pytest.fixture(scope="session")
def _peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    processes = Processes(tmp_path_factory.mktemp("peers"))
    try:
        yield processes
    finally:
        processes.end()


@pytest.fixture(scope="session")
def _nanos(_peers: Processes) -> tuple[Nano, Nano]:
    """Both at once, for they take a second to start."""
    started = made(_peers, "nano").start(), made(_peers, "named", issuer=NAMED).start()
    return started[0].wait(), started[1].wait()


@pytest.fixture
def nano(_nanos: tuple[Nano, Nano]) -> Nano:
    """A provider on this machine, as a developer runs one. It promises no `iss` in its callback."""
    _nanos[0].forget()
    return _nanos[0]


@pytest.fixture
def named(_nanos: tuple[Nano, Nano]) -> Nano:
    """A provider with a name of its own, https; such a one puts `iss` into its callback (RFC 9207)."""
    _nanos[1].forget()
    return _nanos[1]


@pytest.fixture(scope="session")
def _mortal(_peers: Processes) -> Nano:
    return made(_peers, "mortal")


@pytest.fixture
def mortal(_mortal: Nano) -> Iterator[Nano]:
    """A provider that may be killed, stopped and configured anew; no other test sees it."""
    _mortal.revive()
    _mortal.configure(scopes_supported=None)
    _mortal.forget()
    yield _mortal
    _mortal.revive()


@pytest.fixture
def house(build: Callable[..., House], sqlite_url: str, google: Google, nano: Nano, named: Nano) -> House:
    """A broker that knows both."""
    origin_map = f"{origins(google.url)},{NAMED}={named.url}"
    return build(sqlite_url, **nano.environ(), **named.environ("named"), BROKER_ORIGINS=origin_map)


@pytest.fixture(scope="session")
def certified(_peers: Processes) -> Certified:
    started = certified_provider(_peers)
    started.process.wait_until(lambda: started.process.said().count("http://") > 0, "its address")
    return started


@pytest.fixture
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulated]:
    """In Google's place, not started yet."""
    processes = Processes(tmp_path_factory.mktemp("emulated"))
    try:
        yield Emulated(processes)
    finally:
        processes.end()
