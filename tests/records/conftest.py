"""A desk that reads records over SQLite, what the provider was asked meanwhile, and a connector that listens."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from broker.contract import Connector, RawRecord, Reads, Record
from tests.house import Browser, Clock, Google, House, SalesApp
from tests.records.meta import account, brand, page, shop  # noqa: F401 - fixtures


@pytest.fixture
def desk(sqlite_house: House) -> SalesApp:
    """A sales app and sync job in one."""
    return sqlite_house.client()


@pytest.fixture
def connection(desk: SalesApp) -> dict[str, Any]:
    """Ani's account, with google_contacts and google_calendar."""
    return desk.connect()


def connect_another(desk: SalesApp, *connectors: str) -> dict[str, Any]:
    """One more connection to an account that Google has given its refresh token for: it takes a second trip."""
    names = connectors or ("google_contacts", "google_calendar")
    answer = desk.confirm(desk.pending(*names))
    assert answer.json()["code"] == "consent_again", answer.text
    browser = Browser()
    returned = browser.come_back(browser.at_google(browser.approve(answer.json()["url"], names)))
    answer = desk.confirm(returned)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["connection"])


@dataclass
class Asked:
    """What the fake Google has been asked since this object was made, or since `clear`."""

    google: Google
    since: int = 0

    def clear(self) -> None:
        self.since = max((entry["n"] for entry in self.google.requests()), default=0)

    def entries(self, path: str = "") -> list[dict[str, Any]]:
        return [entry for entry in self.google.requests(path) if entry["n"] > self.since]

    def urls(self, path: str = "") -> list[str]:
        """The exact bytes of each target."""
        return [f"{entry['path']}?{entry['query']}".rstrip("?") for entry in self.entries(path)]

    def refreshes(self) -> int:
        return len([entry for entry in self.entries("/token") if entry["grant_type"] == "refresh_token"])


@pytest.fixture
def asked(google: Google, connection: dict[str, Any]) -> Asked:
    """Begins when the connection stands."""
    found = Asked(google)
    found.clear()
    return found


@pytest.fixture
def later(clock: Clock) -> Callable[..., None]:
    """Let time pass; the desk's own access token does not live as long, and it gets another."""

    def passed(*desks: SalesApp, **by: float) -> None:
        clock.advance(**by)
        for each in desks:
            each._token = ""

    return passed


@dataclass
class Probe:
    """A connector that keeps what it is passed."""

    name: str
    reads: Reads
    got: list[dict[str, Any]] = field(default_factory=list)
    says: Record = field(default_factory=dict)
    """Members of its records beside the usual ones."""

    def convert(self, raw: RawRecord) -> Record:
        self.got.append(copy.deepcopy(dict(raw)))
        return {"id": raw.get("id") or raw.get("resourceName"), "type": "probe", "deleted": False, **self.says}

    def connector(self) -> Connector:
        titles = {"en": "Probe", "id": "Uji"}
        return Connector(self.name, "google", "probe", self.reads, self.convert, {}, titles)

    def seen(self) -> set[str]:
        """The members of all records together."""
        return {member for raw in self.got for member in raw}


@pytest.fixture
def probe(sqlite_house: House) -> Callable[..., Probe]:
    """Installs a connector, or another version of one: `probe("name", "resource", required, optional)`."""

    def installed(name: str, resource: str, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> Probe:
        made = Probe(name, Reads(resource, required, optional))
        cast(dict[str, Connector], sqlite_house.broker.connectors)[name] = made.connector()
        return made

    return installed
