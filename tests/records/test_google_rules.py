"""Rules below the method, of Google's resources: what is asked for, and what of an answer is let through. Pure.

Each test names its rule of docs/facts/google.md §4.6.
"""

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker import scopes
from broker.app import load_connectors
from broker.contract import Reads
from broker.providers import built_in
from broker.providers.google import table
from broker.providers.resource import Place, Resource
from tests.records.raw import EVENT, disturbed
from tests.records.raw_google import MAIL, OTHER_PERSON

GOOGLE = built_in()["google"]
RESOURCES = GOOGLE.resources
AUTH = "https://www.googleapis.com/auth/"
BEGUN = Place(fields=("date", "metric", "value"), limit=100, began="2026-11-25T03:00:00Z")


def auth(*names: str) -> frozenset[str]:
    return frozenset(AUTH + name for name in names)


def seen(name: str, raw: dict[str, Any], opened: frozenset[str]) -> dict[str, Any]:
    """What of a raw record a connector that asks for everything is passed with these scopes."""
    resource = RESOURCES[name]
    fields = [field for field in resource.fields if scopes.opened(field, resource.fields, opened)]
    return resource.passed_on(raw, fields, opened)


# --- Gmail -------------------------------------------------------------------------------------------------------

MESSAGES, IDS = RESOURCES["messages"], RESOURCES["message_ids"]
PLACES = [Place(), Place(page="first"), Place(page="p2"), Place(changes="4000017"), Place(page="p", changes="4000017")]


@pytest.mark.parametrize("place", [None, *PLACES])
def test_g1_no_search_is_sent_not_even_an_empty_one(place: Place | None):
    assert "q" not in IDS.parameters((), None, place, 50)


@pytest.mark.parametrize("fields", [(), ("threadId",), tuple(MESSAGES.fields)])
def test_g2_g5_a_message_is_asked_for_in_the_format_metadata_with_its_headers_named(fields: tuple[str, ...]):
    values = MESSAGES.parameters(fields, None, Place(within="19a0"), 100)
    assert values == {
        "userId": "me",
        "id": "19a0",
        "format": "metadata",
        "metadataHeaders": ["From", "To", "Cc", "Subject", "Date", "Message-ID"],
    }


def test_g3_nothing_of_ours_is_opened_by_a_wider_scope_of_gmail_than_metadata():
    of_gmail = {
        value
        for resource in RESOURCES.values()
        for values in resource.fields.values()
        for value in values
        if "gmail" in value or "mail.google.com" in value
    }
    assert of_gmail == auth("gmail.metadata")


def test_g5_of_a_message_its_text_is_never_let_through_whatever_the_token_opened():
    whole = {
        **MAIL,
        "raw": "SECRET-TEXT",
        "payload": {
            **MAIL["payload"],
            "body": {"data": "SECRET-TEXT"},
            "parts": [{"body": {"data": "SECRET-TEXT"}, "headers": [{"name": "Subject", "value": "SECRET-TEXT"}]}],
            "filename": "SECRET-TEXT.pdf",
            "headers": [
                *MAIL["payload"]["headers"],
                {"name": "Received", "value": "SECRET-TEXT"},
                {"name": "Bcc", "value": "SECRET-TEXT"},
                {"name": "subject", "value": "Order 1", "more": "SECRET-TEXT"},
            ],
        },
    }
    got = seen("messages", whole, auth("gmail.metadata", "gmail.readonly", "gmail.modify"))
    assert sorted(got) == ["id", "internalDate", "labelIds", "payload", "threadId"]
    assert "SECRET-TEXT" not in str(got)
    names = [header["name"] for header in got["payload"]["headers"]]
    assert names == ["From", "To", "Cc", "Subject", "Date", "Message-ID", "subject"]


@given(disturbed(MAIL).filter(lambda value: isinstance(value, dict)))
def test_g5_of_no_payload_anything_but_texts_of_the_headers_asked_for_is_left(raw: dict[str, Any]):
    got = MESSAGES.visible(scopes.cut(raw, ("id",), MESSAGES.fields), frozenset())
    if "payload" in got:
        assert list(got["payload"]) == ["headers"]
        for header in got["payload"]["headers"]:
            assert sorted(header) == ["name", "value"]
            assert header["name"].lower() in {"from", "to", "cc", "subject", "date", "message-id"}


