"""Confirm: the sales app's server says who is logged in; now, and only now, the code is exchanged (contract §3, step
5)."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from tests.conformance.providers import Candidate
from tests.conformance.stage import Stage
from tests.house import SalesApp


def test_a_confirmation_makes_a_connection_that_gives_data(candidate: Candidate, stage: Stage, app: SalesApp) -> None:
    connection = stage.connect(app)
    assert (connection["state"], connection["provider"]) == ("active", candidate.name)
    assert frozenset(connection["scopes"]) == candidate.scopes
    assert [grant["missing_scopes"] for grant in connection["grants"]] == [[]]
    assert connection["account"]["id"] != ""
    assert stage.gives_data(app, connection)
    assert stage.asked(candidate.exchanged) == 1


def test_a_repeated_confirmation_is_answered_alike(candidate: Candidate, stage: Stage, app: SalesApp) -> None:
    returned = stage.pending(app)
    answers = [stage.confirm(app, returned) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert answers[0].json() == answers[1].json() == answers[2].json()
    assert stage.asked(candidate.exchanged) == 1


def test_another_subject_is_refused(candidate: Candidate, stage: Stage, app: SalesApp) -> None:
    """I8: who starts a connect ends up connected, and nobody else."""
    returned = stage.pending(app)
    answer = app.confirm(returned, subject="budi")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert stage.asked(candidate.exchanged) == 0


def test_another_code_is_refused(candidate: Candidate, stage: Stage, app: SalesApp) -> None:
    returned = stage.pending(app)
    answer = app.confirm({**returned, "code": "C" * 43})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert stage.asked(candidate.exchanged) == 0


def test_another_client_does_not_know_the_session(candidate: Candidate, stage: Stage, app: SalesApp) -> None:
    assert stage.client().confirm(stage.pending(app)).status_code == 404
    assert stage.asked(candidate.exchanged) == 0


def test_unconfirmed_it_ends_without_a_token(candidate: Candidate, stage: Stage, app: SalesApp) -> None:
    returned = stage.pending(app)
    stage.later(app, by=timedelta(minutes=11))
    assert stage.confirm(app, returned).status_code == 403
    assert app.status(returned["session"]) == "expired"
    assert (stage.asked(candidate.exchanged), stage.fake.live_tokens()) == (0, 0)


def test_an_outage_ends_the_session_and_nothing_else(candidate: Candidate, stage: Stage, app: SalesApp) -> None:
    returned = stage.pending(app)
    stage.fake.quirk(outage={candidate.exchanged.path: 503})
    answer = stage.confirm(app, returned)
    assert (answer.status_code, answer.json()["code"]) == (502, "provider_unavailable")
    assert app.status(returned["session"]) == "failed"
    stage.fake.quirk(outage=None)
    assert stage.confirm(app, returned).json()["code"] == "provider_unavailable"
    assert app.call("GET", "/v1/connections").json()["items"] == []
    assert stage.gives_data(app, stage.connect(app))


def test_a_limit_at_the_exchange_ends_the_session(candidate: Candidate, stage: Stage, app: SalesApp) -> None:
    returned = stage.pending(app)
    stage.fake.quirk(rate_limit={candidate.exchanged.path: candidate.limit})
    answer = stage.confirm(app, returned)
    assert (answer.status_code, answer.json()["code"]) == (502, "provider_unavailable")
    assert app.status(returned["session"]) == "failed"
    assert app.call("GET", "/v1/connections").json()["items"] == []


def test_a_token_of_another_app_is_refused(stage: Stage, app: SalesApp, foreign: Mapping[str, Any]) -> None:
    """docs/facts/meta.md §1.8: else somebody brings another app's token; docs/facts/security.md STD-18."""
    returned = stage.pending(app)
    stage.fake.quirk(**foreign)
    answer = stage.confirm(app, returned)
    assert (answer.status_code, answer.json()["code"]) == (502, "provider_unavailable")
    assert answer.json()["retryable"] is False
    assert app.call("GET", "/v1/connections").json()["items"] == []
