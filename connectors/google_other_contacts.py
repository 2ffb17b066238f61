"""Google other contacts: people whom the user exchanged mail with, and never put into the address book."""

from broker.contract import Connector, RawRecord, Reads, Record
from connectors.people import person
from connectors.records import CONTACT


def convert(raw: RawRecord) -> Record:
    """One person of otherContacts; there is no company and no title."""
    return person(raw)


CONNECTOR = Connector(
    name="google_other_contacts",
    provider="google",
    type="contact",
    reads=Reads("other_contacts", required=("metadata", "names", "emailAddresses"), optional=("phoneNumbers",)),
    convert=convert,
    schema=CONTACT,
    titles={"en": "Google other contacts", "id": "Kontak lain Google"},
)