@pytest.mark.parametrize("place", PLACES)
def test_g9_the_mailbox_is_always_the_users_own(place: Place):
    assert IDS.parameters((), None, place, 50)["userId"] == "me"
    assert MESSAGES.parameters((), None, place, 50)["userId"] == "me"


@pytest.mark.parametrize("answer", [{}, {"id": "another"}, {"id": None}, {"id": ["19a0"]}])
def test_a_message_that_is_not_the_one_asked_for_is_malformed(answer: dict[str, Any]):
    with pytest.raises(ValueError, match="not the message"):
        MESSAGES.listing(answer, Place(within="19a0"))


def test_a_full_reading_of_mail_notes_its_place_first_then_lists_then_later_asks_for_changes():
    operations = [IDS.operation_at(place) for place in (Place(), Place(page="first"), Place(changes="4000017"))]
    assert operations == ["gmail.users.getProfile", "gmail.users.messages.list", "gmail.users.history.list"]
    begun = IDS.listing({"emailAddress": "a@example.com", "historyId": "17"}, Place())
    assert begun.next
    assert (begun.items, begun.has_more, begun.next.changes) == ([], True, "17")
    with pytest.raises(ValueError, match="historyId"):
        IDS.listing({"emailAddress": "a@example.com"}, Place())


def test_of_a_history_what_was_deleted_is_told_as_gone_and_each_message_once():
    def of(*keys: str) -> list[dict[str, Any]]:
        return [{"message": {"id": key, "threadId": "t"}} for key in keys]

    history = [
        {"id": "1", "messages": [{"id": "unmentioned"}], "messagesAdded": of("a", "b")},
        {"id": "2", "labelsAdded": of("a"), "labelsRemoved": of("c")},
        {"id": "3", "messagesDeleted": [*of("b", "b"), {"message": {"id": 7}}, {}, "x"]},
    ]
    found = IDS.listing({"history": history, "historyId": "40"}, Place(changes="17"))
    assert [message["id"] for message in found.items] == ["a", "c"]
    assert found.gone == ("b",)
    assert found.next
    assert (found.has_more, found.next.changes) == (False, "40")


def test_a_history_without_changes_has_no_list():
    found = IDS.listing({"historyId": "40"}, Place(changes="17"))
    assert (found.items, found.gone, found.has_more) == ([], (), False)


# --- People ------------------------------------------------------------------------------------------------------

CONTACTS, OTHERS = RESOURCES["contacts"], RESOURCES["other_contacts"]


@pytest.mark.parametrize(("resource", "mask"), [(CONTACTS, "personFields"), (OTHERS, "readMask")])
def test_p5_the_mask_is_always_sent_and_names_what_is_permitted_alone(resource: Resource, mask: str):
    assert resource.parameters(("names", "metadata"), None, None, 50)[mask] == "metadata,names"


def test_p6_other_contacts_have_no_more_fields_than_their_source_gives():
    assert set(OTHERS.fields) <= {"emailAddresses", "metadata", "names", "phoneNumbers", "photos"}
    assert OTHERS.parameters(("names",), None, None, 50)["sources"] == "READ_SOURCE_TYPE_CONTACT"


def test_p7_contacts_and_other_contacts_are_opened_by_scopes_that_have_nothing_in_common():
    openers = [{scope for values in resource.fields.values() for scope in values} for resource in (CONTACTS, OTHERS)]
    assert openers == [auth("contacts", "contacts.readonly"), auth("contacts.other.readonly")]


SOURCES = ("ACCOUNT", "PROFILE", "DOMAIN_PROFILE", "CONTACT", "OTHER_CONTACT", "DOMAIN_CONTACT")


def opening_all() -> frozenset[str]:
    """Every scope that opens anything of ours."""
    tables = (resource.fields for resource in RESOURCES.values())
    return frozenset(scope for table in tables for values in table.values() for scope in values)


@pytest.mark.parametrize(("name", "own"), [("contacts", "CONTACT"), ("other_contacts", "OTHER_CONTACT")])
@pytest.mark.parametrize("kind", SOURCES)
def test_p8_values_of_the_source_that_the_scope_opens_are_kept_and_no_others(name: str, own: str, kind: str):
    source = {"type": kind, "id": "1"}
    value = {"value": "x@example.org", "metadata": {"source": source}}
    raw = {"resourceName": "people/c1", "emailAddresses": [value], "metadata": {"sources": [source]}}
    got = seen(name, raw, opening_all())
    assert got["emailAddresses"] == ([value] if kind == own else [])
    assert got["metadata"]["sources"] == ([source] if kind == own else [])


