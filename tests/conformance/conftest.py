"""Each provider in turn. A module may name others than the four (`CANDIDATES`), and so runs the same behaviours."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from broker.sandbox.serve import Running, mapped
from tests.conformance.peer import create_peer
from tests.conformance.providers import CANDIDATES, Candidate, Needs
from tests.conformance.stage import Stage
from tests.house import Browser, Clock, Google, House, SalesApp
from tests.meta import SETTINGS

PARTS = ("second", "required", "optional", "foreign", "removed")
"""What not every provider has. A test that takes one runs for those that do."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test's id says the provider, and which tail or fault where it is about one."""
    of = getattr(metafunc.module, "CANDIDATES", CANDIDATES)
    taken = set(metafunc.fixturenames)
    for name, several in (("tail", "tails"), ("fault", "faults")):
        if name in taken:
            pairs = [(candidate, one) for candidate in of for one in getattr(candidate, several)]
            ids = [f"{candidate}-{''.join(one)}" for candidate, one in pairs]
            metafunc.parametrize(("candidate", name), pairs, ids=ids)
            return
    if "candidate" in taken:
        fit = [candidate for candidate in of if all(getattr(candidate, part) for part in taken & set(PARTS))]
        metafunc.parametrize("candidate", fit, ids=repr)


@pytest.fixture(scope="session")
def _openid(_fake_google: tuple[Google, Clock]) -> Iterator[Google]:
    with Running(create_peer(_fake_google[1].timestamp)) as running:
        yield Google(running.url)


@pytest.fixture
def openid(_openid: Google, clock: Clock) -> Google:
    """An OpenID provider by the book that is as at the start."""
    _openid.control("reset")
    return _openid


@pytest.fixture
def stage(
    candidate: Candidate,
    request: pytest.FixtureRequest,
    build: Callable[..., House],
    sqlite_url: str,
    google: Google,
) -> Iterator[Stage]:
    """Before the curtain falls, every answer is searched for the provider's tokens and codes (I1)."""
    fake: Google = request.getfixturevalue(candidate.fake)
    own = candidate.environ(fake.url)
    origins = [mapped({"google": google.url, candidate.name: fake.url}), own.get("BROKER_ORIGINS", "")]
    environ = {**SETTINGS, **own, "BROKER_ORIGINS": ",".join(filter(None, origins))}
    stage = Stage(candidate, build(sqlite_url, **environ), fake)
    yield stage
    assert stage.told_abroad() == []


@pytest.fixture
def app(stage: Stage) -> SalesApp:
    return stage.client()


@pytest.fixture
def browser(stage: Stage) -> Browser:
    return stage.browser()


@pytest.fixture
def second(candidate: Candidate) -> str:
    return candidate.second


@pytest.fixture
def required(candidate: Candidate) -> Needs | None:
    return candidate.required


@pytest.fixture
def optional(candidate: Candidate) -> Needs | None:
    return candidate.optional


@pytest.fixture
def foreign(candidate: Candidate) -> Any:
    return candidate.foreign


@pytest.fixture
def removed(candidate: Candidate) -> Any:
    return candidate.removed
