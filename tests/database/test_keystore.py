"""Keys in a database of their own (docs/adr/0015): key first, shredded last, and never sealed data without a key."""

# ruff: noqa: PT012 - it is the whole transaction that raises

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from broker import signing
from broker.app import assemble, check
from broker.db import Database
from broker.errors import ConfigurationError, Unavailable
from broker.models import Connection, ConnectionKey, KeyCheck, OwedShred, TenantKey
from broker.schema import is_current, upgrade
from broker.vault import KeyRing, Undecryptable, Vault, check_place, move_keys, rotate, shred_owed
from tests.house import House, environment, free_port
from tests.postgres import TEMPLATE, Server
from tests.vault.tpb1_reference import entry

OpenDatabase = Callable[..., Database]
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
MINE = {"tenant": "toko", "connection": "con_1"}
PLACE = {**MINE, "column": "refresh_token", "version": 1}
TABLES = (KeyCheck, TenantKey, ConnectionKey)


@pytest.fixture
def vault() -> Vault:
    return Vault(KeyRing.parse(entry("k1", b"KEK-1")), clock=lambda: NOON)


@pytest.fixture
def apart(open_database: OpenDatabase, database_url: str, keystore_url: str) -> Database:
    """The data's database, whose keys are in another."""
    return open_database(database_url, keystore=keystore_url)


def counts(database: Database) -> dict[str, int]:
    """Rows of the vault's tables in one database."""
    with database.read() as session:
        return {table.__tablename__: session.scalar(select(func.count()).select_from(table)) or 0 for table in TABLES}


def key_count(database: Database) -> int:
    return counts(database.keystore)["connection_keys"]


def owed(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(OwedShred)) or 0


def sealed(database: Database, vault: Vault, **place: object) -> bytes:
    place = {**PLACE, **place}
    with database.write() as session:
        vault.new_key(session, tenant=place["tenant"], connection=place["connection"])
        return vault.seal(session, plaintext=b"REFRESH-1", **place)


def opened(database: Database, vault: Vault, blob: bytes, **place: object) -> bytes:
    with database.read() as session:
        return vault.open(session, blob=blob, **{**PLACE, **place})


def shred(database: Database, vault: Vault) -> bool:
    with database.write() as session:
        return vault.shred(session, **MINE)


def connect(database: Database, tenant: str = "toko") -> None:
    """A live connection's row."""
    with database.write() as session:
        session.add(
            Connection(
                **{"id": "con_1", "tenant": tenant, "subject": "ani", "provider": "google", "app_id": "google"},
                **{"account_index": b"a", "state": "active", "live": True, "created_at": NOON, "activated_at": NOON},
                **{"requested_scopes": [], "confirmed_scopes": [], "granted_scopes": []},
            )
        )


@contextmanager
def away(server: Server, url: str) -> Iterator[None]:
    """A database that cannot be reached for a while."""
    name = url.rpartition("/")[2]
    server.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    server.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    yield
    server.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


# --- where what is -------------------------------------------------------------------------------------------


def test_keys_are_in_the_key_store_alone_and_open_what_they_sealed(apart: Database, vault: Vault) -> None:
    blob = sealed(apart, vault)
    with apart.write() as session:
        vault.blind_index(session, provider="google", client_id="c", value="108")
        vault.check_keys(session)
    assert opened(apart, vault, blob) == b"REFRESH-1"
    assert counts(apart.keystore) == {"key_checks": 1, "tenant_keys": 2, "connection_keys": 1}
    assert not any(counts(apart).values())


def test_backup_of_the_data_opens_nothing_even_with_the_key_ring(
    apart: Database, database_url: str, vault: Vault, open_database: OpenDatabase
) -> None:
    """I12: all that was in the data's database, without the key store."""
    blob = sealed(apart, vault)
    backup = open_database(database_url)
    with pytest.raises(Undecryptable):
        opened(backup, vault, blob)


def test_without_a_key_store_of_their_own_keys_are_in_the_transaction_of_the_data(
    database: Database, vault: Vault
) -> None:
    with pytest.raises(ZeroDivisionError), database.write() as session:
        vault.new_key(session, **MINE)
        raise ZeroDivisionError
    assert key_count(database) == 0
    blob = sealed(database, vault)
    with pytest.raises(ZeroDivisionError), database.write() as session:
        vault.shred(session, **MINE)
        raise ZeroDivisionError
    assert opened(database, vault, blob) == b"REFRESH-1"
    assert shred(database, vault) is True
    assert (key_count(database), owed(database)) == (0, 0)


