"""The sales-app record types: their JSON Schemas, and how a text field is read from what a provider may send."""

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

_SECONDS = re.compile(r"[0-9]{1,11}")

TEXT = {"type": "string"}
COUNT = {"type": "integer", "minimum": 0}
YES_OR_NO = {"type": "boolean"}
LABELLED = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"value": TEXT, "label": TEXT},
        "required": ["value"],
        "additionalProperties": False,
    },
}
NAMED = {"type": "object", "properties": {"id": TEXT, "name": TEXT}, "additionalProperties": False}
BASE = {
    "id": {"type": "string", "minLength": 1},
    "deleted": {"type": "boolean"},
    "source": {
        "type": "object",
        "properties": {"provider": TEXT, "account": TEXT},
        "required": ["provider", "account"],
    },
}


def schema(kind: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """JSON Schema 2020-12 of one record type; `source` is added by the broker."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind,
        "type": "object",
        "properties": {**BASE, "type": {"const": kind}, **properties},
        "required": ["id", "type", "deleted", "source"],
        "additionalProperties": False,
    }


MOMENT = {
    "type": "object",
    "properties": {"date_time": TEXT, "date": TEXT, "time_zone": TEXT},
    "additionalProperties": False,
}

PERSON = {
    "name": TEXT,
    "given_name": TEXT,
    "family_name": TEXT,
    "emails": LABELLED,
    "phones": LABELLED,
    "company": TEXT,
    "job_title": TEXT,
}
"""What a contact and a lead have alike."""
PARTY = {
    "type": "object",
    "properties": {"id": TEXT, "name": TEXT, "username": TEXT, "email": TEXT},
    "additionalProperties": False,
}
"""Who wrote, or was written to: by whichever of these the provider tells."""

CONTACT = schema("contact", {**PERSON, "updated_at": TEXT})
LEAD = schema(
    "lead",
    {
        **PERSON,
        "street": TEXT,
        "city": TEXT,
        "region": TEXT,
        "postal_code": TEXT,
        "country": TEXT,
        "answers": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"question": TEXT, "values": {"type": "array", "items": TEXT}},
                "required": ["question", "values"],
                "additionalProperties": False,
            },
        },
        "form": TEXT,
        "channel": TEXT,
        "organic": YES_OR_NO,
        "ad": NAMED,
        "ad_set": NAMED,
        "campaign": NAMED,
        "created_at": TEXT,
    },
)
"""`answers`: everything that was filled in, as it came; the fields of a person are taken from there."""
MESSAGE = schema(
    "message",
    {
        "thread": TEXT,
        "from": PARTY,
        "to": {"type": "array", "items": PARTY},
        "cc": {"type": "array", "items": PARTY},
        "subject": TEXT,
        "text": TEXT,
        "labels": {"type": "array", "items": TEXT},
        "message_id": TEXT,
        "sent_at": TEXT,
    },
)
COMMENT = schema(
    "comment",
    {
        "post": TEXT,
        "parent": TEXT,
        "text": TEXT,
        "author": PARTY,
        "url": TEXT,
        "likes": COUNT,
        "replies": COUNT,
        "hidden": YES_OR_NO,
        "posted_at": TEXT,
    },
)
"""`post`: what it stands beneath; `parent`: the comment that it answers."""
METRIC = schema(
    "metric",
    {
        "name": TEXT,
        "value": {"type": "number"},
        "restricted": YES_OR_NO,
        "unit": TEXT,
        "period": TEXT,
        "date": TEXT,
        "dimensions": {"type": "object", "additionalProperties": TEXT},
    },
)
"""One figure. `period`: over how long it was counted (`day`, `week`, …); `date`: the day on which that ended, or the
moment where the provider tells it. `restricted`: the provider hides the value from the user, whose role does not show
it."""
EVENT = schema(
    "event",
    {
        "title": TEXT,
        "description": TEXT,
        "location": TEXT,
        "status": TEXT,
        "busy": YES_OR_NO,
        "start": MOMENT,
        "end": MOMENT,
        "series": TEXT,
        "recurrence": {"type": "array", "items": TEXT},
        "organizer": TEXT,
        "attendees": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"email": TEXT, "name": TEXT, "response": TEXT},
                "additionalProperties": False,
            },
        },
        "updated_at": TEXT,
    },
)
PROFILE = schema(
    "profile",
    {
        "name": TEXT,
        "given_name": TEXT,
        "family_name": TEXT,
        "username": TEXT,
        "picture": TEXT,
        "locale": TEXT,
        "email": TEXT,
        "email_verified": YES_OR_NO,
        "kind": TEXT,
        "followers": COUNT,
        "posts": COUNT,
    },
)
POST = schema(
    "post",
    {
        "text": TEXT,
        "kind": TEXT,
        "url": TEXT,
        "media_url": TEXT,
        "thumbnail_url": TEXT,
        "posted_at": TEXT,
        "updated_at": TEXT,
        "likes": COUNT,
        "comments": COUNT,
    },
)


def text(source: Any, *path: str) -> str | None:  # noqa: ANN401 - any JSON
    """The text at `path`, or None where anything on the way is missing or of another kind."""
    for step in path:
        source = source.get(step) if isinstance(source, Mapping) else None
    return source if isinstance(source, str) and source else None


def number(source: Any, *path: str) -> int | None:  # noqa: ANN401
    """The count at `path`, or None where it is missing or is none."""
    for step in path:
        source = source.get(step) if isinstance(source, Mapping) else None
    return source if isinstance(source, int) and not isinstance(source, bool) and source >= 0 else None


def figure(value: Any) -> int | float | None:  # noqa: ANN401
    """A number, also one that comes as a text; None for what is none, or has no end."""
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,30}(\.[0-9]{1,30})?", value):
        return float(value) if "." in value else int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if isinstance(value, int) or math.isfinite(value) else None


def entries(source: Any) -> list[Mapping[str, Any]]:  # noqa: ANN401
    """The objects of a list; nothing where it is no list."""
    return [item for item in source if isinstance(item, Mapping)] if isinstance(source, list) else []


def texts(source: Any) -> list[str]:  # noqa: ANN401
    """The texts of a list; nothing where it is no list."""
    return [item for item in source if isinstance(item, str) and item] if isinstance(source, list) else []


def moment(source: Any, *path: str) -> str | None:  # noqa: ANN401
    """The time at `path` in RFC 3339, in UTC: the Graph writes `+0000`, and at times seconds since 1970. None for what
    is no time."""
    for step in path:
        source = source.get(step) if isinstance(source, Mapping) else None
    told = str(source) if isinstance(source, int | str) and not isinstance(source, bool) else ""
    try:
        found = datetime.fromtimestamp(int(told), UTC) if _SECONDS.fullmatch(told) else datetime.fromisoformat(told)
        return found.astimezone(UTC).isoformat().replace("+00:00", "Z") if found.tzinfo else None
    except (ValueError, OverflowError):
        return None


def party(source: Any) -> dict[str, str]:  # noqa: ANN401
    """Who wrote, or was written to, as PARTY has it."""
    return present((name, text(source, name)) for name in ("id", "name", "username", "email"))


def present(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Only what is there: a record leaves out what the provider left out."""
    return {name: value for name, value in pairs if value not in (None, [], {})}
