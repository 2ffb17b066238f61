"""The shred log: written before anybody is told that something ended, once, whole, and with nobody's name in it."""

import json
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import delete, event, func, select

from broker import audit, doctor
from broker.app import assemble, check
from broker.config import Settings
from broker.errors import ConfigurationError
from broker.models import LogMark, OwedLine
from broker.providers import built_in
from broker.restore import restore
from broker.shredlog import PutBack
from broker.shredlog.file import FileLog
from broker.shredlog.line import START
from tests.database.conftest import at_once
from tests.house import House, SalesApp
from tests.postgres import Server


def log_of(house: House) -> Path:
    return Path(house.environ["BROKER_SHRED_LOG"])


def lines(house: House) -> list[dict[str, str]]:
    """Without the first, which every log has."""
    return [json.loads(line) for line in log_of(house).read_text().splitlines()][1:]


def owed(house: House) -> int:
    with house.broker.database.read() as session:
        return session.scalar(select(func.count()).select_from(OwedLine)) or 0


@contextmanager
def unwritable(house: House) -> Iterator[None]:
    """A folder stands where the log was: not even the superuser can append to that."""
    kept = log_of(house).rename(f"{log_of(house)}.kept")
    log_of(house).mkdir()
    try:
        yield
    finally:
        log_of(house).rmdir()
        kept.rename(log_of(house))


# --- before the answer ---------------------------------------------------------------------------------------


def test_what_ends_is_in_the_log_when_it_is_answered(house: House, app: SalesApp) -> None:
    connection = app.connect()["id"]
    app.withdraw(connection, "google_calendar")
    app.revoke(connection)
    said = [(line["what"], line["tenant"], line["connection"], line.get("connector")) for line in lines(house)]
    assert said == [
        ("grant.withdrawn", "toko", connection, "google_calendar"),
        ("connection.revoked", "toko", connection, None),
    ]
    house.work()
    assert (lines(house)[2]["what"], lines(house)[2]["provider_outcome"]) == ("connection.shredded", "confirmed")
    assert owed(house) == 0


def test_a_suspension_ends_nothing(sqlite_house: House) -> None:
    app = sqlite_house.client()
    assert app.call("POST", f"/v1/connections/{app.connect()['id']}/suspend").status_code == 200
    assert lines(sqlite_house) == []


def test_a_log_that_cannot_be_written_is_503_and_a_repeat_writes_it(sqlite_house: House) -> None:
    """The revocation stands all the same. The repeat ends nothing, and yet must not be answered before the log."""
    house, app = sqlite_house, sqlite_house.client()
    connection = app.connect()["id"]
    with unwritable(house):
        for _ in range(2):
            answer = app.revoke(connection)
            assert (answer.status_code, answer.json()["code"], answer.json()["retryable"]) == (503, "unavailable", True)
        form = {"token": connection, "client_id": app.client_id, "client_secret": app.client_secret}
        assert app.http.post(f"{app.url}/oauth/revoke", data=form, timeout=35).status_code == 503
        assert app.records(connection).status_code == 410
        assert app.http.get(f"{app.url}/readyz", timeout=10).status_code == 503
        assert owed(house) == 1
    assert app.revoke(connection).status_code in (200, 202)
    assert [line["connection"] for line in lines(house)] == [connection]
    assert owed(house) == 0


def test_the_sweep_and_the_next_start_write_what_is_still_owed(sqlite_house: House) -> None:
    house, app = sqlite_house, sqlite_house.client()
    for write in (house.work, lambda: check(house.broker)):
        before = len(lines(house))
        with unwritable(house):
            app.revoke(app.connect()["id"])
        write()
        assert lines(house)[before]["what"] == "connection.revoked"


def test_a_line_that_was_written_just_before_a_crash_is_not_written_twice(sqlite_house: House) -> None:
    """The log has it, and the database still owes it and knows nothing of it."""
    house, app = sqlite_house, sqlite_house.client()
    app.revoke(app.connect()["id"])
    written = {name: value for name, value in lines(house)[0].items() if name not in ("seq", "hash", "id")}
    first = json.loads(log_of(house).read_text().splitlines()[0])
    with house.broker.database.write() as session:
        session.add(OwedLine(id=lines(house)[0]["id"], said=json.dumps(written)))
        session.execute(delete(LogMark))
        place = log_of(house).read_text().index("\n") + 1
        session.add(LogMark(name="log", seq=0, hash=first["hash"], place=place))
    check(house.broker)
    assert (len(lines(house)), owed(house)) == (1, 0)
    assert house.broker.shred_log.verify() == 1


