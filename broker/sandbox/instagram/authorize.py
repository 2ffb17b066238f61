"""The checks of an authorization request (docs/facts/meta.md §3.1). Errors stay on Instagram's own page.

PKCE is not part of this flow: what is sent of it is ignored, like any other parameter that is not known.
"""

from urllib.parse import urlsplit

from werkzeug.datastructures import MultiDict

from broker.sandbox.instagram.grants import AuthorizationRequest
from broker.sandbox.instagram.permissions import ALL, BASIC, listed
from broker.sandbox.instagram.state import instagram

YES = ("1", "true")
NO = ("0", "false")


class ShownHere(Exception):
    """An error on Instagram's own page: the app never hears of it."""

    def __init__(self, error: str, detail: str, status: int = 400) -> None:
        super().__init__(error)
        self.error, self.detail, self.status = error, detail, status


def authorization_request(given: MultiDict[str, str], scope: str) -> AuthorizationRequest:
    """Raises `ShownHere`."""
    forced = given.get("force_reauth", given.get("force_authentication", "0")) in YES
    if instagram().quirks.get("authorize_moved") and given.get("force_reauth") not in YES:
        raise ShownHere("page_not_available", "This page is not available.", 404)
    app, redirect_uri = _app(given)
    if given.get("response_type") != "code":
        raise ShownHere("invalid_request", "response_type must be code")
    return AuthorizationRequest(
        app=app,
        redirect_uri=redirect_uri,
        permissions=_permissions(scope),
        state=given.get("state"),
        facebook_login=given.get("enable_fb_login", "1") not in NO,
        forced=forced,
    )


def _app(given: MultiDict[str, str]) -> tuple[str, str]:
    """Its id and the redirect URI."""
    app, redirect_uri = given.get("client_id"), given.get("redirect_uri", "")
    uri = urlsplit(redirect_uri)
    with instagram().lock:
        apps = instagram().apps
        if not app or not apps.knows(app):
            raise ShownHere("invalid_platform_app", "client_id is missing or not the id of an Instagram app")
        if uri.scheme not in ("http", "https") or not uri.netloc or uri.fragment:
            raise ShownHere("invalid_redirect_uri", "redirect_uri must be absolute, http(s), without fragment")
        if not apps.redirects_to(app, redirect_uri):
            raise ShownHere("invalid_redirect_uri", "redirect_uri is not one of those registered, to the character")
    return app, redirect_uri


def _permissions(scope: str) -> tuple[str, ...]:
    """One that is not known, no longer, or not enabled for the app, spoils the whole dialog (§8 H17)."""
    asked = listed(scope)
    enabled = {BASIC, *instagram().quirks.get("allowed_scopes", ALL)} & set(ALL)
    if invalid := [name for name in asked if name not in enabled]:
        raise ShownHere("invalid_scope", f"Invalid scopes: {', '.join(invalid)}")
    if BASIC not in asked:
        raise ShownHere("invalid_scope", f"scope must hold {BASIC}")
    return asked
