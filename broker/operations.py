"""Operations: which provider API methods there are, as data. Pure, but for `load`, which reads a file that we ship.

An operation says its HTTP method, URL template, parameters and the scope values of which the provider accepts any one.
The broker never forwards a caller's URL: it builds one from an operation and checked parameters, so that nothing must
be parsed and nothing is ambiguous (docs/adr/0003, docs/facts/google.md §4.4, docs/facts/meta.md §4.4). Whatever is not
listed is denied. docs/operations.md tells the form of the tables.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, NamedTuple
from urllib.parse import quote
from zipfile import ZipFile

from broker.errors import OperationDenied
from broker.fields import Known, parse, wanted

Values = Mapping[str, str | Sequence[str]]
"""Parameter name → text, or several texts where it may be repeated."""

_BASE = re.compile(r"(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_VARIABLE = re.compile(r"\{(\+?)([A-Za-z0-9_.]+)\}")
_UNFIT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""Control characters, and what UTF-8 cannot hold."""
_RAW_SEGMENT = re.compile(r"(?:[A-Za-z0-9._~!$'()*+,=:@-]|%(?!2[5EeFf]|3[Bb]|5[Cc]|7[Ff])[2-7][0-9A-Fa-f])+")
"""One segment of a raw path. Of what may be encoded all is printable ASCII, and no slash, backslash, dot, percent or
semicolon: whoever decodes it once or twice more reads the same (docs/facts/security.md INP-01…04)."""


@dataclass(frozen=True)
class Parameter:
    """What one parameter of an operation may be; everything else is denied."""

    location: str = "query"
    required: bool = False
    repeated: bool = False
    pattern: str | None = None
    choices: frozenset[str] | None = None
    minimum: int | None = None
    maximum: int | None = None
    kind: str = "string"
    listed: bool = False
    """Several of the choices, with commas between them, each once."""
    fields: Mapping[str, Known] | None = field(default=None, repr=False)
    """What may be named, where it is a list of fields; `Operation.wanted` reads it."""

    def admits(self, value: str) -> bool:
        """Whether one value is of this parameter's kind, within its bounds, and holds no control character."""
        parts = value.split(",") if self.listed else [value]
        if _UNFIT.search(value) or len(set(parts)) < len(parts):
            return False
        if self.choices is not None and not self.choices.issuperset(parts):
            return False
        if self.kind == "boolean":
            return value in ("true", "false")
        if self.kind == "integer":
            return re.fullmatch(r"-?[0-9]{1,19}", value) is not None and self._within(int(value))
        return self.pattern is None or re.fullmatch(self.pattern, value) is not None

    def _within(self, number: int) -> bool:
        return (self.minimum is None or number >= self.minimum) and (self.maximum is None or number <= self.maximum)


@dataclass(frozen=True)
class Operation:
    """One provider API method."""

    id: str
    method: str
    origin: str
    template: str
    """Path with `{x}` (one segment) and `{+x}` (several, as its parameter's pattern has them)."""
    scopes: frozenset[str]
    """The provider accepts any one of these scope values, each of which may be several scopes together."""
    parameters: Mapping[str, Parameter] = field(repr=False)
    flat: str = ""
    """The template with one variable a segment, by which a URL is matched; empty where `template` is flat already."""
    token: str = "user"  # noqa: S105 - a word
    """Whose token it takes: the user's, or that of the asset (`page`)."""
    asset: str | None = None
    """The parameter that must be a granted asset."""
    below: Mapping[str, str] = field(default_factory=dict)
    """Parameter → the operation that lists below the asset what it may be: an id does not say of what it is one."""
    source: str = ""
    """Where this is known from."""

    @property
    def is_for_asset(self) -> bool:
        """It takes the asset's own token."""
        return self.token != "user"  # noqa: S105 - a word

    def wanted(self, values: Values) -> tuple[frozenset[str], ...]:
        """What must be opened for a call with these parameters: of each, any one scope value. Its own scopes come
        first, then those of what `fields` names. Raises `OperationDenied` for a parameter that is unknown or refused.
        """
        beside = (wants for name, value in values.items() for wants in self._checked(name, value))
        return (self.scopes, *beside)

    def url(self, values: Values) -> str:
        """The one URL of these parameters. Raises `OperationDenied` for one that is unknown, missing or refused."""
        self.wanted(values)
        absent = [name for name, known in self.parameters.items() if known.required and not values.get(name)]
        if absent:
            raise OperationDenied(f"The operation {self.id} needs the parameter {absent[0]}.")
        path = _VARIABLE.sub(lambda found: self._expanded(found, values), self.template)
        in_path = {found[2] for found in _VARIABLE.finditer(self.template)}
        query = [
            f"{quote(name, safe='')}={quote(item, safe='')}"
            for name, value in values.items()
            if name not in in_path
            for item in ([value] if isinstance(value, str) else value)
        ]
        return self.origin + path + ("?" + "&".join(query) if query else "")

    def _checked(self, name: str, value: str | Sequence[str]) -> tuple[frozenset[str], ...]:
        """What the value wants beside the operation's own scopes."""
        known = self.parameters.get(name)
        items = [value] if isinstance(value, str) else value
        if known is None or (len(items) != 1 and not known.repeated) or not all(map(known.admits, items)):
            raise OperationDenied(f"The parameter {name[:64]} is not one that {self.id} may be called with.")
        if known.fields is None:
            return ()
        try:
            return wanted(parse(items[0]), known.fields)
        except ValueError as reason:
            raise OperationDenied(f"What is named in {name} of {self.id} is refused: {reason}.") from None

    def _expanded(self, found: re.Match[str], values: Values) -> str:
        """What `Catalog.match` would refuse is not built either, so that a path has one reading."""
        value = values.get(found[2])
        text = value if isinstance(value, str) else ""
        segments = [quote(part, safe="") for part in (text.split("/") if found[1] else [text])]
        if not all(map(_is_plain, segments)):
            raise OperationDenied(f"The parameter {found[2]} of {self.id} is not a name.")
        return "/".join(segments)

    @cached_property
    def segments(self) -> tuple["_Segment", ...]:
        return tuple(_Segment.parse(text) for text in (self.flat or self.template).split("/")[1:])


