"""What Google's page says, in both languages."""

from collections.abc import Mapping

ENGLISH = {
    "title": "Sandbox: choose an account",
    "notice": "Sandbox: this is not Google",
    "wants": "wants access to a test account",
    "choose": "Choose an account",
    "before": "allowed all of this before",
    "moot": "Whoever allowed all of this before is not asked again: the boxes make no difference then.",
    "always": "It will be able to",
    "select": "Select what it can access",
    "allow": "Allow",
    "cancel": "Cancel",
    "error": "Error",
    "blocked": "Access blocked",
    "error_lead": "Google shows such errors on its own page; the app is not told.",
}

INDONESIAN = {
    "title": "Sandbox: pilih akun",
    "notice": "Sandbox: ini bukan Google",
    "wants": "meminta akses ke akun uji coba",
    "choose": "Pilih akun",
    "before": "pernah mengizinkan semua ini",
    "moot": "Siapa yang pernah mengizinkan semua ini tidak ditanya lagi: kotak-kotak di bawah tidak berpengaruh.",
    "always": "Aplikasi akan dapat",
    "select": "Pilih apa yang boleh diaksesnya",
    "allow": "Izinkan",
    "cancel": "Batal",
    "error": "Kesalahan",
    "blocked": "Akses diblokir",
    "error_lead": "Google menampilkan kesalahan seperti ini di halamannya sendiri; aplikasi tidak diberi tahu.",
}

TEXTS: Mapping[str, dict[str, str]] = {"en": ENGLISH, "id": INDONESIAN}
