"""A person of Google's People API, as the two connectors of contacts tell one."""

from collections.abc import Mapping
from typing import Any

from broker.contract import RawRecord, Record
from connectors.records import entries, present, text


def person(raw: RawRecord) -> Record:
    """The primary value comes first; a deleted person has only its id."""
    name, organization = _primary(raw.get("names")), _primary(raw.get("organizations"))
    metadata = raw.get("metadata") or {}
    fields = present(
        (
            ("name", text(name, "displayName")),
            ("given_name", text(name, "givenName")),
            ("family_name", text(name, "familyName")),
            ("emails", _labelled(raw.get("emailAddresses"))),
            ("phones", _labelled(raw.get("phoneNumbers"))),
            ("company", text(organization, "name")),
            ("job_title", text(organization, "title")),
            ("updated_at", _updated(metadata)),
        )
    )
    deleted = isinstance(metadata, Mapping) and metadata.get("deleted") is True
    return {"id": raw["resourceName"], "type": "contact", "deleted": deleted, **fields}


def _primary(values: Any) -> Mapping[str, Any]:  # noqa: ANN401 - any JSON
    listed = _primary_first(values)
    return listed[0] if listed else {}


def _primary_first(values: Any) -> list[Mapping[str, Any]]:  # noqa: ANN401
    return sorted(entries(values), key=lambda value: not _is_primary(value))


def _is_primary(value: Mapping[str, Any]) -> bool:
    metadata = value.get("metadata")
    return isinstance(metadata, Mapping) and metadata.get("primary") is True


def _labelled(values: Any) -> list[dict[str, str]]:  # noqa: ANN401
    pairs = ((text(value, "value"), text(value, "type")) for value in _primary_first(values))
    return [present((("value", value), ("label", label))) for value, label in pairs if value]


def _updated(metadata: Any) -> str | None:  # noqa: ANN401
    sources = metadata.get("sources") if isinstance(metadata, Mapping) else None
    return next((time for source in entries(sources) if (time := text(source, "updateTime"))), None)
