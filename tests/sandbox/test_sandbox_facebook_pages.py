"""Pages, posts, comments, leads, inbox: who may read what, page by page. docs/facts/meta.md §4.1, §6.3."""

from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.sandbox.facebook_client import (
    ANI,
    ANI_INSTAGRAM,
    ANI_PAGE,
    BUDI_PAGE,
    CATERING_PAGE,
    CITRA,
    CITRA_BUSINESS,
    CITRA_PAGE,
    EVERY,
    KOPI_PAGE,
    FacebookApp,
    error,
)

POST = f"{ANI_PAGE}_122000010000299"
VISITORS_POST = f"{ANI_PAGE}_122000010000300"
COMMENT = "122000010000299_181000000001"
FORM, LEAD = "330000100000001", "44000010010000250"
TALK, MESSAGE = "t_1000010000000040", "m_1000010000000040000001"
DIRECT_TALK = "t_2000010000000008"

# --- Pages ---------------------------------------------------------------------------------------------------


def test_the_list_of_pages_hands_out_tokens_by_itself(facebook: FacebookApp) -> None:
    found = facebook.data("/me/accounts", facebook.connect())
    assert [page["id"] for page in found] == [ANI_PAGE, CATERING_PAGE, KOPI_PAGE]
    assert found[0].keys() == {"access_token", "category", "category_list", "name", "id", "tasks"}


def test_the_list_of_pages_honours_fields(facebook: FacebookApp) -> None:
    assert facebook.data("/me/accounts", facebook.connect(), fields="id,name")[0].keys() == {"id", "name"}


def test_the_list_of_pages_needs_its_permission(facebook: FacebookApp) -> None:
    assert error(facebook.get("/me/accounts", facebook.connect("email")))[1] == 200


def test_only_chosen_pages_are_listed(facebook: FacebookApp) -> None:
    token = facebook.connect(pages=[KOPI_PAGE])
    assert [page["id"] for page in facebook.data("/me/accounts", token)] == [KOPI_PAGE]


def test_the_list_of_pages_can_be_empty_though_pages_were_granted(facebook: FacebookApp) -> None:
    token = facebook.connect(pages=[KOPI_PAGE])
    facebook.quirk(empty_accounts=True)
    answer = facebook.get("/me/accounts", token)
    assert (answer.status_code, answer.json()) == (200, {"data": []})
    assert facebook.get(f"/{KOPI_PAGE}", token, fields="name,access_token").status_code == 200


def test_a_page_held_by_way_of_a_portfolio_is_granted_and_not_listed(facebook: FacebookApp) -> None:
    """H1."""
    token = facebook.connect(account=CITRA, pages=[CITRA_PAGE])
    assert facebook.data("/me/accounts", token) == []
    granular = {entry["scope"]: entry.get("target_ids") for entry in facebook.debug(token)["granular_scopes"]}
    assert granular["pages_read_engagement"] == [CITRA_PAGE]
    assert facebook.data(f"/{CITRA_PAGE}/posts", facebook.page_token(token, CITRA_PAGE))


def test_business_edges_show_pages_that_nobody_chose_without_their_token(facebook: FacebookApp) -> None:
    """H2."""
    other = facebook.told("pages", {"account": CITRA, "portfolio": True})["page"]["id"]
    token = facebook.connect(*EVERY, "business_management", account=CITRA, pages=[CITRA_PAGE])
    assert [entry["id"] for entry in facebook.data("/me/businesses", token)] == [CITRA_BUSINESS]
    pages = facebook.data(f"/{CITRA_BUSINESS}/owned_pages", token, fields="id,access_token")
    assert [(page["id"], "access_token" in page) for page in pages] == [(CITRA_PAGE, True), (other, False)]


def test_business_edges_need_their_permission(facebook: FacebookApp) -> None:
    token = facebook.connect(account=CITRA)
    assert error(facebook.get("/me/businesses", token))[1] == 200
    assert error(facebook.get(f"/{CITRA_BUSINESS}/owned_pages", token))[1] == 200


