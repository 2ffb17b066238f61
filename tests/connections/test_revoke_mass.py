"""`POST /v1/revocations` (contract §5): all that match end, under one receipt, however many ask and whatever dies
meanwhile. docs/facts/security.md REL-32, REL-36.
"""

import secrets
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from broker.clients import Caller
from broker.connections import mass, use
from broker.connections.mass import Wanted
from broker.db import Base
from broker.models import AuditEntry, Authorization, Connection, Duty, Grant, Revocation
from tests.connections.test_revoke import code, of_kios, revocation
from tests.house import BUDI, House, SalesApp

OPERATOR = Caller("operator", frozenset(), frozenset({"*"}), frozenset(), frozenset())


def revoke_all(app: SalesApp, *, dry_run: bool = False, **wanted: str) -> requests.Response:
    body = {"tenant": app.tenant, **wanted}
    return app.call("POST", "/v1/revocations", body, params={"dry_run": "true"} if dry_run else {})


def ended(receipt: dict[str, Any]) -> set[tuple[str, str]]:
    return {(item["id"], item["ended"]) for item in receipt["connections"]}


def many(session: Session, like: str, count: int) -> list[str]:
    """Further connections like this one, each of another subject and account; nothing opens that is sealed in them."""
    (row,), grants = _copied(session, Connection, id=like), _copied(session, Grant, connection_id=like)
    made = [
        row | {"id": f"con_{secrets.token_hex(16)}", "subject": f"s{n}", "account_index": secrets.token_bytes(32)}
        for n in range(count)
    ]
    own = [
        grant | {"id": f"gra_{secrets.token_hex(16)}", "connection_id": one["id"]} for one in made for grant in grants
    ]
    session.execute(insert(Authorization), [{name: one[name] for name in ("app_id", "account_index")} for one in made])
    session.execute(insert(Connection), made)
    session.execute(insert(Grant), own)
    return [one["id"] for one in made]


def _copied(session: Session, table: type[Base], **which: str) -> list[dict[str, Any]]:
    rows = session.scalars(select(table).filter_by(**which)).all()
    return [{column.key: getattr(row, column.key) for column in table.__table__.columns} for row in rows]


def more(house: House, like: str, count: int) -> list[str]:
    with house.broker.database.write() as session:
        return many(session, like, count)


def completions(house: House) -> list[str]:
    """Receipts whose completion was announced, once each time."""
    with house.broker.database.read() as session:
        rows = session.scalars(select(AuditEntry).where(AuditEntry.action == "revocation.completed"))
        return [row.detail.split('"revocation":"')[1].split('"')[0] for row in rows]


# --- what matches --------------------------------------------------------------------------------------------


def test_everything_of_a_subject_ends_under_one_receipt_and_nothing_of_another(house: House, app: SalesApp) -> None:
    budi, stranger = house.client(subject="budi"), of_kios(house)
    mine = {app.connect()["id"], app.connect(account=BUDI)["id"]}
    others = [(budi, budi.connect()["id"]), (stranger, stranger.connect()["id"])]
    answer = revoke_all(app, subject="ani", reason="left the company")
    receipt = revocation(answer)
    assert answer.status_code == 202
    assert ended(receipt) == {(connection, "connection") for connection in mine}
    assert (receipt["subject"], receipt["provider"], receipt["reason"]) == ("ani", None, "left the company")
    assert {code(app.records(connection)) for connection in mine} == {(410, "connection_revoked")}
    assert {client.records(connection).status_code for client, connection in others} == {200}
    house.work()
    done = app.receipt(receipt["id"])
    assert (done["state"], {item["provider_outcome"] for item in done["connections"]}) == (
        "completed",
        {"shared", "confirmed"},
    )
    assert completions(house) == [receipt["id"]]


def test_one_connector_ends_with_its_connection_where_it_was_the_last(sqlite_house: House) -> None:
    app, budi = sqlite_house.client(), sqlite_house.client(subject="budi")
    both, alone = app.connect()["id"], budi.connect("google_calendar", account=BUDI)["id"]
    receipt = revocation(revoke_all(app, connector="google_calendar"))
    assert ended(receipt) == {(both, "grant"), (alone, "connection")}
    assert {item["connector"] for item in receipt["connections"]} == {"google_calendar"}
    assert code(app.records(both, "google_calendar")) == (403, "grant_withdrawn")
    assert app.records(both).status_code == 200
    assert code(budi.records(alone, "google_calendar")) == (410, "connection_revoked")


def test_another_provider_is_not_touched(sqlite_house: House) -> None:
    app = sqlite_house.client()
    connection = app.connect()["id"]
    assert revocation(revoke_all(app, provider="facebook"))["connections"] == []
    assert app.records(connection).status_code == 200
    assert ended(revocation(revoke_all(app, provider="google"))) == {(connection, "connection")}


