"""What a command works with: the broker, put together and put away again; the operator as a caller; a progress bar."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import TaskID

    from broker.clients import Caller
    from broker.runtime import Broker

Progress = Callable[[int, int], None]
"""Called with how many are done, and how many there are in all."""
Steps = Callable[[str, int, int], None]
"""Called with the step as well; 0 in all: it is not known."""


@contextmanager
def assembled(*, checked: bool = True) -> "Iterator[Broker]":
    """A broker for one command; unless `checked`, it may be one that must not serve yet. Raises `ConfigurationError`,
    `Unavailable`."""
    from broker.app import assemble, check, environment

    broker = assemble(environment())
    try:
        if checked:
            check(broker)
        yield broker
    finally:
        broker.upstream.close()
        broker.database.dispose()


def operator() -> "Caller":
    """As a caller: whoever may use this machine may end anything."""
    from broker.clients import ALL, Caller

    return Caller("operator", frozenset(), frozenset({ALL}), frozenset({ALL}), frozenset())


@contextmanager
def progress(label: str) -> Iterator[Progress]:
    """A bar, on a terminal only."""
    with steps() as report:
        yield lambda done, total: report(label, done, total)


@contextmanager
def steps() -> Iterator[Steps]:
    """A bar for each step, on a terminal only."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as shown:
        bars: defaultdict[str, TaskID] = defaultdict(lambda: shown.add_task(""))
        yield lambda what, done, total: shown.update(bars[what], description=what, completed=done, total=total or None)
