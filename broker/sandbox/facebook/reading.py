"""How a list or an object is answered: fields, pages, addresses (docs/facts/meta.md §6.3)."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from flask import request

from broker.sandbox.facebook.access import presented
from broker.sandbox.facebook.state import facebook
from broker.sandbox.graph import GraphError, version
from broker.sandbox.graph_fields import Field, asked, check, shown, spelt
from broker.sandbox.graph_paging import Place, Record, Series, Window, paged, window

GRAPH = "https://graph.facebook.com"


def fields_of(default: Sequence[str], known: Collection[str], kind: str) -> tuple[Field, ...]:
    """Those that this call names. Raises `GraphError` for one that this kind of object does not have."""
    found = asked(request.args.get("fields"), default)
    check(found, known, kind)
    return found


def edge(
    series: Series,
    path: str,
    shape: Callable[[int, Record], Record],
    *,
    most: int = 100,
    chosen: Callable[[int], bool] = lambda _: True,
    timed: bool = True,
    oldest_first: bool = False,
) -> dict[str, Any]:
    """The page that this call wants of `/path`. `timed`: since and until count. Raises `GraphError`."""
    given = request.args.to_dict()
    wanted = window(given if timed else {**given, "since": "", "until": ""}, most=most)
    largest = facebook().quirks.get("too_much_data")
    if largest is not None and wanted.limit > largest:
        message = "Please reduce the amount of data you're asking for, then retry your request"
        raise GraphError(1, message, status=500)
    place = _place(path, given)
    short = facebook().quirks.get("pages")
    return paged(series, wanted, shape, place, short=short, chosen=chosen, oldest_first=oldest_first)


def nested(
    series: Series, path: str, field: Field, shape: Callable[[int, Record], Record], *, oldest_first: bool = False
) -> dict[str, Any]:
    """The first page of an edge that stands in the fields of an object, as in `comments.limit(5){message}`."""
    given = dict(field.arguments)
    wanted: Window = window(given)
    fields = {"fields": spelt(field.fields)} if field.fields else {}
    return paged(series, wanted, shape, _place(path, {**given, **fields}), oldest_first=oldest_first)


def _place(path: str, query: dict[str, str]) -> Place:
    return Place(f"{GRAPH}/{version()}/{path}", presented() or "", query)


def flat(fields: Sequence[Field]) -> Callable[[int, Record], Record]:
    """Shows the fields of a record as they are."""
    return lambda _, record: shown(record, fields)
