"""What a package announces as a provider is one, under its own name, or the broker does not start (design decision
11)."""

from pathlib import Path

import pytest

from broker import providers
from broker.errors import ConfigurationError

GOOD = "tests.conformance.fourth.test_fourth:PROVIDER"


def _announced(folder: Path, monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    metadata = folder / "some-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: some\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("\n".join(("[broker.providers]", *lines)))
    monkeypatch.syspath_prepend(folder)


def test_a_provider_of_a_package_stands_beside_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _announced(tmp_path, monkeypatch, f"kurir = {GOOD}")
    assert set(providers.installed()) == {*providers.built_in(), "kurir"}


@pytest.mark.parametrize(
    "line",
    [
        f"other = {GOOD}",
        "kurir = tests.conformance.fourth.test_fourth:RECIPIENTS",
        "google = broker.providers.google:PROVIDER",
    ],
    ids=["another_name", "no_provider", "a_name_of_ours"],
)
def test_what_is_no_provider_of_that_name_stops_the_start(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _announced(tmp_path, monkeypatch, line)
    with pytest.raises(ConfigurationError):
        providers.installed()
