"""Authorize, exchange, refresh and revoke, by requests-oauthlib and oauthlib over the same calls as data.

Sessions live for one request, are built without `scope` wherever an answer comes back (else an answer whose
scope differs raises with the token attached), and never refresh by themselves. What the answer means is
decided in `broker.upstream.tokens` before oauthlib sees it.
"""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast
from urllib.parse import quote_plus, urlencode

import requests
from oauthlib.oauth2 import OAuth2Error, WebApplicationClient
from requests.adapters import BaseAdapter
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

from broker.errors import BrokerError, ProviderUnavailable
from broker.secret import Named, Secret
from broker.upstream.answer import Answer
from broker.upstream.calls import Calls
from broker.upstream.request import Headers, Request, origin_of, refused
from broker.upstream.tokens import Departure, TokenAnswer, TokenRefused, judged

AuthMethod = Literal["client_secret_post", "client_secret_basic"]
"""RFC 6749 §2.3.1."""

TOKEN_BYTES = 256 * 1024
"""Of a token endpoint's answer."""
_PASSED_ON = ("Accept", "Authorization", "Content-Type")
"""What of requests' own headers goes out."""

Send = Callable[[requests.PreparedRequest], Answer]


class Upstream(Calls):
    """The only way out to providers: data calls (`call`) and the OAuth flows."""

    def authorization_url(
        self,
        *,
        endpoint: str,
        client_id: str,
        redirect_uri: str,
        scope: str | None,
        state: str,
        code_challenge: str | None,
        extra: Mapping[str, str],
    ) -> str:
        """Where to send the browser (RFC 6749 §4.1.1, RFC 7636 §4.3): the real origin, not the mapped one.

        `scope` as it is sent, None where the provider takes none; `code_challenge` is None where it knows no PKCE.
        `extra`: further parameters of the authorization request, like `nonce` and `prompt`. Raises
        `ProviderUnavailable` where that is no https, nor mapped to loopback.
        """
        if not endpoint.startswith("https://") and origin_of(endpoint) not in self._origins:
            raise refused("The authorization endpoint is not https.")
        pkce = {"code_challenge": code_challenge, "code_challenge_method": "S256"} if code_challenge else {}
        with _session(client_id, redirect_uri=redirect_uri, scope=scope) as session:
            url, _ = session.authorization_url(_as_https(endpoint), state=state, **pkce, **extra)
        return endpoint.partition(":")[0] + str(url).removeprefix("https")

    def exchange(
        self,
        *,
        endpoint: str,
        pins: frozenset[str],
        client_id: str,
        client_secret: Secret,
        code: Secret,
        code_verifier: Secret | None,
        redirect_uri: str,
        auth_method: AuthMethod = "client_secret_post",
        departure: Departure | None = None,
    ) -> TokenAnswer:
        """Exchange the authorization code (RFC 6749 §4.1.3, RFC 7636 §4.5), once and on a new connection.

        Raises `TokenRefused`, `RateLimited`, `ProviderUnavailable`.
        """

        authentication = _authentication(client_id, client_secret, auth_method)

        def exchanged(session: OAuth2Session) -> None:
            session.fetch_token(
                _as_https(endpoint),
                code=code.reveal(),
                **_verifying(code_verifier),
                auth=authentication.basic,
                include_client_id=authentication.basic is None,
                client_secret=authentication.in_body.get("client_secret"),
            )

        session = _session(client_id, redirect_uri=redirect_uri)
        return self._answered(session, exchanged, endpoint, pins, departure)

    def refresh(
        self,
        *,
        endpoint: str,
        pins: frozenset[str],
        client_id: str,
        client_secret: Secret,
        refresh_token: Secret,
        auth_method: AuthMethod = "client_secret_post",
        departure: Departure | None = None,
    ) -> TokenAnswer:
        """Refresh (RFC 6749 §6), asking for no scope: the answer's is the grant as it now is.

        Raises as `exchange` does.
        """

        authentication = _authentication(client_id, client_secret, auth_method)

        def refreshed(session: OAuth2Session) -> None:
            session.refresh_token(
                _as_https(endpoint),
                refresh_token=refresh_token.reveal(),
                auth=authentication.basic,
                **authentication.in_body,
            )

        return self._answered(_session(client_id), refreshed, endpoint, pins, departure)

    def revoke(
        self,
        *,
        endpoint: str,
        pins: frozenset[str],
        client_id: str,
        client_secret: Secret | None,
        token: Secret,
        token_type_hint: str | None = None,
        auth_method: AuthMethod | None = None,
    ) -> Answer:
        """Ask for a token to be revoked (RFC 7009 §2.1); the caller reads the answer.

        Without `client_secret` or `auth_method` the token speaks for itself (docs/facts/google.md §1.7).
        """
        authentication = _authentication(client_id, client_secret, auth_method)
        return self._posted(_revocation(endpoint, client_id, token, token_type_hint, authentication), endpoint, pins)

    def ask(
        self,
        method: str,
        url: str,
        form: Named,
        *,
        pins: frozenset[str],
        departure: Departure | None = None,
    ) -> TokenAnswer:
        """A token by a grant that is the provider's own, its parameters in the query of a GET or the form of a POST.

        Raises as `exchange` does.
        """
        try:
            return judged(
                self._sent(self._asking(method, url, form, pins), deadline=None, max_bytes=TOKEN_BYTES, fresh=True),
                departure,
            )
        except (BrokerError, TokenRefused) as error:
            raise error.with_traceback(None) from None

    def _asking(self, method: str, url: str, form: Named, pins: frozenset[str]) -> Request:
        kind = {} if method == "GET" else {"Content-Type": "application/x-www-form-urlencoded"}
        headers = Headers({"Accept": "application/json", **kind})
        if method == "GET":
            return self._checked(method, f"{url}?{urlencode(form)}", pins).carrying(headers, None, None)
        return self._checked(method, url, pins).carrying(headers, None, urlencode(form).encode())

    def _answered(
        self,
        session: OAuth2Session,
        ask: Callable[[OAuth2Session], None],
        endpoint: str,
        pins: frozenset[str],
        departure: Departure | None,
    ) -> TokenAnswer:
        answers: list[TokenAnswer] = []

        def judge(response: requests.Response) -> requests.Response:
            answer = Answer(response.status_code, dict(response.headers), response.content)
            answers.append(judged(answer, departure))
            return _plain(response)

        session.register_compliance_hook("access_token_response", judge)
        session.register_compliance_hook("refresh_token_response", judge)
        session.mount("https://", _Adapter(lambda prepared: self._posted(prepared, endpoint, pins)))
        try:
            with session:
                ask(session)
        except (BrokerError, TokenRefused) as error:
            # The library's frames hold the request in their locals, which a crash report may print.
            raise error.with_traceback(None) from None
        except (OAuth2Error, requests.RequestException, ValueError):
            # Their texts may hold the request, so nothing of them is kept; a token that came is (I5).
            pass
        if not answers:
            raise ProviderUnavailable("The token request could not be made.", retryable=False)
        return answers[0]

    def _posted(self, prepared: requests.PreparedRequest, endpoint: str, pins: frozenset[str]) -> Answer:
        """Send what requests prepared to the endpoint as it was given, whatever requests made of its URL, and on a new
        connection: a lost kept one leaves a rotation unknown.
        """
        headers = Headers({name: str(prepared.headers[name]) for name in _PASSED_ON if name in prepared.headers})
        request = self._checked("POST", endpoint, pins).carrying(headers, None, _body(prepared))
        return self._sent(request, deadline=None, max_bytes=TOKEN_BYTES, fresh=True)


