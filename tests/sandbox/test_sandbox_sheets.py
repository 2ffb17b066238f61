"""Drive's list of files, and Sheets. docs/facts/google.md §4.6.4, §5.5."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.sandbox.google_client import ANI, BUDI, CONTACTS, Client, reason

SPREADSHEETS = "mimeType='application/vnd.google-apps.spreadsheet' and trashed=false"
CUSTOMERS = "1AniPelanggan0000000000000000000000000000001"
PRICES = "1AniHarga000000000000000000000000000000000002"
NOTES = "1AniCatatan0000000000000000000000000000000003"
DOCUMENT = "1AniDokumen0000000000000000000000000000000004"
BUDIS = "1BudiServis000000000000000000000000000000001"
PRICE_LIST = "'Daftar harga ''26'"


@pytest.fixture
def token(google: Client) -> str:
    return google.token_for("spreadsheets.readonly", "drive.metadata.readonly")


@pytest.fixture
def per_file(google: Client) -> str:
    return google.token_for("drive.file")


def _files(google: Client, token: str, **query: Any) -> list[dict[str, Any]]:
    answer = google.get("/drive/v3/files", token, **{"q": SPREADSHEETS, **query})
    assert answer.status_code == 200, answer.text
    return answer.json()["files"]


def _values(google: Client, token: str, file_id: str, cells: str, **query: Any) -> dict[str, Any]:
    answer = google.get(f"/v4/spreadsheets/{file_id}/values/{quote(cells, safe='')}", token, **query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _put(google: Client, **file: Any) -> str:
    answer = google.control("files", {"account": ANI, "file": file})
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


def test_a_picker_sees_the_spreadsheets_that_are_not_in_the_trash(google: Client, token: str) -> None:
    assert [file["name"] for file in _files(google, token)] == ["Daftar pelanggan", "Harga", "Catatan"]
    assert len(_files(google, token, q="")) == 5
    assert [file["name"] for file in _files(google, token, q="trashed = true")] == ["Lama"]
    assert [file["name"] for file in _files(google, token, q="name contains 'PELANGGAN'")] == ["Daftar pelanggan"]


def test_without_fields_a_file_has_four_members(google: Client, token: str) -> None:
    assert all(set(file) == {"kind", "id", "name", "mimeType"} for file in _files(google, token))


def test_fields_choose_what_comes(google: Client, token: str) -> None:
    answer = google.get("/drive/v3/files", token, q=SPREADSHEETS, fields="nextPageToken, files(id,isAppAuthorized)")
    assert answer.json() == {
        "files": [
            {"id": CUSTOMERS, "isAppAuthorized": True},
            {"id": PRICES, "isAppAuthorized": False},
            {"id": NOTES, "isAppAuthorized": False},
        ]
    }
    deep = google.get("/drive/v3/files", token, fields="files/owners/emailAddress").json()["files"][0]
    assert deep == {"owners": [{"emailAddress": "ani@example.com"}]}
    assert "webViewLink" in google.get("/drive/v3/files", token, fields="*").json()["files"][0]


def test_files_come_in_pages(google: Client, token: str) -> None:
    query = {"q": SPREADSHEETS, "pageSize": 2, "fields": "nextPageToken,files(id)"}
    first = google.get("/drive/v3/files", token, **query).json()
    second = google.get("/drive/v3/files", token, **query, pageToken=first["nextPageToken"]).json()
    assert [file["id"] for file in first["files"] + second["files"]] == [CUSTOMERS, PRICES, NOTES]
    assert "nextPageToken" not in second


def test_a_page_token_without_its_field_is_not_told(google: Client, token: str) -> None:
    assert set(google.get("/drive/v3/files", token, fields="files(id)", pageSize=2).json()) == {"files"}


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"q": "starred=true"}, "invalid"),
        ({"q": "trashed=false or trashed=true"}, "invalid"),
        ({"fields": "files(secrets)"}, "invalidParameter"),
        ({"fields": "files(id"}, "invalidParameter"),
        ({"fields": "files(" * 5000 + "id"}, "invalidParameter"),
        ({"fields": ""}, "invalidParameter"),
        ({"fields": "files)"}, "invalidParameter"),
        ({"pageSize": 0}, "invalid"),
        ({"pageSize": 1001}, "invalid"),
        ({"pageToken": "NOT-ONE"}, "invalid"),
    ],
)
def test_a_malformed_list_of_files_is_refused(google: Client, token: str, query: dict[str, Any], told: str) -> None:
    answer = google.get("/drive/v3/files", token, **query)
    assert (answer.status_code, reason(answer)) == (400, told)


def test_per_file_access_lists_what_was_picked(google: Client, per_file: str) -> None:
    """Rule R1."""
    assert [file["id"] for file in _files(google, per_file)] == [CUSTOMERS]
    _put(google, id=PRICES, picked=True)
    assert [file["id"] for file in _files(google, per_file)] == [CUSTOMERS, PRICES]
    _put(google, id=CUSTOMERS, picked=False)
    assert [file["id"] for file in _files(google, per_file)] == [PRICES]


@pytest.mark.parametrize("scope", ["drive", "drive.readonly", "drive.metadata", "drive.metadata.readonly"])
def test_wider_scopes_list_every_file(google: Client, scope: str) -> None:
    assert len(_files(google, google.token_for(scope))) == 3


@pytest.mark.parametrize(
    ("scope", "told"),
    [("drive.appdata", "insufficientScopes"), ("spreadsheets.readonly", "ACCESS_TOKEN_SCOPE_INSUFFICIENT")],
)
def test_other_scopes_list_no_file(google: Client, scope: str, told: str) -> None:
    """Rule R2."""
    answer = google.get("/drive/v3/files", google.token_for(scope))
    assert (answer.status_code, reason(answer)) == (403, told)


def test_a_spreadsheet_tells_its_sheets_and_no_cell(google: Client, token: str) -> None:
    answer = google.get(f"/v4/spreadsheets/{CUSTOMERS}", token)
    found = answer.json()
    assert (found["spreadsheetId"], found["properties"]["title"]) == (CUSTOMERS, "Daftar pelanggan")
    assert [sheet["properties"]["title"] for sheet in found["sheets"]] == ["Pelanggan", "Arsip"]
    assert found["sheets"][0]["properties"]["gridProperties"] == {"rowCount": 1000, "columnCount": 26}
    assert "data" not in found["sheets"][0]


def test_cells_come_with_a_spreadsheet_only_when_asked_for(google: Client, token: str) -> None:
    path, ranges = f"/v4/spreadsheets/{CUSTOMERS}", "Pelanggan!A1:B2"
    sheets = google.get(path, token, includeGridData="true", ranges=ranges).json()["sheets"]
    assert [sheet["properties"]["title"] for sheet in sheets] == ["Pelanggan"]
    rows = sheets[0]["data"][0]["rowData"]
    assert [[cell["formattedValue"] for cell in row["values"]] for row in rows] == [
        ["Nama", "Email"],
        ["Bunga Putri", "bunga.putri1@example.org"],
    ]
    masked = google.get(path, token, fields="sheets.properties.title", includeGridData="true").json()
    assert masked == {"sheets": [{"properties": {"title": "Pelanggan"}}, {"properties": {"title": "Arsip"}}]}
    assert "data" in google.get(path, token, fields="sheets(data)", ranges=ranges).json()["sheets"][0]


def test_an_unknown_field_of_a_spreadsheet_is_refused(google: Client, token: str) -> None:
    answer = google.get(f"/v4/spreadsheets/{CUSTOMERS}", token, fields="sheets.secrets")
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_the_list_of_customers_has_a_header_and_its_rows(google: Client, token: str) -> None:
    answer = _values(google, token, CUSTOMERS, "Pelanggan")
    assert (answer["range"], answer["majorDimension"], len(answer["values"])) == ("Pelanggan!A1:Z1000", "ROWS", 500)
    assert answer["values"][0] == ["Nama", "Email", "Telepon", "Perusahaan", "Kota", "Pesanan", "Total"]
    assert all(len(row) == 7 for row in answer["values"])


@pytest.mark.parametrize(
    ("cells", "named", "rows"),
    [
        ("Pelanggan!A1:B2", "Pelanggan!A1:B2", [["Nama", "Email"], ["Bunga Putri", "bunga.putri1@example.org"]]),
        ("pelanggan!A1", None, None),
        ("A1:B1", "Pelanggan!A1:B1", [["Nama", "Email"]]),
        ("b1", "Pelanggan!B1", [["Email"]]),
        ("$A$1:$B$1", "Pelanggan!A1:B1", [["Nama", "Email"]]),
        ("B1:A1", "Pelanggan!A1:B1", [["Nama", "Email"]]),
        ("1:1", "Pelanggan!A1:Z1", [["Nama", "Email", "Telepon", "Perusahaan", "Kota", "Pesanan", "Total"]]),
        ("'Pelanggan'!A500:B", "Pelanggan!A500:B1000", [["Fitri Nasution", "fitri.nasution499@example.org"]]),
        ("Pelanggan!A501:B2000", "Pelanggan!A501:B1000", None),
        ("Arsip", "Arsip!A1:Z1000", None),
        ("'Arsip'", "Arsip!A1:Z1000", None),
    ],
)
def test_ranges_are_read_in_every_form(
    google: Client, token: str, cells: str, named: str | None, rows: list[list[str]] | None
) -> None:
    if named is None:
        assert google.get(f"/v4/spreadsheets/{CUSTOMERS}/values/{quote(cells, safe='')}", token).status_code == 400
        return
    answer = _values(google, token, CUSTOMERS, cells)
    assert (answer["range"], answer.get("values")) == (named, rows)


def test_empty_ends_are_left_out_and_gaps_kept(google: Client, token: str) -> None:
    answer = _values(google, token, PRICES, f"{PRICE_LIST}!A1:D9")
    assert answer["range"] == f"{PRICE_LIST}!A1:D9"
    assert answer["values"] == [
        ["Barang", "Harga", "Tersedia", "Catatan"],
        ["Kopi 1 kg", "95000", "TRUE"],
        [],
        ["Teh 500 g", "42500,5", "FALSE", "habis"],
        ["Gula", "", "TRUE"],
    ]


def test_values_come_unformatted_or_by_columns(google: Client, token: str) -> None:
    plain = _values(google, token, PRICES, "A2:C2", valueRenderOption="UNFORMATTED_VALUE")
    assert plain["values"] == [["Kopi 1 kg", 95000, True]]
    columns = _values(google, token, PRICES, "A1:B4", majorDimension="COLUMNS")
    assert columns["values"] == [["Barang", "Kopi 1 kg", "", "Teh 500 g"], ["Harga", "95000", "", "42500,5"]]


def test_several_ranges_come_at_once(google: Client, token: str) -> None:
    answer = google.get(f"/v4/spreadsheets/{CUSTOMERS}/values:batchGet", token, ranges=["A1", "Arsip!A1"]).json()
    assert [one.get("values") for one in answer["valueRanges"]] == [[["Nama"]], None]


@pytest.mark.parametrize(
    ("cells", "query"),
    [
        ("Nobody!A1", {}),
        ("A0", {}),
        ("Pelanggan!", {}),
        ("A", {}),
        ("A1:B2:C3", {}),
        ("A1001", {}),
        ("AA1", {}),
        ("A1", {"majorDimension": "DEPTH"}),
        ("A1", {"valueRenderOption": "PRETTY"}),
        ("A1", {"surprise": "1"}),
    ],
)
def test_a_malformed_range_is_refused(google: Client, token: str, cells: str, query: dict[str, str]) -> None:
    answer = google.get(f"/v4/spreadsheets/{CUSTOMERS}/values/{quote(cells, safe='')}", token, **query)
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize("path", ["", "/values/A1", "/values:batchGet"])
def test_per_file_access_reads_what_was_picked_alone(google: Client, per_file: str, path: str) -> None:
    """Rule R1."""
    assert google.get(f"/v4/spreadsheets/{CUSTOMERS}{path}", per_file).status_code == 200
    assert google.get(f"/v4/spreadsheets/{PRICES}{path}", per_file).status_code == 404
    google.quirk(unpicked_is_forbidden=True)
    answer = google.get(f"/v4/spreadsheets/{PRICES}{path}", per_file)
    assert (answer.status_code, reason(answer)) == (403, "appNotAuthorizedToFile")


@pytest.mark.parametrize("scope", ["spreadsheets", "spreadsheets.readonly", "drive", "drive.readonly"])
def test_a_scope_of_files_opens_every_sheet_of_all_of_them(google: Client, scope: str) -> None:
    """Rules R6, R7."""
    token = google.token_for(scope)
    assert _values(google, token, CUSTOMERS, "Arsip!A1")
    assert _values(google, token, NOTES, "A1")["values"] == [["Tanggal"]]


@pytest.mark.parametrize("scope", ["drive.metadata.readonly", "contacts.readonly"])
def test_other_scopes_open_no_cell(google: Client, scope: str) -> None:
    """Rule R3."""
    answer = google.get(f"/v4/spreadsheets/{CUSTOMERS}/values/A1", google.token_for(scope))
    assert (answer.status_code, reason(answer)) == (403, "ACCESS_TOKEN_SCOPE_INSUFFICIENT")


@pytest.mark.parametrize(("file_id", "status"), [(BUDIS, 403), ("nothing", 404), (DOCUMENT, 404)])
def test_what_is_not_a_spreadsheet_of_the_user_is_refused(
    google: Client, token: str, file_id: str, status: int
) -> None:
    assert google.get(f"/v4/spreadsheets/{file_id}", token).status_code == status
    assert google.get(f"/v4/spreadsheets/{file_id}/values/A1", token).status_code == status


def test_each_account_has_files_of_its_own(google: Client) -> None:
    budis = google.token_for("drive.readonly", account=BUDI)
    assert [file["id"] for file in _files(google, budis)] == [BUDIS]
    assert _files(google, google.token_for("drive.readonly", account="117000000000000000042")) == []


def test_rows_are_written_by_a_control_call(google: Client, token: str) -> None:
    _put(google, id=NOTES, rows=[["a", "b"], [1, ""]])
    assert _values(google, token, NOTES, "Sheet1")["values"] == [["a", "b"], ["1"]]
    added = _put(google, name="Banyak", rows=20_000)
    assert len(_values(google, token, added, "Sheet1!A:B")["values"]) == 20_000
    assert "Banyak" in [file["name"] for file in _files(google, token)]


def test_a_deleted_or_trashed_file_leaves_the_list(google: Client, token: str) -> None:
    google.control("files", {"account": ANI, "file": {"id": NOTES}, "delete": True})
    _put(google, id=PRICES, trashed=True)
    assert [file["id"] for file in _files(google, token)] == [CUSTOMERS]
    assert google.get(f"/v4/spreadsheets/{NOTES}", token).status_code == 404
    google.control("reset")
    assert len(_files(google, google.token_for("drive.readonly"))) == 3


@pytest.mark.parametrize(
    "file", [None, {"rows": "all"}, {"rows": -1}, {"rows": [1]}, {"id": DOCUMENT, "rows": []}, {"picked": "yes"}]
)
def test_a_malformed_control_call_is_refused(google: Client, file: Any) -> None:
    assert google.control("files", {"account": ANI, "file": file}).status_code == 400


def test_a_control_call_about_no_file_is_not_found(google: Client) -> None:
    assert google.control("files", {"account": ANI, "file": {"id": "none"}, "delete": True}).status_code == 404


def test_faults_reach_both_services(google: Client, token: str) -> None:
    google.quirk(rate_limit={"/drive": {"value": 3}, "/v4/spreadsheets": {"value": None}})
    drive = google.get("/drive/v3/files", token)
    sheets = google.get(f"/v4/spreadsheets/{CUSTOMERS}/values/A1", token)
    assert (drive.status_code, reason(drive), drive.headers["Retry-After"]) == (403, "rateLimitExceeded", "3")
    assert (sheets.status_code, reason(sheets)) == (429, "RATE_LIMIT_EXCEEDED")
    google.quirk(rate_limit=None, forbidden={"/v4/spreadsheets": "SERVICE_DISABLED"})
    assert reason(google.get(f"/v4/spreadsheets/{CUSTOMERS}", token)) == "SERVICE_DISABLED"


def test_a_missing_scope_names_the_service(google: Client) -> None:
    contacts = google.connect("openid", CONTACTS)["access_token"]
    for path, service in (("/drive/v3/files", "drive"), (f"/v4/spreadsheets/{CUSTOMERS}", "sheets")):
        metadata = google.get(path, contacts).json()["error"]["details"][0]["metadata"]
        assert metadata["service"] == f"{service}.googleapis.com"
