"""What is sealed in one place opens there and nowhere else (CRY-01 to CRY-05, CRY-13, CRY-15)."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event, insert, select, text, update
from sqlalchemy.orm import Session

from broker.db import Database
from broker.models import ConnectionKey, TenantKey
from broker.vault import KEY_COLUMNS, WRAPPED_BY, KeyRing, KeyRows, Undecryptable, Vault
from tests.vault.tpb1_reference import entry

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
PLACE: dict[str, Any] = {"tenant": "acme", "connection": "con_1", "column": "refresh_token", "version": 7}
ELSEWHERE: dict[str, dict[str, Any]] = {
    "another connection": {"connection": "con_2"},
    "another table": {"connection": "orphan:con_1"},
    "another tenant's connection": {"tenant": "umbrella", "connection": "con_3"},
    "another tenant, same connection id": {"tenant": "umbrella"},
    "another column": {"column": "access_token"},
    "a newer version": {"version": 8},
    "an older version": {"version": 6},
    "a connection without a key": {"connection": "con_9"},
}
OWN_SELECT = select(ConnectionKey.created_at, *KEY_COLUMNS).outerjoin(TenantKey, WRAPPED_BY)


@pytest.fixture
def keys(sqlite: Database, vault: Vault) -> Iterator[Session]:
    """One transaction with the keys of three connections of two tenants."""
    with sqlite.write() as session:
        for connection in ("con_1", "con_2", "orphan:con_1"):
            vault.new_key(session, tenant="acme", connection=connection)
        for connection in ("con_3", "con_1"):
            vault.new_key(session, tenant="umbrella", connection=connection)
        yield session


@pytest.fixture
def blob(keys: Session, vault: Vault) -> bytes:
    return vault.seal(keys, plaintext=b"REFRESH-1", **PLACE)


def refused(vault: Vault, keys: Session, blob: Any, **place: Any) -> str:
    """Asserts that it does not open; the reason."""
    with pytest.raises(Undecryptable) as caught:
        vault.open(keys, blob=blob, **{**PLACE, **place})
    return caught.value.reason


def row_of(keys: Session, connection: str, tenant: str = "acme") -> dict[str, Any]:
    found = select(ConnectionKey.__table__).filter_by(tenant=tenant, connection=connection)
    return dict(keys.execute(found).mappings().one())


def overwrite(keys: Session, dek_id: bytes, **values: Any) -> None:
    keys.execute(update(ConnectionKey.__table__).where(ConnectionKey.dek_id == dek_id).values(**values))


@pytest.mark.parametrize("plaintext", [b"REFRESH-1", b"", b"\x00" * 70_000, "pesan ✓".encode()])
def test_what_was_sealed_opens_in_its_place(keys: Session, vault: Vault, plaintext: bytes) -> None:
    sealed = vault.seal(keys, plaintext=plaintext, **PLACE)
    assert vault.open(keys, blob=sealed, **PLACE) == plaintext


@pytest.mark.parametrize("place", ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_blob_moved_elsewhere_does_not_open(keys: Session, vault: Vault, blob: bytes, place: dict[str, Any]) -> None:
    """CRY-01, M1 checks 2 to 5."""
    refused(vault, keys, blob, **place)


def test_no_truncation_opens(keys: Session, vault: Vault, blob: bytes) -> None:
    """CRY-02, M1 check 7."""
    for length in range(len(blob)):
        refused(vault, keys, blob[:length])


def test_no_bit_can_be_flipped(keys: Session, vault: Vault, blob: bytes) -> None:
    """CRY-02, M1 check 8."""
    for bit in range(len(blob) * 8):
        flipped = bytearray(blob)
        flipped[bit // 8] ^= 1 << bit % 8
        refused(vault, keys, bytes(flipped))


def test_no_byte_can_be_added(keys: Session, vault: Vault, blob: bytes) -> None:
    """CRY-02, M1 check 9."""
    assert refused(vault, keys, blob + b"\x00") == "tag"
    assert refused(vault, keys, b"\x00" + blob) == "format"


@pytest.mark.parametrize(
    "stored",
    [b"REFRESH-1", b"R" * 200, None, b"", "", "REFRESH-1", "TPB1" * 40, 7, b"gAAAAABh" * 30, b"TPB0" * 40, b"TPB1"],
)
def test_what_is_no_blob_is_never_given_back(keys: Session, vault: Vault, stored: Any) -> None:
    """CRY-03, CRY-21, M1 check 10: there is no former format, and no switch that lets one in."""
    assert refused(vault, keys, stored) == "format"


@pytest.mark.parametrize(("tenant", "connection"), [("acme", "con_2"), ("umbrella", "con_3")])
def test_a_header_pointed_at_another_key_does_not_open(
    keys: Session, vault: Vault, blob: bytes, tenant: str, connection: str
) -> None:
    """CRY-04, M1 check 6."""
    other = row_of(keys, connection, tenant)["dek_id"]
    assert refused(vault, keys, blob[:4] + other + blob[12:]) == "no DEK (shredded)"


def test_swapped_connection_keys_do_not_open(keys: Session, vault: Vault, blob: bytes) -> None:
    """CRY-04, M1 check 20: each row keeps its name and takes the other's key."""
    mine, other = row_of(keys, "con_1"), row_of(keys, "con_2")
    overwrite(keys, mine["dek_id"], wrapped=other["wrapped"])
    overwrite(keys, other["dek_id"], wrapped=mine["wrapped"])
    assert refused(vault, keys, blob) == "wrap tag"


