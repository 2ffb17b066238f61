"""Google's operations as the relay serves them. Sections and rules are of docs/facts/google.md.

Nothing here searches or orders by what the grant does not hold: a search would tell of fields that are cut off.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from broker.providers.data import gmail
from broker.providers.data.analytics import DIMENSIONS, METRICS
from broker.providers.data.relayed import PAGED, Facts, Form, Kept, Passing, Take, objects
from broker.providers.resource import Place

WHOLE_NUMBER = r"[0-9]{1,9}"
TRUTH = r"true|false"
DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}|today|yesterday|[0-9]{1,4}daysAgo"
CELLS = r"[A-Z]{1,2}[1-9][0-9]{0,6}:[A-Z]{1,2}[1-9][0-9]{0,6}"
"""A range that names no sheet is of the first visible one (R6)."""

PEOPLE = {
    **PAGED,
    "syncToken": Take(),
    "requestSyncToken": Take(TRUTH),
}
EVENTS = {
    "maxResults": Take(WHOLE_NUMBER),
    "pageToken": Take(),
    "syncToken": Take(),
    "singleEvents": Take(TRUTH),
    "showDeleted": Take(TRUTH, needs=("status",)),
    "timeMin": Take(needs=("start", "end")),
    "timeMax": Take(needs=("start", "end")),
    "updatedMin": Take(needs=("updated",)),
    "orderBy": Take("startTime", needs=("start",)),
    "timeZone": Take(r"[A-Za-z0-9_+/-]{1,64}"),
}
MAIL = {"maxResults": Take(WHOLE_NUMBER), "pageToken": Take()}


@dataclass(frozen=True)
class History(Form):
    """What changed in a mailbox: the ids of messages, by the kind of change (§5.4)."""

    kinds: tuple[str, ...] = ("messagesAdded", "messagesDeleted", "labelsAdded", "labelsRemoved")

    def answer(self, answer: Mapping[str, Any], passing: Passing) -> Kept:
        changes = [self._change(record, passing) for record in objects(answer.get("history"))]
        return {"history": changes, **self.beside(answer)}

    def _change(self, record: Mapping[str, Any], passing: Passing) -> Kept:
        named = {kind: [one.get("message") for one in objects(record.get(kind))] for kind in self.kinds}
        kept = {kind: [{"message": one} for one in passing.kept(messages)] for kind, messages in named.items()}
        identity = {"id": record["id"]} if isinstance(record.get("id"), str) else {}
        return {**identity, **{kind: changes for kind, changes in kept.items() if changes}}


@dataclass(frozen=True)
class Cells(Form):
    """Ranges of a spreadsheet's first sheet, without its name."""

    def answer(self, answer: Mapping[str, Any], passing: Passing) -> Kept:
        if not passing.fields.issuperset(("headings", "cells")):
            raise ValueError("headings and rows come in one range")
        ranges = [self._range(found, passing) for found in objects(answer.get("valueRanges"))]
        return {"spreadsheetId": passing.values["spreadsheetId"], "valueRanges": ranges}

    def _range(self, found: Mapping[str, Any], passing: Passing) -> Kept:
        rows = found.get("values", [])
        if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
            raise ValueError("values are not rows")
        passing.records += len(rows)
        name = str(found.get("range", "")).rpartition("!")[2]
        return {"range": name, "majorDimension": "ROWS", "values": [list(map(_cell, row)) for row in rows]}


def _cell(value: object) -> object:
    return value if isinstance(value, str | int | float) else ""


@dataclass(frozen=True)
class Properties(Form):
    """The granted properties; of the accounts above them nothing is passed on."""

    def answer(self, answer: Mapping[str, Any], passing: Passing) -> Kept:
        found = [
            {"propertySummaries": kept}
            for account in objects(answer.get("accountSummaries"))
            if (kept := passing.kept(account.get("propertySummaries", [])))
        ]
        return {"accountSummaries": found, **self.beside(answer)}


