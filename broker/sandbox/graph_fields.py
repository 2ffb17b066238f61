"""Reads Graph's `fields=id,name,comments.limit(5){message,from{name}}`, and shows of a record what it names.

Sections are of docs/facts/meta.md.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from broker.sandbox.graph import GraphError, bad_parameter

Record = dict[str, Any]

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MODIFIER = re.compile(r"\.([a-z_]+)\(([^()]*)\)")
DEEPEST = 8


@dataclass(frozen=True)
class Field:
    """One name; `arguments` are its modifiers, as in `.limit(5)`; `fields` what stands in its braces, if any do."""

    name: str
    arguments: tuple[tuple[str, str], ...] = ()
    fields: tuple["Field", ...] | None = None

    def argument(self, name: str) -> str | None:
        return dict(self.arguments).get(name)


def parsed(text: str) -> tuple[Field, ...]:
    """Raises `GraphError` (2500) where the text is no list of fields."""
    fields, at = _list(text, 0, 0)
    if at != len(text):
        raise _syntax(text, at)
    return fields


def _list(text: str, at: int, depth: int) -> tuple[tuple[Field, ...], int]:
    found = []
    while True:
        field, at = _field(text, at, depth)
        found.append(field)
        if text[at : at + 1] != ",":
            return tuple(found), at
        at += 1


def _field(text: str, at: int, depth: int) -> tuple[Field, int]:
    at += len(text[at:]) - len(text[at:].lstrip())
    name = NAME.match(text, at)
    if name is None or depth > DEEPEST:
        raise _syntax(text, at)
    at, arguments = name.end(), []
    while modifier := MODIFIER.match(text, at):
        arguments.append((modifier[1], modifier[2]))
        at = modifier.end()
    if text[at : at + 1] != "{":
        return Field(name[0], tuple(arguments)), at + len(text[at:]) - len(text[at:].lstrip())
    nested, at = _list(text, at + 1, depth + 1)
    if text[at : at + 1] != "}":
        raise _syntax(text, at)
    return Field(name[0], tuple(arguments), nested), at + 1


def _syntax(text: str, at: int) -> GraphError:
    return GraphError(2500, f'Syntax error "Expected name, got {text[at : at + 1]!r}." at character {at}')


def spelt(fields: Sequence[Field]) -> str:
    """As a call writes them."""
    return ",".join(_spelt(field) for field in fields)


def _spelt(field: Field) -> str:
    modifiers = "".join(f".{name}({value})" for name, value in field.arguments)
    return field.name + modifiers + ("" if field.fields is None else f"{{{spelt(field.fields)}}}")


def asked(text: str | None, otherwise: Sequence[str]) -> tuple[Field, ...]:
    """The fields that a call names, `otherwise` where it names none. Raises `GraphError`."""
    return parsed(text) if text else tuple(Field(name) for name in otherwise)


def check(fields: Sequence[Field], known: Collection[str], kind: str) -> None:
    """Raises `GraphError` (100) for a field that this kind of object does not have."""
    for field in fields:
        if field.name not in known:
            raise bad_parameter(f"Tried accessing nonexisting field ({field.name}) on node type ({kind})")


def shown(record: Record, fields: Sequence[Field]) -> Record:
    """Those fields that the record has, and always its `id`."""
    found = {
        field.name: _narrowed(record[field.name], field.fields)
        for field in fields
        if field.name in record and record[field.name] is not None
    }
    return {**found, "id": record["id"]} if "id" in record else found


def _narrowed(value: Any, fields: Sequence[Field] | None) -> Any:  # noqa: ANN401 - any JSON
    if fields is None:
        return value
    if isinstance(value, list):
        return [_narrowed(item, fields) for item in value]
    if isinstance(value, dict) and isinstance(value.get("data"), list | dict):
        return {**value, "data": _narrowed(value["data"], fields)}
    return shown(value, fields) if isinstance(value, dict) else value