def test_a_renamed_connection_key_does_not_open_for_its_new_name(keys: Session, vault: Vault, blob: bytes) -> None:
    """CRY-04: whoever writes the database gives con_1's key and blob to con_2; the caller's ids are authenticated."""
    mine, other = row_of(keys, "con_1"), row_of(keys, "con_2")
    overwrite(keys, other["dek_id"], connection="con_x")
    overwrite(keys, mine["dek_id"], connection="con_2")
    assert refused(vault, keys, blob, connection="con_2") == "wrap tag"


def test_another_tenants_connection_key_does_not_open(keys: Session, vault: Vault) -> None:
    """CRY-04, M1 check 21: the row with its blob is made acme's, and its tenant key copied too."""
    theirs = vault.seal(keys, plaintext=b"REFRESH-3", **{**PLACE, "tenant": "umbrella", "connection": "con_3"})
    row = row_of(keys, "con_3", "umbrella")
    overwrite(keys, row["dek_id"], tenant="acme")
    tenant_key = keys.execute(select(TenantKey.__table__).filter_by(tenant="umbrella")).mappings().one()
    keys.execute(insert(TenantKey.__table__).values({**tenant_key, "tenant": "acme", "generation": 0}))
    assert refused(vault, keys, theirs, connection="con_3") == "wrap tag"


def test_nothing_is_sealed_under_a_key_that_was_replaced(keys: Session, vault: Vault) -> None:
    """CRY-04: an attacker who knows con_2's key cannot have con_1 sealed under it."""
    overwrite(keys, row_of(keys, "con_1")["dek_id"], wrapped=row_of(keys, "con_2")["wrapped"])
    with pytest.raises(Undecryptable):
        vault.seal(keys, plaintext=b"REFRESH-2", **PLACE)


@pytest.mark.parametrize("stored", [b"", b"\x00" * 59, b"\x00" * 61])
def test_a_wrapped_key_of_another_length_does_not_open(keys: Session, vault: Vault, blob: bytes, stored: bytes) -> None:
    overwrite(keys, row_of(keys, "con_1")["dek_id"], wrapped=stored)
    assert refused(vault, keys, blob) == "wrap length"


@pytest.mark.parametrize(
    "change",
    [
        "connection_keys SET wrapped = 'text'",
        "connection_keys SET wrapped = 7",
        "connection_keys SET tk_id = 7",
        "connection_keys SET dek_id = 7",
        "tenant_keys SET wrapped = 'text'",
        "tenant_keys SET wrapped = 1.5",
        "tenant_keys SET kid = 7",
        "tenant_keys SET kid = ''",
    ],
)
@pytest.mark.parametrize("fresh", [True, False], ids=["not yet unwrapped", "unwrapped before"])
def test_a_key_column_of_another_type_does_not_open(
    keys: Session, vault: Vault, blob: bytes, change: str, *, fresh: bool
) -> None:
    """CRY-03: SQLite keeps any type in any column."""
    table, place = change.split()[0], "tenant = 'acme'"
    place += " AND connection = 'con_1'" if table == "connection_keys" else ""
    keys.execute(text(f"UPDATE {change} WHERE {place}"))
    if fresh:
        vault.forget()
    refused(vault, keys, blob)


def test_a_tenant_key_id_of_another_type_does_not_open(keys: Session, vault: Vault, blob: bytes) -> None:
    """CRY-03: in both tables, so that they still join."""
    keys.execute(text("UPDATE tenant_keys SET tk_id = 'x'"))
    keys.execute(text("UPDATE connection_keys SET tk_id = 'x'"))
    assert refused(vault, keys, blob) == "format"


