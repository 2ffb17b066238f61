"""A request to a pinned origin, under caps and one deadline. Knows nothing of OAuth.

Statuses are returned, not judged: the caller knows what 403 means at this provider. What is not an answer at
all is a `ProviderUnavailable` here, and its text names at most the origin's host.
"""

import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from broker.errors import ProviderUnavailable
from broker.secret import Secret
from broker.upstream.answer import Answer
from broker.upstream.breaker import Breaker
from broker.upstream.dial import LOOKUPS, Dialer, Resolve, tls_context
from broker.upstream.request import Request, checked, free_headers, is_origin, origin_of
from broker.upstream.wire import CURRENT, READ, Connection, Exchange, TLSConnection, quieten

MAX_BYTES = 8 * 1024 * 1024
FAIR_TRIAL = 1.0
"""Seconds after which a provider that has not answered counts as failing, however little time the caller had."""
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Calls:
    """One pool of kept connections per origin, shared by all threads of the process."""

    def __init__(
        self,
        *,
        origins: Mapping[str, str] | None = None,
        production: bool,
        deadline: float = 10.0,
        max_bytes: int = MAX_BYTES,
        connections: int = 64,
        ca: str | None = None,
        resolve: Resolve = socket.getaddrinfo,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`origins`: real origin → loopback origin, in development only (`BROKER_ORIGINS`).

        `deadline`: seconds, in all. `connections`: kept per origin. `ca`: a PEM file to trust instead of the
        public authorities. `resolve`: like `socket.getaddrinfo`. Raises `ValueError` for a map in production
        or one that leads off this machine.
        """
        quieten()
        self._origins = _checked_map(origins or {}, production=production)
        self._deadline, self._max_bytes, self._connections = deadline, max_bytes, connections
        self._tls = tls_context(ca)
        self._resolve, self._lookups = resolve, threading.BoundedSemaphore(LOOKUPS)
        self._clock = clock
        self._lock = threading.Lock()
        self._pools: dict[tuple[int, str], urllib3.HTTPConnectionPool] = {}
        self._breakers: dict[str, Breaker] = {}

    def close(self) -> None:
        """Close the kept connections."""
        with self._lock:
            pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            pool.close()

    def mapped(self, url: str) -> str:
        """Where `url` is really found: its origin through the development map, path and query unchanged."""
        origin = origin_of(url)
        return self._origins.get(origin.lower(), origin) + url[len(origin) :]

    def call(
        self,
        method: str,
        url: str,
        *,
        pins: frozenset[str],
        token: Secret | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        deadline: float | None = None,
        max_bytes: int | None = None,
    ) -> Answer:
        """Send one request and return the whole answer, whatever its status below 300 or from 400 on.

        `pins`: the origins it may go to, like `https://people.googleapis.com`. `token` becomes
        `Authorization: Bearer`. `deadline` (seconds, name lookup to last byte) and `max_bytes` (of the body)
        narrow the instance's own. A GET is sent once more if a kept connection turned out to be closed;
        nothing else is ever repeated. Raises `ProviderUnavailable` (docs/facts/security.md REL-40…58);
        `ValueError` for headers that are ours to set.
        """
        request = self._checked(method, url, pins).carrying(free_headers(headers or {}), token, body)
        return self._sent(request, deadline=deadline, max_bytes=max_bytes, fresh=False)

    def _checked(self, method: str, url: str, pins: frozenset[str]) -> Request:
        return checked(method, url, pins=pins, over_http=self._origins)

    def _sent(self, request: Request, *, deadline: float | None, max_bytes: int | None, fresh: bool) -> Answer:
        breaker = self._breaker(request)
        probe = breaker.enter()
        exchange = Exchange(
            seconds=self._deadline if deadline is None else min(deadline, self._deadline),
            max_bytes=self._max_bytes if max_bytes is None else min(max_bytes, self._max_bytes),
            fresh=fresh,
            clock=self._clock,
        )
        try:
            return self._exchanged(request, exchange)
        finally:
            breaker.record(probe=probe, reached=self._reached(exchange))

    def _reached(self, exchange: Exchange) -> bool | None:
        """A caller in a hurry must not make a provider look broken to all others."""
        hurried = exchange.seconds < min(FAIR_TRIAL, self._deadline)
        return None if hurried and exchange.is_over() and not exchange.reached else exchange.reached

    def _exchanged(self, request: Request, exchange: Exchange) -> Answer:
        result = self._attempt(request, exchange)
        if isinstance(result, ProviderUnavailable) and _may_repeat(request, exchange):
            exchange.again()
            result = self._attempt(request, exchange)
        if isinstance(result, ProviderUnavailable):
            raise result
        exchange.reached = result.status < 500
        return result

    def _attempt(self, request: Request, exchange: Exchange) -> Answer | ProviderUnavailable:
        """A failure is returned: raised here, it would carry the library's exception and its URL along."""
        mark = CURRENT.set(exchange)
        try:
            with self._response(request) as response:
                return self._read(response, exchange)
        except (HTTPError, HTTPException, OSError):
            return _failure(request.host, exchange)
        finally:
            CURRENT.reset(mark)

    def _read(self, response: urllib3.BaseHTTPResponse, exchange: Exchange) -> Answer:
        return _answer(response, exchange)

    @contextmanager
    def _response(self, request: Request) -> Iterator[urllib3.BaseHTTPResponse]:
        response = self._pool(request).urlopen(
            request.method,
            request.target,
            body=request.body,
            headers=request.headers,
            retries=False,
            redirect=False,
            preload_content=False,
            decode_content=False,
        )
        try:
            yield response
        finally:
            # A connection whose answer was read to its end has gone back already, and stays open. Any other ends.
            response.close()

    def _pool(self, request: Request) -> urllib3.HTTPConnectionPool:
        """A forked process makes its own: two readers on one connection would get each other's answers (REL-56)."""
        owner = (os.getpid(), request.origin)
        with self._lock:
            if owner not in self._pools:
                self._pools[owner] = self._new_pool(request.origin)
            return self._pools[owner]

    def _new_pool(self, origin: str) -> urllib3.HTTPConnectionPool:
        parts = urlsplit(self.mapped(origin))
        secure = parts.scheme == "https"
        host, port = parts.hostname or "", parts.port or (443 if secure else 80)
        dialer = Dialer(
            host,
            port,
            loopback=origin in self._origins,
            tls=self._tls if secure else None,
            resolve=self._resolve,
            lookups=self._lookups,
        )
        kind = _TLSPool if secure else _Pool
        return kind(host, port, maxsize=self._connections, dialer=dialer)

    def _breaker(self, request: Request) -> Breaker:
        with self._lock:
            return self._breakers.setdefault(request.origin, Breaker(request.host, self._clock))


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls: Any = Connection


class _TLSPool(urllib3.HTTPConnectionPool):
    """Not urllib3's HTTPSConnectionPool: TLS is made by our dialer, within the deadline."""

    ConnectionCls: Any = TLSConnection


def _checked_map(origins: Mapping[str, str], *, production: bool) -> dict[str, str]:
    if origins and production:
        raise ValueError("the origin map is for development only")
    lowered = {real.lower(): target.lower() for real, target in origins.items()}
    for real, target in lowered.items():
        if urlsplit(target).hostname not in LOOPBACK:
            raise ValueError(f"the origin map may only lead to loopback, and {real} does not")
        if not is_origin(real) or not is_origin(target):
            raise ValueError(f"the origin map leads from origin to origin, without paths, and {real} does not")
    return lowered


def _may_repeat(request: Request, exchange: Exchange) -> bool:
    """The peer had closed the kept connection: no byte came back, and a GET may be asked twice."""
    lost = exchange.reused and not exchange.answered and exchange.problem is None
    return lost and request.method == "GET" and not exchange.is_over()


def _failure(host: str, exchange: Exchange) -> ProviderUnavailable:
    if exchange.is_over():
        return ProviderUnavailable(f"{host} did not answer in time.", status=504, sent=exchange.sent)
    if exchange.problem is not None:
        return ProviderUnavailable(f"{host} {exchange.problem}.", retryable=not exchange.reached, sent=exchange.sent)
    if not exchange.sent:
        return ProviderUnavailable(f"{host} could not be reached.", sent=False)
    return ProviderUnavailable(f"{host} broke off or did not speak HTTP.", sent=True)


def _answer(response: urllib3.BaseHTTPResponse, exchange: Exchange) -> Answer:
    """The whole answer; raises `OSError` where it breaks a rule. A rule broken is no outage: `reached`."""
    problem = _head_problem(response, exchange.max_bytes)
    if problem is not None:
        exchange.reached = response.status < 500
        raise exchange.fault(problem)
    body = bytearray()
    while chunk := response.read(READ, decode_content=False):
        body += chunk
        if len(body) > exchange.max_bytes:
            exchange.reached = response.status < 500
            raise exchange.fault("sent more than it may")
    headers = {name.lower(): value for name, value in response.headers.itermerged()}
    headers.pop("set-cookie", None)
    return Answer(response.status, headers, bytes(body))


def _head_problem(response: urllib3.BaseHTTPResponse, max_bytes: int) -> str | None:
    headers = response.headers
    if any(not _NAME.fullmatch(name) or _CONTROL.search(value) for name, value in headers.iteritems()):
        return "sent headers that are none"
    if not 200 <= response.status < 600:
        return "answered with no proper status"
    if 300 <= response.status < 400:
        return "sent a redirect, and none is followed"
    if headers.get("content-encoding", "identity").strip().lower() not in ("identity", ""):
        return "sent a compressed body that was not asked for"
    lengths, codings = headers.getlist("content-length"), headers.getlist("transfer-encoding")
    if len(lengths) + len(codings) > 1 or [c for c in codings if c.lower() != "chunked"]:
        return "did not say clearly where its answer ends"
    if lengths and not re.fullmatch(r"[0-9]{1,15}", lengths[0]):
        return "did not say clearly where its answer ends"
    if lengths and int(lengths[0]) > max_bytes:
        return "sent more than it may"
    return None
