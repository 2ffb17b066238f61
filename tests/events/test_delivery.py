"""Events reach the sales app: signed, complete, in order, in the transaction of what they tell (contract §7)."""

import itertools
import json
import threading
from collections import defaultdict
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from broker import audit, duties, events
from broker.events import deliver
from broker.models import Duty, EventDelivery
from tests.events.conftest import Endpoint, happens, registered
from tests.events.receiver import Receiver, Reply
from tests.house import ANI, House, SalesApp
from tests.processes import wait_until


def test_an_event_verifies_with_the_library_of_standard_webhooks(sqlite_house: House, receiver: Receiver) -> None:
    house, endpoint, app = sqlite_house, registered(sqlite_house, receiver), sqlite_house.client()
    connection = app.connect("google_contacts")
    house.work()
    [received] = receiver.received
    event = received.verified(endpoint.secret)
    assert (event["type"], received.headers["content-type"]) == ("connection.activated", "application/json")
    ids = {"tenant": "toko", "subject": "ani", "connection": connection["id"]}
    told = {"provider": "google", "scopes": connection["scopes"], "state": "active", "source": "client"}
    assert event["data"] == {**ids, **told}
    for tampered in (received.body.replace(b"toko", b"kios"), received.body + b" "):
        with pytest.raises(WebhookVerificationError):
            Webhook(endpoint.secret).verify(tampered, dict(received.headers))


def test_every_change_of_a_connection_is_told_in_its_order_and_without_secrets(
    house: House, app: SalesApp, endpoint: Endpoint, receiver: Receiver
) -> None:
    connection = app.connect()["id"]
    app.call("POST", f"/v1/connections/{connection}/suspend")
    app.call("POST", f"/v1/connections/{connection}/resume")
    ended = {"tenant": "toko", "subject": "ani", "connector": "google_calendar", "reason": "said Budi"}
    assert app.call("POST", "/v1/revocations", ended).status_code in (200, 202)
    assert app.call("POST", "/v1/revocations", {"tenant": "toko", "reason": "said Budi"}).status_code in (200, 202)
    house.work()
    told = [one for one in receiver.types if one != "revocation.completed"]
    assert told == [
        "connection.activated",
        "connection.suspended",
        "connection.resumed",
        "grant.withdrawn",
        "grant.withdrawn",
        "connection.revoked",
    ]
    sent = b"\n".join(one.body for one in receiver.received)
    for kept_back in (b"ya29", b"1//", b"@", ANI.encode(), app.client_id.encode(), b"said Budi"):
        assert kept_back not in sent, kept_back


def test_a_completed_revocation_is_told_with_its_receipt(sqlite_house: House, receiver: Receiver) -> None:
    house, app = sqlite_house, sqlite_house.client()
    registered(house, receiver)
    revocation = app.revoke(app.connect()["id"]).json()["revocation"]["id"]
    house.work()
    house.work()
    [completed] = [one for one in receiver.received if one.type == "revocation.completed"]
    assert completed.event["data"]["revocation"] == revocation


def test_what_is_rolled_back_is_never_told(house: House, endpoint: Endpoint, receiver: Receiver) -> None:
    def changes_its_mind() -> None:
        with house.broker.database.write() as session:
            audit.note(session, "connection.revoked", tenant="toko", connection="con_1")
            events.publish(session, "records.available", tenant="toko", connection="con_1")
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        changes_its_mind()
    happens(house)
    house.work()
    assert receiver.types == ["connection.suspended"]


def test_what_is_published_reaches_those_who_want_the_type_and_the_tenant(house: House, receiver: Receiver) -> None:
    wanting = registered(house, receiver, types=("records.available",))
    registered(house, receiver, tenants=("kios",))
    registered(house, receiver, types=("connection.revoked",))
    with house.broker.database.write() as session:
        events.publish(session, "records.available", tenant="toko", connection="con_1", data={"connector": "x"})
    house.work()
    [received] = receiver.received
    data = {"tenant": "toko", "subject": None, "connection": "con_1", "connector": "x"}
    assert received.verified(wanting.secret)["data"] == data


def test_what_follows_a_failed_event_waits_for_it_and_other_connections_do_not(
    house: House, endpoint: Endpoint, receiver: Receiver
) -> None:
    receiver.reply = lambda one: Reply(500 if one.connection == "con_1" else 204)
    for _ in range(2):
        for connection in ("con_1", "con_2"):
            happens(house, "connection.suspended", connection=connection)
            happens(house, "connection.resumed", connection=connection)
    house.work()
    arrived = [one.type for one in receiver.received if one.connection == "con_2"]
    assert arrived == ["connection.suspended", "connection.resumed"] * 2
    assert len([one for one in receiver.received if one.connection == "con_1"]) == 1
    receiver.received.clear()
    receiver.answers(204)
    happens(house, "connection.revoked", connection="con_1")
    house.work()
    assert receiver.received == [], "a new event must not overtake the one that waits"
    house.clock.advance(seconds=6)
    house.work()
    assert receiver.types == ["connection.suspended", "connection.resumed"] * 2 + ["connection.revoked"]


