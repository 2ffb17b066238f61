"""Duties: the pace of their tries, and what leases and fences are for. docs/adr/0008, contract §5 ("tried again within
30 s, then ever more slowly for days"), docs/facts/security.md §5.2. By real processes: test_duties_processes.py.
"""

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import event, select

from broker import duties
from broker.connections.owe import TELL_PROVIDER, owe_telling
from broker.models import Authorization, Duty
from tests.connections.test_revoke import disk_is_full, of_kios
from tests.connections.test_tell import ended, keys, orphans, told
from tests.house import ANI, House, SalesApp
from tests.processes import wait_until


def duty(house: House) -> Duty:
    """The only one that tells a provider."""
    with house.broker.database.read() as session:
        return session.scalars(select(Duty).where(Duty.kind == TELL_PROVIDER)).one()


def until_due(house: House) -> timedelta:
    """Lets time pass until the duty is due; how long that was."""
    wait = duty(house).due_at - house.clock()
    house.clock.advance(seconds=max(wait.total_seconds(), 0) + 0.001)
    return wait


@pytest.fixture
def stuck(sqlite_house: House) -> tuple[House, str]:
    """A revoked connection of which Google cannot be told; its id."""
    app = sqlite_house.client()
    connection = app.connect()["id"]
    sqlite_house.google.quirk(outage={"/revoke": 503})
    app.revoke(connection)
    return sqlite_house, connection


# --- pace ----------------------------------------------------------------------------------------------------


def test_a_duty_that_failed_is_tried_again_soon_and_then_ever_more_slowly_for_days(stuck: tuple[House, str]) -> None:
    house, _ = stuck
    began, waits = house.clock(), []
    while duty(house).open:
        house.work()
        waits.append(until_due(house))
        assert duty(house).attempts == len(waits)
    pace = waits[:-1]
    assert pace[0] <= timedelta(seconds=30)
    assert all(later >= earlier - timedelta(seconds=1) for earlier, later in pairwise(pace))
    assert pace[-1] > timedelta(hours=1)
    assert timedelta(days=6) < house.clock() - began < timedelta(days=9)
    assert 20 < len(pace) < 100


def test_a_duty_that_was_given_up_is_shredded_all_the_same_and_says_so(
    stuck: tuple[House, str], caplog: pytest.LogCaptureFixture
) -> None:
    house, connection = stuck
    house.work()
    house.clock.advance(days=8)
    house.work()
    item = ended(house.client(), connection)
    assert (item["provider_outcome"], item["attempts"]) == ("gave_up", 2)
    assert "503" in item["last_error"]
    assert item["shredded_at"]
    assert keys(house) == set()
    assert [
        record for record in caplog.records if record.levelno == logging.ERROR and "given up" in record.getMessage()
    ]
    house.google.quirk(outage=None)
    house.clock.advance(days=1)
    house.work()
    assert len(told(house)) == 2


@pytest.mark.parametrize(("asked", "least", "most"), [(7, 6, 7), (3600, 29, 30), (1, 4, 5)])
def test_google_is_left_alone_as_long_as_it_asks_but_never_longer_than_half_a_minute_at_first(
    stuck: tuple[House, str], asked: int, least: int, most: int
) -> None:
    """REL-42."""
    house, _ = stuck
    house.google.quirk(outage=None, rate_limit={"/revoke": {"retry_after": asked, "status": 429}})
    house.work()
    assert timedelta(seconds=least) <= until_due(house) <= timedelta(seconds=most)


def test_a_later_refusal_is_honoured_in_full(stuck: tuple[House, str]) -> None:
    house, _ = stuck
    house.work()
    until_due(house)
    house.google.quirk(outage=None, rate_limit={"/revoke": {"retry_after": 600, "status": 429}})
    house.work()
    assert timedelta(seconds=590) < until_due(house) < timedelta(seconds=610)


def test_a_provider_that_is_not_configured_any_more_is_kept_for_days_and_then_given_up(
    stuck: tuple[House, str],
) -> None:
    house, connection = stuck
    without = replace(house.broker, providers={})
    duties.work(without, once=True)
    item = ended(house.client(), connection)
    assert (item["provider_outcome"], item["attempts"]) == ("pending", 1)
    assert item["last_error"]
    house.clock.advance(days=8)
    duties.work(without, once=True)
    assert ended(house.client(), connection)["provider_outcome"] == "gave_up"
    assert keys(house) == set()


