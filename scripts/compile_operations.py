#!/usr/bin/env python3
"""Compile our tables of Google's operations from Google's own discovery documents (docs/facts/google.md §4.4).

    pip install google-api-python-client==2.202.0
    scripts/compile_operations.py people.v1 calendar.v3

Writes broker/providers/catalog/<api>.json; without a name, anew each table that is there. Left out, and so denied:
methods that list no scope, unless `SCOPES_BY_HAND` has it, media upload and download, parameters that every method has
(they carry credentials, formats and callbacks) and deprecated ones.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "broker" / "providers" / "catalog"
PACKAGE = "google-api-python-client"
MANAGE = "https://www.googleapis.com/auth/business.manage"
SCOPES_BY_HAND = {"businessprofileperformance": MANAGE, "mybusinessbusinessinformation": MANAGE}
"""What opens the methods of documents that list no scopes (§4.5). It opens writing, too: only GET is taken over."""


def methods(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every method of a document, by its dotted resource path."""
    for name, method in node.get("methods", {}).items():
        yield prefix + name, method
    for name, resource in node.get("resources", {}).items():
        yield from methods(resource, f"{prefix}{name}.")


def scopes_of(api: str, method: dict[str, Any]) -> list[str]:
    """Any one of these opens the method; none: nothing does."""
    by_hand = [SCOPES_BY_HAND[api]] if api in SCOPES_BY_HAND and method["httpMethod"] == "GET" else []
    return sorted(method.get("scopes", by_hand))


def parameter(given: dict[str, Any]) -> dict[str, Any]:
    """Only what departs from the default of `broker.operations.Parameter`."""
    found = {
        "location": "path" if given["location"] == "path" else None,
        "required": given.get("required") or None,
        "repeated": given.get("repeated") or None,
        "pattern": given.get("pattern"),
        "choices": given.get("enum"),
        "minimum": int(given["minimum"]) if "minimum" in given else None,
        "maximum": int(given["maximum"]) if "maximum" in given else None,
        "kind": given["type"] if given["type"] in ("integer", "boolean") else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def compiled(document: dict[str, Any], source: str) -> dict[str, Any]:
    """The table of one discovery document. Scopes and scope sets stand there once, and are referred to by number.

    `source`: where the document was taken from.
    """
    root = urlsplit(document["rootUrl"])
    base = root.path + document["servicePath"]
    found = {name: (method, scopes_of(document["name"], method)) for name, method in sorted(methods(document))}
    listed = {name: (method, opening) for name, (method, opening) in found.items() if opening}
    sets = sorted({tuple(opening) for _, opening in listed.values()})
    scopes = sorted({scope for members in sets for scope in members})
    return {
        "api": document["name"],
        "version": document["version"],
        "revision": document["revision"],
        "source": source,
        "origin": f"https://{root.netloc}",
        "scopes": scopes,
        "sets": [[scopes.index(scope) for scope in members] for members in sets],
        "methods": {
            name: entry(base, method, sets.index(tuple(opening))) for name, (method, opening) in listed.items()
        },
    }


def entry(base: str, method: dict[str, Any], number: int) -> dict[str, Any]:
    found: dict[str, Any] = {"method": method["httpMethod"], "template": base + method["path"], "set": number}
    if method.get("flatPath", method["path"]) != method["path"]:
        found["flat"] = base + method["flatPath"]
    known = method.get("parameters", {}).items()
    if parameters := {name: parameter(given) for name, given in sorted(known) if not given.get("deprecated")}:
        found["parameters"] = parameters
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("api", nargs="*", help="name.version of a discovery document, like people.v1")
    documents, source = files("googleapiclient.discovery_cache").joinpath("documents"), f"{PACKAGE} {version(PACKAGE)}"
    FOLDER.mkdir(exist_ok=True)
    for api in parser.parse_args().api or sorted(path.stem for path in FOLDER.glob("*.v*.json")):
        table = compiled(json.loads(documents.joinpath(f"{api}.json").read_text()), source)
        (FOLDER / f"{api}.json").write_text(json.dumps(table, indent=1) + "\n")
        print(f"{api}: {len(table['methods'])} methods, {len(table['sets'])} scope sets, revision {table['revision']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
