"""The decision, pure: which fields of a resource one connector may see on one connection, and why not the rest.

    effective scopes  =  granted by the provider  ∩  grant of the connector
    a field is passed on only if the provider's table lists it, the connector asked for it, and the
    effective scopes open it. Something forgotten is denied.

There is no input or output here, and no exception for a normal "no": the answer is a value with its reasons.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from broker.contract import Reads

FieldScopes = Mapping[str, tuple[str, ...]]
"""field → scopes, any one of which opens it; the first is the least, and the one that is asked for."""


@dataclass(frozen=True)
class Withheld:
    """A field that was kept back, and the least scope that would open it: none where scopes suffice and it was the
    consent page that did not name it."""

    field: str
    missing_scopes: tuple[str, ...]


@dataclass(frozen=True)
class Permitted:
    """The call may be made, for these fields."""

    fields: tuple[str, ...]
    withheld: tuple[Withheld, ...] = ()


@dataclass(frozen=True)
class Denied:
    """The call must not be made; asking the user for `missing_scopes` would open it."""

    missing_scopes: tuple[str, ...]


def effective(granted: Iterable[str], grant: Iterable[str]) -> frozenset[str]:
    """What counts: granted by the provider and granted to this connector."""
    return frozenset(granted) & frozenset(grant)


def needed(fields: Iterable[str], table: FieldScopes) -> tuple[str, ...]:
    """The least scopes that open all `fields`, sorted. A field that nobody lists asks for nothing, and stays closed.

    Fields with the fewest openers choose first; a choice that later ones made superfluous is dropped. The order in
    which the fields are named does not matter.
    """
    openers = {table[name] for name in fields if table.get(name)}
    chosen: list[str] = []
    for choices in sorted(openers, key=lambda choices: (len(choices), choices)):
        if not set(chosen) & set(choices):
            chosen.append(choices[0])
    for scope in tuple(chosen):
        others = set(chosen) - {scope}
        if all(others & set(choices) for choices in openers):
            chosen.remove(scope)
    return tuple(sorted(chosen))


def required_scopes(reads: Reads, table: FieldScopes) -> tuple[str, ...]:
    """Without these a connector gives no data."""
    return needed(reads.required, table)


def optional_scopes(reads: Reads, table: FieldScopes) -> tuple[str, ...]:
    """These open further fields, and are asked for beside the required ones."""
    return missing(reads.optional, table, frozenset(required_scopes(reads, table)))


def missing(fields: Iterable[str], table: FieldScopes, scopes: frozenset[str]) -> tuple[str, ...]:
    """The least scopes that would open those of `fields` that `scopes` leave closed."""
    return needed([field for field in fields if not opened(field, table, scopes)], table)


def opened(field: str, table: FieldScopes, scopes: frozenset[str]) -> bool:
    """Whether any of the field's scopes is there. A field without a row is never open."""
    return bool(scopes & frozenset(table.get(field, ())))


def decide(
    reads: Reads,
    table: FieldScopes,
    accepted: frozenset[str],
    scopes: frozenset[str],
    consented: Iterable[str],
) -> Permitted | Denied:
    """What of `reads` may be fetched with the effective `scopes`.

    `accepted` are the operation's own scopes, any of which the provider takes; `consented` are the fields that
    the consent page named when the grant was made: a field that a newer connector adds is not among them.
    """
    named = set(consented)
    open_ = frozenset(field for field in reads.fields if opened(field, table, scopes))
    permitted = open_ & named
    if not permitted or not permitted.issuperset(reads.required) or not accepted & scopes:
        return Denied(missing(reads.required, table, scopes) or needed(reads.required or reads.fields, table))
    fields = tuple(field for field in reads.fields if field in permitted)
    kept_back = [field for field in reads.fields if field not in permitted]
    withheld = (Withheld(field, () if field in open_ else table.get(field, ())[:1]) for field in kept_back)
    return Permitted(fields, tuple(withheld))


def cut(raw: Mapping[str, Any], identity: str, fields: Iterable[str]) -> dict[str, Any]:
    """A provider's record with nothing left but its identity and the permitted fields."""
    kept = {identity, *fields}
    return {name: value for name, value in raw.items() if name in kept}
