"""For authors of connectors: what the broker asks of each one, tried without network, database or settings.

    def test_the_connector_does_what_is_asked_of_every_one():
        assert faults(CONNECTOR, RAW) == []

`RAW` is a whole record as the provider sends it; several may be given, which together have every field. It needs
jsonschema, which the broker itself does without. docs/writing-a-connector.md tells how a connector is written.
"""

import ast
import copy
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator

from broker import installed, scopes
from broker.consent import LANGUAGES
from broker.contract import Connector, Reads
from broker.providers.base import Provider
from broker.providers.resource import Resource

Raw = Mapping[str, Any]

SOURCE = {"provider": "provider", "account": "account"}
"""What the broker adds to a record."""
REACHING = frozenset(
    {
        *(
            "aiohttp",
            "asyncio",
            "ctypes",
            "flask",
            "ftplib",
            "http",
            "httpx",
            "importlib",
            "io",
            "multiprocessing",
            "os",
        ),
        *("pathlib", "psycopg", "requests", "shutil", "smtplib", "socket", "sqlalchemy", "sqlite3", "ssl"),
        *("subprocess", "tempfile", "threading", "urllib", "urllib3"),
    }
)
"""Modules that reach beyond what a connector is passed."""
PURE = ("broker.contract.", "urllib.parse.")
ODD: tuple[Any, ...] = (None, True, 0, -1, 1.5, 10**30, "", "\0", "text", "9" * 40, [], [None], {}, {"": [{}]}, [[{}]])
"""What may stand in place of any part of a provider's answer."""
MOST = 5
"""Faults that one rule tells of."""


@dataclass(frozen=True)
class Trial:
    """A connector, the table of what it reads, and raw records to try it with."""

    connector: Connector
    provider: Provider
    raws: tuple[Raw, ...]

    @property
    def resource(self) -> Resource:
        return self.provider.resources[self.connector.reads.resource]

    @property
    def fields(self) -> tuple[str, ...]:
        """What it reads and may have to do without."""
        return tuple(field for field in self.connector.reads.fields if field != self.resource.identity)

    def passed(self, raw: Raw, fields: Iterable[str]) -> dict[str, Any]:
        """What the broker would pass on of a provider's record, were these fields permitted."""
        rows = self.resource.fields.values()
        every = frozenset().union(*(together for row in rows for together in scopes.alternatives(row)))
        return self.resource.passed_on(copy.deepcopy(raw), fields, every)

    def cut(self, fields: Iterable[str]) -> list[dict[str, Any]]:
        """Every raw record that has an identity: without one the broker passes nothing on."""
        fields = tuple(fields)
        return [self.passed(raw, fields) for raw in self.raws if isinstance(raw.get(self.resource.identity), str)]

    def wholes(self) -> list[dict[str, Any]]:
        return self.cut(self.connector.reads.fields)


def faults(connector: Connector, *raws: Raw, known: Iterable[Provider] | None = None) -> list[str]:
    """What is wrong, a sentence each; nothing where all is well. `known`: the providers that there are, else those that
    are installed."""
    known = installed.kinds() if known is None else list(known)
    if unlisted := installed.unlisted(connector, known):
        return unlisted
    provider = next(one for one in known if one.kind == connector.provider and not installed.unlisted(connector, [one]))
    trial = Trial(connector, provider, raws)
    return [f"{rule}: {fault}" for rule, broken in RULES.items() for fault in _first(broken(trial))]


def odd(raw: Any) -> Iterator[Any]:  # noqa: ANN401 - any JSON
    """The record again and again, each time with one part of it left out, or with something odd in its place."""
    parts: Iterable[Any] = raw if isinstance(raw, dict) else range(len(raw)) if isinstance(raw, list) else ()
    for part in parts:
        less = copy.copy(raw)
        del less[part]
        yield less
        for value in (*ODD, *odd(raw[part])):
            other = copy.copy(raw)
            other[part] = value
            yield other


# --- the rules: each yields what breaks it -------------------------------------------------------------------


def _declared(trial: Trial) -> Iterator[str]:
    connector = trial.connector
    yield from (f"it has no title in `{language}`" for language in LANGUAGES if not connector.titles.get(language))
    for reads in filter(None, (connector.reads, connector.choices)):
        yield from _untold(trial.provider.resources[reads.resource], reads)
        if len(set(reads.fields)) < len(reads.fields):
            yield f"a field of {reads.resource} stands there twice"
    if not connector.reads.required:
        yield "no field is required: it would be asked for and never denied"


