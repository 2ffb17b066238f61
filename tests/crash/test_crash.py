"""Killed outright (-9) at each named point of connecting, confirming, refreshing and revoking: what was acknowledged
stays, nothing is half done, no live token is left that nobody knows of (I4, I5, REL-01…10).
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import select, update

from broker.connections import use
from broker.failpoint import NAMES
from broker.models import AuditEntry, Connection, Duty
from tests.house import ANI, Browser, SalesApp
from tests.processes import Installation, installed

QUICK = {"BROKER_REQUEST_DEADLINE": "4", "BROKER_PROVIDER_DEADLINE": "1.5"}
"""An exchange that died is given up after twice the request deadline, a lease a little after the provider's."""
ELSEWHERE = {
    "erase.asked",
    "erase.cleaned",
    "event.sent",
    "mass.batch",
    "restore.replayed",
    "shredlog.owed",
    "shredlog.written",
    "webhook.changed",
    "write.checked",
}
"""Failpoints that other files reach."""
REACHED: set[str] = set()
"""Failpoints that a test of this run has seen hit."""


class Killing:
    """An installation in which one failpoint kills the process that comes to it first."""

    def __init__(self, installation: Installation, folder: Path) -> None:
        self.installation, self._folder = installation, folder

    def serve(self, point: str) -> SalesApp:
        """Serve with this failpoint armed; a client of it."""
        self.point, self.marker = point, self._folder / f"{point}.hit"
        armed = f"{point}=kill@{self.marker}"
        self.installation.serve("--threads", "4", BROKER_FAILPOINTS=armed)
        app = self.installation.app()
        self.installation.wait_ready()
        return app

    def was_hit(self) -> None:
        assert self.marker.exists(), f"{self.point} was never reached"
        REACHED.add(self.point)

    def actions(self) -> list[str]:
        with self.installation.database() as session:
            return list(session.scalars(select(AuditEntry.action)))


@pytest.fixture
def killing(database_url: str, tmp_path: Path) -> Iterator[Killing]:
    with installed(tmp_path, database_url, **QUICK) as installation:
        yield Killing(installation, tmp_path)


def dies(act: Callable[[], Any]) -> None:
    """The connection ends without an answer."""
    with pytest.raises(requests.ConnectionError):
        act()


def eventually(act: Callable[[], requests.Response], *statuses: int, within: float = 20.0) -> requests.Response:
    """Repeat a request, as a caller would, until it is answered so."""
    deadline = time.monotonic() + within
    while True:
        try:
            answer = act()
            if answer.status_code in statuses:
                return answer
            seen = f"{answer.status_code} {answer.text}"
        except requests.ConnectionError as error:
            seen = type(error).__name__
        assert time.monotonic() < deadline, seen
        time.sleep(0.2)


def works(app: SalesApp) -> str:
    """Connecting and reading work as ever; the connection's id."""
    connection = str(app.connect("google_contacts")["id"])
    assert app.records(connection).json()["records"]
    return connection


def test_a_session_that_was_stored_but_not_answered_is_the_one_a_repetition_gets(killing: Killing) -> None:
    """REL-01."""
    app = killing.serve("begin.stored")
    key = {"Idempotency-Key": "once"}
    body = {
        "tenant": app.tenant,
        "subject": app.subject,
        "provider": "google",
        "connectors": ["google_contacts"],
        "return_url": "https://sales.example/linked?tab=accounts",
    }
    dies(lambda: app.call("POST", "/v1/connect-sessions", body, headers=key))
    killing.was_hit()
    answer = eventually(lambda: app.call("POST", "/v1/connect-sessions", body, headers=key), 201)
    assert killing.actions().count("session.begun") == 1
    assert requests.get(answer.json()["url"], timeout=10).status_code == 200


def test_a_consent_that_was_stored_but_not_answered_can_be_sent_again(killing: Killing) -> None:
    """REL-02: the user reloads and goes on; the first state dies unused."""
    app = killing.serve("approve.stored")
    browser, url = Browser(), app.begin("google_contacts")
    dies(lambda: browser.approve(url, ["google_contacts"]))
    killing.was_hit()
    back = browser.come_back(browser.at_google(browser.approve(url, ["google_contacts"])))
    assert app.confirm(back).status_code == 200


