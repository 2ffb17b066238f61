"""`broker connectors`: a new one laid out, those that are installed, and what is wrong with them."""

import importlib.util
import json
import keyword
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from broker.contract import Connector, Reads
    from broker.installed import Installed
    from broker.providers.base import Provider
    from broker.providers.resource import Resource

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print facts as JSON.")
NAME = re.compile(r"[a-z][a-z0-9_]{0,62}[a-z0-9]")


@click.group()
def connectors() -> None:
    """Connectors: lay out a new one, list and check those that are installed. docs/writing-a-connector.md."""


@connectors.command("new")
@click.argument("name")
@click.option("--provider", "kind", required=True, help="Whose data it reads; openid for any OpenID provider.")
@click.option("--type", "type_", required=True, help="The record type that it yields, such as contact.")
@click.option("--resource", "resource_name", help="What it reads; needed where that is not plain from the others.")
@click.option(
    "--directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    show_default=True,
    help="Where its folder is made.",
)
def new(name: str, kind: str, type_: str, resource_name: str | None, directory: Path) -> None:
    """Lay out the connector NAME as a pip package in a folder of its own, with a test that passes."""
    from broker.commands.laid_out import Wanted, files
    from broker.installed import announced, kinds

    found = announced()
    known = [one.connector for one in found if one.connector]
    _check_name(name, [one.name for one in found])
    schemas = {one.connector.type: one.connector.schema for one in found if one.connector and one.is_ours}
    provider = _one_of("provider", kind, {one.kind: one for one in kinds()})
    schema = _one_of("type", type_, schemas)
    resource = _resource(provider, resource_name, type_, known)
    choices = _choices(provider, resource, known)
    texts = files(Wanted(name, provider, type_, schema, resource, choices))
    _write(directory / name, texts)
    click.echo(f"To try it: pytest {directory / name}")
    click.echo(f"To have the broker find it: pip install {_path(directory / name)}")


@connectors.command("list")
@AS_JSON
def show(as_json: bool) -> None:
    """Every installed connector: what it yields, the scopes that it needs, and the package that it comes from."""
    from broker.installed import announced, kinds

    providers = kinds()
    facts = [_described(one, one.connector, providers) for one in announced() if one.connector and _is_sound(one)]
    broken = [one.name for one in announced() if not _is_sound(one)]
    if as_json:
        click.echo(json.dumps(facts))
    else:
        for fact in facts:
            _show(fact)
    if broken:
        click.echo(f"Not listed, see broker connectors check: {', '.join(broken)}", err=True)


@connectors.command("describe")
@click.argument("names", nargs=-1, metavar="[NAME]…")
@click.option("--markdown", is_flag=True, help="A page for people, as docs/what-goes-where.md has it.")
@AS_JSON
def describe(names: tuple[str, ...], markdown: bool, as_json: bool) -> None:
    """Say which data go where under which tick, of every installed connector or of those that are named."""
    from broker.commands import described
    from broker.installed import announced, kinds, unlisted

    known = kinds()
    sound = {one.name: one.connector for one in announced() if one.connector and _is_sound(one)}
    chosen = [_one_of("connector", name, sound) for name in names or sound]
    found = [
        described.Described(connector, next(one for one in known if not unlisted(connector, [one])))
        for connector in chosen
    ]
    if as_json:
        click.echo(json.dumps([described.facts(one) for one in found]))
    elif markdown:
        click.echo(described.markdown(found), nl=False)
    else:
        for one in found:
            _tell(described.facts(one))


@connectors.command("check")
@AS_JSON
def check(as_json: bool) -> None:
    """Hold every installed connector to the providers' tables. Exit status 1 if any would keep the broker from
    starting."""
    from broker.installed import announced

    found = [(one, _faults(one)) for one in announced()]
    if as_json:
        click.echo(json.dumps([{"name": one.name, "origin": one.origin, "faults": faults} for one, faults in found]))
    else:
        for one, faults in found:
            click.echo(f"{'✗' if faults else '✓'} {one.name}  ({one.origin})")
            for fault in faults:
                click.echo(f"    {fault}")
    if any(faults for _, faults in found):
        sys.exit(1)


