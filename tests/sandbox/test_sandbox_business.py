"""Business Profile: accounts, locations, daily metrics, no quota. docs/facts/google.md §4.5, §5.7."""

from typing import Any

import pytest

from tests.sandbox.google_client import BUDI, Client, reason

SHOPS, BUDIS = "accounts/610002", "accounts/610011"
SHOP = "locations/710101"
SERVICES = {
    "/v1/accounts": "mybusinessaccountmanagement.googleapis.com",
    f"/v1/{SHOPS}/locations?readMask=name": "mybusinessbusinessinformation.googleapis.com",
    f"/v1/{SHOP}:fetchMultiDailyMetricsTimeSeries": "businessprofileperformance.googleapis.com",
}


@pytest.fixture
def token(google: Client) -> str:
    return google.token_for("business.manage")


def _locations(google: Client, token: str, account: str = SHOPS, **query: Any) -> dict[str, Any]:
    answer = google.get(f"/v1/{account}/locations", token, **{"readMask": "name", **query})
    assert answer.status_code == 200, answer.text
    return answer.json()


def _range(first: str, last: str) -> dict[str, str]:
    ends = {"startDate": first.split("-"), "endDate": last.split("-")}
    parts = ("year", "month", "day")
    return {
        f"dailyRange.{end}.{part}": said for end, date in ends.items() for part, said in zip(parts, date, strict=True)
    }


def _series(
    google: Client, token: str, first: str, last: str, *metrics: str, place: str = SHOP
) -> list[dict[str, Any]]:
    query = {"dailyMetrics": list(metrics), **_range(first, last)}
    answer = google.get(f"/v1/{place}:fetchMultiDailyMetricsTimeSeries", token, **query)
    assert answer.status_code == 200, answer.text
    return answer.json()["multiDailyMetricTimeSeries"][0]["dailyMetricTimeSeries"]


def test_the_accounts_are_listed_the_persons_own_first(google: Client, token: str) -> None:
    accounts = google.get("/v1/accounts", token).json()["accounts"]
    assert [(one["name"], one["type"]) for one in accounts] == [
        ("accounts/610001", "PERSONAL"),
        (SHOPS, "LOCATION_GROUP"),
    ]


def test_accounts_come_in_pages(google: Client, token: str) -> None:
    first = google.get("/v1/accounts", token, pageSize=1).json()
    second = google.get("/v1/accounts", token, pageSize=1, pageToken=first["nextPageToken"]).json()
    assert [one["name"] for one in first["accounts"] + second["accounts"]] == ["accounts/610001", SHOPS]
    assert "nextPageToken" not in second


def test_locations_come_ten_a_page_unless_more_are_asked_for(google: Client, token: str) -> None:
    first = _locations(google, token)
    second = _locations(google, token, pageToken=first["nextPageToken"])
    names = [place["name"] for place in first["locations"] + second["locations"]]
    assert (len(first["locations"]), len(set(names))) == (10, 12)
    assert len(_locations(google, token, pageSize=100)["locations"]) == 12


def test_the_read_mask_chooses_and_must_be_there(google: Client, token: str) -> None:
    mask = "title,phoneNumbers.primaryPhone,storefrontAddress.locality"
    place = _locations(google, token, readMask=mask)["locations"][0]
    assert place == {
        "title": "Toko Ani Surabaya 710101",
        "phoneNumbers": {"primaryPhone": "0812-5551-0101"},
        "storefrontAddress": {"locality": "Surabaya"},
    }


@pytest.mark.parametrize(
    "query",
    [
        {"readMask": ""},
        {"readMask": "name,secrets"},
        {"readMask": "account"},
        {"readMask": "primaryPhone"},
        {"readMask": "*"},
        {"pageSize": 0},
        {"pageSize": 101},
        {"pageToken": "NOT-ONE"},
        {"surprise": "1"},
    ],
)
def test_a_malformed_list_of_locations_is_refused(google: Client, token: str, query: dict[str, Any]) -> None:
    answer = google.get(f"/v1/{SHOPS}/locations", token, **{"readMask": "name", **query})
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_with_a_page_token_the_read_mask_stays_the_same(google: Client, token: str) -> None:
    page = _locations(google, token)["nextPageToken"]
    answer = google.get(f"/v1/{SHOPS}/locations", token, readMask="title", pageToken=page)
    assert answer.status_code == 400


def test_a_dash_is_every_account_of_the_user(google: Client, token: str) -> None:
    assert len(_locations(google, token, "accounts/-", pageSize=100)["locations"]) == 14


@pytest.mark.parametrize("account", [BUDIS, "accounts/1"])
def test_another_account_is_refused(google: Client, token: str, account: str) -> None:
    answer = google.get(f"/v1/{account}/locations", token, readMask="name")
    assert (answer.status_code, answer.json()["error"]["status"]) == (403, "PERMISSION_DENIED")


def test_each_account_has_places_of_its_own(google: Client) -> None:
    budis = google.token_for("business.manage", account=BUDI)
    assert [place["name"] for place in _locations(google, budis, BUDIS)["locations"]] == ["locations/710901"]
    nobody = google.token_for("business.manage", account="117000000000000000042")
    assert google.get("/v1/accounts", nobody).json() == {}


