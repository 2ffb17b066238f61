"""A tenant's own provider app: its own registration at the provider, its own path, and nobody to share with (contract
§1; design decision 5). What else there is to it: `tests/connections/test_own_app.py`."""

import pytest

from broker import apps
from broker.secret import Secret
from tests.conformance.providers import Candidate
from tests.conformance.stage import Stage
from tests.house import Browser, SalesApp, query

CLIENT_ID = "222333444555666"


@pytest.fixture
def own(candidate: Candidate, stage: Stage) -> str:
    """The id of an app that the tenant `toko` alone uses."""
    return apps.add(
        stage.house.broker.database,
        stage.house.broker.vault,
        stage.house.clock(),
        provider=candidate.name,
        tenant="toko",
        client_id=CLIENT_ID,
        client_secret=Secret("PROVIDER-SECRET-1"),
        options={},
        secret_options={},
    )


@pytest.fixture
def neighbour(stage: Stage) -> SalesApp:
    """A tenant that uses the app of all."""
    return stage.client(tenants=("warung",), tenant="warung")


def test_it_has_a_registration_and_a_path_of_its_own(
    candidate: Candidate, stage: Stage, own: str, app: SalesApp, browser: Browser
) -> None:
    asked = query(stage.departure(app, browser=browser))
    assert asked["client_id"] == CLIENT_ID
    assert asked["redirect_uri"] == f"{app.url}/callback/{candidate.name}/{own}"


def test_it_shares_with_nobody(
    candidate: Candidate, stage: Stage, own: str, app: SalesApp, neighbour: SalesApp
) -> None:
    """The same person at the provider, by two apps: each authorization ends by itself."""
    mine, theirs = stage.connect(app), stage.connect(neighbour)
    assert stage.gives_data(app, mine)
    answer = app.revoke(mine["id"])
    stage.house.work()
    assert stage.receipt(app, answer)["provider_outcome"] == candidate.outcome
    assert stage.gives_data(neighbour, theirs)
    stage.renew(neighbour)
    assert stage.gives_data(neighbour, theirs)
