"""A kind of data at a provider, as a value: which operation fetches it, which scopes open its fields, how a page of it
is asked for and taken apart."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from broker.scopes import FieldScopes, cut

Values = dict[str, str | Sequence[str]]
"""An operation's parameters: name → text, or several texts where it may be repeated."""


@dataclass(frozen=True)
class Place:
    """Where a reading stands, kept sealed in the cursor: the provider's own tokens, and what the reading began with.

    A later page repeats its fields and page size: providers take a token only beside the first call's parameters.
    """

    page: str | None = None
    changes: str | None = None
    """From where on this reading reads: what an earlier one ended with."""
    fields: tuple[str, ...] = ()
    limit: int = 0
    began: str | None = None
    """When the reading made its first call, RFC 3339 in UTC."""
    newest: str | None = None
    """From where on a later reading will go on, as far as this one knows."""
    walking: bool = False
    """The records hang below others, and the first of these have been listed."""
    queue: tuple[str, ...] = ()
    """Those below which nothing has been read yet."""
    within: str | None = None
    """The one below which it is reading."""
    parents: str | None = None
    """The next page of them."""
    skip: int = 0
    """Records of the next answer that were handed out before."""

    @property
    def is_start(self) -> bool:
        return not (self.page or self.changes or self.walking or self.skip)


@dataclass(frozen=True)
class Listing:
    """One answer of a listing operation, taken apart but not yet cut."""

    items: list[Mapping[str, Any]]
    next: Place | None
    has_more: bool
    gone: tuple[str, ...] = ()
    """Ids of records that the provider says were deleted."""


class Resource:
    """A kind of data at a provider: the operation that fetches it and its fields with the scopes that open them."""

    name: str
    operation: str
    """The provider's own method id."""
    identity: str
    """The member that identifies a record; it is passed on whatever the fields."""
    fields: FieldScopes
    titles: Mapping[str, Mapping[str, str]] = {}
    """field → language → what the consent page calls it."""
    asset_kind: str | None = None
    """What the resource hangs on, one at a time: a calendar, a Page; None where it hangs on no asset."""
    default_asset: str | None = None
    """The asset that is granted without a choice, if there is one."""
    most = 1000
    """Records at once that its operation gives at most."""
    of_account = False
    """Its one record is the account itself, and must bear the account's id."""
    parent: str | None = None
    """The resource below whose records these hang, and are read one after the other: leads below their forms."""
    parent_fields: tuple[str, ...] = ()
    """What `has_news` needs to see of a parent."""
    below: str | None = None
    """The member in which a record is told the id of its parent; it is passed on whatever the fields."""
    resumes_by_time = False
    """A later reading goes on from the time at which an earlier one began, given in `Place.changes`."""
    not_found: Literal["gone", "place_lost", "asset"] = "gone"
    """What it means that the provider knows nothing of what is asked for: no more than that; that it has forgotten the
    place since which changes were asked for; that it does not open the asset to us any more."""
    ids_are_of_asset = False
    """Its ids tell records apart below one asset only: they are passed on with the asset's in front."""

    @property
    def operations(self) -> tuple[str, ...]:
        """Every operation by which it may be read."""
        return (self.operation,)

    def operation_at(self, place: Place) -> str:  # noqa: ARG002
        """The one that reads on from a place."""
        return self.operation

    def body(self, fields: Sequence[str], asset: str | None, place: Place | None, limit: int) -> dict[str, Any] | None:  # noqa: ARG002
        """The JSON body of an operation that reads by POST."""
        return None

    def has_news(self, parent: Mapping[str, Any], place: Place) -> bool:  # noqa: ARG002
        """Whether something below a parent may be new since `place.changes`, if that is known."""
        return True

    def parameters(self, fields: Sequence[str], asset: str | None, place: Place | None, limit: int) -> Values:
        """The operation's parameters for one page. `place` carries the tokens; `limit` is that of the first page. Below
        a parent its id is `place.within`."""
        raise NotImplementedError

    def listing(self, answer: Mapping[str, Any], place: Place) -> Listing:
        """Take one answer apart. `place` carries what this page was asked with. Raises `ValueError` if malformed."""
        raise NotImplementedError

    def as_asset(self, raw: Mapping[str, Any]) -> tuple[str, str] | None:
        """(id, label) of one record of a resource that lists assets; None for what is none."""
        identity = raw.get(self.identity)
        return (identity, identity) if isinstance(identity, str) and identity else None

    def visible(self, raw: dict[str, Any], scopes: frozenset[str]) -> dict[str, Any]:  # noqa: ARG002
        """Rules below the field (a value's source, a list's reach), on a record already cut."""
        return raw

    def passed_on(self, raw: Mapping[str, Any], fields: Iterable[str], scopes: frozenset[str]) -> dict[str, Any]:
        """What of a provider's record reaches a connector that may see these fields, and nothing else of it."""
        always = (self.identity, self.below) if self.below else (self.identity,)
        return self.visible(cut(raw, always, fields), scopes)
