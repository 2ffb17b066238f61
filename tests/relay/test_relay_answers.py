"""What comes back through the relay: cut to what was granted, by the rules of records, and a provider's failures in the
broker's own words."""

import logging
import time
from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import select

from broker.models import Grant, IdempotentAnswer
from tests.house import Google, House
from tests.relay.conftest import PEOPLE, Raw, Relay

CONTACTS = f"{PEOPLE}/v1/people/me/connections"
EVENTS = "www.googleapis.com/calendar/v3/calendars/primary/events"
REPORT = "analyticsdata.googleapis.com/v1beta/properties/510001:runReport"
SHEET = "1AniPelanggan0000000000000000000000000000001"
JSON = {"Content-Type": "application/json"}


def is_a_problem(answer: Raw, status: int, code: str) -> None:
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.status, answer.code) == (status, code), answer.text


# --- cut -----------------------------------------------------------------------------------------------------


def test_without_a_mask_the_brokers_own_is_sent(contacts: Relay) -> None:
    person = contacts.ask(f"{CONTACTS}?pageSize=1")["connections"][0]
    granted = {"metadata", "names", "emailAddresses", "phoneNumbers", "organizations"}
    assert person.keys() <= {"resourceName", *granted}


def test_of_the_envelope_only_tokens_and_counters_are_passed_on(at_google: Callable[..., Relay]) -> None:
    page = at_google("google_calendar").ask(f"{EVENTS}?maxResults=2")
    assert page.keys() == {"kind", "items", "nextPageToken"}


def consented(house: House, relay: Relay, resource: str, fields: list[str]) -> None:
    """As if the consent page had named these fields alone."""
    with house.broker.database.write() as session:
        for grant in session.scalars(select(Grant).where(Grant.connection_id == relay.connection["id"])):
            grant.fields = {**grant.fields, resource: fields}


def test_a_field_that_the_consent_page_did_not_name_is_cut_off_though_the_scope_is_there(
    at_google: Callable[..., Relay], house_of_google: House
) -> None:
    relay = at_google("google_calendar")
    whole = relay.ask(f"{EVENTS}?maxResults=250")["items"]
    assert {"attendees", "description"} <= {member for item in whole for member in item}
    consented(house_of_google, relay, "events", ["status", "start", "end", "summary"])
    cut = relay.ask(f"{EVENTS}?maxResults=250")["items"]
    assert {member for item in cut for member in item} == {"id", "status", "start", "end", "summary"}


def test_a_bound_that_tells_of_a_field_needs_that_field(
    at_google: Callable[..., Relay], house_of_google: House
) -> None:
    relay = at_google("google_calendar")
    relay.ask(f"{EVENTS}?updatedMin=2020-01-01T00:00:00Z")
    consented(house_of_google, relay, "events", ["status", "start", "end", "summary"])
    relay.refused(f"{EVENTS}?updatedMin=2020-01-01T00:00:00Z")
    relay.refused(f"{EVENTS}?q=rahasia")


def test_a_mask_must_keep_to_what_the_consent_page_named(contacts: Relay, house_of_google: House) -> None:
    some = ["metadata", "names", "emailAddresses", "phoneNumbers", "organizations"]
    contacts.ask(f"{CONTACTS}?personFields=organizations")
    consented(house_of_google, contacts, "contacts", some[:-1])
    contacts.refused(f"{CONTACTS}?personFields=organizations", "insufficient_scope")


def test_cells_come_without_the_name_of_their_sheet_and_only_as_they_are_shown(
    at_google: Callable[..., Relay],
) -> None:
    relay = at_google("google_sheets", assets={"google_sheets": [SHEET]})
    values = f"sheets.googleapis.com/v4/spreadsheets/{SHEET}/values:batchGet"
    (cells,) = relay.ask(f"{values}?ranges=A1:B3")["valueRanges"]
    assert (cells["range"], len(cells["values"])) == ("A1:B3", 3)
    for query in ("ranges=Harga", "ranges=Harga!A1:B3", "ranges=A:B", "ranges=R1C1:R2C2", "valueRenderOption=FORMULA"):
        relay.refused(f"{values}?{query}")
    relay.refused(f"sheets.googleapis.com/v4/spreadsheets/{SHEET}")


def test_of_the_files_to_choose_from_only_those_chosen_are_told(at_google: Callable[..., Relay]) -> None:
    relay = at_google("google_sheets", assets={"google_sheets": [SHEET]})
    assert [file["id"] for file in relay.ask("www.googleapis.com/drive/v3/files")["files"]] == [SHEET]
    relay.refused("www.googleapis.com/drive/v3/files?q=trashed=true")
    relay.refused(f"www.googleapis.com/drive/v3/files/{SHEET}?alt=media")


