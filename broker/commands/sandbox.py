"""`broker sandbox`: the fake providers as a process of their own (docs/sandbox.md)."""

import click


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=9000, show_default=True, help="0 takes a free one.")
@click.option(
    "--quirk",
    "given",
    multiple=True,
    metavar="PROVIDER.NAME[=VALUE]",
    help="A departure that is on at the start, as google.omit_iss or google.expires_in=5; repeat for more.",
)
def sandbox(port: int, given: tuple[str, ...]) -> None:
    """Play the providers on loopback, and print the BROKER_ORIGINS to use."""
    from broker.sandbox.quirks import BadQuirk, parsed
    from broker.sandbox.serve import serve

    def ready(origins: str) -> None:
        click.echo(f"BROKER_ORIGINS={origins}")

    try:
        serve(port, ready=ready, quirks=parsed(given))
    except BadQuirk as error:
        raise click.UsageError(str(error)) from None
