"""Nothing is taken from the environment (docs/facts/security.md REL-53)."""

from pathlib import Path

import pytest

from broker.errors import ProviderUnavailable
from broker.upstream import Upstream
from tests.upstream.certificates import Authority
from tests.upstream.hostile_peer import Peer, says
from tests.upstream.peers import REAL, Ask, Make, authorization_header, exchange, fails, refresh, revoke


@pytest.fixture
def proxy() -> object:
    server = Peer()
    yield server
    server.close()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Authority:
    """An authority that only the environment trusts."""
    return Authority(tmp_path, "Elsewhere")


@pytest.fixture(autouse=True)
def hostile(proxy: Peer, elsewhere: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every variable and file that HTTP libraries are known to heed; returns where session keys would be written."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "FTP_PROXY", "SOCKS_PROXY"):
        monkeypatch.setenv(name, proxy.origin)
        monkeypatch.setenv(name.lower(), proxy.origin)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\ndefault login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, elsewhere.file)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "session-keys"))
    for name in ("OAUTHLIB_INSECURE_TRANSPORT", "OAUTHLIB_RELAX_TOKEN_SCOPE", "OAUTHLIB_STRICT_TOKEN_TYPE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("OAUTHLIB_IGNORE_SCOPE_CHANGE", "")
    return tmp_path / "session-keys"


@pytest.fixture
def secure(authority: Authority) -> object:
    server = Peer(tls=authority.server())
    server.usual = says(200, {"access_token": "ACCESS-2", "token_type": "Bearer", "scope": "another"})
    yield server
    server.close()


def test_no_proxy_is_asked(peer: Peer, proxy: Peer, upstream: Upstream, ask: Ask) -> None:
    """REL-53: it would get the URL and the token."""
    peer.usual = says(200, {"access_token": "ACCESS-2", "token_type": "Bearer"})
    ask(upstream)
    assert (len(peer.requests), proxy.connections) == (1, 0)


def test_no_proxy_is_asked_over_tls(secure: Peer, proxy: Peer, make: Make, ask: Ask) -> None:
    """REL-53"""
    ask(make(secure))
    assert (len(secure.requests), proxy.connections) == (1, 0)


def test_no_proxy_is_asked_where_the_map_does_not_lead(proxy: Peer, make: Make, ask: Ask) -> None:
    """REL-53: a proxy would look the name up itself, past every check of the address."""
    with pytest.raises(ProviderUnavailable, match="no address"):
        ask(make(resolve=lambda *_, **__: []))
    assert proxy.connections == 0


def test_no_password_of_a_netrc_file_takes_the_tokens_place(peer: Peer, upstream: Upstream, ask: Ask) -> None:
    """REL-53"""
    peer.usual = says(200, {"access_token": "ACCESS-2", "token_type": "Bearer"})
    ask(upstream)
    assert authorization_header(peer.requests[0]) in (None, "Bearer ACCESS-1")


def test_no_password_of_a_netrc_file_takes_the_clients_place(peer: Peer, upstream: Upstream) -> None:
    """REL-53: the client says who it is, by the way that was chosen."""
    peer.usual = says(200, {"access_token": "ACCESS-2", "token_type": "Bearer"})
    for way in (exchange, refresh, revoke):
        way(upstream, auth_method="client_secret_basic")
    assert {authorization_header(request) for request in peer.requests[:2]} == {
        "Basic Y2xpZW50LTE6Q0xJRU5ULVNFQ1JFVC0x"
    }
    assert authorization_header(peer.requests[2]) is None, "no secret was given"


def test_no_authority_of_the_environment_is_trusted(elsewhere: Authority, make: Make) -> None:
    """REL-53"""
    peer = Peer(tls=elsewhere.server())
    try:
        assert "did not prove" in fails(make(peer)).detail
        assert "did not prove" in fails(make(peer, ca=None)).detail, "nor where the public ones are"
    finally:
        peer.close()


def test_no_session_key_is_written_down(secure: Peer, make: Make, ask: Ask, hostile: Path) -> None:
    """REL-53"""
    ask(make(secure))
    assert not hostile.exists()


def test_an_answer_whose_scope_differs_is_no_error_of_a_library(secure: Peer, make: Make) -> None:
    """REL-53: oauthlib raises or warns over it, token attached, as the environment says."""
    assert exchange(make(secure)).scope == frozenset({"another"})


def test_http_is_not_allowed_by_the_environment(make: Make) -> None:
    """REL-53: OAUTHLIB_INSECURE_TRANSPORT"""
    plain = REAL.replace("https", "http")
    for way in (exchange, refresh, revoke):
        with pytest.raises(ProviderUnavailable, match="not https"):
            way(make(), endpoint=f"{plain}/token", pins=frozenset({plain}))
    assert not fails(make(), f"{plain}/", pins=frozenset({plain})).sent
