"""The sample sync job of the docs reads every connector of the sandbox, twice, the second time only the changes."""

import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

from broker.app import load_connectors
from tests.house import ANI as ANI_AT_GOOGLE
from tests.house import Google, House, SalesApp
from tests.meta import ANI, ANI_AT_INSTAGRAM, Facebook, Instagram

SCRIPT = Path(__file__).parents[2] / "docs" / "examples" / "sync_job.py"
ACCOUNTS = {"google": ANI_AT_GOOGLE, "facebook": ANI, "instagram": ANI_AT_INSTAGRAM}


def run(app: SalesApp, database: Path) -> dict[str, int]:
    """What the job says it changed, by connector and asset."""
    environ = {**os.environ, "BROKER": app.url, "CLIENT_ID": app.client_id, "CLIENT_SECRET": app.client_secret}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(database)], env=environ, capture_output=True, text=True, timeout=100
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    said = re.findall(r"^(.+): (\d+) changed$", done.stdout, re.MULTILINE)
    assert len(said) == len(done.stdout.splitlines()), done.stdout
    return {label: int(number) for label, number in said}


def connected(app: SalesApp) -> list[str]:
    """Every connector of the three providers, with one asset chosen where it takes one; the connectors' names."""
    names: list[str] = []
    for provider, account in ACCOUNTS.items():
        mine = sorted(name for name, connector in load_connectors().items() if connector.provider == provider)
        connection = app.connect(*mine, provider=provider, account=account)
        for grant in connection["grants"]:
            assert not grant["missing_scopes"], grant
            _choose_one(app, connection, grant["connector"])
        names += mine
    return names


def _choose_one(app: SalesApp, connection: dict[str, Any], connector: str) -> None:
    path = f"/v1/connections/{connection['id']}/assets/{connector}"
    offered = app.call("GET", path).json()["items"]
    if offered and not any(asset["granted"] for asset in offered):
        assert app.call("PUT", path, {"assets": [offered[0]["id"]]}).status_code == 200


def test_the_second_time_only_the_changes(
    meta: House, google: Google, facebook: Facebook, instagram: Instagram, tmp_path: Path
) -> None:
    """Issue of the records: each connector is read in full, then nothing has changed, then one contact has."""
    app, database = meta.client(), tmp_path / "customers.db"
    names = connected(app)
    first = run(app, database)
    assert {label.split()[0] for label in first} == set(names)
    assert all(first.values()), f"nothing was read: {[label for label, number in first.items() if not number]}"
    kept = sqlite3.connect(database).execute("SELECT type, COUNT(*) FROM records GROUP BY type").fetchall()
    assert {kind for kind, _ in kept} >= {"contact", "event", "message", "lead", "post", "comment", "metric", "profile"}
    second = run(app, database)
    assert not any(second.values()), {label: number for label, number in second.items() if number}
    contact = {"resourceName": "people/c7", "names": [{"displayName": "New Name"}]}
    google.control("contacts", {"account": "ani@example.com", "contact": contact})
    third = run(app, database)
    assert {label: number for label, number in third.items() if number} == {"google_contacts": 1}
