"""What each scope opens, for people: in English and Indonesian. Names without the prefix that most have."""

from collections.abc import Mapping

MEANINGS: Mapping[str, tuple[str, str]] = {
    "openid": ("Know who you are on Google", "Mengetahui siapa Anda di Google"),
    "userinfo.email": ("See your email address", "Melihat alamat email Anda"),
    "userinfo.profile": ("See your name and picture", "Melihat nama dan foto Anda"),
    "contacts": ("See, edit and delete your contacts", "Melihat, mengubah, dan menghapus kontak Anda"),
    "contacts.readonly": ("See and download your contacts", "Melihat dan mengunduh kontak Anda"),
    "contacts.other.readonly": (
        "See the people you exchanged mail with",
        "Melihat orang yang pernah berkirim email dengan Anda",
    ),
    "directory.readonly": ("See your organization's directory", "Melihat direktori organisasi Anda"),
    "calendar": ("See, edit and delete all your calendars", "Melihat, mengubah, dan menghapus semua kalender Anda"),
    "calendar.readonly": ("See all your calendars", "Melihat semua kalender Anda"),
    "calendar.events": (
        "See and edit events on all your calendars",
        "Melihat dan mengubah acara di semua kalender Anda",
    ),
    "calendar.events.readonly": ("See events on all your calendars", "Melihat acara di semua kalender Anda"),
    "calendar.events.freebusy": ("See when you are free or busy", "Melihat kapan Anda luang atau sibuk"),
    "calendar.calendarlist.readonly": ("See the list of your calendars", "Melihat daftar kalender Anda"),
    "gmail.metadata": ("See the headers of your mail, not its text", "Melihat kepala email Anda, bukan isinya"),
    "gmail.readonly": ("See all your mail", "Melihat semua email Anda"),
    "gmail.modify": ("See, write and send your mail", "Melihat, menulis, dan mengirim email Anda"),
    "gmail.labels": ("See and edit the labels of your mail", "Melihat dan mengubah label email Anda"),
    "https://mail.google.com/": (
        "See, write, send and delete all your mail for good",
        "Melihat, menulis, mengirim, dan menghapus permanen semua email Anda",
    ),
    "drive": ("See, edit and delete all your files", "Melihat, mengubah, dan menghapus semua file Anda"),
    "drive.readonly": ("See and download all your files", "Melihat dan mengunduh semua file Anda"),
    "drive.metadata.readonly": ("See the names of your files", "Melihat nama file Anda"),
    "drive.file": (
        "See and edit only the files that you use with this app",
        "Melihat dan mengubah hanya file yang Anda pakai dengan aplikasi ini",
    ),
    "spreadsheets": (
        "See, edit and delete all your spreadsheets",
        "Melihat, mengubah, dan menghapus semua spreadsheet Anda",
    ),
    "spreadsheets.readonly": ("See all your spreadsheets", "Melihat semua spreadsheet Anda"),
    "analytics": ("See and manage your Google Analytics data", "Melihat dan mengelola data Google Analytics Anda"),
    "analytics.readonly": ("See your Google Analytics data", "Melihat data Google Analytics Anda"),
    "business.manage": ("See and edit your Business Profile", "Melihat dan mengubah Profil Bisnis Anda"),
}