# --- key first -----------------------------------------------------------------------------------------------


def test_key_is_committed_before_the_data_it_seals(apart: Database, vault: Vault) -> None:
    with apart.write() as session:
        vault.new_key(session, **MINE)
        assert key_count(apart) == 1


def test_kill_before_the_commit_leaves_a_key_and_no_data(
    apart: Database, vault: Vault, database_url: str, keystore_url: str
) -> None:
    program = """
import os, signal, sys
from datetime import UTC, datetime
from broker.db import Database
from broker.models import Orphan
from broker.vault import KeyRing, Vault
now = datetime(2026, 11, 24, 12, tzinfo=UTC)
vault = Vault(KeyRing.parse(sys.argv[3]), clock=lambda: now)
with Database(sys.argv[1], keystore=sys.argv[2]).write() as session:
    vault.new_key(session, tenant="toko", connection="con_1")
    place = {"tenant": "toko", "connection": "con_1", "column": "token", "version": 0}
    blob = vault.seal(session, plaintext=b"REFRESH-1", **place)
    session.add(Orphan(id="o", tenant="toko", app_id="google", token=blob, created_at=now))
    session.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    command = [sys.executable, "-c", program, database_url, keystore_url, entry("k1", b"KEK-1")]
    assert subprocess.run(command, timeout=30).returncode == -signal.SIGKILL
    with apart.read() as session:
        assert session.scalar(text("SELECT count(*) FROM orphans")) == 0
    assert key_count(apart) == 1
    assert opened(apart, vault, sealed(apart, vault)) == b"REFRESH-1"


# --- shredded last -------------------------------------------------------------------------------------------


def test_shredded_is_lost_once_the_transaction_is_committed(apart: Database, vault: Vault) -> None:
    blob, neighbour = sealed(apart, vault), sealed(apart, vault, connection="con_2")
    with apart.write() as session:
        assert vault.shred(session, **MINE)
        assert key_count(apart) == 2
    assert (key_count(apart), owed(apart)) == (1, 0)
    with pytest.raises(Undecryptable):
        opened(apart, vault, blob)
    assert opened(apart, vault, neighbour, connection="con_2") == b"REFRESH-1"


def test_shredding_that_is_undone_did_not_happen(apart: Database, vault: Vault) -> None:
    blob = sealed(apart, vault)
    with pytest.raises(ZeroDivisionError), apart.write() as session:
        vault.shred(session, **MINE)
        raise ZeroDivisionError
    with apart.write() as session:
        vault.shred(session, **MINE)
        session.rollback()
    assert owed(apart) == 0
    assert shred_owed(apart) == 0
    assert opened(apart, vault, blob) == b"REFRESH-1"


def test_shredding_what_is_not_there_says_so(apart: Database, vault: Vault) -> None:
    assert shred(apart, vault) is False
    assert owed(apart) == 0


def test_shredded_tenant_is_lost(apart: Database, vault: Vault) -> None:
    blob, neighbour = sealed(apart, vault), sealed(apart, vault, tenant="kios")
    with apart.write() as session:
        assert vault.shred_tenant(session, tenant="toko")
    assert counts(apart.keystore)["tenant_keys"] == 1
    with pytest.raises(Undecryptable):
        opened(apart, vault, blob)
    assert opened(apart, vault, neighbour, tenant="kios") == b"REFRESH-1"


def test_kill_after_the_commit_leaves_the_shredding_owed_and_the_sweep_pays(
    apart: Database, vault: Vault, database_url: str, keystore_url: str
) -> None:
    """The process dies in the very moment between the two databases."""
    sealed(apart, vault)
    program = """
import os, signal, sys
from datetime import UTC, datetime
from sqlalchemy import event
from broker.db import Database
from broker.vault import KeyRing, Vault
vault = Vault(KeyRing.parse(sys.argv[3]), clock=lambda: datetime(2026, 11, 24, 12, tzinfo=UTC))
with Database(sys.argv[1], keystore=sys.argv[2]).write() as session:
    vault.shred(session, tenant="toko", connection="con_1")
    event.listen(session, "after_commit", lambda _: os.kill(os.getpid(), signal.SIGKILL))
