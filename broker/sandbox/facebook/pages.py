"""Pages: what they are, their posts, subscriptions to webhooks (docs/facts/meta.md §4.1)."""

from collections.abc import Sequence

from flask import Response, jsonify, request

from broker.sandbox.facebook.access import Caller, demand_of_page
from broker.sandbox.facebook.comments import nested_comments
from broker.sandbox.facebook.permissions import COMMENTS, ENGAGEMENT, FEED, LEADGEN, SUBSCRIPTIONS, listed
from broker.sandbox.facebook.reading import edge, fields_of
from broker.sandbox.facebook.seed import Page, page_record
from broker.sandbox.facebook.state import facebook
from broker.sandbox.graph import bad_parameter, digits, not_found
from broker.sandbox.graph_fields import Field, shown
from broker.sandbox.graph_paging import Record, Series

OF_PERSON = frozenset({"id", "name", "access_token", "tasks", "instagram_business_account"})
"""What a user token sees of a Page; all else needs a Page token."""
PAGE_FIELDS = OF_PERSON | frozenset(
    {
        *("category", "category_list", "about", "phone", "emails", "website", "location", "fan_count"),
        *("followers_count", "link", "username", "verification_status", "picture", "page_token"),
    }
)
POST_FIELDS = frozenset(
    {
        *("id", "created_time", "updated_time", "message", "permalink_url", "full_picture", "is_published"),
        *("status_type", "shares", "story", "from", "comments"),
    }
)
SUBSCRIBABLE = frozenset({"leadgen", "feed", "messages", "message_echoes", "conversations", "mention", "ratings"})


def page(found: Caller, page: Page) -> Response:
    fields = fields_of(("id", "name"), PAGE_FIELDS, "Page")
    names = {field.name for field in fields}
    _check_page(found, page, names)
    return jsonify(page_shown(found, page, fields))


def _check_page(found: Caller, page: Page, names: set[str]) -> None:
    if found.user.person not in page.roles:
        raise not_found(page.id)
    demand_of_page(found, page, ENGAGEMENT if names - OF_PERSON else (), by_user=not names - OF_PERSON)


def page_shown(found: Caller, page: Page, fields: Sequence[Field]) -> Record:
    """Its fields, without those that are silently absent."""
    record = page_record(page) | {"tasks": sorted(page.roles.get(found.user.person, ()))}
    names = {field.name for field in fields}
    if names & {"access_token", "page_token"} and found.user.kind != "PAGE":
        record["access_token"] = facebook().grants.page_token(found.user, page).value
    elif found.user.kind == "PAGE":
        record["access_token"] = found.user.value
    if "page_token" in names:
        record["page_token"] = record["access_token"]
    if page.instagram and _sees_instagram(found, page):
        record["instagram_business_account"] = {"id": page.instagram[0]}
    return shown(record, fields)


def _sees_instagram(found: Caller, page: Page) -> bool:
    assert page.instagram  # noqa: S101 - asked before
    grant = found.grant
    return grant.reaches("instagram_basic", page.instagram[0]) and grant.reaches("pages_show_list", page.id)


# --- posts ---------------------------------------------------------------------------------------------------

VISITORS = {"feed": (True, False), "tagged": (True,), "visitor_posts": (True,)}
"""Whether an edge holds what visitors wrote, and what the Page published; others hold the latter alone."""


def posts(found: Caller, page: Page, which: str) -> Response:
    demand_of_page(found, page, FEED if which in VISITORS else ENGAGEMENT)
    fields = _post_fields(found, page)
    wanted = VISITORS.get(which, (False,))
    answer = edge(
        page.posts,
        f"{page.id}/{which}",
        lambda number, record: _post(page, number, record, fields),
        chosen=lambda number: _by_visitor(page.posts, number) in wanted,
    )
    return jsonify(answer)


def _by_visitor(posts: Series, number: int) -> bool:
    return "visitor" in (posts.get(number) or {})


def _post_fields(found: Caller, page: Page) -> tuple[Field, ...]:
    """Comments among the fields need what the edge needs."""
    fields = fields_of(("created_time", "message", "id"), POST_FIELDS, "Post")
    if any(field.name == "comments" for field in fields):
        demand_of_page(found, page, COMMENTS)
    return fields


def _post(page: Page, number: int, record: Record, fields: Sequence[Field]) -> Record:
    visitor = record.get("visitor")
    author = {"id": page.id, "name": page.name}
    if visitor:
        author = {"id": digits(16, "commenter", visitor), "name": visitor}
    found = shown({**record, "from": author}, [field for field in fields if field.name != "comments"])
    for field in fields:
        if field.name == "comments":
            found["comments"] = nested_comments(page, number, record["id"], field)
    return found


def post(found: Caller, page: Page, number: int) -> Response:
    record = page.posts.get(number)
    if record is None:
        raise not_found(f"{page.id}_{number}")
    demand_of_page(found, page, FEED if "visitor" in record else ENGAGEMENT)
    return jsonify(_post(page, number, record, _post_fields(found, page)))


# --- subscriptions -------------------------------------------------------------------------------------------


def subscriptions(found: Caller, page: Page) -> Response:
    """Which app hears of what by webhook: GET, POST `subscribed_fields`, DELETE."""
    wanted = listed(request.values.get("subscribed_fields", ""))
    needed = LEADGEN if request.method == "POST" and "leadgen" in wanted else SUBSCRIPTIONS
    demand_of_page(found, page, needed, code=200)
    app = found.app.id
    if request.method == "GET":
        own = {"id": app, "name": app, "subscribed_fields": list(page.subscribed.get(app, ()))}
        return jsonify(data=[own] if app in page.subscribed else [])
    if request.method == "DELETE":
        page.subscribed.pop(app, None)
        return jsonify(success=True)
    if not wanted or not wanted <= SUBSCRIBABLE:
        raise bad_parameter("Param subscribed_fields must be of: " + ", ".join(sorted(SUBSCRIBABLE)))
    page.subscribed[app] = tuple(sorted(wanted))
    return jsonify(success=True)
