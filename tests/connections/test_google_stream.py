"""`broker google-events`: the stream that brings Google's security events, set up, tested and switched; by the fake
Google, which sends what it is told to. docs/google-events.md, docs/facts/google.md §2.5."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from broker.cli import cli
from broker.errors import BrokerError
from broker.providers.google_events import OFFERED
from tests.connections.own import GOOGLE, Stage
from tests.house import ANI, House, SalesApp

Run = Callable[..., Result]


@pytest.fixture
def key_file(sqlite_house: House, tmp_path: Path) -> Path:
    return written(tmp_path / "events.json", sqlite_house.google.control("service-accounts"))


@pytest.fixture
def run(sqlite_house: House, key_file: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command, over the house's database; its facts are JSON."""
    for name, value in sqlite_house.environ.items():
        monkeypatch.setenv(name, value)

    def command(*arguments: str, file: Path = key_file) -> Result:
        given = ["google-events", *arguments, "--key-file", str(file), "--json"]
        return CliRunner().invoke(cli, given)

    return command


def written(path: Path, content: Any, mode: int = 0o600) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    path.chmod(mode)
    return path


def facts(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, (result.output, result.exception)
    return dict(json.loads(result.stdout))


def why(result: Result) -> str:
    """Of a failure."""
    assert result.exit_code != 0
    return result.exception.detail if isinstance(result.exception, BrokerError) else result.output


def test_a_stream_is_configured_tested_and_switched_off_and_on(run: Run, sqlite_house: House) -> None:
    house = sqlite_house
    url = f"{house.url}/hooks/google/events"
    assert "google-events configure" in why(run("status")), "there is none yet"
    assert facts(run("configure")) == {"url": url, "events": list(OFFERED)}
    assert facts(run("verify", "--wait", "5")) == {"asked": True, "came": True}
    told = facts(run("status"))
    assert (told["url"], told["status"], told["events"]) == (url, "enabled", list(OFFERED))
    assert told["verified_at"]
    app = house.client()
    connection = app.connect("google_contacts")["id"]
    assert facts(run("pause")) == {"status": "disabled"}
    assert announced(house)["answer"] is None
    assert "resume" in why(run("status"))
    assert why(run("verify", "--wait", "0.1")).startswith("Nothing came")
    assert facts(run("resume")) == {"status": "enabled"}
    assert announced(house)["answer"]["status"] == 202
    assert app.connection(connection)["state"] == "revoking"


def announced(house: House) -> dict[str, Any]:
    """Google says that Ani's tokens were revoked, where its stream leads."""
    event = {"event": "tokens-revoked", "client": GOOGLE.shared[0], "account": ANI}
    return dict(house.google.control("security-events", event))


def test_only_the_events_that_were_asked_for_come(run: Run, sqlite_house: House) -> None:
    assert facts(run("configure", "--event", "token-revoked"))["events"] == ["token-revoked"]
    assert announced(sqlite_house)["answer"] is None
    assert run("configure", "--event", "unheard-of").exit_code == 2


def test_a_tenants_own_app_has_a_stream_of_its_own(run: Run, sqlite_house: House, tmp_path: Path) -> None:
    stage = Stage(sqlite_house, GOOGLE, sqlite_house.google)
    own = stage.own()
    account = sqlite_house.google.control("service-accounts", {"project": GOOGLE.own_id})
    theirs = written(tmp_path / "own.json", account)
    assert facts(run("configure", "--app", own, file=theirs))["url"].endswith(f"/hooks/google/{own}/events")
    assert facts(run("verify", "--app", own, "--wait", "5", file=theirs))["came"]
    assert not facts(run("configure"))["url"].endswith(f"{own}/events")
    assert facts(run("status"))["verified_at"] is None, "that was the other's"
    assert run("status", "--app", "google").exit_code == 2


def test_a_key_file_that_is_none_or_open_to_others_is_refused_and_not_quoted(
    run: Run, key_file: Path, tmp_path: Path
) -> None:
    good = json.loads(key_file.read_text())
    wrong: list[Any] = ["", "[]", "SECRET-9", {**good, "private_key": "SECRET-9"}, {**good, "client_email": 1}]
    for number, content in enumerate(wrong):
        refused = run("status", file=written(tmp_path / f"wrong{number}.json", content))
        assert (refused.exit_code, "SECRET-9" in refused.output) == (2, False), content
    assert "chmod 600" in why(run("status", file=written(tmp_path / "open.json", good, mode=0o644)))
    assert run("status", file=tmp_path / "missing.json").exit_code == 2
    other = {**good, "private_key_id": "of-another-key"}
    assert "(401)" in why(run("status", file=written(tmp_path / "other.json", other)))


def test_what_google_refuses_is_said_with_the_way_to_mend_it(run: Run, sqlite_house: House) -> None:
    assert "authorized domain" in why(run("configure", "--url", "https://elsewhere.example/events"))
    sqlite_house.google.quirk(outage={"/v1beta/stream": 503})
    assert "503" in why(run("status"))


def test_a_revoked_token_is_announced_by_either_name(sqlite_house: House) -> None:
    """What the fake Google sends is what the broker looks for."""
    app: SalesApp = sqlite_house.client()
    url = f"{sqlite_house.url}/hooks/google/events"
    for alg in ("prefix", "hash_base64_sha512_sha512"):
        connection = app.connect("google_contacts")["id"]
        event = {"event": "token-revoked", "client": GOOGLE.shared[0], "account": ANI, "alg": alg, "url": url}
        assert sqlite_house.google.control("security-events", event)["answer"]["status"] == 202
        assert app.connection(connection)["state"] == "reconnect_required"
