"""The paths of the Graph: which node or edge a call is for, and whether this token sees it (docs/facts/meta.md §4.3).

An id does not tell what it is of, and one of another account is as if it did not exist.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from flask import Blueprint, Response, jsonify

from broker.sandbox.graph import app_usage, not_found
from broker.sandbox.graph_fields import Record
from broker.sandbox.instagram import insights, media, messages, profile, seed_media, seed_messages
from broker.sandbox.instagram.access import Caller, caller
from broker.sandbox.instagram.errors import bad
from broker.sandbox.instagram.state import instagram

API = Blueprint("nodes", __name__)

Readings = dict[str, Callable[[], Record]]
Of = Mapping[str, Callable[..., Readings]]

USED = 3
"""Percent of its limit that an app has used up."""


@API.get("/<object_id>")
def node(object_id: str) -> Response:
    return _read(object_id, "")


@API.get("/<object_id>/<edge>")
def edge(object_id: str, edge: str) -> Response:
    return _read(object_id, edge)


def _read(object_id: str, edge: str) -> Response:
    with instagram().lock:
        readings = _readings(caller(), object_id)
        if edge not in readings:
            raise bad(f"Tried accessing nonexisting field ({edge})")
        response = jsonify(readings[edge]())
    name, usage = app_usage(instagram().quirks.get("usage", USED))
    response.headers[name] = usage
    return response


def _readings(who: Caller, object_id: str) -> Readings:
    """By name of the edge, and of the node itself under no name. Raises `GraphError`."""
    if object_id in ("me", who.account.id):
        return _of_account(who)
    for kinds, numbers in ((OF_POSTS, seed_media.numbers), (OF_TALKS, seed_messages.numbers)):
        kind, found = numbers(object_id)
        if found and found[0] == who.account.number and (readings := kinds[kind](who, object_id, *found[1:])):
            return readings
    raise not_found(object_id)


def _of_account(who: Caller) -> Readings:
    return {
        "": partial(profile.node, who),
        "media": partial(media.media_edge, who),
        "insights": partial(insights.account_edge, who),
        "conversations": partial(messages.conversations_edge, who),
    }


def _of_media(who: Caller, object_id: str, number: int) -> Readings:
    record = who.account.media.get(number)
    if record is None:
        return {}
    return {
        "": partial(media.media_node, who, number, record),
        "children": partial(media.children_edge, who, number),
        "comments": partial(media.comments_edge, who, number, object_id),
        "insights": partial(insights.media_edge, who, object_id),
    }


def _of_child(who: Caller, object_id: str, number: int, _place: int) -> Readings:
    children = seed_media.children(who.account.number, number) if who.account.media.get(number) else []
    return _itself(partial(media.child_node, who), children, object_id)


def _of_comment(who: Caller, object_id: str, number: int, place: int, _reply: int) -> Readings:
    comment = who.account.comments_of(number).get(place) if who.account.media.get(number) else None
    above = seed_media.media_id(who.account.number, number)
    found = [comment, *comment["replies"]] if comment else []
    return _itself(partial(media.comment_node, who, above, place), found, object_id)


def _of_conversation(who: Caller, _object_id: str, number: int) -> Readings:
    record = who.account.conversations.get(number)
    if record is None or messages.idle_request(record):
        return {}
    return {
        "": partial(messages.conversation_node, who, number, record),
        "messages": partial(messages.messages_edge, who, record),
    }


def _of_message(who: Caller, object_id: str, number: int, _place: int) -> Readings:
    record = who.account.conversations.get(number)
    found = seed_messages.messages(record) if record else []
    return _itself(partial(messages.message_node, who), found, object_id)


def _itself(node: Callable[[Record], Record], records: Sequence[Record], object_id: str) -> Readings:
    """Of the record of that id, which has no edges; nothing where there is none."""
    found = next((record for record in records if record["id"] == object_id), None)
    return {"": partial(node, found)} if found else {}


OF_POSTS: Of = {"media": _of_media, "child": _of_child, "comment": _of_comment}
OF_TALKS: Of = {"conversation": _of_conversation, "message": _of_message}
