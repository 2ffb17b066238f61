"""Records that change, and reading them page by page and then change by change (docs/facts/google.md §5.2, §5.3).

Knows nothing of HTTP nor of what a record means.
"""

import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

Record = dict[str, Any]
Parameters = Mapping[str, tuple[str, ...]]

PLACES = 5_000
"""Page tokens, and likewise sync tokens, that are remembered; the oldest is forgotten."""


@dataclass(slots=True)
class Item:
    """A record and the version of its last change; a deleted one stays, so that a later reading can tell."""

    held: Record | Callable[[], Record]
    """The record, or what makes it: so many thousands of seeded ones take no room."""
    version: int = 0
    deleted: bool = False

    @property
    def record(self) -> Record:
        return self.held() if callable(self.held) else self.held


@dataclass
class Collection:
    """Records by id, in order."""

    id: str
    items: dict[str, Item] = field(default_factory=dict)
    version: int = 0
    """Rises with every change."""

    def take(self, other: "Collection") -> None:
        """Hold what the other holds. Records are never changed in place, so they can be shared."""
        self.version = other.version
        self.items = {key: replace(item) for key, item in other.items.items()}

    def put(self, record_id: str, record: Record | Callable[[], Record]) -> None:
        self.version += 1
        self.items[record_id] = Item(record, self.version)

    @property
    def living(self) -> int:
        """Records that are not deleted."""
        return sum(not item.deleted for item in self.items.values())

    def delete(self, record_id: str) -> bool:
        """Whether there was such a record."""
        item = self.items.get(record_id)
        if item is None or item.deleted:
            return False
        self.version += 1
        item.version, item.deleted = self.version, True
        return True


class TokenUnknown(Exception):
    """Not a page or sync token of this collection."""


class ParametersDiffer(Exception):
    """The other parameters are not those of the first call."""


class SyncTokenExpired(Exception):
    """The place is too old."""


@dataclass(frozen=True)
class Asked:
    """One listing call: the tokens apart from `parameters`, which must stay the same from call to call."""

    parameters: Parameters
    size: int
    page_token: str | None = None
    sync_token: str | None = None
    filters: Parameters = field(default_factory=dict)
    """What must stay the same within one reading, and goes with no sync token."""


@dataclass(frozen=True)
class Order:
    """How a full reading is sorted."""

    key: Callable[[Item], Any]
    descending: bool = False


@dataclass(frozen=True)
class Answered:
    """One page. One of the tokens is set, the sync token on the last page."""

    items: list[Item]
    next_page_token: str | None
    next_sync_token: str | None


@dataclass(frozen=True)
class _Place:
    """What a page or sync token stands for."""

    collection: str
    parameters: Parameters
    filters: Parameters
    sync_token: str | None
    """The one that this reading began with; None for a full reading."""
    ids: tuple[str, ...]
    """All records of this reading, shared by the places of its pages."""
    at: int
    """How many of them were read."""
    version: int
    """Of the collection when the reading began: a change meanwhile belongs to the next reading."""
    full_at: float
    """When the last full reading began, in seconds of the clock."""


class Listings:
    """The places that were given out. Not thread-safe: the caller holds the sandbox's lock."""

    def __init__(self, clock: Callable[[], float], lifetime: float) -> None:
        """`lifetime`: seconds that a sync token lives from the full reading."""
        self._clock, self._lifetime = clock, lifetime
        self._pages: OrderedDict[str, _Place] = OrderedDict()
        self._syncs: OrderedDict[str, _Place] = OrderedDict()

    def answer(
        self, collection: Collection, asked: Asked, chosen: Callable[[Item], bool], order: Order | None = None
    ) -> Answered:
        """The next page. `chosen` picks what a full reading holds, `order` sorts it; a reading of changes tells all.

        Raises `TokenUnknown`, `ParametersDiffer`, `SyncTokenExpired`.
        """
        place = self._place(collection, asked, chosen, order)
        after = place.at + asked.size
        found = (collection.items.get(key) for key in place.ids[place.at : after])
        items = [item for item in found if item and (place.sync_token or chosen(item))]
        if after < len(place.ids):
            return Answered(items, _kept(self._pages, replace(place, at=after)), None)
        return Answered(items, None, _kept(self._syncs, replace(place, ids=())))

    def _place(
        self, collection: Collection, asked: Asked, chosen: Callable[[Item], bool], order: Order | None
    ) -> _Place:
        if asked.page_token:
            return self._continued(collection, asked)
        if asked.sync_token:
            return self._changes(collection, asked)
        found = [(key, item) for key, item in collection.items.items() if chosen(item)]
        if order:
            found.sort(key=lambda pair: order.key(pair[1]), reverse=order.descending)
        ids = tuple(key for key, _ in found)
        known = (collection.id, asked.parameters, asked.filters)
        return _Place(*known, None, ids, 0, collection.version, self._clock())

    def _continued(self, collection: Collection, asked: Asked) -> _Place:
        place = _found(self._pages, asked.page_token, collection)
        same = (place.parameters, place.filters, place.sync_token)
        if same != (asked.parameters, asked.filters, asked.sync_token):
            raise ParametersDiffer
        return place

    def _changes(self, collection: Collection, asked: Asked) -> _Place:
        since = _found(self._syncs, asked.sync_token, collection)
        if self._clock() > since.full_at + self._lifetime:
            raise SyncTokenExpired
        if since.parameters != asked.parameters:
            raise ParametersDiffer
        ids = tuple(key for key, item in collection.items.items() if item.version > since.version)
        return replace(since, filters={}, sync_token=asked.sync_token, ids=ids, at=0, version=collection.version)


def _found(places: Mapping[str, _Place], token: str | None, collection: Collection) -> _Place:
    place = places.get(token or "")
    if place is None or place.collection != collection.id:
        raise TokenUnknown
    return place


def _kept(places: OrderedDict[str, _Place], place: _Place) -> str:
    token = secrets.token_urlsafe(12)
    places[token] = place
    if len(places) > PLACES:
        places.popitem(last=False)
    return token
