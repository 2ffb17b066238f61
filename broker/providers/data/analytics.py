"""Analytics: how many people came to a website, and from where (docs/facts/google.md §5.6).

One report, day by day. No scope lies below the method, but the user's role in the property does: a figure that it hides
comes as a zero, and is told as hidden (§4.6.5).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from broker.providers.data.googleapis import auth, began_on, changed_on, dicts, items, listed, text
from broker.providers.resource import Listing, Place, Resource, Values

READ = auth("analytics.readonly", "analytics")
LIST = auth("analytics.readonly", "analytics.edit")
DIMENSIONS = ("date", "sessionSource", "sessionMedium")
METRICS = ("activeUsers", "sessions", "keyEvents", "totalRevenue")
"""What a report asks for; of the dimensions those that the grant permits."""
MONEY = frozenset({"totalRevenue"})
BACK = timedelta(days=90)
"""Days that a first reading reaches back."""
SETTLING = timedelta(days=3)
"""Google still corrects the figures of days past; a later reading gives them again. [I]"""


class Properties(Resource):
    """The properties that the user sees, below their accounts: what may be chosen."""

    name = "properties"
    operation = "analyticsadmin.accountSummaries.list"
    identity = "property"
    fields = {"displayName": LIST}
    titles = {"displayName": {"en": "names of your websites and apps", "id": "nama situs web dan aplikasi Anda"}}

    def parameters(self, fields: Sequence[str], asset: str | None, place: Place | None, limit: int) -> Values:  # noqa: ARG002
        values: Values = {"pageSize": str(min(limit, 200))}
        if place and place.page:
            values["pageToken"] = place.page
        return values

    def listing(self, answer: Mapping[str, Any], place: Place) -> Listing:
        """The list is of accounts, each with its properties."""
        found = listed(answer, "accountSummaries", place)
        below: list[Mapping[str, Any]] = [
            entry for account in found.items for entry in dicts(account.get("propertySummaries"))
        ]
        return replace(found, items=below)

    def as_asset(self, raw: Mapping[str, Any]) -> tuple[str, str] | None:
        found, name = super().as_asset(raw), raw.get("displayName")
        return (found[0], name[:200] if isinstance(name, str) and name else found[0]) if found else None


class Report(Resource):
    """One figure of one day and source of visits a record."""

    name = "traffic"
    operation = "analyticsdata.properties.runReport"
    identity = "id"
    asset_kind = "property"
    ids_are_of_asset = True
    resumes_by_time = True
    fields = dict.fromkeys((*DIMENSIONS, "metric", "value", "currency", "restriction"), READ)
    titles = {
        "date": {"en": "the day", "id": "tanggal"},
        "sessionSource": {"en": "where visitors came from", "id": "asal pengunjung"},
        "sessionMedium": {"en": "by what kind of way, such as search or advertising", "id": "jalur kedatangannya"},
        "metric": {
            "en": "which figure: visitors, visits, key events, revenue",
            "id": "jenis angka: pengunjung, kunjungan, peristiwa penting, pendapatan",
        },
        "value": {"en": "the figure", "id": "angkanya"},
        "currency": {"en": "currency of revenue", "id": "mata uang pendapatan"},
        "restriction": {"en": "which figures your role hides", "id": "angka yang disembunyikan dari peran Anda"},
    }

    def parameters(self, fields: Sequence[str], asset: str | None, place: Place | None, limit: int) -> Values:  # noqa: ARG002
        return {"property": asset} if asset else {}

    def body(self, fields: Sequence[str], asset: str | None, place: Place | None, limit: int) -> dict[str, Any]:  # noqa: ARG002
        """A row makes a record for each metric. The rows are in one order, for `offset` counts them."""
        changes = changed_on(place)
        first = changes - SETTLING if changes else began_on(place) - BACK
        dimensions = [name for name in DIMENSIONS if name in fields]
        offset, skipped = _at(place)
        return {
            "dateRanges": [{"startDate": first.isoformat(), "endDate": "today"}],
            "dimensions": [{"name": name} for name in dimensions],
            "metrics": [{"name": name} for name in METRICS],
            "orderBys": [{"dimension": {"dimensionName": name}} for name in dimensions],
            "limit": str(-(-(skipped + limit) // len(METRICS))),
            "offset": str(offset),
        }

    def listing(self, answer: Mapping[str, Any], place: Place) -> Listing:
        rows, count = items(answer, "rows"), answer.get("rowCount", 0)
        if not isinstance(count, int) or isinstance(count, bool):
            raise ValueError("rowCount is no number")
        offset, skipped = _at(place)
        asked = [name for name in DIMENSIONS if name in place.fields]
        if rows and _headers(answer, "dimensionHeaders") != asked:
            raise ValueError("not the dimensions that were asked for")
        found = list(_figures(answer, rows))[skipped:][: place.limit]
        after = offset * len(METRICS) + skipped + len(found)
        if found and after < count * len(METRICS):
            return Listing(found, replace(place, page=str(after)), has_more=True)
        return Listing(found, None, has_more=False)


def _at(place: Place | None) -> tuple[int, int]:
    """A page's token counts records: the row that it begins in, and how many of that row's it leaves out."""
    page = place.page if place else None
    return divmod(int(page) if page and re.fullmatch(r"[0-9]{1,12}", page) else 0, len(METRICS))


def _figures(answer: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    dimensions, metrics = (_headers(answer, name) for name in ("dimensionHeaders", "metricHeaders"))
    if rows and tuple(metrics) != METRICS:
        raise ValueError("not the metrics that were asked for")
    metadata = answer.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    hidden = _hidden(metadata)
    for row in rows:
        of = _valued(row, "dimensionValues", dimensions)
        for metric, value in _valued(row, "metricValues", metrics).items():
            key = ":".join(quote(part, safe="") for part in (*of.values(), metric))
            figure: dict[str, Any] = {"id": key, **of, "metric": metric, "value": value}
            if metric in hidden:
                figure = {**figure, "value": None, "restriction": hidden[metric]}
            yield {**figure, "currency": metadata.get("currencyCode")} if metric in MONEY else figure


def _headers(answer: Mapping[str, Any], name: str) -> list[str]:
    return [text(header, "name") or "" for header in items(answer, name)]


def _valued(row: Mapping[str, Any], name: str, headers: Sequence[str]) -> dict[str, str]:
    values = [text(value, "value") or "" for value in items(row, name)]
    if len(values) != len(headers):
        raise ValueError("a row does not fit its headers")
    return dict(zip(headers, values, strict=True))


def _hidden(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Metric → why the user's role does not show it. Its values are zeros that mean nothing."""
    response = metadata.get("schemaRestrictionResponse")
    notes = dicts(response.get("activeMetricRestrictions")) if isinstance(response, dict) else []
    return {str(note.get("metricName")): ", ".join(_texts(note.get("restrictedMetricTypes"))) for note in notes}


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
