"""JSON as RFC 8259 has it and no laxer: what is ambiguous or not a number is refused, and depth is bounded.

The standard library keeps the last of two equal names, accepts NaN and lone surrogates, and ends deep nesting
in a RecursionError (docs/facts/security.md INP-12, REL-45, §11.9). Callers and providers are read alike.
"""

import contextlib
import json
import math
from collections.abc import Iterable
from typing import Any, Never

DEPTH = 64
"""Levels of nesting."""
LARGEST_INTEGER = 2**64 - 1


def parse(text: bytes) -> Any:  # noqa: ANN401 - any JSON
    """The one JSON text in UTF-8 that `text` is. Raises `ValueError`, which tells nothing of the text.

    Refused: a byte order mark, NaN and infinities, a name twice in one object, more than 64 levels, integers
    beyond 64 bits, lone surrogates.
    """
    with contextlib.suppress(ValueError, RecursionError):
        return _strict(text)
    # Out here, since the parser's own errors carry the text along, also as a context.
    raise ValueError("not a sound JSON text")


def _strict(text: bytes) -> Any:  # noqa: ANN401 - any JSON
    value = json.loads(
        text.decode("utf-8"),
        object_pairs_hook=_members,
        parse_constant=_refuse,
        parse_float=_float,
        parse_int=_int,
    )
    if rb"\u" in text:
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # a lone surrogate cannot be encoded
    if not _is_shallow(value):
        raise ValueError("nested too deeply")
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name stands twice")
    return members


def _refuse(_: str) -> Never:
    raise ValueError("not a number")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number beyond all bounds")
    return value


def _int(text: str) -> int:
    value = int(text) if len(text) <= 21 else LARGEST_INTEGER + 1
    if abs(value) > LARGEST_INTEGER:
        raise ValueError("a number beyond all bounds")
    return value


def _is_shallow(value: Any) -> bool:  # noqa: ANN401 - any JSON
    """Level by level rather than by recursion: depth costs no stack."""
    level = _nests([value])
    for _ in range(DEPTH):
        level = [child for nest in level for child in _nests(nest.values() if isinstance(nest, dict) else nest)]
    return not level


def _nests(values: Iterable[Any]) -> list[Any]:
    return [value for value in values if isinstance(value, dict | list)]
