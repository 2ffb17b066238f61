"""Authorize, exchange, refresh and revoke: what each puts on the wire."""

import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.secret import Secret
from broker.upstream import TokenAnswer, Upstream
from tests.upstream.hostile_peer import Peer, says
from tests.upstream.peers import REAL, Make, exchange, failure, refresh, revoke

Way = Callable[..., Any]
GRANTED = says(200, {"access_token": "ACCESS-2", "token_type": "Bearer", "expires_in": 3599, "scope": "a b"})


@pytest.fixture(autouse=True)
def _grants(peer: Peer) -> None:
    peer.usual = GRANTED


def sent(peer: Peer) -> tuple[str, dict[str, str], list[tuple[str, str]]]:
    """Request line, headers and form of the last request."""
    head, _, body = peer.requests[-1].decode().partition("\r\n\r\n")
    line, *headers = head.split("\r\n")
    form = parse_qsl(body, keep_blank_values=True, strict_parsing=True)
    return line, dict(header.split(": ", 1) for header in headers), sorted(form)


# --- authorize ------------------------------------------------------------------------------------------------


def authorization_url(upstream: Upstream, **changed: Any) -> str:
    arguments = {
        "endpoint": f"{REAL}/o/oauth2/v2/auth",
        "client_id": "client-1",
        "redirect_uri": "https://broker.example/callback/google",
        "scope": "openid https://www.googleapis.com/auth/contacts.readonly",
        "state": "STATE-1",
        "code_challenge": "CHALLENGE-1",
        "extra": {"nonce": "NONCE-1", "prompt": "select_account"},
    }
    return upstream.authorization_url(**{**arguments, **changed})


def test_the_browser_is_sent_to_the_real_origin_with_all_that_the_flow_needs(peer: Peer, upstream: Upstream) -> None:
    """RFC 6749 §4.1.1, RFC 7636 §4.3; nothing is asked of the provider."""
    url = urlsplit(authorization_url(upstream))
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{REAL}/o/oauth2/v2/auth"
    assert sorted(parse_qsl(url.query, strict_parsing=True)) == [
        ("client_id", "client-1"),
        ("code_challenge", "CHALLENGE-1"),
        ("code_challenge_method", "S256"),
        ("nonce", "NONCE-1"),
        ("prompt", "select_account"),
        ("redirect_uri", "https://broker.example/callback/google"),
        ("response_type", "code"),
        ("scope", "openid https://www.googleapis.com/auth/contacts.readonly"),
        ("state", "STATE-1"),
    ]
    assert peer.connections == 0


def test_what_the_authorization_endpoint_has_in_its_query_stays(upstream: Upstream) -> None:
    assert authorization_url(upstream, endpoint=f"{REAL}/auth?tenant=x").startswith(f"{REAL}/auth?tenant=x&")


@pytest.mark.parametrize("endpoint", ["http://provider.example/auth", "javascript:alert(1)", "//provider.example", ""])
def test_the_browser_is_sent_nowhere_but_to_https(upstream: Upstream, endpoint: str) -> None:
    """A discovery document may say anything."""
    error = failure(lambda it: authorization_url(it, endpoint=endpoint), upstream)
    assert (error.retryable, error.sent) == (False, False)


def test_a_development_issuer_may_have_its_authorization_endpoint_at_http(make: Make, peer: Peer) -> None:
    upstream = make(origins={peer.origin: peer.origin})
    assert authorization_url(upstream, endpoint=f"{peer.origin}/auth").startswith(f"{peer.origin}/auth?")


@pytest.mark.parametrize("name", ["state", "code_challenge", "code_challenge_method", "redirect_uri", "scope"])
def test_no_extra_parameter_takes_the_place_of_one_of_ours(upstream: Upstream, name: str) -> None:
    with pytest.raises(TypeError):
        authorization_url(upstream, extra={name: "other"})


# --- exchange, refresh, revoke --------------------------------------------------------------------------------

USUAL = {
    "Accept-Encoding": "identity",
    "Content-Type": "application/x-www-form-urlencoded",
    "User-Agent": "integration-broker",
}


