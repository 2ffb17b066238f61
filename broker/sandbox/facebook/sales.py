"""Lead forms with their leads, and conversations with their messages (docs/facts/meta.md §4.1)."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from flask import Response, jsonify, request

from broker.sandbox.facebook.access import Caller, demand_of_page
from broker.sandbox.facebook.permissions import DIRECT, FORMS, LEADS, MESSENGER
from broker.sandbox.facebook.reading import edge, fields_of, flat, nested
from broker.sandbox.facebook.seed import Page
from broker.sandbox.facebook.seed_sales import PLATFORMS, customer
from broker.sandbox.facebook.state import facebook
from broker.sandbox.graph import bad_parameter, not_found
from broker.sandbox.graph_fields import Field, check, shown
from broker.sandbox.graph_paging import Record, Series

FORM_FIELDS = frozenset(
    {"id", "name", "status", "locale", "created_time", "page_id", "questions", "leads_count", "leads"}
)
AD_FIELDS = ("ad_id", "ad_name", "adset_id", "adset_name", "campaign_id", "campaign_name")
LEAD_DEFAULT = ("created_time", "id", "field_data")
LEAD_FIELDS = frozenset({"id", "created_time", "form_id", "field_data", "is_organic", "platform", *AD_FIELDS})
TALK_FIELDS = frozenset(
    {
        *("id", "link", "updated_time", "snippet", "message_count", "unread_count", "can_reply"),
        *("participants", "senders", "messages"),
    }
)
MESSAGE_FIELDS = frozenset({"id", "created_time", "message", "from", "to", "attachments"})
OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "GREATER_THAN": lambda at, given: at > given,
    "GREATER_THAN_OR_EQUAL": lambda at, given: at >= given,
    "LESS_THAN": lambda at, given: at < given,
    "LESS_THAN_OR_EQUAL": lambda at, given: at <= given,
}


# --- leads ---------------------------------------------------------------------------------------------------


def forms(found: Caller, page: Page) -> Response:
    demand_of_page(found, page, FORMS, task="ADVERTISE", code=200)
    fields = _form_fields(found, page)
    return jsonify(
        edge(page.forms, f"{page.id}/leadgen_forms", lambda n, record: _form(found, page, n, record, fields))
    )


def form(found: Caller, page: Page, number: int) -> Response:
    record = page.forms.get(number) or _lost(f"{number}")
    demand_of_page(found, page, FORMS, by_user=True, code=200)
    return jsonify(_form(found, page, number, record, _form_fields(found, page)))


def _form_fields(found: Caller, page: Page) -> tuple[Field, ...]:
    """Leads and their count need what the leads need."""
    fields = fields_of(("id", "locale", "name", "status"), FORM_FIELDS, "LeadGenData")
    if any(field.name in ("leads", "leads_count") for field in fields):
        demand_of_page(found, page, _leads_need(), by_user=True, code=200)
    return fields


def _form(found: Caller, page: Page, number: int, record: Record, fields: Sequence[Field]) -> Record:
    answer = shown({**record, "leads_count": len(page.leads(number))}, [f for f in fields if f.name != "leads"])
    for field in fields:
        if field.name == "leads":
            inner = field.fields or tuple(Field(name) for name in LEAD_DEFAULT)
            check(inner, LEAD_FIELDS, "UserLeadGenInfo")
            shape = flat(_visible(found, inner))
            answer["leads"] = nested(page.leads(number), f"{record['id']}/leads", field, shape)
    return answer


def _leads_need() -> tuple[str, ...]:
    lenient = facebook().quirks.get("leads_without_ads")
    return tuple(name for name in LEADS if not (lenient and name == "ads_management"))


def leads(found: Caller, page: Page, form_number: int) -> Response:
    """By a Page token or the person's own."""
    record = page.forms.get(form_number) or _lost(f"{form_number}")
    demand_of_page(found, page, _leads_need(), by_user=True, code=200)
    fields, series = _lead_fields(found), page.leads(form_number)
    timely = _filtering()
    path = f"{record['id']}/leads"
    return jsonify(edge(series, path, flat(fields), most=500, chosen=lambda number: timely(series.at(number))))


