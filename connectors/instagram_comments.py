"""Instagram comments: what people write below the posts of the user's professional account."""

from broker.contract import Connector, RawRecord, Reads, Record
from connectors.records import COMMENT, moment, number, party, present, text


def convert(raw: RawRecord) -> Record:
    """One comment, or an answer to one: that has a parent."""
    author = party(raw.get("from"))
    fields = present(
        (
            ("post", text(raw, "media_id")),
            ("parent", text(raw, "parent_id")),
            ("text", text(raw, "text")),
            ("author", {**author, **present((("username", text(raw, "username")),))}),
            ("likes", number(raw, "like_count")),
            ("posted_at", moment(raw, "timestamp")),
        )
    )
    hidden = raw.get("hidden")
    known = {"hidden": hidden} if isinstance(hidden, bool) else {}
    return {"id": raw["id"], "type": "comment", "deleted": False, **fields, **known}


CONNECTOR = Connector(
    name="instagram_comments",
    provider="instagram",
    type="comment",
    reads=Reads(
        "comments",
        required=("text", "timestamp", "from", "parent_id"),
        optional=("username", "like_count", "hidden"),
    ),
    convert=convert,
    schema=COMMENT,
    titles={"en": "Instagram comments", "id": "Komentar Instagram"},
)
