"""Facebook's and Instagram's Graph through the relay: what each form gives, how ids are held to what was granted, and
the ways round a check of the path (docs/facts/meta.md §4.4, docs/facts/security.md §6.4)."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.meta import ANI, ANI_AT_INSTAGRAM, BUDI
from tests.records.meta import ANIS_PAGES, BUDIS_PAGE
from tests.relay.conftest import Relay

GRAPH, INSTAGRAM = "graph.facebook.com/v26.0", "graph.instagram.com/v26.0"
MINE, ANOTHER = ANIS_PAGES[:2]


@pytest.fixture
def on_page(at_facebook: Callable[..., Relay]) -> Callable[[str], Relay]:
    """A connector of a Page, with one of Ani's Pages chosen."""
    return lambda connector: at_facebook(connector, account=ANI, assets={connector: [MINE]})


@pytest.fixture
def mine(at_instagram: Callable[..., Relay]) -> Callable[[str], Relay]:
    return lambda connector: at_instagram(connector, account=ANI_AT_INSTAGRAM)


def members(listed: list[dict[str, Any]]) -> set[str]:
    return {name for one in listed for name in one}


def walked(relay: Relay, target: str) -> list[dict[str, Any]]:
    """Every record, by the addresses of further pages, which are the relay's own."""
    found: list[dict[str, Any]] = []
    address = f"{relay.app.url}{relay.base}{target}"
    while address:
        assert address.startswith(f"{relay.app.url}{relay.base}graph.")
        answer = relay.at(address.removeprefix(relay.app.url))
        assert answer.status == 200, answer.text
        found += answer.body["data"]
        address = answer.body["paging"].get("next")
    return found


def leads_of(account: str, page: str, at_facebook: Callable[..., Relay]) -> list[str]:
    """The ids of a Page's forms, as its owner's relay lists them."""
    relay = at_facebook("facebook_leads", account=account, assets={"facebook_leads": [page]})
    return [form["id"] for form in relay.ask(f"{GRAPH}/{page}/leadgen_forms")["data"]]


# --- what is given -------------------------------------------------------------------------------------------


def test_every_post_of_a_page_is_read_page_by_page_without_a_token(on_page: Callable[[str], Relay]) -> None:
    relay = on_page("facebook_pages")
    posts = walked(relay, f"{GRAPH}/{MINE}/posts?fields=message,created_time&limit=90")
    assert len({post["id"] for post in posts}) == len(posts) > 200
    assert members(posts) == {"id", "message", "created_time"}


def test_an_address_of_a_further_page_holds_nothing_but_what_was_asked(on_page: Callable[[str], Relay]) -> None:
    relay = on_page("facebook_pages")
    first = relay.ask(f"{GRAPH}/{MINE}/posts?fields=message&limit=2")
    after = first["paging"]["cursors"]["after"]
    base = f"{relay.app.url}{relay.base}{GRAPH}/{MINE}/posts"
    assert first["paging"] == {"cursors": {"after": after}, "next": f"{base}?fields=message%2Cid&limit=2&after={after}"}


def test_exactly_these_bytes_go_out(on_page: Callable[[str], Relay]) -> None:
    relay = on_page("facebook_pages")
    relay.ask(f"{GRAPH}/{MINE}/posts?fields=message&limit=2")
    relay.ask(f"{GRAPH}/{MINE}/posts?fields=message&limit=2&since=1700000000")
    (line,) = relay.lines()
    assert line.startswith(f"GET /v26.0/{MINE}/posts?fields=message%2Cid&limit=2&since=1700000000&appsecret_proof=")


def test_of_the_pages_to_choose_from_only_those_chosen_are_told(on_page: Callable[[str], Relay]) -> None:
    assert on_page("facebook_pages").ask(f"{GRAPH}/me/accounts")["data"] == [{"id": MINE, "name": "Toko Ani"}]


def test_leads_are_read_below_their_form_of_which_only_the_id_is_told(on_page: Callable[[str], Relay]) -> None:
    relay = on_page("facebook_leads")
    forms = relay.ask(f"{GRAPH}/{MINE}/leadgen_forms")["data"]
    assert members(forms) == {"id"}
    paths = [f"{GRAPH}/{form['id']}/leads?fields=field_data,created_time&limit=5" for form in forms]
    leads = [lead for path in paths for lead in relay.ask(path)["data"]]
    assert members(leads) == {"id", "field_data", "created_time"}


