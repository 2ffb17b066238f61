"""The decision, pure: what one connector may read on one connection, which fields of it, and why not the rest.

    effective scopes  =  granted by the provider  ∩  grant of the connector
    a reading is made only by operations that are listed, all of which the effective scopes open, of an
    asset that the user chose; a field is passed on only if the provider's table lists it, the connector
    asked for it, the consent page named it, and the effective scopes open it. Something forgotten is denied.

There is no input or output here, and no exception for a normal "no": the answer is a value with its reasons.

Tables say what opens something as alternatives, and each alternative is a scope value (RFC 6749 §3.3): scope-tokens
with single blanks between them, all of which are needed together. Whatever comes out of here is single scope-tokens.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

from broker.contract import Reads

FieldScopes = Mapping[str, tuple[str, ...]]
"""field → scope values, any one of which opens it; the first is the least, and the one that is asked for."""

_ONE = r"[\x21\x23-\x5b\x5d-\x7e]+"
_VALUE = re.compile(rf"{_ONE}(?: {_ONE})*")


@dataclass(frozen=True)
class Withheld:
    """A field that was kept back, and the least scopes that would open it beside those that are there: none where these
    suffice and it was the consent page that did not name it."""

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


@dataclass(frozen=True)
class NoAsset:
    """The call must not be made: it would be of no asset that the user chose. No scope would open it."""

    reason: Literal["takes none", "not chosen", "not named", "none chosen"]
    """The resource hangs on none; the one asked for is not among those chosen; several are, and none was asked for;
    none is."""


@dataclass(frozen=True)
class Question:
    """All that a decision depends on."""

    reads: Reads
    table: FieldScopes
    """Of the resource that is read."""
    operations: Mapping[str, Collection[str]]
    """By which it may be read, those of what it hangs below too: id → scope values, any of which the provider takes."""
    granted: Collection[str]
    """Scopes that the provider last reported."""
    grant: Collection[str]
    """Scopes that the user granted to the connector; none where there is no live grant."""
    consented: Collection[str]
    """Fields that the consent page named."""
    hangs_on_asset: bool
    chosen: Collection[str] = ()
    """Assets that the user chose. None: nothing was granted, never that all is."""
    asset: str | None = None
    """The one asked for."""


@dataclass(frozen=True)
class Ruling:
    """The reading may be made: with these scopes, of this asset, for these fields."""

    effective: frozenset[str]
    asset: str | None
    permitted: Permitted


def rule(question: Question) -> Ruling | Denied | NoAsset:
    """Whether the reading may be made at all, and of what. Where a scope is missing, that is said before an asset is.

    A reading may take any of its operations: where one is closed all of it is denied.
    """
    scopes = effective(question.granted, question.grant)
    permitted: Permitted | Denied = Denied(needed(question.reads.required or question.reads.fields, question.table))
    for accepted in question.operations.values():
        permitted = decide(question.reads, question.table, frozenset(accepted), scopes, question.consented)
        if isinstance(permitted, Denied):
            break
    if isinstance(permitted, Denied):
        return permitted
    asset = _asset(question)
    return asset if isinstance(asset, NoAsset) else Ruling(scopes, asset, permitted)


def _asset(question: Question) -> str | NoAsset | None:
    """The granted asset to read."""
    chosen, asked = frozenset(question.chosen), question.asset
    if not question.hangs_on_asset:
        return None if asked is None else NoAsset("takes none")
    if asked is not None:
        return asked if asked in chosen else NoAsset("not chosen")
    if len(chosen) == 1:
        return next(iter(chosen))
    return NoAsset("not named" if chosen else "none chosen")


def refused(wanted: Iterable[Collection[str]], scopes: frozenset[str]) -> Denied | None:
    """Whether one call with its parameters takes more than `scopes` hold: of each of `wanted`
    (`broker.operations.Operation.wanted`) any one scope value must be opened. None: it may be made."""
    table = {str(number): _by_size(values) for number, values in enumerate(wanted)}
    if all(opens(values, scopes) for values in table.values()):
        return None
    return Denied(missing(table, table, scopes))


def _by_size(values: Collection[str]) -> tuple[str, ...]:
    return tuple(sorted(values, key=lambda value: (value.count(" "), value)))


def effective(granted: Iterable[str], grant: Iterable[str]) -> frozenset[str]:
    """What counts: granted by the provider and granted to this connector."""
    return frozenset(granted) & frozenset(grant)


def alternatives(values: Iterable[str]) -> tuple[frozenset[str], ...]:
    """Scope values taken apart, in their order. A malformed one opens nothing, and is left out."""
    return tuple(frozenset(value.split(" ")) for value in values if _VALUE.fullmatch(value))


def opens(values: Iterable[str], scopes: frozenset[str]) -> bool:
    """Whether `scopes` hold any one of the scope values with all its scope-tokens. No value, no opening."""
    return any(together <= scopes for together in alternatives(values))


def needed(fields: Iterable[str], table: FieldScopes) -> tuple[str, ...]:
    """The least scopes that open all `fields`, sorted. A field that nobody lists asks for nothing, and stays closed.

    Each field has its first alternative, but for what is superfluous then: of the sets that do, the smallest, and of
    several such the first by name. The order in which the fields are named does not matter.
    """
    return missing(fields, table, frozenset())


def required_scopes(reads: Reads, table: FieldScopes) -> tuple[str, ...]:
    """Without these a connector gives no data."""
    return needed(reads.required, table)


def optional_scopes(reads: Reads, table: FieldScopes) -> tuple[str, ...]:
    """These open further fields, and are asked for beside the required ones."""
    return missing(reads.optional, table, frozenset(required_scopes(reads, table)))


def missing(fields: Iterable[str], table: FieldScopes, scopes: frozenset[str]) -> tuple[str, ...]:
    """The least scopes, as `needed` chooses them, that beside `scopes` would open those of `fields` that are closed."""
    closed = (alternatives(table.get(field, ())) for field in fields if not opened(field, table, scopes))
    return _least({tuple(together - scopes for together in values) for values in closed if values})


def _least(wanted: Collection[tuple[frozenset[str], ...]]) -> tuple[str, ...]:
    """Of the first alternatives' scopes the smallest set that holds one alternative of each."""

    def suffice(scopes: frozenset[str]) -> bool:
        return all(any(together <= scopes for together in values) for values in wanted)

    asked = frozenset(scope for values in wanted for scope in values[0])
    loose = sorted(scope for scope in asked if suffice(asked - {scope}))
    fixed = asked.difference(loose)
    sets = (fixed.union(more) for size in range(len(loose) + 1) for more in combinations(loose, size))
    return tuple(sorted(next(scopes for scopes in sets if suffice(scopes))))