def test_a_portfolio_of_somebody_else_is_not_there(facebook: FacebookApp) -> None:
    token = facebook.connect("business_management", "pages_show_list")
    assert error(facebook.get(f"/{CITRA_BUSINESS}/owned_pages", token)) == (400, 100, 33)


def test_a_page_token_is_the_same_string_each_time(facebook: FacebookApp) -> None:
    token = facebook.connect()
    assert facebook.page_token(token) == facebook.page_token(token)
    assert facebook.page_token(token) != facebook.page_token(token, KOPI_PAGE)


@pytest.mark.parametrize(
    "permission",
    [
        *("pages_read_engagement", "pages_manage_metadata", "pages_read_user_content"),
        *("pages_manage_ads", "pages_show_list", "pages_messaging"),
    ],
)
def test_any_one_of_six_permissions_yields_a_page_token(facebook: FacebookApp, permission: str) -> None:
    answer = facebook.get(f"/{ANI_PAGE}", facebook.connect(permission), fields="access_token")
    assert "access_token" in answer.json()


def test_without_any_of_them_the_refusal_looks_like_a_dead_token(facebook: FacebookApp) -> None:
    token = facebook.connect("email", "instagram_basic")
    answer = facebook.get(f"/{ANI_PAGE}", token, fields="access_token")
    assert error(answer) == (400, 190, None)
    assert "must be granted before impersonating a user's page" in answer.json()["error"]["message"]
    assert facebook.debug(token)["is_valid"]


def test_a_page_of_somebody_else_is_not_there(facebook: FacebookApp) -> None:
    assert error(facebook.get(f"/{BUDI_PAGE}", facebook.connect(), fields="access_token")) == (400, 100, 33)


def test_a_page_token_is_its_page(facebook: FacebookApp) -> None:
    token = facebook.of_page()
    assert facebook.get("/me", token).json() == {"id": ANI_PAGE, "name": "Toko Ani"}
    assert error(facebook.get(f"/{KOPI_PAGE}/posts", token))[1] == 10


def test_the_instagram_account_shows_to_whom_may_see_it(facebook: FacebookApp) -> None:
    both = facebook.connect("pages_show_list", "instagram_basic")
    asked = {"fields": "name,instagram_business_account"}
    assert facebook.get(f"/{ANI_PAGE}", both, **asked).json()["instagram_business_account"] == {"id": ANI_INSTAGRAM}
    facebook.told("permissions", {"account": ANI, "take": ["instagram_basic"]})
    assert "instagram_business_account" not in facebook.get(f"/{ANI_PAGE}", both, **asked).json()


def test_a_lost_role_ends_the_token_of_that_page_alone(facebook: FacebookApp) -> None:
    token = facebook.connect()
    lost, kept = facebook.page_token(token), facebook.page_token(token, KOPI_PAGE)
    facebook.told("role", {"account": ANI, "page": ANI_PAGE, "tasks": []})
    assert error(facebook.get(f"/{ANI_PAGE}/posts", lost)) == (400, 190, 492)
    assert facebook.get(f"/{KOPI_PAGE}/posts", kept).status_code == 200
    assert facebook.get("/me", token).status_code == 200


# --- which permissions a call needs --------------------------------------------------------------------------

