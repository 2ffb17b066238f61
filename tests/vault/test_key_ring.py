"""Key encryption keys as text, file and variable (docs/facts/security.md §4.2.5, INP-96)."""

import base64
import multiprocessing
import os
import pathlib
import pickle
import resource
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from broker.errors import ConfigurationError, Unavailable
from broker.keyring import add_key, generate_key, make_keys, put_first, write_key_file
from broker.secret import Secret
from broker.vault import KeyRing, Undecryptable
from tests.vault.tpb1_reference import entry, key_of

K1, K2 = entry("k1", b"KEK-1"), entry("k2", b"KEK-2")
TEXT = K1.partition(":")[2]
SHORT, LONG, NOTHING = (base64.urlsafe_b64encode(key).decode() for key in (b"KEK-1" * 6, b"KEK-1" * 7, bytes(32)))
REFUSED = {
    "nothing": ("", "there is no key"),
    "only a comment": (f"# {K1}", "there is no key"),
    "a short key": (f"k1:{SHORT}", "key 1: has 30 bytes"),
    "a long key": (f"k1:{LONG}", "key 1: has 35 bytes"),
    "no key": ("k1:", "key 1: has 0 bytes"),
    "not base64": (f"k1:{TEXT[:-1]}!", "key 1: is not base64url"),
    "the other base64 alphabet": (f"k1:{'+/' * 21}A", "key 1: is not base64url"),
    "no text": (f"k1:{'ü' * 43}", "key 1: is not base64url"),
    "padding inside": (f"k1:{TEXT[:20]}=={TEXT[20:]}", "key 1: is not base64url"),
    "loose bits at the end": (f"k1:{TEXT[:-1]}1", "key 1: is not the base64url of any key"),
    "all zero": (f"k1:{NOTHING}", "key 1: is all zero"),
    "an id twice": (f"{K1} k1:{entry('k', b'KEK-3')[2:]}", "key id k1 stands there 2 times"),
    "a key twice": (f"{K1} k2:{TEXT}", "one key stands there under two ids"),
    "no id": (f":{TEXT}", "key 1: is not kid:key"),
    "a key alone": (TEXT, "key 1: is not kid:key"),
    "an id with capitals": (f"K1:{TEXT}", "key 1: is not kid:key"),
    "an id too long": (f"{'k' * 65}:{TEXT}", "key 1: is not kid:key"),
    "an id with a newline": (f"k1\x0b:{TEXT}", "key 1: is not kid:key"),
}


def kids(ring: KeyRing) -> list[str]:
    return list(ring.check_values())


@pytest.mark.parametrize(
    "text",
    [f"{K1} {K2}", f"{K1},{K2}", f"\n# the old one is below\n{K1}\n  # {entry('k3', b'KEK-3')}\n,\t{K2}=\n"],
    ids=["blanks", "commas", "lines and comments"],
)
def test_the_first_key_of_a_ring_wraps_and_all_unwrap(text: str) -> None:
    ring = KeyRing.parse(Secret(text))
    assert (ring.primary, kids(ring)) == ("k1", ["k1", "k2"])
    for wrapping in (K1, K2):
        kid, wrapped = KeyRing.parse(wrapping).wrap(key_of(b"TK-1"), b"context")
        assert ring.unwrap(kid, wrapped, b"context") == key_of(b"TK-1")


@pytest.mark.parametrize(("text", "problem"), REFUSED.values(), ids=REFUSED)
def test_a_faulty_ring_is_refused_without_showing_a_key(text: str, problem: str) -> None:
    """INP-96."""
    with pytest.raises(ConfigurationError) as caught:
        KeyRing.parse(text)
    assert any(found.startswith(problem) for found in caught.value.problems), caught.value.problems
    assert TEXT[:6] not in str(caught.value)


def test_every_fault_of_a_ring_is_listed() -> None:
    with pytest.raises(ConfigurationError) as caught:
        KeyRing.parse(f"k1:{SHORT} nonsense {K2} k2:!")
    assert [problem[:6] for problem in caught.value.problems] == ["key 1:", "key 2:", "key 4:", "key id"]


