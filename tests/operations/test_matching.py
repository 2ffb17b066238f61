"""`Catalog.match`: the operation of a raw URL, or a denial. Nothing is decoded before it is matched (§4.3, §4.4 of
docs/facts/google.md; INP-01…INP-07, INP-10 of docs/facts/security.md)."""

import pytest

from broker.errors import OperationDenied
from broker.operations import Catalog, Operation, load

PEOPLE, CALENDAR = "https://people.googleapis.com", "https://www.googleapis.com/calendar/v3"
GOOGLE = Catalog.merged(load("people.v1", archive="google.zip"), load("calendar.v3", archive="google.zip"))


@pytest.mark.parametrize(
    ("method", "url", "expected"),
    [
        ("GET", f"{PEOPLE}/v1/people/me/connections", "people.people.connections.list"),
        ("GET", f"{PEOPLE}/v1/people/c1", "people.people.get"),
        ("GET", f"{PEOPLE}/v1/people:batchGet", "people.people.getBatchGet"),
        ("GET", f"{PEOPLE}/v1/people:searchContacts", "people.people.searchContacts"),
        ("DELETE", f"{PEOPLE}/v1/people/c1:deleteContact", "people.people.deleteContact"),
        ("PATCH", f"{PEOPLE}/v1/people/c1:updateContactPhoto", "people.people.updateContactPhoto"),
        ("GET", f"{PEOPLE}/v1/people/c%3A1", "people.people.get"),
        ("GET", f"{PEOPLE}/v1/contactGroups/g1", "people.contactGroups.get"),
        ("GET", f"{PEOPLE}/v1/otherContacts:search", "people.otherContacts.search"),
        ("GET", f"{CALENDAR}/calendars/primary/events", "calendar.events.list"),
        ("GET", f"{CALENDAR}/calendars/a%40example.com/events", "calendar.events.list"),
        ("GET", f"{CALENDAR}/calendars/a@example.com/events", "calendar.events.list"),
        ("GET", f"{CALENDAR}/calendars/id.indonesian%23holiday@group.v.calendar.google.com", "calendar.calendars.get"),
        ("GET", f"{CALENDAR}/users/me/calendarList", "calendar.calendarList.list"),
        ("POST", f"{CALENDAR}/freeBusy", "calendar.freebusy.query"),
        ("POST", f"{CALENDAR}/calendars/primary/events/import", "calendar.events.import"),
        ("GET", f"{CALENDAR}/calendars/primary/events/import", "calendar.events.get"),
    ],
)
def test_a_url_is_of_the_one_method_that_it_is_for(method: str, url: str, expected: str):
    assert GOOGLE.match(method, url).id == expected