LEADS = ("leads_retrieval", "pages_manage_ads", "pages_read_engagement", "pages_show_list", "ads_management")
INBOX = ("pages_messaging", "pages_manage_metadata", "pages_read_engagement")
NEEDED = [
    (f"/{ANI_PAGE}?fields=about", ("pages_read_engagement",)),
    (f"/{ANI_PAGE}/posts", ("pages_read_engagement",)),
    (f"/{ANI_PAGE}/published_posts", ("pages_read_engagement",)),
    (f"/{POST}", ("pages_read_engagement",)),
    (f"/{VISITORS_POST}", ("pages_read_engagement", "pages_read_user_content")),
    (f"/{ANI_PAGE}/feed", ("pages_read_engagement", "pages_read_user_content")),
    (f"/{ANI_PAGE}/visitor_posts", ("pages_read_engagement", "pages_read_user_content")),
    (f"/{POST}/comments", ("pages_read_user_content", "pages_read_engagement")),
    (f"/{ANI_PAGE}/posts?fields=comments{{message}}", ("pages_read_user_content", "pages_read_engagement")),
    (f"/{COMMENT}", ("pages_read_user_content", "pages_read_engagement")),
    (f"/{ANI_PAGE}/insights?metric=page_follows", ("read_insights", "pages_read_engagement", "pages_show_list")),
    (f"/{ANI_PAGE}/insights/page_follows", ("read_insights", "pages_read_engagement", "pages_show_list")),
    (f"/{ANI_PAGE}/conversations", INBOX),
    (f"/{TALK}", INBOX),
    (f"/{TALK}/messages", INBOX),
    (f"/{MESSAGE}", INBOX),
    (
        f"/{ANI_PAGE}/conversations?platform=instagram",
        ("instagram_basic", "instagram_manage_messages", "pages_manage_metadata"),
    ),
    (f"/{DIRECT_TALK}/messages", ("instagram_basic", "instagram_manage_messages", "pages_manage_metadata")),
    (f"/{ANI_PAGE}/subscribed_apps", ("pages_manage_metadata", "pages_show_list")),
    (f"/{ANI_PAGE}/leadgen_forms", ("pages_manage_ads", "pages_show_list", "pages_read_engagement")),
    (f"/{ANI_PAGE}/leadgen_forms?fields=leads_count", LEADS),
    (f"/{FORM}/leads", LEADS),
    (f"/{LEAD}", LEADS),
]


@pytest.mark.parametrize(("path", "permissions"), NEEDED)
def test_a_call_needs_each_of_its_permissions_and_no_other(
    facebook: FacebookApp, path: str, permissions: Sequence[str]
) -> None:
    """One more keeps the Page token itself alive: without any of six it is refused as a whole."""
    alive = "pages_messaging" if "pages_messaging" not in permissions else "pages_manage_ads"
    token = facebook.of_page(*permissions, alive)
    assert facebook.get(path, token).status_code == 200
    for permission in permissions:
        facebook.told("permissions", {"account": ANI, "take": [permission]})
        assert facebook.get(path, token).json()["error"]["code"] in (10, 200), permission
        facebook.told("permissions", {"account": ANI, "give": [permission]})


@pytest.mark.parametrize("path", [path for path, _ in NEEDED if not path.startswith((f"/{FORM}", f"/{LEAD}"))])
def test_data_of_a_page_needs_its_own_token(facebook: FacebookApp, path: str) -> None:
    assert error(facebook.get(path, facebook.connect()))[:2] == (403, 210)


@pytest.mark.parametrize("path", [f"/{FORM}/leads", f"/{LEAD}"])
def test_leads_open_to_the_persons_own_token_too(facebook: FacebookApp, path: str) -> None:
    assert facebook.get(path, facebook.connect()).status_code == 200


def test_a_user_token_may_be_refused_like_a_dead_one(facebook: FacebookApp) -> None:
    facebook.quirk(page_token_error=190)
    assert error(facebook.get(f"/{ANI_PAGE}/posts", facebook.connect())) == (400, 190, None)


def test_a_permission_counts_for_the_pages_that_it_was_given_for(facebook: FacebookApp) -> None:
    token = facebook.connect()
    kopi = facebook.page_token(token, KOPI_PAGE)
    facebook.told("permissions", {"account": ANI, "pages": [ANI_PAGE]})
    assert error(facebook.get(f"/{KOPI_PAGE}/posts", kopi)) == (400, 190, None)
    assert facebook.get(f"/{ANI_PAGE}/posts", facebook.page_token(token)).status_code == 200


