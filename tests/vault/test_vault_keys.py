"""Keys are made once, checked, remembered for minutes; sources that fail (CRY-06, -10, -11, -17, -18)."""

import logging
import multiprocessing
import os
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, insert, select, text, update

from broker.db import Database
from broker.errors import ConfigurationError, Unavailable
from broker.keyring import draw
from broker.models import ConnectionKey, KeyCheck, TenantKey
from broker.secret import SecretBytes
from broker.vault import KeyRing, Undecryptable, Vault
from broker.vault.memory import Unwrapped
from broker.vault.rows import TenantRow
from tests.vault.acts import (
    K1,
    K2,
    MINE,
    NOON,
    PLACE,
    TABLES,
    Source,
    check,
    count,
    index_of,
    opened,
    refused,
    rewrapped,
    sealed,
    vault_with,
)
from tests.vault.tpb1_reference import entry, key_of

# --- making keys -----------------------------------------------------------------------------------------------


def test_a_key_is_made_once(database: Database, vault: Vault) -> None:
    blob = sealed(database, vault)
    with database.write() as keys:
        vault.new_key(keys, **MINE)
    assert (count(database, TenantKey), count(database, ConnectionKey)) == (1, 1)
    assert opened(database, vault, blob) == b"REFRESH-1"


def test_connections_of_a_tenant_have_keys_of_their_own_under_one_tenant_key(database: Database, vault: Vault) -> None:
    for connection in ("con_1", "con_2", "session:ses_1"):
        sealed(database, vault, connection=connection)
    assert (count(database, TenantKey), count(database, ConnectionKey)) == (1, 3)


def test_nothing_is_sealed_without_a_key(database: Database, vault: Vault) -> None:
    with database.write() as keys, pytest.raises(Undecryptable) as caught:
        vault.seal(keys, plaintext=b"REFRESH-1", **PLACE)
    assert caught.value.reason == "no DEK (shredded)"


@pytest.mark.parametrize("verb", ["new_key", "shred_tenant", "new_tenant_key"])
def test_the_brokers_own_tenant_key_is_out_of_reach(database: Database, vault: Vault, verb: str) -> None:
    """A new or lost index root would strand every blind index."""
    given = {"tenant": "*"} | ({"connection": "con_1"} if verb == "new_key" else {})
    with database.write() as keys, pytest.raises(ValueError, match="the tenant"):
        getattr(vault, verb)(keys, **given)


def test_the_loser_of_a_race_takes_the_winners_tenant_key(database: Database, source: Source, counted: Vault) -> None:
    """Another process makes the tenant's key between our look and our insert, as it can on PostgreSQL."""
    with database.write() as keys:
        source.overtaken_by = lambda: vault_with(K1).new_key(keys, tenant="acme", connection="con_2")
        counted.new_key(keys, **MINE)
        blob = counted.seal(keys, plaintext=b"REFRESH-1", **PLACE)
    assert (count(database, TenantKey), count(database, ConnectionKey)) == (1, 2)
    assert opened(database, vault_with(K1), blob) == b"REFRESH-1"


def test_the_loser_of_a_race_takes_the_winners_connection_key(
    database: Database, source: Source, counted: Vault
) -> None:
    with database.write() as keys:
        source.overtaken_by = lambda: vault_with(K1).new_key(keys, **MINE)
        counted.new_key(keys, **MINE)
        blob = counted.seal(keys, plaintext=b"REFRESH-1", **PLACE)
    assert count(database, ConnectionKey) == 1
    assert opened(database, vault_with(K1), blob) == b"REFRESH-1"


def test_a_key_that_the_database_refuses_seals_nothing(sqlite: Database, vault: Vault) -> None:
    """For another reason than a rival's key, which would be there to be taken."""
    with sqlite.write() as keys:
        keys.execute(text("CREATE TRIGGER no BEFORE INSERT ON tenant_keys BEGIN SELECT RAISE(ABORT, 'no'); END"))
        with pytest.raises(Undecryptable) as caught:
            vault.new_key(keys, **MINE)
    assert caught.value.reason == "no tenant key"
    assert count(sqlite, ConnectionKey) == 0


def test_whoever_saw_no_root_takes_the_one_made_meanwhile(postgres_url: str) -> None:
    """A second root would strand the indexes of the first. The rival comes between our look and our own root, as it
    can on PostgreSQL alone."""
    ours, theirs = Database(postgres_url), Database(postgres_url)
    found: list[bytes] = []

    def overtake(*executed: Any) -> None:
        if "FROM tenant_keys" in executed[2] and not found:
            with theirs.write() as keys:
                found.append(index_of(vault_with(K1), keys))

    event.listen(ours.engine, "after_cursor_execute", overtake)
    with ours.write() as keys:
        assert index_of(vault_with(K1), keys) == found[0]
    assert count(ours, TenantKey) == 1
    ours.dispose()
    theirs.dispose()


