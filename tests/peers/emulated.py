"""emulate, a server with Google's shapes that nobody here wrote, as a process; and a person at its account chooser.

Laxer than Google, in all of this: whoever chooses an account has consented to all that was asked; it never asks for
consent, and gives a refresh token each time; it takes a request without nonce, state or PKCE; a bearer token that it
does not know is somebody's all the same; it looks at no scope where data are read; `fields` and `syncToken` are nothing
to it; and a revocation ends one token, not the account's whole authorization.
https://github.com/vercel-labs/emulate, `node/google.mjs`
"""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

import requests

from broker.sandbox.serve import origins
from tests.house import Browser, free_port, hidden
from tests.peers import npm
from tests.peers.acts import with_query
from tests.processes import Processes

CLIENT_ID, CLIENT_SECRET = "broker-client.apps.googleusercontent.com", "PROVIDER-SECRET-1"
ANI, BUDI = "ani@example.com", "budi@example.com"
EVENTS = (("e1", "Kunjungan toko"), ("e2", "Rapat penjualan"), ("e3", "Tutup buku"))


@dataclass
class Emulated:
    """One server, with a state of its own. It holds a client to its exact redirect URI, so it starts after the broker,
    which must know where it will be."""

    processes: Processes
    url: str = field(default_factory=lambda: f"http://127.0.0.1:{free_port()}")

    def environ(self) -> dict[str, str]:
        """The broker's settings: Google is here."""
        return {"BROKER_ORIGINS": origins(self.url)}

    def start(self, redirect_uri: str) -> None:
        port = int(self.url.rpartition(":")[2])
        settings = {"port": port, "inner": free_port(), "seed": {"google": _seed(redirect_uri)}}
        process = npm.start(self.processes, "google.mjs", settings, self.url)
        process.wait_until(lambda: self.url in process.said(), "its address")

    def sign_in(self, browser: Browser, address: str, *, user: str = ANI, **altered: str | None) -> str:
        """Choose an account; the callback's address. `altered`: parameters that somebody changed in the address."""
        page = browser.get(with_query(address, **altered))
        assert page.status_code == 200, page.text
        forms = [hidden(part) for part in page.text.split("<form")[1:]]
        chosen = next(form for form in forms if ("email", user) in form)
        answer = browser.post(urljoin(address, "/o/oauth2/v2/auth/callback"), chosen)
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]

    def refreshes(self, refresh_token: str) -> bool:
        """Whether it still honours a refresh token."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        form |= {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        with requests.Session() as http:
            http.trust_env = False
            return http.post(f"{self.url}/token", form, timeout=10).status_code == 200


def _seed(redirect_uri: str) -> dict[str, Any]:
    """Two people, and the calendar of one."""
    client = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "redirect_uris": [redirect_uri]}
    people = [{"email": user, "name": user.partition("@")[0].title()} for user in (ANI, BUDI)]
    calendar = {"id": "primary", "user_email": ANI, "summary": ANI, "primary": True, "time_zone": "Asia/Jakarta"}
    events = [
        {
            "id": name,
            "user_email": ANI,
            "calendar_id": "primary",
            "summary": title,
            "location": "Bandung",
            "start_date_time": f"2026-11-2{place}T02:00:00.000Z",
            "end_date_time": f"2026-11-2{place}T03:00:00.000Z",
        }
        for place, (name, title) in enumerate(EVENTS)
    ]
    return {"users": people, "oauth_clients": [client], "calendars": [calendar], "calendar_events": events}