def test_the_inbox_of_instagram_needs_its_account(facebook: FacebookApp) -> None:
    token = facebook.of_page()
    facebook.told("permissions", {"account": ANI, "instagram": [ANI_INSTAGRAM]})
    assert facebook.get(f"/{ANI_PAGE}/conversations", token, platform="instagram").status_code == 200
    facebook.told("permissions", {"account": ANI, "instagram": ["1"]})
    assert error(facebook.get(f"/{ANI_PAGE}/conversations", token, platform="instagram"))[1] == 10
    assert facebook.get(f"/{ANI_PAGE}/conversations", token).status_code == 200


@pytest.mark.parametrize(
    ("path", "task"),
    [
        (f"/{ANI_PAGE}/conversations", "MESSAGING"),
        (f"/{ANI_PAGE}/insights?metric=page_follows", "ANALYZE"),
        (f"/{ANI_PAGE}/leadgen_forms", "ADVERTISE"),
    ],
)
def test_the_person_needs_the_task(facebook: FacebookApp, path: str, task: str) -> None:
    token = facebook.of_page()
    facebook.told("role", {"account": ANI, "page": ANI_PAGE, "tasks": ["CREATE_CONTENT"]})
    assert error(facebook.get(path, token))[1] == 200
    facebook.told("role", {"account": ANI, "page": ANI_PAGE, "tasks": [task]})
    assert facebook.get(path, token).status_code == 200


@pytest.mark.parametrize("code", [3, 10, 283])
def test_a_missing_permission_has_several_codes(facebook: FacebookApp, code: int) -> None:
    token = facebook.of_page("pages_show_list")
    facebook.quirk(permission_error=code)
    assert error(facebook.get(f"/{ANI_PAGE}/posts", token))[1] == code


# --- posts and comments --------------------------------------------------------------------------------------


def test_posts_are_by_the_page_and_the_feed_has_the_visitors_too(facebook: FacebookApp) -> None:
    token = facebook.of_page()
    posts = facebook.all(f"/{ANI_PAGE}/posts", token, fields="id,from", limit=100)
    feed = facebook.all(f"/{ANI_PAGE}/feed", token, fields="id,from", limit=100)
    visitors = facebook.all(f"/{ANI_PAGE}/visitor_posts", token, fields="id,from", limit=100)
    assert (len(posts), len(feed), len(visitors)) == (240, 300, 60)
    assert {post["from"]["id"] for post in posts} == {ANI_PAGE}
    assert ANI_PAGE not in {post["from"]["id"] for post in visitors}
    assert {post["id"] for post in posts} | {post["id"] for post in visitors} == {post["id"] for post in feed}


def test_posts_come_newest_first_each_once(facebook: FacebookApp) -> None:
    found = facebook.all(f"/{ANI_PAGE}/feed", facebook.of_page(), limit=7)
    times = [post["created_time"] for post in found]
    assert times == sorted(times, reverse=True)
    assert len({post["id"] for post in found}) == 300


def test_a_page_of_posts_is_25_by_itself_and_100_at_most(facebook: FacebookApp) -> None:
    token = facebook.of_page()
    assert len(facebook.data(f"/{ANI_PAGE}/feed", token)) == 25
    assert len(facebook.data(f"/{ANI_PAGE}/feed", token, limit=1000)) == 100


def test_next_is_an_absolute_address_with_the_token_and_without_the_proof(facebook: FacebookApp) -> None:
    token = facebook.of_page()
    query = {"fields": "id", "limit": 5, **facebook.proof(token)}
    page = facebook.get(f"/{ANI_PAGE}/posts", token, **query).json()
    following = urlsplit(page["paging"]["next"])
    assert (following.scheme, following.netloc, following.path) == (
        "https",
        "graph.facebook.com",
        f"/v26.0/{ANI_PAGE}/posts",
    )
    assert {name: value[0] for name, value in parse_qs(following.query).items()} == {
        "access_token": token,
        "fields": "id",
        "limit": "5",
        "after": page["paging"]["cursors"]["after"],
    }


