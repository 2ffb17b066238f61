"""Keys come and go: making, rotating, shredding, remembering; random and key sources that fail (CRY-06 to CRY-19)."""

import multiprocessing
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.orm import Session

from broker.db import Database
from broker.errors import ConfigurationError, Unavailable
from broker.models import ConnectionKey, KeyCheck, TenantKey
from broker.vault import KeyRing, Undecryptable, Vault
from broker.vault.memory import Unwrapped
from broker.vault.rows import TenantRow
from tests.vault.tpb1_reference import entry, key_of, lp

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
MINE: dict[str, Any] = {"tenant": "acme", "connection": "con_1"}
PLACE: dict[str, Any] = {**MINE, "column": "refresh_token", "version": 7}
TABLES = (TenantKey.__table__, ConnectionKey.__table__)
K1, K2 = entry("k1", b"KEK-1"), entry("k2", b"KEK-2")


class Source(KeyRing):
    """A key service that counts, and can be out of reach or answer nonsense."""

    __slots__ = ("answer", "down", "overtaken_by", "unwraps")

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.unwraps, self.down = 0, False
        self.answer: bytes | None = None
        self.overtaken_by: Callable[[], None] | None = None

    def unwrap(self, kid: str, blob: bytes, context: bytes) -> bytes:
        self.unwraps += 1
        if self.down:
            raise Unavailable("The key service did not answer.")
        return super().unwrap(kid, blob, context) if self.answer is None else self.answer

    def wrap(self, plaintext: bytes, context: bytes) -> tuple[str, bytes]:
        if self.overtaken_by:
            overtake, self.overtaken_by = self.overtaken_by, None
            overtake()
        return super().wrap(plaintext, context)


@pytest.fixture
def source() -> Source:
    return Source.parse(K1)


@pytest.fixture
def counted(source: Source, monotonic: Any) -> Vault:
    return Vault(source, clock=lambda: NOON, monotonic=monotonic)


def vault_with(*entries: str) -> Vault:
    """Another process of the broker, with these keys."""
    return Vault(KeyRing.parse(" ".join(entries)), clock=lambda: NOON)


def sealed(database: Database, vault: Vault, **place: Any) -> bytes:
    """A new connection's sealed token."""
    place = {**PLACE, **place}
    with database.write() as keys:
        vault.new_key(keys, tenant=place["tenant"], connection=place["connection"])
        return vault.seal(keys, plaintext=b"REFRESH-1", **place)


def opened(database: Database, vault: Vault, blob: bytes, **place: Any) -> bytes:
    with database.read() as keys:
        return vault.open(keys, blob=blob, **{**PLACE, **place})


def refused(database: Database, vault: Vault, blob: bytes, **place: Any) -> str:
    with pytest.raises(Undecryptable) as caught:
        opened(database, vault, blob, **place)
    return caught.value.reason


def rewrapped(keys: Session, vault: Vault, tenant: str = "acme") -> int:
    """How many of a tenant's keys were not yet under the primary key encryption key."""
    ids = keys.scalars(select(TenantKey.tk_id).filter_by(tenant=tenant)).all()
    return sum(vault.rewrap_tenant_key(keys, tenant=tenant, tk_id=tk_id) for tk_id in ids)


def count(database: Database, table: Any) -> int:
    with database.read() as keys:
        return keys.scalar(select(func.count()).select_from(table)) or 0


# --- making keys ---------------------------------------------------------------------------------------------


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


def _make_keys(url: str, worker: int) -> bytes:
    database = Database(url)
    try:
        return sealed(database, vault_with(K1), connection=f"con_{worker % 2}", version=worker)
    finally:
        database.dispose()


def test_processes_at_once_end_with_one_key(database: Database) -> None:
    """Eight of them, two connections, one tenant: each blob opens."""
    url = str(database.engine.url)
    with multiprocessing.get_context("fork").Pool(8) as pool:
        blobs = pool.starmap(_make_keys, [(url, worker) for worker in range(8)], chunksize=1)
    assert (count(database, TenantKey), count(database, ConnectionKey)) == (1, 2)
    for worker, blob in enumerate(blobs):
        assert opened(database, vault_with(K1), blob, connection=f"con_{worker % 2}", version=worker) == b"REFRESH-1"


# --- check values --------------------------------------------------------------------------------------------


def check(database: Database, vault: Vault) -> None:
    with database.write() as keys:
        vault.check_keys(keys)


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


# --- rotation ------------------------------------------------------------------------------------------------


def test_a_key_encryption_key_is_rotated_in_steps(database: Database) -> None:
    """§4.2.7, M1 checks 14 to 17; the blind index stays what it was."""

    def index(vault: Vault) -> bytes:
        with database.write() as keys:
            return vault.blind_index(keys, provider="google", client_id="client-1", value="sub-1")

    blob, indexed = sealed(database, vault_with(K1)), index(vault_with(K1))
    both, turned, after = vault_with(K1, K2), vault_with(K2, K1), vault_with(K2)
    assert opened(database, both, blob) == opened(database, turned, blob) == b"REFRESH-1"
    with database.write() as keys:
        assert [rewrapped(keys, turned, tenant) for tenant in ("acme", "*")] == [1, 1]
        assert [rewrapped(keys, turned, tenant) for tenant in ("acme", "*")] == [0, 0]
    check(database, after)
    assert opened(database, after, blob) == b"REFRESH-1"
    assert refused(database, vault_with(K1), blob) == "unknown KEK id"
    assert index(after) == indexed


