"""The raw form of a reading: what a caller of the relay may say of an operation, and what of its answer is passed on.

A resource says how the broker itself asks. The relay asks the same, and a form says what of that may be varied: which
parameters a caller may set, which one narrows the fields. What a form does not name is as the broker has it, or denied;
an operation without a form is not served raw at all.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from broker.providers.resource import Place, Resource, Values

Kept = dict[str, Any]


START = Place()


@dataclass(frozen=True)
class Take:
    """A parameter that the caller may set, as far as the operation and this pattern admit it."""

    pattern: str = r"[^\x00-\x1f]{1,4096}"
    needs: tuple[str, ...] = ()
    """Fields that it would tell something of: by a bound, or an order."""

    def admits(self, value: str, fields: frozenset[str]) -> bool:
        return re.fullmatch(self.pattern, value) is not None and fields.issuperset(self.needs)


@dataclass
class Passing:
    """One answer on its way: what may be passed on of it."""

    resource: Resource
    fields: frozenset[str]
    """Those that the grant permits."""
    values: Values
    """The parameters that were sent."""
    body: Mapping[str, Any]
    """What was sent by POST."""
    keep: Callable[[object], Kept | None]
    """A record, cut; None for what is none, or is not granted."""
    link: Callable[[Mapping[str, str]], str]
    """The same call at the relay with some parameters changed, without any token."""
    records: int = field(default=0)
    """How many were passed on."""

    def kept(self, listed: object) -> list[Kept]:
        """The records of a list. Raises `ValueError` where it is none."""
        if not isinstance(listed, list):
            raise ValueError("not a list of records")
        found = [kept for raw in listed if (kept := self.keep(raw)) is not None]
        self.records += len(found)
        return found

    def one(self, raw: object) -> Kept:
        """The one record of an answer. Raises `ValueError` where it is none, or not the one that was asked for."""
        (kept, *_) = self.kept([raw]) or [{}]
        identity = self.resource.identity
        if not kept or kept[identity] != self.values.get(identity, kept[identity]):
            raise ValueError("not the record that was asked for")
        return kept


@dataclass(frozen=True)
class Form:
    """A list of records in one member, beside tokens of pages and counters."""

    records: str | None = None
    """The member that holds them; None: the answer is the one record."""
    passes: tuple[str, ...] = ()
    """Members beside them that are passed on: texts, numbers and truth values."""
    takes: Mapping[str, Take] = field(default_factory=dict)
    mask: str | None = None
    """The parameter that names what is asked for; the caller's may only narrow the broker's own."""
    at: Place = START
    """The place whose reading takes this operation."""

    def answer(self, answer: Mapping[str, Any], passing: Passing) -> Kept:
        """What the caller gets. Raises `ValueError` for what is not as the provider's documents have it."""
        if self.records is None:
            return passing.one(answer)
        return {self.records: passing.kept(answer.get(self.records, [])), **self.beside(answer)}

    def beside(self, answer: Mapping[str, Any]) -> Kept:
        return {name: answer[name] for name in self.passes if isinstance(answer.get(name), str | int | float)}

    def body(self, given: Mapping[str, Any], fields: frozenset[str]) -> dict[str, Any]:  # noqa: ARG002
        """The body of an operation that reads by POST. Raises `ValueError` for one that could tell more."""
        raise ValueError("this operation takes no body")


@dataclass(frozen=True)
class Facts(Form):
    """An answer of which nothing is a record."""

    def answer(self, answer: Mapping[str, Any], passing: Passing) -> Kept:  # noqa: ARG002
        return self.beside(answer)


PAGED = {name: Take() for name in ("pageSize", "pageToken")}
"""As most of Google's lists have them."""


def objects(value: object) -> Sequence[Mapping[str, Any]]:
    """Raises `ValueError` for anything but a list of objects; none where there is no list."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise ValueError("not a list of objects")
    return value
