"""`broker catalog`: tables built anew and held to the shipped ones; what changed in access between two packages."""

import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from broker import cli
from broker.commands import catalog, compiled
from broker.commands.access import changes
from tests.cli.said import Run, Said

AUTH = "https://www.googleapis.com/auth/"
CONNECTIONS = "people:v1.people.connections.list"
DECLARED = {"contacts": [CONNECTIONS], "other": ["shop:v1.orders.list"]}
NARROW, WIDE, ODD = f"{AUTH}contacts.readonly", f"{AUTH}contacts", f"{AUTH}contacts.odd"


def method(*scopes: str, verb: str = "GET", path: str = "v1/x", **parameters: Any) -> dict[str, Any]:
    known = {name: {"type": "string", "location": "query", **what} for name, what in parameters.items()}
    return {"httpMethod": verb, "path": path, "scopes": list(scopes), "parameters": known}


def document(**found: Any) -> dict[str, Any]:
    """Of the People API, with a few methods: its scopes open three, two and one of them."""
    methods = {
        "get": method(WIDE, NARROW, path="v1/one"),
        "update": method(WIDE, verb="PATCH", path="v1/one"),
        "connections.list": method(WIDE, NARROW, path="v1/all", pageToken={}),
        **found,
    }
    people = {name: what for name, what in methods.items() if what and "." not in name}
    connections = methods["connections.list"]
    return {
        "name": "people",
        "version": "v1",
        "revision": "20261101",
        "rootUrl": "https://people.googleapis.com/",
        "servicePath": "",
        "resources": {
            "people": {
                "methods": people,
                "resources": {"connections": {"methods": {"list": connections} if connections else {}}},
            }
        },
    }


Folder = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Documents in a folder."""

    def made(name: str, *documents: dict[str, Any]) -> Path:
        (tmp_path / name).mkdir()
        for one in documents:
            (tmp_path / name / f"{one['name']}.{one['version']}.json").write_text(json.dumps(one))
        return tmp_path / name

    return made


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs `broker …` without settings: no command here needs any."""
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


def compile_one(folder: Path) -> compiled.Compiled:
    return compiled.compile_all(folder, folder.name)


@pytest.fixture
def changed(folder: Folder) -> Callable[..., dict[str, Any]]:
    """What changed from the document as it is to one with other methods."""

    def found(**other: Any) -> dict[str, Any]:
        old, new = folder("old", document()), folder("new", document(**other))
        return changes(compile_one(old), compile_one(new), DECLARED)

    return found


# --- what changed --------------------------------------------------------------------------------------------


def test_of_the_same_documents_nothing_changed(changed: Callable[..., dict[str, Any]]):
    facts = changed()
    assert facts["old"]["digest"] == facts["new"]["digest"]
    assert {name: facts[name] for name in ("added", "removed", "scopes", "calls", "connectors")} == {
        "added": [],
        "removed": [],
        "scopes": [],
        "calls": [],
        "connectors": {},
    }


def test_a_method_that_comes_is_told_with_what_opens_it(changed: Callable[..., dict[str, Any]]):
    facts = changed(search=method(NARROW, path="v1/search"))
    assert facts["added"] == [{"id": "people:v1.people.search", "method": "GET", "scopes": [NARROW]}]
    assert facts["connectors"] == {}


def test_a_method_that_goes_is_told_and_that_a_connector_declares_it(changed: Callable[..., dict[str, Any]]):
    facts = changed(**{"connections.list": None})
    assert [one["id"] for one in facts["removed"]] == [CONNECTIONS]
    assert facts["connectors"] == {"contacts": [CONNECTIONS]}


def test_a_scope_that_a_method_gains_and_one_that_it_loses_are_told(changed: Callable[..., dict[str, Any]]):
    facts = changed(**{"connections.list": method(WIDE, ODD, path="v1/all", pageToken={})})
    (found,) = facts["scopes"]
    assert (found["id"], found["added"], found["removed"]) == (CONNECTIONS, [ODD], [NARROW])
    assert facts["connectors"] == {"contacts": [CONNECTIONS]}
    assert facts["calls"] == []


def test_a_method_that_becomes_readable_with_a_scope_that_opens_less_is_told(changed: Callable[..., dict[str, Any]]):
    (found,) = changed(get=method(WIDE, NARROW, ODD, path="v1/one"))["scopes"]
    assert found["readable_with_less"] == [ODD]


def test_a_scope_that_opens_more_than_the_least_is_no_lesser_one(changed: Callable[..., dict[str, Any]]):
    """The narrow scope opens two methods, and so would the other."""
    other = {"get": method(WIDE, NARROW, ODD, path="v1/one"), "search": method(ODD, path="v1/search")}
    assert [one["readable_with_less"] for one in changed(**other)["scopes"]] == [[]]


def test_what_only_writes_does_not_become_readable(changed: Callable[..., dict[str, Any]]):
    (found,) = changed(update=method(WIDE, ODD, verb="PATCH", path="v1/one"))["scopes"]
    assert (found["added"], found["readable_with_less"]) == ([ODD], [])


def test_another_address_and_another_parameter_are_told_as_another_call(changed: Callable[..., dict[str, Any]]):
    facts = changed(
        get=method(WIDE, NARROW, path="v1/other"),
        **{"connections.list": method(WIDE, NARROW, path="v1/all", pageToken={"required": True})},
    )
    assert facts["calls"] == [
        {"id": CONNECTIONS, "changed": ["parameters"]},
        {"id": "people:v1.people.get", "changed": ["template"]},
    ]
    assert facts["scopes"] == []
    assert facts["connectors"] == {"contacts": [CONNECTIONS]}


