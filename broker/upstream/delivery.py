"""Events going out to an address that a caller named: to the internet alone (docs/facts/security.md §5.1, REL-54).

What a request to a provider is held to holds here, too: one name lookup, and the connection goes to the very address
that was checked, under the name's own TLS; no redirect, no proxy, one deadline for all. And more: of the answer only
the status counts. Its body is read no further than to keep the connection, and nobody is shown it.
"""

import contextlib
import ipaddress
import socket
from collections.abc import Mapping
from http.client import HTTPException
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from broker.errors import InvalidRequest, ProviderUnavailable
from broker.upstream.answer import Answer
from broker.upstream.calls import LOOPBACK, Calls
from broker.upstream.dial import Resolve, is_permitted
from broker.upstream.request import checked, origin_of
from broker.upstream.wire import READ, Exchange

DEADLINE = 10.0
"""Seconds that a receiver has, from the name lookup to its answer."""
IGNORED = 64 * 1024
"""Bytes of an answer's body that are read for the connection's sake; a longer one costs the connection."""
LONGEST_URL = 2048


class Delivery(Calls):
    """POSTs to one address, by several threads at once, over connections that are kept until `close`."""

    def __init__(
        self,
        url: str,
        *,
        development: bool,
        connections: int = 8,
        deadline: float = DEADLINE,
        ca: str | None = None,
        resolve: Resolve = socket.getaddrinfo,
    ) -> None:
        """`development`: http to this machine is an address, too. The rest as in `Calls`."""
        self._url = plain(url)
        origin = origin_of(self._url)
        here = {origin: origin} if development and _is_here(url) else {}
        super().__init__(
            origins=here,
            production=not development,
            deadline=deadline,
            max_bytes=IGNORED,
            connections=connections,
            ca=ca,
            resolve=resolve,
        )
        self._pins = frozenset({origin})

    def __enter__(self) -> "Delivery":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """The receiver's answer, whatever its status, a redirect as well; its body is empty. Raises
        `ProviderUnavailable` where there was none, `ValueError` for headers that are ours to set.
        """
        return self.call("POST", self._url, pins=self._pins, headers=headers, body=body)

    def _reached(self, exchange: Exchange) -> bool | None:  # noqa: ARG002
        """Who delivers decides when an address is left alone, event by event."""
        return None

    def _read(self, response: urllib3.BaseHTTPResponse, exchange: Exchange) -> Answer:
        if not 200 <= response.status < 600:
            raise exchange.fault("answered with no proper status")
        told = {name: response.headers[name] for name in ("retry-after", "date") if name in response.headers}
        with contextlib.suppress(HTTPError, HTTPException, OSError):
            left = IGNORED
            while left > 0 and (chunk := response.read(READ, decode_content=False)):
                left -= len(chunk)
        return Answer(response.status, told, b"")


def require_deliverable(url: str, *, development: bool) -> None:
    """Whether events may be sent there, as far as the address itself tells; where a name leads is checked at each
    delivery. Raises `InvalidRequest`, whose text says what an address must be.
    """
    url = plain(url)
    origin = origin_of(url)
    try:
        over_http = frozenset({origin} if development and _is_here(url) else ())
        checked("POST", url, pins=frozenset({origin}), over_http=over_http)
        sound = len(url) <= LONGEST_URL and (bool(over_http) or not _is_inner(url))
    except (ProviderUnavailable, ValueError):
        sound = False
    if not sound:
        problem = {"field": "url", "problem": "a plain https address on the internet, without credentials or fragment"}
        raise InvalidRequest("Events cannot be sent to this address.", errors=[problem])


def plain(url: str) -> str:
    """The same address with its host in lower case, and with a path."""
    origin = origin_of(url)
    rest = url[len(origin) :]
    return origin.lower() + (rest if rest.startswith("/") else f"/{rest}")


def _is_here(url: str) -> bool:
    """Plain http to this machine. Raises `ValueError` for what is no URL."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname in LOOPBACK


def _is_inner(url: str) -> bool:
    """Whether it names an address that nothing is ever sent to. Names are looked up when something is sent."""
    host = urlsplit(url).hostname or ""
    try:
        return not is_permitted(str(ipaddress.ip_address(host)), loopback=False)
    except ValueError:
        return host in LOOPBACK
