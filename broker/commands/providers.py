"""`broker providers`: tenants' provider apps, beside the shared ones of the settings: docs/operating/own-apps.md."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from broker.commands.private_file import read_private

if TYPE_CHECKING:
    from broker.config import ProviderApp
    from broker.providers.base import Provider
    from broker.runtime import Broker
    from broker.secret import Secret

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print facts as JSON.")
SECRET_FILE = click.option(
    "--client-secret-file",
    "secret_file",
    required=True,
    metavar="FILE",
    help="Holds the client secret, and is yours alone to read; - = standard input.",
)
TENANT = re.compile(r"[A-Za-z0-9._~@:-]{1,128}")
CLIENT_ID = re.compile(r"[\x21-\x7e]{1,512}")
SECRET = CLIENT_ID


@click.group()
def providers() -> None:
    """Provider apps: registrations at a provider, one for all tenants or a tenant's own."""


@providers.command("add")
@click.argument("provider")
@click.option("--tenant", required=True, help="The tenant whose own app it is.")
@click.option("--client-id", required=True, help="Its client id (app id) at the provider.")
@SECRET_FILE
@click.option(
    "--option", "options", multiple=True, metavar="NAME=VALUE", help="A setting of the provider's; repeat for more."
)
@click.option("--option-file", "files", multiple=True, metavar="NAME=FILE", help="The same, for one that is secret.")
@AS_JSON
def add(
    provider: str,
    tenant: str,
    client_id: str,
    secret_file: str,
    options: Sequence[str],
    files: Sequence[str],
    as_json: bool,
) -> None:
    """Let a tenant connect by its own app at PROVIDER. Prints what must be registered there.

    PROVIDER is google, facebook, instagram, or the name of a configured OpenID provider. The secret is stored sealed.
    """
    from broker.apps import add as registered

    broker = _broker()
    known = _provider(broker, provider)
    named, secret_named = _named(known, options, secret=False), _named(known, files, secret=True)
    wrong = [] if TENANT.fullmatch(tenant) else ["--tenant: not a tenant"]
    wrong += [] if CLIENT_ID.fullmatch(client_id) else ["--client-id: 1 to 512 printable characters"]
    wrong += _shared_already(broker, provider, client_id)
    if wrong:
        raise click.UsageError("\n".join(wrong))
    secret_options = {name: _secret(f"--option-file {name}", file) for name, file in secret_named.items()}
    _check(broker, known, {**named, **{name: value.reveal() for name, value in secret_options.items()}})
    app_id = registered(
        broker.database,
        broker.vault,
        broker.clock(),
        provider=provider,
        tenant=tenant,
        client_id=client_id,
        client_secret=_secret("--client-secret-file", secret_file),
        options=named,
        secret_options=secret_options,
    )
    facts = {"id": app_id, **_addresses(broker, broker.app(app_id))}
    if as_json:
        click.echo(json.dumps(facts))
        return
    click.echo(f"id: {app_id}")
    click.echo("Register at the provider, as they stand here:")
    _show_addresses(facts)


@providers.command("list")
@AS_JSON
def show(as_json: bool) -> None:
    """Every provider app, the shared ones of the settings too; no secret."""
    from broker.apps import listed

    broker = _broker()
    facts = [_described(broker, app.id, app) for app in broker.settings.apps.values()]
    facts += [_own(broker, row) for row in listed(broker.database)]
    if as_json:
        click.echo(json.dumps(facts))
        return
    for app in facts:
        whose = f"tenant {app['tenant']}" if app["tenant"] else "all tenants without one of their own"
        click.echo(f"{app['id']}  {app['provider']}  ({whose}), {app['connections']} live connections")
        click.echo(f"    client id: {app['client_id']}")
        for name, value in app["options"].items():
            click.echo(f"    option {name}: {value}")
        _show_addresses(app)


@providers.command("change-secret")
@click.argument("app_id")
@SECRET_FILE
def change_secret(app_id: str, secret_file: str) -> None:
    """Use a new secret from now on, for attempts to connect that are under way too."""
    from broker.apps import change_secret as changed

    broker = _broker()
    changed(broker.database, broker.vault, app_id, _secret("--client-secret-file", secret_file))
    click.echo(f"{app_id} has a new secret.")


