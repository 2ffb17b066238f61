"""Facebook comments: what people write below the posts of a Page of the user's."""

from broker.contract import Connector, RawRecord, Reads, Record
from connectors.records import COMMENT, moment, number, party, present, text


def convert(raw: RawRecord) -> Record:
    """One comment, or an answer to one: that has a parent. Facebook may not tell who wrote it."""
    fields = present(
        (
            ("post", text(raw, "post_id")),
            ("parent", text(raw, "parent", "id")),
            ("text", text(raw, "message")),
            ("author", party(raw.get("from"))),
            ("url", text(raw, "permalink_url")),
            ("likes", number(raw, "like_count")),
            ("replies", number(raw, "comment_count")),
            ("posted_at", moment(raw, "created_time")),
        )
    )
    hidden = raw.get("is_hidden")
    known = {"hidden": hidden} if isinstance(hidden, bool) else {}
    return {"id": raw["id"], "type": "comment", "deleted": False, **fields, **known}


CONNECTOR = Connector(
    name="facebook_comments",
    provider="facebook",
    type="comment",
    reads=Reads(
        "comments",
        required=("message", "created_time", "from", "parent"),
        optional=("like_count", "comment_count", "is_hidden", "permalink_url"),
    ),
    convert=convert,
    schema=COMMENT,
    titles={"en": "Facebook comments", "id": "Komentar Facebook"},
    choices=Reads("pages", required=("name",)),
)
