"""The relay (contract §4): the provider's own paths below one of the broker's, for existing client libraries."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import MethodNotAllowed as WerkzeugMethodNotAllowed

from broker import relay, strict_json
from broker.clients import Caller
from broker.errors import (
    AssetRequired,
    ConnectionRevoked,
    ConnectionSuspended,
    GrantWithdrawn,
    InsufficientScope,
    InvalidRequest,
    MethodNotAllowed,
    NotGranted,
    OperationDenied,
    ProviderUnavailable,
    RateLimited,
    ReconnectRequired,
    UnsupportedMediaType,
)
from broker.web import answers
from broker.web.callers import the_broker
from broker.web.guarded import Guarded
from broker.web.routes import route

relaying = Blueprint("relaying", __name__)

RULE = "/v1/connections/<connection_id>/relay/<connector>/<path:target>"
OVERRIDES = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")
"""They would have a provider take one method for another (docs/facts/security.md INP-22)."""
ERRORS = (
    AssetRequired,
    ConnectionRevoked,
    ConnectionSuspended,
    GrantWithdrawn,
    InsufficientScope,
    MethodNotAllowed,
    NotGranted,
    OperationDenied,
    ProviderUnavailable,
    RateLimited,
    ReconnectRequired,
)


@route(relaying, "GET", RULE, scope="relay", query=None, answers={200: answers.Raw}, errors=ERRORS)
def relay_get(client: Caller, connection_id: str, connector: str, target: str) -> Response:  # noqa: ARG001
    """A declared operation in the provider's own form, cut to what the user granted."""
    if request.content_length or "Transfer-Encoding" in request.headers:
        raise InvalidRequest("A reading by GET takes no body.", status=400)
    return _relayed(client, connection_id, connector, None)


@route(
    relaying,
    "POST",
    RULE,
    scope="relay",
    query=None,
    answers={200: answers.Raw},
    errors=(*ERRORS, UnsupportedMediaType),
    changes=False,
)
def relay_post(client: Caller, connection_id: str, connector: str, target: str) -> Response:  # noqa: ARG001
    """A declared operation that reads by POST, such as a report of Google Analytics."""
    return _relayed(client, connection_id, connector, _body())


def _relayed(client: Caller, connection_id: str, connector: str, body: Mapping[str, Any] | None) -> Response:
    """By the target as it came: what Flask has decoded could be read in two ways."""
    if request.method == "HEAD":
        raise WerkzeugMethodNotAllowed(["GET", "POST"])
    if any(name in request.headers for name in OVERRIDES):
        raise OperationDenied("A method is said by the request line alone.")
    broker, prefix = the_broker(), relay.prefix(connection_id, connector)
    asked = relay.read(request.method, str(request.environ.get("RAW_URI", "")), prefix, body)
    try:
        found = relay.relayed(broker, client, connection_id, connector, asked)
    except MethodNotAllowed:
        raise WerkzeugMethodNotAllowed(["GET"]) from None  # its answer has the header Allow
    return Guarded(broker, found.standing, found.document)


def _body() -> Mapping[str, Any]:
    """Raises `UnsupportedMediaType`, `InvalidRequest`."""
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("Send the body as application/json in UTF-8.")
    try:
        body = strict_json.parse(request.get_data())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise InvalidRequest("The body is not a JSON object.", status=400)
    return body