"""
    command = [sys.executable, "-c", program, database_url, keystore_url, entry("k1", b"KEK-1")]
    assert subprocess.run(command, timeout=30).returncode == -signal.SIGKILL
    assert (key_count(apart), owed(apart)) == (1, 1)
    assert shred_owed(apart) == 1
    assert (key_count(apart), owed(apart)) == (0, 0)


def test_shredding_that_was_done_and_not_noted_is_harmlessly_repeated(apart: Database, vault: Vault) -> None:
    neighbour = sealed(apart, vault, connection="con_2")
    with apart.write() as session:
        session.add(OwedShred(**MINE, owed_at=NOON))
    assert shred_owed(apart) == 1
    assert owed(apart) == 0
    assert opened(apart, vault, neighbour, connection="con_2") == b"REFRESH-1"


def test_no_key_is_made_under_a_name_whose_shredding_is_owed(apart: Database, vault: Vault) -> None:
    """It would be found, kept, and then destroyed under the data that it seals."""
    sealed(apart, vault)
    with apart.write() as session:
        session.add(OwedShred(**MINE, owed_at=NOON))
    with pytest.raises(Unavailable), apart.write() as session:
        vault.new_key(session, **MINE)
    with apart.write() as session:
        session.add(OwedShred(tenant="toko", connection="", owed_at=NOON))
    with pytest.raises(Unavailable), apart.write() as session:
        vault.new_key(session, tenant="toko", connection="con_2")
    assert shred_owed(apart) == 2
    assert opened(apart, vault, sealed(apart, vault)) == b"REFRESH-1"


# --- a key store that is away --------------------------------------------------------------------------------


def test_without_the_key_store_nothing_is_sealed_or_opened_and_nothing_is_lost(
    postgres: Server, postgres_url: str, vault: Vault, open_database: OpenDatabase
) -> None:
    with postgres.database(TEMPLATE) as keystore_url:
        apart = open_database(postgres_url, keystore=keystore_url)
        blob = sealed(apart, vault)
        with away(postgres, keystore_url):
            with pytest.raises(Unavailable):
                opened(apart, vault, blob)
            with pytest.raises(Unavailable):
                sealed(apart, vault, connection="con_2")
        assert opened(apart, vault, blob) == b"REFRESH-1"
        apart.dispose()


def test_revoking_does_not_wait_for_the_key_store(
    postgres: Server, postgres_url: str, vault: Vault, open_database: OpenDatabase
) -> None:
    """Deny first: that the key goes later is owed."""
    with postgres.database(TEMPLATE) as keystore_url:
        apart = open_database(postgres_url, keystore=keystore_url)
        sealed(apart, vault)
        with apart.write() as session:
            vault.shred(session, **MINE)
            session.add(KeyCheck(kid="denied", check_value=b"x"))
            name = keystore_url.rpartition("/")[2]
            postgres.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            postgres.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        assert counts(apart)["key_checks"] == 1
        assert owed(apart) == 1
        with pytest.raises(Unavailable):
            shred_owed(apart)
        postgres.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        assert shred_owed(apart) == 1
        assert key_count(apart) == 0
        apart.dispose()


# --- rotation ------------------------------------------------------------------------------------------------


def test_rotation_goes_through_the_key_store(apart: Database, vault: Vault) -> None:
    blob = sealed(apart, vault)
    both = Vault(KeyRing.parse(f"{entry('k2', b'KEK-2')} {entry('k1', b'KEK-1')}"), clock=lambda: NOON)
    assert rotate(apart, both, tenant_keys=False, report=lambda *_: None).tenant_keys == 1
    alone = Vault(KeyRing.parse(entry("k2", b"KEK-2")), clock=lambda: NOON)
    assert opened(apart, alone, blob) == b"REFRESH-1"


# --- starting ------------------------------------------------------------------------------------------------


def test_upgrade_brings_both_databases_to_the_newest_schema(
    make_bare: Callable[[str], str], tmp_path: Path, open_database: OpenDatabase
) -> None:
    apart = open_database(make_bare("sqlite"), keystore=f"sqlite:///{tmp_path / 'keys.db'}")
    assert not is_current(apart)
    upgrade(apart)
    assert is_current(apart)
    assert is_current(apart.keystore)


@pytest.mark.parametrize("part", ["data", "keys"])
def test_neither_database_may_be_of_an_older_schema(part: str, apart: Database) -> None:
    with (apart if part == "data" else apart.keystore).write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    assert not is_current(apart)


def test_new_broker_starts_with_either_place_for_its_keys(apart: Database, database: Database) -> None:
    check_place(apart)
    check_place(database)


def test_keys_left_in_the_database_refuse_the_start_and_say_what_to_do(
    database: Database, apart: Database, vault: Vault
) -> None:
    sealed(database, vault)
    with pytest.raises(ConfigurationError, match="broker db move-keys"):
        check_place(apart)


def test_key_store_without_the_keys_of_the_connections_refuses_the_start(
    database: Database, apart: Database, vault: Vault
) -> None:
    """Another broker's, an empty one, or none although there was one."""
    connect(database)
    sealed(apart, vault, tenant="kios")
    for place in (apart, database):
        with pytest.raises(ConfigurationError, match="BROKER_KEYSTORE_URL"):
            check_place(place)
    sealed(apart, vault)
    check_place(apart)


