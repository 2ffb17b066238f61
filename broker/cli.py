"""The operator's commands. Exit status 0: done; 1: it failed, and the text says how to mend it; 2: misused."""

import os
import signal
import sys
from typing import NoReturn

import click

from broker import __version__
from broker.commands.audit import audit
from broker.commands.catalog import catalog
from broker.commands.clients import clients
from broker.commands.connectors import connectors
from broker.commands.events import events
from broker.commands.google_events import google_events
from broker.commands.incident import incident
from broker.commands.keys import keys
from broker.commands.looking import doctor, explain
from broker.commands.privacy import privacy
from broker.commands.providers import providers
from broker.commands.receipts import receipts
from broker.commands.restore import restore
from broker.commands.revoke import revoke
from broker.commands.sandbox import sandbox
from broker.errors import BrokerError, ConfigurationError

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print facts as JSON.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="broker")
def cli() -> None:
    """Third-party integration broker: links accounts, and passes data on only within what the user granted."""


def main() -> NoReturn:
    """The entry point: a deliberate error is a line of text, never a traceback."""
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.Abort:
        sys.exit(1)
    except ConfigurationError as error:
        click.echo(f"The broker cannot start:\n{error}", err=True)
        sys.exit(1)
    except BrokerError as error:
        click.echo(error.detail, err=True)
        sys.exit(1)
    sys.exit(0)


@cli.group()
def db() -> None:
    """The database."""


@db.command("upgrade")
def db_upgrade() -> None:
    """Bring the database to the newest schema; safe to repeat, and to run from several hosts at once."""
    from broker.app import assemble, environment
    from broker.schema import upgrade

    broker = assemble(environment())
    upgrade(broker.database)
    with broker.database.write() as session:
        broker.vault.check_keys(session)
    click.echo("The database is up to date.")


@db.command("move-keys")
def db_move_keys() -> None:
    """Move the keys out of the database into the one that BROKER_KEYSTORE_URL names. Stop every broker before."""
    from broker.app import assemble, environment
    from broker.schema import upgrade
    from broker.vault import move_keys

    broker = assemble(environment())
    upgrade(broker.database)
    moved = move_keys(broker.database)
    broker.shred_log.keys_moved()
    click.echo(f"Rows moved: {moved}. Backups of the database that are older than this still hold the keys.")


@cli.command()
@click.option("--bind", metavar="HOST:PORT", help="Where to listen; see BROKER_BIND.")
@click.option("--workers", type=click.IntRange(1, 64), default=2, show_default=True)
@click.option("--threads", type=click.IntRange(1, 256), default=16, show_default=True)
@click.option("--no-work", is_flag=True, help="Leave out the duty worker.")
def serve(bind: str | None, workers: int, threads: int, no_work: bool) -> None:
    """Serve with gunicorn, and do the duties beside it."""
    from broker import serving
    from broker.app import assemble, check, environment

    environ = environment()
    broker = assemble(environ)
    check(broker)
    broker.database.dispose()
    address = bind or serving.bind_address(broker.settings, environ)
    click.echo(f"Serving {broker.settings.public_url} on {address}", err=True)
    command = serving.gunicorn_command(broker.settings, bind=address, workers=workers, threads=threads)
    sys.exit(serving.serve(command, with_worker=not no_work))


@cli.command()
@click.option("--once", is_flag=True, help="Drain what is due, then exit.")
def work(once: bool) -> None:
    """Do the duties: tell providers of revocations, sweep what expired. Any number of these may run."""
    from broker import duties
    from broker.app import assemble, check, environment

    broker = assemble(environment())
    check(broker)
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: stopping.append(received))
    duties.work(broker, once=once, stop=lambda: bool(stopping))


@cli.command()
@click.option("--once", is_flag=True, help="End after the walk; exit status 0 only if every step held.")
def demo(once: bool) -> None:
    """Show the whole job on a sandbox: connect, read, refuse, withdraw, revoke."""
    from broker.demo import run

    sys.exit(run(once=once))


cli.add_command(audit)
cli.add_command(keys)
cli.add_command(doctor)
cli.add_command(explain)
cli.add_command(restore)
cli.add_command(sandbox)
cli.add_command(clients)
cli.add_command(providers)
cli.add_command(connectors)
cli.add_command(catalog)
cli.add_command(privacy)
cli.add_command(incident)
cli.add_command(revoke)
cli.add_command(receipts)
cli.add_command(google_events)
cli.add_command(events)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main()
