"""Posts, the pictures of an album, comments with their answers (docs/facts/meta.md §4.3)."""

from collections.abc import Sequence
from functools import partial

from broker.sandbox.graph_fields import Field, Record, shown
from broker.sandbox.graph_paging import Series
from broker.sandbox.instagram import seed_media
from broker.sandbox.instagram.access import Caller
from broker.sandbox.instagram.insights import MEDIA_METRICS, media_insights
from broker.sandbox.instagram.permissions import COMMENTS, INSIGHTS
from broker.sandbox.instagram.reading import Specials, edge, expanded, fields_asked, filled, nested

PICTURE = ("id", "media_type", "media_url", "permalink", "thumbnail_url", "timestamp", "username", "shortcode", "owner")
MEDIA = (
    *PICTURE,
    *("caption", "media_product_type", "like_count", "comments_count", "is_comment_enabled"),
    *("children", "comments", "insights"),
)
REPLY = ("id", "text", "timestamp", "username", "from", "user", "like_count", "hidden", "parent_id", "media")
COMMENT = (*REPLY, "replies")
COMMENT_DEFAULT = ("timestamp", "text", "id")

MOST_COMMENTS = 50
"""On a page (§4.3)."""


def media_edge(who: Caller) -> Record:
    """`/{ig-id}/media`, the newest first."""
    fields = fields_asked(MEDIA, "Media")
    return edge(who, who.account.media, lambda number, record: _media(who, number, record, fields))


def media_node(who: Caller, number: int, record: Record) -> Record:
    return _media(who, number, record, fields_asked(MEDIA, "Media"))


def media_field(who: Caller, field: Field) -> Record | None:
    """`media` as a field of the account."""
    fields = nested(field, MEDIA, "Media")
    shape = partial(_media, who, fields=fields)
    return expanded(who, who.account.media, field, f"/{who.account.id}/media", shape)


def _media(who: Caller, number: int, record: Record, fields: Sequence[Field]) -> Record:
    specials: Specials = {
        "owner": lambda _: {"id": who.account.id},
        "comments_count": lambda _: len(who.account.comments_of(number)),
        "children": partial(_children_field, who, number, record["id"]),
        "comments": partial(_comments_field, who, number, record["id"]),
        "insights": partial(_insights_field, who, record["id"]),
    }
    return filled(record, fields, specials)


def _insights_field(who: Caller, object_id: str, field: Field) -> Record:
    who.permits(INSIGHTS)
    return media_insights(object_id, field.argument("metric") or ",".join(MEDIA_METRICS))


# --- albums --------------------------------------------------------------------------------------------------


def children_edge(who: Caller, number: int) -> Record:
    """`/{media}/children`: all at once."""
    fields = fields_asked(PICTURE, "Media")
    return {"data": [_child(who, record, fields) for record in seed_media.children(who.account.number, number)]}


def _children_field(who: Caller, number: int, _object_id: str, field: Field) -> Record | None:
    fields = nested(field, PICTURE, "Media")
    found = [_child(who, record, fields) for record in seed_media.children(who.account.number, number)]
    return {"data": found} if found else None


def child_node(who: Caller, record: Record) -> Record:
    return _child(who, record, fields_asked(PICTURE, "Media"))


def _child(who: Caller, record: Record, fields: Sequence[Field]) -> Record:
    return filled({"username": who.account.username, **record}, fields, {"owner": lambda _: {"id": who.account.id}})


# --- comments ------------------------------------------------------------------------------------------------


def comments_edge(who: Caller, number: int, object_id: str) -> Record:
    """`/{media}/comments`: without answers, which come by expansion alone."""
    who.permits(COMMENTS)
    fields = fields_asked(COMMENT, "Comment", COMMENT_DEFAULT)
    shape = partial(_comment, who, object_id, fields=fields)
    return edge(who, who.account.comments_of(number), shape, most=MOST_COMMENTS)


def comment_node(who: Caller, object_id: str, number: int, record: Record) -> Record:
    who.permits(COMMENTS)
    return _comment(who, object_id, number, record, fields_asked(COMMENT, "Comment", COMMENT_DEFAULT))


def _comments_field(who: Caller, number: int, object_id: str, field: Field) -> Record | None:
    who.permits(COMMENTS)
    shape = partial(_comment, who, object_id, fields=nested(field, COMMENT, "Comment", COMMENT_DEFAULT))
    path = f"/{object_id}/comments"
    return expanded(who, who.account.comments_of(number), field, path, shape, most=MOST_COMMENTS)


def _comment(who: Caller, object_id: str, _number: int, record: Record, fields: Sequence[Field]) -> Record:
    specials: Specials = {"media": lambda _: {"id": object_id}, "replies": partial(_replies, who, object_id, record)}
    return filled(record, fields, specials)


def _replies(who: Caller, object_id: str, record: Record, field: Field) -> Record | None:
    fields = nested(field, REPLY, "Comment", COMMENT_DEFAULT)

    def shape(_number: int, reply: Record) -> Record:
        return shown({**reply, "media": {"id": object_id}}, fields)

    series = Series.of(record.get("replies", []))
    return expanded(who, series, field, f"/{record['id']}/replies", shape, most=MOST_COMMENTS)
