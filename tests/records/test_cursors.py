"""A cursor is opaque, sealed, and good for the one reading that gave it out (contract §4)."""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from broker import cursors
from broker.clients import Caller
from broker.connections import use
from broker.connections.use import Standing
from broker.errors import InvalidRequest, ProviderUnavailable
from broker.providers.resource import Place
from broker.reading import _listing
from broker.upstream import Answer
from tests.house import BUDI, House, SalesApp
from tests.records.conftest import Asked, Probe, connect_another

Connection = dict[str, Any]
PLACE = Place(page="PAGE-1", changes="SYNC-1", fields=("names",), limit=50)


@pytest.fixture
def cursor(desk: SalesApp, connection: Connection) -> str:
    """Of google_contacts, after the first page."""
    return str(desk.records(connection["id"]).json()["next_cursor"])


def standing(house: House, connection: Connection, connector: str = "google_contacts") -> Standing:
    everything = frozenset({"*"})
    caller = Caller("cli_x", frozenset({"records:read"}), everything, everything, frozenset())
    return use.standing(house.broker, caller, connection["id"], connector)


def is_refused(desk: SalesApp, connection: Connection, cursor: str, connector: str = "google_contacts", **params: Any):
    answer = desk.records(connection["id"], connector, cursor=cursor, **params)
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["retryable"]) == (400, "invalid_request", False)
    assert [entry["field"] for entry in problem["errors"]] == ["cursor"]


def test_a_cursor_shows_nothing_of_what_it_holds(sqlite_house: House, connection: Connection):
    sealed = cursors.sealed(sqlite_house.broker, standing(sqlite_house, connection), None, PLACE)
    raw = base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
    for text in ("PAGE-1", "SYNC-1", "names", connection["id"]):
        assert text not in sealed
        assert text.encode() not in raw


def test_a_cursor_opens_as_it_was_sealed_and_two_of_one_place_differ(sqlite_house: House, connection: Connection):
    right = standing(sqlite_house, connection)
    one, two = (cursors.sealed(sqlite_house.broker, right, "primary", PLACE) for _ in range(2))
    assert one != two
    assert cursors.opened(sqlite_house.broker, right, "primary", one) == PLACE
    assert cursors.opened(sqlite_house.broker, right, "primary", two) == PLACE


def test_a_cursor_of_another_asset_of_the_connector_does_not_open(sqlite_house: House, connection: Connection):
    right = standing(sqlite_house, connection, "google_calendar")
    sealed = cursors.sealed(sqlite_house.broker, right, "primary", PLACE)
    for asset in (None, "", "team@group.calendar.google.com", "primary/"):
        with pytest.raises(InvalidRequest):
            cursors.opened(sqlite_house.broker, right, asset, sealed)


def test_no_character_of_a_cursor_can_be_changed(sqlite_house: House, connection: Connection):
    right = standing(sqlite_house, connection)
    sealed = cursors.sealed(sqlite_house.broker, right, None, PLACE)
    for position, character in enumerate(sealed):
        other = "A" if character != "A" else "B"
        with pytest.raises(InvalidRequest):
            cursors.opened(sqlite_house.broker, right, None, sealed[:position] + other + sealed[position + 1 :])


def test_no_bit_of_a_cursor_can_be_flipped(sqlite_house: House, connection: Connection):
    right = standing(sqlite_house, connection)
    sealed = cursors.sealed(sqlite_house.broker, right, None, PLACE)
    raw = base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
    for position in range(len(raw)):
        flipped = raw[:position] + bytes([raw[position] ^ 1]) + raw[position + 1 :]
        with pytest.raises(InvalidRequest):
            cursors.opened(sqlite_house.broker, right, None, base64.urlsafe_b64encode(flipped).rstrip(b"=").decode())


def test_a_cursor_has_one_spelling(sqlite_house: House, connection: Connection):
    """The last character of base64 has bits that nobody reads: a changed cursor would open like the true one."""
    right = standing(sqlite_house, connection)
    for length in range(3):
        sealed = cursors.sealed(sqlite_house.broker, right, None, Place(page="p" * length, limit=1))
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        spellings = [sealed[:-1] + character for character in alphabet if character != sealed[-1]]
        for other in (*spellings, sealed + "=", sealed + "==", f" {sealed}", f"{sealed}\n", f"{sealed}A"):
            with pytest.raises(InvalidRequest):
                cursors.opened(sqlite_house.broker, right, None, other)


