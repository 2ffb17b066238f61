"""One connection through its life: what is done to it, what the provider is asked, what the audit says of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests
from sqlalchemy import delete, select, update

from broker.connections.tokens import open_token
from broker.models import AuditEntry, Connection, Duty, ProviderPause
from tests import house as at_google
from tests import meta as at_meta
from tests.house import Google, House, SalesApp

CONNECTORS = {"google": "google_contacts", "facebook": "facebook_profile", "instagram": "instagram_media"}
ACCOUNTS = {"google": at_google.ANI, "facebook": at_meta.ANI, "instagram": at_meta.ANI_AT_INSTAGRAM}


@dataclass
class Life:
    """`fake`: the provider, steered and looked into from outside."""

    house: House
    app: SalesApp
    fake: Google
    provider: str
    id: str = ""
    _seen: int = 0

    def connect(self, *connectors: str, **how: Any) -> "Life":
        """Connect Ani's account, or connect it again."""
        names = connectors or (CONNECTORS[self.provider],)
        self.id = self.app.connect(*names, provider=self.provider, account=ACCOUNTS[self.provider], **how)["id"]
        self.calls()
        return self

    # --- what it is ---

    @property
    def row(self) -> Connection:
        with self.house.broker.database.read() as session:
            return session.get_one(Connection, self.id)

    @property
    def state(self) -> str:
        return self.row.state

    @property
    def shown(self) -> dict[str, Any]:
        return self.app.connection(self.id)

    def token(self, column: str = "access_token") -> str | None:
        """As the vault holds it."""
        with self.house.broker.database.read() as session:
            token = open_token(self.house.broker, session, session.get_one(Connection, self.id), column)
        return token.reveal() if token else None

    def said(self, *actions: str) -> list[str]:
        """What the audit says of this connection, in order; of these actions, if any are named."""
        return [entry.action for entry in self.entries() if not actions or entry.action in actions]

    def entries(self) -> list[AuditEntry]:
        with self.house.broker.database.read() as session:
            query = select(AuditEntry).where(AuditEntry.connection == self.id).order_by(AuditEntry.seq)
            return list(session.scalars(query))

    @property
    def duty(self) -> Duty | None:
        """The open duty that looks after it."""
        with self.house.broker.database.read() as session:
            return session.scalar(select(Duty).where(Duty.kind == "tend", Duty.key == self.id, Duty.open.is_(True)))

    # --- what is done ---

    def read(self, connector: str = "", **params: Any) -> requests.Response:
        return self.app.records(self.id, connector or CONNECTORS[self.provider], **params)

    def hears(self, connector: str = "", **params: Any) -> str:
        """What a read is answered: `200`, or status and code, with the wait where one is told."""
        answer = self.read(connector, **params)
        if answer.status_code == 200:
            return "200"
        wait = answer.headers.get("Retry-After") if answer.status_code == 429 else None
        return " ".join(filter(None, (str(answer.status_code), answer.json()["code"], wait)))

    def passes(self, **by: float) -> None:
        """Time; the app's own access token does not live as long."""
        self.house.clock.advance(**by)
        self.app._token = ""

    def tended(self) -> list[str]:
        """Have it looked after now; which paths the provider was asked for."""
        self.calls()
        with self.house.broker.database.write() as session:
            session.execute(update(Duty).where(Duty.kind == "tend").values(due_at=self.house.clock()))
        self.house.work()
        return self.calls()

    def days(self, days: int, *, a_day: int = 1) -> list[list[str]]:
        """So many days, the worker running `a_day` times in each; which paths the provider was asked for in each."""
        asked: list[list[str]] = []
        for _ in range(days):
            asked.append([])
            for _ in range(a_day):
                self.passes(days=1 / a_day)
                self.house.work()
            asked[-1] += self.calls()
        return asked

    def set(self, **columns: Any) -> None:
        """Past the broker."""
        with self.house.broker.database.write() as session:
            session.execute(update(Connection).where(Connection.id == self.id).values(**columns))

    def waited(self) -> None:
        """As when every wait that a provider asked for is over."""
        with self.house.broker.database.write() as session:
            session.execute(delete(ProviderPause))

    def calls(self) -> list[str]:
        """Paths without versions that the provider was asked for since this was last called; keys are not counted."""
        entries = [entry for entry in self.fake.requests() if entry["n"] > self._seen]
        self._seen = max((entry["n"] for entry in entries), default=self._seen)
        paths = [str(entry["path"]) for entry in entries if "certs" not in entry["path"]]
        return [path.partition("/v26.0")[2] or path for path in paths]

    @contextmanager
    def quirk(self, **quirks: Any) -> Iterator[None]:
        self.fake.quirk(**quirks)
        try:
            yield
        finally:
            self.fake.http.delete(f"{self.fake.url}/_sandbox/quirks", timeout=10)
