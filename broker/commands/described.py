"""Which data go where, under which tick: what `broker connectors describe` says. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from broker import scopes
from broker.consent import LANGUAGES
from broker.contract import Connector, Reads
from broker.providers.base import Provider
from broker.providers.resource import Resource
from broker.reading import declared_operations

AUTH = "https://www.googleapis.com/auth/"
"""Left out of the names of Google's scopes."""


@dataclass(frozen=True)
class Described:
    """One connector beside the provider whose tables list what it reads."""

    connector: Connector
    provider: Provider

    @property
    def resource(self) -> Resource:
        return self.provider.resources[self.connector.reads.resource]


def facts(one: Described) -> dict[str, Any]:
    """What the tick of a connector opens, which scopes that takes, and what comes out of it."""
    connector, resource = one.connector, one.resource
    reads = connector.reads
    listed = [entry for entry in (reads, connector.choices) if entry]
    operations = [name for entry in listed for name in declared_operations(one.provider, _of(one, entry))]
    return {
        "name": connector.name,
        "provider": one.provider.kind,
        "titles": {language: connector.titles.get(language, connector.name) for language in LANGUAGES},
        "resource": resource.name,
        "operations": list(dict.fromkeys(operations)),
        "required_scopes": list(scopes.required_scopes(reads, resource.fields)),
        "optional_scopes": list(scopes.optional_scopes(reads, resource.fields)),
        "choice_scopes": _choice_scopes(one),
        "fields": [_field(resource, reads, name) for name in reads.fields],
        "identity": [resource.identity, *([resource.below] if resource.below else [])],
        "asset": resource.asset_kind,
        "choices": [_field(_of(one, connector.choices), connector.choices, name) for name in connector.choices.fields]
        if connector.choices
        else [],
        "type": connector.type,
        "members": sorted(connector.schema.get("properties", {})),
    }


def _choice_scopes(one: Described) -> list[str]:
    """What the choice takes beside what the reading needs."""
    choices, reads = one.connector.choices, one.connector.reads
    needed = scopes.required_scopes(reads, one.resource.fields)
    return list(scopes.missing(choices.fields, _of(one, choices).fields, frozenset(needed))) if choices else []


def _of(one: Described, reads: Reads) -> Resource:
    return one.provider.resources[reads.resource]


def _field(resource: Resource, reads: Reads, name: str) -> dict[str, Any]:
    return {
        "field": name,
        "titles": {language: resource.titles.get(name, {}).get(language, name) for language in LANGUAGES},
        "required": name in reads.required,
        "opened_by": list(resource.fields[name]),
    }


def markdown(found: Iterable[Described]) -> str:
    """A section for each provider, with a picture, and in it one for each connector."""
    ordered = sorted(found, key=lambda one: (one.provider.kind, one.connector.name))
    parts = []
    for kind, of_kind in groupby(ordered, key=lambda one: one.provider.kind):
        group = [(one, facts(one)) for one in of_kind]
        parts += [
            f"## {group[0][0].provider.title if kind != 'openid' else 'OpenID'}",
            _picture(entry for _, entry in group),
        ]
        parts += [_section(entry) for _, entry in group]
    return "\n\n".join(parts) + "\n"


def _picture(entries: Iterable[Mapping[str, Any]]) -> str:
    """Tick → scopes → record. A dotted way is one that the user may leave out."""
    lines = ["```mermaid", "flowchart LR"]
    for entry in entries:
        name = entry["name"]
        lines.append(f'    {name}["☑ {entry["titles"]["en"]}"] --> {name}_is("{name}")')
        lines.append(f'    {name}_is -->|"{_short(entry["required_scopes"])}"| {name}_gives[("{entry["type"]}")]')
        if entry["optional_scopes"]:
            lines.append(f'    {name}_is -.->|"{_short(entry["optional_scopes"])}"| {name}_gives')
        if entry["choice_scopes"]:
            lines.append(
                f'    {name}_is -.->|"{_short(entry["choice_scopes"])}"| {name}_choice("choice of {entry["asset"]}")'
            )
    return "\n".join([*lines, "```"])


def _section(entry: Mapping[str, Any]) -> str:
    title, theirs = entry["titles"]["en"], entry["titles"]["id"]
    told = [
        f"### {title}: `{entry['name']}`",
        f"The tick on the consent page: *{title}*, in Indonesian *{theirs}*. Read by {_code(entry['operations'])}. "
        f"It becomes a record of type `{entry['type']}`, whose members are, and are all, {_code(entry['members'])}.",
        _asset(entry),
        _table(entry["fields"]),
        f"Besides, what identifies the record ({_code(entry['identity'])}), and nothing else that the provider sends.",
    ]
    return "\n\n".join(part for part in told if part)


def _asset(entry: Mapping[str, Any]) -> str:
    if entry["asset"] is None:
        return ""
    names = ", ".join(field["titles"]["en"] for field in entry["choices"])
    shown = f" For the choice the sales app is shown: {names}." if names else ""
    takes = f" It takes {_short(entry['choice_scopes'])}." if entry["choice_scopes"] else ""
    return f"Only of what the user chose: each {entry['asset']} by itself.{shown}{takes}"


def _table(fields: Iterable[Mapping[str, Any]]) -> str:
    rows = [
        "| data, as the consent page calls them | in Indonesian | field | without it | opened by |",
        "|---|---|---|---|---|",
    ]
    for field in fields:
        without = "no data at all" if field["required"] else "the rest"
        titles = field["titles"]
        opened = " or ".join(_short(value.split(" ")) for value in field["opened_by"])
        rows.append(f"| {titles['en']} | {titles['id']} | `{field['field']}` | {without} | {opened} |")
    return "\n".join(rows)


def _short(names: Iterable[str]) -> str:
    return " and ".join(name.removeprefix(AUTH) for name in names)


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
