"""Events to the sales app, as the `webhooks` of OpenAPI 3.1: what a receiver gets (contract §7)."""

from typing import Any

from broker.events import TYPES

SIGNED = ("webhook-id", "webhook-timestamp", "webhook-signature")
TEXT = {"type": "string"}
TIME = {"type": "string", "format": "date-time"}
LIST = {"type": "array", "items": TEXT}
MEMBERS: dict[str, dict[str, Any]] = {
    "tenant": TEXT,
    "subject": {"type": ["string", "null"]},
    "connection": {"type": ["string", "null"]},
    "source": {"enum": ["broker", "client", "operator", "provider", "subject"]},
    "scopes": LIST,
    "expires_at": TIME,
}
ALWAYS = ("tenant", "subject", "connection")


def webhooks() -> dict[str, Any]:
    """One a type, by its name."""
    return {name: {"post": _delivery(name, detail)} for name, detail in TYPES.items()}


def _delivery(name: str, detail: tuple[str, ...]) -> dict[str, Any]:
    data = {member: MEMBERS.get(member, TEXT) for member in (*ALWAYS, "source", *detail)}
    event = {
        "type": "object",
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": {"const": name},
            "timestamp": TIME,
            "data": {"type": "object", "required": list(ALWAYS), "properties": data},
        },
    }
    return {
        "operationId": f"event_{name.replace('.', '_')}",
        "summary": f"{name}, signed by Standard Webhooks",
        "parameters": [{"name": header, "in": "header", "required": True, "schema": TEXT} for header in SIGNED],
        "requestBody": {"required": True, "content": {"application/json": {"schema": event}}},
        "responses": {
            "2XX": {"description": "Delivered."},
            "410": {"description": "The endpoint is disabled."},
            "default": {"description": "It is tried again, for days."},
        },
    }
