"""What goes out: exactly the URL that the operation and its parameters make, byte by byte, and our own headers."""

from collections.abc import Callable, Iterator

import pytest

from tests.house import BUDI, Google, House, SalesApp
from tests.records.wiretap import Wiretap, tapped

TEAM = "team-budi@group.calendar.google.com"


@pytest.fixture
def people(google: Google) -> Iterator[Wiretap]:
    with tapped(google.url) as tap:
        yield tap


@pytest.fixture
def tapped_house(build: Callable[..., House], sqlite_url: str, google: Google, people: Wiretap) -> House:
    """The data origins are reached through the tap, the others directly."""
    through = ("https://people.googleapis.com", "https://www.googleapis.com")
    direct = ("https://accounts.google.com", "https://oauth2.googleapis.com", "https://openidconnect.googleapis.com")
    origins = [f"{origin}={people.url}" for origin in through] + [f"{origin}={google.url}" for origin in direct]
    return build(sqlite_url, BROKER_ORIGINS=",".join(origins))


@pytest.fixture
def job(tapped_house: House) -> SalesApp:
    return tapped_house.client()


def test_a_reading_of_contacts_sends_exactly_this(job: SalesApp, people: Wiretap, google: Google):
    connection = job.connect("google_contacts", account=BUDI)
    people.sent.clear()
    first = job.records(connection["id"], limit=5)
    assert first.status_code == 200, first.text
    ((line, *headers),) = people.requests()
    assert line == (
        "GET /v1/people/me/connections?personFields=emailAddresses%2Cmetadata%2Cnames%2Corganizations%2CphoneNumbers"
        "&sources=READ_SOURCE_TYPE_CONTACT&pageSize=5&requestSyncToken=true HTTP/1.1"
    )
    token = google.requests("/v1/people")[0]["token"]
    assert sorted(headers, key=str.lower) == [
        "Accept-Encoding: identity",
        f"Authorization: Bearer {token}",
        f"Host: {people.url.removeprefix('http://')}",
        "User-Agent: integration-broker",
    ]


def test_a_calendars_name_is_encoded_as_one_segment(job: SalesApp, people: Wiretap):
    pending = job.pending("google_calendar", account=BUDI)
    connection = job.confirm(pending, assets={"google_calendar": [TEAM]}).json()["connection"]
    people.sent.clear()
    assert job.records(connection["id"], "google_calendar").status_code == 200
    assert [lines[0] for lines in people.requests()] == [
        "GET /calendar/v3/calendars/team-budi%40group.calendar.google.com/events?maxResults=100 HTTP/1.1"
    ]


def test_nothing_of_a_callers_request_goes_out(job: SalesApp, people: Wiretap):
    connection = job.connect("google_contacts", account=BUDI)
    people.sent.clear()
    headers = {
        "X-HTTP-Method-Override": "DELETE",
        "X-Goog-User-Project": "other",
        "Cookie": "a=COOKIE-1",
        "Referer": "https://sales.example/",
        "Accept-Language": "xx",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }
    assert job.call("GET", f"/v1/connections/{connection['id']}/records/google_contacts", headers=headers).ok
    sent = bytes(people.sent).decode()
    assert len(people.requests()) == 1
    assert job.bearer not in sent
    for text in ("DELETE", "X-Goog", "COOKIE-1", "sales.example", "Accept-Language", "0af7651916cd43dd"):
        assert text not in sent
