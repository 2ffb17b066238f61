"""Receipts: signed so that anybody can check them without the broker, and completed once (contract §5)."""

import base64
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from broker import signing
from broker.connections import receipts
from broker.connections.orphans import listed
from broker.models import ConnectionKey, RevocationItem, SigningKey
from broker.proof import checked, statements
from broker.signing import NotGenuine, verified
from tests.connections.test_revoke import revocation
from tests.connections.test_revoke_mass import completions, revoke_all
from tests.house import BUDI, House, SalesApp


def jwks(app: SalesApp) -> dict[str, Any]:
    """As an auditor fetches it: without any token."""
    answer = app.http.get(f"{app.url}/oauth/jwks", timeout=35)
    assert answer.status_code == 200
    return dict(answer.json())


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).rstrip(b"=").decode()


def decoded(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


# --- signed --------------------------------------------------------------------------------------------------


def test_a_receipt_verifies_by_the_published_keys_and_says_what_it_shows(sqlite_house: House) -> None:
    app = sqlite_house.client()
    receipt = revocation(app.revoke(app.connect()["id"]))
    for shown in (receipt, app.receipt(receipt["id"])):
        payload = verified(shown["jws"], jwks(app), typ=receipts.TYPE)
        assert payload.pop("iss") == app.url
        assert isinstance(payload.pop("iat"), int)
        assert payload == {name: value for name, value in shown.items() if name != "jws"}
    metadata = app.http.get(f"{app.url}/.well-known/oauth-authorization-server", timeout=35).json()
    assert metadata["jwks_uri"] == f"{app.url}/oauth/jwks"


def test_the_same_receipt_is_signed_alike_and_a_changed_one_is_not(sqlite_house: House) -> None:
    app = sqlite_house.client()
    receipt = revocation(app.revoke(app.connect()["id"]))
    assert app.receipt(receipt["id"]) == receipt
    sqlite_house.clock.advance(seconds=3)
    assert app.receipt(receipt["id"])["jws"] == receipt["jws"]
    sqlite_house.work()
    later = app.receipt(receipt["id"])
    assert decoded(later["jws"].split(".")[1])["iat"] > decoded(receipt["jws"].split(".")[1])["iat"]
    assert verified(later["jws"], jwks(app))["state"] == "completed"


def test_many_at_once_make_one_key(house: House) -> None:
    """First use, by many at the same moment: one key, and all are signed by it."""
    with ThreadPoolExecutor(8) as callers:
        signed = list(callers.map(lambda _: signing.signed(house.broker, {"a": 1}, typ="test"), range(8)))
    with house.broker.database.read() as session:
        assert session.scalar(select(func.count()).select_from(SigningKey)) == 1
        assert session.scalar(select(func.count()).where(ConnectionKey.tenant == signing.TENANT)) == 1
    keys = signing.public_keys(house.broker)
    assert {verified(one, keys)["a"] for one in signed} == {1}


def test_no_private_key_is_published_or_stored_in_clear(sqlite_house: House) -> None:
    app = sqlite_house.client()
    (key,) = jwks(app)["keys"]
    assert set(key) == {"kty", "crv", "x", "kid", "use", "alg"}
    with sqlite_house.broker.database.read() as session:
        (row,) = session.scalars(select(SigningKey)).all()
        assert row.private
        assert b'"d"' not in row.private
        assert "d" not in row.public


def test_what_an_older_key_signed_verifies_and_that_key_signs_no_more(house: House, app: SalesApp) -> None:
    old = signing.signed(house.broker, {"a": 1}, typ="test")
    newest = signing.rotate(house.broker)
    new = signing.signed(house.broker, {"a": 2}, typ="test")
    keys = jwks(app)
    assert keys["keys"][0]["kid"] == newest == signing.header(new)["kid"]
    assert (verified(old, keys)["a"], verified(new, keys)["a"]) == (1, 2)
    with house.broker.database.read() as session:
        rows = session.scalars(select(SigningKey).order_by(SigningKey.generation)).all()
        assert [bool(row.private) for row in rows] == [False, True]
        kept = session.scalars(select(ConnectionKey.connection).where(ConnectionKey.tenant == signing.TENANT)).all()
        assert kept == [newest]


def test_rotations_at_once_leave_one_key_that_signs(house: House) -> None:
    signing.signed(house.broker, {}, typ="test")
    with ThreadPoolExecutor(4) as operators:
        list(operators.map(lambda _: signing.rotate(house.broker), range(4)))
        signed = list(operators.map(lambda _: signing.signed(house.broker, {}, typ="test"), range(4)))
    with house.broker.database.read() as session:
        assert session.scalar(select(func.count()).select_from(SigningKey).where(SigningKey.private.is_not(None))) == 1
    assert len({signing.header(one)["kid"] for one in signed}) == 1


# --- not genuine ---------------------------------------------------------------------------------------------


def by_another_header(jws: str, **changed: Any) -> str:
    header, payload, signature = jws.split(".")
    return ".".join([encoded(decoded(header) | changed), payload, signature])


def by_another_payload(jws: str) -> str:
    header, payload, signature = jws.split(".")
    return ".".join([header, encoded(decoded(payload) | {"state": "completed"}), signature])


FORGERIES: list[tuple[Callable[[str], str], str]] = [
    (by_another_payload, "signature"),
    (lambda jws: jws[:-4] + ("AAAA" if jws[-4:] != "AAAA" else "BBBB"), "signature"),
    (lambda jws: by_another_header(jws, kid="another"), "not in the key set"),
    (lambda jws: by_another_header(jws, alg="none"), "not signed with"),
    (lambda jws: by_another_header(jws, alg="HS256"), "not signed with"),
    (lambda jws: by_another_header(jws, typ="another"), "is no"),
    (lambda jws: jws.rpartition(".")[0] + ".", "signature"),
    (lambda jws: jws.rpartition(".")[0], "three parts"),
    (lambda _: "é.é.é", "three parts"),
    (lambda _: "", "three parts"),
]


@pytest.mark.parametrize("number", range(len(FORGERIES)))
def test_what_is_forged_is_refused_and_it_says_why(sqlite_house: House, number: int) -> None:
    forge, why = FORGERIES[number]
    jws = signing.signed(sqlite_house.broker, {"state": "in_progress"}, typ=receipts.TYPE)
    keys = signing.public_keys(sqlite_house.broker)
    assert verified(jws, keys, typ=receipts.TYPE)["state"] == "in_progress"
    with pytest.raises(NotGenuine, match=why):
        verified(forge(jws), keys, typ=receipts.TYPE)


@pytest.mark.parametrize("keys", [{}, {"keys": []}, {"keys": [{"kty": "OKP"}]}, {"keys": "x"}, []])
def test_a_key_set_that_is_none_verifies_nothing(sqlite_house: House, keys: Any) -> None:
    jws = signing.signed(sqlite_house.broker, {}, typ="test")
    with pytest.raises(NotGenuine):
        verified(jws, keys)


def test_readable_text_beside_a_good_signature_must_be_what_was_signed(sqlite_house: House) -> None:
    app = sqlite_house.client()
    receipt = revocation(app.revoke(app.connect()["id"]))
    altered = [
        receipt | {"subject": "budi"},
        receipt | {"connections": []},
        receipt | {"note": "added"},
        {name: value for name, value in receipt.items() if name != "reason"} | {"reason": "invented"},
    ]
    for one in altered:
        (found,) = statements(json.dumps(one))
        finding = checked(found, jwks(app))
        assert not finding["verified"]
        assert "altered" in finding["problem"]


# --- completed once ------------------------------------------------------------------------------------------


def test_each_receipt_is_completed_once_however_it_ends(house: House, app: SalesApp) -> None:
    connection = app.connect()["id"]
    at_once = revocation(app.withdraw(connection, "google_calendar"))
    assert (at_once["state"], completions(house)) == ("completed", [at_once["id"]])
    later = revocation(app.revoke(connection))
    app.revoke(connection)
    assert later["completed_at"] is None
    assert completions(house) == [at_once["id"]]
    house.work()
    house.work()
    app.revoke(connection)
    assert completions(house) == [at_once["id"], later["id"]]
    assert app.receipt(later["id"])["completed_at"]


def test_of_two_that_settle_the_last_two_items_at_once_the_second_completes_the_receipt(
    build: Callable[..., House], postgres_url: str
) -> None:
    """Each would see the other's item as pending, and neither would complete it."""
    house = build(postgres_url)
    app = house.client()
    for account in ({}, {"account": BUDI}):
        app.connect(**account)
    receipt = revocation(revoke_all(app))["id"]

    def settle(session: Session, number: int) -> None:
        session.get_one(RevocationItem, (receipt, number)).provider_outcome = "confirmed"
        receipts.changed(session, [receipt], house.clock())

    def second() -> None:
        with house.broker.database.write() as session:
            settle(session, 1)

    with ThreadPoolExecutor(1) as worker:
        with house.broker.database.write() as session:
            settle(session, 0)
            other = worker.submit(second)
            time.sleep(0.3)
        other.result()
    assert completions(house) == [receipt]


def test_what_is_given_up_completes_its_receipt_and_is_listed_as_possibly_orphaned(sqlite_house: House) -> None:
    """I5."""
    app = sqlite_house.client()
    connection = app.connect()["id"]
    receipt = revocation(app.revoke(connection))
    assert listed(sqlite_house.broker) == []
    sqlite_house.google.quirk(outage={"/revoke": 503})
    for _ in range(4):
        sqlite_house.work()
        sqlite_house.clock.advance(days=3)
    shown = sqlite_house.client().receipt(receipt["id"])
    assert (shown["state"], shown["connections"][0]["provider_outcome"]) == ("completed", "gave_up")
    assert completions(sqlite_house) == [receipt["id"]]
    (orphan,) = listed(sqlite_house.broker)
    assert (orphan["connection"], orphan["state"], orphan["tenant"]) == (connection, "given_up", "toko")


def test_what_is_written_of_a_receipt_beside_the_broker_is_found_in_any_shape(tmp_path: Path) -> None:
    one = {"id": "rev_1", "jws": "a.b.c"}
    shapes = [one, {"revocation": one}, {"revocations": [one]}, {"items": [one]}, [one], "a.b.c"]
    for shape in shapes:
        (found,) = statements(json.dumps(shape, indent=2))
        assert found.jws == "a.b.c"
    assert [found.jws for found in statements(f"{json.dumps(one)}\n{json.dumps(one)}\n\na.b.c\n")] == ["a.b.c"] * 3
