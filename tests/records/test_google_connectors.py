"""Google's connectors end to end, against the fake Google: in full, what changed, and whatever goes wrong meanwhile."""

from dataclasses import dataclass
from typing import Any

import pytest
import requests
from jsonschema import Draft202012Validator

from broker.app import load_connectors
from broker.sandbox.malformed import SPOILED
from tests.house import ANI, AUTH, Google, House, SalesApp
from tests.records.conftest import Asked

SHEET = "1AniPelanggan0000000000000000000000000000001"
NOT_PICKED = "1AniHarga000000000000000000000000000000002"
PROPERTY, HIDES_REVENUE, LOCATION = "properties/510001", "properties/510002", "locations/710001"


@dataclass(frozen=True)
class Case:
    """A connector as the seed has it."""

    name: str
    scope: str
    path: str
    """Where its records are asked for."""
    count: int
    """Records of Ani's, those of her first asset."""
    asset: str | None = None
    goes_on: bool = True
    """The provider tells what has changed since."""

    @property
    def scopes(self) -> str:
        return AUTH + self.scope


OTHERS = Case("google_other_contacts", "contacts.other.readonly", "/v1/otherContacts", 65)
MAIL = Case("google_mail", "gmail.metadata", "/gmail/v1", 400)
SHEETS = Case("google_sheets", "drive.file", "/v4/spreadsheets", 499, SHEET, goes_on=False)
ANALYTICS = Case("google_analytics", "analytics.readonly", "/v1beta/properties", 1092, PROPERTY)
BUSINESS = Case("google_business_performance", "business.manage", "/v1/locations", 712, LOCATION)
CASES = (OTHERS, MAIL, SHEETS, ANALYTICS, BUSINESS)
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
each_asset = pytest.mark.parametrize("case", [SHEETS, ANALYTICS, BUSINESS], ids=lambda case: case.name)
Connection = dict[str, Any]


@pytest.fixture
def desk(sqlite_house: House) -> SalesApp:
    return sqlite_house.client()


def connected(desk: SalesApp, case: Case, **how: Any) -> Connection:
    """A connection with this connector, and the one asset chosen."""
    if case.asset and "assets" not in how:
        how["assets"] = {case.name: [case.asset]}
    return desk.connect(case.name, **how)


