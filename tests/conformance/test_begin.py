"""Begin: what the browser takes to a provider (contract §3, steps 1 and 2)."""

import re

from tests.conformance.providers import Candidate
from tests.conformance.stage import Stage
from tests.house import Browser, SalesApp, query


def test_the_request_asks_for_what_the_connector_reads_and_no_more(
    candidate: Candidate, stage: Stage, app: SalesApp, browser: Browser
) -> None:
    """docs/facts/security.md STD-20."""
    asked = query(stage.departure(app, browser=browser))
    assert frozenset(re.split("[ ,]", asked["scope"])) == candidate.scopes
    assert asked["response_type"] == "code"
    assert asked["redirect_uri"] == f"{app.url}/callback/{candidate.name}"
    assert len(asked["state"]) >= 43


def test_pkce_is_sent_where_the_provider_knows_it(
    candidate: Candidate, stage: Stage, app: SalesApp, browser: Browser
) -> None:
    """docs/facts/meta.md §1.4, §3.1."""
    asked = query(stage.departure(app, browser=browser))
    assert asked.get("code_challenge_method") == ("S256" if candidate.pkce else None)
    assert len(asked.get("code_challenge", "")) == (43 if candidate.pkce else 0)


def test_each_departure_has_a_state_of_its_own(stage: Stage, app: SalesApp, browser: Browser) -> None:
    addresses = [query(stage.departure(app, browser=browser)) for _ in range(2)]
    assert addresses[0]["state"] != addresses[1]["state"]


def test_looking_at_the_page_asks_the_provider_nothing(
    candidate: Candidate, stage: Stage, app: SalesApp, browser: Browser
) -> None:
    """Discovery apart: where an issuer is served has to be known."""
    url = app.begin(candidate.connector, provider=candidate.name)
    assert [browser.get(url).status_code for _ in range(3)] == [200, 200, 200]
    assert [entry["path"] for entry in stage.fake.requests() if "well-known" not in entry["path"]] == []


def test_a_no_here_never_reaches_the_provider(
    candidate: Candidate, stage: Stage, app: SalesApp, browser: Browser
) -> None:
    url = app.begin(candidate.connector, provider=candidate.name)
    returned = query(browser.post(url, {"decision": "deny"}).headers["Location"])
    assert returned["status"] == app.status(returned["session"]) == "denied"
    assert [entry["path"] for entry in stage.fake.requests() if "well-known" not in entry["path"]] == []


def test_what_is_unticked_here_is_not_asked_for(
    candidate: Candidate, stage: Stage, app: SalesApp, browser: Browser, second: str
) -> None:
    address = browser.approve(app.begin(candidate.connector, second, provider=candidate.name), [candidate.connector])
    assert frozenset(re.split("[ ,]", query(address)["scope"])) == candidate.scopes
    answer = stage.confirm(app, browser.come_back(browser.at_provider(address, account=candidate.ani)))
    assert [grant["connector"] for grant in answer.json()["connection"]["grants"]] == [candidate.connector]


def test_a_connector_of_another_provider_is_refused(candidate: Candidate, stage: Stage, app: SalesApp) -> None:
    other = "google_contacts" if candidate.name != "google" else "facebook_profile"
    assert app.session(candidate.connector, other, provider=candidate.name).status_code == 422
    assert app.session(other, provider=candidate.name).status_code == 422