def test_a_changed_cursor_is_refused_before_the_provider_is_called(
    desk: SalesApp, connection: Connection, cursor: str, asked: Asked
):
    asked.clear()
    for changed in (
        cursor[:-1],
        cursor[:-4],
        cursor[1:],
        cursor + "AAAA",
        cursor + "=",
        cursor + cursor,
        cursor.swapcase(),
        cursor.replace("_", "/").replace("-", "+") + "+",
        "",
        "x",
        "é" * 200,
        "0",
        "null",
        "A" * 16_384,
        "A" * 8193,
        base64.urlsafe_b64encode(json.dumps({"page": "p", "changes": None, "fields": []}).encode()).decode(),
        "https://people.googleapis.com/v1/people/me/connections?pageToken=p",
        "../" + cursor,
        cursor + "\x00",
    ):
        is_refused(desk, connection, changed)
    assert asked.entries() == []


def test_a_cursor_given_twice_is_refused(desk: SalesApp, connection: Connection, cursor: str):
    is_refused(desk, connection, [cursor, cursor])  # type: ignore[arg-type]


def test_a_cursor_of_another_connection_is_refused(desk: SalesApp, connection: Connection, cursor: str, asked: Asked):
    other = desk.connect(account=BUDI)
    asked.clear()
    is_refused(desk, other, cursor)
    assert asked.entries() == []


def test_a_cursor_of_another_subject_with_the_same_account_is_refused(
    sqlite_house: House, desk: SalesApp, connection: Connection, cursor: str
):
    other = connect_another(sqlite_house.client(subject="budi"))
    assert (other["account"], other["subject"]) == (connection["account"], "budi")
    is_refused(desk, other, cursor)


def test_a_cursor_of_another_tenant_is_refused(sqlite_house: House, connection: Connection, cursor: str):
    stranger = sqlite_house.client(tenants=("warung",), tenant="warung")
    is_refused(stranger, connect_another(stranger), cursor)


def test_a_cursor_of_another_connector_is_refused(desk: SalesApp, connection: Connection, cursor: str):
    is_refused(desk, connection, cursor, "google_calendar")


def test_a_cursor_of_another_connector_of_the_same_resource_is_refused(
    desk: SalesApp, cursor: str, probe: Callable[..., Probe]
):
    probe("names_alone", "contacts", ("names",))
    both = desk.connect("google_contacts", "names_alone")
    own = desk.records(both["id"], "google_contacts").json()["next_cursor"]
    is_refused(desk, both, own, "names_alone")


def test_a_cursor_of_another_calendar_is_refused(desk: SalesApp):
    team = "team-ani@group.calendar.google.com"
    answer = desk.confirm(desk.pending("google_calendar"), assets={"google_calendar": ["primary", team]})
    connection = answer.json()["connection"]
    assert {asset["id"] for asset in connection["grants"][0]["assets"]} == {"primary", team}
    cursor = desk.records(connection["id"], "google_calendar", asset="primary", limit=1).json()["next_cursor"]
    assert desk.records(connection["id"], "google_calendar", asset="primary", cursor=cursor).status_code == 200
    is_refused(desk, connection, cursor, "google_calendar", asset=team)


def test_a_cursor_outlives_a_reconnect_of_the_same_account(desk: SalesApp, connection: Connection, cursor: str):
    renewed = desk.connect()
    assert renewed["id"] == connection["id"]
    following = desk.records(connection["id"], cursor=cursor)
    assert (following.status_code, following.json()["reset"]) == (200, False)


def test_a_place_in_another_format_leads_to_a_full_reading(
    sqlite_house: House, desk: SalesApp, connection: Connection, monkeypatch: pytest.MonkeyPatch
):
    """A cursor that an older or newer version of the broker gave out is no error of the caller's."""
    monkeypatch.setattr(cursors, "FORMAT", 2)
    older = cursors.sealed(sqlite_house.broker, standing(sqlite_house, connection), None, PLACE)
    monkeypatch.undo()
    answer = desk.records(connection["id"], cursor=older)
    assert (answer.status_code, answer.json()["reset"]) == (200, True)


@pytest.mark.parametrize("token", ["p\x00", "p\nq", "pé", "p" * 2049, "\ud83d"])
@pytest.mark.parametrize("name", ["nextPageToken", "nextSyncToken"])
def test_a_provider_token_that_no_url_could_carry_is_a_failure_of_the_provider(
    sqlite_house: House, name: str, token: str
):
    contacts = sqlite_house.broker.providers["google"].resources["contacts"]
    body: Mapping[str, str] = {name: token}
    with pytest.raises(ProviderUnavailable):
        _listing(contacts, Answer(200, {}, json.dumps(body).encode()), Place(limit=1))


def test_the_longest_provider_tokens_fit_into_a_cursor(sqlite_house: House, connection: Connection):
    right = standing(sqlite_house, connection)
    place = Place("p" * 2048, "s" * 2048, tuple(f"field{n}" for n in range(40)), 1000)
    sealed = cursors.sealed(sqlite_house.broker, right, "a" * 512, place)
    assert len(sealed) < 7000
    assert cursors.opened(sqlite_house.broker, right, "a" * 512, sealed) == place
