"""What is peculiar to Facebook's connectors: which calls they make, with whose token, and what becomes of a record
(docs/facts/meta.md §4.1)."""

from typing import Any

import pytest

from broker.app import load_connectors
from tests.house import Clock, House
from tests.meta import ANI, BUDI, Facebook
from tests.records.meta import ANIS_PAGES, BUDIS_PAGE, Sync
from tests.records.raw import PERSON
from tests.records.raw_meta import META


def convert(name: str, **raw: Any) -> dict[str, Any]:
    return load_connectors()[name].convert({"id": "1", **raw})


def queries(sync: Sync, beginning: str) -> list[str]:
    """Of the calls, without the proof that each bears."""
    return [entry["query"].split("&appsecret_proof")[0] for entry in sync.asked(beginning=f"/v26.0{beginning}")]


# --- calls ---------------------------------------------------------------------------------------------------

POST_FIELDS = "created_time%2Cfull_picture%2Cid%2Cmessage%2Cpermalink_url%2Cstatus_type%2Cupdated_time"
LEAD_FIELDS = (
    "ad_id%2Cad_name%2Cadset_id%2Cadset_name%2Ccampaign_id%2Ccampaign_name%2Ccreated_time%2Cfield_data%2Cid"
    "%2Cis_organic%2Cplatform"
)
MESSAGE_FIELDS = "created_time%2Cfrom%7Bemail%2Cid%2Cname%7D%2Cid%2Cmessage%2Cto%7Bemail%2Cid%2Cname%7D"
COMMENT_FIELDS = (
    "comment_count%2Ccreated_time%2Cfrom%7Bid%2Cname%7D%2Cid%2Cis_hidden%2Clike_count%2Cmessage%2Cparent%7Bid%7D"
    "%2Cpermalink_url"
)
STREAM = "filter=stream&order=reverse_chronological"


@pytest.mark.parametrize(
    ("connector", "beginning", "expected"),
    [
        ("facebook_pages", f"/{BUDIS_PAGE}/posts", f"fields={POST_FIELDS}&limit=100"),
        ("facebook_leads", f"/{BUDIS_PAGE}/leadgen_forms", "fields=id&limit=50"),
        ("facebook_leads", "/33", f"fields={LEAD_FIELDS}&limit=100"),
        ("facebook_inbox", f"/{BUDIS_PAGE}/conv", "platform=messenger&fields=id%2Cupdated_time&limit=50"),
        ("facebook_inbox", "/t_1", f"fields={MESSAGE_FIELDS}&limit=50"),
        ("facebook_comments", f"/{BUDIS_PAGE}/posts", "fields=id%2Cupdated_time&limit=50"),
        ("facebook_comments", f"/{BUDIS_PAGE}_", f"{STREAM}&fields={COMMENT_FIELDS}&limit=100"),
    ],
)
def test_the_provider_is_asked_exactly_this(connector: str, beginning: str, expected: str, page: Sync):
    page.forget()
    page.ask(connector)
    assert queries(page, beginning)[0] == expected


@pytest.mark.parametrize("connector", ["facebook_pages", "facebook_leads", "facebook_inbox", "facebook_comments"])
def test_what_hangs_on_a_page_is_read_with_the_token_of_that_page(connector: str, page: Sync):
    page.forget()
    page.run(connector)
    tokens = {token["value"] for token in page.provider.state()["live_tokens"]["page"]}
    used = {entry["token"] for entry in page.asked()}
    assert used
    assert used <= tokens


@pytest.mark.parametrize(
    ("connector", "beginning", "below", "new"),
    [
        ("facebook_inbox", "/t_", 5, {"message": {}}),
        ("facebook_comments", f"/{BUDIS_PAGE}_", 7, {"comment": {}}),
    ],
)
def test_only_what_has_news_is_looked_into_again(
    connector: str, beginning: str, below: int, new: dict[str, Any], page: Sync
):
    page.forget()
    cursor = page.run(connector).cursor
    assert len(queries(page, beginning)) == below
    page.later(hours=1)
    page.control("records", page=BUDIS_PAGE, **new)
    page.forget()
    assert len(page.run(connector, cursor=cursor).records) == 1
    assert len(queries(page, beginning)) == 1


def test_a_later_reading_stops_where_nothing_on_a_page_is_new(page: Sync):
    page.control("pages", page=BUDIS_PAGE, messages=400)
    cursor = page.run("facebook_inbox").cursor
    page.later(hours=1)
    page.control("records", page=BUDIS_PAGE, message={})
    page.forget()
    assert len(page.run("facebook_inbox", cursor=cursor).records) == 1
    assert len(queries(page, "/t_")) == 2


