"""What the demo sales app says, in both languages, and how it shows each type of record."""

from collections.abc import Mapping
from typing import Any

ENGLISH = {
    "title": "Demo sales app",
    "language": "Language",
    "user": "Logged in as",
    "connect": "Connect",
    "connect_lead": "Link an account so that your customers and appointments show here. "
    "You choose what may be read, and can end it at any time.",
    "connections": "Your connections",
    "none": "Nothing is connected yet.",
    "portal": "See and end what is connected",
    "portal_lead": "At the broker you see what each connection reads and has read, can end it, and take your data.",
    "receipts": "Receipts",
    "no_receipts": "Nothing was ended yet.",
    "connected_at": "connected",
    "state": "State",
    "active": "active",
    "reconnect_required": "must be connected again",
    "suspended": "suspended",
    "revoking": "being ended",
    "revoked": "ended",
    "allowed": "allowed",
    "withdrawn": "withdrawn",
    "missing": "not granted at the provider",
    "nothing": "There is nothing to show.",
    "first": "The first",
    "no_data": "The broker gives no data",
    "withdraw": "Withdraw",
    "disconnect": "End this connection",
    "disconnect_lead": "Ending it stops all reading at once, tells the provider, and destroys the key to its token.",
    "back": "Back",
    "refused": "The connection was not made",
    "denied": "You chose not to connect.",
    "failed": "Something went wrong. Please try again.",
    "foreign": "This attempt was not begun by you.",
    "again": "The provider must ask you once more.",
    "continue": "Continue",
    "fault": "The broker answered",
    "receipt": "Receipt",
    "receipt_lead": "From this moment on no data was handed out:",
    "requested_at": "Asked for",
    "in_progress": "in progress",
    "completed": "completed",
    "look_again": "Look again",
    "ended": "What ended",
    "ended_grant": "reading by",
    "ended_connection": "the whole connection",
    "provider_outcome": "The provider",
    "confirmed": "confirmed that it is gone",
    "already_gone": "says it was gone already",
    "not_supported": "offers no way to be told",
    "shared": "was not told: another connection still uses the same authorization",
    "pending": "has not answered yet",
    "gave_up": "could not be reached; it was given up",
    "attempts": "Attempts",
    "shredded_at": "Key destroyed",
    "not_yet": "not yet",
    "not_due": "not needed: the connection goes on",
    "google_contacts": "Google contacts",
    "google_calendar": "Google calendar",
    "facebook_profile": "Facebook profile",
    "facebook_pages": "Facebook Pages",
    "facebook_leads": "Facebook leads",
    "instagram_profile": "Instagram profile",
    "instagram_media": "Instagram posts",
    "instagram_comments": "Instagram comments",
    "choose": "Which of these may be read?",
    "allow_these": "Allow",
    "remove_at": "You can remove the app yourself at",
    "text": "Text",
    "author": "From",
    "username": "User name",
    "name": "Name",
    "email": "Email",
    "phone": "Phone",
    "company": "Company",
    "event": "Event",
    "when": "When",
    "where": "Where",
    "id": "Record",
}

