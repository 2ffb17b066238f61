"""Google Sheets: the rows of a list of customers, each a lead with the headings of the columns as questions."""

from collections.abc import Sequence
from typing import Any

from broker.contract import Connector, RawRecord, Reads, Record
from connectors.records import LEAD, present

KNOWN = {
    "name": ("name", "full name", "nama", "nama lengkap", "customer", "pelanggan"),
    "given_name": ("first name", "given name", "nama depan"),
    "family_name": ("last name", "family name", "surname", "nama belakang"),
    "emails": ("email", "e-mail", "email address", "alamat email", "surel"),
    "phones": (
        "phone",
        "phone number",
        "mobile",
        "whatsapp",
        "wa",
        "telepon",
        "nomor telepon",
        "no hp",
        "no. hp",
        "hp",
    ),
    "company": ("company", "organization", "perusahaan", "toko"),
    "job_title": ("job title", "title", "jabatan"),
    "street": ("address", "street", "alamat", "jalan"),
    "city": ("city", "kota"),
    "region": ("province", "region", "state", "provinsi"),
    "postal_code": ("postal code", "postcode", "zip", "kode pos"),
    "country": ("country", "negara"),
}
"""Field of a lead → headings that say just this, in small letters. Any other heading is an answer alone."""
FIELDS = {heading: field for field, headings in KNOWN.items() for heading in headings}


def convert(raw: RawRecord) -> Record:
    """One row. Of two columns with the same meaning both count where several values may be told, else the first."""
    pairs = _pairs(raw.get("headings"), raw.get("cells"))
    answers = [{"question": heading, "values": [value]} for heading, value in pairs]
    fields: dict[str, Any] = {}
    for heading, value in pairs:
        field = FIELDS.get(heading.strip().lower())
        if field in ("emails", "phones"):
            fields.setdefault(field, []).append({"value": value})
        elif field:
            fields.setdefault(field, value)
    return {"id": raw["row"], "type": "lead", "deleted": False, **present((*fields.items(), ("answers", answers)))}


def _pairs(headings: Any, cells: Any) -> list[tuple[str, str]]:  # noqa: ANN401 - any JSON
    """A column without a heading goes by its letters."""
    names = [_cell(name) for name in headings] if isinstance(headings, list) else []
    values = [_cell(value) for value in cells] if isinstance(cells, list) else []
    return [(_name(names, place), value) for place, value in enumerate(values) if value]


def _name(names: Sequence[str], place: int) -> str:
    return (names[place] if place < len(names) else "") or _letters(place)


def _letters(place: int) -> str:
    """As the sheet names a column, counted from zero."""
    before, letter = divmod(place, 26)
    return (_letters(before - 1) if before else "") + chr(ord("A") + letter)


def _cell(value: Any) -> str:  # noqa: ANN401
    """A cell comes as the text that is shown; a number or truth value is put into words where it does not."""
    return str(value) if isinstance(value, str | int | float) else ""


CONNECTOR = Connector(
    name="google_sheets",
    provider="google",
    type="lead",
    reads=Reads("rows", required=("headings", "cells")),
    convert=convert,
    schema=LEAD,
    titles={"en": "Google Sheets", "id": "Google Spreadsheet"},
    choices=Reads("spreadsheets", required=("name",)),
)
