"""The Graph version in use, and what the operator is told about its end (docs/facts/meta.md §1.5)."""

from datetime import UTC, datetime, timedelta

import pytest

from broker.config import Settings
from broker.doctor import examine
from broker.errors import ConfigurationError
from broker.providers import built_in
from broker.providers.graph import VERSIONS, sunset
from tests.house import House
from tests.meta import Facebook

TODAY = datetime(2026, 11, 25, tzinfo=UTC)


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ("v26.0", None),
        ("v25.0", None),
        ("v22.0", "ends on 2027-05-20"),
        ("v21.0", "ends on 2027-01-21"),
        ("v20.0", "ended on 2026-09-24"),
        ("v3.2", "has ended"),
        ("v27.0", None),
    ],
)
def test_the_operator_is_told_of_an_end_that_is_near_or_past(version: str, told: str | None) -> None:
    said = sunset("BROKER_FACEBOOK_GRAPH_VERSION", version, TODAY)
    assert bool(said) == bool(told)
    assert told is None or (told in said[0] and "v26.0" in said[0])


def test_a_version_without_a_known_end_warns_of_nothing_however_late() -> None:
    newest = next(version for version, end in VERSIONS.items() if end is None)
    assert sunset("X", newest, TODAY + timedelta(days=5000)) == []


@pytest.mark.parametrize("provider", ["FACEBOOK", "INSTAGRAM"])
@pytest.mark.parametrize("version", ["26", "v26", "v26.0/../x", "latest", "v26.0 "])
def test_what_is_no_version_does_not_start(provider: str, version: str) -> None:
    environ = {"BROKER_KEYS": "env:K", "BROKER_PUBLIC_URL": "https://b.example", "BROKER_ENV": "production"}
    name = f"BROKER_{provider}_GRAPH_VERSION"
    declared = {name: provider.options for name, provider in built_in().items()}
    if version.strip() == "v26.0":
        assert Settings.read({**environ, name: version}, declared).options[provider.lower()]["GRAPH_VERSION"] == "v26.0"
        return
    with pytest.raises(ConfigurationError, match=name):
        Settings.read({**environ, name: version}, declared)


def test_the_doctor_says_it(meta: House, facebook: Facebook) -> None:
    environ = {**meta.environ, "BROKER_FACEBOOK_GRAPH_VERSION": "v21.0"}
    found = {finding.check: finding for finding in examine(environ)}
    assert found["provider facebook"].held
    assert not found["provider facebook settings"].held
    assert "v21.0" in found["provider facebook settings"].seen
    assert "provider instagram settings" not in found


def test_every_call_bears_the_version_that_is_set(build_meta, sqlite_url: str, facebook: Facebook) -> None:
    house = build_meta(sqlite_url, BROKER_FACEBOOK_GRAPH_VERSION="v25.0")
    app = house.client()
    connection = app.connect("facebook_profile", provider="facebook", account="ani@example.com")
    assert app.records(connection["id"], "facebook_profile").status_code == 200
    assert {entry["path"].split("/")[1] for entry in facebook.requests("/v")} == {"v25.0"}