def test_what_is_under_way_is_not_connected_afterwards(sqlite_house: House) -> None:
    """The user was asked before the tenant was ended: no connection may come of it a moment later."""
    app = sqlite_house.client()
    returned = app.pending()
    receipt = revocation(revoke_all(app, subject="ani"))
    assert (receipt["connections"], receipt["state"]) == ([], "completed")
    assert app.confirm(returned).status_code == 403
    assert app.call("GET", "/v1/connections").json()["items"] == []
    assert app.connect()["state"] == "active"


def test_a_job_that_runs_while_its_tenant_is_ended_gets_no_data(sqlite_house: House) -> None:
    """REL-36."""
    app, job = sqlite_house.client(), sqlite_house.client()
    connection = app.connect()["id"]
    assert job.bearer
    sqlite_house.google.quirk(delay={"/v1/people": 1.0})
    with ThreadPoolExecutor(1) as jobs:
        reading = jobs.submit(job.records, connection)
        deadline = time.monotonic() + 10
        while not sqlite_house.google.requests("/v1/people") and time.monotonic() < deadline:
            time.sleep(0.02)
        revoke_all(app)
        assert code(reading.result()) == (410, "connection_revoked")


# --- repeated, and at once -----------------------------------------------------------------------------------


def test_twenty_at_once_share_one_receipt(house: House, app: SalesApp) -> None:
    """REL-32: whoever asks for the same while it is being done goes on with the same receipt."""
    first = app.connect()["id"]
    wanted = {first, *more(house, first, 30)}
    with ThreadPoolExecutor(20) as callers:
        answers = list(callers.map(lambda _: revoke_all(app), range(20)))
    assert {answer.status_code for answer in answers} <= {200, 202}
    assert [answer.status_code for answer in answers].count(202) == 1
    (receipt,) = {revocation(answer)["id"] for answer in answers}
    shown = app.receipt(receipt)
    assert sorted(item["id"] for item in shown["connections"]) == sorted(wanted)
    with house.broker.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Revocation)) == 1
        assert (
            session.scalar(select(func.count()).select_from(Duty).where(Duty.kind == mass.END_MATCHING, Duty.open)) == 0
        )


def test_repeated_it_answers_200_with_the_same_receipt_until_something_matches_again(
    house: House, app: SalesApp
) -> None:
    app.connect()
    first = revocation(revoke_all(app))
    house.work()
    again = revoke_all(app)
    assert (again.status_code, revocation(again)) == (200, app.receipt(first["id"]))
    connection = app.connect()["id"]
    newer = revocation(revoke_all(app))
    assert newer["id"] != first["id"]
    assert ended(newer) == {(connection, "connection")}
    assert revocation(revoke_all(app, subject="ani"))["id"] not in (first["id"], newer["id"])


def test_what_never_matched_has_an_empty_completed_receipt(sqlite_house: House) -> None:
    app = sqlite_house.client()
    answer = revoke_all(app, subject="nobody")
    receipt = revocation(answer)
    assert (answer.status_code, receipt["state"], receipt["connections"]) == (200, "completed", [])
    assert revocation(revoke_all(app, subject="nobody")) == receipt == app.receipt(receipt["id"])
    assert completions(sqlite_house) == [receipt["id"]]


def test_it_waits_once_however_many_it_ends(sqlite_house: House) -> None:
    """I2."""
    app = sqlite_house.client()
    more(sqlite_house, app.connect()["id"], 20)
    began = time.monotonic()
    assert len(revocation(revoke_all(app))["connections"]) == 21
    assert use.WAIT <= time.monotonic() - began < 10 * use.WAIT
    assert app.bearer
    began = time.monotonic()
    revoke_all(app)
    assert time.monotonic() - began >= use.WAIT


# --- too many for one request, or for one process -----------------------------------------------------------


