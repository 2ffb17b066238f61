"""One measurement: `wrk` against an address, and what the server's processes used meanwhile (Linux)."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
MISSING = "wrk is not installed: apt-get install wrk (or build it from https://github.com/wg/wrk)"


@dataclass(frozen=True)
class Measured:
    """`rate` requests/s; `cpu` µs of the server's processor time per request; `p50`, `p99` ms; `memory` MB a worker."""

    rate: float
    cpu: float
    p50: float
    p99: float
    memory: float
    failed: int


def require_wrk() -> None:
    if not shutil.which("wrk"):
        raise SystemExit(MISSING)


def measure(url: str, headers: dict[str, str], workers: list[int], *, connections: int, seconds: float) -> Measured:
    """Raises `AssertionError` where an answer was not 2xx: a refusal is fast, and no measurement."""
    before = _used(workers)
    said = _wrk(url, headers, connections, seconds)
    used = _used(workers) - before
    requests, failed = _number(r"(\d+) requests in", said), _number(r"Non-2xx or 3xx responses: (\d+)", said)
    assert not failed, f"{url}: {failed:g} of {requests:g} answers were refusals"
    return Measured(
        rate=_number(r"Requests/sec:\s+([\d.]+)", said),
        cpu=used / TICKS * 1e6 / max(requests, 1),
        p50=_latency("50", said),
        p99=_latency("99", said),
        memory=sum(_memory(pid) for pid in workers) / len(workers),
        failed=int(_number(r"timeout (\d+)", said)),
    )


def _wrk(url: str, headers: dict[str, str], connections: int, seconds: float) -> str:
    given = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "10s", "--latency", *given, url]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    return float(found[1]) if found else 0.0


def _latency(percentile: str, text: str) -> float:
    found = re.search(rf"{percentile}%\s+([\d.]+)(us|ms|s|m)\b", text)
    assert found, text
    return float(found[1]) * UNITS[found[2]]


def _used(pids: list[int]) -> int:
    """Ticks of user and system time so far."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total


def _memory(pid: int) -> float:
    """MB that are this process's, shared pages divided among those that share them."""
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0