def test_more_places_are_made_on_demand(google: Client, token: str) -> None:
    google.control("accounts", {"email": "ani@example.com", "locations": 250})
    added = google.get("/v1/accounts", token).json()["accounts"][-1]["name"]
    first = _locations(google, token, added, pageSize=100)
    assert (len(first["locations"]), "nextPageToken" in first) == (100, True)
    google.control("accounts", {"email": "ani@example.com", "locations": 3})
    assert len(_locations(google, token, added)["locations"]) == 3


def test_metrics_come_day_by_day_as_texts_and_zeros_are_left_out(google: Client, token: str) -> None:
    clicks, bookings = _series(google, token, "2026-11-01", "2026-11-30", "CALL_CLICKS", "BUSINESS_BOOKINGS")
    assert (clicks["dailyMetric"], bookings["dailyMetric"]) == ("CALL_CLICKS", "BUSINESS_BOOKINGS")
    days = clicks["timeSeries"]["datedValues"]
    assert [day["date"] for day in days] == [{"year": 2026, "month": 11, "day": n} for n in range(1, 31)]
    values = [day["value"] for day in days if "value" in day]
    assert all(isinstance(value, str) and int(value) for value in values)
    assert 0 < len(values) < 30
    assert all("value" not in day for day in bookings["timeSeries"]["datedValues"])


def test_the_same_days_have_the_same_numbers_and_other_places_others(google: Client, token: str) -> None:
    asked = (google, token, "2026-11-01", "2026-11-10", "WEBSITE_CLICKS")
    assert _series(*asked) == _series(*asked)
    assert _series(*asked) != _series(*asked, place="locations/710102")


def test_the_last_two_days_are_not_there_yet(google: Client, token: str) -> None:
    """The clock of these tests stands at 2027-01-15."""
    series = _series(google, token, "2027-01-10", "2027-01-20", "CALL_CLICKS")[0]["timeSeries"]["datedValues"]
    assert [day["date"]["day"] for day in series] == [10, 11, 12, 13]


@pytest.mark.parametrize(
    "query",
    [
        {"dailyMetrics": []},
        {"dailyMetrics": ["SECRETS"]},
        _range("2026-11-02", "2026-11-01"),
        _range("2026-02-30", "2026-11-01"),
        _range("2020-01-01", "2026-11-01"),
        _range("2026-11-x", "2026-11-01"),
        {"dailyRange.startDate.day": "0"},
        {"dailyRange.startDate.hour": "5"},
        {"dailyRange.startDate.day": "9" * 5000},
    ],
)
def test_a_malformed_question_for_metrics_is_refused(google: Client, token: str, query: dict[str, Any]) -> None:
    asked = {"dailyMetrics": ["CALL_CLICKS"], **_range("2026-11-01", "2026-11-02"), **query}
    answer = google.get(f"/v1/{SHOP}:fetchMultiDailyMetricsTimeSeries", token, **asked)
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize("place", ["locations/710901", "locations/1"])
def test_metrics_of_another_place_are_refused(google: Client, token: str, place: str) -> None:
    query = {"dailyMetrics": "CALL_CLICKS", **_range("2026-11-01", "2026-11-02")}
    answer = google.get(f"/v1/{place}:fetchMultiDailyMetricsTimeSeries", token, **query)
    assert answer.status_code == 403


@pytest.mark.parametrize(("path", "service"), SERVICES.items())
def test_a_project_that_is_not_approved_has_no_quota_from_the_first_call(
    google: Client, token: str, path: str, service: str
) -> None:
    """§5.7."""
    google.quirk(no_quota=True)
    answer = google.get(path, token)
    error = answer.json()["error"]
    assert (answer.status_code, error["status"], reason(answer)) == (429, "RESOURCE_EXHAUSTED", "RATE_LIMIT_EXCEEDED")
    assert error["details"][0]["metadata"]["quota_limit_value"] == "0"
    assert error["details"][0]["metadata"]["service"] == service
    assert "Retry-After" not in answer.headers


@pytest.mark.parametrize(("path", "service"), SERVICES.items())
def test_one_scope_opens_all_three_services(google: Client, path: str, service: str) -> None:
    answer = google.get(path, google.token_for("contacts.readonly"))
    assert (answer.status_code, reason(answer)) == (403, "ACCESS_TOKEN_SCOPE_INSUFFICIENT")
    assert answer.json()["error"]["details"][0]["metadata"]["service"] == service


@pytest.mark.parametrize("path", SERVICES)
def test_faults_reach_each_service(google: Client, token: str, path: str) -> None:
    google.quirk(outage={"/v1/accounts": 500, "/v1/locations": 500})
    assert google.get(path, token).status_code == 500


def test_the_contacts_beside_them_are_still_reached(google: Client) -> None:
    """Both APIs stand below /v1."""
    google.quirk(outage={"/v1/accounts": 500, "/v1/locations": 500})
    assert google.people(google.connect()["access_token"]).status_code == 200
