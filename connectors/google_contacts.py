"""Google Contacts: the people in the user's own address book."""

from broker.contract import Connector, RawRecord, Reads, Record
from connectors.people import person
from connectors.records import CONTACT


def convert(raw: RawRecord) -> Record:
    """One person of people/me/connections."""
    return person(raw)


CONNECTOR = Connector(
    name="google_contacts",
    provider="google",
    type="contact",
    reads=Reads("contacts", required=("metadata", "names", "emailAddresses", "phoneNumbers", "organizations")),
    convert=convert,
    schema=CONTACT,
    titles={"en": "Google Contacts", "id": "Kontak Google"},
)
