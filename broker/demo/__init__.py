"""`broker demo`: the whole job on a sandbox, each step shown with what it took. Nothing outside loopback is touched.

It starts real processes (sandbox, migrations, server with worker) on SQLite in a temporary folder and then does what a
sales app, its user's browser and a sync job do, over HTTP.
"""

import contextlib
import tempfile
import threading
import urllib.error
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from broker.demo.site import TENANT, Site, StepFailed, running
from broker.demo.walk import Walk


def run(*, once: bool) -> int:
    """Exit status 0 only if every step held."""
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory(prefix="broker-demo-") as folder, running(Path(folder)) as site:
        try:
            console.print("[bold]Third-party integration broker: the whole job, on a sandbox[/bold]\n")
            salesapp = Walk(site, console).walk()
        except (StepFailed, urllib.error.URLError) as error:
            console.print(f"  [red]✗ {error}[/red]")
            return 1
        if not once:
            _stay(site, console, salesapp)
    return 0


def _stay(site: Site, console: Console, client: Mapping[str, str]) -> None:
    """Leave it running, with a small sales app to click through."""
    from broker.sandbox.salesapp import create_salesapp
    from broker.sandbox.serve import Running

    address = site.environ["DEMO_SALESAPP"]
    app = create_salesapp(site.broker, client["client_id"], client["client_secret"], tenant=TENANT, public_url=address)
    with Running(app, int(address.rsplit(":", 1)[1])):
        console.print(f"\nTry it in a browser: [bold]{address}[/bold]   (Ctrl-C ends it)")
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
