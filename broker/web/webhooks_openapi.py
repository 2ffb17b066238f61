"""What `/openapi.json` says of the webhooks of Facebook and Instagram: Meta calls them, and nobody else."""

from typing import Any

PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
TEXT = {"type": "string"}


def paths() -> dict[str, Any]:
    """The paths, by method, of the app that all share and of a tenant's own."""
    found: dict[str, Any] = {}
    for own, path in (("", ("provider",)), ("own_", ("provider", "app_id"))):
        address = "/hooks/" + "/".join(f"{{{name}}}" for name in path) + "/webhook"
        named = [_parameter(name, "path") for name in path]
        found[address] = {"get": _asked(f"{own}webhook_challenge", named), "post": _told(f"{own}webhook", named)}
    return found


def _asked(name: str, named: list[dict[str, Any]]) -> dict[str, Any]:
    query = [_parameter(f"hub.{part}", "query") for part in ("mode", "verify_token", "challenge")]
    return {
        "operationId": name,
        "summary": "Meta asks whether the address is ours",
        "security": [],
        "parameters": [*named, *query],
        "responses": {
            "200": {"description": "The challenge, as it came.", "content": {"text/plain": {"schema": TEXT}}},
            **_problems({"400": "Not such a question.", "403": "Another token.", "404": "No such webhook here."}),
            **_problems({"503": "Ask again."}),
        },
    }


def _told(name: str, named: list[dict[str, Any]]) -> dict[str, Any]:
    entries = {"type": "array", "items": {"type": "object"}}
    delivery = {"type": "object", "properties": {"object": TEXT, "entry": entries}, "required": ["object", "entry"]}
    return {
        "operationId": name,
        "summary": "A user took something back at the provider, or there is something new to read",
        "security": [],
        "parameters": [*named, _parameter("X-Hub-Signature-256", "header")],
        "requestBody": {"required": True, "content": {"application/json": {"schema": delivery}}},
        "responses": {
            "200": {"description": "Done, whether the user is known here or not."},
            **_problems({"400": "Not signed for this address, or no delivery.", "404": "No such webhook here."}),
            **_problems({"413": "Too large.", "503": "Not all of it is done: send it again."}),
        },
    }


def _parameter(name: str, place: str) -> dict[str, Any]:
    return {"name": name, "in": place, "required": True, "schema": TEXT}


def _problems(known: dict[str, str]) -> dict[str, Any]:
    return {status: {"description": text, "content": PROBLEM} for status, text in known.items()}
