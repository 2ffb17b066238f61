"""Who may make a data call: the bearer token of the request and its scopes, of which one is enough (§4.1, §5.8).

Sections are of docs/facts/google.md.
"""

from flask import Response, jsonify, request

from broker.sandbox.google.envelopes import ApiError, forbidden, scope_insufficient, unauthenticated
from broker.sandbox.google.state import google
from broker.sandbox.google.token_store import Token
from broker.sandbox.journal import note


def bearer(service: str, method: str, accepted: frozenset[str]) -> Token:
    """The live token of this request, which holds one of `accepted`. Raises `ApiError`."""
    given = request.authorization
    value = given.token if given and given.type == "bearer" else None
    with google().lock:
        access = google().grants.access.get(value) if value else None
    note(token=value)
    if access:
        note(client=access.client, account=access.account)
    refuses = google().quirks.take("unauthorized", request.path)
    if access is None or (refuses and refuses[0]):
        raise unauthenticated(service, missing=value is None)
    if reason := google().quirks.take("forbidden", request.path):
        raise forbidden(reason[0], service, method)
    if not access.scopes & accepted:
        raise scope_insufficient(service, method)
    return access


def api_error(error: ApiError) -> Response:
    """Renders what a data call ended with."""
    response = jsonify(error.body)
    response.status_code = error.status
    response.headers.update(error.headers)
    return response
