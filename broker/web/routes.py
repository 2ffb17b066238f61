"""A route of the API: its scope, body, query and answers, said once; it is enforced and documented from that.

Without a scope said here there is no caller, and so no data; an answer that is not said here fails a test.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

from flask import Blueprint, Response, current_app, g, jsonify, request
from pydantic import BaseModel

from broker import idempotency
from broker.clients import Caller
from broker.errors import BrokerError, Forbidden, InvalidRequest, NotFound, Unauthorized, Unavailable
from broker.vault import lp
from broker.web import bodies, problems
from broker.web.callers import caller, the_broker

ALWAYS: tuple[type[BrokerError], ...] = (InvalidRequest, Unauthorized, Forbidden, NotFound, Unavailable)
"""What any route may answer."""
LONGEST_KEY = 255
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
    """Status → model, or a union of models; None: no body."""
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
    query: type[bodies.Query] | None = bodies.NoQuery,
    errors: tuple[type[BrokerError], ...] = (),
    changes: bool = True,
) -> Callable[[View], View]:
    """Register a view. It is called with `client`, the path's variables, and `given` (the body) and `asked` (the
    query) where it has one; it returns what is to be sent as JSON, or that and a status, or a response. A query of None
    is the view's own to read. What `changes` nothing is answered anew each time, whatever the `Idempotency-Key`."""

    def decorate(view: View) -> View:
        @wraps(view)
        def answer(**path: str) -> Response | tuple[Response, int]:
            arguments: dict[str, Any] = {"client": caller(*([scope] if scope else [])), **path}
            asked = bodies.query(query) if query else None
            if query not in (None, bodies.NoQuery):
                arguments["asked"] = asked
            if body is not None:
                arguments["given"] = bodies.body(body)
            key = request.headers.get("Idempotency-Key")
            if key is None or method == "GET" or not changes:
                return _response(view(**arguments))
            return _once(arguments["client"], key, lambda: view(**arguments))

        summary = (view.__doc__ or "").strip().splitlines()[0]
        ROUTES.append(Route(method, rule, view.__name__, summary, scope, body, query, answers, (*ALWAYS, *errors)))
        blueprint.add_url_rule(rule, view.__name__, answer, methods=[method])
        return view

    return decorate


def _once(client: Caller, key: str, view: Callable[[], Any]) -> Response:
    """RFC-to-be `Idempotency-Key`: a repetition gets the first answer, down to its request id."""
    if not 1 <= len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
        problem = {"field": "Idempotency-Key", "problem": f"1 to {LONGEST_KEY} printable characters"}
        raise InvalidRequest("The Idempotency-Key is not valid.", status=400, errors=[problem])

    def act(claim: idempotency.Claim) -> idempotency.Kept:
        g.idempotent = claim.id
        try:
            response = current_app.make_response(_response(view()))
        except BrokerError as error:
            response = problems.answered(error)
        return idempotency.Kept(response.status_code, response.get_data(as_text=True), response.content_type)

    sent = lp(request.method, request.full_path, request.get_data())
    kept = idempotency.once(the_broker(), client.client_id, key, hashlib.sha256(sent).digest(), act)
    return Response(kept.body, status=kept.status, content_type=kept.content_type)


def _response(answered: Any) -> Response | tuple[Response, int]:  # noqa: ANN401
    if isinstance(answered, Response):
        return answered
    if isinstance(answered, tuple):
        return jsonify(answered[0]), answered[1]
    return jsonify(answered)
