"""NDJSON: every page of a reading as a stream, guarded at each write (contract §4; I2, I11)."""

import json
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import g, request
from werkzeug.test import run_wsgi_app

from broker.clients import ALL, Caller
from broker.records import RecordsPage, read_page
from broker.web import guarded
from tests.house import Google, House, SalesApp
from tests.processes import Installation, children

NDJSON = {"Accept": "application/x-ndjson"}
MANY = "many@example.com"


def lines(answer: requests.Response) -> list[dict[str, Any]]:
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


def read(app: SalesApp, connection: str, **params: Any) -> requests.Response:
    path = f"/v1/connections/{connection}/records/google_contacts"
    return app.call("GET", path, params=params, headers=NDJSON)


@pytest.fixture
def desk(sqlite_house: House) -> SalesApp:
    return sqlite_house.client()


def test_a_stream_is_every_page_a_record_a_line_and_says_where_it_ended(desk: SalesApp, google: Google) -> None:
    connection = desk.connect()["id"]
    answer = read(desk, connection, limit=100)
    *records, last = lines(answer)
    assert len(records) == 260
    assert {record["type"] for record in records} == {"contact"}
    assert last == {"next_cursor": last["next_cursor"], "has_more": False, "withheld": []}
    assert answer.headers["Broker-Reset"] == "false"
    assert len(google.requests("/v1/people/me/connections")) == 3


def test_its_cursor_goes_on_with_what_changed_since(desk: SalesApp, google: Google) -> None:
    connection = desk.connect()["id"]
    last = lines(read(desk, connection))[-1]
    contact = {"resourceName": "people/c7", "names": [{"displayName": "New Name"}]}
    google.control("contacts", {"account": "ani@example.com", "contact": contact})
    changed, _ = lines(read(desk, connection, cursor=last["next_cursor"]))
    assert changed["name"] == "New Name"


def test_a_stream_that_had_to_begin_anew_says_so_in_its_header(desk: SalesApp, google: Google) -> None:
    connection = desk.connect()["id"]
    last = lines(read(desk, connection))[-1]
    google.quirk(expired_sync_token="INVALID_ARGUMENT")
    answer = read(desk, connection, cursor=last["next_cursor"])
    assert answer.headers["Broker-Reset"] == "true"
    assert len(lines(answer)) == 261


def test_a_refusal_before_the_first_line_is_a_problem_as_ever(desk: SalesApp) -> None:
    connection = desk.connect()["id"]
    desk.revoke(connection)
    answer = read(desk, connection)
    assert (answer.status_code, answer.headers["Content-Type"]) == (410, "application/problem+json")


def test_what_fails_on_the_way_stands_in_the_last_line_with_the_cursor_to_go_on_from(
    desk: SalesApp, google: Google
) -> None:
    connection = desk.connect()["id"]
    google.quirk(outage={"/v1/people/me/connections": {"value": 503, "after": 1}})
    *records, last = lines(read(desk, connection, limit=100))
    assert len(records) == 100
    assert (last["has_more"], last["error"]["code"]) == (True, "provider_unavailable")
    google.quirk(outage=None)
    assert len(lines(read(desk, connection, limit=100, cursor=last["next_cursor"]))) == 161


def test_a_stream_ends_after_its_time_and_says_that_there_is_more(
    desk: SalesApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarded, "LONGEST_STREAM", 0.0)
    connection = desk.connect()["id"]
    *records, last = lines(read(desk, connection, limit=100))
    assert (len(records), last["has_more"], "error" in last) == (100, True, False)


@pytest.mark.parametrize("accept", ["application/json", "*/*", "application/json, application/x-ndjson;q=0.5", ""])
def test_who_does_not_ask_for_a_stream_gets_a_document(desk: SalesApp, accept: str) -> None:
    connection = desk.connect()["id"]
    path = f"/v1/connections/{connection}/records/google_contacts"
    answer = desk.call("GET", path, headers={"Accept": accept})
    assert (answer.headers["Content-Type"], len(answer.json()["records"])) == ("application/json", 100)


