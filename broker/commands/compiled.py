"""Google's discovery documents, compiled into our tables of operations (docs/facts/google.md §4.4).

Left out, and so denied: methods that list no scope, unless `BY_HAND` says what opens them, media upload and download,
parameters that every method has (they carry credentials, formats and callbacks) and deprecated ones.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo
from zipfile import Path as InZip

from broker.errors import InvalidRequest

Table = dict[str, Any]
PACKAGE = "google-api-python-client"
INSIDE = "googleapiclient/discovery_cache/documents"
"""Where the package keeps the documents."""
ARCHIVE, INDEX = "google.zip", "google-index.json"
MANAGE = "https://www.googleapis.com/auth/business.manage"
_VERSION = re.compile(r"[0-9]+(\.[0-9]+)*")
BY_HAND = {"businessprofileperformance": MANAGE, "mybusiness": MANAGE}
"""How names of documents begin that list no scopes → what opens their methods (§4.5). It opens writing, too: only GET
is taken over."""


@dataclass(frozen=True)
class Compiled:
    """The tables of one package, by `api.version`, and the methods that its documents hold."""

    source: str
    tables: Mapping[str, Table]
    documents: int
    methods: int

    @property
    def index(self) -> dict[str, Any]:
        """What tells two of these apart, to be read in a version control's difference."""
        return {
            "source": self.source,
            "documents": self.documents,
            "methods": self.methods,
            "digest": digest(self.tables),
            "tables": {name: _summary(table) for name, table in self.tables.items()},
        }


def documents(given: str | None) -> tuple[Traversable, str]:
    """The folder of discovery documents and a name for it: of the installed package, whose version may be asked for, or
    of a path: documents, a folder with the package in it, or its wheel. Raises `InvalidRequest`."""
    path = Path(given or "")
    if given and path.suffix == ".whl" and path.is_file():
        return _in_wheel(path)
    if given and path.is_dir():
        inside = path / INSIDE
        return (inside if inside.is_dir() else path), path.name
    if given and not _VERSION.fullmatch(given):
        raise InvalidRequest(f"There is no folder and no wheel {given}.")
    installed = _installed()
    if installed is None or given not in (None, installed):
        raise InvalidRequest(_not_here(given, installed))
    return files("googleapiclient.discovery_cache").joinpath("documents"), f"{PACKAGE} {installed}"


def compile_all(
    folder: Traversable, source: str, told: Callable[[int, int], None] = lambda _done, _of: None
) -> Compiled:
    """Every document of a folder. `told`: how many are done, of all. Raises `InvalidRequest` where there is none."""
    found = sorted((entry for entry in folder.iterdir() if _is_document(entry.name)), key=lambda entry: entry.name)
    tables: dict[str, Table] = {}
    held = 0
    for number, entry in enumerate(found, 1):
        document = json.loads(entry.read_bytes())
        held += sum(1 for _ in methods(document))
        name = f"{document['name']}.{document['version']}"
        if name not in tables or entry.name == f"{name}.json":
            tables[name] = compiled(document, source)
        told(number, len(found))
    if not tables:
        raise InvalidRequest("There are no discovery documents.")
    return Compiled(source, dict(sorted(tables.items())), len(found), held)


