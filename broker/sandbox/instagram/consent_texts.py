"""What Instagram's page says, in both languages."""

from collections.abc import Mapping

ENGLISH = {
    "title": "Sandbox: choose an account",
    "notice": "Sandbox: this is not Instagram",
    "wants": "wants access to a professional test account",
    "choose": "Choose a professional account",
    "again": "The app asks that you log in again. Here everybody is logged in.",
    "facebook": "Instagram would also offer to log in with Facebook.",
    "always": "It will be able to",
    "select": "Choose what else it may do",
    "allow": "Allow",
    "cancel": "Cancel",
    "error": "Error",
    "blocked": "The app cannot be linked",
    "error_lead": "Instagram shows such errors on its own page; the app is not told.",
}

INDONESIAN = {
    "title": "Sandbox: pilih akun",
    "notice": "Sandbox: ini bukan Instagram",
    "wants": "meminta akses ke akun profesional uji coba",
    "choose": "Pilih akun profesional",
    "again": "Aplikasi meminta Anda masuk lagi. Di sini semua orang sudah masuk.",
    "facebook": "Instagram juga akan menawarkan masuk dengan Facebook.",
    "always": "Aplikasi akan dapat",
    "select": "Pilih apa lagi yang boleh dilakukannya",
    "allow": "Izinkan",
    "cancel": "Batal",
    "error": "Kesalahan",
    "blocked": "Aplikasi tidak dapat ditautkan",
    "error_lead": "Instagram menampilkan kesalahan seperti ini di halamannya sendiri; aplikasi tidak diberi tahu.",
}

TEXTS: Mapping[str, dict[str, str]] = {"en": ENGLISH, "id": INDONESIAN}
