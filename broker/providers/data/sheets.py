"""Sheets: the rows of a spreadsheet's first sheet, its first row being the headings (docs/facts/google.md §5.5).

Rules R1 to R7 of §4.6.4. `drive.file` opens single files, those that the user has opened for the app, and is what is
asked for: it lists them and reads them, and is not even sensitive (§3.2). A scope opens whole files; that the first
visible sheet alone is read is the broker's own rule (R6): a range that names no sheet means that one.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from broker.providers.data.googleapis import auth, items, listed
from broker.providers.resource import Listing, Place, Resource, Values

FILES = auth("drive.file", "drive.metadata.readonly", "drive.readonly")
VALUES = auth("drive.file", "spreadsheets.readonly", "drive.readonly")
SPREADSHEETS = "mimeType = 'application/vnd.google-apps.spreadsheet' and trashed = false"
LAST_COLUMN = "ZZ"
"""702 columns; what stands further right is not read."""
GAP = 1000
"""Rows without a value after which a sheet has ended, if its grid has not."""


class Spreadsheets(Resource):
    """The spreadsheets that the granted scopes let the app see: with `drive.file` those opened for it (R1). No link to
    their content is asked for (R3)."""

    name = "spreadsheets"
    operation = "drive.files.list"
    identity = "id"
    fields = {"name": FILES}
    titles = {"name": {"en": "names of the spreadsheets you open for us", "id": "nama spreadsheet yang Anda buka"}}

    def parameters(self, fields: Sequence[str], asset: str | None, place: Place | None, limit: int) -> Values:  # noqa: ARG002
        values: Values = {"q": SPREADSHEETS, "pageSize": str(limit)}
        if place and place.page:
            values["pageToken"] = place.page
        return values

    def listing(self, answer: Mapping[str, Any], place: Place) -> Listing:
        return listed(answer, "files", place)

    def as_asset(self, raw: Mapping[str, Any]) -> tuple[str, str] | None:
        found, name = super().as_asset(raw), raw.get("name")
        return (found[0], name[:200] if isinstance(name, str) and name else found[0]) if found else None


@dataclass(frozen=True)
class _Block:
    """Rows that one call reads, numbered as the sheet numbers them, beside the headings in row 1."""

    first: int
    size: int

    @classmethod
    def at(cls, place: Place | None, limit: int) -> "_Block":
        """A page's token is its first row, and `+` where the rows before it are empty: then it looks far ahead."""
        found = re.fullmatch(r"([0-9]{1,9})(\+?)", place.page or "") if place else None
        if not found:
            return cls(2, limit)
        return cls(max(int(found[1]), 2), max(limit, GAP) if found[2] else limit)

    @property
    def ranges(self) -> list[str]:
        """One row more than is read, to see whether the grid goes on: a range that begins beyond it is an error."""
        end = self.first + self.size
        if self.first == 2:
            return [f"A1:{LAST_COLUMN}{end}"]
        return [f"A1:{LAST_COLUMN}1", f"A{self.first}:{LAST_COLUMN}{end}"]


class Rows(Resource):
    """Rows as they are shown. A row has no lasting name: its id is its number, and there are no changes to be told
    (§5.5), so that each reading is a full one. A file that was deleted, or is not open to the app, is 404 (R1)."""

    name = "rows"
    operation = "sheets.spreadsheets.values.batchGet"
    """By GET, which the read-only scopes open (R7)."""
    identity = "row"
    asset_kind = "spreadsheet"
    ids_are_of_asset = True
    not_found = "asset"
    fields = dict.fromkeys(("headings", "cells"), VALUES)
    titles = {
        "headings": {"en": "headings of the first sheet", "id": "judul kolom lembar pertama"},
        "cells": {"en": "its rows", "id": "baris-barisnya"},
    }

    def parameters(self, fields: Sequence[str], asset: str | None, place: Place | None, limit: int) -> Values:  # noqa: ARG002
        values: Values = {"ranges": _Block.at(place, limit).ranges, "majorDimension": "ROWS"}
        if asset:
            values["spreadsheetId"] = asset
        return values

    def listing(self, answer: Mapping[str, Any], place: Place) -> Listing:
        block = _Block.at(place, place.limit)
        headings, rows, end = _taken_apart(answer, block)
        found: list[Mapping[str, Any]] = []
        after = block.first
        for after, cells in enumerate(rows[: block.size], block.first):
            if any(cell != "" for cell in cells):
                found.append({"row": str(after), "headings": headings, "cells": cells})
            if len(found) == place.limit:
                break
        full = len(found) == place.limit
        following = after + 1 if full else block.first + block.size
        empty = len(rows) <= following - block.first
        if following > end or (not found and block.size >= GAP):
            return Listing(found, None, has_more=False)
        return Listing(found, replace(place, page=f"{following}{'+' if empty else ''}"), has_more=True)


def _taken_apart(answer: Mapping[str, Any], block: _Block) -> tuple[list[Any], list[list[Any]], int]:
    """The headings, the block's rows as far as one holds something, and the last row of the grid or of the range."""
    ranges = items(answer, "valueRanges")
    if len(ranges) != len(block.ranges):
        raise ValueError("not the ranges that were asked for")
    head, body = _values(ranges[0]), _values(ranges[-1])
    last = re.search(r"[A-Z]([0-9]{1,9})$", str(ranges[-1].get("range")))
    if last is None:
        raise ValueError("a range that does not say where it ends")
    return head[0] if head else [], body[1:] if len(ranges) == 1 else body, int(last[1])


def _values(found: Mapping[str, Any]) -> list[list[Any]]:
    values = found.get("values", [])
    if not isinstance(values, list) or not all(isinstance(row, list) for row in values):
        raise ValueError("values are not rows")
    return values
