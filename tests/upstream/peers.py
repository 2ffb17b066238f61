"""The provider as the tests name it, and every way of asking it something."""

import base64
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from broker.errors import ProviderUnavailable
from broker.secret import Named, Secret
from broker.upstream import Answer, Upstream

Ask = Callable[[Upstream], object]
Make = Callable[..., Upstream]

REAL = "https://provider.example"
PINS = frozenset({REAL})
SECRETS = ["ACCESS-1", "REFRESH-1", "CODE-1", "VERIFIER-1", "CLIENT-SECRET-1", "ACCESS-2", "REFRESH-2", "QUERY-1"]


def forms(secret: str) -> set[str]:
    """Each form in which it could stand in a text (G-1), also amid something longer."""
    raw = secret.encode()
    return {secret, quote(secret, safe=""), raw.hex(), raw.hex().upper(), *(_in_base64(raw, at) for at in range(3))}


def _in_base64(raw: bytes, at: int) -> str:
    """The characters that it alone determines if it begins `at` bytes into a group of three."""
    whole = base64.b64encode(bytes(at) + raw + bytes(2)).decode()
    return whole[-(-at * 8 // 6) : (at + len(raw)) * 8 // 6]


FORMS = {form for secret in SECRETS for form in forms(secret)}


def assert_tells_nothing(text: str) -> None:
    assert not [form for form in FORMS if form in text], text


def data(upstream: Upstream) -> object:
    url = f"{REAL}/v1/things?q=QUERY-1"
    return upstream.call("GET", url, pins=PINS, token=Secret("ACCESS-1"))


def exchange(upstream: Upstream, **changed: object) -> object:
    arguments = {
        "endpoint": f"{REAL}/token",
        "pins": PINS,
        "client_id": "client-1",
        "client_secret": Secret("CLIENT-SECRET-1"),
        "code": Secret("4/CODE-1+a b"),
        "code_verifier": Secret("VERIFIER-1"),
        "redirect_uri": "https://broker.example/callback/google",
    }
    return upstream.exchange(**{**arguments, **changed})  # type: ignore[arg-type]


def refresh(upstream: Upstream, **changed: object) -> object:
    arguments = {
        "endpoint": f"{REAL}/token",
        "pins": PINS,
        "client_id": "client-1",
        "client_secret": Secret("CLIENT-SECRET-1"),
        "refresh_token": Secret("1//REFRESH-1"),
    }
    return upstream.refresh(**{**arguments, **changed})  # type: ignore[arg-type]


def revoke(upstream: Upstream, **changed: object) -> object:
    arguments = {
        "endpoint": f"{REAL}/revoke",
        "pins": PINS,
        "client_id": "client-1",
        "client_secret": None,
        "token": Secret("1//REFRESH-1"),
    }
    return upstream.revoke(**{**arguments, **changed})  # type: ignore[arg-type]


def _asked(upstream: Upstream, method: str) -> object:
    form = Named(client_secret="CLIENT-SECRET-1", fb_exchange_token="ACCESS-1")
    return upstream.ask(method, f"{REAL}/token", form, pins=PINS)


def ask_by_get(upstream: Upstream) -> object:
    return _asked(upstream, "GET")


def ask_by_post(upstream: Upstream) -> object:
    return _asked(upstream, "POST")


WAYS: dict[str, Callable[[Upstream], object]] = {
    "data": data,
    "ask-by-get": ask_by_get,
    "ask-by-post": ask_by_post,
    "exchange": exchange,
    "refresh": refresh,
    "revoke": revoke,
}


def get(upstream: Upstream, url: str = f"{REAL}/", **more: Any) -> Answer:
    return upstream.call("GET", url, **{"pins": PINS, **more})


def fails(upstream: Upstream, url: str = f"{REAL}/", **more: Any) -> ProviderUnavailable:
    with pytest.raises(ProviderUnavailable) as caught:
        get(upstream, url, **more)
    return caught.value


def failure(ask: Ask, upstream: Upstream) -> ProviderUnavailable:
    with pytest.raises(ProviderUnavailable) as caught:
        ask(upstream)
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None, "a library's exception carries the URL"
    assert "127.0.0.1" not in error.detail
    return error


def authorization_header(request: bytes) -> str | None:
    found = re.search(r"\r\nAuthorization: ([^\r]*)\r\n", request.decode())
    return found[1] if found else None
