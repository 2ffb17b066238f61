"""Erasure: nothing of the subject stays but keyed hashes, and a certificate says so (docs/facts/security.md PRV-10)."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from sqlalchemy import func, select

from broker import audit, signing
from broker.audit import Chains
from broker.models import AccessCount, Connection, Consent, Erasure, Revocation
from broker.privacy import erase, export
from tests.house import BUDI, House, SalesApp
from tests.privacy.canary import ACCOUNT, HINT, LABEL, SUBJECT, lived, sales_app, traces

ALL = (SUBJECT, LABEL, HINT, ACCOUNT)


def asked(app: SalesApp) -> Any:
    return app.call("POST", "/v1/subjects/erase", {"tenant": "toko", "subject": app.subject})


def _tie(house: House, connection: str) -> bytes:
    """By which a connection is found by its account."""
    with house.broker.database.read() as session:
        return session.get_one(Connection, connection).account_index


def test_nothing_of_the_subject_is_left_in_any_table_or_file(house: House) -> None:
    """PRV-10, PRV-28; the neighbour is untouched, the chain verifies, the certificate verifies offline."""
    app, other = sales_app(house), house.client(subject="budi")
    connection, theirs = lived(app, "google_contacts", "google_calendar"), other.connect(account=BUDI)["id"]
    house.broker.accesses.write()
    assert traces(house, SUBJECT)
    tied = _tie(house, connection)
    answer = asked(app)
    assert answer.status_code == 202, answer.text
    assert answer.json()["erasure"]["state"] == "in_progress"
    assert app.records(connection).status_code == 410
    house.work()
    assert traces(house, *ALL) == []
    assert _tie(house, connection) != tied
    erasure = app.call("GET", f"/v1/erasures/{answer.json()['erasure']['id']}").json()
    stated = signing.verified(erasure["jws"], signing.public_keys(house.broker), typ=erase.TYPE)
    assert stated["erased"] == erasure["erased"]
    assert {name: count for name, count in stated["erased"].items() if count == 0} == {}
    assert (stated["state"], stated["erased"]["connections"]) == ("completed", 1)
    chains = Chains()
    for row in audit.entries(house.broker.database):
        chains.check(row)
    assert chains.faults == {}
    assert other.records(theirs).status_code == 200
    assert app.records(connection).status_code == 410


def test_twenty_at_once_have_one_erasure_and_one_receipt(house: House) -> None:
    app = sales_app(house)
    lived(app)
    assert app.bearer
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: asked(app), range(20)))
    assert {answer.status_code for answer in answers} <= {200, 202}, [
        answer.json()["detail"] for answer in answers if answer.status_code == 503
    ]
    assert [answer.status_code for answer in answers].count(202) == 1
    assert len({answer.json()["revocation"]["id"] for answer in answers}) == 1
    assert len({answer.json()["erasure"]["id"] for answer in answers}) == 1
    house.work()
    assert asked(app).json()["erasure"]["id"] == answers[0].json()["erasure"]["id"]
    with house.broker.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Erasure)) == 1
        assert session.scalar(select(func.count()).select_from(Revocation)) == 1


def test_it_ends_only_when_the_provider_was_told(sqlite_house: House) -> None:
    """The sealed token is needed until then; it may take days."""
    house, app = sqlite_house, sales_app(sqlite_house)
    lived(app)
    house.google.quirk(outage={"/revoke": 503})
    erasure = asked(app).json()["erasure"]["id"]
    for _ in range(4):
        house.work()
        house.clock.advance(days=1)
    app = replace(app, _token="")
    shown = app.call("GET", f"/v1/erasures/{erasure}").json()
    assert (shown["state"], "jws" in shown) == ("in_progress", False)
    assert house.google.live_tokens() > 0
    house.google.quirk(outage={})
    house.work()
    assert house.google.live_tokens() == 0
    assert app.call("GET", f"/v1/erasures/{erasure}").json()["state"] == "completed"
    assert traces(house, *ALL) == []


def test_what_is_connected_anew_meanwhile_stays(sqlite_house: House) -> None:
    house, app = sqlite_house, sales_app(sqlite_house)
    first = lived(app)
    assert asked(app).status_code == 202
    house.clock.advance(seconds=1)
    second = app.connect("google_contacts")["id"]
    house.work()
    assert app.connection(first)["subject"].startswith("erased:")
    assert app.connection(second)["subject"] == SUBJECT
    assert app.records(second).status_code == 200
    held = export(house.broker, "toko", SUBJECT)
    assert [len(held[part]) for part in ("connections", "sessions", "consents", "receipts")] == [1, 1, 1, 0]
    assert {entry["connection"] for entry in held["audit"]} <= {None, second}
    assert "connection.activated" in {entry["action"] for entry in held["audit"]}
    assert asked(app).json()["revocation"]["connections"][0]["id"] == second


def test_proof_of_consent_outlives_the_erasure_under_a_keyed_hash(sqlite_house: House) -> None:
    """PRV-02: whoever asks by the subject's id finds it; whoever reads the table does not learn whose it is."""
    house, app = sqlite_house, sales_app(sqlite_house)
    lived(app)
    asked(app)
    house.work()
    found = app.call("GET", "/v1/consents", params={"tenant": "toko", "subject": SUBJECT}).json()["items"]
    assert sorted(consent["event"] for consent in found) == ["given", "withdrawn"]
    assert {consent["subject"] for consent in found} == {None}
    signed = app.call("GET", f"/v1/consents/{found[0]['id']}").json()
    stated = signing.verified(signed["jws"], signing.public_keys(house.broker))
    assert stated["record_hash"] == found[0]["record_hash"]
    with house.broker.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Consent)) == 2
        assert session.scalar(select(func.count()).select_from(AccessCount)) == 1


def test_a_foreign_tenant_is_not_found(sqlite_house: House) -> None:
    foreign = sqlite_house.client("privacy", tenants=("warung",))
    for call in ("erase", "export"):
        answer = foreign.call("POST", f"/v1/subjects/{call}", {"tenant": "toko", "subject": SUBJECT})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_an_attempt_under_way_becomes_no_connection(sqlite_house: House) -> None:
    app = sales_app(sqlite_house)
    returned = app.pending("google_contacts")
    assert asked(app).status_code == 200
    assert app.confirm(returned).status_code in (403, 404)
    assert app.call("GET", "/v1/connections").json()["items"] == []
    assert traces(sqlite_house, *ALL) == []
