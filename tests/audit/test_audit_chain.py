"""The audit: an entry for each state change, in its own transaction, in a chain that shows tampering (I10, PRV-24)."""

import json
from collections.abc import Callable
from threading import Thread

import pytest
from sqlalchemy import delete, func, select, text, update

from broker import audit
from broker.audit import Chains, entries, exported, imported, recorded_heads
from broker.errors import Unavailable
from broker.models import AuditEntry, AuditHead, Connection
from tests.house import House, SalesApp


def actions(house: House) -> list[str]:
    return [row.action for row in sorted(entries(house.broker.database), key=lambda row: row.id)]


def checked(house: House) -> Chains:
    chains = Chains()
    for row in entries(house.broker.database):
        chains.check(row)
    chains.check_heads(recorded_heads(house.broker.database))
    return chains


@pytest.fixture
def lived(house: House, app: SalesApp) -> House:
    """A house in which a connection was made and ended."""
    connection = app.connect("google_contacts")
    app.revoke(connection["id"])
    house.work()
    return house


def test_every_step_of_a_connections_life_is_an_entry(lived: House) -> None:
    assert [action for action in actions(lived) if not action.startswith("client.")] == [
        "session.begun",
        "session.approved",
        "session.pending",
        "session.exchanging",
        "connection.activated",
        "grant.given",
        "session.confirmed",
        "grant.withdrawn",
        "connection.revoked",
        "signing_key.made",
        "connection.shredded",
        "revocation.completed",
    ]


def test_an_untouched_chain_verifies(lived: House) -> None:
    chains = checked(lived)
    assert chains.faults == {}
    assert chains.count == len(actions(lived))


@pytest.mark.parametrize("column", ["actor", "action", "connection", "detail", "subject_hash"])
def test_a_changed_entry_is_named(lived: House, column: str) -> None:
    with lived.broker.database.write() as session:
        session.execute(
            update(AuditEntry).where(AuditEntry.tenant == "toko", AuditEntry.seq == 3).values({column: "x"})
        )
    assert checked(lived).faults == {"toko": "entry 3 was changed"}


def test_an_entry_taken_out_is_named(lived: House) -> None:
    with lived.broker.database.write() as session:
        session.execute(delete(AuditEntry).where(AuditEntry.tenant == "toko", AuditEntry.seq == 4))
    assert checked(lived).faults == {"toko": "entry 4 is missing or out of order"}


def test_a_chain_cut_short_is_found_by_its_head(lived: House) -> None:
    with lived.broker.database.write() as session:
        session.execute(delete(AuditEntry).where(AuditEntry.tenant == "toko", AuditEntry.seq > 5))
    assert checked(lived).faults == {"toko": "entries after 5 are missing"}


def test_two_entries_that_changed_places_are_named(lived: House) -> None:
    with lived.broker.database.write() as session:
        for before, after in ((3, 1003), (4, 3), (1003, 4)):
            moved = update(AuditEntry).where(AuditEntry.tenant == "toko", AuditEntry.seq == before)
            session.execute(moved.values(seq=after))
    assert "toko" in checked(lived).faults


def test_an_entry_moved_into_another_tenants_chain_is_found(lived: House) -> None:
    with lived.broker.database.write() as session:
        last = session.get_one(AuditHead, "*")
        moved = update(AuditEntry).where(AuditEntry.tenant == "toko", AuditEntry.seq == 1)
        session.execute(moved.values(tenant="*", seq=last.seq + 1))
    assert set(checked(lived).faults) == {"*", "toko"}


def test_the_subject_can_be_erased_and_the_chain_still_verifies(lived: House) -> None:
    with lived.broker.database.write() as session:
        session.execute(update(AuditEntry).values(subject=None))
    assert checked(lived).faults == {}


def test_an_export_verifies_without_the_database(lived: House) -> None:
    lines = [json.dumps(exported(row)) for row in entries(lived.broker.database)]
    chains = Chains()
    for line in lines:
        chains.check(imported(json.loads(line)))
    assert chains.faults == {}
    assert chains.count == len(lines)