RACED = [f"tenant-{number}" for number in range(20)]


def _make_keys(url: str, worker: int) -> tuple[dict[str, bytes], bytes]:
    """What one of eight processes seals and finds that make the same keys at once."""
    database, vault = Database(url), vault_with(K1)
    try:
        with database.write() as keys:
            index = index_of(vault, keys)
        mine = {"connection": f"con_{worker % 2}", "version": worker}
        return {tenant: sealed(database, vault, tenant=tenant, **mine) for tenant in RACED}, index
    finally:
        database.dispose()


def test_processes_at_once_end_with_one_key(database: Database, database_url: str) -> None:
    """Twenty tenants with two connections each, and one root: a second root would strand the indexes of the first."""
    with multiprocessing.get_context("fork").Pool(8) as pool:
        made = pool.starmap(_make_keys, [(database_url, worker) for worker in range(8)], chunksize=1)
    assert (count(database, TenantKey), count(database, ConnectionKey)) == (len(RACED) + 1, 2 * len(RACED))
    assert len({index for _, index in made}) == 1
    for worker, (blobs, _) in enumerate(made):
        place = {"connection": f"con_{worker % 2}", "version": worker}
        assert {opened(database, vault_with(K1), blob, tenant=t, **place) for t, blob in blobs.items()} == {
            b"REFRESH-1"
        }


# --- check values ----------------------------------------------------------------------------------------------


def test_known_keys_pass_the_check_again_and_again(database: Database) -> None:
    for _ in range(2):
        check(database, vault_with(K1, K2))
    assert count(database, KeyCheck) == 2


@pytest.mark.parametrize("kid", ["k1", "k2"])
def test_another_key_under_a_known_id_refuses_to_start(database: Database, kid: str) -> None:
    """CRY-06, M1 check 13: the sealing key and an opening one alike."""
    check(database, vault_with(K1, K2))
    wrong = [entry("k1", b"OTHER"), K2] if kid == "k1" else [K1, entry("k2", b"OTHER")]
    with pytest.raises(ConfigurationError, match=f"key {kid} is not the one"):
        check(database, vault_with(*wrong))


def test_a_missing_key_that_still_wraps_refuses_to_start_and_leaves_nothing(database: Database) -> None:
    """CRY-06: all keys lost, and a new ring brought instead."""
    sealed(database, vault_with(K1))
    before = count(database, KeyCheck)
    with database.write() as keys, pytest.raises(ConfigurationError, match=r"key k1 is missing .* \(1\)"):
        vault_with(K2).check_keys(keys)
    assert count(database, KeyCheck) == before


def test_every_problem_with_the_keys_is_listed(database: Database) -> None:
    sealed(database, vault_with(K1))
    check(database, vault_with(K1, K2))
    with pytest.raises(ConfigurationError) as caught:
        check(database, vault_with(entry("k2", b"OTHER")))
    assert [problem.split(" is ")[0] for problem in caught.value.problems] == ["key k2", "key k1"]


def test_a_wrong_key_under_the_right_id_opens_and_seals_nothing(database: Database) -> None:
    """CRY-06, M1 check 26: even in a process that never checked its keys."""
    blob = sealed(database, vault_with(K1))
    wrong = vault_with(entry("k1", b"OTHER"))
    assert refused(database, wrong, blob) == "wrap tag"
    for tenant in ("acme", "umbrella"):
        with pytest.raises(Undecryptable), database.write() as keys:
            wrong.new_key(keys, tenant=tenant, connection="con_9")
    with pytest.raises(Undecryptable), database.write() as keys:
        wrong.seal(keys, plaintext=b"REFRESH-2", **PLACE)
    assert (count(database, TenantKey), count(database, ConnectionKey)) == (1, 1)


def test_a_lost_key_is_a_clean_error(database: Database) -> None:
    """CRY-06, M1 check 25."""
    assert refused(database, vault_with(K2), sealed(database, vault_with(K1))) == "unknown KEK id"


def test_a_wrong_new_key_rewraps_nothing(database: Database) -> None:
    """CRY-06: a host whose k2 was mistyped must not move the tenants' keys under it."""
    blob = sealed(database, vault_with(K1))
    check(database, vault_with(K1, K2))
    with pytest.raises(Undecryptable) as caught, database.write() as keys:
        rewrapped(keys, vault_with(entry("k2", b"OTHER"), K1))
    assert caught.value.reason == "wrong KEK"
    assert opened(database, vault_with(K1), blob) == b"REFRESH-1"