def opened(field: str, table: FieldScopes, scopes: frozenset[str]) -> bool:
    """Whether `scopes` open the field. One without a row is never open."""
    return opens(table.get(field, ()), scopes)


def decide(
    reads: Reads,
    table: FieldScopes,
    accepted: frozenset[str],
    scopes: frozenset[str],
    consented: Iterable[str],
) -> Permitted | Denied:
    """What of `reads` may be fetched with the effective `scopes`.

    `accepted` are the operation's own scope values, any of which the provider takes; `consented` are the fields that
    the consent page named when the grant was made: a field that a newer connector adds is not among them.
    """
    named = set(consented)
    open_ = frozenset(field for field in reads.fields if opened(field, table, scopes))
    permitted = open_ & named
    if not permitted or not permitted.issuperset(reads.required) or not opens(accepted, scopes):
        return Denied(missing(reads.required, table, scopes) or needed(reads.required or reads.fields, table))
    fields = tuple(field for field in reads.fields if field in permitted)
    kept_back = [field for field in reads.fields if field not in permitted]
    withheld = (Withheld(field, missing((field,), table, scopes)) for field in kept_back)
    return Permitted(fields, tuple(withheld))


def cut(raw: Mapping[str, Any], identity: Iterable[str], fields: Iterable[str]) -> dict[str, Any]:
    """A provider's record with nothing left but what identifies it and the permitted fields."""
    kept = {*identity, *fields}
    return {name: value for name, value in raw.items() if name in kept}