def test_what_is_owed_to_a_failing_duty_gets_all_the_patience_of_a_new_one(house: House) -> None:
    """A second connection of the account was ended on the seventh day, and given up an hour later."""
    app, other = house.client(), of_kios(house)
    first, second = app.connect()["id"], other.connect()["id"]
    forget(house, app, first)
    forget(house, other, second)
    house.google.quirk(outage={"/revoke": 503})
    app.revoke(first)
    house.work()
    house.clock.advance(days=6, hours=23)
    house.work()
    of_kios(house).revoke(second)
    house.clock.advance(hours=5)
    house.work()
    item = ended(of_kios(house), second)
    assert (item["provider_outcome"], item["attempts"]) == ("pending", 1)
    assert ended(house.client(), first)["attempts"] == 3
    assert until_due(house) < timedelta(seconds=30)


def forget(house: House, app: SalesApp, connection: str) -> None:
    """Google's user removes the app: the next reading finds out."""
    house.google.control("revoke", {"account": ANI})
    assert app.records(connection).status_code == 409
    assert app.connection(connection)["state"] == "reconnect_required"


# --- leases and fences ---------------------------------------------------------------------------------------


def test_two_workers_at_once_tell_once(house: House, app: SalesApp) -> None:
    connection = app.connect()["id"]
    app.revoke(connection)
    house.google.quirk(delay={"/revoke": 0.5})
    with ThreadPoolExecutor(4) as workers:
        list(workers.map(lambda _: house.work(), range(4)))
    assert len(told(house)) == 1
    assert ended(app, connection)["attempts"] == 1


def test_a_lease_outlasts_the_slowest_call_and_ends_soon_after(house: House, app: SalesApp) -> None:
    """A worker that died leaves its duty to others within half a minute."""
    app.revoke(app.connect()["id"])
    assert duties.lease(house.broker)
    house.clock.advance(seconds=house.broker.settings.provider_deadline + 1)
    assert duties.lease(house.broker) is None
    house.clock.advance(seconds=30 - house.broker.settings.provider_deadline - 2)
    assert duties.lease(house.broker)


def test_a_worker_that_was_stopped_past_its_lease_calls_nobody(house: House, app: SalesApp) -> None:
    """REL-22. What it counted is no longer true: the account may be in use again."""
    connection = app.connect()["id"]
    app.revoke(connection)
    late = duties.lease(house.broker)
    assert late
    house.clock.advance(minutes=1)
    duties.do(house.broker, replace(late, begin_by=time.monotonic()))
    assert told(house) == []
    until_due(house)
    house.work()
    assert len(told(house)) == 1
    assert ended(app, connection)["provider_outcome"] == "confirmed"


def test_a_late_worker_changes_nothing(house: House, app: SalesApp) -> None:
    """The fence. Its failure is not counted, and the duty is not put off while another worker is at it."""
    connection = app.connect()["id"]
    app.revoke(connection)
    house.google.quirk(outage={"/revoke": 503})
    late = duties.lease(house.broker)
    assert late
    house.clock.advance(minutes=1)
    mine = duties.lease(house.broker)
    assert mine
    duties.do(house.broker, late)
    row = duty(house)
    assert (row.open, row.lease_until, row.fence) == (True, mine.until, mine.fence)
    assert ended(app, connection)["attempts"] == 0
    duties.do(house.broker, mine)
    assert ended(app, connection)["attempts"] == 1
    assert duty(house).lease_until is None


def test_a_late_success_does_not_close_what_another_worker_holds(house: House, app: SalesApp) -> None:
    connection = app.connect()["id"]
    app.revoke(connection)
    late = duties.lease(house.broker)
    assert late
    house.clock.advance(minutes=1)
    mine = duties.lease(house.broker)
    assert mine
    duties.do(house.broker, late)
    assert (duty(house).open, duty(house).lease_until) == (True, mine.until)
    duties.do(house.broker, mine)
    assert duty(house).open is None
    assert len(told(house)) == 1
    assert ended(app, connection)["provider_outcome"] == "confirmed"


def test_a_late_failure_does_not_let_a_confirmation_pass_while_another_worker_is_telling(
    house: House, app: SalesApp
) -> None:
    """`telling_until` belongs to whoever told last."""
    app.revoke(app.connect()["id"])
    house.google.quirk(outage={"/revoke": 503}, delay={"/revoke": 1.0})
    late = duties.lease(house.broker)
    assert late
    with ThreadPoolExecutor(2) as workers:
        first = workers.submit(duties.do, house.broker, late)
        wait_until(lambda: len(told(house)) == 1, "the first call")
        time.sleep(0.5)
        house.clock.advance(minutes=1)
        mine = duties.lease(house.broker)
        assert mine
        second = workers.submit(duties.do, house.broker, mine)
        wait_until(lambda: len(told(house)) == 2, "the second call")
        first.result()
        with house.broker.database.read() as session:
            telling_until = session.scalars(select(Authorization.telling_until)).one()
        assert telling_until
        assert telling_until > house.clock()
        second.result()


