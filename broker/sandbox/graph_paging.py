"""Records by number, and Graph's cursors over them (docs/facts/meta.md §6.3).

`paging.next` is an absolute address with the caller's access token in it, as at Graph.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from werkzeug.datastructures import MultiDict

from broker.sandbox.graph import GraphError, bad_parameter

Record = dict[str, Any]

NOT_CARRIED = frozenset({"access_token", "after", "before", "limit", "appsecret_proof", "appsecret_time", "method"})
"""Parameters that `paging.next` sets itself or does not carry (§1.11)."""


def moment(at: float) -> str:
    """As Graph writes times: `2026-11-01T02:00:00+0000`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


class Series:
    """Records numbered from 1, the highest the newest. Those of the seed are made when they are read.

    Not thread-safe: the caller holds the sandbox's lock.
    """

    def __init__(self, make: Callable[[int], Record], count: int, at: Callable[[int], float]) -> None:
        """`at`: seconds since 1970 of the record of a number."""
        self._make, self._count, self._at = make, count, at
        self._top = count
        self._changed: dict[int, tuple[Record, float] | None] = {}

    @classmethod
    def of(cls, records: Sequence[Record]) -> "Series":
        """A list, in its own order."""
        return cls(lambda number: records[-number], len(records), lambda _: 0.0)

    def __len__(self) -> int:
        gone = sum(value is None for value in self._changed.values())
        added = sum(value is not None and number > self._count for number, value in self._changed.items())
        return self._count + added - gone

    @property
    def top(self) -> int:
        """The highest number given so far."""
        return self._top

    def resize(self, count: int) -> None:
        """So many records of the seed; nothing that was added or changed stays."""
        self._count = self._top = count
        self._changed.clear()

    def add(self, record: Record, at: float) -> int:
        """Its number."""
        self._top += 1
        self._changed[self._top] = (record, at)
        return self._top

    def change(self, number: int, record: Record) -> None:
        self._changed[number] = (record, self.at(number))

    def delete(self, number: int) -> bool:
        """Whether there was such a record."""
        if self.get(number) is None:
            return False
        self._changed[number] = None
        return True

    def get(self, number: int) -> Record | None:
        if number in self._changed:
            held = self._changed[number]
            return held[0] if held else None
        return self._make(number) if 0 < number <= self._count else None

    def at(self, number: int) -> float:
        """When the record came to be, in seconds since 1970."""
        held = self._changed.get(number)
        return held[1] if held else self._at(number)

    def below(self, number: int | None) -> Iterator[int]:
        """Numbers that are older than this one, the newest first; None: all."""
        first = self._top if number is None else min(number - 1, self._top)
        return (n for n in range(first, 0, -1) if self._lives(n))

    def above(self, number: int) -> Iterator[int]:
        """Numbers that are newer, the next one first."""
        return (n for n in range(max(number, 0) + 1, self._top + 1) if self._lives(n))

    def _lives(self, number: int) -> bool:
        return self._changed[number] is not None if number in self._changed else number <= self._count


@dataclass(frozen=True)
class Window:
    """Which part of a series a call wants."""

    limit: int
    after: str | None = None
    before: str | None = None
    since: float | None = None
    until: float | None = None


@dataclass(frozen=True)
class Place:
    """Where a series is read: what the addresses of other pages are made of."""

    address: str
    """Of the edge, absolute: `https://graph.facebook.com/v26.0/123/posts`."""
    token: str
    """The caller's, which the addresses repeat."""
    query: Mapping[str, str]
    """The other parameters of the call."""


def window(given: MultiDict[str, str] | Mapping[str, str], *, default: int = 25, most: int = 100) -> Window:
    """`limit`, `after`, `before`, `since`, `until` of a call; a limit beyond `most` is `most`. Raises `GraphError`."""
    limit = given.get("limit") or str(default)
    if not re.fullmatch(r"[0-9]{1,9}", limit):
        raise bad_parameter("Param limit must be a number")
    since, until = (_seconds(given.get(name), name) for name in ("since", "until"))
    return Window(max(1, min(int(limit), most)), given.get("after"), given.get("before"), since, until)


def _seconds(text: str | None, name: str) -> float | None:
    """Seconds since 1970, or a date."""
    if not text:
        return None
    if re.fullmatch(r"[0-9]{1,12}", text):
        return float(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise bad_parameter(f"Param {name} must be a valid time") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def paged(
    series: Series,
    asked: Window,
    shape: Callable[[int, Record], Record],
    place: Place,
    *,
    short: str | None = None,
    chosen: Callable[[int], bool] = lambda _: True,
    oldest_first: bool = False,
) -> dict[str, Any]:
    """One page, the newest first unless `oldest_first`: `{"data", "paging"}`; without records `{"data": []}`.

    `short`: the first page holds half of what was asked (`half`) or nothing (`empty`), and has a next one all the
    same. `chosen`: by the number of a record. Raises `GraphError` for a cursor of another edge.
    """
    numbers, more = _numbers(series, asked, chosen, place, oldest_first)
    data = [shape(number, series.get(number) or {}) for number in numbers]
    if short and not asked.after and not asked.before and numbers:
        kept = len(numbers) // 2 if short == "half" else 0
        numbers, data, more = (numbers[:kept] or [numbers[0] + (-1 if oldest_first else 1)]), data[:kept], True
    if not numbers:
        return {"data": []}
    first, last = (_cursor(place, number) for number in (numbers[0], numbers[-1]))
    paging: dict[str, Any] = {"cursors": {"before": first, "after": last}}
    if more:
        paging["next"] = _address(place, asked.limit, after=last)
    if asked.after:
        paging["previous"] = _address(place, asked.limit, before=first)
    return {"data": data, "paging": paging}


def _numbers(
    series: Series, asked: Window, chosen: Callable[[int], bool], place: Place, oldest_first: bool
) -> tuple[list[int], bool]:
    """The numbers of one page, and whether there are more behind it."""

    def wanted(number: int) -> bool:
        at = series.at(number)
        timely = (asked.since is None or at >= asked.since) and (asked.until is None or at <= asked.until)
        return timely and chosen(number)

    def onward(cursor: str | None, ascending: bool) -> Iterator[int]:
        number = _number(place, cursor) if cursor else None
        return filter(wanted, series.above(number or 0) if ascending else series.below(number))

    if asked.before:
        return list(islice(onward(asked.before, not oldest_first), asked.limit))[::-1], True
    found = list(islice(onward(asked.after, oldest_first), asked.limit + 1))
    return found[: asked.limit], len(found) > asked.limit


def _name(place: Place) -> str:
    """What a cursor belongs to: the edge, of whichever host and version."""
    return "/".join(place.address.split("/")[-2:])


def _cursor(place: Place, number: int) -> str:
    return base64.urlsafe_b64encode(f"{_name(place)}:{number}".encode()).rstrip(b"=").decode()


def _number(place: Place, cursor: str) -> int:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError):
        raise _bad_cursor() from None
    name, _, number = text.rpartition(":")
    if name != _name(place) or not number.isdigit():
        raise _bad_cursor()
    return int(number)


def _bad_cursor() -> GraphError:
    return bad_parameter("Invalid cursors values")


def _address(place: Place, limit: int, **cursor: str) -> str:
    carried = {name: value for name, value in place.query.items() if name not in NOT_CARRIED}
    query = {"access_token": place.token, **carried, "limit": str(limit), **cursor}
    return f"{place.address}?{urlencode(query)}"
