"""Logs: one JSON object a line in production, readable lines in development; each with the request it belongs to.

No message, path, query or body of a request stands in them, and of an unexpected exception only its kind and where it
was raised: its text could hold a value (docs/facts/security.md G-1).
"""

import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

import structlog
from structlog.contextvars import bind_contextvars, clear_contextvars

TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")
"""W3C Trace Context, version 00."""

Event = MutableMapping[str, Any]


def configure(*, production: bool) -> None:
    """For the whole process, libraries' loggers included. Replaces what was there."""
    handler = logging.StreamHandler(sys.stderr)
    renderer: Any = structlog.processors.JSONRenderer() if production else structlog.dev.ConsoleRenderer()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(),
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _where_raised, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in ("gunicorn.error", "gunicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


def begin_request(request_id: str, traceparent: str) -> None:
    """What every line of this request carries."""
    clear_contextvars()
    bind_contextvars(request_id=request_id)
    if found := TRACEPARENT.fullmatch(traceparent):
        bind_contextvars(trace_id=found[1], parent_id=found[2])


def _where_raised(_logger: Any, _method: str, event: Event) -> Event:  # noqa: ANN401 - structlog's
    """An exception's kind and frames, without its text and without values."""
    given = event.pop("exc_info", None)
    error = given[1] if isinstance(given, tuple) else given if isinstance(given, BaseException) else None
    if error is not None:
        frames = traceback.extract_tb(error.__traceback__)
        event["exception"] = type(error).__qualname__
        event["frames"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return event
