"""A fake Google on one origin, put together: accounts, consent, tokens, People, Calendar, and the control interface.

Its issuer, audiences and endpoints keep Google's names; only the origin map tells where it is.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Flask

from broker.sandbox import calendar, consent, control, people, seed, tokens
from broker.sandbox.envelopes import ApiError
from broker.sandbox.faults import Faults
from broker.sandbox.seed import Account
from broker.sandbox.state import Google

ORIGINS = (
    "https://accounts.google.com",
    "https://oauth2.googleapis.com",
    "https://www.googleapis.com",
    "https://openidconnect.googleapis.com",
    "https://people.googleapis.com",
)


def create_google(
    *,
    accounts: Sequence[Account] | None = None,
    clock: Callable[[], float] = time.time,
    clients: Mapping[str, str] | None = None,
    projects: Mapping[str, str] | None = None,
    quirks: Mapping[str, Any] | None = None,
) -> Flask:
    """`clock`: seconds since 1970. `clients`: id → secret, the only ones then; else any pair passes.

    `projects`: client id → Cloud project, for clients that share one; others have their own. `quirks`: those on at the
    start and after each reset. Raises `BadQuirk`.
    """
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 1024 * 1024
    fake = Google(
        accounts=seed.accounts() if accounts is None else accounts,
        clock=clock,
        clients=clients,
        projects=projects or {},
        quirks=quirks or {},
    )
    app.extensions["google"] = fake
    for blueprint in (consent.PAGES, tokens.ENDPOINTS, people.API, calendar.API, control.CONTROL):
        app.register_blueprint(blueprint)
    app.register_error_handler(ApiError, tokens.api_error)
    app.wsgi_app = Faults(app.wsgi_app, fake)  # type: ignore[method-assign]
    return app
