"""Profile, posts, comments, figures, conversations, and what each takes: docs/facts/meta.md §4.3, §6."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.sandbox.instagram_client import (
    ALL,
    ANI,
    BASIC,
    BUDI,
    COMMENTS,
    DAY,
    INSIGHTS,
    MESSAGES,
    App,
    error,
)

PROFILE = "user_id,username,name,account_type,profile_picture_url,followers_count,follows_count,media_count"
ALBUM, PICTURE, REEL = "17900001000000300", "17900001000000299", "17900001000000298"
"""The newest of Ani's posts."""
COMMENT = "1800000100300012000"
TALK, MESSAGE = "aWdfSandboxThread00001x000060", "aWdfSandboxItem00001x000060x0001"


def all_of(app: App, path: str, token: str, **query: Any) -> list[list[dict[str, Any]]]:
    """Every page, by the cursors."""
    pages = []
    while True:
        answer = app.get(path, token, **query).json()
        pages.append(answer["data"])
        if "next" not in answer.get("paging", {}):
            return pages
        query["after"] = answer["paging"]["cursors"]["after"]


# --- the account ---------------------------------------------------------------------------------------------


def test_the_profile_has_what_is_asked_and_the_app_scoped_id(instagram: App) -> None:
    token = instagram.connect(BASIC)
    profile = instagram.get("/v26.0/me", token, fields=PROFILE).json()
    assert profile.keys() == {*PROFILE.split(","), "id"}
    assert (profile["user_id"], profile["username"], profile["media_count"]) == (ANI, "ani.wijaya", 300)
    assert profile == instagram.get(f"/{ANI}", token, fields=PROFILE).json()


def test_ids_are_texts_beyond_what_a_double_holds(instagram: App) -> None:
    token = instagram.connect()
    profile = instagram.get("/me", token, fields="id,user_id").json()
    found = [profile["id"], profile["user_id"], instagram.data("/me/media", token)[0]["id"]]
    assert all(isinstance(one, str) and int(one) > 2**53 for one in found)


def test_a_field_that_there_is_not_is_refused(instagram: App) -> None:
    token = instagram.connect()
    assert error(instagram.get("/me", token, fields="id,password"))[:2] == (400, 100)
    assert error(instagram.get("/me", token, fields="id,media{secret}"))[:2] == (400, 100)
    assert error(instagram.get("/me", token, fields="id,{"))[:2] == (400, 2500)


def test_another_account_and_its_objects_are_as_if_they_did_not_exist(instagram: App) -> None:
    token = instagram.connect(account=BUDI)
    first, second = "17900001000000001", "aWdfSandboxThread00001x000002"
    for object_id in (ANI, ALBUM, COMMENT, TALK, MESSAGE, first, second, "17900002000000005", "nothing"):
        assert error(instagram.get(f"/{object_id}", token)) == (400, 100, 33), object_id
    assert error(instagram.get(f"/{ANI}/media", token)) == (400, 100, 33)


# --- posts ---------------------------------------------------------------------------------------------------


def test_three_hundred_posts_are_read_page_by_page_the_newest_first(instagram: App) -> None:
    token = instagram.connect(BASIC)
    pages = all_of(instagram, f"/{ANI}/media", token, fields="id,timestamp", limit=100)
    assert [len(page) for page in pages] == [100, 100, 100]
    posts = [post for page in pages for post in page]
    assert len({post["id"] for post in posts}) == 300
    assert posts == sorted(posts, key=lambda post: post["timestamp"], reverse=True)


def test_without_fields_a_post_is_its_id(instagram: App) -> None:
    assert instagram.data("/me/media", instagram.connect(), limit=2) == [{"id": ALBUM}, {"id": PICTURE}]


def test_the_address_of_the_next_page_has_the_token_in_it(instagram: App) -> None:
    """§6.3: what a broker must not pass on."""
    token = instagram.connect()
    paging = instagram.get("/v26.0/me/media", token, limit=2, fields="id").json()["paging"]
    address = urlsplit(paging["next"])
    assert (address.netloc, address.path) == ("graph.instagram.com", "/v26.0/me/media")
    query = dict(parse_qsl(address.query))
    assert query == {"access_token": token, "fields": "id", "limit": "2", "after": paging["cursors"]["after"]}