def test_comments_and_messages_are_read_below_what_they_hang_on(on_page: Callable[[str], Relay]) -> None:
    comments, inbox = on_page("facebook_comments"), on_page("facebook_inbox")
    post = comments.ask(f"{GRAPH}/{MINE}/posts?limit=1")["data"][0]["id"]
    assert members(comments.ask(f"{GRAPH}/{post}/comments?order=chronological")["data"]) >= {"message", "from"}
    conversation = inbox.ask(f"{GRAPH}/{MINE}/conversations?limit=1")["data"][0]["id"]
    messages = inbox.ask(f"{GRAPH}/{conversation}/messages?fields=message,from{{name}}")["data"]
    assert members(messages) == {"id", "message", "from"}
    assert {name for message in messages for name in message["from"]} == {"name"}


def test_instagrams_forms_are_given(mine: Callable[[str], Relay]) -> None:
    profile = mine("instagram_profile").ask(f"{INSTAGRAM}/me?fields=username")
    assert profile == {"username": "ani.wijaya", "user_id": profile["user_id"]}
    media = walked(mine("instagram_media"), f"{INSTAGRAM}/me/media?fields=caption&limit=100")
    assert len(media) == 300
    figures = mine("instagram_insights").ask(f"{INSTAGRAM}/me/insights?metric=reach,views&period=day")["data"]
    assert [figure["name"] for figure in figures] == ["reach", "views"]


def test_comments_at_instagram_come_with_their_answers(mine: Callable[[str], Relay]) -> None:
    relay = mine("instagram_comments")
    media = relay.ask(f"{INSTAGRAM}/me/media?limit=1")["data"][0]["id"]
    comments = walked(relay, f"{INSTAGRAM}/{media}/comments?fields=text,replies{{id,text}}")
    answers = [answer for comment in comments for answer in comment.get("replies", {"data": []})["data"]]
    assert members(comments) == {"id", "text", "replies"}
    assert members(answers) == {"id", "text"}


def test_messages_at_instagram_come_with_their_conversation(mine: Callable[[str], Relay]) -> None:
    relay = mine("instagram_inbox")
    conversation = relay.ask(f"{INSTAGRAM}/me/conversations?limit=1")["data"][0]["id"]
    found = relay.ask(f"{INSTAGRAM}/{conversation}")
    assert found["id"] == conversation
    assert members(found["messages"]["data"]) == {"id", "message", "from", "to", "created_time"}


# --- ids -----------------------------------------------------------------------------------------------------


def test_a_page_that_was_not_chosen_is_refused(on_page: Callable[[str], Relay]) -> None:
    relay = on_page("facebook_pages")
    relay.refused(f"{GRAPH}/{ANOTHER}/posts")
    relay.refused(f"{GRAPH}/{BUDIS_PAGE}/posts")
    relay.refused(f"{GRAPH}/me/posts")


def test_a_form_of_another_page_is_refused_though_the_token_opens_it(
    on_page: Callable[[str], Relay], at_facebook: Callable[..., Relay]
) -> None:
    (form, *_) = leads_of(BUDI, BUDIS_PAGE, at_facebook)
    relay = on_page("facebook_leads")
    answer = relay.get(f"{GRAPH}/{form}/leads")
    assert answer.code == "operation_denied"
    assert not [line for line in relay.lines() if form in line]


def test_an_id_that_another_connection_was_handed_is_refused(
    on_page: Callable[[str], Relay], at_facebook: Callable[..., Relay]
) -> None:
    forms = leads_of(ANI, MINE, at_facebook)
    budis = at_facebook("facebook_leads", account=BUDI, assets={"facebook_leads": [BUDIS_PAGE]})
    assert budis.get(f"{GRAPH}/{forms[0]}/leads").code == "operation_denied"


def test_an_id_is_looked_up_once_and_then_known(on_page: Callable[[str], Relay]) -> None:
    relay = on_page("facebook_comments")
    posts = relay.ask(f"{GRAPH}/{MINE}/posts?limit=2")["data"]
    paths = []
    for post in posts:
        relay.ask(f"{GRAPH}/{post['id']}/comments")
        paths.append([line.split(" ")[1].partition("?")[0] for line in relay.lines()])
    assert paths == [
        [f"/v26.0/{MINE}/posts", f"/v26.0/{posts[0]['id']}/comments"],
        [f"/v26.0/{posts[1]['id']}/comments"],
    ]


def test_a_post_of_another_kind_of_id_is_refused_and_never_asked_for(on_page: Callable[[str], Relay]) -> None:
    relay = on_page("facebook_comments")
    for other in (ANOTHER, MINE, f"{ANOTHER}_1", "1"):
        assert relay.get(f"{GRAPH}/{other}/comments").code == "operation_denied"
        assert not [line for line in relay.lines() if "/comments" in line]