def test_next_leads_to_the_next_page(facebook: FacebookApp) -> None:
    token = facebook.of_page()
    page = facebook.get(f"/{ANI_PAGE}/feed", token, limit=5).json()
    following = urlsplit(page["paging"]["next"])
    second = facebook.http.get(f"{facebook.url}{following.path}?{following.query}").json()
    assert second["data"] == facebook.data(f"/{ANI_PAGE}/feed", token, limit=10)[5:]


def test_the_last_page_has_no_next(facebook: FacebookApp) -> None:
    token = facebook.of_page(page=KOPI_PAGE)
    for limit in (3, 25):
        page = facebook.get(f"/{KOPI_PAGE}/feed", token, limit=limit).json()
        assert (len(page["data"]), page["paging"].keys()) == (3, {"cursors"})


def test_before_leads_back(facebook: FacebookApp) -> None:
    token = facebook.of_page()
    first = facebook.get(f"/{ANI_PAGE}/feed", token, limit=5).json()
    second = facebook.get(f"/{ANI_PAGE}/feed", token, limit=5, after=first["paging"]["cursors"]["after"]).json()
    back = facebook.get(f"/{ANI_PAGE}/feed", token, limit=5, before=second["paging"]["cursors"]["before"]).json()
    assert back["data"] == first["data"]


def test_a_cursor_is_of_its_own_list(facebook: FacebookApp) -> None:
    token = facebook.of_page()
    after = facebook.get(f"/{ANI_PAGE}/feed", token).json()["paging"]["cursors"]["after"]
    for path, cursor in ((f"/{ANI_PAGE}/posts", after), (f"/{ANI_PAGE}/feed", "bm90aGluZw"), ("/me/feed", "ä")):
        assert error(facebook.get(path, token, after=cursor))[:2] == (400, 100)


def test_a_post_that_is_deleted_meanwhile_shifts_nothing(facebook: FacebookApp) -> None:
    token = facebook.of_page()
    first = facebook.get(f"/{ANI_PAGE}/feed", token, limit=5).json()
    expected = facebook.data(f"/{ANI_PAGE}/feed", token, limit=10)[5:]
    facebook.told("records", {"page": ANI_PAGE, "delete": first["data"][0]["id"]})
    facebook.told("records", {"page": ANI_PAGE, "post": {"message": "Baru"}})
    second = facebook.get(f"/{ANI_PAGE}/feed", token, limit=5, after=first["paging"]["cursors"]["after"]).json()
    assert second["data"] == expected


@pytest.mark.parametrize(("form", "length"), [("half", 5), ("empty", 0)])
def test_a_page_can_be_short_or_empty_and_have_a_next_one(facebook: FacebookApp, form: str, length: int) -> None:
    token = facebook.of_page()
    facebook.quirk(pages=form)
    page = facebook.get(f"/{ANI_PAGE}/feed", token, limit=10).json()
    assert (len(page["data"]), "next" in page["paging"]) == (length, True)
    assert len(facebook.all(f"/{ANI_PAGE}/feed", token, limit=10)) == 300


def test_since_and_until_limit_by_time(facebook: FacebookApp) -> None:
    token = facebook.of_page()
    every = facebook.all(f"/{ANI_PAGE}/feed", token, limit=100)
    since, until = "2026-10-01T00:00:00+0000", "2026-10-02T00:00:00+0000"
    expected = [post for post in every if since <= post["created_time"] <= until]
    assert 0 < len(expected) < 100
    assert facebook.all(f"/{ANI_PAGE}/feed", token, since=since, until=until, limit=10) == expected
    seconds = {"since": 1790812800, "until": 1790899200}
    assert facebook.all(f"/{ANI_PAGE}/feed", token, **seconds) == expected


