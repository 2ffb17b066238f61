"""A fake Instagram on one origin, put together: accounts, consent, tokens, data, and the control calls.

www.instagram.com, api.instagram.com and graph.instagram.com share it; their paths do not collide. Every path of the
Graph stands under any version and under none.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Flask, Response, request

from broker.sandbox.control import CONTROL
from broker.sandbox.fake import TEMPLATES, installed
from broker.sandbox.faults import Bodies, Faults
from broker.sandbox.graph import GraphError, Versions, graph_error, not_found, ordered_error, own_path
from broker.sandbox.instagram import consent, errors, nodes, seed, steering, stocking, subscriptions, tokens
from broker.sandbox.instagram.apps import Apps
from broker.sandbox.instagram.seed import Account
from broker.sandbox.instagram.state import Instagram, instagram

ORIGINS = (
    "https://www.instagram.com",
    "https://api.instagram.com",
    "https://graph.instagram.com",
)

BLUEPRINTS = (
    consent.PAGES,
    tokens.EXCHANGE,
    tokens.TOKENS,
    nodes.API,
    subscriptions.SUBSCRIPTIONS,
    CONTROL,
    steering.CONTROL,
    stocking.CONTROL,
)


def create_instagram(
    *,
    accounts: Callable[[], Sequence[Account]] = seed.accounts,
    apps: Mapping[str, str] | None = None,
    clock: Callable[[], float] = time.time,
    quirks: Mapping[str, Any] | None = None,
    redirect_uris: Mapping[str, Sequence[str]] | None = None,
) -> Flask:
    """`apps`: Instagram app id → secret, the only ones then; else any pair passes. `clock`: seconds since 1970.

    `redirect_uris`: app id → those registered; an app without any may use any. `quirks`: those on at the start and
    after each reset. Raises `BadQuirk`.
    """
    app = Flask(TEMPLATES)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    fake = Instagram(
        accounts=accounts,
        apps=lambda: Apps(apps, redirect_uris),
        clock=clock,
        quirks=quirks or {},
    )
    installed(app, fake)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    app.register_error_handler(GraphError, graph_error)
    app.register_error_handler(404, _unknown)
    app.register_error_handler(405, _wrong_method)
    app.before_request(_ordered)
    bodies = Bodies(errors.outage, errors.rate_limited)
    app.wsgi_app = Faults(Versions(app.wsgi_app), fake, bodies)  # type: ignore[method-assign]
    return app


def _ordered() -> None:
    """Raises the `GraphError` that a quirk has for this call."""
    if not request.path.startswith("/_sandbox"):
        ordered_error(instagram().quirks, *instagram().names_of(own_path()))


def _unknown(_: object) -> Response:
    return graph_error(not_found(request.path.strip("/").split("/")[0], request.method))


def _wrong_method(_: object) -> Response:
    return graph_error(errors.wrong_method(request.method))