def test_a_process_without_the_new_key_cannot_open_what_it_wraps(database: Database) -> None:
    """CRY-08's negative control: this is why a key opens everywhere before it seals anywhere."""
    blob = sealed(database, vault_with(K2, K1))
    assert opened(database, vault_with(K1, K2), blob) == b"REFRESH-1"
    assert refused(database, vault_with(K1), blob) == "unknown KEK id"


def test_a_tenant_key_is_rotated_in_steps(database: Database, vault: Vault) -> None:
    """M1 checks 18 and 19."""
    blob = sealed(database, vault)
    with database.write() as keys:
        vault.new_tenant_key(keys, tenant="acme")
    later = sealed(database, vault, connection="con_2")
    assert opened(database, vault, blob) == b"REFRESH-1"
    with database.write() as keys:
        assert [vault.rewrap_connection_key(keys, **MINE) for _ in range(2)] == [True, False]
        assert not vault.rewrap_connection_key(keys, tenant="acme", connection="con_2")
        keys.execute(text("DELETE FROM tenant_keys WHERE generation = 1"))
    assert opened(database, vault, blob) == opened(database, vault, later, connection="con_2") == b"REFRESH-1"


def test_all_generations_of_a_tenant_are_rewrapped(database: Database) -> None:
    blob = sealed(database, vault_with(K1))
    with database.write() as keys:
        vault_with(K1).new_tenant_key(keys, tenant="acme")
        assert rewrapped(keys, vault_with(K2, K1)) == 2
    assert opened(database, vault_with(K2), blob) == b"REFRESH-1"


def test_a_rewrap_that_lost_a_race_changes_nothing(database: Database) -> None:
    """CRY-07: compare-and-set, twice at once."""
    blob = sealed(database, vault_with(K1))
    slow = Source.parse(f"{K2} {K1}")
    with database.write() as keys:
        slow.overtaken_by = lambda: rewrapped(keys, vault_with(K2, K1)) and None
        assert rewrapped(keys, Vault(slow, clock=lambda: NOON)) == 0
    assert opened(database, vault_with(K2), blob) == b"REFRESH-1"


def test_a_connection_rewrap_that_lost_a_race_changes_nothing(database: Database, vault: Vault, ring: KeyRing) -> None:
    """CRY-07: the other process rewraps while this one draws its nonce."""
    blob = sealed(database, vault)
    with database.write() as keys:
        vault.new_tenant_key(keys, tenant="acme")

        def overtaken(size: int) -> bytes:
            assert vault.rewrap_connection_key(keys, **MINE)
            return bytes(size)

        assert not Vault(ring, clock=lambda: NOON, random=overtaken).rewrap_connection_key(keys, **MINE)
    assert opened(database, vault, blob) == b"REFRESH-1"


def test_rewrapping_does_not_bring_a_shredded_key_back(database: Database, vault: Vault) -> None:
    sealed(database, vault)
    with database.write() as keys:
        vault.new_tenant_key(keys, tenant="acme")
        vault.shred(keys, **MINE)
        assert not vault.rewrap_connection_key(keys, **MINE)
    assert count(database, ConnectionKey) == 0


def test_status_tells_what_each_key_still_wraps(database: Database) -> None:
    """§4.2.7 step 5."""
    for tenant in ("acme", "umbrella"):
        sealed(database, vault_with(K1), tenant=tenant)
    turned = vault_with(K2)
    with database.read() as keys:
        before = turned.status(keys)
    with database.write() as keys:
        for tenant in ("acme", "umbrella"):
                rewrapped(keys, vault_with(K2, K1), tenant)
        after = turned.status(keys)
    assert [(key.kid, key.primary, key.held, key.tenant_keys) for key in before] == [
        ("k1", False, False, 2),
        ("k2", True, True, 0),
    ]
    assert [(key.kid, key.tenant_keys) for key in after] == [("k2", 2)]


# --- shredding -----------------------------------------------------------------------------------------------


def test_a_shredded_connection_is_lost_and_its_neighbours_are_not(database: Database, vault: Vault) -> None:
    """CRY-19, M1 checks 22 and 23; another process that used the key a moment ago loses it at once."""
    blob, neighbour = sealed(database, vault), sealed(database, vault, connection="con_2")
    assert opened(database, vault, blob) == b"REFRESH-1"
    with database.write() as keys:
        assert [vault_with(K1).shred(keys, **MINE) for _ in range(2)] == [True, False]
    assert refused(database, vault, blob) == "no DEK (shredded)"
    assert opened(database, vault, neighbour, connection="con_2") == b"REFRESH-1"


