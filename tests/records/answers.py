"""What providers answer, connector by connector, with each value marked by the field that it is of; and what becomes of
such an answer when a provider sends what nobody asked for.

A record's fields are told apart by `Of`. Whatever is of no field that a reading permits is spoiled before it is sent:
it carries a canary, and so does what is hidden deep within a permitted field.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any
from urllib.parse import quote

import requests
from flask import Flask, Response, request

from broker.contract import Connector
from broker.providers.data.analytics import METRICS
from broker.providers.resource import Resource
from tests.records.raw import CLAIMS, EVENT, PERSON
from tests.records.raw_google import GOOGLE
from tests.records.raw_meta import META

FULL = {"google_contacts": PERSON, "google_calendar": EVENT, "openid_profile": CLAIMS, **GOOGLE, **META}

OUTSIDE, WITHIN = "CANARY-OUTSIDE", "CANARY-WITHIN"
"""In what is of no permitted field; hidden in an object of a permitted one."""
NUMBER, TIME = 987654321012345, "2031-05-07T03:04:05"
"""The same, where the provider sends numbers and times."""
SECRET = "EAAB-CANARY-TOKEN"
PAGING = f"https://graph.facebook.com/v26.0/1/feed?access_token={SECRET}&after=QVFI"
ONWARD = {"cursors": {"after": "QVFI"}, "next": PAGING}
"""As a list of the Graph leads on."""
MARKS = (OUTSIDE, str(NUMBER), TIME, "2031-05-07", SECRET, "access_token", "graph.facebook.com")
"""None of these may stand in anything that a connector is passed."""
HIDDEN = ("access_token", "refresh_token", "page_token", "next", "previous", "paging", "photos", "etag", "owner")
"""Names that no connector reads within a field."""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


@dataclass(frozen=True)
class Of:
    """A value that is of a field."""

    field: str
    value: Any


@dataclass(frozen=True)
class Never:
    """A value that no grant opens, whatever field it stands in: of another source, or the body of a mail."""

    value: Any


@dataclass(frozen=True)
class Fixed:
    """What holds an answer together; without it there is none."""

    value: Any


def record(connector: Connector, resource: Resource) -> dict[str, Any]:
    """A record as it comes over the wire: every field that the provider lists, and what it sends besides."""
    whole: Mapping[str, Any] = FULL[connector.name]
    fields = {field: Of(field, _foreign(resource, whole.get(field, "some"))) for field in resource.fields}
    return {**whole, **fields, resource.identity: Fixed(whole[resource.identity])}


def _foreign(resource: Resource, value: Any) -> Any:
    """Beside what is of the right source what is not, where a resource tells sources apart (docs/facts/google.md P8);
    beside the headers that are asked for others, and the text itself (G2, G5)."""
    if isinstance(value, dict) and "headers" in value:
        hidden = {"name": "X-Other", "value": Never("other")}
        return {
            "headers": [*value["headers"], hidden],
            **{name: Never("text") for name in ("body", "parts", "snippet")},
        }
    if resource.operation.startswith("people.") and isinstance(value, list):
        kinds = ("PROFILE", "DOMAIN_CONTACT", "ACCOUNT")
        return [*value, *({"metadata": Fixed({"source": {"type": kind}}), **_named(Never("other"))} for kind in kinds)]
    if resource.operation.startswith("people.") and isinstance(value, dict) and "sources" in value:
        return {**value, "sources": [{"type": Fixed("PROFILE"), "updateTime": Never("other")}, *value["sources"]]}
    return value


def _named(value: Any) -> dict[str, Any]:
    return dict.fromkeys(("value", "displayName", "givenName", "familyName", "name", "title"), value)


def answer(connector: Connector, resource: Resource, asked: Collection[str]) -> dict[str, Any]:
    """A whole answer with one record. `asked`: the fields that the reading asks for."""
    make = MADE.get(connector.name)
    if make:
        return make(record(connector, resource), asked)
    whole = record(connector, resource)
    if resource.of_account or connector.name == "google_mail":
        return whole
    items = {"contacts": "connections", "other_contacts": "otherContacts", "events": "items"}.get(resource.name, "data")
    return {items: [whole], "nextPageToken": "p2", "paging": ONWARD}


def _rows(whole: dict[str, Any], asked: Collection[str]) -> dict[str, Any]:
    head, body = ([Of(name, cell) for cell in GOOGLE["google_sheets"][name]] for name in ("headings", "cells"))
    return {"valueRanges": [{"range": Fixed("'Orang'!A1:ZZ101"), "values": [head, body]}]}


def _report(whole: dict[str, Any], asked: Collection[str]) -> dict[str, Any]:
    names = [name for name in ("date", "sessionSource", "sessionMedium") if name in asked]
    dimensions = [{"value": Of(name, whole[name].value)} for name in names]
    note = {"metricName": "totalRevenue", "restrictedMetricTypes": [Of("restriction", "REVENUE_DATA")]}
    return {
        "dimensionHeaders": [{"name": Fixed(name)} for name in names],
        "metricHeaders": [{"name": Fixed(name)} for name in METRICS],
        "rows": [{"dimensionValues": dimensions, "metricValues": [{"value": Of("value", "12")} for _ in METRICS]}],
        "rowCount": Fixed(1),
        "metadata": {
            "currencyCode": Of("currency", "IDR"),
            "schemaRestrictionResponse": {"activeMetricRestrictions": [note]},
        },
    }


def _performance(whole: dict[str, Any], asked: Collection[str]) -> dict[str, Any]:
    day = {"date": Of("date", {"year": 2026, "month": 11, "day": 1}), "value": Of("value", "12")}
    series = {"dailyMetric": Of("metric", "CALL_CLICKS"), "timeSeries": {"datedValues": [day]}}
    return {"multiDailyMetricTimeSeries": [{"dailyMetricTimeSeries": [series]}]}


def _with_replies(whole: dict[str, Any], asked: Collection[str]) -> dict[str, Any]:
    reply = {**whole, "id": Fixed("18000001000020002")}
    return {"data": [{**whole, "replies": {"data": [reply], "paging": ONWARD}}], "paging": {"next": None}}


def _in_conversation(whole: dict[str, Any], asked: Collection[str]) -> dict[str, Any]:
    return {"id": Fixed("1"), "messages": {"data": [whole], "paging": ONWARD}, "name": "other"}


def _figures(whole: dict[str, Any], asked: Collection[str]) -> dict[str, Any]:
    figure = {"name": Of("name", "reach"), "period": Of("period", "day"), "total_value": {"value": Of("value", 12)}}
    return {"data": [{**figure, "title": "other", "id": "other"}], "paging": ONWARD}


MADE: dict[str, Callable[[dict[str, Any], Collection[str]], dict[str, Any]]] = {
    "google_sheets": _rows,
    "google_analytics": _report,
    "google_business_performance": _performance,
    "instagram_comments": _with_replies,
    "instagram_inbox": _in_conversation,
    "instagram_insights": _figures,
}
"""Connectors whose records a resource makes of something else."""


@dataclass(frozen=True)
class Spoiler:
    """What a provider might send in place of an answer. `permitted`: the fields of which values may come out."""

    random: Random
    permitted: Collection[str]
    wrong: float = 0.05
    """How often a value is of another type than it should be."""

    def spoiled(self, node: Any, inside: bool = False) -> Any:
        """`inside`: within a permitted field, where a true value may be."""
        if isinstance(node, Fixed):
            return node.value
        if isinstance(node, Never):
            return self.closed(node.value)
        if isinstance(node, Of):
            return self.spoiled(node.value, True) if node.field in self.permitted else self.closed(node.value)
        if isinstance(node, dict):
            kept = {name: self.spoiled(value, inside) for name, value in node.items()}
            return {**self._hidden(WITHIN if inside else OUTSIDE), **kept}
        if isinstance(node, list):
            return [self.spoiled(value, inside) for value in node]
        if self.random.random() < self.wrong:
            return (
                self.random.choice([None, True, 7, 1.5, "odd", [], ["odd"], {}, {"odd": ["odd"]}]) if inside else None
            )
        return node if inside or self.random.random() < 0.5 else self._marked(node)

    def closed(self, node: Any) -> Any:
        """The same shape with nothing in it but canaries, or something that holds one."""
        if self.random.random() < 0.1:
            return self.random.choice([OUTSIDE, [OUTSIDE], {"name": OUTSIDE, "value": OUTSIDE, "id": OUTSIDE}, PAGING])
        if isinstance(node, Of | Never | Fixed):
            return node.value if isinstance(node, Fixed) else self.closed(node.value)
        if isinstance(node, dict):
            return self._hidden(OUTSIDE) | {name: self.closed(value) for name, value in node.items()}
        if isinstance(node, list):
            return [self.closed(value) for value in node]
        return self._marked(node)

    def _marked(self, leaf: Any) -> Any:
        if isinstance(leaf, int | float) and not isinstance(leaf, bool):
            return NUMBER
        if isinstance(leaf, str) and _TIME.match(leaf):
            return _TIME.sub(TIME, leaf, count=1)
        return str(NUMBER) if isinstance(leaf, str) and leaf.isdecimal() else OUTSIDE

    def _hidden(self, canary: str) -> dict[str, Any]:
        """Now and then members that are not of this place, tokens and addresses with tokens among them."""
        if self.random.random() < 0.6:
            return {}
        names = self.random.sample(HIDDEN, 2)
        secrets = (
            (canary, {"value": canary, "access_token": canary}, [canary]) if canary == WITHIN else (canary, PAGING)
        )
        return {name: self.random.choice(secrets) for name in names}


def seen(values: Any) -> str:
    """As one text, for marks to be looked for in it."""
    return json.dumps(values, ensure_ascii=False)


PASSED_BACK = ("Content-Type", "Location", "Set-Cookie", "Retry-After")


@dataclass
class Between:
    """Stands before a fake provider, and spoils its answers while it is told to.

    To every object it adds tokens and addresses; to every record each field of `outside`, over one that is there.
    """

    url: str
    spoils: bool = False
    outside: Collection[str] = ()
    spoiled: int = 0
    """Records."""

    def app(self) -> Flask:
        app = Flask(__name__)
        http = requests.Session()
        http.trust_env = False

        @app.route("/", defaults={"path": ""}, methods=["GET", "POST", "PUT", "DELETE"])
        @app.route("/<path:path>", methods=["GET", "POST", "PUT", "DELETE"])
        def passed(path: str) -> Response:
            query = f"?{request.query_string.decode()}" if request.query_string else ""
            headers = {name: value for name, value in request.headers if name.lower() not in ("host", "content-length")}
            there = http.request(
                request.method,
                f"{self.url}{quote(request.path)}{query}",
                headers={**headers, "Accept-Encoding": "identity"},
                data=request.get_data(),
                allow_redirects=False,
                timeout=20,
            )
            body = self._spoiled(there) if self.spoils and there.status_code == 200 else there.content
            kept = ("content-type", "location", "set-cookie", "retry-after")
            return Response(
                body,
                there.status_code,
                [(name, value) for name, value in there.headers.items() if name.lower() in kept],
            )

        return app

    def _spoiled(self, there: requests.Response) -> bytes:
        body = there.json()
        records = [item for value in body.values() if isinstance(value, list) for item in value]
        for item in (*records, body):
            if isinstance(item, dict):
                item.update(dict.fromkeys(self.outside, OUTSIDE))
                self.spoiled += 1
        return json.dumps(_with_secrets(body)).encode()


def _with_secrets(node: Any) -> Any:
    if isinstance(node, list):
        return [_with_secrets(item) for item in node]
    if not isinstance(node, dict):
        return node
    secrets = {"access_token": SECRET, "owner": {"phone": WITHIN}, "source_url": PAGING, "tokens": [SECRET, WITHIN]}
    return {**secrets, **{name: _with_secrets(value) for name, value in node.items()}}
