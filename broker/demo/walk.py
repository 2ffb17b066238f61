"""The walk: what a sales app, its user and a sync job do, in order, at each provider."""

import json
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from broker.demo.http import Answer, Browser, hidden_fields, query_of, send
from broker.demo.site import START, TENANT, Site, StepFailed, run_broker
from broker.proof import checked, statements

RETURN_URL = "http://127.0.0.1:9/return"
SUBJECT = "ani"


@dataclass(frozen=True)
class Story:
    """What happens at one provider: Ani allows two connectors, and unticks at the provider what one of them needs."""

    provider: str
    title: str
    place: int
    """Of the provider in the sandbox."""
    account: str
    reads: str
    """The connector that she really allows."""
    refused: str
    """The one whose permission she unticks."""
    unticked: str
    """A part of that permission's name."""
    things: str
    outcome: str
    """How its revocation ends at the provider."""


STORIES = (
    Story(
        "google",
        "Google",
        0,
        "108204268033311374519",
        "google_contacts",
        "google_calendar",
        "calendar",
        "contacts",
        "confirmed",
    ),
    Story(
        "facebook",
        "Facebook",
        1,
        "ani@example.com",
        "facebook_pages",
        "facebook_comments",
        "pages_read_user_content",
        "posts",
        "confirmed",
    ),
    Story(
        "instagram",
        "Instagram",
        2,
        "ani.wijaya",
        "instagram_media",
        "instagram_comments",
        "manage_comments",
        "posts",
        "not_supported",
    ),
)


