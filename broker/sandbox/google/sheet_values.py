"""Cells as Sheets hands them out: nothing of what is empty at the end (docs/facts/google.md §5.5)."""

from itertools import zip_longest
from typing import Any

from broker.sandbox.google.a1 import Range
from broker.sandbox.google.seed_files import Row
from broker.sandbox.listing import Record

RENDERINGS = ("FORMATTED_VALUE", "UNFORMATTED_VALUE", "FORMULA")


def values_of(rows: list[Row], asked: Range, *, rendering: str, by_columns: bool) -> list[Row]:
    """The values of a range; an empty row between others is an empty list."""
    found = [row[asked.left : asked.right] for row in rows[asked.top : asked.bottom]]
    if by_columns:
        found = [list(column) for column in zip_longest(*found)]
    kept = [_trimmed(row) for row in found]
    while kept and not kept[-1]:
        kept.pop()
    return [[_rendered(cell, rendering) for cell in row] for row in kept]


def _trimmed(row: Row) -> Row:
    length = len(row)
    while length and row[length - 1] in (None, ""):
        length -= 1
    return row[:length]


def _rendered(cell: Any, rendering: str) -> Any:  # noqa: ANN401 - text, number, boolean or nothing
    if cell is None:
        return ""
    return formatted(cell) if rendering == "FORMATTED_VALUE" else cell


def formatted(cell: Any) -> str:  # noqa: ANN401
    """As the page shows it, in the numbers of Indonesia."""
    if isinstance(cell, bool):
        return str(cell).upper()
    return str(cell).replace(".", ",") if isinstance(cell, float) else str(cell)


def cells_of(rows: list[Row], asked: Range) -> Record:
    """The cells of a range as spreadsheets.get tells them."""
    found = values_of(rows, asked, rendering="UNFORMATTED_VALUE", by_columns=False)
    start = {name: at for name, at in (("startRow", asked.top), ("startColumn", asked.left)) if at}
    return {**start, "rowData": [{"values": [_cell(cell) for cell in row]} if row else {} for row in found]}


def _cell(cell: Any) -> Record:  # noqa: ANN401
    if cell == "":
        return {}
    kind = "boolValue" if isinstance(cell, bool) else "stringValue" if isinstance(cell, str) else "numberValue"
    return {"userEnteredValue": {kind: cell}, "effectiveValue": {kind: cell}, "formattedValue": formatted(cell)}