def test_a_later_reading_of_posts_and_leads_is_cut_by_the_provider(page: Sync):
    for connector, beginning, member in (
        ("facebook_pages", f"/{BUDIS_PAGE}/posts", "since="),
        ("facebook_leads", "/33", "filtering=%5B%7B%22field%22%3A%22time_created%22"),
    ):
        cursor = page.run(connector).cursor
        page.later(hours=1)
        page.forget()
        page.run(connector, cursor=cursor)
        assert member in queries(page, beginning)[0]


def test_comments_on_old_posts_are_found_too(page: Sync):
    """Comments go by when they were written, not by when their post was."""
    before = page.run("facebook_comments")
    page.later(days=30)
    oldest = f"{BUDIS_PAGE}_122000040000001"
    new = page.control("records", page=BUDIS_PAGE, comment={"message": "Masih dijual?"}, of=oldest)["id"]
    found = page.run("facebook_comments", cursor=before.cursor).records
    assert [(one["id"], one["post"], one["text"]) for one in found] == [(new, oldest, "Masih dijual?")]


# --- gone ----------------------------------------------------------------------------------------------------


def test_a_post_that_is_deleted_meanwhile_is_passed_over(page: Sync):
    first = page.ask("facebook_comments", limit=2).json()
    page.control("records", page=BUDIS_PAGE, delete=f"{BUDIS_PAGE}_122000040000003")
    rest = page.run("facebook_comments", cursor=first["next_cursor"])
    assert not any(one["reset"] for one in rest.pages)
    posts = {record["post"][-1] for record in first["records"] + rest.records}
    assert posts == {"1", "2", "4", "7", "8"}


def test_a_deleted_record_is_in_no_later_reading_and_nothing_says_so(page: Sync):
    """Facebook does not tell: only a full reading shows it."""
    before = page.run("facebook_pages")
    page.later(hours=1)
    page.control("records", page=BUDIS_PAGE, delete=before.ids[0])
    assert page.run("facebook_pages", cursor=before.cursor).records == []
    assert set(page.run("facebook_pages").ids) == set(before.ids[1:])


def test_a_role_that_is_lost_closes_that_page_alone(meta: House, facebook: Facebook, clock: Clock):
    app = meta.client()
    two = list(ANIS_PAGES[:2])
    made = app.connect("facebook_inbox", provider="facebook", account=ANI, assets={"facebook_inbox": two})
    sync = Sync(app, made, facebook, clock)
    sync.run("facebook_inbox", asset=two[0])
    sync.control("role", account=ANI, page=two[0], tasks=[])
    assert sync.refusal("facebook_inbox", asset=two[0]) == (403, "not_granted")
    assert sync.run("facebook_inbox", asset=two[1]).records


# --- fields --------------------------------------------------------------------------------------------------


def test_without_the_permission_for_it_there_is_no_address(meta: House, facebook: Facebook, clock: Clock):
    app = meta.client()
    made = app.connect("facebook_profile", provider="facebook", account=BUDI, without=["email"])
    sync = Sync(app, made, facebook, clock)
    sync.forget()
    told = sync.ask("facebook_profile").json()
    assert "email" not in told["records"][0]
    assert told["withheld"] == [{"field": "email", "missing_scopes": ["email"]}]
    assert "email" not in queries(sync, "/me")[0]


PAGE = {"facebook_leads": [BUDIS_PAGE]}
AD = ("ad_id", "ad_name", "adset_id", "adset_name", "campaign_id", "campaign_name")


def test_without_ads_management_nothing_of_an_ad_is_read_nor_asked_for(meta: House, facebook: Facebook, clock: Clock):
    """§4.1: field by field."""
    facebook.quirk(leads_without_ads=True)
    app = meta.client()
    made = app.connect("facebook_leads", provider="facebook", account=BUDI, without=["ads_management"], assets=PAGE)
    sync = Sync(app, made, facebook, clock)
    sync.forget()
    told = sync.ask("facebook_leads", asset=BUDIS_PAGE).json()
    assert told["records"]
    assert not [record for record in told["records"] if {"ad", "ad_set", "campaign"} & set(record)]
    assert told["withheld"] == [{"field": field, "missing_scopes": ["ads_management"]} for field in AD]
    assert not [asked for asked in queries(sync, "/leads") if "ad_" in asked or "campaign" in asked]


