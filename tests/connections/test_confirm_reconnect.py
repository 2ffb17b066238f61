"""Connecting again: the same account updates its connection, another makes another, and an attempt that fails leaves
a live connection exactly as it was (contract §3; design decisions 5 and 6; docs/facts/security.md STD-16, STD-17)."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from tests.connections.insight import rows
from tests.house import ANI, BUDI, Browser, Google, House, SalesApp

NAME = "google_contacts"


@pytest.fixture
def house(sqlite_house: House) -> House:
    return sqlite_house


def test_the_same_account_updates_its_connection(app: SalesApp) -> None:
    first = app.connect(NAME)
    second = app.connect(NAME)
    assert second["id"] == first["id"]
    assert second["created_at"] == first["created_at"]
    assert len(app.call("GET", "/v1/connections").json()["items"]) == 1
    assert [grant["connector"] for grant in second["grants"]] == [NAME]
    assert second["grants"][0]["granted_at"] > first["grants"][0]["granted_at"]


def test_another_account_makes_another_connection(app: SalesApp) -> None:
    """STD-16: an account is its `sub`."""
    first, second = app.connect(NAME, account=ANI), app.connect(NAME, account=BUDI)
    assert first["id"] != second["id"]
    assert (first["account"]["id"], second["account"]["id"]) == (ANI, BUDI)
    for connection in (first, second):
        assert app.records(connection["id"]).json()["records"][0]["source"]["account"] == connection["account"]["id"]


def test_another_subject_or_tenant_makes_another_connection_to_the_same_account(house: House) -> None:
    """I6: nobody notices that the other is there."""
    tenants = ("toko", "warung")
    apps = [
        house.client(tenants=tenants),
        house.client(tenants=tenants, subject="budi"),
        house.client(tenants=tenants, tenant="warung"),
    ]
    first = apps[0].connect(NAME)
    ids = {first["id"]}
    for app in apps[1:]:
        returned = app.pending(NAME)
        browser = Browser()
        url = app.confirm(returned).json()["url"]
        again = browser.come_back(browser.at_google(browser.approve(url, [NAME])))
        ids.add(app.confirm(again).json()["connection"]["id"])
    assert len(ids) == 3
    assert apps[0].connection(first["id"]) == first


def test_a_reconnect_may_leave_a_connector_out_without_ending_it(app: SalesApp) -> None:
    first = app.connect()
    second = app.connect("google_calendar", connection=first["id"])
    assert {grant["connector"]: grant["withdrawn_at"] for grant in second["grants"]} == {
        NAME: None,
        "google_calendar": None,
    }


def test_a_withdrawn_connector_comes_back_by_a_new_consent_alone(app: SalesApp) -> None:
    connection = app.connect()["id"]
    app.withdraw(connection, NAME)
    app.connect("google_calendar", connection=connection)
    assert app.records(connection, NAME).json()["code"] == "grant_withdrawn"
    app.connect(NAME, connection=connection)
    assert app.records(connection, NAME).status_code == 200


def test_a_revoked_connection_never_revives(app: SalesApp, house: House) -> None:
    first = app.connect(NAME)["id"]
    app.revoke(first)
    house.work()
    second = app.connect(NAME)["id"]
    assert second != first
    assert app.connection(first)["state"] == "revoked"
    assert app.records(first).status_code == 410
    assert app.records(second).status_code == 200


def test_a_callers_suspension_outlives_a_reconnect(app: SalesApp) -> None:
    connection = app.connect(NAME)["id"]
    app.call("POST", f"/v1/connections/{connection}/suspend")
    assert app.connect(NAME, connection=connection)["state"] == "suspended"
    assert app.records(connection).json()["code"] == "connection_suspended"
    app.call("POST", f"/v1/connections/{connection}/resume")
    assert app.records(connection).status_code == 200


# --- what fails leaves everything as it was ------------------------------------------------------------------


def _abandoned_at_once(app: SalesApp, browser: Browser, google: Google, connection: str) -> None:
    app.begin(NAME, connection=connection)


def _abandoned_at_google(app: SalesApp, browser: Browser, google: Google, connection: str) -> None:
    browser.get(browser.approve(app.begin(NAME, connection=connection), [NAME]))


def _abandoned_unconfirmed(app: SalesApp, browser: Browser, google: Google, connection: str) -> None:
    assert app.pending(NAME, connection=connection)["status"] == "pending"


def _denied_here(app: SalesApp, browser: Browser, google: Google, connection: str) -> None:
    browser.post(app.begin(NAME, connection=connection), {"decision": "deny"})


def _denied_at_google(app: SalesApp, browser: Browser, google: Google, connection: str) -> None:
    assert app.pending(NAME, connection=connection, decision="cancel")["status"] == "denied"


def _from_another_browser(app: SalesApp, browser: Browser, google: Google, connection: str) -> None:
    callback = app.callback(NAME, browser=browser, connection=connection)
    assert Browser().get(callback).status_code == 400


def _of_a_wrong_issuer(app: SalesApp, browser: Browser, google: Google, connection: str) -> None:
    google.quirk(wrong_iss=True)
    callback = app.callback(NAME, browser=browser, connection=connection)
    assert browser.get(callback).status_code == 400


def _confirmed_wrongly(app: SalesApp, browser: Browser, google: Google, connection: str) -> None:
    returned = app.pending(NAME, connection=connection)
    for _ in range(5):
        assert app.confirm(returned, subject="budi").status_code == 403


def _another_account(app: SalesApp, browser: Browser, google: Google, connection: str) -> None:
    returned = app.pending(NAME, connection=connection, account=BUDI)
    answers = [app.confirm(returned) for _ in range(2)]
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(409, "wrong_account")}


def _nothing_granted(app: SalesApp, browser: Browser, google: Google, connection: str) -> None:
    google.quirk(omit_scope=True)
    answer = app.confirm(app.pending(NAME, connection=connection))
    assert (answer.status_code, answer.json()["code"]) == (409, "insufficient_scope")


def _a_forged_id_token(app: SalesApp, browser: Browser, google: Google, connection: str) -> None:
    google.quirk(bad_id_token="bad_signature")
    assert app.confirm(app.pending(NAME, connection=connection)).status_code == 502


def _a_refused_code(app: SalesApp, browser: Browser, google: Google, connection: str) -> None:
    google.quirk(token_error={"error": "invalid_grant", "times": 1})
    assert app.confirm(app.pending(NAME, connection=connection)).status_code == 502


def _an_outage(app: SalesApp, browser: Browser, google: Google, connection: str) -> None:
    google.quirk(outage={"/token": 503})
    assert app.confirm(app.pending(NAME, connection=connection)).status_code == 502


@pytest.mark.parametrize(
    "attempt",
    [
        _abandoned_at_once,
        _abandoned_at_google,
        _abandoned_unconfirmed,
        _denied_here,
        _denied_at_google,
        _from_another_browser,
        _of_a_wrong_issuer,
        _confirmed_wrongly,
        _another_account,
        _nothing_granted,
        _a_forged_id_token,
        _a_refused_code,
        _an_outage,
    ],
)
def test_an_attempt_that_comes_to_nothing_leaves_the_connection_as_it_was(
    app: SalesApp,
    house: House,
    browser: Browser,
    google: Google,
    attempt: Callable[[SalesApp, Browser, Google, str], None],
) -> None:
    """Decision 5, I5: not one column changes, it reads as before and after its token has ended, and nothing of the
    attempt lives on at Google."""
    connection = app.connect()
    before = _connected(house)
    attempt(app, browser, google, connection["id"])
    google.control("quirks", dict.fromkeys(google.state()["quirks"]))
    assert _connected(house) == before
    house.work()
    house.clock.advance(minutes=11)
    house.work()
    assert _connected(house) == before
    app = house.client()
    assert app.connection(connection["id"]) == connection
    for connector in (NAME, "google_calendar"):
        assert app.records(connection["id"], connector).status_code == 200
    house.clock.advance(hours=2)
    assert house.client().records(connection["id"]).status_code == 200
    live = google.state()["live_tokens"]
    assert {token["account"] for tokens in live.values() for token in tokens} == {ANI}
    assert rows(house)["orphans"] == []


def test_a_pending_reconnect_ends_with_the_connection_it_renews(app: SalesApp, google: Google) -> None:
    """A revoked connection is not made live again by an attempt that was under way."""
    connection = app.connect(NAME)["id"]
    returned = app.pending(NAME, connection=connection)
    app.revoke(connection)
    assert app.status(returned["session"]) == "failed"
    exchanges = len(google.requests("/token"))
    answer = app.confirm(returned)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert len(google.requests("/token")) == exchanges
    assert app.records(connection).status_code == 410


def test_a_renewal_of_what_is_gone_makes_nothing(app: SalesApp, house: House, google: Google) -> None:
    """Whatever ended the connection, and whether or not it thought of the sessions under way."""
    connection = app.connect(NAME)["id"]
    google.control("revoke", {"account": ANI})
    returned = app.pending(NAME, connection=connection)
    with house.broker.database.write() as session:
        session.execute(text("UPDATE connections SET state = 'revoked', live = NULL"))
    answer = app.confirm(returned)
    assert (answer.status_code, answer.json()["code"]) == (410, "connection_revoked")
    assert app.status(returned["session"]) == "failed"
    assert [item["state"] for item in app.call("GET", "/v1/connections").json()["items"]] == ["revoked"]
    house.work()
    assert google.live_tokens() == 0


def test_the_account_of_a_wrong_account_is_told(app: SalesApp, house: House, google: Google) -> None:
    """I5: its token was obtained and belongs to nobody here."""
    connection = app.connect(NAME, account=ANI)["id"]
    app.confirm(app.pending(NAME, connection=connection, account=BUDI))
    assert {token["account"] for token in google.state()["live_tokens"]["refresh"]} == {ANI, BUDI}
    house.work()
    assert {token["account"] for token in google.state()["live_tokens"]["refresh"]} == {ANI}


def test_a_wrong_account_that_is_connected_elsewhere_is_left_alone(house: House, google: Google) -> None:
    """Decision 5: the telling counts the live connections of that account, and there is one."""
    app, other = house.client(), house.client(subject="budi")
    theirs = other.connect(NAME, account=BUDI)["id"]
    mine = app.connect(NAME, account=ANI)["id"]
    assert app.confirm(app.pending(NAME, connection=mine, account=BUDI)).json()["code"] == "wrong_account"
    house.work()
    assert google.requests("/revoke") == []
    assert other.records(theirs).status_code == 200


def test_without_a_connection_named_another_account_is_no_error(app: SalesApp) -> None:
    """The user may have two; only a renewal is for one account alone (STD-17)."""
    app.connect(NAME, account=ANI)
    assert app.confirm(app.pending(NAME, account=BUDI)).status_code == 200


def test_what_the_page_said_stands_in_the_grant(app: SalesApp, house: House) -> None:
    """docs/facts/security.md §7.2: the hash of the very text, its language, the purpose; and another text has
    another."""
    english = app.connect(NAME, locale="en", purpose="Call back")["id"]
    first = _grant(house, english)
    assert (first["locale"], first["purpose"]) == ("en", "Call back")
    assert len(first["consent_text_hash"]) == 64
    app.connect(NAME, locale="en", purpose="Call back")
    assert _grant(house, english)["consent_text_hash"] == first["consent_text_hash"]
    app.connect(NAME, locale="id", purpose="Call back")
    assert _grant(house, english)["consent_text_hash"] != first["consent_text_hash"]


def _connected(house: House) -> dict[str, list[Any]]:
    """What there is of connections, grants and their keys, to the last column."""
    tables = rows(house)
    keys = [row for row in tables["connection_keys"] if any(str(value).startswith("con_") for value in row)]
    return {"connections": tables["connections"], "grants": tables["grants"], "keys": keys}


def _grant(house: House, connection: str) -> dict[str, Any]:
    query = text("SELECT * FROM grants WHERE connection_id = :id AND live")
    with house.broker.database.read() as session:
        (row,) = session.execute(query, {"id": connection}).mappings()
        return dict(row)
