"""What was shredded does not open, and its neighbours do (CRY-19, CRY-20)."""

from typing import Any

from sqlalchemy import delete, func, insert, select

from broker.db import Database
from broker.models import ConnectionKey, TenantKey
from broker.vault import Vault
from tests.vault.acts import K1, MINE, opened, refused, sealed, vault_with


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


# --- backups ---------------------------------------------------------------------------------------------------


def key_backup(database: Database) -> list[dict[str, Any]]:
    """The connection keys, as a backup of the key store holds them."""
    with database.read() as keys:
        return [dict(row) for row in keys.execute(select(ConnectionKey.__table__)).mappings()]


def put_back(database: Database, backup: list[dict[str, Any]]) -> None:
    with database.write() as keys:
        keys.execute(delete(ConnectionKey))
        keys.execute(insert(ConnectionKey.__table__), backup)


def test_data_restored_beside_the_present_key_store_stay_erased(database: Database, vault: Vault) -> None:
    """CRY-20: last night's data, the keys of today. `blob` is what the backup of the data brings back."""
    blob, neighbour = sealed(database, vault), sealed(database, vault, connection="con_2")
    with database.write() as keys:
        vault.shred(keys, **MINE)
    assert refused(database, vault, blob) == "no DEK (shredded)"
    assert opened(database, vault, neighbour, connection="con_2") == b"REFRESH-1"


def test_an_old_key_store_opens_until_the_shredding_is_done_again(database: Database, vault: Vault) -> None:
    """CRY-20: why backups of keys must end sooner than those of data, and a restore repeats what was shredded."""
    blob = sealed(database, vault)
    backup = key_backup(database)
    with database.write() as keys:
        vault.shred(keys, **MINE)
    put_back(database, backup)
    assert opened(database, vault, blob) == b"REFRESH-1"
    with database.write() as keys:
        assert vault.shred(keys, **MINE)
    assert refused(database, vault, blob) == "no DEK (shredded)"


def test_an_old_key_store_does_not_open_what_a_later_key_sealed(database: Database, vault: Vault) -> None:
    """CRY-20: the connection was erased and made anew since."""
    sealed(database, vault)
    backup = key_backup(database)
    with database.write() as keys:
        vault.shred(keys, **MINE)
    later = sealed(database, vault)
    put_back(database, backup)
    assert refused(database, vault, later) == "no DEK (shredded)"


def test_shredding_that_is_rolled_back_did_not_happen(database: Database, vault: Vault) -> None:
    blob = sealed(database, vault)
    with database.write() as keys:
        vault.shred(keys, **MINE)
        keys.rollback()
    assert opened(database, vault, blob) == b"REFRESH-1"
