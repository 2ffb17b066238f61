"""Google's names of scopes (docs/facts/google.md §1.4)."""

from collections.abc import Iterable

AUTH = "https://www.googleapis.com/auth/"
ALIASES = {"email": f"{AUTH}userinfo.email", "profile": f"{AUTH}userinfo.profile"}
SHORT = {full: short for short, full in ALIASES.items()}
EMAIL, PROFILE = ALIASES["email"], ALIASES["profile"]
SIGN_IN = frozenset({"openid", EMAIL, PROFILE})
MAIL = "https://mail.google.com/"
"""The one scope of an API here that is named otherwise."""

MEANINGS = {
    "openid": "Know who you are on Google",
    "userinfo.email": "See your email address",
    "userinfo.profile": "See your name and picture",
    "contacts": "See, edit and delete your contacts",
    "contacts.readonly": "See and download your contacts",
    "contacts.other.readonly": "See the people you exchanged mail with",
    "directory.readonly": "See your organization's directory",
    "calendar": "See, edit and delete all your calendars",
    "calendar.readonly": "See all your calendars",
    "calendar.events": "See and edit events on all your calendars",
    "calendar.events.readonly": "See events on all your calendars",
    "calendar.events.freebusy": "See when you are free or busy",
    "calendar.calendarlist.readonly": "See the list of your calendars",
    "gmail.metadata": "See the headers of your mail, not its text",
    "spreadsheets.readonly": "See all your spreadsheets",
    "analytics.readonly": "See your Google Analytics data",
    "business.manage": "See and edit your Business Profile",
}


def auth(*names: str) -> frozenset[str]:
    """Full names of scopes, from what stands after the common prefix."""
    return frozenset(AUTH + name for name in names)


def named(scope: str) -> str:
    """A scope under its full name."""
    return ALIASES.get(scope, scope)


def full_names(scopes: Iterable[str]) -> frozenset[str]:
    """As asked, under full names; `openid` is added by itself to an identity scope."""
    found = frozenset(named(scope) for scope in scopes)
    return found | {"openid"} if found & SIGN_IN else found


def foreign(scopes: Iterable[str]) -> list[str]:
    """Names that are not Google's: `offline_access` is none (§1.2)."""
    return sorted(s for s in scopes if s not in SIGN_IN and not s.startswith((AUTH, "https://mail.google.com/")))


def meaning(scope: str) -> str:
    """What a scope opens, for people."""
    short = scope.removeprefix(AUTH)
    return MEANINGS.get(short, short)
