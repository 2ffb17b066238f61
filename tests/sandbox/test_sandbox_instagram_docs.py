"""docs/sandbox.md is held to the fake Instagram."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from broker import sandbox
from broker.sandbox.instagram.quirks import KNOWN
from tests.sandbox.instagram_client import ANI, BASIC, BUDI, CITRA, COMMENTS, DODI, INSIGHTS, App

FOLDER = Path(sandbox.__file__).parent / "instagram"
DOCUMENT = (FOLDER.parents[2] / "docs" / "sandbox.md").read_text()
STEERING = [FOLDER / "steering.py", FOLDER / "stocking.py"]


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_each_quirk_is_documented_in_its_own_words(name: str) -> None:
    quirk = KNOWN[name]
    assert f"| `{name}` | `{json.dumps(quirk.example)}` | {quirk.meaning} |\n" in DOCUMENT


@pytest.mark.parametrize("source", STEERING, ids=lambda path: path.stem)
def test_each_control_call_is_documented(source: Path) -> None:
    routes = re.findall(r'^@CONTROL\.(get|post|delete)\("(.+)"\)$', source.read_text(), re.MULTILINE)
    section = DOCUMENT[DOCUMENT.index("### Steering Instagram") :]
    assert routes
    assert [path for method, path in routes if f"| `{method.upper()} /_sandbox{path}` |" not in section] == []


def test_the_documented_way_through_instagrams_page_is_one(instagram: App) -> None:
    (block,) = [b for b in re.findall(r"^```python\n(.*?)^```$", DOCUMENT, re.M | re.S) if "def at_instagram" in b]
    names: dict[str, Any] = {}
    exec(block, names)
    asked = instagram.request(BASIC, COMMENTS, INSIGHTS)
    address = requests.Request("GET", f"{instagram.url}/oauth/authorize", params=asked).prepare().url
    callback = dict(parse_qsl(urlsplit(names["at_instagram"](address, [COMMENTS])).query))
    told = instagram.exchange(callback["code"]).json()["data"][0]
    assert told["permissions"] == f"{BASIC},{COMMENTS}"


def test_the_documented_accounts_live_there_and_hold_what_is_said(instagram: App) -> None:
    held = {account["id"]: account for account in instagram.state()["accounts"]}
    for account, posts in ((ANI, 300), (BUDI, 4), (CITRA, 12), (DODI, 0)):
        assert f"| `{held[account]['username']}` | `{account}` |" in DOCUMENT
        assert held[account]["media"] == posts
