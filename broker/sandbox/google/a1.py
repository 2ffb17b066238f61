"""Ranges of a spreadsheet in A1 notation: `Sheet1!A1:D5`, `'Harga 26'!A:C`, `A2:D`, `3:5`, or a sheet's name alone."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

CELLS = re.compile(r"\$?([A-Za-z]{1,3})?\$?([0-9]{1,7})?")
PLAIN = re.compile(r"[A-Za-z0-9_]+")


class BadRange(ValueError):
    """Not a range of this spreadsheet; the text says why, as Sheets words it."""


@dataclass(frozen=True)
class Grid:
    """A sheet's name and size."""

    title: str
    height: int
    width: int


@dataclass(frozen=True)
class Range:
    """Cells of the sheet at `place`: rows and columns from zero, each end not included."""

    place: int
    grid: Grid
    top: int
    bottom: int
    left: int
    right: int

    def __str__(self) -> str:
        """As an answer names it."""
        title = self.grid.title
        quoted = title if PLAIN.fullmatch(title) else "'" + title.replace("'", "''") + "'"
        first, last = f"{letters(self.left)}{self.top + 1}", f"{letters(self.right - 1)}{self.bottom}"
        return f"{quoted}!{first}" if first == last else f"{quoted}!{first}:{last}"


def letters(column: int) -> str:
    """The name of a column, counted from zero."""
    name, rest = "", column + 1
    while rest:
        rest, letter = divmod(rest - 1, 26)
        name = chr(ord("A") + letter) + name
    return name


def _column(name: str) -> int:
    found = 0
    for letter in name.upper():
        found = found * 26 + ord(letter) - ord("A") + 1
    return found - 1


def parsed(text: str, grids: Sequence[Grid]) -> Range:
    """The range that `text` names. Without a sheet's name it is one of the first sheet. Raises `BadRange`."""
    title, mark, cells = _split(text)
    if not mark and _ends(text) is None:
        title, cells = _unquoted(text), ""
    places = [place for place, grid in enumerate(grids) if not title or grid.title == title]
    ends = _ends(cells) if cells else ((None, None), (None, None))
    if not places or ends is None:
        raise BadRange(f"Unable to parse range: {text}")
    return _bounded(text, places[0], grids[places[0]], ends)


def _split(text: str) -> tuple[str, str, str]:
    """The sheet's name, the mark where there is one, and the cells."""
    title, mark, cells = text.rpartition("!")
    if mark and not cells:
        raise BadRange(f"Unable to parse range: {text}")
    return _unquoted(title), mark, cells


def _unquoted(title: str) -> str:
    if len(title) > 1 and title[0] == title[-1] == "'":
        return title[1:-1].replace("''", "'")
    return title


Cell = tuple[int | None, int | None]
"""Row and column from zero; None where one is not said."""


def _ends(cells: str) -> tuple[Cell, Cell] | None:
    """First and last cell; None for what names no cells."""
    first, colon, last = cells.partition(":")
    ends = [_cell(first), _cell(last if colon else first)]
    if ends[0] is None or ends[1] is None or (not colon and None in ends[0]):
        return None
    return ends[0], ends[1]


def _cell(text: str) -> Cell | None:
    match = CELLS.fullmatch(text)
    if not match or not text.replace("$", "") or match[2] == "0":
        return None
    return (int(match[2]) - 1 if match[2] else None), (_column(match[1]) if match[1] else None)


def _bounded(text: str, place: int, grid: Grid, ends: tuple[Cell, Cell]) -> Range:
    """What lies beyond the grid is cut off; a range that begins there is refused."""
    (top, bottom), (left, right) = (_span(axis, size) for axis, size in _axes(grid, ends))
    if top >= grid.height or left >= grid.width:
        limits = f"Max rows: {grid.height}, max columns: {grid.width}"
        raise BadRange(f"Range ({text}) exceeds grid limits. {limits}")
    return Range(place, grid, top, bottom, left, right)


def _axes(grid: Grid, ends: tuple[Cell, Cell]) -> tuple[tuple[tuple[int | None, int | None], int], ...]:
    first, last = ends
    return ((first[0], last[0]), grid.height), ((first[1], last[1]), grid.width)


def _span(axis: tuple[int | None, int | None], size: int) -> tuple[int, int]:
    """From the lower of both ends to the higher, the latter not included; an open one reaches the end of the grid."""
    first, last = axis[0] or 0, size - 1 if axis[1] is None else axis[1]
    return min(first, last), min(max(first, last) + 1, size)
