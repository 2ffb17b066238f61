"""What changed in access between two sets of compiled tables. Pure.

Methods bear ids with their version here, `people:v1.people.get`: what a document of another version holds is another
method (docs/operations.md).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from broker.commands.compiled import Compiled, Table

READS = ("GET", "HEAD")


@dataclass(frozen=True)
class Method:
    """How it is called, and what opens it."""

    call: Mapping[str, Any]
    scopes: frozenset[str]


def methods(made: Compiled) -> dict[str, Method]:
    """By id."""
    return {
        f"{table['api']}:{table['version']}.{name}": Method(_call(table, entry), _scopes(table, entry))
        for table in made.tables.values()
        for name, entry in table["methods"].items()
    }


def changes(old: Compiled, new: Compiled, declared: Mapping[str, Iterable[str]]) -> dict[str, Any]:
    """{"apis", "added", "removed", "scopes", "calls", "connectors"}, each sorted by id.

    `declared`: connector → ids of its operations; under "connectors" stand those of which something changed.
    """
    before, after = methods(old), methods(new)
    narrow = Counter(scope for method in after.values() for scope in method.scopes)
    both = sorted(before.keys() & after.keys())
    scopes = [found for name in both if (found := _of_scopes(name, before[name], after[name], narrow))]
    calls = [found for name in both if (found := _of_call(name, before[name], after[name]))]
    facts: dict[str, Any] = {
        "old": {"source": old.source, "digest": old.index["digest"]},
        "new": {"source": new.source, "digest": new.index["digest"]},
        "apis": {
            "added": sorted(_named(new.tables[name]) for name in new.tables.keys() - old.tables.keys()),
            "removed": sorted(_named(old.tables[name]) for name in old.tables.keys() - new.tables.keys()),
        },
        "added": [_told(name, after[name]) for name in sorted(after.keys() - before.keys())],
        "removed": [_told(name, before[name]) for name in sorted(before.keys() - after.keys())],
        "scopes": scopes,
        "calls": calls,
    }
    touched = {entry["id"] for kind in ("added", "removed", "scopes", "calls") for entry in facts[kind]}
    found = {connector: sorted(touched.intersection(names)) for connector, names in sorted(declared.items())}
    return {**facts, "connectors": {connector: names for connector, names in found.items() if names}}


def _of_scopes(name: str, before: Method, after: Method, narrow: Mapping[str, int]) -> dict[str, Any] | None:
    """`readable_with_less`: scopes that it gained of which each opens fewer methods than any that opened it before."""
    added, removed = after.scopes - before.scopes, before.scopes - after.scopes
    if not added and not removed:
        return None
    least = min(narrow[scope] or len(narrow) for scope in before.scopes)
    less = [scope for scope in sorted(added) if narrow[scope] < least] if after.call["method"] in READS else []
    return {
        "id": name,
        "method": after.call["method"],
        "added": sorted(added),
        "removed": sorted(removed),
        "readable_with_less": less,
    }


def _of_call(name: str, before: Method, after: Method) -> dict[str, Any] | None:
    keys = sorted({*before.call, *after.call})
    changed = [key for key in keys if before.call.get(key) != after.call.get(key)]
    return {"id": name, "changed": changed} if changed else None


def _told(name: str, method: Method) -> dict[str, Any]:
    return {"id": name, "method": method.call["method"], "scopes": sorted(method.scopes)}


def _named(table: Table) -> str:
    return f"{table['api']}:{table['version']}"


def _call(table: Table, entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"origin": table["origin"], **{key: value for key, value in entry.items() if key != "set"}}


def _scopes(table: Table, entry: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(table["scopes"][number] for number in table["sets"][entry["set"]])
