"""OAuth endpoints for callers, on Authlib's server: client credentials (RFC 6749 §4.4) and revocation (RFC 7009).

Parameters come in the form body alone; every failed client authentication answers alike.
"""

import json
import logging
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.integrations.flask_oauth2.requests import FlaskOAuth2Payload, FlaskOAuth2Request
from authlib.oauth2.rfc6749 import OAuth2Error
from authlib.oauth2.rfc6749.errors import InvalidClientError, InvalidRequestError, InvalidScopeError
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc6749.requests import OAuth2Request
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from flask import Blueprint, Flask, Request, Response, current_app, jsonify, request
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, KeySetSerialization

from broker import audit, clients, signing
from broker.clients import Caller
from broker.connections import revoke, use
from broker.errors import NotFound
from broker.models import AccessToken, Client, Connection
from broker.runtime import Broker
from broker.secret import digest, fresh_token
from broker.web.callers import the_broker

logging.getLogger("authlib").setLevel(logging.INFO)  # at DEBUG it logs the token that it issues

oauth = Blueprint("oauth", __name__)

METHODS = ["client_secret_basic", "client_secret_post", "private_key_jwt"]
ENDPOINTS = ("token", "revocation", "introspection")
ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]
LONGEST_ASSERTION = timedelta(minutes=10)
TOKEN = re.compile(r"[A-Za-z0-9_-]{1,256}")
"""What can be a connection's id or an access token of ours."""
ALIKE = 0.15
"""Seconds that a revocation may take beside its wait, for all to be answered after the same time."""
LONGEST = 4096


class _Authenticating:
    """A client as Authlib asks about it. One that does not exist has no valid secret, and answers alike."""

    def __init__(self, broker: Broker, client_id: str, client: Client | None) -> None:
        self.broker, self.client_id, self.client = broker, client_id, client

    def check_client_secret(self, secret: str) -> bool:
        known = clients.secret_is_valid(self.broker.database, self.broker.clock(), self.client_id, secret)
        return known and self.client is not None

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method in METHODS and endpoint in ENDPOINTS

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "client_credentials"

    def get_client_id(self) -> str:
        return self.client_id

    def get_allowed_scope(self, scope: str) -> str:
        """All of the client's scopes where it names none."""
        own = list(self.client.scopes) if self.client else []
        return " ".join(name for name in own if not scope or name in scope.split())


class _PrivateKeyJwt(JWTBearerClientAssertion):  # type: ignore[misc]
    """RFC 7523 §3: an assertion signed by the client's own key, for this broker, short-lived, used once."""

    CLIENT_AUTH_METHOD = "private_key_jwt"

    def __init__(self, broker: Broker) -> None:
        super().__init__(leeway=10)
        self._broker = broker

    def __call__(self, query_client: Any, received: OAuth2Request) -> Any:  # noqa: ANN401 - Authlib's
        """Whatever is wrong, the answer is the same as for a client that does not exist."""
        try:
            return super().__call__(query_client, received)
        except (InvalidClientError, JoseError, ValueError, TypeError, KeyError):
            raise InvalidClientError(status_code=401) from None

    def get_audiences(self) -> list[str]:
        issuer = self._broker.settings.public_url
        return [issuer, f"{issuer}/oauth/token"]

    def resolve_client_public_key(self, client: _Authenticating) -> KeySet:
        if client.client is None or client.client.jwks is None:
            raise InvalidClientError
        return KeySet.import_key_set(cast(KeySetSerialization, client.client.jwks))

    def process_assertion_claims(self, assertion: str, resolve_key: Any) -> Any:  # noqa: ANN401
        token = jwt.decode(assertion, resolve_key, algorithms=ALGORITHMS)
        self.verify_claims(token.claims)
        return token.claims

    def validate_jti(self, claims: dict[str, Any], jti: Any) -> bool:  # noqa: ANN401
        now = self._broker.clock()
        ends = datetime.fromtimestamp(int(claims["exp"]), UTC)
        if not isinstance(jti, str) or not jti or ends > now + LONGEST_ASSERTION:
            return False
        return clients.use_assertion(self._broker.database, claims["sub"], jti, ends + LONGEST_ASSERTION)


