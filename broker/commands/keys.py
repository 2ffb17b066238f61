"""`broker keys`: make, add, rotate and look at key encryption keys (docs/operating/keys.md)."""

import json
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from broker.commands.assembled import assembled, steps
from broker.errors import BrokerError, ConfigurationError

if TYPE_CHECKING:
    from broker.runtime import Broker
    from broker.secret import Secret
    from broker.vault import KeyStatus, Rotated

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print facts as JSON.")
KID = click.option("--kid", help="The new key's id; by default one with today's date.")


@click.group()
def keys() -> None:
    """Key encryption keys: of those in the source that BROKER_KEYS names the first seals, and all open."""


@keys.command("generate")
@click.argument("source", required=False)
@KID
def generate(source: str | None, kid: str | None) -> None:
    """Make the source that BROKER_KEYS names: a file:/path (mode 0600, never overwritten) or a value for env:NAME."""
    from broker.app import environment
    from broker.keyring import make_keys

    source = source or environment().get("BROKER_KEYS", "")
    if not source.startswith(("file:", "env:")):
        raise click.UsageError("Name a source, or set BROKER_KEYS: file:/path or env:NAME.")
    with _told_plainly():
        value = make_keys(source, kid=kid or _new_kid())
    _hand_over(value, "Made. Back it up apart from the database: without it nothing that was sealed can be opened.")


@keys.command("add")
@KID
def add(kid: str | None) -> None:
    """Add a key that opens but does not yet seal: changes the file:, or prints the new value for env:NAME.

    Every host must hold it before one of them seals with it (docs/operating/keys.md).
    """
    from broker.app import environment
    from broker.keyring import add_key

    environ, kid = environment(), kid or _new_kid()
    with _told_plainly():
        value = add_key(environ.get("BROKER_KEYS", ""), environ, kid=kid)
    _hand_over(value, f"Added {kid}. Back it up and bring it to every host; then: broker keys rotate --to {kid}")


@keys.command("rotate")
@click.option("--to", "kid", help="First let this key seal: puts it first in the source.")
@click.option("--tenant-keys", is_flag=True, help="Then replace tenant keys that are older than a day, too.")
@AS_JSON
def rotate(kid: str | None, tenant_keys: bool, as_json: bool) -> None:
    """Bring all that is sealed under the key that seals now, while everything else goes on.

    If it is interrupted, run it again: it goes on where it stopped.
    """
    from broker.app import check
    from broker.audit import note
    from broker.vault import rotate as rotate_all

    with assembled(checked=False) as broker:
        check(broker)
        if kid and kid != broker.vault.primary:
            _let_seal(broker, kid)
        with steps() as report:
            rotated = rotate_all(broker.database, broker.vault, tenant_keys=tenant_keys, report=report)
        with broker.database.write() as session:
            note(session, "keys.rotated", actor="operator", primary=broker.vault.primary, **asdict(rotated))
        _show(rotated, _status(broker), as_json=as_json)
    if rotated.failed:
        raise BrokerError("Some keys do not open and were left as they are: " + ", ".join(rotated.failed))


@keys.command("status")
@AS_JSON
def status(as_json: bool) -> None:
    """Which keys there are, which one seals, and how much each still wraps.

    Exit status 1 if one is missing or not the one that was first used under its id.
    """
    from broker.schema import is_current

    with assembled(checked=False) as broker:
        if not is_current(broker.database):
            raise BrokerError("The database's schema is not the one of this version: run broker db upgrade.")
        found = _status(broker)
    if as_json:
        click.echo(json.dumps({"keys": [{"state": key.state, **asdict(key)} for key in found]}))
    else:
        for key in found:
            click.echo(f"{key.kid}: {key.state}, wraps {key.tenant_keys} tenant keys")
    if not all(key.genuine for key in found):
        raise BrokerError("A key that is missing or wrong must be put back: the broker does not start without it.")


def _let_seal(broker: "Broker", kid: str) -> None:
    """Ends here for a variable: what this process was started with cannot be changed."""
    from broker.app import environment
    from broker.keyring import put_first

    with _told_plainly():
        value = put_first(broker.settings.keys, environment(), kid=kid)
    if value:
        _hand_over(value, "Give the variable this value, start every process anew, then: broker keys rotate")
        sys.exit(1)


def _status(broker: "Broker") -> "list[KeyStatus]":
    with broker.database.read() as session:
        return broker.vault.status(session)


def _show(rotated: "Rotated", after: "list[KeyStatus]", *, as_json: bool) -> None:
    primary = next(key.kid for key in after if key.primary)
    if as_json:
        click.echo(json.dumps({"primary": primary, **asdict(rotated)}))
        return
    click.echo(f"Under {primary} now, and was not before: {rotated.tenant_keys} tenant keys.")
    if rotated.new_tenant_keys or rotated.connection_keys:
        click.echo(
            f"New tenant keys: {rotated.new_tenant_keys}; connection keys under them: {rotated.connection_keys}."
        )
    for key in after:
        if not key.primary and not key.tenant_keys:
            click.echo(f"{key.kid} wraps nothing any more: docs/operating/keys.md tells when it may go.")


def _new_kid() -> str:
    """Tells its age, and is never given twice: an id is bound to its key for good."""
    return f"key-{datetime.now(UTC):%Y-%m-%d}-{secrets.token_hex(2)}"


def _hand_over(value: "Secret | None", text: str) -> None:
    """A value for a variable is all that goes to standard output, so that it can be piped to where it belongs."""
    if value:
        click.echo(value.reveal())
    click.echo(text, err=True)


@contextmanager
def _told_plainly() -> Iterator[None]:
    """What is wrong with a source is no reason here that "the broker cannot start"."""
    try:
        yield
    except ConfigurationError as error:
        raise BrokerError("\n".join(error.problems)) from None
