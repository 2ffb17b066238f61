"""Facebook leads: what people filled into the lead forms of a Page of the user's."""

from collections.abc import Mapping
from typing import Any

from broker.contract import Connector, RawRecord, Reads, Record
from connectors.records import LEAD, entries, moment, present, text, texts

QUESTIONS = {
    "name": ("full_name", "nama_lengkap"),
    "given_name": ("first_name", "nama_depan"),
    "family_name": ("last_name", "nama_belakang"),
    "company": ("company_name", "nama_perusahaan"),
    "job_title": ("job_title", "jabatan"),
    "street": ("street_address", "alamat"),
    "city": ("city", "kota"),
    "region": ("state", "province", "provinsi"),
    "postal_code": ("zip_code", "post_code", "kode_pos"),
    "country": ("country", "negara"),
}
"""Field of a lead → names of Facebook's own questions for it. A form in Indonesian may name them so, too."""
EMAILS = {"email": None, "alamat_email": None, "work_email": "work", "email_kantor": "work"}
PHONES = {"phone_number": None, "nomor_telepon": None, "work_phone_number": "work", "nomor_telepon_kantor": "work"}
"""Question → label."""


def convert(raw: RawRecord) -> Record:
    """One lead. `answers` has all that was filled in; what asks after a person or company has a field of its own."""
    answers = [(text(entry, "name"), texts(entry.get("values"))) for entry in entries(raw.get("field_data"))]
    filled = {question: values for question, values in reversed(answers) if question and values}
    fields = present(
        (
            *((ours, _first(filled, theirs)) for ours, theirs in QUESTIONS.items()),
            ("emails", _labelled(filled, EMAILS)),
            ("phones", _labelled(filled, PHONES)),
            ("answers", [{"question": question, "values": values} for question, values in answers if question]),
            ("form", text(raw, "form_id")),
            ("channel", text(raw, "platform")),
            ("ad", _named(raw, "ad")),
            ("ad_set", _named(raw, "adset")),
            ("campaign", _named(raw, "campaign")),
            ("created_at", moment(raw, "created_time")),
        )
    )
    organic = raw.get("is_organic")
    known = {"organic": organic} if isinstance(organic, bool) else {}
    return {"id": raw["id"], "type": "lead", "deleted": False, **_whole_name(fields), **known}


def _first(filled: Mapping[str, list[str]], questions: tuple[str, ...]) -> str | None:
    return next((filled[question][0] for question in questions if question in filled), None)


def _labelled(filled: Mapping[str, list[str]], questions: Mapping[str, str | None]) -> list[dict[str, str]]:
    return [
        present((("value", value), ("label", label)))
        for question, label in questions.items()
        for value in filled.get(question, ())
    ]


def _named(raw: RawRecord, kind: str) -> dict[str, str]:
    return present((("id", text(raw, f"{kind}_id")), ("name", text(raw, f"{kind}_name"))))


def _whole_name(fields: dict[str, Any]) -> dict[str, Any]:
    """A form that asks for both names apart asks for the whole one by it."""
    parts = [fields[part] for part in ("given_name", "family_name") if part in fields]
    return {"name": " ".join(parts), **fields} if parts else fields


CONNECTOR = Connector(
    name="facebook_leads",
    provider="facebook",
    type="lead",
    reads=Reads(
        "leads",
        required=("field_data", "created_time"),
        optional=(
            *("is_organic", "platform", "ad_id", "ad_name"),
            *("adset_id", "adset_name", "campaign_id", "campaign_name"),
        ),
    ),
    convert=convert,
    schema=LEAD,
    titles={"en": "Facebook leads", "id": "Prospek Facebook"},
    choices=Reads("pages", required=("name",)),
)
