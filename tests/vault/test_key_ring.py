"""Key encryption keys as text, file and variable (docs/facts/security.md §4.2.5, INP-96)."""

import base64
import os
import pickle
import stat
from pathlib import Path

import pytest

from broker.errors import ConfigurationError, Unavailable
from broker.keyring import generate_key, write_key_file
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


def test_a_key_file_that_is_no_text_is_refused(file: Path) -> None:
    file.write_bytes(b"\xff" * 40)
    with pytest.raises(ConfigurationError, match="not text"):
        KeyRing.load(f"file:{file}")


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