def _check_name(name: str, known: Iterable[str]) -> None:
    """It is a module of its own, too, and may hide none."""
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        raise click.UsageError("NAME: 2 to 64 small letters, digits and _; it begins with a letter")
    if name in known:
        raise click.UsageError(f"There is a connector {name} already.")
    if importlib.util.find_spec(name) is not None:
        raise click.UsageError(f"There is a Python module {name} already.")


def _one_of(what: str, name: str, known: dict[str, Any]) -> Any:  # noqa: ANN401 - one of the values of `known`
    if name not in known:
        raise click.UsageError(f"There is no {what} {name[:64]}; there are: {', '.join(sorted(known))}")
    return known[name]


def _resource(provider: "Provider", name: str | None, type_: str, known: "Iterable[Connector]") -> "Resource":
    """The one that was named, or the one that others of this type read."""
    from broker.installed import readable

    there = {name: provider.resources[name] for name in readable(provider)}
    if name is not None:
        resource: Resource = _one_of(f"resource of {provider.kind}", name, there)
        return resource
    others = {one.reads.resource for one in known if one.provider == provider.kind and one.type == type_}
    if len(others) != 1:
        raise click.UsageError(f"Say which --resource of {provider.kind}; there are: {', '.join(there)}")
    return there[others.pop()]


def _choices(provider: "Provider", resource: "Resource", known: "Iterable[Connector]") -> "Reads | None":
    """How the user chooses what the resource hangs on: as for another connector that hangs on the same kind."""
    if resource.asset_kind is None:
        return None
    alike = (
        one.choices
        for one in known
        if one.provider == provider.kind and provider.resources[one.reads.resource].asset_kind == resource.asset_kind
    )
    return next((choices for choices in alike if choices), None)


def _write(folder: Path, texts: dict[str, str]) -> None:
    try:
        folder.mkdir()
    except FileExistsError:
        raise click.UsageError(f"{folder} is there already.") from None
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
        click.echo(folder / name)


def _path(folder: Path) -> str:
    """As pip takes it for a folder and not for a name."""
    return str(folder) if folder.is_absolute() else f"./{folder}"


def _is_sound(one: "Installed") -> bool:
    return not _faults(one)


def _faults(one: "Installed") -> list[str]:
    from broker.installed import kinds, unlisted

    return [*one.faults, *(unlisted(one.connector, kinds()) if one.connector else ())]


def _described(one: "Installed", connector: "Connector", providers: "Iterable[Provider]") -> dict[str, Any]:
    from broker import scopes
    from broker.connections.begin import connector_scopes
    from broker.installed import unlisted

    provider = next(found for found in providers if not unlisted(connector, [found]))
    required = scopes.required_scopes(connector.reads, provider.resources[connector.reads.resource].fields)
    return {
        "name": one.name,
        "provider": connector.provider,
        "type": connector.type,
        "resource": connector.reads.resource,
        "required_scopes": sorted(required),
        "optional_scopes": sorted(set(connector_scopes(connector, provider)) - set(required)),
        "origin": one.origin,
    }


def _tell(fact: dict[str, Any]) -> None:
    click.echo(f"{fact['name']}: {fact['titles']['en']}")
    for field in fact["fields"]:
        opened = " or ".join(value.replace(" ", " and ") for value in field["opened_by"])
        click.echo(f"    {field['titles']['en']}{' (required)' if field['required'] else ''}: opened by {opened}")
    click.echo(f"    → {fact['type']}: {', '.join(fact['members'])}")


def _show(fact: dict[str, Any]) -> None:
    click.echo(f"{fact['name']}  {fact['type']} from {fact['provider']} {fact['resource']}  ({fact['origin']})")
    for kind in ("required", "optional"):
        click.echo(f"    {kind}: {', '.join(fact[f'{kind}_scopes']) or 'none'}")
