"""`broker audit`: verify the chains, and export them to keep elsewhere."""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from broker.audit import Chains
    from broker.models import AuditEntry


@click.group()
def audit() -> None:
    """The audit: every state change, in one hash chain a tenant."""


@audit.command("verify")
@click.option("--tenant", help="Only this tenant's chain; '*' is the broker's own.")
@click.option("--file", "exported", type=click.Path(exists=True, dir_okay=False), help="An export, checked offline.")
@click.option("--against", type=click.Path(exists=True, dir_okay=False), help="An earlier export to hold it against.")
@click.option("--json", "as_json", is_flag=True, help="Print facts as JSON.")
def verify(tenant: str | None, exported: str | None, against: str | None, as_json: bool) -> None:
    """Check every entry against the one before it. Exit status 1 if anything was changed, left out or put in.

    What only an export kept elsewhere can show, a chain cut short or made anew, is found with --against.
    """
    from broker.audit import Chains

    chains = Chains()
    earlier = _hashes(against, tenant) if against else {}
    for row in _shown(_from_file(exported, tenant) if exported else _from_database(tenant), sys.stderr.isatty()):
        chains.check(row)
        kept = earlier.pop((row.tenant, row.seq), row.hash)
        if kept != row.hash:
            chains.faults.setdefault(row.tenant, f"entry {row.seq} is not the one that was exported")
    if not exported:
        chains.check_heads(_heads(tenant))
    for name, seq in sorted(earlier):
        chains.faults.setdefault(name, f"entry {seq} was exported and is missing")
    _report(chains, as_json=as_json)


@audit.command("export")
@click.option("--tenant", help="Only this tenant's chain; '*' is the broker's own.")
def export(tenant: str | None) -> None:
    """Write every entry as a line of JSON to standard output: keep it where the database's owner cannot reach it."""
    from broker.audit import exported

    for row in _from_database(tenant):
        click.echo(json.dumps(exported(row)))


def _report(chains: "Chains", *, as_json: bool) -> None:
    facts: dict[str, Any] = {"entries": chains.count, "chains": len(chains.heads), "faults": chains.faults}
    if as_json:
        click.echo(json.dumps(facts))
    elif not chains.faults:
        click.echo(f"{chains.count} entries in {len(chains.heads)} chains: nothing was changed, left out or put in.")
    else:
        for tenant, fault in sorted(chains.faults.items()):
            click.echo(f"The chain of {tenant}: {fault}.", err=True)
    if chains.faults:
        sys.exit(1)


def _from_database(tenant: str | None) -> Iterator["AuditEntry"]:
    from broker.app import assemble, check, environment
    from broker.audit import entries

    broker = assemble(environment())
    check(broker)
    yield from entries(broker.database, tenant)


def _heads(tenant: str | None) -> dict[str, tuple[int, bytes]]:
    from broker.app import assemble, environment
    from broker.audit import recorded_heads

    found = recorded_heads(assemble(environment()).database)
    return {name: head for name, head in found.items() if tenant in (None, name)}


def _from_file(path: str, tenant: str | None) -> Iterator["AuditEntry"]:
    """Lines of an export, in order. Raises `ClickException` for one that is none."""
    from broker.audit import imported

    with Path(path).open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                row = imported(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError):
                raise click.ClickException(f"{path}: line {number} is no entry of an export.") from None
            if tenant in (None, row.tenant):
                yield row


def _hashes(path: str, tenant: str | None) -> dict[tuple[str, int], bytes]:
    return {(row.tenant, row.seq): row.hash for row in _from_file(path, tenant)}


def _shown(rows: Iterable["AuditEntry"], terminal: bool) -> Iterator["AuditEntry"]:
    """The rows themselves, counted before somebody's eyes where there is a terminal."""
    if not terminal:
        yield from rows
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), TextColumn("{task.completed:.0f} entries checked"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield from progress.track(rows, description="")