def test_an_export_holds_no_subject_in_clear(lived: House) -> None:
    assert all('"ani"' not in json.dumps(exported(row)) for row in entries(lived.broker.database))


def test_a_change_whose_entry_cannot_be_written_is_undone(house: House, app: SalesApp) -> None:
    """PRV-26: no audit, no change, and the caller hears of it."""
    connection = app.connect("google_contacts")
    with house.broker.database.engine.begin() as raw:
        raw.execute(text("DROP TABLE audit_entries"))
    answer = app.revoke(connection["id"])
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    with house.broker.database.read() as session:
        assert session.scalar(select(Connection.state).where(Connection.id == connection["id"])) == "active"


def test_a_transaction_that_fails_leaves_no_entry(house: House) -> None:
    def fail() -> None:
        with house.broker.database.write() as session:
            audit.note(session, "something.done", tenant="toko")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert "something.done" not in actions(house)


def test_sixteen_writers_at_once_make_one_chain(house: House) -> None:
    """PRV-27 within one process; the crash test has several."""
    failed: list[Exception] = []

    def write() -> None:
        try:
            for _ in range(5):
                with house.broker.database.write() as session:
                    audit.note(session, "something.done", tenant="toko", actor="writer")
        except Unavailable as error:
            failed.append(error)

    threads = [Thread(target=write) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert checked(house).faults == {}
    with house.broker.database.read() as session:
        assert session.scalar(select(func.count()).where(AuditEntry.action == "something.done")) == 80


@pytest.mark.parametrize("nasty", ["\r\nforged", "\x1b[31m", '"}', "x" * 1_000_000, "\ud800"])
def test_a_nasty_text_makes_one_sound_entry(house: House, nasty: str) -> None:
    """PRV-30: one entry, encoded and capped."""
    with house.broker.database.write() as session:
        audit.note(session, "something.done", tenant="toko", reason=nasty)
    row = next(row for row in entries(house.broker.database) if row.action == "something.done")
    assert len(row.detail) <= audit.LONGEST_DETAIL
    assert row.detail.isascii()
    assert row.detail.isprintable()
    assert checked(house).faults == {}


def test_the_audit_is_read_by_its_scope_alone(house: House, app: SalesApp) -> None:
    assert app.call("GET", "/v1/audit").json()["code"] == "forbidden"
    reader = house.client("audit:read")
    assert reader.call("GET", "/v1/audit").status_code == 200


def test_a_client_reads_the_audit_of_its_own_tenants_alone(lived: House) -> None:
    foreign = lived.client("audit:read", tenants=("warung",))
    assert foreign.call("GET", "/v1/audit").json()["items"] == []
    assert foreign.call("GET", "/v1/audit?tenant=toko").json()["code"] == "not_found"


def test_the_audit_is_listed_by_time_subject_and_connection(lived: House) -> None:
    reader = lived.client("audit:read")
    everything = reader.call("GET", "/v1/audit", params={"tenant": "toko"}).json()["items"]
    connection = next(item["connection"] for item in everything if item["action"] == "connection.revoked")
    of_connection = reader.call("GET", "/v1/audit", params={"connection": connection}).json()["items"]
    assert {item["connection"] for item in of_connection} == {connection}
    assert reader.call("GET", "/v1/audit", params={"subject": "nobody"}).json()["items"] == []
    since = everything[-1]["at"]
    assert len(reader.call("GET", "/v1/audit", params={"since": since}).json()["items"]) < len(everything)


def test_the_audit_is_read_page_by_page(lived: House) -> None:
    reader = lived.client("audit:read")
    seen, cursor = [], None
    while True:
        params = {"limit": 3, **({"cursor": cursor} if cursor else {})}
        page = reader.call("GET", "/v1/audit", params=params).json()
        seen += [item["id"] for item in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert seen == [item["id"] for item in reader.call("GET", "/v1/audit").json()["items"]]


def test_nothing_secret_stands_in_an_entry(lived: House, build: Callable[..., House]) -> None:
    written = " ".join(row.detail for row in entries(lived.broker.database))
    assert "ani@example.com" not in written
    assert "ya29." not in written
