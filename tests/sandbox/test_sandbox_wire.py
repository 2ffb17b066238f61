"""Faults of a network and of an overloaded service, which every fake has."""

import json
import time

import pytest
import requests

from broker.sandbox.malformed import HUGE
from tests.sandbox.google_client import Client


def test_an_outage_with_a_status(google: Client) -> None:
    token = google.connect()["access_token"]
    google.quirk(outage={"/v1/people": 503, "/token": 500})
    assert google.people(token).status_code == 503
    assert google.refresh("ANY").json() == {"error": "internal_failure"}
    assert google.events(token).status_code == 200


def test_an_outage_with_html(google: Client) -> None:
    google.quirk(outage={"/token": "html"})
    answer = google.refresh("ANY")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html")


def test_an_outage_that_drops_the_connection(google: Client) -> None:
    google.quirk(outage={"/token": "reset"})
    with pytest.raises(requests.ConnectionError):
        google.refresh("ANY")
    google.http.delete(f"{google.url}/_sandbox/quirks")
    assert google.refresh("ANY").status_code == 400


def test_an_outage_that_hangs_until_the_quirk_ends(google: Client) -> None:
    google.quirk(outage={"/v1/userinfo": "hang"})
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{google.url}/v1/userinfo", timeout=0.2)
    assert google.http.get(f"{google.url}/oauth2/v3/certs").status_code == 200


def test_delay(google: Client) -> None:
    google.quirk(delay={"/oauth2/v3/certs": 0.2})
    began = time.monotonic()
    google.http.get(f"{google.url}/oauth2/v3/certs")
    assert time.monotonic() - began >= 0.2


def test_rate_limits_come_in_each_services_envelope(google: Client) -> None:
    google.quirk(rate_limit={"/v1/people": 7, "/calendar": None})
    people, events = google.people("ANY"), google.events("ANY")
    assert (people.status_code, people.headers["Retry-After"]) == (429, "7")
    assert people.json()["error"]["details"][0]["reason"] == "RATE_LIMIT_EXCEEDED"
    assert (events.status_code, "Retry-After" in events.headers) == (403, False)
    assert events.json()["error"]["errors"][0] == {
        "domain": "usageLimits",
        "reason": "rateLimitExceeded",
        "message": "Rate Limit Exceeded",
    }


def test_a_rate_limit_in_a_chosen_envelope(google: Client) -> None:
    google.quirk(rate_limit={"/calendar": {"envelope": "details", "status": 429, "retry_after": 3}})
    events = google.events("ANY")
    assert (events.status_code, events.headers["Retry-After"]) == (429, "3")
    assert events.json()["error"]["status"] == "RESOURCE_EXHAUSTED"


def test_a_request_that_met_an_outage_is_logged(google: Client) -> None:
    google.quirk(outage={"/token": 503})
    google.refresh("ANY")
    last = google.state()["requests"][-1]
    assert (last["path"], last["grant_type"], last["status"]) == ("/token", "refresh_token", 503)


def test_a_fault_lasts_for_some_calls_after_some(google: Client) -> None:
    google.quirk(outage={"/token": {"value": 503, "after": 1, "times": 2}})
    assert [google.refresh("ANY").status_code for _ in range(4)] == [400, 503, 503, 400]
    assert google.state()["quirks"] == {}


def test_the_longest_prefix_counts(google: Client) -> None:
    google.quirk(outage={"/": 500, "/token": 503})
    assert google.refresh("ANY").status_code == 503
    assert google.people("ANY").status_code == 500


def test_a_redirect_leads_to_where_following_it_shows(google: Client) -> None:
    google.quirk(outage={"/v1/people": 302})
    answer = google.http.get(f"{google.url}/v1/people/me/connections", allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/elsewhere")
    google.people("ANY")
    assert google.requests("/elsewhere")


@pytest.mark.parametrize(
    ("path", "envelope"), [("/v1/people/me/connections", "status"), ("/calendar/v3/users/me/calendarList", "errors")]
)
def test_an_outage_speaks_as_its_service_does(google: Client, path: str, envelope: str) -> None:
    google.quirk(outage={"/": 503})
    assert envelope in google.get(path, "ANY").json()["error"]


def _spoiled(google: Client, kind: str) -> requests.Response:
    token = google.connect()["refresh_token"]
    google.quirk(malformed={"/token": kind})
    answer = google.refresh(token)
    assert answer.status_code == 200
    return answer


@pytest.mark.parametrize("kind", ["truncated", "empty", "not_json", "not_utf8", "deep"])
def test_a_spoiled_answer_cannot_be_read(google: Client, kind: str) -> None:
    with pytest.raises((ValueError, RecursionError)):
        json.loads(_spoiled(google, kind).content)


@pytest.mark.parametrize(("kind", "value"), [("no_members", {}), ("null", None), ("list", [])])
def test_a_spoiled_answer_is_nothing_to_work_with(google: Client, kind: str, value: object) -> None:
    assert _spoiled(google, kind).json() == value


@pytest.mark.parametrize(
    ("kind", "seen"),
    [("lone_surrogate", '"surprise":"\\ud800"'), ("nan", '"surprise":NaN'), ("endless_number", '"surprise":999')],
)
def test_a_spoiled_answer_has_a_member_that_is_no_json(google: Client, kind: str, seen: str) -> None:
    answer = _spoiled(google, kind)
    assert '"access_token"' in answer.text
    assert seen in answer.text


def test_a_spoiled_answer_says_a_member_twice(google: Client) -> None:
    pairs = json.loads(_spoiled(google, "twice").text, object_pairs_hook=list)
    assert [name for name, _ in pairs].count("access_token") == 2


def test_a_spoiled_answer_has_members_of_other_types(google: Client) -> None:
    assert set(map(type, _spoiled(google, "other_types").json().values())) == {list}


@pytest.mark.parametrize("kind", ["huge", "bomb"])
def test_a_spoiled_answer_is_far_too_long(google: Client, kind: str) -> None:
    token = google.connect()["refresh_token"]
    google.quirk(malformed={"/token": kind})
    form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": "CLIENT-1", "client_secret": "ANY"}
    with google.http.post(f"{google.url}/token", data=form, stream=True) as answer:
        packed = answer.headers.get("Content-Encoding") == "gzip"
        assert (int(answer.headers["Content-Length"]) < 100_000) is packed is (kind == "bomb")
        assert sum(len(piece) for piece in answer.iter_content(1 << 20)) == HUGE


def test_a_cut_answer_promises_more_than_comes(google: Client) -> None:
    token = google.connect()["refresh_token"]
    google.quirk(malformed={"/token": "cut"})
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        google.refresh(token)


def test_an_answer_that_trickles_comes_byte_by_byte(google: Client) -> None:
    """Each byte is in time, the whole is not: what a deadline for each read does not notice."""
    google.quirk(trickle={"/token": 0.004})
    began = time.monotonic()
    answer = google.refresh("ANY", scope="ANY")
    assert answer.json()["error"] == "invalid_grant"
    assert time.monotonic() - began >= 0.004 * len(answer.content)
