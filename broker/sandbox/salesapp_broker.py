"""How the demo sales app's server calls the broker: client credentials and JSON, with the standard library alone."""

import base64
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

TIMEOUT = 35
"""Seconds: a little more than the broker's own deadline."""

SCOPES = "connect connections:read records:read revoke"

Answer = dict[str, Any]


class BrokerRefused(Exception):
    """The broker's problem document (RFC 9457)."""

    def __init__(self, problem: Answer) -> None:
        super().__init__(problem.get("code"))
        self.problem = problem


class BrokerApi:
    """The broker's API at `url`. Thread-safe."""

    def __init__(self, url: str, client_id: str, client_secret: str) -> None:
        self._url = url.rstrip("/")
        self._basic = base64.b64encode(f"{quote(client_id)}:{quote(client_secret)}".encode()).decode()
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._lock = threading.Lock()
        self._token, self._token_ends = "", 0.0

    def call(self, method: str, path: str, body: Answer | None = None) -> Answer:
        """One call with JSON both ways. Raises `BrokerRefused`."""
        headers = {"Authorization": f"Bearer {self._access_token()}"}
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        return self._sent(method, path, headers, data)

    def _access_token(self) -> str:
        """Client credentials (RFC 6749 §4.4); kept until shortly before its end."""
        with self._lock:
            if time.monotonic() >= self._token_ends:
                headers = {"Authorization": f"Basic {self._basic}", "Content-Type": "application/x-www-form-urlencoded"}
                form = urlencode({"grant_type": "client_credentials", "scope": SCOPES}).encode()
                answer = self._sent("POST", "/oauth/token", headers, form)
                self._token = answer["access_token"]
                self._token_ends = time.monotonic() + answer["expires_in"] - 30
            return self._token

    def _sent(self, method: str, path: str, headers: Mapping[str, str], data: bytes | None) -> Answer:
        call = urllib.request.Request(self._url + path, data, dict(headers), method=method)  # noqa: S310 - the operator's own URL
        try:
            with self._opener.open(call, timeout=TIMEOUT) as response:
                return _json(response.read())
        except urllib.error.HTTPError as error:
            with error:
                problem = _json(error.read())
            raise BrokerRefused({"status": error.code, **problem}) from None
        except OSError:
            raise BrokerRefused({"status": 503, "code": "unreachable"}) from None


def _json(text: bytes) -> Answer:
    try:
        answer = json.loads(text or b"{}")
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
