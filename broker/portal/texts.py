"""What the portal says, in both languages; dates and numbers as people there write them.

Pure. A new language is a new entry in each table.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone

TEXTS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "title": "What is connected",
        "lead": "Here you see which of your accounts are connected, what is read from each, and how to end it.",
        "open": "Open",
        "open_lead": "This shows which of your accounts are connected, and lets you end that. Press the button to "
        "open it in this browser; afterwards the link works nowhere else.",
        "none": "Nothing is connected.",
        "none_lead": "No account of yours is connected, so nothing can be read.",
        "connected": "Connected since {day}",
        "unnamed": "{provider}, connected on {day}",
        "active": "Active: what is allowed below can be read.",
        "reconnect_required": "Stopped: {provider} no longer honours this connection. Nothing is read until you "
        "connect again in the app.",
        "suspended": "Paused: nothing is read at the moment.",
        "suspended_provider": "Paused by {provider}: nothing is read at the moment.",
        "reads": "May read: {fields}",
        "reads_nothing": "May read nothing: you did not allow it at {provider}.",
        "closed": "Not read, since it was not allowed at {provider}: {fields}",
        "only_from": "Only from: {assets}",
        "no_asset": "Nothing was chosen to read from, so nothing is read.",
        "since": "Allowed since {day}",
        "purpose": "Purpose: {purpose}",
        "last_read": "Last read on {day}, between {start} and {end} {zone}: {records}.",
        "never_read": "Nothing was read so far.",
        "month": "In the last 30 days: {records}, in {readings}.",
        "not_in_month": "Nothing was read in the last 30 days.",
        "record": "1 record",
        "records": "{count} records",
        "reading": "1 request",
        "readings": "{count} requests",
        "chart": "Records read a day, {first} to {last}. Most on one day: {most}.",
        "table": "The same in numbers",
        "day": "Day",
        "records_heading": "Records",
        "withdrawn": "Withdrawn: {title}, on {day}",
        "withdraw": "Withdraw {title}",
        "revoke": "Disconnect {account}",
        "revoke_all": "Disconnect everything",
        "at_provider": "At {provider} itself",
        "at_provider_lead": "There you see this too, and can end it without us: {path}",
        "open_settings": "Open the settings at {provider}",
        "everything": "Your data",
        "everything_lead": "Everything this service holds about you: connections, what you allowed, what was read "
        "and when, and what you ended. Records that were read are not among it: they are passed on, not kept.",
        "download_html": "Download to read",
        "download_json": "Download as JSON",
        "data_title": "What is held about you",
        "data_lead": "Everything that this service held about you when you took it. Records that were read are not "
        "among it: they are passed on, not kept. The names in it are those that programs use.",
        "data_connections": "Connected accounts",
        "data_grants": "What you allowed",
        "data_receipts": "What was ended",
        "data_accesses": "What was read, hour by hour",
        "data_consents": "Your consents, with the text that was shown",
        "data_sessions": "Attempts to connect",
        "data_portal_sessions": "Visits to this page",
        "data_events": "What the app was told",
        "data_erasures": "Erasures under way",
        "data_audit": "Everything that was done",
        "data_none": "Nothing.",
        "history": "What was ended",
        "history_none": "Nothing was ended so far.",
        "more": "Details",
        "leave": "Back to the app",
        "language": "Language",
        "pages": "Further connections",
        "page": "{number} of {count}",
        "previous": "Previous",
        "next": "Next",
        "confirm_grant": "Withdraw {title}?",
        "confirm_grant_lead": "From the moment you confirm, {title} ({account}) can no longer be read. Other things "
        "that you allowed for this account go on.",
        "confirm_last_lead": "From the moment you confirm, nothing of {account} can be read any more: this is the last "
        "thing that you allowed, so the whole connection ends, {provider} is told, and our key to it is destroyed.",
        "confirm_connection": "Disconnect {account}?",
        "confirm_connection_lead": "From the moment you confirm, nothing of {account} can be read any more. {provider} "
        "is told, and our key to it is destroyed. To use it again, connect again in the app.",
        "confirm_all": "Disconnect everything?",
        "confirm_all_lead": "From the moment you confirm, none of your {count} connections can be read any more. The "
        "providers are told, and our keys are destroyed.",
        "confirm_all_one": "From the moment you confirm, your one connection can no longer be read. The provider is "
        "told, and our key is destroyed.",
        "yes_grant": "Yes, withdraw",
        "yes_connection": "Yes, disconnect",
        "no": "No, go back",
        "done": "Ended",
        "done_lead": "This ended on {moment}, and from then on nothing of it was handed out.",
        "ended_on": "Ended on {moment}.",
        "by_provider": "It was ended at {provider}.",
        "by_subject": "You ended it here.",
        "by_app": "It was ended by the app or its operator.",
        "ended_grant": "{title} ({account})",
        "ended_connection": "The connection to {account}",
        "confirmed": "{provider} confirmed that it is over.",
        "already_gone": "{provider} says that it was over already.",
        "not_supported": "{provider} offers no way to be told. You can remove it there yourself.",
        "shared": "{provider} was not told to end it, because the same account is still connected for something else.",
        "pending": "It is over here already. {provider} has not answered yet; it is told again, for days if need be.",
        "gave_up": "{provider} could not be reached, and we stopped trying. You can remove it there yourself.",
        "shredded": "Our key to it was destroyed on {moment}.",
        "not_shredded": "Our key to it is about to be destroyed.",
        "look_again": "Look again",
        "receipt": "Receipt {id}",
        "receipt_lead": "A signed receipt of this, which anybody can check without asking us:",
        "download_receipt": "Download the signed receipt",
        "back": "Back to what is connected",
    },
    "id": {
        "title": "Yang terhubung",
        "lead": "Di sini Anda melihat akun mana yang terhubung, apa yang dibaca darinya, dan cara mengakhirinya.",
        "open": "Buka",
        "open_lead": "Halaman ini menunjukkan akun Anda yang terhubung, dan di sana Anda dapat mengakhirinya. Tekan "
        "tombol untuk membukanya di peramban ini; setelah itu tautannya tidak berlaku di tempat lain.",
        "none": "Tidak ada yang terhubung.",
        "none_lead": "Tidak ada akun Anda yang terhubung, jadi tidak ada yang dapat dibaca.",
        "connected": "Terhubung sejak {day}",
        "unnamed": "{provider}, terhubung pada {day}",
        "active": "Aktif: yang diizinkan di bawah ini dapat dibaca.",
        "reconnect_required": "Terhenti: {provider} tidak lagi menerima koneksi ini. Tidak ada yang dibaca sampai Anda "
        "menghubungkannya lagi di aplikasi.",
        "suspended": "Dijeda: saat ini tidak ada yang dibaca.",
        "suspended_provider": "Dijeda oleh {provider}: saat ini tidak ada yang dibaca.",
        "reads": "Boleh membaca: {fields}",
        "reads_nothing": "Tidak boleh membaca apa pun: Anda tidak mengizinkannya di {provider}.",
        "closed": "Tidak dibaca, karena tidak diizinkan di {provider}: {fields}",
        "only_from": "Hanya dari: {assets}",
        "no_asset": "Belum dipilih dari mana boleh dibaca, jadi tidak ada yang dibaca.",
        "since": "Diizinkan sejak {day}",
        "purpose": "Tujuan: {purpose}",
        "last_read": "Terakhir dibaca pada {day}, antara pukul {start} dan {end} {zone}: {records}.",
        "never_read": "Sejauh ini belum ada yang dibaca.",
        "month": "Dalam 30 hari terakhir: {records}, dalam {readings}.",
        "not_in_month": "Dalam 30 hari terakhir tidak ada yang dibaca.",
        "record": "1 catatan",
        "records": "{count} catatan",
        "reading": "1 permintaan",
        "readings": "{count} permintaan",
        "chart": "Catatan yang dibaca per hari, {first} sampai {last}. Terbanyak dalam sehari: {most}.",
        "table": "Dalam angka",
        "day": "Hari",
        "records_heading": "Catatan",
        "withdrawn": "Izin dicabut: {title}, pada {day}",
        "withdraw": "Cabut izin {title}",
        "revoke": "Putuskan {account}",
        "revoke_all": "Putuskan semuanya",
        "at_provider": "Di {provider} sendiri",
        "at_provider_lead": "Di sana hal ini juga terlihat, dan dapat Anda akhiri tanpa kami: {path}",
        "open_settings": "Buka setelan di {provider}",
        "everything": "Data Anda",
        "everything_lead": "Semua yang disimpan layanan ini tentang Anda: koneksi, apa yang Anda izinkan, apa yang "
        "dibaca dan kapan, serta apa yang Anda akhiri. Catatan yang dibaca tidak termasuk: itu diteruskan, tidak "
        "disimpan.",
        "download_html": "Unduh untuk dibaca",
        "download_json": "Unduh sebagai JSON",
        "data_title": "Yang disimpan tentang Anda",
        "data_lead": "Semua yang disimpan layanan ini tentang Anda saat Anda mengunduhnya. Catatan yang dibaca tidak "
        "termasuk: itu diteruskan, tidak disimpan. Nama di dalamnya adalah nama yang dipakai program.",
        "data_connections": "Akun yang terhubung",
        "data_grants": "Yang Anda izinkan",
        "data_receipts": "Yang diakhiri",
        "data_accesses": "Yang dibaca, per jam",
        "data_consents": "Persetujuan Anda, dengan teks yang ditampilkan",
        "data_sessions": "Percobaan menghubungkan",
        "data_portal_sessions": "Kunjungan ke halaman ini",
        "data_events": "Yang diberitahukan ke aplikasi",
        "data_erasures": "Penghapusan yang sedang berjalan",
        "data_audit": "Semua yang dilakukan",
        "data_none": "Tidak ada.",
        "history": "Yang sudah diakhiri",
        "history_none": "Sejauh ini belum ada yang diakhiri.",
        "more": "Rincian",
        "leave": "Kembali ke aplikasi",
        "language": "Bahasa",
        "pages": "Koneksi lainnya",
        "page": "{number} dari {count}",
        "previous": "Sebelumnya",
        "next": "Berikutnya",
        "confirm_grant": "Cabut izin {title}?",
        "confirm_grant_lead": "Begitu Anda setuju, {title} ({account}) tidak dapat dibaca lagi. Hal lain yang Anda "
        "izinkan untuk akun ini tetap berjalan.",
        "confirm_last_lead": "Begitu Anda setuju, tidak ada lagi dari {account} yang dapat dibaca: ini izin terakhir, "
        "jadi seluruh koneksi berakhir, {provider} diberi tahu, dan kunci kami dimusnahkan.",
        "confirm_connection": "Putuskan {account}?",
        "confirm_connection_lead": "Begitu Anda setuju, tidak ada lagi dari {account} yang dapat dibaca. {provider} "
        "diberi tahu, dan kunci kami dimusnahkan. Untuk memakainya lagi, hubungkan lagi di aplikasi.",
        "confirm_all": "Putuskan semuanya?",
        "confirm_all_lead": "Begitu Anda setuju, {count} koneksi Anda tidak dapat dibaca lagi. Penyedianya diberi "
        "tahu, dan kunci kami dimusnahkan.",
        "confirm_all_one": "Begitu Anda setuju, satu-satunya koneksi Anda tidak dapat dibaca lagi. Penyedianya diberi "
        "tahu, dan kunci kami dimusnahkan.",
        "yes_grant": "Ya, cabut izin",
        "yes_connection": "Ya, putuskan",
        "no": "Tidak, kembali",
        "done": "Sudah berakhir",
        "done_lead": "Ini berakhir pada {moment}, dan sejak itu tidak ada lagi yang diberikan darinya.",
        "ended_on": "Berakhir pada {moment}.",
        "by_provider": "Ini diakhiri di {provider}.",
        "by_subject": "Anda mengakhirinya di sini.",
        "by_app": "Ini diakhiri oleh aplikasi atau pengelolanya.",
        "ended_grant": "{title} ({account})",
        "ended_connection": "Koneksi ke {account}",
        "confirmed": "{provider} menegaskan bahwa izinnya sudah berakhir.",
        "already_gone": "Menurut {provider}, izinnya sudah berakhir sebelumnya.",
        "not_supported": "{provider} tidak menyediakan cara untuk diberi tahu. Anda dapat menghapusnya sendiri di "
        "sana.",
        "shared": "{provider} tidak diminta mengakhirinya, karena akun yang sama masih terhubung untuk hal lain.",
        "pending": "Di sini sudah berakhir. {provider} belum menjawab; kami terus memberi tahu, bila perlu "
        "berhari-hari.",
        "gave_up": "{provider} tidak dapat dihubungi, dan kami berhenti mencoba. Anda dapat menghapusnya sendiri di "
        "sana.",
        "shredded": "Kunci kami dimusnahkan pada {moment}.",
        "not_shredded": "Kunci kami segera dimusnahkan.",
        "look_again": "Lihat lagi",
        "receipt": "Tanda terima {id}",
        "receipt_lead": "Tanda terima bertanda tangan, yang dapat diperiksa siapa pun tanpa bertanya kepada kami:",
        "download_receipt": "Unduh tanda terima",
        "back": "Kembali ke yang terhubung",
    },
}

LANGUAGES: Mapping[str, str] = {"id": "Bahasa Indonesia", "en": "English"}

MONTHS: Mapping[str, str] = {
    "en": "January February March April May June July August September October November December",
    "id": "Januari Februari Maret April Mei Juni Juli Agustus September Oktober November Desember",
}
ZONES: Mapping[str, timezone] = {"en": timezone(timedelta(), "UTC"), "id": timezone(timedelta(hours=7), "WIB")}
"""No script tells a browser's own zone: times name theirs. Whole hours, so that hourly counts fall on one day."""


def local(time: datetime, locale: str) -> datetime:
    return time.astimezone(ZONES[locale])


def day(when: date, locale: str) -> str:
    """`25 November 2026`; of a moment, give `local(…)`."""
    return f"{when.day} {MONTHS[locale].split()[when.month - 1]} {when.year}"


def clock(time: datetime, locale: str) -> str:
    """`16:00`, in Indonesian `16.00`."""
    return time.strftime("%H.%M" if locale == "id" else "%H:%M")


def moment(time: datetime, locale: str) -> str:
    """`25 November 2026, 16:00 UTC`."""
    there = local(time, locale)
    return f"{day(there, locale)}, {clock(there, locale)} {there.tzname()}"


def number(count: int, locale: str) -> str:
    grouped = f"{count:,}"
    return grouped.replace(",", ".") if locale == "id" else grouped


def counted(count: int, one: str, locale: str) -> str:
    """`1 record`, `1,234 records`; `one` names the text of a single one."""
    texts = TEXTS[locale]
    return texts[one] if count == 1 else texts[f"{one}s"].format(count=number(count, locale))
