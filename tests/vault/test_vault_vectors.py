"""The bytes of TPB1: known answers, an independent implementation (docs/facts/security.md §4.2.1, CRY-12, CRY-22)."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert
from sqlalchemy.orm import Session

import tests.vault.tpb1_reference as reference
from broker.db import Database
from broker.models import ConnectionKey, TenantKey
from broker.vault import KeyRing, Undecryptable, Vault, lp

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
KEK, TK, DEK, ROOT = (reference.key_of(name) for name in (b"KEK-1", b"TK-1", b"DEK-1", b"ROOT-1"))
TK_ID, DEK_ID, SALT = b"tk-id--1", b"dek-id-1", reference.key_of(b"SALT-1")
NONCES = (b"nonce--tk--1", b"nonce-dek--1")
PLACE = {"tenant": "acme", "connection": "con_1", "column": "refresh_token", "version": 7}
OF_TK = ("tk", "tenant", "tk_id", "label", "kid", "context")
OF_DEK = ("label", "tenant", "connection", "tk_id", "dek_id")
OF_BLOB = (
    *("label", "magic", "dek_id", "tenant", "connection", "column", "version"),
    *("info", "aad", "associated data"),
)
KNOWN_BLOB = (
    "5450423164656b2d69642d3153414c542d312d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d344b696be76a"
    "c556a0f9dcc053d679471fe90f7f108b65cebe1bfa6f5a99514c50146f960fae47a62b033e315ef768ae03e2561f0d5d9a6c17"
)
KNOWN_CHECK_VALUE = "a10958526f4669b5"


def scripted(*values: bytes) -> Callable[[int], bytes]:
    """A random source that gives these, in this order, whatever size is asked for."""
    rest = iter(values)
    return lambda size: next(rest)


def store(keys: Session, *, tk_without: str = "", dek_without: str = "") -> None:
    """The key rows as the reference makes them."""
    wrapped_tk = reference.wrapped_tk(KEK, "k1", TK, "acme", TK_ID, NONCES[0], tk_without)
    tenant_key = {"tenant": "acme", "generation": 1, "tk_id": TK_ID, "kid": "k1", "wrapped": wrapped_tk}
    keys.execute(insert(TenantKey).values(**tenant_key, created_at=NOON))
    wrapped = reference.wrapped_dek(TK, DEK, "acme", "con_1", TK_ID, DEK_ID, NONCES[1], dek_without)
    key = {"dek_id": DEK_ID, "tenant": "acme", "connection": "con_1", "tk_id": TK_ID, "wrapped": wrapped}
    keys.execute(insert(ConnectionKey).values(**key, created_at=NOON))


def blob(omit: str = "") -> bytes:
    return reference.sealed(DEK, DEK_ID, SALT, b"REFRESH-1", omit=omit, **PLACE)


def test_a_blob_has_the_known_bytes() -> None:
    """CRY-12: written down once, so that a change in both implementations alike is seen too."""
    assert blob().hex() == KNOWN_BLOB


def test_the_vault_seals_the_same_bytes_as_the_reference(sqlite: Database, ring: KeyRing) -> None:
    """CRY-12."""
    vault = Vault(ring, clock=lambda: NOON, random=scripted(SALT))
    with sqlite.write() as keys:
        store(keys)
        assert vault.seal(keys, plaintext=b"REFRESH-1", **PLACE) == blob()


def test_the_vault_opens_what_the_reference_sealed(sqlite: Database, vault: Vault) -> None:
    """CRY-12."""
    with sqlite.write() as keys:
        store(keys)
        assert vault.open(keys, blob=blob(), **PLACE) == b"REFRESH-1"


def test_new_keys_have_the_same_bytes_as_the_reference(sqlite: Database) -> None:
    """CRY-12: ids, keys and nonces drawn in the order tenant key, connection key."""
    ring = KeyRing.parse(reference.entry("k1", b"KEK-1"), random=scripted(NONCES[0]))
    vault = Vault(ring, clock=lambda: NOON, random=scripted(TK_ID, TK, DEK_ID, DEK, NONCES[1]))
    with sqlite.write() as keys:
        vault.new_key(keys, tenant="acme", connection="con_1")
        found = keys.query(TenantKey).one(), keys.query(ConnectionKey).one()
    assert found[0].wrapped == reference.wrapped_tk(KEK, "k1", TK, "acme", TK_ID, NONCES[0])
    assert found[1].wrapped == reference.wrapped_dek(TK, DEK, "acme", "con_1", TK_ID, DEK_ID, NONCES[1])
    assert (found[0].tk_id, found[1].tk_id, found[1].dek_id) == (TK_ID, TK_ID, DEK_ID)


def test_the_blind_index_has_the_same_bytes_as_the_reference(sqlite: Database) -> None:
    """CRY-12, CRY-14; the root is the key of tenant `*`."""
    ring = KeyRing.parse(reference.entry("k1", b"KEK-1"), random=scripted(NONCES[0]))
    vault = Vault(ring, clock=lambda: NOON, random=scripted(TK_ID, ROOT))
    with sqlite.write() as keys:
        index = vault.blind_index(keys, provider="google", client_id="client-1", value="sub-1")
        wrapped = keys.query(TenantKey).one().wrapped
    assert index == reference.blind_index(ROOT, "google", "client-1", "sub-1")
    assert wrapped == reference.wrapped_tk(KEK, "k1", ROOT, "*", TK_ID, NONCES[0])


def test_a_key_check_value_has_the_known_bytes(ring: KeyRing) -> None:
    assert {kid: value.hex() for kid, value in ring.check_values().items()} == {"k1": KNOWN_CHECK_VALUE}


@pytest.mark.parametrize("element", OF_BLOB)
def test_a_blob_that_leaves_an_element_out_does_not_open(sqlite: Database, vault: Vault, element: str) -> None:
    """CRY-22: a vault that dropped the element would open it."""
    with sqlite.write() as keys:
        store(keys)
        with pytest.raises(Undecryptable):
            vault.open(keys, blob=blob(omit=element), **PLACE)


@pytest.mark.parametrize("element", OF_DEK)
def test_a_connection_key_wrapped_without_an_element_does_not_open(
    sqlite: Database, vault: Vault, element: str
) -> None:
    """CRY-22."""
    with sqlite.write() as keys:
        store(keys, dek_without=element)
        with pytest.raises(Undecryptable) as caught:
            vault.open(keys, blob=blob(), **PLACE)
    assert caught.value.reason == "wrap tag"


@pytest.mark.parametrize("element", OF_TK)
def test_a_tenant_key_wrapped_without_an_element_does_not_open(sqlite: Database, vault: Vault, element: str) -> None:
    """CRY-22."""
    with sqlite.write() as keys:
        store(keys, tk_without=element)
        with pytest.raises(Undecryptable) as caught:
            vault.open(keys, blob=blob(), **PLACE)
    assert caught.value.reason == "wrap tag"


def test_lists_of_parts_that_join_alike_are_encoded_apart() -> None:
    """M1 check 27."""
    assert lp("a", "bc") != lp("ab", "c")
    assert lp("a", 12) == b"\x00\x00\x00\x01a\x00\x00\x00\x0212"
    assert lp("ü", b"") == b"\x00\x00\x00\x02\xc3\xbc\x00\x00\x00\x00"


def test_a_sealed_value_is_92_bytes_longer(sqlite: Database, vault: Vault) -> None:
    with sqlite.write() as keys:
        store(keys)
        assert len(vault.seal(keys, plaintext=b"", **PLACE)) == 92
