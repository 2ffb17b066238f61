"""A backup that was put back serves nothing until `broker restore` has replayed what was ended since (I12)."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import func, select

from broker.app import assemble, check
from broker.errors import ConfigurationError
from broker.models import AuditEntry, Connection, ConnectionKey, Erasure, LogMark
from broker.restore import begin_anew, restore
from broker.runtime import Broker
from broker.shredlog import LogFault, PutBack
from tests.house import ANI, BUDI, House, SalesApp
from tests.postgres import Server


class Backup:
    """A copy of a database, and the way to put it back."""

    def __init__(self, url: str, request: pytest.FixtureRequest, stack: ExitStack) -> None:
        self.url = url
        self.server: Server | None = None
        if url.startswith("postgresql"):
            self.server = request.getfixturevalue("postgres")
            self.name = url.rpartition("/")[2]
            self._alone(self.name)
            self.server.run(f"CREATE DATABASE {self.name}_backup TEMPLATE {self.name}")
            stack.callback(self.server.run, f"DROP DATABASE {self.name}_backup WITH (FORCE)")
        else:
            self.path = Path(url.removeprefix("sqlite:///"))
            for suffix in ("", "-wal"):
                if Path(f"{self.path}{suffix}").exists():
                    shutil.copy(f"{self.path}{suffix}", f"{self.path}.backup{suffix}")

    def put_back(self) -> None:
        """Nobody may be connected."""
        if self.server:
            self.server.run(f"DROP DATABASE {self.name} WITH (FORCE)")
            self.server.run(f"CREATE DATABASE {self.name} TEMPLATE {self.name}_backup")
            return
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)
            if Path(f"{self.path}.backup{suffix}").exists():
                shutil.copy(f"{self.path}.backup{suffix}", f"{self.path}{suffix}")

    def _alone(self, name: str) -> None:
        assert self.server
        self.server.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")


@pytest.fixture
def back_up(request: pytest.FixtureRequest) -> Iterator[Callable[[House], Backup]]:
    """Copies a house's database as it stands; the house goes on."""
    with ExitStack() as stack:

        def backing_up(house: House, url: str = "") -> Backup:
            house.broker.database.dispose()
            return Backup(url or house.environ["BROKER_DATABASE_URL"], request, stack)

        yield backing_up


@contextmanager
def another(house: House) -> Iterator[Broker]:
    """A process that starts now, with the same settings and clock."""
    broker = assemble(house.environ, clock=house.clock)
    try:
        yield broker
    finally:
        broker.accesses.close()
        broker.upstream.close()
        broker.database.dispose()


def starts(house: House) -> None:
    """What every start checks. Raises `ConfigurationError`."""
    with another(house) as broker:
        check(broker)


def put_back(house: House, backup: Backup) -> None:
    house.broker.database.dispose()
    backup.put_back()


def log_of(house: House) -> Path:
    return Path(house.environ["BROKER_SHRED_LOG"])


def said(house: House) -> list[str]:
    return [json.loads(line)["what"] for line in log_of(house).read_text().splitlines()]


def ready(app: SalesApp) -> tuple[int, dict[str, bool]]:
    answer = app.http.get(f"{app.url}/readyz", timeout=10)
    return answer.status_code, answer.json()["checks"]


# --- put back ------------------------------------------------------------------------------------------------


def test_a_database_put_back_serves_nothing_until_all_that_was_ended_since_is_ended_again(
    house: House, app: SalesApp, back_up: Callable[..., Backup]
) -> None:
    revoked, kept = app.connect(), app.connect(account=BUDI)
    backup = back_up(house)
    app.revoke(revoked["id"])
    app.withdraw(kept["id"], "google_calendar")
    house.work()
    put_back(house, backup)

    with pytest.raises(PutBack, match="broker restore"):
        starts(house)
    assert ready(app) == (503, {"database": True, "schema": True, "keys": True, "shred_log": False})
    with another(house) as broker:
        done = restore(broker)
    assert (done.connections, done.grants, done.to_tell, done.absent) == (1, 1, 0, 0)
    starts(house)
    app._token = ""  # tokens of callers end with a restore
    assert ready(app)[0] == 200
    assert app.records(revoked["id"]).status_code == 410
    assert app.records(kept["id"], "google_calendar").json()["code"] == "grant_withdrawn"
    assert app.records(kept["id"]).status_code == 200


def test_nothing_that_was_shredded_opens_after_a_restore(sqlite_house: House, back_up: Callable[..., Backup]) -> None:
    """The row of before and the key of before are both in the backup."""
    house, app = sqlite_house, sqlite_house.client()
    connection = app.connect()["id"]
    backup = back_up(house)
    app.revoke(connection)
    house.work()
    put_back(house, backup)
    with another(house) as broker:
        restore(broker)
        with broker.database.read() as session:
            row = session.get_one(Connection, connection)
            keys = select(func.count()).select_from(ConnectionKey).where(ConnectionKey.connection == connection)
            assert session.scalar(keys) == 0
    assert (row.state, row.access_token, row.refresh_token, row.account) == ("revoked", None, None, None)
    assert house.google.live_tokens() == 0


