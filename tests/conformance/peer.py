"""An authorization server by the book, steered like the fakes of the sandbox: OpenID Connect Core, RFC 6749, RFC 7009,
RFC 7636, RFC 9207. Refresh tokens rotate, and a revoked one takes the access tokens with it.

What the sandbox plays departs from the standards, each provider in its own way; this is the provider that does not.
"""

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast
from urllib.parse import urlencode

from flask import Blueprint, Flask, Response, abort, jsonify, redirect, request
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from broker.sandbox.control import CONTROL, given, text
from broker.sandbox.fake import Fake, current, installed
from broker.sandbox.faults import Bodies, Faults
from broker.sandbox.journal import note
from broker.sandbox.quirks import WIRE, Known, flag, seconds, texts

SECRET = "PROVIDER-SECRET-1"
LIFETIME = 600
KNOWN: Mapping[str, Known] = {
    **WIRE,
    "granted": Known(texts, ["openid"], "token answers say these scopes, whatever was ticked"),
    "other_client": Known(flag, True, "tokens are said to be for another client"),
    "other_account": Known(flag, True, "the id_token of a refresh is of another account"),
    "token_lifetime": Known(seconds, 60, "seconds that new access tokens live"),
}
PEOPLE = {
    "ani": {"sub": "S-ANI", "name": "Ani Wijaya", "email": "ani@example.com", "preferred_username": "ani"},
    "budi": {"sub": "S-BUDI", "name": "Budi Santoso", "email": "budi@example.com", "preferred_username": "budi"},
}


@dataclass(frozen=True)
class Issued:
    """A code, or a token. `family`: the consent that it came of."""

    client: str
    person: str
    scopes: frozenset[str]
    family: str
    expires_at: float
    request: Mapping[str, str] = field(default_factory=dict)


class Peer(Fake):
    """One server, its people, and what it has issued."""

    def __init__(self, clock: Callable[[], float], *, is_issuer: bool) -> None:
        """`is_issuer`: of OpenID Connect, who says `iss` in its callback."""
        self.is_issuer = is_issuer
        self.key = RSAKey.generate_key(2048, {"kid": secrets.token_hex(8)}, private=True)
        super().__init__(clock=clock, known=KNOWN, quirks={})
        self.start()

    def start(self) -> None:
        self.codes: dict[str, Issued] = {}
        self.access: dict[str, Issued] = {}
        self.refresh: dict[str, Issued] = {}
        self.ended: dict[str, str] = {}
        """With which error a refresh token is refused, if not `invalid_grant`."""

    def issue(self, kind: str, origin: Issued, lifetime: float) -> str:
        value = f"{kind.upper()}-{secrets.token_urlsafe(30)}"
        getattr(self, kind)[value] = replace(origin, expires_at=self.clock() + lifetime)
        return value

    def living(self, kind: str, value: str | None) -> Issued | None:
        found = getattr(self, kind).get(value or "")
        return found if found and found.expires_at > self.clock() else None

    def end(self, meant: Callable[[Issued], bool], error: str = "invalid_grant") -> int:
        """Gives how many tokens and codes end."""
        ended = 0
        self.ended |= {value: error for value, issued in self.refresh.items() if meant(issued)}
        for kept in (self.codes, self.access, self.refresh):
            for value in [value for value, issued in kept.items() if meant(issued)]:
                del kept[value]
                ended += 1
        return ended

    def described(self) -> dict[str, Any]:
        kinds = {"access": self.access, "refresh": self.refresh}
        live = {kind: [value for value in kept if self.living(kind, value)] for kind, kept in kinds.items()}
        shown = {
            kind: [{"value": value, "account": kinds[kind][value].person} for value in live[kind]] for kind in live
        }
        counts = {kind: len(values) for kind, values in live.items()}
        return {"live_tokens": shown, "counts": counts, "codes": list(self.codes)}


def peer() -> Peer:
    """The server that answers this request."""
    return cast(Peer, current())


def create_peer(clock: Callable[[], float], *more: Blueprint, is_issuer: bool = True) -> Flask:
    """`more`: what this very server has beside it."""
    app = Flask("peer")
    fake = Peer(clock, is_issuer=is_issuer)
    installed(app, fake)
    for blueprint in (SERVER, STEERING, CONTROL, *more):
        app.register_blueprint(blueprint)
    outage = {"error": "temporarily_unavailable"}
    bodies = Bodies(lambda _path, _status: outage, _limited)
    app.wsgi_app = Faults(app.wsgi_app, fake, bodies)  # type: ignore[method-assign]
    return app


def _limited(_path: str, wait: Any) -> tuple[int, object, list[tuple[str, str]]]:
    return 429, {"error": "slow_down"}, [("Retry-After", str(wait))]


# --- what the server does ------------------------------------------------------------------------------------

SERVER = Blueprint("server", __name__)


@SERVER.get("/.well-known/openid-configuration")
def metadata() -> Response:
    issuer = request.host_url.rstrip("/")
    ends = {
        "authorization_endpoint": "authorize",
        "token_endpoint": "token",
        "userinfo_endpoint": "userinfo",
        "revocation_endpoint": "revoke",
        "jwks_uri": "keys",
    }
    return jsonify(
        issuer=issuer,
        authorization_response_iss_parameter_supported=True,
        scopes_supported=["openid", "profile", "email", "offline_access"],
        **{name: f"{issuer}/{path}" for name, path in ends.items()},
    )


@SERVER.get("/keys")
def keys() -> Response:
    return jsonify(KeySet([peer().key]).as_dict(private=False))


