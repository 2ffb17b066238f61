"""The checks of a request of the dialog (docs/facts/meta.md §1.1, §1.2). Errors stay on Facebook's own page."""

import re
from urllib.parse import urlsplit

from werkzeug.datastructures import MultiDict

from broker.sandbox.facebook.apps import App
from broker.sandbox.facebook.grants import LoginRequest, named
from broker.sandbox.facebook.permissions import MEANINGS, PROFILE, listed
from broker.sandbox.facebook.state import facebook

PARAMETERS = frozenset(
    {
        *("client_id", "redirect_uri", "response_type", "state", "config_id", "auth_type", "auth_nonce"),
        *("code_challenge", "code_challenge_method", "display", "return_scopes"),
    }
)
"""What must not stand twice; `scope` is looked at by itself, since the form repeats it."""

AUTH_TYPES = frozenset({"rerequest", "reauthenticate", "reauthorize"})
CHALLENGE = re.compile(r"[A-Za-z0-9._~-]{43,128}")
"""RFC 7636 §4.2."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class ShownHere(Exception):
    """An error on Facebook's own page: the app never hears of it."""

    def __init__(self, error: str, detail: str, status: int = 400) -> None:
        super().__init__(error)
        self.error, self.detail, self.status = error, detail, status


def login_request(given: MultiDict[str, str], scope: str) -> LoginRequest:
    """Raises `ShownHere`."""
    if repeated := sorted(name for name in PARAMETERS if len(set(given.getlist(name))) > 1):
        raise ShownHere("Invalid parameter", f"parameter given twice: {', '.join(repeated)}")
    app = _app(given)
    auth_types = listed(given.get("auth_type", ""))
    if not auth_types <= AUTH_TYPES:
        raise ShownHere("Invalid parameter", f"auth_type must be of: {', '.join(sorted(AUTH_TYPES))}")
    kinds = listed(given.get("response_type", "code"))
    if "code" not in kinds or not kinds <= {"code", "granted_scopes"}:
        raise ShownHere("Invalid parameter", "response_type must be code, or code with granted_scopes")
    if not given.get("state"):
        raise ShownHere("Invalid parameter", "state is missing")
    _check_challenge(given.get("code_challenge"), given.get("code_challenge_method"))
    scopes, config_id, system_user = _wanted(app, given, scope)
    return LoginRequest(
        app=app.id,
        redirect_uri=given["redirect_uri"],
        state=given["state"],
        scopes=scopes,
        config_id=config_id,
        system_user=system_user,
        rerequest="rerequest" in auth_types,
        auth_type=given.get("auth_type"),
        auth_nonce=given.get("auth_nonce"),
        code_challenge=given.get("code_challenge"),
        tells_scopes="granted_scopes" in kinds or given.get("return_scopes") == "true",
    )


def _app(given: MultiDict[str, str]) -> App:
    with facebook().lock:
        app, uri = facebook().apps.get(given.get("client_id", "")), given.get("redirect_uri", "")
    if app is None:
        raise ShownHere("Invalid App ID", "The provided app ID does not look like a valid app ID.")
    if not _usable(uri):
        raise ShownHere("URL blocked", "redirect_uri must be absolute, https, without fragment")
    if app.redirect_uris and uri not in app.redirect_uris:
        raise ShownHere("URL blocked", "redirect_uri is not one of those registered, to the character (strict mode)")
    return app


def _usable(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
    except ValueError:
        return False
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    return secure and bool(parts.netloc) and not parts.fragment


def _check_challenge(challenge: str | None, method: str | None) -> None:
    if challenge is None and method is None:
        return
    if challenge is None or method != "S256" or not CHALLENGE.fullmatch(challenge):
        raise ShownHere("Invalid parameter", "code_challenge must be 43 to 128 unreserved characters, by S256")


def _wanted(app: App, given: MultiDict[str, str], scope: str) -> tuple[frozenset[str], str | None, bool]:
    """Permissions, configuration, and whether it is of a system user. A configuration replaces `scope` (§1.7)."""
    if not (config_id := given.get("config_id")):
        return _allowed(app, named(scope)), None, False
    with facebook().lock:
        configuration = facebook().apps.configuration(app, config_id)
    if configuration is None:
        raise ShownHere("Invalid configuration", "config_id names no configuration of this app")
    if configuration.system_user and given.get("response_type") != "code":
        raise ShownHere("Invalid parameter", "a configuration for system users needs response_type=code")
    profile = frozenset() if configuration.system_user else frozenset({PROFILE})
    return _allowed(app, configuration.scopes | profile), config_id, configuration.system_user


def _allowed(app: App, scopes: frozenset[str]) -> frozenset[str]:
    """One permission that is unknown, or not enabled for the app, ends the whole dialog (H17)."""
    enabled = facebook().quirks.get("allowed_scopes")
    allowed = app.scopes if enabled is None else frozenset(enabled)
    known = frozenset(MEANINGS) if allowed is None else allowed | {PROFILE}
    if invalid := sorted(scopes - known):
        detail = f"Invalid Scopes: {', '.join(invalid)}. This message is only shown to developers."
        raise ShownHere("Invalid Scopes", detail)
    return scopes
