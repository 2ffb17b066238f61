"""What an app of Instagram does, over real HTTP: sends the browser to consent, exchanges, refreshes, reads."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests

BASIC = "instagram_business_basic"
PUBLISH = "instagram_business_content_publish"
COMMENTS = "instagram_business_manage_comments"
MESSAGES = "instagram_business_manage_messages"
INSIGHTS = "instagram_business_manage_insights"
ALL = (BASIC, PUBLISH, COMMENTS, MESSAGES, INSIGHTS)
ANI, BUDI, CITRA, DODI = "17841400000000101", "17841400000000202", "17841400000000303", "17841400000000404"
REDIRECT = "https://broker.example/callback/instagram"
HOUR, DAY = 3600, 24 * 3600


@dataclass
class App:
    """One app of the fake at `url`."""

    url: str
    client_id: str = "IG-APP-1"
    client_secret: str = "IG-SECRET-1"
    http: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.http.trust_env = False

    def request(self, *permissions: str, **parameters: str | None) -> dict[str, str]:
        """An authorization request; a parameter of None is left out."""
        asked: dict[str, str | None] = {
            "client_id": self.client_id,
            "redirect_uri": REDIRECT,
            "response_type": "code",
            "scope": ",".join(permissions or ALL),
            "state": "STATE-1",
            **parameters,
        }
        return {name: value for name, value in asked.items() if value is not None}

    def page(self, asked: dict[str, str], **headers: str) -> requests.Response:
        return self.http.get(f"{self.url}/oauth/authorize", params=asked, headers=headers)

    def decide(self, asked: dict[str, str], ticked: list[str] | None = None, **form: str) -> requests.Response:
        chosen = asked["scope"].split(",") if ticked is None else ticked
        data = {"account": ANI, "decision": "allow", "scope": chosen, **form}
        return self.http.post(f"{self.url}/oauth/authorize", params=asked, data=data, allow_redirects=False)

    def location(self, *permissions: str, ticked: list[str] | None = None, account: str = ANI, **how: Any) -> str:
        """Where the browser is sent back to."""
        back = self.decide(self.request(*permissions, **how), ticked, account=account)
        assert back.status_code in (302, 303), back.text
        assert back.headers["Location"].startswith(REDIRECT)
        return back.headers["Location"]

    def callback(self, *permissions: str, **how: Any) -> dict[str, str]:
        """The query that comes back to the redirect URI."""
        return dict(parse_qsl(urlsplit(self.location(*permissions, **how)).query))

    def exchange(self, code: str, /, **form: str | None) -> requests.Response:
        given = {
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "grant_type": "authorization_code",
            "redirect_uri": REDIRECT,
            "code": code,
            **form,
        }
        return self.http.post(f"{self.url}/oauth/access_token", data=given)

    def short(self, *permissions: str, **how: Any) -> dict[str, Any]:
        """Consent and exchange; what the documented answer wraps."""
        answer = self.exchange(self.callback(*permissions, **how)["code"])
        assert answer.status_code == 200, answer.text
        return answer.json()["data"][0]

    def lengthen(self, token: str, **query: str | None) -> requests.Response:
        asked = {"grant_type": "ig_exchange_token", "client_secret": self.client_secret, "access_token": token, **query}
        return self.http.get(f"{self.url}/access_token", params=asked)

    def connect(self, *permissions: str, **how: Any) -> str:
        """A long-lived token."""
        answer = self.lengthen(self.short(*permissions, **how)["access_token"])
        assert answer.status_code == 200, answer.text
        return answer.json()["access_token"]

    def refresh(self, token: str, **query: str) -> requests.Response:
        asked = {"grant_type": "ig_refresh_token", "access_token": token, **query}
        return self.http.get(f"{self.url}/refresh_access_token", params=asked)

    def get(self, path: str, token: str, **query: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return self.http.get(f"{self.url}{path}", params=query, headers=headers, timeout=30)

    def data(self, path: str, token: str, **query: Any) -> list[dict[str, Any]]:
        answer = self.get(path, token, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def post(self, path: str, token: str, **form: str) -> requests.Response:
        return self.http.post(f"{self.url}{path}", data=form, headers={"Authorization": f"Bearer {token}"})

    def delete(self, path: str, token: str) -> requests.Response:
        return self.http.delete(f"{self.url}{path}", headers={"Authorization": f"Bearer {token}"})

    def quirk(self, **quirks: Any) -> requests.Response:
        return self.control("quirks", quirks)

    def control(self, name: str, body: Any = None) -> requests.Response:
        return self.http.post(f"{self.url}/_sandbox/{name}", json={} if body is None else body)

    def state(self) -> dict[str, Any]:
        return self.http.get(f"{self.url}/_sandbox/state").json()


def error(answer: requests.Response) -> tuple[int, int, int | None]:
    """Status, code and subcode of an error in the Graph's envelope."""
    found = answer.json()["error"]
    return answer.status_code, found["code"], found.get("error_subcode")