def test_the_fields_of_a_post_by_its_kind(instagram: App) -> None:
    token = instagram.connect()
    fields = "id,caption,media_type,media_product_type,media_url,permalink,thumbnail_url,timestamp,username,like_count"
    reel = instagram.get(f"/{REEL}", token, fields=fields).json()
    assert reel.keys() == set(fields.split(","))
    assert (reel["media_type"], reel["media_product_type"]) == ("VIDEO", "REELS")
    picture = instagram.get(f"/{PICTURE}", token, fields=fields).json()
    assert picture.keys() == set(fields.split(",")) - {"thumbnail_url"}
    assert picture["media_type"] == "IMAGE"


def test_the_pictures_of_an_album_by_edge_and_by_expansion(instagram: App) -> None:
    token = instagram.connect(BASIC)
    pictures = instagram.data(f"/{ALBUM}/children", token, fields="id,media_type,media_url")
    assert len(pictures) == 3
    album = instagram.get(f"/{ALBUM}", token, fields="children{media_type,media_url}").json()
    assert album["children"]["data"] == pictures
    child = instagram.get(f"/{pictures[1]['id']}", token, fields="id,media_type,media_url").json()
    assert child == pictures[1]
    assert instagram.data(f"/{PICTURE}/children", token) == []


def test_posts_by_expansion_of_the_account(instagram: App) -> None:
    me = instagram.get("/v26.0/me", instagram.connect(BASIC), fields="username,media.limit(2){caption}").json()
    assert [post["id"] for post in me["media"]["data"]] == [ALBUM, PICTURE]
    assert urlsplit(me["media"]["paging"]["next"]).path == f"/v26.0/{ANI}/media"


# --- comments ------------------------------------------------------------------------------------------------


def test_comments_come_fifty_a_page_at_most_and_without_answers(instagram: App) -> None:
    token = instagram.connect()
    pages = all_of(instagram, f"/{ALBUM}/comments", token, limit=100)
    assert [len(page) for page in pages] == [50, 50, 20]
    assert pages[0][0].keys() == {"id", "text", "timestamp"}
    assert {comment["id"][-2:] for page in pages for comment in page} == {"00"}


def test_answers_come_by_expansion_alone(instagram: App) -> None:
    token = instagram.connect()
    (comment,) = instagram.data(f"/{ALBUM}/comments", token, limit=1, fields="text,replies{text,parent_id}")
    answers = comment["replies"]["data"]
    assert [answer["parent_id"] for answer in answers] == [COMMENT, COMMENT]
    assert instagram.get(f"/{answers[0]['id']}", token, fields="text").json()["text"] == answers[0]["text"]
    assert error(instagram.get(f"/{COMMENT}/replies", token))[:2] == (400, 100)


def test_comments_by_expansion_of_a_post_take_their_permission_too(instagram: App) -> None:
    fields = "id,comments.limit(60){text,from}"
    post = instagram.get(f"/{ALBUM}", instagram.connect(), fields=fields).json()
    assert len(post["comments"]["data"]) == 50
    assert post["comments"]["data"][0]["from"].keys() == {"id", "username"}
    bare = instagram.connect(BASIC, account=BUDI)
    assert error(instagram.get("/me/media", bare, fields=fields)) == (400, 10, None)
    assert error(instagram.get("/me", bare, fields="media{comments{text}}")) == (400, 10, None)
    assert error(instagram.get("/me/media", bare, fields="insights.metric(reach)")) == (400, 10, None)


# --- figures and conversations -------------------------------------------------------------------------------


def test_figures_of_an_account_by_day_or_in_total(instagram: App) -> None:
    token = instagram.connect()
    reach, views = instagram.data("/me/insights", token, metric="reach,views", period="day")
    assert (reach["name"], views["name"], reach["period"]) == ("reach", "views", "day")
    assert [sorted(value) for value in reach["values"]] == [["end_time", "value"]] * 2
    (total,) = instagram.data("/me/insights", token, metric="reach", period="day", metric_type="total_value")
    assert total["total_value"].keys() == {"value"}


def test_figures_of_the_days_that_are_asked(instagram: App) -> None:
    token, since = instagram.connect(), 1_790_812_800  # midnight
    query = {"metric": "reach", "period": "day", "since": since, "until": since + 3 * DAY}
    (reach,) = instagram.data("/me/insights", token, **query)
    ends = [value["end_time"][:10] for value in reach["values"]]
    assert ends == ["2026-10-02", "2026-10-03", "2026-10-04"]
    assert instagram.data("/me/insights", token, **query) == [reach]
    assert error(instagram.get("/me/insights", token, **{**query, "until": since + 31 * DAY}))[:2] == (400, 100)


