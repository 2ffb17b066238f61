"""What `broker connectors new` lays out: a pip package with one connector and its test, as texts. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from broker.consent import LANGUAGES
from broker.contract import Reads
from broker.providers.base import Provider
from broker.providers.resource import Resource

SAMPLE = "text"
LIKELY = ("name", "title", "text", "subject")
"""Members of a record that say most of it; the first that there is takes the first field."""


@dataclass(frozen=True)
class Wanted:
    """What is to be laid out. `schema`: of the record type. `choices`: how a user chooses an asset, where one must."""

    name: str
    provider: Provider
    type: str
    schema: Mapping[str, Any]
    resource: Resource
    choices: Reads | None

    @property
    def title(self) -> str:
        return self.name.replace("_", " ").capitalize()


def files(wanted: Wanted) -> dict[str, str]:
    """File name → text. The test passes as it stands."""
    theirs, ours = _paired(wanted)
    return {
        "pyproject.toml": _project(wanted),
        f"{wanted.name}.py": _connector(wanted, theirs, ours),
        f"test_{wanted.name}.py": _test(wanted, theirs),
    }


def _paired(wanted: Wanted) -> tuple[str, str]:
    """A field, and the member of the record that it fills: of the same name if there are such."""
    texts = [name for name, kind in wanted.schema["properties"].items() if kind == {"type": "string"}]
    fields = [field for field in wanted.resource.fields if field not in (wanted.resource.identity, "metadata")]
    alike = next((field for field in fields if field in texts), None)
    return (alike, alike) if alike else (fields[0], next((name for name in LIKELY if name in texts), texts[0]))


def _sample(wanted: Wanted, field: str) -> Any:  # noqa: ANN401 - any JSON
    """A value of a shape that the resource lets through: some give nothing but lists of objects."""
    resource = wanted.resource
    for value in (SAMPLE, [{"displayName": SAMPLE}]):
        if resource.visible({resource.identity: "one", field: value}, frozenset()).get(field) == value:
            return value
    return SAMPLE


def _project(wanted: Wanted) -> str:
    name = wanted.name
    return f"""\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "{name.replace("_", "-")}"
version = "0.1.0"
description = "A connector for the integration broker: {wanted.resource.name} of {wanted.provider.kind}"
requires-python = ">=3.11"
dependencies = ["integration-broker"]

[project.optional-dependencies]
test = ["jsonschema>=4.23", "pytest>=8"]

[project.entry-points."broker.connectors"]
{name} = "{name}:CONNECTOR"

[tool.setuptools]
py-modules = ["{name}"]

[tool.pytest.ini_options]
pythonpath = ["."]
"""


def _connector(wanted: Wanted, theirs: str, ours: str) -> str:
    resource, kind = wanted.resource, wanted.type.upper()
    is_text = _sample(wanted, theirs) == SAMPLE
    names = (kind, *(() if is_text else ("entries",)), "present", "text")
    value = f'text(raw, "{theirs}")'
    if not is_text:
        value = f'next((text(one, "displayName") for one in entries(raw.get("{theirs}"))), None)'
    choices = f"    choices={_reads(wanted.choices)},\n" if wanted.choices else ""
    return f'''\
"""{wanted.title}: {resource.name} of {wanted.provider.kind}, as records of type {wanted.type}."""

from broker.contract import Connector, RawRecord, Reads, Record
from connectors.records import {", ".join(names)}

# Fields of {resource.name}, with what the consent page calls them. Name those that you use, and no other.
{_fields(resource)}
#
# Members that a record of type {wanted.type} may have:
{_members(wanted)}


def convert(raw: RawRecord) -> Record:
    """One record. Any field may be missing: the user may not have granted it."""
    fields = present((("{ours}", {value}),))
    return {{"id": raw["{resource.identity}"], "type": "{wanted.type}", "deleted": False, **fields}}


CONNECTOR = Connector(
    name="{wanted.name}",
    provider="{wanted.provider.kind}",
    type="{wanted.type}",
    reads=Reads("{resource.name}", required=("{theirs}",)),
    convert=convert,
    schema={kind},
    titles={{{", ".join(f'"{language}": "{wanted.title}"' for language in LANGUAGES)}}},
{choices})
'''


def _reads(reads: Reads) -> str:
    required = "".join(f'"{field}", ' for field in reads.required).removesuffix(" ")
    return (
        f'Reads("{reads.resource}", required=({required.removesuffix(",") if len(reads.required) > 1 else required}))'
    )


def _fields(resource: Resource) -> str:
    longest = max(map(len, resource.fields))
    titles = {field: resource.titles.get(field, {}).get(LANGUAGES[0], "") for field in resource.fields}
    return "\n".join(f"#     {field:{longest}}  {title}".rstrip() for field, title in titles.items())


def _members(wanted: Wanted) -> str:
    given = {"id", "type", "deleted", "source"}
    return "\n".join(f"#     {name}" for name in wanted.schema["properties"] if name not in given)


def _test(wanted: Wanted, theirs: str) -> str:
    resource = wanted.resource
    raw = {resource.identity: "one", **({resource.below: "above"} if resource.below else {})}
    lines = "\n".join(f"    {_quoted(name)}: {_quoted(value)}," for name, value in raw.items())
    return f'''\
"""What the broker asks of every connector, tried with a record as the provider sends it."""

from broker.trying import faults
from {wanted.name} import CONNECTOR, convert

RAW = {{
{lines}
    "{theirs}": {_quoted(_sample(wanted, theirs))},
}}
"""Put a real record here, with every field that the connector reads."""


def test_the_connector_does_what_is_asked_of_every_one():
    assert faults(CONNECTOR, RAW) == []


def test_a_record_is_told_by_the_identity_of_the_provider():
    assert convert(RAW)["id"] == RAW["{resource.identity}"]
'''


def _quoted(value: Any) -> str:  # noqa: ANN401 - texts, and lists and objects of them
    return repr(value).replace("'", '"')
