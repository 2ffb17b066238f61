"""`broker incident`: who and what was concerned within a window of time (docs/privacy.md has the steps)."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click

from broker.commands.assembled import assembled, progress

FORMS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
TIME = click.DateTime(FORMS)


@click.group()
def incident() -> None:
    """A breach: what must be known within 72 hours."""


@incident.command("report")
@click.option("--from", "start", type=TIME, required=True, help="In UTC.")
@click.option("--to", "end", type=TIME, required=True, help="In UTC, exclusive.")
@click.option("--client", help="Only what this client read or did.")
@click.option("--tenant", help="Only this tenant.")
@click.option("--connector", help="Only this connector.")
@click.option("--json", "as_json", is_flag=True, help="Print facts as JSON, a line each.")
def report(
    start: datetime, end: datetime, client: str | None, tenant: str | None, connector: str | None, as_json: bool
) -> None:
    """Print whose data were read, which, by whom, when; and every change in the same time.

    Accesses are counted by the hour: each hour that the window touches counts. What was erased since is named by its
    keyed hash.
    """
    from broker.privacy.incident import Window, accesses, changes, persons, rows

    if start >= end:
        raise click.UsageError("--from must be before --to.")
    window = Window(start.replace(tzinfo=UTC), end.replace(tzinfo=UTC), client, tenant, connector)
    totals = {"persons": 0, "accesses": 0, "records": 0, "changes": 0}
    with assembled() as broker:
        broker.accesses.write()
        with progress("counts") as bar:
            done, count = 0, rows(broker, window)
            for access, counts in accesses(broker, window):
                _print(access, as_json=as_json)
                totals["accesses"], totals["records"] = totals["accesses"] + 1, totals["records"] + access["records"]
                bar(done := done + counts, count)
        for change in changes(broker, window):
            _print(change, as_json=as_json)
            totals["changes"] += 1
        totals["persons"] = persons(broker, window)
    _print({"kind": "totals", **totals}, as_json=as_json)


def _print(line: Mapping[str, Any], *, as_json: bool) -> None:
    click.echo(json.dumps(line) if as_json else TEXTS[line["kind"]].format(**_shown(line)))


TEXTS = {
    "access": "{first_hour} – {last_hour}  {tenant}/{subject}  {connector}: {records} records of {resource} in {pages} "
    "pages by {client} ({operation}; {fields})  {connection}",
    "change": "{at}  {tenant}/{subject}  {action} by {actor}  {connection}",
    "totals": "{persons} persons, {records} records read, {accesses} lines of accesses, {changes} changes.",
}


def _shown(line: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: ", ".join(value) if isinstance(value, list) else value for name, value in line.items()}
    shown["subject"] = line.get("subject") or line.get("subject_hash") or "–"
    return {name: "–" if value is None else value for name, value in shown.items()}
