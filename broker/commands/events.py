"""`broker events`: where events go, what became of each, and sending it once more."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from broker.events.endpoints import Page
    from broker.runtime import Broker

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print facts as JSON.")
PAGE = 200


@click.group()
def events() -> None:
    """Events to the sales app: endpoints, deliveries, replay."""


@events.command("endpoints")
@AS_JSON
def show_endpoints(as_json: bool) -> None:
    """Every endpoint of every client: how it does, and how many events wait for it or failed."""
    from broker.events import endpoints

    broker = _broker()
    found = _all(lambda cursor: endpoints.listed(broker, None, limit=PAGE, cursor=cursor))
    if as_json:
        click.echo(json.dumps(found))
        return
    for one in found:
        since = f" since {one['failing_since']}" if one["failing_since"] else ""
        by = f" by the {one['disabled_by']}" if one["disabled_by"] else ""
        click.echo(f"{one['id']}  {one['url']}  ({one['state']}{by}{since})")
        click.echo(f"    {one['pending']} pending, {one['failed']} failed")
        click.echo(f"    tenants: {', '.join(one['tenants'])}; types: {', '.join(one['types'])}")


@events.command("list")
@click.argument("endpoint", required=False)
@click.option("--state", type=click.Choice(["pending", "delivered", "failed"]), help="Only those.")
@AS_JSON
def show_list(endpoint: str | None, state: str | None, as_json: bool) -> None:
    """What became of each event, oldest first; at ENDPOINT, or at all of them."""
    from broker.events import looked_at

    broker = _broker()
    found = _all(lambda cursor: looked_at.deliveries(broker, None, endpoint, state=state, limit=PAGE, cursor=cursor))
    if as_json:
        click.echo(json.dumps(found))
        return
    for one in found:
        click.echo(_line(one))


@events.command("show")
@click.argument("event")
@AS_JSON
def show_event(event: str, as_json: bool) -> None:
    """One event as it is sent, and how it went at each endpoint."""
    from broker.events import looked_at

    facts = looked_at.event(_broker(), event)
    if as_json:
        click.echo(json.dumps(facts))
        return
    click.echo(json.dumps(facts["body"], indent=2))
    for one in facts["deliveries"]:
        click.echo(f"{one['endpoint']}: {_line(one)}")


@events.command("replay")
@click.argument("endpoint")
@click.option("--event", help="This one, whatever became of it.")
@click.option("--since", type=click.DateTime(), help="Only what failed of later than this, in UTC.")
@AS_JSON
def replay(endpoint: str, event: str | None, since: datetime | None, as_json: bool) -> None:
    """Send once more what failed at ENDPOINT; a worker does it."""
    from broker.events import looked_at

    later = since.replace(tzinfo=UTC) if since else None
    count = looked_at.replay(_broker(), None, endpoint, event_id=event, since=later)
    click.echo(json.dumps({"replayed": count}) if as_json else f"Events to be sent once more: {count}.")


@events.command("enable")
@click.argument("endpoint")
@AS_JSON
def enable(endpoint: str, as_json: bool) -> None:
    """Enable ENDPOINT; one that fails is tried at once. What it failed to take is sent with `replay`."""
    from broker.events import endpoints

    _changed(endpoints.enable(_broker(), None, endpoint), as_json=as_json)


@events.command("disable")
@click.argument("endpoint")
@AS_JSON
def disable(endpoint: str, as_json: bool) -> None:
    """Disable ENDPOINT: nothing more is told to it, and what waits counts as failed."""
    from broker.events import endpoints

    _changed(endpoints.disable(_broker(), None, endpoint), as_json=as_json)


def _broker() -> "Broker":
    from broker.app import assemble, check, environment

    broker = assemble(environment())
    check(broker)
    return broker


def _all(page: Callable[[str | None], "Page"]) -> list[dict[str, Any]]:
    found, cursor = [], None
    while True:
        part = page(cursor)
        found += part.items
        if part.next_cursor is None:
            return found
        cursor = part.next_cursor


def _line(one: Mapping[str, Any]) -> str:
    why = f" ({one['last_error']})" if one["last_error"] else ""
    following = f", next try at {one['next_try_at']}" if one["state"] == "pending" else ""
    return (
        f"{one['id']}  {one['created_at']}  {one['type']}  {one['state']} after {one['attempts']} tries{following}{why}"
    )


def _changed(facts: Mapping[str, Any], *, as_json: bool) -> None:
    click.echo(json.dumps(facts) if as_json else f"{facts['id']} is {facts['state']}.")
