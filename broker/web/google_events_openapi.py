"""What `/openapi.json` says of Google's security events: Google sends them, and nobody else."""

from typing import Any

PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
TEXT = {"type": "string"}
REFUSAL = {"type": "object", "properties": {"err": TEXT, "description": TEXT}, "required": ["err", "description"]}


def paths() -> dict[str, Any]:
    """The paths, by method, of the app that all share and of a tenant's own."""
    own = {"name": "app_id", "in": "path", "required": True, "schema": TEXT}
    return {
        "/hooks/google/events": {"post": _told("google_events", [])},
        "/hooks/google/{app_id}/events": {"post": _told("own_google_events", [own])},
    }


def _told(name: str, named: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": "A security event token of Google's (RFC 8417, RFC 8935)",
        "security": [],
        "parameters": named,
        "requestBody": {"required": True, "content": {"application/secevent+jwt": {"schema": TEXT}}},
        "responses": {
            "202": {"description": "Done and durable, whether the account is known here or not."},
            "400": {
                "description": "Not signed for this client, or no security event token.",
                "content": {"application/json": {"schema": REFUSAL}, **PROBLEM},
            },
            "404": {"description": "Google is not configured here.", "content": PROBLEM},
            "413": {"description": "Too large.", "content": PROBLEM},
            "503": {
                "description": "Google's keys cannot be had, or it is not durable: send it again.",
                "content": PROBLEM,
            },
        },
    }
