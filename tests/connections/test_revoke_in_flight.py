"""I2: no data after a revocation has been answered, on any worker or host, also for requests in flight.

docs/facts/security.md REL-30, REL-33; docs/adr/0007. `BROKER_TEST_ROUNDS=200` makes it the long version.
"""

import os
import random
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.connections.watch import Wire, reader, request, watch
from tests.processes import Installation

ROUNDS = int(os.environ.get("BROKER_TEST_ROUNDS", "10"))
READERS = 8


@pytest.fixture
def two_hosts(installation: Installation) -> Iterator[Installation]:
    """A second gunicorn over the same database."""
    second = installation.gunicorn(elsewhere=True)
    second.wait_ready()
    yield installation
    second.kill()


def test_no_data_come_after_a_revocation_was_answered_whoever_reads_and_wherever(two_hosts: Installation) -> None:
    """REL-30."""
    installation, chance = two_hosts, random.Random(7)
    urls = [installation.url, installation.processes.started[-1].url]
    installation.google.quirk(delay={"/v1/people": 0.05})
    given = 0
    for number in range(ROUNDS):
        connection = installation.app().connect()["id"]
        path = f"/v1/connections/{connection}" + ("/grants/google_contacts" if number % 3 == 0 else "")
        apps = [installation.app(url=url) for url in urls]
        with ExitStack() as wires:
            readers = [wires.enter_context(reader(apps[n % 2], connection)) for n in range(READERS)]
            revoker = wires.enter_context(Wire(apps[number % 2].url, request(apps[number % 2], "DELETE", path)))
            assert watch(readers, revoker, after=chance.uniform(0.0, 0.3)).status in (200, 202)
        answers = [answer for wire in readers for answer in wire.answers]
        late = [f"{answer.late} bytes, {answer.latest:.3f} s late" for answer in answers if answer.has_late_data]
        assert not late, f"round {number}: {late}"
        assert {answer.status for answer in answers} <= {200, 403, 410}, {a.body for a in answers if a.status >= 500}
        given += sum(answer.status == 200 for answer in answers)
    assert given >= ROUNDS * READERS, "nobody read anything: this proves nothing"
