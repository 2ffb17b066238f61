"""Facebook's and Instagram's operations as the relay serves them. Sections are of docs/facts/meta.md."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from broker.fields import Asked, parse
from broker.providers.data import graph
from broker.providers.data.relayed import Form, Kept, Passing, Take, objects

NUMBER = r"[0-9]{1,12}"
LISTED = {"limit": Take(NUMBER), "after": Take()}


@dataclass(frozen=True)
class Node(Form):
    """One object: nothing of it that was not named in `fields`, however deep."""

    mask: str | None = "fields"

    def answer(self, answer: Mapping[str, Any], passing: Passing) -> Kept:
        return passing.one(named(answer, _tree(passing)))


@dataclass(frozen=True)
class Edge(Node):
    """A list of objects, with cursors. The address of the next page, which holds the token, is made anew (§6.3)."""

    def answer(self, answer: Mapping[str, Any], passing: Passing) -> Kept:
        items, after = graph.listed(answer)
        return {"data": self.kept(items, passing), "paging": _paging(after, passing)}

    def kept(self, items: Sequence[Mapping[str, Any]], passing: Passing) -> list[Kept]:
        return passing.kept([named(item, _tree(passing)) for item in items])


@dataclass(frozen=True)
class WithAnswers(Edge):
    """Comments, each with the answers to it, which are cut as the comments are."""

    def kept(self, items: Sequence[Mapping[str, Any]], passing: Passing) -> list[Kept]:
        found = []
        for item in items:
            asked = named(item, _tree(passing))
            for kept in passing.kept([asked]):
                answers = passing.kept(_within(asked, "replies"))
                found.append({**kept, "replies": {"data": answers}} if answers else kept)
        return found


@dataclass(frozen=True)
class Conversation(Node):
    """A conversation, of which nothing but its messages is passed on."""

    def answer(self, answer: Mapping[str, Any], passing: Passing) -> Kept:
        asked = named(answer, _tree(passing))
        return {"id": str(asked.get("id", "")), "messages": {"data": passing.kept(_within(asked, "messages"))}}


@dataclass(frozen=True)
class Figures(Form):
    """Figures of an account, each with its name, and the sum of the days that were asked for (§4.3)."""

    mask: str | None = "metric"

    def answer(self, answer: Mapping[str, Any], passing: Passing) -> Kept:
        if not passing.fields.issuperset(("name", "value", "period")):
            raise ValueError("figures come with their name and period")
        asked = str(passing.values["metric"]).split(",")
        told = [_figure(entry) for entry in graph.listed(answer)[0] if entry.get("name") in asked]
        passing.records += len(told)
        return {"data": told}


def named(raw: Mapping[str, Any], tree: Sequence[Asked]) -> dict[str, Any]:
    """What of an object was named, and of the objects and lists within it. Raises `ValueError`."""
    return {one.name: _value(raw[one.name], one.within) for one in tree if one.name in raw}


def _value(value: object, within: Sequence[Asked] | None) -> object:
    """An edge comes as a list in `data`, an object as itself; of anything else that should be one, nothing."""
    if within is None:
        return value
    if not isinstance(value, dict):
        raise ValueError("not an object")
    if "data" in value and "data" not in {one.name for one in within}:
        return {"data": [named(one, within) for one in objects(value["data"])]}
    return named(value, within)


def _within(asked: Mapping[str, Any], name: str) -> object:
    """The list that an edge within an object came as; none where there is nothing."""
    return asked[name].get("data", []) if name in asked else []


def _tree(passing: Passing) -> tuple[Asked, ...]:
    return parse(str(passing.values["fields"]))


def _paging(after: str | None, passing: Passing) -> Kept:
    if after is None:
        return {}
    return {"cursors": {"after": after}, "next": passing.link({"after": after})}


def _figure(entry: Mapping[str, Any]) -> Kept:
    total = entry.get("total_value")
    value = total.get("value") if isinstance(total, dict) else None
    told = {"value": value} if isinstance(value, int | float) else {}
    return {"name": entry["name"], "period": str(entry.get("period", "")), "total_value": told}


_SINCE = {name: Take(NUMBER, needs=("created_time",)) for name in ("since", "until")}
_ORDER = {name: Take(r"[a-z_]{1,32}") for name in ("filter", "order")}
_MEDIA_SINCE = {name: Take(NUMBER, needs=("timestamp",)) for name in ("since", "until")}
FORMS: Mapping[str, Form] = {
    "facebook.me.get": Node(),
    "facebook.me.accounts.list": Edge(takes=LISTED),
    "facebook.page.posts.list": Edge(takes={**LISTED, **_SINCE}),
    "facebook.post.comments.list": Edge(takes={**LISTED, **_ORDER}),
    "facebook.page.leadgen_forms.list": Edge(takes=LISTED),
    "facebook.form.leads.list": Edge(takes={**LISTED, "filtering": Take(needs=("created_time",))}),
    "facebook.page.conversations.list": Edge(takes=LISTED),
    "facebook.conversation.messages.list": Edge(takes=LISTED),
    "instagram.me.get": Node(),
    "instagram.me.media.list": Edge(takes={**LISTED, **_MEDIA_SINCE}),
    "instagram.media.comments.list": WithAnswers(takes=LISTED),
    "instagram.me.conversations.list": Edge(takes=LISTED),
    "instagram.conversation.get": Conversation(),
    "instagram.me.insights.list": Figures(takes={name: Take(NUMBER) for name in ("since", "until")}),
}
