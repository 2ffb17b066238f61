"""Canaries: every token, code and secret of a whole life is looked for wherever something can be read later (I1, G-1).

Looked through: all log lines at DEBUG, every byte of the database, each answer and its headers, tracebacks.
Looked for: as it is, in base64 at each of its three offsets, in hex, URL-encoded.
"""

import base64
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import requests
from sqlalchemy import select

from broker.db import Base
from tests.house import Browser, House, SalesApp


class Heard:
    """All answers that any session of `requests` was given, and all that was logged."""

    def __init__(self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
        self._caplog = caplog
        self.answers: list[tuple[str, bytes]] = []
        send = requests.Session.send

        def kept(session: requests.Session, request: requests.PreparedRequest, **how: Any) -> requests.Response:
            answer = send(session, request, **how)
            self.answers.append((str(request.url), str(dict(answer.headers)).encode() + answer.content))
            return answer

        monkeypatch.setattr(requests.Session, "send", kept)

    def of_the_broker(self, house: House, *, without: Iterable[str] = ()) -> bytes:
        """Answers of the broker, but for those whose address has one of these parts."""
        return b"\n".join(
            answer
            for url, answer in self.answers
            if url.startswith(house.url) and not any(part in url for part in without)
        )

    def logged(self) -> bytes:
        formatter = logging.Formatter("%(message)s %(args)s")
        return "\n".join(formatter.format(record) for record in self._caplog.records).encode()


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Heard:
    caplog.set_level(logging.DEBUG)
    return Heard(caplog, monkeypatch)


def forms(secret: str) -> Iterator[bytes]:
    raw = secret.encode()
    yield raw
    yield raw.hex().encode()
    yield quote(secret, safe="").encode()
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + raw).rstrip(b"=")
        whole = encoded[4 if offset else 0 : -2]  # what lies between the bytes beside it
        yield whole
        yield whole.translate(bytes.maketrans(b"+/", b"-_"))


def found(secrets: Iterable[str], where: bytes) -> list[str]:
    return [secret[:12] for secret in secrets if any(form in where for form in forms(secret))]


def stored(house: House) -> bytes:
    """Every value of every row; for SQLite the very files too."""
    with house.broker.database.read() as session:
        rows = [repr(tuple(row)) for table in Base.metadata.sorted_tables for row in session.execute(select(table))]
        blobs = [
            bytes(value)
            for table in Base.metadata.sorted_tables
            for row in session.execute(select(table))
            for value in row
            if isinstance(value, bytes | memoryview)
        ]
    url = house.environ["BROKER_DATABASE_URL"]
    files = (
        [Path(url.removeprefix("sqlite:///") + ending) for ending in ("", "-wal")] if url.startswith("sqlite") else []
    )
    return "\n".join(rows).encode() + b"\n".join(blobs) + b"".join(file.read_bytes() for file in files)


def test_the_search_finds_what_it_looks_for() -> None:
    """Else this file could not fail."""
    secret = "ya29.CANARY-of-some-length/with+signs"
    for hidden in (
        secret.encode(),
        b"x" + base64.b64encode(b"ab" + secret.encode() + b"c"),
        base64.urlsafe_b64encode(b"a" + secret.encode()),
        secret.encode().hex().encode(),
        quote(secret, safe="").encode(),
    ):
        assert found([secret], b"before" + hidden + b"after") == [secret[:12]]


def a_whole_life(house: House, app: SalesApp) -> tuple[set[str], set[str]]:
    """Connect, read, refresh, meet every kind of failure, reconnect, revoke. (provider secrets, one-time values)."""
    secrets, once, browser = {house.environ["BROKER_GOOGLE_CLIENT_SECRET"]}, set(), Browser()
    address = browser.approve(app.begin(), ["google_contacts", "google_calendar"])
    callback = browser.at_google(address)
    once.add(parse_qs(urlsplit(callback).query)["state"][0])
    secrets.add(parse_qs(urlsplit(callback).query)["code"][0])
    once |= set(browser.http.cookies.values())
    connection = app.confirm(browser.come_back(callback)).json()["connection"]["id"]
    secrets |= live(house)
    app.records(connection)
    for quirk in (
        {"outage": {"/v1/people": 500}},
        {"outage": {"/v1/people": "html"}},
        {"outage": {"/v1/people": "reset"}},
        {"rate_limit": {"/v1/people": 5}},
        {"token_error": {"error": "invalid_client"}},
        {"token_error": {"error": "server_error", "status": 500}},
    ):
        house.google.quirk(**quirk)
        house.clock.advance(minutes=61)
        app._token = ""
        app.records(connection)
        house.google.quirk(**dict.fromkeys(quirk))
        secrets |= live(house)
    house.google.quirk(bad_id_token="bad_signature")
    app.confirm(app.pending())
    secrets |= live(house)
    house.google.quirk(bad_id_token=None)
    app.confirm(app.pending())
    secrets |= live(house)
    app.revoke(connection)
    return secrets, once


def live(house: House) -> set[str]:
    tokens = house.google.state()["live_tokens"]
    return {token for kind in ("access", "refresh") for token in _values(tokens[kind])} | set(
        house.google.state()["codes"]
    )


def _values(tokens: Iterable[Any]) -> list[str]:
    return [token["value"] if isinstance(token, dict) else str(token) for token in tokens]


def test_no_secret_of_a_whole_life_can_be_read_anywhere(
    house: House, app: SalesApp, heard: Heard, capsys: pytest.CaptureFixture[str]
) -> None:
    secrets, once = a_whole_life(house, app)
    assert len(secrets) > 6
    before = stored(house)
    house.work()
    everything = {
        "logs": heard.logged(),
        "database": before + stored(house),
        "answers": heard.of_the_broker(house),
        "output": "".join(capsys.readouterr()).encode(),
    }
    assert {place: found(secrets, text) for place, text in everything.items() if found(secrets, text)} == {}
    hidden = {place: text for place, text in everything.items() if place != "answers"}
    assert {place: found(once, text) for place, text in hidden.items() if found(once, text)} == {}


def test_no_secret_of_a_caller_can_be_read_anywhere(house: House, app: SalesApp, heard: Heard) -> None:
    secrets = {app.client_secret, app.bearer}
    app.connect("google_contacts")
    app.token(client_secret="WRONG")
    assert found(secrets, heard.logged()) == []
    assert found(secrets, stored(house)) == []
    assert found(secrets, heard.of_the_broker(house, without=("/oauth/token",))) == []


def test_a_traceback_of_the_broker_shows_no_secret(
    house: House, app: SalesApp, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours while a token is in hand: neither the answer nor the log may show it."""
    connection = app.connect("google_contacts")["id"]
    secrets = live(house)

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(house.broker.upstream, "call", broken)
    answer = app.records(connection)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    logged = "\n".join(logging.Formatter().format(record) for record in heard._caplog.records).encode()
    assert found(secrets, logged + answer.content) == []