@pytest.mark.parametrize("query", [{"limit": "many"}, {"limit": "-1"}, {"since": "yesterday?"}])
def test_a_malformed_window_is_refused(facebook: FacebookApp, query: dict[str, str]) -> None:
    assert error(facebook.get(f"/{ANI_PAGE}/feed", facebook.of_page(), **query))[:2] == (400, 100)


def test_comments_hang_on_their_post(facebook: FacebookApp) -> None:
    token = facebook.of_page()
    found = facebook.all(f"/{VISITORS_POST}/comments", token, limit=25)
    assert len({comment["id"] for comment in found}) == 60
    assert found[0].keys() == {"id", "created_time", "from", "message"}
    assert facebook.get(f"/{found[0]['id']}", token).json() == found[0]


def test_comments_can_stand_among_the_fields_of_a_post(facebook: FacebookApp) -> None:
    token = facebook.of_page()
    fields = "id,comments.limit(2).summary(true){message,from{name}}"
    comments = facebook.get(f"/{VISITORS_POST}", token, fields=fields).json()["comments"]
    assert [set(comment) for comment in comments["data"]] == [{"id", "message", "from"}] * 2
    assert comments["data"][0]["from"].keys() >= {"name"}
    assert comments["summary"]["total_count"] == 60
    following = urlsplit(comments["paging"]["next"])
    assert "access_token=" in following.query
    more = facebook.http.get(f"{facebook.url}{following.path}?{following.query}").json()["data"]
    assert [set(comment) for comment in more] == [{"id", "message", "from"}] * 2
    assert more[0]["id"] != comments["data"][0]["id"]


def test_comments_come_oldest_first_unless_told_otherwise(facebook: FacebookApp) -> None:
    token, path = facebook.of_page(), f"/{VISITORS_POST}/comments"
    found = facebook.all(path, token, limit=7)
    times = [comment["created_time"] for comment in found]
    assert (times, len(times)) == (sorted(times), 60)
    assert facebook.all(path, token, limit=7, order="reverse_chronological") == found[::-1]
    assert error(facebook.get(path, token, order="random"))[:2] == (400, 100)


@pytest.mark.parametrize("order", ["chronological", "reverse_chronological"])
@pytest.mark.parametrize("form", ["half", "empty"])
def test_short_pages_lose_no_comment_in_either_order(facebook: FacebookApp, order: str, form: str) -> None:
    token = facebook.of_page()
    facebook.quirk(pages=form)
    found = facebook.all(f"/{VISITORS_POST}/comments", token, limit=7, order=order)
    assert len({comment["id"] for comment in found}) == len(found) == 60


def test_answers_hang_beneath_a_comment_and_stand_in_the_stream(facebook: FacebookApp) -> None:
    token, path = facebook.of_page(), f"/{VISITORS_POST}/comments"
    comment = facebook.data(path, token, fields="id,comment_count,comments{message,parent}", limit=3)[2]
    assert comment["comment_count"] == 2
    answers = comment["comments"]["data"]
    assert [answer["parent"]["id"] for answer in answers] == [comment["id"]] * 2
    assert facebook.data(f"/{comment['id']}/comments", token, fields="message,parent") == answers
    assert facebook.get(f"/{answers[0]['id']}", token, fields="message,parent").json() == answers[0]
    stream = facebook.all(path, token, fields="created_time", filter="stream")
    assert len({entry["id"] for entry in stream}) == 60 + 40
    assert {answer["id"] for answer in answers} < {entry["id"] for entry in stream}
    assert [entry["created_time"] for entry in stream] == sorted(entry["created_time"] for entry in stream)


def test_comments_go_with_their_post(facebook: FacebookApp) -> None:
    token = facebook.of_page()
    facebook.told("records", {"page": ANI_PAGE, "delete": POST})
    for gone in (f"/{POST}", f"/{POST}/comments", f"/{COMMENT}"):
        assert error(facebook.get(gone, token)) == (400, 100, 33)