def test_a_key_store_put_back_alone_loses_its_keys_again(
    build: Callable[..., House], database_url: str, keystore_url: str, back_up: Callable[..., Backup]
) -> None:
    """The data know of no revocation that they had not: only the keys returned."""
    house = build(database_url, BROKER_KEYSTORE_URL=keystore_url)
    app = house.client()
    connection = app.connect()["id"]
    backup = back_up(house, keystore_url)
    app.revoke(connection)
    house.work()
    put_back(house, backup)
    with another(house) as broker:
        with broker.database.keystore.read() as session:
            assert session.scalar(select(ConnectionKey.connection).filter_by(connection=connection))
        with pytest.raises(PutBack, match="key store"):
            check(broker)
        assert restore(broker).shredded == 1
        with broker.database.keystore.read() as session:
            assert session.scalar(select(ConnectionKey.connection).filter_by(connection=connection)) is None
    starts(house)


def test_a_provider_that_may_not_know_yet_is_told_after_a_restore(
    sqlite_house: House, back_up: Callable[..., Backup]
) -> None:
    house, app = sqlite_house, sqlite_house.client()
    connection = app.connect()["id"]
    backup = back_up(house)
    app.revoke(connection)
    put_back(house, backup)
    assert house.google.live_tokens() > 0
    with another(house) as broker:
        assert restore(broker).to_tell == 1
    house.work()
    assert house.google.live_tokens() == 0
    app._token = ""
    assert app.connection(connection)["state"] == "revoked"


def test_a_late_duty_of_a_restore_does_not_end_what_was_connected_anew(
    sqlite_house: House, back_up: Callable[..., Backup]
) -> None:
    house, app = sqlite_house, sqlite_house.client()
    old = app.connect()["id"]
    backup = back_up(house)
    app.revoke(old)
    put_back(house, backup)
    with another(house) as broker:
        restore(broker)
    app._token = ""
    new = app.connect()["id"]
    house.work()
    assert app.records(new).status_code == 200
    assert app.records(old).status_code == 410


def test_a_connection_that_shared_its_authorization_with_one_that_is_gone_is_told_of(
    sqlite_house: House, back_up: Callable[..., Backup]
) -> None:
    """It ended as `shared`; the other one is not in the backup, so nobody else could tell the provider (I5)."""
    house, app = sqlite_house, sqlite_house.client()
    mine = app.connect()["id"]
    backup = back_up(house)
    app.subject = "budi"
    app.connect(account=ANI)
    app.subject = "ani"
    receipt = app.revoke(mine).json()["revocation"]["id"]
    house.work()
    assert app.receipt(receipt)["connections"][0]["provider_outcome"] == "shared"
    put_back(house, backup)
    with another(house) as broker:
        assert restore(broker).to_tell == 1
    house.work()
    assert house.google.live_tokens() == 0


def test_connections_of_after_the_backup_are_reported_where_the_provider_may_not_know(
    sqlite_house: House, back_up: Callable[..., Backup]
) -> None:
    house, app = sqlite_house, sqlite_house.client()
    app.connect()
    backup = back_up(house)
    told, untold = app.connect(account=BUDI)["id"], ""
    app.revoke(told)
    house.work()
    app.subject = "cici"
    untold = app.connect(account=BUDI)["id"]
    app.revoke(untold)
    put_back(house, backup)
    with another(house) as broker:
        done = restore(broker)
    assert (done.absent, done.possibly_orphaned) == (2, [untold])


def test_an_erased_subject_is_erased_again(sqlite_house: House, back_up: Callable[..., Backup]) -> None:
    house = sqlite_house
    app = house.client("connect", "connections:read", "records:read", "revoke", "privacy")
    app.connect()
    backup = back_up(house)
    answer = app.call("POST", "/v1/subjects/erase", {"tenant": "toko", "subject": "ani"})
    assert answer.status_code in (200, 202), answer.text
    house.clock.advance(seconds=60)
    house.work()
    assert said(house)[-1] == "subject.erased"
    put_back(house, backup)
    with another(house) as broker:
        assert restore(broker).subjects == 1
    house.clock.advance(seconds=60)
    house.work()
    with house.broker.database.read() as session:
        for table in (Connection, AuditEntry):
            assert session.scalar(select(func.count()).select_from(table).where(table.subject == "ani")) == 0
        assert session.scalars(select(Erasure.open)).all() == [None]


def test_a_disabled_client_stays_so_and_no_token_of_before_is_good(
    sqlite_house: House, back_up: Callable[..., Backup]
) -> None:
    from broker import clients

    house, app, other = sqlite_house, sqlite_house.client(), sqlite_house.client()
    app.connect()
    assert app.bearer
    assert other.bearer
    backup = back_up(house)
    clients.disable(house.broker.database, house.clock(), other.client_id)
    put_back(house, backup)
    with another(house) as broker:
        assert restore(broker).clients == 1
    assert other.token().status_code == 401
    assert app.call("GET", "/v1/connections").status_code == 401