class _Adapter(BaseAdapter):
    """The bottom of a requests session, in place of its own pools, proxies and certificate settings."""

    def __init__(self, send: Send) -> None:
        super().__init__()
        self._send = send

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:  # noqa: ANN401 - requests' settings, none of which applies
        answer = self._send(request)
        response = requests.Response()
        response.status_code, response.request, response.url = answer.status, request, str(request.url)
        response.headers.update(answer.headers)
        response.raw, response.encoding = io.BytesIO(answer.body), "utf-8"
        return response

    def close(self) -> None:
        """The connections belong to `Calls`."""


def _session(client_id: str, **settings: Any) -> OAuth2Session:  # noqa: ANN401 - OAuth2Session's own
    """Without an adapter that sends: whoever needs one mounts it."""
    session = OAuth2Session(client=WebApplicationClient(client_id), **settings)
    session.trust_env = False
    session.adapters.clear()
    return session


def _body(prepared: requests.PreparedRequest) -> bytes:
    return prepared.body if isinstance(prepared.body, bytes) else str(prepared.body or "").encode()


def _plain(response: requests.Response) -> requests.Response:
    """For oauthlib: an answer that it cannot stumble over. The real one has been judged."""
    plain = requests.Response()
    plain.status_code, plain.request, plain.encoding = response.status_code, response.request, "utf-8"
    plain.raw = io.BytesIO(json.dumps({"access_token": "judged", "token_type": "Bearer"}).encode())
    return plain


def _as_https(endpoint: str) -> str:
    """oauthlib refuses `http:`, or else allows it to the whole process; which endpoints may be http is
    `Calls`' to say.
    """
    return "https:" + endpoint.partition(":")[2]


def _verifying(code_verifier: Secret | None) -> dict[str, Any]:
    return {"code_verifier": code_verifier.reveal()} if code_verifier else {}


@dataclass(frozen=True)
class _Authentication:
    """How the client proves itself (RFC 6749 §2.3.1): in the body, by header, or not at all."""

    in_body: Mapping[str, Any] = field(default_factory=dict, repr=False)
    basic: HTTPBasicAuth | None = None


def _authentication(client_id: str, client_secret: Secret | None, method: AuthMethod | None) -> _Authentication:
    if client_secret is None or method is None:
        return _Authentication()
    if method == "client_secret_basic":
        # Both form-encoded first, as the RFC has it.
        return _Authentication(basic=HTTPBasicAuth(quote_plus(client_id), quote_plus(client_secret.reveal())))
    return _Authentication({"client_id": client_id, "client_secret": client_secret.reveal()})


def _revocation(
    endpoint: str, client_id: str, token: Secret, hint: str | None, authentication: _Authentication
) -> requests.PreparedRequest:
    _, headers, body = WebApplicationClient(client_id).prepare_token_revocation_request(
        _as_https(endpoint), token.reveal(), cast(Any, hint), **authentication.in_body
    )
    asked = requests.Request("POST", _as_https(endpoint), headers=headers, data=body, auth=authentication.basic)
    return asked.prepare()