# --- memory ----------------------------------------------------------------------------------------------------


def test_a_tenant_key_is_unwrapped_once_in_five_minutes(
    database: Database, source: Source, counted: Vault, monotonic: Any
) -> None:
    """§4.2.5: five minutes from the unwrapping, however often it is used."""
    blob = sealed(database, counted)
    for seconds, unwraps in ((0, 1), (299, 1), (300, 2), (599, 2), (601, 3)):
        monotonic.seconds = seconds
        assert opened(database, counted, blob) == b"REFRESH-1"
        assert source.unwraps == unwraps


def test_what_is_forgotten_is_unwrapped_again(database: Database, source: Source, counted: Vault) -> None:
    blob = sealed(database, counted)
    counted.forget()
    opened(database, counted, blob)
    assert source.unwraps == 2


def test_a_shredded_tenants_key_does_not_stay_in_memory(database: Database, source: Source, counted: Vault) -> None:
    """§4.2.5: seen by restoring every row, so that only the unwrapping tells."""
    blob = sealed(database, counted)
    with database.write() as keys:
        rows = [(table, dict(keys.execute(select(table)).mappings().one())) for table in TABLES]
        counted.shred_tenant(keys, tenant="acme")
        for table, row in rows:
            keys.execute(insert(table).values(row))
    opened(database, counted, blob)
    assert source.unwraps == 2


def test_the_memory_is_bounded_and_drops_the_least_used(monotonic: Any) -> None:
    memory, row = Unwrapped(monotonic), TenantRow(b"tk-id--1", "k1", bytes(60))
    for number in range(1024):
        memory.put(f"tenant-{number}", row, key_of(b"TK-1"))
    memory.get("tenant-0", row)
    memory.put("another", row, key_of(b"TK-2"))
    kept = [memory.get(tenant, row) for tenant in ("tenant-0", "tenant-1", "tenant-2", "another")]
    assert kept == [key_of(b"TK-1"), None, key_of(b"TK-1"), key_of(b"TK-2")]


def test_an_expired_key_does_not_stay_in_memory(monotonic: Any) -> None:
    """The next key that is put there sweeps it out, though nobody asks for it again."""
    memory, row = Unwrapped(monotonic), TenantRow(b"tk-id--1", "k1", bytes(60))
    memory.put("acme", row, key_of(b"TK-1"))
    monotonic.seconds = 300.0
    memory.put("umbrella", row, key_of(b"TK-2"))
    monotonic.seconds = 0.0
    assert memory.get("acme", row) is None


@pytest.mark.parametrize(
    ("unwraps", "seconds", "warnings"), [(2048, 60, 0), (2049, 60, 1), (5000, 60, 1), (4096, 120, 0)]
)
def test_more_unwrappings_than_service_needs_are_told_once_a_minute(
    monotonic: Any, caplog: pytest.LogCaptureFixture, unwraps: int, seconds: int, warnings: int
) -> None:
    """CRY-17: a process that walks through the tenants; the warning is a number and names nobody."""
    memory = Unwrapped(monotonic)
    for number in range(unwraps):
        monotonic.seconds = seconds * number / unwraps
        assert memory.get(f"tenant-{number}", TenantRow(b"tk-id--1", "k1", bytes(60))) is None
    told = [record for record in caplog.records if record.name == "broker.vault.memory"]
    assert [record.levelno for record in told] == [logging.WARNING] * warnings
    assert not any("tenant-" in record.getMessage() for record in told)


def test_what_is_in_memory_is_no_unwrapping(monotonic: Any, caplog: pytest.LogCaptureFixture) -> None:
    """CRY-17: one busy tenant does not set it off."""
    memory, row = Unwrapped(monotonic), TenantRow(b"tk-id--1", "k1", bytes(60))
    memory.put("acme", row, SecretBytes(key_of(b"TK-1")))
    for _ in range(3000):
        memory.get("acme", row)
    assert not [record for record in caplog.records if record.name == "broker.vault.memory"]


def test_a_changed_tenant_key_row_is_not_answered_from_memory(database: Database, vault: Vault) -> None:
    """CRY-04: the memory knows a key by all that it was unwrapped from."""
    blob = sealed(database, vault)
    with database.write() as keys:
        keys.execute(update(TenantKey).values(wrapped=bytes(60)))
    assert refused(database, vault, blob) == "wrap tag"


