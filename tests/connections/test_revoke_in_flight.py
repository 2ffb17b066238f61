"""I2: no data after a revocation has been answered, on any worker or host, also for requests in flight.

docs/facts/security.md REL-30, REL-33; docs/adr/0007. The long version: `BROKER_TEST_ROUNDS=200 BROKER_TEST_READERS=32`.
"""

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from broker.connections import use
from tests.connections.watch import Answer, Wire, queued, reader, request, stands_still, watch
from tests.house import SalesApp
from tests.processes import Installation, is_paused, pause, resume, wait_until

ROUNDS = int(os.environ.get("BROKER_TEST_ROUNDS", "10"))
READERS = int(os.environ.get("BROKER_TEST_READERS", "8"))
ANSWERS = {"", "grant_withdrawn", "connection_revoked", "unavailable"}
"""Data, a refusal, or the database too busy to say or to count: no other is due here."""


@pytest.fixture
def two_hosts(installation: Installation) -> Iterator[Installation]:
    """A second gunicorn over the same database."""
    second = installation.gunicorn(elsewhere=True)
    second.wait_ready()
    yield installation
    second.kill()


def test_no_data_come_after_a_revocation_was_answered_whoever_reads_and_wherever(two_hosts: Installation) -> None:
    """REL-30."""
    installation, chance = two_hosts, random.Random(7)
    urls = [installation.url, installation.processes.started[-1].url]
    given = 0
    for number in range(ROUNDS):
        slow = 3 * use.WAIT / 2 if number % 2 else 0.05
        installation.google.quirk(delay={"/v1/people": slow})
        connection = installation.app().connect()["id"]
        path = f"/v1/connections/{connection}" + ("/grants/google_contacts" if number % 3 == 0 else "")
        apps = [installation.app(url=url) for url in urls]
        with ExitStack() as wires:
            readers = [wires.enter_context(reader(apps[n % 2], connection)) for n in range(READERS)]
            revoker = wires.enter_context(Wire(apps[number % 2].url, request(apps[number % 2], "DELETE", path)))
            assert watch(readers, revoker, after=chance.uniform(0.0, 0.3)).status in (200, 202)
        answers = [answer for wire in readers for answer in wire.answers]
        late = [f"{answer.late} bytes, {answer.latest:.3f} s late" for answer in answers if answer.has_late_data]
        assert not late, f"round {number}: {late}"
        assert {answer.code for answer in answers} <= ANSWERS, [answer.body for answer in answers if answer.code]
        given += sum(answer.status == 200 for answer in answers)
    assert given >= ROUNDS * READERS, "nobody read anything: this proves nothing"


# --- long answers, and a process that stands still -----------------------------------------------------------

CHUNK = 64 * 1024
LONG = "long@example.com"


def make_long(installation: Installation) -> None:
    """An account whose contacts, read in one page, are about 1.6 MB."""
    installation.google.control("accounts", {"email": LONG, "contacts": 1000})
    for number in range(1, 61):
        contact = {"resourceName": f"people/c{number}", "names": [{"displayName": "N" * 20_000}]}
        installation.google.control("contacts", {"account": LONG, "contact": contact})


def read_to_the_end(wire: Wire, *, since: float | None) -> Answer:
    """Until the answer is complete or cut."""
    before = len(wire.answers)
    wait_until(lambda: wire.take(since=since) and len(wire.answers) > before, "the end of the answer")
    return wire.answers[-1]


@contextmanager
def slow_reading(app: SalesApp, connection: str) -> Iterator[Wire]:
    """A reader that has taken the beginning of a long answer, and now leaves it alone until the server can write no
    more."""
    asked = request(app, "GET", f"/v1/connections/{connection}/records/google_contacts?limit=1000")
    with Wire(app.url, asked, receive_buffer=4096) as wire:
        wire.ask()
        wait_until(lambda: not wire.take(since=None, most=4096) and wire.received > 0, "the beginning")
        wait_until(lambda: stands_still(wire), "a full buffer")
        yield wire


