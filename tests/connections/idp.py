"""A small OpenID provider, for what the fake Google is not: no refresh tokens, and answers that a test chooses.

It has no page: a test makes up the callback, with a code that says whose it is.
"""

from typing import Any
from urllib.parse import urlencode

from flask import Flask, Response, abort, jsonify, request
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from tests.house import Browser, Clock, SalesApp, query


class Idp:
    url: str
    """`nonces` by code; `asked` holds each path; `userinfo_status`, `scope` and `extra` are what a test sets."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.key = RSAKey.generate_key(2048, {"kid": "k1"}, private=True)
        self.nonces: dict[str, str] = {}
        self.asked: list[str] = []
        self.userinfo_status = 200
        self.extra: dict[str, Any] = {}
        self.app = Flask("idp")
        self.app.before_request(lambda: self.asked.append(request.path))
        for path, view, method in (
            ("/.well-known/openid-configuration", self._metadata, "GET"),
            ("/keys", lambda: jsonify(KeySet([self.key]).as_dict(private=False)), "GET"),
            ("/token", self._token, "POST"),
            ("/revoke", lambda: ("", 200), "POST"),
            ("/userinfo", self._userinfo, "GET"),
        ):
            self.app.add_url_rule(path, path, view, methods=[method])

    def environ(self, url: str) -> dict[str, str]:
        """The broker's settings for it, as provider `other`."""
        values = {"ISSUER": url, "CLIENT_ID": "broker", "CLIENT_SECRET": "PROVIDER-SECRET-1"}
        return {f"BROKER_OIDC_OTHER_{name}": value for name, value in values.items()}

    def pending(self, app: SalesApp, browser: Browser, code: str = "CODE-1") -> dict[str, str]:
        """Through the browser as far as the return URL."""
        address = browser.approve(app.begin("openid_profile", provider="other"), ["openid_profile"])
        asked = query(address)
        self.nonces[code] = asked["nonce"]
        answer = {"state": asked["state"], "code": code, "iss": self.issuer}
        return browser.come_back(f"{app.url}/callback/other?{urlencode(answer)}")

    @property
    def issuer(self) -> str:
        return self._issuer

    def _metadata(self) -> Response:
        self._issuer = request.host_url.rstrip("/")
        ends = {"token_endpoint": "token", "userinfo_endpoint": "userinfo", "revocation_endpoint": "revoke"}
        return jsonify(
            issuer=self.issuer,
            authorization_endpoint=f"{self.issuer}/authorize",
            jwks_uri=f"{self.issuer}/keys",
            authorization_response_iss_parameter_supported=True,
            **{name: f"{self.issuer}/{path}" for name, path in ends.items()},
        )

    def _token(self) -> Response:
        nonce = self.nonces.pop(request.form["code"], None) or abort(400)
        now = int(self.clock.timestamp())
        claims = {
            **{"iss": self.issuer, "aud": "broker", "sub": "S-1", "nonce": nonce, "iat": now, "exp": now + 600},
            **{"email": "s@example.com"},
        }
        id_token = jwt.encode({"alg": "RS256", "kid": "k1"}, claims, self.key)
        return jsonify(
            {"access_token": f"ACCESS-{nonce}", "token_type": "Bearer", "expires_in": 600, "id_token": id_token}
            | self.extra
        )

    def _userinfo(self) -> tuple[Response, int]:
        return jsonify({"sub": "S-1", "email": "s@example.com", "name": "S"}), self.userinfo_status
