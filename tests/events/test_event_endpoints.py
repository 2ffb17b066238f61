"""Event endpoints: whose they are, what they may hear, and that their secrets stay sealed (contract §7)."""

from pathlib import Path
from typing import Any

import pytest
import requests
from jsonschema import Draft202012Validator
from sqlalchemy import select, update

from broker import metrics
from broker.models import AuditEntry, Client
from tests.events.conftest import Endpoint, happens, registered
from tests.events.receiver import Receiver
from tests.house import House, SalesApp
from tests.upstream.peers import forms
from tests.web.test_openapi import held


@pytest.fixture
def house(sqlite_house: House) -> House:
    return sqlite_house


def asked(client: SalesApp, **members: Any) -> requests.Response:
    body = {"url": "https://sales.example/events", "tenants": ["toko"], "types": ["*"], **members}
    return client.call("POST", "/v1/event-endpoints", {name: value for name, value in body.items() if value != "-"})


def test_an_endpoint_is_its_clients_alone(house: House, endpoint: Endpoint) -> None:
    other = house.client("events", "connect")
    there_is_none = other.call("GET", "/v1/event-endpoints/eep_0")
    calls = [("GET", ""), ("DELETE", ""), ("GET", "/deliveries")]
    calls += [("POST", "/rotate-secret"), ("POST", "/enable"), ("POST", "/disable"), ("POST", "/replay")]
    for method, path in calls:
        body = {} if path == "/replay" else None
        answer = other.call(method, f"/v1/event-endpoints/{endpoint.id}{path}", body)
        assert answer.status_code == 404, (method, path)
        assert without_id(answer) == without_id(there_is_none)
    assert other.call("GET", "/v1/event-endpoints").json()["items"] == []
    assert endpoint.state["state"] == "enabled"


def without_id(answer: requests.Response) -> dict[str, Any]:
    return {name: value for name, value in answer.json().items() if name != "request_id"}


def test_a_client_without_the_scope_is_refused(house: House, app: SalesApp) -> None:
    assert asked(app).status_code == 403
    assert app.call("GET", "/v1/event-endpoints").status_code == 403


def test_foreign_tenants_unknown_types_and_half_requests_are_refused(house: House) -> None:
    client = house.client("events", tenants=("toko", "kios"))
    assert asked(client, tenants=["toko", "kios"]).status_code == 201
    assert asked(client, tenants=["toko", "warung"]).status_code == 404
    wrong: list[dict[str, Any]] = [
        {"types": ["connection.exploded"]},
        {"types": []},
        {"types": ["*", "connection.revoked"]},
        {"types": "-"},
        {"tenants": []},
        {"tenants": ["*", "toko"]},
        {"tenants": ["a b"]},
        {"tenants": "-"},
        {"url": "-"},
        {"secret": "mine"},
    ]
    for members in wrong:
        assert asked(client, **members).status_code == 422, members


def test_all_tenants_means_those_that_the_client_has_now(house: House, receiver: Receiver) -> None:
    client = house.client("events", tenants=("toko", "kios"))
    assert asked(client, url=receiver.url, tenants=["*"]).status_code == 201
    for tenant in ("toko", "kios", "warung"):
        happens(house, tenant=tenant)
    house.work()
    assert [one.event["data"]["tenant"] for one in receiver.received] == ["toko", "kios"]
    with house.broker.database.write() as session:
        session.execute(update(Client).where(Client.id == client.client_id).values(tenants=["kios"]))
    happens(house, tenant="toko")
    house.work()
    assert len(receiver.received) == 2


INNER = [
    *("http://sales.example/", "https://user:pw@sales.example/", "https://sales.example/#part", "ftp://sales.example/"),
    *(
        "https://127.0.0.1/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest",
        "https://[::1]/",
        "https://localhost/",
    ),
    *("https://[::ffff:10.0.0.1]/", "https://[fd00::1]/", "https://100.64.0.1/", "https://[64:ff9b::a9fe:a9fe]/"),
    *(
        "https://",
        "sales.example",
        "https://sales.example/\r\nX: y",
        "https://sales.example/a b",
        "https://s\u00e4les.example/",
    ),
    f"https://sales.example/{'a' * 2048}",
]


def test_an_address_that_is_not_on_the_internet_is_refused(house: House) -> None:
    client = house.client("events")
    for url in INNER:
        answer = asked(client, url=url)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "url"), url


def test_the_secret_is_shown_once_and_stands_nowhere(house: House, endpoint: Endpoint) -> None:
    newer = endpoint.call("POST", "/rotate-secret")["secret"]
    shown = [endpoint.asked("GET").text, endpoint.client.call("GET", "/v1/event-endpoints").text]
    path = Path(house.environ["BROKER_DATABASE_URL"].removeprefix("sqlite:///"))
    stored = b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))
    for secret in (endpoint.secret, newer):
        for form in forms(secret.removeprefix("whsec_")):
            assert form.encode() not in stored
            assert not [text for text in shown if form in text]


def test_the_same_request_with_the_same_key_makes_one_endpoint(house: House) -> None:
    client = house.client("events")
    body = {"url": "https://sales.example", "tenants": ["toko"], "types": ["connection.revoked"]}
    answers = [
        client.call("POST", "/v1/event-endpoints", body, headers={"Idempotency-Key": "once"}).json() for _ in range(2)
    ]
    assert answers[0] == answers[1]
    assert len(client.call("GET", "/v1/event-endpoints").json()["items"]) == 1