def test_a_new_key_after_shredding_does_not_open_what_the_old_one_sealed(database: Database, vault: Vault) -> None:
    """CRY-19."""
    blob = sealed(database, vault)
    with database.write() as keys:
        vault.shred(keys, **MINE)
        vault.new_key(keys, **MINE)
    assert refused(database, vault, blob) == "no DEK (shredded)"


def test_shredding_needs_the_right_tenant(database: Database, vault: Vault) -> None:
    blob = sealed(database, vault)
    with database.write() as keys:
        assert not vault.shred(keys, tenant="umbrella", connection="con_1")
    assert opened(database, vault, blob) == b"REFRESH-1"


def test_a_shredded_tenant_is_lost_even_with_its_connection_keys_restored(database: Database, vault: Vault) -> None:
    """CRY-19, M1 check 24; also in a process that has the tenant's key in memory."""
    blob, neighbour = sealed(database, vault), sealed(database, vault, tenant="umbrella")
    other = vault_with(K1)
    assert opened(database, other, blob) == b"REFRESH-1"
    with database.write() as keys:
        backup = [dict(row) for row in keys.execute(select(ConnectionKey.__table__)).mappings()]
        assert [vault.shred_tenant(keys, tenant="acme") for _ in range(2)] == [True, False]
        assert keys.scalar(select(func.count()).select_from(ConnectionKey)) == 1
        keys.execute(insert(ConnectionKey.__table__), [row for row in backup if row["tenant"] == "acme"])
    assert refused(database, vault, blob) == refused(database, other, blob) == "no tenant key"
    assert opened(database, vault, neighbour, tenant="umbrella") == b"REFRESH-1"


def test_a_shredded_tenants_key_does_not_serve_from_another_tenants_row(database: Database, vault: Vault) -> None:
    """CRY-19: what opens is what shredding deletes, though somebody hid a copy among another tenant's keys."""
    blob = sealed(database, vault)
    with database.write() as keys:
        kept = dict(keys.execute(select(ConnectionKey.__table__)).mappings().one())
        hidden = dict(keys.execute(select(TenantKey.__table__)).mappings().one()) | {"tenant": "umbrella"}
        keys.execute(insert(TenantKey.__table__).values(hidden))
        vault.shred_tenant(keys, tenant="acme")
        keys.execute(insert(ConnectionKey.__table__).values(kept))
    assert refused(database, vault, blob) == "no tenant key"


# --- memory --------------------------------------------------------------------------------------------------


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


# --- sources that fail ---------------------------------------------------------------------------------------


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


def test_forked_workers_never_draw_a_salt_twice(database: Database, vault: Vault) -> None:
    """CRY-10: one vault, used before the fork, goes on in eight workers."""
    global _forked
    sealed(database, vault)
    _forked = (str(database.engine.url), vault)
    with multiprocessing.get_context("fork").Pool(8) as pool:
        salts = pool.map(_seal_as_worker, [2000] * 8, chunksize=1)
    assert len(set().union(*salts)) == 8 * 2000


# --- what others see -----------------------------------------------------------------------------------------


def test_a_copied_database_yields_nothing(database: Database, vault: Vault, tmp_path: Path) -> None:
    """CRY-15: neither plaintext nor any key stands in its files; a guessed ring with the right ids opens nothing."""
    blob = sealed(database, vault)
    with database.write() as keys:
        vault.blind_index(keys, provider="google", client_id="client-1", value="SUBJECT-1")
        tk_id, wrapped = keys.execute(select(TenantKey.tk_id, TenantKey.wrapped).filter_by(tenant="acme")).one()
    tenant_key = KeyRing.parse(K1).unwrap("k1", wrapped, lp(kind="tk", tenant="acme", tk_id=tk_id.hex()))
    dump = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert wrapped in dump, "the search finds what is there"
    for secret in (b"REFRESH-1", b"SUBJECT-1", key_of(b"KEK-1"), tenant_key):
        assert secret not in dump
    assert refused(database, vault_with(entry("k1", b"GUESS")), blob) == "wrap tag"


def index_of(vault: Vault, keys: Session, **changed: str) -> bytes:
    return vault.blind_index(keys, **{"provider": "google", "client_id": "client-1", "value": "sub-1", **changed})


def test_a_blind_index_is_equal_for_equal_values_only(database: Database, vault: Vault) -> None:
    """CRY-14, M1 check 28; another process finds the same."""
    changes = [{}, {"provider": "facebook"}, {"client_id": "client-2"}, {"value": "sub-2"}]
    changes.append({"provider": "googlec", "client_id": "lient-1"})
    with database.write() as keys:
        indexes = [index_of(vault, keys, **changed) for changed in changes]
        assert index_of(vault_with(K1), keys) == indexes[0]
    assert len({*indexes}) == len(changes)
    assert {len(index) for index in indexes} == {32}


def test_a_blind_index_needs_a_transaction_at_first_only(database: Database, vault: Vault) -> None:
    with database.read() as keys, pytest.raises(Undecryptable):
        index_of(vault, keys)
    with database.write() as keys:
        index = index_of(vault, keys)
    with database.read() as keys:
        assert index_of(vault, keys) == index
