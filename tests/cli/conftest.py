"""Commands, run in the test's own process and in the environment of its house."""

import io
from pathlib import Path

import pytest

from broker import cli
from tests.cli.said import Run, Said
from tests.house import House


class Typed(io.TextIOWrapper):
    """Standard input with a text in it, from a pipe or from a terminal."""

    def __init__(self, text: str, *, at_a_terminal: bool) -> None:
        super().__init__(io.BytesIO(text.encode()))
        self._at_a_terminal = at_a_terminal

    def isatty(self) -> bool:
        return self._at_a_terminal


@pytest.fixture
def run(house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs `broker …`; `typed` comes at a terminal, `piped` by a pipe."""
    monkeypatch.chdir(tmp_path)
    for name, value in house.environ.items():
        monkeypatch.setenv(name, value)

    def ran(*arguments: str, typed: str | None = None, piped: str = "") -> Said:
        monkeypatch.setattr("sys.stdin", Typed(piped if typed is None else typed, at_a_terminal=typed is not None))
        monkeypatch.setattr("sys.argv", ["broker", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return Said(int(ended.value.code or 0), out, err)

    return ran