def lead(found: Caller, page: Page, form_number: int, number: int) -> Response:
    demand_of_page(found, page, _leads_need(), by_user=True, code=200)
    record = page.leads(form_number).get(number) or _lost(f"{number}")
    return jsonify(shown(record, _lead_fields(found)))


def _lead_fields(found: Caller) -> tuple[Field, ...]:
    return _visible(found, fields_of(LEAD_DEFAULT, LEAD_FIELDS, "UserLeadGenInfo"))


def _visible(found: Caller, fields: Sequence[Field]) -> tuple[Field, ...]:
    """Those of the ad are silently absent without ads_management."""
    open_ads = "ads_management" in found.grant.granted
    return tuple(field for field in fields if open_ads or field.name not in AD_FIELDS)


def _filtering() -> Callable[[float], bool]:
    """`filtering=[{"field": "time_created", "operator": "GREATER_THAN", "value": 1793498400}]`."""
    try:
        rules = json.loads(request.args.get("filtering") or "[]")
        tests = [(OPERATORS[rule["operator"]], float(rule["value"])) for rule in rules]
        fields = {rule["field"] for rule in rules}
    except (ValueError, TypeError, KeyError):
        raise bad_parameter("Param filtering must be a list of field, operator and value") from None
    if not fields <= {"time_created"}:
        raise bad_parameter("Filtering field must be time_created")
    return lambda at: all(test(at, value) for test, value in tests)


def _lost(object_id: str) -> Any:  # noqa: ANN401 - it never returns
    raise not_found(object_id)


# --- conversations -------------------------------------------------------------------------------------------


def talks(found: Caller, page: Page) -> Response:
    """Without any paging by time."""
    platform = request.args.get("platform", "messenger").lower()
    if platform not in PLATFORMS:
        raise bad_parameter("Param platform must be one of {MESSENGER, INSTAGRAM}")
    _open_inbox(found, page, platform)
    fields = _talk_fields()

    def shape(number: int, record: Record) -> Record:
        return _talk(page, platform, number, record, fields)

    return jsonify(edge(page.talks[platform], f"{page.id}/conversations", shape, timed=False))


def _open_inbox(found: Caller, page: Page, platform: str) -> None:
    needed = MESSENGER if platform == "messenger" else DIRECT
    account = page.instagram[0] if page.instagram else None
    demand_of_page(found, page, needed, asset=account, task="MESSAGING")


def _talk_fields() -> tuple[Field, ...]:
    return fields_of(("id", "link", "updated_time"), TALK_FIELDS, "UnifiedThread")


def _talk(page: Page, platform: str, number: int, record: Record, fields: Sequence[Field]) -> Record:
    sides = {"data": [customer(platform, number), {"id": page.id, "name": page.name}]}
    plain = [field for field in fields if field.name != "messages"]
    found = shown({**record, "participants": sides, "senders": sides}, plain)
    for field in fields:
        if field.name == "messages":
            inner = field.fields or (Field("id"), Field("created_time"))
            check(inner, MESSAGE_FIELDS, "Message")
            found["messages"] = nested(page.messages(platform, number), f"{record['id']}/messages", field, flat(inner))
    return found


def talk(found: Caller, page: Page, platform: str, number: int) -> Response:
    _open_inbox(found, page, platform)
    record = page.talks[platform].get(number) or _lost(f"t_{number}")
    return jsonify(_talk(page, platform, number, record, _talk_fields()))


def messages(found: Caller, page: Page, platform: str, number: int) -> Response:
    _open_inbox(found, page, platform)
    record = page.talks[platform].get(number) or _lost(f"t_{number}")
    return jsonify(
        edge(page.messages(platform, number), f"{record['id']}/messages", flat(_message_fields()), timed=False)
    )


def message(found: Caller, page: Page, platform: str, talk_number: int, number: int) -> Response:
    _open_inbox(found, page, platform)
    series: Series = page.messages(platform, talk_number)
    record = (series.get(number) if page.talks[platform].get(talk_number) else None) or _lost(f"m_{number}")
    return jsonify(shown(record, _message_fields()))


def _message_fields() -> tuple[Field, ...]:
    return fields_of(("id", "created_time"), MESSAGE_FIELDS, "Message")
