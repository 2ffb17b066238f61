"""Access: everything that is held about one subject, and nothing of anybody else's (docs/facts/security.md PRV-09)."""

import json
from typing import Any

from sqlalchemy import text

from broker import privacy
from broker.db import Base
from tests.house import BUDI, House
from tests.privacy.canary import ACCOUNT, HINT, LABEL, SUBJECT, lived, sales_app

PARTS = {
    "audit_entries": ("audit", "id"),
    "connect_sessions": ("sessions", "id"),
    "connections": ("connections", "id"),
    "consents": ("consents", "id"),
    "event_deliveries": ("events", "event_id"),
    "portal_sessions": ("portal_sessions", "id"),
    "revocations": ("receipts", "id"),
}
"""Table in which a subject stands → the export's part, and the column of its ids."""
OF_CONNECTIONS = {"grants": "grants", "access_counts": "accesses"}


def _rows(house: House, table: str, word: str) -> list[dict[str, Any]]:
    with house.broker.database.read() as session:
        found = [dict(row._mapping) for row in session.execute(text(f"SELECT * FROM {table}"))]
    return [row for row in found if any(word in str(value) for value in row.values())]


def test_the_export_is_all_that_any_table_holds_of_the_subject_and_no_more(sqlite_house: House) -> None:
    house = sqlite_house
    app, other = sales_app(house), house.client("connect", "records:read", "revoke", subject="budi")
    hears = {"url": "http://127.0.0.1:9/", "tenants": ["toko"], "types": ["*"]}
    house.client("events").call("POST", "/v1/event-endpoints", hears)
    app.revoke(first := lived(app))
    second = app.connect("google_calendar")["id"]
    other.records(theirs := other.connect(account=BUDI)["id"])
    other.revoke(theirs)
    house.broker.accesses.write()
    answer = app.call("POST", "/v1/subjects/export", {"tenant": "toko", "subject": SUBJECT})
    held = answer.json()
    for table in Base.metadata.sorted_tables:
        rows = _rows(house, table.name, SUBJECT)
        assert table.name in PARTS or not rows, f"{table.name} names the subject, and the export does not know it"
        if rows:
            part, column = PARTS[table.name]
            assert {row[column] for row in rows} == {entry["id"] for entry in held[part]}, table.name
    assert PARTS.keys() == {table.name for table in Base.metadata.sorted_tables if _rows(house, table.name, SUBJECT)}
    for table, part in OF_CONNECTIONS.items():
        rows = [row for connection in (first, second) for row in _rows(house, table, connection)]
        assert len(rows) == len(held[part]) > 0
    assert {entry["id"] for entry in held["connections"]} == {first, second}
    shown = answer.text
    for word in (ACCOUNT, LABEL, HINT):
        assert word in shown
    for word in ("budi", BUDI, "ya29.", "1//", "PROVIDER-SECRET", "code_verifier"):
        assert word not in shown
    assert held | {"exported_at": None} == privacy.export(house.broker, "toko", SUBJECT) | {"exported_at": None}


def test_people_read_it_as_a_page(sqlite_house: House) -> None:
    app = sales_app(sqlite_house)
    lived(app)
    body = {"tenant": "toko", "subject": SUBJECT}
    asked = [
        app.call("POST", "/v1/subjects/export?format=html", body),
        app.call("POST", "/v1/subjects/export", body, headers={"Accept": "text/html"}),
    ]
    for page in asked:
        assert page.headers["Content-Type"].startswith("text/html")
        assert all(word in page.text for word in (SUBJECT, ACCOUNT, LABEL, "google_contacts"))
        assert "<script" not in page.text
    assert app.call("POST", "/v1/subjects/export", body).headers["Content-Type"] == "application/json"


def test_nothing_is_held_of_an_unknown_subject(sqlite_house: House) -> None:
    app = sales_app(sqlite_house)
    held = app.call("POST", "/v1/subjects/export", {"tenant": "toko", "subject": "nobody"}).json()
    assert [value for value in held.values() if isinstance(value, list) and value] == []
    assert json.dumps(held).count("nobody") == 1
