"""Renewing ahead of the end by several workers at once: raced, killed, overtaken by a revocation (I3, I5; REL-07,
REL-20, REL-31), at the providers whose tokens renew themselves, over both databases.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from sqlalchemy import select, update

from broker.models import AuditEntry, Connection, Duty
from broker.runtime import utc_now
from tests.crash.test_crash import QUICK
from tests.house import Google, SalesApp
from tests.meta import ANI, ANI_AT_INSTAGRAM, SETTINGS
from tests.postgres import TEMPLATE, Server
from tests.processes import Installation, Process, installed, wait_until

RENEWAL = {"facebook": "/v26.0/oauth/access_token", "instagram": "/refresh_access_token"}
CONNECTOR = {"facebook": "facebook_profile", "instagram": "instagram_media"}
ACCOUNT = {"facebook": ANI, "instagram": ANI_AT_INSTAGRAM}
each = pytest.mark.parametrize("provider", RENEWAL)


@dataclass
class Old:
    """An installation with a connection whose token must be renewed by now; no worker runs yet."""

    installation: Installation
    fake: Google
    provider: str
    app: SalesApp
    connection: str
    exchanged: int
    workers: list[Process] = field(default_factory=list)

    def worker(self, **environ: str) -> Process:
        self.workers.append(self.installation.work(**environ))
        return self.workers[-1]

    def renewals(self) -> int:
        return len(self.fake.requests(RENEWAL[self.provider])) - self.exchanged

    def reads(self) -> int:
        http = requests.Session()
        http.trust_env = False
        return replace(self.app, http=http).records(self.connection, CONNECTOR[self.provider]).status_code

    def row(self) -> Connection:
        with self.installation.database() as session:
            row = session.get_one(Connection, self.connection)
            session.expunge(row)
        return row

    def is_renewed(self) -> bool:
        obtained = self.row().obtained_at
        return obtained is not None and utc_now() - obtained < timedelta(days=1)

    def leases_end(self) -> None:
        """As when the time of whoever held them is over."""
        over = utc_now() - timedelta(minutes=1)
        with self.installation.database() as session:
            session.execute(update(Connection).where(Connection.lease_until.is_not(None)).values(lease_until=over))
            session.execute(update(Duty).where(Duty.lease_until.is_not(None)).values(lease_until=over))

    def audit(self) -> list[str]:
        with self.installation.database() as session:
            return list(session.scalars(select(AuditEntry.action).order_by(AuditEntry.seq)))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def served(
    request: pytest.FixtureRequest, _migrated_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """`gunicorn` over each kind of database in turn, for all tests; each starts and ends workers of its own."""
    folder = tmp_path_factory.mktemp("tended")
    with ExitStack() as stack:
        url = f"sqlite:///{folder / 'broker.db'}"
        if request.param == "postgresql":
            server: Server = request.getfixturevalue("postgres")
            url = stack.enter_context(server.database(TEMPLATE))
        else:
            (folder / "broker.db").write_bytes(_migrated_file.read_bytes())
        installation = stack.enter_context(installed(folder, url, **SETTINGS, **QUICK))
        gunicorn = installation.gunicorn()
        installation.app()
        installation.wait_ready(gunicorn)
        yield installation


@pytest.fixture
def old(served: Installation, provider: str) -> Iterator[Old]:
    served.empty()
    base, _, port = served.sandbox.url.rpartition(":")
    fake = Google(f"{base}:{int(port) + {'facebook': 1, 'instagram': 2}[provider]}")
    fake.control("reset")
    app = served.app()
    connection = app.connect(CONNECTOR[provider], provider=provider, account=ACCOUNT[provider])["id"]
    if provider == "instagram":
        fake.control("clock", {"advance": 2 * 86_400})
    with served.database() as session:
        session.execute(update(Connection).values(obtained_at=utc_now() - timedelta(days=400)))
        session.execute(update(Duty).where(Duty.kind == "tend").values(due_at=utc_now()))
    found = Old(served, fake, provider, app, connection, len(fake.requests(RENEWAL[provider])))
    yield found
    for worker in found.workers:
        worker.kill()


@each
def test_two_workers_and_eight_readers_make_one_renewal(old: Old) -> None:
    """The provider takes its time, and the first worker's lease of the duty ends meanwhile: the second takes it too."""
    old.fake.quirk(delay={RENEWAL[old.provider]: 1.2})
    stop, statuses = threading.Event(), set[int]()

    def read() -> None:
        while not stop.is_set():
            statuses.add(old.reads())

    with ThreadPoolExecutor(8) as pool:
        readers = [pool.submit(read) for _ in range(8)]
        workers = [old.worker(), old.worker()]
        wait_until(lambda: old.row().lease_until is not None, "the lease of the connection")
        with old.installation.database() as session:
            session.execute(update(Duty).values(lease_until=utc_now() - timedelta(minutes=1)))
        wait_until(old.is_renewed, "the renewal")
        threading.Event().wait(1.5)
        stop.set()
        for reader in readers:
            reader.result()
    assert all(worker.is_running() for worker in workers)
    assert (statuses, old.renewals(), old.row().state) == ({200}, 1, "active")


@pytest.mark.parametrize(("point", "renewals"), [("refresh.leased", 1), ("refresh.answered", 2)])
@each
def test_a_worker_killed_in_the_middle_costs_a_lease_and_no_more(
    old: Old, point: str, renewals: int, tmp_path: Path
) -> None:
    """REL-07: what the provider had given is lost, and the token before it lives on."""
    marker = tmp_path / "hit"
    killed = old.worker(BROKER_FAILPOINTS=f"{point}=kill@{marker}")
    wait_until(lambda: not killed.is_running(), "the end of the worker")
    assert marker.exists(), killed.said()
    assert (old.is_renewed(), old.reads(), old.row().refresh_inflight) == (False, 200, True)
    old.leases_end()
    old.worker()
    wait_until(old.is_renewed, "the renewal")
    assert (old.renewals(), old.row().state, old.reads()) == (renewals, "active", 200)
    assert old.row().refresh_inflight is False
    assert "connection.reconnect_required" not in old.audit()


@each
def test_a_revocation_during_a_renewal_ends_the_new_token_too(old: Old, tmp_path: Path) -> None:
    """REL-31."""
    marker = tmp_path / "hit"
    old.worker(BROKER_FAILPOINTS=f"refresh.answered=sleep:1.5@{marker}")
    wait_until(marker.exists, "the answer of the provider")
    assert old.app.revoke(old.connection).status_code in (200, 202)
    wait_until(lambda: "orphan.ended" in old.audit(), "the end of the new token")
    wait_until(lambda: old.row().state == "revoked", "the end of the connection")
    assert (old.renewals(), old.reads()) == (1, 410)
    if old.provider == "facebook":
        assert old.fake.live_tokens() == 0
    (ended,) = old.app.call("GET", "/v1/revocations", params={"connection": old.connection}).json()["items"]
    assert (
        ended["connections"][0]["provider_outcome"]
        == {"facebook": "confirmed", "instagram": "not_supported"}[old.provider]
    )
