"""From a host name to a connected socket: name lookup, permitted addresses, TCP, TLS.

The address that was checked is the address that is connected to: no second lookup comes between
(docs/facts/security.md REL-54). Nothing is read from the environment: no proxy, no CA bundle, no key log
(REL-53).
"""

import ipaddress
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import certifi

from broker.upstream.wire import Exchange

Resolve = Callable[..., Iterable[tuple[Any, ...]]]
"""Like `socket.getaddrinfo`."""

LOOKUPS = 16
"""Name lookups under way at once. A lookup cannot be interrupted, only left behind."""

NAT64 = ipaddress.ip_network("64:ff9b::/96")
UNICAST = ipaddress.ip_network("2000::/3")
"""All of IPv6 that is given out (RFC 4291 §2.4). What `ipaddress` calls global is more."""


@cache
def tls_context(ca: str | None) -> ssl.SSLContext:
    """TLS 1.2 or newer, host name and chain verified, against `ca` (a PEM file) or certifi's authorities.

    Not `ssl.create_default_context` nor urllib3's: both write session keys where SSLKEYLOGFILE says.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    context.load_verify_locations(cafile=ca or certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


class Dialer:
    """Opens connections to one host, each within the deadline of the exchange that needs it."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        loopback: bool,
        tls: ssl.SSLContext | None,
        resolve: Resolve,
        lookups: threading.Semaphore,
    ) -> None:
        """`loopback`: the origin is mapped, so it may be reached there and nowhere else."""
        self._host, self._port = host, port
        self._loopback = loopback
        self._tls = tls
        self._resolve, self._lookups = resolve, lookups

    def dial(self, exchange: Exchange) -> socket.socket:
        """Raises `OSError`."""
        sock = self._connected(exchange)
        if self._tls is None:
            return sock
        try:
            sock.settimeout(exchange.remaining())
            # An end without TLS's own goodbye may be a forged one: an error, not the end of a body.
            return self._tls.wrap_socket(sock, server_hostname=self._host, suppress_ragged_eofs=False)
        except (OSError, ValueError):
            sock.close()
            exchange.fault("did not prove over TLS to be itself")
            raise

    def _connected(self, exchange: Exchange) -> socket.socket:
        addresses = [one for one in self._looked_up(exchange) if is_permitted(one[4][0], loopback=self._loopback)]
        if not addresses:
            raise exchange.fault("has no address that may be connected to")
        for left in range(len(addresses), 0, -1):
            try:
                return _opened(addresses[-left], exchange.remaining() / left)
            except OSError:
                continue
        raise ConnectionError("no address answered")

    def _looked_up(self, exchange: Exchange) -> list[tuple[Any, ...]]:
        if not self._lookups.acquire(timeout=exchange.remaining()):
            raise TimeoutError
        found: queue.SimpleQueue[list[tuple[Any, ...]]] = queue.SimpleQueue()
        try:
            threading.Thread(target=self._look_up, args=(found,), daemon=True, name="name-lookup").start()
        except RuntimeError:
            self._lookups.release()
            raise exchange.fault("could not be looked up for want of a thread") from None
        try:
            return found.get(timeout=exchange.remaining())
        except queue.Empty:
            raise TimeoutError from None

    def _look_up(self, found: "queue.SimpleQueue[list[tuple[Any, ...]]]") -> None:
        try:
            found.put(list(self._resolve(self._host, self._port, type=socket.SOCK_STREAM)))
        except (OSError, UnicodeError):
            found.put([])
        finally:
            self._lookups.release()


def is_permitted(address: str, *, loopback: bool) -> bool:
    """Whether it may be connected to: loopback alone, or else what is reached over the internet alone (REL-54)."""
    ip = _inner(ipaddress.ip_address(address))
    if loopback:
        return ip.is_loopback
    return ip.is_global and not ip.is_multicast and (ip.version == 4 or ip in UNICAST)


def _opened(address: tuple[Any, ...], seconds: float) -> socket.socket:
    family, kind, protocol, _, where = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.settimeout(seconds)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect(where)
    except OSError:
        sock.close()
        raise
    return sock


def _inner(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address that an IPv6 form leads to, if it is one."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip
