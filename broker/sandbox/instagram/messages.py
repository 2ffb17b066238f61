"""Conversations and messages (docs/facts/meta.md §4.3)."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from flask import request

from broker.sandbox.graph_fields import Field, Record, shown
from broker.sandbox.graph_paging import Series
from broker.sandbox.instagram import seed_messages
from broker.sandbox.instagram.access import Caller
from broker.sandbox.instagram.errors import bad
from broker.sandbox.instagram.permissions import MESSAGES
from broker.sandbox.instagram.reading import Specials, edge, expanded, fields_asked, filled, nested
from broker.sandbox.instagram.state import instagram

CONVERSATION = ("id", "updated_time", "participants", "messages")
MESSAGE = ("id", "created_time", "from", "to", "message")

IDLE = 30 * 24 * 3600
"""Seconds after which a conversation in the folder of requests is not returned."""


def conversations_edge(who: Caller) -> Record:
    """`/{ig-id}/conversations?platform=instagram`, the latest first."""
    who.permits(MESSAGES)
    if request.args.get("platform", "instagram") != "instagram":
        raise bad("platform must be instagram")
    fields = fields_asked(CONVERSATION, "UnifiedThread", ("id", "updated_time"))
    series = who.account.conversations

    def visible(number: int) -> bool:
        record = series.get(number)
        return record is not None and not idle_request(record)

    return edge(who, series, partial(_conversation, who, fields=fields), chosen=visible)


def idle_request(record: Record) -> bool:
    updated = datetime.fromisoformat(record["updated_time"]).timestamp()
    return record.get("folder") == "request" and updated < instagram().clock() - IDLE


def conversation_node(who: Caller, number: int, record: Record) -> Record:
    """Its messages only where `fields` asks for them."""
    who.permits(MESSAGES)
    return _conversation(who, number, record, fields_asked(CONVERSATION, "UnifiedThread", ("id", "updated_time")))


def _conversation(who: Caller, _number: int, record: Record, fields: Sequence[Field]) -> Record:
    specials: Specials = {"messages": partial(_messages_field, who, record)}
    return filled({**record, "participants": {"data": record["participants"]}}, fields, specials)


def _messages_field(who: Caller, record: Record, field: Field) -> Record | None:
    fields = nested(field, MESSAGE, "Message", ("id", "created_time"))
    shape = partial(_message, fields=fields)
    return expanded(who, Series.of(seed_messages.messages(record)), field, f"/{record['id']}/messages", shape)


def messages_edge(who: Caller, record: Record) -> Record:
    """`/{conversation}/messages`: where the pages of the expansion lead."""
    who.permits(MESSAGES)
    fields = fields_asked(MESSAGE, "Message", ("id", "created_time"))
    return edge(who, Series.of(seed_messages.messages(record)), partial(_message, fields=fields))


def message_node(who: Caller, record: Record) -> Record:
    who.permits(MESSAGES)
    return _message(0, record, fields_asked(MESSAGE, "Message", ("id", "created_time")))


def _message(_number: int, record: Record, fields: Sequence[Field]) -> Record:
    return shown({**record, "to": {"data": record["to"]}}, fields)
