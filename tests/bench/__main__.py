"""Run the benchmark: `python -m tests.bench`. It prints tables and, with --out, writes them and a chart.

Contenders take turns, round by round, so that what else the machine does meets all of them alike.
"""

import argparse
import tempfile
from collections import defaultdict
from pathlib import Path

from tests.bench.measure import Measured, measure, require_wrk
from tests.bench.report import Runs, chart, ratio, table
from tests.bench.stage import Contender, staged

AT = 64
TARGETS = (
    ("relay, postgresql", "requests-oauthlib", "rate", ">=", 1.0),
    ("relay, postgresql", "urllib3", "rate", ">=", 0.75),
    ("records, postgresql", "records by hand", "cpu", "<=", 1.3),
    ("relay, postgresql", "requests-oauthlib", "p99", "<=", 1.5),
)
"""At 64 connections: whose figure, beside whose, which, and how it must compare."""
SLOW = ("relay, postgresql", "urllib3", "rate", ">=", 0.9)
"""At 256 connections before an upstream that takes 100 ms."""


def main() -> None:
    given = _arguments()
    require_wrk()
    quick = run(given.connections, given.rounds, given.seconds, delay=0.0, threads=given.threads, only=given.only)
    print("\nAn upstream that answers at once\n\n" + table(quick) + "\n")
    verdicts = [verdict(quick, AT, *target) for target in TARGETS if (target[0], AT) in quick]
    slow: Runs = {}
    if not given.no_slow:
        slow = run([256], given.rounds, given.seconds, delay=0.1, threads=128, only=given.only)
        print("\nAn upstream that takes 100 ms\n\n" + table(slow) + "\n")
        verdicts.append(verdict(slow, 256, *SLOW))
    print("\n".join(verdicts))
    if given.out:
        Path(given.out).write_text(chart(quick, AT))


def run(
    connections: list[int], rounds: int, seconds: float, *, delay: float, threads: int, only: list[str]
) -> dict[tuple[str, int], list[Measured]]:
    found: dict[tuple[str, int], list[Measured]] = defaultdict(list)
    with (
        tempfile.TemporaryDirectory(prefix="broker-bench-") as folder,
        staged(Path(folder), delay=delay, threads=threads) as contenders,
    ):
        chosen = [one for one in contenders if not only or any(name in one.name for name in only)]
        for contender in chosen:
            _measure(contender, 8, 1.0)
        for at in connections:
            for _ in range(rounds):
                for contender in chosen:
                    found[contender.name, at].append(_measure(contender, at, seconds))
    return found


def verdict(runs: Runs, at: int, one: str, other: str, what: str, comparison: str, target: float) -> str:
    value = ratio(runs, at, one, other, what)
    met = value >= target if comparison == ">=" else value <= target
    return f"{'met   ' if met else 'MISSED'} {one}: {what} {value:.2f} × {other} (wanted {comparison} {target})"


def _measure(contender: Contender, connections: int, seconds: float) -> Measured:
    workers = contender.server.children()
    return measure(contender.url, contender.headers, workers, connections=connections, seconds=seconds)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 16, 64, 256])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--only", nargs="*", default=[], help="contenders whose name holds one of these")
    parser.add_argument("--no-slow", action="store_true", help="leave out the upstream that takes 100 ms")
    parser.add_argument("--out", help="where to write the chart (SVG)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