class Walk:
    """All steps at all providers."""

    def __init__(self, site: Site, console: Console) -> None:
        self.site, self.console = site, console
        self.token = ""
        self.client = {"client_id": "", "client_secret": ""}

    def walk(self) -> dict[str, str]:
        """All steps; gives the client that was registered."""
        self.client = self.step("Register the sales app as a client", self.register)
        self.token = self.step("It gets an access token (client credentials)", lambda: self.token_of(self.client))
        for story in STORIES:
            self.console.print(f"\n[bold]{story.title}[/bold]")
            At(self, story).walk()
        self.console.print("\n[bold]Proof[/bold]")
        self.step("Everything else of Ani's is revoked, too: one receipt, signed", self.revoke_all)
        self.step("The receipts verify without the broker: the file and its public keys are enough", self.verify)
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
        client = self.add_client("sales app", ["connect", "connections:read", "records:read", "revoke"], ["*"])
        return client, f"client_id {client['client_id']}, secret shown once"

    def revoke_all(self) -> tuple[None, str]:
        answer = self.call(
            "POST", "/v1/revocations", {"tenant": TENANT, "subject": SUBJECT, "reason": "the demo's end"}
        )
        _expect(answer.status == 200, "nothing was left, and there is a receipt of that", answer)
        receipt = answer.json()["revocation"]
        return None, f"receipt {receipt['id']}: {len(receipt['connections'])} were left; {receipt['state']}"

    def verify(self) -> tuple[None, str]:
        """As `broker receipts verify` does, and then with one word altered."""
        keys = self.call("GET", "/oauth/jwks").json()
        exported = [self.call("GET", f"/v1/revocations/{item['id']}").text for item in self._receipts()]
        findings = [checked(found, keys) for text in exported for found in statements(text)]
        held = len(findings) > len(STORIES) and all(finding["verified"] for finding in findings)
        _expect(held, "each receipt verifies", None)
        altered = exported[-1].replace('"state":"completed"', '"state":"in_progress"', 1)
        (wrong,) = [checked(found, keys) for found in statements(altered)]
        _expect(altered != exported[-1] and not wrong["verified"], "an altered one does not", None)
        return None, f"{len(findings)} verified by key {findings[0]['key'][:12]}…; an altered copy is refused"

    def _receipts(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.call("GET", f"/v1/revocations?tenant={TENANT}&subject={SUBJECT}").json()[
            "items"
        ]
        return items

    def call(self, method: str, path: str, body: object = None, token: str | None = None) -> Answer:
        headers = {"Authorization": f"Bearer {token or self.token}"}
        data = json.dumps(body).encode() if body is not None else None
        return send(method, self.site.broker + path, data, headers | {"Content-Type": "application/json"})

    def add_client(self, name: str, scopes: list[str], connectors: list[str]) -> dict[str, str]:
        options = [f"--scope={scope}" for scope in scopes] + [f"--connector={connector}" for connector in connectors]
        urls = [f"--return-url={RETURN_URL}", f"--return-url={self.site.environ['DEMO_SALESAPP']}/return"]
        printed = run_broker(self.site, "clients", "add", name, f"--tenant={TENANT}", *options, *urls, "--json")
        client: dict[str, str] = json.loads(printed)
        return client

    def token_of(self, client: Mapping[str, str]) -> str:
        form = urllib.parse.urlencode({"grant_type": "client_credentials", **client}).encode()
        answer = send("POST", f"{self.site.broker}/oauth/token", form, {})
        _expect(answer.status == 200, "a token is issued", answer)
        return str(answer.json()["access_token"])


class At:
    """The steps at one provider."""

    def __init__(self, walk: Walk, story: Story) -> None:
        self.walker, self.story = walk, story
        self.call, self.step = walk.call, walk.step
        self.connection = ""
        self.cursor: str | None = None
        self.asset: str | None = None

    def walk(self) -> None:
        story = self.story
        url = self.step(f"The sales app asks for {story.reads} and {story.refused}", self.begin)
        callback = self.step(
            f"Ani ticks both; at {story.title} she unticks what {story.refused} needs", lambda: self.consent(url)
        )
        self.step("The sales app's server confirms: only now the code is exchanged", lambda: self.confirm(callback))
        if self.asset_is_needed():
            self.step("She chooses one of her Pages: no other can be read", self.choose)
        self.step(f"A sync job reads her {story.things}, page by page", self.read_all)
        self.step("Only what changed since, where the provider can tell", self.read_changes)
        self.step(f"{story.refused} is refused; {story.title} was not asked", self.refused)
        self.step("Another client, not allowed this connector, is refused", self.other_client)
        self.step(f"{story.reads} is withdrawn: from this answer on no data", self.withdraw)
        self.step("It was the last one: the provider was told, the keys destroyed, here is the receipt", self.receipt)
        if story.outcome == "confirmed":
            self.step(f"At {story.title} no token is left", self.nothing_left)

    def begin(self) -> tuple[str, str]:
        body = {
            "tenant": TENANT,
            "subject": SUBJECT,
            "provider": self.story.provider,
            "connectors": [self.story.reads, self.story.refused],
            "return_url": RETURN_URL,
            "subject_label": "Ani Wijaya",
            "tenant_label": "Toko Maju",
            "purpose": "Keep your customers' data up to date",
        }
        answer = self.call("POST", "/v1/connect-sessions", body)
        _expect(answer.status == 201, "a session was made", answer)
        return str(answer.json()["url"]), "scopes are derived from what the connectors read"

    def consent(self, url: str) -> tuple[dict[str, str], str]:
        browser = Browser()
        page = browser.get(url)
        _expect(page.status == 200 and "Toko Maju" in page.text, "the consent page names who asks", page)
        ticked = [("connector", name) for name in (self.story.reads, self.story.refused)]
        sent = browser.post(url, [("decision", "approve"), *ticked])
        _expect(sent.status == 303, "the browser was sent to the provider", sent)
        there = sent.headers["location"]
        asked = query_of(there)["scope"].replace(",", " ").split()
        form = [
            *hidden_fields(browser.get(there).text),
            ("account", self.story.account),
            ("decision", "allow"),
            *(("scope", scope) for scope in asked if self.story.unticked not in scope),
        ]
        back = browser.post(there, form)
        home = browser.get(back.headers["location"].partition("#")[0])
        _expect(home.status == 303, "the callback sends the browser home", home)
        returned = query_of(home.headers["location"])
        _expect(returned.get("status") == "pending", "the session is pending", home)
        return returned, "no token exists yet: the code is kept sealed, unspent"

    def confirm(self, callback: Mapping[str, str]) -> tuple[None, str]:
        path = f"/v1/connect-sessions/{callback['session']}/confirm"
        wrong = self.call("POST", path, {"subject": "somebody-else", "code": callback["code"]})
        _expect(wrong.status == 403, "another subject cannot confirm", wrong)
        answer = self.call("POST", path, {"subject": SUBJECT, "code": callback["code"]})
        _expect(answer.status == 200, "it is confirmed", answer)
        connection = answer.json()["connection"]
        missing = {grant["connector"]: grant["missing_scopes"] for grant in connection["grants"]}
        held = not missing[self.story.reads] and bool(missing[self.story.refused])
        _expect(held, "grants say what is missing", answer)
        self.connection = connection["id"]
        return None, f"account {connection['account']['label']}; {self.story.refused} lacks its scope"

    def asset_is_needed(self) -> bool:
        answer = self._records_answer(None)
        return answer.status == 400 and answer.json()["code"] == "asset_required"

    def choose(self) -> tuple[None, str]:
        path = f"/v1/connections/{self.connection}/assets/{self.story.reads}"
        offered = self.call("GET", path).json()["items"]
        _expect(len(offered) > 1, "there are several to choose from", None)
        self.asset, other = offered[0]["id"], offered[1]["id"]
        chosen = self.call("PUT", path, {"assets": [self.asset]})
        _expect(chosen.status == 200, "it is chosen", chosen)
        denied = self.call("GET", f"/v1/connections/{self.connection}/records/{self.story.reads}?asset={other}")
        _expect(denied.status == 403 and denied.json()["code"] == "not_granted", "the other is refused", denied)
        return None, f"{offered[0]['label']}; asking for {offered[1]['label']} is 403 not_granted"

    def read_all(self) -> tuple[None, str]:
        count, cursor = 0, None
        while True:
            page = self._records(cursor)
            count, cursor = count + len(page["records"]), page["next_cursor"]
            if not page["has_more"]:
                break
        _expect(count > 0, "there is something to read", None)
        self.cursor = cursor
        return None, f"{count} {self.story.things}, each cut to the granted fields"

    def read_changes(self) -> tuple[None, str]:
        if self.cursor is None:
            return None, "this provider cannot tell"
        page = self._records(self.cursor)
        _expect(not page["has_more"] and len(page["records"]) < 10, "nothing is read twice", None)
        return None, f"{len(page['records'])} changed"

    def refused(self) -> tuple[None, str]:
        answer = self.call("GET", f"/v1/connections/{self.connection}/records/{self.story.refused}")
        problem = answer.json()
        _expect(answer.status == 403 and problem["code"] == "insufficient_scope", "it is refused", answer)
        _expect(problem["source"] == "broker", "by the broker itself", answer)
        return None, f"403 {problem['code']}, missing {problem['missing_scopes'][0]}"

    def other_client(self) -> tuple[None, str]:
        other = self.walker.add_client("another job", ["records:read"], [self.story.refused])
        answer = self._records_answer(None, token=self.walker.token_of(other))
        _expect(answer.status == 403 and answer.json()["code"] == "forbidden", "it is refused", answer)
        return None, "403 forbidden"

    def withdraw(self) -> tuple[None, str]:
        self.call("DELETE", f"/v1/connections/{self.connection}/grants/{self.story.refused}")
        answer = self.call("DELETE", f"/v1/connections/{self.connection}/grants/{self.story.reads}")
        _expect(answer.status in (200, 202), "it is withdrawn", answer)
        self.revocation = answer.json()["revocation"]["id"]
        after = self._records_answer(None)
        _expect(after.status == 410, "no data any more", after)
        return None, f"{after.status} {after.json()['code']}"

    def receipt(self) -> tuple[None, str]:
        deadline = time.monotonic() + START
        while True:
            answer = self.call("GET", f"/v1/revocations/{self.revocation}")
            receipt = answer.json()
            if receipt["state"] == "completed" or time.monotonic() > deadline:
                break
            time.sleep(0.1)
        item = receipt["connections"][0]
        held = item["provider_outcome"] == self.story.outcome and bool(item["shredded_at"])
        _expect(held, f"it is {self.story.outcome}", answer)
        shown = self.call("GET", f"/v1/connections/{self.connection}").json()
        _expect(shown["state"] == "revoked" and shown["account"] is None, "the account is shredded", None)
        where = f"; the user removes it at {item['remove_at']['path']}" if "remove_at" in item else ""
        return None, f"receipt {receipt['id']}: {item['provider_outcome']}, shredded {item['shredded_at']}{where}"

    def nothing_left(self) -> tuple[None, str]:
        books = f"{self.walker.site.played(self.story.place)}/_sandbox/state"
        state = json.loads(urllib.request.urlopen(books, timeout=5).read())  # noqa: S310 - loopback
        live = state["live_tokens"]
        _expect(not any(live.values()) if isinstance(live, dict) else not live, "no token lives", None)
        return None, "asked the sandbox's own books"

    def _records(self, cursor: str | None) -> Any:  # noqa: ANN401
        answer = self._records_answer(cursor)
        _expect(answer.status == 200, "records come", answer)
        return answer.json()

    def _records_answer(self, cursor: str | None, token: str | None = None) -> Answer:
        given = {"cursor": cursor, "asset": self.asset}
        query = urllib.parse.urlencode({name: value for name, value in given.items() if value})
        path = f"/v1/connections/{self.connection}/records/{self.story.reads}"
        return self.call("GET", f"{path}?{query}" if query else path, token=token)


def _expect(held: bool, what: str, answer: Answer | None) -> None:
    if not held:
        seen = f" (got {answer.status}: {answer.text[:300]})" if answer else ""
        raise StepFailed(f"did not hold: {what}{seen}")