def test_p8_a_whole_other_contact_keeps_all_its_own_values():
    got = seen("other_contacts", OTHER_PERSON, auth("contacts.other.readonly"))
    assert got == {name: value for name, value in OTHER_PERSON.items() if name != "etag"}


def test_p9_only_the_users_own_connections_are_asked_for():
    assert CONTACTS.parameters(("names",), None, None, 50)["resourceName"] == "people/me"


# --- Calendar ----------------------------------------------------------------------------------------------------

EVENTS = RESOURCES["events"]
BUSY = {"id", "status", "start", "end", "transparency", "recurringEventId"}


def test_c3_c6_whoever_may_see_free_and_busy_alone_sees_no_title_and_no_guests():
    got = seen("events", EVENT, auth("calendar.events.freebusy"))
    assert set(got) == BUSY
    assert "Call" not in str(got)
    assert "customer1@example.org" not in str(got)


def test_c6_a_connector_that_needs_titles_gets_nothing_with_free_and_busy_alone():
    reads = load_connectors()["google_calendar"].reads
    operation = frozenset(auth("calendar.events.freebusy", "calendar.events.readonly"))
    assert isinstance(
        scopes.decide(reads, EVENTS.fields, operation, auth("calendar.events.freebusy"), reads.fields), scopes.Denied
    )
    busy = Reads("events", required=("status", "start", "end"), optional=("transparency", "summary"))
    found = scopes.decide(busy, EVENTS.fields, operation, auth("calendar.events.freebusy"), busy.fields)
    assert isinstance(found, scopes.Permitted)
    assert found.fields == ("status", "start", "end", "transparency")
    assert [entry.field for entry in found.withheld] == ["summary"]


@pytest.mark.parametrize(
    "scope",
    [
        "calendar.events.public.readonly",
        "calendar.events.owned",
        "calendar.events.owned.readonly",
        "calendar.app.created",
    ],
)
def test_c3_a_scope_of_partial_reach_opens_no_event_though_the_method_accepts_it(scope: str):
    assert AUTH + scope in GOOGLE.operation("calendar.events.list", None).scopes  # type: ignore[arg-type]
    assert seen("events", EVENT, auth(scope)) == {"id": "call1"}


def test_c5_the_source_of_an_event_is_never_passed_on():
    assert "source" not in seen("events", {**EVENT, "source": {"url": "https://x.example"}}, opening_all())


def test_c2_no_scope_of_events_opens_the_list_of_calendars():
    raw = {"id": "team@group.calendar.google.com", "summary": "Team"}
    assert seen("calendars", raw, auth("calendar.events", "calendar.events.readonly")) == {"id": raw["id"]}


# --- Drive and Sheets --------------------------------------------------------------------------------------------

FILES, ROWS = RESOURCES["spreadsheets"], RESOURCES["rows"]
SHEET = "1AniPelanggan"


def test_r1_what_is_asked_for_opens_single_files_alone():
    connector = load_connectors()["google_sheets"]
    assert connector.choices
    asked = {
        *scopes.needed(connector.reads.fields, ROWS.fields),
        *scopes.needed(connector.choices.fields, FILES.fields),
    }
    assert asked == auth("drive.file")


def test_r1_a_file_that_is_not_open_to_the_app_is_an_asset_lost():
    body = {"error": {"code": 403, "errors": [{"domain": "global", "reason": "appNotAuthorizedToFile"}]}}
    assert GOOGLE.verdict(403, body, 1).kind == "asset"
    assert (GOOGLE.verdict(404, None, 1).kind, ROWS.not_found) == ("gone", "asset")


def test_r3_of_a_file_no_link_to_its_content_is_passed_on():
    raw = {"id": "1", "name": "Harga", "webContentLink": "l", "exportLinks": {"x": "l"}, "thumbnailLink": "l"}
    assert seen("spreadsheets", raw, opening_all()) == {"id": "1", "name": "Harga"}
    assert FILES.as_asset(raw) == ("1", "Harga")
    assert "alt" not in FILES.parameters(("name",), None, None, 100)


