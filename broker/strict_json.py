"""JSON as RFC 8259 has it and no laxer: what is ambiguous or not a number is refused, and depth is bounded.

The standard library keeps the last of two equal names, accepts NaN and lone surrogates, and ends deep nesting
in a RecursionError (docs/facts/security.md INP-12, REL-45, M9).
"""

import json
from typing import Any, Never

LONGEST_NUMBER = 400
"""Digits."""


def parse(text: bytes) -> Any:  # noqa: ANN401 - any JSON
    """Raises `ValueError` for anything but one strict JSON text in UTF-8."""
    decoded = text.decode("utf-8")
    try:
        value = json.loads(
            decoded, object_pairs_hook=_members, parse_constant=_refuse, parse_float=_float, parse_int=_int
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if "\\ud" in decoded or "\\uD" in decoded:
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # a lone surrogate cannot be encoded
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name stands twice")
    return members


def _refuse(constant: str) -> Never:
    raise ValueError(f"{constant} is not JSON")


def _float(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError("a number beyond all bounds")
    return value


def _int(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise ValueError("a number beyond all bounds")
    return int(text)
