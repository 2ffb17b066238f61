"""What the body of runReport asks for (docs/facts/google.md §5.6). Everything wrong with it is refused with 400."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from broker.sandbox.google.envelopes import invalid_argument
from broker.sandbox.google.seed_analytics import DIMENSIONS, FIRST_DAY, TYPES

EAST = timedelta(hours=7)
"""The properties' time zone, Asia/Jakarta."""

PLAYED = {
    *("property", "dimensions", "metrics", "dateRanges", "limit", "offset", "orderBys", "keepEmptyRows"),
    "returnPropertyQuota",
}
NOT_PLAYED = {"dimensionFilter", "metricFilter", "metricAggregations", "cohortSpec", "comparisons", "currencyCode"}
MOST_DIMENSIONS, MOST_METRICS, MOST_RANGES = 9, 10, 4
MOST_ROWS, USUAL_ROWS = 250_000, 10_000

Body = dict[str, Any]


@dataclass(frozen=True)
class Span:
    """A range of dates, each end included, and what the dimension `dateRange` calls it."""

    name: str
    first: date
    last: date
    today: date

    def days(self) -> Iterator[date]:
        """Those on which something may have been measured: none before the first day of all, none to come."""
        day, last = max(self.first, FIRST_DAY), min(self.last, self.today)
        while day <= last:
            yield day
            day += timedelta(days=1)


@dataclass(frozen=True)
class Report:
    """A checked request. `orders`: name of a dimension or metric, and whether the highest comes first."""

    dimensions: tuple[str, ...]
    metrics: tuple[str, ...]
    spans: tuple[Span, ...]
    orders: tuple[tuple[str, bool], ...]
    limit: int
    offset: int
    empty_rows: bool
    quota: bool


def report_asked(body: object, now: float) -> Report:
    """`now`: seconds since 1970, for dates such as `yesterday`. Raises `ApiError`."""
    if not isinstance(body, dict):
        raise invalid_argument("Invalid JSON payload received.")
    if unknown := sorted(body.keys() - PLAYED - NOT_PLAYED):
        raise invalid_argument(f'Invalid JSON payload received. Unknown name "{unknown[0]}": Cannot find field.')
    if absent := sorted(body.keys() & NOT_PLAYED):
        raise invalid_argument(f"The sandbox does not play {absent[0]}.")
    dimensions = _names(body, "dimensions", DIMENSIONS, MOST_DIMENSIONS)
    metrics = _names(body, "metrics", frozenset(TYPES), MOST_METRICS)
    if not dimensions and not metrics:
        raise invalid_argument("A report needs a dimension or a metric.")
    spans = _spans(body, (datetime.fromtimestamp(now, UTC) + EAST).date())
    if len(spans) > 1 and "dateRange" not in dimensions:
        dimensions = (*dimensions, "dateRange")
    return Report(
        dimensions,
        metrics,
        spans,
        orders=tuple(_order(one, {*dimensions, *metrics}) for one in _list(body, "orderBys")),
        limit=min(_number(body, "limit", USUAL_ROWS, least=1), MOST_ROWS),
        offset=_number(body, "offset", 0, least=0),
        empty_rows=_flag(body, "keepEmptyRows"),
        quota=_flag(body, "returnPropertyQuota"),
    )


def _list(body: Body, name: str) -> list[Body]:
    found = body.get(name, [])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise invalid_argument(f"Invalid value at '{name}'")
    return found


def _names(body: Body, kind: str, known: frozenset[str], most: int) -> tuple[str, ...]:
    names = [str(one.get("name")) for one in _list(body, kind)]
    for name in names:
        if name not in known:
            raise invalid_argument(f"Field {name} is not a valid {kind.removesuffix('s')}.")
    if len(names) > most or len(set(names)) < len(names):
        raise invalid_argument(f"Requests hold at most {most} {kind}, each once.")
    return tuple(names)


def _spans(body: Body, today: date) -> tuple[Span, ...]:
    given = _list(body, "dateRanges")
    if not 1 <= len(given) <= MOST_RANGES:
        raise invalid_argument(f"A report needs from 1 to {MOST_RANGES} dateRanges.")
    return tuple(_span(one, place, today) for place, one in enumerate(given))


def _span(given: Body, place: int, today: date) -> Span:
    first, last = (_day(str(given.get(name)), today) for name in ("startDate", "endDate"))
    if first > last:
        raise invalid_argument(f"The start date {first} is after the end date {last}.")
    return Span(str(given.get("name") or f"date_range_{place}"), first, last, today)


def _day(text: str, today: date) -> date:
    """`YYYY-MM-DD`, `NdaysAgo`, `yesterday` or `today`."""
    said = {"today": today, "yesterday": today - timedelta(days=1)}
    if text in said:
        return said[text]
    if match := re.fullmatch(r"([0-9]{1,5})daysAgo", text, re.ASCII):
        return today - timedelta(days=int(match[1]))
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text, re.ASCII):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise invalid_argument(f"Invalid date: {text}")


def _order(one: Body, asked: set[str]) -> tuple[str, bool]:
    by = one.get("dimension") or one.get("metric")
    name = str(by.get("dimensionName") or by.get("metricName")) if isinstance(by, dict) else ""
    if name not in asked:
        raise invalid_argument(f"Invalid orderBy: {name} is not in the request.")
    return name, one.get("desc") is True


def _number(body: Body, name: str, otherwise: int, *, least: int) -> int:
    """An int64 of JSON: a number, or a text of one."""
    text = body.get(name, otherwise)
    if isinstance(text, bool) or not re.fullmatch(r"[0-9]{1,18}", str(text), re.ASCII) or int(text) < least:
        raise invalid_argument(f"Invalid value at '{name}': {text}")
    return int(text)


def _flag(body: Body, name: str) -> bool:
    found = body.get(name, False)
    if not isinstance(found, bool):
        raise invalid_argument(f"Invalid value at '{name}' (TYPE_BOOL)")
    return found