def test_a_callback_that_was_stored_but_not_answered_leaves_no_token(killing: Killing) -> None:
    """REL-03: the user starts again; the code stays unspent."""
    app = killing.serve("complete.stored")
    browser = Browser()
    callback = browser.at_google(browser.approve(app.begin("google_contacts"), ["google_contacts"]))
    dies(lambda: browser.get(callback))
    killing.was_hit()
    assert browser.get(callback).status_code == 400
    assert killing.installation.google.live_tokens() == 0
    works(app)


@pytest.mark.parametrize("point", ["confirm.claimed", "confirm.exchanged"])
def test_a_confirm_that_died_on_its_way_ends_its_session_and_is_listed(killing: Killing, point: str) -> None:
    """REL-04: nobody knows what came of the code, so it is listed, and the user can connect again."""
    app = killing.serve(point)
    returned = app.pending("google_contacts")
    dies(lambda: app.confirm(returned))
    killing.was_hit()
    answer = eventually(lambda: app.confirm(returned), 502)
    assert answer.json()["retryable"] is False
    assert "session.possibly_orphaned" in killing.actions()
    works(app)


def test_a_confirm_that_was_stored_but_not_answered_answers_when_repeated(killing: Killing) -> None:
    """REL-06: acknowledged or not, it is durable."""
    app = killing.serve("confirm.activated")
    returned = app.pending("google_contacts")
    dies(lambda: app.confirm(returned))
    killing.was_hit()
    connection = app.confirm(returned).json()["connection"]
    assert connection["state"] == "active"
    assert app.records(connection["id"]).json()["records"]


@pytest.mark.parametrize("point", ["refresh.leased", "refresh.answered", "refresh.stored"])
def test_a_refresh_that_died_is_done_by_the_next_request(killing: Killing, point: str) -> None:
    """REL-07, at a provider that does not rotate: the lease ends, and the refresh token still works."""
    app = killing.serve(point)
    connection = works(app)
    with killing.installation.database() as session:
        session.execute(update(Connection).values(fresh_until=Connection.created_at))
    time.sleep(2 * use.RELIED_ON)  # it was changed past the broker
    dies(lambda: app.records(connection))
    killing.was_hit()
    assert eventually(lambda: app.records(connection), 200).json()["records"]
    assert app.connection(connection)["state"] == "active"


@pytest.mark.parametrize("point", ["revoke.committed", "tell.counted", "tell.sent", "tell.settled"])
def test_a_revocation_is_finished_whoever_dies_on_the_way(killing: Killing, point: str) -> None:
    """REL-10: no data ever again, the provider is told, the key destroyed, the receipt complete."""
    app = killing.serve(point)
    connection = works(app)
    if point == "revoke.committed":
        dies(lambda: app.revoke(connection))
    revocation = eventually(lambda: app.revoke(connection), 200, 202).json()["revocation"]
    assert app.records(connection).json()["code"] == "connection_revoked"
    if point.startswith("tell"):
        with killing.installation.database() as session:
            session.execute(update(Duty).where(Duty.open.is_(True)).values(lease_until=None))
    done = eventually(lambda: _completed(app, revocation["id"]), 200, within=90)
    killing.was_hit()
    assert done.json()["connections"][0]["provider_outcome"] in ("confirmed", "already_gone")
    assert done.json()["connections"][0]["shredded_at"]
    assert killing.installation.google.live_tokens() == 0


def _completed(app: SalesApp, revocation: str) -> requests.Response:
    answer = app.call("GET", f"/v1/revocations/{revocation}")
    if answer.json()["state"] != "completed":
        answer.status_code = 0
    return answer


def test_every_failpoint_was_reached_by_one_of_these_tests(request: pytest.FixtureRequest) -> None:
    """It stands last in its file, and says nothing where only a part of the file was run."""
    here = [item for item in request.session.items if item.path == request.path]
    if len(here) > len(NAMES):
        assert set(NAMES) - ELSEWHERE == REACHED


def test_failpoints_are_refused_in_production(killing: Killing) -> None:
    environ = {"BROKER_ENV": "production", "BROKER_ORIGINS": "", "BROKER_PUBLIC_URL": "https://broker.example"}
    process = killing.installation.work("--once", BROKER_FAILPOINTS="begin.stored=kill", **environ)
    assert process.wait() == 1
    assert "BROKER_FAILPOINTS is for tests only" in process.said()


def test_a_failpoint_that_is_not_armed_does_nothing(killing: Killing) -> None:
    app = killing.serve("tell.settled")
    assert app.connect("google_contacts")["account"]["id"] == ANI
    assert not killing.marker.exists()
