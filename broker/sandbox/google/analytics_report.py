"""Reckons a report: facts grouped by the dimensions asked for, as texts (docs/facts/google.md §5.6)."""

from collections import Counter, defaultdict
from collections.abc import Collection
from functools import partial
from typing import Any

from broker.sandbox.google.report_request import Report
from broker.sandbox.google.seed_analytics import HIDDEN_BY, TYPES, facts
from broker.sandbox.google.seed_events import ZONE
from broker.sandbox.listing import Record

Key = tuple[str, ...]


def reckoned(asked: Report, property_id: str, hidden: frozenset[str]) -> Record:
    """`hidden`: kinds of metrics that the role does not show. They come as zeros with a note (§4.6.5)."""
    blocked = {name: HIDDEN_BY[name] for name in asked.metrics if HIDDEN_BY.get(name) in hidden}
    sums = _sums(asked, property_id)
    keys = _ordered([key for key, counted in sums.items() if _tells(counted, asked)], sums, asked)
    page = keys[asked.offset : asked.offset + asked.limit]
    metadata: Record = {"currencyCode": "IDR", "timeZone": ZONE}
    if blocked:
        notes = [{"metricName": name, "restrictedMetricTypes": [kind]} for name, kind in blocked.items()]
        metadata["schemaRestrictionResponse"] = {"activeMetricRestrictions": notes}
    answer = {
        "dimensionHeaders": [{"name": name} for name in asked.dimensions],
        "metricHeaders": [{"name": name, "type": TYPES[name]} for name in asked.metrics],
        "rows": [_row(key, sums[key], asked, blocked.keys()) for key in page],
        "rowCount": len(keys),
        "metadata": metadata,
    }
    return {name: value for name, value in answer.items() if value}


def _sums(asked: Report, property_id: str) -> dict[Key, Counter[str]]:
    sums: dict[Key, Counter[str]] = defaultdict(Counter)
    for span in asked.spans:
        for day in span.days():
            for dimensions, metrics in facts(property_id, day):
                of = dimensions | {"dateRange": span.name}
                sums[tuple(of[name] for name in asked.dimensions)].update(metrics)
    return sums


def _tells(counted: Counter[str], asked: Report) -> bool:
    """A row of zeros alone is left out, unless it is asked for."""
    return asked.empty_rows or not asked.metrics or any(_metric(name, counted) for name in asked.metrics)


def _metric(name: str, counted: Counter[str]) -> float:
    if name == "viewsPerSession":
        return counted["screenPageViews"] / counted["sessions"] if counted["sessions"] else 0
    return counted[name]


def _ordered(keys: list[Key], sums: dict[Key, Counter[str]], asked: Report) -> list[Key]:
    """As the request orders them; else, and among equals, by the dimensions."""
    found = sorted(keys)
    for name, highest_first in reversed(asked.orders):
        by = partial(_value, name, asked, sums)
        found.sort(key=by, reverse=highest_first)
    return found


def _value(name: str, asked: Report, sums: dict[Key, Counter[str]], key: Key) -> Any:  # noqa: ANN401 - one kind a name
    return _metric(name, sums[key]) if name in asked.metrics else key[asked.dimensions.index(name)]


def _row(key: Key, counted: Counter[str], asked: Report, blocked: Collection[str]) -> Record:
    values = ["0" if name in blocked else str(_metric(name, counted)) for name in asked.metrics]
    row = {"dimensionValues": [{"value": value} for value in key], "metricValues": [{"value": v} for v in values]}
    return {name: found for name, found in row.items() if found}
