"""A whole house for a test: the broker over real HTTP, a fake Google beside it, and the people who use them.

The broker runs in a thread of the test's own process, so that its clock can be moved; `tests/processes.py` runs the
same thing as real processes. What a test does with either is written once, in `SalesApp` and `Browser`.
"""

import html.parser
import random
import socket
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from flask import Flask

from broker import clients, duties
from broker.app import assemble, create_app
from broker.keyring import write_key_file
from broker.runtime import Broker
from broker.sandbox.serve import Running, origins

ANI, BUDI = "108204268033311374519", "109876543210987654321"
"""Accounts at the fake Google."""
AUTH = "https://www.googleapis.com/auth/"
CONTACTS, EVENTS = f"{AUTH}contacts.readonly", f"{AUTH}calendar.events.readonly"
CALENDAR_LIST = f"{AUTH}calendar.calendarlist.readonly"
RETURN_URL = "https://sales.example/linked?tab=accounts"
ALL_SCOPES = ("connect", "connections:read", "records:read", "revoke")


@dataclass
class Clock:
    """The time for the broker and the fake Google alike."""

    moved: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.moved

    def timestamp(self) -> float:
        return self().timestamp()

    def advance(self, **by: float) -> None:
        self.moved += timedelta(**by)


class Google:
    """The fake Google, steered and looked into from outside."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = requests.Session()
        self.http.trust_env = False

    def quirk(self, **quirks: Any) -> None:
        self.control("quirks", quirks)

    def control(self, name: str, body: Any = None) -> Any:
        answer = self.http.post(f"{self.url}/_sandbox/{name}", json={} if body is None else body, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def state(self) -> dict[str, Any]:
        return self.http.get(f"{self.url}/_sandbox/state", timeout=10).json()

    def requests(self, path: str = "") -> list[dict[str, Any]]:
        """What it was asked, in order, by the beginning of the path."""
        return [entry for entry in self.state()["requests"] if entry["path"].startswith(path)]

    def live_tokens(self) -> int:
        return sum(self.state()["counts"].values())


class Browser:
    """A browser without script: it keeps cookies and stops at each redirect."""

    def __init__(self) -> None:
        self.http = requests.Session()
        self.http.trust_env = False

    def get(self, url: str, **headers: str) -> requests.Response:
        return self.http.get(url, headers=headers, allow_redirects=False, timeout=35)

    def post(self, url: str, form: Any = None, **headers: str) -> requests.Response:
        return self.http.post(url, data=form, headers=headers, allow_redirects=False, timeout=35)

    def approve(self, url: str, connectors: Collection[str]) -> str:
        """Send the consent form; the address at the provider."""
        form = [("decision", "approve"), *(("connector", name) for name in connectors)]
        return _location(self.post(url, form))

    def at_google(
        self, address: str, *, account: str = ANI, without: Collection[str] = (), decision: str = "allow"
    ) -> str:
        """Choose an account and untick scopes at Google; the callback's address."""
        return self.at_provider(address, account=account, without=without, decision=decision)

    def at_provider(
        self,
        address: str,
        *,
        account: str,
        without: Collection[str] = (),
        decision: str = "allow",
        pages: Collection[str] = (),
    ) -> str:
        """The same at any provider of the sandbox; `pages`: those chosen at Facebook, none named = all."""
        page = self.get(address)
        assert page.status_code == 200, page.text
        asked = query(address).get("scope", "").replace(",", " ").split()
        ticked = [("scope", scope) for scope in asked if scope not in without]
        form = [*hidden(page.text), ("account", account), ("decision", decision), *ticked]
        return _location(self.post(address, form + [("pages", chosen) for chosen in pages]))

    def come_back(self, callback: str) -> dict[str, str]:
        """Follow the callback; what the return URL is given."""
        return query(_location(self.get(callback)))


