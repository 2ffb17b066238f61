"""`/openapi.json`: OpenAPI 3.1, made from the routes themselves, and from the few pages that are no API by hand."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from flask import Blueprint, Response, jsonify, render_template
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from broker import __version__, clients
from broker.errors import BrokerError, Forbidden, NotFound, TooLarge, Unauthorized, Unavailable, UnsupportedMediaType
from broker.web import events_openapi, google_events_openapi, portal_openapi, webhooks_openapi
from broker.web.answers import Problem
from broker.web.callers import the_broker
from broker.web.routes import LONGEST_KEY, ROUTES, Route

openapi = Blueprint("openapi", __name__)

PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
FORM = "application/x-www-form-urlencoded"
OAUTH_ERROR = {
    "type": "object",
    "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
    "required": ["error"],
}


@openapi.get("/openapi.json")
def served() -> Response:
    """This very document, for the broker's own address."""
    return jsonify(document(the_broker().settings.public_url))


@openapi.get("/docs")
def shown() -> str:
    """The same for people, without script."""
    described = document(the_broker().settings.public_url)
    return render_template("docs.html", locale="en", info=described["info"], paths=described["paths"])


def document(public_url: str) -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(_path(route.rule), {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Third-party integration broker",
            "version": __version__,
            "description": "Links accounts, and passes data on only within what the user granted.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": public_url}],
        "paths": {**paths, **_by_hand()},
        "webhooks": events_openapi.webhooks(),
        "components": {"schemas": _schemas(), "securitySchemes": _security(public_url)},
    }


def _path(rule: str) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule)


def _operation(route: Route) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "security": [{"oauth2": [route.scope] if route.scope else []}],
        "parameters": [*_in_path(route.rule), *_in_query(route.query), *_headers(route.method)],
        "responses": {**_answers(route.answers), **_problems(_errors(route))},
    }
    if route.body is not None:
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(route.body)}}}
    return described


def _errors(route: Route) -> Iterable[type[BrokerError]]:
    return (*route.errors, TooLarge, UnsupportedMediaType) if route.body is not None else (*route.errors, TooLarge)


def _in_path(rule: str) -> list[dict[str, Any]]:
    names = re.findall(r"<(?:\w+:)?(\w+)>", rule)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _in_query(query: type[BaseModel] | None) -> list[dict[str, Any]]:
    members = query.model_json_schema().get("properties", {}) if query else {}
    return [{"name": name, "in": "query", "schema": schema} for name, schema in members.items()]