@SERVER.get("/authorize")
def page() -> str:
    """Whoever asks badly is shown it, and never sent back (RFC 6749 §4.1.2.1)."""
    asked = request.args
    fit = asked.get("response_type") == "code" and asked.get("code_challenge_method") == "S256"
    if not fit or len(set(asked)) != len(list(asked.items(multi=True))):
        abort(400)
    return "<form method=post></form>"


@SERVER.post("/authorize")
def decide() -> Response:
    """`decision`, `account`, and `scope` for each ticked one."""
    asked, form = request.args, request.form
    answer = {"state": asked["state"], **({"iss": request.host_url.rstrip("/")} if peer().is_issuer else {})}
    if form["decision"] != "allow":
        return _back({**answer, "error": "access_denied"})
    person = form["account"] if form["account"] in PEOPLE else abort(400)
    scopes = frozenset(form.getlist("scope")) & frozenset(asked["scope"].split())
    kept = Issued(asked["client_id"], person, scopes, secrets.token_hex(8), 0.0, asked.to_dict())
    with peer().lock:
        return _back({**answer, "code": peer().issue("codes", kept, LIFETIME)})


def _back(answer: Mapping[str, str]) -> Response:
    return cast(Response, redirect(f"{request.args['redirect_uri']}?{urlencode(answer)}", 303))


@SERVER.post("/token")
def token() -> tuple[Response, int]:
    """RFC 6749 §4.1.3 and §6."""
    with peer().lock:
        kind = {"authorization_code": "code", "refresh_token": "refresh_token"}[request.form["grant_type"]]
        client, value = _client(), request.form[kind]
        store = peer().codes if kind == "code" else peer().refresh
        spent = peer().living("codes" if kind == "code" else "refresh", value)
        store.pop(value, None)
        if spent is None or spent.client != client or (kind == "code" and not _is_proven(spent)):
            return jsonify(error=peer().ended.get(value, "invalid_grant")), 400
        return jsonify(_answer(spent, first=kind == "code")), 200


def _client() -> str:
    """By either method of RFC 6749 §2.3.1."""
    basic = request.authorization
    claimed = (basic.username, basic.password) if basic and basic.type == "basic" else ()
    name, secret = claimed or (request.form.get("client_id"), request.form.get("client_secret"))
    return str(name) if secret == SECRET else abort(401)


def _is_proven(code: Issued) -> bool:
    """RFC 7636 §4.6, and the redirect URI (RFC 6749 §4.1.3)."""
    hashed = hashlib.sha256(request.form["code_verifier"].encode()).digest()
    challenge = base64.urlsafe_b64encode(hashed).rstrip(b"=").decode()
    asked = code.request
    return asked["code_challenge"] == challenge and asked["redirect_uri"] == request.form["redirect_uri"]


def _answer(origin: Issued, *, first: bool) -> dict[str, Any]:
    lifetime = peer().quirks.get("token_lifetime", LIFETIME)
    access = peer().issue("access", origin, lifetime)
    note(account=origin.person, token=access)
    said = peer().quirks.get("granted")
    answer: dict[str, Any] = {"access_token": access, "token_type": "Bearer", "expires_in": int(lifetime)}
    answer["scope"] = " ".join(sorted(origin.scopes) if said is None else said)
    if "offline_access" in origin.scopes:
        answer["refresh_token"] = peer().issue("refresh", origin, 400 * 86_400)
    if "openid" in origin.scopes:
        answer["id_token"] = _id_token(origin, first=first)
    return answer


def _id_token(origin: Issued, *, first: bool) -> str:
    now, quirks = int(peer().clock()), peer().quirks
    other = not first and quirks.get("other_account")
    person = PEOPLE["budi" if origin.person == "ani" else "ani"] if other else PEOPLE[origin.person]
    claims = {
        "iss": request.host_url.rstrip("/"),
        "aud": "another-client" if quirks.get("other_client") else origin.client,
        "sub": person["sub"],
        "email": person["email"],
        "iat": now,
        "exp": now + LIFETIME,
    }
    if first:
        claims["nonce"] = origin.request.get("nonce", "")
    return str(jwt.encode({"alg": "RS256", "kid": peer().key.kid}, claims, peer().key))


@SERVER.post("/revoke")
def revoke() -> tuple[str, int]:
    """A refresh token takes its family along; an unknown one is 200 as well (RFC 7009 §2.1, §2.2)."""
    _client()
    value = request.form["token"]
    note(token=value)
    with peer().lock:
        refreshing = peer().refresh.get(value)
        if refreshing:
            peer().end(lambda issued: issued.family == refreshing.family)
        peer().access.pop(value, None)
    return "", 200


def bearer() -> Issued:
    """Whose the token of this request is; 401 for one that does not live (RFC 6750 §3.1)."""
    value = request.authorization.token if request.authorization else None
    note(token=value)
    return peer().living("access", value) or abort(401)


@SERVER.get("/userinfo")
def userinfo() -> Response:
    """Each claim by its scope (OpenID Connect Core §5.4)."""
    issued = bearer()
    opened = {"sub": "openid", "email": "email", "name": "profile", "preferred_username": "profile"}
    person = PEOPLE[issued.person]
    return jsonify({name: person[name] for name, scope in opened.items() if scope in issued.scopes})


# --- how a test steers it ------------------------------------------------------------------------------------

STEERING = Blueprint("steering", __name__, url_prefix="/_sandbox")


@STEERING.post("/kill")
def kill() -> Response:
    """{"account", "error"?}: every token of the person dies, or every one; a refresh is then refused with `error`."""
    person, error = given().get("account"), text(given(), "error", "invalid_grant")
    with peer().lock:
        return jsonify(killed=peer().end(lambda issued: person in (None, issued.person), error))