def test_two_workers_at_once_keep_the_order_and_leave_nothing(
    house: House, endpoint: Endpoint, receiver: Receiver
) -> None:
    with house.broker.database.write() as session:
        for number in range(300):
            audit.note(session, "connection.expiring", tenant="toko", connection=f"con_{number % 7}", expires_at=number)
    workers = [threading.Thread(target=duties.work, args=(house.broker,), kwargs={"once": True}) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    house.work()
    by_connection: dict[str, list[int]] = defaultdict(list)
    for one in receiver.received:
        by_connection[one.connection].append(one.event["data"]["expires_at"])
    assert all(numbers == sorted(numbers) for numbers in by_connection.values())
    assert sorted(number for numbers in by_connection.values() for number in numbers) == list(range(300))


def test_a_dead_endpoint_is_tried_for_days_then_given_up_and_what_failed_can_be_replayed(
    sqlite_house: House, receiver: Receiver
) -> None:
    house = sqlite_house
    endpoint = registered(house, receiver)
    receiver.answers(500)
    happens(house)
    began, times = house.clock(), []
    while endpoint_pending(house):
        house.work()
        times.append(house.clock() - began)
        house.clock.moved += max(timedelta(seconds=1), next_round(house) - house.clock())
        if len(times) == 10:  # from here on once an hour, for days
            house.clock.advance(days=3, hours=20)
    pauses = [round((after - before).total_seconds()) for before, after in itertools.pairwise(times)]
    assert pauses[:3] == [pytest.approx(seconds, abs=3) for seconds in (5, 15, 60)]
    assert max(pauses[:9]) == pytest.approx(3600, abs=60)
    assert timedelta(days=4) < times[-1] < timedelta(days=4, hours=2)
    assert len(receiver.received) == len(times)
    assert len({one.id for one in receiver.received}) == 1, "every try carries the same webhook-id"
    [failed] = endpoint.deliveries(state="failed")
    assert (failed["last_status"], failed["next_try_at"]) == (500, None)

    receiver.answers(204)
    house.clock.advance(minutes=11)
    assert endpoint.call("POST", "/replay", {}) == {"replayed": 1}
    house.work()
    assert receiver.received[-1].id == failed["id"]
    assert [one["state"] for one in endpoint.deliveries()] == ["delivered"]
    assert endpoint.call("POST", "/replay", {}) == {"replayed": 0}


def next_round(house: House) -> datetime:
    with house.broker.database.read() as session:
        due_at = session.scalar(select(Duty.due_at).where(Duty.open.is_(True), Duty.kind == events.DELIVER))
    return due_at or house.clock()


def endpoint_pending(house: House) -> int:
    with house.broker.database.read() as session:
        query = select(func.count()).select_from(EventDelivery).where(EventDelivery.state == "pending")
        return session.scalar(query) or 0


def test_many_events_for_a_dead_endpoint_make_no_storm_and_arrive_when_it_is_back(
    sqlite_house: House, receiver: Receiver
) -> None:
    house = sqlite_house
    endpoint = registered(house, receiver)
    receiver.answers(503)
    for number in range(40):
        happens(house, connection=f"con_{number}")
        house.work()
        house.clock.advance(minutes=1)
    assert len(receiver.received) < 20
    assert endpoint.state["state"] == "failing"
    receiver.answers(204)
    receiver.received.clear()
    house.clock.advance(minutes=10)
    house.work()
    assert len({one.connection for one in receiver.received}) >= 30
    house.clock.advance(hours=1)
    house.work()
    assert len({one.connection for one in receiver.received}) == 40
    assert (endpoint.state["state"], endpoint.state["pending"]) == ("enabled", 0)


def test_a_dead_endpoint_holds_up_no_other(sqlite_house: House, receiver: Receiver) -> None:
    alive = Receiver()
    try:
        receiver.answers(500)
        registered(sqlite_house, receiver)
        registered(sqlite_house, alive)
        for number in range(5):
            happens(sqlite_house, connection=f"con_{number}")
        sqlite_house.work()
        assert len(alive.received) == 5
    finally:
        alive.close()


def test_410_disables_the_endpoint_until_it_is_enabled(house: House, endpoint: Endpoint, receiver: Receiver) -> None:
    receiver.answers(410)
    happens(house)
    house.work()
    assert (endpoint.state["state"], endpoint.state["disabled_by"]) == ("disabled", "receiver")
    house.clock.advance(days=1)
    happens(house, "connection.resumed")
    house.work()
    assert receiver.types == ["connection.suspended"]
    receiver.answers(204)
    assert endpoint.asked("POST", "/replay", {}).status_code == 422
    assert endpoint.call("POST", "/enable")["state"] == "enabled"
    happens(house, "connection.revoked")
    house.work()
    assert receiver.types == ["connection.suspended", "connection.revoked"]
    assert endpoint.call("POST", "/replay", {}) == {"replayed": 1}
    house.work()
    assert receiver.types[2:] == ["connection.suspended"]


def test_a_receiver_that_says_how_long_to_wait_is_left_alone_so_long(sqlite_house: House, receiver: Receiver) -> None:
    registered(sqlite_house, receiver)
    receiver.answers(429, Retry_After="120")
    happens(sqlite_house)
    sqlite_house.work()
    happens(sqlite_house, connection="con_2")
    sqlite_house.clock.advance(seconds=110)
    sqlite_house.work()
    assert len(receiver.received) == 1
    receiver.answers(204)
    sqlite_house.clock.advance(seconds=15)
    sqlite_house.work()
    assert len(receiver.received) == 3


def test_after_a_rotation_both_secrets_sign_for_a_day(sqlite_house: House, receiver: Receiver) -> None:
    endpoint = registered(sqlite_house, receiver)
    newer = endpoint.call("POST", "/rotate-secret")["secret"]
    happens(sqlite_house)
    sqlite_house.work()
    for secret in (endpoint.secret, newer):
        assert receiver.received[0].verified(secret)
    assert endpoint.secret != newer
    sqlite_house.clock.advance(hours=24, seconds=1)
    happens(sqlite_house)
    sqlite_house.work()
    assert [len(one.headers["webhook-signature"].split()) for one in receiver.received] == [2, 1]


def test_a_redirect_and_a_long_answer(sqlite_house: House, receiver: Receiver) -> None:
    """The first is a failure and is not followed; the second is a success. No word of either is shown."""
    endpoint = registered(sqlite_house, receiver)
    receiver.answers(302, b"CANARY", Location=receiver.url.replace("/events", "/inside"))
    happens(sqlite_house)
    sqlite_house.work()
    [tried] = endpoint.deliveries()
    assert (tried["last_status"], tried["state"]) == (302, "pending")
    assert "CANARY" not in json.dumps(tried)
    receiver.answers(200, b"CANARY" * 100_000)
    sqlite_house.clock.advance(seconds=6)
    sqlite_house.work()
    assert [one.path for one in receiver.received] == ["/events", "/events"]
    assert [one["state"] for one in endpoint.deliveries()] == ["delivered"]


def test_what_is_done_is_forgotten_in_time(sqlite_house: House, receiver: Receiver) -> None:
    house, endpoint = sqlite_house, registered(sqlite_house, receiver)
    happens(house)
    house.work()
    receiver.answers(410)
    happens(house, connection="con_2")
    house.work()
    for days, left in ((6, 2), (2, 1), (21, 1), (2, 0)):
        house.clock.advance(days=days)
        with house.broker.database.write() as session:
            deliver.sweep(session, house.clock())
        assert len(endpoint.deliveries()) == left, days


def test_of_an_erased_subject_no_more_is_told_than_that_it_is_erased(
    house: House, endpoint: Endpoint, receiver: Receiver
) -> None:
    """docs/facts/security.md PRV-11."""
    happens(house, "connection.activated", subject="ani")
    happens(house, "connection.activated", subject="budi", connection="con_2")
    house.work()
    receiver.received.clear()
    happens(house, "connection.revoked", subject="ani")
    with house.broker.database.write() as session:
        audit.note(session, "subject.erased", tenant="toko", subject="ani")
    assert [one["type"] for one in endpoint.deliveries()] == [
        "connection.activated",
        "connection.revoked",
        "subject.erased",
    ]
    house.work()
    subjects = {one.type: one.event["data"]["subject"] for one in receiver.received}
    assert subjects == {"connection.revoked": None, "subject.erased": "ani"}
    with house.broker.database.read() as session:
        rows = session.scalars(select(EventDelivery)).all()
    assert [row.subject for row in rows] == ["budi", None, None]
    assert not [row for row in rows if '"ani"' in row.body]


def test_a_disabled_client_is_told_nothing_more(sqlite_house: House, receiver: Receiver) -> None:
    from broker import clients

    endpoint = registered(sqlite_house, receiver)
    happens(sqlite_house)
    clients.disable(sqlite_house.broker.database, sqlite_house.clock(), endpoint.client.client_id)
    happens(sqlite_house)
    sqlite_house.work()
    assert receiver.received == []
    assert endpoint_pending(sqlite_house) == 0


def test_a_receiver_that_hangs_keeps_no_provider_from_hearing_of_an_end(
    sqlite_house: House, receiver: Receiver
) -> None:
    registered(sqlite_house, receiver)
    hanging, stopped = threading.Event(), threading.Event()
    receiver.reply = lambda _: (hanging.wait(9), Reply())[1]
    app = sqlite_house.client()
    connection = app.connect("google_contacts")["id"]
    worker = threading.Thread(target=duties.work, args=(sqlite_house.broker,), kwargs={"stop": stopped.is_set})
    worker.start()
    try:
        wait_until(lambda: bool(receiver.received), "the event has come, and nobody answers")
        app.revoke(connection)
        wait_until(lambda: sqlite_house.google.live_tokens() == 0, "Google has been told", within=8)
        assert not hanging.is_set()
    finally:
        hanging.set()
        stopped.set()
        worker.join()
