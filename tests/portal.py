"""The way into the subject's portal, for tests: a link, a browser that opens it, and the forms of its pages."""

import re
from dataclasses import dataclass, field
from typing import Any

import requests

from tests.house import RETURN_URL, Browser, SalesApp, hidden


def asked(app: SalesApp, **members: Any) -> requests.Response:
    body = {"tenant": app.tenant, "subject": app.subject, "return_url": RETURN_URL, **members}
    return app.call("POST", "/v1/portal-sessions", body)


def link(app: SalesApp, **members: Any) -> str:
    answer = asked(app, **members)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["url"])


@dataclass
class Portal:
    """One browser in the portal, at `url`."""

    url: str
    browser: Browser = field(default_factory=Browser)

    @property
    def origin(self) -> str:
        return self.url.split("/portal/")[0]

    def page(self, path: str = "") -> str:
        answer = self.browser.get(f"{self.url}{path}")
        assert answer.status_code == 200, f"{answer.status_code}: {answer.text}"
        return answer.text

    def token(self) -> str:
        return dict(hidden(self.page()))["token"]

    def post(self, path: str, form: dict[str, str] | None = None, **headers: str) -> requests.Response:
        """A form as its own page would send it."""
        return self.browser.post(f"{self.url}{path}", {"token": self.token(), **(form or {})}, **headers)

    def end(self, **named: str) -> str:
        """Confirm what is named, and read the page that says how it went."""
        answer = self.post("/end", named)
        assert answer.status_code == 303, answer.text
        told = self.browser.get(self.origin + answer.headers["Location"])
        assert told.status_code == 200, told.text
        return told.text


def opened(app: SalesApp, **members: Any) -> Portal:
    """Through the link in a new browser."""
    url, browser = link(app, **members), Browser()
    answer = browser.post(url)
    assert answer.status_code == 303, answer.text
    return Portal(url.split("/portal/")[0] + answer.headers["Location"], browser)


def words(page: str) -> str:
    """What a page says, without its tags, on one line."""
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())
