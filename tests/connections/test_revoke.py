"""Revoking a grant and a connection: denied here at once, one receipt, nothing for strangers (contract §5).

docs/facts/security.md REL-32, REL-36; docs/adr/0007. The provider's side: test_tell.py. In flight:
test_revoke_in_flight.py.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from sqlalchemy import event, select, text, update
from sqlalchemy.exc import OperationalError

from broker.connections import use
from broker.models import Authorization, Connection, Revocation
from tests.house import BUDI, House, SalesApp


def code(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code")


def revocation(answer: requests.Response) -> dict[str, Any]:
    assert answer.status_code in (200, 202), answer.text
    return dict(answer.json()["revocation"])


def of_kios(house: House, *scopes: str) -> SalesApp:
    """A client of another tenant, whose user connects the same account at Google."""
    return house.client(*scopes, tenants=("kios",), tenant="kios", subject="dewi")


# --- one connector -------------------------------------------------------------------------------------------


def test_a_withdrawn_connector_gives_no_data_and_the_other_keeps_reading(house: House, app: SalesApp) -> None:
    connection = app.connect()["id"]
    receipt = revocation(app.withdraw(connection, "google_calendar"))
    assert code(app.records(connection, "google_calendar")) == (403, "grant_withdrawn")
    assert app.records(connection, "google_contacts").status_code == 200
    assert receipt["state"] == "completed"
    assert app.connection(connection)["state"] == "active"
    house.work()
    assert house.google.requests("/revoke") == []


def test_a_withdrawal_stands_on_the_grant_and_in_a_receipt_of_its_own(sqlite_house: House) -> None:
    app = sqlite_house.client()
    connection = app.connect()["id"]
    receipt = revocation(app.withdraw(connection, "google_calendar"))
    (item,) = receipt["connections"]
    assert (item["ended"], item["connector"], item["provider_outcome"]) == ("grant", "google_calendar", "shared")
    assert item["shredded_at"] is None
    withdrawn = {grant["connector"]: grant["withdrawn_at"] for grant in app.connection(connection)["grants"]}
    assert withdrawn["google_calendar"]
    assert withdrawn["google_contacts"] is None
    assert app.receipt(receipt["id"]) == receipt


def test_withdrawing_the_last_connector_revokes_the_connection(house: House, app: SalesApp) -> None:
    connection = app.connect()["id"]
    app.withdraw(connection, "google_calendar")
    answer = app.withdraw(connection, "google_contacts")
    assert answer.status_code == 202
    assert revocation(answer)["connections"][0]["ended"] == "connection"
    assert code(app.records(connection, "google_contacts")) == (410, "connection_revoked")
    house.work()
    assert app.connection(connection)["state"] == "revoked"
    assert house.google.live_tokens() == 0


def test_two_withdrawals_at_once_end_the_connection_and_not_just_both_connectors(house: House, app: SalesApp) -> None:
    connection = app.connect()["id"]
    with ThreadPoolExecutor(2) as both:
        names = ("google_contacts", "google_calendar")
        receipts = list(both.map(lambda name: revocation(app.withdraw(connection, name)), names))
    assert sorted(receipt["connections"][0]["ended"] for receipt in receipts) == ["connection", "grant"]
    assert app.connection(connection)["state"] == "revoking"


def test_a_connector_granted_again_can_be_withdrawn_again(sqlite_house: House) -> None:
    """The repeated call tells of the newer withdrawal: which receipt came back was once left to the database."""
    app = sqlite_house.client()
    connection = app.connect()["id"]
    receipts = []
    for _ in range(4):
        receipts.append(revocation(app.withdraw(connection, "google_calendar"))["id"])
        assert revocation(app.withdraw(connection, "google_calendar"))["id"] == receipts[-1]
        assert app.connect()["id"] == connection
        assert app.records(connection, "google_calendar").status_code == 200
    assert len(set(receipts)) == 4


@pytest.mark.parametrize("connector", ["openid_profile", "no_such_connector"])
@pytest.mark.parametrize("ended", [False, True])
def test_a_connector_that_was_never_granted_cannot_be_withdrawn(
    sqlite_house: House, connector: str, ended: bool
) -> None:
    app = sqlite_house.client()
    connection = app.connect()["id"]
    if ended:
        app.revoke(connection)
    assert code(app.withdraw(connection, connector)) == (404, "not_found")
    assert code(app.withdraw(connection, connector, dry_run="true")) == (404, "not_found")


# --- a connection --------------------------------------------------------------------------------------------


def test_a_revoked_connection_gives_no_data_from_the_answer_on(house: House, app: SalesApp) -> None:
    connection = app.connect()["id"]
    answer = app.revoke(connection)
    assert code(app.records(connection, "google_contacts")) == (410, "connection_revoked")
    assert answer.status_code == 202
    assert revocation(answer)["state"] == "in_progress"
    (item,) = revocation(answer)["connections"]
    assert (item["id"], item["ended"], item["provider"]) == (connection, "connection", "google")
    assert (item["provider_outcome"], item["attempts"]) == ("pending", 0)


def test_a_revoked_connection_is_shown_without_its_account(house: House, app: SalesApp) -> None:
    connection = app.connect()["id"]
    app.revoke(connection)
    assert app.connection(connection)["state"] == "revoking"
    house.work()
    shown = app.connection(connection)
    assert (shown["state"], shown["account"]) == ("revoked", None)
    assert all(grant["withdrawn_at"] for grant in shown["grants"])
    assert code(app.records(connection)) == (410, "connection_revoked")


def test_a_revoked_id_never_revives(sqlite_house: House) -> None:
    app = sqlite_house.client()
    connection = app.connect()["id"]
    app.revoke(connection)
    assert app.connect()["id"] != connection
    sqlite_house.work()
    assert app.connect()["id"] != connection
    assert code(app.records(connection)) == (410, "connection_revoked")
    assert code(app.session(connection=connection)) == (404, "not_found")


def test_a_suspended_connection_can_be_revoked(sqlite_house: House) -> None:
    app = sqlite_house.client()
    connection = app.connect()["id"]
    app.call("POST", f"/v1/connections/{connection}/suspend", {})
    assert code(app.records(connection)) == (409, "connection_suspended")
    app.revoke(connection)
    assert code(app.records(connection)) == (410, "connection_revoked")
    assert code(app.call("POST", f"/v1/connections/{connection}/resume", {})) == (410, "connection_revoked")


@pytest.mark.parametrize("state", ["revoking", "revoked", "suspended", "reconnect_required", "paused", "ACTIVE", ""])
def test_no_state_but_active_gives_data(sqlite_house: House, state: str) -> None:
    """A state that this version does not know, too: a newer one may have written it (I9)."""
    app = sqlite_house.client()
    connection = app.connect()["id"]
    with sqlite_house.broker.database.write() as session:
        session.execute(update(Connection).values(state=state))
    assert app.records(connection).status_code in (409, 410)
    assert sqlite_house.google.requests("/v1/people") == []


def test_an_ended_connection_gives_no_data_whatever_its_state_says(sqlite_house: House) -> None:
    app = sqlite_house.client()
    connection = app.connect()["id"]
    with sqlite_house.broker.database.write() as session:
        session.execute(update(Connection).values(live=None))
    assert code(app.records(connection)) == (410, "connection_revoked")


def test_a_revocation_ends_the_sessions_that_renew_the_connection(sqlite_house: House) -> None:
    app = sqlite_house.client()
    connection = app.connect()["id"]
    opened = app.session(connection=connection).json()["id"]
    returned = app.pending(connection=connection)
    app.revoke(connection)
    assert app.status(opened) == "failed"
    assert app.confirm(returned).status_code == 403
    assert app.connection(connection)["state"] == "revoking"


# --- in the middle of another request ------------------------------------------------------------------------


@contextmanager
def before_a_key_is_read(house: House, number: int, act: Callable[[], object]) -> Iterator[list[bool]]:
    """Does `act` just before a connection's key is read for the `number`th time; true once that has happened."""
    count, happened = iter(range(number + 1)), []

    def listen(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not happened and "FROM connection_keys" in statement and next(count) == number:
            happened.append(True)
            with ThreadPoolExecutor(1) as other:
                other.submit(act).result()

    event.listen(house.broker.database.engine, "before_cursor_execute", listen)
    try:
        yield happened
    finally:
        event.remove(house.broker.database.engine, "before_cursor_execute", listen)


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("how", ["first page", "next page"])
def test_a_reading_during_which_the_connection_is_shredded_is_410(house: House, number: int, how: str) -> None:
    """It was 503 once, or told that the cursor was changed: what was sealed had just ceased to open."""
    app, other = house.client(), house.client()
    connection = app.connect()["id"]
    cursor = {"cursor": app.records(connection).json()["next_cursor"]} if how == "next page" else {}

    def shred() -> None:
        other.revoke(connection)
        house.work()

    with before_a_key_is_read(house, number, shred) as happened:
        answer = app.records(connection, **cursor)
    assert happened or number > 1
    assert code(answer) == (410, "connection_revoked") if happened else answer.status_code == 200


@pytest.mark.parametrize("number", range(3))
def test_a_reading_that_is_revoked_before_its_first_write_is_refused_whole(sqlite_house: House, number: int) -> None:
    """Also when the page was ready: once the server answered 500 then, for the check came after the status line."""
    app, other = sqlite_house.client(), sqlite_house.client()
    connection = app.connect()["id"]
    with before_a_key_is_read(sqlite_house, number, lambda: other.revoke(connection)) as happened:
        answer = app.records(connection)
    assert happened
    assert code(answer) == (410, "connection_revoked")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Request-Id"] == answer.json()["request_id"]
    assert int(answer.headers["Content-Length"]) == len(answer.content)


def test_no_data_leave_while_the_database_is_too_slow_to_say_whether_they_may(sqlite_house: House) -> None:
    """I2: a reading of the state that took longer than L proves nothing about now."""
    app = sqlite_house.client()
    connection = app.connect()["id"]

    def delay(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "FROM connections" in statement:
            time.sleep(1.2 * use.RELIED_ON)

    event.listen(sqlite_house.broker.database.engine, "before_cursor_execute", delay)
    try:
        answer = app.records(connection)
    finally:
        event.remove(sqlite_house.broker.database.engine, "before_cursor_execute", delay)
    assert code(answer) == (503, "unavailable")
    assert app.records(connection).status_code == 200


def test_a_head_request_is_answered_without_data(sqlite_house: House) -> None:
    app = sqlite_house.client()
    connection = app.connect()["id"]
    answer = app.call("HEAD", f"/v1/connections/{connection}/records/google_contacts")
    assert (answer.status_code, answer.content) == (200, b"")
    app.revoke(connection)
    assert app.call("HEAD", f"/v1/connections/{connection}/records/google_contacts").status_code == 410


@pytest.mark.parametrize("path", ["/v1/connections", "/v1/connections/{}"])
def test_a_connection_that_is_shredded_while_it_is_shown_is_shown_without_its_account(house: House, path: str) -> None:
    app, other = house.client(), house.client()
    connection = app.connect()["id"]

    def shred() -> None:
        other.revoke(connection)
        house.work()

    with before_a_key_is_read(house, 0, shred) as happened:
        answer = app.call("GET", path.format(connection))
    assert happened
    assert answer.status_code == 200
    (shown,) = answer.json().get("items", [answer.json()])
    assert (shown["state"], shown["account"]) == ("revoked", None)


# --- repeated, and at once -----------------------------------------------------------------------------------


def test_a_repeated_revocation_answers_200_with_the_same_receipt(house: House, app: SalesApp) -> None:
    connection = app.connect()["id"]
    first = revocation(app.revoke(connection))
    again = app.revoke(connection)
    assert (again.status_code, revocation(again)) == (200, first)
    house.work()
    later = app.revoke(connection)
    assert (later.status_code, revocation(later)["id"]) == (200, first["id"])
    assert revocation(later) == app.receipt(first["id"])
    assert revocation(later)["state"] == "completed"


def test_a_repeated_withdrawal_answers_200_with_the_same_receipt(house: House, app: SalesApp) -> None:
    connection = app.connect()["id"]
    first = revocation(app.withdraw(connection, "google_calendar"))
    again = app.withdraw(connection, "google_calendar")
    assert (again.status_code, revocation(again)) == (200, first)
    ended = revocation(app.revoke(connection))
    assert revocation(app.withdraw(connection, "google_calendar")) == first
    assert revocation(app.withdraw(connection, "google_contacts"))["id"] == ended["id"]


def test_twenty_revocations_at_once_have_one_receipt_and_the_provider_is_told_once(house: House, app: SalesApp) -> None:
    """REL-32."""
    connection = app.connect()["id"]
    assert app.bearer
    with ThreadPoolExecutor(20) as callers:
        answers = list(callers.map(lambda _: app.revoke(connection), range(20)))
    assert {answer.status_code for answer in answers} == {200, 202}
    assert len({revocation(answer)["id"] for answer in answers}) == 1
    house.work()
    assert len(house.google.requests("/revoke")) == 1
    with house.broker.database.read() as session:
        assert len(session.scalars(select(Revocation)).all()) == 1


def test_every_revocation_waits_until_nobody_relies_on_the_old_state(sqlite_house: House) -> None:
    """I2. A repeated one too: it may come while the first still waits."""
    app = sqlite_house.client()
    connection = app.connect()["id"]
    calls: list[Callable[[], requests.Response]] = [
        lambda: app.withdraw(connection, "google_calendar"),
        lambda: app.withdraw(connection, "google_calendar"),
        lambda: app.revoke(connection),
        lambda: app.revoke(connection),
    ]
    for call in calls:
        began = time.monotonic()
        assert call().status_code in (200, 202)
        assert time.monotonic() - began >= use.WAIT > use.RELIED_ON


# --- dry run -------------------------------------------------------------------------------------------------


def test_a_dry_run_changes_nothing_and_says_what_would_end(house: House, app: SalesApp) -> None:
    connection = app.connect()["id"]
    before = app.connection(connection)
    whole = app.revoke(connection, dry_run="true")
    one = app.withdraw(connection, "google_calendar", dry_run="true")
    assert (whole.status_code, whole.json()) == (200, {"would_end": [{"connection": connection}], "siblings": []})
    assert one.json()["would_end"] == [{"connection": connection, "connector": "google_calendar"}]
    assert app.connection(connection) == before
    assert app.call("GET", "/v1/revocations").json()["items"] == []
    house.work()
    assert house.google.requests("/revoke") == []


def test_a_dry_run_of_the_last_connector_says_that_the_connection_would_end(sqlite_house: House) -> None:
    app = sqlite_house.client()
    connection = app.connect("google_contacts")["id"]
    answer = app.withdraw(connection, "google_contacts", dry_run="true").json()
    assert answer["would_end"] == [{"connection": connection}]


def test_a_dry_run_of_what_has_ended_would_end_nothing(sqlite_house: House) -> None:
    app = sqlite_house.client()
    connection = app.connect()["id"]
    app.withdraw(connection, "google_calendar")
    assert app.withdraw(connection, "google_calendar", dry_run="true").json()["would_end"] == []
    app.revoke(connection)
    assert app.revoke(connection, dry_run="true").json()["would_end"] == []
    assert app.withdraw(connection, "google_contacts", dry_run="true").json()["would_end"] == []


def test_a_dry_run_lists_siblings_of_the_callers_own_tenants_alone(house: House) -> None:
    """I6: the same account in a tenant that the caller does not act for is not mentioned."""
    app, stranger, both = house.client(), of_kios(house), house.client(tenants=("toko", "kios"))
    connection = app.connect()["id"]
    ended = house.client(subject="citra").connect()["id"]
    sibling = house.client(subject="budi").connect()["id"]
    other_account = house.client(subject="budi").connect(account=BUDI)["id"]
    foreign = stranger.connect()["id"]
    app.revoke(ended)
    seen = {entry["connection"] for entry in app.revoke(connection, dry_run="true").json()["siblings"]}
    assert seen == {sibling}
    assert foreign not in app.revoke(connection, dry_run="true").text
    assert {entry["connection"] for entry in both.revoke(connection, dry_run="true").json()["siblings"]} == {
        sibling,
        foreign,
    }
    assert other_account not in seen


@pytest.mark.parametrize("value", ["yes", "1", "TRUE", ""])
def test_a_dry_run_that_is_not_clearly_one_is_refused_and_ends_nothing(sqlite_house: House, value: str) -> None:
    app = sqlite_house.client()
    connection = app.connect()["id"]
    assert code(app.revoke(connection, dry_run=value)) == (400, "invalid_request")
    assert app.connection(connection)["state"] == "active"


# --- who may -------------------------------------------------------------------------------------------------


def without_request_id(answer: requests.Response) -> dict[str, Any]:
    return {name: value for name, value in answer.json().items() if name != "request_id"}


@pytest.mark.parametrize(
    "path", ["", "?dry_run=true", "/grants/google_contacts", "/grants/google_contacts?dry_run=true"]
)
def test_a_foreign_connection_answers_like_one_that_does_not_exist(house: House, app: SalesApp, path: str) -> None:
    """I6."""
    connection, stranger = app.connect()["id"], of_kios(house)
    foreign = stranger.call("DELETE", f"/v1/connections/{connection}{path}")
    unknown = stranger.call("DELETE", f"/v1/connections/con_{'0' * 32}{path}")
    assert code(foreign) == (404, "not_found")
    assert without_request_id(foreign) == without_request_id(unknown)
    assert app.records(connection).status_code == 200


def test_a_foreign_connection_is_not_even_locked(build: Callable[..., House], postgres_url: str) -> None:
    """I6: a stranger must not be able to tell, by how long it takes, that somebody works on a connection."""
    house = build(postgres_url)
    connection, stranger = house.client().connect()["id"], of_kios(house)
    assert stranger.bearer
    with house.broker.database.write() as session:
        session.scalars(select(Connection).with_for_update()).all()
        session.scalars(select(Authorization).with_for_update()).all()
        began = time.monotonic()
        assert code(stranger.revoke(connection)) == (404, "not_found")
        assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    "path", ["", "?dry_run=true", "/grants/google_contacts", "/grants/google_contacts?dry_run=true"]
)
def test_a_client_without_the_scope_revoke_may_not(sqlite_house: House, path: str) -> None:
    app = sqlite_house.client()
    connection, job = app.connect()["id"], sqlite_house.client("records:read", "connections:read", "connect")
    assert code(job.call("DELETE", f"/v1/connections/{connection}{path}")) == (403, "forbidden")
    assert app.records(connection).status_code == 200


def test_receipts_are_for_the_scope_revoke_and_the_clients_tenants(sqlite_house: House) -> None:
    app, stranger = sqlite_house.client(), of_kios(sqlite_house)
    receipt = revocation(app.revoke(app.connect()["id"]))["id"]
    job = sqlite_house.client("records:read", "connections:read")
    assert code(job.call("GET", f"/v1/revocations/{receipt}")) == (403, "forbidden")
    assert code(job.call("GET", "/v1/revocations")) == (403, "forbidden")
    assert code(stranger.call("GET", f"/v1/revocations/{receipt}")) == (404, "not_found")
    assert stranger.call("GET", "/v1/revocations").json()["items"] == []
    assert code(stranger.call("GET", "/v1/revocations?tenant=toko")) == (404, "not_found")


def test_receipts_are_listed_by_subject_and_connection_page_by_page(sqlite_house: House) -> None:
    ani, budi = sqlite_house.client(), sqlite_house.client(subject="budi")
    connection = ani.connect()["id"]
    receipts = {revocation(ani.withdraw(connection, "google_calendar"))["id"], revocation(ani.revoke(connection))["id"]}
    other = revocation(budi.revoke(budi.connect(account=BUDI)["id"]))["id"]

    def listed(**query: str) -> list[str]:
        return [item["id"] for item in ani.call("GET", "/v1/revocations", params=query).json()["items"]]

    assert set(listed(connection=connection)) == receipts
    assert set(listed(subject="ani", tenant="toko")) == receipts
    assert set(listed(subject="budi")) == {other}
    found: list[str] = []
    page: dict[str, Any] = {"next_cursor": None}
    while not found or page["next_cursor"]:
        cursor = {"cursor": page["next_cursor"]} if found else {}
        page = ani.call("GET", "/v1/revocations", params={"limit": "1", **cursor}).json()
        found += [item["id"] for item in page["items"]]
    assert set(found) == receipts | {other}
    assert len(found) == 3


# --- the database --------------------------------------------------------------------------------------------


def disk_is_full(_connection: object) -> None:
    raise OperationalError("COMMIT", None, sqlite3.OperationalError("database or disk is full"))


@pytest.mark.parametrize("connector", [None, "google_calendar", "google_contacts"])
def test_a_revocation_that_cannot_be_made_durable_is_503_and_ends_nothing(house: House, connector: str | None) -> None:
    """I4. Safe to repeat."""
    app = house.client()
    connection = app.connect(*([connector] if connector else []))["id"]
    path = f"/v1/connections/{connection}" + (f"/grants/{connector}" if connector else "")
    event.listen(house.broker.database.engine, "commit", disk_is_full)
    try:
        answer = app.call("DELETE", path)
    finally:
        event.remove(house.broker.database.engine, "commit", disk_is_full)
    assert code(answer) == (503, "unavailable")
    assert answer.json()["retryable"] is True
    assert answer.headers["Retry-After"]
    assert app.records(connection, connector or "google_contacts").status_code == 200
    house.work()
    assert house.google.requests("/revoke") == []
    assert app.call("DELETE", path).status_code == 202


def test_a_revocation_locks_the_authorization_before_the_connection(
    build: Callable[..., House], postgres_url: str
) -> None:
    """As activation does. It was the other way round once, and a reconnect at the same moment a deadlock."""
    house = build(postgres_url)
    app = house.client()
    connection = app.connect()["id"]
    with ThreadPoolExecutor(1) as caller, house.broker.database.write() as session:
        session.scalars(select(Authorization).with_for_update()).all()
        answer = caller.submit(app.revoke, connection)
        wait_for_a_lock(house)
        session.scalars(select(Connection).with_for_update(nowait=True)).all()
        session.commit()
        assert answer.result().status_code == 202


def wait_for_a_lock(house: House) -> None:
    """Until some session of this database waits for another."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        with house.broker.database.read() as session:
            if session.scalar(waiting):
                return
        time.sleep(0.02)
    raise AssertionError("nobody waits")


def test_reconnects_and_revocations_at_once_leave_no_deadlock_and_no_live_token(house: House) -> None:
    """REL-34, I5: whatever the order, in the end nothing is left that nobody answers for.

    409: Google gave no lasting access, the user must consent again. 502: the account was revoked at Google meanwhile.
    """
    app = house.client()
    app.connect()

    def reconnect() -> int:
        return app.confirm(app.pending()).status_code

    def revoke() -> int:
        live = app.call("GET", "/v1/connections", params={"state": "active"}).json()["items"]
        return max((app.revoke(row["id"]).status_code for row in live), default=200)

    def work() -> int:
        house.work()
        return 200

    with ThreadPoolExecutor(5) as people:
        calls = [people.submit(act) for _ in range(4) for act in (reconnect, revoke, work)]
        assert {call.result() for call in calls} <= {200, 202, 409, 502}
    assert revoke() in (200, 202)
    house.clock.advance(minutes=11)
    house.work()
    assert house.google.live_tokens() == 0
    receipts = house.client().call("GET", "/v1/revocations").json()["items"]
    assert {receipt["state"] for receipt in receipts} == {"completed"}


def test_a_database_that_fails_in_the_middle_of_a_revocation_is_no_500(sqlite_house: House) -> None:
    app = sqlite_house.client()
    connection = app.connect()["id"]
    with sqlite_house.broker.database.write() as session:
        session.execute(
            text("CREATE TRIGGER full BEFORE INSERT ON revocation_items BEGIN SELECT RAISE(ABORT, 'full'); END")
        )
    assert code(app.revoke(connection)) == (503, "unavailable")
    assert app.records(connection).status_code == 200