def test_apis_that_come_and_go_are_told(folder: Folder):
    shop = {**document(), "name": "shop"}
    facts = changes(compile_one(folder("old", document())), compile_one(folder("new", shop)), {})
    assert facts["apis"] == {"added": ["shop:v1"], "removed": ["people:v1"]}
    assert len(facts["added"]) == len(facts["removed"]) == 3


def test_another_version_is_another_method(folder: Folder):
    old, new = folder("old", document()), folder("new", document(), {**document(), "version": "v2"})
    facts = changes(compile_one(old), compile_one(new), DECLARED)
    assert facts["apis"]["added"] == ["people:v2"]
    assert facts["removed"] == []
    assert facts["connectors"] == {}


# --- broker catalog diff -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped_people() -> dict[str, Any]:
    return dict(compiled.shipped().tables["people.v1"])


def built(path: Path, table: dict[str, Any], source: str) -> str:
    compiled.write(compiled.Compiled(source, {"people.v1": table}, 1, len(table["methods"])), path)
    return str(path)


def test_a_change_of_what_an_installed_connector_declares_ends_with_status_1(
    run: Run, tmp_path: Path, shipped_people: dict[str, Any]
):
    newer = copy.deepcopy(shipped_people)
    opened = newer["scopes"].index(f"{AUTH}contacts.other.readonly")
    newer["sets"][newer["methods"]["people.connections.list"]["set"]].append(opened)
    old, new = built(tmp_path / "old", shipped_people, "one"), built(tmp_path / "new", newer, "two")
    said = run("catalog", "diff", old, new, "--json")
    assert said.status == 1
    assert said.json()["connectors"] == {"google_contacts": [CONNECTIONS]}
    said = run("catalog", "diff", old, new)
    assert said.status == 1
    assert f"{CONNECTIONS}: +{AUTH}contacts.other.readonly" in said.out


def test_a_change_of_what_no_connector_declares_is_shown_and_ends_with_status_0(
    run: Run, tmp_path: Path, shipped_people: dict[str, Any]
):
    newer = copy.deepcopy(shipped_people)
    del newer["methods"]["people.deleteContact"]
    said = run("catalog", "diff", built(tmp_path / "old", shipped_people, "one"), built(tmp_path / "new", newer, "two"))
    assert said.status == 0
    assert "from one to two" in said.out
    assert "- 1 methods\n    - people:v1.people.deleteContact" in said.out
    assert "Nothing changed of what an installed connector declares." in said.out


def test_what_is_left_out_is_the_shipped_one(run: Run, tmp_path: Path, shipped_people: dict[str, Any]):
    """Of which a set with one API alone lacks nearly everything."""
    said = run("catalog", "diff", built(tmp_path / "new", shipped_people, "two"), "--json")
    facts = said.json()
    assert (said.status, facts["old"]["source"]) == (1, "google-api-python-client 2.202.0")
    assert "people:v1" not in facts["apis"]["removed"]
    assert set(facts["connectors"]) == {
        "google_calendar",
        "google_mail",
        "google_sheets",
        "google_analytics",
        "google_business_performance",
    }


def test_every_operation_that_a_shipped_connector_declares_is_in_the_shipped_tables():
    """Else no change of it would ever be seen."""
    listed = {
        f"{table['api']}:{table['version']}.{name}"
        for table in compiled.shipped().tables.values()
        for name in table["methods"]
    }
    declared = catalog._declared()
    assert {"google_contacts", "google_calendar", "google_mail", "google_sheets"} <= declared.keys()
    assert "drive:v3.files.list" in declared["google_sheets"]
    assert all(names and listed.issuperset(names) for names in declared.values())


@pytest.mark.parametrize("sides", [(), ("a", "b", "c")])
def test_one_or_two_sets_of_tables_are_compared(run: Run, sides: tuple[str, ...]):
    assert run("catalog", "diff", *sides).status == 2


# --- broker catalog build ------------------------------------------------------------------------------------


def test_what_is_built_is_written_and_can_be_compared(run: Run, folder: Folder, tmp_path: Path):
    said = run("catalog", "build", "--from", str(folder("docs", document())), "--out", str(tmp_path / "out"), "--json")
    assert said.status == 0
    assert said.json()["same_as_shipped"] is False
    assert (said.json()["documents"], said.json()["methods"]) == (1, 3)
    assert run("catalog", "diff", str(tmp_path / "out"), str(tmp_path / "docs")).status == 0


def test_without_a_folder_to_write_to_a_difference_from_the_shipped_is_status_1(
    run: Run, folder: Folder, tmp_path: Path
):
    said = run("catalog", "build", "--from", str(folder("docs", document())))
    assert said.status == 1
    assert "Not what is shipped" in said.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["docs"]


def test_a_rebuild_of_the_package_that_was_shipped_is_the_same(run: Run):
    pytest.importorskip("googleapiclient", reason="tests pass without the package, but then nothing is rebuilt")
    said = run("catalog", "build", "--from", "2.202.0", "--json")
    assert said.status == 0, said.err
    assert said.json()["same_as_shipped"] is True


def test_without_the_package_it_says_how_to_install_it(run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compiled, "_installed", lambda: None)
    said = run("catalog", "build")
    assert (said.status, said.out) == (1, "")
    assert "pip install google-api-python-client." in said.err
    assert "pip download --no-deps" in said.err
    assert "Traceback" not in said.err


def test_whoever_looks_on_sees_a_bar_and_facts_stay_facts(run: Run, folder: Folder, monkeypatch: pytest.MonkeyPatch):
    """It is drawn on standard error alone."""
    documents = str(folder("docs", document()))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    said = run("catalog", "build", "--from", documents, "--json")
    assert said.json()["documents"] == 1
    assert "Compiling docs" in said.err
