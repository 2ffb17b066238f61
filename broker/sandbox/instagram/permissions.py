"""The permissions of the Instagram API with Instagram Login (docs/facts/meta.md §3.1, §4.3)."""

import re
from collections.abc import Iterable, Mapping

BASIC = "instagram_business_basic"
"""Mandatory: nobody can ask for less, and no user can untick it."""
PUBLISH = "instagram_business_content_publish"
COMMENTS = "instagram_business_manage_comments"
MESSAGES = "instagram_business_manage_messages"
INSIGHTS = "instagram_business_manage_insights"

ALL = (BASIC, PUBLISH, COMMENTS, MESSAGES, INSIGHTS)

MEANINGS: Mapping[str, Mapping[str, str]] = {
    "en": {
        BASIC: "See your profile and your posts",
        PUBLISH: "Publish posts for you",
        COMMENTS: "See and manage comments on your posts",
        MESSAGES: "See and answer your messages",
        INSIGHTS: "See how your account and your posts perform",
    },
    "id": {
        BASIC: "Melihat profil dan postingan Anda",
        PUBLISH: "Menerbitkan postingan atas nama Anda",
        COMMENTS: "Melihat dan mengelola komentar pada postingan Anda",
        MESSAGES: "Melihat dan membalas pesan Anda",
        INSIGHTS: "Melihat kinerja akun dan postingan Anda",
    },
}


def listed(text: str) -> tuple[str, ...]:
    """Names separated by commas or spaces, each once, in order."""
    return tuple(dict.fromkeys(name for name in re.split(r"[,\s]+", text) if name))


def ordered(permissions: Iterable[str]) -> list[str]:
    """As Instagram tells them: always in the same order, whatever was asked first; unknown ones last."""
    found = set(permissions)
    return [name for name in ALL if name in found] + sorted(found - set(ALL))
