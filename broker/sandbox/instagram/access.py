"""Who may make a call: the token of the request, and what its user permits the app now.

docs/facts/meta.md §4.3, §6.1.
"""

from dataclasses import dataclass

from flask import request

from broker.sandbox.graph import invalid_token, permission_missing
from broker.sandbox.instagram.grants import CHECKPOINT, EXPIRED, INVALID, PASSWORD, REMOVED, Token, TokenDead
from broker.sandbox.instagram.permissions import BASIC
from broker.sandbox.instagram.seed import Account
from broker.sandbox.instagram.state import instagram
from broker.sandbox.journal import note

WHY = {
    None: "Invalid OAuth access token",
    REMOVED: "The user has not authorized the application",
    CHECKPOINT: "The user has to log in at Instagram and pass a checkpoint",
    PASSWORD: "The session is invalid because the user changed the password",
    EXPIRED: "The session has expired",
    INVALID: "The session is invalid",
}


@dataclass(frozen=True)
class Caller:
    """The living token of a request, and whose it is."""

    token: Token
    account: Account

    def permits(self, *permissions: str) -> None:
        """Raises `GraphError` where the user does not permit one of these."""
        permitted = instagram().grants.permitted(self.token)
        if missing := [name for name in permissions if name not in permitted]:
            code = instagram().quirks.get("permission_error", 10)
            raise permission_missing(f"The application does not have the permission {missing[0]}", code)


def caller(*permissions: str) -> Caller:
    """Who calls; `permissions` are needed beside the basic one. Call it under the lock. Raises `GraphError`."""
    value = _given()
    note(token=value)
    if not value:
        raise invalid_token("An access token is required")
    if "|" in value:
        raise invalid_token("Access token does not contain a valid app ID")
    try:
        token = instagram().grants.living(value)
    except TokenDead as dead:
        raise invalid_token(WHY[dead.subcode], dead.subcode) from None
    note(client=token.app, account=token.account)
    found = Caller(token, instagram().accounts[token.account])
    found.permits(BASIC, *permissions)
    return found


def _given() -> str | None:
    """By `access_token` in query or form, or as a bearer token (§6.4)."""
    if given := request.values.get("access_token"):
        return given
    bearer = request.authorization
    return bearer.token if bearer and bearer.type == "bearer" else None