INDONESIAN = {
    "title": "Aplikasi penjualan demo",
    "language": "Bahasa",
    "user": "Masuk sebagai",
    "connect": "Hubungkan",
    "connect_lead": "Tautkan akun agar pelanggan dan janji temu Anda tampil di sini. "
    "Anda memilih apa yang boleh dibaca, dan dapat mengakhirinya kapan saja.",
    "connections": "Koneksi Anda",
    "none": "Belum ada yang terhubung.",
    "portal": "Lihat dan akhiri yang terhubung",
    "portal_lead": "Di broker Anda melihat apa yang dibaca tiap koneksi, dapat mengakhirinya, dan mengambil data Anda.",
    "receipts": "Tanda terima",
    "no_receipts": "Belum ada yang diakhiri.",
    "connected_at": "terhubung",
    "state": "Status",
    "active": "aktif",
    "reconnect_required": "perlu dihubungkan lagi",
    "suspended": "ditangguhkan",
    "revoking": "sedang diakhiri",
    "revoked": "diakhiri",
    "allowed": "diizinkan",
    "withdrawn": "ditarik",
    "missing": "tidak diizinkan di penyedia",
    "nothing": "Tidak ada yang ditampilkan.",
    "first": "Yang pertama",
    "no_data": "Broker tidak memberi data",
    "withdraw": "Tarik izin",
    "disconnect": "Akhiri koneksi ini",
    "disconnect_lead": "Semua pembacaan langsung berhenti, penyedia diberi tahu, dan kunci tokennya dimusnahkan.",
    "back": "Kembali",
    "refused": "Koneksi tidak dibuat",
    "denied": "Anda memilih untuk tidak menghubungkan.",
    "failed": "Terjadi kesalahan. Silakan coba lagi.",
    "foreign": "Percobaan ini tidak Anda mulai.",
    "again": "Penyedia perlu bertanya sekali lagi.",
    "continue": "Lanjutkan",
    "fault": "Broker menjawab",
    "receipt": "Tanda terima",
    "receipt_lead": "Sejak saat ini tidak ada data yang diberikan:",
    "requested_at": "Diminta",
    "in_progress": "sedang berjalan",
    "completed": "selesai",
    "look_again": "Lihat lagi",
    "ended": "Yang diakhiri",
    "ended_grant": "pembacaan oleh",
    "ended_connection": "seluruh koneksi",
    "provider_outcome": "Penyedia",
    "confirmed": "menegaskan bahwa izin sudah dihapus",
    "already_gone": "menyatakan izin sudah tidak ada",
    "not_supported": "tidak menyediakan cara untuk diberi tahu",
    "shared": "tidak diberi tahu: koneksi lain masih memakai otorisasi yang sama",
    "pending": "belum menjawab",
    "gave_up": "tidak dapat dihubungi; upaya dihentikan",
    "attempts": "Percobaan",
    "shredded_at": "Kunci dimusnahkan",
    "not_yet": "belum",
    "not_due": "tidak perlu: koneksi tetap berjalan",
    "google_contacts": "Kontak Google",
    "google_calendar": "Kalender Google",
    "facebook_profile": "Profil Facebook",
    "facebook_pages": "Halaman Facebook",
    "facebook_leads": "Prospek Facebook",
    "instagram_profile": "Profil Instagram",
    "instagram_media": "Kiriman Instagram",
    "instagram_comments": "Komentar Instagram",
    "choose": "Mana yang boleh dibaca?",
    "allow_these": "Izinkan",
    "remove_at": "Anda dapat menghapus aplikasi ini sendiri di",
    "text": "Teks",
    "author": "Dari",
    "username": "Nama pengguna",
    "name": "Nama",
    "email": "Email",
    "phone": "Telepon",
    "company": "Perusahaan",
    "event": "Acara",
    "when": "Waktu",
    "where": "Tempat",
    "id": "Catatan",
}

TEXTS: Mapping[str, Mapping[str, str]] = {"id": INDONESIAN, "en": ENGLISH}

LANGUAGES = {"id": "Bahasa Indonesia", "en": "English"}

OFFERS: Mapping[str, tuple[str, ...]] = {
    "google": ("google_contacts", "google_calendar"),
    "facebook": ("facebook_profile", "facebook_pages", "facebook_leads"),
    "instagram": ("instagram_profile", "instagram_media", "instagram_comments"),
}
"""Providers that can be connected here, and the connectors that are asked for."""

PROVIDERS = {"google": "Google", "facebook": "Facebook", "instagram": "Instagram"}

COLUMNS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "contact": (("name", "name"), ("email", "emails"), ("phone", "phones"), ("company", "company")),
    "event": (("event", "title"), ("when", "start"), ("where", "location")),
    "lead": (("name", "name"), ("email", "emails"), ("phone", "phones"), ("company", "company")),
    "post": (("text", "text"), ("when", "posted_at")),
    "comment": (("text", "text"), ("author", "author"), ("when", "posted_at")),
    "profile": (("name", "name"), ("username", "username"), ("email", "email")),
}
"""By record type: the text that heads a column, and the record's member in it."""


def table(records: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Headings (names of texts) and rows; a type that is not known shows its ids."""
    columns = COLUMNS.get(records[0].get("type", ""), (("id", "id"),)) if records else ()
    rows = [[_cell(record.get(member), when=heading == "when") for heading, member in columns] for record in records]
    return [heading for heading, _ in columns], rows


def _cell(value: Any, *, when: bool = False) -> str:  # noqa: ANN401 - any JSON
    """A text, a moment, or the values of a list."""
    if when and isinstance(value, str):
        return moment(value)
    if isinstance(value, list):
        return ", ".join(_cell(item) for item in value)
    if isinstance(value, dict):
        shown = (value.get("value"), moment(value.get("date_time")), value.get("date"), value.get("name"))
        return str(next(filter(None, (*shown, value.get("username"))), ""))
    return "" if value is None else str(value)


def moment(text: Any) -> str:  # noqa: ANN401 - any JSON
    """An RFC 3339 time to the minute, as it stands; nothing where there is none."""
    return text[:16].replace("T", " ") if isinstance(text, str) else ""
