"""Google's own client library for Python, unchanged, reads through the relay: only its endpoint and its credentials are
the broker's (contract §4)."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build as build_client
from googleapiclient.errors import HttpError

from tests.house import ALL_SCOPES, House, SalesApp

SHEET = "1AniPelanggan0000000000000000000000000000001"
PROPERTY = "properties/510001"
DATES = [{"startDate": "7daysAgo", "endDate": "yesterday"}]


@pytest.fixture
def app(sqlite_house: House) -> SalesApp:
    return sqlite_house.client("relay", *ALL_SCOPES)


@pytest.fixture
def client(app: SalesApp) -> Iterator[Callable[..., Any]]:
    """`client("google_contacts", "people", "v1", "people.googleapis.com/")`: connected, and a client of that API."""
    with ExitStack() as stack:

        def made(connector: str, api: str, version: str, endpoint: str, **how: Any) -> Any:
            connection = app.connect(connector, **how)
            options = {"api_endpoint": f"{app.url}/v1/connections/{connection['id']}/relay/{connector}/{endpoint}"}
            found = build_client(
                api, version, credentials=Credentials(app.bearer), client_options=options, static_discovery=True
            )
            stack.callback(found.close)
            return found

        yield made


@pytest.fixture
def people(client: Callable[..., Any]) -> Any:
    return client("google_contacts", "people", "v1", "people.googleapis.com/")


@pytest.fixture
def calendar(client: Callable[..., Any]) -> Any:
    return client("google_calendar", "calendar", "v3", "www.googleapis.com/calendar/v3/")


@pytest.fixture
def mail(client: Callable[..., Any]) -> Any:
    return client("google_mail", "gmail", "v1", "gmail.googleapis.com/")


@pytest.fixture
def sheets(client: Callable[..., Any]) -> Any:
    return client("google_sheets", "sheets", "v4", "sheets.googleapis.com/", assets={"google_sheets": [SHEET]})


@pytest.fixture
def analytics(client: Callable[..., Any]) -> Any:
    return client(
        "google_analytics",
        "analyticsdata",
        "v1beta",
        "analyticsdata.googleapis.com/",
        assets={"google_analytics": [PROPERTY]},
    )


def refused(request: Any, status: int = 403) -> str:
    with pytest.raises(HttpError) as caught:
        request.execute()
    assert caught.value.resp.status == status, caught.value.content
    return caught.value.content.decode()


def test_every_contact_is_read_page_by_page(people: Any):
    found, request = (
        [],
        people.people().connections().list(resourceName="people/me", personFields="names,emailAddresses", pageSize=50),
    )
    while request is not None:
        page = request.execute()
        found += page["connections"]
        request = people.people().connections().list_next(request, page)
    assert len(found) > 100
    assert {member for person in found for member in person} == {"resourceName", "names", "emailAddresses"}


def test_a_field_that_was_not_granted_is_refused(people: Any):
    request = people.people().connections().list(resourceName="people/me", personFields="names,biographies")
    assert "operation_denied" in refused(request)


def test_an_operation_that_the_connector_does_not_declare_is_refused(people: Any):
    assert "operation_denied" in refused(people.contactGroups().list())
    assert "operation_denied" in refused(people.people().get(resourceName="people/me", personFields="names"))


def test_nothing_is_written(people: Any):
    refused(people.people().createContact(body={"names": [{"givenName": "Eve"}]}), 405)
    refused(people.people().deleteContact(resourceName="people/c1"), 405)


def test_events_are_read_in_their_order(calendar: Any):
    page = (
        calendar.events()
        .list(
            calendarId="primary", singleEvents=True, orderBy="startTime", timeMin="2020-01-01T00:00:00Z", maxResults=20
        )
        .execute()
    )
    assert len(page["items"]) == 20
    assert page["items"][0].keys() >= {"id", "status", "start", "end", "summary"}
    assert not {"htmlLink", "creator", "iCalUID", "etag"} & {member for item in page["items"] for member in item}


def test_an_events_changes_are_read_by_its_sync_token(calendar: Any):
    page: dict[str, Any] = {"nextPageToken": None}
    while "nextPageToken" in page:
        page = calendar.events().list(calendarId="primary", maxResults=250, pageToken=page["nextPageToken"]).execute()
    again = calendar.events().list(calendarId="primary", maxResults=250, syncToken=page["nextSyncToken"]).execute()
    assert again["items"] == []


def test_another_calendar_is_refused(calendar: Any):
    refused(calendar.events().list(calendarId="someone@example.com"))


def test_the_envelopes_of_messages_are_read_and_no_more(mail: Any):
    messages = mail.users().messages()
    listed = messages.list(userId="me", maxResults=3).execute()["messages"]
    read = [messages.get(userId="me", id=one["id"], format="metadata").execute() for one in listed]
    assert [one["id"] for one in read] == [one["id"] for one in listed]
    assert {header["name"] for one in read for header in one["payload"]["headers"]} >= {"From", "Subject"}
    assert all(one["payload"].keys() == {"headers"} and "snippet" not in one for one in read)


def test_the_text_of_a_message_is_refused(mail: Any):
    one = mail.users().messages().list(userId="me", maxResults=1).execute()["messages"][0]
    refused(mail.users().messages().get(userId="me", id=one["id"], format="full"))
    refused(mail.users().messages().attachments().get(userId="me", messageId=one["id"], id="a1"))
    refused(mail.users().messages().list(userId="me", q="rahasia"))


def test_what_changed_in_a_mailbox_is_told(mail: Any):
    profile = mail.users().getProfile(userId="me").execute()
    assert profile.keys() == {"historyId"}
    changes = mail.users().history().list(userId="me", startHistoryId=profile["historyId"]).execute()
    assert changes["history"] == []


def test_rows_of_the_granted_spreadsheet_are_read(sheets: Any):
    values = sheets.spreadsheets().values()
    found = values.batchGet(spreadsheetId=SHEET, ranges=["A1:C1", "A2:C11"]).execute()
    assert [len(one["values"]) for one in found["valueRanges"]] == [1, 10]
    refused(values.batchGet(spreadsheetId=SHEET, ranges=["Sheet2!A1:C1"]))
    refused(values.batchGet(spreadsheetId="1AniHarga000000000000000000000000000002", ranges=["A1:C1"]))


def test_a_report_is_read_by_post(analytics: Any):
    body = {
        "dateRanges": DATES,
        "dimensions": [{"name": "date"}],
        "metrics": [{"name": "sessions"}, {"name": "activeUsers"}],
        "orderBys": [{"dimension": {"dimensionName": "date"}, "desc": True}],
        "limit": 5,
    }
    report = analytics.properties().runReport(property=PROPERTY, body=body).execute()
    assert [head["name"] for head in report["metricHeaders"]] == ["sessions", "activeUsers"]
    assert len(report["rows"]) == 5
    assert all(len(row["metricValues"]) == 2 for row in report["rows"])


@pytest.mark.parametrize(
    "more",
    [
        {"dimensions": [{"name": "city"}]},
        {"metrics": [{"name": "sessions", "expression": "sessions"}]},
        {"dimensionFilter": {"filter": {"fieldName": "city", "stringFilter": {"value": "Bandung"}}}},
        {"orderBys": [{"dimension": {"dimensionName": "city"}}]},
        {"property": "properties/510002"},
        {"dimensions": [{"name": "x", "dimensionExpression": {"concatenate": {"dimensionNames": ["city"]}}}]},
    ],
    ids=lambda more: next(iter(more)),
)
def test_a_report_of_more_than_is_granted_is_refused(analytics: Any, more: dict[str, Any]):
    body = {"dateRanges": DATES, "metrics": [{"name": "sessions"}], **more}
    refused(analytics.properties().runReport(property=PROPERTY, body=body))
