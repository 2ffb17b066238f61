"""Partial answers: what `fields` and `readMask` choose of an answer. `a,b/c`, `a.b` and `a(b,c)` all say how deep."""

import re
from collections.abc import Collection as Names
from typing import Any

Mask = dict[str, Any]
"""Names that are kept, each with the mask of what is kept below; an empty one keeps all."""

DEEPEST = 50
"""Brackets of a mask."""
PIECES = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[*,/.()]")


class BadMask(ValueError):
    """Not a mask, or one with a name that is not known."""


def parsed(text: str, known: Names[str]) -> Mask:
    """Raises `BadMask`."""
    pieces = PIECES.findall(text)
    if "".join(pieces) != re.sub(r"\s", "", text) or not pieces or pieces.count("(") > DEEPEST:
        raise BadMask(text)
    mask = _members(pieces, known)
    if pieces:
        raise BadMask(pieces[0])
    return mask


def _members(pieces: list[str], known: Names[str]) -> Mask:
    """Up to the end or a closing bracket; takes from `pieces` what it has read."""
    mask: Mask = {}
    while True:
        _path(mask, pieces, known)
        if not pieces or pieces[0] != ",":
            return mask
        pieces.pop(0)


def _path(mask: Mask, pieces: list[str], known: Names[str]) -> None:
    at = mask
    while True:
        name = pieces.pop(0) if pieces else ""
        if name != "*" and name not in known:
            raise BadMask(name)
        at = at.setdefault(name, {})
        if pieces[:1] == ["("]:
            pieces.pop(0)
            at.update(_members(pieces, known))
            if pieces[:1] != [")"]:
                raise BadMask("(")
            pieces.pop(0)
        if pieces[:1] not in (["/"], ["."]):
            return
        pieces.pop(0)


def kept(value: Any, mask: Mask) -> Any:  # noqa: ANN401 - any JSON
    """What the mask keeps of a value; of a list, of each of its items."""
    if not mask:
        return value
    if isinstance(value, list):
        return [kept(item, mask) for item in value]
    if not isinstance(value, dict):
        return value
    rest = mask.get("*")
    return {
        name: kept(item, mask.get(name, rest) or {}) for name, item in value.items() if name in mask or rest is not None
    }