def test_a_ring_unwraps_only_with_the_named_key_and_the_same_context() -> None:
    """§4.2.3 decision 6: no trying of keys."""
    ring = KeyRing.parse(f"{K1} {K2}")
    _, wrapped = ring.wrap(key_of(b"TK-1"), b"context")
    for kid, context, reason in (
        ("k2", b"context", "wrap tag"),
        ("k1", b"other", "wrap tag"),
        ("k9", b"context", "unknown KEK id"),
    ):
        with pytest.raises(Undecryptable) as caught:
            ring.unwrap(kid, wrapped, context)
        assert caught.value.reason == reason


def test_a_ring_does_not_print_or_travel() -> None:
    ring = KeyRing.parse(K1)
    assert repr(ring) == str(ring) == "KeyRing(k1)"
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(ring)


# --- sources -------------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(f"{K1}\n{K2}\n")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("form", ["file:{}", "file://{}"])
@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_key_file_of_ones_own_is_read(file: Path, form: str, mode: int) -> None:
    file.chmod(mode)
    assert kids(KeyRing.load(form.format(file))) == ["k1", "k2"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644])
def test_a_key_file_open_to_others_is_refused(file: Path, mode: int) -> None:
    """INP-96."""
    file.chmod(mode)
    with pytest.raises(ConfigurationError, match="open to others"):
        KeyRing.load(f"file:{file}")


@pytest.mark.parametrize(("kind", "problem"), [("directory", "Is a directory"), ("pipe", "is not a regular file")])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, kind: str, problem: str) -> None:
    place = tmp_path / kind
    os.mkfifo(place, 0o600) if kind == "pipe" else place.mkdir(0o700)
    with pytest.raises(ConfigurationError, match=problem):
        KeyRing.load(f"file:{place}")


def test_a_missing_key_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        KeyRing.load(f"file:{tmp_path / 'none'}")


def test_an_entry_that_is_no_text_is_refused(file: Path) -> None:
    file.write_bytes(b"\xff" * 40)
    with pytest.raises(ConfigurationError, match="key 1: is not kid:key"):
        KeyRing.load(f"file:{file}")


def test_a_comment_in_any_encoding_stays(file: Path) -> None:
    file.write_bytes(b"# caf\xe9\n" + K1.encode() + b"\n")
    add_key(f"file:{file}", {}, kid="k9")
    assert file.read_bytes().startswith(b"# caf\xe9\n" + K1.encode() + b"\nk9:")


def test_a_variable_is_read() -> None:
    assert kids(KeyRing.load("env:BROKER_KEY_RING", environ={"BROKER_KEY_RING": K1})) == ["k1"]


@pytest.mark.parametrize("environ", [{}, {"BROKER_KEY_RING": ""}])
def test_a_variable_that_is_not_set_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="BROKER_KEY_RING"):
        KeyRing.load("env:BROKER_KEY_RING", environ=environ)


@pytest.mark.parametrize("source", ["aws-kms://arn:aws:kms:x", "gcp-kms://projects/x", "vault://transit/keys/x"])
def test_a_key_service_without_an_adapter_is_refused(source: str) -> None:
    with pytest.raises(ConfigurationError, match="no adapter for"):
        KeyRing.load(source)


@pytest.mark.parametrize("source", ["", K1, f"env:{K1}", f"file:{K1}", "keys", "file:keys", "file://host/keys"])
def test_an_unknown_source_is_refused_without_showing_it(source: str) -> None:
    """Somebody may put the key itself where its place belongs."""
    with pytest.raises(ConfigurationError) as caught:
        KeyRing.load(source, environ={})
    assert TEXT[:6] not in str(caught.value)
    assert "file:/path" in str(caught.value)


# --- making keys ---------------------------------------------------------------------------------------------


def test_a_generated_key_is_new_each_time() -> None:
    one, two = generate_key("k1"), generate_key("k1")
    assert one != two
    assert kids(KeyRing.parse(one)) == ["k1"]


@pytest.mark.parametrize("kid", ["", "K1", "a b", "k" * 65, "k1:"])
def test_no_key_is_generated_under_an_impossible_id(kid: str) -> None:
    with pytest.raises(ConfigurationError):
        generate_key(kid)


def test_a_new_key_file_is_its_owners_alone_and_loads(tmp_path: Path) -> None:
    """INP-96: whatever the umask."""
    before = os.umask(0)
    try:
        write_key_file(tmp_path / "keys", kid="k1")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o600
    assert kids(KeyRing.load(f"file:{tmp_path / 'keys'}")) == ["k1"]


