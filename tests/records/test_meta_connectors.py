"""What every connector of Facebook and Instagram does, against the fakes: read to the end, read again, and keep to what
was granted (contract §4, docs/facts/meta.md §4)."""

import json
from collections.abc import Callable, Iterator

import pytest
from jsonschema import Draft202012Validator

from broker.app import load_connectors
from tests.house import Clock, House
from tests.meta import ANI, BUDI, BUDI_AT_INSTAGRAM, Facebook, Instagram
from tests.records.meta import ANIS_PAGES, BUDIS_PAGE, FACEBOOK, OF_PAGES, Sync, on_facebook, on_instagram

COUNTS = {
    "facebook_profile": 1,
    "facebook_pages": 7,
    "facebook_leads": 6,
    "facebook_inbox": 25,
    "facebook_comments": 17,
    "instagram_profile": 1,
    "instagram_media": 4,
    "instagram_comments": 12,
    "instagram_inbox": 20,
    "instagram_insights": 330,
}
"""What Budi has."""
GROWING = tuple(name for name in COUNTS if not name.endswith("_profile"))
"""Those whose later readings go on from the one before."""
DAY = {"days": 1}
each_connector = pytest.mark.parametrize("connector", COUNTS)


@pytest.fixture
def sync(request: pytest.FixtureRequest, connector: str) -> Sync:
    """Budi's connection at the connector's provider."""
    found: Sync = request.getfixturevalue("page" if connector in FACEBOOK else "account")
    return found


# --- full ----------------------------------------------------------------------------------------------------


@each_connector
def test_a_reading_to_the_end_gives_each_record_once_and_as_its_schema_says(connector: str, sync: Sync):
    run = sync.run(connector)
    published = load_connectors()[connector]
    assert len(run.ids) == len(set(run.ids)) == COUNTS[connector]
    assert not any(one["reset"] or one["withheld"] for one in run.pages)
    for record in run.records:
        Draft202012Validator(published.schema).validate(record)
        assert (record["type"], record["deleted"]) == (published.type, False)
        assert record["source"] == {"provider": published.provider, "account": sync.connection["account"]["id"]}


@each_connector
@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_pages_of_any_size_give_the_same(connector: str, sync: Sync, limit: int):
    assert sorted(sync.run(connector, limit=limit).ids) == sorted(sync.run(connector).ids)


@pytest.mark.parametrize(
    "connector", ["facebook_pages", "facebook_leads", "facebook_inbox", "facebook_comments", "instagram_media"]
)
def test_a_page_is_never_larger_than_its_limit(connector: str, sync: Sync):
    for limit in (1, 2, 3):
        run = sync.run(connector, limit=limit)
        assert max(len(one["records"]) for one in run.pages) == limit


@each_connector
@pytest.mark.parametrize("pages", ["half", "empty"])
def test_a_short_page_at_the_provider_is_not_the_end(connector: str, sync: Sync, pages: str):
    expected = sorted(sync.run(connector).ids)
    sync.provider.quirk(pages=pages)
    assert sorted(sync.run(connector).ids) == expected


@each_connector
def test_nothing_of_a_token_or_an_address_of_another_page_is_ever_handed_over(connector: str, sync: Sync):
    texts = [json.dumps(one) for one in sync.run(connector, limit=2 if connector != "instagram_insights" else 50).pages]
    live = sync.provider.state()["live_tokens"]
    tokens = [token["value"] for kind in live.values() for token in kind]
    assert tokens
    for text in texts:
        assert not [token for token in tokens if token in text]
        assert not [word for word in ("access_token", "paging", "graph.facebook", "graph.instagram") if word in text]


# --- again ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("connector", GROWING)
def test_a_later_reading_gives_nothing_where_nothing_is_new(connector: str, sync: Sync):
    cursor = sync.run(connector).cursor
    assert cursor
    for _ in range(2):
        again = sync.run(connector, cursor=cursor)
        assert again.records == []
        assert not again.pages[0]["reset"]
        cursor = again.cursor
        assert cursor


@pytest.mark.parametrize("connector", ["facebook_profile", "instagram_profile"])
def test_a_profile_is_read_anew_each_time(connector: str, sync: Sync):
    assert sync.run(connector).cursor is None


