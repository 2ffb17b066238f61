"""What holds for every request: its name, its protective headers, its line in the log and its place in the metrics."""

import logging
import secrets
import time

from flask import Flask, Response, g, request

from broker import logs, metrics
from broker.errors import InvalidRequest
from broker.web.callers import the_broker

log = logging.getLogger("broker.web")


def install(app: Flask) -> None:
    app.before_request(_receive)
    app.after_request(_protect)
    app.after_request(_observe)


def _receive() -> None:
    """Name the request; refuse targets that a proxy and we could read differently (INP-06, INP-70)."""
    g.began = time.monotonic()
    g.request_id = secrets.token_hex(8)
    logs.begin_request(g.request_id, request.headers.get("traceparent", ""))
    unplain = request.script_root or not str(request.environ.get("RAW_URI", "/")).startswith("/")
    if unplain or "\0" in request.path:  # PostgreSQL holds no NUL: asked for one, it fails
        raise InvalidRequest("The request target is malformed.", status=400)


def _protect(response: Response) -> Response:
    """Headers of contract §2 on every answer (docs/facts/security.md STD-13)."""
    form_action = g.get("form_action", "'self'")
    response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action {form_action}"
    )
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers["X-Request-Id"] = g.get("request_id", "")
    if request.is_secure or the_broker().settings.production:
        response.headers["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
    return response


def _observe(response: Response) -> Response:
    """By the route's rule, never by the path: that may hold a one-time code."""
    rule = request.url_rule.rule if request.url_rule else "none"
    seconds = time.monotonic() - g.began
    metrics.REQUESTS.labels(request.method, rule, response.status_code).inc()
    metrics.SECONDS.labels(rule).observe(seconds)
    facts = {"method": request.method, "route": rule, "status": response.status_code, "ms": round(seconds * 1000, 1)}
    log.info("answered", extra={**facts, "client_id": g.get("client_id")})
    return response