class _Segment(NamedTuple):
    """A literal, or a variable between a literal prefix and suffix. One with two variables would fit nothing."""

    prefix: str
    is_variable: bool
    suffix: str

    @classmethod
    def parse(cls, text: str) -> "_Segment":
        prefix, brace, rest = text.partition("{")
        return cls(prefix, bool(brace), rest.partition("}")[2])

    def fits(self, raw: str) -> bool:
        """In a variable a bare `:` would begin a verb; as data it comes encoded (docs/facts/google.md §4.4)."""
        if not self.is_variable:
            return raw == self.prefix
        inner = raw[len(self.prefix) : len(raw) - len(self.suffix)]
        return bool(inner) and ":" not in inner and raw == self.prefix + inner + self.suffix

    @property
    def rank(self) -> tuple[int, int]:
        """A literal wins over a variable with a literal beside it, and that over a bare one (§4.3)."""
        if not self.is_variable:
            return (2, 0)
        return (1, len(self.prefix + self.suffix)) if self.prefix or self.suffix else (0, 0)


class Catalog:
    """Operations by id, and by method and URL."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._by_id = {operation.id: operation for operation in operations}
        self._by_shape: dict[tuple[str, str, int], list[Operation]] = {}
        for operation in self._by_id.values():
            self._by_shape.setdefault(_shape(operation), []).append(operation)

    @classmethod
    def merged(cls, *catalogs: "Catalog") -> "Catalog":
        return cls(operation for catalog in catalogs for operation in catalog)

    def __iter__(self) -> Any:  # noqa: ANN401 - an iterator of Operation
        return iter(self._by_id.values())

    def operation(self, operation_id: str) -> Operation:
        """Raises `OperationDenied` for one that is not listed."""
        try:
            return self._by_id[operation_id]
        except KeyError:
            raise OperationDenied("No such operation is listed.") from None

    def match(self, method: str, url: str) -> Operation:
        """The operation of a method and a raw URL without query. Raises `OperationDenied` where there is none.

        Nothing is decoded or normalised before it is matched: a path that could be read in two ways is denied.
        """
        origin, raw = _taken_apart(url)
        candidates = self._by_shape.get((method, origin, len(raw)), ()) if all(map(_is_plain, raw)) else ()
        fitting = [operation for operation in candidates if _fits(operation, raw)]
        if not fitting:
            raise OperationDenied("No operation has this method and address.")
        return max(fitting, key=lambda operation: [segment.rank for segment in operation.segments])


def load(name: str, base: str = "", *, archive: str = "", api: str = "") -> Catalog:
    """A table that we ship: compiled (docs/facts/google.md §4.4), or written by hand (docs/operations.md).

    `base`: a path in front of each template, like `/v26.0`. `archive`: the one that holds the table, where it is not a
    file of its own. `api`: what the ids begin with, if not with the table's own. Raises `ValueError` where the base is
    no such path, `KeyError` where the archive holds no such table.
    """
    if not _BASE.fullmatch(base):
        raise ValueError("The base of a table of operations is a path like /v26.0.")
    table = json.loads(_text(f"{name}.json", archive))
    known = _known(table)
    table["api"] = api or table["api"]
    return Catalog(_operation(table, name, entry, base, known[name]) for name, entry in table["methods"].items())


def archived(archive: str) -> tuple[str, ...]:
    """Names of the tables in an archive."""
    with _shipped(archive).open("rb") as opened, ZipFile(opened) as tables:
        return tuple(name.removesuffix(".json") for name in tables.namelist())


def _text(name: str, archive: str) -> bytes:
    if not archive:
        return _shipped(name).read_bytes()
    with _shipped(archive).open("rb") as opened, ZipFile(opened) as tables:
        return tables.read(name)


def _shipped(name: str) -> Traversable:
    return files("broker.providers").joinpath("catalog", name)


def _operation(
    table: Mapping[str, Any], name: str, entry: Mapping[str, Any], base: str, known: Mapping[str, Known]
) -> Operation:
    return Operation(
        id=f"{table['api']}.{name}",
        method=entry["method"],
        origin=table["origin"],
        template=base + entry["template"],
        scopes=_scopes(table, entry),
        parameters=dict(_parameters(table, entry, known)),
        flat=base + entry["flat"] if "flat" in entry else "",
        token=entry.get("token", "user"),
        asset=entry.get("asset"),
        below={name: f"{table['api']}.{listing}" for name, listing in entry.get("below", {}).items()},
        source=f"{entry['source']} [{entry['confidence']}]" if "source" in entry else table["source"],
    )


def _scopes(table: Mapping[str, Any], entry: Mapping[str, Any]) -> frozenset[str]:
    """Compiled tables name a set of scopes by its number."""
    if "set" in entry:
        return frozenset(table["scopes"][number] for number in table["sets"][entry["set"]])
    return frozenset(entry["scopes"])


def _parameters(
    table: Mapping[str, Any], entry: Mapping[str, Any], known: Mapping[str, Known]
) -> Iterator[tuple[str, Parameter]]:
    """Those of the row, of which a text names one of the table's kinds; and what follows from `fields` and `most`."""
    for name, given in entry.get("parameters", {}).items():
        yield name, _parameter(table["kinds"][given] if isinstance(given, str) else given)
    if known:
        yield "fields", Parameter(required=True, fields=known)
    if "most" in entry:
        yield "limit", Parameter(kind="integer", minimum=1, maximum=entry["most"])


