"""Revoke: refused here at once, told to the provider once, and an honest receipt (contract §5; design decision 7)."""

from datetime import timedelta

from tests.conformance.providers import Candidate
from tests.conformance.stage import Stage
from tests.house import SalesApp


def test_a_revocation_refuses_the_data_at_once(stage: Stage, app: SalesApp) -> None:
    """I2: before the provider has heard of anything."""
    connection = stage.connect(app)
    asked = len(stage.fake.requests())
    assert app.revoke(connection["id"]).status_code in (200, 202)
    answer = stage.read(app, connection)
    assert (answer.status_code, answer.json()["code"]) == (410, "connection_revoked")
    assert len(stage.fake.requests()) == asked


def test_the_provider_is_told_once_and_the_receipt_says_how_it_ended(
    candidate: Candidate, stage: Stage, app: SalesApp
) -> None:
    connection = stage.connect(app)
    answer = app.revoke(connection["id"])
    assert stage.receipt(app, answer)["provider_outcome"] == "pending"
    stage.house.work()
    stage.house.work()
    receipt = stage.receipt(app, answer)
    assert receipt["provider_outcome"] == candidate.outcome
    assert receipt["shredded_at"]
    assert stage.asked(candidate.told, connection) == candidate.tellings
    assert (stage.fake.live_tokens() == 0) == candidate.ends_there
    assert app.connection(connection["id"])["account"] is None


def test_a_repeated_revocation_has_the_same_receipt(candidate: Candidate, stage: Stage, app: SalesApp) -> None:
    connection = stage.connect(app)
    first = app.revoke(connection["id"]).json()["revocation"]
    stage.house.work()
    again = app.revoke(connection["id"])
    assert (again.status_code, again.json()["revocation"]["id"]) == (200, first["id"])
    stage.house.work()
    assert stage.asked(candidate.told, connection) == candidate.tellings


def test_an_outage_is_waited_out(candidate: Candidate, stage: Stage, app: SalesApp) -> None:
    connection = stage.connect(app)
    stage.fake.quirk(outage={candidate.told.at(connection["account"]["id"]): 503})
    answer = app.revoke(connection["id"])
    stage.house.work()
    receipt = stage.receipt(app, answer)
    assert receipt["provider_outcome"] == "pending"
    assert (receipt["attempts"], bool(receipt["last_error"])) == (1, True)
    assert stage.read(app, connection).status_code == 410
    stage.fake.quirk(outage=None)
    stage.later(app, by=timedelta(seconds=31))
    stage.house.work()
    assert stage.receipt(app, answer)["provider_outcome"] == candidate.outcome
    assert (stage.fake.live_tokens() == 0) == candidate.ends_there


def test_tokens_that_are_dead_already_are_gone(candidate: Candidate, stage: Stage, app: SalesApp) -> None:
    connection = stage.connect(app)
    (candidate.removed or candidate.dies)(stage.fake, candidate.ani)
    answer = app.revoke(connection["id"])
    stage.house.work()
    assert stage.receipt(app, answer)["provider_outcome"] == candidate.gone


def test_withdrawing_the_only_connector_ends_the_connection(candidate: Candidate, stage: Stage, app: SalesApp) -> None:
    connection = stage.connect(app)
    answer = app.withdraw(connection["id"], candidate.connector)
    stage.house.work()
    assert stage.receipt(app, answer)["provider_outcome"] == candidate.outcome
    assert app.connection(connection["id"])["state"] == "revoked"
    assert stage.asked(candidate.told, connection) == candidate.tellings


def test_withdrawing_one_of_two_leaves_the_other(
    candidate: Candidate, stage: Stage, app: SalesApp, second: str
) -> None:
    connection = stage.connect(app, candidate.connector, second)
    assert stage.gives_data(app, connection, second)
    app.withdraw(connection["id"], second)
    stage.house.work()
    answer = stage.read(app, connection, second)
    assert (answer.status_code, answer.json()["code"]) == (403, "grant_withdrawn")
    assert stage.gives_data(app, connection)
    assert stage.asked(candidate.told, connection) == 0


def test_connecting_again_after_a_revocation_makes_a_new_connection(stage: Stage, app: SalesApp) -> None:
    first = stage.connect(app)
    app.revoke(first["id"])
    stage.house.work()
    second = stage.connect(app)
    assert second["id"] != first["id"]
    assert stage.gives_data(app, second)
    assert stage.read(app, first).status_code == 410


def test_a_late_telling_does_not_end_a_newer_connection(candidate: Candidate, stage: Stage, app: SalesApp) -> None:
    """Design decision 5: revoked and connected again before the provider has heard of the former."""
    first = stage.connect(app)
    answer = app.revoke(first["id"])
    second = stage.connect(app)
    stage.house.work()
    assert stage.receipt(app, answer)["provider_outcome"] == "shared"
    assert stage.gives_data(app, second)
    stage.renew(app)
    assert stage.gives_data(app, second)