def test_a_client_has_a_bounded_number_of_endpoints(house: House) -> None:
    client = house.client("events")
    assert [asked(client).status_code for _ in range(21)] == [201] * 20 + [422]
    first = client.call("GET", "/v1/event-endpoints?limit=15").json()
    rest = client.call("GET", f"/v1/event-endpoints?limit=15&cursor={first['next_cursor']}").json()
    assert (len(first["items"]), len(rest["items"]), rest["next_cursor"]) == (15, 5, None)


def test_a_removed_endpoint_is_told_nothing_and_leaves_nothing(
    house: House, endpoint: Endpoint, receiver: Receiver
) -> None:
    happens(house)
    assert endpoint.asked("DELETE").status_code == 204
    assert endpoint.asked("GET").status_code == 404
    house.work()
    happens(house)
    house.work()
    assert receiver.received == []


def test_a_disabled_endpoint_keeps_what_it_missed_before_for_a_replay(
    house: House, endpoint: Endpoint, receiver: Receiver
) -> None:
    happens(house)
    assert endpoint.call("POST", "/disable")["disabled_by"] == "caller"
    happens(house, "connection.resumed")
    house.work()
    assert receiver.received == []
    endpoint.call("POST", "/enable")
    [failed] = endpoint.deliveries(state="failed")
    assert endpoint.call("POST", "/replay", {"event": failed["id"]}) == {"replayed": 1}
    assert endpoint.asked("POST", "/replay", {"event": "evt_0"}).status_code == 404
    house.work()
    assert receiver.types == ["connection.suspended"]
    assert endpoint.call("POST", "/replay", {"since": "2100-01-01T00:00:00Z"}) == {"replayed": 0}


def test_deliveries_are_listed_in_pages_and_by_state(house: House, endpoint: Endpoint) -> None:
    for _ in range(5):
        happens(house)
    first = endpoint.call("GET", "/deliveries?limit=3")
    rest = endpoint.call("GET", f"/deliveries?limit=3&cursor={first['next_cursor']}")
    assert (len(first["items"]), len(rest["items"]), rest["next_cursor"]) == (3, 2, None)
    assert endpoint.deliveries(state="failed") == []
    for wrong in ("state=lost", "cursor=x", "limit=0"):
        assert endpoint.asked("GET", f"/deliveries?{wrong}").status_code in (400, 422)


def test_what_waits_and_what_failed_is_counted(house: House, endpoint: Endpoint, receiver: Receiver) -> None:
    receiver.answers(500)
    for number in range(3):
        happens(house, connection=f"con_{number}")
    house.work()
    counted = metrics.exposition(house.broker.database, house.clock).decode()
    assert 'broker_event_deliveries{state="pending"} 3.0' in counted
    assert "broker_event_endpoints_failing 1.0" in counted
    endpoint.call("POST", "/disable")
    counted = metrics.exposition(house.broker.database, house.clock).decode()
    assert 'broker_event_deliveries{state="failed"} 3.0' in counted
    assert "broker_event_endpoints_failing 0.0" in counted


def test_changes_of_an_endpoint_are_audited(house: House, receiver: Receiver) -> None:
    endpoint = registered(house, receiver)
    endpoint.call("POST", "/rotate-secret")
    endpoint.call("POST", "/disable")
    endpoint.call("POST", "/enable")
    endpoint.asked("DELETE")
    with house.broker.database.read() as session:
        mine = select(AuditEntry.action).where(AuditEntry.action.startswith("event_endpoint."))
        actions = session.scalars(mine.order_by(AuditEntry.id)).all()
    assert actions == [
        f"event_endpoint.{what}" for what in ("added", "secret_rotated", "disabled", "enabled", "removed")
    ]


def test_every_answer_and_every_event_fits_its_schema(house: House, endpoint: Endpoint, receiver: Receiver) -> None:
    described = requests.get(f"{house.url}/openapi.json", timeout=30).json()
    app = house.client()
    app.revoke(app.connect()["id"])
    house.work()
    house.work()
    assert len(set(receiver.types)) == 4
    receiver.answers(500)
    happens(house)
    house.work()
    one = f"/v1/event-endpoints/{endpoint.id}"
    body = {"url": receiver.url, "tenants": ["toko"], "types": ["*"]}
    walk: list[tuple[str, str, Any]] = [("POST", "/v1/event-endpoints", body), ("GET", "/v1/event-endpoints", None)]
    walk += [("GET", one, None), ("GET", f"{one}/deliveries", None), ("POST", f"{one}/replay", {})]
    walk += [("POST", f"{one}/{verb}", None) for verb in ("rotate-secret", "disable", "enable")]
    walk += [("POST", "/v1/event-endpoints", {"url": 7}), ("GET", "/v1/event-endpoints/none", None)]
    for method, path, given in walk:
        held(described, method, path, endpoint.client.call(method, path, given))
    for event in (received.event for received in receiver.received):
        request = described["webhooks"][event["type"]]["post"]["requestBody"]
        Draft202012Validator(request["content"]["application/json"]["schema"]).validate(event)
