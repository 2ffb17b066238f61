"""What tests do with any peer: connect through its pages, and look at the tokens that came of it."""

from typing import Any, Protocol
from urllib.parse import urlencode

from broker.connections.tokens import open_token
from broker.models import Connection
from tests.house import Browser, Clock, House, SalesApp, query

PROFILE, CALENDAR = "openid_profile", "google_calendar"
"""What is connected at an OpenID provider, and at Google."""


class Peer(Protocol):
    """A provider with a person at its pages."""

    def sign_in(self, browser: Browser, address: str, **how: Any) -> str:
        """Sign in and consent; the callback's address."""


def departure(app: SalesApp, browser: Browser, provider: str, **members: Any) -> str:
    """Through the consent page here; the address at the provider."""
    connector = CALENDAR if provider == "google" else PROFILE
    return browser.approve(app.begin(connector, provider=provider, **members), [connector])


def pending(app: SalesApp, peer: Peer, provider: str = "nano", **how: Any) -> dict[str, str]:
    """Through the browser as far as the return URL; `how`: what the person does at the provider."""
    browser = Browser()
    return browser.come_back(peer.sign_in(browser, departure(app, browser, provider), **how))


def connect(app: SalesApp, peer: Peer, provider: str = "nano", **how: Any) -> dict[str, Any]:
    """The connection."""
    answer = app.confirm(pending(app, peer, provider, **how))
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["connection"])


def profile(app: SalesApp, connection: dict[str, Any]) -> dict[str, Any]:
    """The one record of a connection, and what was withheld of it."""
    answer = app.records(connection["id"], PROFILE)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return {**body["records"][0], "withheld": {entry["field"] for entry in body["withheld"]}}


def later(app: SalesApp, clock: Clock, **by: float) -> None:
    """Time goes by; our own access token, which lives for a quarter of an hour, is fetched anew."""
    clock.advance(**by)
    app._token = ""


def tokens(house: House, connection: dict[str, Any]) -> tuple[str, str]:
    """Access and refresh token as the vault holds them."""
    with house.broker.database.read() as session:
        row = session.get_one(Connection, connection["id"])
        opened = [open_token(house.broker, session, row, column) for column in ("access_token", "refresh_token")]
    access, refresh = (token.reveal() for token in opened if token)
    return access, refresh


def with_query(url: str, **changes: str | None) -> str:
    """The URL as somebody altered it; None takes a parameter out."""
    given = {name: value for name, value in {**query(url), **changes}.items() if value is not None}
    return f"{url.partition('?')[0]}?{urlencode(given)}"
