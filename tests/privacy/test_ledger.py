"""The consent ledger: each grant and withdrawal leaves a receipt that can be shown for good."""

import hashlib
import json
from typing import Any

from sqlalchemy import select

from broker.models import Consent, ConsentWording, Grant
from tests.house import House


def _consents(house: House) -> list[Consent]:
    with house.broker.database.read() as session:
        return list(session.scalars(select(Consent).order_by(Consent.at, Consent.id)))


def test_each_grant_and_each_withdrawal_leaves_a_receipt(house: House) -> None:
    """PRV-02: record, exact wording by its hash, history of states."""
    app = house.client()
    given = {"purpose": "Call back", "tenant_label": "Toko Ani", "subject_label": "Ani Wijaya", "locale": "id"}
    connection = app.connect("google_contacts", "google_calendar", **given)
    app.withdraw(connection["id"], "google_contacts")
    app.revoke(connection["id"])
    rows = _consents(house)
    assert sorted((row.connector, row.event) for row in rows) == [
        ("google_calendar", "given"),
        ("google_calendar", "withdrawn"),
        ("google_contacts", "given"),
        ("google_contacts", "withdrawn"),
    ]
    records: dict[tuple[str, str], dict[str, Any]] = {
        (row.connector, row.event): json.loads(row.record) for row in rows
    }
    first, last = records["google_contacts", "given"], records["google_contacts", "withdrawn"]
    purpose = first["purposes"][0]
    assert first["schema_version"] == "ISO/IEC TS 27560:2023"
    assert (purpose["purpose"], purpose["controllers"]) == ("Call back", [{"tenant": "toko", "name": "Toko Ani"}])
    assert "Kontak" in " ".join(purpose["as_shown"])
    assert first["privacy_notice"]["language"] == "id"
    assert [event["entity"] for event in first["events"]] == ["subject"]
    assert [event["entity"] for event in last["events"]] == [app.client_id]
    assert last["purposes"] == first["purposes"]
    assert len({row.subject_hash for row in rows}) == 1
    assert "ani" not in {str(first["pii_principal_id"]), rows[0].record}
    with house.broker.database.read() as session:
        wording = session.scalars(select(ConsentWording)).one()
        assert {grant.consent_text_hash for grant in session.scalars(select(Grant))} == {wording.hash}
    assert hashlib.sha256(wording.text.encode()).hexdigest() == first["privacy_notice"]["text_hash"] == wording.hash
    assert "Ani Wijaya" not in wording.text
    for row in rows:
        assert hashlib.sha256(row.record.encode()).hexdigest() == row.hash


def test_an_old_consent_keeps_the_wording_of_its_day(sqlite_house: House) -> None:
    """PRV-05, PRV-06: other words make another wording; what was recorded before stays to the letter."""
    app = sqlite_house.client()
    app.connect("google_contacts", purpose="Call back")
    before = {row.id: (row.record, row.hash) for row in _consents(sqlite_house)}
    app.connect("google_contacts", purpose="Advertising", locale="id")
    after = _consents(sqlite_house)
    assert {row.id: (row.record, row.hash) for row in after if row.id in before} == before
    texts = {json.loads(row.record)["privacy_notice"]["text_hash"] for row in after}
    with sqlite_house.broker.database.read() as session:
        kept = {row.hash: json.loads(row.text)["purpose"] for row in session.scalars(select(ConsentWording))}
    assert kept.keys() == texts
    assert sorted(kept.values()) == ["Purpose: Call back", "Tujuan: Advertising"]


def test_what_no_consent_names_is_not_given_though_the_scope_would_open_it(sqlite_house: House) -> None:
    """PRV-01: another connector of the same scope, and a field beyond those of the receipt."""
    app = sqlite_house.client()
    connection = app.connect("google_contacts")["id"]
    (given,) = _consents(sqlite_house)
    categories = json.loads(given.record)["purposes"][0]["pii_categories"]
    with sqlite_house.broker.database.read() as session:
        fields = session.scalars(select(Grant)).one().fields
    assert {one["resource"]: sorted(one["fields"]) for one in categories} == {
        name: sorted(named) for name, named in fields.items()
    }
    refused = app.records(connection, "google_calendar")
    assert (refused.status_code, refused.json()["code"]) == (403, "not_granted")
    assert sqlite_house.google.requests("/calendar") == []
