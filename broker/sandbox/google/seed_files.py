"""The files of the seed: spreadsheets, and two that a picker of spreadsheets must not show (docs/facts/google.md §5.5).

A spreadsheet's rows are made when they are read.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from broker.sandbox.google.seed_people import COMPANIES, FAMILY, GIVEN, SEEDED_AT
from broker.sandbox.listing import Record

SPREADSHEET = "application/vnd.google-apps.spreadsheet"
DOCUMENT = "application/vnd.google-apps.document"

Row = list[Any]

HEADER = ["Nama", "Email", "Telepon", "Perusahaan", "Kota", "Pesanan", "Total"]
CITIES = ("Bandung", "Surabaya", "Medan", "Makassar")
CUSTOMERS = 500
"""Rows of the list of customers, its header included."""


def customers(count: int) -> list[Row]:
    """So many rows: a header and a customer in each other one."""
    return [HEADER, *(_customer(number) for number in range(1, count))][:count]


def _customer(number: int) -> Row:
    given, family = GIVEN[number % len(GIVEN)], FAMILY[number * 7 % len(FAMILY)]
    email, phone = f"{given}.{family}{number}@example.org".lower(), f"0812-5550-{number:04}"
    company = COMPANIES[number % len(COMPANIES)]
    return [f"{given} {family}", email, phone, company, CITIES[number % len(CITIES)], number % 9, number * 12_500]


PRICES: list[Row] = [
    ["Barang", "Harga", "Tersedia", "Catatan"],
    ["Kopi 1 kg", 95_000, True],
    [],
    ["Teh 500 g", 42_500.5, False, "habis"],
    ["Gula", None, True, ""],
    ["", None],
    [],
]
NOTES: list[Row] = [["Tanggal", "Catatan"], ["2026-11-02", "Telepon Toko Cahaya"]]


def tab(sheet_id: int, title: str, rows: Callable[[], list[Row]], *, height: int = 1000, width: int = 26) -> Record:
    """One sheet of a spreadsheet: `rows` are what is written, `height` and `width` the size of its grid."""
    return {"sheetId": sheet_id, "title": title, "rows": rows, "height": height, "width": width}


def file(file_id: str, name: str, *tabs: Record, mime_type: str = SPREADSHEET, **more: bool) -> Record:
    """`more`: `trashed`, and `picked`: the user opened it for the app (rule R1)."""
    held = {"trashed": False, "picked": False, **more}
    return {"id": file_id, "name": name, "mimeType": mime_type, "modifiedTime": SEEDED_AT, "tabs": list(tabs), **held}


def _written(rows: list[Row]) -> Callable[[], list[Row]]:
    return lambda: rows


LIST = tab(0, "Pelanggan", partial(customers, CUSTOMERS))

FILES: Mapping[str, tuple[Record, ...]] = {
    "ani@example.com": (
        file(
            "1AniPelanggan0000000000000000000000000000001", "Daftar pelanggan", LIST, tab(7, "Arsip", list), picked=True
        ),
        file("1AniHarga000000000000000000000000000000000002", "Harga", tab(0, "Daftar harga '26", _written(PRICES))),
        file("1AniCatatan0000000000000000000000000000000003", "Catatan", tab(0, "Sheet1", _written(NOTES))),
        file("1AniDokumen0000000000000000000000000000000004", "Kontrak", mime_type=DOCUMENT),
        file("1AniBuangan0000000000000000000000000000000005", "Lama", tab(0, "Sheet1", list), trashed=True),
    ),
    "budi@example.com": (
        file("1BudiServis000000000000000000000000000000001", "Servis", tab(0, "Sheet1", _written(NOTES)), picked=True),
    ),
}
"""By address: three spreadsheets for Ani, beside a document and one in the trash; one for Budi."""
