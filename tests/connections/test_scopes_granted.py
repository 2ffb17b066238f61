"""Granted is what the provider says: never what was asked, never more than was asked, replaced and not merged
(docs/adr/0004-granted-is-what-the-provider-says.md; docs/facts/security.md STD-19, STD-20; docs/facts/google.md §1.4,
§1.5, §1.6)."""

import pytest

from tests.house import AUTH, CALENDAR_LIST, CONTACTS, EVENTS, Google, House, SalesApp

EMAIL = f"{AUTH}userinfo.email"
IDENTITY = {"openid", EMAIL}
WHOLE_CALENDAR, WRITE_CONTACTS = f"{AUTH}calendar", f"{AUTH}contacts"


@pytest.fixture
def house(sqlite_house: House) -> House:
    return sqlite_house


def test_all_that_was_asked_and_granted_is_there_by_its_full_name(app: SalesApp) -> None:
    """docs/facts/google.md §1.4: `email` comes back as userinfo.email, `openid` by itself."""
    connection = app.connect()
    assert set(connection["scopes"]) == IDENTITY | {CONTACTS, EVENTS, CALENDAR_LIST}
    assert _grants(connection) == {
        "google_contacts": ({CONTACTS}, set()),
        "google_calendar": ({EVENTS, CALENDAR_LIST}, set()),
    }


def test_what_the_user_unticked_at_google_is_not_granted(app: SalesApp) -> None:
    """§1.5: unticking is no error. The connector is listed with what it lacks, and gives no data."""
    connection = app.connect(without={CONTACTS})
    assert set(connection["scopes"]) == IDENTITY | {EVENTS, CALENDAR_LIST}
    assert _grants(connection)["google_contacts"] == (set(), {CONTACTS})
    assert _grants(connection)["google_calendar"] == ({EVENTS, CALENDAR_LIST}, set())
    answer = app.records(connection["id"], "google_contacts")
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
    assert (answer.json()["missing_scopes"], answer.json()["source"]) == ([CONTACTS], "broker")
    assert app.records(connection["id"], "google_calendar").status_code == 200


def test_without_an_optional_scope_the_connector_lacks_nothing(app: SalesApp) -> None:
    connection = app.connect(without={CALENDAR_LIST})
    assert _grants(connection)["google_calendar"] == ({EVENTS}, set())
    assert app.records(connection["id"], "google_calendar").status_code == 200


def test_where_no_connector_has_what_it_needs_there_is_no_connection(
    app: SalesApp, house: House, google: Google
) -> None:
    returned = app.pending(without={CONTACTS, EVENTS})
    first = app.confirm(returned)
    assert (first.status_code, first.json()["code"]) == (409, "insufficient_scope")
    assert first.json()["missing_scopes"] == sorted([CONTACTS, EVENTS])
    assert first.json()["retryable"] is False
    again = app.confirm(returned)
    assert {**again.json(), "request_id": ""} == {**first.json(), "request_id": ""}
    assert app.status(returned["session"]) == "failed"
    assert app.call("GET", "/v1/connections").json()["items"] == []
    house.work()
    assert google.live_tokens() == 0


def test_the_only_connector_without_its_scope(app: SalesApp, google: Google) -> None:
    """The provider itself grants nothing beyond signing in, whatever was ticked."""
    google.quirk(partial=[CONTACTS])
    answer = app.confirm(app.pending("google_contacts"))
    assert (answer.status_code, answer.json()["missing_scopes"]) == (409, [CONTACTS])


def test_an_answer_without_a_scope_grants_nothing(app: SalesApp, google: Google, house: House) -> None:
    """STD-19: asked is not granted, though RFC 6749 §5.1 would have it so."""
    google.quirk(omit_scope=True)
    answer = app.confirm(app.pending())
    assert (answer.status_code, answer.json()["code"]) == (409, "insufficient_scope")
    assert answer.json()["missing_scopes"] == sorted([CONTACTS, EVENTS])
    house.work()
    assert google.live_tokens() == 0


