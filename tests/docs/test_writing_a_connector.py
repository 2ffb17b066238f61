"""The page on connectors, done as it stands there: laid out, written, tried, built, installed beside a real broker that
serves, connected at the sandbox, read. The connector comes in a package of its own, which the broker does not know.
"""

import importlib
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from broker.sandbox.serve import PLAYED
from broker.trying import faults
from tests.docs.pages import commands, page
from tests.docs.test_walkthrough import Curl
from tests.house import Browser, free_port, free_ports_in_a_row
from tests.processes import BROKER, Process, Processes

PAGE = page("docs/writing-a-connector.md")
FREE_BUSY = "https://www.googleapis.com/auth/calendar.events.freebusy\n"


@dataclass
class Author:
    """Whoever follows the page: in a folder of their own, with ports of their own."""

    folder: Path
    processes: Processes
    sandbox: int
    broker: int

    @property
    def site(self) -> Path:
        """Where pip installs to: this machine's own packages are left alone."""
        return self.folder / "site"

    def adapted(self, text: str) -> str:
        """The page's text with the ports and the folder of this test."""
        return (
            text.replace("9000", str(self.sandbox))
            .replace("8000", str(self.broker))
            .replace("/tmp/try", str(self.folder))
        )

    def start(self, line: str) -> Process:
        words = re.findall(r'"[^"]*"|\S+', self.adapted(line))
        words = [word.strip('"') for word in words]
        command = {
            "broker": (*BROKER, *words[1:]),
            "pytest": (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words[1:]),
            "pip": (sys.executable, "-m", "pip", *words[1:2], *self._offline, *words[2:]),
        }[words[0]]
        environ = {"PYTHONPATH": str(self.site), "PYTHONDONTWRITEBYTECODE": "1"}
        return self.processes.start(
            " ".join(words[:2]).replace("/", "_"), *command, environ=environ, folder=self.folder
        )

    @property
    def _offline(self) -> tuple[str, ...]:
        """What pip must be told where there is no network, and to leave our own packages as they are."""
        return ("--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target", str(self.site))

    def run(self, line: str) -> str:
        """To its end; what it said."""
        process = self.start(line)
        status = process.wait()
        assert status == 0, f"{line}: {status}\n{process.said()}"
        return process.said()


@pytest.fixture
def author(tmp_path: Path) -> Iterator[Author]:
    (tmp_path / "logs").mkdir()
    folder = tmp_path / "author"
    folder.mkdir()
    processes = Processes(tmp_path / "logs")
    try:
        yield Author(folder, processes, free_ports_in_a_row(len(PLAYED)), free_port())
    finally:
        processes.end()


def lines() -> list[str]:
    """Every command of the page, in order; a call of curl is one."""
    found: list[str] = []
    for block in PAGE.blocks("bash"):
        parts = re.split(r"^(?=curl )", block, flags=re.MULTILINE)
        found += [part for part in parts if part.startswith("curl ")]
        found += [line for part in parts if not part.startswith("curl ") for line in commands(part)]
    return found


def test_every_command_of_the_page_is_one_that_is_run_below() -> None:
    """By what each begins with: a new one needs a place in the test."""
    broker = ("connectors new", "connectors check", "connectors list", "sandbox", "keys generate", "db upgrade")
    known = [*(f"broker {name}" for name in (*broker, "clients add", "serve")), "pytest ", "pip install ", "curl "]
    assert [line for line in lines() if not line.startswith(tuple(known))] == []
    assert len(lines()) == len(known) + 3, "curl is called four times, all else once"


@pytest.mark.timeout(300)
def test_whoever_follows_the_page_sees_records_of_a_connector_of_their_own(author: Author) -> None:
    """It takes as long as the ten processes take to start that the page has one start."""
    new, tried, install, check, listed, sandbox, generate, upgrade, add, serve, *calls = lines()
    connector, raw = PAGE.blocks("python")

    author.run(new)
    laid_out = author.folder / "busy_times"
    (laid_out / "busy_times.py").write_text(connector)
    test = (laid_out / "test_busy_times.py").read_text()
    (laid_out / "test_busy_times.py").write_text(re.sub(r"RAW = \{.*?^\}\n", raw, test, flags=re.DOTALL | re.MULTILINE))
    assert "2 passed" in author.run(tried)

    author.run(install)
    assert "✓ busy_times  (busy-times 0.1.0)" in author.run(check)
    assert "busy_times  event from google events  (busy-times 0.1.0)\n    required: " + FREE_BUSY in author.run(listed)

    playing = author.start(sandbox)
    playing.wait_until(lambda: "BROKER_ORIGINS=" in playing.said(), "its origins")
    origins = re.search(r"BROKER_ORIGINS=\S+", playing.said())
    assert origins
    (settings,) = PAGE.blocks("ini")
    (author.folder / ".env").write_text(author.adapted(settings).replace("BROKER_ORIGINS=…", origins[0]))
    author.run(generate)
    author.run(upgrade)
    client = json.loads(author.run(add))
    serving = author.start(serve)
    serving.url = f"http://127.0.0.1:{author.broker}"
    serving.wait_ready()

    curl = Curl(CLIENT_ID=client["client_id"], CLIENT_SECRET=client["client_secret"])
    records = read(author, curl, calls)
    (shown,) = PAGE.blocks("json")
    example = json.loads(shown)
    assert len(records) == 5
    assert {name for record in records for name in record} == set(example)
    assert all(record["source"] == example["source"] and record["type"] == "event" for record in records)


def read(author: Author, curl: Curl, calls: list[str]) -> list[dict[str, Any]]:
    """The page's four calls, with the user's part between them."""
    token, session, confirm, records = map(author.adapted, calls)
    curl.variables["TOKEN"] = answered(curl(token))["access_token"]
    browser = Browser()
    url = answered(curl(session))["url"]
    consent = browser.get(url).text
    assert "Busy times" in consent
    returned = browser.come_back(browser.at_google(browser.approve(url, ["busy_times"])))
    curl.variables |= {"SESSION": returned["session"], "CODE": returned["code"]}
    curl.variables["CONNECTION"] = answered(curl(confirm))["connection"]["id"]
    found: list[dict[str, Any]] = answered(curl(records))["records"]
    return found


def answered(answer: requests.Response) -> Any:
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


def test_the_example_is_whole_and_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the page shows passes the kit by itself, beside no broker at all."""
    (tmp_path / "busy_times_of_the_page.py").write_text("\n".join(PAGE.blocks("python")))
    monkeypatch.syspath_prepend(tmp_path)
    example = importlib.import_module("busy_times_of_the_page")
    assert faults(example.CONNECTOR, example.RAW) == []
