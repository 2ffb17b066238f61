"""Who calls: one choke point for every API route. Without a valid token there is no `Caller`, and so no data."""

import re

from flask import current_app, g, request

from broker import clients
from broker.clients import Caller
from broker.connections import use
from broker.errors import InvalidRequest, Unauthorized
from broker.runtime import Broker

BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9\-._~+/]+=*)")


def the_broker() -> Broker:
    found: Broker = current_app.extensions["broker"]
    return found


def caller(*scopes: str) -> Caller:
    """The caller of this request, with all of `scopes`.

    The token comes in the Authorization header alone (RFC 6750 §2.1, docs/facts/security.md STD-40).
    Raises `Unauthorized`, `Forbidden`, `InvalidRequest`.
    """
    if "access_token" in request.args:
        raise InvalidRequest("Send the token in the Authorization header.", status=400)
    header = request.headers.get("Authorization", "")
    match = BEARER.fullmatch(header)
    if header and not match and "," in header:
        raise InvalidRequest("Send one Authorization header.", status=400)
    broker = the_broker()
    found = _held(broker, match[1]) if match else None
    if found is None:
        raise Unauthorized("Get an access token at /oauth/token and send it as a bearer token.")
    g.client_id = found.client_id
    for scope in scopes:
        found.require(scope)
    return found


def _held(broker: Broker, token: str) -> Caller | None:
    return clients.caller(broker.database, broker.recent, broker.clock(), token, age=use.RELIED_ON)