def _untold(resource: Resource, reads: Reads) -> Iterator[str]:
    titles = resource.titles
    for field in reads.fields:
        yield from (f"{field} has no title in `{name}`" for name in LANGUAGES if not titles.get(field, {}).get(name))


def _receives(trial: Trial) -> Iterator[str]:
    """Of its own file only: it is no jail, and not meant as one (docs/adr/0001)."""
    source = inspect.getsourcefile(trial.connector.convert)
    if source is None:
        return
    with open(source, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    for name in sorted({name for node in ast.walk(tree) for name in _imported(node)}):
        root = name.partition(".")[0]
        if (root in REACHING or root == "broker") and not f"{name}.".startswith(PURE):
            yield f"it imports {name}"


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def _whole(trial: Trial) -> Iterator[str]:
    if not trial.raws:
        yield "there is no raw record to try it with"
    for raw in trial.raws:
        if not isinstance(raw.get(trial.resource.identity), str):
            yield f"a raw record has no {trial.resource.identity}, which tells records apart"
    yield from (f"no raw record has {field}" for field in trial.fields if not any(field in raw for raw in trial.raws))


def _valid(trial: Trial) -> Iterator[str]:
    for raw in trial.wholes():
        yield from _invalid(trial, raw)


def _used(trial: Trial) -> Iterator[str]:
    for field in trial.fields:
        wholes = [raw for raw in trial.wholes() if field in raw]
        if wholes and not any(_differs(trial, raw, field) for raw in wholes):
            yield f"{field} makes no difference to any record"


def _differs(trial: Trial, raw: Raw, field: str) -> bool:
    less = {name: value for name, value in raw.items() if name != field}
    try:
        return trial.connector.convert(less) != trial.connector.convert(raw)
    except Exception:  # noqa: BLE001 - code of others; that it fails is told by the rules about it
        return True


def _withheld(trial: Trial) -> Iterator[str]:
    for raw in trial.wholes():
        for field in trial.fields:
            less = {name: value for name, value in raw.items() if name != field}
            yield from (f"without {field} {fault}" for fault in _invalid(trial, less))


def _least(trial: Trial) -> Iterator[str]:
    for raw in trial.cut(trial.connector.reads.required):
        yield from _invalid(trial, raw)


def _alone(trial: Trial) -> Iterator[str]:
    for raw in trial.cut(()):
        yield from _invalid(trial, raw)


def _same(trial: Trial) -> Iterator[str]:
    for raw in trial.wholes():
        before, first, second = copy.deepcopy(raw), *(_converted(trial, raw) for _ in range(2))
        if first != second:
            yield "the same input gave two outputs"
        if raw != before:
            yield "its input is not as it was before"


def _robust(trial: Trial) -> Iterator[str]:
    for raw in trial.wholes():
        identity = {trial.resource.identity: raw[trial.resource.identity]}
        for other in odd({name: value for name, value in raw.items() if name not in identity}):
            yield from _invalid(trial, {**other, **identity})


RULES: dict[str, Callable[[Trial], Iterator[str]]] = {
    "it is declared whole, and the consent page has words for it": _declared,
    "it receives, and does not fetch": _receives,
    "the raw records have every field": _whole,
    "a whole record becomes a valid one": _valid,
    "what is asked for is used": _used,
    "any field may be withheld": _withheld,
    "the required fields suffice": _least,
    "the identity alone makes a valid record": _alone,
    "the same input gives the same output, and is left alone": _same,
    "whatever the provider sends becomes a valid record": _robust,
}


def _invalid(trial: Trial, raw: Raw) -> Iterator[str]:
    """Why what is made of a raw record is no record."""
    record = _converted(trial, raw)
    if isinstance(record, Exception):
        yield f"it fails with {type(record).__name__}: {record}"
        return
    if not isinstance(record, dict):
        yield "it gives no record"
        return
    if record.get("id") != raw[trial.resource.identity]:
        yield f"the record's id is not {trial.resource.identity}, by which a deletion is told"
    if record.get("type") != trial.connector.type:
        yield f"the record's type is not {trial.connector.type}"
    if "source" in record:
        yield "the source is told by the broker alone"
    for error in Draft202012Validator(trial.connector.schema).iter_errors({**record, "source": SOURCE}):
        yield f"{error.json_path} {error.message[:200]}"


def _converted(trial: Trial, raw: Raw) -> object:
    try:
        return trial.connector.convert(raw)
    except Exception as error:  # noqa: BLE001 - code of others; whatever it raises is a fault to tell of
        return error


def _first(found: Iterator[str]) -> list[str]:
    """The first few, each once."""
    told: dict[str, None] = {}
    for fault in found:
        told.setdefault(fault)
        if len(told) == MOST:
            break
    return list(told)
