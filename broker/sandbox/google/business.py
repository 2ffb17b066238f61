"""Business Profile: accounts, their locations, and how often each was found (§4.5, §5.7).

Sections are of docs/facts/google.md. One scope opens all three services, and only an approved project has a quota.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from flask import Blueprint, Response, jsonify, request

from broker.sandbox.google.access import bearer
from broker.sandbox.google.envelopes import invalid_argument, no_quota, not_permitted
from broker.sandbox.google.field_masks import BadMask, Mask, kept, parsed
from broker.sandbox.google.parameters import following, number, only, page
from broker.sandbox.google.scopes import auth
from broker.sandbox.google.seed import Account
from broker.sandbox.google.seed_business import LOCATION_FIELDS, METRICS, seen
from broker.sandbox.google.state import google
from broker.sandbox.listing import Item, Record

API = Blueprint("business", __name__, url_prefix="/v1")

SERVICES = {
    "accounts": "mybusinessaccountmanagement.googleapis.com",
    "locations": "mybusinessbusinessinformation.googleapis.com",
    "performance": "businessprofileperformance.googleapis.com",
}
MANAGE = auth("business.manage")
"""§4.5: there is no lesser one."""

BELOW_FIELDS = {
    *("primaryPhone", "additionalPhones", "primaryCategory", "additionalCategories", "displayName", "regionCode"),
    *("locality", "addressLines", "administrativeArea", "postalCode", "status", "canReopen", "description"),
    *("placeId", "mapsUri", "name"),
}
SAME = {"readMask", "filter", "orderBy"}

DELAY = timedelta(days=2)
"""Numbers of a day are there this much later. Google promises none; the sandbox takes two days."""
LONGEST = timedelta(days=550)
DATE_PARTS = ("year", "month", "day")


def _reached(service: str, method: str) -> Account:
    """The account that the token is of. Raises `ApiError`, also where the project has no quota."""
    name = SERVICES[service]
    access = bearer(name, f"google.mybusiness.v1.{method}", MANAGE)
    if google().quirks.get("no_quota"):
        raise no_quota(name, access.project)
    with google().lock:
        return google().accounts[access.account]


@API.get("/accounts")
def accounts() -> Response:
    """accounts.list."""
    account = _reached("accounts", "AccountManagement.ListAccounts")
    only({"parentAccount", "pageSize", "pageToken", "filter"})
    size = number("pageSize", default=20, most=20, cut=True)
    with google().lock:
        found = page(account.business, size, {"parentAccount", "filter"}, _lives)
    items = [item.record for item in found.items]
    return jsonify({**({"accounts": items} if items else {}), **following(found)})


def _lives(item: Item) -> bool:
    return not item.deleted


@API.get("/accounts/<account_id>/locations")
def locations(account_id: str) -> Response:
    """accounts.locations.list; `readMask` must be there, and `accounts/-` is all of them."""
    account = _reached("locations", "BusinessInformation.ListLocations")
    only({*SAME, "pageSize", "pageToken"})
    mask, size = _mask(), number("pageSize", default=10, most=100)
    parent = f"accounts/{account_id}"
    with google().lock:
        if account_id != "-" and parent not in account.business.items:
            raise not_permitted()
        found = page(account.locations, size, {*SAME}, lambda item: _lives(item) and _of(item, parent))
    items = [kept(item.record, mask) for item in found.items]
    return jsonify({**({"locations": items} if items else {}), **following(found)})


def _of(item: Item, parent: str) -> bool:
    return parent == "accounts/-" or bool(item.record["account"] == parent)


def _mask() -> Mask:
    text = request.args.get("readMask") or request.args.get("read_mask") or ""
    try:
        mask = parsed(text, LOCATION_FIELDS | BELOW_FIELDS)
    except BadMask:
        raise invalid_argument("Invalid field mask provided: a readMask is required.") from None
    if mask.keys() - LOCATION_FIELDS:
        raise invalid_argument("Invalid field mask provided")
    return mask


@API.get("/locations/<location_id>:fetchMultiDailyMetricsTimeSeries")
def performance(location_id: str) -> Response:
    """locations.fetchMultiDailyMetricsTimeSeries: each metric day by day. A value of zero is left out."""
    account, name = _reached("performance", "Performance.FetchMultiDailyMetricsTimeSeries"), f"locations/{location_id}"
    only({"dailyMetrics", *(f"dailyRange.{end}.{part}" for end in ("startDate", "endDate") for part in DATE_PARTS)})
    metrics = request.args.getlist("dailyMetrics")
    if not metrics or (unknown := sorted(set(metrics) - set(METRICS))):
        raise invalid_argument(f"Invalid value at 'daily_metrics': {unknown[0] if metrics else 'none'}")
    days = list(_days())
    with google().lock:
        item = account.locations.items.get(name)
    if item is None or item.deleted:
        raise not_permitted()
    series = [{"dailyMetric": metric, "timeSeries": {"datedValues": _dated(name, metric, days)}} for metric in metrics]
    return jsonify(multiDailyMetricTimeSeries=[{"dailyMetricTimeSeries": series}])


def _days() -> Iterator[date]:
    """Of the range asked for, those of which the numbers are there. Raises `ApiError`."""
    first, last = _date("startDate"), _date("endDate")
    if first > last or last - first > LONGEST:
        raise invalid_argument("Invalid daily_range: it ends before it begins, or spans more than eighteen months.")
    last = min(last, (datetime.fromtimestamp(google().clock(), UTC) - DELAY).date())
    while first <= last:
        yield first
        first += timedelta(days=1)


def _date(end: str) -> date:
    parts = [request.args.get(f"dailyRange.{end}.{part}", "") for part in DATE_PARTS]
    try:
        return date(*(int(part) for part in parts))
    except ValueError:
        raise invalid_argument(f"Invalid value at 'daily_range.{end}'") from None


def _dated(name: str, metric: str, days: list[date]) -> list[Record]:
    values: list[dict[str, Any]] = []
    for day in days:
        count = seen(name, metric, day)
        at = {"year": day.year, "month": day.month, "day": day.day}
        values.append({"date": at, "value": str(count)} if count else {"date": at})
    return values
