"""Reading a provider's JSON strictly (docs/facts/security.md REL-45)."""

import json

import pytest

from broker import strict_json
from broker.errors import ProviderUnavailable
from broker.upstream import Answer

UNSOUND = {
    "empty": b"",
    "HTML": b"<html><body>hi</body></html>",
    "truncated": b'{"a": [1, 2',
    "trailing": b'{"a": 1} x',
    "two documents": b"{}{}",
    "BOM": b'\xef\xbb\xbf{"a": 1}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "UTF-16 without BOM": '{"a": 1}'.encode("utf-16-le"),
    "Latin-1": '{"a": "é"}'.encode("latin-1"),
    "overlong UTF-8": b'{"a": "\xc0\xae"}',
    "encoded surrogate": b'{"a": "\xed\xa0\x80"}',
    "duplicate names": b'{"a": 1, "a": 2}',
    "duplicate names, one escaped": b'{"a": 1, "\\u0061": 2}',
    "duplicate names deep down": b'{"x": [{"a": 1, "b": 3, "a": 2}]}',
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": Infinity}',
    "-Infinity": b'{"a": [-Infinity]}',
    "1e999": b'{"a": 1e999}',
    "5,000-digit integer": b'{"a": ' + b"9" * 5000 + b"}",
    "2**64": b'{"a": 18446744073709551616}',
    "-2**64": b'{"a": -18446744073709551616}',
    "-1e999": b'{"a": -1e999}',
    "100,000 levels": b"[" * 100_000 + b"]" * 100_000,
    "40,000 levels unclosed": b'{"a":' * 40_000,
    "65 levels": b"[" * 65 + b"]" * 65,
    "65 levels of objects": b'{"a":' * 64 + b"{}" + b"}" * 64,
    "lone surrogate": b'{"a": "\\ud800"}',
    "lone surrogate as a name": b'{"\\uDFFF": 1}',
    "a string": b'"text"',
    "a number": b"1",
    "null": b"null",
    "true": b"true",
}


@pytest.mark.parametrize("body", UNSOUND.values(), ids=list(UNSOUND))
def test_an_unsound_document_is_refused(body: bytes) -> None:
    """REL-45"""
    with pytest.raises(ProviderUnavailable) as caught:
        Answer(200, {}, body).json()
    assert caught.value.retryable
    assert caught.value.__context__ is None, "the parser's exception carries the body"


BARE = ("a string", "a number", "null", "true")


@pytest.mark.parametrize("body", [UNSOUND[name] for name in UNSOUND if name not in BARE])
def test_an_unsound_document_is_refused_alike_from_a_caller(body: bytes) -> None:
    """INP-12: and the error tells nothing of it, not even as a context."""
    with pytest.raises(ValueError, match=r"^not a sound JSON text$") as caught:
        strict_json.parse(body)
    assert (caught.value.__context__, type(caught.value)) == (None, ValueError)


@pytest.mark.parametrize("name", BARE)
def test_a_bare_value_is_a_sound_text_all_the_same(name: str) -> None:
    assert strict_json.parse(UNSOUND[name]) == json.loads(UNSOUND[name])


SOUND = {
    "object": b'{"a": [1, -2, 3.5, true, null, "\xc3\xa9"]}',
    "array": b"[]",
    "-(2**64 - 1)": b'{"id": -18446744073709551615}',
    "64 levels around a value": b"[" * 64 + b"1" + b"]" * 64,
    "2**64 - 1": b'{"id": 18446744073709551615}',
    "64 levels": b"[" * 64 + b"]" * 64,
    "a surrogate pair": b'{"a": "\\ud83d\\ude00"}',
    "an escaped backslash before u": b'{"a": "\\\\ud800"}',
    "brackets in a string": b'["' + b"[" * 1000 + b'"]',
}


@pytest.mark.parametrize("body", SOUND.values(), ids=list(SOUND))
def test_a_sound_document_is_read_as_it_is(body: bytes) -> None:
    assert Answer(200, {}, body).json() == json.loads(body)
