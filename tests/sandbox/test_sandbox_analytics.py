"""Analytics: which properties there are, and reports. docs/facts/google.md §4.6.5, §5.6."""

from typing import Any

import pytest
import requests

from tests.sandbox.google_client import ANI, BUDI, Client, reason

WEB, TILL, BUDIS = "510001", "510002", "510011"
WEEK = {"dateRanges": [{"startDate": "7daysAgo", "endDate": "yesterday"}]}


@pytest.fixture
def token(google: Client) -> str:
    return google.token_for("analytics.readonly")


def _names(*names: str) -> list[dict[str, str]]:
    return [{"name": name} for name in names]


def _asked(
    google: Client, token: str, property_id: str = WEB, *, by: Any = ("date",), of: Any = ("sessions",), **more: Any
) -> requests.Response:
    body = {"dimensions": _names(*by), "metrics": _names(*of), **WEEK, **more}
    return google.post(f"/v1beta/properties/{property_id}:runReport", token, body)


def _report(google: Client, token: str, property_id: str = WEB, **more: Any) -> dict[str, Any]:
    answer = _asked(google, token, property_id, **more)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _rows(report: dict[str, Any]) -> dict[tuple[str, ...], list[str]]:
    return {
        tuple(value["value"] for value in row.get("dimensionValues", [])): [
            value["value"] for value in row.get("metricValues", [])
        ]
        for row in report.get("rows", [])
    }


def test_summaries_tell_accounts_and_their_properties(google: Client, token: str) -> None:
    summaries = google.get("/v1beta/accountSummaries", token).json()["accountSummaries"]
    told = {one["displayName"]: [p["property"] for p in one["propertySummaries"]] for one in summaries}
    assert told == {
        "Toko Ani": [f"properties/{WEB}", f"properties/{TILL}"],
        "Ani Catering": ["properties/510003"],
    }
    first = summaries[0]
    assert (first["name"], first["account"]) == ("accountSummaries/410001", "accounts/410001")
    assert first["propertySummaries"][0]["parent"] == "accounts/410001"


def test_summaries_come_in_pages_of_fifty_and_at_most_two_hundred(google: Client, token: str) -> None:
    google.control("accounts", {"email": "ani@example.com", "analytics_accounts": 250})
    first = google.get("/v1beta/accountSummaries", token).json()
    assert len(first["accountSummaries"]) == 50
    assert len(google.get("/v1beta/accountSummaries", token, pageSize=1000).json()["accountSummaries"]) == 200
    second = google.get("/v1beta/accountSummaries", token, pageToken=first["nextPageToken"]).json()
    names = {one["name"] for one in first["accountSummaries"] + second["accountSummaries"]}
    assert len(names) == 100


def test_nobody_without_analytics_has_a_summary(google: Client) -> None:
    token = google.token_for("analytics.readonly", account="117000000000000000042")
    assert google.get("/v1beta/accountSummaries", token).json() == {}


@pytest.mark.parametrize("query", [{"pageSize": "0"}, {"pageToken": "NOT-ONE"}, {"surprise": "1"}])
def test_a_malformed_list_is_refused(google: Client, token: str, query: dict[str, str]) -> None:
    answer = google.get("/v1beta/accountSummaries", token, **query)
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_a_report_has_headers_rows_of_texts_and_their_number(google: Client, token: str) -> None:
    report = _report(google, token, by=("date", "city"), of=("sessions", "totalRevenue"))
    assert report["dimensionHeaders"] == _names("date", "city")
    assert report["metricHeaders"] == [
        {"name": "sessions", "type": "TYPE_INTEGER"},
        {"name": "totalRevenue", "type": "TYPE_CURRENCY"},
    ]
    assert report["rowCount"] == len(report["rows"]) == 7 * 4
    assert all(isinstance(value, str) for values in _rows(report).values() for value in values)
    assert report["metadata"] == {"currencyCode": "IDR", "timeZone": "Asia/Jakarta"}
    assert report["kind"] == "analyticsData#runReport"


def test_reports_of_the_same_days_add_up(google: Client, token: str) -> None:
    total = _rows(_report(google, token, by=()))[()][0]
    for by in (["date"], ["city", "deviceCategory"], ["pagePath"], ["sessionSource", "sessionMedium"]):
        assert sum(int(values[0]) for values in _rows(_report(google, token, by=by)).values()) == int(total)


