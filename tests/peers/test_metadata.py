"""Metadata as no server that we know sends them: what is not as it should be counts as not said, and never as a fault
of ours (OpenID Connect Discovery §3)."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, jsonify

from broker.config import ProviderApp
from broker.errors import ProviderUnavailable
from broker.identity import Identity
from broker.providers.base import AuthorizationHints
from broker.providers.line import Line
from broker.providers.openid import OpenIDProvider
from broker.providers.standard import auth_method
from broker.runtime import utc_now
from broker.sandbox.serve import Running
from broker.secret import Secret
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
def upstream(metadata: dict[str, Any]) -> Iterator[Upstream]:
    """A way to the issuer, which is out of order where its metadata say so."""
    app = Flask("metadata")
    path = "/.well-known/openid-configuration"
    app.add_url_rule(path, "metadata", lambda: (jsonify(metadata), metadata.get("status", 200)))
    with Running(app) as server:
        upstream = Upstream(origins={ISSUER: server.url}, production=False)
        yield upstream
        upstream.close()


@pytest.fixture
def identity(upstream: Upstream) -> Identity:
    return Identity(upstream)


def line(identity: Identity, upstream: Upstream) -> Line:
    app = ProviderApp("id", "id", "client", Secret("PROVIDER-SECRET-1"), issuer=ISSUER)
    return Line(app, identity.discovered(ISSUER), upstream, identity, "https://broker.example/callback/id", utc_now())


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
    identity: Identity, upstream: Upstream, metadata: dict[str, Any], listed: Any, asked: set[str]
):
    """`openid` is always supported, whatever the list says."""
    metadata["scopes_supported"] = listed
    assert OpenIDProvider("id").asked(WANTED, line(identity, upstream)) == asked


@pytest.mark.parametrize(("requested", "prompt"), [({"openid"}, None), ({"openid", "offline_access"}, "consent")])
def test_consent_is_asked_for_where_lasting_access_is(
    identity: Identity, upstream: Upstream, requested: set[str], prompt: str | None
):
    hints = AuthorizationHints(requested=frozenset(requested))
    assert OpenIDProvider("id").authorize_parameters(hints, line(identity, upstream)).get("prompt") == prompt


@pytest.mark.parametrize(
    ("supported", "used"),
    [
        (None, "client_secret_basic"),
        (["client_secret_post", "client_secret_basic"], "client_secret_basic"),
        (["client_secret_post", "private_key_jwt"], "client_secret_post"),
        (["private_key_jwt"], "client_secret_basic"),
        ("client_secret_post", "client_secret_basic"),
    ],
)
def test_the_client_authenticates_as_the_metadata_say(
    identity: Identity, upstream: Upstream, metadata: dict[str, Any], supported: object, used: str
):
    """RFC 8414 §2, `token_endpoint_auth_methods_supported`; basic where it is left out."""
    metadata["token_endpoint_auth_methods_supported"] = supported
    assert auth_method(OpenIDProvider("id"), line(identity, upstream)) == used


def test_an_outage_of_the_issuer_does_not_make_its_metadata_unknown_for_a_day(
    upstream: Upstream, metadata: dict[str, Any]
):
    now = [0.0]
    identity = Identity(upstream, now=lambda: now[0])
    known = identity.discovered(ISSUER)
    metadata["status"] = 503
    now[0] = 23 * 3600.0
    assert identity.discovered(ISSUER) == known
    now[0] = 25 * 3600.0
    with pytest.raises(ProviderUnavailable):
        identity.discovered(ISSUER)


def test_metadata_that_have_become_anothers_are_refused_at_once(upstream: Upstream, metadata: dict[str, Any]):
    now = [0.0]
    identity = Identity(upstream, now=lambda: now[0])
    identity.discovered(ISSUER)
    metadata["issuer"], now[0] = "https://evil.example.com", 2 * 3600.0
    with pytest.raises(ProviderUnavailable):
        identity.discovered(ISSUER)


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
