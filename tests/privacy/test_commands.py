"""`broker privacy` and `broker incident` (docs/privacy.md)."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from broker import signing
from broker.models import ConnectionKey, TenantKey
from broker.privacy import incident
from broker.reading import declared_operations
from tests.cli.conftest import run
from tests.cli.said import Run
from tests.house import BUDI, House
from tests.privacy.canary import ACCOUNT, HINT, LABEL, SUBJECT, lived, sales_app, traces

__all__ = ["run"]


@pytest.fixture
def house(sqlite_house: House) -> House:
    return sqlite_house


def test_a_tenant_is_exported_erased_and_its_keys_destroyed(house: House, run: Run, tmp_path: Path) -> None:
    """PRV-13; the other tenant goes on."""
    app, other = sales_app(house), house.client(tenants=("warung",), tenant="warung", subject="budi")
    lived(app)
    theirs, file = other.connect(account=BUDI)["id"], tmp_path / "toko.ndjson"
    begun = run("privacy", "erase-tenant", "toko", "--export", str(file), "--yes", "--json")
    assert (begun.status, json.loads(begun.out)["state"]) == (0, "in_progress")
    assert [json.loads(line)["subject"] for line in file.read_text().splitlines()] == [SUBJECT]
    assert run("privacy", "erase-tenant", "toko", "--export", str(file), "--yes").status == 2
    house.work()
    done = json.loads(run("privacy", "erase-tenant", "toko", "--no-export", "--yes", "--json").out)
    stated = signing.verified(done["jws"], signing.public_keys(house.broker))
    assert (done["state"], stated["erased"]["subjects"], stated["subject_hash"]) == ("completed", 1, "*")
    again = json.loads(run("privacy", "erase-tenant", "toko", "--no-export", "--yes", "--json").out)
    assert again["id"] == done["id"]
    file.unlink()
    assert traces(house, SUBJECT, LABEL, HINT, ACCOUNT) == []
    with house.broker.database.read() as session:
        assert "toko" not in session.scalars(select(TenantKey.tenant)).all()
        assert "toko" not in session.scalars(select(ConnectionKey.tenant)).all()
    assert other.records(theirs).status_code == 200


def test_a_subject_is_exported_and_erased_from_the_command_line(house: House, run: Run) -> None:
    app = sales_app(house)
    lived(app)
    assert json.loads(run("privacy", "export", "toko", SUBJECT).out)["connections"][0]["account"]["id"] == ACCOUNT
    assert run("privacy", "erase", "toko", SUBJECT, typed="n\n").status == 1
    erasure = json.loads(run("privacy", "erase", "toko", SUBJECT, "--yes", "--json").out)
    house.work()
    shown = run("privacy", "certificate", erasure["id"])
    assert "completed" in shown.out
    assert "connections: 1" in shown.out
    assert run("privacy", "certificate", "era_none").status == 1


def test_the_record_of_processing_has_each_connector_and_each_operation(house: House, run: Run) -> None:
    """PRV-14: what is added is in it, for it is made from what connectors declare."""
    found = {
        entry["processing"]: entry for entry in map(json.loads, run("privacy", "processing", "--json").out.splitlines())
    }
    broker = house.broker
    named = {provider.kind for provider in broker.providers.values()}
    assert found.keys() == {name for name, one in broker.connectors.items() if one.provider in named}
    provider = broker.provider("google")
    for name, connector in broker.connectors.items():
        if connector.provider == "google":
            declared = declared_operations(provider, provider.resources[connector.reads.resource])
            assert set(declared) <= set(found[name]["operations"])
            assert set(connector.reads.fields) <= set(found[name]["data"])
    assert "google_contacts: " in run("privacy", "processing").out


def test_the_report_names_exactly_what_one_client_read_in_the_window(
    house: House, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PRV-15, to the row: persons, data, operations, times; over many pages."""
    monkeypatch.setattr(incident, "PAGE", 1)
    app, other = house.client(subject="ani"), house.client(subject="budi")
    mine, theirs = app.connect("google_contacts")["id"], other.connect("google_contacts", account=BUDI)["id"]
    app.records(mine)
    house.broker.accesses.write()
    house.clock.advance(hours=5)
    app, other = house.client(subject="ani"), house.client(subject="budi")
    began = house.clock()
    for reader, connection in ((app, mine), (app, mine), (other, theirs)):
        assert reader.records(connection, limit=2).status_code == 200
    house.broker.accesses.write()
    app.revoke(mine)
    window = ("--from", _at(began), "--to", _at(began + timedelta(hours=1)), "--json")
    lines = _lines(run("incident", "report", *window).out)
    read = {(line["subject"], line["client"], line["pages"]) for line in lines if line["kind"] == "access"}
    assert read == {("ani", app.client_id, 2), ("budi", other.client_id, 1)}
    one = next(line for line in lines if line.get("subject") == "ani" and line["kind"] == "access")
    assert (one["operation"], one["connector"]) == ("people.people.connections.list", "google_contacts")
    assert "phone" in " ".join(one["fields"]).lower()
    assert {line["action"] for line in lines if line["kind"] == "change"} >= {"connection.revoked", "grant.withdrawn"}
    assert lines[-1]["persons"] == 2
    only = _lines(run("incident", "report", *window, "--client", other.client_id).out)
    assert [(line["subject"], line["records"]) for line in only if line["kind"] == "access"] == [("budi", 2)]
    assert only[-1] == {"kind": "totals", "persons": 1, "accesses": 1, "records": 2, "changes": 0}
    said = run("incident", "report", *window[:-1], "--tenant", "toko", "--connector", "google_contacts").out
    assert "2 persons" in said
    assert run("incident", "report", "--from", "2026-11-25", "--to", "2026-11-25").status == 2


def _at(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S")


def _lines(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]
