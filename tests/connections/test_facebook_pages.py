"""Facebook's Pages: which the user opened, and their tokens: docs/facts/meta.md §1.6, §1.8, §6.3, §8."""

from typing import Any

import pytest

from broker.sandbox.facebook.seed import ANI_PAGE, CATERING_PAGE, CITRA, CITRA_PAGE, KOPI_PAGE
from tests.connections.insight import holds
from tests.house import House, SalesApp
from tests.meta import ANI, Facebook

PAGES = "facebook_pages"
IMPERSONATING = ["pages_read_engagement", "pages_show_list"]


@pytest.fixture
def house(meta: House, facebook: Facebook) -> House:
    return meta


def connect(app: SalesApp, *chosen: str, pages: tuple[str, ...] = (), **how: Any) -> dict[str, Any]:
    """`pages`: those ticked at Facebook, none named = all; `chosen`: those given at confirm."""
    assets = {"assets": {PAGES: list(chosen)}} if chosen else {}
    return app.connect(PAGES, provider="facebook", pages=pages, **{"account": ANI, **assets, **how})


def offered(app: SalesApp, connection: dict[str, Any]) -> list[str]:
    items = app.call("GET", f"/v1/connections/{connection['id']}/assets/{PAGES}").json()["items"]
    return [item["id"] for item in items]


def choose(app: SalesApp, connection: dict[str, Any], *ids: str) -> Any:
    return app.call("PUT", f"/v1/connections/{connection['id']}/assets/{PAGES}", {"assets": list(ids)})


def read(app: SalesApp, connection: dict[str, Any], page: str | None = None, **params: Any) -> Any:
    return app.records(connection["id"], PAGES, **({"asset": page} if page else {}), **params)


def a_day_later(app: SalesApp, house: House) -> None:
    house.clock.advance(days=1)
    app._token = ""
    house.work()


# --- which Pages ---------------------------------------------------------------------------------------------


def test_no_target_ids_is_no_limit(app: SalesApp) -> None:
    """§1.8, H5: granted for all, the key is left out."""
    assert offered(app, connect(app)) == [ANI_PAGE, CATERING_PAGE, KOPI_PAGE]


@pytest.mark.parametrize("form", ["empty", "absent"])
def test_an_empty_list_or_none_at_all_is_no_limit_either(form: str, app: SalesApp, facebook: Facebook) -> None:
    """§1.8: some see an empty list."""
    facebook.quirk(granular_scopes=form)
    assert offered(app, connect(app)) == [ANI_PAGE, CATERING_PAGE, KOPI_PAGE]


def test_target_ids_are_the_bound(app: SalesApp) -> None:
    """§1.8: only these, whatever else the person manages."""
    connection = connect(app, pages=(ANI_PAGE, KOPI_PAGE))
    assert offered(app, connection) == [ANI_PAGE, KOPI_PAGE]
    assert choose(app, connection, CATERING_PAGE).json()["code"] == "not_granted"


def test_pages_held_by_way_of_a_portfolio_come_by_their_target_ids(app: SalesApp) -> None:
    """H1: /me/accounts is 200 and empty, though the Page was granted and works."""
    connection = connect(app, account=CITRA, pages=(CITRA_PAGE,))
    assert offered(app, connection) == [CITRA_PAGE]
    choose(app, connection, CITRA_PAGE)
    assert read(app, connection).json()["records"]


def test_a_listing_that_is_empty_does_not_hide_a_granted_page(app: SalesApp, facebook: Facebook) -> None:
    """H1."""
    facebook.quirk(empty_accounts=True)
    assert offered(app, connect(app, pages=(ANI_PAGE,))) == [ANI_PAGE]


def test_pages_that_nobody_ticked_are_not_offered(app: SalesApp, facebook: Facebook) -> None:
    """H2: the business edges show such, so they are never asked; one that is asked for is dropped, and told."""
    facebook.quirk(extra_scopes=["business_management"])
    returned = app.pending(PAGES, provider="facebook", account=ANI, pages=(ANI_PAGE,))
    answer = app.confirm(returned, assets={PAGES: [ANI_PAGE, KOPI_PAGE]}).json()
    connection = answer["connection"]
    assert [asset["id"] for asset in connection["grants"][0]["assets"]] == [ANI_PAGE]
    assert KOPI_PAGE in str(answer["errors"])
    assert read(app, connection, KOPI_PAGE).json()["code"] == "not_granted"
    assert not [entry for entry in facebook.requests() if "business" in entry["path"] or "owned" in entry["path"]]


