"""A subject whose every trace can be looked for: in each table's rows, and in the bytes of SQLite's files."""

from pathlib import Path

from sqlalchemy import text

from broker.db import Base
from tests.house import House, SalesApp

SUBJECT, LABEL, HINT = "kanari-subject-7", "Kanari Wijaya", "kanari@example.com"
ACCOUNT = "108204268033311374519"
SCOPES = ("connect", "connections:read", "records:read", "revoke", "privacy", "audit:read")


def sales_app(house: House) -> SalesApp:
    return house.client(*SCOPES, subject=SUBJECT)


def lived(app: SalesApp, *connectors: str) -> str:
    """A life with a trace in each table: sessions done and left open, a connection, data read; the connection's id."""
    named = {"subject_label": LABEL, "tenant_label": "Toko", "purpose": "Call back", "login_hint": HINT}
    app.begin("google_contacts", **named)
    connection = str(app.connect(*(connectors or ("google_contacts",)), **named)["id"])
    assert app.records(connection, limit=2).status_code == 200
    body = {"tenant": app.tenant, "subject": SUBJECT, "return_url": "https://sales.example/linked?tab=accounts"}
    app.call("POST", "/v1/portal-sessions", body)
    return connection


def traces(house: House, *canaries: str) -> list[str]:
    """Where any of these stands, in whatever column of whatever table, or in the files."""
    found = []
    with house.broker.database.read() as session:
        for table in Base.metadata.sorted_tables:
            for row in session.execute(text(f"SELECT * FROM {table.name}")):
                said = " ".join(_said(value) for value in row)
                found += [f"{table.name}: {canary}" for canary in canaries if canary in said]
    for path in Path(str(house.broker.database.engine.url.database)).parent.glob("broker.db*"):
        found += [f"{path.name}: {canary}" for canary in canaries if canary.encode() in path.read_bytes()]
    return found


def _said(value: object) -> str:
    return bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else str(value)
