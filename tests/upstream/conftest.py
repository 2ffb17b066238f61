"""A misbehaving provider, the way out to it, and every way of asking it something."""

import logging
from collections.abc import Callable, Iterator

import pytest
from hostile_peer import Peer

from broker.secret import Secret
from broker.upstream import Upstream

REAL = "https://provider.example"
PINS = frozenset({REAL})
SECRETS = ["ACCESS-1", "REFRESH-1", "CODE-1", "VERIFIER-1", "CLIENT-SECRET-1", "ACCESS-2", "REFRESH-2", "QUERY-1"]


@pytest.fixture
def peer() -> Iterator[Peer]:
    server = Peer()
    yield server
    server.close()


@pytest.fixture
def make() -> Iterator[Callable[..., Upstream]]:
    """Makes ways out with any settings, and closes them."""
    made: list[Upstream] = []

    def upstream(peer: Peer | None = None, **settings: object) -> Upstream:
        mapped = {REAL: peer.origin} if peer else {}
        made.append(Upstream(**{"origins": mapped, "production": False, "deadline": 5.0, **settings}))  # type: ignore[arg-type]
        return made[-1]

    yield upstream
    for each in made:
        each.close()


@pytest.fixture
def upstream(peer: Peer, make: Callable[..., Upstream]) -> Upstream:
    return make(peer)


@pytest.fixture(autouse=True)
def _no_secret_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """G-1: with the root logger at DEBUG; `caplog.text` would be empty at teardown."""
    caplog.set_level(logging.DEBUG)
    yield
    for when in ("setup", "call"):
        for record in caplog.get_records(when):
            line = logging.Formatter().format(record)
            assert not [secret for secret in SECRETS if secret in line], line


def data(upstream: Upstream) -> object:
    url = f"{REAL}/v1/things?q=QUERY-1"
    return upstream.call("GET", url, pins=PINS, token=Secret("ACCESS-1"))


def exchange(upstream: Upstream, **changed: object) -> object:
    arguments = {
        "endpoint": f"{REAL}/token",
        "pins": PINS,
        "client_id": "client-1",
        "client_secret": Secret("CLIENT-SECRET-1"),
        "code": Secret("4/CODE-1+a b"),
        "code_verifier": Secret("VERIFIER-1"),
        "redirect_uri": "https://broker.example/callback/google",
    }
    return upstream.exchange(**{**arguments, **changed})  # type: ignore[arg-type]


def refresh(upstream: Upstream, **changed: object) -> object:
    arguments = {
        "endpoint": f"{REAL}/token",
        "pins": PINS,
        "client_id": "client-1",
        "client_secret": Secret("CLIENT-SECRET-1"),
        "refresh_token": Secret("1//REFRESH-1"),
    }
    return upstream.refresh(**{**arguments, **changed})  # type: ignore[arg-type]


def revoke(upstream: Upstream, **changed: object) -> object:
    arguments = {
        "endpoint": f"{REAL}/revoke",
        "pins": PINS,
        "client_id": "client-1",
        "client_secret": None,
        "token": Secret("1//REFRESH-1"),
    }
    return upstream.revoke(**{**arguments, **changed})  # type: ignore[arg-type]


WAYS: dict[str, Callable[[Upstream], object]] = {
    "data": data,
    "exchange": exchange,
    "refresh": refresh,
    "revoke": revoke,
}


@pytest.fixture(params=WAYS)
def ask(request: pytest.FixtureRequest) -> Callable[[Upstream], object]:
    """Each fault of the catalogue is applied to each of these (docs/facts/security.md §5.3.3)."""
    return WAYS[request.param]