def test_an_asset_must_have_been_chosen_before_anything_is_read(at_google: Callable[..., Relay]) -> None:
    relay = at_google("google_sheets")
    relay.refused(f"sheets.googleapis.com/v4/spreadsheets/{SHEET}/values:batchGet", "asset_required")


def test_figures_of_a_business_come_day_by_day(at_google: Callable[..., Relay]) -> None:
    relay = at_google("google_business_performance", assets={"google_business_performance": ["locations/710001"]})
    host = "businessprofileperformance.googleapis.com/v1"
    found = relay.ask(f"{host}/locations/710001:fetchMultiDailyMetricsTimeSeries?dailyMetrics=CALL_CLICKS")
    (group,) = found["multiDailyMetricTimeSeries"]
    (series,) = group["dailyMetricTimeSeries"]
    assert series["dailyMetric"] == "CALL_CLICKS"
    assert {name for one in series["timeSeries"]["datedValues"] for name in one} == {"date", "value"}
    relay.refused(f"{host}/locations/710002:fetchMultiDailyMetricsTimeSeries")
    relay.refused(f"{host}/locations/710001/searchkeywords/impressions/monthly")


def test_the_properties_to_choose_from_are_those_chosen(at_google: Callable[..., Relay]) -> None:
    relay = at_google("google_analytics", assets={"google_analytics": ["properties/510001"]})
    found = relay.ask("analyticsadmin.googleapis.com/v1beta/accountSummaries")["accountSummaries"]
    assert [one["property"] for account in found for one in account["propertySummaries"]] == ["properties/510001"]
    assert all(account.keys() == {"propertySummaries"} for account in found)


# --- reports by POST -----------------------------------------------------------------------------------------


def report(relay: Relay, body: bytes, **headers: str) -> Raw:
    return relay.send("POST", REPORT, body=body, headers={**JSON, **headers})


def test_a_reports_body_is_written_anew(at_google: Callable[..., Relay]) -> None:
    relay = at_google("google_analytics", assets={"google_analytics": ["properties/510001"]})
    body = (
        b'{ "metrics" : [{"name":"sessions"}], "limit": 5, "dateRanges": [{"startDate":"7daysAgo","endDate":"today"}] }'
    )
    assert report(relay, body).status == 200
    assert relay.lines()[0] == "POST /v1beta/properties/510001:runReport HTTP/1.1"
    assert bytes(relay.tap.sent).endswith(
        b'\r\n\r\n{"metrics": [{"name": "sessions"}], "limit": "5", '
        b'"dateRanges": [{"startDate": "7daysAgo", "endDate": "today"}]}'
    )


def test_a_body_that_is_not_plainly_a_report_is_refused(at_google: Callable[..., Relay]) -> None:
    relay = at_google("google_analytics", assets={"google_analytics": ["properties/510001"]})
    rest = b'"dateRanges":[{"startDate":"today","endDate":"today"}]'
    for body, status in (
        (b"", 400),
        (b"[]", 400),
        (b'{"metrics":[{"name":"sessions"}],"metrics":[{"name":"x"}],' + rest + b"}", 400),
        (b'{"metrics":[{"name":"sessions"}],"limit":NaN,' + rest + b"}", 400),
        (b"{}", 403),
        (b'{"metrics":[],' + rest + b"}", 403),
        (b'{"metrics":[{"name":"sessions"}],"access_token":"ya29.x",' + rest + b"}", 403),
        (b'{"metrics":[{"name":"sessions"}],"cohortSpec":{},' + rest + b"}", 403),
        (b'{"metrics":[{"name":"sessions"}],"currencyCode":"USD",' + rest + b"}", 403),
        (b'{"metrics":[{"name":"adRevenue"}],' + rest + b"}", 403),
        (b'{"metrics":"sessions",' + rest + b"}", 403),
        (b'{"metrics":[{"name":"sessions"}],"limit":true,' + rest + b"}", 403),
        (b" " * 70_000, 413),
    ):
        assert (report(relay, body).status, relay.lines()) == (status, []), body[:80]
    assert relay.send("POST", REPORT, body=b"a=1", headers={"Content-Type": "text/plain"}).status == 415
    assert relay.get(REPORT).code == "operation_denied"


