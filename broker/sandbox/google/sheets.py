"""The Sheets API: what a spreadsheet consists of, and the values of its cells (§4.6.4, §5.5).

Sections and rules are of docs/facts/google.md. A scope opens files, never single sheets (rule R6).
"""

from typing import Any

from flask import Blueprint, Response, jsonify, request

from broker.sandbox.google import a1
from broker.sandbox.google.a1 import BadRange, Range
from broker.sandbox.google.access import bearer
from broker.sandbox.google.envelopes import entity_not_found, file_not_picked, invalid_argument, not_permitted
from broker.sandbox.google.field_masks import BadMask, Mask, kept, parsed
from broker.sandbox.google.parameters import flag, only
from broker.sandbox.google.scopes import auth
from broker.sandbox.google.seed_events import ZONE
from broker.sandbox.google.seed_files import SPREADSHEET
from broker.sandbox.google.sheet_values import RENDERINGS, cells_of, values_of
from broker.sandbox.google.state import google
from broker.sandbox.google.token_store import Token
from broker.sandbox.listing import Record

API = Blueprint("sheets", __name__, url_prefix="/v4/spreadsheets/<spreadsheet_id>")

SERVICE = "sheets.googleapis.com"
METHODS = "google.apps.sheets.v4.SpreadsheetsService"

EVERY_FILE = auth("drive", "drive.readonly", "spreadsheets", "spreadsheets.readonly")
READ = EVERY_FILE | auth("drive.file")
"""Rule R7: what opens the three reads that there are by GET."""

KNOWN = {
    *("spreadsheetId", "spreadsheetUrl", "properties", "sheets", "title", "locale", "timeZone", "autoRecalc", "data"),
    *("sheetId", "index", "sheetType", "gridProperties", "rowCount", "columnCount", "startRow", "startColumn"),
    *("rowData", "values", "formattedValue", "userEnteredValue", "effectiveValue", "hidden", "namedRanges"),
}
HOW = {"majorDimension", "valueRenderOption", "dateTimeRenderOption"}


def _reached(spreadsheet_id: str, method: str) -> Record:
    """The spreadsheet. Raises `ApiError`: another's is 403; one that is not there, or was not picked, 404 (rule R1)."""
    access = bearer(SERVICE, f"{METHODS}.{method}", READ)
    with google().lock:
        accounts = google().accounts
        item = accounts[access.account].files.items.get(spreadsheet_id)
        elsewhere = any(spreadsheet_id in account.files.items for account in accounts.values())
    if item is None or item.deleted or item.record["mimeType"] != SPREADSHEET:
        raise not_permitted() if elsewhere and item is None and _sees_all(access) else entity_not_found()
    if not _sees_all(access) and not item.record["picked"]:
        raise file_not_picked(spreadsheet_id) if google().quirks.get("unpicked_is_forbidden") else entity_not_found()
    return item.record


def _sees_all(access: Token) -> bool:
    return bool(access.scopes & EVERY_FILE)


def _grids(spreadsheet: Record) -> list[a1.Grid]:
    return [a1.Grid(tab["title"], tab["height"], tab["width"]) for tab in spreadsheet["tabs"]]


def _range(spreadsheet: Record, text: str) -> Range:
    try:
        return a1.parsed(text, _grids(spreadsheet))
    except BadRange as bad:
        raise invalid_argument(str(bad)) from None


@API.get("")
def spreadsheet(spreadsheet_id: str) -> Response:
    """spreadsheets.get: without what stands in the cells, unless that is asked for."""
    found = _reached(spreadsheet_id, "GetSpreadsheet")
    only({"ranges", "includeGridData", "excludeTablesInBandedRanges", "commentsViewMode"})
    mask = _mask()
    with_cells = _asks_for_cells(mask) if mask else flag("includeGridData")
    ranges = [_range(found, text) for text in request.args.getlist("ranges")]
    sheets = [
        _sheet(found, place, [one for one in ranges if one.place == place], with_cells=with_cells)
        for place in range(len(found["tabs"]))
        if not ranges or any(one.place == place for one in ranges)
    ]
    properties = {"title": found["name"], "locale": "id_ID", "autoRecalc": "ON_CHANGE", "timeZone": ZONE}
    url = f"https://docs.google.com/spreadsheets/d/{spreadsheet_id}/edit"
    answer = {"spreadsheetId": spreadsheet_id, "properties": properties, "sheets": sheets, "spreadsheetUrl": url}
    return jsonify(kept(answer, mask))


def _mask() -> Mask:
    """All, where `fields` is missing."""
    text = request.args.get("fields")
    try:
        return {} if text is None else parsed(text, KNOWN)
    except BadMask as bad:
        message = f"Request contains an invalid argument. Error expanding 'fields' parameter. Cannot find {bad}"
        raise invalid_argument(message) from None


def _asks_for_cells(mask: Mask) -> bool:
    """With a mask, `includeGridData` says nothing (DISC:sheets.v4)."""
    sheets = mask.get("*", mask.get("sheets"))
    return sheets is not None and (not sheets or "data" in sheets or "*" in sheets)


def _sheet(found: Record, place: int, ranges: list[Range], *, with_cells: bool) -> Record:
    tab, grid = found["tabs"][place], _grids(found)[place]
    size = {"rowCount": grid.height, "columnCount": grid.width}
    head = {"sheetId": tab["sheetId"], "title": tab["title"], "index": place, "sheetType": "GRID"}
    answer: Record = {"properties": {**head, "gridProperties": size}}
    if with_cells:
        whole = Range(place, grid, 0, grid.height, 0, grid.width)
        answer["data"] = [cells_of(tab["rows"](), one) for one in ranges or [whole]]
    return answer


@API.get("/values/<path:cells>")
def values(spreadsheet_id: str, cells: str) -> Response:
    """spreadsheets.values.get."""
    found = _reached(spreadsheet_id, "GetValues")
    only(HOW)
    return jsonify(_values(found, cells))


@API.get("/values:batchGet")
def many_values(spreadsheet_id: str) -> Response:
    """spreadsheets.values.batchGet."""
    found = _reached(spreadsheet_id, "BatchGetValues")
    only({*HOW, "ranges"})
    ranges = [_values(found, text) for text in request.args.getlist("ranges")]
    return jsonify(spreadsheetId=spreadsheet_id, valueRanges=ranges)


def _values(found: Record, text: str) -> dict[str, Any]:
    asked = _range(found, text)
    rows = values_of(
        found["tabs"][asked.place]["rows"](),
        asked,
        rendering=_one_of("valueRenderOption", *RENDERINGS),
        by_columns=_one_of("majorDimension", "ROWS", "COLUMNS") == "COLUMNS",
    )
    head = {"range": str(asked), "majorDimension": request.args.get("majorDimension", "ROWS")}
    return {**head, "values": rows} if rows else head


def _one_of(name: str, *choices: str) -> str:
    """The first where it is missing. Raises `ApiError`."""
    chosen = request.args.get(name, choices[0])
    if chosen not in choices:
        raise invalid_argument(f"Invalid value at '{name}': {chosen}")
    return chosen
