"""Graph's addresses: an id alone tells what an object is, and its edges hang below it (docs/facts/meta.md §4)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, request

from broker.sandbox.facebook import comments, insights, pages, sales, users
from broker.sandbox.facebook.access import Caller, caller
from broker.sandbox.facebook.seed import Page, Person
from broker.sandbox.facebook.seed_posts import COMMENT_NUMBER, POST_NUMBER, REPLY_NUMBER
from broker.sandbox.facebook.seed_sales import FORM_NUMBER, LEAD_NUMBER, PLATFORMS
from broker.sandbox.facebook.state import facebook
from broker.sandbox.graph import GraphError, not_found

API = Blueprint("nodes", __name__)

IDS = {
    "post": re.compile(rf"\d+_{POST_NUMBER}(\d{{5}})(\d{{7}})"),
    "comment": re.compile(rf"{POST_NUMBER}(\d{{5}})(\d{{7}})_{COMMENT_NUMBER}(\d{{9}})"),
    "reply": re.compile(rf"{POST_NUMBER}(\d{{5}})(\d{{7}})_{REPLY_NUMBER}(\d{{6}})(\d{{3}})"),
    "form": re.compile(rf"{FORM_NUMBER}(\d{{5}})(\d{{8}})"),
    "lead": re.compile(rf"{LEAD_NUMBER}(\d{{5}})(\d{{3}})(\d{{7}})"),
    "talk": re.compile(r"t_([12])(\d{5})(\d{10})"),
    "message": re.compile(r"m_([12])(\d{5})(\d{10})(\d{6})"),
}


@dataclass(frozen=True)
class Node:
    """What an id stands for: its kind, and what finds it."""

    kind: str
    place: tuple[Any, ...]


Answer = Callable[..., Response]

OBJECTS: dict[str, Answer] = {
    "user": users.user,
    "page": pages.page,
    "post": pages.post,
    "comment": comments.comment,
    "reply": comments.reply,
    "form": sales.form,
    "lead": sales.lead,
    "talk": sales.talk,
    "message": sales.message,
}
"""Called with the caller and the place."""

EDGES: dict[tuple[str, str], Answer] = {
    ("user", "accounts"): lambda found, _: users.accounts(found),
    ("user", "businesses"): lambda found, _: users.businesses(found),
    ("business", "owned_pages"): lambda found, business: users.business_pages(found, business, "owned_pages"),
    ("business", "client_pages"): lambda found, business: users.business_pages(found, business, "client_pages"),
    ("page", "posts"): lambda found, page: pages.posts(found, page, "posts"),
    ("page", "published_posts"): lambda found, page: pages.posts(found, page, "published_posts"),
    ("page", "feed"): lambda found, page: pages.posts(found, page, "feed"),
    ("page", "tagged"): lambda found, page: pages.posts(found, page, "tagged"),
    ("page", "visitor_posts"): lambda found, page: pages.posts(found, page, "visitor_posts"),
    ("page", "insights"): lambda found, page: insights.insights(found, page, None),
    ("page", "leadgen_forms"): sales.forms,
    ("page", "conversations"): sales.talks,
    ("post", "comments"): comments.comments,
    ("comment", "comments"): comments.replies,
    ("form", "leads"): sales.leads,
    ("talk", "messages"): sales.messages,
}


@API.get("/<node>")
def one(node: str) -> Response:
    with facebook().lock:
        found = caller()
        meant = _meant(found, node)
        if meant.kind not in OBJECTS:
            raise not_found(node)
        return OBJECTS[meant.kind](found, *meant.place)


@API.route("/<node>/permissions", methods=["GET", "DELETE"])
@API.delete("/<node>/permissions/<permission>")
def permissions(node: str, permission: str | None = None) -> Response:
    """The grant itself: it can be read and ended when data access is over, too."""
    with facebook().lock:
        found = caller(lively=False)
        meant = _meant(found, node)
        if meant.kind != "user":
            raise not_found(node, request.method)
        if request.method == "GET":
            return users.permissions(found, *meant.place)
        person: Person = meant.place[0]
        return users.revoke(found, person, permission or request.values.get("permission"))


@API.route("/<node>/subscribed_apps", methods=["GET", "POST", "DELETE"])
def subscriptions(node: str) -> Response:
    with facebook().lock:
        found = caller()
        meant = _meant(found, node)
        if meant.kind != "page":
            raise not_found(node, request.method)
        return pages.subscriptions(found, *meant.place)


@API.get("/<node>/insights/<metric>")
def one_metric(node: str, metric: str) -> Response:
    with facebook().lock:
        found = caller()
        meant = _meant(found, node)
        if meant.kind != "page":
            raise not_found(node)
        page: Page = meant.place[0]
        return insights.insights(found, page, metric)


@API.get("/<node>/<edge>")
def edge(node: str, edge: str) -> Response:
    with facebook().lock:
        found = caller()
        meant = _meant(found, node)
        if (answer := EDGES.get((meant.kind, edge))) is None:
            message = f"(#100) Tried accessing nonexisting field ({edge}) on node type ({meant.kind.title()})"
            raise GraphError(100, message)
        return answer(found, *meant.place)


def _meant(found: Caller, node: str) -> Node:
    """Raises `GraphError`: what is not there and what is not visible look alike."""
    if node == "me":
        return _me(found)
    if page := facebook().page(node):
        return Node("page", (page,))
    if person := facebook().person_of(found.app.id, node):
        return Node("user", (person,))
    if node in facebook().businesses:
        return Node("business", (node,))
    for kind, pattern in IDS.items():
        if match := pattern.fullmatch(node):
            return _below(node, kind, match.groups())
    raise not_found(node, request.method)


def _me(found: Caller) -> Node:
    if found.user.kind == "PAGE":
        return Node("page", (facebook().pages[found.user.page or ""],))
    person: Person = found.person
    return Node("user", (person,))


def _below(node: str, kind: str, numbers: tuple[str, ...]) -> Node:
    platform: tuple[str, ...] = ()
    if kind in ("talk", "message"):
        platform, numbers = (PLATFORMS[int(numbers[0]) - 1],), numbers[1:]
    page: Page | None = facebook().page_numbered(int(numbers[0]))
    if page is None:
        raise not_found(node, request.method)
    return Node(kind, (page, *platform, *(int(number) for number in numbers[1:])))
