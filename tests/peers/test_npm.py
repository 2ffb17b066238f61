"""What the peers in JavaScript need is pinned, and where it cannot be had nobody can miss it."""

import json
import re

import pytest

from tests.peers import npm

PINNED = {"emulate": "0.12.2", "oidc-provider": "9.13.3"}
"""emulate's `latest` is another program by now."""


def test_the_packages_are_pinned_to_the_byte_and_to_no_registry():
    """So they may come from any mirror, and must be these very files."""
    asked = json.loads((npm.LOCKED / "package.json").read_text())
    lock = json.loads((npm.LOCKED / "package-lock.json").read_text())
    assert asked["dependencies"] == lock["packages"].pop("")["dependencies"] == PINNED
    assert {lock["packages"][f"node_modules/{name}"]["version"] for name in PINNED} == set(PINNED.values())
    assert not [name for name, package in lock["packages"].items() if "resolved" in package or "link" in package]
    assert all(re.match("sha512-", package["integrity"]) for package in lock["packages"].values())


def test_what_is_installed_is_what_is_locked():
    packages = npm.packages(npm.found())
    for name, version in PINNED.items():
        assert json.loads((packages / name / "package.json").read_text())["version"] == version


def test_a_machine_without_node_fails_the_tests_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch):
    """A node that is too old, or that does not run, is none."""
    old = npm.Node("/bin/echo", ("/bin/echo",))  # says --version
    for node in (None, old, npm.Node("/no/such/node", ())):
        monkeypatch.setattr(npm, "_of_wheel", lambda node=node: node)
        monkeypatch.setattr(npm, "_of_machine", lambda: None)
        with pytest.raises(npm.NoNode, match=r"pip install -e '\.\[test\]'"):
            npm.found.__wrapped__()