def test_no_page_is_chosen_for_the_user(app: SalesApp) -> None:
    """H4: "all Pages" that turns out to be the first one."""
    connection = connect(app)
    assert connection["grants"][0]["assets"] is None
    assert read(app, connection).json()["code"] == "asset_required"
    assert read(app, connection, ANI_PAGE).json()["code"] == "not_granted"


# --- read again ----------------------------------------------------------------------------------------------


def test_a_page_taken_away_at_facebook_leaves_the_grant(app: SalesApp, house: House, facebook: Facebook) -> None:
    """§1.8; design decision 2: a later report can only take away."""
    connection = connect(app, ANI_PAGE, CATERING_PAGE)
    facebook.control("permissions", {"account": ANI, "pages": [CATERING_PAGE, KOPI_PAGE]})
    a_day_later(app, house)
    assert offered(app, connection) == [CATERING_PAGE, KOPI_PAGE]
    assert read(app, connection, ANI_PAGE).json()["code"] == "not_granted"
    assert read(app, connection).json()["records"]


def test_a_page_given_back_at_facebook_takes_a_new_consent_here(
    app: SalesApp, house: House, facebook: Facebook
) -> None:
    connection = connect(app, ANI_PAGE, CATERING_PAGE)
    facebook.control("permissions", {"account": ANI, "pages": [CATERING_PAGE]})
    a_day_later(app, house)
    facebook.control("permissions", {"account": ANI, "pages": None})
    a_day_later(app, house)
    assert offered(app, connection) == [CATERING_PAGE]
    assert choose(app, connection, ANI_PAGE).json()["code"] == "not_granted"
    again = connect(app, ANI_PAGE, pages=(ANI_PAGE,), connection=connection["id"])
    assert read(app, again).json()["records"]


def test_a_new_consent_without_a_page_ends_that_page_alone(app: SalesApp, house: House, facebook: Facebook) -> None:
    """H3: the choice at Facebook is one for the person and the app; agencies share one login."""
    agency = house.client(tenants=("warung",), tenant="warung")
    mine, theirs = connect(app, ANI_PAGE), connect(agency, ANI_PAGE, CATERING_PAGE)
    connect(agency, CATERING_PAGE, pages=(CATERING_PAGE,), connection=theirs["id"])
    assert read(app, mine).json()["code"] in ("insufficient_scope", "not_granted", "asset_required")
    a_day_later(app, house)
    agency._token = ""
    assert app.connection(mine["id"])["state"] == "active"
    assert ANI_PAGE not in offered(app, mine)
    assert read(app, mine).json()["code"] == "asset_required"
    assert read(agency, theirs).json()["records"]


# --- their tokens --------------------------------------------------------------------------------------------


def page_tokens(facebook: Facebook) -> list[str]:
    return [token["value"] for token in facebook.state()["live_tokens"]["page"]]


def test_a_pages_posts_are_read_with_its_own_token_which_nobody_sees(
    app: SalesApp, house: House, facebook: Facebook
) -> None:
    """§1.6: derived here, kept sealed, never handed out."""
    connection = connect(app, ANI_PAGE)
    first, second = read(app, connection, limit=5), read(app, connection, limit=5)
    (token,) = page_tokens(facebook)
    used = [entry["token"] for entry in facebook.requests(f"/v26.0/{ANI_PAGE}/posts")]
    assert used == [token, token]
    assert len(facebook.requests(f"/v26.0/{ANI_PAGE}")) == 3
    assert not holds(house, token)
    assert token not in first.text + second.text + str(app.connection(connection["id"]))


def test_pages_are_listed_without_their_tokens(app: SalesApp, facebook: Facebook) -> None:
    """§4.1: the default answer of /me/accounts holds them, so fields are always named."""
    connect(app, ANI_PAGE)
    queries = [entry["query"] for entry in facebook.requests("/v26.0/me/accounts")]
    assert queries
    assert all("fields=" in query and "access_token" not in query for query in queries)
    assert page_tokens(facebook) == []