def test_start_looks_for_the_keys(apart: Database, database_url: str, keystore_url: str, tmp_path: Path) -> None:
    connect(apart)
    url = f"http://127.0.0.1:{free_port()}"
    broker = assemble(environment(url, "http://127.0.0.1:9", database_url, tmp_path, BROKER_KEYSTORE_URL=keystore_url))
    try:
        assert broker.database.keystore.engine.url.render_as_string(hide_password=False) == keystore_url
        with pytest.raises(ConfigurationError, match="BROKER_KEYSTORE_URL"):
            check(broker)
    finally:
        broker.upstream.close()
        broker.database.dispose()


@pytest.mark.parametrize("url", ["mysql://db/keys", "sqlite:///", "sqlite:///:memory:", "sqlite:////data/broker.db"])
def test_key_store_that_is_none_refuses_the_start(url: str, tmp_path: Path) -> None:
    environ = environment("http://127.0.0.1:8000", "http://127.0.0.1:9", "sqlite:////data/broker.db", tmp_path)
    with pytest.raises(ConfigurationError, match="BROKER_KEYSTORE_URL"):
        assemble(environ | {"BROKER_KEYSTORE_URL": url})


# --- moving there --------------------------------------------------------------------------------------------


def test_keys_move_and_open_what_they_sealed(database: Database, apart: Database, vault: Vault) -> None:
    blobs = {name: sealed(database, vault, connection=name) for name in ("con_1", "con_2", "session:1")}
    before = counts(database)
    assert move_keys(apart) == sum(before.values())
    assert counts(apart.keystore) == before
    assert not any(counts(database).values())
    assert {opened(apart, vault, blob, connection=name) for name, blob in blobs.items()} == {b"REFRESH-1"}
    check_place(apart)


def test_move_that_was_killed_goes_on_where_it_stopped(database: Database, apart: Database, vault: Vault) -> None:
    """Copied and not yet deleted, as at a kill between the two."""
    blob = sealed(database, vault)
    with database.read() as session, apart.keystore.write() as keystore:
        for table in TABLES:
            rows = [dict(row) for row in session.execute(select(table.__table__)).mappings()]
            keystore.execute(table.__table__.insert(), rows)
    move_keys(apart)
    assert not any(counts(database).values())
    assert opened(apart, vault, blob) == b"REFRESH-1"
    assert move_keys(apart) == 0


def test_move_into_another_brokers_key_store_is_refused_and_loses_nothing(
    database: Database, apart: Database, vault: Vault
) -> None:
    blob = sealed(database, vault)
    sealed(apart, Vault(KeyRing.parse(entry("k1", b"KEK-2")), clock=lambda: NOON), connection="con_9")
    with pytest.raises(ConfigurationError, match="another row"):
        move_keys(apart)
    assert opened(database, vault, blob) == b"REFRESH-1"


