"""The one place that turns an error into an answer: a problem document (RFC 9457), or a page for a browser.

Whatever was not raised on purpose is a bare 500 with the request id; its text goes to the log alone.
"""

import logging
from typing import Any

from flask import Flask, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed as WerkzeugMethodNotAllowed

from broker import metrics
from broker.errors import (
    BrokerError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    RateLimited,
    TooLarge,
    Unauthorized,
    UnsupportedMediaType,
)

log = logging.getLogger("broker.web")

TYPE = "urn:broker:problem:"


def install(app: Flask) -> None:
    app.register_error_handler(BrokerError, answered)
    app.register_error_handler(HTTPException, _of_werkzeug)
    app.register_error_handler(Exception, _unexpected)


def answered(error: BrokerError) -> Response:
    """The problem document of contract §2."""
    metrics.PROBLEMS.labels(error.code).inc()
    body = document(error)
    response = jsonify(body)
    response.status_code = error.status
    response.content_type = "application/problem+json"
    if isinstance(error, Unauthorized):
        response.headers["WWW-Authenticate"] = 'Bearer realm="broker", error="invalid_token"'
    if "retry_after" in error.members:
        response.headers["Retry-After"] = str(error.members["retry_after"])
    elif error.status == 503 and not isinstance(error, RateLimited):
        response.headers["Retry-After"] = "1"
    return response


def document(error: BrokerError) -> dict[str, Any]:
    return {
        "type": TYPE + error.code,
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "retryable": error.retryable,
        "request_id": g.request_id,
        **error.members,
    }


def of_werkzeug(error: HTTPException) -> BrokerError:
    """The broker's error for what Flask itself refuses."""
    if isinstance(error, WerkzeugMethodNotAllowed):
        return MethodNotAllowed(f"{request.method} is not allowed here.")
    mapped = {404: NotFound, 413: TooLarge, 415: UnsupportedMediaType}
    if error.code in mapped:
        kind = mapped[error.code]
        return kind() if kind is NotFound else kind("The request was refused.")
    return InvalidRequest("The request is malformed.", status=400)


def _of_werkzeug(error: HTTPException) -> Response:
    response = answered(of_werkzeug(error))
    if isinstance(error, WerkzeugMethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


def fault_of_ours(error: Exception) -> BrokerError:
    """For what was not raised on purpose. The log says which kind and where; never with values, which could be
    secrets."""
    log.error("unexpected %s in request %s", type(error).__qualname__, g.request_id, exc_info=error)
    fault = BrokerError("An error of ours. Name the request id when you report it.", status=500)
    fault.code, fault.title = "internal_error", "The broker failed"
    return fault


def _unexpected(error: Exception) -> Response:
    return answered(fault_of_ours(error))
