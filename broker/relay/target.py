"""What a caller asks the relay for, read from the raw target of the request. Pure.

Nothing is decoded or normalised before it is matched (docs/facts/security.md §6.2, §6.3): a target that could be read
in two ways is denied.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, unquote_plus

from broker.errors import OperationDenied
from broker.operations import Operation

MOST_PARAMETERS = 50
_PARAMETER = re.compile(
    r"([A-Za-z][A-Za-z0-9_.]{0,63})=((?:[A-Za-z0-9._~!$'()*+,:@/?={}-]|%[0-9A-Fa-f]{2})*)",
)
"""A name as it stands, and a value: no blank, no `;`, which some take for `&`, no bracket, nothing beyond ASCII. The
braces of the Graph's `fields` may stand as they are, as in its own documents."""
_VARIABLE = re.compile(r"\{(\+?)([A-Za-z0-9_.]+)\}")


@dataclass(frozen=True)
class Asked:
    """One call at the relay. `url` is raw and without query; `query` holds each parameter's values, decoded once."""

    method: str
    url: str
    query: Mapping[str, tuple[str, ...]]
    body: Mapping[str, Any] | None = None


def read(method: str, target: str, prefix: str, body: Mapping[str, Any] | None = None) -> Asked:
    """`target`: the request target as it came; `prefix`: the relay's own part of it. Raises `OperationDenied`."""
    if not target.startswith(prefix):
        raise OperationDenied("The address is not written as the relay's are.")
    path, mark, query = target.removeprefix(prefix).partition("?")
    return Asked(method, f"https://{path}", _query(query) if mark else {}, body)


def _query(text: str) -> Mapping[str, tuple[str, ...]]:
    """Each parameter with its values in their order; `alt=json`, which clients add, is dropped."""
    values: dict[str, tuple[str, ...]] = {}
    parts = text.split("&") if text else []
    if len(parts) > MOST_PARAMETERS:
        raise OperationDenied(f"More than {MOST_PARAMETERS} parameters.")
    for part in parts:
        found = _PARAMETER.fullmatch(part)
        if found is None:
            raise OperationDenied("A parameter is not written plainly: name=value, each character encoded once.")
        values[found[1]] = (*values.get(found[1], ()), _decoded(found[2]))
    if values.get("alt") == ("json",):
        del values["alt"]
    return values


def _decoded(text: str) -> str:
    try:
        return unquote_plus(text, errors="strict")
    except UnicodeDecodeError:
        raise OperationDenied("A parameter is not UTF-8.") from None


def in_path(operation: Operation, url: str) -> dict[str, str]:
    """The parameters in the path of a URL that the operation was matched by. Raises `OperationDenied`."""
    pattern, end = "", 0
    for found in _VARIABLE.finditer(operation.template):
        pattern += re.escape(operation.template[end : found.start()]) + ("(.+)" if found[1] else "([^/]+)")
        end = found.end()
    pattern += re.escape(operation.template[end:])
    matched = re.fullmatch(pattern, url.removeprefix(operation.origin))
    if matched is None:
        raise OperationDenied("No operation has this method and address.")
    names = [found[2] for found in _VARIABLE.finditer(operation.template)]
    return dict(zip(names, map(unquote, matched.groups()), strict=True))
