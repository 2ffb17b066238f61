"""The sandbox as a process of its own: apart from the rest, quickly there, on a port for each provider."""

import json
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from broker import sandbox
from broker.sandbox.google import ORIGINS
from broker.sandbox.google.quirks import KNOWN
from broker.sandbox.serve import PLAYED
from tests.sandbox.google_client import CONTACTS, EMAIL, Client, scopes

FOLDER = Path(sandbox.__file__).parent
DOCUMENT = FOLDER.parents[1] / "docs" / "sandbox.md"

SERVE = """
import json, sys
from broker.sandbox.serve import serve
serve(0, lambda origins: print(origins, flush=True), quirks=json.loads(sys.argv[1]))
"""

APART = """
import sys, broker.sandbox.serve, broker.sandbox.salesapp
print(*sorted(name for name in sys.modules if name.split(".")[0] in ("broker", "connectors", "sqlalchemy", "authlib")))
"""


def test_it_answers_soon_where_it_says_with_the_quirks_of_the_start() -> None:
    before = _processor_time()
    command = [sys.executable, "-c", SERVE, json.dumps({"google": {"omit_iss": True}})]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            origins = dict(pair.split("=") for pair in process.stdout.readline().strip().split(","))
            state = requests.get(origins["https://accounts.google.com"] + "/_sandbox/state", timeout=30).json()
        finally:
            process.terminate()
    assert origins.keys() >= set(ORIGINS)
    assert state["quirks"] == {"omit_iss": True}
    assert _processor_time() - before < 1.5


def _processor_time() -> float:
    """Seconds that ended children took: unlike those on the wall, they are the same on a busy machine."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_it_imports_nothing_of_the_rest() -> None:
    """What a fake knows of a provider must not come from what the broker believes."""
    done = subprocess.run([sys.executable, "-c", APART], capture_output=True, text=True, check=True)
    assert [name for name in done.stdout.split() if not f"{name}.".startswith("broker.sandbox.")] == ["broker"]


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.py")), ids=lambda path: str(path.relative_to(FOLDER)))
def test_a_provider_stays_in_its_folder(path: Path) -> None:
    """The parts that all fakes share know none of them; only who starts them does."""
    shared = path.parent == FOLDER and path.name != "serve.py"
    named = [played.name for played in PLAYED if f"sandbox.{played.name}" in path.read_text()]
    assert not (shared and named)


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_each_quirk_is_documented_in_its_own_words(name: str) -> None:
    quirk = KNOWN[name]
    assert f"| `{name}` | `{json.dumps(quirk.example)}` | {quirk.meaning} |\n" in DOCUMENT.read_text()


@pytest.mark.parametrize(
    "source",
    [FOLDER / "control.py", FOLDER / "google" / "steering.py", FOLDER / "google" / "steering_data.py"],
    ids=lambda p: p.stem,
)
def test_each_control_call_is_documented(source: Path) -> None:
    routes = re.findall(r'^@CONTROL\.(get|post|delete)\("(.+)"\)$', source.read_text(), re.MULTILINE)
    assert routes
    told = [f"| `{method.upper()} /_sandbox{path}` |" for method, path in routes]
    assert [call for call in told if call not in DOCUMENT.read_text()] == []


def test_the_documented_way_through_googles_page_is_one(google: Client) -> None:
    block = re.search(r"^```python\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    assert block
    names: dict[str, Any] = {}
    exec(block[1], names)
    address = requests.Request("GET", f"{google.url}/o/oauth2/v2/auth", params=google.request()).prepare().url
    callback = dict(parse_qsl(urlsplit(names["at_google"](address, [CONTACTS])).query))
    assert scopes(google.exchange(callback["code"]).json()) == {"openid", EMAIL, CONTACTS}
