"""`broker revoke` and `broker receipts`: what the operator ends, and what anybody can check offline."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.said import Run
from tests.connections.test_revoke import of_kios
from tests.house import House, SalesApp


@pytest.fixture
def house(sqlite_house: House) -> House:
    """What the database is has no part in this."""
    return sqlite_house


def test_without_anything_named_it_ends_nothing(run: Run, app: SalesApp) -> None:
    connection = app.connect()["id"]
    for arguments in ((), ("--yes",), ("--reason", "x", "--yes"), ("--tenant", "", "--yes"), ("--subject=",)):
        assert run("revoke", *arguments).status == 2
    assert run("revoke", "--connection", connection, "--tenant", "toko", "--yes").status == 2
    assert run("revoke", "--tenant", "toko").status == 1
    assert run("revoke", "--tenant", "toko", typed="n\n").status == 1
    assert app.records(connection).status_code == 200


def test_a_dry_run_says_what_would_end_and_it_is_ended_when_confirmed(run: Run, app: SalesApp) -> None:
    connection = app.connect()["id"]
    said = run("revoke", "--tenant", "toko", "--subject", "ani", "--dry-run", "--json")
    assert said.json() == {"would_end": [{"connection": connection}], "siblings": []}
    assert app.records(connection).status_code == 200
    said = run("revoke", "--tenant", "toko", "--subject", "ani", "--reason", "left", typed="y\n")
    assert said.status == 0
    assert "1 connections match" in said.err
    assert app.records(connection).status_code == 410
    (receipt,) = app.call("GET", "/v1/revocations").json()["items"]
    assert receipt["id"] in said.out
    assert receipt["reason"] == "left"


def test_a_provider_is_ended_in_every_tenant(run: Run, app: SalesApp, house: House) -> None:
    stranger = of_kios(house)
    connections = [(app, app.connect()["id"]), (stranger, stranger.connect()["id"])]
    said = run("revoke", "--provider", "google", "--yes", "--json")
    assert sorted(receipt["tenant"] for receipt in said.json()["revocations"]) == ["kios", "toko"]
    assert {client.records(connection).status_code for client, connection in connections} == {410}
    assert run("revoke", "--provider", "google", "--yes", "--json").json() == {"revocations": []}


def test_one_connection_and_one_grant_of_it(run: Run, app: SalesApp) -> None:
    connection = app.connect()["id"]
    dry = run("revoke", "--connection", connection, "--connector", "google_calendar", "--dry-run")
    assert dry.out.split() == [connection, "google_calendar"]
    run("revoke", "--connection", connection, "--connector", "google_calendar", "--yes")
    assert app.records(connection, "google_calendar").status_code == 403
    assert app.records(connection).status_code == 200
    said = run("revoke", "--connection", connection, "--yes", "--json")
    assert said.json()["revocations"][0]["connections"][0]["id"] == connection
    assert app.records(connection).status_code == 410
    assert run("revoke", "--connection", "con_0", "--yes").status == 1


# --- receipts ------------------------------------------------------------------------------------------------


@pytest.fixture
def kept(run: Run, app: SalesApp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder with an export of two receipts and the keys, as an auditor has it: no settings, no database."""
    connection = app.connect()["id"]
    app.withdraw(connection, "google_calendar")
    app.revoke(connection)
    (tmp_path / "receipts.jsonl").write_text(run("receipts", "export").out)
    (tmp_path / "keys.json").write_text(run("receipts", "keys").out)
    return tmp_path


def offline(monkeypatch: pytest.MonkeyPatch, house: House) -> None:
    for name in house.environ:
        monkeypatch.delenv(name)


def test_an_export_verifies_offline(run: Run, kept: Path, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    offline(monkeypatch, house)
    said = run("receipts", "verify", "receipts.jsonl", "--jwks", "keys.json", "--json")
    assert (said.status, [item["verified"] for item in said.json()["receipts"]]) == (0, [True, True])
    text = (kept / "receipts.jsonl").read_text()
    piped = run("receipts", "verify", "-", "--jwks", "keys.json", piped=text.splitlines()[0])
    assert piped.status == 0
    first = json.loads(text.splitlines()[0])
    assert f"{first['id']}: {first['state']}, 1 ended" in piped.out


def altered(text: str, **members: Any) -> str:
    return json.dumps(json.loads(text.splitlines()[0]) | members)


def test_what_does_not_check_out_is_said_and_ends_with_1(
    run: Run, kept: Path, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (kept / "receipts.jsonl").read_text()
    other = kept / "other.json"
    other.write_text(run("receipts", "keys").out.replace('"kid": "', '"kid": "x'))
    offline(monkeypatch, house)
    wrong = [
        (altered(text, subject="budi"), "keys.json", "altered"),
        (altered(text, jws=json.loads(text.splitlines()[0])["jws"][:-6] + "AAAAAA"), "keys.json", "signature"),
        (altered(text, jws=None), "keys.json", "not signed"),
        (text, "other.json", "not in the key set"),
        (text, "receipts.jsonl", "JWK Set"),
        ("", "keys.json", "no receipt"),
        ("nonsense", "keys.json", "three parts"),
    ]
    for given, keys, why in wrong:
        said = run("receipts", "verify", "-", "--jwks", keys, piped=given)
        assert (said.status, why in said.err) == (1, True), (why, said)
    assert run("receipts", "verify", "no-such-file", "--jwks", "keys.json").status == 2
    assert run("receipts", "verify", "-").status == 2


def test_a_receipt_is_shown_and_verifies_after_a_rotation(run: Run, kept: Path, app: SalesApp) -> None:
    (first, _) = [json.loads(line) for line in (kept / "receipts.jsonl").read_text().splitlines()]
    assert "signed by" in run("receipts", "rotate-key").out
    shown = run("receipts", "show", first["id"]).json()
    assert shown["id"] == first["id"]
    assert shown["jws"] != first["jws"]
    (kept / "both.json").write_text(json.dumps({"revocations": [first, shown]}))
    (kept / "newer.json").write_text(run("receipts", "keys").out)
    assert run("receipts", "verify", "both.json", "--jwks", "newer.json").status == 0
    assert run("receipts", "verify", "both.json", "--jwks", "keys.json").status == 1
    assert run("receipts", "show", "rev_0").status == 1


def test_orphans_are_listed_without_secrets(run: Run, house: House, app: SalesApp) -> None:
    assert run("receipts", "orphans", "--json").json() == {"orphans": []}
    connection = app.connect()["id"]
    app.revoke(connection)
    house.google.quirk(outage={"/revoke": 503})
    for _ in range(4):
        house.work()
        house.clock.advance(days=3)
    said = run("receipts", "orphans", "--json")
    (orphan,) = said.json()["orphans"]
    assert (said.status, orphan["state"], orphan["connection"]) == (1, "given_up", connection)
    assert "given_up" in run("receipts", "orphans").out
