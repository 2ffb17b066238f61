"""A fake Google on one origin, put together: accounts, consent, tokens, the data APIs, and the control calls.

Its issuer, audiences and endpoints keep Google's names; only the origin map tells where it is.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Flask

from broker.sandbox.control import CONTROL
from broker.sandbox.fake import TEMPLATES, installed
from broker.sandbox.faults import Bodies, Faults
from broker.sandbox.google import (
    analytics,
    business,
    calendar,
    consent,
    drive,
    endpoints,
    gmail,
    gmail_history,
    identity,
    people,
    people_others,
    security_events,
    seed,
    sheets,
    steering,
    steering_data,
)
from broker.sandbox.google.access import api_error
from broker.sandbox.google.clients import Clients
from broker.sandbox.google.envelopes import ApiError, outage, rate_limited
from broker.sandbox.google.grants import TokenError
from broker.sandbox.google.seed import Account
from broker.sandbox.google.state import Google

ORIGINS = (
    "https://accounts.google.com",
    "https://oauth2.googleapis.com",
    "https://www.googleapis.com",
    "https://openidconnect.googleapis.com",
    "https://people.googleapis.com",
    "https://gmail.googleapis.com",
    "https://sheets.googleapis.com",
    "https://analyticsadmin.googleapis.com",
    "https://analyticsdata.googleapis.com",
    "https://mybusinessaccountmanagement.googleapis.com",
    "https://mybusinessbusinessinformation.googleapis.com",
    "https://businessprofileperformance.googleapis.com",
    "https://risc.googleapis.com",
)

BLUEPRINTS = (
    consent.PAGES,
    endpoints.ENDPOINTS,
    identity.IDENTITY,
    people.API,
    people_others.API,
    calendar.API,
    gmail.API,
    gmail_history.API,
    drive.API,
    sheets.API,
    analytics.API,
    business.API,
    security_events.API,
    CONTROL,
    steering.CONTROL,
    steering_data.CONTROL,
    security_events.CONTROL,
)


def create_google(
    *,
    accounts: Sequence[Account] | None = None,
    clients: Mapping[str, str] | None = None,
    clock: Callable[[], float] = time.time,
    projects: Mapping[str, str] | None = None,
    quirks: Mapping[str, Any] | None = None,
    redirect_uris: Mapping[str, Sequence[str]] | None = None,
) -> Flask:
    """`clock`: seconds since 1970. `clients`: id → secret, the only ones then; else any pair passes.

    `projects`: client id → Cloud project, for clients that share one; others have their own. `redirect_uris`: client id
    → those registered; a client without any may use any. `quirks`: those on at the start and after each reset. Raises
    `BadQuirk`.
    """
    app = Flask(TEMPLATES)
    fake = Google(
        accounts=seed.accounts() if accounts is None else accounts,
        clients=lambda: Clients(clients, redirect_uris, projects),
        clock=clock,
        quirks=quirks or {},
        streams=security_events.Streams,
    )
    installed(app, fake)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    app.register_error_handler(ApiError, api_error)
    app.register_error_handler(TokenError, endpoints.refused)
    app.wsgi_app = Faults(app.wsgi_app, fake, Bodies(outage, rate_limited))  # type: ignore[method-assign]
    return app