def _parameter(given: Mapping[str, Any]) -> Parameter:
    choices = given.get("choices")
    return Parameter(**{**given, "choices": frozenset(choices) if choices is not None else None})


def _known(table: Mapping[str, Any]) -> dict[str, dict[str, Known]]:
    """Row → what its `fields` may name. Rows refer to each other: each table is there before any is filled."""
    rows = {**table["methods"], **table.get("edges", {})}
    known: dict[str, dict[str, Known]] = {name: {} for name in rows}
    for name, row in rows.items():
        for named, given in row.get("fields", {}).items():
            beside = row.get("beside", {}).get(named)
            wants = (frozenset(beside),) if beside is not None else ()
            known[name][named] = _known_field(given, wants, rows, known)
    return known


def _known_field(
    given: Any,  # noqa: ANN401 - any JSON
    wants: tuple[frozenset[str], ...],
    rows: Mapping[str, Any],
    known: Mapping[str, Mapping[str, Known]],
) -> Known:
    """`true`: a plain name; a list: the names in its braces; a text: an edge, by the row that it leads to."""
    if given is True:
        return Known(wants)
    if isinstance(given, list):
        return Known(wants, {name: Known() for name in given})
    row = rows[given]
    return Known((*wants, frozenset(row["scopes"])), known[given], row["most"])


def _shape(operation: Operation) -> tuple[str, str, int]:
    return operation.method, operation.origin, len(operation.segments)


def _fits(operation: Operation, raw: Sequence[str]) -> bool:
    return all(segment.fits(text) for segment, text in zip(operation.segments, raw, strict=True))


def _taken_apart(url: str) -> tuple[str, list[str]]:
    """Origin and raw path segments as they stand. An origin that is written otherwise than ours is simply unknown."""
    scheme, _, rest = url.partition("://")
    host, *segments = rest.split("/")
    return f"{scheme}://{host}", segments


def _is_plain(segment: str) -> bool:
    return _RAW_SEGMENT.fullmatch(segment) is not None and segment not in (".", "..")
