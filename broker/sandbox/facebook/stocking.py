"""People, Pages and records; a part of what a test can call (steering.py).

- `POST /_sandbox/accounts` `{"email", "first_name"?, "last_name"?, "address"?, "pages"?}`: makes an account or changes
  it; with `count` instead of `email` so many new ones → `{"accounts"}`
- `POST /_sandbox/pages` `{"account", "page"?, "name"?, "portfolio"?, "instagram"?, "posts"?, …}`: makes a Page of the
  account, or changes how much one holds → `{"page"}`
- `POST /_sandbox/records` `{"page", "post" or "comment" or "lead" or "message", "of"?}`: adds one of this moment, and
  with `id` in it changes one; `{"page", "delete"}` deletes it → `{"id"}`
"""

import re
from dataclasses import dataclass

from flask import Blueprint, Response, abort, jsonify

from broker.sandbox.control import given, number, refused, text
from broker.sandbox.facebook import seed_posts, seed_sales
from broker.sandbox.facebook.nodes import IDS
from broker.sandbox.facebook.seed import TASKS, Business, Page, Person, user_id
from broker.sandbox.facebook.state import facebook
from broker.sandbox.facebook.steering import account, page
from broker.sandbox.graph import digits
from broker.sandbox.graph_paging import Record, Series, moment

CONTROL = Blueprint("stocking", __name__, url_prefix="/_sandbox")

for _status in (400, 404, 415):
    CONTROL.register_error_handler(_status, refused)


# --- people --------------------------------------------------------------------------------------------------


@CONTROL.post("/accounts")
def make_accounts() -> Response:
    body = given()
    with facebook().lock:
        if "count" in body:
            first = len(facebook().people) + 1
            wanted = [f"user{first + n}@example.com" for n in range(number(body, "count", 0, most=10_000))]
        else:
            wanted = [text(body, "email", "")]
        made = [_person(email, body) for email in wanted]
        ids = {app.id for app in facebook().apps}
        shown = [{"email": p.key, "user_ids": {app: user_id(app, p.key) for app in sorted(ids)}} for p in made]
    return jsonify(accounts=shown)


def _person(email: str, body: Record) -> Person:
    """`address`: false takes the valid e-mail address away (H6, H7). `pages`: so many, with a post each."""
    if "@" not in email:
        abort(400, "email is an address")
    first, last = seed_posts.somebody(len(facebook().people)).split()
    person = facebook().people.setdefault(email, Person(email, first, last, email))
    person.first_name = text(body, "first_name", person.first_name)
    person.last_name = text(body, "last_name", person.last_name)
    if "address" in body:
        person.email = email if body["address"] else None
    for _ in range(number(body, "pages", 0, most=1000) - len(facebook().pages_of(person))):
        _new_page(person, {}).holds(posts=1, leads=0, conversations=0)
    return person


# --- Pages ---------------------------------------------------------------------------------------------------


@CONTROL.post("/pages")
def make_page() -> Response:
    """`posts`, `leads` of the first form, `conversations`: how many it holds. `comments` of the newest post and
    `messages` of the newest conversation likewise."""
    body = given()
    with facebook().lock:
        meant = page() if "page" in body else _new_page(account(), body)
        meant.name = text(body, "name", meant.name)
        if "posts" in body:
            meant.posts.resize(number(body, "posts", 0))
        if "leads" in body:
            meant.forms.resize(max(len(meant.forms), 1))
            meant.leads(1).resize(number(body, "leads", 0))
        if "conversations" in body:
            meant.talks["messenger"].resize(number(body, "conversations", 0))
        if "comments" in body:
            meant.comments(_newest(meant.posts)).resize(number(body, "comments", 0))
        if "messages" in body:
            talk = _newest(meant.talks["messenger"])
            meant.messages("messenger", talk).resize(number(body, "messages", 0, most=999_999))
        return jsonify(page={"id": meant.id, "name": meant.name, "instagram": meant.instagram})


def _newest(series: Series) -> int:
    return next(series.below(None), 0) or abort(400, "the Page has none")


def _new_page(person: Person, body: Record) -> Page:
    """`portfolio`: the person holds it by way of a business portfolio alone (H1)."""
    ordinal = max((held.ordinal for held in facebook().pages.values()), default=0) + 1
    made = Page(f"1048200177{ordinal:05}", f"Toko {ordinal}", "Retail Company", ordinal)
    made.roles[person.key] = frozenset(TASKS)
    if body.get("portfolio") is True:
        if person.business is None:
            person.business = digits(15, "business", person.key)
            facebook().businesses[person.business] = Business(person.business, f"{person.first_name} Business")
        made.portfolio = person.business
    if body.get("instagram") is True:
        made.instagram = ("1784" + digits(13, "instagram", made.id), f"toko{ordinal}")
    facebook().pages[made.id] = made
    return made


