"""Keys are rotated one by one and from end to end, without a pause (docs/facts/security.md §4.2.7, CRY-07, CRY-08)."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select, text, update

from broker.db import Database
from broker.models import ConnectionKey, TenantKey
from broker.vault import WRAPPED_BY, KeyRing, Rotated, Undecryptable, Vault, rotate
from tests.vault.acts import K1, K2, MINE, NOON, Source, check, count, opened, refused, rewrapped, sealed, vault_with
from tests.vault.tpb1_reference import entry


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


# --- from end to end -------------------------------------------------------------------------------------------

YESTERDAY = NOON - timedelta(days=1)
TENANTS = ("acme", "hooli", "umbrella")


def silent(what: str, done: int, total: int) -> None:
    """Nobody watches the rotation."""


def vault_at(now: datetime, *entries: str) -> Vault:
    return Vault(KeyRing.parse(" ".join(entries)), clock=lambda: now)


def furnished(database: Database, vault: Vault) -> dict[tuple[str, str], bytes]:
    """Three tenants with two connections each, and the root of the blind indexes; what each sealed."""
    with database.write() as keys:
        vault.blind_index(keys, provider="google", client_id="client-1", value="sub-1")
    places = [(tenant, connection) for tenant in TENANTS for connection in ("con_1", "con_2")]
    return {(t, c): sealed(database, vault, tenant=t, connection=c) for t, c in places}


def all_open(database: Database, vault: Vault, blobs: dict[tuple[str, str], bytes]) -> bool:
    found = [opened(database, vault, blob, tenant=t, connection=c) for (t, c), blob in blobs.items()]
    return found == [b"REFRESH-1"] * len(blobs)


def wraps(database: Database, vault: Vault) -> dict[str, int]:
    with database.read() as keys:
        return {key.kid: key.tenant_keys for key in vault.status(keys)}


def generations(database: Database) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    with database.read() as keys:
        for tenant, generation in keys.execute(select(TenantKey.tenant, TenantKey.generation)):
            found.setdefault(tenant, []).append(generation)
    return {tenant: sorted(numbers) for tenant, numbers in found.items()}


def under_newest(database: Database) -> int:
    """How many connection keys are wrapped by the second generation of their tenant's."""
    joined = select(func.count()).select_from(ConnectionKey).join(TenantKey, WRAPPED_BY)
    with database.read() as keys:
        return keys.scalar(joined.where(TenantKey.generation == 2)) or 0


def test_a_rotation_brings_every_tenant_and_the_broker_itself_under_the_primary(database: Database) -> None:
    """§4.2.7 steps 4 and 5."""
    blobs, turned = furnished(database, vault_with(K1)), vault_with(K2, K1)
    rotated = rotate(database, turned, tenant_keys=False, report=silent)
    assert rotated == Rotated(tenant_keys=4)
    assert wraps(database, turned) == {"k1": 0, "k2": 4}
    assert all_open(database, vault_with(K2), blobs)
    assert generations(database) == {tenant: [1] for tenant in ("*", *TENANTS)}


def test_a_second_rotation_finds_nothing_to_do(database: Database) -> None:
    furnished(database, vault_with(K1))
    for expected in (4, 0):
        assert rotate(database, vault_with(K2, K1), tenant_keys=False, report=silent).tenant_keys == expected


def test_a_rotation_reports_each_key(database: Database) -> None:
    told: list[tuple[str, int, int]] = []
    furnished(database, vault_at(YESTERDAY, K1))
    rotate(database, vault_with(K2, K1), tenant_keys=True, report=lambda *told_now: told.append(told_now))
    expected = {"tenant keys": 4, "new tenant keys": 3, "connection keys": 6}
    assert told == [(what, done, total) for what, total in expected.items() for done in range(1, total + 1)]


