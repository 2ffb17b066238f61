"""`broker keys generate|add|rotate|status` as an operator runs them (contract §1)."""

import json
import os
import pty
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from broker.cli import main
from broker.db import Database
from broker.models import AuditEntry, TenantKey
from broker.vault import KeyRing, Vault
from tests.vault.acts import opened, sealed


@dataclass
class Ran:
    status: int
    out: str
    err: str

    @property
    def facts(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    return tmp_path / "keys"


@pytest.fixture
def environ(database_url: str, keys_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An operator's shell in an empty folder."""
    settings = {
        "BROKER_ENV": "development",
        "BROKER_DATABASE_URL": database_url,
        "BROKER_KEYS": f"file:{keys_file}",
        "BROKER_PUBLIC_URL": "http://127.0.0.1:8000",
    }
    for name in [name for name in os.environ if name.startswith("BROKER_")]:
        monkeypatch.delenv(name)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return settings


@pytest.fixture
def run(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs `broker keys …` in this process."""

    def run(*words: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["broker", "keys", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capfd.readouterr()
        return Ran(int(ended.value.code or 0), said.out, said.err)

    return run


@pytest.fixture
def ring(run: Run, keys_file: Path) -> KeyRing:
    """The key that `broker keys generate` made, for good, whatever becomes of the file."""
    assert run("generate").status == 0
    return KeyRing.parse(keys_file.read_text())


def kids(keys_file: Path) -> list[str]:
    return list(KeyRing.load(f"file:{keys_file}").check_values())


# --- generate --------------------------------------------------------------------------------------------------


def test_generate_makes_the_file_that_the_setting_names(run: Run, keys_file: Path) -> None:
    made = run("generate")
    assert (made.status, made.out) == (0, "")
    assert "Back it up" in made.err
    assert stat.S_IMODE(keys_file.stat().st_mode) == 0o600
    assert kids(keys_file)[0].startswith(f"key-{datetime.now(UTC):%Y-}")


def test_generate_never_overwrites(run: Run, keys_file: Path) -> None:
    run("generate")
    before = keys_file.read_text()
    again = run("generate")
    assert (again.status, again.out) == (1, "")
    assert "File exists" in again.err
    assert "cannot start" not in again.err
    assert keys_file.read_text() == before


def test_generate_prints_the_value_for_a_variable_and_nothing_else(run: Run, tmp_path: Path) -> None:
    made = run("generate", "env:BROKER_KEY_RING", "--kid", "k1")
    assert made.status == 0
    assert list(KeyRing.parse(made.out).check_values()) == ["k1"]
    assert made.out.count("\n") == 1
    assert made.out.strip() not in made.err
    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize("source", ["", "keys", "k1:AAAA", "vault://x"])
def test_generate_without_a_source_says_how_to_name_one(run: Run, monkeypatch: Any, source: str) -> None:
    monkeypatch.setenv("BROKER_KEYS", source)
    made = run("generate")
    assert (made.status, made.out) == (2, "")
    assert "file:/path or env:NAME" in made.err


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["generate", "file:keys"], "from the root"),
        (["generate", "env:1"], "file:/path or env:NAME"),
        (["generate", "file:/nowhere/at/all/keys"], "No such file"),
        (["generate", "--kid", "No Good"], "is not kid:key"),
        (["add"], "No such file"),
        (["add", "--kid", "No Good"], "is not kid:key"),
    ],
)
def test_a_mistake_is_told_in_a_line(run: Run, words: list[str], problem: str) -> None:
    made = run(*words)
    assert (made.status, made.out) == (1, "")
    assert problem in made.err
    assert "Traceback" not in made.err


# --- add -------------------------------------------------------------------------------------------------------


def test_add_brings_a_key_that_opens_and_does_not_seal(run: Run, ring: KeyRing, keys_file: Path) -> None:
    """§4.2.7 step 1."""
    added = run("add")
    first, second = kids(keys_file)
    assert (added.status, added.out, first) == (0, "", ring.primary)
    assert f"broker keys rotate --to {second}" in added.err
    states = {key["kid"]: key["state"] for key in run("status", "--json").facts["keys"]}
    assert states == {first: "seals", second: "opens"}


def test_add_prints_the_new_value_of_a_variable(run: Run, ring: KeyRing, keys_file: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("BROKER_KEYS", "env:BROKER_KEY_RING")
    monkeypatch.setenv("BROKER_KEY_RING", keys_file.read_text().strip())
    added = run("add", "--kid", "k9")
    assert added.status == 0
    assert list(KeyRing.parse(added.out).check_values()) == [ring.primary, "k9"]
    assert "k9:" not in added.err


# --- status ----------------------------------------------------------------------------------------------------


def used(environ: dict[str, str], ring: KeyRing, *, days_ago: int = 2) -> tuple[Database, bytes]:
    """A database in which one tenant has sealed something."""
    database = Database(environ["BROKER_DATABASE_URL"])
    made_at = datetime.now(UTC) - timedelta(days=days_ago)
    return database, sealed(database, Vault(ring, clock=lambda: made_at))


def test_status_tells_what_each_key_wraps(run: Run, environ: dict[str, str], ring: KeyRing) -> None:
    """§4.2.7 steps 2 and 5: run on each host, it shows which keys that one holds."""
    database, _ = used(environ, ring)
    database.dispose()
    shown = run("status")
    assert (shown.status, shown.out, shown.err) == (0, f"{ring.primary}: seals, wraps 1 tenant keys\n", "")


@pytest.mark.parametrize(("lost", "state"), [(True, "missing"), (False, "wrong")])
def test_status_shows_a_key_that_is_missing_or_another(
    run: Run, environ: dict[str, str], ring: KeyRing, keys_file: Path, *, lost: bool, state: str
) -> None:
    """CRY-06: when a broker does not start for it, this still tells which."""
    database, _ = used(environ, ring)
    database.dispose()
    keys_file.unlink()
    run("generate", "--kid", "other" if lost else ring.primary)
    shown = run("status", "--json")
    found = {key["kid"]: key["state"] for key in shown.facts["keys"]}
    assert (shown.status, found[ring.primary]) == (1, state)
    assert "put back" in shown.err


def test_status_before_the_database_was_made_says_what_to_run(
    run: Run, ring: KeyRing, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("BROKER_DATABASE_URL", f"sqlite:///{tmp_path / 'empty.db'}")
    shown = run("status")
    assert (shown.status, shown.out) == (1, "")
    assert "broker db upgrade" in shown.err


# --- rotate ----------------------------------------------------------------------------------------------------


@pytest.fixture
def house(environ: dict[str, str], ring: KeyRing) -> Any:
    database, blob = used(environ, ring)
    yield database, blob
    database.dispose()


def test_rotate_lets_the_new_key_seal_and_brings_everything_under_it(
    run: Run, house: tuple[Database, bytes], ring: KeyRing, keys_file: Path
) -> None:
    """§4.2.7 steps 3 to 7, the old key destroyed at the end."""
    database, blob = house
    run("add", "--kid", "k9")
    rotated = run("rotate", "--to", "k9")
    assert rotated.status == 0, rotated.err
    assert kids(keys_file) == ["k9", ring.primary]
    assert "Under k9 now, and was not before: 1 tenant keys." in rotated.out
    only_new = [line for line in keys_file.read_text().splitlines() if line.startswith("k9:")]
    assert opened(database, Vault(KeyRing.parse(only_new[0]), clock=lambda: datetime.now(UTC)), blob) == b"REFRESH-1"


def test_rotate_says_which_key_wraps_nothing_any_more(run: Run, house: Any, ring: KeyRing, keys_file: Path) -> None:
    old = ring.primary
    run("add", "--kid", "k9")
    assert f"{old} wraps nothing any more" in run("rotate", "--to", "k9").out


def test_rotate_alone_takes_the_key_that_stands_first(run: Run, house: Any, ring: KeyRing, keys_file: Path) -> None:
    """The operator put it first by hand; run again, there is nothing to do."""
    run("add", "--kid", "k9")
    keys_file.write_text("\n".join(reversed(keys_file.read_text().splitlines())) + "\n")
    done = [run("rotate", "--json").facts for _ in range(2)]
    assert [(facts["primary"], facts["tenant_keys"]) for facts in done] == [("k9", 1), ("k9", 0)]


def test_rotate_without_a_new_key_changes_nothing(run: Run, house: Any, ring: KeyRing, keys_file: Path) -> None:
    before = keys_file.read_text()
    assert run("rotate", "--json").facts["tenant_keys"] == 0
    assert keys_file.read_text() == before


def test_rotate_replaces_tenant_keys_where_asked(run: Run, house: tuple[Database, bytes], ring: KeyRing) -> None:
    database, blob = house
    first, second = (run("rotate", "--tenant-keys") for _ in range(2))
    assert "New tenant keys: 1; connection keys under them: 1." in first.out
    assert "New tenant keys" not in second.out
    assert opened(database, Vault(ring, clock=lambda: datetime.now(UTC)), blob) == b"REFRESH-1"


def test_rotate_to_an_unknown_key_changes_nothing(run: Run, house: Any, ring: KeyRing, keys_file: Path) -> None:
    before = keys_file.read_text()
    rotated = run("rotate", "--to", "k9")
    assert (rotated.status, rotated.out) == (1, "")
    assert "there is no key k9" in rotated.err
    assert keys_file.read_text() == before


def test_rotate_cannot_change_a_variable_and_rotates_nothing_yet(
    run: Run, house: Any, ring: KeyRing, keys_file: Path, monkeypatch: Any
) -> None:
    run("add", "--kid", "k9")
    monkeypatch.setenv("BROKER_KEYS", "env:BROKER_KEY_RING")
    monkeypatch.setenv("BROKER_KEY_RING", keys_file.read_text())
    stopped = run("rotate", "--to", "k9")
    assert stopped.status == 1
    assert next(iter(KeyRing.parse(stopped.out).check_values())) == "k9"
    monkeypatch.setenv("BROKER_KEY_RING", stopped.out)
    assert run("rotate", "--to", "k9", "--json").facts["tenant_keys"] == 1


def test_rotate_refuses_while_a_key_is_missing(run: Run, house: Any, ring: KeyRing, keys_file: Path) -> None:
    """CRY-06."""
    keys_file.unlink()
    run("generate", "--kid", "other")
    rotated = run("rotate")
    assert (rotated.status, rotated.out) == (1, "")
    assert f"key {ring.primary} is missing" in rotated.err


def test_rotate_reports_keys_that_do_not_open_and_fails(run: Run, house: tuple[Database, bytes], ring: KeyRing) -> None:
    database, _ = house
    with database.write() as keys:
        keys.execute(update(TenantKey).values(wrapped=bytes(60)))
    run("add", "--kid", "k9")
    rotated = run("rotate", "--to", "k9")
    assert rotated.status == 1
    assert "left as they are: tenant key acme/1" in rotated.err


def test_a_rotation_stands_in_the_audit(run: Run, house: tuple[Database, bytes], ring: KeyRing) -> None:
    """I10."""
    database, _ = house
    run("add", "--kid", "k9")
    run("rotate", "--to", "k9")
    with database.read() as session:
        entry = session.scalars(select(AuditEntry).filter_by(action="keys.rotated")).one()
    detail = json.loads(entry.detail)
    assert (entry.tenant, entry.actor, detail["primary"], detail["tenant_keys"]) == ("*", "operator", "k9", 1)


def test_the_progress_is_shown_on_a_terminal(house: Any, run: Run, environ: dict[str, str], ring: KeyRing) -> None:
    run("add", "--kid", "k9")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "broker.cli", "keys", "rotate", "--to", "k9", "--tenant-keys"]
    root = str(Path(__file__).parents[2])
    ran = subprocess.run(
        command, stderr=theirs, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": root}, timeout=30, check=True
    )
    os.close(theirs)
    shown = _all_of(ours)
    assert b"tenant keys" in shown
    assert b"1/1" in shown
    assert b"connection keys" in shown
    assert b"\x1b" not in ran.stdout


def test_no_progress_is_shown_where_there_is_no_terminal(run: Run, house: Any, ring: KeyRing) -> None:
    assert run("rotate").err == ""


def _all_of(descriptor: int) -> bytes:
    read = b""
    try:
        while part := os.read(descriptor, 65_536):
            read += part
    except OSError:  # the terminal's other end is closed
        pass
    finally:
        os.close(descriptor)
    return read