def test_a_pages_token_goes_with_the_users(app: SalesApp, house: House, facebook: Facebook) -> None:
    """§1.6: a renewed user token makes it anew."""
    connection = connect(app, ANI_PAGE)
    read(app, connection)
    house.clock.advance(days=51)
    app._token = ""
    house.work()
    assert read(app, connection).status_code == 200
    used = [entry["token"] for entry in facebook.requests(f"/v26.0/{ANI_PAGE}/posts")]
    assert len(set(used)) == 2


def test_a_pages_token_that_died_alone_is_made_anew_once(app: SalesApp, house: House, facebook: Facebook) -> None:
    """H8, 190 for a Page token: the user's token lives, so nothing ends; a second refusal is not tried again."""
    connection = connect(app, ANI_PAGE)
    read(app, connection)
    facebook.control("kill", {"why": "invalid", "tokens": "page"})
    before = len(facebook.requests())
    answer = read(app, connection)
    assert app.connection(connection["id"])["state"] == "active"
    assert answer.json()["code"] == "insufficient_scope"
    assert len(facebook.requests()) - before <= 8


def test_a_lost_role_ends_that_page_alone(app: SalesApp, facebook: Facebook) -> None:
    """§6.1, 190/492."""
    connection = connect(app, ANI_PAGE, CATERING_PAGE)
    read(app, connection, ANI_PAGE)
    facebook.control("role", {"account": ANI, "page": ANI_PAGE, "tasks": []})
    answer = read(app, connection, ANI_PAGE).json()
    assert (answer["code"], answer["source"]) == ("not_granted", "provider")
    assert offered(app, connection) == [CATERING_PAGE, KOPI_PAGE]
    assert read(app, connection).json()["records"]
    assert app.connection(connection["id"])["state"] == "active"


def test_a_role_lost_before_the_first_reading_ends_that_page_alone(app: SalesApp, facebook: Facebook) -> None:
    """§6.1, 100/33: there is no Page token to be had."""
    connection = connect(app, ANI_PAGE, CATERING_PAGE)
    facebook.control("role", {"account": ANI, "page": ANI_PAGE, "tasks": []})
    assert read(app, connection, ANI_PAGE).json()["code"] == "not_granted"
    assert read(app, connection, CATERING_PAGE).json()["records"]


def test_a_missing_page_permission_is_no_dead_token(app: SalesApp, facebook: Facebook) -> None:
    """§6.1: "must be granted before impersonating a user's page" comes as 190; H9."""
    connection = connect(app, ANI_PAGE)
    facebook.control("permissions", {"account": ANI, "take": IMPERSONATING})
    answer = read(app, connection).json()
    assert (answer["code"], answer["missing_scopes"]) == ("insufficient_scope", IMPERSONATING)
    assert app.connection(connection["id"])["state"] == "active"


# --- page by page --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [None, "half", "empty"])
def test_paging_goes_by_cursors_and_never_by_the_address_with_a_token(
    form: str | None, app: SalesApp, facebook: Facebook
) -> None:
    """§6.3: `paging.next` has `access_token=` in it; a page may be short or empty and have a next one."""
    facebook.quirk(pages=form)
    connection = connect(app, ANI_PAGE)
    ids, cursor, texts = [], None, ""
    for _ in range(12):
        answer = read(app, connection, limit=60, **({"cursor": cursor} if cursor else {}))
        body = answer.json()
        ids += [record["id"] for record in body["records"]]
        texts, cursor = texts + answer.text, body["next_cursor"]
        if not body["has_more"]:
            break
    assert len(ids) == len(set(ids)) == sum(1 for _ in facebook_posts(facebook, connection))
    assert "access_token" not in texts
    assert not [entry for entry in facebook.requests() if "access_token=" in entry["query"]]


def facebook_posts(facebook: Facebook, connection: dict[str, Any]) -> list[str]:
    """What the Page has published itself, as Facebook tells it to whoever asks for all at once."""
    (token,) = page_tokens(facebook)
    url: str | None = f"{facebook.url}/v26.0/{ANI_PAGE}/posts?limit=100&fields=id"
    found: list[str] = []
    facebook.quirk(pages=None)
    while url:
        body = facebook.http.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=10).json()
        found += [post["id"] for post in body["data"]]
        after = body.get("paging", {}).get("cursors", {}).get("after")
        url = f"{url.partition('&after')[0]}&after={after}" if "next" in body.get("paging", {}) else None
    return found
