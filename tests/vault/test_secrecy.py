"""What others see: of the database, of indexes, of logs, tracebacks and processes (CRY-14, CRY-15, CRY-16)."""

import base64
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from broker.db import Base, Database
from broker.errors import BrokerError, ConfigurationError
from broker.keyring import generate_key, write_key_file
from broker.models import ConnectionKey, TenantKey
from broker.secret import Secret, SecretBytes
from broker.vault import KeyRing, Undecryptable, Vault, rotate
from tests.vault.acts import K1, K2, MINE, NOON, PLACE, index_of, opened, refused, rewrapped, sealed, vault_with
from tests.vault.tpb1_reference import entry, key_of, lp

# --- the database ----------------------------------------------------------------------------------------------


def dumped(database: Database, folder: Path) -> bytes:
    """Every value of every table, and SQLite's files with what was deleted from them."""
    with database.read() as session:
        rows = [row for table in Base.metadata.sorted_tables for row in session.execute(select(table))]
    values = [value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row]
    return b"|".join([*values, *(path.read_bytes() for path in folder.glob("broker.db*"))])


def test_a_copied_database_yields_nothing(database: Database, vault: Vault, tmp_path: Path) -> None:
    """CRY-15: neither plaintext nor any key stands in it; a guessed ring with the right ids opens nothing."""
    blob = sealed(database, vault)
    with database.write() as keys:
        vault.blind_index(keys, provider="google", client_id="client-1", value="SUBJECT-1")
        tk_id, wrapped = keys.execute(select(TenantKey.tk_id, TenantKey.wrapped).filter_by(tenant="acme")).one()
    tenant_key = KeyRing.parse(K1).unwrap("k1", wrapped, lp(kind="tk", tenant="acme", tk_id=tk_id.hex()))
    dump = dumped(database, tmp_path)
    assert wrapped in dump, "the search finds what is there"
    for secret in (b"REFRESH-1", b"SUBJECT-1", key_of(b"KEK-1"), tenant_key):
        assert secret not in dump
    assert refused(database, vault_with(entry("k1", b"GUESS")), blob) == "wrap tag"


# --- indexes ---------------------------------------------------------------------------------------------------


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


# --- logs, output, tracebacks, processes -----------------------------------------------------------------------

CANARIES = {
    "key encryption key": key_of(b"KEK-1"),
    "tenant key": key_of(b"TK-1"),
    "connection key": key_of(b"DEK-1"),
    "what was sealed": b"REFRESH-CANARY-1",
}
TOKEN = CANARIES["what was sealed"]


def leaked(printed: str) -> set[str]:
    """The canaries that stand in a text as they are, in hex or in base64."""
    return {name for name, canary in CANARIES.items() if any(form in printed for form in _forms(canary))}


def _forms(canary: bytes) -> Iterator[str]:
    yield from (canary.decode().rstrip("-"), canary.hex())
    yield base64.urlsafe_b64encode(canary).decode()[:20]


def scripted(*drawn: bytes) -> Callable[[int], bytes]:
    """Random bytes that are known, then none."""
    rest = iter(drawn)
    return lambda size: next(rest, b"")


def known_vault(random: Callable[[int], bytes], of_ring: Callable[[int], bytes] = os.urandom) -> Vault:
    return Vault(KeyRing.parse(Secret(K1), random=of_ring), clock=lambda: NOON, random=random)


@pytest.fixture
def blob(sqlite: Database) -> bytes:
    """A sealed canary, under keys that are canaries."""
    drawn = (b"tk-id--1", CANARIES["tenant key"], b"dek-id-1", CANARIES["connection key"], bytes(12), bytes(32))
    vault = known_vault(scripted(*drawn))
    with sqlite.write() as keys:
        vault.new_key(keys, **MINE)
        return vault.seal(keys, plaintext=TOKEN, **PLACE)