def test_an_idempotency_key_keeps_no_data(at_google: Callable[..., Relay], house_of_google: House) -> None:
    relay = at_google("google_analytics", assets={"google_analytics": ["properties/510001"]})
    body = b'{"metrics":[{"name":"sessions"}],"dateRanges":[{"startDate":"today","endDate":"today"}]}'
    assert report(relay, body, **{"Idempotency-Key": "k"}).body["rowCount"] >= 0
    with house_of_google.broker.database.read() as session:
        assert session.scalars(select(IdempotentAnswer)).all() == []


# --- failures ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quirk", "status", "code"),
    [
        ({"outage": {"/v1/people": 503}}, 502, "provider_unavailable"),
        ({"outage": {"/v1/people": 302}}, 502, "provider_unavailable"),
        ({"outage": {"/v1/people": "html"}}, 502, "provider_unavailable"),
        ({"rate_limit": {"/v1/people": 7}}, 429, "rate_limited"),
        ({"malformed": {"/v1/people": "other_types"}}, 502, "provider_unavailable"),
        ({"malformed": {"/v1/people": "huge"}}, 502, "provider_unavailable"),
        ({"unauthorized": {"/v1/people": True}}, 409, "reconnect_required"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_failure_of_the_provider_is_told_in_the_brokers_words(
    contacts: Relay, google: Google, quirk: dict[str, Any], status: int, code: str
) -> None:
    google.quirk(**quirk)
    is_a_problem(contacts.get(CONTACTS), status, code)


def test_a_redirect_is_not_followed(contacts: Relay, google: Google) -> None:
    google.quirk(outage={"/v1/people": 302})
    contacts.get(CONTACTS)
    assert len(contacts.lines()) == 1


def test_a_limit_is_heeded_and_the_provider_left_alone(contacts: Relay, google: Google) -> None:
    google.quirk(rate_limit={"/v1/people": {"value": 30, "times": 1}})
    assert contacts.get(CONTACTS).headers["Retry-After"] == "30"
    contacts.refused(CONTACTS, "rate_limited")


def test_a_refused_token_is_renewed_once(contacts: Relay, google: Google) -> None:
    google.quirk(unauthorized={"/v1/people": {"value": True, "times": 1}})
    assert (contacts.get(CONTACTS).status, len(contacts.lines())) == (200, 2)


def test_a_sync_token_that_the_provider_forgot_is_told(contacts: Relay, google: Google) -> None:
    is_a_problem(contacts.get(f"{CONTACTS}?syncToken=never"), 400, "invalid_request")


def test_a_message_that_is_not_there_is_not_found(at_google: Callable[..., Relay]) -> None:
    relay = at_google("google_mail")
    is_a_problem(relay.get("gmail.googleapis.com/gmail/v1/users/me/messages/fff"), 404, "not_found")
    relay.refused("gmail.googleapis.com/gmail/v1/users/ani@example.com/messages/fff")


# --- the right -----------------------------------------------------------------------------------------------


def test_nothing_is_read_after_a_revocation(contacts: Relay) -> None:
    contacts.app.revoke(contacts.connection["id"])
    contacts.refused(CONTACTS, "connection_revoked")


def test_nothing_is_handed_out_of_what_was_revoked_while_the_provider_answered(
    contacts: Relay, google: Google, house_of_google: House
) -> None:
    google.quirk(delay={"/v1/people": 0.6})
    answers: list[Raw] = []
    reading = Thread(target=lambda: answers.append(contacts.get(CONTACTS)))
    reading.start()
    time.sleep(0.2)
    assert house_of_google.client().revoke(contacts.connection["id"]).status_code in (200, 202)
    reading.join()
    is_a_problem(answers[0], 410, "connection_revoked")


def test_a_withdrawn_connector_gives_nothing(at_google: Callable[..., Relay], house_of_google: House) -> None:
    relay = at_google("google_contacts")
    relay.connection = relay.app.connect("google_contacts", "google_calendar", connection=relay.connection["id"])
    relay.app.withdraw(relay.connection["id"], "google_contacts")
    relay.refused(CONTACTS, "grant_withdrawn")


def test_an_access_is_counted_with_its_records(contacts: Relay, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "broker.records")
    contacts.ask(f"{CONTACTS}?pageSize=3")
    noted = [record for record in caplog.records if record.getMessage() == "accessed"][-1]
    assert (noted.__dict__["records"], noted.__dict__["connector"]) == (3, "google_contacts")


def test_another_tenants_connection_is_not_found(contacts: Relay, house_of_google: House) -> None:
    contacts.app = house_of_google.client("relay", tenants=("warung",))
    contacts.refused(CONTACTS, "not_found")
