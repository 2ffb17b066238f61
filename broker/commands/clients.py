"""`broker clients`: register the OAuth clients of the broker, change their secrets, end them."""

import json
import re
from collections.abc import Collection, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

if TYPE_CHECKING:
    from broker.runtime import Broker

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print facts as JSON.")
TENANT = re.compile(r"[A-Za-z0-9._~@:-]{1,128}")


@click.group()
def clients() -> None:
    """OAuth clients of the broker: the sales app, sync jobs, privacy desks."""


@clients.command("add")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, help="A broker scope; repeat for more.")
@click.option("--tenant", "tenants", multiple=True, required=True, help="A tenant it acts for; '*' = all.")
@click.option("--connector", "connectors", multiple=True, help="A connector it may read; '*' = all.")
@click.option("--return-url", "return_urls", multiple=True, help="Where browsers may be sent back; exact.")
@click.option("--jwks", type=click.Path(exists=True, dir_okay=False), help="Its public keys, instead of a secret.")
@AS_JSON
def add(
    name: str,
    scopes: Sequence[str],
    tenants: Sequence[str],
    connectors: Sequence[str],
    return_urls: Sequence[str],
    jwks: str | None,
    as_json: bool,
) -> None:
    """Register a client. Its secret is shown once and kept hashed; with --jwks it has none, and signs instead."""
    from broker.clients import register

    broker = _broker()
    keys, problems = _keys(jwks) if jwks else (None, [])
    problems += [*_scope_problems(scopes), *_tenant_problems(tenants), *_name_problems(name)]
    problems += _connector_problems(connectors, broker.connectors)
    problems += _url_problems(return_urls, production=broker.settings.production)
    if problems:
        raise click.UsageError("\n".join(problems))
    client_id, secret = register(
        broker.database,
        broker.clock(),
        name=name,
        scopes=set(scopes),
        tenants=set(tenants),
        connectors=set(connectors),
        return_urls=set(return_urls),
        jwks=keys,
    )
    _print({"client_id": client_id} | ({"client_secret": secret.reveal()} if secret else {}), as_json=as_json)


@clients.command("list")
@AS_JSON
def show(as_json: bool) -> None:
    """Every client: what it may do, and how many secrets it has that are valid."""
    from broker.clients import described

    broker = _broker()
    facts = described(broker.database, broker.clock())
    if as_json:
        click.echo(json.dumps(facts))
        return
    for client in facts:
        state = "disabled" if client["disabled_at"] else f"{client['valid_secrets']} secrets, {client['keys']} keys"
        click.echo(f"{client['client_id']}  {client['name']}  ({state})")
        for name in ("scopes", "tenants", "connectors", "return_urls"):
            click.echo(f"    {name.replace('_', ' ')}: {', '.join(client[name]) or 'none'}")


@clients.command("rotate-secret")
@click.argument("client_id")
@click.option("--overlap", type=click.IntRange(0, 90 * 24), default=24, show_default=True, metavar="HOURS")
@AS_JSON
def rotate_secret(client_id: str, overlap: int, as_json: bool) -> None:
    """Give a client a new secret, shown once; its earlier ones stay valid for HOURS, so that nothing stops."""
    from broker.clients import add_secret

    broker = _broker()
    secret = add_secret(broker.database, broker.clock(), client_id, overlap=timedelta(hours=overlap))
    _print({"client_id": client_id, "client_secret": secret.reveal()}, as_json=as_json)


@clients.command("disable")
@click.argument("client_id")
def disable(client_id: str) -> None:
    """End a client: its secrets, keys and access tokens are refused from now on."""
    from broker.clients import disable as ended

    broker = _broker()
    ended(broker.database, broker.clock(), client_id)
    click.echo(f"{client_id} is disabled.")


def _broker() -> "Broker":
    from broker.app import assemble, check, environment

    broker = assemble(environment())
    check(broker)
    return broker


def _scope_problems(scopes: Sequence[str]) -> list[str]:
    from broker.clients import SCOPES

    known = ", ".join(SCOPES)
    return [f"--scope {scope}: no such scope; there are: {known}" for scope in scopes if scope not in SCOPES]


def _tenant_problems(tenants: Sequence[str]) -> list[str]:
    return [f"--tenant {tenant}: not a tenant" for tenant in tenants if tenant != "*" and not TENANT.fullmatch(tenant)]


def _name_problems(name: str) -> list[str]:
    return [] if 1 <= len(name) <= 128 and name.isprintable() else ["NAME: 1 to 128 printable characters"]


def _connector_problems(connectors: Sequence[str], known: Collection[str]) -> list[str]:
    return [f"--connector {name}: not installed" for name in connectors if name != "*" and name not in known]


def _url_problems(urls: Sequence[str], *, production: bool) -> list[str]:
    wrong = [url for url in urls if not _is_exact(url, production=production)]
    return [f"--return-url {url}: must be one exact https address without a fragment" for url in wrong]


def _is_exact(url: str, *, production: bool) -> bool:
    from broker.config import is_loopback

    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url) and not production)
    plain = url.isascii() and url.isprintable() and not set(url) & set("*\\ ")
    return bool(secure and host and plain and not parts.fragment and "@" not in parts.netloc and len(url) <= 2048)


def _keys(path: str) -> tuple[dict[str, Any] | None, list[str]]:
    from broker.clients import public_keys

    try:
        return public_keys(Path(path).read_bytes()), []
    except (ValueError, OSError) as error:
        return None, [f"--jwks {path}: {error}"]


def _print(facts: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(facts))
        return
    for name, value in facts.items():
        click.echo(f"{name}: {value}")
