"""Google Analytics: which properties the user sees, and reports of one (§4.6.5, §5.6).

Sections are of docs/facts/google.md. How a report is reckoned: analytics_report.py.
"""

from typing import Any

from flask import Blueprint, Response, jsonify, request

from broker.sandbox.google.access import bearer
from broker.sandbox.google.analytics_report import reckoned
from broker.sandbox.google.envelopes import invalid_argument, not_permitted
from broker.sandbox.google.parameters import following, number, only, page
from broker.sandbox.google.report_request import report_asked
from broker.sandbox.google.scopes import auth
from broker.sandbox.google.state import google
from broker.sandbox.listing import Record

API = Blueprint("analytics", __name__, url_prefix="/v1beta")

ADMIN, DATA = "analyticsadmin.googleapis.com", "analyticsdata.googleapis.com"
SUMMARIES = auth("analytics.edit", "analytics.readonly")
REPORTS = auth("analytics", "analytics.readonly")

TOKENS = {
    "tokensPerDay": 200_000,
    "tokensPerHour": 40_000,
    "tokensPerProjectPerHour": 14_000,
}
OTHER_QUOTAS = {
    "concurrentRequests": 10,
    "serverErrorsPerProjectPerHour": 10,
    "potentiallyThresholdedRequestsPerHour": 120,
}
COST = 10
"""Tokens that a report takes here."""

NOT_YOURS = (
    "User does not have sufficient permissions for this property. To learn more about Property ID, see "
    "https://developers.google.com/analytics/devguides/reporting/data/v1/property-id."
)


@API.get("/accountSummaries")
def account_summaries() -> Response:
    """accountSummaries.list."""
    access = bearer(ADMIN, "google.analytics.admin.v1beta.AnalyticsAdminService.ListAccountSummaries", SUMMARIES)
    only({"pageSize", "pageToken"})
    size = number("pageSize", default=50, most=200, cut=True)
    with google().lock:
        found = page(google().accounts[access.account].analytics, size, set(), lambda item: not item.deleted)
    summaries = [_summary(item.record) for item in found.items]
    return jsonify({**({"accountSummaries": summaries} if summaries else {}), **following(found)})


def _summary(account: Record) -> Record:
    name = f"accounts/{account['id']}"
    properties = [
        {
            "property": f"properties/{one['id']}",
            "displayName": one["displayName"],
            "propertyType": "PROPERTY_TYPE_ORDINARY",
            "parent": name,
        }
        for one in account["properties"]
    ]
    head = {"name": f"accountSummaries/{account['id']}", "account": name, "displayName": account["displayName"]}
    return {**head, "propertySummaries": properties} if properties else head


@API.post("/properties/<property_id>:runReport")
def run_report(property_id: str) -> Response:
    """properties.runReport. A property that is not the user's is 403, whether there is one or not."""
    access = bearer(DATA, "google.analytics.data.v1beta.BetaAnalyticsData.RunReport", REPORTS)
    if not property_id.isdecimal():
        raise invalid_argument(f"Invalid property ID: {property_id}. A numeric Property ID is required.")
    with google().lock:
        held = _property(access.account, property_id)
        now = google().clock()
    if held is None:
        raise not_permitted(NOT_YOURS)
    asked = report_asked(request.get_json(silent=True), now)
    answer = reckoned(asked, property_id, frozenset(held["hidden"]))
    return jsonify({**answer, **_quota(property_id, told=asked.quota), "kind": "analyticsData#runReport"})


def _property(account: str, property_id: str) -> Record | None:
    summaries = google().accounts[account].analytics.items.values()
    properties = (one for item in summaries if not item.deleted for one in item.record["properties"])
    return next((one for one in properties if one["id"] == property_id), None)


def _quota(property_id: str, *, told: bool) -> dict[str, Any]:
    """Counts this report, and tells what is left where that was asked for."""
    with google().lock:
        google().analytics_tokens[property_id] += COST
        used = google().analytics_tokens[property_id]
    tokens = {name: {"consumed": COST, "remaining": max(0, most - used)} for name, most in TOKENS.items()}
    others = {name: {"remaining": most} for name, most in OTHER_QUOTAS.items()}
    return {"propertyQuota": {**tokens, **others}} if told else {}