@pytest.mark.parametrize(
    "path",
    [
        # INP-01: dot segments and separators, plain and encoded
        "/v1/people/../people/me/connections",
        "/v1/people/./connections",
        "/v1/people/../connections",
        "/v1/people/%2e%2e/connections",
        "/v1/people/%2E/connections",
        "/v1/people/.%2e/connections",
        "/v1/people/..;/connections",
        "/v1/people/me;x=y/connections",
        "/v1/people/me%3Bx/connections",
        "/v1/people/a%2fb/connections",
        "/v1/people/a%2Fb/connections",
        "/v1/people/a%5cb/connections",
        "/v1/people/a%5Cb/connections",
        "/v1/people/a\\b/connections",
        "/v1/people/me/..",
        "/v1/people/me/connections/..",
        # INP-02: encoded more than once
        "/v1/people/%252e%252e/connections",
        "/v1/people/a%252fb/connections",
        "/v1/people/a%25252fb/connections",
        # INP-03: what looks like ASCII and is not
        "/v1/people/%c0%ae%c0%ae/connections",
        "/v1/people/%EF%BC%8E%EF%BC%8E/connections",
        "/v1/people/．．/connections",
        "/v1/people/m%E2%80%8Be/connections",
        "/v1/people/%E2%80%AEme/connections",
        "/v1/peoplе/me/connections",
        # INP-04: control characters, blanks, non-ASCII
        "/v1/people/a%00b/connections",
        "/v1/people/a%0ab/connections",
        "/v1/people/a%0d%0ab/connections",
        "/v1/people/a%7fb/connections",
        "/v1/people/a\nb/connections",
        "/v1/people/a\tb/connections",
        "/v1/people/a b/connections",
        "/v1/people/a\x7fb/connections",
        "/v1/people/café/connections",
        "/v1/people/me/connections\n",
        # INP-05: empty segments
        "//v1/people/me/connections",
        "/v1//people/me/connections",
        "/v1/people//connections",
        "/v1/people/me/connections/",
        "/v1/people/me//connections",
        "/",
        "",
        # INP-08: version segments
        "/people/me/connections",
        "/v2/people/me/connections",
        "/v1/v1/people/me/connections",
        # INP-10: case
        "/V1/people/me/connections",
        "/v1/People/me/connections",
        "/v1/people/me/Connections",
        "/v1/people:batchget",
        # a query or fragment is not part of a path
        "/v1/people/me/connections?personFields=names",
        "/v1/people/me/connections?",
        "/v1/people/me/connections#x",
        "/v1/people/me/connections%3F",
        # what is broken, longer, or an unknown verb
        "/v1/people/me/connections%",
        "/v1/people/me/connections%2",
        "/v1/people/%zz/connections",
        "/v1/people/me&x/connections",
        "/v1/people/me/connections/more",
        "/v1/people/me/connections:list",
        "/v1/people/c1:steal",
        "/v1/people/a:b:deleteContact",
        "/v1/people/:deleteContact",
        "/v1/people:",
        "/upload/v1/people/me/connections",
        "/batch",
        "/batch/people/v1",
    ],
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_path_that_could_be_read_in_two_ways_or_is_not_listed_is_denied(method: str, path: str):
    with pytest.raises(OperationDenied):
        GOOGLE.match(method, PEOPLE + path)


@pytest.mark.parametrize(
    "origin",
    [
        # INP-06, INP-07: another scheme, host, port or form of the host; userinfo
        "http://people.googleapis.com",
        "HTTPS://people.googleapis.com",
        "https://People.googleapis.com",
        "https://PEOPLE.GOOGLEAPIS.COM",
        "https://people.googleapis.com.",
        "https://people.googleapis.com:443",
        "https://people.googleapis.com:",
        "https://user@people.googleapis.com",
        "https://user:pass@people.googleapis.com",
        "https://evil.example@people.googleapis.com",
        "https://people.googleapis.com@evil.example",
        "https://people.googleapis.com\\@evil.example",
        "https://evil.example",
        "https://people.googleapis.com.evil.example",
        "https://xpeople.googleapis.com",
        "https://www.googleapis.com",
        "https://142.250.4.95",
        "https://2398815327",
        "https://[::ffff:142.250.4.95]",
        "https://[people.googleapis.com",
        "https://people。googleapis。com",
        "https:/people.googleapis.com",
        "https:people.googleapis.com",
        "https:///people.googleapis.com",
        "//people.googleapis.com",
        "people.googleapis.com",
        " https://people.googleapis.com",
        "https://people.googleapis.com#",
        "https://people.googleapis.com?",
        "",
    ],
)
def test_another_origin_or_another_spelling_of_it_is_denied(origin: str):
    with pytest.raises(OperationDenied):
        GOOGLE.match("GET", f"{origin}/v1/people/me/connections")


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "get", "Get", "", "GET "]
)
def test_another_method_is_denied(method: str):
    with pytest.raises(OperationDenied):
        GOOGLE.match(method, f"{PEOPLE}/v1/people/me/connections")


def test_an_operation_of_one_api_is_not_found_at_another_host():
    with pytest.raises(OperationDenied):
        GOOGLE.match("GET", "https://people.googleapis.com/calendar/v3/calendars/primary/events")


def test_a_literal_wins_over_a_variable_with_a_literal_beside_it_and_that_over_a_bare_one():
    """From left to right (docs/facts/google.md §4.3), in whatever order the methods are listed."""
    templates = {
        "literal": "/v1/orders/mine",
        "affixed": "/v1/orders/{order}:close",
        "longer": "/v1/orders/o-{order}:close",
        "bare": "/v1/orders/{order}",
        "left": "/v1/orders/{order}/{item}",
        "right": "/v1/orders/mine/{item}",
        "last": "/v1/{kind}/mine/first",
    }
    found = [
        Operation(name, "GET", "https://api.example", template, frozenset({"orders"}), {})
        for name, template in templates.items()
    ]
    urls = {
        "mine": "literal",
        "1:close": "affixed",
        "o-1:close": "longer",
        "1": "bare",
        "1/2": "left",
        "mine/2": "right",
        "mine/first": "right",
    }
    for listed in (found, found[::-1]):
        for path, expected in urls.items():
            assert Catalog(listed).match("GET", f"https://api.example/v1/orders/{path}").id == expected


def test_a_segment_with_two_variables_fits_nothing():
    """No table has one. Where the first ends and the second begins, two could read in two ways."""
    two = Catalog([Operation("two", "GET", "https://api.example", "/v1/{a}-{b}", frozenset({"orders"}), {})])
    for path in ("1-2", "1", "-", "1-{b}", "{a}-{b}"):
        with pytest.raises(OperationDenied):
            two.match("GET", f"https://api.example/v1/{path}")