# --- records -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Place:
    """Where records of a kind stand, and what the next one would be like."""

    series: Series
    example: Record


@CONTROL.post("/records")
def change_record() -> Response:
    """`of`: the id of the post, form or conversation; else the newest post or conversation, and the first form."""
    body = given()
    with facebook().lock:
        if "delete" in body:
            return jsonify(id=_deleted(str(body["delete"])))
        kind = next((name for name in _PLACES if isinstance(body.get(name), dict)), "")
        fields = body[kind] if kind else abort(400, f"name one of: {', '.join(_PLACES)}")
        if "id" in fields:
            return jsonify(id=_changed(str(fields["id"]), fields))
        place, now = _PLACES[kind](page(), str(body.get("of") or "")), facebook().clock()
        record = {**place.example, "created_time": moment(now), **fields}
        if kind == "post":
            record["updated_time"] = moment(now)
        place.series.add(record, now)
        if kind == "message":
            _told_in_talk(page(), record)
        if kind == "comment":
            _told_in_post(page(), record)
        return jsonify(id=record["id"])


def _told_in_talk(meant: Page, record: Record) -> None:
    """The conversation says that it changed; its place in the list stays."""
    which, _, talk, _ = _within("message", record["id"])
    talks = meant.talks[seed_sales.PLATFORMS[which - 1]]
    held = talks.get(talk) or {}
    news = {"updated_time": record["created_time"], "snippet": record["message"]}
    talks.change(talk, {**held, **news, "message_count": held["message_count"] + 1})


def _told_in_post(meant: Page, record: Record) -> None:
    """A comment moves the time of the post's last change."""
    _, post, _ = _within("comment", record["id"])
    meant.posts.change(post, {**(meant.posts.get(post) or {}), "updated_time": record["created_time"]})


def _within(kind: str, object_id: str) -> list[int]:
    """The numbers in an id of this kind."""
    match = IDS[kind].fullmatch(object_id) or abort(404, f"there is no such {kind}")
    return [int(found) for found in match.groups()]


def _posts(meant: Page, _of: str) -> _Place:
    """By the Page itself, whatever the number."""
    record = seed_posts.post(meant.id, meant.ordinal, meant.posts.top + 1)
    return _Place(meant.posts, {name: value for name, value in record.items() if name != "visitor"})


def _comments(meant: Page, of: str) -> _Place:
    post = _within("post", of)[1] if of else _newest(meant.posts)
    series = meant.comments(post)
    return _Place(series, seed_posts.comment(meant.ordinal, post, series.top + 1))


def _leads(meant: Page, of: str) -> _Place:
    form = _within("form", of)[1] if of else 1
    series = meant.leads(form)
    return _Place(series, seed_sales.lead(meant.ordinal, form, series.top + 1))


def _messages(meant: Page, of: str) -> _Place:
    platform, talk = "messenger", 0
    if of:
        which, _, talk = _within("talk", of)
        platform = seed_sales.PLATFORMS[which - 1]
    talk = talk or _newest(meant.talks[platform])
    series = meant.messages(platform, talk)
    made = seed_sales.message(meant.ordinal, meant.id, meant.name, platform, talk, series.top + 1)
    return _Place(series, made)


_PLACES = {"post": _posts, "comment": _comments, "lead": _leads, "message": _messages}


def _found(object_id: str) -> tuple[Series, int]:
    for kind in _PLACES:
        if (match := IDS[kind].fullmatch(object_id)) and not re.match("m_", object_id):
            ordinal, *numbers = (int(found) for found in match.groups())
            meant = facebook().page_numbered(ordinal) or abort(404, "there is no such Page")
            of = {"comment": meant.comments, "lead": meant.leads}.get(kind)
            series = of(numbers[0]) if of else meant.posts
            if series.get(numbers[-1]) is not None:
                return series, numbers[-1]
    return abort(404, "there is no such post, comment or lead")


def _changed(object_id: str, fields: Record) -> str:
    series, place = _found(object_id)
    series.change(place, {**(series.get(place) or {}), **fields})
    return object_id


def _deleted(object_id: str) -> str:
    series, place = _found(object_id)
    series.delete(place)
    return object_id
