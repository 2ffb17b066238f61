"""Business Profile: how often a place of business was found, day by day (docs/facts/google.md §5.7).

There is one scope, and it opens writing too: only what is read by GET is listed (§4.5). Until Google has approved the
project by hand its quota is 0, and each call is answered 429.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from broker.providers.data.googleapis import auth, began_on, changed_on, dicts, items, listed, text
from broker.providers.resource import Listing, Place, Resource, Values

MANAGE = auth("business.manage")
METRICS = (
    "BUSINESS_IMPRESSIONS_DESKTOP_MAPS",
    "BUSINESS_IMPRESSIONS_DESKTOP_SEARCH",
    "BUSINESS_IMPRESSIONS_MOBILE_MAPS",
    "BUSINESS_IMPRESSIONS_MOBILE_SEARCH",
    "BUSINESS_DIRECTION_REQUESTS",
    "CALL_CLICKS",
    "WEBSITE_CLICKS",
    "BUSINESS_BOOKINGS",
)
BACK = timedelta(days=90)
"""Days that a first reading reaches back."""
SETTLING = timedelta(days=7)
"""The figures of a day come days later; a later reading gives these days again. [I]"""


class Locations(Resource):
    """The places of business that the user owns or manages: what may be chosen. `accounts/-` is all that the user's
    accounts and groups hold, so that no account has to be named first ([L] DISC:mybusinessbusinessinformation.v1)."""

    name = "locations"
    operation = "mybusinessbusinessinformation.accounts.locations.list"
    identity = "name"
    fields = {"title": MANAGE}
    titles = {"title": {"en": "names of your places of business", "id": "nama tempat usaha Anda"}}

    def parameters(self, fields: Sequence[str], asset: str | None, place: Place | None, limit: int) -> Values:  # noqa: ARG002
        values: Values = {"parent": "accounts/-", "readMask": "name,title", "pageSize": str(min(limit, 100))}
        if place and place.page:
            values["pageToken"] = place.page
        return values

    def listing(self, answer: Mapping[str, Any], place: Place) -> Listing:
        return listed(answer, "locations", place)

    def as_asset(self, raw: Mapping[str, Any]) -> tuple[str, str] | None:
        found, title = super().as_asset(raw), raw.get("title")
        return (found[0], title[:200] if isinstance(title, str) and title else found[0]) if found else None


class Performance(Resource):
    """One figure of one day a record. The answer has no pages: a page is as many days as make its records."""

    name = "performance"
    operation = "businessprofileperformance.locations.fetchMultiDailyMetricsTimeSeries"
    identity = "id"
    asset_kind = "location"
    ids_are_of_asset = True
    resumes_by_time = True
    fields = dict.fromkeys(("date", "metric", "value"), MANAGE)
    titles = {
        "date": {"en": "the day", "id": "tanggal"},
        "metric": {
            "en": "which figure: views on Search and Maps, calls, routes, visits to the website, bookings",
            "id": "jenis angka: tampilan di Penelusuran dan Maps, panggilan, rute, kunjungan situs, reservasi",
        },
        "value": {"en": "the figure", "id": "angkanya"},
    }

    def parameters(self, fields: Sequence[str], asset: str | None, place: Place | None, limit: int) -> Values:  # noqa: ARG002
        values: Values = {"dailyMetrics": list(METRICS), **({"location": asset} if asset else {})}
        for end, day in zip(("startDate", "endDate"), _days(place, limit), strict=True):
            parts = {"year": day.year, "month": day.month, "day": day.day}
            values |= {f"dailyRange.{end}.{part}": str(number) for part, number in parts.items()}
        return values

    def listing(self, answer: Mapping[str, Any], place: Place) -> Listing:
        """A page's token is its first day, and how many of that day's figures it leaves out."""
        first, last = _days(place, place.limit)
        figures = sorted(_figures(answer), key=lambda figure: (figure["date"], figure["metric"]))
        skipped = _at(place)[1]
        found, rest = figures[skipped:][: place.limit], figures[skipped:][place.limit :]
        if rest:
            day = rest[0]["date"]
            done = sum(figure["date"] == day for figure in found) + (skipped if day == first.isoformat() else 0)
            return Listing(found, replace(place, page=f"{day} {done}"), has_more=True)
        if last < began_on(place):
            after = last + timedelta(days=1)
            return Listing(found, replace(place, page=f"{after} 0"), has_more=True)
        return Listing(found, None, has_more=False)


def _days(place: Place | None, limit: int) -> tuple[date, date]:
    """First and last day of a page."""
    today, changes, (at, skipped) = began_on(place), changed_on(place), _at(place)
    first = at or (changes - SETTLING if changes else today - BACK)
    days = -(-(skipped + max(limit, 1)) // len(METRICS))
    return min(first, today), min(first + timedelta(days=days - 1), today)


def _at(place: Place | None) -> tuple[date | None, int]:
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d) (\d{1,3})", place.page or "", re.ASCII) if place else None
    return (date.fromisoformat(found[1]), int(found[2])) if found else (None, 0)


def _figures(answer: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A value that is left out is a zero (§5.7)."""
    for group in items(answer, "multiDailyMetricTimeSeries"):
        for series in items(group, "dailyMetricTimeSeries"):
            metric, times = text(series, "dailyMetric") or "", series.get("timeSeries")
            for dated in dicts(times.get("datedValues")) if isinstance(times, dict) else []:
                if day := _date(dated.get("date")):
                    value = text(dated, "value") or "0"
                    yield {"id": f"{day}:{metric}", "date": day, "metric": metric, "value": value}


def _date(value: object) -> str | None:
    parts = [value.get(part) for part in ("year", "month", "day")] if isinstance(value, dict) else []
    try:
        return date(*(part for part in parts if isinstance(part, int))).isoformat()
    except (TypeError, ValueError, OverflowError):
        return None
