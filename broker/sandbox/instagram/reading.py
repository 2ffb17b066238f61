"""What reading any node or edge of this Graph has in common: the fields that are asked, the page, its addresses."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from flask import request

from broker.sandbox.graph import own_path
from broker.sandbox.graph_fields import Field, Record, asked, check, shown, spelt
from broker.sandbox.graph_paging import Place, Series, paged, window
from broker.sandbox.instagram.access import Caller
from broker.sandbox.instagram.state import instagram

ORIGIN = "https://graph.instagram.com"

Special = Callable[[Field], Any]
"""What makes the value of a field that is no plain member of the record: it may page, or need a permission."""
Specials = Mapping[str, Special]


def fields_asked(known: Collection[str], kind: str, otherwise: Sequence[str] = ("id",)) -> tuple[Field, ...]:
    """Those of the call. Raises `GraphError`."""
    fields = asked(request.values.get("fields"), otherwise)
    check(fields, known, kind)
    return fields


def nested(field: Field, known: Collection[str], kind: str, otherwise: Sequence[str] = ("id",)) -> tuple[Field, ...]:
    """Those in the braces of a field. Raises `GraphError`."""
    fields = field.fields or tuple(Field(name) for name in otherwise)
    check(fields, known, kind)
    return fields


def filled(record: Record, fields: Sequence[Field], specials: Specials) -> Record:
    """What is asked of a record, the specials made on demand; one that is made as None is left out."""
    made = {field.name: specials[field.name](field) for field in fields if field.name in specials}
    plain = [Field(field.name) if field.name in specials else field for field in fields]
    return shown({**record, **made}, plain)


def edge(
    who: Caller,
    series: Series,
    shape: Callable[[int, Record], Record],
    *,
    most: int = 100,
    chosen: Callable[[int], bool] = lambda _: True,
) -> Record:
    """A page of the edge that is called; `chosen`: by the number of a record. Raises `GraphError`."""
    place = Place(ORIGIN + own_path(), who.token.value, request.args.to_dict())
    short = instagram().quirks.get("pages")
    return paged(series, window(request.args, most=most), shape, place, short=short, chosen=chosen)


def expanded(
    who: Caller, series: Series, field: Field, path: str, shape: Callable[[int, Record], Record], *, most: int = 100
) -> Record | None:
    """The first page of an edge that is asked as a field; nothing where it is empty. `path`: of the edge itself."""
    version = own_path().split("/")[1]
    address = f"{ORIGIN}/{version}{path}" if version.startswith("v") else ORIGIN + path
    query = {"fields": spelt(field.fields)} if field.fields else {}
    page = paged(series, window(dict(field.arguments), most=most), shape, Place(address, who.token.value, query))
    return page if page["data"] else None
