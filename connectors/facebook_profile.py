"""Facebook profile: who the user is there. The address is never a verified one."""

from broker.contract import Connector, RawRecord, Reads, Record
from connectors.records import PROFILE, present, text


def convert(raw: RawRecord) -> Record:
    """One person of /me; the picture is an object of its own."""
    fields = present(
        (
            ("name", text(raw, "name")),
            ("given_name", text(raw, "first_name")),
            ("family_name", text(raw, "last_name")),
            ("picture", text(raw, "picture", "data", "url")),
            ("email", text(raw, "email")),
        )
    )
    return {"id": raw["id"], "type": "profile", "deleted": False, **fields}


CONNECTOR = Connector(
    name="facebook_profile",
    provider="facebook",
    type="profile",
    reads=Reads("profile", required=("name", "first_name", "last_name", "picture"), optional=("email",)),
    convert=convert,
    schema=PROFILE,
    titles={"en": "Facebook profile", "id": "Profil Facebook"},
)