@pytest.mark.parametrize("kind", ["file", "dangling link"])
def test_an_existing_key_file_is_never_overwritten(tmp_path: Path, kind: str) -> None:
    """INP-96: losing the keys loses every token."""
    place, target = tmp_path / "keys", tmp_path / "target"
    place.write_text(K1) if kind == "file" else place.symlink_to(target)
    with pytest.raises(ConfigurationError, match="File exists"):
        write_key_file(place)
    assert not target.exists()
    assert kind != "file" or place.read_text() == K1


def test_without_random_bytes_no_key_file_is_left(tmp_path: Path) -> None:
    """CRY-11."""
    with pytest.raises(Unavailable):
        write_key_file(tmp_path / "keys", random=lambda size: b"")
    assert not list(tmp_path.iterdir())


# --- adding, putting first -----------------------------------------------------------------------------------

K3 = entry("k3", b"KEK-3")
TEXTS = {
    "a line": (f"{K1}\n", f"{K1}\n{{new}}\n"),
    "lines and comments": (f"# ours\n{K1}\n  {K2}\n# end\n", f"# ours\n{K1}\n  {K2}\n# end\n{{new}}\n"),
    "no end of line": (K1, f"{K1},{{new}}"),
    "commas": (f"{K1}, {K2},", f"{K1}, {K2},{{new}}"),
    "blanks and an end of line": (f"{K1} {K2}\n\n", f"{K1} {K2}\n{{new}}\n"),
}
ORDERS = {
    "lines": (f"{K1}\n{K2}\n{K3}\n", f"{K2}\n{K1}\n{K3}\n"),
    "comments": (f"# {K2} by mistake\n{K1}\n\n# new\n{K2}\n", f"{K2}\n# {K2} by mistake\n{K1}\n# new\n"),
    "commas": (f"{K1},{K2},{K3}", f"{K2},{K1},{K3}"),
    "last of commas": (f"{K1}, {K2}", f"{K2},{K1}"),
    "blanks": (f"{K1} {K2} {K3}", f"{K2},{K1} {K3}"),
    "first already": (f"{K2}\n{K1}\n", f"{K2}\n{K1}\n"),
}


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(("text", "expected"), TEXTS.values(), ids=TEXTS)
def test_an_added_key_stands_last(tmp_path: Path, text: str, expected: str) -> None:
    """§4.2.7 step 1: it opens, and does not seal."""
    file = write(tmp_path / "keys", text)
    assert add_key(f"file:{file}", {}, kid="k9") is None
    new = file.read_text().split("k9:")[1][:43]
    assert file.read_text() == expected.format(new=f"k9:{new}")
    assert KeyRing.load(f"file:{file}").primary == "k1"
    assert kids(KeyRing.load(f"file:{file}"))[-1] == "k9"


@pytest.mark.parametrize(("text", "expected"), ORDERS.values(), ids=ORDERS)
def test_a_key_is_put_first(tmp_path: Path, text: str, expected: str) -> None:
    """§4.2.7 step 3; of the others nothing changes but the line ends."""
    file = write(tmp_path / "keys", text)
    assert put_first(f"file:{file}", {}, kid="k2") is None
    assert file.read_text() == expected
    assert KeyRing.load(f"file:{file}").primary == "k2"


def test_a_variable_is_not_changed_but_its_new_value_given(tmp_path: Path) -> None:
    environ = {"BROKER_KEY_RING": f"{K1},{K2}"}
    added = add_key("env:BROKER_KEY_RING", environ, kid="k9")
    first = put_first("env:BROKER_KEY_RING", environ, kid="k2")
    assert added
    assert first
    assert environ == {"BROKER_KEY_RING": f"{K1},{K2}"}
    assert kids(KeyRing.parse(added)) == ["k1", "k2", "k9"]
    assert kids(KeyRing.parse(first)) == ["k2", "k1"]


