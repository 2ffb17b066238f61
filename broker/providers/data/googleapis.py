"""What the resources of Google's APIs have in common: names of scopes, lists with tokens of pages and changes.

Sections are of docs/facts/google.md.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from broker.providers.resource import Listing, Place

AUTH = "https://www.googleapis.com/auth/"


def auth(*names: str) -> tuple[str, ...]:
    """Full names of scopes, in their order."""
    return tuple(AUTH + name for name in names)


def text(answer: Mapping[str, Any], name: str) -> str | None:
    """None where it is missing or empty. Raises `ValueError` for anything but a text."""
    value = answer.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name} is not a text")
    return value or None


def items(answer: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The records of a list; none where it is missing. Raises `ValueError` for anything but records."""
    found = answer.get(name, [])
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise ValueError(f"{name} is not a list of records")
    return found


def listed(answer: Mapping[str, Any], name: str, place: Place) -> Listing:
    """A page ends with `nextPageToken`, and where there is such a thing a reading with `nextSyncToken` (§5.2, §5.3)."""
    page, changes = text(answer, "nextPageToken"), text(answer, "nextSyncToken")
    if page:
        return Listing(items(answer, name), replace(place, page=page), has_more=True)
    following = replace(place, page=None, changes=changes) if changes else None
    return Listing(items(answer, name), following, has_more=False)


def dicts(value: object) -> list[dict[str, Any]]:
    """The objects of a list; nothing where it is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


LONG_AGO = date(2000, 1, 1)


def began_on(place: Place | None) -> date:
    """The day, in UTC, on which a reading made its first call; long ago where none has begun."""
    return _day(place.began if place else None) or LONG_AGO


def changed_on(place: Place | None) -> date | None:
    """The day from which on a later reading reads."""
    return _day(place.changes if place else None)


def _day(moment: str | None) -> date | None:
    try:
        return datetime.fromisoformat(moment).date() if moment else None
    except ValueError:
        return None
