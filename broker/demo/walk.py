"""The walk: what a sales app, its user and a sync job do, in order."""

import json
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console

from broker.demo.http import Answer, Browser, hidden_fields, query_of, send
from broker.demo.site import START, TENANT, Site, StepFailed, run_broker

ANI = "108204268033311374519"
"""An account of the sandbox."""
RETURN_URL = "http://127.0.0.1:9/return"
SUBJECT = "ani"


class Walk:
    """What a sales app, its user and a sync job do, in order."""

    def __init__(self, site: Site, console: Console) -> None:
        self.site, self.console = site, console
        self.token = ""
        self.client = {"client_id": "", "client_secret": ""}

    def walk(self) -> dict[str, str]:
        """All steps; gives the client that was registered."""
        self.client = self.step("Register the sales app as a client", self.register)
        self.token = self.step("It gets an access token (client credentials)", self.authenticate)
        self.console.print("\n[bold]Google[/bold]")
        url = self.step("The sales app asks for contacts and calendar", self.begin)
        callback = self.step(
            "Ani ticks contacts and calendar; at Google she unticks the calendar", lambda: self.consent(url)
        )
        connection = self.step(
            "The sales app's server confirms: only now the code is exchanged", lambda: self.confirm(callback)
        )
        self.step("A sync job reads her contacts, page by page", lambda: self.read_contacts(connection))
        self.step("Only what changed since", lambda: self.read_changes(connection))
        self.step(
            "The calendar is refused: she did not grant it; Google was not asked", lambda: self.refused(connection)
        )
        self.step("Another client, not allowed this connector, is refused", lambda: self.other_client(connection))
        self.step("Contacts are withdrawn: from this answer on no data", lambda: self.withdraw(connection))
        self.step(
            "It was the last one: Google was told, the keys destroyed, here is the receipt",
            lambda: self.receipt(connection),
        )
        self.step("At Google no token is left", self.nothing_left)
        self.console.print("\n[bold green]Every step held.[/bold green]")
        return self.client

    def step(self, title: str, act: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the step found
        began = time.monotonic()
        found = act()
        took = (time.monotonic() - began) * 1000
        self.console.print(f"  [green]✓[/green] {title} [dim]({took:.0f} ms)[/dim]")
        if isinstance(found, tuple):
            found, note = found
            self.console.print(f"      [dim]{note}[/dim]")
        return found

    def register(self) -> tuple[dict[str, str], str]:
        client = self._add_client("sales app", ["connect", "connections:read", "records:read", "revoke"], ["*"])
        return client, f"client_id {client['client_id']}, secret shown once"

    def authenticate(self) -> str:
        return self._token(self.client)

    def begin(self) -> tuple[str, str]:
        body = {
            "tenant": TENANT,
            "subject": SUBJECT,
            "provider": "google",
            "connectors": ["google_contacts", "google_calendar"],
            "return_url": RETURN_URL,
            "subject_label": "Ani Wijaya",
            "tenant_label": "Toko Maju",
            "purpose": "Keep your customers' addresses up to date",
        }
        answer = self.call("POST", "/v1/connect-sessions", body)
        _expect(answer.status == 201, "a session was made", answer)
        return str(answer.json()["url"]), "scopes are derived from what the connectors read"

    def consent(self, url: str) -> tuple[dict[str, str], str]:
        browser = Browser()
        page = browser.get(url)
        _expect(page.status == 200 and "Toko Maju" in page.text, "the consent page names who asks", page)
        sent = browser.post(
            url, [("decision", "approve"), ("connector", "google_contacts"), ("connector", "google_calendar")]
        )
        _expect(sent.status == 303, "the browser was sent to Google", sent)
        google = sent.headers["location"]
        asked = query_of(google)["scope"].split()
        ticked = [scope for scope in asked if "calendar" not in scope]
        form = [
            *hidden_fields(browser.get(google).text),
            ("account", ANI),
            ("decision", "allow"),
            *(("scope", s) for s in ticked),
        ]
        back = browser.post(google, form)
        home = browser.get(back.headers["location"])
        _expect(home.status == 303, "the callback sends the browser home", home)
        returned = query_of(home.headers["location"])
        _expect(returned.get("status") == "pending", "the session is pending", home)
        return returned, "no token exists yet: the code is kept sealed, unspent"

    def confirm(self, callback: Mapping[str, str]) -> tuple[str, str]:
        path = f"/v1/connect-sessions/{callback['session']}/confirm"
        wrong = self.call("POST", path, {"subject": "somebody-else", "code": callback["code"]})
        _expect(wrong.status == 403, "another subject cannot confirm", wrong)
        answer = self.call("POST", path, {"subject": SUBJECT, "code": callback["code"]})
        _expect(answer.status == 200, "it is confirmed", answer)
        connection = answer.json()["connection"]
        missing = {grant["connector"]: grant["missing_scopes"] for grant in connection["grants"]}
        _expect(
            not missing["google_contacts"] and bool(missing["google_calendar"]), "grants say what is missing", answer
        )
        return connection["id"], f"account {connection['account']['label']}; google_calendar lacks its scope"

    def read_contacts(self, connection: str) -> tuple[str, str]:
        count, cursor = 0, None
        while True:
            page = self._records(connection, cursor)
            count, cursor = count + len(page["records"]), page["next_cursor"]
            if not page["has_more"]:
                break
        _expect(count > 0, "there are contacts", None)
        self.cursor = cursor
        return str(cursor), f"{count} contacts, each cut to the granted fields"

    def read_changes(self, connection: str) -> tuple[int, str]:
        page = self._records(connection, self.cursor)
        _expect(not page["has_more"] and len(page["records"]) < 10, "nothing is read twice", None)
        return len(page["records"]), f"{len(page['records'])} changed"

    def refused(self, connection: str) -> tuple[None, str]:
        answer = self.call("GET", f"/v1/connections/{connection}/records/google_calendar")
        problem = answer.json()
        _expect(answer.status == 403 and problem["code"] == "insufficient_scope", "it is refused", answer)
        _expect(problem["source"] == "broker", "by the broker itself", answer)
        return None, f"403 {problem['code']}, missing {problem['missing_scopes'][0]}"

    def other_client(self, connection: str) -> tuple[None, str]:
        other = self._add_client("calendar job", ["records:read"], ["google_calendar"])
        answer = self.call("GET", f"/v1/connections/{connection}/records/google_contacts", token=self._token(other))
        _expect(answer.status == 403 and answer.json()["code"] == "forbidden", "it is refused", answer)
        return None, "403 forbidden"

    def withdraw(self, connection: str) -> tuple[None, str]:
        self.call("DELETE", f"/v1/connections/{connection}/grants/google_calendar")
        answer = self.call("DELETE", f"/v1/connections/{connection}/grants/google_contacts")
        _expect(answer.status in (200, 202), "it is withdrawn", answer)
        self.revocation = answer.json()["revocation"]["id"]
        after = self.call("GET", f"/v1/connections/{connection}/records/google_contacts")
        _expect(after.status == 410, "no data any more", after)
        return None, f"{after.status} {after.json()['code']}"

    def receipt(self, connection: str) -> tuple[None, str]:
        deadline = time.monotonic() + START
        while True:
            answer = self.call("GET", f"/v1/revocations/{self.revocation}")
            receipt = answer.json()
            if receipt["state"] == "completed" or time.monotonic() > deadline:
                break
            time.sleep(0.1)
        item = receipt["connections"][0]
        _expect(item["provider_outcome"] == "confirmed" and bool(item["shredded_at"]), "it is confirmed", answer)
        shown = self.call("GET", f"/v1/connections/{connection}").json()
        _expect(shown["state"] == "revoked" and shown["account"] is None, "the account is shredded", None)
        return None, f"receipt {receipt['id']}: {item['provider_outcome']}, shredded {item['shredded_at']}"

    def nothing_left(self) -> tuple[None, str]:
        state = json.loads(urllib.request.urlopen(f"{self.site.sandbox}/_sandbox/state", timeout=5).read())  # noqa: S310 - loopback
        live = state["live_tokens"]
        _expect(not any(live.values()) if isinstance(live, dict) else not live, "no token lives", None)
        return None, "asked the sandbox's own books"

    def call(self, method: str, path: str, body: object = None, token: str | None = None) -> Answer:
        headers = {"Authorization": f"Bearer {token or self.token}"}
        data = json.dumps(body).encode() if body is not None else None
        return send(method, self.site.broker + path, data, headers | {"Content-Type": "application/json"})

    def _records(self, connection: str, cursor: str | None) -> Any:  # noqa: ANN401
        query = f"?cursor={cursor}" if cursor else ""
        answer = self.call("GET", f"/v1/connections/{connection}/records/google_contacts{query}")
        _expect(answer.status == 200, "records come", answer)
        return answer.json()

    def _token(self, client: Mapping[str, str]) -> str:
        form = urllib.parse.urlencode({"grant_type": "client_credentials", **client}).encode()
        answer = send("POST", f"{self.site.broker}/oauth/token", form, {})
        _expect(answer.status == 200, "a token is issued", answer)
        return str(answer.json()["access_token"])

    def _add_client(self, name: str, scopes: list[str], connectors: list[str]) -> dict[str, str]:
        options = [f"--scope={scope}" for scope in scopes] + [f"--connector={connector}" for connector in connectors]
        urls = [f"--return-url={RETURN_URL}", f"--return-url={self.site.environ['DEMO_SALESAPP']}/return"]
        printed = run_broker(self.site, "clients", "add", name, f"--tenant={TENANT}", *options, *urls, "--json")
        client: dict[str, str] = json.loads(printed)
        return client


def _expect(held: bool, what: str, answer: Answer | None) -> None:
    if not held:
        seen = f" (got {answer.status}: {answer.text[:300]})" if answer else ""
        raise StepFailed(f"did not hold: {what}{seen}")
