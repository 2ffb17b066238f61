"""`broker doctor` and `broker explain`: what keeps the broker from working, and why data are given or not."""

import json
import sys
from dataclasses import asdict
from typing import Any

import click

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print facts as JSON.")


@click.command()
@AS_JSON
def doctor(as_json: bool) -> None:
    """Check configuration, database, keys, clocks and providers. Exit status 1 if anything needs mending."""
    from broker.app import environment
    from broker.doctor import examine

    found = examine(environment())
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in found]))
    else:
        for finding in found:
            click.echo(f"{'✓' if finding.held else '✗'} {finding.check}: {finding.seen}")
            if not finding.held:
                click.echo(f"    {finding.mend}")
    if not all(finding.held for finding in found):
        sys.exit(1)


@click.command()
@click.argument("connection")
@click.argument("connector")
@click.argument("operation", required=False)
@AS_JSON
def explain(connection: str, connector: str, operation: str | None, as_json: bool) -> None:
    """Say why CONNECTOR may read something on CONNECTION, or why not. Exit status 1 where it is denied."""
    from broker.app import assemble, check, environment
    from broker.explain import explain as explained

    broker = assemble(environment())
    check(broker)
    facts = explained(broker, connection, connector, operation)
    if as_json:
        click.echo(json.dumps(facts))
    else:
        _show(facts)
    if facts["verdict"] == "denied":
        sys.exit(1)


def _show(facts: dict[str, Any]) -> None:
    click.echo(f"{facts['verdict']}: {'; '.join(facts['because'])}")
    click.echo(f"connection {facts['connection']} is {facts['state']}")
    for name, scopes in facts["scopes"].items():
        click.echo(f"{name.replace('_', ' ')}: {', '.join(scopes) or 'none'}")
    if facts["assets"] is not None:
        click.echo(f"assets: {', '.join(facts['assets']) or 'none chosen yet'}")
    for resource in facts["resources"]:
        click.echo(f"{resource['resource']} by {', '.join(one['operation'] for one in resource['operations'])}")
        for field in resource["fields"]:
            openers = [value.replace(" ", " and ") for value in field["opened_by"]]
            mark = "withheld, opened by " + " or ".join(openers) if field["withheld"] else "passed on"
            click.echo(f"    {field['field']}{' (required)' if field['required'] else ''}: {mark}")
