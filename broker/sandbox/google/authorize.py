"""The checks of an authorization request (docs/facts/google.md §1.2). Errors stay on Google's own page."""

import re
from urllib.parse import urlsplit

from werkzeug.datastructures import MultiDict

from broker.sandbox.google.grants import AuthorizationRequest
from broker.sandbox.google.scopes import foreign, full_names
from broker.sandbox.google.state import google

PARAMETERS = frozenset(
    {
        *("client_id", "redirect_uri", "response_type", "state", "nonce", "code_challenge", "code_challenge_method"),
        *("access_type", "prompt", "include_granted_scopes", "login_hint", "hd"),
    }
)
"""What must not stand twice; `scope` is looked at by itself, since the form repeats it."""

CHALLENGE = re.compile(r"[A-Za-z0-9._~-]{43,128}")
"""RFC 7636 §4.2."""


class ShownHere(Exception):
    """An error on Google's own page: the client never hears of it."""

    def __init__(self, error: str, detail: str, status: int = 400) -> None:
        super().__init__(error)
        self.error, self.detail, self.status = error, detail, status


def authorization_request(given: MultiDict[str, str], scope: str) -> AuthorizationRequest:
    """Raises `ShownHere`."""
    if repeated := sorted(name for name in PARAMETERS if len(set(given.getlist(name))) > 1):
        raise ShownHere("invalid_request", f"parameter given twice: {', '.join(repeated)}")
    _check_client(given)
    prompt = frozenset(given.get("prompt", "").split())
    if not prompt <= {"none", "consent", "select_account"} or ("none" in prompt and len(prompt) > 1):
        raise ShownHere("invalid_request", "prompt: none stands alone; else consent, select_account")
    _check_challenge(given.get("code_challenge"), given.get("code_challenge_method"))
    return AuthorizationRequest(
        client=given["client_id"],
        redirect_uri=given["redirect_uri"],
        scopes=_scopes(scope),
        state=given.get("state"),
        nonce=given.get("nonce"),
        code_challenge=given.get("code_challenge"),
        code_challenge_method=given.get("code_challenge_method", "plain"),
        offline=_one_of(given, "access_type", "online", "offline") == "offline",
        prompt=prompt,
        include_granted=_one_of(given, "include_granted_scopes", "false", "true") == "true",
        login_hint=given.get("login_hint"),
        domain=given.get("hd"),
    )


def _check_client(given: MultiDict[str, str]) -> None:
    with google().lock:
        clients = google().clients
        client, redirect_uri = given.get("client_id"), given.get("redirect_uri", "")
        if not client:
            raise ShownHere("invalid_request", "client_id is missing")
        if not clients.knows(client):
            raise ShownHere("invalid_client", "The OAuth client was not found.", 401)
        uri = urlsplit(redirect_uri)
        if uri.scheme not in ("http", "https") or not uri.netloc or uri.fragment:
            raise ShownHere("redirect_uri_mismatch", "redirect_uri must be absolute, http(s), without fragment")
        if not clients.redirects_to(client, redirect_uri):
            raise ShownHere("redirect_uri_mismatch", "redirect_uri is not one of those registered, to the character")
    if given.get("response_type") != "code":
        raise ShownHere("invalid_request", "response_type must be code")


def _check_challenge(challenge: str | None, method: str | None) -> None:
    if method not in (None, "S256", "plain"):
        raise ShownHere("invalid_request", "code_challenge_method must be S256 or plain")
    if challenge is None and method is not None:
        raise ShownHere("invalid_request", "code_challenge_method without code_challenge")
    if challenge is not None and not CHALLENGE.fullmatch(challenge):
        raise ShownHere("invalid_request", "code_challenge must be 43 to 128 unreserved characters")


def _one_of(given: MultiDict[str, str], name: str, *known: str) -> str:
    """The first is the default."""
    value = given.get(name, known[0])
    if value not in known:
        raise ShownHere("invalid_request", f"{name} must be one of: {', '.join(known)}")
    return value


def _scopes(text: str) -> frozenset[str]:
    scopes = full_names(text.split())
    if not scopes:
        raise ShownHere("invalid_request", "scope is missing")
    if invalid := foreign(scopes):
        raise ShownHere("invalid_scope", f"some requested scopes were invalid: {', '.join(invalid)}")
    return scopes