def test_a_report_is_the_same_each_time_and_another_for_another_property(google: Client, token: str) -> None:
    assert _report(google, token) == _report(google, token)
    assert _report(google, token)["rows"] != _report(google, token, "510003")["rows"]


def test_rows_come_by_limit_and_offset_as_number_or_text(google: Client, token: str) -> None:
    everything = _report(google, token)["rows"]
    first = _report(google, token, limit=3)
    rest = _report(google, token, limit="100", offset="3")
    assert (first["rowCount"], rest["rowCount"]) == (7, 7)
    assert first["rows"] + rest["rows"] == everything
    beyond = _report(google, token, offset=7)
    assert ("rows" in beyond, beyond["rowCount"]) == (False, 7)


def test_rows_of_zeros_come_only_when_kept(google: Client, token: str) -> None:
    assert ("Ipoh",) not in _rows(_report(google, token, by=("city",)))
    assert _rows(_report(google, token, by=("city",), keepEmptyRows=True))[("Ipoh",)] == ["0"]


def test_nothing_is_measured_before_the_first_day_nor_to_come(google: Client, token: str) -> None:
    early = _report(google, token, dateRanges=[{"startDate": "2019-01-01", "endDate": "2019-12-31"}])
    assert ("rows" in early, "rowCount" in early) == (False, False)
    late = _report(google, token, dateRanges=[{"startDate": "today", "endDate": "9999-12-31"}])
    assert late["rowCount"] == 1


def test_dates_are_those_of_the_sandboxs_clock(google: Client, token: str) -> None:
    """The clock of these tests stands at 2027-01-15, fifteen past three in the afternoon in Jakarta."""
    assert sorted(_rows(_report(google, token))) == [(f"202701{day:02}",) for day in range(8, 15)]
    google.control("clock", {"advance": 9 * 3600})
    later = google.token_for("analytics.readonly")
    assert max(_rows(_report(google, later))) == ("20270115",)


def test_several_ranges_are_told_apart(google: Client, token: str) -> None:
    ranges = [*WEEK["dateRanges"], {"startDate": "14daysAgo", "endDate": "8daysAgo", "name": "before"}]
    report = _report(google, token, by=(), dateRanges=ranges)
    assert report["dimensionHeaders"] == _names("dateRange")
    assert set(_rows(report)) == {("date_range_0",), ("before",)}


def test_rows_are_ordered_as_asked(google: Client, token: str) -> None:
    by_metric = _report(google, token, orderBys=[{"metric": {"metricName": "sessions"}, "desc": True}])
    counts = [int(values[0]) for values in _rows(by_metric).values()]
    assert counts == sorted(counts, reverse=True)
    by_date = _report(google, token, orderBys=[{"dimension": {"dimensionName": "date"}, "desc": True}])
    assert list(_rows(by_date)) == sorted(_rows(by_date), reverse=True)


def test_a_ratio_is_reckoned_from_the_sums(google: Client, token: str) -> None:
    report = _report(google, token, by=(), of=("screenPageViews", "sessions", "viewsPerSession"))
    views, sessions, ratio = _rows(report)[()]
    assert float(ratio) == int(views) / int(sessions)


def test_hidden_revenue_comes_as_zeros_with_a_note(google: Client, token: str) -> None:
    """§4.6.5."""
    report = _report(google, token, TILL, of=("sessions", "purchaseRevenue", "advertiserAdCost"))
    assert {values[1] for values in _rows(report).values()} == {"0"}
    assert all(int(values[0]) and int(values[2]) for values in _rows(report).values())
    assert report["metadata"]["schemaRestrictionResponse"] == {
        "activeMetricRestrictions": [{"metricName": "purchaseRevenue", "restrictedMetricTypes": ["REVENUE_DATA"]}]
    }
    assert "schemaRestrictionResponse" not in _report(google, token, TILL)["metadata"]


def test_a_control_call_changes_what_the_role_hides(google: Client, token: str) -> None:
    google.control("properties", {"account": ANI, "property": WEB, "hidden": ["COST_DATA"]})
    assert set(map(tuple, _rows(_report(google, token, of=("advertiserAdCost",))).values())) == {("0",)}
    google.control("properties", {"account": ANI, "property": TILL, "hidden": []})
    assert "0" not in _rows(_report(google, token, TILL, of=("purchaseRevenue",))).values()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"property": "none"}, 404),
        ({"property": BUDIS}, 404),
        ({"property": WEB, "hidden": ["ALL"]}, 400),
        ({"property": WEB, "hidden": "COST_DATA"}, 400),
    ],
)
def test_a_wrong_control_call_is_refused(google: Client, body: dict[str, Any], status: int) -> None:
    assert google.control("properties", {"account": ANI, **body}).status_code == status