def test_a_facebook_that_gives_no_leads_without_ads_management_is_heard(meta: House, facebook: Facebook, clock: Clock):
    app = meta.client()
    made = app.connect("facebook_leads", provider="facebook", account=BUDI, without=["ads_management"], assets=PAGE)
    answer = Sync(app, made, facebook, clock).ask("facebook_leads", asset=BUDIS_PAGE)
    assert (answer.status_code, answer.json()["code"], answer.json()["source"]) == (
        403,
        "insufficient_scope",
        "provider",
    )


def test_a_permission_taken_back_at_facebook_closes_the_connector(page: Sync):
    page.run("facebook_leads")
    page.control("permissions", account=BUDI, take=["leads_retrieval"])
    answer = page.ask("facebook_leads")
    assert (answer.status_code, answer.json()["source"]) == (403, "provider")
    assert answer.json()["missing_scopes"] == ["leads_retrieval"]
    assert page.run("facebook_pages").records


# --- records -------------------------------------------------------------------------------------------------


def test_a_lead_and_a_contact_look_alike_where_they_are_alike():
    lead = load_connectors()["facebook_leads"].convert(META["facebook_leads"])
    contact = load_connectors()["google_contacts"].convert(PERSON)
    assert (lead["name"], contact["name"]) == ("Dewi Putri", "Dewi Putri")
    assert lead["emails"] == [{"value": "dewi@example.org"}, {"value": "dewi@toko.example", "label": "work"}]
    assert contact["emails"][0] == {"value": "dewi@example.org", "label": "work"}
    assert lead["phones"] == [{"value": "+628125550031"}]
    assert (lead["company"], contact["company"]) == ("Toko Cahaya", "Toko Cahaya")


def answers(**given: str) -> list[dict[str, Any]]:
    return [{"name": name, "values": [value]} for name, value in given.items()]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"first_name": "Dewi", "last_name": "Putri"}, {"name": "Dewi Putri", "given_name": "Dewi"}),
        ({"first_name": "Dewi"}, {"name": "Dewi", "given_name": "Dewi"}),
        ({"full_name": "Ibu Dewi", "first_name": "Dewi"}, {"name": "Ibu Dewi", "given_name": "Dewi"}),
        ({"nama_lengkap": "Dewi Putri", "kota": "Bandung"}, {"name": "Dewi Putri", "city": "Bandung"}),
        ({"street_address": "Jl. Braga 1", "post_code": "40111"}, {"street": "Jl. Braga 1", "postal_code": "40111"}),
        ({"state": "Jawa Barat", "country": "ID"}, {"region": "Jawa Barat", "country": "ID"}),
    ],
)
def test_facebooks_own_questions_become_fields(given: dict[str, str], expected: dict[str, str]):
    found = convert("facebook_leads", field_data=answers(**given))
    assert {name: found[name] for name in expected} == expected
    assert found["answers"] == [{"question": name, "values": [value]} for name, value in given.items()]


def test_an_answer_to_a_question_of_ones_own_is_an_answer_and_no_more():
    found = convert("facebook_leads", field_data=answers(warna_apa="merah"))
    assert found["answers"] == [{"question": "warna_apa", "values": ["merah"]}]
    assert sorted(found) == ["answers", "deleted", "id", "type"]


def test_a_comment_says_what_it_stands_beneath_and_which_one_it_answers(page: Sync):
    found = page.run("facebook_comments").records
    replies = [record for record in found if "parent" in record]
    assert len(replies) == 4
    assert {record["parent"] for record in replies} <= {record["id"] for record in found}
    assert {record["post"] for record in found} <= set(page.run("facebook_pages").ids)


def test_messages_tell_who_wrote_to_whom_in_which_conversation(page: Sync):
    found = page.run("facebook_inbox").records
    assert len({record["thread"] for record in found}) == 5
    for record in found:
        sides = {record["from"]["id"], record["to"][0]["id"]}
        assert BUDIS_PAGE in sides
        assert len(sides) == 2
        assert record["text"]
        assert record["sent_at"].endswith("Z")


def test_organic_leads_have_no_ad(page: Sync):
    found = page.run("facebook_leads").records
    assert {record["organic"] for record in found} == {True, False}
    for record in found:
        assert ("ad" in record) is not record["organic"]
        assert record["form"].startswith("3300004")
        assert record["emails"][0]["value"].endswith("@example.org")
