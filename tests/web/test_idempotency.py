"""Idempotency-Key: the same request is done once and answered alike, for a day (contract §2, REL-01)."""

from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
import requests
from sqlalchemy import func, select

from broker import duties, idempotency
from broker.errors import Unavailable
from broker.models import ConnectSession, IdempotentAnswer
from tests.house import RETURN_URL, House, SalesApp

KEY = {"Idempotency-Key": "order-1"}


def body(app: SalesApp, **members: Any) -> dict[str, Any]:
    return {
        "tenant": app.tenant,
        "subject": app.subject,
        "provider": "google",
        "connectors": ["google_contacts"],
        "return_url": RETURN_URL,
        **members,
    }


def begin(app: SalesApp, headers: dict[str, str] = KEY, **members: Any) -> requests.Response:
    return app.call("POST", "/v1/connect-sessions", body(app, **members), headers=headers)


def sessions(house: House) -> int:
    with house.broker.database.read() as session:
        return session.scalar(select(func.count()).select_from(ConnectSession)) or 0


def test_a_repeated_request_gets_the_first_answer_and_is_done_once(house: House, app: SalesApp) -> None:
    first, again = begin(app), begin(app)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert sessions(house) == 1


def test_the_repeated_address_still_opens_the_page(app: SalesApp) -> None:
    begin(app)
    assert requests.get(begin(app).json()["url"], timeout=30).status_code == 200


def test_without_a_key_a_request_is_done_twice(house: House, app: SalesApp) -> None:
    begin(app, {})
    begin(app, {})
    assert sessions(house) == 2


def test_a_key_with_another_body_is_refused(house: House, app: SalesApp) -> None:
    begin(app)
    other = begin(app, purpose="Something else")
    assert (other.status_code, other.json()["code"]) == (422, "invalid_request")
    assert other.json()["errors"][0]["field"] == "Idempotency-Key"
    assert sessions(house) == 1


def test_a_key_with_another_address_is_refused(app: SalesApp) -> None:
    begin(app)
    assert app.call("DELETE", "/v1/connections/con_x", headers=KEY).status_code == 422


def test_another_clients_equal_key_is_its_own(house: House, app: SalesApp) -> None:
    other = house.client()
    assert begin(app).json()["id"] != begin(other).json()["id"]


def test_of_ten_equal_requests_at_once_one_is_done(house: House, app: SalesApp) -> None:
    app.bearer  # noqa: B018 - get the token before the race
    answers: list[Any] = []
    threads = [Thread(target=lambda: answers.append(begin(app).json())) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({answer["url"] for answer in answers}) == 1
    assert sessions(house) == 1


def test_a_refusal_is_repeated_too(app: SalesApp) -> None:
    first = begin(app, connectors=["nothing"])
    again = begin(app, connectors=["nothing"])
    assert first.status_code == 422
    assert first.json() == again.json()


def test_a_revocation_is_answered_alike(app: SalesApp) -> None:
    connection = app.connect("google_contacts")
    path = f"/v1/connections/{connection['id']}"
    first, again = app.call("DELETE", path, headers=KEY), app.call("DELETE", path, headers=KEY)
    assert first.json() == again.json()
    assert first.status_code == again.status_code


def test_after_a_day_the_key_is_free_again(house: House, app: SalesApp) -> None:
    first = begin(app).json()
    house.clock.advance(hours=24, seconds=1)
    app._token = ""
    assert begin(app).json()["id"] != first["id"]


def test_the_sweep_forgets_old_answers_and_their_keys(house: House, app: SalesApp) -> None:
    begin(app)
    house.clock.advance(hours=25)
    duties.sweep(house.broker)
    with house.broker.database.read() as session:
        assert session.scalar(select(func.count()).select_from(IdempotentAnswer)) == 0


def test_a_kept_answer_is_sealed(sqlite_house: House) -> None:
    """It holds a one-time address."""
    url = begin(sqlite_house.client()).json()["url"]
    path = sqlite_house.environ["BROKER_DATABASE_URL"].removeprefix("sqlite:///")
    stored = b""
    for name in (path, f"{path}-wal"):
        with open(name, "rb") as file:
            stored += file.read()
    assert url.rsplit("/", 1)[1].encode() not in stored


def test_a_claim_whose_process_died_is_taken_over_and_gives_the_same_session(house: House, app: SalesApp) -> None:
    """REL-01: the session was stored, the answer was lost."""
    first = begin(app).json()
    with house.broker.database.write() as session:
        session.scalars(select(IdempotentAnswer)).one().answer = None
    house.clock.advance(seconds=2 * house.broker.settings.request_deadline + 1)
    second = begin(app).json()
    assert second["id"] == first["id"]
    assert sessions(house) == 1
    assert requests.get(second["url"], timeout=30).status_code == 200
    assert requests.get(first["url"], timeout=30).status_code == 400


def test_while_the_first_is_being_done_a_repetition_is_told_so(house: House, app: SalesApp) -> None:
    begin(app)
    with house.broker.database.write() as session:
        session.scalars(select(IdempotentAnswer)).one().answer = None
    found = idempotency._claim(house.broker, app.client_id, b"", b"")
    assert isinstance(found, idempotency.Claim)
    house.clock.advance(**{"seconds": timedelta(seconds=1).total_seconds()})
    assert idempotency._claim(house.broker, app.client_id, b"", b"") is None


@pytest.mark.parametrize("key", ["", "x" * 256, "é"])
def test_a_key_that_is_none_is_refused(app: SalesApp, key: str) -> None:
    answer = begin(app, {"Idempotency-Key": key.encode()})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def test_a_passing_failure_is_not_kept(house: House, app: SalesApp) -> None:
    """A provider outage at confirm ends the session; but a database that refuses may be asked again."""
    connection = app.connect("google_contacts")
    database = house.broker.database
    database.before_commit.insert(0, _refuse_revocations)
    assert app.call("DELETE", f"/v1/connections/{connection['id']}", headers=KEY).status_code == 503
    database.before_commit.remove(_refuse_revocations)
    assert app.call("DELETE", f"/v1/connections/{connection['id']}", headers=KEY).status_code == 202


def _refuse_revocations(session: Any) -> None:
    if any(entry.action == "connection.revoked" for entry in session.info.get("noted", [])):
        raise Unavailable("The database refused the transaction.")
