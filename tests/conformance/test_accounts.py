"""Accounts: a second one, the same again, another by mistake, and one that two tenants share (contract §3, §5)."""

import pytest

from tests.conformance.providers import Candidate
from tests.conformance.stage import Stage
from tests.house import SalesApp


def test_the_same_account_again_is_the_same_connection(stage: Stage, app: SalesApp) -> None:
    first, second = stage.connect(app), stage.connect(app)
    assert (second["id"], second["account"]) == (first["id"], first["account"])
    assert len(app.call("GET", "/v1/connections").json()["items"]) == 1
    assert stage.gives_data(app, second)


def test_a_connection_can_be_extended_by_a_connector(
    candidate: Candidate, stage: Stage, app: SalesApp, second: str
) -> None:
    """Where a new authorization holds only what is asked for in it, what the others need is asked for again."""
    first = stage.connect(app)
    more = stage.connect(app, second, connection=first["id"])
    assert more["id"] == first["id"]
    assert {grant["connector"] for grant in more["grants"]} == {candidate.connector, second}
    assert stage.gives_data(app, more, candidate.connector)
    assert stage.gives_data(app, more, second)


def test_a_second_account_is_another_connection(candidate: Candidate, stage: Stage, app: SalesApp) -> None:
    first, second = stage.connect(app), stage.connect(app, account=candidate.budi)
    assert first["id"] != second["id"]
    assert first["account"]["id"] != second["account"]["id"]
    for connection in (first, second):
        assert stage.gives_data(app, connection)


def test_another_account_by_mistake_changes_nothing(candidate: Candidate, stage: Stage, app: SalesApp) -> None:
    first = stage.connect(app)
    before = app.connection(first["id"])
    answer = stage.connected(app, connection=first["id"], account=candidate.budi)
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_account")
    assert app.connection(first["id"]) == before
    assert len(app.call("GET", "/v1/connections").json()["items"]) == 1
    assert stage.gives_data(app, first)


def test_what_came_of_the_mistake_is_ended_there(candidate: Candidate, stage: Stage, app: SalesApp) -> None:
    """I5; and the account that is connected goes on, at its next renewal too."""
    first = stage.connect(app)
    before = stage.fake.live_tokens()
    stage.connected(app, connection=first["id"], account=candidate.budi)
    stage.house.work()
    assert (stage.fake.live_tokens() == before) == candidate.ends_there
    stage.renew(app)
    assert stage.gives_data(app, first)


def test_a_dead_connection_comes_back_by_its_own_account_alone(
    candidate: Candidate, stage: Stage, app: SalesApp
) -> None:
    """docs/facts/meta.md H12: the dialog is opened anew, and the account that comes back is compared."""
    first = stage.connect(app)
    candidate.dies(stage.fake, candidate.ani)
    stage.read(app, first)
    answer = stage.connected(app, connection=first["id"], account=candidate.budi)
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_account")
    assert app.connection(first["id"])["state"] == "reconnect_required"
    assert stage.connect(app, connection=first["id"])["state"] == "active"
    assert stage.gives_data(app, first)


# --- one account, two tenants --------------------------------------------------------------------------------


@pytest.fixture
def neighbour(stage: Stage) -> SalesApp:
    return stage.client(tenants=("warung",), tenant="warung")


def test_two_tenants_read_and_renew_the_same_account(
    candidate: Candidate, stage: Stage, app: SalesApp, neighbour: SalesApp
) -> None:
    first, other = stage.connect(app), stage.connect(neighbour)
    assert first["id"] != other["id"]
    assert first["account"]["id"] == other["account"]["id"]
    renewed = stage.asked(candidate.renewed)
    stage.renew(app, neighbour)
    assert stage.gives_data(app, first)
    assert stage.gives_data(neighbour, other)
    assert stage.asked(candidate.renewed) == renewed + 2


def test_neither_tenant_sees_the_other(stage: Stage, app: SalesApp, neighbour: SalesApp) -> None:
    """I6."""
    first, other = stage.connect(app), stage.connect(neighbour)
    assert stage.read(app, other).status_code == stage.read(neighbour, first).status_code == 404
    assert app.revoke(other["id"]).status_code == 404
    assert [item["id"] for item in app.call("GET", "/v1/connections").json()["items"]] == [first["id"]]


def test_revoking_one_leaves_the_other(candidate: Candidate, stage: Stage, app: SalesApp, neighbour: SalesApp) -> None:
    first, other = stage.connect(app), stage.connect(neighbour)
    answer = app.revoke(first["id"])
    stage.house.work()
    receipt = stage.receipt(app, answer)
    assert receipt["provider_outcome"] == "shared"
    assert receipt["shredded_at"]
    assert stage.asked(candidate.told, first) == 0
    assert stage.read(app, first).status_code == 410
    assert stage.gives_data(neighbour, other)
    stage.renew(neighbour)
    assert stage.gives_data(neighbour, other)


def test_revoking_the_last_tells_the_provider(
    candidate: Candidate, stage: Stage, app: SalesApp, neighbour: SalesApp
) -> None:
    first, other = stage.connect(app), stage.connect(neighbour)
    app.revoke(first["id"])
    stage.house.work()
    answer = neighbour.revoke(other["id"])
    stage.house.work()
    assert stage.receipt(neighbour, answer)["provider_outcome"] == candidate.outcome
    assert stage.asked(candidate.told, other) >= candidate.tellings
    assert (stage.fake.live_tokens() == 0) == candidate.ends_there
