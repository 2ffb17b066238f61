"""The portal's page: what it tells, and what is ended there (docs/facts/security.md PRV-03, PRV-04, PRV-09)."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
import requests
from sqlalchemy import select, update

from broker import signing
from broker.connections.read import seal_account
from broker.models import AccessCount, AuditEntry, Connection
from broker.portal import view
from broker.portal.texts import TEXTS
from broker.providers.base import Account
from tests.house import ALL_SCOPES, ANI, BUDI, CALENDAR_LIST, EVENTS, House, SalesApp
from tests.portal import opened, words


def receipt_of(page: str) -> str:
    found = re.search(r"rev_[0-9a-f]{32}", page)
    assert found, page
    return found[0]


def status(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, str(answer.json().get("code"))


def other_user(user: SalesApp) -> SalesApp:
    """Of the same tenant, by the same client."""
    return SalesApp(user.url, user.client_id, user.client_secret, user.tenant, f"{user.subject}-else")


def read_then(house: House, connection: str, counts: Sequence[tuple[datetime, int]]) -> None:
    """As if contacts had been read then, so many records in the hour."""
    named = {"connector": "google_contacts", "resource": "contacts", "client_id": "cli_1", "pages": 2}
    with house.broker.database.write() as session:
        for at, records in counts:
            hour = at.replace(minute=0, second=0, microsecond=0)
            session.add(AccessCount(connection_id=connection, hour=hour, records=records, **named))


# --- what it tells -------------------------------------------------------------------------------------------


def test_it_says_what_each_connector_may_read_in_the_words_of_the_consent(user: SalesApp) -> None:
    user.connect(purpose="Sales <script>alert(1)</script>")
    page = words(opened(user).page())
    assert "Google: ani@example.com" in page
    assert TEXTS["en"]["active"] in page
    assert "May read: whether a contact was deleted, names, email addresses, phone numbers" in page
    assert "Only from: ani@example.com" in page
    assert "Purpose: Sales &lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert TEXTS["en"]["never_read"] in page


@pytest.mark.usefixtures("google")  # who remembers no earlier consent
def test_what_was_not_allowed_at_the_provider_is_not_told_as_read(user: SalesApp) -> None:
    user.connect(account=BUDI, without=(EVENTS,))
    assert "May read nothing: you did not allow it at Google." in words(opened(user).page())


@pytest.mark.usefixtures("google")  # who remembers no earlier consent
def test_a_part_that_was_not_allowed_at_the_provider_is_told_apart(user: SalesApp) -> None:
    user.connect("google_calendar", account=BUDI, without=(CALENDAR_LIST,))
    page = words(opened(user).page())
    assert "May read: whether an event stands or was cancelled" in page
    assert "Not read, since it was not allowed at Google: names of your calendars, which one is your main" in page


def test_a_label_that_looks_like_a_page_is_text(shared_house: House, user: SalesApp) -> None:
    connection = user.connect("google_contacts")["id"]
    broker = shared_house.broker
    with broker.database.write() as session:
        row = session.get_one(Connection, connection)
        seal_account(broker, session, row, Account("1", "<img src=x onerror=alert(1)>"))
    portal = opened(user)
    for page in (portal.page(), portal.page(f"/end?connection={connection}"), portal.end(connection=connection)):
        assert "Google: &lt;img src=x onerror=alert(1)&gt;" in page
        assert "<img" not in page


def test_it_says_what_was_read_last_and_how_much(house: House) -> None:
    app = house.client()
    connection = app.connect("google_contacts")["id"]
    for _ in range(2):
        assert app.records(connection, limit=7).status_code == 200
    house.broker.accesses.write()
    page = words(opened(app).page())
    assert re.search(r"Last read on \d+ \w+ \d{4}, between \d\d:00 and \d\d:00 UTC: 14 records\.", page)
    assert "In the last 30 days: 14 records, in 2 requests." in page


def test_the_chart_has_a_bar_for_each_day_and_its_numbers_as_a_table(shared_house: House, user: SalesApp) -> None:
    connection = user.connect("google_contacts")["id"]
    noon = datetime.now(UTC).replace(hour=12)
    back = [noon - timedelta(days=days) for days in (1, 3, 29, 30, 400)]
    read_then(shared_house, connection, list(zip(back, (1000, 250, 1, 7, 9), strict=True)))
    page = opened(user).page()
    bars = [tuple(map(int, bar)) for bar in re.findall(r'<rect x="(\d+)" y="(\d+)" width="8" height="(\d+)"', page)]
    assert bars == [(1, 38, 2), (261, 30, 10), (281, 0, 40)], "a day is a place, the most is the whole height"
    rows = re.findall(r'<th scope="row">(\d+ \w+ \d+)</th><td class="number">([\d,]+)</td>', page)
    assert [number for _, number in rows] == ["1,000", "250", "1"]
    assert rows[0][0] == f"{back[0].day} {back[0]:%B %Y}"
    assert "In the last 30 days: 1,251 records, in 6 requests." in words(page)
    assert "Most on one day: 1,000." in page


def test_in_indonesian_a_day_begins_when_it_does_in_jakarta(shared_house: House, user: SalesApp) -> None:
    connection = user.connect("google_contacts")["id"]
    evening = (datetime.now(UTC) - timedelta(days=2)).replace(hour=20)
    read_then(shared_house, connection, [(evening, 1234)])
    page = words(opened(user, locale="id").page())
    assert "antara pukul 03.00 dan 04.00 WIB: 1.234 catatan." in page
    there = evening + timedelta(days=1)
    assert f"Terakhir dibaca pada {there.day} " in page


def test_both_languages_say_the_same_things() -> None:
    assert TEXTS["en"].keys() == TEXTS["id"].keys()
    for name, text in TEXTS["en"].items():
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", TEXTS["id"][name])), name


def test_the_language_can_be_changed_and_stays(user: SalesApp) -> None:
    portal = opened(user)
    assert portal.post("/language", {"locale": "id"}).status_code == 303
    assert '<html lang="id">' in portal.page()
    assert TEXTS["id"]["none"] in portal.page()
    assert portal.post("/language", {"locale": "fr"}).status_code == 400


@pytest.mark.parametrize("state", ["reconnect_required", "suspended"])
def test_a_connection_that_gives_no_data_says_so(shared_house: House, user: SalesApp, state: str) -> None:
    connection = user.connect("google_contacts")["id"]
    with shared_house.broker.database.write() as session:
        session.execute(update(Connection).where(Connection.id == connection).values(state=state))
    page = words(opened(user).page())
    assert TEXTS["en"][state].format(provider="Google") in page
    assert TEXTS["en"]["active"] not in page


def test_more_connections_than_one_page_holds_stand_on_several(user: SalesApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "AT_ONCE", 1)
    first = user.connect("google_contacts", account=ANI)["id"]
    second = user.connect("google_contacts", account=BUDI)["id"]
    portal = opened(user)
    shown = [[one for one in (first, second) if one in portal.page(f"?page={page}")] for page in (1, 2, 99)]
    assert shown == [[first], [second], [second]]
    assert "1 of 2" in portal.page()
    for page in ("0", "-1", "x", "1e3", "9" * 40):
        assert portal.browser.get(f"{portal.url}?page={page}").status_code in (200, 400)


def test_nobody_elses_connection_is_shown(shared_house: House, user: SalesApp) -> None:
    others = [other_user(user), shared_house.client(tenants=("kios",), tenant="kios", subject=user.subject)]
    foreign = [other.connect("google_contacts")["id"] for other in others]
    page = opened(user).page()
    assert TEXTS["en"]["none"] in page
    assert not [one for one in foreign if one in page]


# --- ending --------------------------------------------------------------------------------------------------


def test_asking_ends_nothing_and_says_what_would(user: SalesApp) -> None:
    connection = user.connect()["id"]
    portal = opened(user)
    one = words(portal.page(f"/end?connection={connection}&connector=google_calendar"))
    assert "Google Calendar (Google: ani@example.com) can no longer be read. Other things" in one
    assert "our key to it is destroyed" in words(portal.page(f"/end?connection={connection}"))
    assert "your one connection" in words(portal.page("/end?all=yes"))
    assert user.connection(connection)["state"] == "active"


def test_a_connector_that_is_withdrawn_reads_no_more_and_the_other_goes_on(house: House) -> None:
    app = house.client()
    connection = app.connect()["id"]
    told = words(opened(app).end(connection=connection, connector="google_calendar"))
    assert status(app.records(connection, "google_calendar")) == (403, "grant_withdrawn")
    assert app.records(connection, "google_contacts").status_code == 200
    assert "You ended it here." in told
    assert "Google was not told to end it" in told
    page = words(opened(app).page())
    assert "Withdrawn: Google Calendar, on" in page
    assert "Withdraw Google Calendar" not in page


def test_the_last_connector_ends_the_connection_and_the_page_tells_how_it_went(house: House) -> None:
    app = house.client()
    connection, portal = app.connect("google_contacts")["id"], opened(app)
    question = words(portal.page(f"/end?connection={connection}&connector=google_contacts"))
    assert "the whole connection ends" in question
    told = portal.end(connection=connection, connector="google_contacts")
    assert status(app.records(connection)) == (410, "connection_revoked")
    assert TEXTS["en"]["pending"].format(provider="Google") in words(told)
    assert house.google.live_tokens() > 0
    house.work()
    after = words(portal.page(f"/receipts/{receipt_of(told)}"))
    assert "Google confirmed that it is over." in after
    assert "Our key to it was destroyed on" in after
    assert house.google.live_tokens() == 0
    assert "Google, connected on" in words(portal.page()), "the account's name is gone with its key"


def test_it_is_the_subject_who_ended_it(shared_house: House, user: SalesApp) -> None:
    connection = user.connect("google_contacts")["id"]
    opened(user).end(connection=connection)
    client = SalesApp(user.url, user.client_id, user.client_secret)
    (receipt,) = client.call("GET", f"/v1/revocations?connection={connection}").json()["items"]
    assert (receipt["subject"], receipt["reason"]) == (user.subject, "portal")
    ended = select(AuditEntry.actor).where(AuditEntry.connection == connection)
    ended = ended.where(AuditEntry.action.in_(("grant.withdrawn", "connection.revoked")))
    with shared_house.broker.database.read() as session:
        assert session.scalars(ended).all() == ["subject", "subject"]


def test_confirmed_twice_it_is_the_same_receipt(user: SalesApp) -> None:
    connection, portal = user.connect()["id"], opened(user)
    for named in ({"connection": connection, "connector": "google_calendar"}, {"connection": connection}):
        assert receipt_of(portal.end(**named)) == receipt_of(portal.end(**named))
    assert portal.browser.get(f"{portal.url}/end?connection={connection}").status_code == 303


def test_everything_ends_for_this_subject_and_for_nobody_else(shared_house: House, user: SalesApp) -> None:
    other = other_user(user)
    mine = [user.connect("google_contacts", account=account)["id"] for account in (ANI, BUDI)]
    theirs = other.connect("google_contacts")["id"]
    portal = opened(user)
    assert "none of your 2 connections" in words(portal.page("/end?all=yes"))
    told = portal.end(all="yes")
    assert [status(user.records(one)) for one in mine] == [(410, "connection_revoked")] * 2
    assert other.records(theirs).status_code == 200
    assert words(told).count("The connection to") == 2
    assert receipt_of(portal.end(all="yes")) == receipt_of(told), "confirmed twice"


def test_where_nothing_is_connected_there_is_nothing_to_end(user: SalesApp) -> None:
    portal = opened(user)
    assert portal.browser.get(f"{portal.url}/end?all=yes").status_code == 303
    assert portal.origin + portal.post("/end", {"all": "yes"}).headers["Location"] == portal.url


@pytest.mark.parametrize("whose", ["another subject's", "another tenant's", "nobody's"])
def test_a_connection_that_is_not_the_subjects_own_cannot_be_named(
    shared_house: House, user: SalesApp, whose: str
) -> None:
    kios = shared_house.client(tenants=("kios",), tenant="kios", subject=user.subject)
    owner = {"another subject's": other_user(user), "another tenant's": kios}.get(whose)
    connection = owner.connect("google_contacts")["id"] if owner else "con_0"
    portal = opened(user)
    for named in ({"connection": connection}, {"connection": connection, "connector": "google_contacts"}):
        assert portal.post("/end", named).status_code == 404
        assert portal.browser.get(f"{portal.url}/end", **{}).status_code == 400
        assert requests.get(f"{portal.url}/end", named, cookies=portal.browser.http.cookies).status_code == 404
    if owner:
        assert owner.connection(connection)["state"] == "active"


def test_a_form_that_names_nothing_or_too_much_ends_nothing(user: SalesApp) -> None:
    connection, portal = user.connect()["id"], opened(user)
    for form in (
        {},
        {"connector": "google_contacts"},
        {"connection": ""},
        {"connection": connection, "connector": ""},
        {"all": "yes", "connection": connection},
        {"all": "no"},
        {"connection": connection, "conector": "google_calendar"},
    ):
        assert portal.post("/end", form).status_code == 400, form
    assert portal.post("/end", {"connection": connection, "connector": "openid_profile"}).status_code == 404
    grants = user.connection(connection)["grants"]
    assert [grant["withdrawn_at"] for grant in grants] == [None, None]


# --- receipts and downloads ----------------------------------------------------------------------------------


def test_the_signed_receipt_verifies_without_asking_the_broker_again(user: SalesApp) -> None:
    connection, portal = user.connect("google_contacts")["id"], opened(user)
    revocation = receipt_of(portal.end(connection=connection))
    answer = portal.browser.get(f"{portal.url}/receipts/{revocation}/signed")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{revocation}.jws"'
    keys = requests.get(f"{user.url}/oauth/jwks", timeout=10).json()
    assert signing.verified(answer.text, keys)["id"] == revocation


def test_a_receipt_of_somebody_else_is_not_there(user: SalesApp) -> None:
    other = other_user(user)
    connection = other.connect("google_contacts")["id"]
    revocation = other.revoke(connection).json()["revocation"]["id"]
    portal = opened(user)
    for path in (f"/receipts/{revocation}", f"/receipts/{revocation}/signed"):
        assert portal.browser.get(portal.url + path).status_code == 404


def test_of_what_ended_many_at_once_only_the_own_part_is_shown(shared_house: House, user: SalesApp) -> None:
    """A business that leaves ends everybody's connections in one receipt, which names them all."""
    desk = shared_house.client(*ALL_SCOPES, tenants=("pergi",), tenant="pergi", subject=user.subject)
    mine, theirs = (desk.connect("google_contacts")["id"], other_user(desk).connect("google_contacts")["id"])
    revocation = desk.call("POST", "/v1/revocations", {"tenant": "pergi"}).json()["revocation"]["id"]
    portal = opened(desk)
    told = portal.page(f"/receipts/{revocation}")
    assert words(told).count("The connection to") == 1
    assert "It was ended by the app or its operator." in words(told)
    assert theirs not in told
    assert portal.browser.get(f"{portal.url}/receipts/{revocation}/signed").status_code == 404
    assert mine != theirs


def test_everything_held_can_be_downloaded(user: SalesApp) -> None:
    other = other_user(user)
    mine, theirs = user.connect("google_contacts")["id"], other.connect("google_contacts")["id"]
    portal = opened(user)
    answer = portal.post("/export", {"as": "json"})
    assert answer.headers["Content-Disposition"] == 'attachment; filename="my-data.json"'
    assert [one["id"] for one in json.loads(answer.text)["connections"]] == [mine]
    assert theirs not in answer.text
    readable = portal.post("/export", {"as": "html"})
    assert readable.headers["Content-Type"].startswith("text/html")
    assert "ani@example.com" in readable.text
    named = {f"data_{name}" for name, entries in json.loads(answer.text).items() if not isinstance(entries, str)}
    assert {name for name in named if TEXTS["en"].get(name, "…") not in readable.text} == set()
    assert theirs not in readable.text
    assert portal.post("/export", {"as": "xml"}).status_code == 400