NEW: dict[str, Callable[[Sync], list[str]]] = {
    "facebook_pages": lambda sync: [sync.control("records", page=BUDIS_PAGE, post={"message": "Baru"})["id"]],
    "facebook_leads": lambda sync: [sync.control("records", page=BUDIS_PAGE, lead={})["id"] for _ in range(2)],
    "facebook_inbox": lambda sync: [sync.control("records", page=BUDIS_PAGE, message={"message": "Halo"})["id"]],
    "facebook_comments": lambda sync: [
        sync.control("records", page=BUDIS_PAGE, comment={}, of=post)["id"]
        for post in (f"{BUDIS_PAGE}_122000040000008", f"{BUDIS_PAGE}_122000040000001")
    ],
    "instagram_media": lambda sync: [sync.control("media", account=BUDI_AT_INSTAGRAM)["id"]],
    "instagram_comments": lambda sync: _comment_and_answer(sync),
    "instagram_inbox": lambda sync: [sync.control("records", account=BUDI_AT_INSTAGRAM, message={})["id"]],
}
"""Something happens at the provider: the ids of what is new."""


def _comment_and_answer(sync: Sync) -> list[str]:
    first = sync.control("records", account=BUDI_AT_INSTAGRAM, comment={})["id"]
    old = next(record["id"] for record in sync.run("instagram_comments").records if record["id"] != first)
    return [first, sync.control("records", account=BUDI_AT_INSTAGRAM, reply={"text": "Ya"}, of=old)["id"]]


@pytest.mark.parametrize("connector", NEW)
def test_a_later_reading_gives_what_is_new_and_the_one_after_it_nothing(connector: str, sync: Sync):
    before = sync.run(connector)
    sync.later(hours=1)
    expected = NEW[connector](sync)
    sync.later(minutes=5)
    changed = sync.run(connector, cursor=before.cursor)
    assert sorted(changed.ids) == sorted(expected)
    assert not changed.pages[0]["reset"]
    assert not set(expected) & set(before.ids)
    assert sync.run(connector, cursor=changed.cursor).records == []
    assert set(expected) <= set(sync.run(connector).ids)


def test_what_comes_about_while_a_reading_goes_on_is_not_lost(page: Sync):
    """Later readings begin a little before the one before them did."""
    first = page.ask("facebook_leads", limit=3).json()
    missed = page.control("records", page=BUDIS_PAGE, lead={})["id"]
    page.later(minutes=10)
    rest = page.run("facebook_leads", limit=3, cursor=first["next_cursor"])
    assert missed not in rest.ids
    assert page.run("facebook_leads", cursor=rest.cursor).ids == [missed]


def test_the_figures_of_a_new_day_come_with_those_that_may_have_been_late(account: Sync):
    before = account.run("instagram_insights")
    account.later(**DAY)
    after = account.run("instagram_insights", cursor=before.cursor)
    days = sorted({record["date"] for record in after.records})
    assert len(days) == 3
    assert days[-1] not in {record["date"] for record in before.records}
    assert set(days[:2]) <= {record["date"] for record in before.records}
    account.later(hours=1)
    assert len({record["date"] for record in before.records}) == 30


# --- reset ---------------------------------------------------------------------------------------------------

LISTS = {
    "facebook_pages": f"/{BUDIS_PAGE}/posts",
    "facebook_leads": "/33",
    "facebook_inbox": "/t_1",
    "facebook_comments": f"/{BUDIS_PAGE}_122",
    "instagram_media": "/me/media",
    "instagram_comments": "/179",
    "instagram_inbox": "/me/conversations",
    "instagram_insights": "/me/insights",
}
"""Where each is read, by the beginning of the path."""


@pytest.mark.parametrize("connector", [name for name in LISTS if name not in ("instagram_inbox", "instagram_insights")])
def test_a_cursor_that_the_provider_forgot_begins_the_reading_anew(connector: str, sync: Sync):
    """Cursors are not for keeping (docs/facts/meta.md §6.3)."""
    first = sync.ask(connector, limit=1).json()
    sync.provider.quirk(graph_error={LISTS[connector]: {"value": {"code": 100}, "times": 1}})
    anew = sync.ask(connector, limit=1, cursor=first["next_cursor"]).json()
    assert anew["reset"] is True
    assert anew["records"] == first["records"]
    run = sync.run(connector, cursor=anew["next_cursor"])
    assert not any(one["reset"] for one in run.pages)
    assert len({*run.ids, anew["records"][0]["id"]}) == COUNTS[connector]


@pytest.mark.parametrize("connector", ["facebook_pages", "facebook_leads", "instagram_comments"])
def test_a_refusal_that_a_new_reading_meets_again_is_the_providers_failure(connector: str, sync: Sync):
    """Code 100 is of a forgotten place, and of many other things (docs/facts/meta.md §6.1): anew is tried once."""
    cursor = sync.ask(connector, limit=1).json()["next_cursor"]
    sync.provider.quirk(graph_error={LISTS[connector]: {"value": {"code": 100}}})
    assert sync.refusal(connector) == (502, "provider_unavailable")
    assert sync.refusal(connector, cursor=cursor) == (502, "provider_unavailable")