def test_a_narrowed_choice_must_be_made_anew(sqlite_house: House, back_up: Callable[..., Backup]) -> None:
    """Which assets were left stands nowhere in the log: none is read until then, and never more than was on offer."""
    house, app = sqlite_house, sqlite_house.client()
    connection = app.connect("google_analytics")
    path = f"/v1/connections/{connection['id']}/assets/google_analytics"
    offered = [asset["id"] for asset in app.call("GET", path).json()["items"]]
    app.call("PUT", path, {"assets": offered[:2]})
    backup = back_up(house)
    assert app.call("PUT", path, {"assets": offered[:1]}).status_code == 200
    put_back(house, backup)
    with another(house) as broker:
        assert restore(broker).grants == 1
    app._token = ""
    assert [asset["granted"] for asset in app.call("GET", path).json()["items"]] == [False] * len(offered)
    assert app.records(connection["id"], "google_analytics").json()["code"] == "asset_required"
    assert app.records(connection["id"], "google_analytics", asset=offered[0]).json()["code"] == "not_granted"


def test_a_restore_of_what_needs_none_does_nothing_and_one_is_done_once(
    sqlite_house: House, back_up: Callable[..., Backup]
) -> None:
    house, app = sqlite_house, sqlite_house.client()
    connection = app.connect()["id"]
    backup = back_up(house)
    app.revoke(connection)
    with another(house) as broker:
        assert restore(broker).lines == 0
    put_back(house, backup)
    before = said(house)
    with another(house) as broker:
        assert (restore(broker, dry_run=True).connections, broker.shred_log.mark().seq) == (1, 0)
        assert (restore(broker).connections, restore(broker).lines) == (1, 0)
    assert said(house) == before


# --- a log that is not to be trusted -------------------------------------------------------------------------


def test_a_log_that_is_missing_cut_or_changed_refuses_the_start_and_names_the_way_out(sqlite_house: House) -> None:
    house, app = sqlite_house, sqlite_house.client()
    app.revoke(app.connect()["id"])
    app.revoke(app.connect()["id"])
    path = log_of(house)
    whole = path.read_text()
    lines = whole.splitlines(keepends=True)
    with another(house) as broker:
        for wrong in (None, "".join(lines[:-1]), whole[:-20] + "0" + whole[-19:], whole.replace("revoked", "resumed")):
            path.unlink(missing_ok=True)
            if wrong is not None:
                path.write_text(wrong)
            for use in (broker.shred_log.check, lambda: restore(broker)):
                with pytest.raises(LogFault, match="--new-log"):
                    use()
        begin_anew(broker)
        check(broker)
    assert app.revoke(app.connect()["id"]).status_code in (200, 202)
    assert said(house) == ["log.begun", "connection.revoked"]
    assert sorted(path.parent.glob(f"{path.name}.*")), "the old one is set aside, not thrown away"


def test_a_line_changed_in_the_middle_is_found_before_anything_is_replayed(
    sqlite_house: House, back_up: Callable[..., Backup]
) -> None:
    house, app = sqlite_house, sqlite_house.client()
    first, second = app.connect()["id"], app.connect(account=BUDI)["id"]
    backup = back_up(house)
    app.revoke(first)
    app.revoke(second)
    put_back(house, backup)
    path = log_of(house)
    path.write_text(path.read_text().replace(first, f"con_{0:032x}"))
    with another(house) as broker, pytest.raises(LogFault, match="line 1"):
        restore(broker)
    with house.broker.database.read() as session:
        assert session.scalars(select(Connection.live)).all() == [True, True]


def test_a_line_of_a_newer_version_is_not_passed_over(sqlite_house: House, back_up: Callable[..., Backup]) -> None:
    house, app = sqlite_house, sqlite_house.client()
    app.connect()
    backup = back_up(house)
    with house.broker.database.write() as session:
        from broker.models import OwedLine

        session.add(OwedLine(id="end_1", said='{"what": "moon.ended"}'))
    house.broker.shred_log.flush()
    put_back(house, backup)
    with another(house) as broker, pytest.raises(ConfigurationError, match="moon"):
        restore(broker)


def test_a_new_database_beside_an_old_log_needs_no_restore(sqlite_house: House, request: pytest.FixtureRequest) -> None:
    """There is nothing in it that could return."""
    house, app = sqlite_house, sqlite_house.client()
    app.revoke(app.connect()["id"])
    house.broker.database.dispose()
    path = house.environ["BROKER_DATABASE_URL"].removeprefix("sqlite:///")
    for suffix in ("-wal", "-shm"):
        Path(path + suffix).unlink(missing_ok=True)
    shutil.copy(request.getfixturevalue("_migrated_file"), path)
    starts(house)


def test_a_backup_from_before_the_first_log_is_put_back_too(
    sqlite_house: House, back_up: Callable[..., Backup]
) -> None:
    house, app = sqlite_house, sqlite_house.client()
    connection = app.connect()["id"]
    with house.broker.database.write() as session:
        session.execute(LogMark.__table__.delete())
    backup = back_up(house)
    starts(house)
    app.revoke(connection)
    put_back(house, backup)
    with pytest.raises(PutBack):
        starts(house)
    with another(house) as broker:
        assert restore(broker).connections == 1
    starts(house)