def _headers(method: str) -> list[dict[str, Any]]:
    """A repetition with the same key is answered as the first was, for a day."""
    if method == "GET":
        return []
    schema = {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[ -~]+$"}
    return [{"name": "Idempotency-Key", "in": "header", "schema": schema}]


def _answers(answers: Mapping[int, Any]) -> dict[str, Any]:
    return {
        str(status): {"description": "Done."}
        | ({"content": {"application/json": {"schema": _schema(model)}, **_also(model)}} if model else {})
        for status, model in answers.items()
    }


def _also(model: Any) -> dict[str, Any]:  # noqa: ANN401 - a model or a union of models
    """Another form in which the same is answered."""
    extra = getattr(model, "model_config", {}).get("json_schema_extra", {})
    return {extra["x-also"]: {"schema": {"type": "string"}}} if "x-also" in extra else {}


def _problems(errors: Iterable[type[BrokerError]]) -> dict[str, Any]:
    by_status: dict[int, set[str]] = {}
    for error in errors:
        for status in (error.status, *error.also):
            by_status.setdefault(status, set()).add(error.code)
    return {
        str(status): {"description": f"Code {', '.join(sorted(codes))}.", "content": PROBLEM}
        for status, codes in sorted(by_status.items())
    }


def _schema(model: Any) -> dict[str, Any]:  # noqa: ANN401 - a model or a union of models
    members = get_args(model)
    return {"anyOf": [_ref(member) for member in members]} if members else _ref(model)


def _ref(model: type[BaseModel]) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _schemas() -> dict[str, Any]:
    sent = {route.body for route in ROUTES if route.body is not None}
    answered = {
        member
        for route in ROUTES
        for model in route.answers.values()
        if model
        for member in (get_args(model) or (model,))
    }
    models = [(model, "validation") for model in sent] + [(model, "serialization") for model in answered | {Problem}]
    ordered = sorted(models, key=lambda pair: pair[0].__name__)
    _, schema = models_json_schema(ordered, ref_template="#/components/schemas/{model}")
    definitions: dict[str, Any] = schema["$defs"]
    return definitions


def _security(public_url: str) -> dict[str, Any]:
    flow = {"tokenUrl": f"{public_url}/oauth/token", "scopes": {scope: scope for scope in clients.SCOPES}}
    return {
        "oauth2": {"type": "oauth2", "flows": {"clientCredentials": flow}},
        "monitor": {"type": "http", "scheme": "bearer", "description": "BROKER_METRICS_TOKEN."},
        "client": {"type": "http", "scheme": "basic", "description": "A client's id and secret."},
    }


def _by_hand() -> dict[str, Any]:
    """OAuth's own endpoints, and what a browser or a monitor asks."""
    page = {"content": {"text/html": {"schema": {"type": "string"}}}}
    seen, moved = {"description": "A page.", **page}, {"description": "On to the provider, or back."}
    refused = {"description": "A page that says what to do.", **page}
    ticket = [{"name": "ticket", "in": "path", "required": True, "schema": {"type": "string"}}]
    facts = {"content": {"application/json": {"schema": {"type": "object"}}}}
    return {
        "/oauth/token": {"post": _form("issue_token", "An access token (RFC 6749 §4.4)", ("grant_type",), facts)},
        "/oauth/revoke": {"post": _form("revoke_token", "End a connection or a token (RFC 7009)", ("token",), {})},
        "/oauth/introspect": {"post": _form("introspect_token", "What a token is worth (RFC 7662)", ("token",), facts)},
        "/.well-known/oauth-authorization-server": {"get": _fact("oauth_metadata", "RFC 8414 metadata", facts)},
        "/oauth/jwks": {"get": _fact("signing_keys", "The keys by which receipts verify (RFC 7517)", facts)},
        "/openapi.json": {"get": _fact("openapi", "This document", facts)},
        "/docs": {"get": {"operationId": "docs", "summary": "This document for people", "responses": {"200": seen}}},
        "/metrics": {"get": _metrics()},
        "/healthz": {"get": _fact("alive", "Whether this process is alive", facts)},
        "/readyz": {
            "get": _fact("ready", "Whether it can serve", facts, {"503": {"description": "It cannot.", **facts}})
        },
        "/connect/{ticket}": {
            "get": {
                "operationId": "consent_page",
                "summary": "The consent page",
                "parameters": ticket,
                "responses": {"200": seen, "400": refused, "502": refused, "503": refused},
            },
            "post": {
                "operationId": "consent_decision",
                "summary": "The user's decision",
                "parameters": ticket,
                "responses": {"303": moved, "400": refused, "413": refused, "502": refused, "503": refused},
            },
        },
        "/callback/{provider}": {"get": _callback("callback", ("provider",), moved, refused)},
        "/callback/{provider}/{app_id}": {"get": _callback("own_callback", ("provider", "app_id"), moved, refused)},
        "/deletion/{code}": {
            "get": {
                "operationId": "deletion_status",
                "summary": "How a deletion stands that was asked for at the provider",
                "security": [],
                "parameters": _named(("code",)),
                "responses": {"200": seen, "400": refused, "404": refused, "503": refused},
            }
        },
        **portal_openapi.paths(),
        **_hooks(facts),
        **webhooks_openapi.paths(),
        **google_events_openapi.paths(),
    }


def _hooks(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What Facebook and Instagram send, to the app that all share and to a tenant's own."""
    found: dict[str, Any] = {}
    for own, path in (("", ("provider",)), ("own_", ("provider", "app_id"))):
        below = "/hooks/" + "/".join(f"{{{name}}}" for name in path)
        removed = _hook(f"{own}deauthorize", "A user removed the app at the provider", path, {})
        deleted = _hook(f"{own}deletion", "A user asks for deletion at the provider", path, facts)
        found |= {f"{below}/deauthorize": {"post": removed}, f"{below}/deletion": {"post": deleted}}
    return found


def _hook(name: str, summary: str, path: tuple[str, ...], answer: Mapping[str, Any]) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {"signed_request": {"type": "string"}},
        "required": ["signed_request"],
    }
    return {
        "operationId": name,
        "summary": summary,
        "security": [],
        "parameters": _named(path),
        "requestBody": {"required": True, "content": {FORM: {"schema": schema}}},
        "responses": {
            "200": {"description": "Taken, whether the user is known here or not.", **answer},
            **_problems((NotFound, TooLarge, Unavailable)),
            "400": {"description": "Code invalid_request: not signed for this address.", "content": PROBLEM},
        },
    }


def _named(path: tuple[str, ...]) -> list[dict[str, Any]]:
    return [{"name": part, "in": "path", "required": True, "schema": {"type": "string"}} for part in path]


def _callback(name: str, path: tuple[str, ...], moved: Mapping[str, Any], refused: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": "The provider's answer",
        "parameters": _named(path),
        "responses": {"303": moved, "400": refused, "502": refused, "503": refused},
    }


def _metrics() -> dict[str, Any]:
    text = {"content": {"text/plain": {"schema": {"type": "string"}}}}
    return {
        "operationId": "metrics",
        "summary": "What is counted, in Prometheus' form",
        "security": [{"oauth2": ["admin"]}, {"monitor": []}, {}],
        "responses": {"200": {"description": "Metrics.", **text}, **_problems((Unauthorized, Forbidden, Unavailable))},
    }


def _form(name: str, summary: str, required: tuple[str, ...], answer: Mapping[str, Any]) -> dict[str, Any]:
    fields = {
        field: {"type": "string"} for field in (*required, "scope", "client_id", "client_secret", "token_type_hint")
    }
    schema = {"type": "object", "properties": fields, "required": list(required)}
    error = {"content": {"application/json": {"schema": OAUTH_ERROR}}}
    return {
        "operationId": name,
        "summary": summary,
        "security": [{"client": []}, {}],
        "requestBody": {"required": True, "content": {FORM: {"schema": schema}}},
        "responses": {
            "200": {"description": "Done.", **answer},
            "400": {"description": "The request is not valid.", **error},
            "401": {"description": "The client is not known by this secret.", **error},
            "413": {"description": "Code too_large.", "content": PROBLEM},
            "503": {"description": "It could not be made durable.", "content": PROBLEM},
        },
    }


def _fact(name: str, summary: str, answer: Mapping[str, Any], more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    responses = {"200": {"description": summary + ".", **answer}, **(more or {})}
    return {"operationId": name, "summary": summary, "security": [], "responses": responses}
