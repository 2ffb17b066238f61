"""Refreshing by several hosts and processes at once, killed, stopped, raced by a revocation (I3, I5; REL-07, REL-20).

The fake Google rotates refresh tokens here and ends the whole family at the reuse of a spent one, as the strictest
providers do: so a second refresh with the same token would not go unnoticed (docs/facts/security.md §5.2).
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import select, update

from broker.models import AuditEntry, Connection
from tests.crash.test_crash import QUICK, dies, eventually
from tests.house import SalesApp
from tests.processes import Installation, installed, resume


class Hosts:
    """Two gunicorn masters on one database; the first may have a failpoint armed."""

    def __init__(self, installation: Installation, folder: Path) -> None:
        self.installation, self.marker = installation, folder / "hit"

    def serve(self, armed: str = "") -> tuple[SalesApp, SalesApp]:
        """The same client at either host."""
        environ = {"BROKER_FAILPOINTS": f"{armed}@{self.marker}"} if armed else {}
        first = self.installation.gunicorn(**environ)
        second = self.installation.gunicorn(elsewhere=True)
        client = self.installation.app()
        self.installation.wait_ready(first, second)
        self.installation.google.quirk(rotate_refresh_tokens=True)
        return client, SalesApp(second.url, client.client_id, client.client_secret)

    def expire(self) -> None:
        """The access token has ended, as far as the broker knows."""
        with self.installation.database() as session:
            session.execute(
                update(Connection).values(fresh_until=Connection.created_at, access_expires_at=Connection.created_at)
            )

    def lease_ends(self) -> None:
        with self.installation.database() as session:
            session.execute(update(Connection).values(lease_until=Connection.created_at))

    def refreshes(self) -> int:
        """How often the provider was asked for a new token, by a refresh token."""
        return len(self.installation.google.requests("/token")) - self._exchanges

    def connected(self, app: SalesApp) -> str:
        connection = str(app.connect("google_contacts")["id"])
        self._exchanges = len(self.installation.google.requests("/token"))
        return connection

    def audit(self) -> list[AuditEntry]:
        with self.installation.database() as session:
            return list(session.scalars(select(AuditEntry)))


@pytest.fixture
def hosts(database_url: str, tmp_path: Path) -> Iterator[Hosts]:
    with installed(tmp_path, database_url, **QUICK) as installation:
        yield Hosts(installation, tmp_path)


def test_sixteen_readers_at_two_hosts_cause_one_refresh(hosts: Hosts) -> None:
    """REL-20, REL-21: exactly one, with a provider that takes its time; everybody gets data."""
    first, second = hosts.serve()
    connection = hosts.connected(first)
    hosts.installation.google.quirk(delay={"/token": 0.4})
    hosts.expire()
    bearers = [app.bearer for app in (first, second)]
    assert all(bearers)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: (first, second)[n % 2].records(connection).status_code, range(16)))
    assert answers == [200] * 16
    assert hosts.refreshes() == 1


def test_a_process_killed_before_it_called_costs_a_lease_and_no_more(hosts: Hosts) -> None:
    first, second = hosts.serve("refresh.leased=kill")
    connection = hosts.connected(first)
    hosts.expire()
    dies(lambda: first.records(connection))
    hosts.lease_ends()
    assert eventually(lambda: second.records(connection), 200).json()["records"]
    assert hosts.refreshes() == 1


def test_an_answer_that_was_lost_surfaces_once_and_nothing_loops(hosts: Hosts) -> None:
    """REL-07: the provider rotated, the process died before it stored. The old token is spent; that is said once."""
    first, second = hosts.serve("refresh.answered=kill")
    connection = hosts.connected(first)
    hosts.expire()
    dies(lambda: first.records(connection))
    hosts.lease_ends()
    assert eventually(lambda: second.records(connection), 409).json()["code"] == "reconnect_required"
    asked = hosts.refreshes()
    for _ in range(5):
        assert second.records(connection).json()["code"] == "reconnect_required"
    assert hosts.refreshes() == asked == 2
    ended = [entry for entry in hosts.audit() if entry.action == "connection.reconnect_required"]
    assert len(ended) == 1
    assert "ambiguous_refresh" in ended[0].detail


def test_a_process_killed_after_it_stored_has_served_all_others(hosts: Hosts) -> None:
    first, second = hosts.serve("refresh.stored=kill")
    connection = hosts.connected(first)
    hosts.expire()
    dies(lambda: first.records(connection))
    assert second.records(connection).status_code == 200
    assert hosts.refreshes() == 1


def test_a_process_stopped_past_its_lease_overwrites_nothing(hosts: Hosts) -> None:
    """REL-22: what it writes when it goes on matches no row."""
    first, second = hosts.serve("refresh.answered=stop")
    connection = hosts.connected(first)
    hosts.expire()
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(lambda: _quietly(first, connection))
        hosts.installation.server.wait_until(hosts.marker.exists, "the failpoint")
        hosts.lease_ends()
        answer = eventually(lambda: second.records(connection), 200, 409)
        before = _row(hosts)
        for worker in hosts.installation.processes.started:
            for child in worker.children():
                resume(child)
        late.result(timeout=30)
    time.sleep(0.5)
    assert _row(hosts) == before
    assert answer.json().get("code", "reconnect_required") == "reconnect_required"


def test_a_revocation_during_a_refresh_leaves_no_live_token(hosts: Hosts) -> None:
    """REL-31: who loses against the revocation owes the provider the token that it just got."""
    first, second = hosts.serve("refresh.answered=sleep:1")
    connection = hosts.connected(first)
    hosts.expire()
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(lambda: _quietly(first, connection))
        hosts.installation.server.wait_until(hosts.marker.exists, "the failpoint")
        second.revoke(connection)
        assert reading.result(timeout=30) in (409, 410)
    hosts.installation.run("work", "--once")
    assert hosts.installation.google.live_tokens() == 0
    assert second.records(connection).json()["code"] == "connection_revoked"


def _quietly(app: SalesApp, connection: str) -> int:
    try:
        return app.records(connection).status_code
    except requests.RequestException:
        return 0


def _row(hosts: Hosts) -> Any:
    with hosts.installation.database() as session:
        columns = (Connection.state, Connection.token_version, Connection.refresh_token, Connection.fence)
        return session.execute(select(*columns)).one()
