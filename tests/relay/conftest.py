"""A broker whose every byte to the providers is noted, and a caller of its relay who can send any byte."""

import http.client
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from broker.sandbox.serve import mapped
from tests.house import ALL_SCOPES, Google, House, SalesApp
from tests.meta import Facebook, Instagram
from tests.records.wiretap import Wiretap, tapped

PEOPLE = "people.googleapis.com"
RELAY = ("relay", *ALL_SCOPES)


@dataclass
class Raw:
    """One answer of the relay."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)

    @property
    def code(self) -> str:
        return str(self.body["code"])


@dataclass
class Relay:
    """A connection's relay, as a client library would call it, but with targets that no library writes."""

    app: SalesApp
    connection: dict[str, Any]
    connector: str
    tap: Wiretap

    @property
    def base(self) -> str:
        return f"/v1/connections/{self.connection['id']}/relay/{self.connector}/"

    def get(self, target: str, **headers: str) -> Raw:
        """`target` as it stands: host, path and query."""
        return self.send("GET", target, headers=headers)

    def send(
        self, method: str, target: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Raw:
        """As `at`, below the relay's own part of the path."""
        return self.at(self.base + target, method=method, headers=headers, body=body)

    def at(
        self,
        target: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Raw:
        """Nothing is encoded, and what was noted on the wire before is forgotten."""
        self.tap.sent.clear()
        calling = http.client.HTTPConnection(str(urlsplit(self.app.url).netloc), timeout=35)
        calling._validate_path = lambda url: None  # type: ignore[attr-defined] # a hostile client's is not checked
        given = {"Authorization": f"Bearer {self.app.bearer}", **(headers or {})}
        try:
            calling.request(method, target, body=body, headers=given)
            answer = calling.getresponse()
            return Raw(answer.status, dict(answer.getheaders()), answer.read().decode())
        finally:
            calling.close()

    def lines(self) -> list[str]:
        """The request lines that went out since."""
        return [head[0] for head in self.tap.requests()]

    def ask(self, target: str) -> Any:
        answer = self.get(target)
        assert answer.status == 200, answer.text
        return answer.body

    def refused(self, target: str, *codes: str, **headers: str) -> None:
        """It is refused, by one of these codes, and nothing went out."""
        answer = self.get(target, **headers)
        assert (answer.code in (codes or ("operation_denied",)), self.lines()) == (True, []), answer.text


@pytest.fixture
def tap(google: Google) -> Iterator[Wiretap]:
    with tapped(google.url) as listening:
        yield listening


@pytest.fixture
def house_of_google(build: Callable[..., House], sqlite_url: str, google: Google, tap: Wiretap) -> House:
    """The data origins are reached through the tap, the others directly."""
    direct = ("https://accounts.google.com", "https://oauth2.googleapis.com", "https://openidconnect.googleapis.com")
    origins = dict(pair.split("=", 1) for pair in mapped({"google": google.url}).split(","))
    through = {origin: url if origin in direct else tap.url for origin, url in origins.items()}
    return build(sqlite_url, BROKER_ORIGINS=",".join(f"{origin}={url}" for origin, url in through.items()))


@pytest.fixture
def at_google(house_of_google: House, tap: Wiretap) -> Callable[..., Relay]:
    """`at_google("google_contacts", …)`: a connection with that connector, and its relay."""
    app = house_of_google.client(*RELAY)

    def connected(connector: str, **how: Any) -> Relay:
        return Relay(app, app.connect(connector, **how), connector, tap)

    return connected


@pytest.fixture
def contacts(at_google: Callable[..., Relay]) -> Relay:
    relay = at_google("google_contacts")
    relay.ask(f"{PEOPLE}/v1/people/me/connections?pageSize=1")  # the access token is there, and further calls are one
    return relay


@pytest.fixture
def meta_tap(facebook: Facebook) -> Iterator[Wiretap]:
    with tapped(facebook.url) as listening:
        yield listening


@pytest.fixture
def instagram_tap(instagram: Instagram) -> Iterator[Wiretap]:
    with tapped(instagram.url) as listening:
        yield listening


@pytest.fixture
def house_of_meta(
    build_meta: Callable[..., House],
    sqlite_url: str,
    google: Google,
    facebook: Facebook,
    instagram: Instagram,
    meta_tap: Wiretap,
    instagram_tap: Wiretap,
) -> House:
    origins = mapped({"google": google.url, "facebook": facebook.url, "instagram": instagram.url})
    pairs = dict(pair.split("=", 1) for pair in origins.split(","))
    taps = {"https://graph.facebook.com": meta_tap.url, "https://graph.instagram.com": instagram_tap.url}
    return build_meta(sqlite_url, BROKER_ORIGINS=",".join(f"{o}={u}" for o, u in {**pairs, **taps}.items()))


@pytest.fixture
def at_facebook(house_of_meta: House, meta_tap: Wiretap) -> Callable[..., Relay]:
    app = house_of_meta.client(*RELAY)

    def connected(connector: str, **how: Any) -> Relay:
        return Relay(app, app.connect(connector, provider="facebook", **how), connector, meta_tap)

    return connected


@pytest.fixture
def at_instagram(house_of_meta: House, instagram_tap: Wiretap) -> Callable[..., Relay]:
    app = house_of_meta.client(*RELAY)

    def connected(connector: str, **how: Any) -> Relay:
        return Relay(app, app.connect(connector, provider="instagram", **how), connector, instagram_tap)

    return connected