@pytest.mark.parametrize("place", [Place(limit=100), Place(page="102", limit=100), Place(page="102+", limit=100)])
def test_r6_no_other_sheet_than_the_first_is_ever_named(place: Place):
    ranges = ROWS.parameters(("headings", "cells"), SHEET, place, 100)["ranges"]
    assert ranges
    assert not any("!" in text or "'" in text for text in ranges)


def test_r7_rows_are_read_by_the_call_that_read_only_scopes_open():
    operation = GOOGLE.operation(ROWS.operation, None)  # type: ignore[arg-type]
    assert operation.method == "GET"
    assert auth("spreadsheets.readonly", "drive.file") <= operation.scopes


def sheet(rows: list[list[Any]], place: Place, grid: int = 1000) -> dict[str, Any]:
    """What Sheets answers for this place, of a sheet with these rows and a grid of so many."""
    found = []
    for text in ROWS.parameters((), SHEET, place, place.limit)["ranges"]:
        first, last = (int(end.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")) for end in text.split(":"))
        assert first <= grid, "Google answers 400 for a range that begins beyond the grid"
        values = rows[first - 1 : min(last, grid)]
        while values and not any(values[-1]):
            values = values[:-1]
        head = {"range": f"Sheet1!A{first}:Z{min(last, grid)}", "majorDimension": "ROWS"}
        found.append({**head, "values": values} if values else head)
    return {"spreadsheetId": SHEET, "valueRanges": found}


def whole(rows: list[list[Any]], limit: int, grid: int = 1000) -> tuple[list[dict[str, Any]], int]:
    """Every row that a reading gives, and how many calls it took."""
    place, found, calls = Place(limit=limit), [], 0
    while True:
        listing = ROWS.listing(sheet(rows, place, grid), place)
        assert len(listing.items) <= limit
        found += [dict(item) for item in listing.items]
        calls += 1
        if not listing.has_more:
            return found, calls
        assert listing.next
        place = listing.next


@given(
    filled=st.lists(st.booleans(), max_size=60),
    limit=st.integers(1, 25),
    spare=st.integers(0, 3),
)
def test_every_row_with_a_value_is_read_once_whatever_the_page_the_gaps_and_the_grid(
    filled: list[bool], limit: int, spare: int
):
    rows = [["Nama"], *([f"r{number}"] if full else [] for number, full in enumerate(filled, 2))]
    found, _ = whole(rows, limit, grid=len(rows) + spare)
    assert [(row["row"], row["cells"], row["headings"]) for row in found] == [
        (str(number), [f"r{number}"], ["Nama"]) for number, full in enumerate(filled, 2) if full
    ]


def test_an_empty_sheet_has_no_rows():
    assert whole([], 100) == ([], 2)
    assert whole([["Nama"]], 100, grid=1) == ([], 1)


def test_the_empty_rest_of_a_large_grid_is_not_read_to_its_end():
    _, calls = whole([["Nama"], ["a"]], 10, grid=1_000_000)
    assert calls == 2


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"valueRanges": []},
        {"valueRanges": [{"range": "Sheet1!A1:Z102"}, {}]},
        {"valueRanges": [{"range": 7}]},
        {"valueRanges": [{"range": "Sheet1"}]},
        {"valueRanges": [{"range": "Sheet1!A1:Z102", "values": {}}]},
        {"valueRanges": [{"range": "Sheet1!A1:Z102", "values": ["x"]}]},
        {"valueRanges": ["x"]},
    ],
)
def test_rows_that_are_none_are_malformed(answer: dict[str, Any]):
    with pytest.raises(ValueError, match=r"range|rows|list"):
        ROWS.listing(answer, Place(limit=100))


# --- Analytics and Business Profile ------------------------------------------------------------------------------

TRAFFIC, FOUND = RESOURCES["traffic"], RESOURCES["performance"]
METRICS = ("activeUsers", "sessions", "keyEvents", "totalRevenue")


def report(*rows: tuple[str, ...], hidden: tuple[str, ...] = (), count: int | None = None) -> dict[str, Any]:
    notes = [{"metricName": name, "restrictedMetricTypes": ["REVENUE_DATA"]} for name in hidden]
    return {
        "dimensionHeaders": [{"name": "date"}],
        "metricHeaders": [{"name": name} for name in METRICS],
        "rows": [
            {"dimensionValues": [{"value": row[0]}], "metricValues": [{"value": value} for value in row[1:]]}
            for row in rows
        ],
        "rowCount": len(rows) if count is None else count,
        "metadata": {"currencyCode": "IDR", "schemaRestrictionResponse": {"activeMetricRestrictions": notes}},
    }


