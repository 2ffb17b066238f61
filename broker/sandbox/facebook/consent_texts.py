"""What Facebook's page says, in both languages."""

from collections.abc import Mapping

ENGLISH = {
    "title": "Sandbox: choose an account",
    "notice": "Sandbox: this is not Facebook",
    "wants": "wants access to a test account",
    "choose": "Choose an account",
    "again": "The app asks that you log in again. Here everybody is logged in.",
    "granted": "allowed all of this before",
    "always": "It will be able to",
    "select": "Choose what else it may do",
    "business": "It asks for all of this or nothing.",
    "pages": "Choose Pages",
    "instagram": "Choose Instagram accounts",
    "all": "Tick none for all of them, now and later.",
    "of": "of",
    "allow": "Continue",
    "cancel": "Cancel",
    "error": "Error",
    "blocked": "The app cannot be linked",
    "error_lead": "Facebook shows such errors on its own page; the app is not told.",
}

INDONESIAN = {
    "title": "Sandbox: pilih akun",
    "notice": "Sandbox: ini bukan Facebook",
    "wants": "meminta akses ke akun uji coba",
    "choose": "Pilih akun",
    "again": "Aplikasi meminta Anda masuk lagi. Di sini semua orang sudah masuk.",
    "granted": "sudah mengizinkan semuanya",
    "always": "Aplikasi akan dapat",
    "select": "Pilih apa lagi yang boleh dilakukannya",
    "business": "Aplikasi meminta semuanya atau tidak sama sekali.",
    "pages": "Pilih Halaman",
    "instagram": "Pilih akun Instagram",
    "all": "Jangan centang apa pun untuk semuanya, sekarang dan nanti.",
    "of": "milik",
    "allow": "Lanjutkan",
    "cancel": "Batal",
    "error": "Kesalahan",
    "blocked": "Aplikasi tidak dapat ditautkan",
    "error_lead": "Facebook menampilkan kesalahan seperti ini di halamannya sendiri; aplikasi tidak diberi tahu.",
}

TEXTS: Mapping[str, dict[str, str]] = {"en": ENGLISH, "id": INDONESIAN}
