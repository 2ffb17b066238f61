"""What Meta sends to an app: signed requests, webhooks, the verification of a webhook (docs/facts/meta.md §2, §5).

A control call of a test sends it at once and tells what came back.
"""

import base64
import hashlib
import hmac
import http.client
import ipaddress
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

Answer = dict[str, Any]

TIMEOUT = 30.0
"""Seconds for the app to answer."""


class BadHook(ValueError):
    """The address is none that a hook may be sent to."""


def signed_request(secret: str, payload: Mapping[str, Any]) -> str:
    """`signature.payload`, both in base64url without padding; the signature covers the encoded payload (§2.1)."""
    encoded = _base64url(json.dumps(payload, separators=(",", ":")).encode())
    signature = hmac.new(secret.encode(), encoded.encode(), hashlib.sha256).digest()
    return f"{_base64url(signature)}.{encoded}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def hub_signature(secret: str, body: bytes, algorithm: str = "sha256") -> str:
    """The value of `X-Hub-Signature-256`, over the raw body (§5); `sha1` is that of the older header."""
    return f"{algorithm}=" + hmac.new(secret.encode(), body, algorithm).hexdigest()


def post_form(url: str, form: Mapping[str, str]) -> Answer:
    """`{"status", "body"}`. Raises `BadHook`."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return _send("POST", url, urlencode(form).encode(), headers)


def post_json(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """`{"status", "body"}`. Raises `BadHook`."""
    return _send("POST", url, body, {"Content-Type": "application/json", **headers})


def post(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """`{"status", "body"}`. Raises `BadHook`."""
    return _send("POST", url, body, headers)


def loopback(url: str) -> None:
    """Raises `BadHook` for an address that nothing may be sent to."""
    _address(url)


def verify(url: str, token: str, challenge: str) -> Answer:
    """The GET by which Meta asks whether a webhook is the app's (§5). Raises `BadHook`."""
    query = urlencode({"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": token})
    return _send("GET", f"{url}{'&' if '?' in url else '?'}{query}", b"", {})


def _send(method: str, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Called without the fake's lock: the app may well call the fake before it answers. Status 0: no answer came."""
    scheme, host, port, target = _address(url)
    kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
    connection = kind(host, port, timeout=TIMEOUT)
    try:
        connection.request(method, target, body or None, {**headers, "User-Agent": "facebookexternalua"})
        answer = connection.getresponse()
        return {"status": answer.status, "body": answer.read().decode("utf-8", "replace")}
    except (OSError, http.client.HTTPException) as error:
        return {"status": 0, "body": type(error).__name__}
    except ValueError as error:
        raise BadHook(f"this cannot be sent: {error}") from None
    finally:
        connection.close()


def _address(url: str) -> tuple[str, str, int | None, str]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadHook("url is no address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not _loopback(parts.hostname):
        raise BadHook("url is http(s) on loopback")
    return parts.scheme, parts.hostname, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