def test_a_tenants_key_in_memory_serves_no_other_tenant(database: Database, vault: Vault) -> None:
    """Two tenants with one tk_id and one wrapped key: acme's row copied to umbrella."""
    sealed(database, vault)
    with database.write() as keys:
        row = dict(keys.execute(select(TenantKey.__table__)).mappings().one())
        keys.execute(insert(TenantKey.__table__).values({**row, "tenant": "umbrella"}))
        with pytest.raises(Undecryptable) as caught:
            vault.new_key(keys, tenant="umbrella", connection="con_2")
    assert caught.value.reason == "wrap tag"


# --- sources that fail -----------------------------------------------------------------------------------------


def test_while_the_key_service_is_down_tenants_in_memory_keep_working(
    database: Database, source: Source, counted: Vault, monotonic: Any
) -> None:
    """CRY-18, REL of §4.2.5: then 503, and no failure is remembered."""
    blob, other = sealed(database, counted), sealed(database, vault_with(K1), tenant="umbrella")
    source.down = True
    assert opened(database, counted, blob) == b"REFRESH-1"
    with pytest.raises(Unavailable):
        opened(database, counted, other, tenant="umbrella")
    monotonic.seconds = 301.0
    with pytest.raises(Unavailable):
        opened(database, counted, blob)
    source.down = False
    assert opened(database, counted, blob) == opened(database, counted, other, tenant="umbrella") == b"REFRESH-1"


@pytest.mark.parametrize("answer", [b"", b"short", bytes(16), bytes(33)])
def test_a_key_of_the_wrong_length_is_not_used(
    database: Database, source: Source, counted: Vault, answer: bytes
) -> None:
    """CRY-18."""
    blob = sealed(database, vault_with(K1))
    source.answer = answer
    assert refused(database, counted, blob) == "wrap length"


def _fails(size: int) -> bytes:
    raise OSError("no entropy")


@pytest.mark.parametrize("source_of_random", [_fails, lambda size: b"", lambda size: bytes(size - 1)])
def test_without_random_bytes_nothing_is_sealed_or_written(
    database: Database, ring: KeyRing, source_of_random: Callable[[int], bytes]
) -> None:
    """CRY-11."""
    sealed(database, vault_with(K1))
    starved = Vault(ring, clock=lambda: NOON, random=source_of_random)
    with database.write() as keys:
        with pytest.raises(Unavailable):
            starved.seal(keys, plaintext=b"REFRESH-2", **PLACE)
        for tenant in ("acme", "umbrella"):
            with pytest.raises(Unavailable):
                starved.new_key(keys, tenant=tenant, connection="con_2")
        with pytest.raises(Unavailable):
            starved.new_tenant_key(keys, tenant="acme")
        with pytest.raises(Unavailable):
            starved.blind_index(keys, provider="google", client_id="client-1", value="sub-1")
    assert (count(database, TenantKey), count(database, ConnectionKey)) == (1, 1)


def test_without_random_bytes_no_key_is_wrapped(database: Database) -> None:
    """CRY-11: the key ring draws its nonces too."""
    starved = Vault(KeyRing.parse(K1, random=_fails), clock=lambda: NOON)
    with pytest.raises(Unavailable), database.write() as keys:
        starved.new_key(keys, **MINE)
    assert count(database, TenantKey) == 0


def _seal_many(url: str, vault: Vault, seals: int) -> set[bytes]:
    database = Database(url)
    try:
        with database.write() as keys:
            return {vault.seal(keys, plaintext=b"REFRESH-1", **PLACE)[12:44] for _ in range(seals)}
    finally:
        database.dispose()


_forked: tuple[str, Vault]


def _seal_as_worker(seals: int) -> set[bytes]:
    return _seal_many(*_forked, seals)


def _draw_as_worker(draws: int) -> bytes:
    """The first halves of salts; halves that differ belong to salts that differ."""
    return b"".join(draw(os.urandom, 32)[:16] for _ in range(draws))


def test_forked_workers_never_draw_a_salt_twice(sqlite: Database, sqlite_url: str, vault: Vault) -> None:
    """CRY-10: one vault, used before the fork, goes on in eight workers."""
    global _forked
    sealed(sqlite, vault)
    sqlite.dispose()  # no connection to a database may go through a fork
    _forked = (sqlite_url, vault)
    with multiprocessing.get_context("fork").Pool(8) as pool:
        salts = pool.map(_seal_as_worker, [1000] * 8, chunksize=1)
    assert len(set().union(*salts)) == 8 * 1000


def test_a_million_salts_of_forked_workers_are_all_different() -> None:
    """CRY-10: drawn as `seal` draws them; a million whole seals would take a minute."""
    with multiprocessing.get_context("fork").Pool(8) as pool:
        drawn = b"".join(pool.map(_draw_as_worker, [125_000] * 8, chunksize=1))
    assert len({drawn[at : at + 16] for at in range(0, len(drawn), 16)}) == 1_000_000
