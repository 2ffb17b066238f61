"""Facebook Pages: what a Page of the user's has published."""

from broker.contract import Connector, RawRecord, Reads, Record
from connectors.records import POST, moment, present, text


def convert(raw: RawRecord) -> Record:
    """One post of a Page."""
    fields = present(
        (
            ("text", text(raw, "message")),
            ("kind", text(raw, "status_type")),
            ("url", text(raw, "permalink_url")),
            ("media_url", text(raw, "full_picture")),
            ("posted_at", moment(raw, "created_time")),
            ("updated_at", moment(raw, "updated_time")),
        )
    )
    return {"id": raw["id"], "type": "post", "deleted": False, **fields}


CONNECTOR = Connector(
    name="facebook_pages",
    provider="facebook",
    type="post",
    reads=Reads(
        "posts",
        required=("message", "created_time", "updated_time", "permalink_url", "full_picture"),
        optional=("status_type",),
    ),
    convert=convert,
    schema=POST,
    titles={"en": "Facebook Pages", "id": "Halaman Facebook"},
    choices=Reads("pages", required=("name",)),
)
