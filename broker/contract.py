"""What a connector may import: the values it declares itself with. Nothing here touches network or database.

A connector is a value. It names what it reads, resource by resource and field by field; the broker derives
the scopes from the provider's table, fetches, cuts, and calls `convert` with what is left.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

RawRecord = Mapping[str, Any]
"""A provider's record, cut to the fields that the grant permits. Any field may be missing."""

Record = dict[str, Any]
"""A sales-app record: {"id", "type", "deleted", …}; the broker adds "source"."""


@dataclass(frozen=True)
class Reads:
    """One resource that a connector reads.

    Without its `required` fields the connector gives no data; `optional` ones are withheld one by one.
    """

    resource: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        return self.required + self.optional


@dataclass(frozen=True)
class Connector:
    """A unit of use: what it reads, and how a raw record becomes a sales-app record."""

    name: str
    provider: str
    """Provider name, or `openid` for any generic OpenID provider."""
    type: str
    """The record type it yields: contact, event, profile, …"""
    reads: Reads
    convert: Callable[[RawRecord], Record]
    """A pure function: same input, same output, input left alone."""
    schema: Mapping[str, Any]
    """JSON Schema of the record type."""
    titles: Mapping[str, str] = field(default_factory=dict)
    """Name for people, by language (`id`, `en`)."""
    choices: Reads | None = None
    """The resource that lists the assets to choose from; its scopes are optional."""