def test_scopes_that_nobody_asked_for_do_not_count(app: SalesApp, google: Google) -> None:
    """§1.6, 4: `include_granted_scopes` brings along what other features were granted."""
    google.quirk(extra_scopes=[WHOLE_CALENDAR, EVENTS, f"{AUTH}gmail.metadata"])
    connection = app.connect("google_contacts")
    assert set(connection["scopes"]) == IDENTITY | {CONTACTS}
    assert _grants(connection) == {"google_contacts": ({CONTACTS}, set())}
    answer = app.records(connection["id"], "google_calendar")
    assert (answer.status_code, answer.json()["code"]) == (403, "not_granted")


def test_a_wider_scope_that_came_along_does_not_stand_in_for_one_that_was_unticked(
    app: SalesApp, google: Google
) -> None:
    """A bug once: the wide scope, granted to another feature, counted when the answer was judged, and what the
    user had just unticked came out as a connection without any data."""
    google.quirk(extra_scopes=[WHOLE_CALENDAR, WRITE_CONTACTS])
    answer = app.confirm(app.pending(without={CONTACTS, EVENTS}))
    assert (answer.status_code, answer.json()["code"]) == (409, "insufficient_scope")
    connection = app.connect(without={CONTACTS})
    assert _grants(connection)["google_contacts"] == (set(), {CONTACTS})
    assert not {WHOLE_CALENDAR, WRITE_CONTACTS} & set(connection["scopes"])
    assert app.records(connection["id"], "google_contacts").status_code == 403


def test_what_another_subject_granted_does_not_come_along(house: House, google: Google) -> None:
    """One authorization at Google covers both; each connection has its own part (docs/adr/0005)."""
    ani, budi = house.client(), house.client(subject="budi")
    ani.connect("google_contacts")
    connection = budi.connect("google_calendar")
    assert CONTACTS in _at_google(google)
    assert CONTACTS not in connection["scopes"]
    assert budi.records(connection["id"], "google_contacts").status_code == 403


# --- connecting again ----------------------------------------------------------------------------------------


def test_connecting_again_adds_a_connector(app: SalesApp) -> None:
    first = app.connect("google_contacts")
    second = app.connect("google_calendar", connection=first["id"])
    assert second["id"] == first["id"]
    assert set(second["scopes"]) == IDENTITY | {CONTACTS, EVENTS, CALENDAR_LIST}
    assert set(_grants(second)) == {"google_contacts", "google_calendar"}
    for connector in _grants(second):
        assert app.records(second["id"], connector).status_code == 200


def test_scopes_are_replaced_and_never_merged(app: SalesApp, google: Google) -> None:
    """§1.6: what the newest answer lacks is gone, also for a connector that was not on the page this time. Merging
    once hid such a loss elsewhere (docs/facts/google.md §1.6)."""
    first = app.connect()
    google.control("revoke", {"account": first["account"]["id"]})
    second = app.connect("google_calendar", connection=first["id"])
    assert second["id"] == first["id"]
    assert CONTACTS not in second["scopes"]
    assert _grants(second)["google_contacts"] == ({CONTACTS}, {CONTACTS})
    assert app.records(second["id"], "google_contacts").status_code == 403
    assert app.records(second["id"], "google_calendar").status_code == 200


def test_a_grant_is_as_narrow_as_its_own_session(app: SalesApp, house: House) -> None:
    """What comes along later is no part of an older grant: the user said no to it on that page."""
    first = app.connect(without={CONTACTS})
    assert CONTACTS in house.client(subject="budi").connect("google_contacts")["scopes"]
    third = app.connect("google_calendar", connection=first["id"])
    assert _grants(third)["google_contacts"] == (set(), {CONTACTS})
    assert app.records(third["id"], "google_contacts").status_code == 403


def test_a_renewal_that_grants_less_narrows(app: SalesApp, google: Google) -> None:
    first = app.connect()
    google.control("revoke", {"account": first["account"]["id"]})
    second = app.connect(connection=first["id"], without={CONTACTS})
    assert _grants(second)["google_contacts"] == (set(), {CONTACTS})
    answer = app.records(second["id"], "google_contacts")
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")


def _grants(connection: dict) -> dict[str, tuple[set[str], set[str]]]:
    """connector → (scopes, missing scopes)"""
    return {grant["connector"]: (set(grant["scopes"]), set(grant["missing_scopes"])) for grant in connection["grants"]}


def _at_google(google: Google) -> set[str]:
    return {scope for granted in google.state()["authorizations"] for scope in granted["scopes"]}