def test_what_does_not_end_within_the_deadline_is_503_and_goes_on_when_repeated(
    house: House, app: SalesApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    more(house, app.connect()["id"], 8)
    monkeypatch.setattr(mass, "BATCH", 3)
    monkeypatch.setattr(mass, "ENOUGH", 0.0)
    answers = [revoke_all(app) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [503, 503, 503, 200]
    assert (code(answers[1]), answers[1].json()["retryable"]) == ((503, "unavailable"), True)
    assert answers[1].json()["detail"].startswith("6 are ended so far")
    receipt = revocation(answers[3])
    assert len(ended(receipt)) == 9
    assert len(app.call("GET", "/v1/revocations").json()["items"]) == 1


def test_an_open_receipt_says_so_and_a_duty_goes_on_where_nobody_repeats(
    house: House, app: SalesApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it does not end what was connected since: nobody asked for that."""
    more(house, app.connect()["id"], 5)
    monkeypatch.setattr(mass, "BATCH", 2)
    monkeypatch.setattr(mass, "ENOUGH", 0.0)
    assert revoke_all(app).status_code == 503
    (opened,) = app.call("GET", "/v1/revocations").json()["items"]
    assert (opened["state"], opened["effective_at"], len(opened["connections"])) == ("in_progress", None, 2)
    house.clock.advance(minutes=5)
    newer = house.client(subject="budi").connect(account=BUDI)["id"]
    monkeypatch.undo()
    house.work()
    receipt = app.receipt(opened["id"])
    assert len(ended(receipt)) == 6
    assert receipt["effective_at"]
    assert app.connection(newer)["state"] == "active"


def test_a_batch_that_fails_is_undone_whole(sqlite_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    app = sqlite_house.client()
    connection = app.connect()["id"]

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(mass, "add_items", fails)
    assert revoke_all(app).status_code == 500
    assert app.records(connection).status_code == 200
    monkeypatch.undo()
    assert ended(revocation(revoke_all(app))) == {(connection, "connection")}


def test_receipts_show_some_in_lists_and_all_by_themselves(sqlite_house: House) -> None:
    app = sqlite_house.client()
    more(sqlite_house, app.connect()["id"], 60)
    receipt = revocation(revoke_all(app))
    (listed,) = app.call("GET", "/v1/revocations").json()["items"]
    assert (len(receipt["connections"]), len(listed["connections"]), listed["cut"]) == (61, 50, True)
    assert "jws" not in listed
    assert "cut" not in receipt


def test_progress_is_told_batch_by_batch(sqlite_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    app = sqlite_house.client()
    more(sqlite_house, app.connect()["id"], 4)
    monkeypatch.setattr(mass, "BATCH", 2)
    seen: list[tuple[int, int]] = []
    mass.end_all(sqlite_house.broker, OPERATOR, Wanted("toko"), None, lambda *told: seen.append(told))
    assert seen == [(0, 5), (2, 5), (4, 5), (5, 5)]


# --- dry run, and who may ------------------------------------------------------------------------------------


def test_a_dry_run_changes_nothing_and_names_siblings_of_the_callers_tenants(house: House, app: SalesApp) -> None:
    both, stranger = house.client(tenants=("toko", "kios")), of_kios(house)
    mine, foreign = app.connect()["id"], stranger.connect()["id"]
    sibling = house.client(subject="budi").connect("google_contacts")["id"]
    asked: list[tuple[SalesApp, dict[str, str], Collection[str], Collection[str]]] = [
        (app, {"subject": "ani"}, [mine], [sibling]),
        (both, {"subject": "ani"}, [mine], [sibling, foreign]),
        (app, {}, [mine, sibling], []),
    ]
    for client, wanted, ends, beside in asked:
        answer = revoke_all(client, dry_run=True, **wanted)
        assert answer.status_code == 200
        assert {item["connection"] for item in answer.json()["would_end"]} == set(ends)
        assert {item["connection"] for item in answer.json()["siblings"]} == set(beside)
    one = revoke_all(app, dry_run=True, connector="google_contacts").json()["would_end"]
    assert sorted(one, key=str) == sorted(
        [{"connection": mine, "connector": "google_contacts"}, {"connection": sibling}], key=str
    )
    assert app.call("GET", "/v1/revocations").json()["items"] == []
    assert app.records(mine).status_code == 200


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_foreign_tenant_is_not_found_and_the_scope_is_needed(sqlite_house: House, dry_run: bool) -> None:
    app, stranger, job = sqlite_house.client(), of_kios(sqlite_house), sqlite_house.client("records:read")
    connection = app.connect()["id"]
    assert code(revoke_all(stranger, dry_run=dry_run, tenant="toko")) == (404, "not_found")
    assert code(revoke_all(stranger, dry_run=dry_run, tenant="no-such")) == (404, "not_found")
    assert code(revoke_all(job, dry_run=dry_run)) == (403, "forbidden")
    assert app.records(connection).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"tenant": "toko", "all": True},
        {"tenant": ""},
        {"tenant": "*"},
        {"tenant": "toko", "subject": None},
        {"tenant": "toko", "subject": ""},
        {"tenant": "toko", "subject": "ani", "connector": None},
        {"tenant": "toko", "provider": None},
    ],
)
def test_a_body_that_is_not_clear_ends_nothing(sqlite_house: House, body: dict[str, Any]) -> None:
    app = sqlite_house.client()
    connection = app.connect()["id"]
    assert code(app.call("POST", "/v1/revocations", body)) == (422, "invalid_request")
    assert app.records(connection).status_code == 200
