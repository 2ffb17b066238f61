"""nanoidp, an OpenID provider that nobody here wrote, as a process of its own; and a person at its page.

It runs in its profile `oauth21`: PKCE is demanded, refresh tokens rotate and a used one that comes again ends its
whole family, and a client authenticates as it is registered (by HTTP Basic where nothing is said).
https://pypi.org/project/nanoidp/
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.house import Browser, free_port, hidden
from tests.peers.acts import with_query
from tests.processes import Process, Processes

CLIENT_ID, CLIENT_SECRET = "broker", "PROVIDER-SECRET-1"
PASSWORD = "a password"
PEOPLE = ("ani", "budi")
NAMES = ("nano", "named", "broken")
"""Names under which a broker may know it; each has a callback of its own, at any port of this machine."""


@dataclass
class Nano:
    """One server. `issuer`: what it calls itself; it answers at `url`."""

    folder: Path
    url: str
    issuer: str
    processes: Processes
    process: Process | None = None

    def start(self) -> "Nano":
        """Start it, not waiting. What was revoked or used before its last end is forgotten; its keys are not."""
        command = (sys.executable, "-m", "nanoidp", "--config", str(self.folder), "--strict-config")
        self.process = self.processes.start("nanoidp", *command, environ={}, url=self.url)
        return self

    def wait(self) -> "Nano":
        assert self.process
        self.process.wait_until(self._answers, "an answer of nanoidp")
        return self

    def kill(self) -> None:
        assert self.process
        self.process.kill()

    def revive(self) -> None:
        """Whatever was done to it, it runs and answers."""
        if self.process is None or not self.process.is_running():
            self.start()
        assert self.process
        self.process.resume()
        self.wait()

    # --- what the operator of the broker and a person do ---

    def environ(self, name: str = "nano", **changed: str) -> dict[str, str]:
        """The broker's settings for it, as provider `name`."""
        values = {"ISSUER": self.issuer, "CLIENT_ID": CLIENT_ID, "CLIENT_SECRET": CLIENT_SECRET, **changed}
        return {f"BROKER_OIDC_{name.upper()}_{part}": value for part, value in values.items()}

    def sign_in(self, browser: Browser, address: str, *, user: str = "ani", **altered: str | None) -> str:
        """Sign in, which is to consent; the callback's address. Its page offers no way to consent to less.

        `altered`: parameters that somebody changed in the address before (None: taken out).
        """
        address = with_query(address, **altered)
        page = browser.get(address)
        assert page.status_code == 200, page.text
        answer = browser.post(address, [*hidden(page.text), ("username", user), ("password", PASSWORD)])
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]

    # --- what the server knows ---

    def lives(self, token: str) -> bool:
        """What its introspection says of a token (RFC 7662)."""
        return bool(self._asked("POST", "/introspect", data={"token": token}).json()["active"])

    def userinfo(self, token: str) -> requests.Response:
        return self._asked("GET", "/userinfo", headers={"Authorization": f"Bearer {token}"}, auth=None)

    def revoke(self, token: str) -> None:
        """End a token from the provider's side."""
        assert self._asked("POST", "/revoke", data={"token": token}).status_code == 200

    def given(self, grant_type: str) -> int:
        """How often it gave tokens for this grant type since `forget`."""
        heard = self.heard("token_request")
        return sum(entry["details"].get("grant_type") == grant_type for entry in heard if entry["status"] == "success")

    def heard(self, event: str) -> list[dict[str, Any]]:
        """Its own audit since `forget`, newest first."""
        return list(self._asked("GET", "/api/audit", params={"event_type": event, "limit": 1000}).json()["entries"])

    def forget(self) -> None:
        """Begin its audit anew."""
        self._asked("POST", "/api/audit/clear")

    def configure(self, **oauth: Any) -> None:
        """Change its settings; it reads them at once."""
        file = self.folder / "settings.yaml"
        settings = json.loads(file.read_text())
        settings["oauth"].update(oauth)
        file.write_text(json.dumps(settings))
        assert self._asked("POST", "/api/config/reload").json()["status"] == "reloaded"

    def rotate_keys(self) -> None:
        """It signs with a new key from now on."""
        assert self._asked("POST", "/api/keys/rotate").json()["success"]

    def _answers(self) -> bool:
        try:
            return self._asked("GET", "/api/health").status_code == 200
        except requests.ConnectionError:
            return False

    def _asked(self, method: str, path: str, **what: Any) -> requests.Response:
        with requests.Session() as http:
            http.trust_env = False
            what = {"auth": (CLIENT_ID, CLIENT_SECRET), **what}
            return http.request(method, self.url + path, timeout=10, **what)


def nano(processes: Processes, name: str, *, issuer: str | None = None) -> Nano:
    """A server that is not started yet. `issuer`: another name for itself than its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    folder = processes.folder / name
    folder.mkdir()
    client = {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "redirect_uris": [f"http://127.0.0.1/callback/{name}" for name in NAMES],
    }
    settings = {
        "config_version": 1,
        "server": {"host": "127.0.0.1", "port": port},
        "security_profile": "oauth21",
        "oauth": {"issuer": issuer or url, "clients": [client]},
        "jwt": {"keys_dir": str(folder / "keys")},
    }
    people = {name: {"password": PASSWORD, "email": f"{name}@example.com"} for name in PEOPLE}
    # JSON is YAML too.
    (folder / "settings.yaml").write_text(json.dumps(settings))
    (folder / "users.yaml").write_text(json.dumps({"config_version": 1, "users": people}))
    return Nano(folder, url, issuer or url, processes)
