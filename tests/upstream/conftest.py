"""A misbehaving provider, the way out to it, and every way of asking it something."""

import logging
from collections.abc import Callable, Iterator

import pytest

from broker.upstream import Upstream
from tests.upstream.certificates import Authority
from tests.upstream.hostile_peer import Peer
from tests.upstream.peers import REAL, WAYS, assert_tells_nothing


@pytest.fixture
def peer() -> Iterator[Peer]:
    server = Peer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The only one that the ways out trust."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def make(authority: Authority) -> Iterator[Callable[..., Upstream]]:
    """Makes ways out with any settings, and closes them."""
    made: list[Upstream] = []

    def upstream(peer: Peer | None = None, **settings: object) -> Upstream:
        usual = {"origins": {REAL: peer.origin} if peer else {}, "production": False, "deadline": 5.0}
        made.append(Upstream(**{**usual, "ca": authority.file, **settings}))  # type: ignore[arg-type]
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
            assert_tells_nothing(logging.Formatter().format(record))


@pytest.fixture(params=WAYS)
def ask(request: pytest.FixtureRequest) -> Callable[[Upstream], object]:
    """Each fault of the catalogue is applied to each of these (docs/facts/security.md §5.3.3)."""
    return WAYS[request.param]
