"""Metadata as no server that we know sends them: what is not as it should be counts as not said, and never as a fault
of ours (OpenID Connect Discovery §3)."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, jsonify

from broker.errors import ProviderUnavailable
from broker.identity import Identity
from broker.providers.base import AuthorizationHints
from broker.providers.openid import OpenIDProvider
from broker.sandbox.serve import Running
from broker.upstream import Upstream

ISSUER = "https://id.example.com"
WHOLE = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/keys",
}
WANTED = frozenset({"openid", "email", "profile"})


@pytest.fixture
def metadata() -> dict[str, Any]:
    return dict(WHOLE)


@pytest.fixture
def identity(metadata: dict[str, Any]) -> Iterator[Identity]:
    app = Flask("metadata")
    app.add_url_rule("/.well-known/openid-configuration", "metadata", lambda: jsonify(metadata))
    with Running(app) as server:
        upstream = Upstream(origins={ISSUER: server.url}, production=False)
        yield Identity(upstream)
        upstream.close()


@pytest.mark.parametrize(
    ("listed", "asked"),
    [
        (None, WANTED),
        ("openid email", WANTED),
        ([], WANTED),
        (["openid", "email", 7, None, {"profile": True}, ["profile"]], {"openid", "email"}),
        (["email"], {"openid", "email"}),
        (["openid", "offline_access"], {"openid", "offline_access"}),
    ],
)
def test_what_is_asked_for_is_what_is_listed_soundly(
    identity: Identity, metadata: dict[str, Any], listed: Any, asked: set[str]
):
    """`openid` is always supported, whatever the list says."""
    metadata["scopes_supported"] = listed
    assert OpenIDProvider("id").asked(WANTED, identity.discovered(ISSUER)) == asked


@pytest.mark.parametrize(("requested", "prompt"), [({"openid"}, None), ({"openid", "offline_access"}, "consent")])
def test_consent_is_asked_for_where_lasting_access_is(requested: set[str], prompt: str | None):
    hints = AuthorizationHints(requested=frozenset(requested))
    assert OpenIDProvider("id").authorize_parameters(hints).get("prompt") == prompt


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("value", [None, 7, "", "http://id.example.com/x", ["https://id.example.com/x"]])
def test_metadata_without_what_is_needed_are_refused(
    identity: Identity, metadata: dict[str, Any], name: str, value: object
):
    metadata[name] = value
    with pytest.raises(ProviderUnavailable) as refused:
        identity.discovered(ISSUER)
    assert refused.value.retryable is False


@pytest.mark.parametrize("name", ["revocation_endpoint", "userinfo_endpoint"])
@pytest.mark.parametrize("value", [None, 7, "http://id.example.com/x", "javascript:x"])
def test_an_endpoint_that_is_no_https_address_is_none(
    identity: Identity, metadata: dict[str, Any], name: str, value: object
):
    metadata[name] = value
    endpoints = identity.discovered(ISSUER)
    assert (endpoints.revocation, endpoints.userinfo) == (None, None)
