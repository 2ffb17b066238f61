"""A route of the API: its scope, body, query and answers, said once; it is enforced and documented from that.

Without a scope said here there is no caller, and so no data; an answer that is not said here fails a test.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

from flask import Blueprint, Response, jsonify
from pydantic import BaseModel

from broker.errors import BrokerError, Forbidden, InvalidRequest, NotFound, Unauthorized, Unavailable
from broker.web import bodies
from broker.web.callers import caller

ALWAYS: tuple[type[BrokerError], ...] = (InvalidRequest, Unauthorized, Forbidden, NotFound, Unavailable)
"""What any route may answer."""
View = Callable[..., Any]


@dataclass(frozen=True)
class Route:
    """What is known of one route without calling it."""

    method: str
    rule: str
    name: str
    summary: str
    scope: str | None
    body: type[BaseModel] | None
    query: type[BaseModel] | None
    answers: Mapping[int, Any]
    """Status → model, or a union of models."""
    errors: tuple[type[BrokerError], ...]


ROUTES: list[Route] = []


def route(
    blueprint: Blueprint,
    method: str,
    rule: str,
    *,
    scope: str | None,
    answers: Mapping[int, Any],
    body: type[bodies.Body] | None = None,
    query: type[bodies.Query] = bodies.NoQuery,
    errors: tuple[type[BrokerError], ...] = (),
) -> Callable[[View], View]:
    """Register a view. It is called with `client`, the path's variables, and `given` (the body) and `asked` (the
    query) where it has one; it returns what is to be sent as JSON, or that and a status, or a response."""

    def decorate(view: View) -> View:
        @wraps(view)
        def answer(**path: str) -> Response | tuple[Response, int]:
            arguments: dict[str, Any] = {"client": caller(*([scope] if scope else [])), **path}
            asked = bodies.query(query)
            if query is not bodies.NoQuery:
                arguments["asked"] = asked
            if body is not None:
                arguments["given"] = bodies.body(body)
            return _response(view(**arguments))

        summary = (view.__doc__ or "").strip().splitlines()[0]
        ROUTES.append(Route(method, rule, view.__name__, summary, scope, body, query, answers, (*ALWAYS, *errors)))
        blueprint.add_url_rule(rule, view.__name__, answer, methods=[method])
        return view

    return decorate


def _response(answered: Any) -> Response | tuple[Response, int]:  # noqa: ANN401
    if isinstance(answered, Response):
        return answered
    if isinstance(answered, tuple):
        return jsonify(answered[0]), answered[1]
    return jsonify(answered)
