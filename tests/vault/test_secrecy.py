"""What others see: of the database, of indexes (CRY-14, CRY-15)."""

from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from broker.db import Database
from broker.models import TenantKey
from broker.vault import KeyRing, Undecryptable, Vault
from tests.vault.acts import K1, refused, sealed, vault_with
from tests.vault.tpb1_reference import entry, key_of, lp


def test_a_copied_database_yields_nothing(sqlite: Database, vault: Vault, tmp_path: Path) -> None:
    """CRY-15: neither plaintext nor any key stands in its files; a guessed ring with the right ids opens nothing."""
    blob = sealed(sqlite, vault)
    with sqlite.write() as keys:
        vault.blind_index(keys, provider="google", client_id="client-1", value="SUBJECT-1")
        tk_id, wrapped = keys.execute(select(TenantKey.tk_id, TenantKey.wrapped).filter_by(tenant="acme")).one()
    tenant_key = KeyRing.parse(K1).unwrap("k1", wrapped, lp(kind="tk", tenant="acme", tk_id=tk_id.hex()))
    dump = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert wrapped in dump, "the search finds what is there"
    for secret in (b"REFRESH-1", b"SUBJECT-1", key_of(b"KEK-1"), tenant_key):
        assert secret not in dump
    assert refused(sqlite, vault_with(entry("k1", b"GUESS")), blob) == "wrap tag"


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
