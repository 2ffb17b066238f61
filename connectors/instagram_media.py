"""Instagram posts: pictures, videos and albums of the user's professional account."""

from broker.contract import Connector, RawRecord, Reads, Record
from connectors.records import POST, moment, number, present, text


def convert(raw: RawRecord) -> Record:
    """One post."""
    fields = present(
        (
            ("text", text(raw, "caption")),
            ("kind", text(raw, "media_type")),
            ("url", text(raw, "permalink")),
            ("media_url", text(raw, "media_url")),
            ("thumbnail_url", text(raw, "thumbnail_url")),
            ("posted_at", moment(raw, "timestamp")),
            ("likes", number(raw, "like_count")),
            ("comments", number(raw, "comments_count")),
        )
    )
    return {"id": raw["id"], "type": "post", "deleted": False, **fields}


CONNECTOR = Connector(
    name="instagram_media",
    provider="instagram",
    type="post",
    reads=Reads(
        "media",
        required=("caption", "media_type", "media_url", "permalink", "timestamp"),
        optional=("thumbnail_url", "like_count", "comments_count"),
    ),
    convert=convert,
    schema=POST,
    titles={"en": "Instagram posts", "id": "Kiriman Instagram"},
)