def test_a_source_is_made_as_file_or_value(tmp_path: Path) -> None:
    assert make_keys(f"file:{tmp_path / 'keys'}", kid="k1") is None
    value = make_keys("env:BROKER_KEY_RING", kid="k1")
    assert value
    assert kids(KeyRing.load(f"file:{tmp_path / 'keys'}")) == kids(KeyRing.parse(value)) == ["k1"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda source: add_key(source, {}, kid="k1"), "key id k1 stands there 2 times"),
        (lambda source: add_key(source, {}, kid="K9"), "is not kid:key"),
        (lambda source: put_first(source, {}, kid="k9"), "there is no key k9"),
        (lambda source: put_first(source, {}, kid="k"), "there is no key k:"),
    ],
)
def test_an_impossible_change_leaves_the_file_as_it_was(file: Path, change: Any, problem: str) -> None:
    before = file.read_text()
    with pytest.raises(ConfigurationError, match=problem):
        change(f"file:{file}")
    assert file.read_text() == before


def test_a_broken_file_is_not_changed(file: Path) -> None:
    file.write_text(f"{K1}\nnonsense\n")
    with pytest.raises(ConfigurationError, match="key 2: is not kid:key"):
        add_key(f"file:{file}", {}, kid="k9")
    assert file.read_text() == f"{K1}\nnonsense\n"