def page(answer: requests.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def reading(desk: SalesApp, connection: Connection, case: Case, **first: Any) -> list[dict[str, Any]]:
    """Every page of one reading."""
    asset = {"asset": first.pop("asset")} if "asset" in first else {}
    pages = [page(desk.records(connection["id"], case.name, **asset, **first))]
    while pages[-1]["has_more"]:
        pages.append(page(desk.records(connection["id"], case.name, cursor=pages[-1]["next_cursor"], **asset)))
    return pages


def records(pages: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """By id, of which there must be one each."""
    found = [record for one in pages for record in one["records"]]
    by_id = {record["id"]: record for record in found}
    assert len(by_id) == len(found)
    return by_id


def refused(answer: requests.Response, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    return dict(answer.json())


# --- in full -----------------------------------------------------------------------------------------------------


@each_case
def test_a_reading_gives_each_record_once_valid_and_never_more_than_the_limit(desk: SalesApp, case: Case):
    connection = connected(desk, case)
    pages = reading(desk, connection, case, limit=90)
    found = records(pages)
    assert len(found) == case.count
    assert all(len(one["records"]) <= 90 for one in pages)
    assert not any(one["reset"] or one["withheld"] for one in pages)
    assert bool(pages[-1]["next_cursor"]) == case.goes_on
    validator = Draft202012Validator(load_connectors()[case.name].schema)
    for record in found.values():
        validator.validate(record)
        assert record["source"] == {"provider": "google", "account": ANI}
        assert not record["deleted"]


def test_a_mail_is_told_by_its_envelope_and_its_text_never_comes_near(
    desk: SalesApp, google: Google, sqlite_house: House
):
    connection = connected(desk, MAIL)
    asked = Asked(google)
    asked.clear()
    found = records(reading(desk, connection, MAIL))
    assert found["19a0000000000020"] == {
        "id": "19a0000000000020",
        "type": "message",
        "deleted": False,
        "thread": "19a0000000000019",
        "from": found["19a0000000000020"]["from"],
        "to": [{"name": "Ani Wijaya", "email": "ani@example.com"}],
        "cc": found["19a0000000000020"]["cc"],
        "subject": "Re: Order 19",
        "message_id": "<19a0000000000020@mail.example.org>",
        "labels": ["INBOX"],
        "sent_at": "2026-10-02T17:00:00Z",
        "source": {"provider": "google", "account": ANI},
    }
    assert "SECRET-TEXT" not in str(found)
    gets = [entry for entry in asked.entries("/gmail/v1/users/me/messages/")]
    assert len(gets) == 400
    assert all("format=metadata" in entry["query"] and "metadataHeaders=From" in entry["query"] for entry in gets)
    assert not [entry for entry in asked.entries("/gmail") if "q=" in entry["query"].split("&")]


def test_a_row_is_a_lead_with_the_headings_as_questions(desk: SalesApp):
    first = records(reading(desk, connected(desk, SHEETS), SHEETS))[f"{SHEET}/2"]
    assert first["name"] == "Bunga Putri"
    assert first["emails"] == [{"value": "bunga.putri1@example.org"}]
    assert first["city"] == "Surabaya"
    assert {"question": "Pesanan", "values": ["1"]} in first["answers"]
    assert [answer["question"] for answer in first["answers"]] == [
        *("Nama", "Email", "Telepon", "Perusahaan", "Kota", "Pesanan", "Total")
    ]


def test_only_the_first_sheet_of_a_file_is_read(desk: SalesApp, google: Google):
    """Rule R6: the scope opens the whole file, and the file has an archive beside its list."""
    connection = connected(desk, SHEETS)
    asked = Asked(google)
    asked.clear()
    reading(desk, connection, SHEETS, limit=1000)
    assert asked.urls("/v4") == [
        f"/v4/spreadsheets/{SHEET}/values:batchGet?ranges=A1%3AZZ1002&majorDimension=ROWS",
    ]


def test_a_figure_that_the_role_hides_is_told_as_restricted_and_not_as_zero(desk: SalesApp, google: Google):
    """§4.6.5: Google answers with zeros."""
    connection = connected(desk, ANALYTICS, assets={"google_analytics": [HIDES_REVENUE]})
    revenue = [
        record
        for record in records(reading(desk, connection, ANALYTICS, limit=1000)).values()
        if record["name"] == "totalRevenue"
    ]
    assert revenue
    assert all(record["restricted"] is True and "value" not in record for record in revenue)
    google.control("properties", {"account": ANI, "property": "510002", "hidden": []})
    shown = records(reading(desk, connection, ANALYTICS, limit=1000)).values()
    assert not any("restricted" in record for record in shown)
    assert any(record["value"] for record in shown if record["name"] == "totalRevenue")


@pytest.mark.parametrize(("case", "limit"), [(ANALYTICS, 7), (BUSINESS, 13), (SHEETS, 33), (OTHERS, 9)])
def test_whatever_the_limit_the_same_records_come(desk: SalesApp, case: Case, limit: int):
    connection = connected(desk, case)
    assert records(reading(desk, connection, case, limit=limit)) == records(reading(desk, connection, case, limit=1000))


# --- what changed since ------------------------------------------------------------------------------------------


def cursor_after(desk: SalesApp, connection: Connection, case: Case) -> str:
    return str(reading(desk, connection, case, limit=1000)[-1]["next_cursor"])


def test_after_a_reading_only_other_contacts_that_are_new_or_gone_are_given(desk: SalesApp, google: Google):
    connection = connected(desk, OTHERS)
    cursor = cursor_after(desk, connection, OTHERS)
    assert records(reading(desk, connection, OTHERS, cursor=cursor)) == {}
    google.control("accounts", {"email": "ani@example.com", "other_contacts": 67})
    added = reading(desk, connection, OTHERS, cursor=cursor)
    assert sorted(records(added)) == ["otherContacts/c66", "otherContacts/c67"]
    google.control("accounts", {"email": "ani@example.com", "other_contacts": 66})
    gone = records(reading(desk, connection, OTHERS, cursor=added[-1]["next_cursor"]))
    assert [(key, record["deleted"]) for key, record in gone.items()] == [("otherContacts/c67", True)]


def mail(google: Google, *, delete: bool = False, **message: Any) -> str:
    return str(google.control("mails", {"account": ANI, "message": message, "delete": delete})["id"])


def test_after_a_reading_only_mail_that_came_changed_or_went_is_given(desk: SalesApp, google: Google):
    connection = connected(desk, MAIL)
    cursor = cursor_after(desk, connection, MAIL)
    assert records(reading(desk, connection, MAIL, cursor=cursor)) == {}
    asked = Asked(google)
    asked.clear()
    came = mail(google, subject="Order 900")
    mail(google, id="19a0000000000007", labelIds=["INBOX", "STARRED"])
    mail(google, delete=True, id="19a0000000000009")
    changed = reading(desk, connection, MAIL, cursor=cursor)
    found = records(changed)
    assert sorted(found) == sorted([came, "19a0000000000007", "19a0000000000009"])
    assert found[came]["subject"] == "Order 900"
    assert "STARRED" in found["19a0000000000007"]["labels"]
    assert found["19a0000000000009"]["deleted"] is True
    assert len(asked.entries("/gmail")) == 3, "a history, and a call for each message that is left"
    assert records(reading(desk, connection, MAIL, cursor=changed[-1]["next_cursor"])) == {}


def test_mail_that_came_while_a_reading_went_on_is_given_by_the_next(desk: SalesApp, google: Google):
    connection = connected(desk, MAIL)
    first = page(desk.records(connection["id"], MAIL.name))
    came = mail(google, subject="Order 901")
    rest = reading(desk, connection, MAIL, cursor=first["next_cursor"])
    assert came not in records(rest)
    assert list(records(reading(desk, connection, MAIL, cursor=rest[-1]["next_cursor"]))) == [came]


def test_mail_that_is_put_into_the_trash_is_told_as_deleted_and_comes_back(desk: SalesApp, google: Google):
    connection = connected(desk, MAIL)
    cursor = cursor_after(desk, connection, MAIL)
    mail(google, id="19a0000000000007", labelIds=["TRASH"])
    trashed = reading(desk, connection, MAIL, cursor=cursor)
    assert [record["deleted"] for record in records(trashed).values()] == [True]
    mail(google, id="19a0000000000007", labelIds=["INBOX"])
    back = records(reading(desk, connection, MAIL, cursor=trashed[-1]["next_cursor"]))
    assert [record["deleted"] for record in back.values()] == [False]


def test_mail_that_went_between_list_and_reading_is_left_out(desk: SalesApp, google: Google):
    connection = connected(desk, MAIL)
    first = page(desk.records(connection["id"], MAIL.name, limit=5))
    mail(google, delete=True, id="19a0000000000390")
    rest = reading(desk, connection, MAIL, cursor=first["next_cursor"])
    assert "19a0000000000390" not in records(rest)
    assert len(first["records"]) + len(records(rest)) == 399


@pytest.mark.parametrize(("case", "days"), [(ANALYTICS, 4), (BUSINESS, 8)], ids=lambda value: str(value))
def test_figures_of_later_days_are_given_with_those_that_may_have_changed_since(
    desk: SalesApp, google: Google, clock: Any, case: Case, days: int
):
    connection = connected(desk, case)
    first = reading(desk, connection, case, limit=1000)
    clock.advance(days=1)
    desk._token = ""
    later = records(reading(desk, connection, case, cursor=first[-1]["next_cursor"], limit=1000))
    assert 0 < len(later) < len(records(first)) / 4
    before = {record["date"] for record in records(first).values()}
    of_later = sorted({record["date"] for record in later.values()})
    assert len(set(of_later) - before) == 1
    assert len(of_later) <= days + 1


def test_rows_are_read_anew_each_time(desk: SalesApp, google: Google):
    connection = connected(desk, SHEETS)
    google.control("files", {"account": ANI, "file": {"id": SHEET, "rows": [["Nama"], ["Dewi"], [], ["Budi"]]}})
    pages = reading(desk, connection, SHEETS)
    assert [(key, record["name"]) for key, record in records(pages).items()] == [
        (f"{SHEET}/2", "Dewi"),
        (f"{SHEET}/4", "Budi"),
    ]
    assert pages[-1]["next_cursor"] is None


# --- a place that is forgotten -----------------------------------------------------------------------------------


def test_other_contacts_are_read_anew_where_google_forgot_the_place(desk: SalesApp, google: Google):
    connection = connected(desk, OTHERS)
    cursor = cursor_after(desk, connection, OTHERS)
    google.quirk(expired_sync_token=400)
    anew = reading(desk, connection, OTHERS, cursor=cursor)
    assert anew[0]["reset"] is True
    assert len(records(anew)) == 65


def test_mail_is_read_anew_where_google_forgot_the_history(desk: SalesApp, google: Google):
    """§5.4: 404, and no other sign of it."""
    connection = connected(desk, MAIL)
    cursor = cursor_after(desk, connection, MAIL)
    mail(google, subject="Order 902")
    google.control("history", {"account": ANI})
    anew = reading(desk, connection, MAIL, cursor=cursor)
    assert [one["reset"] for one in anew] == [True] + [False] * (len(anew) - 1)
    assert len(records(anew)) == 401
    assert records(reading(desk, connection, MAIL, cursor=anew[-1]["next_cursor"])) == {}


# --- less than everything ----------------------------------------------------------------------------------------


@each_case
def test_a_connector_without_its_scope_gives_nothing_and_google_is_not_asked(
    desk: SalesApp, google: Google, case: Case
):
    connection = desk.connect("google_contacts", case.name, without=[case.scopes])
    missing = {grant["connector"]: grant["missing_scopes"] for grant in connection["grants"]}
    assert missing == {"google_contacts": [], case.name: [case.scopes]}
    asked = Asked(google)
    asked.clear()
    told = refused(desk.records(connection["id"], case.name), 403, "insufficient_scope")
    assert (told["missing_scopes"], told["source"]) == ([case.scopes], "broker")
    assert asked.entries(case.path) == []


@each_asset
def test_what_there_is_to_choose_is_listed_with_names(desk: SalesApp, case: Case):
    connection = desk.connect(case.name)
    offered = desk.call("GET", f"/v1/connections/{connection['id']}/assets/{case.name}").json()["items"]
    assert case.asset in [asset["id"] for asset in offered]
    assert all(asset["label"] and asset["label"] != asset["id"] for asset in offered)
    assert len(offered) == {SHEETS: 1, ANALYTICS: 3, BUSINESS: 14}[case]


@each_asset
def test_nothing_is_read_until_an_asset_is_chosen(desk: SalesApp, case: Case):
    connection = desk.connect(case.name)
    refused(desk.records(connection["id"], case.name), 400, "asset_required")
    refused(desk.records(connection["id"], case.name, asset=case.asset), 403, "not_granted")


@pytest.mark.parametrize(
    ("case", "chosen", "other"),
    [
        (ANALYTICS, [PROPERTY, HIDES_REVENUE], "properties/510003"),
        (BUSINESS, [LOCATION, "locations/710002"], "locations/710101"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_of_several_assets_each_that_was_chosen_is_read_and_no_other(
    desk: SalesApp, google: Google, case: Case, chosen: list[str], other: str
):
    connection = connected(desk, case, assets={case.name: chosen})
    asked = Asked(google)
    asked.clear()
    refused(desk.records(connection["id"], case.name, asset=other), 403, "not_granted")
    told = refused(desk.records(connection["id"], case.name), 400, "asset_required")
    assert [asset["id"] for asset in told["assets"]] == chosen
    assert asked.entries(case.path) == []
    one, two = (records(reading(desk, connection, case, asset=asset, limit=1000)) for asset in chosen)
    assert one
    assert two
    assert not one.keys() & two.keys(), "records of two assets have the same id"


def test_a_spreadsheet_that_the_user_did_not_open_for_the_app_is_not_even_offered(desk: SalesApp, google: Google):
    """Rule R1: Ani has three, and picked one."""
    connection = connected(desk, SHEETS, assets={SHEETS.name: [NOT_PICKED]})
    refused(desk.records(connection["id"], SHEETS.name), 400, "asset_required")
    google.control("files", {"account": ANI, "file": {"id": NOT_PICKED, "picked": True}})
    answer = desk.call("PUT", f"/v1/connections/{connection['id']}/assets/{SHEETS.name}", {"assets": [NOT_PICKED]})
    refused(answer, 403, "not_granted")


@pytest.mark.parametrize("how", ["forbidden", "not_found", "deleted"])
def test_a_spreadsheet_that_is_not_open_to_the_app_any_more_leaves_the_grant(desk: SalesApp, google: Google, how: str):
    connection = connected(desk, SHEETS)
    google.quirk(unpicked_is_forbidden=how == "forbidden")
    google.control("files", {"account": ANI, "file": {"id": SHEET, "picked": False}, "delete": how == "deleted"})
    told = refused(desk.records(connection["id"], SHEETS.name), 403, "not_granted")
    assert told["source"] == "provider"
    refused(desk.records(connection["id"], SHEETS.name), 400, "asset_required")


# --- nothing, and very much --------------------------------------------------------------------------------------


@each_case
def test_an_account_with_nothing_has_no_records(desk: SalesApp, google: Google, case: Case):
    sub = google.control("accounts", {"email": "kosong@example.com"})["accounts"][0]["sub"]
    if case.asset is None:
        pages = reading(desk, desk.connect(case.name, account=sub), case)
        assert records(pages) == {}
        assert pages[-1]["next_cursor"]
        return
    connection = desk.connect(case.name, account=sub)
    offered = desk.call("GET", f"/v1/connections/{connection['id']}/assets/{case.name}").json()["items"]
    assert offered == []
    refused(desk.records(connection["id"], case.name), 400, "asset_required")


def test_an_empty_sheet_has_no_rows(desk: SalesApp, google: Google):
    connection = connected(desk, SHEETS)
    google.control("files", {"account": ANI, "file": {"id": SHEET, "rows": []}})
    assert records(reading(desk, connection, SHEETS)) == {}


def test_many_other_contacts_are_read_page_by_page(desk: SalesApp, google: Google):
    connection = connected(desk, OTHERS)
    google.control("accounts", {"email": "ani@example.com", "other_contacts": 12_000})
    assert len(records(reading(desk, connection, OTHERS, limit=1000))) == 12_000


def test_a_long_sheet_is_read_page_by_page(desk: SalesApp, google: Google):
    connection = connected(desk, SHEETS)
    google.control("files", {"account": ANI, "file": {"id": SHEET, "rows": 6_000}})
    pages = reading(desk, connection, SHEETS, limit=1000)
    assert len(records(pages)) == 5_999
    assert max(len(one["records"]) for one in pages) == 1000


def test_a_page_of_a_large_mailbox_takes_a_bounded_number_of_calls(desk: SalesApp, google: Google):
    connection = connected(desk, MAIL)
    google.control("accounts", {"email": "ani@example.com", "mails": 20_000})
    asked = Asked(google)
    asked.clear()
    first = page(desk.records(connection["id"], MAIL.name, limit=1000))
    assert first["has_more"]
    assert 50 <= len(first["records"]) <= 60
    assert len(asked.entries()) <= 61


def test_many_assets_are_offered_up_to_a_bound(desk: SalesApp, google: Google):
    google.control("accounts", {"email": "ani@example.com", "locations": 1200, "analytics_accounts": 450})
    connection = desk.connect("google_analytics", "google_business_performance")
    for name, count in (("google_analytics", 450), ("google_business_performance", 1000)):
        offered = page(desk.call("GET", f"/v1/connections/{connection['id']}/assets/{name}"))["items"]
        assert len({asset["id"] for asset in offered}) == len(offered) == count


# --- answers that are none ---------------------------------------------------------------------------------------


@each_case
@pytest.mark.parametrize("kind", sorted(SPOILED))
def test_an_answer_that_is_none_becomes_no_record_and_no_fault_of_ours(
    desk: SalesApp, google: Google, case: Case, kind: str
):
    connection = connected(desk, case)
    google.quirk(malformed={case.path: kind})
    answer = desk.records(connection["id"], case.name)
    if answer.status_code == 200:
        validator = Draft202012Validator(load_connectors()[case.name].schema)
        for record in answer.json()["records"]:
            validator.validate(record)
    else:
        assert answer.status_code in (502, 503, 504), answer.text
        assert answer.json()["code"] == "provider_unavailable"


def test_headers_of_any_shape_make_a_valid_message(desk: SalesApp, google: Google):
    connection = connected(desk, MAIL)
    cursor = cursor_after(desk, connection, MAIL)
    odd = [
        {"name": "From", "value": "not an address at all, <<>>"},
        {"name": "To", "value": 7},
        {"name": "Cc"},
        {"name": "Subject", "value": ["x"]},
        {"name": "Date", "value": "yesterday"},
        "x",
        None,
        {"value": "SECRET-TEXT"},
    ]
    came = mail(google, headers=odd)
    [record] = records(reading(desk, connection, MAIL, cursor=cursor)).values()
    assert record["id"] == came
    Draft202012Validator(load_connectors()[MAIL.name].schema).validate(record)
    assert "SECRET-TEXT" not in str(record)


@each_case
def test_a_limit_of_the_provider_is_told_with_the_wait(desk: SalesApp, google: Google, case: Case):
    connection = connected(desk, case)
    google.quirk(rate_limit={case.path: 7})
    answer = desk.records(connection["id"], case.name)
    refused(answer, 429, "rate_limited")
    assert int(answer.headers["Retry-After"]) >= 7


def test_a_project_that_is_not_approved_for_business_profile_is_told_as_limited(desk: SalesApp, google: Google):
    """§5.7: a quota of 0 looks like a limit."""
    connection = connected(desk, BUSINESS)
    google.quirk(no_quota=True)
    refused(desk.records(connection["id"], BUSINESS.name), 429, "rate_limited")


def test_a_withdrawn_connector_gives_nothing_while_the_others_go_on(desk: SalesApp):
    connection = desk.connect("google_mail", "google_sheets", assets={"google_sheets": [SHEET]})
    desk.withdraw(connection["id"], "google_mail")
    refused(desk.records(connection["id"], "google_mail"), 403, "grant_withdrawn")
    assert page(desk.records(connection["id"], "google_sheets"))["records"]
