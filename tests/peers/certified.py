"""oidc-provider, a certified OpenID provider, as a process; and a person at its pages, who may untick scopes.

It gives a refresh token only for `offline_access`, rotates it, ends the whole grant when a used one comes again, puts
`iss` into its callback, and a revocation of the refresh token takes the access tokens with it.
https://github.com/panva/node-oidc-provider, `node/provider.mjs`
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import requests

from tests.house import Browser, free_port
from tests.peers import npm
from tests.processes import Process, Processes

CLIENT_ID, CLIENT_SECRET = "broker", "PROVIDER-SECRET-1"
NAME = "certified"


@dataclass
class Certified:
    url: str
    process: Process

    def environ(self) -> dict[str, str]:
        values = {"ISSUER": self.url, "CLIENT_ID": CLIENT_ID, "CLIENT_SECRET": CLIENT_SECRET}
        return {f"BROKER_OIDC_{NAME.upper()}_{part}": value for part, value in values.items()}

    def sign_in(
        self, browser: Browser, address: str, *, user: str = "ani", without: Collection[str] = (), deny_at: str = ""
    ) -> str:
        """Log in, tick all scopes but some; the callback's address. `deny_at`: says no there, `login` or `consent`."""
        answer = browser.get(address)
        while not (callback := answer.headers.get("Location", "")).partition("?")[0].endswith(f"/callback/{NAME}"):
            if "Location" in answer.headers:
                answer = browser.get(requests.compat.urljoin(answer.url, callback))
            else:
                answer = browser.post(answer.url, _filled(answer, user, without, deny_at))
        return callback

    def lives(self, token: str) -> bool:
        """What its introspection says of a token (RFC 7662)."""
        return bool(self.asked("/token/introspection", token=token).json()["active"])

    def revocations(self) -> int:
        """How many tokens it was told to end, and ended."""
        return self.process.said().count("revoked ")

    def asked(self, path: str, **form: str) -> requests.Response:
        """As the broker would ask, who has the client's secret."""
        with requests.Session() as http:
            http.trust_env = False
            return http.post(self.url + path, form, auth=(CLIENT_ID, CLIENT_SECRET), timeout=10)


def _filled(page: requests.Response, user: str, without: Collection[str], deny_at: str) -> list[tuple[str, str]]:
    found = re.search(r'data-prompt="(\w+)"', page.text)
    assert found, f"{page.status_code}: {page.text}"
    if found[1] == deny_at:
        return [("deny", "yes")]
    offered = re.findall(r'name="scope" value="([^"]+)"', page.text)
    ticked = [("scope", scope) for scope in offered if scope not in without]
    return [("login", user)] if found[1] == "login" else ticked


def certified(processes: Processes) -> Certified:
    """Started, not waited for."""
    port = free_port()
    client: dict[str, Any] = {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        # So that the broker may be at any port of this machine (RFC 8252 §7.3).
        "application_type": "native",
        "redirect_uris": [f"http://127.0.0.1/callback/{NAME}"],
        "grant_types": ["authorization_code", "refresh_token"],
    }
    url = f"http://127.0.0.1:{port}"
    settings = {"port": port, "clients": [client], "people": ["ani", "budi"]}
    return Certified(url, npm.start(processes, "provider.mjs", settings, url))
