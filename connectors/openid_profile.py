"""The profile at any OpenID provider: one record, what userinfo says about the user."""

from broker.contract import Connector, RawRecord, Reads, Record
from connectors.records import PROFILE, present, text


def convert(raw: RawRecord) -> Record:
    """The userinfo claims; `email_verified` is at times sent as a text."""
    names = {
        "name": "name",
        "given_name": "given_name",
        "family_name": "family_name",
        "username": "preferred_username",
        "picture": "picture",
        "locale": "locale",
        "email": "email",
    }
    fields = present((ours, text(raw, theirs)) for ours, theirs in names.items())
    if "email_verified" in raw:
        said = raw["email_verified"]
        fields["email_verified"] = said is True or said == "true"
    return {"id": raw["sub"], "type": "profile", "deleted": False, **fields}


CONNECTOR = Connector(
    name="openid_profile",
    provider="openid",
    type="profile",
    reads=Reads(
        "userinfo",
        required=("sub",),
        optional=(
            "name",
            "given_name",
            "family_name",
            "preferred_username",
            "picture",
            "locale",
            "email",
            "email_verified",
        ),
    ),
    convert=convert,
    schema=PROFILE,
    titles={"en": "Profile", "id": "Profil"},
)
