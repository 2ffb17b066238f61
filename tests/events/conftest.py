"""A receiver, and a sales app that has registered it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from broker import audit
from tests.events.receiver import Receiver
from tests.house import House, SalesApp


@dataclass
class Endpoint:
    """The receiver as a client registered it at the broker."""

    client: SalesApp
    id: str
    secret: str

    def asked(self, method: str, path: str = "", body: Any = None, **how: Any) -> requests.Response:
        self.client._token = ""  # the clock may have moved past its end
        return self.client.call(method, f"/v1/event-endpoints/{self.id}{path}", body, **how)

    def call(self, method: str, path: str = "", body: Any = None, **how: Any) -> Any:
        answer = self.asked(method, path, body, **how)
        assert answer.status_code == 200, answer.text
        return answer.json()

    @property
    def state(self) -> dict[str, Any]:
        return dict(self.call("GET"))

    def deliveries(self, **params: Any) -> list[dict[str, Any]]:
        return list(self.call("GET", "/deliveries", params=params)["items"])


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def endpoint(house: House, receiver: Receiver) -> Endpoint:
    """All of the tenant toko."""
    return registered(house, receiver)


def registered(
    house: House, receiver: Receiver, *, tenants: tuple[str, ...] = ("toko",), types: tuple[str, ...] = ("*",)
) -> Endpoint:
    client = house.client("events", tenants=tenants)
    body = {"url": receiver.url, "tenants": list(tenants), "types": list(types)}
    answer = client.call("POST", "/v1/event-endpoints", body)
    assert answer.status_code == 201, answer.text
    return Endpoint(client, answer.json()["id"], answer.json()["secret"])


def happens(house: House, action: str = "connection.suspended", **what: Any) -> None:
    """Something that the audit notes, in a transaction of its own."""
    with house.broker.database.write() as session:
        audit.note(session, action, **{"tenant": "toko", "subject": "ani", "connection": "con_1", **what})