@dataclass
class SalesApp:
    """A client of the broker at `url`: the sales app's server, or a sync job."""

    url: str
    client_id: str
    client_secret: str
    tenant: str = "toko"
    subject: str = "ani"
    http: requests.Session = field(default_factory=requests.Session)
    _token: str = ""

    def __post_init__(self) -> None:
        self.http.trust_env = False

    def token(self, **form: str) -> requests.Response:
        given = {"client_id": self.client_id, "client_secret": self.client_secret, **form}
        return self.http.post(f"{self.url}/oauth/token", data={"grant_type": "client_credentials", **given}, timeout=35)

    @property
    def bearer(self) -> str:
        if not self._token:
            answer = self.token()
            assert answer.status_code == 200, answer.text
            self._token = answer.json()["access_token"]
        return self._token

    def call(self, method: str, path: str, body: Any = None, **kwargs: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.bearer}", **kwargs.pop("headers", {})}
        given = {"json": body} if body is not None else {}
        return self.http.request(
            method, self.url + path, headers=headers, allow_redirects=False, timeout=65, **given, **kwargs
        )

    def session(self, *connectors: str, **members: Any) -> requests.Response:
        body = {
            "tenant": self.tenant,
            "subject": self.subject,
            "provider": "google",
            "connectors": list(connectors or ("google_contacts", "google_calendar")),
            "return_url": RETURN_URL,
            **members,
        }
        return self.call("POST", "/v1/connect-sessions", {k: v for k, v in body.items() if v is not None})

    def begin(self, *connectors: str, **members: Any) -> str:
        """A connect session's address."""
        answer = self.session(*connectors, **members)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["url"])

    def confirm(self, returned: Mapping[str, str], **members: Any) -> requests.Response:
        """`returned`: what the browser brought back to the return URL."""
        body = {"subject": self.subject, "code": returned.get("code", ""), **members}
        return self.call("POST", f"/v1/connect-sessions/{returned['session']}/confirm", body)

    def callback(self, *connectors: str, browser: Browser, **how: Any) -> str:
        """Through the browser as far as Google's answer: the callback's address, not yet followed.

        `account`, `without`, `decision`: what the user does at Google.
        """
        there = {name: how.pop(name) for name in ("account", "without", "decision", "pages") if name in how}
        connectors = connectors or ("google_contacts", "google_calendar")
        address = browser.approve(self.begin(*connectors, **how), connectors)
        return browser.at_provider(address, **{"account": ANI, **there})

    def pending(self, *connectors: str, browser: Browser | None = None, **how: Any) -> dict[str, str]:
        """Through the browser as far as the return URL."""
        browser = browser or Browser()
        return browser.come_back(self.callback(*connectors, browser=browser, **how))

    def connect(self, *connectors: str, **how: Any) -> dict[str, Any]:
        """Connect and confirm; the connection. Google gives lasting access only with a consent: where it asked for
        none, the user goes there a second time (contract §3, `consent_again`)."""
        at_google = {name: how[name] for name in ("account", "without") if name in how}
        connectors = connectors or ("google_contacts", "google_calendar")
        confirmed = {"assets": how.pop("assets")} if "assets" in how else {}
        answer = self.confirm(self.pending(*connectors, **how), **confirmed)
        if answer.status_code == 409 and answer.json()["code"] == "consent_again":
            browser = Browser()
            callback = browser.at_google(browser.approve(answer.json()["url"], connectors), **at_google)
            answer = self.confirm(browser.come_back(callback))
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["connection"])

    def status(self, session_id: str) -> str:
        """A connect session's status."""
        answer = self.call("GET", f"/v1/connect-sessions/{session_id}")
        assert answer.status_code == 200, answer.text
        return str(answer.json()["status"])

    def connection(self, connection_id: str) -> dict[str, Any]:
        return dict(self.call("GET", f"/v1/connections/{connection_id}").json())

    def records(self, connection_id: str, connector: str = "google_contacts", **params: Any) -> requests.Response:
        return self.call("GET", f"/v1/connections/{connection_id}/records/{connector}", params=params)

    def revoke(self, connection_id: str, **params: Any) -> requests.Response:
        return self.call("DELETE", f"/v1/connections/{connection_id}", params=params)

    def withdraw(self, connection_id: str, connector: str, **params: Any) -> requests.Response:
        return self.call("DELETE", f"/v1/connections/{connection_id}/grants/{connector}", params=params)

    def receipt(self, revocation_id: str) -> dict[str, Any]:
        return dict(self.call("GET", f"/v1/revocations/{revocation_id}").json())


@dataclass
class House:
    """The broker in this process, served at `url`."""

    url: str
    broker: Broker
    app: Flask
    google: Google
    clock: Clock
    environ: dict[str, str]

    def client(self, *scopes: str, tenants: Collection[str] = ("toko",), **how: Any) -> SalesApp:
        """A newly registered client; with no scopes named it has those of a sales app and a sync job together."""
        client_id, secret = clients.register(
            self.broker.database,
            self.clock(),
            name=how.pop("name", "a client"),
            scopes=scopes or ALL_SCOPES,
            tenants=tenants,
            connectors=how.pop("connectors", ("*",)),
            return_urls=how.pop("return_urls", (RETURN_URL,)),
        )
        return SalesApp(self.url, client_id, secret.reveal(), **how)

    def work(self) -> None:
        """Do every duty that is due."""
        duties.work(self.broker, once=True)


def environment(url: str, google_url: str, database_url: str, folder: Path, **more: str) -> dict[str, str]:
    """Settings of a broker at `url` before the fake Google; its key file is made in `folder` if need be."""
    keys = folder / "keys"
    if not keys.exists():
        write_key_file(keys)
    log = folder / f"{database_url.rpartition('/')[2]}.shred-log"
    return {
        "BROKER_ENV": "development",
        "BROKER_DATABASE_URL": database_url,
        "BROKER_SHRED_LOG": str(log.absolute()),
        "BROKER_KEYS": f"file:{keys}",
        "BROKER_PUBLIC_URL": url,
        "BROKER_GOOGLE_CLIENT_ID": "broker-client.apps.googleusercontent.com",
        "BROKER_GOOGLE_CLIENT_SECRET": "PROVIDER-SECRET-1",
        "BROKER_ORIGINS": origins(google_url),
        **more,
    }


@contextmanager
def built(google: Google, database_url: str, folder: Path, clock: Clock, **more: str) -> Iterator[House]:
    """A broker over a migrated database, served until the end of the block."""
    port = free_port()
    environ = environment(f"http://127.0.0.1:{port}", google.url, database_url, folder, **more)
    broker = assemble(environ, clock=clock)
    app = create_app(broker)
    try:
        with Running(app, port) as running:
            yield House(running.url, broker, app, google, clock, environ)
    finally:
        broker.accesses.close()
        broker.upstream.close()
        broker.database.dispose()


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])


def free_ports_in_a_row(count: int) -> int:
    """The first of them; below those that the system gives to whoever asks for any."""
    while True:
        first = random.randrange(10_000, 30_000)
        try:
            for port in range(first, first + count):
                with socket.socket() as opened:
                    opened.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first


def query(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))


def hidden(page: str) -> list[tuple[str, str]]:
    """The hidden fields of a page's form."""
    parser = _Hidden()
    parser.feed(page)
    return parser.fields


class _Hidden(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.fields: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "input" and given.get("type") == "hidden" and given.get("name"):
            self.fields.append((str(given["name"]), given.get("value") or ""))


def _location(answer: requests.Response) -> str:
    assert answer.status_code in (302, 303), f"{answer.status_code}: {answer.text}"
    return answer.headers["Location"]