def test_a_figure_that_the_users_role_hides_is_told_as_hidden_and_never_as_zero():
    """§4.6.5: it comes as a zero, with a note beside it."""
    listing = TRAFFIC.listing(report(("20261101", "3", "4", "0", "0"), hidden=("totalRevenue",)), BEGUN)
    by_metric = {item["metric"]: item for item in listing.items}
    assert by_metric["totalRevenue"]["value"] is None
    assert by_metric["totalRevenue"]["restriction"] == "REVENUE_DATA"
    assert by_metric["keyEvents"]["value"] == "0"
    assert "restriction" not in by_metric["keyEvents"]
    record = load_connectors()["google_analytics"].convert(by_metric["totalRevenue"])
    assert record["restricted"] is True
    assert "value" not in record


def test_a_report_asks_for_the_dimensions_that_are_permitted_alone():
    body = TRAFFIC.body(("date", "metric", "value"), "properties/1", BEGUN, 100)
    assert body
    assert body["dimensions"] == [{"name": "date"}]
    assert [metric["name"] for metric in body["metrics"]] == list(METRICS)


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 7, 100])
def test_pages_of_a_report_give_each_figure_once_and_never_more_than_the_limit(limit: int):
    rows = [(f"202611{day:02}", "1", "2", "3", "4") for day in range(1, 8)]
    place, ids = Place(fields=("date",), limit=limit, began=BEGUN.began), []
    while True:
        body = TRAFFIC.body(("date",), "properties/1", place, limit)
        assert body
        first, size = int(body["offset"]), int(body["limit"])
        listing = TRAFFIC.listing(report(*rows[first : first + size], count=len(rows)), place)
        assert 0 < len(listing.items) <= limit
        ids += [item["id"] for item in listing.items]
        if not listing.has_more:
            break
        assert listing.next
        place = listing.next
    assert len(ids) == len(set(ids)) == len(rows) * len(METRICS)


def test_a_later_report_begins_some_days_before_the_earlier_one_began():
    body = TRAFFIC.body(("date",), "properties/1", Place(changes="2026-11-20T23:00:00Z", began=BEGUN.began), 100)
    assert body
    assert body["dateRanges"] == [{"startDate": "2026-11-17", "endDate": "today"}]


@pytest.mark.parametrize(
    "answer",
    [
        {"rows": "x"},
        {"rowCount": "3"},
        {"rowCount": True},
        {"rows": [{}], "rowCount": 1},
        {**report(("20261101", "1", "2", "3", "4")), "metricHeaders": [{"name": "sessions"}]},
        {**report(("20261101", "1", "2", "3", "4")), "dimensionHeaders": []},
        {**report(("20261101", "1", "2", "3", "4")), "dimensionHeaders": [{"name": "country"}]},
        report(("20261101", "1", "2", "3")),
    ],
)
def test_a_report_that_does_not_fit_what_was_asked_is_malformed(answer: dict[str, Any]):
    with pytest.raises(ValueError, match=r"list|number|asked|fit"):
        TRAFFIC.listing(answer, BEGUN)


def served(values: Any) -> dict[str, Any]:
    """What Business Profile answers for these parameters: a figure of each day and metric asked for."""
    first, last = (
        date(*(int(values[f"dailyRange.{end}.{part}"]) for part in ("year", "month", "day")))
        for end in ("startDate", "endDate")
    )
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    series = [
        {
            "dailyMetric": metric,
            "timeSeries": {"datedValues": [{"date": {"year": d.year, "month": d.month, "day": d.day}} for d in days]},
        }
        for metric in values["dailyMetrics"]
    ]
    return {"multiDailyMetricTimeSeries": [{"dailyMetricTimeSeries": series}]}


@pytest.mark.parametrize("limit", [1, 3, 8, 9, 100, 1000])
def test_pages_of_days_give_each_figure_once_and_never_more_than_the_limit(limit: int):
    place, ids = Place(limit=limit, changes="2026-11-20T01:00:00Z", began=BEGUN.began), []
    while True:
        values = FOUND.parameters((), "locations/1", place, limit)
        listing = FOUND.listing(served(values), place)
        assert len(listing.items) <= limit
        ids += [item["id"] for item in listing.items]
        if not listing.has_more:
            break
        assert listing.next
        place = listing.next
    assert len(ids) == len(set(ids)) == 13 * len(values["dailyMetrics"])
    assert (min(ids)[:10], max(ids)[:10]) == ("2026-11-13", "2026-11-25")


