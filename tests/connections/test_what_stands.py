"""What a request finds when the ground has moved: rows that are gone, newer or odd are never read as a permission."""

from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update

from broker.clients import Caller
from broker.connections import fates, reread, use
from broker.errors import ConnectionRevoked, Unavailable
from broker.models import AuditEntry, Connection, Grant, RevocationItem
from broker.providers.base import Account, Report
from tests.connections.test_revoke import code
from tests.house import House

EVERY = frozenset({"*"})
CALLER = Caller("cli_x", EVERY, EVERY, EVERY, EVERY)


def standing(house: House, connection: str) -> use.Standing:
    return use.standing(house.broker, CALLER, connection, "google_contacts")


def test_a_right_on_a_connection_whose_row_is_gone_is_over(sqlite_house: House) -> None:
    earlier = standing(sqlite_house, sqlite_house.client().connect()["id"])
    with sqlite_house.broker.database.write() as session:
        session.execute(delete(Grant))
        session.execute(delete(Connection))
    with pytest.raises(ConnectionRevoked):
        use.again(sqlite_house.broker, earlier)


def test_a_right_is_not_carried_over_to_a_newer_grant(sqlite_house: House) -> None:
    """It may allow less; a new request will tell."""
    app = sqlite_house.client()
    earlier = standing(sqlite_house, app.connect()["id"])
    app.connect()
    with pytest.raises(Unavailable, match="just connected again"):
        use.again(sqlite_house.broker, earlier)


# --- as it is shown --------------------------------------------------------------------------------------------


def test_a_grant_of_a_connector_that_is_no_longer_installed_misses_nothing_that_could_be_asked_for(
    sqlite_house: House,
) -> None:
    app = sqlite_house.client()
    connection = app.connect("google_contacts")["id"]
    with sqlite_house.broker.database.write() as session:
        session.execute(update(Grant).values(connector="google_removed"))
    (grant,) = app.connection(connection)["grants"]
    assert (grant["connector"], grant["missing_scopes"]) == ("google_removed", [])


@pytest.mark.parametrize("days", [-1, 1])
def test_of_two_grants_of_one_connector_the_live_one_is_shown_whichever_is_older(
    sqlite_house: House, days: int
) -> None:
    app = sqlite_house.client()
    connection = app.connect("google_contacts")["id"]
    app.connect("google_contacts")
    with sqlite_house.broker.database.write() as session:
        at = sqlite_house.broker.clock() + timedelta(days=days)
        session.execute(update(Grant).where(Grant.live.is_(None)).values(granted_at=at))
    (grant,) = app.connection(connection)["grants"]
    assert grant["withdrawn_at"] is None


def test_a_connection_whose_key_is_lost_is_not_shown_as_one_that_was_ended(sqlite_house: House) -> None:
    app = sqlite_house.client()
    connection = app.connect()["id"]
    with sqlite_house.broker.database.write() as session:
        sqlite_house.broker.vault.shred(session, tenant="toko", connection=connection)
    answer = app.call("GET", f"/v1/connections/{connection}")
    assert code(answer) == (503, "unavailable")
    assert answer.json()["retryable"] is False


# --- revoked, reread -------------------------------------------------------------------------------------------


def test_an_ended_connection_without_a_receipt_cannot_be_ended_again(sqlite_house: House) -> None:
    app = sqlite_house.client()
    connection = app.connect()["id"]
    app.revoke(connection)
    with sqlite_house.broker.database.write() as session:
        session.execute(delete(RevocationItem))
    assert code(app.revoke(connection)) == (404, "not_found")


def test_a_client_of_all_tenants_sees_the_receipts_of_all(sqlite_house: House) -> None:
    app = sqlite_house.client()
    app.revoke(app.connect()["id"])
    of_all = sqlite_house.client(tenants=("*",))
    assert len(of_all.call("GET", "/v1/revocations").json()["items"]) == 1
    of_another = sqlite_house.client(tenants=("kios",))
    assert of_another.call("GET", "/v1/revocations").json()["items"] == []


def test_a_suspension_that_the_provider_repeats_is_said_once(sqlite_house: House) -> None:
    connection = sqlite_house.client().connect()["id"]
    for _ in range(2):
        with sqlite_house.broker.database.write() as session:
            row = session.get_one(Connection, connection)
            fates.suspended_by_provider(session, row, sqlite_house.broker.clock())
    with sqlite_house.broker.database.read() as session:
        said = session.scalars(select(AuditEntry).where(AuditEntry.action == "connection.suspended")).all()
    assert len(said) == 1


@pytest.mark.parametrize("reckoned", [None, 1, 9])
def test_an_end_that_the_provider_tells_is_believed_where_it_is_the_earlier_one(
    sqlite_house: House, reckoned: int | None
) -> None:
    connection, now = sqlite_house.client().connect()["id"], sqlite_house.broker.clock()
    told = Report(Account("1", "ani"), None, expires_at=now + timedelta(days=5))
    with sqlite_house.broker.database.write() as session:
        row = session.get_one(Connection, connection)
        row.expires_at = None if reckoned is None else now + timedelta(days=reckoned)
        reread.set_ends(sqlite_house.broker, row, told)
        assert row.expires_at == now + timedelta(days=min(reckoned or 5, 5))


def test_a_grant_without_assets_is_left_as_it_is_where_one_is_dropped(sqlite_house: House) -> None:
    connection = sqlite_house.client().connect("google_contacts")["id"]
    with sqlite_house.broker.database.read() as session:
        version = session.get_one(Connection, connection).token_version
    reread.drop_asset(sqlite_house.broker, connection, version, "primary")
    with sqlite_house.broker.database.read() as session:
        assert session.scalars(select(Grant.assets)).all() == [None]


def test_a_connection_is_renewed_at_its_own_provider_alone(sqlite_house: House) -> None:
    app = sqlite_house.client()
    connection = app.connect()["id"]
    with sqlite_house.broker.database.write() as session:
        session.execute(update(Connection).values(provider="facebook"))
    answer = app.session(connection=connection)
    assert code(answer) == (422, "invalid_request")
    assert answer.json()["errors"] == [{"field": "connection", "problem": "belongs to another provider"}]