def test_an_unknown_field_of_an_edge_is_refused(facebook: FacebookApp) -> None:
    token = facebook.of_page()
    for path in (f"/{ANI_PAGE}/posts", f"/{POST}", f"/{POST}/comments", f"/{FORM}/leads", f"/{TALK}/messages"):
        assert error(facebook.get(path, token, fields="id,likes_of_my_aunt"))[:2] == (400, 100)
    assert error(facebook.get(f"/{POST}", token, fields="comments{secret}"))[:2] == (400, 100)


def test_an_edge_that_is_not_there_is_refused(facebook: FacebookApp) -> None:
    assert error(facebook.get(f"/{ANI_PAGE}/cats", facebook.of_page()))[:2] == (400, 100)
    assert error(facebook.http.put(f"{facebook.url}/me"))[:2] == (400, 100)


@pytest.mark.parametrize(
    "node",
    [
        f"{ANI_PAGE}_122000010000999",
        "122000010000299_181000000999",
        "330000100000009",
        "44000010010000999",
        "t_1000010000000999",
        "m_1000010000000040000999",
    ],
)
def test_a_number_beyond_the_last_is_not_there(facebook: FacebookApp, node: str) -> None:
    assert error(facebook.get(f"/{node}", facebook.of_page())) == (400, 100, 33)


def test_too_much_at_once_ends_with_500(facebook: FacebookApp) -> None:
    token = facebook.of_page()
    facebook.quirk(too_much_data=50)
    assert error(facebook.get(f"/{ANI_PAGE}/feed", token, limit=51))[:2] == (500, 1)
    assert len(facebook.data(f"/{ANI_PAGE}/feed", token, limit=50)) == 50


# --- leads ---------------------------------------------------------------------------------------------------


def test_leads_have_their_answers_and_the_ad(facebook: FacebookApp) -> None:
    token = facebook.of_page()
    forms = facebook.data(f"/{ANI_PAGE}/leadgen_forms", token, fields="id,name,leads_count")
    assert {form["id"]: form["leads_count"] for form in forms}[FORM] == 250
    found = facebook.all(f"/{FORM}/leads", token, fields="created_time,field_data,ad_id,is_organic", limit=100)
    assert len({lead["id"] for lead in found}) == 250
    assert [answer["name"] for answer in found[0]["field_data"]] == ["full_name", "email", "phone_number", "city"]
    assert {lead["is_organic"] for lead in found if "ad_id" not in lead} == {True}


def test_the_fields_of_the_ad_need_ads_management(facebook: FacebookApp) -> None:
    facebook.quirk(leads_without_ads=True)
    needed = [permission for permission in LEADS if permission != "ads_management"]
    found = facebook.data(f"/{FORM}/leads", facebook.of_page(*needed), fields="field_data,ad_id,campaign_name")
    assert {name for lead in found for name in lead} == {"id", "field_data"}


def test_leads_can_stand_among_the_fields_of_a_form(facebook: FacebookApp) -> None:
    token = facebook.of_page()
    leads = facebook.get(f"/{FORM}", token, fields="leads.limit(2){field_data}").json()["leads"]
    assert leads["data"] == facebook.data(f"/{FORM}/leads", token, fields="field_data", limit=2)
    facebook.told("permissions", {"account": ANI, "take": ["leads_retrieval"]})
    assert error(facebook.get(f"/{ANI_PAGE}/leadgen_forms", token, fields="leads{field_data}"))[1] == 200


def test_leads_can_be_filtered_by_time(facebook: FacebookApp) -> None:
    token = facebook.of_page()
    newest = facebook.data(f"/{FORM}/leads", token, limit=10)
    rule = '[{"field": "time_created", "operator": "%s", "value": 1793045400}]'
    later = facebook.all(f"/{FORM}/leads", token, filtering=rule % "GREATER_THAN")
    earlier = facebook.all(f"/{FORM}/leads", token, filtering=rule % "LESS_THAN_OR_EQUAL", limit=100)
    assert 0 < len(later) < 250
    assert later[: len(newest)] == newest[: len(later)]
    assert len(later) + len(earlier) == 250


