"""Lines of the shred log and their chain: each line's hash covers the one before, so a line that was changed, left out
or put in shows. That the newest were cut off shows in the database, which knows how far it has seen the log."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from broker.shredlog.fault import LogFault

LONGEST = 8192
"""Bytes of a line: more than the longest names that can stand in one."""
BEGUN = "log.begun"
"""What the first line says."""


class Mark(NamedTuple):
    """A place in the log: that behind one line."""

    seq: int
    hash: str
    place: int
    """Bytes from the beginning of a file; 0 in a table."""


START = Mark(-1, "", 0)
"""The place before the first line."""


@dataclass(frozen=True)
class Line:
    seq: int
    said: Mapping[str, Any]
    """`id`, `at`, `what`, `tenant`, and what it is about; no secret, and a person by a keyed hash alone."""
    mark: Mark
    """The place behind it."""

    @property
    def id(self) -> str:
        return str(self.said["id"])

    @property
    def what(self) -> str:
        return str(self.said["what"])

    def of(self, member: str) -> str:
        """What it names as `connection`, `connector`, …; empty where it names none."""
        return str(self.said.get(member) or "")


def canonical(said: Mapping[str, Any]) -> str:
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def written(before: Mark, entries: Iterable[Mapping[str, Any]]) -> tuple[str, Mark]:
    """The text of further lines behind a mark, each with its end, and the mark behind them."""
    texts = []
    for said in entries:
        seq = before.seq + 1
        hash_ = _hashed(before.hash, seq, said)
        text = canonical({"seq": seq, "hash": hash_, **said}) + "\n"
        texts.append(text)
        before = Mark(seq, hash_, before.place + len(text))
    return "".join(texts), before


def checked(before: Mark, texts: Iterable[str]) -> Iterator[Line]:
    """Lines behind a mark, each against the one before it. Raises `LogFault`."""
    for text in texts:
        line = _read(text, before.place + len(text))
        if line.seq != before.seq + 1 or line.mark.hash != _hashed(before.hash, line.seq, line.said):
            raise LogFault(f"was changed or cut at line {before.seq + 1}")
        before = line.mark
        yield line


def last_of(texts: Sequence[str], place: int) -> Mark:
    """The mark behind the last of these lines, `place`; it is checked against the one before. Raises `LogFault`."""
    line = _read(texts[-1], place)
    before = _read(texts[-2], 0).mark.hash if line.seq > 0 and len(texts) > 1 else ""
    if line.mark.hash != _hashed(before, line.seq, line.said):
        raise LogFault(f"was changed or cut at line {line.seq}")
    return line.mark


def _read(text: str, place: int) -> Line:
    try:
        said = json.loads(text)
        seq, hash_ = int(said.pop("seq")), str(said.pop("hash"))
        if not (isinstance(said["id"], str) and isinstance(said["what"], str)):
            raise TypeError
    except (ValueError, TypeError, KeyError, AttributeError):
        raise LogFault("holds a line that is none") from None
    return Line(seq, said, Mark(seq, hash_, place))


def _hashed(before: str, seq: int, said: Mapping[str, Any]) -> str:
    return hashlib.sha256(f"{before}\n{seq}\n{canonical(said)}".encode()).hexdigest()