def test_a_file_that_is_too_long_is_refused_rather_than_cut(file: Path) -> None:
    file.write_text(f"{K1}\n#{'-' * 65_536}\n")
    with pytest.raises(ConfigurationError, match="is longer than"):
        add_key(f"file:{file}", {}, kid="k9")


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_changed_file_keeps_its_mode_whatever_the_umask(file: Path, mode: int) -> None:
    """INP-96."""
    file.chmod(mode)
    before = os.umask(0)
    try:
        add_key(f"file:{file}", {}, kid="k9")
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == mode
    assert [path.name for path in file.parent.iterdir()] == ["keys"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes another account's file")
def test_a_file_that_root_changes_stays_the_brokers(file: Path) -> None:
    """Otherwise the broker could not read its keys at the next start."""
    os.chown(file, 12_345, -1)
    add_key(f"file:{file}", {}, kid="k9")
    assert file.stat().st_uid == 12_345


def test_a_link_to_the_file_stays_a_link(file: Path) -> None:
    link = file.parent / "link"
    link.symlink_to(file)
    add_key(f"file:{link}", {}, kid="k9")
    assert link.is_symlink()
    assert kids(KeyRing.load(f"file:{file}")) == ["k1", "k2", "k9"]


def test_a_file_that_cannot_be_replaced_is_left_alone(file: Path) -> None:
    (file.parent / ".keys.new").mkdir()
    with pytest.raises(ConfigurationError, match="cannot be changed"):
        add_key(f"file:{file}", {}, kid="k9")
    assert kids(KeyRing.load(f"file:{file}")) == ["k1", "k2"]


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process can grow."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_the_old_file_or_none(file: Path) -> None:
    with full_disk(), pytest.raises(ConfigurationError, match="cannot be changed"):
        add_key(f"file:{file}", {}, kid="k9")
    with full_disk(), pytest.raises(ConfigurationError, match="cannot be written"):
        write_key_file(file.parent / "others")
    assert kids(KeyRing.load(f"file:{file}")) == ["k1", "k2"]
    assert [path.name for path in file.parent.iterdir()] == ["keys"]


STEPS = ["os.open", "os.fdopen", "os.fchmod", "os.fsync", "pathlib.Path.replace"]


def _add_and_die(file: Path, step: str, *, after: bool) -> None:
    """In a process of its own: kill -9 just before or after a step of the change."""
    module, _, name = step.rpartition(".")
    owner = pathlib.Path if module == "pathlib.Path" else os
    real = getattr(owner, name)

    def fatal(*given: Any, **named: Any) -> Any:
        if after:
            real(*given, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, fatal)
    add_key(f"file:{file}", {}, kid="k9")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_change_killed_at_any_step_leaves_the_old_text_or_the_new(file: Path, step: str, *, after: bool) -> None:
    """CRY-07: kill -9 in the middle of `broker keys add`; the next one is not kept from working."""
    process = multiprocessing.get_context("fork").Process(
        target=_add_and_die, args=(file, step), kwargs={"after": after}
    )
    process.start()
    process.join(10)
    assert process.exitcode == -signal.SIGKILL
    assert kids(KeyRing.load(f"file:{file}")) in (["k1", "k2"], ["k1", "k2", "k9"])
    add_key(f"file:{file}", {}, kid="k10")
    assert kids(KeyRing.load(f"file:{file}"))[-1] == "k10"
    assert [path.name for path in file.parent.iterdir()] == ["keys"]


def _add(file: Path, number: int) -> None:
    add_key(f"file:{file}", {}, kid=f"new-{number}")


def test_keys_added_at_once_are_all_there(file: Path) -> None:
    with multiprocessing.get_context("fork").Pool(8) as pool:
        pool.starmap(_add, [(file, number) for number in range(8)], chunksize=1)
    assert sorted(kids(KeyRing.load(f"file:{file}"))) == ["k1", "k2", *(f"new-{number}" for number in range(8))]


# --- reading again -------------------------------------------------------------------------------------------


@pytest.fixture
def loaded(file: Path) -> KeyRing:
    """A process that started when the file held k1 and k2."""
    return KeyRing.load(f"file:{file}")


def test_a_key_added_to_the_file_opens_without_a_restart(file: Path, loaded: KeyRing) -> None:
    """CRY-08: what another process wrapped with the new key."""
    write(file, f"{K3}\n{K1}\n{K2}\n")
    kid, wrapped = KeyRing.parse(K3).wrap(key_of(b"TK-1"), b"context")
    assert loaded.unwrap(kid, wrapped, b"context") == key_of(b"TK-1")


def test_a_key_put_first_in_the_file_seals_without_a_restart(file: Path, loaded: KeyRing) -> None:
    """Or the old key would wrap again after the rotation was over (§4.2.7 step 5)."""
    put_first(f"file:{file}", {}, kid="k2")
    assert loaded.wrap(key_of(b"TK-1"), b"context")[0] == loaded.primary == "k2"


def test_a_key_taken_out_of_the_file_is_dropped(file: Path, loaded: KeyRing) -> None:
    """§4.2.7 step 6."""
    _, wrapped = loaded.wrap(key_of(b"TK-1"), b"context")
    write(file, K2)
    assert kids(loaded) == ["k2"]
    with pytest.raises(Undecryptable) as caught:
        loaded.unwrap("k1", wrapped, b"context")
    assert caught.value.reason == "unknown KEK id"


@pytest.mark.parametrize("text", ["", "nonsense", K1[:-1], None])
def test_without_its_file_a_ring_opens_what_it_holds_and_wraps_nothing(
    file: Path, loaded: KeyRing, text: str | None
) -> None:
    """CRY-06: what it wrapped could be lost at the next start. Once the file is back, all is as before."""
    _, wrapped = loaded.wrap(key_of(b"TK-1"), b"context")
    write(file, text) if text is not None else file.unlink()
    assert loaded.unwrap("k1", wrapped, b"context") == key_of(b"TK-1")
    for attempt in (
        lambda: loaded.wrap(key_of(b"TK-1"), b"context"),
        lambda: loaded.unwrap("k9", wrapped, b"context"),
        loaded.check_values,
    ):
        with pytest.raises(Unavailable) as caught:
            attempt()
        assert caught.value.retryable
        assert TEXT[:6] not in str(caught.value)
    write(file, f"{K1}\n{K2}\n")
    assert loaded.wrap(key_of(b"TK-1"), b"context")[0] == "k1"


def test_an_id_that_gets_another_key_is_refused_for_good(file: Path, loaded: KeyRing) -> None:
    """CRY-06: also if it was taken out in between; the key that is held goes on."""
    _, wrapped = loaded.wrap(key_of(b"TK-1"), b"context")
    for text in (f"{entry('k1', b'OTHER')}\n{K2}\n", f"{K2}\n{entry('k1', b'OTHER')}\n"):
        write(file, text)
        with pytest.raises(Unavailable):
            loaded.wrap(key_of(b"TK-1"), b"context")
        assert loaded.unwrap("k1", wrapped, b"context") == key_of(b"TK-1")
    write(file, K2)
    assert kids(loaded) == ["k2"]
    write(file, f"{entry('k1', b'OTHER')}\n{K2}\n")
    with pytest.raises(Unavailable):
        loaded.check_values()


def test_an_unknown_id_stays_unknown_after_reading_again(loaded: KeyRing) -> None:
    with pytest.raises(Undecryptable) as caught:
        loaded.unwrap("k9", bytes(60), b"context")
    assert caught.value.reason == "unknown KEK id"
