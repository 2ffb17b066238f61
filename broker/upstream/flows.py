"""Authorize, exchange, refresh and revoke, by requests-oauthlib and oauthlib over the same calls as data.

Sessions live for one request, are built without `scope` wherever an answer comes back (else an answer whose
scope differs raises with the token attached), and never refresh by themselves. What the answer means is
decided in `broker.upstream.tokens` before oauthlib sees it.
"""

import io
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, cast
from urllib.parse import quote_plus

import requests
from oauthlib.oauth2 import OAuth2Error, WebApplicationClient
from requests.adapters import BaseAdapter
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

from broker.errors import ProviderUnavailable
from broker.secret import Secret
from broker.upstream.answer import Answer
from broker.upstream.calls import Calls
from broker.upstream.tokens import Departure, TokenAnswer, judged

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
        scopes: Iterable[str],
        state: str,
        code_challenge: str,
        extra: Mapping[str, str],
    ) -> str:
        """Where to send the browser (RFC 6749 §4.1.1, RFC 7636 §4.3): the real origin, not the mapped one.

        `extra`: further parameters of the authorization request, like `nonce` and `prompt`.
        """
        with _session(client_id, redirect_uri=redirect_uri, scope=list(scopes)) as session:
            url, _ = session.authorization_url(
                _as_https(endpoint),
                state=state,
                code_challenge=code_challenge,
                code_challenge_method="S256",
                **extra,
            )
        return endpoint.partition(":")[0] + str(url).removeprefix("https")

    def exchange(
        self,
        *,
        endpoint: str,
        pins: frozenset[str],
        client_id: str,
        client_secret: Secret,
        code: Secret,
        code_verifier: Secret,
        redirect_uri: str,
        auth_method: AuthMethod = "client_secret_post",
        departure: Departure | None = None,
    ) -> TokenAnswer:
        """Exchange the authorization code (RFC 6749 §4.1.3, RFC 7636 §4.5), once and on a new connection.

        Raises `TokenRefused`, `RateLimited`, `ProviderUnavailable`.
        """

        def exchanged(session: OAuth2Session) -> None:
            session.fetch_token(
                _as_https(endpoint),
                code=code.reveal(),
                code_verifier=code_verifier.reveal(),
                **_fetch_authentication(client_id, client_secret, auth_method),
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

        def refreshed(session: OAuth2Session) -> None:
            session.refresh_token(
                _as_https(endpoint),
                refresh_token=refresh_token.reveal(),
                auth=_basic(client_id, client_secret) if auth_method == "client_secret_basic" else None,
                **(_in_body(client_id, client_secret) if auth_method == "client_secret_post" else {}),
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
        secret = client_secret if auth_method else None
        in_body = _in_body(client_id, secret) if secret and auth_method == "client_secret_post" else {}
        _, headers, body = WebApplicationClient(client_id).prepare_token_revocation_request(
            _as_https(endpoint), token.reveal(), cast(Any, token_type_hint), **in_body
        )
        prepared = requests.Request("POST", _as_https(endpoint), headers=headers, data=body).prepare()
        if secret and auth_method == "client_secret_basic":
            prepared.prepare_auth(_basic(client_id, secret))
        return self._posted(prepared, endpoint, pins)

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
        except (OAuth2Error, requests.RequestException):
            # Their texts may hold the request: nothing of them is kept.
            answers.clear()
        if len(answers) != 1:
            raise ProviderUnavailable("The provider's token answer could not be used.", retryable=False)
        return answers[0]

    def _posted(self, prepared: requests.PreparedRequest, endpoint: str, pins: frozenset[str]) -> Answer:
        """Send what requests prepared, on a new connection: a lost kept one leaves a rotation unknown."""
        if prepared.method != "POST" or prepared.url != _as_https(endpoint):
            raise ProviderUnavailable(
                "The token endpoint is not in its plain form.", retryable=False, sent=False
            )
        headers = {name: str(prepared.headers[name]) for name in _PASSED_ON if name in prepared.headers}
        body = prepared.body.encode() if isinstance(prepared.body, str) else prepared.body
        request = self._request("POST", endpoint, pins, headers, body if isinstance(body, bytes) else None)
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


def _fetch_authentication(client_id: str, client_secret: Secret, auth_method: AuthMethod) -> dict[str, Any]:
    if auth_method == "client_secret_basic":
        return {"auth": _basic(client_id, client_secret)}
    return {"include_client_id": True, "client_secret": client_secret.reveal()}


def _in_body(client_id: str, client_secret: Secret) -> dict[str, Any]:
    return {"client_id": client_id, "client_secret": client_secret.reveal()}


def _basic(client_id: str, client_secret: Secret) -> HTTPBasicAuth:
    """Both form-encoded first: RFC 6749 §2.3.1."""
    return HTTPBasicAuth(quote_plus(client_id), quote_plus(client_secret.reveal()))