def test_move_into_the_same_database_by_another_address_is_refused_and_loses_nothing(
    database: Database, database_url: str, vault: Vault, open_database: OpenDatabase, tmp_path: Path
) -> None:
    blob = sealed(database, vault)
    (tmp_path / "link").symlink_to(tmp_path)
    alias = database_url.replace("127.0.0.1", "localhost").replace("/broker.db", "/link/broker.db")
    assert alias != database_url
    with pytest.raises(ConfigurationError, match="another one"):
        move_keys(open_database(database_url, keystore=alias))
    assert opened(database, vault, blob) == b"REFRESH-1"
    assert owed(database) == 0


def test_move_without_a_key_store_is_refused(database: Database, vault: Vault) -> None:
    blob = sealed(database, vault)
    with pytest.raises(ConfigurationError, match="BROKER_KEYSTORE_URL"):
        move_keys(database)
    assert opened(database, vault, blob) == b"REFRESH-1"


def test_operator_moves_the_keys_with_one_command(
    database: Database, apart: Database, database_url: str, keystore_url: str, tmp_path: Path
) -> None:
    environ = environment("http://127.0.0.1:8000", "http://127.0.0.1:9", database_url, tmp_path)
    with database.write() as session:
        Vault(KeyRing.load(environ["BROKER_KEYS"], environ=environ), clock=lambda: NOON).new_key(session, **MINE)
    command = [sys.executable, "-m", "broker.cli", "db", "move-keys"]
    refused = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=30)
    assert refused.returncode == 1
    assert "BROKER_KEYSTORE_URL" in refused.stderr
    environ["BROKER_KEYSTORE_URL"] = keystore_url
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=30)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("Rows moved: 3.")
    assert (key_count(apart), key_count(database)) == (1, 0)


# --- what is left in files -----------------------------------------------------------------------------------


def test_shredded_key_is_in_no_file_once_swept(sqlite_url: str, vault: Vault, tmp_path: Path) -> None:
    """The write-ahead log keeps earlier pages until it is emptied, while the broker runs on (I12)."""
    database = Database(sqlite_url)
    try:
        sealed(database, vault)
        with database.read() as session:
            wrapped = session.scalar(select(ConnectionKey.wrapped))
        shred(database, vault)
        assert any(wrapped in path.read_bytes() for path in tmp_path.glob("broker.db*"))
        database.wipe()
        assert not any(wrapped in path.read_bytes() for path in tmp_path.glob("broker.db*"))
    finally:
        database.dispose()


# --- the whole house -----------------------------------------------------------------------------------------


def test_connecting_reading_and_revoking_leave_no_key_behind(
    build: Callable[..., House], apart: Database, database_url: str, keystore_url: str
) -> None:
    house = build(database_url, BROKER_KEYSTORE_URL=keystore_url)
    app = house.client()
    connection = app.connect("google_contacts")
    assert key_count(apart) == 1
    assert app.records(connection["id"]).status_code == 200
    assert not any(counts(apart).values())
    receipt = app.revoke(connection["id"]).json()["revocation"]
    house.work()
    assert app.receipt(receipt["id"])["connections"][0]["provider_outcome"] == "confirmed"
    with apart.keystore.read() as session:
        left = session.scalars(select(ConnectionKey.tenant)).all()
    assert (left, owed(apart)) == ([signing.TENANT], 0)


def test_worker_pays_what_is_owed(
    build: Callable[..., House], apart: Database, vault: Vault, database_url: str, keystore_url: str
) -> None:
    house = build(database_url, BROKER_KEYSTORE_URL=keystore_url)
    with apart.write() as session:
        house.broker.vault.new_key(session, **MINE)
        session.add(OwedShred(**MINE, owed_at=NOON))
    house.work()
    assert (key_count(apart), owed(apart)) == (0, 0)


def test_worker_wipes_what_was_shredded(build: Callable[..., House], sqlite_url: str, tmp_path: Path) -> None:
    """Without a key store of its own, too: each sweep empties SQLite's write-ahead log."""
    house = build(sqlite_url)
    app = house.client()
    connection = app.connect("google_contacts")
    with house.broker.database.read() as session:
        wrapped = session.scalar(select(ConnectionKey.wrapped).filter_by(connection=connection["id"]))
    app.revoke(connection["id"])
    house.work()
    house.work()
    assert not any(wrapped in path.read_bytes() for path in tmp_path.glob("broker.db*"))
