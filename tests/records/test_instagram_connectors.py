"""What is peculiar to Instagram's connectors: which calls they make, and what becomes of a record
(docs/facts/meta.md §4.3)."""

from itertools import pairwise
from typing import Any

import pytest

from broker.app import load_connectors
from broker.providers.data.instagram import RESOURCES
from broker.providers.resource import Place
from tests.meta import ANI_AT_INSTAGRAM, BUDI_AT_INSTAGRAM
from tests.records.meta import Sync

COMMENT = "from%7Bid%2Cusername%7D%2Chidden%2Cid%2Clike_count%2Cparent_id%2Ctext%2Ctimestamp%2Cusername"
NEWEST = "comments.limit%2810%29%7Btimestamp%2Creplies.limit%2810%29%7Btimestamp%7D%7D"
MESSAGE = "created_time%2Cfrom%7Bid%2Cusername%7D%2Cid%2Cmessage%2Cto%7Bid%2Cusername%7D"


def queries(sync: Sync, beginning: str) -> list[str]:
    return [entry["query"] for entry in sync.asked(beginning=f"/v26.0{beginning}")]


# --- calls ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("connector", "beginning", "expected"),
    [
        ("instagram_comments", "/me/media", f"fields={NEWEST}%2Ccomments_count%2Cid&limit=50"),
        ("instagram_comments", "/179", f"fields={COMMENT}%2Creplies.limit%2850%29%7B{COMMENT}%7D&limit=50"),
        ("instagram_inbox", "/me/conv", "platform=instagram&fields=id%2Cupdated_time&limit=10"),
        ("instagram_inbox", "/aWdf", f"fields=id%2Cmessages.limit%2820%29%7B{MESSAGE}%7D"),
    ],
)
def test_the_provider_is_asked_exactly_this(connector: str, beginning: str, expected: str, account: Sync):
    account.forget()
    account.ask(connector)
    assert queries(account, beginning)[0] == expected


def test_figures_are_asked_for_day_by_day(account: Sync):
    account.forget()
    account.run("instagram_insights")
    asked = queries(account, "/me/insights")
    assert len(asked) == 30
    for query in asked:
        assert "period=day&metric_type=total_value&since=" in query
        assert "follower_count" not in query
    begins = [int(query.split("since=")[1].split("&")[0]) for query in asked]
    assert begins == sorted(begins)
    assert {later - earlier for earlier, later in pairwise(begins)} == {24 * 3600}


def test_a_post_without_comments_is_not_looked_into(brand: Sync):
    brand.control("accounts", username=ANI_AT_INSTAGRAM, media=9)
    brand.forget()
    found = brand.run("instagram_comments").records
    assert len(queries(brand, "/179")) == 8
    assert not [record for record in found if record["post"].endswith("5")]


def test_only_a_post_with_a_new_comment_or_answer_is_looked_into_again(brand: Sync):
    before = brand.run("instagram_comments", limit=1000)
    brand.later(hours=1)
    comment = brand.control("records", account=ANI_AT_INSTAGRAM, comment={"text": "Baru"}, of="17900001000000011")["id"]
    old = next(record["id"] for record in before.records if record["post"] == "17900001000000007")
    reply = brand.control("records", account=ANI_AT_INSTAGRAM, reply={"text": "Ya"}, of=old)["id"]
    brand.forget()
    found = brand.run("instagram_comments", cursor=before.cursor)
    assert set(found.ids) == {comment, reply}
    assert len(queries(brand, "/179")) == 2


def test_a_later_reading_stops_where_nothing_on_a_page_is_new(account: Sync):
    account.control("media", account=BUDI_AT_INSTAGRAM, comments=400)
    cursor = account.run("instagram_comments").cursor
    account.later(hours=1)
    account.control("records", account=BUDI_AT_INSTAGRAM, comment={})
    account.forget()
    account.run("instagram_comments", cursor=cursor)
    assert len(queries(account, "/179")) <= 2