@providers.command("remove")
@click.argument("app_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(app_id: str, yes: bool) -> None:
    """Destroy the secret of a tenant's own app. Its connections give no data any more, and must be connected anew.

    End them before, if the provider is to be told: afterwards nobody can.
    """
    from broker.apps import remove as removed
    from broker.connections.appless import end_use, live_connections

    broker = _broker()
    if app_id in broker.settings.apps:
        raise click.UsageError(f"{app_id} is the shared app: it is switched off in the settings.")
    left = live_connections(broker, app_id)
    click.echo(f"Live connections that this leaves without data: {left}.", err=True)
    if not yes:
        _confirm(app_id)
    removed(broker.database, broker.vault, broker.clock(), app_id)
    end_use(broker, app_id)
    click.echo(f"{app_id} is removed.")


def _confirm(app_id: str) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("Say --yes: there is no terminal to ask at.")
    click.confirm(f"Remove {app_id}? Its secret is destroyed.", abort=True, err=True)


def _broker() -> "Broker":
    from broker.app import assemble, check, environment

    broker = assemble(environment())
    check(broker)
    return broker


def _provider(broker: "Broker", name: str) -> "Provider":
    if name not in broker.providers:
        raise click.UsageError(f"There is no provider {name}; there are: {', '.join(broker.providers)}")
    return broker.providers[name]


def _shared_already(broker: "Broker", provider: str, client_id: str) -> list[str]:
    shared = broker.settings.apps.get(provider)
    if shared and shared.client_id == client_id:
        return ["--client-id: that is the shared app; a tenant's own is another registration at the provider"]
    return []


def _named(provider: "Provider", given: Sequence[str], *, secret: bool) -> dict[str, str]:
    """NAME=… of options that the provider declares; those that are secret by --option-file alone."""
    flag = "--option-file" if secret else "--option"
    known = {option.name for option in provider.options if option.secret is secret}
    named: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name not in known:
            raise click.UsageError(f"{flag}: {name[:64]} is none of: {', '.join(sorted(known)) or 'none'}")
        if name in named:
            raise click.UsageError(f"{flag} {name}: given twice")
        named[name] = value
    return named


def _check(broker: "Broker", provider: "Provider", named: Mapping[str, str]) -> None:
    """The form of each, and that they go together with what the settings say. No value is quoted."""
    forms = {option.name: option.pattern for option in provider.options}
    wrong = [
        f"--option {name}: does not have the form {forms[name]}"
        for name, value in named.items()
        if not re.fullmatch(forms[name], value)
    ]
    wrong = wrong or provider.problems({**broker.settings.options.get(provider.name, {}), **named})
    if wrong:
        raise click.UsageError("\n".join(wrong))


def _secret(flag: str, path: str) -> "Secret":
    """The text of a file, without the one newline that editors put behind it. It is never quoted."""
    from broker.secret import Secret

    text = read_private(flag, path).removesuffix(b"\n").removesuffix(b"\r")
    if not SECRET.fullmatch(text.decode("latin-1")):
        raise click.UsageError(f"{flag}: it must hold 1 to 512 printable characters on one line, and nothing else")
    return Secret(text.decode())


def _own(broker: "Broker", row: Mapping[str, Any]) -> dict[str, Any]:
    """From its row alone: a list needs no secret opened."""
    from broker.config import ProviderApp
    from broker.secret import Secret

    named = {name: row[name] for name in ("id", "provider", "client_id", "tenant", "options")}
    app = ProviderApp(client_secret=Secret(""), **named)
    return {**_described(broker, app.id, app), "created_at": row["created_at"]}


def _described(broker: "Broker", app_id: str, app: "ProviderApp") -> dict[str, Any]:
    from broker.connections.appless import live_connections

    known = broker.providers.get(app.provider)
    secret = {option.name for option in known.options if option.secret} if known else set()
    return {
        "id": app_id,
        "provider": app.provider,
        "tenant": app.tenant,
        "client_id": app.client_id,
        "options": {name: value for name, value in app.options.items() if name not in secret},
        "connections": live_connections(broker, app_id),
        **(_addresses(broker, app) if known else {}),
    }


def _addresses(broker: "Broker", app: "ProviderApp") -> dict[str, Any]:
    return {"callback_url": broker.callback_url(app), "hook_urls": broker.hook_urls(app)}


def _show_addresses(facts: Mapping[str, Any]) -> None:
    if "callback_url" in facts:
        click.echo(f"    callback: {facts['callback_url']}")
    for url in facts.get("hook_urls", ()):
        click.echo(f"    hook: {url}")
