"""The kit for authors of connectors: a sound one passes, and each rule is broken by some that is not."""

import ast
import importlib.util
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from broker.contract import Reads
from broker.trying import MOST, RULES, faults
from tests.records.tried import BROKEN, RAW, SOUND, converting, emptying


def test_a_sound_connector_passes() -> None:
    assert faults(SOUND, RAW) == []


@pytest.mark.parametrize("name", BROKEN)
def test_one_that_breaks_a_rule_is_told_by_which(name: str) -> None:
    rule, connector = BROKEN[name]
    assert any(fault.startswith(rule) for fault in faults(connector, RAW)), faults(connector, RAW)


def test_each_rule_is_broken_by_one_of_these() -> None:
    """But for what it imports, which has a test of its own."""
    broken = {rule for rule, _ in BROKEN.values()} | {"it receives, and does not fetch"}
    assert not [rule for rule in RULES if not any(rule.startswith(one) for one in broken)]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("import requests", "requests"),
        ("from urllib.request import urlopen", "urllib.request.urlopen"),
        ("import os.path", "os.path"),
        ("from broker.db import Database", "broker.db.Database"),
        ("from broker import secret", "broker.secret"),
        ("import broker.contractual", "broker.contractual"),
        ("from urllib.parse import quote", None),
        ("from broker.contract import Connector", None),
        ("import broker.contract", None),
        ("from connectors.records import text", None),
        ("from datetime import datetime", None),
    ],
)
def test_one_that_could_fetch_is_told_by_what_it_imports(tmp_path: Path, line: str, told: str | None) -> None:
    """The file is read and not run."""
    file = tmp_path / "reaching.py"
    file.write_text("def convert(raw):\n    return {'id': raw['id'], 'type': 'event', 'deleted': False}\n")
    spec = importlib.util.spec_from_file_location("reaching", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    file.write_text(f"def later():\n    {line}\n")
    found = [fault for fault in faults(replace(SOUND, convert=module.convert), RAW) if "does not fetch" in fault]
    assert found == ([f"it receives, and does not fetch: it imports {told}"] if told else [])


def test_what_no_provider_lists_is_told_before_all_else() -> None:
    unlisted = replace(SOUND, reads=Reads("events", ("summary", "etag")))
    assert [fault.partition(",")[0] for fault in faults(unlisted, RAW)] == ["it reads etag"]


def test_without_a_raw_record_or_its_identity_nothing_was_tried() -> None:
    assert faults(SOUND)[0] == "the raw records have every field: there is no raw record to try it with"
    nameless = {name: value for name, value in RAW.items() if name != "id"}
    assert "the raw records have every field: a raw record has no id, which tells records apart" in faults(
        SOUND, nameless
    )


def test_several_raw_records_may_have_the_fields_between_them() -> None:
    first = {"id": "one", "summary": "Call"}
    second = {"id": "two", "location": "Bandung", "organizer": {"email": "ani@example.com"}}
    assert faults(SOUND, first, second) == []
    assert faults(SOUND, first) != []


def test_of_one_rule_a_few_faults_are_told_each_once() -> None:
    connector = converting(lambda raw, record: 1 // 0)
    found = faults(connector, RAW)
    assert len(found) == len(set(found)) <= MOST * len(RULES)
    assert "a whole record becomes a valid one: it fails with ZeroDivisionError" in found[0]


def test_the_raw_records_are_left_as_they_were() -> None:
    raw = {**RAW, "organizer": dict(RAW["organizer"])}
    faults(emptying(), raw)
    assert raw == RAW


def test_the_kit_is_had_without_a_setting_and_without_the_tests(tmp_path: Path) -> None:
    code = "import sys, broker.trying as kit; print({name.partition('.')[0] for name in sys.modules})"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env={}, check=True, timeout=60, capture_output=True, text=True)
    assert not {"tests", "pytest", "flask", "hypothesis"} & ast.literal_eval(done.stdout)