@pytest.mark.parametrize("value", [{"date": None}, {"date": {"year": 2026, "month": 13, "day": 1}}, {"date": {}}, {}])
def test_a_figure_without_a_day_is_no_figure(value: dict[str, Any]):
    answer = {
        "multiDailyMetricTimeSeries": [
            {"dailyMetricTimeSeries": [{"dailyMetric": "CALL_CLICKS", "timeSeries": {"datedValues": [value]}}]}
        ]
    }
    assert FOUND.listing(answer, BEGUN).items == []


def test_business_profile_lists_no_operation_that_writes():
    """§4.5: the one scope opens writing as well."""
    for api in ("businessprofileperformance", "mybusinessbusinessinformation"):
        operations = list(table(api))
        assert operations
        assert {operation.method for operation in operations} == {"GET"}
        assert {operation.scopes for operation in operations} == {auth("business.manage")}


# --- answers of any shape ----------------------------------------------------------------------------------------

DATED = {"date": {"year": 2026, "month": 11, "day": 1}, "value": "3"}
SERIES = {"dailyMetric": "CALL_CLICKS", "timeSeries": {"datedValues": [DATED]}}
CHANGE = {"message": {"id": "a", "threadId": "t", "labelIds": ["INBOX"]}}
ANSWERS: list[tuple[str, dict[str, Any], Place]] = [
    ("other_contacts", {"otherContacts": [OTHER_PERSON], "nextPageToken": "p", "nextSyncToken": "s"}, BEGUN),
    ("message_ids", {"emailAddress": "a@example.com", "historyId": "17"}, BEGUN),
    ("message_ids", {"messages": [{"id": "a", "threadId": "t"}], "nextPageToken": "p"}, Place(page="first")),
    (
        "message_ids",
        {
            "history": [{"id": "1", "messagesAdded": [CHANGE], "labelsRemoved": [CHANGE], "messagesDeleted": [CHANGE]}],
            "historyId": "40",
            "nextPageToken": "p",
        },
        Place(changes="17"),
    ),
    ("messages", MAIL, Place(within=MAIL["id"])),
    ("spreadsheets", {"files": [{"id": "1", "name": "Harga"}], "nextPageToken": "p"}, BEGUN),
    ("rows", {"valueRanges": [{"range": "Sheet1!A1:Z102", "values": [["Nama"], ["Dewi"]]}]}, BEGUN),
    (
        "properties",
        {"accountSummaries": [{"propertySummaries": [{"property": "properties/1", "displayName": "Web"}]}]},
        BEGUN,
    ),
    ("traffic", report(("20261101", "1", "2", "3", "4"), hidden=("totalRevenue",)), BEGUN),
    ("locations", {"locations": [{"name": "locations/1", "title": "Toko"}], "nextPageToken": "p"}, BEGUN),
    ("performance", {"multiDailyMetricTimeSeries": [{"dailyMetricTimeSeries": [SERIES]}]}, BEGUN),
]


@pytest.mark.parametrize(("name", "answer", "place"), ANSWERS, ids=[name for name, _, _ in ANSWERS])
@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_google_answers_is_a_listing_or_malformed(
    name: str, answer: dict[str, Any], place: Place, data: st.DataObject
):
    resource = RESOURCES[name]
    sent = data.draw(disturbed(answer).filter(lambda value: isinstance(value, dict)))
    try:
        listing = resource.listing(sent, place)
    except ValueError:
        return
    assert all(isinstance(key, str) and key for key in listing.gone)
    for raw in listing.items:
        resource.as_asset(raw)
        assert set(resource.passed_on(raw, resource.fields, frozenset())) <= {resource.identity, *resource.fields}


@pytest.mark.parametrize(("name", "answer", "place"), ANSWERS, ids=[name for name, _, _ in ANSWERS])
def test_what_google_answers_when_all_is_well_is_a_listing(name: str, answer: dict[str, Any], place: Place):
    listing = RESOURCES[name].listing(answer, place)
    assert listing.items or listing.gone or listing.has_more
