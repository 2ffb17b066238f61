"""What a client of Google does, over real HTTP: sends the browser to consent, exchanges, refreshes, revokes, reads."""

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from joserfc import jwt
from joserfc.jwk import KeySet

AUTH = "https://www.googleapis.com/auth/"
CONTACTS, EVENTS = f"{AUTH}contacts.readonly", f"{AUTH}calendar.events.readonly"
EMAIL = f"{AUTH}userinfo.email"
ANI, BUDI = "108204268033311374519", "109876543210987654321"
REDIRECT = "https://broker.example/callback/google"
VERIFIER = "VERIFIER-1-that-is-long-enough-for-rfc-7636-to-accept"


@dataclass
class Client:
    """One OAuth client of the fake at `url`."""

    url: str
    client_id: str = "CLIENT-1"
    client_secret: str = "CLIENT-SECRET-1"
    http: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.http.trust_env = False

    def request(self, *scopes: str, **parameters: str | None) -> dict[str, str]:
        """An authorization request; a parameter of None is left out."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
        asked: dict[str, str | None] = {
            "client_id": self.client_id,
            "redirect_uri": REDIRECT,
            "response_type": "code",
            "scope": " ".join(scopes or ("openid", "email", CONTACTS, EVENTS)),
            "state": "STATE-1",
            "nonce": "NONCE-1",
            "access_type": "offline",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **parameters,
        }
        return {name: value for name, value in asked.items() if value is not None}

    def decide(self, asked: dict[str, str], ticked: list[str] | None = None, **form: str) -> requests.Response:
        chosen = asked["scope"].split() if ticked is None else ticked
        data = {"account": ANI, "decision": "allow", "scope": chosen, **form}
        return self.http.post(f"{self.url}/o/oauth2/v2/auth", params=asked, data=data, allow_redirects=False)

    def callback(
        self, *scopes: str, ticked: list[str] | None = None, account: str = ANI, **parameters: str | None
    ) -> dict[str, str]:
        """The query that comes back to the redirect URI."""
        back = self.decide(self.request(*scopes, **parameters), ticked, account=account)
        assert back.status_code in (302, 303), back.text
        assert back.headers["Location"].startswith(REDIRECT)
        return dict(parse_qsl(urlsplit(back.headers["Location"]).query))

    def token(self, **form: str) -> requests.Response:
        data = {"client_id": self.client_id, "client_secret": self.client_secret, **form}
        return self.http.post(f"{self.url}/token", data=data)

    def exchange(self, code: str, **form: str) -> requests.Response:
        given = {"code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER, **form}
        return self.token(grant_type="authorization_code", **given)

    def connect(self, *scopes: str, **how: Any) -> dict[str, Any]:
        """Consent and exchange; the token answer."""
        answer = self.exchange(self.callback(*scopes, **how)["code"])
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refresh(self, refresh_token: str, **form: str) -> requests.Response:
        return self.token(grant_type="refresh_token", refresh_token=refresh_token, **form)

    def revoke(self, token: str) -> requests.Response:
        return self.http.post(f"{self.url}/revoke", data={"token": token})

    def get(self, path: str, access_token: str, **query: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {access_token}"}
        return self.http.get(f"{self.url}{path}", params=query, headers=headers, timeout=30)

    def post(self, path: str, access_token: str, body: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {access_token}"}
        return self.http.post(f"{self.url}{path}", json=body, headers=headers, timeout=30)

    def token_for(self, *names: str, account: str = ANI) -> str:
        """An access token with these scopes, named by what stands after the common prefix."""
        scopes = [name if "://" in name else AUTH + name for name in names]
        return self.connect("openid", *scopes, account=account)["access_token"]

    def people(self, access_token: str, **query: Any) -> requests.Response:
        return self.get("/v1/people/me/connections", access_token, **{"personFields": "names,metadata", **query})

    def events(self, access_token: str, calendar: str = "primary", **query: Any) -> requests.Response:
        return self.get(f"/calendar/v3/calendars/{calendar}/events", access_token, **query)

    def claims(self, id_token: str) -> dict[str, Any]:
        """Verified by the published keys. Raises `JoseError` or `ValueError`."""
        keys = KeySet.import_key_set(self.http.get(f"{self.url}/oauth2/v3/certs").json())
        return dict(jwt.decode(id_token, keys, algorithms=["RS256"]).claims)

    def quirk(self, **quirks: Any) -> requests.Response:
        return self.control("quirks", quirks)

    def control(self, name: str, body: Any = None) -> requests.Response:
        return self.http.post(f"{self.url}/_sandbox/{name}", json={} if body is None else body)

    def requests(self, path: str = "", **query: Any) -> list[dict[str, Any]]:
        """What it was asked, by the beginning of the path."""
        return self.asked(path, **query)["items"]

    def asked(self, path: str = "", **query: Any) -> dict[str, Any]:
        return self.http.get(f"{self.url}/_sandbox/requests", params={"path": path, **query}).json()

    def state(self) -> dict[str, Any]:
        return self.http.get(f"{self.url}/_sandbox/state").json()


def scopes(answer: dict[str, Any]) -> set[str]:
    return set(answer["scope"].split())


def contacts_read(google: Client, token: str, **query: Any) -> tuple[list[dict[str, Any]], str | None]:
    """All persons of a reading, and its sync token if one was asked for."""
    found, page_token = [], None
    while True:
        page = google.people(token, pageToken=page_token, **query).json()
        found += page["connections"]
        page_token = page.get("nextPageToken")
        if not page_token:
            return found, page.get("nextSyncToken")


def reason(answer: requests.Response) -> str:
    """Of an error, in whichever envelope it stands."""
    error = answer.json()["error"]
    return (error.get("details") or error["errors"])[0]["reason"]
