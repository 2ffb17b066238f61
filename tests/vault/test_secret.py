"""Values that do not print (design: raw tokens are a type that does not print; CRY-16)."""

import copy
import pickle
import traceback
from collections.abc import Callable

import pytest

from broker.secret import Secret, SecretBytes, digest, fresh_id, fresh_token

SHOWN: dict[str, Callable[[object], str]] = {
    "repr": repr,
    "str": str,
    "format": lambda value: f"{value}",
    "percent": lambda value: "%s %r" % (value, value),  # noqa: UP031 - as a log call does it
    "in a list": lambda value: str([value]),
    "in a dict": lambda value: str({"token": value}),
    "in an exception": lambda value: repr(ValueError(value)),
    "in a traceback": lambda value: "".join(traceback.format_exception(ValueError(value))),
}


@pytest.mark.parametrize("show", SHOWN.values(), ids=SHOWN)
@pytest.mark.parametrize("secret", [Secret("REFRESH-1"), SecretBytes(b"REFRESH-1")], ids=["text", "bytes"])
def test_a_secret_does_not_print(secret: object, show: Callable[[object], str]) -> None:
    shown = show(secret)
    assert "Secret" in shown
    assert "REFRESH" not in shown


@pytest.mark.parametrize("secret", [Secret("REFRESH-1"), SecretBytes(b"REFRESH-1")], ids=["text", "bytes"])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_is_never_pickled_or_copied(secret: object, protocol: int) -> None:
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(secret, protocol)
    with pytest.raises(TypeError, match="never pickled"):
        copy.copy(secret)


def test_a_secret_is_revealed_only_by_name() -> None:
    assert Secret("REFRESH-1").reveal() == "REFRESH-1"
    assert not hasattr(Secret("REFRESH-1"), "__dict__")


def test_secrets_are_compared_with_secrets_only() -> None:
    assert Secret("REFRESH-1") == Secret("REFRESH-1")
    assert Secret("REFRESH-1") != Secret("REFRESH-2")
    assert Secret("REFRESH-1") != "REFRESH-1"
    assert Secret("REFRESH-1").matches("REFRESH-1")
    assert not Secret("REFRESH-1").matches("REFRESH-2")
    assert Secret("pesan ✓").matches("pesan ✓")


def test_a_secret_is_no_key_of_a_dict() -> None:
    """A hash of a short one could be tried out."""
    with pytest.raises(TypeError, match="unhashable"):
        hash(Secret("REFRESH-1"))


def test_secret_bytes_work_as_bytes() -> None:
    key = SecretBytes(b"KEK-1")
    assert (key, key.hex(), bytes(key), len(key), key[:3]) == (b"KEK-1", "4b454b2d31", b"KEK-1", 5, b"KEK")


def test_fresh_values_have_256_bits_and_are_new_each_time() -> None:
    tokens = {fresh_token().reveal() for _ in range(100)}
    assert len(tokens) == 100
    assert {len(token) for token in tokens} == {43}
    assert fresh_id("con") != fresh_id("con")
    assert fresh_id("con").startswith("con_")


def test_a_digest_is_what_is_stored_of_a_random_value() -> None:
    assert digest("abc").hex().startswith("ba7816bf8f01cfea")
