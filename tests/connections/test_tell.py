"""The provider is told, once and honestly: what each receipt says in the end, and what must not be told.

docs/adr/0005 and 0007; docs/facts/security.md STD-33, REL-31, REL-34; docs/facts/google.md §1.7. When it is tried
again: test_duties.py.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from broker import duties
from broker.models import Connection, ConnectionKey, Orphan
from broker.providers.google import Google as GoogleProvider
from broker.vault import Undecryptable
from tests.connections.test_revoke import of_kios, revocation
from tests.house import ANI, BUDI, CONTACTS, EVENTS, Browser, House, SalesApp
from tests.processes import wait_until

OUTAGES: list[dict[str, Any]] = [
    {"outage": {"/revoke": 500}},
    {"outage": {"/revoke": 503}},
    {"outage": {"/revoke": 302}},
    {"outage": {"/revoke": 404}},
    {"outage": {"/revoke": "reset"}},
    {"rate_limit": {"/revoke": {"retry_after": 7, "status": 429}}},
]


def ended(app: SalesApp, connection: str) -> dict[str, Any]:
    """What the newest receipt says of a connection."""
    receipts = app.call("GET", "/v1/revocations", params={"connection": connection}).json()["items"]
    (item,) = [item for receipt in receipts for item in receipt["connections"] if item["ended"] == "connection"]
    return dict(item)


def told(house: House) -> list[dict[str, Any]]:
    return house.google.requests("/revoke")


def keys(house: House) -> set[str]:
    """What still has a key of its own, in any tenant: the ids of connections, `orphan:…`."""
    with house.broker.database.read() as session:
        found = set(session.scalars(select(ConnectionKey.connection).where(ConnectionKey.tenant.not_like("*%"))))
    return {name for name in found if not name.startswith("session:")}


# --- told ----------------------------------------------------------------------------------------------------


def test_google_is_told_once_with_the_refresh_token_and_the_receipt_says_confirmed(house: House, app: SalesApp) -> None:
    connection = app.connect()["id"]
    (refresh_token,) = [token["value"] for token in house.google.state()["live_tokens"]["refresh"]]
    receipt = revocation(app.revoke(connection))
    assert told(house) == []
    house.work()
    house.work()
    (request,) = told(house)
    assert (request["method"], request["status"], request["token"]) == ("POST", 200, refresh_token)
    assert request["query"] == ""
    assert house.google.live_tokens() == 0
    after = app.receipt(receipt["id"])
    (item,) = after["connections"]
    assert after["state"] == "completed"
    assert (item["provider_outcome"], item["attempts"], item["last_error"]) == ("confirmed", 1, None)
    assert receipt["requested_at"] < receipt["effective_at"] <= item["shredded_at"]


def test_a_connection_without_a_refresh_token_is_told_with_its_access_token(sqlite_house: House) -> None:
    app = sqlite_house.client()
    connection = app.connect()["id"]
    with sqlite_house.broker.database.write() as session:
        session.get_one(Connection, connection).refresh_token = None
    (access_token,) = [token["value"] for token in sqlite_house.google.state()["live_tokens"]["access"]]
    app.revoke(connection)
    sqlite_house.work()
    assert [request["token"] for request in told(sqlite_house)] == [access_token]
    assert ended(app, connection)["provider_outcome"] == "confirmed"


def test_what_google_has_ended_already_is_already_gone(house: House, app: SalesApp) -> None:
    connection = app.connect()["id"]
    house.google.control("revoke", {"account": ANI})
    app.revoke(connection)
    house.work()
    item = ended(app, connection)
    assert (item["provider_outcome"], item["attempts"]) == ("already_gone", 1)
    assert item["shredded_at"]
    assert {request["status"] for request in told(house)} == {400}


def test_a_dead_refresh_token_does_not_hide_a_living_access_token(sqlite_house: House) -> None:
    """Google ends the whole authorization by whichever token still lives."""
    app = sqlite_house.client()
    connection = app.connect()["id"]
    sqlite_house.google.control("kill", {"tokens": "refresh"})
    app.revoke(connection)
    sqlite_house.work()
    assert [request["status"] for request in told(sqlite_house)] == [400, 200]
    assert ended(app, connection)["provider_outcome"] == "confirmed"
    assert sqlite_house.google.live_tokens() == 0


def test_a_provider_that_cannot_be_told_is_not_supported(sqlite_house: House) -> None:
    """Shredded here all the same, and the receipt does not claim more."""
    app = sqlite_house.client()
    connection = app.connect()["id"]
    app.revoke(connection)
    provider = copy(sqlite_house.broker.providers["google"])
    assert isinstance(provider, GoogleProvider)
    assert provider.endpoints
    provider.endpoints = replace(provider.endpoints, revocation=None)
    duties.work(replace(sqlite_house.broker, providers={"google": provider}), once=True)
    item = ended(app, connection)
    assert (item["provider_outcome"], item["attempts"]) == ("not_supported", 0)
    assert item["shredded_at"]
    assert told(sqlite_house) == []
    assert keys(sqlite_house) == set()


@pytest.mark.parametrize("quirk", OUTAGES, ids=str)
def test_an_answer_that_settles_nothing_leaves_the_receipt_pending_and_is_tried_again(
    sqlite_house: House, quirk: dict[str, Any]
) -> None:
    app = sqlite_house.client()
    connection = app.connect()["id"]
    sqlite_house.google.quirk(**quirk)
    receipt = revocation(app.revoke(connection))["id"]
    sqlite_house.work()
    item = ended(app, connection)
    assert (item["provider_outcome"], item["attempts"], item["shredded_at"]) == ("pending", 1, None)
    assert item["last_error"]
    assert app.receipt(receipt)["state"] == "in_progress"
    assert app.records(connection).status_code == 410
    sqlite_house.google.quirk(**dict.fromkeys(quirk))
    sqlite_house.clock.advance(seconds=30)
    sqlite_house.work()
    item = ended(app, connection)
    assert (item["provider_outcome"], item["attempts"], item["last_error"]) == ("confirmed", 2, None)
    assert sqlite_house.google.live_tokens() == 0


# --- shredded ------------------------------------------------------------------------------------------------


def test_what_was_sealed_does_not_open_any_more_once_it_is_shredded(house: House, app: SalesApp) -> None:
    """I12. Not even a copy from before, as it would stand in a backup of the table alone."""
    connection = app.connect()["id"]
    database, vault = house.broker.database, house.broker.vault
    with database.read() as session:
        row = session.get_one(Connection, connection)
    columns = {"account": row.account_version, "access_token": row.token_version, "refresh_token": row.token_version}
    kept = {column: getattr(row, column) for column in columns}

    def opened(column: str) -> bytes:
        with database.read() as session:
            return vault.open(
                session, tenant="toko", connection=connection, column=column, version=columns[column], blob=kept[column]
            )

    assert all(opened(column) for column in columns)
    app.revoke(connection)
    house.work()
    assert keys(house) == set()
    for column in columns:
        with pytest.raises(Undecryptable):
            opened(column)
    with database.read() as session:
        row = session.get_one(Connection, connection)
    assert [getattr(row, column) for column in columns] == [None] * 3


def test_no_token_stands_in_the_database_file_in_clear(sqlite_house: House, tmp_path: Path) -> None:
    app = sqlite_house.client()
    connection = app.connect()["id"]
    tokens = [t["value"] for kind in sqlite_house.google.state()["live_tokens"].values() for t in kind]
    assert len(tokens) == 2
    for act in (lambda: None, lambda: app.revoke(connection), sqlite_house.work):
        act()
        written = b"".join(path.read_bytes() for path in tmp_path.glob("broker.db*"))
        assert connection.encode() in written
        assert not [token for token in tokens if token.encode() in written]


# --- shared --------------------------------------------------------------------------------------------------


@pytest.fixture(params=["the same tenant", "another tenant"])
def other(request: pytest.FixtureRequest, house: House) -> SalesApp:
    """Whose user connects the same account."""
    return of_kios(house) if request.param == "another tenant" else house.client(subject="budi")


def test_an_account_that_another_connection_uses_is_shared_and_google_is_not_told(
    house: House, app: SalesApp, other: SalesApp
) -> None:
    """STD-33. Here it is shredded; there it reads on; and what stands on the receipt is the bare outcome (I6)."""
    mine, theirs = app.connect()["id"], other.connect()["id"]
    receipt = revocation(app.revoke(mine))["id"]
    house.work()
    assert told(house) == []
    item = ended(app, mine)
    assert (item["provider_outcome"], item["attempts"], item["last_error"]) == ("shared", 0, None)
    assert item["shredded_at"]
    assert other.tenant == app.tenant or theirs not in app.call("GET", f"/v1/revocations/{receipt}").text
    assert app.connection(mine)["account"] is None
    assert keys(house) == {theirs}
    assert other.records(theirs).status_code == 200
    house.clock.advance(hours=2)
    assert house.client(tenants=(other.tenant,)).records(theirs).status_code == 200


def test_the_last_connection_of_an_account_tells_google_once(house: House, app: SalesApp, other: SalesApp) -> None:
    mine, theirs = app.connect()["id"], other.connect()["id"]
    app.revoke(mine)
    house.work()
    other.revoke(theirs)
    house.work()
    assert len(told(house)) == 1
    assert ended(app, mine)["provider_outcome"] == "shared"
    assert ended(other, theirs)["provider_outcome"] == "confirmed"
    assert house.google.live_tokens() == 0
    assert keys(house) == set()


def test_connections_of_an_account_that_end_together_are_told_in_one_call(
    house: House, app: SalesApp, other: SalesApp
) -> None:
    """Before anybody was told, nobody uses it any more: each receipt is confirmed, not shared."""
    mine, theirs = app.connect()["id"], other.connect()["id"]
    app.revoke(mine)
    other.revoke(theirs)
    house.work()
    assert len(told(house)) == 1
    assert {ended(app, mine)["provider_outcome"], ended(other, theirs)["provider_outcome"]} == {"confirmed"}


def test_a_suspended_connection_still_uses_its_account(sqlite_house: House) -> None:
    app, other = sqlite_house.client(), of_kios(sqlite_house)
    mine, theirs = app.connect()["id"], other.connect()["id"]
    other.call("POST", f"/v1/connections/{theirs}/suspend", {})
    app.revoke(mine)
    sqlite_house.work()
    assert told(sqlite_house) == []
    other.call("POST", f"/v1/connections/{theirs}/resume", {})
    assert other.records(theirs).status_code == 200


def test_a_connection_that_died_and_was_suspended_then_uses_nothing(sqlite_house: House) -> None:
    mine, other = sqlite_house.client(), of_kios(sqlite_house)
    connection, theirs = mine.connect()["id"], other.connect()["id"]
    sqlite_house.google.quirk(token_error={"error": "invalid_grant", "grant_type": "refresh_token", "times": 1})
    sqlite_house.clock.advance(hours=2)
    other = of_kios(sqlite_house)
    assert other.records(theirs).json()["code"] == "reconnect_required"
    other.call("POST", f"/v1/connections/{theirs}/suspend", {})
    sqlite_house.client().revoke(connection)
    sqlite_house.work()
    assert ended(sqlite_house.client(), connection)["provider_outcome"] == "confirmed"


def test_another_account_of_the_same_subject_is_nobodys_sibling(sqlite_house: House) -> None:
    app = sqlite_house.client()
    mine, second = app.connect()["id"], app.connect(account=BUDI)["id"]
    app.revoke(mine)
    sqlite_house.work()
    assert ended(app, mine)["provider_outcome"] == "confirmed"
    assert app.records(second).status_code == 200
    assert {entry["account"] for entry in sqlite_house.google.state()["authorizations"]} == {BUDI}


# --- never a newer one ---------------------------------------------------------------------------------------


def test_a_late_telling_does_not_kill_a_newer_connection(house: House, app: SalesApp) -> None:
    """REL-34. Google could not be told; the user connects again; then Google can be told."""
    old = app.connect()["id"]
    house.google.quirk(outage={"/revoke": 503})
    app.revoke(old)
    house.work()
    new = app.connect()["id"]
    assert new != old
    house.google.quirk(outage=None)
    house.clock.advance(seconds=30)
    house.work()
    assert [request["status"] for request in told(house)] == [503]
    assert ended(app, old)["provider_outcome"] == "shared"
    assert app.records(new).status_code == 200
    house.clock.advance(hours=2)
    house.work()
    assert house.client().records(new).status_code == 200


def test_a_connection_that_began_before_the_telling_is_probed_before_it_counts(house: House, app: SalesApp) -> None:
    """The browser was on its way to Google when Google was told; the consent given after it is a new one."""
    old, browser = app.connect()["id"], Browser()
    address = browser.approve(app.begin("google_contacts"), ["google_contacts"])
    app.revoke(old)
    house.work()
    before = len(house.google.requests("/token"))
    answer = app.confirm(browser.come_back(browser.at_google(address)))
    assert answer.status_code == 200, answer.text
    assert [request["grant_type"] for request in house.google.requests("/token")][before:] == [
        "authorization_code",
        "refresh_token",
    ]
    assert app.records(answer.json()["connection"]["id"]).status_code == 200


def test_a_code_from_before_the_telling_makes_no_connection(house: House, app: SalesApp) -> None:
    old = app.connect()["id"]
    returned = app.pending("google_contacts")
    app.revoke(old)
    house.work()
    answer = app.confirm(returned)
    assert (answer.status_code, answer.json()["retryable"]) == (502, False)
    assert app.call("GET", "/v1/connections", params={"state": "active"}).json()["items"] == []
    house.work()
    assert house.google.live_tokens() == 0


# --- tokens that no connection holds (I5) --------------------------------------------------------------------


def orphans(house: House) -> list[Orphan]:
    with house.broker.database.read() as session:
        return list(session.scalars(select(Orphan)))


@pytest.fixture
def failed(house: House, app: SalesApp) -> Callable[[], None]:
    """Lets a confirm fail after the exchange, before anybody knows whose the tokens are."""

    def fail() -> None:
        house.google.quirk(bad_id_token="wrong_nonce")
        answer = app.confirm(app.pending())
        assert answer.status_code == 502
        house.google.quirk(bad_id_token=None)

    return fail


def test_tokens_of_a_failed_confirm_are_revoked(house: House, failed: Callable[[], None]) -> None:
    failed()
    assert len(orphans(house)) == 1
    assert house.google.live_tokens() > 0
    house.work()
    assert house.google.live_tokens() == 0
    assert len(told(house)) == 1
    assert orphans(house) == []
    assert keys(house) == set()


def test_tokens_of_a_failed_confirm_do_not_end_a_live_connection(
    house: House, app: SalesApp, failed: Callable[[], None]
) -> None:
    """A failed reconnect leaves what works as it was; its tokens are covered by the authorization that stays (I5)."""
    connection = app.connect()["id"]
    failed()
    house.work()
    assert told(house) == []
    assert orphans(house) == []
    assert keys(house) == {connection}
    assert app.records(connection).status_code == 200


def test_tokens_of_a_confirm_that_was_granted_too_little_are_revoked(house: House, app: SalesApp) -> None:
    returned = app.pending(without=(CONTACTS, EVENTS))
    assert app.confirm(returned).json()["code"] == "insufficient_scope"
    house.work()
    assert house.google.live_tokens() == 0
    assert orphans(house) == []


def test_an_orphan_is_placed_even_when_its_access_token_has_expired(house: House, failed: Callable[[], None]) -> None:
    """It was taken for dead once, and its refresh token lived on at Google."""
    house.google.quirk(outage={"/v1/userinfo": 503})
    failed()
    house.work()
    house.google.quirk(outage=None)
    house.clock.advance(hours=2)
    house.work()
    assert house.google.live_tokens() == 0
    assert orphans(house) == []


def test_an_orphan_that_is_dead_already_is_forgotten(house: House, failed: Callable[[], None]) -> None:
    failed()
    house.google.control("revoke", {"account": ANI})
    house.work()
    assert told(house) == []
    assert orphans(house) == []
    assert keys(house) == set()


def test_an_orphan_waits_until_the_session_that_may_use_its_account_is_over(house: House, app: SalesApp) -> None:
    """The user was sent to consent once more: telling Google meanwhile would take away what is about to be given."""
    house.google.quirk(no_refresh_token=True)
    answer = app.confirm(app.pending())
    assert answer.json()["code"] == "consent_again"
    house.work()
    assert told(house) == []
    assert len(orphans(house)) == 1
    house.clock.advance(minutes=9)
    house.work()
    assert told(house) == []
    house.clock.advance(minutes=2)
    house.work()
    assert len(told(house)) == 1
    assert house.google.live_tokens() == 0
    assert orphans(house) == []


def test_an_orphan_is_covered_once_the_second_consent_has_made_a_connection(house: House, app: SalesApp) -> None:
    house.google.quirk(no_refresh_token=True)
    answer = app.confirm(app.pending())
    house.work()
    house.google.quirk(no_refresh_token=None)
    browser = Browser()
    address = browser.approve(answer.json()["url"], ["google_contacts", "google_calendar"])
    connection = app.confirm(browser.come_back(browser.at_google(address))).json()["connection"]["id"]
    house.clock.advance(minutes=11)
    house.work()
    assert told(house) == []
    assert orphans(house) == []
    assert app.records(connection).status_code == 200


def test_a_revocation_while_a_session_is_open_for_the_account_is_shared(house: House) -> None:
    """Shredded here at once; Google hears of it, by the orphan's token, when the session was abandoned."""
    app, other = house.client(), of_kios(house)
    mine = app.connect()["id"]
    house.google.quirk(no_refresh_token=True)
    assert other.confirm(other.pending()).json()["code"] == "consent_again"
    app.revoke(mine)
    house.work()
    assert told(house) == []
    assert ended(app, mine)["provider_outcome"] == "shared"
    house.clock.advance(minutes=11)
    house.work()
    assert len(told(house)) == 1
    assert house.google.live_tokens() == 0


def test_the_loser_of_a_refresh_against_a_revocation_leaves_no_live_token(house: House, app: SalesApp) -> None:
    """REL-31: the refresh was under way when the connection was revoked, and its answer came after."""
    connection = app.connect()["id"]
    house.clock.advance(hours=2)
    app = SalesApp(app.url, app.client_id, app.client_secret)
    assert app.bearer
    house.google.quirk(delay={"/token": 1.0})
    with ThreadPoolExecutor(1) as job:
        reading = job.submit(app.records, connection)
        wait_until(lambda: house.google.requests("/token")[-1]["status"] is None, "the refresh")
        app.revoke(connection)
        assert reading.result().status_code == 410
    assert len(orphans(house)) == 1
    assert house.google.live_tokens() > 0
    house.work()
    assert house.google.live_tokens() == 0
    assert orphans(house) == []
