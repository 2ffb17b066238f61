"""How Instagram words what goes wrong: flat at the code exchange, in the Graph's envelope elsewhere.

docs/facts/meta.md §3.1, §6.1.
"""

from typing import Any

from broker.sandbox import graph
from broker.sandbox.graph import Body, GraphError, Headers

EXCHANGE = "/oauth/access_token"
"""On api.instagram.com."""

API = "IGApiException"
"""The type of errors that are no matter of authorization."""


def flat(code: int, message: str) -> Body:
    """Of the code exchange: not in the Graph's envelope."""
    return {"error_type": "OAuthException", "code": code, "error_message": message}


def bad(message: str) -> GraphError:
    """100."""
    return graph.bad_parameter(message, kind=API)


def wrong_method(method: str) -> GraphError:
    """What a call by another method ends with, a refresh by POST among them (§8 H11)."""
    return GraphError(100, f"Unsupported request - method type: {method.lower()}", kind=API)


def outage(path: str, status: int) -> Body:
    if path == EXCHANGE:
        return flat(status, "An unknown error occurred")
    return graph.outage(path, status)


def rate_limited(path: str, limit: Any) -> tuple[int, Body, Headers]:  # noqa: ANN401 - any JSON
    """As Graph does it; what a professional account uses counts for `instagram`."""
    status, body, headers = graph.rate_limited(path, limit)
    if path == EXCHANGE:
        return status, flat(status, "Too many calls"), []
    code = body["error"]["code"]
    if code >= 80000:  # business use cases (§6.1)
        given = limit if isinstance(limit, dict) else {}
        usage = {"percent": given.get("percent", 100), "minutes": given.get("minutes", 5)}
        headers = [graph.business_usage(graph.digits(17, path), "instagram", **usage)]
    return status, body, headers
