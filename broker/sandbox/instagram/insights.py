"""Figures of an account and of a post (docs/facts/meta.md §4.3); invented, and the same at each reading."""

import zlib

from flask import request

from broker.sandbox.graph_fields import Record
from broker.sandbox.graph_paging import moment, window
from broker.sandbox.instagram.access import Caller
from broker.sandbox.instagram.errors import bad
from broker.sandbox.instagram.permissions import INSIGHTS, listed
from broker.sandbox.instagram.state import instagram

MEDIA_METRICS = ("reach", "likes", "comments", "saved", "shares", "total_interactions", "views")
ACCOUNT_METRICS = (
    *("reach", "follower_count", "views", "accounts_engaged", "total_interactions", "likes", "comments", "saves"),
    *("shares", "replies", "profile_links_taps", "follows_and_unfollows"),
)
PERIODS = ("day", "week", "days_28")
DAY = 24 * 3600
MOST_DAYS = 30


def account_edge(who: Caller) -> Record:
    """`/{ig-id}/insights`: a value for each day of `since` to `until`, of the last two days where they are not said; or
    with `metric_type=total_value` one for all."""
    who.permits(INSIGHTS)
    period = request.args.get("period", "day")
    if period not in PERIODS:
        raise bad(f"period must be one of {', '.join(PERIODS)}")
    total = request.args.get("metric_type") == "total_value"
    metrics = _metrics(request.args.get("metric"), ACCOUNT_METRICS)
    return {"data": [_of_account(who.account.id, metric, period, total=total) for metric in metrics]}


def _of_account(account: str, metric: str, period: str, *, total: bool) -> Record:
    described = _described(account, metric, period)
    if total:
        return {**described, "total_value": {"value": _figure(account, metric, "total")}}
    values = [{"value": _figure(account, metric, end), "end_time": end} for end in map(moment, _midnights())]
    return {**described, "values": values}


def _midnights() -> range:
    """The ends of the days that are asked, in seconds since 1970. Raises `GraphError`."""
    asked = window(request.args)
    until = instagram().clock() if asked.until is None else asked.until
    since = until - 2 * DAY if asked.since is None else asked.since
    if until - since > MOST_DAYS * DAY:
        raise bad(f"there are at most {MOST_DAYS} days from since to until")
    return range(int(since // DAY + 1) * DAY, int(until) + 1, DAY)


def media_edge(who: Caller, object_id: str) -> Record:
    """`/{media}/insights`."""
    who.permits(INSIGHTS)
    return media_insights(object_id, request.args.get("metric"))


def media_insights(object_id: str, metrics: str | None) -> Record:
    """Raises `GraphError`."""
    found = _metrics(metrics, MEDIA_METRICS)
    values = [[{"value": _figure(object_id, metric, "lifetime")}] for metric in found]
    described = [_described(object_id, metric, "lifetime") for metric in found]
    return {"data": [{**head, "values": value} for head, value in zip(described, values, strict=True)]}


def _metrics(text: str | None, known: tuple[str, ...]) -> tuple[str, ...]:
    metrics = listed(text or "")
    if not metrics or not set(metrics) <= set(known):
        raise bad(f"metric must name some of {', '.join(known)}")
    return metrics


def _described(object_id: str, metric: str, period: str) -> Record:
    title = metric.replace("_", " ").capitalize()
    return {
        "name": metric,
        "period": period,
        "title": title,
        "description": f"{title}, invented",
        "id": f"{object_id}/insights/{metric}/{period}",
    }


def _figure(*parts: str) -> int:
    return zlib.crc32("/".join(parts).encode()) % 5000
