"""`broker google-events`: the stream of Google's security events, set up and looked at: docs/google-events.md."""

import json
import secrets
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from broker.commands.private_file import read_private
from broker.errors import BrokerError

if TYPE_CHECKING:
    from broker.providers.google_stream import Stream
    from broker.runtime import Broker

POLL = 0.25
KEY_FILE = click.option(
    "--key-file",
    "key_file",
    required=True,
    metavar="FILE",
    help="Key file of a service account of the project, yours alone to read.",
)
APP = click.option("--app", "app_id", metavar="APP", help="A tenant's own app; else the one that all share.")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print facts as JSON.")


@click.group("google-events")
def google_events() -> None:
    """Google's security events (Cross-Account Protection): the stream that brings them."""


@google_events.command("configure")
@KEY_FILE
@APP
@click.option("--event", "events", multiple=True, metavar="NAME", help="Only these; repeat for more.")
@click.option("--url", help="Where Google reaches the receiver, if not at BROKER_PUBLIC_URL.")
@AS_JSON
def configure(key_file: str, app_id: str | None, events: Sequence[str], url: str | None, as_json: bool) -> None:
    """Have Google send security events to this broker; replaces what was configured."""
    from broker.providers.google_events import OFFERED, TYPES

    broker = _broker()
    if unknown := sorted(set(events) - set(TYPES)):
        raise click.UsageError(f"--event: {', '.join(unknown)[:100]}: unknown; there are: {', '.join(TYPES)}")
    wanted = list(dict.fromkeys(events)) or list(OFFERED)
    to = url or _receiver(broker, app_id)
    _stream(broker, key_file).configure(to, [TYPES[name] for name in wanted])
    _noted(broker, app_id, "configured", events=wanted)
    _tell({"url": to, "events": wanted}, f"Google sends {', '.join(wanted)} to {to}", as_json)


@google_events.command("status")
@KEY_FILE
@APP
@AS_JSON
def status(key_file: str, app_id: str | None, as_json: bool) -> None:
    """What Google has configured, whether it is on, and what came last. Exit status 1 where no events would come."""
    from broker.connections.from_google import stream
    from broker.connections.read import rfc3339
    from broker.providers.google_events import NAMES

    broker = _broker()
    receiver, there = _receiver(broker, app_id), _stream(broker, key_file)
    told, known = there.configuration(), stream(broker, app_id or "google")
    delivery, requested = told.get("delivery"), told.get("events_requested")
    facts = {
        "url": delivery.get("url") if isinstance(delivery, dict) else None,
        "receiver": receiver,
        "status": there.status(),
        "events": [NAMES.get(str(uri), str(uri)) for uri in requested] if isinstance(requested, list) else [],
        "last_at": rfc3339(known.last_at) if known else None,
        "verified_at": rfc3339(known.verified_at) if known else None,
    }
    text = "\n".join(
        f"{name}: {', '.join(value) if isinstance(value, list) else value or 'none'}" for name, value in facts.items()
    )
    _tell(facts, text, as_json)
    if facts["status"] != "enabled":
        raise BrokerError("The stream is off, and Google keeps nothing meanwhile: broker google-events resume")
    if facts["url"] != receiver:
        click.echo("Google sends to another address than this broker's own.", err=True)


@google_events.command("verify")
@KEY_FILE
@APP
@click.option("--wait", type=click.FloatRange(0, 600), default=30, show_default=True, help="Seconds, 0: not at all.")
@AS_JSON
def verify(key_file: str, app_id: str | None, wait: float, as_json: bool) -> None:
    """Have Google send a test event, and wait until this broker has got it. Exit status 1 where it has not."""
    broker = _broker()
    _receiver(broker, app_id)
    state = secrets.token_urlsafe(16)
    _stream(broker, key_file).verify(state)
    came = _came(broker, app_id or "google", state, wait)
    text = "The test event came." if came else "Google was asked for a test event."
    _tell({"asked": True, "came": came}, text, as_json)
    if wait and not came:
        raise BrokerError(
            f"Nothing came within {wait:g} s: does Google reach the receiver, and is the event verification configured?"
        )


@google_events.command("pause")
@KEY_FILE
@APP
@AS_JSON
def pause(key_file: str, app_id: str | None, as_json: bool) -> None:
    """Have Google send nothing. What happens meanwhile, nobody ever hears of: the daily looks alone find it."""
    _switched(key_file, app_id, as_json, on=False)


@google_events.command("resume")
@KEY_FILE
@APP
@AS_JSON
def resume(key_file: str, app_id: str | None, as_json: bool) -> None:
    """Have Google send again."""
    _switched(key_file, app_id, as_json, on=True)


def _switched(key_file: str, app_id: str | None, as_json: bool, *, on: bool) -> None:
    broker = _broker()
    _receiver(broker, app_id)
    _stream(broker, key_file).switch(on=on)
    _noted(broker, app_id, "resumed" if on else "paused")
    status = "enabled" if on else "disabled"
    _tell({"status": status}, f"The stream is {status}.", as_json)


def _came(broker: "Broker", app_id: str, state: str, wait: float) -> bool:
    from broker.connections.from_google import stream
    from broker.secret import digest

    until = time.monotonic() + wait
    while True:
        known = stream(broker, app_id)
        if known and known.verified_hash == digest(state):
            return True
        if time.monotonic() >= until:
            return False
        time.sleep(POLL)


def _broker() -> "Broker":
    from broker.app import assemble, check, environment

    broker = assemble(environment())
    check(broker)
    return broker


def _receiver(broker: "Broker", app_id: str | None) -> str:
    """Where this broker takes the events of an app."""
    app = broker.app(app_id or "google")
    if app.provider != "google" or (app_id and not app.tenant):
        raise click.UsageError("--app: that is no tenant's own app at Google")
    return next(url for url in broker.hook_urls(app) if url.endswith("/events"))


def _stream(broker: "Broker", key_file: str) -> "Stream":
    from broker.providers.google_stream import ServiceAccount, Stream

    try:
        account = ServiceAccount.read(read_private("--key-file", key_file))
    except ValueError as error:
        raise click.UsageError(f"--key-file: {error}") from None
    return Stream(broker.upstream, account, lambda: broker.clock().timestamp())


def _noted(broker: "Broker", app_id: str | None, what: str, **detail: Any) -> None:  # noqa: ANN401
    from broker import audit

    tenant = broker.app(app_id).tenant if app_id else None
    with broker.database.write() as session:
        named = {"tenant": tenant} if tenant else {}
        audit.note(session, f"event_stream.{what}", actor="operator", app=app_id or "google", **named, **detail)


def _tell(facts: dict[str, Any], text: str, as_json: bool) -> None:
    click.echo(json.dumps(facts) if as_json else text)
