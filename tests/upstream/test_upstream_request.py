"""What may leave, and the bytes of it on the wire."""

from collections.abc import Callable

import pytest

from broker.errors import ProviderUnavailable
from broker.secret import Secret
from broker.upstream import Upstream
from tests.upstream.hostile_peer import Peer, says
from tests.upstream.peers import PINS, REAL, Make, assert_tells_nothing, exchange, fails, get, refresh

ELSEWHERE = [
    "http://provider.example/",
    "https://other.example/",
    "https://provider.example:443/",
    "https://provider.example:8443/",
    "https://provider.example./",
    "https://PROVIDER.example/",
    "HTTPS://provider.example/",
    "https://user@provider.example/",
    "https://user:pass@provider.example/",
    "https://provider.example@other.example/",
    "https://provider.example\\@other.example/",
    "https://provider.example%2eother.example/",
    "https://provider.example.other.example/",
    "https://other.provider.example/",
    "https://otherprovider.example/",
    "https://prоvider.example/",
    "https://other.example/https://provider.example/",
    " https://provider.example/",
    "https://provider.example",
    "https:///v1",
    "//provider.example/",
    "/v1",
    "",
    "file:///etc/passwd",
    "https://127.0.0.1/",
    "https://2130706433/",
    "https://[::1]/",
]


@pytest.mark.parametrize("url", ELSEWHERE)
def test_a_url_at_another_origin_never_leaves(peer: Peer, upstream: Upstream, url: str) -> None:
    error = fails(upstream, url)
    assert (error.retryable, error.sent, error.status) == (False, False, 502)
    assert peer.connections == 0


@pytest.mark.parametrize("way", [exchange, refresh], ids=["exchange", "refresh"])
@pytest.mark.parametrize("endpoint", ELSEWHERE)
def test_a_token_endpoint_at_another_origin_is_never_asked(
    peer: Peer, upstream: Upstream, way: Callable[..., object], endpoint: str
) -> None:
    with pytest.raises(ProviderUnavailable) as caught:
        way(upstream, endpoint=endpoint)
    assert peer.connections == 0
    assert not caught.value.retryable


CHANGED_ON_THE_WIRE = [
    "/v21.0/me/../act_999",
    "/v21.0/./me",
    "/v21.0/me/..",
    "/v21.0/me/%2e%2e/act_999",
    "/v21.0/me/%2E%2E/act_999",
    "/v21.0/me/%2E./act_999",
    "/v21.0/me/..%2Fact_999",
    "/v21.0/me%2F..%2Fact",
    "/v21.0/me%2f",
    "/v21.0/me\\..\\act",
    "/v21.0/mé",
    "/v21.0/ｍｅ",
    "/v21.0/me\r\nX-Inj: 1",
    "/v21.0/me\n",
    "/v21.0/m e",
    "/v21.0/me\x00",
    "/v21.0/me#frag",
    "/v21.0/me?a=1#?b=2",
    "/v21.0/me?a=ü",
    "/v21.0/me?a=%zz",
    "/v21.0/me?a=%e2",
    "/v21.0/me?a=<b>",
    "/v21.0/me%",
]


@pytest.mark.parametrize("target", CHANGED_ON_THE_WIRE)
def test_a_url_that_would_not_go_out_as_given_never_leaves(peer: Peer, upstream: Upstream, target: str) -> None:
    """docs/facts/security.md §6.1, §11.4"""
    error = fails(upstream, REAL + target)
    assert (error.retryable, error.sent) == (False, False)
    assert peer.connections == 0


def test_a_pinned_origin_that_is_none_is_not_asked(upstream: Upstream) -> None:
    """What urllib3 cannot read it would not send as given."""
    for origin in (f"{REAL}:99999", f"{REAL}:0443", "https://[::]]"):
        assert not fails(upstream, f"{origin}/", pins=frozenset({origin})).sent


AS_GIVEN = [
    "/v21.0/me%252E%252E/act",
    "/v21.0//me",
    "//other.example/me",
    "/v21.0/me;x=1/..;/act",
    "/v1/people/me:batchGet?a=1&b=2%2B3&a=%C3%A9&q=a+b",
    "/?",
    "/?x=/../y?z",
    "/a...b/..c/d..?e",
    "/~!$&'()*+,;=:@-._",
    "/v21.0/me%00%0D%0A",
]


@pytest.mark.parametrize("target", AS_GIVEN)
def test_the_path_and_query_reach_the_wire_byte_for_byte(peer: Peer, upstream: Upstream, target: str) -> None:
    get(upstream, REAL + target)
    assert peer.targets == [target]


