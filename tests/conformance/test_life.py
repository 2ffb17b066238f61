"""The life of a token: renewed in time, kept through what passes, over when the provider says so (contract §2, §4)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from tests.conformance.providers import Candidate
from tests.conformance.stage import Stage
from tests.house import Google, SalesApp


def test_a_renewed_token_outlives_the_first(candidate: Candidate, stage: Stage, app: SalesApp) -> None:
    connection = stage.connect(app)
    before = stage.asked(candidate.renewed)
    stage.renew(app)
    assert stage.gives_data(app, connection)
    assert stage.asked(candidate.renewed) == before + 1
    stage.later(app, by=candidate.first_ends - candidate.renewed_after)
    assert stage.gives_data(app, connection)
    assert app.connection(connection["id"])["state"] == "active"


def test_many_at_once_renew_once(candidate: Candidate, stage: Stage, app: SalesApp) -> None:
    """I3."""
    connection = stage.connect(app)
    before = stage.asked(candidate.renewed)
    stage.later(app, by=candidate.renewed_after)
    assert app.bearer
    with ThreadPoolExecutor(4) as pool:
        worked = [pool.submit(stage.house.work) for _ in range(2)]
        answers = [pool.submit(app.records, connection["id"], candidate.connector) for _ in range(4)]
        assert [answer.result().status_code for answer in answers] == [200] * 4
        assert [work.result() for work in worked] == [None, None]
    assert stage.asked(candidate.renewed) == before + 1


def test_an_outage_passes(candidate: Candidate, stage: Stage, app: SalesApp) -> None:
    connection = stage.connect(app)
    stage.fake.quirk(outage={candidate.read: 503})
    answer = stage.read(app, connection)
    assert answer.status_code in (502, 503)
    assert (answer.json()["code"], answer.json()["retryable"]) == ("provider_unavailable", True)
    assert app.connection(connection["id"])["state"] == "active"
    stage.fake.quirk(outage=None)
    assert stage.gives_data(app, connection)


def test_a_lost_answer_passes(candidate: Candidate, stage: Stage, app: SalesApp) -> None:
    connection = stage.connect(app)
    stage.fake.quirk(outage={candidate.read: "reset"})
    answer = stage.read(app, connection)
    assert answer.status_code in (502, 503)
    assert (answer.json()["code"], answer.json()["retryable"]) == ("provider_unavailable", True)
    assert app.connection(connection["id"])["state"] == "active"


def test_an_outage_at_the_renewal_passes(candidate: Candidate, stage: Stage, app: SalesApp) -> None:
    """A token that is renewed ahead of its end serves meanwhile, and the duty comes back within the day."""
    connection = stage.connect(app)
    stage.fake.quirk(outage={candidate.renewed.path: 503})
    stage.renew(app)
    answer = stage.read(app, connection)
    if candidate.renewed_by_duty:
        assert answer.status_code == 200
    else:
        assert answer.status_code in (502, 503)
        assert (answer.json()["code"], answer.json()["retryable"]) == ("provider_unavailable", True)
    assert app.connection(connection["id"])["state"] == "active"
    stage.fake.quirk(outage=None)
    _a_day_later(stage, app)
    assert stage.gives_data(app, connection)
    stage.later(app, by=candidate.first_ends - candidate.renewed_after)
    assert stage.gives_data(app, connection)


def _a_day_later(stage: Stage, app: SalesApp) -> None:
    if stage.candidate.renewed_by_duty:
        stage.house.clock.advance(days=1)
    app._token = ""
    stage.house.work()


def test_a_limit_passes(candidate: Candidate, stage: Stage, app: SalesApp) -> None:
    connection = stage.connect(app)
    stage.fake.quirk(rate_limit={candidate.read: candidate.limit})
    answer = stage.read(app, connection)
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert answer.json()["retryable"] is True
    wait = int(answer.headers["Retry-After"])
    assert 0 < wait <= 3600
    assert app.connection(connection["id"])["state"] == "active"
    stage.fake.quirk(rate_limit=None)
    stage.later(app, by=timedelta(seconds=wait))
    assert stage.gives_data(app, connection)


def test_a_dead_token_asks_for_a_new_connect(candidate: Candidate, stage: Stage, app: SalesApp) -> None:
    """Never more than one look at what still stands: nothing loops."""
    connection = stage.connect(app)
    candidate.dies(stage.fake, candidate.ani)
    before = len(stage.fake.requests())
    answer = stage.read(app, connection)
    assert (answer.status_code, answer.json()["code"]) == (409, "reconnect_required")
    assert app.connection(connection["id"])["state"] == "reconnect_required"
    assert len(stage.fake.requests()) - before <= 3
    asked = len(stage.fake.requests())
    assert stage.read(app, connection).json()["code"] == "reconnect_required"
    stage.house.work()
    assert len(stage.fake.requests()) == asked


def test_a_new_connect_brings_the_connection_back(candidate: Candidate, stage: Stage, app: SalesApp) -> None:
    connection = stage.connect(app)
    candidate.dies(stage.fake, candidate.ani)
    stage.read(app, connection)
    renewed = stage.connect(app, connection=connection["id"])
    assert (renewed["id"], renewed["state"]) == (connection["id"], "active")
    assert stage.gives_data(app, renewed)


def test_a_removal_at_the_provider_ends_the_connection(
    candidate: Candidate, stage: Stage, app: SalesApp, removed: Callable[[Google, str], object]
) -> None:
    """docs/facts/meta.md §6.1, 190/458: the provider says that it was the user; the receipt says so too."""
    connection = stage.connect(app)
    removed(stage.fake, candidate.ani)
    answer = stage.read(app, connection)
    assert (answer.status_code, answer.json()["code"]) == (410, "connection_revoked")
    stage.house.work()
    assert app.connection(connection["id"])["state"] == "revoked"
    (receipt,) = app.call("GET", "/v1/revocations", params={"connection": connection["id"]}).json()["items"]
    assert (receipt["state"], receipt["connections"][0]["provider_outcome"]) == ("completed", candidate.gone)
