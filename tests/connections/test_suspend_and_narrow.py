"""What is held back by a caller, and what is chosen afterwards: said once, and of what has ended nothing."""

import pytest
from sqlalchemy import select, update

from broker.models import AuditEntry, Connection
from tests.connections.test_revoke import code
from tests.house import House

ENDED = {"revoked": (410, "connection_revoked"), "withdrawn": (403, "grant_withdrawn")}


def actions(house: House, *wanted: str) -> list[str]:
    with house.broker.database.read() as session:
        found = session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()
    return [action for action in found if action in wanted]


def test_suspending_and_resuming_again_changes_nothing_and_is_not_said_again(sqlite_house: House) -> None:
    app = sqlite_house.client()
    connection = app.connect()["id"]
    path = f"/v1/connections/{connection}"
    for verb, state in (("resume", "active"), ("suspend", "suspended"), ("suspend", "suspended"), ("resume", "active")):
        assert app.call("POST", f"{path}/{verb}", {}).status_code in (200, 204)
        assert app.connection(connection)["state"] == state
    said = actions(sqlite_house, "connection.suspended", "connection.resumed")
    assert said == ["connection.suspended", "connection.resumed"]


def test_a_connection_whose_token_died_while_it_was_suspended_must_be_connected_anew(sqlite_house: House) -> None:
    app = sqlite_house.client()
    connection = app.connect()["id"]
    app.call("POST", f"/v1/connections/{connection}/suspend", {})
    with sqlite_house.broker.database.write() as session:
        session.execute(update(Connection).values(access_token=None))
    app.call("POST", f"/v1/connections/{connection}/resume", {})
    assert app.connection(connection)["state"] == "reconnect_required"


def test_what_the_provider_holds_a_caller_cannot_resume(sqlite_house: House) -> None:
    app = sqlite_house.client()
    connection = app.connect()["id"]
    app.call("POST", f"/v1/connections/{connection}/suspend", {})
    with sqlite_house.broker.database.write() as session:
        session.execute(update(Connection).values(provider_suspended_at=sqlite_house.broker.clock()))
    assert code(app.call("POST", f"/v1/connections/{connection}/resume", {})) == (409, "connection_suspended")
    assert app.connection(connection)["state"] == "suspended"
    assert actions(sqlite_house, "connection.resumed") == ["connection.resumed"]


@pytest.mark.parametrize("how", ENDED)
@pytest.mark.parametrize(("method", "body"), [("GET", None), ("PUT", {"assets": ["primary"]})])
def test_of_what_has_ended_no_asset_is_shown_or_chosen(
    sqlite_house: House, how: str, method: str, body: dict[str, list[str]] | None
) -> None:
    app = sqlite_house.client()
    connection = app.connect()["id"]
    if how == "revoked":
        app.revoke(connection)
    else:
        app.withdraw(connection, "google_calendar")
    assert code(app.call(method, f"/v1/connections/{connection}/assets/google_calendar", body)) == ENDED[how]


def test_of_a_connector_that_was_never_granted_no_asset_is_shown(sqlite_house: House) -> None:
    app = sqlite_house.client()
    connection = app.connect("google_contacts")["id"]
    answer = app.call("GET", f"/v1/connections/{connection}/assets/google_calendar")
    assert code(answer) == (403, "not_granted")
