"""How a test makes accounts and posts; a part of steering.py."""

from flask import Blueprint, Response, abort, jsonify

from broker.sandbox.control import given, number, refused, text
from broker.sandbox.graph_fields import Record
from broker.sandbox.graph_paging import moment
from broker.sandbox.instagram import seed, seed_media
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
