"""The documentation is held to the code: what a page names exists, and what exists is named.

A page that lags behind is a defect like any other; these tests say which word of which page it is.
"""

import configparser
import re
import shlex
from pathlib import Path
from xml.etree import ElementTree

import click
import pytest

from broker import __version__
from broker.app import load_connectors
from broker.cli import cli
from broker.connections.begin import connector_scopes
from broker.errors import BrokerError
from broker.providers import built_in
from tests.docs.pages import ROOT, Page, commands, defined, page, pages, spans

README = page("README.md")
EVERY_PAGE = pytest.mark.parametrize("page", pages(), ids=str)
FOLDERS = ("broker", "connectors", "migrations", "tests", "scripts", "docs")


# --- paths and names -----------------------------------------------------------------------------------------


@EVERY_PAGE
def test_each_link_leads_somewhere(page: Page) -> None:
    for text, target in page.links:
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        there = (page.path.parent / file).resolve() if file else page.path
        assert there.exists(), f"{page}: [{text}] leads to {target}"
        assert not anchor or anchor in Page(there).anchors, f"{page}: {target} has no such heading"


@EVERY_PAGE
def test_each_path_in_code_exists(page: Page) -> None:
    named = re.compile(rf"(?:{'|'.join(FOLDERS)})/[\w./-]*")
    for span in page.spans:
        file, _, rest = span.partition(" ")
        if named.fullmatch(file) and not rest.startswith("<"):
            assert (ROOT / file).exists(), f"{page}: {span}"


@EVERY_PAGE
def test_each_function_linked_to_its_file_is_defined_there(page: Page) -> None:
    """[`module.function`](…/module.py) or [`Class.method`](…/file.py)."""
    for text, target in page.links:
        if target.endswith(".py") and text.startswith("`"):
            path, name = (page.path.parent / target).resolve(), text.strip("`")
            stem, _, rest = name.partition(".")
            wanted = rest if stem == path.stem else name
            assert wanted in defined(path), f"{page}: {name} is not defined in {target}"


@EVERY_PAGE
def test_each_dotted_name_in_code_is_a_module_or_stands_in_one(page: Page) -> None:
    groups = {"broker.connectors"}
    for span in page.spans:
        if re.fullmatch(r"(?:broker|connectors)(?:\.\w+)+(?:\(\))?", span) and span not in groups:
            assert _exists(span.removesuffix("()").split(".")), f"{page}: there is no {span}"


def _exists(parts: list[str]) -> bool:
    for length in range(len(parts), 0, -1):
        base = ROOT.joinpath(*parts[:length])
        module = base.with_suffix(".py") if base.with_suffix(".py").is_file() else base / "__init__.py"
        if module.is_file():
            rest = ".".join(parts[length:])
            return not rest or rest in defined(module)
    return False


def test_the_way_of_the_data_names_only_what_exists_and_enough_of_it() -> None:
    """A page whose references were not recognised would pass every test above."""
    linked = [text for text, target in page("docs/data-flow.md").links if target.endswith(".py")]
    assert len(linked) > 30


# --- commands ------------------------------------------------------------------------------------------------


def _leaves(group: click.Group = cli, prefix: str = "broker") -> dict[str, click.Command]:
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        path = f"{prefix} {name}"
        found |= _leaves(command, path) if isinstance(command, click.Group) else {path: command}
    return found


def test_each_command_is_in_the_readme_and_no_other() -> None:
    assert {spans(row[0])[0] for row in README.rows("Commands")} == set(_leaves())


def test_each_option_told_of_a_command_is_one_of_it() -> None:
    for first, told in README.rows("Commands"):
        command = _leaves()[spans(first)[0]]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {span for span in spans(told) if span.startswith("--")} <= known, first


@EVERY_PAGE
def test_each_command_line_is_one_that_the_broker_understands(page: Page) -> None:
    for line in (line for block in page.blocks("bash") for line in commands(block)):
        if re.match(r"(?:\S*/)?broker ", line):
            command, rest = _found(shlex.split(line)[1:], line)
            with command.make_context("broker", rest):
                pass


@EVERY_PAGE
def test_each_command_in_running_text_exists(page: Page) -> None:
    for span in page.spans:
        words = span.split()
        if words[0] == "broker" and words[1:] and words[1] != "COMMAND":
            _found(words[1:], f"{page}: {span}")


def _found(words: list[str], where: str) -> tuple[click.Command, list[str]]:
    """The command that the words begin with, and the words behind it."""
    command: click.Command = cli
    while isinstance(command, click.Group) and words:
        assert words[0] in command.commands, where
        command, words = command.commands[words[0]], words[1:]
    return command, list(words)


# --- errors, scopes ------------------------------------------------------------------------------------------


def test_each_error_code_is_told_with_its_status_and_no_other() -> None:
    told = {spans(row[0])[0]: row[1] for row in page("docs/api.md").rows("Error codes")}
    kinds = {kind.code: kind.status for kind in _kinds(BrokerError)}
    assert set(told) == {*kinds, "internal_error"}
    for code, status in kinds.items():
        assert str(status) in told[code], code


