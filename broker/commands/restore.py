"""`broker restore`: after a backup was put back (docs/operating/backups.md)."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from broker.commands.assembled import assembled, steps
from broker.errors import BrokerError

if TYPE_CHECKING:
    from broker.restore import Restored
    from broker.runtime import Broker

TEXTS = {
    "lines": "Lines of the shred log replayed: {}.",
    "connections": "Connections ended again: {}.",
    "grants": "Grants withdrawn or narrowed again: {}.",
    "shredded": "Keys destroyed again: {}.",
    "to_tell": "Providers are told again of connections: {}. The duty worker does it.",
    "subjects": "Subjects erased again: {}. The duty worker finishes it.",
    "apps": "Tenants' own provider apps removed again: {}.",
    "clients": "Clients disabled again: {}.",
    "sessions": "Attempts to connect that were ended: {}.",
    "absent": "Connections ended since that this backup does not know: {}.",
}


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option(
    "--new-log",
    is_flag=True,
    help="Begin a new shred log, for the old one is lost. What was revoked since the backup may then be alive again.",
)
@click.option("--json", "as_json", is_flag=True, help="Print facts as JSON.")
def restore(dry_run: bool, new_log: bool, as_json: bool) -> None:
    """Replay the shred log over a database that was put back, so that nothing revoked or shredded returns.

    Stop every broker before. If it is interrupted, run it again: it goes on where it stopped. Without a backup that
    was put back it does nothing.
    """
    if dry_run and new_log:
        raise click.UsageError("--new-log cannot be tried.")
    with assembled(checked=False) as broker:
        _check(broker)
        done = _carried_out(broker, dry_run=dry_run, new_log=new_log)
    if as_json:
        click.echo(json.dumps({"dry_run": dry_run, "new_log": new_log, **asdict(done)}))
    else:
        _show(done, dry_run=dry_run, new_log=new_log)


def _carried_out(broker: "Broker", *, dry_run: bool, new_log: bool) -> "Restored":
    """With a new log, first what the old one can still tell, if it is there and whole."""
    from broker.restore import Restored, begin_anew
    from broker.restore import restore as replay
    from broker.shredlog import LogFault

    with steps() as report:
        if not new_log:
            return replay(broker, dry_run=dry_run, report=report)
        try:
            done = replay(broker, report=report)
        except LogFault:
            done = Restored()
    begin_anew(broker)
    return done


def _check(broker: "Broker") -> None:
    """All that a start checks but the log."""
    from broker.schema import is_current
    from broker.vault import check_place

    if not is_current(broker.database):
        raise BrokerError("The database's schema is not the one of this version: run broker db upgrade.")
    check_place(broker.database)
    with broker.database.write() as session:
        broker.vault.check_keys(session)


def _show(done: "Restored", *, dry_run: bool, new_log: bool) -> None:
    facts = {name: count for name, count in asdict(done).items() if name in TEXTS and count}
    if dry_run:
        click.echo("This would be done:")
    for name, count in facts.items():
        click.echo(TEXTS[name].format(count))
    if done.possibly_orphaned:
        click.echo(f"Whether the provider was told of these is not known: {', '.join(done.possibly_orphaned)}")
    if done.tenants:
        click.echo(f"Erase these tenants again (broker privacy erase-tenant): {', '.join(done.tenants)}")
    if new_log:
        click.echo("A new shred log is begun. What was revoked since the backup, and not replayed, may be alive again.")
    elif not facts:
        click.echo("Nothing to replay: the database knows all that the shred log holds.")
