"""Faults of a network and of an overloaded service, which every fake has."""

import time

import pytest
import requests

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
