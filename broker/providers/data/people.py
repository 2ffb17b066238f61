"""People: the user's contacts, and the people that the user exchanged mail with (docs/facts/google.md §5.2).

Rules P1 to P10 of §4.6.2: a method's scopes say little, for what a value is worth hangs on its source. Here one source
is asked for, and a value of another is dropped.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from broker.providers.data.googleapis import auth, dicts, listed
from broker.providers.resource import Listing, Place, Resource, Values


class _People(Resource):
    """Persons of one source, page by page and change by change."""

    identity = "resourceName"
    items: str
    """What the answer calls them."""
    mask: str
    """The parameter that names the fields; it is never left out (P5)."""
    source: str
    """The one source whose values a scope of this resource opens (P8)."""
    whose: Mapping[str, str] = {}
    """What else the operation is told."""

    def parameters(self, fields: Sequence[str], asset: str | None, place: Place | None, limit: int) -> Values:  # noqa: ARG002
        """With a page or sync token all other parameters must equal the first call's (§5.2), the page size too."""
        values: Values = {
            **self.whose,
            self.mask: ",".join(sorted(fields)),
            "sources": "READ_SOURCE_TYPE_CONTACT",
            "pageSize": str(limit),
            "requestSyncToken": "true",
        }
        if place and place.changes:
            values["syncToken"] = place.changes
        if place and place.page:
            values["pageToken"] = place.page
        return values

    def listing(self, answer: Mapping[str, Any], place: Place) -> Listing:
        return listed(answer, self.items, place)

    def visible(self, raw: dict[str, Any], scopes: frozenset[str]) -> dict[str, Any]:  # noqa: ARG002
        """Rule P8: a value from another source is dropped, and what names another source; one without a source came
        from the only source that was asked for."""
        known = {self.identity: raw.get(self.identity), "metadata": self._metadata(raw.get("metadata"))}
        return {name: known[name] if name in known else self._values(value) for name, value in raw.items()}

    def _values(self, values: object) -> list[dict[str, Any]]:
        return [value for value in dicts(values) if self._is_of_source(value)]

    def _is_of_source(self, value: Mapping[str, Any]) -> bool:
        metadata = value.get("metadata", {})
        source = metadata.get("source", {"type": self.source}) if isinstance(metadata, dict) else None
        return isinstance(source, dict) and source.get("type") == self.source

    def _metadata(self, metadata: object) -> dict[str, Any]:
        """A person's metadata list the sources that were merged, with the ids of a profile and a directory entry."""
        kept = dict(metadata) if isinstance(metadata, dict) else {}
        if "sources" in kept:
            kept["sources"] = [source for source in dicts(kept["sources"]) if source.get("type") == self.source]
        return kept


class Contacts(_People):
    """The user's own contacts, people/me/connections (P9)."""

    name = "contacts"
    operation = "people.people.connections.list"
    items = "connections"
    mask = "personFields"
    source = "CONTACT"
    whose = {"resourceName": "people/me"}
    fields = {
        name: auth("contacts.readonly", "contacts")
        for name in (
            "metadata",
            "names",
            "emailAddresses",
            "phoneNumbers",
            "organizations",
            "addresses",
            "birthdays",
            "urls",
        )
    }
    titles = {
        "metadata": {"en": "whether a contact was deleted", "id": "apakah sebuah kontak dihapus"},
        "names": {"en": "names", "id": "nama"},
        "emailAddresses": {"en": "email addresses", "id": "alamat email"},
        "phoneNumbers": {"en": "phone numbers", "id": "nomor telepon"},
        "organizations": {"en": "companies and job titles", "id": "perusahaan dan jabatan"},
        "addresses": {"en": "postal addresses", "id": "alamat pos"},
        "birthdays": {"en": "birthdays", "id": "tanggal lahir"},
        "urls": {"en": "web addresses", "id": "alamat situs web"},
    }


class OtherContacts(_People):
    """People whom the user wrote to or heard from, and never put into the address book. The contacts scopes do not
    open them (P7); with this source there are no other fields than these, and photos (P6)."""

    name = "other_contacts"
    operation = "people.otherContacts.list"
    items = "otherContacts"
    mask = "readMask"
    source = "OTHER_CONTACT"
    fields = dict.fromkeys(("metadata", "names", "emailAddresses", "phoneNumbers"), auth("contacts.other.readonly"))
    titles = {
        "metadata": {"en": "whether an entry was deleted", "id": "apakah sebuah entri dihapus"},
        "names": {"en": "names of people you exchanged mail with", "id": "nama orang yang bertukar email dengan Anda"},
        "emailAddresses": {"en": "their email addresses", "id": "alamat email mereka"},
        "phoneNumbers": {"en": "their phone numbers", "id": "nomor telepon mereka"},
    }