def test_what_is_owed_while_a_duty_is_being_done_is_done_too(house: House) -> None:
    """The worker that is just finishing closes the duty only if nobody has owed it anew."""
    app, other = house.client(), of_kios(house)
    first, second = app.connect()["id"], other.connect()["id"]
    forget(house, app, first)
    forget(house, other, second)
    app.revoke(first)
    house.google.quirk(delay={"/revoke": 0.6})
    with ThreadPoolExecutor(1) as worker:
        working = worker.submit(house.work)
        wait_until(lambda: bool(told(house)), "the first call")
        other.revoke(second)
        assert duties.lease(house.broker) is None, "the account is being told: nobody else may"
        working.result()
    house.work()
    assert ended(app, first)["provider_outcome"] == "already_gone"
    assert ended(other, second)["provider_outcome"] == "already_gone"
    assert keys(house) == set()


def test_a_duty_is_not_lost_when_it_is_owed_at_the_moment_it_is_closed(house: House) -> None:
    """Owing was two statements once, insert and update; a worker that closed the duty between them left the second
    one nothing to change. Here it closes, or tries to, right after the first."""
    database, owed = house.broker.database, ("google", "ab" * 32)
    with database.write() as session:
        owe_telling(session, *owed, now=house.clock())
    mine = duties.lease(house.broker)
    assert mine
    with ThreadPoolExecutor(1) as worker:
        closing: list[Any] = []

        def close(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if statement.startswith("INSERT INTO duties"):
                closing.append(worker.submit(duties.do, house.broker, mine))
                wait(closing[0], 0.5)

        event.listen(database.engine, "after_cursor_execute", close)
        try:
            with database.write() as session:
                owe_telling(session, *owed, now=house.clock())
        finally:
            event.remove(database.engine, "after_cursor_execute", close)
        closing[0].result()
    with database.read() as session:
        assert session.scalars(select(Duty).where(Duty.kind == TELL_PROVIDER, Duty.open.is_(True))).one()


def wait(doing: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not doing.done() and time.monotonic() < deadline:
        time.sleep(0.01)


# --- a worker goes on ----------------------------------------------------------------------------------------


def test_a_fault_of_ours_in_one_duty_does_not_keep_the_others_from_being_done(
    sqlite_house: House, caplog: pytest.LogCaptureFixture
) -> None:
    app = sqlite_house.client()
    with sqlite_house.broker.database.write() as session:
        owe_telling(session, "google", "no hexadecimal number", now=sqlite_house.clock())
    connection = app.connect()["id"]
    app.revoke(connection)
    sqlite_house.work()
    assert ended(app, connection)["provider_outcome"] == "confirmed"
    assert any("unexpected ValueError" in record.getMessage() for record in caplog.records)


def test_a_worker_outlives_an_outage_of_the_database(sqlite_house: House) -> None:
    app = sqlite_house.client()
    connection = app.connect()["id"]
    app.revoke(connection)
    engine, failures = sqlite_house.broker.database.engine, iter(range(3))

    def fail(connection: Any) -> None:
        if next(failures, None) is not None:
            disk_is_full(connection)

    event.listen(engine, "commit", fail)
    try:
        with ThreadPoolExecutor(1) as worker:
            over: list[bool] = []
            working = worker.submit(duties.work, sqlite_house.broker, stop=lambda: bool(over))
            wait_until(lambda: ended(app, connection)["provider_outcome"] == "confirmed", "the telling")
            over.append(True)
            working.result()
    finally:
        event.remove(engine, "commit", fail)


def test_draining_once_says_so_when_the_database_fails(sqlite_house: House) -> None:
    event.listen(sqlite_house.broker.database.engine, "commit", disk_is_full)
    try:
        with pytest.raises(duties.Unavailable):
            sqlite_house.work()
    finally:
        event.remove(sqlite_house.broker.database.engine, "commit", disk_is_full)


def test_what_is_done_is_forgotten_after_a_month(house: House, app: SalesApp) -> None:
    app.revoke(app.connect()["id"])
    house.work()
    house.clock.advance(days=29)
    house.work()
    assert duty(house).done_at
    house.clock.advance(days=2)
    house.work()
    with house.broker.database.read() as session:
        assert session.scalars(select(Duty).where(Duty.kind == TELL_PROVIDER)).all() == []


def test_a_drain_does_all_that_is_due(sqlite_house: House) -> None:
    app = sqlite_house.client()
    accounts = sqlite_house.google.control("accounts", {"count": 12})["accounts"]
    connections = [app.connect("google_contacts", account=account["sub"])["id"] for account in accounts]
    for connection in connections:
        app.revoke(connection)
    began = time.monotonic()
    sqlite_house.work()
    assert time.monotonic() - began < 10
    assert {ended(app, connection)["provider_outcome"] for connection in connections} == {"confirmed"}
    assert len(told(sqlite_house)) == 12
    assert orphans(sqlite_house) == []
