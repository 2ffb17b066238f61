"""The README's calls are made as they stand there, against a broker before the fake Google."""

import re
import shlex
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from broker.clients import register
from tests.docs.pages import commands, page
from tests.house import Browser, House

README = page("README.md")
RETURN_URL = "https://sales.example.com/linked"
SCOPES = {"connect", "connections:read", "records:read", "revoke"}


class Curl:
    """Makes the calls of a page, in order. It knows the options that the page uses, and no other."""

    def __init__(self, **variables: str) -> None:
        self.variables = variables
        self.http = requests.Session()
        self.http.trust_env = False

    def __call__(self, line: str) -> requests.Response:
        words = shlex.split(re.sub(r"\$(\w+)", lambda found: self.variables[found[1]], line.replace("\\\n", " ")))
        assert words.pop(0) == "curl"
        method, url, given = "GET", "", {}
        while words:
            word = words.pop(0)
            if word == "-u":
                given["auth"] = tuple(words.pop(0).split(":", 1))
            elif word == "--oauth2-bearer":
                given["headers"] = {"Authorization": f"Bearer {words.pop(0)}"}
            elif word in ("-d", "--json"):
                method = "POST"
                given["data"] = words.pop(0).encode()
                kind = "application/json" if word == "--json" else "application/x-www-form-urlencoded"
                given["headers"] = {**given.get("headers", {}), "Content-Type": kind}
            elif word == "-X":
                method = words.pop(0)
            else:
                assert not word.startswith("-"), word
                url = word
        return self.http.request(method, url, timeout=30, allow_redirects=False, **given)


def _calls() -> list[str]:
    section = README.section("How a sales app calls it")
    blocks = re.findall(r"^```bash\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in re.split(r"^(?=curl )", block, flags=re.MULTILINE) if line.strip()]


@pytest.fixture
def curl(sqlite_house: House) -> Curl:
    """With a client as the README's `broker clients add` makes it."""
    client_id, secret = register(
        sqlite_house.broker.database,
        sqlite_house.clock(),
        name="sales app",
        scopes=SCOPES,
        tenants={"toko-maju"},
        connectors={"*"},
        return_urls={RETURN_URL},
    )
    return Curl(BROKER=sqlite_house.url, CLIENT_ID=client_id, CLIENT_SECRET=secret.reveal())


def test_the_calls_of_the_readme_do_what_it_says(curl: Curl, sqlite_house: House, browser: Browser) -> None:
    token, session, confirm, records, withdraw, revoke, receipt = _calls()

    curl.variables["TOKEN"] = _answered(curl(token), 200)["access_token"]
    made = _answered(curl(session), 201)
    address = browser.approve(made["url"], ["google_contacts", "google_calendar"])
    returned = browser.come_back(browser.at_google(address))
    curl.variables |= {"SESSION": returned["session"], "CODE": returned["code"]}

    connection = _answered(curl(confirm), 200)["connection"]
    curl.variables["CONNECTION"] = connection["id"]
    assert {grant["connector"] for grant in connection["grants"]} == {"google_contacts", "google_calendar"}

    page_of_records = _answered(curl(records), 200)
    assert len(page_of_records["records"]) == 100
    assert page_of_records["has_more"]

    curl.variables["REVOCATION"] = _answered(curl(withdraw), 200)["revocation"]["id"]
    assert _answered(curl(records), 403)["code"] == "grant_withdrawn"
    curl.variables["REVOCATION"] = _answered(curl(revoke), 202)["revocation"]["id"]
    sqlite_house.work()
    assert _answered(curl(receipt), 200)["connections"][0]["provider_outcome"] == "confirmed"
    assert _answered(curl(records), 410)["code"] == "connection_revoked"


def test_the_sync_job_of_the_readme_reads_all_and_then_only_what_changed(
    curl: Curl, sqlite_house: House, browser: Browser
) -> None:
    app = sqlite_house.client()
    connection = app.connect("google_contacts")["id"]
    kept: dict[str, Any] = {}
    cursors: list[str | None] = []

    def get(path: str, params: Mapping[str, str]) -> Any:
        return _answered(app.call("GET", path, params=params), 200)

    def keep(records: list[dict[str, Any]], cursor: str | None, *, start_over: bool) -> None:
        kept.update({record["id"]: record for record in records} if not start_over else {})
        cursors.append(cursor)

    read = _sync_job()
    read(get, keep, connection, "google_contacts")
    whole, first_pages = len(kept), len(cursors)
    read(get, keep, connection, "google_contacts", cursors[-1])

    assert first_pages > 1
    assert whole == len(kept) > 100
    assert len(cursors) == first_pages + 1


def _sync_job() -> Any:
    """The function that the README shows."""
    names: dict[str, Any] = {}
    exec(README.blocks("python")[0], names)
    return names["read"]


def _answered(answer: requests.Response, status: int) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()


def test_the_client_of_the_readme_may_do_what_its_calls_need() -> None:
    """The command's own scopes and return URL are those with which the walk above is made."""
    line = next(line for block in README.blocks("bash") for line in commands(block) if "clients add" in line)
    words = shlex.split(line)
    given = [(word, words[at + 1]) for at, word in enumerate(words) if word in ("--scope", "--return-url")]
    assert {value for name, value in given if name == "--scope"} == SCOPES
    assert [value for name, value in given if name == "--return-url"] == [RETURN_URL]


def test_the_address_that_the_readme_shows_is_the_one_that_browsers_come_back_to() -> None:
    shown = re.search(r"`(https://sales\.example\.com/linked\?[^`]+)`", README.text)
    assert shown
    assert dict(parse_qsl(urlsplit(shown[1]).query)).keys() == {"session", "status", "code"}
