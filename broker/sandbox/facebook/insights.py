"""Statistics of a Page (docs/facts/meta.md §4.1): numbers by day, ninety days in one call at most."""

from typing import Any
from urllib.parse import urlencode

from flask import Response, jsonify, request

from broker.sandbox.facebook.access import Caller, demand_of_page, presented
from broker.sandbox.facebook.permissions import INSIGHTS, listed
from broker.sandbox.facebook.reading import GRAPH
from broker.sandbox.facebook.seed import Page
from broker.sandbox.facebook.state import facebook
from broker.sandbox.graph import bad_parameter, digits, version
from broker.sandbox.graph_paging import Record, moment, window

METRICS = ("page_daily_follows_unique", "page_follows", "page_post_engagements", "page_views_total")
DAY = 24 * 3600
MOST = 90
"""Days."""


def insights(found: Caller, page: Page, metric: str | None) -> Response:
    """Of the last two days, or of those from since to until."""
    demand_of_page(found, page, INSIGHTS, task="ANALYZE", code=200)
    names = listed(metric or request.args.get("metric", ""))
    if not names or not names <= set(METRICS):
        raise bad_parameter("The value must be a valid insights metric")
    if request.args.get("period", "day") != "day":
        raise bad_parameter("Sandbox: period is day")
    first, last = _days()
    return jsonify(data=[_metric(page, name, first, last) for name in sorted(names)], paging=_paging(page, first, last))


def _days() -> tuple[int, int]:
    """Numbers of days since 1970, the last one not included."""
    asked = window(request.args)
    last = int((asked.until or facebook().clock()) // DAY)
    first = int(asked.since // DAY) if asked.since is not None else last - 2
    if not 0 <= last - first <= MOST:
        raise bad_parameter(f"There cannot be more than {MOST} days between since and until")
    return first, last


def _metric(page: Page, name: str, first: int, last: int) -> Record:
    values = [
        {"value": int(digits(3, page.id, name, str(day))), "end_time": moment((day + 1) * DAY)}
        for day in range(first, last)
    ]
    title = f"Daily {name.removeprefix('page_').replace('_', ' ')}"
    head = {"name": name, "period": "day", "values": values, "title": title, "description": title}
    return {**head, "id": f"{page.id}/insights/{name}/day"}


def _paging(page: Page, first: int, last: int) -> dict[str, Any]:
    """By time, in both directions, with the token in it (§6.3)."""
    span = last - first

    def address(since: int, until: int) -> str:
        query = {"access_token": presented() or "", "metric": request.args.get("metric", ""), "period": "day"}
        times = {"since": str(since * DAY), "until": str(until * DAY)}
        return f"{GRAPH}/{version()}/{page.id}/insights?{urlencode(query | times)}"

    return {"previous": address(first - span, first), "next": address(last, last + span)}
