"""nanoidp and the broker as they run: `broker serve` with its duty worker, and settings that are not whole."""

from collections import ChainMap
from collections.abc import Callable

from tests.house import SalesApp
from tests.peers.acts import PROFILE, connect, profile
from tests.peers.nano import Nano
from tests.processes import Installation, wait_until

PARTS = ("ISSUER", "CLIENT_ID", "CLIENT_SECRET")
NO_ISSUERS = (
    "http://id.example.com",
    "id.example.com",
    "https://id.example.com/?tenant=1",
    "https://id.example.com/#1",
)


def test_the_same_by_gunicorn_and_a_duty_worker(nano: Nano, install: Callable[..., Installation], sqlite_url: str):
    installation = install(sqlite_url, **nano.environ())
    installation.serve()
    app = installation.app()
    installation.wait_ready()
    connection = connect(app, nano)
    assert profile(app, connection)["email"] == "ani@example.com"
    receipt = app.revoke(connection["id"]).json()["revocation"]["id"]
    assert app.records(connection["id"], PROFILE).status_code == 410
    wait_until(lambda: app.receipt(receipt)["state"] == "completed", "the end of the revocation")
    assert outcome(app, receipt) == "confirmed"
    assert [entry["status"] for entry in nano.heard("revocation_request")] == ["success"] * 2


def outcome(app: SalesApp, receipt: str) -> str:
    (entry,) = app.receipt(receipt)["connections"]
    return str(entry["provider_outcome"])


def test_half_a_provider_is_refused_at_the_start(nano: Nano, install: Callable[..., Installation], sqlite_url: str):
    """Whichever part is missing, and an issuer that is no https address; all that is wrong is told at once."""
    halves = [{**nano.environ(part), f"BROKER_OIDC_{part}_{part}": ""} for part in PARTS]
    wrong = [nano.environ(f"WRONG_{place}", ISSUER=issuer) for place, issuer in enumerate(NO_ISSUERS)]
    process = install(sqlite_url, **dict(ChainMap(*halves, *wrong))).serve()
    assert process.wait() != 0
    said = " ".join(process.said().split())
    for part in PARTS:
        assert f"BROKER_OIDC_{part}_ISSUER, _CLIENT_ID and _CLIENT_SECRET must all be set" in said
    for place in range(len(NO_ISSUERS)):
        assert f"BROKER_OIDC_WRONG_{place}_ISSUER must be an https URL" in said
    assert "Traceback" not in said
