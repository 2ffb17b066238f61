"""Instagram profile: the professional account itself."""

from broker.contract import Connector, RawRecord, Reads, Record
from connectors.records import PROFILE, number, present, text


def convert(raw: RawRecord) -> Record:
    """The account of /me."""
    fields = present(
        (
            ("name", text(raw, "name")),
            ("username", text(raw, "username")),
            ("picture", text(raw, "profile_picture_url")),
            ("kind", text(raw, "account_type")),
            ("followers", number(raw, "followers_count")),
            ("posts", number(raw, "media_count")),
        )
    )
    return {"id": raw["user_id"], "type": "profile", "deleted": False, **fields}


CONNECTOR = Connector(
    name="instagram_profile",
    provider="instagram",
    type="profile",
    reads=Reads(
        "profile",
        required=("username", "name", "profile_picture_url", "account_type", "followers_count", "media_count"),
    ),
    convert=convert,
    schema=PROFILE,
    titles={"en": "Instagram profile", "id": "Profil Instagram"},
)