def methods(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every method of a document, by its dotted resource path."""
    for name, method in node.get("methods", {}).items():
        yield prefix + name, method
    for name, resource in node.get("resources", {}).items():
        yield from methods(resource, f"{prefix}{name}.")


def compiled(document: dict[str, Any], source: str) -> Table:
    """The table of one discovery document. Scopes and scope sets stand there once, and are referred to by number.

    `source`: where the document was taken from.
    """
    root = urlsplit(document["rootUrl"])
    base = root.path + document["servicePath"]
    found = {name: (method, _scopes(document["name"], method)) for name, method in sorted(methods(document))}
    listed = {name: (method, opening) for name, (method, opening) in found.items() if opening}
    sets = sorted({tuple(opening) for _, opening in listed.values()})
    scopes = sorted({scope for members in sets for scope in members})
    numbers = {members: number for number, members in enumerate(sets)}
    return {
        "api": document["name"],
        "version": document["version"],
        "revision": document["revision"],
        "source": source,
        "origin": f"https://{root.netloc}",
        "scopes": scopes,
        "sets": [[scopes.index(scope) for scope in members] for members in sets],
        "methods": {name: _entry(base, method, numbers[tuple(opening)]) for name, (method, opening) in listed.items()},
    }


def write(made: Compiled, folder: Path) -> None:
    """The archive and its index. Of the same tables the same bytes come again, with the same zlib."""
    folder.mkdir(parents=True, exist_ok=True)
    with ZipFile(folder / ARCHIVE, "w", ZIP_DEFLATED, compresslevel=9) as archive:
        for name, table in made.tables.items():
            member = ZipInfo(f"{name}.json")
            member.compress_type = ZIP_DEFLATED
            archive.writestr(member, canonical(table))
    (folder / INDEX).write_text(json.dumps(made.index, indent=1) + "\n", encoding="utf-8")


def read(folder: Traversable) -> Compiled:
    """What `write` wrote. Raises `InvalidRequest` where the archive is not what its index says."""
    index = json.loads(folder.joinpath(INDEX).read_bytes())
    try:
        with folder.joinpath(ARCHIVE).open("rb") as opened, ZipFile(opened) as archive:
            tables = {name.removesuffix(".json"): json.loads(archive.read(name)) for name in archive.namelist()}
    except BadZipFile:
        raise InvalidRequest(f"{ARCHIVE} is damaged.") from None
    found = Compiled(index["source"], tables, index["documents"], index["methods"])
    if found.index != index:
        raise InvalidRequest(f"{ARCHIVE} is not the one that {INDEX} tells of.")
    return found


def shipped() -> Compiled:
    return read(files("broker.providers").joinpath("catalog"))


def digest(tables: Mapping[str, Table]) -> str:
    """Of the methods alone, whatever package and revision they were taken from."""
    found = hashlib.sha256()
    for name, table in sorted(tables.items()):
        found.update(canonical([name, _access(table)]))
    return found.hexdigest()


def canonical(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _summary(table: Table) -> dict[str, Any]:
    told = hashlib.sha256(canonical(_access(table))).hexdigest()
    return {"revision": table["revision"], "methods": len(table["methods"]), "digest": told[:16]}


def _access(table: Table) -> list[Any]:
    return [table[key] for key in ("origin", "scopes", "sets", "methods")]


def _scopes(api: str, method: dict[str, Any]) -> list[str]:
    """Any one of these opens the method; none: nothing does."""
    by_hand = [scope for begins, scope in BY_HAND.items() if api.startswith(begins) and method["httpMethod"] == "GET"]
    return sorted(method.get("scopes", by_hand))


def _entry(base: str, method: dict[str, Any], number: int) -> dict[str, Any]:
    found: dict[str, Any] = {"method": method["httpMethod"], "template": base + method["path"], "set": number}
    if method.get("flatPath", method["path"]) != method["path"]:
        found["flat"] = base + method["flatPath"]
    known = method.get("parameters", {}).items()
    if parameters := {name: _parameter(given) for name, given in sorted(known) if not given.get("deprecated")}:
        found["parameters"] = parameters
    return found


def _parameter(given: dict[str, Any]) -> dict[str, Any]:
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


def _is_document(name: str) -> bool:
    return name.endswith(".json") and name != "index.json"


def _in_wheel(path: Path) -> tuple[Traversable, str]:
    try:
        return InZip(ZipFile(path), f"{INSIDE}/"), path.stem.partition("-py")[0].replace("_", "-")
    except BadZipFile:
        raise InvalidRequest(f"{path.name} is no wheel.") from None


def _not_here(given: str | None, installed: str | None) -> str:
    wanted = f"{PACKAGE}=={given}" if given else PACKAGE
    there = f", but {installed} is" if installed else ""
    return (
        f"{wanted} is not installed here{there}. Install it: pip install {wanted}. Or keep it apart: "
        f"pip download --no-deps {wanted}, and name the wheel that it brings."
    )


def _installed() -> str | None:
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        return None