def test_a_rotation_reads_more_than_one_page(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.vault.rotation.PAGE", 2)
    blobs = furnished(database, vault_at(YESTERDAY, K1))
    assert rotate(database, vault_with(K2, K1), tenant_keys=True, report=silent) == Rotated(4, 3, 6)
    assert all_open(database, vault_with(K2), blobs)


def test_tenant_keys_are_replaced_and_take_every_connection_key(database: Database) -> None:
    """The root of the blind indexes stays: another would strand every index."""
    blobs, turned = furnished(database, vault_at(YESTERDAY, K1)), vault_with(K2, K1)
    rotated = rotate(database, turned, tenant_keys=True, report=silent)
    assert rotated == Rotated(tenant_keys=4, new_tenant_keys=3, connection_keys=6)
    assert generations(database) == {"*": [1], **{tenant: [1, 2] for tenant in TENANTS}}
    assert under_newest(database) == 6
    with database.write() as keys:
        keys.execute(delete(TenantKey).where(TenantKey.generation == 1, TenantKey.tenant != "*"))
    assert all_open(database, vault_with(K2), blobs)


@pytest.mark.parametrize(("later", "made"), [({"hours": 23, "minutes": 59}, 0), ({"hours": 24}, 3)])
def test_a_tenant_key_is_replaced_at_most_once_a_day(database: Database, later: dict[str, int], made: int) -> None:
    """So that a rotation that was killed can be started again without end."""
    furnished(database, vault_at(NOON, K1))
    rotated = rotate(database, vault_at(NOON + timedelta(**later), K1), tenant_keys=True, report=silent)
    assert rotated.new_tenant_keys == made


@pytest.mark.parametrize("at", ["tenant keys", "new tenant keys", "connection keys"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_interrupted_rotation_goes_on_where_it_stopped(database: Database, at: str, number: int) -> None:
    """CRY-07: whatever was done stays, nothing is done twice, and what it left half done opens."""

    def interrupt(what: str, done: int, total: int) -> None:
        if (what, done) == (at, number):
            raise KeyboardInterrupt

    blobs = furnished(database, vault_at(YESTERDAY, K1))
    with pytest.raises(KeyboardInterrupt):
        rotate(database, vault_with(K2, K1), tenant_keys=True, report=interrupt)
    assert all_open(database, vault_with(K1, K2), blobs)
    rest = rotate(database, vault_with(K2, K1), tenant_keys=True, report=silent)
    first = {"tenant keys": (number, 0, 0), "new tenant keys": (4, number, 0), "connection keys": (4, 3, number)}[at]
    assert rest == Rotated(4 - first[0], 3 - first[1], 6 - first[2])
    assert all_open(database, vault_with(K2), blobs)


def test_a_key_made_meanwhile_under_the_old_primary_is_taken_too(database: Database) -> None:
    """Another host still seals with the old key while the rotation runs, and for a tenant that sorts before all."""
    furnished(database, vault_with(K1))
    late: dict[tuple[str, str], bytes] = {}

    def connect_meanwhile(what: str, done: int, total: int) -> None:
        if done == 3:
            late["aaa", "con_1"] = sealed(database, vault_with(K1), tenant="aaa")

    assert rotate(database, vault_with(K2, K1), tenant_keys=False, report=connect_meanwhile).tenant_keys == 5
    assert all_open(database, vault_with(K2), late)


def test_a_connection_shredded_meanwhile_stays_shredded(database: Database, vault: Vault) -> None:
    blobs = furnished(database, vault_at(YESTERDAY, K1))

    def revoke_meanwhile(what: str, done: int, total: int) -> None:
        if (what, done) == ("connection keys", 1):
            with database.write() as keys:
                vault.shred(keys, tenant="umbrella", connection="con_2")

    rotated = rotate(database, vault_with(K1), tenant_keys=True, report=revoke_meanwhile)
    assert (rotated.connection_keys, rotated.failed) == (5, [])
    assert refused(database, vault, blobs.pop(("umbrella", "con_2")), tenant="umbrella", connection="con_2") == (
        "no DEK (shredded)"
    )
    assert all_open(database, vault, blobs)


@pytest.mark.parametrize(("table", "name"), [(TenantKey, "tenant key hooli/1"), (ConnectionKey, "")])
def test_a_key_that_does_not_open_is_left_and_reported(database: Database, table: Any, name: str) -> None:
    """CRY-04: one broken row does not keep the others under the old key."""
    furnished(database, vault_at(YESTERDAY, K1))
    with database.write() as keys:
        keys.execute(update(table).where(table.tenant == "hooli").values(wrapped=bytes(60)))
    rotated = rotate(database, vault_with(K2, K1), tenant_keys=True, report=silent)
    broken = [f"connection key hooli/con_{number}" for number in (1, 2)]
    assert rotated.failed == [*filter(None, [name]), *broken]
    assert rotated.tenant_keys == (3 if name else 4)
    assert (rotated.new_tenant_keys, rotated.connection_keys) == (3, 4)


def test_keys_that_do_not_open_are_passed_by_though_they_fill_a_page(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.vault.rotation.PAGE", 2)
    furnished(database, vault_with(K1))
    with database.write() as keys:
        keys.execute(update(TenantKey).where(TenantKey.tenant.in_(("*", "acme", "hooli"))).values(wrapped=bytes(60)))
    rotated = rotate(database, vault_with(K2, K1), tenant_keys=False, report=silent)
    assert (rotated.tenant_keys, len(rotated.failed)) == (1, 3)


def test_a_rewrap_changes_no_other_row(database: Database) -> None:
    """Not even a copy of the same key that somebody put among another tenant's."""
    sealed(database, vault_with(K1))
    with database.write() as keys:
        copied = dict(keys.execute(select(TenantKey.__table__)).mappings().one()) | {"tenant": "umbrella"}
        keys.execute(insert(TenantKey.__table__).values(copied))
        assert rewrapped(keys, vault_with(K2, K1)) == 1
        assert dict(keys.execute(select(TenantKey.__table__).filter_by(tenant="umbrella")).mappings().one()) == copied


def test_a_rotation_under_a_wrong_key_ends_at_once(database: Database) -> None:
    """CRY-06: a host whose k2 was mistyped after the others began to use theirs."""
    blobs = furnished(database, vault_with(K1))
    check(database, vault_with(K1, K2))
    with pytest.raises(Undecryptable) as caught:
        rotate(database, vault_with(entry("k2", b"OTHER"), K1), tenant_keys=False, report=silent)
    assert caught.value.reason == "wrong KEK"
    assert all_open(database, vault_with(K1), blobs)
