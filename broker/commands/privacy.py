"""`broker privacy`: what is held about a subject, its erasure, a tenant's end, the record of processing."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from broker.commands.assembled import assembled, operator, progress

if TYPE_CHECKING:
    from broker.runtime import Broker

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print facts as JSON.")
WAITS = "In progress: a provider is yet to be told. The duty worker does that; then it is completed."


@click.group()
def privacy() -> None:
    """The user's rights: access, erasure, a tenant's off-boarding (docs/privacy.md)."""


@privacy.command("export")
@click.argument("tenant")
@click.argument("subject")
def export_one(tenant: str, subject: str) -> None:
    """Print everything that is held about SUBJECT of TENANT, as JSON."""
    from broker.privacy import export

    with assembled() as broker:
        click.echo(json.dumps(export(broker, tenant, subject), indent=2))


@privacy.command("erase")
@click.argument("tenant")
@click.argument("subject")
@click.option("--yes", is_flag=True, help="Do not ask.")
@AS_JSON
def erase_one(tenant: str, subject: str, yes: bool, as_json: bool) -> None:
    """End every connection of SUBJECT of TENANT, and erase what is held. It cannot be undone."""
    from broker.privacy.erase import erase

    if not yes:
        click.confirm(f"Erase {subject} of {tenant}? It cannot be undone", abort=True)
    with assembled() as broker:
        _show(erase(broker, operator(), tenant, subject).erasure, as_json=as_json)


@privacy.command("certificate")
@click.argument("erasure")
@AS_JSON
def certificate(erasure: str, as_json: bool) -> None:
    """Show how ERASURE stands; once it is completed, with its signed certificate."""
    from broker.privacy.erase import erasure as found

    with assembled() as broker:
        _show(found(broker, operator(), erasure), as_json=as_json)


@privacy.command("erase-tenant")
@click.argument("tenant")
@click.option("--export", "path", type=click.Path(dir_okay=False), help="First write what is held to this new file.")
@click.option("--no-export", is_flag=True, help="Write no export.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@AS_JSON
def erase_tenant(tenant: str, path: str | None, no_export: bool, yes: bool, as_json: bool) -> None:
    """End everything of TENANT, erase all its subjects, and destroy its keys. It cannot be undone.

    Where a provider is yet to be told it stays in progress: run it again later. The export is a line of JSON a subject.
    """
    from broker.privacy.offboard import erase_tenant as erased

    if bool(path) == no_export:
        raise click.UsageError("Say one of --export FILE and --no-export.")
    if not yes:
        click.confirm(f"Erase the whole tenant {tenant}? It cannot be undone", abort=True)
    with assembled() as broker:
        if path:
            _write_export(broker, tenant, Path(path))
        with progress(tenant) as bar:
            erasure = erased(broker, tenant, bar)
        _show(erasure, as_json=as_json)


@privacy.command("processing")
@AS_JSON
def processing(as_json: bool) -> None:
    """Print the record of processing, connector by connector (GDPR Art. 30, UU PDP Pasal 31)."""
    with assembled() as broker:
        for entry in records(broker):
            click.echo(json.dumps(entry) if as_json else _told(entry))


def records(broker: "Broker") -> Iterator[dict[str, Any]]:
    """One entry a connector that can be connected here, out of what it declares."""
    from broker.commands.described import Described, facts

    keep = broker.settings.retention
    for connector in sorted(broker.connectors.values(), key=lambda one: one.name):
        providers = [one for one in broker.providers.values() if one.kind == connector.provider]
        for provider in providers[:1]:
            said = facts(Described(connector, provider))
            yield {
                "processing": connector.name,
                "title": said["titles"]["en"],
                "role": "processor for each tenant that connects it",
                "purpose": "the one on the consent page, as the sales app gives it; it stands in each consent",
                "lawful_basis": "consent, kept in the consent ledger",
                "persons": "the user who connects the account, and whoever is named in its data",
                "source": provider.title,
                "operations": said["operations"],
                "data": [field["field"] for field in said["fields"] + said["choices"]],
                "scopes": said["required_scopes"] + said["optional_scopes"],
                "recipients": "sync jobs of the tenant's sales app that may read this connector",
                "stored_here": "tokens and the account's name, sealed, until the end of the connection; no data",
                "retention_days": {"ended": keep.ended, "accesses": keep.accesses},
            }


def _told(entry: Mapping[str, Any]) -> str:
    lines = [f"{entry['processing']}: {entry['title']}"]
    for name, value in entry.items():
        if name not in ("processing", "title"):
            shown = ", ".join(value) if isinstance(value, list) else value
            if isinstance(value, dict):
                shown = ", ".join(f"{inner} {days:g}" for inner, days in value.items())
            lines.append(f"  {name.replace('_', ' ')}: {shown}")
    return "\n".join(lines)


def _write_export(broker: "Broker", tenant: str, path: Path) -> None:
    """Raises `ClickException` where the file is there already: an earlier run's export is not written over."""
    from broker.privacy import export
    from broker.privacy.offboard import subjects

    try:
        file = path.open("x", encoding="utf-8")
    except FileExistsError:
        raise click.ClickException(f"{path} exists already: name another file, or say --no-export.") from None
    with file:
        path.chmod(0o600)
        for subject in subjects(broker, tenant):
            file.write(json.dumps(export(broker, tenant, subject)) + "\n")


def _show(erasure: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(erasure))
        return
    click.echo(f"Erasure {erasure['id']}: {erasure['state'].replace('_', ' ')}, receipt {erasure['revocation']}.")
    for name, count in (erasure["erased"] or {}).items():
        click.echo(f"  {name.replace('_', ' ')}: {count}")
    click.echo(erasure.get("jws", WAITS))
