"""Facebook's permissions: their names, which of them are limited to Pages or Instagram accounts, which a call needs.

Sections are of docs/facts/meta.md; what a call needs is its §4.1.
"""

import re
from collections.abc import Iterable

PROFILE = "public_profile"
"""Nobody can decline it (§1.10)."""

MEANINGS: dict[str, tuple[str, str]] = {
    "public_profile": ("See your name and picture", "Melihat nama dan foto Anda"),
    "email": ("See your email address", "Melihat alamat email Anda"),
    "user_birthday": ("See your birthday", "Melihat tanggal lahir Anda"),
    "user_gender": ("See your gender", "Melihat jenis kelamin Anda"),
    "user_hometown": ("See your hometown", "Melihat kota asal Anda"),
    "user_location": ("See your current city", "Melihat kota Anda sekarang"),
    "user_link": ("See the address of your profile", "Melihat alamat profil Anda"),
    "user_age_range": ("See your age range", "Melihat rentang usia Anda"),
    "pages_show_list": ("See a list of your Pages", "Melihat daftar Halaman Anda"),
    "pages_read_engagement": ("Read what your Pages published", "Membaca kiriman Halaman Anda"),
    "pages_read_user_content": ("Read what people wrote on your Pages", "Membaca tulisan orang di Halaman Anda"),
    "pages_manage_metadata": ("Manage settings of your Pages", "Mengelola pengaturan Halaman Anda"),
    "pages_manage_ads": ("Manage ads of your Pages", "Mengelola iklan Halaman Anda"),
    "pages_manage_posts": ("Publish as your Pages", "Menerbitkan sebagai Halaman Anda"),
    "pages_manage_engagement": ("Answer comments as your Pages", "Membalas komentar sebagai Halaman Anda"),
    "pages_messaging": ("Read and answer messages to your Pages", "Membaca dan membalas pesan ke Halaman Anda"),
    "publish_video": ("Publish videos", "Menerbitkan video"),
    "read_insights": ("See statistics of your Pages", "Melihat statistik Halaman Anda"),
    "leads_retrieval": ("Read leads of your ads", "Membaca prospek dari iklan Anda"),
    "ads_management": ("Manage your ads", "Mengelola iklan Anda"),
    "ads_read": ("See your ads", "Melihat iklan Anda"),
    "business_management": ("Manage your business portfolio", "Mengelola portofolio bisnis Anda"),
    "catalog_management": ("Manage your catalogs", "Mengelola katalog Anda"),
    "instagram_basic": ("See your Instagram account", "Melihat akun Instagram Anda"),
    "instagram_content_publish": ("Publish on Instagram", "Menerbitkan di Instagram"),
    "instagram_manage_comments": ("Manage comments on Instagram", "Mengelola komentar di Instagram"),
    "instagram_manage_contents": ("Delete posts on Instagram", "Menghapus kiriman di Instagram"),
    "instagram_manage_insights": ("See statistics of Instagram", "Melihat statistik Instagram"),
    "instagram_manage_messages": ("Read and answer messages on Instagram", "Membaca dan membalas pesan di Instagram"),
    "instagram_shopping_tag_products": ("Tag products on Instagram", "Menandai produk di Instagram"),
}
"""In English and Indonesian."""

OF_PAGES = frozenset(name for name in MEANINGS if name.startswith("pages_")) | {"leads_retrieval", "read_insights"}
OF_INSTAGRAM = frozenset(name for name in MEANINGS if name.startswith("instagram_"))
"""Independent lists of `target_ids`: those of `instagram_*` are Instagram accounts (§1.8)."""

IMPERSONATING = (
    *("pages_read_engagement", "pages_manage_metadata", "pages_read_user_content"),
    *("pages_manage_ads", "pages_show_list", "pages_messaging"),
)
"""Any one of them opens a Page token (§1.6)."""

ENGAGEMENT = ("pages_read_engagement",)
FEED = ("pages_read_engagement", "pages_read_user_content")
COMMENTS = ("pages_read_user_content", "pages_read_engagement")
INSIGHTS = ("read_insights", "pages_read_engagement", "pages_show_list")
FORMS = ("pages_manage_ads", "pages_show_list", "pages_read_engagement")
LEADS = ("leads_retrieval", "pages_manage_ads", "pages_read_engagement", "pages_show_list", "ads_management")
MESSENGER = ("pages_messaging", "pages_manage_metadata", "pages_read_engagement")
DIRECT = ("instagram_basic", "instagram_manage_messages", "pages_manage_metadata")
SUBSCRIPTIONS = ("pages_manage_metadata", "pages_show_list")
LEADGEN = (*SUBSCRIPTIONS, "leads_retrieval", "pages_read_engagement", "ads_management")
"""All of a row is needed (§4.1)."""

OF_USER_FIELDS = {
    "email": "email",
    "birthday": "user_birthday",
    "gender": "user_gender",
    "hometown": "user_hometown",
    "location": "user_location",
    "link": "user_link",
    "age_range": "user_age_range",
}
"""What opens a field of a person; the others are open to `public_profile`."""


def listed(*texts: str) -> frozenset[str]:
    """Names apart by commas or spaces (§1.1)."""
    return frozenset(name for text in texts for name in re.split(r"[,\s]+", text) if name)


def ordered(names: Iterable[str]) -> list[str]:
    """In the order of the table above; what is not there behind it."""
    places = {name: place for place, name in enumerate(MEANINGS)}
    return sorted(names, key=lambda name: (places.get(name, len(places)), name))


def limited_to(permission: str) -> str | None:
    """The kind of asset that a permission is limited to: `pages`, `instagram`, or none."""
    if permission in OF_PAGES:
        return "pages"
    return "instagram" if permission in OF_INSTAGRAM else None
