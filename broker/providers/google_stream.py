"""The stream of Google's security events, managed by its own API with a service account (docs/facts/google.md §2.5)."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from broker import strict_json
from broker.errors import ProviderUnavailable
from broker.secret import Secret
from broker.upstream import Answer, Upstream

ORIGIN = "https://risc.googleapis.com"
PINS = frozenset({ORIGIN})
AUDIENCE = f"{ORIGIN}/google.identity.risc.v1beta.RiscManagementService"
PUSH = "https://schemas.openid.net/secevent/risc/delivery-method/push"
LIFETIME = 3600
"""Seconds that the token of the service account lives: exactly this, says Google."""
MENDS = {
    400: "It does not take this configuration.",
    401: "It does not know this key: make a new one for the service account, and look at this machine's clock.",
    403: (
        "Is the RISC API on in this project, has the service account the role roles/riscconfigs.admin, is the "
        "receiver's domain among the project's authorized domains, and does Firebase not manage the stream?"
    ),
    404: "The project has no stream yet: broker google-events configure",
}
LONGEST_MESSAGE = 200


@dataclass(frozen=True)
class ServiceAccount:
    """Who manages the stream, out of a key file of the Cloud console."""

    email: str
    key_id: str
    private_key: Secret

    @classmethod
    def read(cls, text: bytes) -> "ServiceAccount":
        """Raises `ValueError`, which tells nothing of the text."""
        found = strict_json.parse(text)
        members = ("client_email", "private_key_id", "private_key")
        if not isinstance(found, dict) or not all(isinstance(found.get(name), str) and found[name] for name in members):
            raise ValueError("not the key file of a service account")
        account = cls(found["client_email"], found["private_key_id"], Secret(found["private_key"]))
        account.signed(0)
        return account

    def signed(self, now: int) -> Secret:
        """A token of an hour for the API. Raises `ValueError` for a key that is none."""
        claims = {"iss": self.email, "sub": self.email, "aud": AUDIENCE, "iat": now, "exp": now + LIFETIME}
        try:
            key = RSAKey.import_key(self.private_key.reveal())
            return Secret(jwt.encode({"alg": "RS256", "typ": "JWT", "kid": self.key_id}, claims, key))
        except (JoseError, ValueError, TypeError):
            raise ValueError("the key file holds no RSA private key") from None


@dataclass(frozen=True)
class Stream:
    """The API of the stream of the service account's project. Each call raises `ProviderUnavailable`, which says how to
    mend it where Google refuses."""

    upstream: Upstream
    account: ServiceAccount
    now: Callable[[], float]

    def configure(self, url: str, uris: Sequence[str]) -> None:
        """Have the events of these types sent to `url`; replaces what was configured."""
        delivery = {"delivery_method": PUSH, "url": url}
        self._ask("POST", "/v1beta/stream:update", {"delivery": delivery, "events_requested": list(uris)})

    def configuration(self) -> Mapping[str, Any]:
        """As Google tells it, under its own names."""
        return self._ask("GET", "/v1beta/stream")

    def status(self) -> str | None:
        """`enabled` or `disabled`; None where Google does not say."""
        status = self._ask("GET", "/v1beta/stream/status").get("status")
        return status if isinstance(status, str) else None

    def switch(self, *, on: bool) -> None:
        """What happens while it is off, nobody ever hears of."""
        self._ask("POST", "/v1beta/stream/status:update", {"status": "enabled" if on else "disabled"})

    def verify(self, state: str) -> None:
        """Have a verification event sent that brings `state` back."""
        self._ask("POST", "/v1beta/stream:verify", {"state": state})

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        answer = self.upstream.call(
            method,
            ORIGIN + path,
            pins=PINS,
            token=self.account.signed(int(self.now())),
            headers={"Content-Type": "application/json"} if body is not None else None,
            body=json.dumps(body).encode() if body is not None else None,
        )
        if answer.status != 200:
            raise _refusal(answer)
        found = answer.json() if answer.body.strip() else {}
        return found if isinstance(found, dict) else {}


def _refusal(answer: Answer) -> ProviderUnavailable:
    """With Google's own message, which is about the stream and holds nothing secret."""
    if answer.status >= 500 or answer.status == 429:
        return ProviderUnavailable(f"Google answered with status {answer.status}. Try again later.")
    body = answer.lenient()
    error = body.get("error") if isinstance(body, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    said = message[:LONGEST_MESSAGE] if isinstance(message, str) and message.isprintable() else "no reason given"
    mend = MENDS.get(answer.status, "")
    return ProviderUnavailable(f"Google refused ({answer.status}): {said} {mend}".strip(), retryable=False)
