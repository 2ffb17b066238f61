"""Scopes: asked is not granted, and what was not granted gives no data (contract §3, step 5; design decisions 2 and
4)."""

from tests.conformance.providers import Candidate, Needs
from tests.conformance.stage import Stage
from tests.house import SalesApp


def test_a_connector_that_was_refused_its_scope_gives_nothing(
    candidate: Candidate, stage: Stage, app: SalesApp, required: Needs
) -> None:
    connection = stage.connect(app, *candidate.connectors, without=[required.scope])
    missing = {grant["connector"]: grant["missing_scopes"] for grant in connection["grants"]}
    assert missing == {required.connector: [required.scope]} | {candidate.connector: []}
    assert required.scope not in connection["scopes"]
    before = len(stage.fake.requests())
    answer = stage.read(app, connection, required.connector)
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
    assert (answer.json()["missing_scopes"], answer.json()["source"]) == ([required.scope], "broker")
    assert len(stage.fake.requests()) == before
    assert stage.gives_data(app, connection)


def test_what_was_refused_can_be_granted_later(
    candidate: Candidate, stage: Stage, app: SalesApp, required: Needs
) -> None:
    """docs/facts/meta.md H6: one provider asks again only if told to."""
    first = stage.connect(app, *candidate.connectors, without=[required.scope])
    second = stage.connect(app, *candidate.connectors, connection=first["id"])
    assert second["id"] == first["id"]
    assert [grant["missing_scopes"] for grant in second["grants"]] == [[], []]
    assert stage.gives_data(app, second, required.connector)


def test_a_field_that_was_refused_its_scope_is_withheld(stage: Stage, app: SalesApp, optional: Needs) -> None:
    connection = stage.connect(app, optional.connector, without=[optional.scope])
    assert optional.scope not in connection["scopes"]
    body = stage.read(app, connection, optional.connector).json()
    assert {"field": optional.field, "missing_scopes": [optional.scope]} in body["withheld"]
    assert body["records"]
    assert all(optional.field not in record for record in body["records"])


def test_nothing_granted_is_no_connection(candidate: Candidate, stage: Stage, app: SalesApp) -> None:
    refusal = candidate.refusal
    stage.fake.quirk(**refusal.quirks)
    answer = stage.connected(app, refusal.connector, without=refusal.without)
    assert (answer.status_code, answer.json()["code"]) == (409, "insufficient_scope")
    assert answer.json()["missing_scopes"]
    assert app.call("GET", "/v1/connections").json()["items"] == []


def test_what_came_of_a_refused_attempt_is_ended_there(candidate: Candidate, stage: Stage, app: SalesApp) -> None:
    """I5: no token lives on that nobody knows; where the provider ends none, that is as far as it goes."""
    refusal = candidate.refusal
    stage.fake.quirk(**refusal.quirks)
    stage.connected(app, refusal.connector, without=refusal.without)
    stage.house.work()
    assert (stage.fake.live_tokens() == 0) == candidate.ends_there
