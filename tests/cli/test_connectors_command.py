"""`broker connectors`: what it lays out, what it refuses, what it tells of those that are installed."""

import subprocess
import sys
from pathlib import Path

import pytest

from broker import cli
from broker.app import assemble
from broker.commands.connectors import _choices
from broker.commands.laid_out import Wanted, files
from broker.errors import ConfigurationError
from broker.installed import announced, kinds, load_connectors, readable
from broker.trying import faults
from tests.cli.said import Run, Said

OURS = load_connectors()
SCHEMAS = {connector.type: connector.schema for connector in OURS.values()}
BUSY = ("busy_times", "--provider", "google", "--type", "event")
GOOGLE = 'from broker.contract import Connector, Reads\nCONNECTOR = Connector("{}", "{}", "event", {}, dict, {{}})\n'


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs `broker …` in an empty folder, and without settings: no command here needs any."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BROKER_PUBLIC_URL", raising=False)

    def ran(*arguments: str) -> Said:
        monkeypatch.setattr("sys.argv", ["broker", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return Said(int(ended.value.code or 0), out, err)

    return ran


def announce(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *lines: str, package: str = "theirs", **modules: str
) -> None:
    """As pip leaves a package of somebody else's behind."""
    metadata = folder / f"{package}-2.1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 2.1\n")
    (metadata / "entry_points.txt").write_text("\n".join(("[broker.connectors]", *lines)))
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(folder)


# --- new -----------------------------------------------------------------------------------------------------


def test_a_package_with_one_connector_and_its_test_is_laid_out(run: Run, tmp_path: Path) -> None:
    said = run("connectors", "new", *BUSY)
    assert said.status == 0, said.err
    assert {path.name for path in (tmp_path / "busy_times").iterdir()} == {
        *("pyproject.toml", "busy_times.py", "test_busy_times.py")
    }
    assert "pytest busy_times\n" in said.out
    assert "pip install ./busy_times\n" in said.out


def test_the_laid_out_test_passes_as_it_stands_and_fails_for_a_broken_connector(run: Run, tmp_path: Path) -> None:
    """In a process of its own, as its author runs it."""
    run("connectors", "new", *BUSY)

    def tried() -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "busy_times"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    passed = tried()
    assert passed.returncode == 0, passed.stdout
    assert "2 passed" in passed.stdout
    file = tmp_path / "busy_times/busy_times.py"
    file.write_text(file.read_text().replace('raw["id"]', 'raw["status"]'))
    assert "by which a deletion is told" in tried().stdout


@pytest.mark.parametrize("provider", kinds(), ids=lambda provider: provider.kind)
def test_whatever_is_laid_out_does_what_is_asked_of_every_connector(
    provider: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every resource that may be read, with every type of record."""
    monkeypatch.syspath_prepend(tmp_path)
    for place, name in enumerate(readable(provider)):
        for kind, schema in SCHEMAS.items():
            module = f"laid_out_{provider.kind}_{place}_{kind}"
            resource = provider.resources[name]
            texts = files(Wanted(module, provider, kind, schema, resource, _choices(provider, resource, OURS.values())))
            for file, text in texts.items():
                (tmp_path / file).write_text(text)
            connector = __import__(module).CONNECTOR
            assert faults(connector, __import__(f"test_{module}").RAW) == [], (name, kind)


def test_what_is_laid_out_names_no_place_of_this_machine() -> None:
    provider = kinds()[0]
    resource = provider.resources[readable(provider)[0]]
    text = "".join(files(Wanted("some", provider, "event", SCHEMAS["event"], resource, None)).values())
    assert not [word for word in ("/", "http", str(Path.home()), "localhost") if word in text]


def test_what_hangs_on_an_asset_is_laid_out_with_the_choice_of_one(run: Run, tmp_path: Path) -> None:
    run("connectors", "new", "page_words", "--provider", "facebook", "--type", "post", "--directory", str(tmp_path))
    assert 'choices=Reads("pages", required=("name",))' in (tmp_path / "page_words/page_words.py").read_text()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Busy", "small letters"),
        ("2busy", "small letters"),
        ("busy-times", "small letters"),
        ("../busy", "small letters"),
        ("b", "small letters"),
        ("b" * 65, "small letters"),
        ("lambda", "small letters"),
        ("google_calendar", "a connector google_calendar already"),
        ("json", "a Python module json already"),
        ("connectors", "a Python module connectors already"),
    ],
)
def test_a_name_that_will_not_do_is_refused(run: Run, tmp_path: Path, name: str, why: str) -> None:
    said = run("connectors", "new", name, *BUSY[1:])
    assert said.status == 2
    assert why in said.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("how", "listed"),
    [
        (("--provider", "myspace", "--type", "event"), "facebook, google, instagram, openid"),
        (("--provider", "google", "--type", "fax"), ", ".join(sorted(SCHEMAS))),
        (("--provider", "google", "--type", "event", "--resource", "mails"), "calendars, contacts, events"),
        (("--provider", "facebook", "--type", "event"), "Say which --resource of facebook; there are: comments, leads"),
        (("--provider", "facebook", "--type", "lead", "--resource", "forms"), "comments, leads, messages"),
    ],
)
def test_what_there_is_not_is_refused_with_what_there_is(
    run: Run, tmp_path: Path, how: tuple[str, ...], listed: str
) -> None:
    said = run("connectors", "new", "busy_times", *how)
    assert said.status == 2
    assert listed in said.err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_already_is_left_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "busy_times").mkdir()
    said = run("connectors", "new", *BUSY)
    assert said.status == 2
    assert "busy_times is there already" in said.err
    assert list((tmp_path / "busy_times").iterdir()) == []


# --- list ----------------------------------------------------------------------------------------------------


def test_every_connector_is_listed_with_what_it_needs_and_where_it_comes_from(run: Run) -> None:
    said = run("connectors", "list", "--json")
    assert (said.status, said.err) == (0, "")
    facts = {fact["name"]: fact for fact in said.json()}
    assert set(facts) == set(OURS)
    auth = "https://www.googleapis.com/auth/"
    assert facts["google_calendar"] == {
        "name": "google_calendar",
        "provider": "google",
        "type": "event",
        "resource": "events",
        "required_scopes": [f"{auth}calendar.events.readonly"],
        "optional_scopes": [f"{auth}calendar.calendarlist.readonly"],
        "origin": facts["google_contacts"]["origin"],
    }
    assert facts["google_calendar"]["origin"].startswith("integration-broker ")
    assert facts["openid_profile"]["optional_scopes"] == ["email", "profile"]


def test_for_people_a_connector_has_a_line_of_its_own_and_one_for_each_sort_of_scopes(run: Run) -> None:
    lines = run("connectors", "list").out.splitlines()
    at = next(place for place, line in enumerate(lines) if line.startswith("facebook_profile  "))
    assert lines[at].startswith("facebook_profile  profile from facebook profile  (integration-broker ")
    assert lines[at + 1 : at + 3] == ["    required: public_profile", "    optional: email"]


def test_a_connector_of_another_package_is_listed_with_that_package(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = GOOGLE.format("theirs", "google", 'Reads("events", ("start",))')
    announce(tmp_path, monkeypatch, "theirs = theirs_sound:CONNECTOR", theirs_sound=sound)
    found = [fact for fact in run("connectors", "list", "--json").json() if fact["name"] == "theirs"]
    assert [fact["origin"] for fact in found] == ["theirs 2.1"]
    assert found[0]["required_scopes"] == ["https://www.googleapis.com/auth/calendar.events.freebusy"]


def test_what_goes_where_is_told_of_the_connectors_that_are_named(run: Run) -> None:
    said = run("connectors", "describe", "google_mail", "facebook_profile", "--json")
    assert (said.status, said.err) == (0, "")
    assert [fact["name"] for fact in said.json()] == ["google_mail", "facebook_profile"]
    assert (
        "### Facebook profile: `facebook_profile`"
        in run("connectors", "describe", "facebook_profile", "--markdown").out
    )
    lines = run("connectors", "describe", "facebook_profile").out.splitlines()
    assert lines[0] == "facebook_profile: Facebook profile"
    assert lines[-1].startswith("    → profile: ")
    assert run("connectors", "describe", "no_such").status == 2


def test_what_goes_where_is_told_of_every_connector_where_none_is_named(run: Run) -> None:
    assert {fact["name"] for fact in run("connectors", "describe", "--json").json()} == set(OURS)


def test_what_is_not_listed_for_a_fault_is_named(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    announce(tmp_path, monkeypatch, "theirs = nowhere_at_all:CONNECTOR")
    said = run("connectors", "list", "--json")
    assert {fact["name"] for fact in said.json()} == set(OURS)
    assert "theirs" in said.err


# --- check ---------------------------------------------------------------------------------------------------


def test_all_is_well_with_those_that_ship(run: Run) -> None:
    said = run("connectors", "check")
    assert said.status == 0
    assert len(said.out.splitlines()) == len(OURS)
    assert all(line.startswith("✓ ") for line in said.out.splitlines())


@pytest.mark.parametrize(
    ("line", "text", "fault"),
    [
        ("theirs = nowhere_at_all:CONNECTOR", "", "importing nowhere_at_all:CONNECTOR fails: ModuleNotFoundError"),
        ("theirs = theirs_faulty:CONNECTOR", "1 / 0", "importing theirs_faulty:CONNECTOR fails: ZeroDivisionError"),
        ("theirs = theirs_faulty:CONNECTOR", "CONNECTOR = {}", "theirs_faulty:CONNECTOR is no Connector"),
        (
            "theirs = theirs_faulty:CONNECTOR",
            GOOGLE.format("mine", "google", 'Reads("events", ("start",))'),
            "it is announced as theirs and calls itself mine",
        ),
        (
            "theirs = theirs_faulty:CONNECTOR",
            GOOGLE.format("theirs", "myspace", 'Reads("events", ("start",))'),
            "there is no provider myspace; there are: facebook, google, instagram, openid",
        ),
        (
            "theirs = theirs_faulty:CONNECTOR",
            GOOGLE.format("theirs", "google", 'Reads("mails", ("start",))'),
            "google has no resource mails; it has: calendars, contacts, events",
        ),
        (
            "theirs = theirs_faulty:CONNECTOR",
            GOOGLE.format("theirs", "google", 'Reads("events", ("start", "hangoutLink"))'),
            "it reads hangoutLink, and google lists no such field of events; it lists: attendees, description",
        ),
        (
            "theirs = theirs_faulty:CONNECTOR",
            GOOGLE.format("theirs", "google", 'Reads("events", ("start",))').replace(
                "{})", '{}, choices=Reads("calendars", ("etag",)))'
            ),
            "it reads etag, and google lists no such field of calendars",
        ),
        (
            "google_mail = connectors.google_mail:CONNECTOR",
            "",
            "another package announces the same name",
        ),
    ],
    ids=["no_module", "fails", "no_connector", "other_name", "provider", "resource", "field", "choice", "twice"],
)
def test_each_fault_is_told_in_a_line_and_keeps_the_broker_from_starting(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, text: str, fault: str
) -> None:
    announce(tmp_path, monkeypatch, line, **({"theirs_faulty": text} if text else {}))
    said = run("connectors", "check")
    assert said.status == 1
    name = line.partition(" ")[0]
    told = said.out[said.out.index(f"✗ {name}  (theirs 2.1)") :].splitlines()[1]
    assert told.startswith(f"    {fault}")
    facts = run("connectors", "check", "--json").json()
    assert next(one for one in facts if one["origin"] == "theirs 2.1")["faults"][0].startswith(fault)
    environ = {"BROKER_PUBLIC_URL": "https://broker.example.com", "BROKER_KEYS": "env:KEYS", "KEYS": "no key"}
    with pytest.raises(ConfigurationError) as refusal:
        assemble(environ)
    assert fault.partition(";")[0] in str(refusal.value)


def test_what_another_package_announces_beside_ours_changes_nothing_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = GOOGLE.format("theirs", "google", 'Reads("events", ("start",))')
    announce(tmp_path, monkeypatch, "theirs = theirs_beside:CONNECTOR", theirs_beside=sound)
    assert {one.name: one.is_ours for one in announced()} == {**dict.fromkeys(OURS, True), "theirs": False}
