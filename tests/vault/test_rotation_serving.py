"""The keys of a broker that serves are rotated, and it is not started anew (docs/operating/keys.md)."""

from collections.abc import Callable
from pathlib import Path

from tests.processes import Installation


def test_a_serving_broker_does_not_notice_a_rotation(
    install: Callable[..., Installation], sqlite_url: str, tmp_path: Path
) -> None:
    """§4.2.7 with real servers: connected before, during and after, and the old key is gone at the end."""
    house, file = install(sqlite_url), tmp_path / "keys"
    house.serve()
    app = house.client()
    house.wait_ready()
    connected = app.connect()["id"]
    house.run("keys", "add", "--kid", "k2")
    house.run("keys", "rotate", "--to", "k2", "--tenant-keys")
    assert app.records(connected).status_code == 200
    file.write_text("".join(line for line in file.read_text().splitlines(keepends=True) if line.startswith("k2:")))
    assert app.records(connected).status_code == 200
    other = house.client(tenant="kios")
    assert other.records(other.connect()["id"]).status_code == 200
    assert '"state": "seals", "kid": "k2"' in house.run("keys", "status", "--json")
    assert app.revoke(connected).status_code in (200, 202)
    house.wait_ready()
