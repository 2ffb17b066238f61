"""What tests of Facebook's and Instagram's connectors have in common: a sync job that reads to the end and again."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from tests.house import Clock, House, SalesApp
from tests.meta import ANI, ANI_AT_INSTAGRAM, BUDI, BUDI_AT_INSTAGRAM, Facebook, Instagram

BUDIS_PAGE = "104820017650011"
"""8 posts, 6 leads, 5 conversations."""
ANIS_PAGES = ("104820017650001", "104820017650002", "104820017650003")
FACEBOOK = ("facebook_profile", "facebook_pages", "facebook_leads", "facebook_inbox", "facebook_comments")
OF_PAGES = FACEBOOK[1:]
INSTAGRAM = ("instagram_profile", "instagram_media", "instagram_comments", "instagram_inbox", "instagram_insights")

Record = dict[str, Any]


@dataclass
class Run:
    """Every page of one reading."""

    pages: list[dict[str, Any]]

    @property
    def records(self) -> list[Record]:
        return [record for page in self.pages for record in page["records"]]

    @property
    def ids(self) -> list[str]:
        return [record["id"] for record in self.records]

    @property
    def cursor(self) -> str | None:
        found: str | None = self.pages[-1]["next_cursor"]
        return found


@dataclass
class Sync:
    """A sync job with one connection, and the provider that it is of."""

    app: SalesApp
    connection: dict[str, Any]
    provider: Facebook | Instagram
    clock: Clock
    since: int = field(default=0)

    def ask(self, connector: str, **params: Any) -> requests.Response:
        return self.app.records(self.connection["id"], connector, **params)

    def run(self, connector: str, **params: Any) -> Run:
        """To the end, each page checked for what every page has."""
        pages = [self._page(connector, params)]
        while pages[-1]["has_more"]:
            pages.append(self._page(connector, {**params, "cursor": pages[-1]["next_cursor"]}))
        return Run(pages)

    def _page(self, connector: str, params: dict[str, Any]) -> dict[str, Any]:
        answer = self.ask(connector, **params)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def refusal(self, connector: str, **params: Any) -> tuple[int, str]:
        answer = self.ask(connector, **params)
        return answer.status_code, answer.json()["code"]

    def later(self, **by: float) -> None:
        """Time passes, more than readings overlap; the app's own access token does not live as long."""
        self.clock.advance(**by)
        self.app._token = ""

    def control(self, name: str, **body: Any) -> Any:
        return self.provider.control(name, body)

    def forget(self) -> None:
        """What it was asked until now."""
        self.since = max((entry["n"] for entry in self.provider.requests()), default=0)

    def asked(self, *, beginning: str = "") -> list[dict[str, Any]]:
        """The Graph's data calls since then."""
        found = [entry for entry in self.provider.requests(beginning) if entry["n"] > self.since]
        internal = ("/v26.0/debug_token", "/v26.0/me/permissions")
        return [entry for entry in found if entry["path"] not in internal and "access_token" not in entry["query"]]


@pytest.fixture
def page(meta: House, facebook: Facebook, clock: Clock) -> Sync:
    """Budi's only Page, with every connector."""
    return on_facebook(meta, facebook, clock, account=BUDI, page=BUDIS_PAGE)


@pytest.fixture
def shop(meta: House, facebook: Facebook, clock: Clock) -> Sync:
    """The first of Ani's Pages, with more than a page of everything."""
    return on_facebook(meta, facebook, clock, account=ANI, page=ANIS_PAGES[0])


@pytest.fixture
def account(meta: House, instagram: Instagram, clock: Clock) -> Sync:
    """Budi's account at Instagram: 4 posts, 2 conversations."""
    return on_instagram(meta, instagram, clock, account=BUDI_AT_INSTAGRAM)


@pytest.fixture
def brand(meta: House, instagram: Instagram, clock: Clock) -> Sync:
    """Ani's account at Instagram: 300 posts, 60 conversations."""
    return on_instagram(meta, instagram, clock, account=ANI_AT_INSTAGRAM)


def on_facebook(meta: House, facebook: Facebook, clock: Clock, *, account: str, page: str, **how: Any) -> Sync:
    app = meta.client()
    assets = {connector: [page] for connector in OF_PAGES}
    made = app.connect(*FACEBOOK, provider="facebook", account=account, assets=assets, **how)
    return Sync(app, made, facebook, clock)


def on_instagram(meta: House, instagram: Instagram, clock: Clock, *, account: str, **how: Any) -> Sync:
    app = meta.client()
    made = app.connect(*INSTAGRAM, provider="instagram", account=account, **how)
    return Sync(app, made, instagram, clock)