@pytest.mark.parametrize(
    "rules", ["{", '[{"field": "time_created"}]', '[{"field": "id", "operator": "LESS_THAN", "value": 1}]', "[1]"]
)
def test_a_malformed_filter_is_refused(facebook: FacebookApp, rules: str) -> None:
    assert error(facebook.get(f"/{FORM}/leads", facebook.of_page(), filtering=rules))[:2] == (400, 100)


# --- inbox, statistics, subscriptions ------------------------------------------------------------------------


def test_conversations_hold_messages_of_both_sides(facebook: FacebookApp) -> None:
    token = facebook.of_page()
    talks = facebook.all(f"/{ANI_PAGE}/conversations", token, fields="id,participants,message_count")
    assert (len(talks), talks[0]["id"], talks[0]["message_count"]) == (40, TALK, 70)
    found = facebook.all(f"/{TALK}/messages", token, fields="message,from,to")
    assert len(found) == 70
    assert {ANI_PAGE} < {message["from"]["id"] for message in found}
    assert facebook.get(f"/{MESSAGE}", token, fields="message,from,to").json() == found[-1]


def test_the_inbox_of_instagram_is_another(facebook: FacebookApp) -> None:
    token = facebook.of_page()
    found = facebook.data(f"/{ANI_PAGE}/conversations", token, platform="instagram", fields="participants{username}")
    assert {talk["id"][:3] for talk in found} == {"t_2"}
    assert error(facebook.get(f"/{ANI_PAGE}/conversations", token, platform="letters"))[:2] == (400, 100)


def test_messages_can_stand_among_the_fields_of_a_conversation(facebook: FacebookApp) -> None:
    fields = "messages.limit(3){message,created_time}"
    found = facebook.get(f"/{TALK}", facebook.of_page(), fields=fields).json()["messages"]["data"]
    assert [set(message) for message in found] == [{"id", "message", "created_time"}] * 3


def test_statistics_are_by_day_and_span_ninety_days(facebook: FacebookApp) -> None:
    token = facebook.of_page()
    path, query = f"/{ANI_PAGE}/insights", {"metric": "page_follows,page_post_engagements"}
    found = facebook.get(path, token, **query).json()
    assert [(item["name"], len(item["values"])) for item in found["data"]] == [
        ("page_follows", 2),
        ("page_post_engagements", 2),
    ]
    assert "access_token=" in found["paging"]["next"]
    days = 90 * 24 * 3600
    until = 1_790_899_200
    assert facebook.get(path, token, **query, since=until - days, until=until).status_code == 200
    assert error(facebook.get(path, token, **query, since=until - days - 86400, until=until))[:2] == (400, 100)
    assert error(facebook.get(path, token, metric="page_fans"))[:2] == (400, 100)


def test_an_app_subscribes_to_a_page_and_leaves_it(facebook: FacebookApp) -> None:
    token = facebook.of_page()
    path = f"/{ANI_PAGE}/subscribed_apps"
    assert facebook.data(path, token) == []
    assert facebook.post(path, token, subscribed_fields="leadgen,messages").json() == {"success": True}
    assert facebook.data(path, token)[0]["subscribed_fields"] == ["leadgen", "messages"]
    assert facebook.delete(path, token).json() == {"success": True}
    assert facebook.data(path, token) == []


def test_a_subscription_to_leads_needs_what_leads_need(facebook: FacebookApp) -> None:
    token = facebook.of_page("pages_manage_metadata", "pages_show_list")
    path = f"/{ANI_PAGE}/subscribed_apps"
    assert facebook.post(path, token, subscribed_fields="feed").status_code == 200
    assert error(facebook.post(path, token, subscribed_fields="leadgen"))[1] == 200
    assert error(facebook.post(path, token, subscribed_fields="everything"))[:2] == (400, 100)
