"""The run as a table and as a picture."""

from collections.abc import Mapping, Sequence
from statistics import median

from tests.bench.measure import Measured

Runs = Mapping[tuple[str, int], Sequence[Measured]]
"""(contender, connections) → its rounds."""


def ratio(runs: Runs, connections: int, one: str, other: str, what: str) -> float:
    """The median over the rounds of one's figure by the other's in the same round."""
    pairs = zip(runs[one, connections], runs[other, connections], strict=True)
    return median(getattr(left, what) / max(getattr(right, what), 1e-9) for left, right in pairs)


def table(runs: Runs) -> str:
    """Markdown; medians over the rounds, and the rate as a ratio to (b) and (c)."""
    head = "| | connections | requests/s | by (b) | by (c) | CPU µs a request | p50 ms | p99 ms | MB a worker |\n"
    lines = [_line(runs, name, connections) for name, connections in runs]
    return head + "|" + "---|" * 9 + "\n" + "\n".join(lines)


def _line(runs: Runs, name: str, connections: int) -> str:
    of = {what: median(getattr(run, what) for run in runs[name, connections]) for what in Measured.__annotations__}
    by = [f"{ratio(runs, connections, name, other, 'rate'):.2f}" for other in ("requests-oauthlib", "urllib3")]
    cells = [
        name,
        str(connections),
        f"{of['rate']:,.0f}",
        *by,
        f"{of['cpu']:,.0f}",
        f"{of['p50']:.1f}",
        f"{of['p99']:.1f}",
        f"{of['memory']:.0f}",
    ]
    return "| " + " | ".join(cells) + " |"


def chart(runs: Runs, connections: int) -> str:
    """Bars of the requests a second at one number of connections, as SVG."""
    rates = {name: median(run.rate for run in found) for (name, at), found in runs.items() if at == connections}
    most = max(rates.values())
    height = 34 * len(rates) + 50
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 {height}" role="img" font-family="sans-serif">',
        f"<title>Requests a second at {connections} connections</title>",
        f'<rect width="720" height="{height}" fill="#fff"/>',
        f'<text x="12" y="24" font-size="15" fill="#222">Requests a second at {connections} connections</text>',
    ]
    for number, (name, rate) in enumerate(rates.items()):
        y, width = 42 + 34 * number, 440 * rate / most
        colour = "#1f6f54" if "," in name else "#8a8f98"
        parts += [
            f'<text x="12" y="{y + 17}" font-size="13" fill="#222">{name}</text>',
            f'<rect x="190" y="{y}" width="{width:.0f}" height="24" rx="3" fill="{colour}"/>',
            f'<text x="{198 + width:.0f}" y="{y + 17}" font-size="13" fill="#222">{rate:,.0f}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])