def test_figures_of_a_post(instagram: App) -> None:
    token = instagram.connect()
    (reach,) = instagram.data(f"/{ALBUM}/insights", token, metric="reach")
    assert (reach["period"], len(reach["values"])) == ("lifetime", 1)
    post = instagram.get(f"/{ALBUM}", token, fields="insights.metric(reach)").json()
    assert post["insights"]["data"] == [reach]


@pytest.mark.parametrize("query", [{}, {"metric": "fame"}, {"metric": "reach", "period": "century"}], ids=str)
def test_figures_name_a_metric_and_a_period_that_there_are(instagram: App, query: dict[str, str]) -> None:
    assert error(instagram.get("/me/insights", instagram.connect(), **query))[:2] == (400, 100)


def test_conversations_the_latest_first_and_messages_where_they_are_asked(instagram: App) -> None:
    token = instagram.connect()
    found = instagram.data("/me/conversations", token, platform="instagram", limit=2)
    assert [sorted(talk) for talk in found] == [["id", "updated_time"]] * 2
    assert found[0]["id"] == TALK
    assert instagram.get(f"/{TALK}", token).json().keys() == {"id", "updated_time"}
    talk = instagram.get(f"/{TALK}", token, fields="participants,messages").json()
    assert {"id": ANI, "username": "ani.wijaya"} in talk["participants"]["data"]
    assert talk["messages"]["data"][0].keys() == {"id", "created_time"}
    message = instagram.get(f"/{MESSAGE}", token, fields="id,created_time,from,to,message").json()
    assert message.keys() == {"id", "created_time", "from", "to", "message"}
    assert message["to"]["data"] == [{"id": ANI, "username": "ani.wijaya"}]
    assert instagram.get(f"/{MESSAGE}", token, fields="to{id}").json()["to"]["data"] == [{"id": ANI}]


def test_a_long_conversation_goes_on_where_its_expansion_ends(instagram: App) -> None:
    token = instagram.connect()
    long_talk = "aWdfSandboxThread00001x000002"
    first = instagram.get(f"/v26.0/{long_talk}", token, fields="messages.limit(40){message}").json()["messages"]
    address = urlsplit(first["paging"]["next"])
    assert address.path == f"/v26.0/{long_talk}/messages"
    second = instagram.http.get(f"{instagram.url}{address.path}", params=dict(parse_qsl(address.query))).json()
    assert second["data"][0].keys() == {"id", "message"}
    found = [message["id"] for message in (*first["data"], *second["data"])]
    assert len(found) == len(set(found)) == 60


def test_a_request_idle_for_thirty_days_is_not_returned(start_instagram) -> None:
    """§4.3: Ani's first conversation waits in the folder of requests since 1 October 2026, 03:00."""
    first = "aWdfSandboxThread00001x000001"
    for days, there in ((29.9, True), (30.1, False)):
        app = start_instagram(clock=lambda days=days: 1_790_823_600.0 + days * DAY)
        token = app.connect()
        pages = all_of(app, "/me/conversations", token, platform="instagram", limit=100)
        assert (first in {talk["id"] for page in pages for talk in page}) == there
        assert (app.get(f"/{first}", token).status_code == 200) == there


def test_conversations_are_of_instagram(instagram: App) -> None:
    assert error(instagram.get("/me/conversations", instagram.connect(), platform="messenger"))[:2] == (400, 100)


# --- permissions ---------------------------------------------------------------------------------------------


NEEDED = [
    ("/me", BASIC, {}),
    (f"/{ANI}", BASIC, {}),
    ("/me/media", BASIC, {}),
    (f"/{ANI}/media", BASIC, {}),
    (f"/{ALBUM}", BASIC, {}),
    (f"/{ALBUM}/children", BASIC, {}),
    (f"/{ALBUM}/comments", COMMENTS, {}),
    (f"/{COMMENT}", COMMENTS, {}),
    (f"/{ALBUM}/insights", INSIGHTS, {"metric": "reach"}),
    (f"/{ANI}/insights", INSIGHTS, {"metric": "reach"}),
    ("/me/conversations", MESSAGES, {"platform": "instagram"}),
    (f"/{TALK}", MESSAGES, {"fields": "messages"}),
    (f"/{TALK}/messages", MESSAGES, {}),
    (f"/{MESSAGE}", MESSAGES, {}),
]


