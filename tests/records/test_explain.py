"""`GET /v1/connections/<id>/explain`: the reasons of the decision, for who may see the connection, and no more."""

import json
from typing import Any

import pytest
import requests
from sqlalchemy import update

from broker.models import Grant
from tests.house import BUDI, CALENDAR_LIST, CONTACTS, EVENTS, House, SalesApp

LIST = "people.people.connections.list"


@pytest.fixture
def house(sqlite_house: House) -> House:
    return sqlite_house


@pytest.fixture
def desk(house: House) -> SalesApp:
    return house.client("connect", "connections:read", "records:read", "revoke")


def explained(app: SalesApp, connection: str, connector: str = "google_contacts", **asked: str) -> requests.Response:
    return app.call("GET", f"/v1/connections/{connection}/explain", params={"connector": connector, **asked})


def facts(*asked: Any, **more: str) -> dict[str, Any]:
    answer = explained(*asked, **more)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_what_is_open_is_said_with_what_opens_it(desk: SalesApp):
    found = facts(desk, desk.connect()["id"])
    assert (found["verdict"], found["state"], found["assets"]) == ("allowed", "active", None)
    (resource,) = found["resources"]
    assert resource["operations"] == [
        {
            "operation": LIST,
            "accepted_scopes": sorted([CONTACTS, CONTACTS.removesuffix(".readonly")]),
            "missing_scopes": [],
        }
    ]
    assert all(field["missing_scopes"] == [] and not field["withheld"] for field in resource["fields"])


def test_every_denial_says_which_scope_would_have_opened_it(desk: SalesApp):
    found = facts(desk, desk.connect(without=[EVENTS])["id"], "google_calendar")
    assert found["verdict"] == "denied"
    assert found["because"] == [f"the user did not grant {EVENTS}"]
    events = found["resources"][0]
    assert events["missing_scopes"] == [EVENTS]
    assert events["operations"][0]["missing_scopes"]
    assert all(field["withheld"] and field["missing_scopes"] for field in events["fields"])
    assert EVENTS not in found["scopes"]["effective"]


def test_the_verdict_is_what_a_reading_gets(desk: SalesApp):
    open_, closed = desk.connect()["id"], desk.connect(account=BUDI, without=[EVENTS])["id"]
    for connection, connector in ((open_, "google_contacts"), (open_, "google_calendar"), (closed, "google_calendar")):
        denied = facts(desk, connection, connector)["verdict"] == "denied"
        answer = desk.records(connection, connector)
        assert denied == (answer.status_code == 403), answer.text
        if denied:
            assert (
                answer.json()["missing_scopes"] == facts(desk, connection, connector)["resources"][0]["missing_scopes"]
            )


def test_what_only_offers_a_choice_denies_nothing_unless_it_is_asked_about(desk: SalesApp):
    connection = desk.connect(without=[CALENDAR_LIST])["id"]
    assert facts(desk, connection, "google_calendar")["verdict"] != "denied"
    found = facts(desk, connection, "google_calendar", operation="calendar.calendarList.list")
    assert (found["verdict"], found["because"]) == ("denied", [f"the user did not grant {CALENDAR_LIST}"])


def test_an_operation_that_the_connector_does_not_declare_is_denied_though_the_scope_is_there(desk: SalesApp):
    """`contacts.readonly` opens contact groups, too, which nobody was shown (docs/facts/google.md §4.7)."""
    found = facts(desk, desk.connect()["id"], operation="people.contactGroups.list")
    assert (found["verdict"], found["resources"]) == ("denied", [])
    assert found["because"] == ["the connector does not declare the operation people.contactGroups.list"]


def test_an_operation_that_it_declares_is_explained_alone(desk: SalesApp):
    found = facts(desk, desk.connect()["id"], operation=LIST)
    assert (found["verdict"], [one["operation"] for one in found["resources"]]) == ("allowed", [LIST])


def test_a_withdrawn_connector_has_nothing_and_every_field_says_what_it_lacks(desk: SalesApp):
    connection = desk.connect()["id"]
    desk.withdraw(connection, "google_calendar")
    found = facts(desk, connection, "google_calendar")
    assert found["verdict"] == "denied"
    assert "the user withdrew this connector" in found["because"]
    assert found["scopes"]["effective"] == found["scopes"]["granted_to_connector"] == []
    assert found["assets"] is None
    assert all(field["missing_scopes"] for field in found["resources"][0]["fields"])