def test_a_record_longer_than_one_write_comes_whole(desk: SalesApp, google: Google) -> None:
    contact = {"resourceName": "people/c1", "names": [{"displayName": "N" * 200_000}]}
    google.control("contacts", {"account": "budi@example.com", "contact": contact})
    connection = desk.connect(account="budi@example.com")["id"]
    *records, _ = lines(read(desk, connection))
    assert max(len(record.get("name", "")) for record in records) == 200_000


def test_what_waited_for_its_first_write_is_checked_again(desk: SalesApp, sqlite_house: House) -> None:
    """I2: the first page was empty; while the second was fetched the user revoked, and was answered."""
    everything = frozenset({ALL})
    caller = Caller("cli_x", frozenset(), everything, everything, frozenset())
    connection = desk.connect()["id"]
    read = partial(read_page, sqlite_house.broker, caller, connection, "google_contacts", asset=None, limit=100)
    page = read(cursor=None)

    def revoked_meanwhile(cursor: str) -> RecordsPage:
        following = read(cursor=cursor)
        assert desk.revoke(connection).status_code in (200, 202)
        return following

    first = replace(page, body={**page.body, "records": []})
    with sqlite_house.app.test_request_context():
        g.request_id = "req_x"
        stream = guarded.Stream(sqlite_house.broker, first, None, revoked_meanwhile)
        pieces, status, _ = run_wsgi_app(stream, request.environ, buffered=True)
    (last,) = [json.loads(line) for line in b"".join(pieces).splitlines()]
    assert (status[:3], last["error"]["code"], last["has_more"]) == ("200", "connection_revoked", True)


# --- real processes ------------------------------------------------------------------------------------------


def _streamed(app: SalesApp, connection: str) -> requests.Response:
    url = f"{app.url}/v1/connections/{connection}/records/google_contacts"
    headers = {"Authorization": f"Bearer {app.bearer}", **NDJSON}
    return app.http.get(url, headers=headers, stream=True, timeout=120)


def test_a_revocation_stops_a_stream_midway(sqlite_installation: Installation) -> None:
    """I2: after the revocation has answered not one further record leaves; the last line says why."""
    installation = sqlite_installation
    installation.google.control("accounts", {"email": MANY, "contacts": 20_000})
    installation.google.quirk(delay={"/v1/people": 0.2})
    app = installation.app()
    connection = app.connect(account=MANY)["id"]
    revoked: list[float] = []

    def revoke() -> None:
        time.sleep(0.7)
        assert installation.app().revoke(connection).status_code in (200, 202)
        revoked.append(time.monotonic())

    thread = threading.Thread(target=revoke)
    arrived: list[tuple[float, dict[str, Any]]] = []
    with _streamed(app, connection) as answer:
        thread.start()
        for line in answer.iter_lines():
            arrived.append((time.monotonic(), json.loads(line)))
    thread.join()
    *records, (_, last) = arrived
    assert 0 < len(records) < 20_000
    assert last["error"]["code"] in ("connection_revoked", "grant_withdrawn")
    late = [at - revoked[0] for at, _ in records if at > revoked[0] + 0.25]
    assert not late, f"{len(late)} records up to {max(late):.2f} s late"


def test_the_memory_of_a_stream_stays_flat(sqlite_installation: Installation) -> None:
    """Thirty thousand records take no more than some pages' worth (contract §4)."""
    installation = sqlite_installation
    installation.google.control("accounts", {"email": MANY, "contacts": 30_000})
    app = installation.app()
    connection = app.connect(account=MANY)["id"]
    count, before = 0, 0
    with _streamed(app, connection) as answer:
        for _ in answer.iter_lines(chunk_size=65536):
            count += 1
            if count == 10_000:
                before = _memory(installation)
    assert count == 30_001
    assert _memory(installation) - before < 30 * 1024


def _memory(installation: Installation) -> int:
    """Of the server and its workers together, in KiB."""
    pids = [installation.server.pid, *installation.server.children()]
    pids += [below for pid in pids for below in children(pid)]
    return sum(
        int(line.split()[1])
        for pid in set(pids)
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmHWM")
    )