@dataclass(frozen=True)
class Report(Form):
    """Figures in a table, whose columns the caller may choose among those that the connector reads.

    Filters are not taken: they would tell of columns that are not granted.
    """

    def body(self, given: Mapping[str, Any], fields: frozenset[str]) -> dict[str, Any]:
        if not fields.issuperset(("metric", "value")):
            raise ValueError("figures are not granted")
        checks: Mapping[str, Callable[[object], Any]] = {
            "dateRanges": _ranges,
            "dimensions": lambda value: _names(value, fields.intersection(DIMENSIONS)),
            "metrics": lambda value: _names(value, METRICS),
            "orderBys": _orders,
            "limit": _number,
            "offset": _number,
        }
        if unknown := given.keys() - checks.keys():
            raise ValueError(f"{min(unknown)[:64]} is not taken")
        body: dict[str, Any] = {name: checks[name](value) for name, value in given.items()}
        if not body.get("metrics") or not body.get("dateRanges"):
            raise ValueError("metrics and dateRanges are needed")
        columns = {one["name"] for name in ("dimensions", "metrics") for one in body.get(name, [])}
        if any(ordered not in columns for order in body.get("orderBys", []) for ordered in _ordered(order)):
            raise ValueError("an order by what is not asked for")
        return body

    def answer(self, answer: Mapping[str, Any], passing: Passing) -> Kept:
        rows, metadata = objects(answer.get("rows")), answer.get("metadata")
        heads = {kind: [head.get("name") for head in objects(answer.get(f"{kind}Headers"))] for kind in _KINDS}
        asked = {kind: [one["name"] for one in passing.body.get(f"{kind}s", [])] for kind in _KINDS}
        if rows and heads != asked:
            raise ValueError("not the columns that were asked for")
        passing.records += len(rows) * len(asked["metric"])
        return {
            **{f"{kind}Headers": [{"name": name} for name in names] for kind, names in asked.items()},
            "rows": [{f"{kind}Values": _values(row, kind, len(asked[kind])) for kind in _KINDS} for row in rows],
            "rowCount": answer["rowCount"] if isinstance(answer.get("rowCount"), int) else len(rows),
            "metadata": _metadata(metadata if isinstance(metadata, dict) else {}, passing.fields),
        }


_KINDS = ("dimension", "metric")


def _values(row: Mapping[str, Any], kind: str, count: int) -> list[dict[str, str]]:
    found = [{"value": str(one.get("value", ""))} for one in objects(row.get(f"{kind}Values"))]
    if len(found) != count:
        raise ValueError("a row does not fit its headers")
    return found


def _metadata(metadata: Mapping[str, Any], fields: frozenset[str]) -> Kept:
    opened = {"currencyCode": "currency", "schemaRestrictionResponse": "restriction"}
    return {name: metadata[name] for name, needed in opened.items() if needed in fields and name in metadata}


def _names(value: object, among: frozenset[str] | tuple[str, ...]) -> list[dict[str, str]]:
    found = [one.get("name") for one in objects(value) if one.keys() == {"name"}]
    if len(found) != len(objects(value)) or len(set(map(str, found))) != len(found):
        raise ValueError("a column is told by its name alone, and once")
    if not all(isinstance(name, str) and name in among for name in found):
        raise ValueError("a column that the connector does not read")
    return [{"name": str(name)} for name in found]


def _ranges(value: object) -> list[dict[str, str]]:
    found = objects(value)
    if len(found) != 1 or found[0].keys() != {"startDate", "endDate"}:
        raise ValueError("one range of dates is taken, from startDate to endDate")
    if not all(isinstance(day, str) and re.fullmatch(DAY, day) for day in found[0].values()):
        raise ValueError("not a date")
    return [dict(found[0])]


def _orders(value: object) -> list[dict[str, Any]]:
    return [{**_order(one)} for one in objects(value)]


def _order(one: Mapping[str, Any]) -> dict[str, Any]:
    kinds = [kind for kind in _KINDS if isinstance(one.get(kind), dict) and one[kind].keys() == {f"{kind}Name"}]
    if len(kinds) != 1 or not one.keys() <= {*kinds, "desc"} or not isinstance(one.get("desc", False), bool):
        raise ValueError("an order is by the name of one column")
    return dict(one)


