"""The operator's commands: what they print and how they end; bad input is named and changes nothing (INP-95…99)."""

import json
from pathlib import Path

import pytest
from joserfc.jwk import ECKey, KeySet

from broker import audit, cli
from broker.audit import entries
from broker.runtime import Broker
from tests.cli.said import Run, Said
from tests.house import RETURN_URL, House, SalesApp


@pytest.fixture
def house(sqlite_house: House) -> House:
    return sqlite_house


def commands() -> list[list[str]]:
    found = [[]]
    for name, command in cli.cli.commands.items():
        found.append([name])
        found += [[name, below] for below in getattr(command, "commands", {})]
    return found


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_explains_itself(run: Run, command: list[str]) -> None:
    said = run(*command, "--help")
    assert said.status == 0
    assert "Usage: " in said.out
    assert len(said.out.splitlines()) > 4


def test_an_unknown_command_is_a_misuse(run: Run) -> None:
    assert run("nothing").status == 2


def test_a_wrong_configuration_is_listed_whole_and_nothing_starts(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_PUBLIC_URL", "http://broker.example/path")
    monkeypatch.setenv("BROKER_GOOGLE_CLIENT_SECRET", "")
    monkeypatch.setenv("BROKER_REQUEST_DEADLINE", "soon")
    said = run("work", "--once")
    assert said.status == 1
    for name in ("BROKER_PUBLIC_URL", "BROKER_GOOGLE_CLIENT_SECRET", "BROKER_REQUEST_DEADLINE"):
        assert name in said.err
    assert "Traceback" not in said.err


# --- clients -------------------------------------------------------------------------------------------------


def added(run: Run, *more: str) -> Said:
    return run("clients", "add", "Sales app", "--scope", "connect", "--tenant", "toko", *more, "--json")


def test_a_client_is_registered_and_can_get_a_token(run: Run, house: House) -> None:
    facts = json.loads(added(run, "--return-url", RETURN_URL).out)
    assert set(facts) == {"client_id", "client_secret"}
    assert SalesApp(house.url, **facts).token().status_code == 200


@pytest.mark.parametrize(
    "wrong",
    [
        ("--scope", "everything"),
        ("--tenant", "two words"),
        ("--connector", "no_such"),
        ("--return-url", "http://sales.example/"),
        ("--return-url", "https://sales.example/*"),
        ("--return-url", "https://user@sales.example/"),
        ("--return-url", "https://sales.example/#part"),
        ("--return-url", "https://[::1/"),
        ("--return-url", "javascript:alert(1)"),
    ],
    ids=" ".join,
)
def test_a_client_that_could_not_work_is_refused(run: Run, house: House, wrong: tuple[str, str]) -> None:
    before = json.loads(run("clients", "list", "--json").out)
    said = added(run, *wrong)
    assert said.status == 2
    assert wrong[0] in said.err
    assert json.loads(run("clients", "list", "--json").out) == before


def test_a_client_with_keys_has_no_secret(run: Run, tmp_path: Path) -> None:
    key = ECKey.generate_key("P-256", {"kid": "k1"}, auto_kid=False)
    (tmp_path / "jwks.json").write_text(json.dumps(KeySet([key]).as_dict(private=False)))
    assert set(json.loads(added(run, "--jwks", str(tmp_path / "jwks.json")).out)) == {"client_id"}


def test_a_file_of_private_keys_is_refused(run: Run, tmp_path: Path) -> None:
    key = ECKey.generate_key("P-256", {"kid": "k1"}, auto_kid=False)
    (tmp_path / "jwks.json").write_text(json.dumps(KeySet([key]).as_dict(private=True)))
    said = added(run, "--jwks", str(tmp_path / "jwks.json"))
    assert said.status == 2
    assert "not a public key" in said.err
    assert key.as_dict(private=True)["d"] not in said.err


def test_a_secret_is_changed_with_an_overlap(
    run: Run,
    house: House,
) -> None:
    facts = json.loads(added(run).out)
    new = json.loads(run("clients", "rotate-secret", facts["client_id"], "--overlap", "1", "--json").out)
    assert SalesApp(house.url, **facts).token().status_code == 200
    assert SalesApp(house.url, **new).token().status_code == 200
    house.clock.advance(hours=1, seconds=5)
    assert SalesApp(house.url, **facts).token().status_code == 401
    assert SalesApp(house.url, **new).token().status_code == 200


def test_a_disabled_client_gets_no_token(run: Run, house: House) -> None:
    facts = json.loads(added(run).out)
    assert run("clients", "disable", facts["client_id"]).status == 0
    assert SalesApp(house.url, **facts).token().status_code == 401


def test_an_unknown_client_is_named_as_such(run: Run) -> None:
    assert run("clients", "disable", "cli_nobody").status == 1
    assert "no such client" in run("clients", "rotate-secret", "cli_nobody").err


# --- audit ---------------------------------------------------------------------------------------------------


def test_an_untouched_audit_verifies(run: Run, house: House) -> None:
    house.client().connect("google_contacts")
    said = run("audit", "verify", "--json")
    assert said.status == 0
    facts = json.loads(said.out)
    assert facts["faults"] == {}
    assert facts["entries"] > 5


def test_a_tampered_audit_ends_with_status_1_and_names_the_entry(run: Run, house: House) -> None:
    house.client().connect("google_contacts")
    _forge(house.broker)
    said = run("audit", "verify")
    assert said.status == 1
    assert "entry 2 was changed" in said.err


def test_an_export_verifies_by_itself_and_shows_a_chain_made_anew(run: Run, house: House, tmp_path: Path) -> None:
    """PRV-25: whoever owns the database can make all hashes anew; the export kept elsewhere shows it."""
    house.client().connect("google_contacts")
    (tmp_path / "kept.jsonl").write_text(run("audit", "export").out)
    assert run("audit", "verify", "--file", str(tmp_path / "kept.jsonl")).status == 0
    assert run("audit", "verify", "--against", str(tmp_path / "kept.jsonl")).status == 0
    _forge(house.broker, consistently=True)
    assert run("audit", "verify").status == 0
    said = run("audit", "verify", "--against", str(tmp_path / "kept.jsonl"))
    assert said.status == 1
    assert "not the one that was exported" in said.err


def test_a_file_that_is_no_export_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("[]\n")
    said = run("audit", "verify", "--file", str(tmp_path / "other"))
    assert said.status == 2
    assert "line 1 is no entry" in said.err


def _forge(broker: Broker, *, consistently: bool = False) -> None:
    """Change the second entry of the tenant's chain, and with it all hashes that follow."""
    from broker.models import AuditEntry, AuditHead

    rows = [row for row in entries(broker.database, "toko")]
    with broker.database.write() as session:
        previous = None
        for row in rows:
            row = session.merge(row)
            if row.seq == 2:
                row.actor = "somebody-else"
            if consistently:
                row.previous = previous if previous is not None else row.previous
                row.hash = previous = audit.hashed(row)
        assert isinstance(row, AuditEntry)
        session.get_one(AuditHead, "toko").hash = row.hash


# --- doctor and explain --------------------------------------------------------------------------------------


def test_the_doctor_finds_nothing_wrong_in_a_sound_house(run: Run) -> None:
    said = run("doctor", "--json")
    found = {finding["check"]: finding["held"] for finding in json.loads(said.out)}
    assert said.status == 0
    checks = ["configuration", "database", "schema", "keys", "shred log", "duties", "provider google"]
    assert found == dict.fromkeys(checks, True)


def test_the_doctor_says_how_to_mend_what_is_wrong(run: Run, house: House) -> None:
    house.google.quirk(outage={"/oauth2/v3/certs": 503})
    said = run("doctor")
    assert said.status == 1
    assert "✗ provider google" in said.out
    assert "way out" in said.out


def test_the_doctor_names_every_problem_of_the_configuration(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_KEYS", "")
    monkeypatch.setenv("BROKER_ENV", "staging")
    said = run("doctor", "--json")
    assert said.status == 1
    assert len(json.loads(said.out)) >= 2


def test_explain_says_that_everything_is_open(run: Run, house: House) -> None:
    connection = house.client().connect()["id"]
    facts = json.loads(run("explain", connection, "google_contacts", "--json").out)
    assert facts["verdict"] == "allowed"
    assert facts["resources"][0]["operation"] == "people.people.connections.list"


def test_explain_names_the_scope_that_would_open_it(run: Run, house: House) -> None:
    without = ["https://www.googleapis.com/auth/calendar.events.readonly"]
    connection = house.client().connect(without=without)["id"]
    said = run("explain", connection, "google_calendar")
    assert said.status == 1
    assert said.out.startswith("denied")
    assert without[0] in said.out


def test_explain_says_that_a_connector_was_withdrawn(run: Run, house: House) -> None:
    app = house.client()
    connection = app.connect()["id"]
    app.withdraw(connection, "google_calendar")
    assert "withdrew" in run("explain", connection, "google_calendar").out


def test_explain_says_that_an_operation_is_not_declared(run: Run, house: House) -> None:
    connection = house.client().connect()["id"]
    said = run("explain", connection, "google_contacts", "people.contactGroups.list")
    assert said.status == 1
    assert "does not declare" in said.out


def test_explain_of_what_does_not_exist_says_so(run: Run) -> None:
    assert run("explain", "con_nothing", "google_contacts").status == 1
    assert run("explain", "con_nothing", "no_such_connector").status == 1