def test_only_a_conversation_with_news_is_looked_into_again(brand: Sync):
    brand.forget()
    cursor = brand.run("instagram_inbox").cursor
    assert len(queries(brand, "/aWdf")) == 59
    brand.later(hours=1)
    new = brand.control("records", account=ANI_AT_INSTAGRAM, message={"message": "Halo"})["id"]
    brand.forget()
    assert brand.run("instagram_inbox", cursor=cursor).ids == [new]
    assert len(queries(brand, "/aWdf")) == 1


# --- gone ----------------------------------------------------------------------------------------------------


def test_a_post_that_is_deleted_meanwhile_is_passed_over(account: Sync):
    first = account.ask("instagram_comments", limit=1).json()
    account.control("media", account=BUDI_AT_INSTAGRAM, media={"id": "17900002000000002"}, delete=True)
    rest = account.run("instagram_comments", cursor=first["next_cursor"])
    assert not any(one["reset"] for one in rest.pages)
    assert {record["post"][-1] for record in rest.records} == {"4", "3", "1"}


def test_a_permission_that_instagram_no_longer_honours_closes_the_connector_alone(account: Sync):
    account.control("permissions", account=BUDI_AT_INSTAGRAM, take=["instagram_business_manage_comments"])
    answer = account.ask("instagram_comments")
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
    assert answer.json()["source"] == "provider"
    assert account.run("instagram_inbox").records


# --- records -------------------------------------------------------------------------------------------------


def test_answers_come_with_the_comment_that_they_answer(account: Sync):
    found = account.run("instagram_comments").records
    replies = [record for record in found if "parent" in record]
    assert replies
    assert {record["parent"] for record in replies} <= {record["id"] for record in found}
    assert {record["post"] for record in found} <= set(account.run("instagram_media").ids)
    assert all(record["author"]["username"] for record in found)


def test_of_a_long_conversation_the_twenty_newest_messages_are_told(account: Sync):
    found = account.run("instagram_inbox").records
    assert len(found) == 20
    assert {record["thread"] for record in found} == {"aWdfSandboxThread00002x000002"}
    assert min(record["id"] for record in found).endswith("x0041")
    own = account.connection["account"]["id"]
    assert all(own in {record["from"]["id"], record["to"][0]["id"]} for record in found)


def test_a_figure_has_its_day_in_its_id_so_that_a_correction_replaces_it(account: Sync):
    found = account.run("instagram_insights").records
    for record in found:
        assert record["id"] == f"{record['name']}/{record['period']}/{record['date']}"
        assert isinstance(record["value"], int)


@pytest.mark.parametrize("total", [None, {}, {"value": None}, {"value": "12"}, {"value": True}, [], "x"])
def test_a_missing_figure_is_no_zero(total: object):
    raw = {"name": "reach", "period": "day", "total_value": total, "id": "1/insights/reach/day"}
    place = Place(began="2026-11-25T02:00:00Z", limit=100)
    assert RESOURCES["insights"].listing({"data": [raw]}, place).items == []
    zero = {**raw, "total_value": {"value": 0}}
    assert RESOURCES["insights"].listing({"data": [zero]}, place).items[0]["value"] == 0


def test_what_is_malformed_within_a_comment_is_left_out():
    place = Place(began="2026-11-25T02:00:00Z", limit=100, within="1")
    for replies in (None, [], "x", {"data": "x"}, {"data": [None, "x", 1]}):
        listing = RESOURCES["comments"].listing({"data": [{"id": "1", "replies": replies}]}, place)
        assert [raw["id"] for raw in listing.items] == ["1"]


def test_the_still_of_a_video_comes_beside_it(account: Sync):
    kinds: dict[str, bool] = {}
    for record in account.run("instagram_media").records:
        kinds[record["kind"]] = "thumbnail_url" in record
    assert kinds == {"VIDEO": True, "IMAGE": False, "CAROUSEL_ALBUM": False}


def test_who_wrote_is_told_by_either_name():
    convert = load_connectors()["instagram_comments"].convert
    raw: dict[str, Any] = {"id": "1", "from": {"id": "2", "username": "dewi"}}
    assert convert(raw)["author"] == {"id": "2", "username": "dewi"}
    assert convert({"id": "1", "username": "dewi"})["author"] == {"username": "dewi"}
