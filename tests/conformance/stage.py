"""A stage: a broker, one provider before it, and the people. What the broker answers there is kept, so that it can be
searched for what must never leave it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import requests

from tests.conformance.providers import Call, Candidate
from tests.house import Browser, Google, House, SalesApp, query


@dataclass
class Stage:
    candidate: Candidate
    house: House
    fake: Google
    answers: list[requests.Response] = field(default_factory=list)

    # --- people ---

    def client(self, *scopes: str, **how: Any) -> SalesApp:
        app = self.house.client(*scopes, **how)
        app.http.hooks["response"].append(self._keep)
        return app

    def browser(self) -> Browser:
        browser = Browser()
        browser.http.hooks["response"].append(self._keep)
        return browser

    def _keep(self, answer: requests.Response, **_: object) -> None:
        if answer.url.startswith(self.house.url):
            self.answers.append(answer)

    # --- connecting ---

    def departure(self, app: SalesApp, *connectors: str, browser: Browser, **members: Any) -> str:
        """Through the consent page here; the address at the provider."""
        names = connectors or (self.candidate.connector,)
        members = {"provider": self.candidate.name, **members}
        return browser.approve(app.begin(*names, **members), names)

    def callback(
        self,
        app: SalesApp,
        *connectors: str,
        browser: Browser,
        account: str = "",
        without: Collection[str] = (),
        decision: str = "allow",
        **members: Any,
    ) -> str:
        """Through the provider's page as well; the callback's address, not yet followed."""
        address = self.departure(app, *connectors, browser=browser, **members)
        account = account or self.candidate.ani
        return browser.at_provider(address, account=account, without=without, decision=decision)

    def pending(self, app: SalesApp, *connectors: str, **how: Any) -> dict[str, str]:
        """As far as the return URL."""
        browser = how.pop("browser", None) or self.browser()
        return browser.come_back(self.callback(app, *connectors, browser=browser, **how))

    def confirm(self, app: SalesApp, returned: Mapping[str, str], *connectors: str) -> requests.Response:
        assets = {name: list(ids) for name, ids in self.candidate.assets.items() if name in connectors}
        return app.confirm(returned, **({"assets": assets} if assets else {}))

    def connected(self, app: SalesApp, *connectors: str, **how: Any) -> requests.Response:
        """The answer to the confirmation; where the provider must be asked for consent once more, to the second."""
        answer = self.confirm(app, self.pending(app, *connectors, **how), *connectors)
        if answer.status_code != 409 or answer.json()["code"] != "consent_again":
            return answer
        browser, names = self.browser(), connectors or (self.candidate.connector,)
        there = {name: how[name] for name in ("without",) if name in how}
        address = browser.approve(answer.json()["url"], names)
        account = how.get("account") or self.candidate.ani
        returned = browser.come_back(browser.at_provider(address, account=account, **there))
        return self.confirm(app, returned, *connectors)

    def connect(self, app: SalesApp, *connectors: str, **how: Any) -> dict[str, Any]:
        answer = self.connected(app, *connectors, **how)
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["connection"])

    # --- what becomes of it ---

    def read(self, app: SalesApp, connection: Mapping[str, Any], connector: str = "", **params: Any) -> Any:
        return app.records(connection["id"], connector or self.candidate.connector, **params)

    def gives_data(self, app: SalesApp, connection: Mapping[str, Any], connector: str = "") -> bool:
        """Whether records come, each of the account that was connected."""
        answer = self.read(app, connection, connector)
        assert answer.status_code == 200, answer.text
        sources = [record["source"]["account"] for record in answer.json()["records"]]
        return bool(sources) and set(sources) == {connection["account"]["id"]}

    def later(self, *apps: SalesApp, by: timedelta) -> None:
        """Time goes by; our own access tokens, which live for a quarter of an hour, are fetched anew."""
        self.house.clock.moved += by
        for app in apps:
            app._token = ""

    def renew(self, *apps: SalesApp) -> None:
        """Let the time of the first renewal come, and the duties be done."""
        self.later(*apps, by=self.candidate.renewed_after)
        self.house.work()

    def asked(self, call: Call, connection: Mapping[str, Any] | None = None) -> int:
        """How often the provider was asked this; of one account where the path names it."""
        account = connection["account"]["id"] if connection else ""
        return len(call.among(self.fake.requests(), account))

    def receipt(self, app: SalesApp, answer: requests.Response) -> dict[str, Any]:
        """Of a revocation, as it is now: the one connection of it."""
        assert answer.status_code in (200, 202), answer.text
        (item,) = app.receipt(answer.json()["revocation"]["id"])["connections"]
        return dict(item)

    def live_of(self, account: str) -> int:
        """Tokens that the provider still honours, of one account as the person names it or by its id."""
        live = [token for kind in self.fake.state()["live_tokens"].values() for token in kind]
        return sum(token["account"] == account for token in live)

    # --- secrets ---

    def secrets(self) -> set[str]:
        """Every token and code that the provider knows of, alive or seen in a request."""
        state = self.fake.state()
        live = {token["value"] for kind in state["live_tokens"].values() for token in kind}
        seen = {entry["token"] for entry in state["requests"] if entry["token"]}
        return live | seen | set(state["codes"])

    def told_abroad(self) -> list[str]:
        """Answers of the broker in which one of them stands."""
        secrets = self.secrets()
        said = [(answer.url, f"{answer.text}\n{answer.headers}") for answer in self.answers]
        return [url for url, text in said if any(secret in text for secret in secrets)]


def altered(url: str, **changes: str | None) -> str:
    """The address with other parameters; None takes one out."""
    given = {**query(url), **changes}
    kept = {name: value for name, value in given.items() if value is not None}
    return requests.Request("GET", url.partition("?")[0], params=kept).prepare().url or ""
