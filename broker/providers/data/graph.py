"""How objects and lists of the Graph are read, and what of them is new. Sections are of docs/facts/meta.md."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from broker.providers import graph
from broker.providers.resource import Listing, Place, Resource, Values


class Node(Resource):
    """One object: its one record is the answer itself."""

    identity = "id"
    through: str | None = None
    """The parameter of the path that is the parent's id."""
    always: Values = {}
    """Parameters that every call of it has."""
    nested: Mapping[str, str] = {}
    """field → what stands behind its name, where it is an object or a list of its own: its braces, perhaps a limit."""

    def target(self, asset: str | None, place: Place | None) -> Values:
        """What the address is made of: the parent below which it reads, or the asset."""
        if self.through:
            return {self.through: place.within} if place and place.within else {}
        return {self.asset_kind: asset} if self.asset_kind and asset else {}

    def parameters(self, fields: Sequence[str], asset: str | None, place: Place | None, limit: int) -> Values:  # noqa: ARG002
        names = fields_value((*fields, self.identity), self.nested)
        return {**self.target(asset, place), **self.always, "fields": names}

    def listing(self, answer: Mapping[str, Any], place: Place) -> Listing:  # noqa: ARG002
        if self.identity not in answer:
            raise ValueError("an object without its id")
        return Listing([{**answer, self.identity: graph.identity(answer[self.identity])}], None, has_more=False)


class Edge(Node):
    """A list in Graph's form: `data`, and `paging` with cursors and, unless it is the last page, `next`, whose URL
    holds the token and is never used (§6.3)."""

    most = 100
    dated: str | None = None
    """The member that says when a record came to be, where the newest come first: a later reading ends where nothing
    on a page is newer than it asks for."""

    def parameters(self, fields: Sequence[str], asset: str | None, place: Place | None, limit: int) -> Values:
        if self.dated and place and place.changes:
            fields = (*fields, self.dated)
        values = super().parameters(fields, asset, place, limit)
        values["limit"] = str(min(limit, self.most))
        if place and place.page:
            values["after"] = place.page
        return values

    def listing(self, answer: Mapping[str, Any], place: Place) -> Listing:
        items, after = listed(answer)
        found = Listing(items, replace(place, page=after) if after else None, has_more=after is not None)
        news = [item for item in items if not self.dated or is_new(item.get(self.dated), place)]
        return replace(found, items=news) if news or not items else Listing([], None, has_more=False)


def listed(answer: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], str | None]:
    """The records of a list, and the cursor to the next page if there is one. Raises `ValueError`."""
    items, paging = answer.get("data"), answer.get("paging", {})
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError("data is not a list of records")
    items = [_with_text_id(item) for item in items]
    cursors = paging.get("cursors", {}) if isinstance(paging, dict) else None
    if not isinstance(cursors, dict):
        raise ValueError("paging has no cursors")
    after = cursors.get("after")
    if not paging.get("next"):
        return items, None
    if not isinstance(after, str) or not after:
        raise ValueError("there is more, and no cursor to it")
    return items, after


def _with_text_id(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Ids come as numbers too; a record must not be lost for it."""
    number = item.get("id")
    return {**item, "id": str(number)} if isinstance(number, int) and not isinstance(number, bool) else item


def fields_value(fields: Sequence[str], nested: Mapping[str, str]) -> str:
    """Graph's `fields`: always explicit, for its defaults hold tokens (§4.1)."""
    return ",".join(name + nested.get(name, "") for name in sorted(set(fields)))


OVERLAP = 60
"""Seconds before the beginning of a reading from which the next one takes what is new: clocks differ, and a record
may show up late. What came about in them may come twice."""


def since(place: Place | None) -> int | None:
    """From when on a later reading asks for what is new, in seconds since 1970; None for a full one."""
    at = _at(place.changes) if place else None
    return None if at is None else int(at) - OVERLAP


def is_new(moment: object, place: Place) -> bool:
    """Whether something of that time is for this reading: all is for a full one, and what has no time always."""
    first, at = since(place), _at(moment)
    return first is None or at is None or at >= first


def _at(moment: object) -> float | None:
    """Seconds since 1970 of a time as Graph writes it: ISO 8601, at times seconds since 1970."""
    try:
        text = str(moment) if isinstance(moment, int | str) and not isinstance(moment, bool) else ""
        found = datetime.fromtimestamp(int(text), UTC) if text.isdecimal() else datetime.fromisoformat(text)
        return found.timestamp() if found.tzinfo else None
    except (ValueError, OverflowError, OSError):
        return None