# --- malformed -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("connector", LISTS)
@pytest.mark.parametrize("how", ["truncated", "empty", "no_members", "null", "list", "not_json", "other_types", "html"])
def test_a_malformed_answer_is_refused_whole(connector: str, sync: Sync, how: str):
    quirk = {"outage": {LISTS[connector]: "html"}} if how == "html" else {"malformed": {LISTS[connector]: how}}
    sync.provider.quirk(**quirk)
    answer = sync.ask(connector)
    assert (answer.status_code, answer.json()["code"]) == (502, "provider_unavailable"), answer.text


@pytest.mark.parametrize("connector", LISTS)
def test_an_outage_passes(connector: str, sync: Sync):
    sync.provider.quirk(outage={LISTS[connector]: {"value": 503, "times": 1}})
    answer = sync.ask(connector)
    assert (answer.status_code, answer.json()["retryable"]) == (502, True)
    assert len(sync.run(connector).ids) == COUNTS[connector]


# --- empty ---------------------------------------------------------------------------------------------------


@pytest.fixture
def nothing(request: pytest.FixtureRequest, connector: str, meta: House, clock: Clock) -> Iterator[Sync]:
    """A connection to a Page, or an account, that holds nothing."""
    if connector in FACEBOOK:
        facebook: Facebook = request.getfixturevalue("facebook")
        facebook.control("pages", {"page": BUDIS_PAGE, "posts": 0, "leads": 0, "conversations": 0})
        yield on_facebook(meta, facebook, clock, account=BUDI, page=BUDIS_PAGE)
    else:
        instagram: Instagram = request.getfixturevalue("instagram")
        instagram.control("accounts", {"username": BUDI_AT_INSTAGRAM, "media": 0, "conversations": 0})
        yield on_instagram(meta, instagram, clock, account=BUDI_AT_INSTAGRAM)


@pytest.mark.parametrize("connector", list(NEW))
def test_where_there_is_nothing_the_page_is_empty_and_a_later_reading_gives_the_first(connector: str, nothing: Sync):
    run = nothing.run(connector)
    assert (run.records, len(run.pages)) == ([], 1)
    assert run.cursor


# --- scopes --------------------------------------------------------------------------------------------------


NEEDED = {
    "facebook_pages": "pages_read_engagement pages_show_list",
    "facebook_leads": "leads_retrieval pages_manage_ads pages_read_engagement pages_show_list",
    "facebook_inbox": "pages_manage_metadata pages_messaging pages_read_engagement pages_show_list",
    "facebook_comments": "pages_read_engagement pages_read_user_content pages_show_list",
    "instagram_comments": "instagram_business_manage_comments",
    "instagram_inbox": "instagram_business_manage_messages",
    "instagram_insights": "instagram_business_manage_insights",
}
"""Beside what every connection has (docs/facts/meta.md §4)."""


@pytest.mark.parametrize(
    ("connector", "scope"), [(connector, scope) for connector, all_ in NEEDED.items() for scope in all_.split()]
)
def test_without_any_one_of_its_permissions_a_connector_reads_nothing(
    connector: str, scope: str, meta: House, facebook: Facebook, instagram: Instagram, clock: Clock
):
    """And the provider is not asked."""
    of_page = connector in OF_PAGES
    always = "facebook_profile" if of_page else "instagram_profile"
    app = meta.client()
    made = app.connect(
        always,
        connector,
        provider="facebook" if of_page else "instagram",
        account=BUDI if of_page else BUDI_AT_INSTAGRAM,
        without=[scope],
    )
    sync = Sync(app, made, facebook if of_page else instagram, clock)
    sync.forget()
    answer = sync.ask(connector, **({"asset": BUDIS_PAGE} if of_page else {}))
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
    assert (answer.json()["missing_scopes"], answer.json()["source"]) == ([scope], "broker")
    assert sync.asked() == []
    assert sync.run(always).records


