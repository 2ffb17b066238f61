"""Cross-Account Protection: the configuration document, the API of a project's stream, and the sender of events
(docs/facts/google.md §2).

Beside what Google has, a test can call:

- `POST /_sandbox/service-accounts` `{"project"?}`: makes a service account; answers with its key file, as Google's
  console gives it once
- `POST /_sandbox/security-events` `{"event", "client", "account"?, "token"?, "alg"?, "reason"?, "state"?, "url"?,
  "jti"?, "iat"?, "fault"?, "more"?}`: sends one security event token → `{"jti", "token", "answer"}`

`event` is the last part of its URI, or a whole URI; `client` who is its `aud`; `token` a refresh token, named by `alg`.
Without `url` it goes to the stream of the client's project, if that is on and asked for it. `more`: further events, as
`{URI: {…}}`. `fault` is one of `FAULTS`.
"""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any, Never

from flask import Blueprint, Response, abort, jsonify, request
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey, RSAKey

from broker.sandbox import graph_hooks
from broker.sandbox.control import given, refused, text
from broker.sandbox.google.id_tokens import ISSUER, Keys
from broker.sandbox.google.state import google
from broker.sandbox.graph_hooks import BadHook

RISC = "https://schemas.openid.net/secevent/risc/event-type/"
OAUTH = "https://schemas.openid.net/secevent/oauth/event-type/"
OF_TOKENS = ("tokens-revoked", "token-revoked")
PUSH = "https://schemas.openid.net/secevent/risc/delivery-method/push"
MANAGEMENT = "https://risc.googleapis.com/google.identity.risc.v1beta.RiscManagementService"
HOUR = 3600
FAULTS = ("alg_none", "wrong_aud", "wrong_iss", "bad_signature", "unknown_kid", "hs256")

Claims = dict[str, Any]


@dataclass
class Stream:
    """Where the events of one project go."""

    url: str
    events: list[str]
    enabled: bool = True

    def shown(self) -> Claims:
        return {
            "delivery": {"delivery_method": PUSH, "url": self.url},
            "events_requested": self.events,
            "iss": ISSUER,
            "status": "enabled" if self.enabled else "disabled",
        }


@dataclass
class Streams:
    """Service accounts and streams. Not thread-safe: the caller holds the sandbox's lock."""

    accounts: dict[str, tuple[str, RSAKey]] = field(default_factory=dict)
    """E-mail → project and key."""
    by_project: dict[str, Stream] = field(default_factory=dict)

    def new_account(self, project: str) -> Claims:
        """A key file."""
        email = f"events-{secrets.token_hex(4)}@{project.partition('.')[0]}.iam.gserviceaccount.com"
        key = RSAKey.generate_key(2048, {"kid": secrets.token_hex(20)}, private=True)
        self.accounts[email] = project, key
        return {
            "type": "service_account",
            "project_id": project,
            "private_key_id": key.kid,
            "private_key": key.as_pem(private=True).decode(),
            "client_email": email,
        }

    def project_of(self, bearer: str, now: float) -> str | None:
        """Whose self-signed token this is (§2.5)."""
        for email, (project, key) in self.accounts.items():
            try:
                token = jwt.decode(bearer, key, algorithms=["RS256"])
            except (JoseError, ValueError):
                continue
            said = token.claims
            whole = said.get("exp", 0) - said.get("iat", 0) == HOUR and said.get("iat", 0) <= now + 300
            named = said.get("iss") == said.get("sub") == email and said.get("aud") == MANAGEMENT
            return project if whole and named and said["exp"] > now and token.header.get("kid") == key.kid else None
        return None


def streams() -> Streams:
    """Those of this fake."""
    kept: Streams = google().streams
    return kept


# --- what Google has -----------------------------------------------------------------------------------------

API = Blueprint("security_events", __name__)


@API.get("/.well-known/risc-configuration")
def configuration() -> Response:
    return jsonify(
        issuer=ISSUER,
        jwks_uri="https://www.googleapis.com/oauth2/v3/certs",
        delivery_methods_supported=[PUSH],
        get_configuration_endpoint="https://risc.googleapis.com/v1beta/stream",
        update_configuration_endpoint="https://risc.googleapis.com/v1beta/stream:update",
        get_status_endpoint="https://risc.googleapis.com/v1beta/stream/status",
        update_status_endpoint="https://risc.googleapis.com/v1beta/stream/status:update",
        verification_endpoint="https://risc.googleapis.com/v1beta/stream:verify",
    )


@API.get("/v1beta/stream")
def show_stream() -> Response:
    return jsonify(_stream().shown())


@API.post("/v1beta/stream:update")
def update_stream() -> Response:
    project, body = _project(), request.get_json(silent=True) or {}
    delivery, events = body.get("delivery"), body.get("events_requested")
    if not isinstance(delivery, dict) or not isinstance(events, list) or not events:
        missing = "events_requested" if isinstance(delivery, dict) else "delivery"
        _refuse(400, f"Stream configuration must contain {missing} field.")
    url = delivery.get("url", "")
    try:
        graph_hooks.loopback(url)
    except BadHook:
        _refuse(403, "The delivery endpoint does not belong to any of your project's domains.")
    if delivery.get("delivery_method") != PUSH:
        _refuse(403, "The delivery method is not push.")
    with google().lock:
        streams().by_project[project] = Stream(url, [str(event) for event in events])
    return jsonify({})


