"""What a request finds when the ground has moved: rows that are gone, newer or odd are never read as a permission."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update

from broker.clients import Caller
from broker.connections import fates, refresh, reread, revoke, tell, use
from broker.errors import ConnectionRevoked, ProviderUnavailable, ReconnectRequired, Unavailable
from broker.models import AuditEntry, Authorization, Connection, Grant, RevocationItem
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


def test_the_last_reading_counts_if_it_was_quick_enough(sqlite_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(use, "READINGS", 1)
    earlier = standing(sqlite_house, sqlite_house.client().connect()["id"])
    old = replace(earlier, read_at=time.monotonic() - 60)
    assert use.recent(sqlite_house.broker, old).read_at > old.read_at + 50


# --- its token -------------------------------------------------------------------------------------------------


def test_an_access_token_that_is_not_there_asks_for_a_new_connection(sqlite_house: House) -> None:
    connection = sqlite_house.client().connect()["id"]
    with sqlite_house.broker.database.write() as session:
        session.execute(update(Connection).values(access_token=None))
    with pytest.raises(ReconnectRequired, match="no access token"):
        refresh.access_token(sqlite_house.broker, standing(sqlite_house, connection), until=time.monotonic() + 30)


def test_who_cannot_wait_for_another_processs_renewal_is_asked_to_come_again(sqlite_house: House) -> None:
    connection, now = sqlite_house.client().connect()["id"], sqlite_house.broker.clock()
    dead = {"fresh_until": now - timedelta(hours=1), "access_expires_at": now - timedelta(hours=1)}
    with sqlite_house.broker.database.write() as session:
        session.execute(update(Connection).values(**dead, lease_until=now + timedelta(hours=1)))
    until = time.monotonic() + sqlite_house.broker.settings.provider_deadline + 0.2
    with pytest.raises(Unavailable, match="takes too long"):
        refresh.access_token(sqlite_house.broker, standing(sqlite_house, connection), until=until)
    assert time.monotonic() > until - sqlite_house.broker.settings.provider_deadline


def test_a_confirmation_waits_for_a_revocation_that_is_being_told_and_gives_up_in_time(
    build: Callable[..., House], sqlite_url: str
) -> None:
    house = build(sqlite_url, BROKER_PROVIDER_DEADLINE="0.5", BROKER_REQUEST_DEADLINE="3")
    app = house.client()
    app.connect()
    returned = app.pending()
    now = house.broker.clock()
    with house.broker.database.write() as session:
        telling = {"told_at": now + timedelta(seconds=1), "telling_until": now + timedelta(hours=1)}
        session.execute(update(Authorization).values(**telling))
    answer = app.confirm(returned)
    assert code(answer) == (502, "provider_unavailable")
    assert "A revocation of this account is under way" in answer.json()["detail"]


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


def test_what_the_provider_says_of_an_older_connection_leaves_a_newer_one_alone(sqlite_house: House) -> None:
    app = sqlite_house.client()
    connection, before = app.connect()["id"], sqlite_house.broker.clock() - timedelta(days=1)
    revoke.ended_by_provider(sqlite_house.broker, connection, reason="removed there", before=before)
    reread.drop_removed_asset(sqlite_house.broker, connection, "primary", before=before)
    assert app.connection(connection)["state"] == "active"
    assets = app.call("GET", f"/v1/connections/{connection}/assets/google_calendar").json()["items"]
    assert "primary" in [asset["id"] for asset in assets if asset["granted"]]


def test_a_withdrawal_that_the_provider_never_answers_to_ends_as_given_up(sqlite_house: House) -> None:
    app = sqlite_house.client()
    connection = app.connect()["id"]
    receipt = app.withdraw(connection, "google_calendar").json()["revocation"]["id"]
    with sqlite_house.broker.database.write() as session:
        session.execute(update(RevocationItem).values(provider_outcome="pending"))
        row = session.get_one(Connection, connection)
        key = f"{row.app_id}:{row.account_index.hex()}"
    for gave_up, outcome in ((False, "pending"), (True, "gave_up")):
        with sqlite_house.broker.database.write() as session:
            error = ProviderUnavailable("The provider does not answer.")
            tell.failed(sqlite_house.broker, session, key, error, gave_up=gave_up)
        (item,) = app.receipt(receipt)["connections"]
        assert (item["provider_outcome"], item["last_error"]) == (outcome, "The provider does not answer.")
    assert app.connection(connection)["state"] == "active"