def test_the_token_goes_as_a_bearer_and_nothing_else_of_ours_goes(peer: Peer, upstream: Upstream) -> None:
    get(upstream, f"{REAL}/v1?x=1", token=Secret("ACCESS-1"), headers={"Accept": "application/json"})
    head = peer.requests[0].decode().rstrip("\r\n").split("\r\n")
    assert head[0] == "GET /v1?x=1 HTTP/1.1"
    assert sorted(head[1:]) == [
        "Accept-Encoding: identity",
        "Accept: application/json",
        "Authorization: Bearer ACCESS-1",
        f"Host: 127.0.0.1:{peer.port}",
        "User-Agent: integration-broker",
    ]


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer ACCESS-2"},
        {"host": "other.example"},
        {"Cookie": "a=b"},
        {"Accept-Encoding": "gzip"},
        {"Transfer-Encoding": "chunked"},
        {"X-A": "a\r\nX-B: b"},
        {"X-A": "a\nb"},
        {"X-A\r\nX-B": "b"},
        {"X A": "b"},
        {"X-A: b\r\nX-B": "c"},
        {"X-A: b": "c"},
        {"": "b"},
        {"X-A": "a\x00b"},
        {"X-A": "a\tb"},
        {"X-A": "é"},
    ],
)
def test_a_header_that_is_ours_or_no_header_is_refused(peer: Peer, upstream: Upstream, headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="header"):
        get(upstream, headers=headers)
    assert peer.connections == 0


@pytest.mark.parametrize("token", ["ACCESS-1\r\nX-Inj: 1", "ACCESS-1\n", "ACCESS-1é", "\x00ACCESS-1"])
def test_a_token_that_fits_no_header_is_not_sent_and_not_told(peer: Peer, upstream: Upstream, token: str) -> None:
    with pytest.raises(ValueError, match="Authorization") as caught:
        get(upstream, token=Secret(token))
    assert_tells_nothing(str(caught.value))
    assert peer.connections == 0


def test_a_method_outside_the_few_is_refused(peer: Peer, upstream: Upstream) -> None:
    for method in ("get", "TRACE", "CONNECT", "GET / HTTP/1.1\r\nX: y"):
        with pytest.raises(ValueError, match="method"):
            upstream.call(method, f"{REAL}/", pins=PINS)
    assert peer.connections == 0


def test_the_origin_map_leaves_path_and_query_alone(make: Make, peer: Peer) -> None:
    upstream = make(peer)
    assert upstream.mapped(f"{REAL}/auth?a=b%2F#c") == f"{peer.origin}/auth?a=b%2F#c"
    assert upstream.mapped("https://unmapped.example/auth") == "https://unmapped.example/auth"
    assert upstream.mapped(f"{REAL}.evil.example/") == f"{REAL}.evil.example/"
    assert upstream.mapped("HTTPS://Provider.Example?A=B") == f"{peer.origin}?A=B"
    assert upstream.mapped("/auth?u=https://provider.example/") == "/auth?u=https://provider.example/"


@pytest.mark.parametrize("target", AS_GIVEN)
def test_a_mapped_request_goes_to_the_mapped_place_with_path_and_query_as_they_were(
    make: Make, peer: Peer, target: str
) -> None:
    """BROKER_ORIGINS: also where the map's other end is named in capitals."""
    assert get(make(origins={REAL.upper(): peer.origin.upper()}), REAL + target).status == 200
    assert peer.targets == [target]
    assert f"\r\nHost: 127.0.0.1:{peer.port}\r\n".encode() in peer.requests[0]


@pytest.mark.parametrize(
    "target",
    [
        *(
            "https://evil.example",
            "http://10.0.0.1:80",
            "http://127.0.0.1.evil.example",
            "http://127.0.0.1@evil.example",
        ),
        *("http://0.0.0.0:80", "http://[::ffff:127.0.0.1]", "127.0.0.1:9000", ""),
    ],
)
def test_an_origin_map_that_leads_off_this_machine_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        Upstream(origins={REAL: target}, production=False)


@pytest.mark.parametrize(
    "target",
    [
        *("http://127.0.0.1:9000/", "http://127.0.0.1:9000/base", "http://user@127.0.0.1", "http://127.0.0.1:99999"),
        *("ftp://127.0.0.1", "http://127.0.0.1?a=b", "http://127.0.0.1:x", "//127.0.0.1"),
    ],
)
def test_an_origin_map_that_leads_to_more_than_an_origin_is_refused(target: str) -> None:
    """The rest would be dropped, or change the path."""
    with pytest.raises(ValueError, match="origin"):
        Upstream(origins={REAL: target}, production=False)


@pytest.mark.parametrize("real", [f"{REAL}/", f"{REAL}/v1", "provider.example", "https://user@provider.example", ""])
def test_an_origin_map_that_leads_from_no_origin_is_refused(real: str) -> None:
    """It would never match, and what was meant for the sandbox would reach the provider."""
    with pytest.raises(ValueError, match="origin"):
        Upstream(origins={real: "http://127.0.0.1:9000"}, production=False)


def test_an_origin_map_in_production_is_refused() -> None:
    with pytest.raises(ValueError, match="development"):
        Upstream(origins={REAL: "http://127.0.0.1:9000"}, production=True)


def test_http_is_reached_only_where_the_map_names_it(make: Make, peer: Peer) -> None:
    """A development issuer on loopback; without the map even loopback must be https."""
    plain = peer.origin
    mapped = make(origins={plain: plain})
    assert get(mapped, f"{plain}/x", pins=frozenset({plain})).status == 200
    peer.will(says(200, {"access_token": "ACCESS-2", "token_type": "Bearer"}))
    assert refresh(mapped, endpoint=f"{plain}/token", pins=frozenset({plain}))
    assert not fails(make(), f"{plain}/x", pins=frozenset({plain})).sent
    assert len(peer.requests) == 2
