"""A fake Facebook on one origin, put together: dialog, tokens, Graph, and the control calls."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import MethodNotAllowed, NotFound

from broker.sandbox.control import CONTROL
from broker.sandbox.facebook import debug, dialog, nodes, seed, steering, steering_apps, stocking, tokens
from broker.sandbox.facebook.access import told_usage
from broker.sandbox.facebook.apps import Apps
from broker.sandbox.facebook.seed import World
from broker.sandbox.facebook.state import Facebook, facebook
from broker.sandbox.fake import TEMPLATES, installed
from broker.sandbox.faults import Bodies, Faults
from broker.sandbox.graph import GraphError, Versions, graph_error, ordered_error, outage, own_path, rate_limited

ORIGINS = ("https://www.facebook.com", "https://graph.facebook.com")

BLUEPRINTS = (
    dialog.PAGES,
    tokens.ENDPOINTS,
    debug.ENDPOINTS,
    CONTROL,
    steering.CONTROL,
    steering_apps.CONTROL,
    stocking.CONTROL,
    nodes.API,
)


def create_facebook(
    *,
    apps: Mapping[str, str] | None = None,
    clock: Callable[[], float] = time.time,
    quirks: Mapping[str, Any] | None = None,
    redirect_uris: Mapping[str, Sequence[str]] | None = None,
    world: Callable[[], World] = seed.world,
) -> Flask:
    """`clock`: seconds since 1970. `apps`: id → secret, the only ones then; else any app passes, with the secret that
    it shows first.

    `redirect_uris`: app id → those registered; an app without any may use any. `quirks`: those on at the start and
    after each reset. `world`: makes the people and Pages. Raises `BadQuirk`.
    """
    app = Flask(TEMPLATES)
    fake = Facebook(world=world, apps=lambda: Apps(apps, redirect_uris), clock=clock, quirks=quirks or {})
    installed(app, fake)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    app.before_request(_as_ordered)
    app.after_request(_told)
    app.register_error_handler(GraphError, graph_error)
    for kind in (NotFound, MethodNotAllowed):
        app.register_error_handler(kind, _unknown)
    layers = Faults(Versions(app.wsgi_app), fake, Bodies(outage, rate_limited))
    app.wsgi_app = layers  # type: ignore[method-assign]
    return app


def _control() -> bool:
    return request.path.startswith("/_sandbox")


def _as_ordered() -> None:
    if not _control():
        ordered_error(facebook().quirks, own_path(), request.path)


def _told(response: Response) -> Response:
    return response if _control() or request.path.startswith("/dialog/") else told_usage(response)


def _unknown(error: NotFound | MethodNotAllowed) -> Response:
    """Graph says so with its own error object."""
    if isinstance(error, MethodNotAllowed):
        message = f"Unsupported {request.method.lower()} request."
        return graph_error(GraphError(100, message, kind="GraphMethodException"))
    return graph_error(GraphError(2500, f"Unknown path components: {request.path}"))