def test_the_quota_is_told_when_asked_for_and_goes_down(google: Client, token: str) -> None:
    assert "propertyQuota" not in _report(google, token)
    left = [_report(google, token, returnPropertyQuota=True)["propertyQuota"]["tokensPerDay"] for _ in range(2)]
    assert left[0]["remaining"] - left[1]["remaining"] == left[1]["consumed"] > 0


@pytest.mark.parametrize("property_id", [BUDIS, "999999"])
def test_a_property_of_nobody_or_another_is_refused(google: Client, token: str, property_id: str) -> None:
    answer = _asked(google, token, property_id)
    error = answer.json()["error"]
    assert (answer.status_code, error["status"], "details" in error) == (403, "PERMISSION_DENIED", False)
    assert "sufficient permissions for this property" in error["message"]
    assert _report(google, google.token_for("analytics.readonly", account=BUDI), BUDIS)


@pytest.mark.parametrize(
    "body",
    [
        {"by": ("secrets",)},
        {"dimensions": [{"name": {}}]},
        {"orderBys": [{"metric": {"metricName": []}}]},
        {"of": ("secrets",)},
        {"by": ("date", "date")},
        {"by": (), "of": ()},
        {"dimensions": "date"},
        {"dateRanges": []},
        {"dateRanges": [{"startDate": "today", "endDate": "yesterday"}]},
        {"dateRanges": [{"startDate": "2026-02-30", "endDate": "today"}]},
        {"dateRanges": [{"startDate": "1.5daysAgo", "endDate": "today"}]},
        {"dateRanges": [{"startDate": {}, "endDate": []}]},
        {"dateRanges": [{"startDate": "99999999daysAgo", "endDate": "today"}]},
        {"dateRanges": [{"startDate": "99999daysAgo", "endDate": "today"}] * 5},
        {"limit": 0},
        {"limit": True},
        {"limit": 1.5},
        {"limit": "many"},
        {"limit": "9" * 5000},
        {"offset": -1},
        {"keepEmptyRows": "true"},
        {"orderBys": [{"metric": {"metricName": "newUsers"}}]},
        {"orderBys": [{"metric": "sessions"}]},
        {"dimensionFilter": {}},
        {"surprise": 1},
    ],
)
def test_a_malformed_report_is_refused(google: Client, token: str, body: dict[str, Any]) -> None:
    answer = _asked(google, token, **body)
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize("body", [None, [], "text"])
def test_a_body_that_is_no_object_is_refused(google: Client, token: str, body: object) -> None:
    assert google.post(f"/v1beta/properties/{WEB}:runReport", token, body).status_code == 400


def test_a_property_has_a_number(google: Client, token: str) -> None:
    assert _asked(google, token, "G-ABC").status_code == 400


@pytest.mark.parametrize(
    ("scope", "summaries", "report"),
    [
        ("analytics.readonly", 200, 200),
        ("analytics", 403, 200),
        ("analytics.edit", 200, 403),
        ("contacts.readonly", 403, 403),
    ],
)
def test_each_scope_opens_its_own_part(google: Client, scope: str, summaries: int, report: int) -> None:
    token = google.token_for(scope)
    answers = (google.get("/v1beta/accountSummaries", token), _asked(google, token))
    assert [answer.status_code for answer in answers] == [summaries, report]
    assert all(reason(answer) == "ACCESS_TOKEN_SCOPE_INSUFFICIENT" for answer in answers if answer.status_code == 403)


def test_faults_reach_both_services(google: Client, token: str) -> None:
    google.quirk(rate_limit={"/v1beta/properties": None}, outage={"/v1beta/accountSummaries": 503})
    answer = _asked(google, token)
    assert (answer.status_code, answer.json()["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert google.get("/v1beta/accountSummaries", token).status_code == 503


def test_a_reset_brings_quota_and_roles_back(google: Client, token: str) -> None:
    google.control("properties", {"account": ANI, "property": TILL, "hidden": []})
    _report(google, token)
    google.control("reset")
    token = google.token_for("analytics.readonly")
    report = _report(google, token, TILL, of=("purchaseRevenue",), returnPropertyQuota=True)
    assert "schemaRestrictionResponse" in report["metadata"]
    assert report["propertyQuota"]["tokensPerDay"]["remaining"] == 200_000 - 10