def test_random_blobs_raise_the_one_exception(keys: Session, vault: Vault) -> None:
    """CRY-05, M1 check 11: half with the magic, and of those half with a real id."""
    dice = random.Random(20261124)
    rows = keys.execute(OWN_SELECT.where(ConnectionKey.connection == "con_2")).one()[1:]
    for number in range(100_000):
        head = (b"", b"TPB1", b"", b"TPB1" + rows[0])[number % 4]
        with pytest.raises(Undecryptable):
            vault.open_prefetched(
                **{**PLACE, "connection": "con_2"}, blob=head + dice.randbytes(dice.randrange(300)), rows=KeyRows(*rows)
            )


def test_a_message_key_commits_to_its_message(keys: Session, vault: Vault, blob: bytes) -> None:
    """§4.2.3 decision 3: the commitment is compared before anything is decrypted."""
    assert refused(vault, keys, blob[:44] + bytes(32) + blob[76:]) == "commitment"
    assert refused(vault, keys, blob[:-1] + bytes([blob[-1] ^ 1])) == "tag"


def test_every_failure_looks_alike_from_outside(keys: Session, vault: Vault, blob: bytes) -> None:
    """CRY-13: the reason is kept apart from all that is rendered."""
    other = Vault(KeyRing.parse(entry("k2", b"KEK-2")), clock=lambda: NOON)
    seen, reasons = set(), set()
    for opener, tried, place in (
        (vault, b"junk", {}),
        (vault, blob[:44] + bytes(32) + blob[76:], {}),
        (vault, blob[:-1] + bytes([blob[-1] ^ 1]), {}),
        (vault, blob, {"connection": "con_9"}),
        (other, blob, {}),
    ):
        with pytest.raises(Undecryptable) as caught:
            opener.open(keys, blob=tried, **{**PLACE, **place})
        error = caught.value
        reasons.add(error.reason)
        seen.add((error.code, error.status, error.title, error.retryable, error.detail, str(error), str(error.members)))
        assert error.reason not in repr(error)
        assert error.__cause__ is None
    assert reasons == {"format", "commitment", "tag", "no DEK (shredded)", "unknown KEK id"}
    assert [(code, status, retryable) for code, status, _, retryable, *_ in seen] == [("unavailable", 503, False)]


def test_the_same_plaintext_sealed_twice_shares_only_the_header(keys: Session, vault: Vault) -> None:
    """CRY-09, M1 check 12."""
    one, two = (vault.seal(keys, plaintext=b"REFRESH-1", **PLACE) for _ in range(2))
    assert one[:12] == two[:12]
    windows = {one[at : at + 4] for at in range(12, len(one) - 3)}
    assert not windows & {two[at : at + 4] for at in range(12, len(two) - 3)}


@pytest.mark.parametrize("kind", ["transaction", "autocommit", "connection"])
def test_a_blob_opens_by_one_select(sqlite: Database, vault: Vault, kind: str) -> None:
    with sqlite.write() as keys:
        vault.new_key(keys, tenant="acme", connection="con_1")
        sealed = vault.seal(keys, plaintext=b"REFRESH-1", **PLACE)
    statements: list[str] = []
    event.listen(sqlite.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    opening = {"transaction": sqlite.write, "autocommit": sqlite.read, "connection": sqlite.engine.connect}[kind]
    with opening() as keys:
        assert vault.open(keys, blob=sealed, **PLACE) == b"REFRESH-1"
    assert [statement[:6] for statement in statements if not statement.startswith("BEGIN")] == ["SELECT"]


def test_a_caller_opens_with_the_rows_of_its_own_select(keys: Session, vault: Vault, blob: bytes) -> None:
    mine = (ConnectionKey.tenant == "acme", ConnectionKey.connection == "con_1")
    row = keys.execute(OWN_SELECT.where(*mine)).one()
    assert vault.open_prefetched(**PLACE, blob=blob, rows=KeyRows(*row[1:])) == b"REFRESH-1"
    with pytest.raises(Undecryptable):
        vault.open_prefetched(**PLACE, blob=blob, rows=None)


def test_a_place_that_is_no_text_does_not_open(keys: Session, vault: Vault, blob: bytes) -> None:
    """A lone surrogate can come in by JSON."""
    refused(vault, keys, blob, column="\ud800")