@pytest.mark.parametrize(("path", "needed", "query"), NEEDED, ids=[path for path, _, _ in NEEDED])
def test_each_path_takes_its_permission(instagram: App, path: str, needed: str, query: dict[str, str]) -> None:
    """§4.3, at the moment of the call."""
    token = instagram.connect()
    assert instagram.get(path, token, **query).status_code == 200
    instagram.control("permissions", {"account": ANI, "take": [needed]})
    assert error(instagram.get(path, token, **query)) == (400, 10, None)
    instagram.control("permissions", {"account": ANI, "take": list(ALL), "give": [BASIC, needed]})
    assert instagram.get(path, token, **query).status_code == 200


@pytest.mark.parametrize(("code", "status"), [(3, 400), (200, 403), (299, 403)])
def test_quirk_permission_error(instagram: App, code: int, status: int) -> None:
    instagram.quirk(permission_error=code)
    assert error(instagram.get("/me/conversations", instagram.connect(BASIC))) == (status, code, None)


def test_subscribing_takes_the_permission_of_the_field_and_the_users_own_token(instagram: App) -> None:
    """H13."""
    token = instagram.connect(BASIC, COMMENTS)
    path = f"/{ANI}/subscribed_apps"
    assert instagram.post(path, token, subscribed_fields="comments").json() == {"success": True}
    assert error(instagram.post(path, token, subscribed_fields="comments,messages")) == (400, 10, None)
    assert error(instagram.post(path, token, subscribed_fields="gossip"))[:2] == (400, 100)
    assert instagram.state()["subscriptions"] == [{"app": "IG-APP-1", "account": ANI, "fields": ["comments"]}]
    refused = instagram.delete(path, "IG-APP-1|IG-SECRET-1")
    assert error(refused)[:2] == (400, 190)
    assert "does not contain a valid app ID" in refused.json()["error"]["message"]
    assert error(instagram.delete(path, instagram.connect(account=BUDI))) == (400, 100, 33)
    assert len(instagram.state()["subscriptions"]) == 1
    assert instagram.delete(path, token).json() == {"success": True}
    assert instagram.state()["subscriptions"] == []


def test_deleting_permissions_is_unsupported_and_ends_nothing(instagram: App) -> None:
    """§3.2."""
    token = instagram.connect()
    assert error(instagram.delete("/me/permissions", token)) == (400, 100, 33)
    assert instagram.get("/me", token).status_code == 200


def test_quirk_delete_permissions(instagram: App) -> None:
    token, short = instagram.connect(), instagram.short()["access_token"]
    instagram.quirk(delete_permissions=True)
    assert instagram.delete("/v26.0/me/permissions", token).json() == {"success": True}
    assert error(instagram.get("/me", token)) == (400, 190, 458)
    assert error(instagram.get("/me", short)) == (400, 190, 458)
    assert instagram.state()["authorizations"] == []


def test_quirk_bare_true(instagram: App) -> None:
    token = instagram.connect()
    instagram.quirk(bare_true=True, delete_permissions=True)
    assert instagram.delete("/me/subscribed_apps", token).json() is True
    assert instagram.delete("/me/permissions", token).json() is True


def test_writing_is_not_played(instagram: App) -> None:
    token = instagram.connect()
    answer = instagram.post(f"/{ANI}/media", token, image_url="https://shop.example/1.jpg")
    assert error(answer)[:2] == (400, 100)


def test_the_method_parameter_stands_for_the_method(instagram: App) -> None:
    """§4.4: the way past a check of methods."""
    token = instagram.connect()
    instagram.post(f"/{ANI}/subscribed_apps", token, subscribed_fields="comments")
    assert instagram.get(f"/{ANI}/subscribed_apps", token, method="delete").status_code == 200
    assert instagram.state()["subscriptions"] == []


def test_answers_tell_how_much_of_its_limit_the_app_used(instagram: App) -> None:
    instagram.quirk(usage=85)
    usage = json.loads(instagram.get("/me", instagram.connect()).headers["X-App-Usage"])
    assert usage == {"call_count": 85, "total_time": 85, "total_cputime": 85}


@pytest.mark.parametrize(("value", "held"), [("half", 5), ("empty", 0)])
def test_quirk_pages(instagram: App, value: str, held: int) -> None:
    """§6.3: a page may be short or empty and still have a next one."""
    instagram.quirk(pages=value)
    pages = all_of(instagram, "/me/media", instagram.connect(), limit=10)
    assert len(pages[0]) == held
    assert len({post["id"] for page in pages for post in page}) == 300
