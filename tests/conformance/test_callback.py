"""Callback: the provider's answer in every form (contract §3, step 3; docs/facts/security.md STD-01 to STD-05)."""

from collections.abc import Mapping
from datetime import timedelta

import pytest
import requests

from tests.conformance.providers import Candidate
from tests.conformance.stage import Stage, altered
from tests.house import Browser, SalesApp, query


@pytest.fixture
def callback(stage: Stage, app: SalesApp, browser: Browser) -> str:
    """The user has allowed; the browser is on its way back."""
    return stage.callback(app, browser=browser)


def _refused(stage: Stage, answer: requests.Response) -> None:
    """A plain page, and nothing was exchanged."""
    assert answer.status_code == 400
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "Location" not in answer.headers
    assert stage.asked(stage.candidate.exchanged) == 0


def test_success_keeps_the_code_unspent(stage: Stage, app: SalesApp, browser: Browser, callback: str) -> None:
    returned = browser.come_back(callback)
    assert returned["status"] == app.status(returned["session"]) == "pending"
    assert returned["code"]
    assert query(callback)["code"] not in returned.values()
    assert stage.asked(stage.candidate.exchanged) == 0
    assert stage.fake.live_tokens() == 0


def test_a_no_at_the_provider_is_denied(stage: Stage, app: SalesApp, browser: Browser) -> None:
    returned = stage.pending(app, browser=browser, decision="cancel")
    assert returned["status"] == app.status(returned["session"]) == "denied"
    assert "code" not in returned
    assert stage.asked(stage.candidate.exchanged) == 0


def test_a_fault_is_no_refusal(
    stage: Stage, app: SalesApp, browser: Browser, callback: str, fault: Mapping[str, str]
) -> None:
    """docs/facts/meta.md §1.2: one provider says it without `error`."""
    returned = browser.come_back(altered(callback, code=None, **fault))
    assert returned["status"] == app.status(returned["session"]) == "failed"
    assert "code" not in returned
    assert stage.asked(stage.candidate.exchanged) == 0


def test_what_hangs_on_the_code_is_cut_off(
    stage: Stage, app: SalesApp, browser: Browser, callback: str, tail: str
) -> None:
    """docs/facts/meta.md §1.2, §3.1: the provider exchanges the code without it alone."""
    returned = browser.come_back(altered(callback, code=query(callback)["code"] + tail))
    answer = stage.confirm(app, returned)
    assert answer.status_code == 200, answer.text


def test_a_code_that_is_nothing_but_a_tail_is_refused(stage: Stage, browser: Browser, callback: str, tail: str) -> None:
    _refused(stage, browser.get(altered(callback, code=tail)))


def test_a_replay_is_refused(stage: Stage, app: SalesApp, browser: Browser, callback: str) -> None:
    returned = browser.come_back(callback)
    _refused(stage, browser.get(callback))
    assert app.status(returned["session"]) == "pending"


def test_a_replay_after_the_confirmation_changes_nothing(
    stage: Stage, app: SalesApp, browser: Browser, callback: str
) -> None:
    returned = browser.come_back(callback)
    first = stage.confirm(app, returned)
    assert browser.get(callback).status_code == 400
    assert stage.confirm(app, returned).json() == first.json()
    assert stage.asked(stage.candidate.exchanged) == 1


def test_another_browser_is_refused(stage: Stage, browser: Browser, callback: str) -> None:
    """The one that began goes on all the same."""
    _refused(stage, stage.browser().get(callback))
    assert browser.come_back(callback)["status"] == "pending"


def test_another_providers_path_is_refused(candidate: Candidate, stage: Stage, browser: Browser, callback: str) -> None:
    """STD-03: an answer of one provider is never taken for another's."""
    other = "google" if candidate.name != "google" else "facebook"
    _refused(stage, browser.get(callback.replace(f"/callback/{candidate.name}?", f"/callback/{other}?")))
    assert browser.come_back(callback)["status"] == "pending"


def test_an_unknown_state_is_refused(stage: Stage, browser: Browser, callback: str) -> None:
    _refused(stage, browser.get(altered(callback, state="S" * 43)))
    _refused(stage, browser.get(altered(callback, state=None)))


def test_an_answer_that_is_neither_or_both_is_refused(stage: Stage, browser: Browser, callback: str) -> None:
    _refused(stage, browser.get(altered(callback, code=None)))
    _refused(stage, browser.get(altered(callback, error="access_denied")))
    _refused(stage, browser.get(altered(callback, access_token="A-TOKEN")))


def test_an_answer_that_comes_too_late_is_refused(stage: Stage, browser: Browser, callback: str) -> None:
    stage.later(by=timedelta(minutes=11))
    _refused(stage, browser.get(callback))