@API.get("/v1beta/stream/status")
def show_status() -> Response:
    return jsonify(status=_stream().shown()["status"])


@API.post("/v1beta/stream/status:update")
def update_status() -> Response:
    status = (request.get_json(silent=True) or {}).get("status")
    if status not in ("enabled", "disabled"):
        _refuse(403, "Invalid status.")
    stream = _stream()
    with google().lock:
        stream.enabled = status == "enabled"
    return jsonify({})


@API.post("/v1beta/stream:verify")
def verify_stream() -> Response:
    """The event goes out before this answers; at Google it comes some seconds later."""
    stream, state = _stream(), (request.get_json(silent=True) or {}).get("state", "")
    if stream.enabled and f"{RISC}verification" in stream.events:
        project = _project()
        with google().lock:
            sent = _token(_claims(project, {f"{RISC}verification": {"state": str(state)}}, {}), None)
        _delivered(stream.url, sent)
    return jsonify({})


def _project() -> str:
    """That of the service account that calls."""
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    with google().lock:
        project = streams().project_of(bearer, google().clock()) if scheme == "Bearer" else None
    return project or _refuse(401, "Unauthorized.")


def _stream() -> Stream:
    return streams().by_project.get(_project()) or _refuse(404, "Project has no RISC configuration.")


def _refuse(status: int, message: str) -> Never:
    response = jsonify(error={"code": status, "message": message})
    response.status_code = status
    abort(response)


# --- what a test can call ------------------------------------------------------------------------------------

CONTROL = Blueprint("steering_events", __name__, url_prefix="/_sandbox")

for _status in (400, 404, 415):
    CONTROL.register_error_handler(_status, refused)


@CONTROL.app_errorhandler(BadHook)
def _bad_hook(error: BadHook) -> tuple[Response, int]:
    return jsonify(error=str(error)), 400


@CONTROL.post("/service-accounts")
def make_service_account() -> Response:
    project = text(given(), "project", "broker-client.apps.googleusercontent.com")
    with google().lock:
        return jsonify(streams().new_account(project))


@CONTROL.post("/security-events")
def send_event() -> Response:
    body = given()
    client, fault = text(body, "client", ""), body.get("fault")
    if not client or (fault is not None and fault not in FAULTS):
        abort(400, f"client is a text; fault is one of {', '.join(FAULTS)}")
    uri = _uri(text(body, "event", "") or abort(400, "event is a text"))
    with google().lock:
        claims = _claims(client, {uri: _said(body, uri, client), **body.get("more", {})}, body)
        sent, url = _token(claims, fault), text(body, "url", _url(client, uri))
    answer = _delivered(url, sent) if url else None
    return jsonify(jti=claims["jti"], token=sent, answer=answer)


def _uri(event: str) -> str:
    return event if "://" in event else f"{OAUTH if event in OF_TOKENS else RISC}{event}"


def _url(client: str, uri: str) -> str:
    """Of the stream that the project has, if it is on and asked for this event."""
    stream = streams().by_project.get(google().clients.project_of(client))
    return stream.url if stream and stream.enabled and uri in stream.events else ""


def _said(body: Claims, uri: str, client: str) -> Claims:
    members: Claims = {name: body[name] for name in ("reason", "state") if name in body}
    if uri.endswith("/token-revoked"):
        return {**members, "subject": _token_subject(body, client)}
    if "account" in body:
        account = google().account(body["account"]) or abort(404, "there is no such account in the sandbox")
        members["subject"] = {"subject_type": "iss-sub", "iss": f"{ISSUER}/", "sub": account.sub}
    return members


def _token_subject(body: Claims, client: str) -> Claims:
    """§2.3. Without `token` it is the account's newest of this client."""
    value, alg = body.get("token"), text(body, "alg", "hash_base64_sha512_sha512")
    if value is None:
        account = google().account(body.get("account")) or abort(404, "there is no such account in the sandbox")
        held = [token for token in google().grants.refresh if (token.account, token.client) == (account.sub, client)]
        value = held[-1].value if held else abort(404, "the account has no refresh token of this client")
    twice = hashlib.sha512(hashlib.sha512(str(value).encode()).digest()).digest()
    named = str(value)[:16] if alg == "prefix" else base64.b64encode(twice).decode()
    return {
        "subject_type": "oauth_token",
        "token_type": "refresh_token",
        "token_identifier_alg": alg,
        "token": named,
    }


def _claims(client: str, events: Claims, body: Claims) -> Claims:
    return {
        "iss": f"{ISSUER}/",
        "aud": client,
        "iat": body.get("iat", int(google().clock())),
        "jti": text(body, "jti", secrets.token_hex(16)),
        "events": events,
    }


def _token(claims: Claims, fault: str | None) -> str:
    keys: Keys = google().keys
    if fault == "unknown_kid":
        return str(Keys().signed(claims, None))
    if fault == "hs256":
        public = keys.published()["keys"][0]
        return jwt.encode({"alg": "HS256", "kid": public["kid"]}, claims, OctKey.import_key(json.dumps(public)))
    return str(keys.signed(claims, fault))


def _delivered(url: str, token: str) -> Claims:
    return graph_hooks.post(url, token.encode(), {"Content-Type": "application/secevent+jwt"})
