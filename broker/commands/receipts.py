"""`broker receipts`: what proves a revocation, checked without the broker (docs/revoking.md)."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from broker.commands.assembled import assembled, operator
from broker.errors import BrokerError

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print facts as JSON.")
PAGE = 200


@click.group()
def receipts() -> None:
    """Receipts of revocations: show, export, and check them offline."""


@receipts.command("show")
@click.argument("receipt")
def show(receipt: str) -> None:
    """Print one receipt as JSON, signed."""
    from broker.connections.receipts import receipt as found

    with assembled() as broker:
        click.echo(json.dumps(found(broker, operator(), receipt), indent=2))


@receipts.command("export")
@click.option("--tenant", help="Only of this tenant.")
@click.option("--subject", help="Only of this subject.")
@click.option("--connection", help="Only those with this connection.")
def export(tenant: str | None, subject: str | None, connection: str | None) -> None:
    """Print every receipt, signed, a line of JSON each: keep them with the keys (broker receipts keys)."""
    from broker.connections.receipts import receipt, receipts

    cursor: str | None = None
    with assembled() as broker:
        while True:
            chosen = {"tenant": tenant, "subject": subject, "connection": connection}
            page = receipts(broker, operator(), **chosen, limit=PAGE, cursor=cursor)
            for item in page.items:
                click.echo(json.dumps(receipt(broker, operator(), item["id"])))
            cursor = page.next_cursor
            if cursor is None:
                return


@receipts.command("verify")
@click.argument("file", type=click.File("r", encoding="utf-8"))
@click.option("--jwks", required=True, type=click.Path(exists=True, dir_okay=False), help="The broker's public keys.")
@AS_JSON
def verify(file: Any, jwks: str, as_json: bool) -> None:  # noqa: ANN401 - an open file
    """Check receipts in FILE (- for standard input) against the public keys of the broker that made them.

    It needs neither the broker nor its database: only the file and the keys, taken from /oauth/jwks or by broker
    receipts keys. FILE holds a receipt, an answer with one, an export, or a signed statement alone. Exit status 1 if
    one of them does not check out.
    """
    from broker.proof import checked, statements

    keys = _keys(jwks)
    findings = [checked(found, keys) for found in statements(file.read())]
    if not findings:
        raise BrokerError("There is no receipt in it.")
    if as_json:
        click.echo(json.dumps({"receipts": findings}))
    else:
        for finding in findings:
            _tell(finding)
    if not all(finding["verified"] for finding in findings):
        sys.exit(1)


@receipts.command("keys")
def keys() -> None:
    """Print the public keys (a JWK Set) by which receipts verify, as /oauth/jwks does."""
    from broker.signing import public_keys

    with assembled() as broker:
        click.echo(json.dumps(public_keys(broker), indent=2))


@receipts.command("rotate-key")
def rotate_key() -> None:
    """Sign with a new key from now on. What was signed before still verifies: its public key stays published."""
    from broker.signing import rotate

    with assembled() as broker:
        click.echo(f"Receipts are signed by {rotate(broker)} now.")


@receipts.command("orphans")
@AS_JSON
def orphans(as_json: bool) -> None:
    """List provider tokens that no connection holds: sealed until the provider has ended them, or possibly alive.

    `given_up`: the provider was told for days, in vain. Until it forgets the token by itself, the token may live there;
    the user can end it in the provider's own settings. Exit status 1 if there is one given up.
    """
    from broker.connections.orphans import listed

    with assembled() as broker:
        found = listed(broker)
    if as_json:
        click.echo(json.dumps({"orphans": found}))
    else:
        for item in found:
            click.echo(f"{item['id']}: {item['tenant']} at {item['provider']}, {item['state']}, since {item['since']}")
        click.echo(f"Possibly orphaned: {len(found)}.", err=True)
    if any(item["state"] == "given_up" for item in found):
        sys.exit(1)


def _keys(path: str) -> dict[str, Any]:
    try:
        keys: dict[str, Any] = json.loads(Path(path).read_bytes())
    except ValueError:
        raise BrokerError(f"{path} is not JSON: it must be a JWK Set, as /oauth/jwks answers.") from None
    return keys


def _tell(finding: dict[str, Any]) -> None:
    if not finding["verified"]:
        click.echo(f"✗ {finding['receipt'] or 'a receipt'}: {finding['problem']}", err=True)
        return
    stood = datetime.fromtimestamp(finding["issued_at"], UTC).isoformat()
    click.echo(f"✓ {finding['receipt']}: {finding['state']}, {finding['ended']} ended ({finding['type']})")
    click.echo(f"    so says {finding['issuer']} as of {stood}, by its key {finding['key']}")