def test_a_running_broker_writes_nothing_behind_lines_that_its_database_does_not_know(sqlite_house: House) -> None:
    """It would hide that its database was put back while it ran."""
    house, app = sqlite_house, sqlite_house.client()
    first, second = app.connect()["id"], app.connect(account="109876543210987654321")["id"]
    with house.broker.database.read() as session:
        mark = session.scalars(select(LogMark)).one()
    app.revoke(first)
    with house.broker.database.write() as session:
        session.execute(delete(LogMark))
        session.add(LogMark(name="log", seq=mark.seq, hash=mark.hash, place=mark.place))
    assert app.revoke(second).status_code == 503
    assert len(lines(house)) == 1


def test_a_transaction_that_ends_nothing_costs_no_statement(sqlite_house: House) -> None:
    statements: list[str] = []
    database = sqlite_house.broker.database
    event.listen(database.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    with database.write() as session:
        audit.note(session, "connection.resumed", tenant="toko")
    assert statements
    assert not [text for text in statements if "owed_lines" in text or "log_marks" in text]


def test_no_subject_account_or_reason_stands_in_the_log(sqlite_house: House) -> None:
    house = sqlite_house
    app = house.client("connect", "connections:read", "revoke", "privacy", subject="ani.canary")
    connection = app.connect()
    app.call("POST", "/v1/revocations", {"tenant": "toko", "subject": "ani.canary", "reason": "CANARY-REASON"})
    app.call("POST", "/v1/subjects/erase", {"tenant": "toko", "subject": "ani.canary"})
    house.clock.advance(seconds=60)
    house.work()
    text = log_of(house).read_text()
    assert "subject.erased" in text
    for clear in ("canary", "CANARY", connection["account"]["id"], str(connection["account"]["label"])):
        assert clear not in text


def test_doctor_reads_the_whole_log(sqlite_house: House) -> None:
    house, app = sqlite_house, sqlite_house.client()
    for _ in range(2):
        app.revoke(app.connect()["id"])

    def found() -> doctor.Finding:
        return next(finding for finding in doctor.examine(house.environ) if finding.check == "shred log")

    assert found().held
    log_of(house).write_text(log_of(house).read_text().replace("connection.revoked", "connection.resumed", 1))
    assert not found().held
    assert "line 1" in found().seen


# --- the file ------------------------------------------------------------------------------------------------


def test_the_file_is_this_users_alone(sqlite_house: House) -> None:
    assert stat.S_IMODE(log_of(sqlite_house).stat().st_mode) == 0o600


def test_a_disk_that_is_full_leaves_no_half_line(sqlite_house: House) -> None:
    """A real limit in a process of its own: the kernel writes a part and then refuses."""
    path, database = log_of(sqlite_house), sqlite_house.broker.database
    size, before = path.stat().st_size, path.read_text()
    program = f"""
import resource, signal, sys
from broker.errors import Unavailable
from broker.shredlog.file import FileLog
from broker.shredlog.line import Mark
log = FileLog({str(path)!r})
mark = list(log.after(Mark(-1, "", 0)))[-1].mark
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({size + 40}, {size + 40}))
try:
    log.append(lambda: (mark, [{{"id": "end_1", "what": "connection.revoked"}}]))
except Unavailable as error:
    print(error.detail)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert "File too large" in ended.stdout, ended.stderr
    assert path.read_text() == before
    assert database.engine.url.database != str(path)


def test_a_line_torn_by_a_crash_is_no_line_and_the_next_takes_its_place(sqlite_house: House) -> None:
    house, app = sqlite_house, sqlite_house.client()
    with log_of(house).open("a") as file:
        file.write('{"at":"2026-11-25T')
    check(house.broker)
    app.revoke(app.connect()["id"])
    assert [line["seq"] for line in lines(house)] == [1]
    assert house.broker.shred_log.verify() == 1


APPENDER = """
import os, time
from broker.shredlog.file import FileLog
from broker.shredlog.line import START
from broker.shredlog.table import TableLog
place = sys.argv[1]
log = TableLog(place) if "://" in place else FileLog(place)
def newest():
    found = list(log.after(START))[-1].mark
    time.sleep(0.005)
    return found
newest()
begin()
for number in range(20):
    log.append(lambda: (newest(), [{"id": f"{os.getpid()}-{number}", "what": "connection.revoked"}]))
"""


@pytest.mark.parametrize("kind", ["file", "sqlite", "postgresql"])
def test_processes_that_append_at_once_lose_no_line(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, sqlite_house: House
) -> None:
    """Each asks for the end while it holds the lock, as the broker does."""
    from broker.shredlog.table import TableLog

    place = str(tmp_path / "at.once")
    if kind == "sqlite":
        place = f"sqlite:///{place}"
    elif kind == "postgresql":
        place = request.getfixturevalue("postgres_url")
    log = FileLog(place) if kind == "file" else TableLog(place)
    log.begin(sqlite_house.clock())
    at_once(APPENDER, place, times=2)
    found = list(log.after(START))
    if isinstance(log, TableLog):
        log.database.dispose()
    assert [line.seq for line in found] == list(range(41))
    assert len({line.id for line in found}) == 41


# --- a second database ---------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgresql"])
def log_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'log.db'}"
        return
    server: Server = request.getfixturevalue("postgres")
    with server.database() as url:
        yield url


def test_a_second_database_serves_as_the_log(build: Callable[..., House], sqlite_url: str, log_url: str) -> None:
    import shutil

    house = build(sqlite_url, BROKER_SHRED_LOG=log_url)
    app, path = house.client(), sqlite_url.removeprefix("sqlite:///")
    connection = app.connect()["id"]
    house.broker.database.dispose()
    shutil.copy(path, f"{path}.backup")
    app.revoke(connection)
    house.broker.shred_log.check()
    assert house.broker.shred_log.verify() == 1
    house.broker.database.dispose()
    for suffix in ("-wal", "-shm"):
        Path(path + suffix).unlink(missing_ok=True)
    shutil.copy(f"{path}.backup", path)
    other = assemble(house.environ, clock=house.clock)
    try:
        with pytest.raises(PutBack):
            check(other)
        assert restore(other).connections == 1
        check(other)
    finally:
        other.upstream.close()
        other.database.dispose()
    app._token = ""
    assert app.records(connection).status_code == 410


def test_the_datas_database_is_no_second_one_by_another_address(build: Callable[..., House], sqlite_url: str) -> None:
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="another database"):
            build(sqlite_url, BROKER_SHRED_LOG=sqlite_url.replace("broker.db", "./broker.db"))
    build(sqlite_url)


# --- settings ------------------------------------------------------------------------------------------------


def _settings(**given: str) -> Settings:
    least = {"BROKER_KEYS": "env:KEYS", "BROKER_PUBLIC_URL": "https://broker.example.com"}
    return Settings.read(least | given, {name: provider.options for name, provider in built_in().items()})


@pytest.mark.parametrize(
    "wrong", ["shred.log", "mysql://h/d", "/", "sqlite:////data/broker.db", "/data/broker.db", "sqlite://"]
)
def test_a_wrong_place_for_the_log_is_refused_with_all_other_problems(wrong: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        _settings(BROKER_SHRED_LOG=wrong, BROKER_DATABASE_URL="sqlite:////data/broker.db", BROKER_ENV="test")
    assert "BROKER_SHRED_LOG" in str(refused.value)
    assert "BROKER_ENV" in str(refused.value)


def test_each_database_has_a_log_of_its_own_unless_one_is_named() -> None:
    assert _settings().shred_log == str(Path.cwd() / "instance" / "broker.db.shred-log")
    assert _settings(BROKER_DATABASE_URL="sqlite:////data/a.db").shred_log == "/data/a.db.shred-log"
    server = "postgresql+psycopg://broker:secret@db.example/sales"
    named = _settings(BROKER_DATABASE_URL=server).shred_log
    assert Path(named) == Path.cwd() / "instance" / "db.example-5432-sales.shred-log"