def _kinds(kind: type[BrokerError]) -> list[type[BrokerError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in _kinds(child))]


def test_the_scopes_to_name_at_google_are_those_that_the_connectors_need() -> None:
    google = built_in()["google"]
    needed = {
        scope
        for connector in load_connectors().values()
        if connector.provider == google.kind
        for scope in connector_scopes(connector, google)
    } | google.normalised(frozenset(google.identity_scopes))
    told = {span for _, scopes, _ in page("docs/connect-google.md").rows("3. The scopes") for span in spans(scopes)}
    assert told == needed


@pytest.mark.parametrize("name", ["facebook", "instagram"])
def test_the_permissions_to_name_at_meta_are_those_that_each_connector_needs(name: str) -> None:
    provider, told = built_in()[name], dict[str, set[str]]()
    for connectors, permissions, *_ in page(f"docs/connect-{name}.md").rows("3. The permissions"):
        told |= {connector: set(spans(permissions)) for connector in spans(connectors)}
    always = set(provider.identity_scopes)
    needed = {
        connector.name: set(connector_scopes(connector, provider)) | always
        for connector in load_connectors().values()
        if connector.provider == name
    }
    assert {connector: permissions | always for connector, permissions in told.items()} == needed


# --- decisions, facts, pictures, versions --------------------------------------------------------------------


def _decisions() -> list[Page]:
    return [Page(path) for path in sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))]


@pytest.mark.parametrize("decision", _decisions(), ids=str)
def test_each_decision_has_its_context_its_alternatives_and_its_consequences(decision: Page) -> None:
    assert decision.headings[1:] == ["Context", "Decision", "Alternatives", "Consequences"]
    assert re.search(r"^Status: (accepted|replaced by)", decision.text, re.MULTILINE)
    assert decision.headings[0].startswith(decision.path.name[:4] + ". ")


def test_each_decision_is_in_the_index_under_its_own_title() -> None:
    rows = [
        re.fullmatch(r"\| \[(\d{4})\]\((.+)\) \| (.+) \|", line)
        for line in page("docs/adr/README.md").text.splitlines()
    ]
    listed = {row[2]: f"{row[1]}. {row[3]}" for row in rows if row}
    assert listed == {decision.path.name: decision.headings[0] for decision in _decisions()}


def _citing() -> list[Path]:
    code = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    steps = sorted((ROOT / "docs").glob("connect-*.md"))
    return [*code, *(decision.path for decision in _decisions()), *steps]


def test_each_fact_that_is_cited_by_its_section_exists() -> None:
    headings = {
        name: {heading.split()[0].rstrip(".") for heading in page(f"docs/facts/{name}.md").headings}
        for name in ("google", "meta", "security")
    }
    for path in _citing():
        for name, section in re.findall(r"\b(google|meta|security)\.md §(\d+(?:\.\d+)*)", path.read_text()):
            assert section in headings[name], f"{path.relative_to(ROOT)}: {name}.md has no §{section}"


def test_each_fact_that_is_cited_by_its_id_exists() -> None:
    listed = set(re.findall(r"\b(?:STD|INC|CRY|REL|INP|PRV)-\d\d\b", page("docs/facts/security.md").text))
    for path in _citing():
        cited = set(re.findall(r"\b(?:STD|INC|CRY|REL|INP|PRV)-\d\d\b", path.read_text()))
        assert cited <= listed, f"{path.relative_to(ROOT)}: {sorted(cited - listed)}"


def test_the_pictures_are_self_contained_and_can_be_read_aloud() -> None:
    pictures = list((ROOT / "docs" / "pictures").glob("*.svg"))
    assert pictures
    for picture in pictures:
        text, names = picture.read_text(), {element.tag.split("}")[1] for element in ElementTree.parse(picture).iter()}
        assert {"title", "desc"} <= names
        assert not {"script", "foreignObject", "image"} & names
        assert not re.search(r"(?:href|src)=\"(?!#)|url\((?!#)|@import", text), picture.name
        assert "prefers-color-scheme: dark" in text


def test_each_picture_in_a_page_has_words_instead() -> None:
    for text, target in (link for each in pages() for link in each.links):
        assert not target.endswith(".svg") or len(text) > 40, target


def test_the_readme_begins_with_the_two_lines_that_ci_runs() -> None:
    lines = [line for line in README.text.splitlines() if line.startswith("python3 -m venv")]
    assert lines == [
        "python3 -m venv .venv && .venv/bin/pip install -e . && .venv/bin/broker demo",
        "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest",
    ]


def test_the_changelog_tells_of_this_version() -> None:
    assert __version__ in page("CHANGELOG.md").text


def test_each_declared_dependency_is_pinned_for_ci() -> None:
    """CI installs with `-c constraints.txt`: what is not in it changes from one run to the next."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    declared = "\n".join([setup["options"]["install_requires"], *setup["options.extras_require"].values()])
    wanted = {_normal(re.match(r"[\w.-]+", line)[0]) for line in declared.split("\n") if line.strip()}
    pinned = {_normal(line.partition("==")[0]) for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert wanted <= pinned, sorted(wanted - pinned)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()
