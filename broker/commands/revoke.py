"""`broker revoke`: the operator ends what matches, in one tenant or in all (docs/revoking.md)."""

import json
import math
from typing import TYPE_CHECKING, Any

import click

from broker.commands.assembled import assembled, operator, progress

if TYPE_CHECKING:
    from broker.connections.matching import Wanted
    from broker.runtime import Broker

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print facts as JSON.")
WAITS = "The providers are told by the duty worker; broker receipts show ID says how that went."


@click.command()
@click.option("--tenant", help="Everything of this tenant; without it, of every tenant where something matches.")
@click.option("--subject", help="Only this subject's.")
@click.option("--provider", help="Only at this provider.")
@click.option("--connector", help="Only this connector's grants; the last one ends its connection.")
@click.option("--connection", help="This connection; with --connector, one grant of it.")
@click.option("--reason", help="Why: it stands on the receipt.")
@click.option("--dry-run", is_flag=True, help="Only say what would end.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@AS_JSON
def revoke(
    tenant: str | None,
    subject: str | None,
    provider: str | None,
    connector: str | None,
    connection: str | None,
    reason: str | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """End connections and grants: no data any more from the end of this command on, and the providers are told.

    If it is interrupted, run it again: it goes on where it stopped, under the same receipt.
    """
    _check(tenant, subject, provider, connector, connection, reason)
    with assembled() as broker:
        if connection:
            _one(broker, connection, connector, reason, dry_run=dry_run, yes=yes, as_json=as_json)
        else:
            wanted = _wanted(broker, tenant, subject, provider, connector)
            _all(broker, wanted, reason, dry_run=dry_run, yes=yes, as_json=as_json)


def _check(
    tenant: str | None,
    subject: str | None,
    provider: str | None,
    connector: str | None,
    connection: str | None,
    reason: str | None,
) -> None:
    """Nothing said is no way to say everything."""
    if not any((tenant, subject, provider, connector, connection)):
        raise click.UsageError("Say what is to end: --tenant, --subject, --provider, --connector or --connection.")
    if connection and (tenant or subject or provider):
        raise click.UsageError("--connection names one; only --connector goes with it.")
    if "" in (tenant, subject, provider, connector, connection):
        raise click.UsageError("An empty value matches nothing: leave the option out, or fill it in.")
    if reason and (len(reason) > 500 or not reason.isprintable()):
        raise click.UsageError("--reason: at most 500 printable characters.")


def _wanted(
    broker: "Broker", tenant: str | None, subject: str | None, provider: str | None, connector: str | None
) -> "list[Wanted]":
    from broker.connections.matching import Wanted, tenants_with

    tenants = [tenant] if tenant else tenants_with(broker, subject=subject, provider=provider, connector=connector)
    return [Wanted(name, subject, provider, connector) for name in tenants]


def _one(
    broker: "Broker",
    connection: str,
    connector: str | None,
    reason: str | None,
    *,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    from broker.connections.revoke import end_connection, end_grant, would_end

    found = would_end(broker, operator(), connection, connector)
    if dry_run:
        _show_would_end(found, as_json=as_json)
        return
    _ask(len(found["would_end"]), yes=yes)
    if connector:
        ended = end_grant(broker, operator(), connection, connector, reason=reason)
    else:
        ended = end_connection(broker, operator(), connection, reason=reason)
    _show([ended.receipt], as_json=as_json)


def _all(
    broker: "Broker", wanted: "list[Wanted]", reason: str | None, *, dry_run: bool, yes: bool, as_json: bool
) -> None:
    from broker.connections.mass import end_all
    from broker.connections.matching import count, would_end_all

    if dry_run:
        found: dict[str, list[Any]] = {"would_end": [], "siblings": []}
        for one in wanted:
            for name, items in would_end_all(broker, operator(), one).items():
                found[name] += items
        _show_would_end(found, as_json=as_json)
        return
    _ask(sum(count(broker, one) for one in wanted), yes=yes)
    receipts = []
    for one in wanted:
        with progress(one.tenant) as report:
            receipts.append(end_all(broker, operator(), one, reason, report, within=math.inf).receipt)
    _show(receipts, as_json=as_json)


def _ask(matching: int, *, yes: bool) -> None:
    """On a terminal alone: a script says --yes."""
    if not yes:
        click.confirm(f"{matching} connections match. End this now? It cannot be undone", abort=True, err=True)


def _show_would_end(found: dict[str, list[Any]], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(found))
        return
    for item in found["would_end"]:
        click.echo(" ".join(item.values()))
    click.echo(
        f"Would end: {len(found['would_end'])}. They share an authorization and go on: {len(found['siblings'])}.",
        err=True,
    )


def _show(receipts: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"revocations": receipts}))
        return
    for receipt in receipts:
        ended = len(receipt["connections"])
        click.echo(f"{receipt['tenant']}: receipt {receipt['id']}, {ended} ended, {receipt['state']}")
    if any(receipt["state"] == "in_progress" for receipt in receipts):
        click.echo(WAITS, err=True)
    elif not receipts:
        click.echo("Nothing matches.", err=True)
