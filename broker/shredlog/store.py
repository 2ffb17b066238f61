"""What a file and a table have in common as places of the log."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from broker.secret import fresh_id
from broker.shredlog.fault import PutBack
from broker.shredlog.line import BEGUN, Line, Mark

Said = Mapping[str, Any]
Ask = Callable[[], tuple[Mark, Sequence[Said]]]
"""How far the database knows the log, and what it owes to it."""


class Store(Protocol):
    """See `broker.shredlog.file.FileLog`."""

    def begin(self, now: datetime) -> Mark: ...
    def check_writable(self) -> None: ...
    def after(self, mark: Mark) -> Iterator[Line]: ...
    def append(self, ask: Ask) -> Mark | None: ...
    def set_aside(self, now: datetime) -> None: ...


def header(now: datetime) -> Said:
    """The first line makes each log another one."""
    return {"id": fresh_id("log"), "at": now.isoformat(timespec="milliseconds"), "what": BEGUN, "version": 1}


def added(mark: Mark, lines: Iterable[Line], owed: Sequence[Said]) -> tuple[Mark, list[Said]]:
    """Where the log ends, and what of `owed` is still to be written behind that. Lines that the database neither knows
    nor owes are another time's: raises `PutBack`, for to write on would hide them."""
    ids, there, last = {said["id"] for said in owed}, set(), mark
    for line in lines:
        if line.id not in ids:
            raise PutBack
        there.add(line.id)
        last = line.mark
    return last, [said for said in owed if said["id"] not in there]
