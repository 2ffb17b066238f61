"""`broker catalog`: Google's tables of operations built anew, and what changed in access."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from broker.commands.compiled import Compiled

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print facts as JSON.")
SHIPPED = "shipped"
SHOWN = 40
"""Lines of one kind that are shown to people; --json has all."""


@click.group()
def catalog() -> None:
    """Tables of Google's operations, compiled from its discovery documents. docs/operating/catalog.md."""


@catalog.command("build")
@click.option("--from", "source", metavar="VERSION|PATH", help="An installed version, a wheel, or a folder.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Write the tables here.")
@AS_JSON
def build(source: str | None, out: Path | None, as_json: bool) -> None:
    """Compile every discovery document of google-api-python-client, and hold it to what is shipped.

    Without --out nothing is written, and exit status 1 says that the shipped tables are others.
    """
    from broker.commands import compiled

    made, shipped = _compiled(source), compiled.shipped()
    same = made.index["digest"] == shipped.index["digest"]
    if out:
        compiled.write(made, out)
    facts = {key: value for key, value in made.index.items() if key != "tables"}
    if as_json:
        click.echo(json.dumps({**facts, "tables": len(made.tables), "same_as_shipped": same}))
    else:
        click.echo(f"{made.source}: {made.documents} documents, {made.methods} methods")
        click.echo(
            f"{len(made.tables)} tables of {sum(len(table['methods']) for table in made.tables.values())} methods"
        )
        click.echo(f"digest {facts['digest']}{f', written to {out}' if out else ''}")
        click.echo("The same as shipped." if same else "Not what is shipped: broker catalog diff shows what changed.")
    if not same and not out:
        sys.exit(1)


@catalog.command("diff")
@click.argument("sides", nargs=-1, metavar="[OLD] NEW")
@AS_JSON
def diff(sides: tuple[str, ...], as_json: bool) -> None:
    """Show what changed in access from OLD to NEW: methods, what opens them, how they are called.

    Each is an installed version of google-api-python-client, a wheel of it, a folder of discovery documents, a folder
    that `broker catalog build` wrote, or `shipped`, which OLD is if it is left out. Exit status 1 where anything
    changed that an installed connector declares.
    """
    from broker.commands.access import changes

    if not 1 <= len(sides) <= 2:
        raise click.UsageError("Name one or two sets of tables: [OLD] NEW")
    old, new = (_tables(side) for side in (*([SHIPPED] if len(sides) == 1 else []), *sides))
    facts = changes(old, new, _declared())
    if as_json:
        click.echo(json.dumps(facts))
    else:
        _show(facts)
    if facts["connectors"]:
        sys.exit(1)


def _tables(side: str) -> "Compiled":
    from broker.commands import compiled

    if side == SHIPPED:
        return compiled.shipped()
    if (Path(side) / compiled.INDEX).is_file():
        return compiled.read(Path(side))
    return _compiled(side)


def _compiled(source: str | None) -> "Compiled":
    from broker.commands import compiled

    folder, name = compiled.documents(source)
    with _progress(f"Compiling {name}") as told:
        return compiled.compile_all(folder, name, told)


@contextmanager
def _progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """A bar, where somebody looks on."""
    if not sys.stderr.isatty():
        yield lambda _done, _of: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def _declared() -> dict[str, list[str]]:
    """Installed connectors of Google's → ids, with their versions, of the operations that each declares."""
    from broker.installed import announced, kinds, unlisted
    from broker.providers import google
    from broker.reading import declared_operations

    provider, known = google.PROVIDER, kinds()
    found = {}
    for one in announced():
        connector = one.connector
        if connector is None or connector.provider != provider.kind or unlisted(connector, known):
            continue
        reads = [connector.reads, *([connector.choices] if connector.choices else [])]
        names = {name for each in reads for name in declared_operations(provider, provider.resources[each.resource])}
        found[connector.name] = sorted(map(google.versioned, names))
    return found


def _show(facts: dict[str, Any]) -> None:
    click.echo(f"from {facts['old']['source']} to {facts['new']['source']}")
    _list("APIs", facts["apis"]["added"], "+")
    _list("APIs", facts["apis"]["removed"], "-")
    _list("methods", [f"{one['id']}  {', '.join(one['scopes'])}" for one in facts["added"]], "+")
    _list("methods", [one["id"] for one in facts["removed"]], "-")
    _list("methods opened otherwise", [_opened(one) for one in facts["scopes"]], "~")
    less = [
        f"{one['id']}  {', '.join(one['readable_with_less'])}" for one in facts["scopes"] if one["readable_with_less"]
    ]
    _list("methods readable with a lesser scope", less, "!")
    _list("methods called otherwise", [f"{one['id']}  {', '.join(one['changed'])}" for one in facts["calls"]], "~")
    for connector, names in facts["connectors"].items():
        click.echo(f"✗ {connector} declares")
        for name in names:
            click.echo(f"    {name}: {'; '.join(_changed(facts, name))}")
    if not facts["connectors"]:
        click.echo("Nothing changed of what an installed connector declares.")


def _changed(facts: dict[str, Any], name: str) -> Iterator[str]:
    """What changed of one method."""
    for kind in ("added", "removed"):
        yield from (kind for one in facts[kind] if one["id"] == name)
    yield from (_opened(one).removeprefix(name).strip() for one in facts["scopes"] if one["id"] == name)
    yield from (f"other {', '.join(one['changed'])}" for one in facts["calls"] if one["id"] == name)


def _opened(one: dict[str, Any]) -> str:
    return "  ".join([one["id"], *(f"+{scope}" for scope in one["added"]), *(f"-{scope}" for scope in one["removed"])])


def _list(title: str, lines: list[str], mark: str) -> None:
    if not lines:
        return
    click.echo(f"{mark} {len(lines)} {title}")
    for line in lines[:SHOWN]:
        click.echo(f"    {mark} {line}")
    if len(lines) > SHOWN:
        click.echo(f"    … and {len(lines) - SHOWN} more: --json has all")
