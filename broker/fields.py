"""What a Graph call's `fields` may name: how it is read, and what of it is known. Pure.

`fields=message,comments.limit(3){text,from{id}}` walks from a post over an edge to its comments, which other scopes
open (docs/facts/meta.md §4.4, 1). So it is read as a tree, and each name in it must be known where it stands.
Whatever is not of this grammar is refused, so that a text has one reading:

    list   =  name [".limit(" number ")"] ["{" list "}"] *("," …)
    name   =  a lower-case letter, and up to 63 of a–z, 0–9 and _
    number =  1 to 9999, without a zero in front

No blanks, no other modifier, no name twice in one list.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

LONGEST = 2000
"""Characters of the whole text."""
DEEPEST = 4
"""Lists within each other."""

_NAME = re.compile(r"([a-z][a-z0-9_]{0,63})(?:\.limit\(([1-9][0-9]{0,3})\))?")


@dataclass(frozen=True)
class Asked:
    """One name as it was asked for, with what stands in its braces. `limit`: records at most."""

    name: str
    limit: int | None = None
    within: tuple["Asked", ...] | None = None


@dataclass(frozen=True, eq=False)
class Known:
    """What one name may be. Tables of these refer to each other, in circles too: a comment has comments."""

    wants: tuple[frozenset[str], ...] = ()
    """What it needs beside the operation's own scopes: of each, any one scope value."""
    within: Mapping[str, "Known"] | None = field(default=None, repr=False)
    """What its braces may name; then it must have them, lest more comes than was named. None: it has no braces."""
    most: int = 0
    """The largest `limit`; 0: it takes none."""


def parse(text: str) -> tuple[Asked, ...]:
    """The tree of a text. Raises `ValueError`, whose text says what is wrong and repeats nothing."""
    if len(text) > LONGEST:
        raise ValueError(f"more than {LONGEST} characters")
    found, end = _list(text, 0, 1)
    if end != len(text):
        raise _unreadable(end)
    return found


def _list(text: str, at: int, depth: int) -> tuple[tuple[Asked, ...], int]:
    if depth > DEEPEST:
        raise ValueError(f"more than {DEEPEST} lists within each other")
    found: dict[str, Asked] = {}
    while True:
        asked, at = _asked(text, at, depth)
        if asked.name in found:
            raise ValueError("a name stands twice in one list")
        found[asked.name] = asked
        if text[at : at + 1] != ",":
            return tuple(found.values()), at
        at += 1


def _asked(text: str, at: int, depth: int) -> tuple[Asked, int]:
    head = _NAME.match(text, at)
    if head is None:
        raise _unreadable(at)
    limit, at = int(head[2]) if head[2] else None, head.end()
    if text[at : at + 1] != "{":
        return Asked(head[1], limit), at
    within, at = _list(text, at + 1, depth + 1)
    if text[at : at + 1] != "}":
        raise _unreadable(at)
    return Asked(head[1], limit, within), at + 1


def _unreadable(at: int) -> ValueError:
    return ValueError(f"no list of names can be read from character {at + 1} on")


def wanted(asked: tuple[Asked, ...], known: Mapping[str, Known]) -> tuple[frozenset[str], ...]:
    """What must be opened for all that is asked: of each, any one scope value.

    Raises `ValueError` for a name that is not known where it stands, or has braces or a limit that it may not have.
    """
    return tuple(wants for one in asked for wants in _wanted(one, known.get(one.name)))


def _wanted(asked: Asked, known: Known | None) -> tuple[frozenset[str], ...]:
    if known is None:
        raise ValueError(f"{asked.name} may not be named there")
    if asked.limit is not None and asked.limit > known.most:
        raise ValueError(f"{asked.name} may not have this limit")
    if known.within is None:
        if asked.within is not None:
            raise ValueError(f"{asked.name} has nothing within it")
        return known.wants
    if asked.within is None:
        raise ValueError(f"{asked.name} needs braces that say what of it")
    return known.wants + wanted(asked.within, known.within)