def test_an_exchange_posts_the_code_the_verifier_and_the_secret(peer: Peer, upstream: Upstream) -> None:
    """RFC 6749 §4.1.3, RFC 7636 §4.5, docs/facts/security.md STD-25: all of it in the body."""
    answer = exchange(upstream)
    line, headers, form = sent(peer)
    assert isinstance(answer, TokenAnswer)
    assert line == "POST /token HTTP/1.1"
    assert form == [
        ("client_id", "client-1"),
        ("client_secret", "CLIENT-SECRET-1"),
        ("code", "4/CODE-1+a b"),
        ("code_verifier", "VERIFIER-1"),
        ("grant_type", "authorization_code"),
        ("redirect_uri", "https://broker.example/callback/google"),
    ]
    assert headers.keys() == {*USUAL, "Accept", "Content-Length", "Host"}
    assert headers.items() >= {**USUAL, "Accept": "application/json"}.items()


def test_a_refresh_posts_the_token_and_asks_for_no_scope(peer: Peer, upstream: Upstream) -> None:
    """RFC 6749 §6, docs/facts/security.md STD-24, STD-25"""
    refresh(upstream)
    line, headers, form = sent(peer)
    assert line == "POST /token HTTP/1.1"
    assert form == [
        ("client_id", "client-1"),
        ("client_secret", "CLIENT-SECRET-1"),
        ("grant_type", "refresh_token"),
        ("refresh_token", "1//REFRESH-1"),
    ]
    assert headers.keys() == {*USUAL, "Accept", "Content-Length", "Host"}


def test_a_revocation_posts_the_token_alone(peer: Peer, upstream: Upstream) -> None:
    """docs/facts/google.md §1.7"""
    peer.usual = says(200, b"")
    assert revoke(upstream, client_secret=Secret("CLIENT-SECRET-1")).status == 200
    line, headers, form = sent(peer)
    assert line == "POST /revoke HTTP/1.1"
    assert form == [("token", "1//REFRESH-1")]
    assert "Authorization" not in headers


def test_a_revocation_may_name_the_kind_of_token_and_the_client(peer: Peer, upstream: Upstream) -> None:
    """RFC 7009 §2.1"""
    more = {"client_secret": Secret("CLIENT-SECRET-1"), "token_type_hint": "refresh_token"}
    revoke(upstream, auth_method="client_secret_post", **more)
    assert sent(peer)[2] == [
        ("client_id", "client-1"),
        ("client_secret", "CLIENT-SECRET-1"),
        ("token", "1//REFRESH-1"),
        ("token_type_hint", "refresh_token"),
    ]


@pytest.mark.parametrize("way", [exchange, refresh, revoke])
def test_a_client_that_authenticates_by_header_does_not_in_the_body(peer: Peer, upstream: Upstream, way: Way) -> None:
    """RFC 6749 §2.3.1: both halves are form-encoded before they are joined."""
    way(upstream, auth_method="client_secret_basic", client_id="client:1", client_secret=Secret("CLIENT-SECRET-1 é+"))
    _, headers, form = sent(peer)
    kind, _, value = headers["Authorization"].partition(" ")
    assert (kind, base64.b64decode(value)) == ("Basic", b"client%3A1:CLIENT-SECRET-1+%C3%A9%2B")
    assert {"client_id", "client_secret"}.isdisjoint(name for name, _ in form)


TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=50)


@given(code=TEXTS, secret=TEXTS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_code_and_secret_arrive_as_they_are(peer: Peer, upstream: Upstream, code: str, secret: str) -> None:
    exchange(upstream, code=Secret(code), client_secret=Secret(secret))
    form = dict(sent(peer)[2])
    assert (form["code"], form["client_secret"]) == (code, secret)


def test_a_code_that_cannot_be_written_down_is_a_typed_failure(peer: Peer, upstream: Upstream) -> None:
    """A lone surrogate; the encoder's own error would carry the whole code."""
    error = failure(lambda it: exchange(it, code=Secret("CODE-1\ud800")), upstream)
    assert (error.status, error.retryable) == (502, False)
    assert peer.connections == 0


def test_an_answer_of_the_token_endpoint_is_capped_well_below_that_of_data(peer: Peer, upstream: Upstream) -> None:
    """REL-46"""
    peer.usual = says(200, {"access_token": "ACCESS-2", "token_type": "Bearer", "padding": "x" * 300_000})
    assert failure(refresh, upstream).detail == "provider.example sent more than it may."