# --- ways round ----------------------------------------------------------------------------------------------

QUERIES = {
    "1 nested edges": "fields=message,comments{from,message}",
    "1 nested edges of others": "fields=message,conversations{messages}",
    "1 deep": "fields=" + "from{" * 12 + "id" + "}" * 12,
    "1 a larger limit": "fields=message.limit(5000)",
    "1 another name": "fields=message.as(x)",
    "1 an order": "fields=message.order(chronological)",
    "1 a summary": "fields=message.summary(true)",
    "1 a field beyond the grant": "fields=message,story",
    "1 a field whose name begins alike": "fields=message_tags",
    "1 a field in other case": "fields=Message",
    "1 every field": "fields=*",
    "1 no field": "fields=",
    "1 a blank": "fields=message,%20id",
    "1 unbalanced": "fields=from{id",
    "1 very long": "fields=" + ",".join(["message"] * 200),
    "2 method": "method=delete",
    "2 method in capitals": "METHOD=DELETE",
    "3 batch": "batch=%5B%7B%22method%22:%22GET%22,%22relative_url%22:%22me%22%7D%5D",
    "3 several ids": f"ids={ANIS_PAGES[1]}",
    "3 an id": f"id={ANIS_PAGES[1]}",
    "4 a token": "access_token=EAAforeign",
    "4 a proof": "appsecret_proof=00",
    "4 a secret": "client_secret=x",
    "4 a token to look at": "input_token=EAAforeign",
    "4 JSONP": "callback=x",
    "4 debug": "debug=all",
    "4 metadata": "metadata=1",
    "4 no statuses": "suppress_http_code=1",
    "4 transport": "transport=cors",
    "4 introspection": "introspect=1",
    "4 redirect": "redirect=true",
    "4 a token of pages": "__paging_token=x",
    "4 locale": "locale=id_ID",
    "5 a token as a field": "fields=access_token",
    "5 a token, deeper": "fields=from{access_token}",
    "5 tokens of Pages": "fields=accounts{access_token}",
    "6 an address as a cursor": "after=https://graph.facebook.com/me?access_token=x",
    "a page of the past": "before=x",
    "a limit that is none": "limit=all",
    "a limit beyond the most": "limit=101",
    "a limit of nothing": "limit=0",
}
PATHS = {
    "2 permissions": "me/permissions",
    "5 Pages with their tokens": "me/accounts?fields=access_token",
    "5 what a token is": "debug_token?input_token=EAAx",
    "5 a new token": "oauth/access_token?grant_type=fb_exchange_token",
    "5 the app": "app",
    "5 a device": "device/login",
    "7 a node of any kind": MINE,
    "7 its roles": f"{MINE}/roles",
    "7 its subscribed apps": f"{MINE}/subscribed_apps",
    "8 businesses": "me/businesses",
    "search": "search?q=toko",
    "oembed": "oembed_page?url=x",
    "the root": "",
    "several ids at the root": f"?ids={MINE}",
}


def test_no_query_leads_round_the_grant(on_page: Callable[[str], Relay]) -> None:
    relay = on_page("facebook_pages")
    relay.ask(f"{GRAPH}/{MINE}/posts?limit=1")
    for name, query in QUERIES.items():
        answer = relay.get(f"{GRAPH}/{MINE}/posts?{query}")
        assert (answer.code in ("operation_denied", "invalid_request"), relay.lines()) == (True, []), (
            name,
            answer.text,
        )


def test_no_path_leads_round_the_grant(on_page: Callable[[str], Relay]) -> None:
    relay = on_page("facebook_pages")
    for name, path in PATHS.items():
        assert relay.get(f"{GRAPH}/{path}").code == "operation_denied", name
    for host in (
        "graph.facebook.com",
        "graph.facebook.com/v19.0",
        "graph.facebook.com/v26.0/v26.0",
        "www.facebook.com",
    ):
        assert relay.get(f"{host}/{MINE}/posts").code == "operation_denied", host
    assert relay.lines() == []


def test_no_token_is_in_any_answer(on_page: Callable[[str], Relay], mine: Callable[[str], Relay]) -> None:
    relay = on_page("facebook_pages")
    texts = [relay.get(f"{GRAPH}/{path}").text for path in (f"{MINE}/posts?limit=3", "me/accounts")]
    texts += [mine("instagram_media").get(f"{INSTAGRAM}/me/media?limit=3").text]
    for text in texts:
        assert not [word for word in ("access_token", "EAA", "IGQ", "appsecret") if word in text]
