"""What tests do at the fake Facebook: connect, and look at what it was asked."""

from typing import Any

from tests.house import Browser, SalesApp, query
from tests.meta import ANI, Facebook

PROFILE, PAGES = "facebook_profile", "facebook_pages"


def connect(app: SalesApp, *connectors: str, **how: Any) -> dict[str, Any]:
    return app.connect(*(connectors or (PROFILE,)), provider="facebook", **{"account": ANI, **how})


def departure(app: SalesApp, *connectors: str, **members: Any) -> dict[str, str]:
    """What the browser takes to Facebook."""
    url = app.begin(*connectors, provider="facebook", **members)
    return query(Browser().approve(url, connectors))


def exchanges(facebook: Facebook) -> list[str]:
    return [entry["grant_type"] for entry in facebook.requests("/v26.0/oauth/access_token")]