def _ordered(order: Mapping[str, Any]) -> list[object]:
    return [order[kind][f"{kind}Name"] for kind in _KINDS if kind in order]


def _number(value: object) -> str:
    if isinstance(value, bool) or not re.fullmatch(WHOLE_NUMBER, str(value)):
        raise ValueError("not a number")
    return str(value)


@dataclass(frozen=True)
class Series(Form):
    """Figures of a place of business, day by day (§5.7)."""

    def answer(self, answer: Mapping[str, Any], passing: Passing) -> Kept:
        groups = objects(answer.get("multiDailyMetricTimeSeries"))
        if not passing.fields.issuperset(("date", "metric", "value")):
            raise ValueError("figures come with their day and their name")
        return {"multiDailyMetricTimeSeries": [self._group(group, passing) for group in groups]}

    def _group(self, group: Mapping[str, Any], passing: Passing) -> Kept:
        series = objects(group.get("dailyMetricTimeSeries"))
        asked = passing.values["dailyMetrics"]
        return {"dailyMetricTimeSeries": [self._one(one, passing) for one in series if one.get("dailyMetric") in asked]}

    def _one(self, series: Mapping[str, Any], passing: Passing) -> Kept:
        times = series.get("timeSeries")
        dated = objects(times.get("datedValues")) if isinstance(times, dict) else []
        passing.records += len(dated)
        values = [{"date": _date(one.get("date")), "value": str(one.get("value", "0"))} for one in dated]
        return {"dailyMetric": series["dailyMetric"], "timeSeries": {"datedValues": values}}


def _date(value: object) -> dict[str, int]:
    found = value if isinstance(value, dict) else {}
    return {part: found[part] for part in ("year", "month", "day") if isinstance(found.get(part), int)}


RANGE = {
    f"dailyRange.{end}.{part}": Take(r"[0-9]{1,4}")
    for end in ("startDate", "endDate")
    for part in ("year", "month", "day")
}
FORMS: Mapping[str, Form] = {
    "people.people.connections.list": Form(
        "connections",
        ("nextPageToken", "nextSyncToken", "totalItems", "totalPeople"),
        {**PEOPLE, "sortOrder": Take(r"(FIRST|LAST)_NAME_ASCENDING", needs=("names",))},
        mask="personFields",
    ),
    "people.otherContacts.list": Form(
        "otherContacts", ("nextPageToken", "nextSyncToken", "totalSize"), PEOPLE, mask="readMask"
    ),
    "calendar.events.list": Form("items", ("kind", "nextPageToken", "nextSyncToken"), EVENTS),
    "calendar.calendarList.list": Form("items", ("kind", "nextPageToken"), MAIL),
    gmail.LIST: Form("messages", ("nextPageToken", "resultSizeEstimate"), MAIL, at=Place(page=gmail.FIRST)),
    gmail.HISTORY: History(
        passes=("nextPageToken", "historyId"),
        takes={**MAIL, "startHistoryId": Take(r"[0-9]{1,20}")},
        at=Place(changes="1"),
    ),
    gmail.PROFILE: Facts(passes=("historyId",)),
    "gmail.users.messages.get": Form(mask="metadataHeaders"),
    "drive.files.list": Form("files", ("kind", "nextPageToken"), PAGED),
    "sheets.spreadsheets.values.batchGet": Cells(takes={"ranges": Take(CELLS)}),
    "analyticsadmin.accountSummaries.list": Properties(passes=("nextPageToken",), takes=PAGED),
    "analyticsdata.properties.runReport": Report(),
    "mybusinessbusinessinformation.accounts.locations.list": Form(
        "locations", ("nextPageToken", "totalSize"), PAGED, mask="readMask"
    ),
    "businessprofileperformance.locations.fetchMultiDailyMetricsTimeSeries": Series(takes=RANGE, mask="dailyMetrics"),
}
