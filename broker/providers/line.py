"""A line to a provider: one provider app, where it is served, and the way there, for one piece of work.

What a provider does otherwise than the standards say, its file does over a line: the address, the form of the request
and the meaning of the answer are the provider's, the pins, the deadlines and the caps are `broker.upstream`'s.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from broker.config import ProviderApp, origin
from broker.endpoints import Endpoints
from broker.errors import BrokerError, Unavailable
from broker.identity import Identity
from broker.operations import Operation
from broker.secret import Named, Secret
from broker.upstream import Answer, Departure, TokenAnswer, Upstream


@dataclass(frozen=True)
class Line:
    """One provider app and the way to its provider."""

    app: ProviderApp
    endpoints: Endpoints
    upstream: Upstream
    identity: Identity
    redirect_uri: str
    now: datetime
    """Aware UTC."""
    begin_by: float | None = None
    """Monotonic seconds from which on no call is begun: somebody else may have taken the work by then."""

    @property
    def pins(self) -> frozenset[str]:
        """The origins that anything of this provider's may be sent to."""
        known = self.endpoints
        urls = (known.authorization, known.token, known.jwks, known.revocation, known.userinfo, known.api)
        return frozenset(origin(url) for url in urls if url)

    def call(
        self,
        method: str,
        url: str,
        parameters: Named | None = None,
        *,
        token: Secret | None = None,
        deadline: float | None = None,
    ) -> Answer:
        """One request to one of the provider's pinned origins; `parameters` go into the query.

        Raises `ProviderUnavailable`, and `Unavailable` where it would begin too late.
        """
        self.may_begin()
        try:
            return self.upstream.call(
                method, with_query(url, parameters or {}), pins=self.pins, token=token, deadline=deadline
            )
        except BrokerError as error:  # the frames below hold the address, and a token may stand in it
            raise error.with_traceback(None) from None

    def operate(
        self,
        operation: Operation,
        url: str,
        *,
        token: Secret,
        deadline: float | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """A data call: one operation, at its own origin; `body` is JSON. Raises as `call`."""
        self.may_begin()
        return self.upstream.call(
            operation.method,
            url,
            pins=frozenset({operation.origin}),
            token=token,
            headers={"Content-Type": "application/json"} if body else None,
            body=body,
            deadline=deadline,
        )

    def ask(self, method: str, url: str, form: Named, departure: Departure | None = None) -> TokenAnswer:
        """A token by a grant of the provider's own. Raises `TokenRefused`, `RateLimited`, `ProviderUnavailable`."""
        self.may_begin()
        return self.upstream.ask(method, url, form, pins=self.pins, departure=departure)

    def may_begin(self) -> None:
        """Raises `Unavailable` from `begin_by` on."""
        if self.begin_by is not None and time.monotonic() > self.begin_by:
            raise Unavailable("There was no time left to ask the provider everything; the next try goes on.")


def with_query(url: str, parameters: Mapping[str, str]) -> str:
    """The URL with further parameters behind its own."""
    if not parameters:
        return url
    return f"{url}{'&' if '?' in url else '?'}{urlencode(parameters)}"