def test_nothing_is_logged_or_printed(
    database_url: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """CRY-16: a whole life of keys with every logger at DEBUG, the database's too."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "sqlalchemy")
    drawn = (b"tk-id--1", CANARIES["tenant key"], b"dek-id-1", CANARIES["connection key"], bytes(12), bytes(32))
    database, vault = Database(database_url), known_vault(scripted(*drawn))
    with database.write() as keys:
        vault.check_keys(keys)
        vault.new_key(keys, **MINE)
        blob = vault.seal(keys, plaintext=TOKEN, **PLACE)
    assert opened(database, vault, blob) == TOKEN
    refused(database, vault, blob, version=8)
    rotate(database, vault_with(K2, K1), tenant_keys=True, report=lambda *_: None)
    with database.write() as keys:
        vault.shred(keys, **MINE)
    database.dispose()
    captured = capfd.readouterr()
    assert "connection_keys" in caplog.text, "the database's log is read"
    assert (leaked(caplog.text), captured.out, captured.err) == (set(), "", "")


def seen(error: BaseException | None) -> str:
    """What a reporter that shows locals sees of an error and all that led to it, in the broker's own frames."""
    parts: list[str] = []
    while error is not None:
        parts += [str(error), repr(error.args), repr(getattr(error, "__dict__", {}))]
        at = error.__traceback__
        while at:
            if f"{os.sep}broker{os.sep}" in at.tb_frame.f_code.co_filename:
                parts.append(repr(at.tb_frame.f_locals))
            at = at.tb_next
        error = error.__cause__ or error.__context__
    return "\n".join(parts)


def _change(keys: Session, table: Any) -> None:
    keys.execute(update(table).values(wrapped=bytes(60)))


def _read_only(keys: Session) -> None:
    keys.execute(text("PRAGMA query_only=ON"))


FAILURES: dict[str, Callable[[Session, bytes], object]] = {
    "a changed blob": lambda keys, blob: vault_with(K1).open(keys, blob=blob[:-1] + b"x", **PLACE),
    "another place": lambda keys, blob: vault_with(K1).open(keys, blob=blob, **{**PLACE, "version": 8}),
    "a changed connection key": lambda keys, blob: [
        _change(keys, ConnectionKey),
        vault_with(K1).open(keys, blob=blob, **PLACE),
    ],
    "a changed tenant key": lambda keys, blob: [
        _change(keys, TenantKey),
        vault_with(K1).open(keys, blob=blob, **PLACE),
    ],
    "no salt": lambda keys, blob: known_vault(scripted()).seal(keys, plaintext=TOKEN, **PLACE),
    "no nonce for a connection key": lambda keys, blob: known_vault(
        scripted(b"dek-id-2", CANARIES["connection key"])
    ).new_key(keys, tenant="acme", connection="con_2"),
    "no nonce for a tenant key": lambda keys, blob: known_vault(
        scripted(b"tk-id--2", CANARIES["tenant key"]), scripted()
    ).new_key(keys, tenant="umbrella", connection="con_2"),
    "no nonce for a rewrapping": lambda keys, blob: rewrapped(
        keys, Vault(KeyRing.parse(Secret(f"{K2} {K1}"), random=scripted()), clock=lambda: NOON)
    ),
    "a missing key": lambda keys, blob: vault_with(K2).check_keys(keys),
    "another key under its id": lambda keys, blob: [
        keys.execute(text("UPDATE key_checks SET check_value = x'0000000000000000'")),
        known_vault(scripted(b"tk-id--2", CANARIES["tenant key"])).new_tenant_key(keys, tenant="acme"),
    ],
    "a database that refuses": lambda keys, blob: [
        _read_only(keys),
        known_vault(scripted(b"dek-id-2", CANARIES["connection key"], bytes(12))).new_key(
            keys, tenant="acme", connection="con_2"
        ),
    ],
}


@pytest.mark.parametrize("failing", FAILURES.values(), ids=FAILURES)
def test_a_traceback_with_locals_shows_no_key_and_no_token(
    sqlite: Database, blob: bytes, failing: Callable[[Session, bytes], object]
) -> None:
    """CRY-16."""
    with pytest.raises((BrokerError, ConfigurationError)) as caught, sqlite.write() as keys:
        failing(keys, blob)
    shown = seen(caught.value)
    assert "SecretBytes(…)" in shown or "KeyStatus(" in shown, "locals are seen"
    assert leaked(shown) == set()


SOURCES: dict[str, Callable[[Path], object]] = {
    "a ring with a fault": lambda folder: KeyRing.parse(Secret(f"{K1} nonsense")),
    "a file with a fault": lambda folder: KeyRing.load(f"file:{_file(folder, f'{K1} nonsense')}"),
    "a file that is no text": lambda folder: KeyRing.load(f"file:{_file(folder, K1, end=bytes([255]))}"),
    "a variable with a fault": lambda folder: KeyRing.load("env:RING", environ=Environ(RING=f"{K1} nonsense")),
    "a file changed while it serves": lambda folder: _changed_while_it_serves(folder),
    "a file that is there": lambda folder: write_key_file(
        _file(folder, K1), kid="k1", random=scripted(CANARIES["key encryption key"])
    ),
    "an impossible id": lambda folder: generate_key("K1", random=scripted(CANARIES["key encryption key"])),
}


class Environ(dict[str, str]):
    """An environment that does not print, as the system's own would not stand in a frame of ours."""

    __repr__ = object.__repr__


def _file(folder: Path, text: str, end: bytes = b"") -> Path:
    path = folder / "keys"
    path.write_bytes(text.encode() + end)
    path.chmod(0o600)
    return path


def _changed_while_it_serves(folder: Path) -> None:
    ring = KeyRing.load(f"file:{_file(folder, K1)}")
    _file(folder, K1.replace("k1:", "k1:=") + " " + K1)
    ring.wrap(SecretBytes(CANARIES["tenant key"]), b"context")


@pytest.mark.parametrize("failing", SOURCES.values(), ids=SOURCES)
def test_a_key_source_that_fails_shows_no_key(tmp_path: Path, failing: Callable[[Path], object]) -> None:
    """CRY-16."""
    with pytest.raises((BrokerError, ConfigurationError)) as caught:
        failing(tmp_path)
    assert leaked(seen(caught.value)) == set()


def test_the_search_finds_every_canary_in_locals() -> None:
    """Or the tests above could not fail."""

    def broker() -> None:
        key, token = CANARIES["key encryption key"], TOKEN.decode()
        raise ValueError(key.hex(), token, base64.b64encode(CANARIES["tenant key"]), CANARIES["connection key"])

    with pytest.raises(ValueError, match="REFRESH") as caught:
        broker()
    assert leaked(seen(caught.value)) == set(CANARIES)


@pytest.mark.parametrize(("source", "visible"), [("file", False), ("env", True)])
def test_a_key_file_is_not_seen_in_the_process_from_outside(tmp_path: Path, source: str, *, visible: bool) -> None:
    """CRY-16: arguments and environment are open to the same account; why a file is better than a variable."""
    environ = {**os.environ, "RING": K1} if visible else dict(os.environ)
    given = "env:RING" if visible else f"file:{_file(tmp_path, K1)}"
    program = "import sys; from broker.vault import KeyRing; KeyRing.load(sys.argv[1]); print(1, flush=True); input()"
    command = [sys.executable, "-c", program, given]
    with subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "1\n"
        shown = "".join(Path(f"/proc/{process.pid}/{name}").read_text() for name in ("environ", "cmdline"))
        process.communicate("\n", timeout=10)
    assert leaked(shown) == ({"key encryption key"} if visible else set())