def test_a_long_answer_to_a_slow_reader_is_cut_when_the_connection_is_revoked(installation: Installation) -> None:
    """REL-33. What the kernel has taken is on its way; of the rest comes one write at most, the one that waits."""
    make_long(installation)
    app = installation.app()
    connection = app.connect(account=LONG)["id"]
    with slow_reading(app, connection) as wire:
        assert installation.app().revoke(connection).status_code in (200, 202)
        before, on_its_way = wire.received, sum(queued(wire))
        answer = read_to_the_end(wire, since=time.monotonic())
    assert (answer.status, answer.cut) == (200, True)
    assert answer.late <= on_its_way + CHUNK
    assert before + on_its_way < 512 * 1024 < answer.length - CHUNK, "the kernel took too much for a test, or for I2"


def test_a_long_answer_that_is_not_revoked_comes_whole(sqlite_installation: Installation) -> None:
    make_long(sqlite_installation)
    app = sqlite_installation.app()
    connection = app.connect(account=LONG)["id"]
    answer = app.records(connection, limit=1000)
    assert len(answer.content) == int(answer.headers["Content-Length"]) > 1024 * 1024
    assert len(answer.json()["records"]) == 1000


def test_a_process_that_stops_between_check_and_write_sends_that_one_write_and_no_more(
    install: Callable[..., Installation], database_url: str, tmp_path: Path
) -> None:
    """What remains of I2: one write of at most 64 KiB, here in the middle of a long answer."""
    marker = tmp_path / "stopped"
    marker.touch()
    installation = install(database_url)
    server = installation.gunicorn(BROKER_FAILPOINTS=f"write.checked=stop@{marker}")
    app = installation.app()
    installation.wait_ready()
    make_long(installation)
    connection = app.connect(account=LONG)["id"]
    with slow_reading(app, connection) as wire:
        marker.unlink()
        wait_until(lambda: wire.take(since=None, most=4096) or marker.exists(), "the worker that stops")
        (stopped,) = [worker for worker in server.children() if stops(worker)]
        assert installation.app().revoke(connection).status_code == 202
        wait_until(lambda: wire.take(since=None) or not any(queued(wire)), "what was on its way")
        answered = time.monotonic()
        resume(stopped)
        answer = read_to_the_end(wire, since=answered)
    assert (answer.status, answer.cut) == (200, True)
    assert 0 < answer.late <= CHUNK
    assert installation.app().records(connection).status_code == 410


def stops(worker: int) -> bool:
    """Whether it stands still within a moment."""
    with suppress(AssertionError):
        wait_until(lambda: is_paused(worker), "a stop", within=1)
        return True
    return False


def test_processes_that_stood_still_while_a_connection_was_revoked_give_no_more_than_a_write_each(
    two_hosts: Installation,
) -> None:
    """Stopped at any moment, on another host, and let go after the answer."""
    installation, chance = two_hosts, random.Random(11)
    other = installation.processes.started[-1]
    installation.google.quirk(delay={"/v1/people": 0.05})
    proven = 0
    for _ in range(max(3, ROUNDS // 3)):
        app = installation.app()
        connection = app.connect()["id"]
        there = installation.app(url=other.url)
        with ExitStack() as wires:
            readers = [wires.enter_context(reader(there, connection)) for _ in range(READERS)]
            wait_until(
                lambda there=there, connection=connection: there.records(connection).status_code == 200, "a read"
            )
            for wire in readers:
                wire.ask()
            time.sleep(chance.uniform(0.05, 0.3))
            with paused(other.children()):
                status = app.revoke(connection).status_code
                for wire in readers:
                    wire.take(since=None)
                answered = time.monotonic()
            if status == 503:
                continue  # one of them was stopped in a transaction, whose locks it still had
            assert status in (200, 202)
            late = [late_of(wire, since=answered) for wire in readers]
        assert max(late) <= CHUNK
        assert there.records(connection).status_code == 410
        proven += 1
    assert proven


@contextmanager
def paused(pids: list[int]) -> Iterator[None]:
    try:
        for pid in pids:
            pause(pid)
        yield
    finally:
        for pid in pids:
            resume(pid)


def late_of(wire: Wire, *, since: float) -> int:
    """Bytes of data that come after the answer, to the end of what was asked; asks again, which must be refused."""
    if not wire.answers:
        read_to_the_end(wire, since=since)
    wire.ask()
    assert read_to_the_end(wire, since=since).status == 410
    return sum(answer.late for answer in wire.answers if answer.status == 200)