def test_a_field_that_the_consent_page_did_not_name_is_withheld_though_no_scope_is_missing(
    desk: SalesApp, house: House
):
    connection = desk.connect()["id"]
    with house.broker.database.write() as session:
        row = update(Grant).where(Grant.connection_id == connection, Grant.connector == "google_contacts")
        session.execute(row.values(fields={"contacts": ["names", "metadata"]}))
    found = facts(desk, connection)
    (resource,) = found["resources"]
    assert found["verdict"] in ("cut", "denied")
    phones = next(field for field in resource["fields"] if field["field"] == "phoneNumbers")
    assert (phones["withheld"], phones["missing_scopes"]) == (True, [])


def test_what_the_provider_granted_but_not_the_user_to_this_connector_is_missing(desk: SalesApp, house: House):
    """The provider's authorization covers what all connectors have (docs/adr/0004)."""
    connection = desk.connect()["id"]
    with house.broker.database.write() as session:
        session.execute(update(Grant).where(Grant.connector == "google_contacts").values(scopes=[EVENTS]))
    found = facts(desk, connection)
    assert CONTACTS in found["scopes"]["granted_by_provider"]
    assert (found["verdict"], found["because"]) == ("denied", [f"the user did not grant {CONTACTS}"])
    assert all(field["withheld"] and field["missing_scopes"] == [CONTACTS] for field in found["resources"][0]["fields"])


def test_an_asset_that_must_be_chosen_first_is_said(desk: SalesApp, house: House):
    connection = desk.connect()["id"]
    with house.broker.database.write() as session:
        session.execute(update(Grant).where(Grant.connector == "google_calendar").values(assets=None))
    found = facts(desk, connection, "google_calendar")
    assert (found["verdict"], found["because"]) == ("denied", ["the user has not chosen an asset yet"])


def test_of_assets_the_ids_of_those_chosen_are_shown_and_no_name(desk: SalesApp):
    connection = desk.connect()["id"]
    found = facts(desk, connection, "google_calendar")
    assert found["assets"] == ["primary"]
    offered = desk.call("GET", f"/v1/connections/{connection}/assets/google_calendar").json()["items"]
    others = [asset for asset in offered if asset["id"] != "primary"]
    assert others
    text = json.dumps(found)
    assert not [asset for asset in others if asset["id"] in text or asset["label"] in text]


def test_after_a_revocation_it_says_so(desk: SalesApp):
    connection = desk.connect()["id"]
    desk.revoke(connection)
    found = facts(desk, connection)
    assert found["verdict"] == "denied"
    assert found["state"] in ("revoking", "revoked")
    assert found["scopes"]["effective"] == []
    assert "The connection was revoked." in found["because"]


# --- who may see it ------------------------------------------------------------------------------------------


def test_a_foreign_tenants_connection_answers_like_one_that_does_not_exist(desk: SalesApp, house: House):
    connection = desk.connect()["id"]
    stranger = house.client("connections:read", tenants=("warung",))
    answers = [explained(stranger, one) for one in (connection, "con_unknown")]
    assert [answer.status_code for answer in answers] == [404, 404]
    told = [{name: value for name, value in answer.json().items() if name != "request_id"} for answer in answers]
    assert told[0] == told[1]
    for connector in ("no_such", "facebook_pages"):
        foreign, unknown = (explained(stranger, one, connector).json() for one in (connection, "con_unknown"))
        assert (foreign["code"], foreign["detail"]) == (unknown["code"], unknown["detail"])


def test_it_takes_the_scope_connections_read(desk: SalesApp, house: House):
    connection = desk.connect()["id"]
    assert explained(house.client("records:read", "connect", "revoke"), connection).status_code == 403
    assert explained(house.client("connections:read"), connection).status_code == 200


@pytest.mark.parametrize(
    "asked", [{}, {"connector": ""}, {"connector": "google_contacts", "x": "1"}, {"connector": "a b"}]
)
def test_a_malformed_question_is_refused(desk: SalesApp, asked: dict[str, str]):
    answer = desk.call("GET", f"/v1/connections/{desk.connect()['id']}/explain", params=asked)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def test_nobody_is_called_for_it_and_no_token_is_in_it(desk: SalesApp, house: House):
    connection = desk.connect()["id"]
    before, tokens = len(house.google.requests()), house.google.live_tokens()
    text = explained(desk, connection).text + explained(desk, connection, "google_calendar").text
    assert len(house.google.requests()) == before
    assert tokens
    assert "ya29." not in text
    assert "1//" not in text
