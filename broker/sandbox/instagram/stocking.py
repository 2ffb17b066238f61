"""How a test makes accounts, posts, comments and messages; a part of steering.py."""

from flask import Blueprint, Response, abort, jsonify

from broker.sandbox.control import given, number, refused, text
from broker.sandbox.graph_fields import Record
from broker.sandbox.graph_paging import moment
from broker.sandbox.instagram import seed, seed_media, seed_messages
from broker.sandbox.instagram.seed import Account
from broker.sandbox.instagram.state import instagram
from broker.sandbox.instagram.steering import account

CONTROL = Blueprint("stocking", __name__, url_prefix="/_sandbox")

for _status in (400, 404, 415):
    CONTROL.register_error_handler(_status, refused)

MOST_MEDIA, MOST_COMMENTS = 90_000, 9_999
"""As many as there are ids for."""


@CONTROL.post("/accounts")
def make_accounts() -> Response:
    body = given()
    with instagram().lock:
        if "count" in body:
            first = len(instagram().accounts) + 1
            names = [f"user{first + n}" for n in range(number(body, "count", 0, most=10_000))]
            made = [_filled(_found_or_made({**body, "username": name}), body) for name in names]
        else:
            made = [_filled(_found_or_made(body), body)]
        return jsonify(accounts=[one.described() for one in made])


def _found_or_made(body: Record) -> Account:
    username = text(body, "username", "")
    if found := instagram().account(username):
        return found
    if not username:
        abort(400, "username is a text")
    made = Account(
        id=seed.id_for(username),
        username=username,
        name=text(body, "name", username.title()),
        number=len(instagram().accounts) + 1,
        account_type=text(body, "account_type", "BUSINESS"),
        followers_count=number(body, "followers_count", 0),
    )
    instagram().add(made)
    return made


def _filled(made: Account, body: Record) -> Account:
    for name, fill in seed.FILL.items():
        if name in body:
            fill(made, number(body, name, 0, most=MOST_MEDIA))
    return made


@CONTROL.post("/media")
def change_media() -> Response:
    """{"account", "media": {"id"?, …fields}, "comments"?: how many it holds, "delete"?: true} → {"id"}."""
    body = given()
    fields = body.get("media", {})
    if not isinstance(fields, dict):
        abort(400, "media is a JSON object")
    with instagram().lock:
        holder = account()
        place = _numbered(holder, str(fields["id"])) if "id" in fields else _added(holder)
        if body.get("delete") is True:
            holder.media.delete(place)
        else:
            holder.media.change(place, {**(holder.media.get(place) or {}), **fields})
        if "comments" in body:
            holder.comments_of(place).resize(number(body, "comments", 0, most=MOST_COMMENTS))
    return jsonify(id=seed_media.media_id(holder.number, place))


def _numbered(holder: Account, object_id: str) -> int:
    kind, found = seed_media.numbers(object_id)
    if kind != "media" or found[0] != holder.number or holder.media.get(found[1]) is None:
        abort(404, "there is no such post")
    return found[1]


def _added(holder: Account) -> int:
    """A post of this moment."""
    now, place = instagram().clock(), holder.media.top + 1
    if place > MOST_MEDIA:
        abort(400, f"an account holds {MOST_MEDIA} posts at most")
    record = seed_media.media(holder.username, holder.number, place)
    return holder.media.add({**record, "timestamp": moment(now)}, now)


# --- comments and messages ------------------------------------------------------------------------------------


@CONTROL.post("/records")
def add_record() -> Response:
    """{"account", "comment" or "reply" or "message": {…fields}, "of"?} → {"id"}, of this moment. `of`: the post, the
    comment or the conversation; else the newest."""
    body = given()
    with instagram().lock:
        kind = next((name for name in _ADDED if isinstance(body.get(name), dict)), "")
        if not kind:
            abort(400, f"name one of: {', '.join(_ADDED)}")
        return jsonify(id=_ADDED[kind](account(), text(body, "of", ""), body[kind]))


def _comment_added(holder: Account, of: str, fields: Record) -> str:
    post = _numbered(holder, of) if of else next(holder.media.below(None), 0) or abort(400, "it has no post")
    series, now = holder.comments_of(post), instagram().clock()
    example = seed_media.comment(holder.number, post, series.top + 1)
    made = {**example, "timestamp": moment(now), "replies": [], **fields}
    series.add(made, now)
    return str(made["id"])


def _reply_added(holder: Account, of: str, fields: Record) -> str:
    kind, found = seed_media.numbers(of)
    series = holder.comments_of(found[1]) if kind == "comment" and found[0] == holder.number else None
    above = series.get(found[2]) if series else None
    if series is None or above is None:
        abort(404, "there is no such comment")
    _, post, place, _ = found
    made = {
        **seed_media.comment(holder.number, post, place),
        "id": seed_media.comment_id(holder.number, post, place, len(above["replies"]) + 1),
        "parent_id": above["id"],
        "timestamp": moment(instagram().clock()),
        **fields,
    }
    made.pop("replies", None)
    series.change(place, {**above, "replies": [*above["replies"], made]})
    return str(made["id"])


def _message_added(holder: Account, of: str, fields: Record) -> str:
    kind, found = seed_messages.numbers(of)
    place = found[1] if kind == "conversation" else next(holder.conversations.below(None), 0)
    talk = holder.conversations.get(place) or abort(404, "there is no such conversation")
    now = moment(instagram().clock())
    newest = seed_messages.messages(talk)
    made = {
        **newest[0],
        "id": seed_messages.message_id(holder.number, place, len(newest) + 1),
        "created_time": now,
        **fields,
    }
    holder.conversations.change(place, {**talk, "updated_time": now, "added": [made, *talk.get("added", [])]})
    return str(made["id"])


_ADDED = {"comment": _comment_added, "reply": _reply_added, "message": _message_added}