# --- assets --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("connector", OF_PAGES)
def test_of_two_pages_chosen_each_is_read_and_the_third_is_not(
    connector: str, meta: House, facebook: Facebook, clock: Clock
):
    app = meta.client()
    two = list(ANIS_PAGES[1:])
    made = app.connect(connector, provider="facebook", account=ANI, assets={connector: two})
    sync = Sync(app, made, facebook, clock)
    sync.forget()
    assert sync.refusal(connector, asset=ANIS_PAGES[0]) == (403, "not_granted")
    assert sync.refusal(connector, asset=BUDIS_PAGE) == (403, "not_granted")
    assert sync.refusal(connector) == (400, "asset_required")
    assert sync.asked() == []
    for chosen in two:
        sync.forget()
        run = sync.run(connector, asset=chosen)
        assert {entry["path"].split("/")[2].split("_")[0] for entry in sync.asked(beginning="/v26.0/1048")} == {chosen}
        assert sync.refusal(connector, asset=next(one for one in two if one != chosen), cursor=run.cursor) == (
            400,
            "invalid_request",
        )


@pytest.mark.parametrize("connector", OF_PAGES)
def test_a_page_that_the_user_left_out_at_facebook_is_not_to_be_had(
    connector: str, meta: House, facebook: Facebook, clock: Clock
):
    app = meta.client()
    made = app.connect(
        connector,
        provider="facebook",
        account=ANI,
        pages=ANIS_PAGES[1:],
        assets={connector: [ANIS_PAGES[0], ANIS_PAGES[1]]},
    )
    sync = Sync(app, made, facebook, clock)
    assert sync.refusal(connector, asset=ANIS_PAGES[0]) == (403, "not_granted")
    sync.run(connector, asset=ANIS_PAGES[1])


# --- too much ------------------------------------------------------------------------------------------------


def test_what_is_too_much_at_once_is_asked_for_by_half(shop: Sync):
    """docs/facts/meta.md §6.1: code 1 with HTTP 500."""
    shop.provider.quirk(too_much_data=50)
    shop.forget()
    assert len(shop.ask("facebook_pages", limit=100).json()["records"]) == 50
    limits = [entry["query"].split("limit=")[1].split("&")[0] for entry in shop.asked(beginning="/v26.0/1048")]
    assert limits == ["100", "50"]
    assert len(set(shop.run("facebook_pages", limit=100).ids)) == 240


def test_what_is_too_much_even_by_half_is_refused_for_now(shop: Sync):
    shop.provider.quirk(too_much_data=10)
    shop.forget()
    answer = shop.ask("facebook_pages", limit=100)
    assert (answer.status_code, answer.json()["code"], answer.json()["retryable"]) == (
        502,
        "provider_unavailable",
        True,
    )
    assert len(shop.asked(beginning="/v26.0/1048")) == 2


def test_parents_and_what_is_below_them_are_asked_for_by_half_too(shop: Sync):
    shop.provider.quirk(too_much_data=30)
    assert len(set(shop.run("facebook_inbox", limit=60).ids)) == 334
    assert len(set(shop.run("facebook_leads", limit=60).ids)) == 255


@pytest.mark.parametrize("connector", ["facebook_comments", "facebook_inbox", "instagram_comments", "instagram_inbox"])
def test_a_cursor_fits_into_an_address(connector: str, request: pytest.FixtureRequest):
    """Most servers take 4,094 bytes for the first line of a request; ids and cursors may be longer than the fakes'."""
    sync: Sync = request.getfixturevalue("shop" if connector in FACEBOOK else "brand")
    cursor = None
    for _ in range(4):
        cursor = sync.ask(connector, limit=5, **({"cursor": cursor} if cursor else {})).json()["next_cursor"]
        assert len(cursor) < 3000


# --- huge ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("connector", "holds", "count"),
    [
        ("facebook_pages", {"posts": 5000}, 4000),
        ("facebook_leads", {"leads": 5000}, 5000),
        ("facebook_inbox", {"messages": 3000}, 3019),
        ("facebook_comments", {"comments": 1500}, 2500),
    ],
)
def test_thousands_are_read_page_by_page(connector: str, holds: dict[str, int], count: int, page: Sync):
    page.control("pages", page=BUDIS_PAGE, **holds)
    run = page.run(connector, limit=1000)
    assert len(set(run.ids)) == len(run.ids)
    assert len(run.ids) >= count


def test_thousands_of_posts_are_read_at_instagram(account: Sync):
    account.control("accounts", username=BUDI_AT_INSTAGRAM, media=3000)
    run = account.run("instagram_media", limit=1000)
    assert len(set(run.ids)) == len(run.ids) == 3000


def test_thousands_of_comments_are_read_at_instagram(account: Sync):
    account.control("media", account=BUDI_AT_INSTAGRAM, comments=1500)
    run = account.run("instagram_comments", limit=500)
    assert len(set(run.ids)) == len(run.ids) > 2000
