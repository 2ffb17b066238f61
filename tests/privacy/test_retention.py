"""What is kept no longer than it is needed goes by itself, and nothing before its time (PRV-07)."""

from sqlalchemy import func, select

from broker.models import AccessCount, AuditEntry, Connection, ConnectSession, Consent, Grant, Revocation
from broker.privacy import retain
from tests.house import House

TABLES = (ConnectSession, Connection, Grant, Consent, Revocation, AccessCount)


def _counts(house: House) -> dict[str, int]:
    with house.broker.database.read() as session:
        return {table.__tablename__: session.scalar(select(func.count()).select_from(table)) or 0 for table in TABLES}


def test_each_table_is_swept_at_its_own_time_and_the_audit_stays(sqlite_house: House) -> None:
    house = sqlite_house
    app, clock = house.client(), house.clock
    ended, stays = app.connect("google_contacts")["id"], app.connect("google_calendar", account="109876543210987654321")
    app.records(ended)
    house.broker.accesses.write()
    app.begin("google_contacts")
    app.begin("google_contacts", connection=ended)  # the revocation ends it: failed
    app.revoke(ended)
    house.work()
    full = _counts(house)
    assert 0 not in full.values()
    clock.advance(hours=24)
    house.work()
    assert _counts(house)["connect_sessions"] == full["connect_sessions"]
    clock.advance(hours=2)
    house.work()
    kept = _counts(house)
    assert kept == full | {"connect_sessions": 1}
    clock.advance(days=30)
    house.work()
    assert _counts(house) == full | {"connect_sessions": 0}
    clock.advance(days=371)
    retain.sweep(house.broker)
    assert _counts(house) == full | {"connect_sessions": 0, "access_counts": 0}
    clock.advance(days=700)
    with house.broker.database.read() as session:
        audited = session.scalar(select(func.count()).select_from(AuditEntry))
    retain.sweep(house.broker)
    live = {"connections": 1, "grants": 1, "consents": 1, "revocations": 0, "connect_sessions": 0, "access_counts": 0}
    assert _counts(house) == live
    with house.broker.database.read() as session:
        assert session.scalars(select(Connection.id)).one() == stays["id"]
        assert session.scalar(select(func.count()).select_from(AuditEntry)) == audited


def test_zero_keeps_for_good(build, sqlite_url: str) -> None:
    house = build(sqlite_url, BROKER_RETENTION_SESSIONS="0", BROKER_RETENTION_ENDED="0")
    app = house.client()
    app.revoke(app.connect("google_contacts")["id"])
    house.work()
    house.clock.advance(days=9000)
    retain.sweep(house.broker)
    counts = _counts(house)
    assert (counts["connections"], counts["connect_sessions"], counts["revocations"]) == (1, 1, 1)