class _Grant(ClientCredentialsGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = METHODS

    def validate_requested_scope(self) -> None:
        """A scope that the client does not have is refused, not silently dropped (RFC 6749 §3.3)."""
        asked = set((self.request.payload.scope or "").split())
        if not asked <= set(self.request.client.client.scopes):
            raise InvalidScopeError

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        client = self.request.client
        scope = client.get_allowed_scope(self.request.payload.scope)
        token = {
            "access_token": fresh_token().reveal(),
            "token_type": "Bearer",
            "expires_in": int(clients.TOKEN_LIFETIME.total_seconds()),
            "scope": scope,
        }
        broker = client.broker
        clients.issue_token(
            broker.database, broker.clock(), client.client_id, scope.split(), str(token["access_token"])
        )
        return 200, token, self.TOKEN_RESPONSE_HEADER


class _Request(FlaskOAuth2Request):  # type: ignore[misc]
    """Authlib insists on an https address; which one callers see is BROKER_PUBLIC_URL's affair, not the socket's."""

    def __init__(self, received: Request) -> None:
        OAuth2Request.__init__(
            self, method=received.method, uri=f"https://broker{received.path}", headers=received.headers
        )
        self._request = received
        self.payload = FlaskOAuth2Payload(received)


class _Server(AuthorizationServer):  # type: ignore[misc]
    def create_oauth2_request(self, received: Request | None) -> _Request:  # noqa: ARG002 - Authlib passes None
        return _Request(request)


def install(app: Flask, broker: Broker) -> None:
    def known(client_id: str) -> _Authenticating:
        return _Authenticating(broker, client_id, clients.found(broker.database, client_id))

    server = _Server(app, query_client=known)
    server.register_grant(_Grant)
    server.register_client_auth_method(_PrivateKeyJwt.CLIENT_AUTH_METHOD, _PrivateKeyJwt(broker))
    app.extensions["oauth_server"] = server
    app.register_blueprint(oauth)


@oauth.post("/oauth/token")
def issue_token() -> Response:
    if problem := _form_problem():
        return problem
    response: Response = _server().create_token_response()
    return response


@oauth.post("/oauth/revoke")
def revoke_token() -> Response:
    """RFC 7009: 200 with an empty body after the same wait in every case; 503 if it could not be made durable.

    The caller is authenticated before the token is looked at (STD-27); hints change nothing (STD-30).
    """
    if problem := _form_problem():
        return problem
    try:
        client = _server().authenticate_client(_Request(request), METHODS, "revocation")
    except OAuth2Error as error:
        return _refusal(error)
    token = request.form.get("token", "")
    if not token:
        return _refusal(InvalidRequestError("The parameter token is missing."))
    _revoke(client, token)
    return Response(status=200)


@oauth.post("/oauth/introspect")
def introspect_token() -> Response:
    """RFC 7662: what a token is worth. A client asks about its own, one with the scope `admin` about any."""
    if problem := _form_problem():
        return problem
    try:
        asking = _server().authenticate_client(_Request(request), METHODS, "introspection")
    except OAuth2Error as error:
        return _refusal(error)
    token = request.form.get("token", "")
    if not token:
        return _refusal(InvalidRequestError("The parameter token is missing."))
    return jsonify(_introspected(asking, token))


def _introspected(asking: _Authenticating, token: str) -> dict[str, Any]:
    broker, row = asking.broker, asking.client
    known = clients.introspected(broker.database, broker.clock(), token) if len(token) <= LONGEST else None
    if known is None or row is None or (known.client_id != row.id and "admin" not in row.scopes):
        return {"active": False}
    return {
        "active": True,
        "client_id": known.client_id,
        "sub": known.client_id,
        "scope": " ".join(known.scopes),
        "token_type": "Bearer",
        "iss": broker.settings.public_url,
        "iat": int(known.issued_at.timestamp()),
        "exp": int(known.expires_at.timestamp()),
    }


@oauth.get("/.well-known/oauth-authorization-server")
def metadata() -> Response:
    """RFC 8414."""
    issuer = the_broker().settings.public_url
    return jsonify(
        {
            "issuer": issuer,
            "token_endpoint": f"{issuer}/oauth/token",
            "revocation_endpoint": f"{issuer}/oauth/revoke",
            "introspection_endpoint": f"{issuer}/oauth/introspect",
            "jwks_uri": f"{issuer}/oauth/jwks",
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": [],
            "token_endpoint_auth_methods_supported": METHODS,
            "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
            "revocation_endpoint_auth_methods_supported": METHODS,
            "revocation_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
            "introspection_endpoint_auth_methods_supported": METHODS,
            "introspection_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
            "scopes_supported": list(clients.SCOPES),
        }
    )


@oauth.get("/oauth/jwks")
def signing_keys() -> Response:
    """The public keys by which receipts verify (RFC 7517), the newest first."""
    return jsonify(signing.public_keys(the_broker()))


def _server() -> _Server:
    server: _Server = current_app.extensions["oauth_server"]
    return server


def _form_problem() -> Response | None:
    """Everything in the form body, each parameter once (RFC 6749 §3.2, docs/facts/security.md INP-90)."""
    repeated = any(len(values) > 1 for _, values in request.form.lists())
    if request.args or repeated or request.mimetype != "application/x-www-form-urlencoded":
        return _refusal(InvalidRequestError("Send each parameter once, in a form body."))
    return None


def _refusal(error: OAuth2Error) -> Response:
    status, body, headers = error()
    return Response(json.dumps(dict(body)), status=status, headers=headers)


def _revoke(client: _Authenticating, token: str) -> None:
    """A connection id, or one of the client's own access tokens; anything else is unknown, which is a success.

    All take the same time, whatever there was to do: nobody can tell by it what there is.
    """
    broker, row, began = client.broker, client.client, time.monotonic()
    if row is not None and TOKEN.fullmatch(token):
        is_connection = token.startswith("con_") and "revoke" in row.scopes
        ended = (_revoke_connection if is_connection else _revoke_token)(broker, row, token)
        if not ended and (kind := _of_another(broker, row, token)):
            with broker.database.write() as session:
                audit.note(session, "revoke_foreign", actor=row.id, kind=kind)
    time.sleep(max(0.0, began + use.WAIT + ALIKE - time.monotonic()))


def _revoke_token(broker: Broker, row: Client, token: str) -> bool:
    if not clients.revoke_token(broker.database, broker.clock(), row.id, token):
        return False
    time.sleep(use.WAIT)
    return True


def _revoke_connection(broker: Broker, row: Client, connection_id: str) -> bool:
    caller = Caller(row.id, frozenset(row.scopes), frozenset(row.tenants), frozenset(), frozenset())
    try:
        revoke.end_connection(broker, caller, connection_id)
    except NotFound:
        return False
    return True


def _of_another(broker: Broker, row: Client, token: str) -> str | None:
    """What the token is of, where it is somebody's and this client may not end it: a security event (STD-27). None for
    one that is unknown, or the client's own and ended before."""
    with broker.database.read() as session:
        if session.get(Connection, token):
            return "connection"
        found = session.get(AccessToken, digest(token))
    return "access_token" if found and found.client_id != row.id else None
