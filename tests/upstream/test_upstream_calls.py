"""Pins, the bytes on the wire, kept connections, addresses, the breaker, Retry-After."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from conftest import PINS, REAL, data, exchange, refresh
from hostile_peer import Peer, Talk, message, says, sends

from broker.errors import ProviderUnavailable
from broker.secret import Secret
from broker.upstream import Answer, Upstream, retry_after

Ask = Callable[[Upstream], object]
Make = Callable[..., Upstream]


def get(upstream: Upstream, url: str = f"{REAL}/", **more: Any) -> Answer:
    return upstream.call("GET", url, **{"pins": PINS, **more})


def fails(upstream: Upstream, url: str = f"{REAL}/", **more: Any) -> ProviderUnavailable:
    with pytest.raises(ProviderUnavailable) as caught:
        get(upstream, url, **more)
    return caught.value


# --- what may leave -------------------------------------------------------------------------------------------

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


AS_GIVEN = [
    "/v21.0/me%252E%252E/act",
    "/v21.0//me",
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
        {"X-A": "é"},
    ],
)
def test_a_header_that_is_ours_or_no_header_is_refused(peer: Peer, upstream: Upstream, headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="header"):
        get(upstream, headers=headers)
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


@pytest.mark.parametrize("target", ["https://evil.example", "http://10.0.0.1:80", "http://127.0.0.1.evil.example"])
def test_an_origin_map_that_leads_off_this_machine_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        Upstream(origins={REAL: target}, production=False)


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


# --- what comes back ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 204, 400, 401, 403, 404, 429, 500, 503])
def test_every_other_status_is_an_answer(peer: Peer, upstream: Upstream, status: int) -> None:
    peer.will(says(status, b"" if status == 204 else b'{"a": 1}', "X-Usage: 5", "X-Usage: 6"))
    answer = get(upstream)
    assert (answer.status, answer.headers["x-usage"]) == (status, "5, 6")
    assert answer.body == (b"" if status == 204 else b'{"a": 1}')


def test_chunks_are_put_together(peer: Peer, upstream: Upstream) -> None:
    peer.will(
        lambda talk: talk.send(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\n[1,\r\n2\r\n2]\r\n0\r\nT: r\r\n\r\n"
        )
    )
    assert get(upstream).json() == [1, 2]
    assert get(upstream).json() == {"hello": "world"}
    assert peer.connections == 1


def test_a_body_that_ends_with_the_connection_is_whole(peer: Peer, upstream: Upstream) -> None:
    peer.will(sends(b"HTTP/1.0 200 OK\r\n\r\n[1]"))
    assert get(upstream).json() == [1]


def test_an_answer_does_not_print_what_it_holds(peer: Peer, upstream: Upstream) -> None:
    peer.will(says(200, {"access_token": "ACCESS-2"}, "X-T: ACCESS-2"))
    assert repr(get(upstream)) == "Answer(status=200)"


def test_cookies_are_neither_kept_nor_passed_on(peer: Peer, upstream: Upstream, ask: Ask) -> None:
    """REL-55"""
    peer.usual = says(200, {"access_token": "ACCESS-2", "token_type": "Bearer"}, "Set-Cookie: sid=1; Path=/")
    ask(upstream)
    ask(upstream)
    assert b"cookie" not in peer.requests[1].lower()
    assert "set-cookie" not in get(upstream).headers


# --- kept connections -----------------------------------------------------------------------------------------


def test_connections_are_kept_and_used_again(peer: Peer, upstream: Upstream) -> None:
    for _ in range(5):
        get(upstream)
    assert (len(peer.requests), peer.connections) == (5, 1)


def test_each_token_request_has_a_new_connection(peer: Peer, upstream: Upstream) -> None:
    """A kept connection that was lost would leave it unknown whether a refresh token was rotated."""
    peer.usual = says(200, {"access_token": "ACCESS-2", "token_type": "Bearer"})
    data(upstream)
    refresh(upstream)
    refresh(upstream)
    assert peer.connections == 3


def once_then(talk_end: Callable[[Talk], None]) -> Callable[[Talk], None]:
    return lambda talk: (talk.send(message(200, b"{}")), talk_end(talk))[0]


def test_a_kept_connection_closed_meanwhile_is_noticed(peer: Peer, upstream: Upstream) -> None:
    peer.will(once_then(Talk.end))
    get(upstream)
    time.sleep(0.05)
    assert upstream.call("POST", f"{REAL}/", pins=PINS, body=b"x").status == 200
    assert (len(peer.requests), peer.connections) == (2, 2)


def test_a_get_on_a_kept_connection_lost_without_a_byte_is_sent_once_more(peer: Peer, upstream: Upstream) -> None:
    """The race that no look at the socket can see: it is closed when the request is on its way."""
    peer.will(says(200, {}), Talk.reset)
    get(upstream)
    assert get(upstream).status == 200
    assert (len(peer.requests), peer.connections) == (3, 2)


def test_a_get_is_sent_once_more_only_once(peer: Peer, upstream: Upstream) -> None:
    peer.will(says(200, {}), Talk.reset, Talk.reset)
    get(upstream)
    assert fails(upstream).sent
    assert len(peer.requests) == 3


def test_a_get_is_not_repeated_once_a_byte_came_back(peer: Peer, upstream: Upstream) -> None:
    peer.will(says(200, {}), sends(b"HTTP/1.1"))
    get(upstream)
    fails(upstream)
    assert len(peer.requests) == 2


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "PATCH"])
def test_nothing_but_a_get_is_repeated(peer: Peer, upstream: Upstream, method: str) -> None:
    """REL-40"""
    peer.will(says(200, {}), Talk.reset)
    get(upstream)
    with pytest.raises(ProviderUnavailable) as caught:
        upstream.call(method, f"{REAL}/", pins=PINS)
    assert caught.value.sent
    assert len(peer.requests) == 2


POISON = message(200, b'{"of": "somebody else"}')


@pytest.mark.parametrize(
    "first",
    [
        lambda talk: talk.send(message(200, b"{}") + POISON),
        lambda talk: (talk.send(message(200, b"{}")), talk.hold(0.02), talk.send(POISON))[0],
        lambda talk: talk.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" + POISON),
        lambda talk: talk.send(b"HTTP/1.1 204 No\r\n\r\n" + POISON),
        lambda talk: talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + POISON),
        lambda talk: talk.send(message(200, b"{}") + b"\r\n"),
    ],
    ids=["at once", "later", "after chunks", "after 204", "after an empty body", "a blank line"],
)
def test_what_follows_an_answer_is_no_answer_to_the_next_request(
    peer: Peer, upstream: Upstream, first: Callable[[Talk], None]
) -> None:
    """REL-56"""
    peer.will(first)
    get(upstream)
    time.sleep(0.1)
    assert get(upstream).json() == {"hello": "world"}
    assert peer.connections == 2


def test_an_answer_that_was_refused_leaves_no_connection_behind(peer: Peer, upstream: Upstream) -> None:
    """REL-56: the rest of its body would be the next answer's head."""
    peer.will(says(200, POISON, "Content-Encoding: gzip"), says(200, b"x" * 2000))
    fails(upstream)
    fails(upstream, max_bytes=1000)
    assert get(upstream).json() == {"hello": "world"}
    assert peer.connections == 3


def test_threads_share_the_pool_and_get_their_own_answers(peer: Peer, upstream: Upstream) -> None:
    peer.usual = lambda talk: talk.send(message(200, b'{"target": "%b"}' % talk.request.split(b" ")[1]))
    wrong: list[str] = []

    def work(name: int) -> None:
        for turn in range(20):
            target = f"/{name}/{turn}"
            if get(upstream, REAL + target).json() != {"target": target}:
                wrong.append(target)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert peer.connections <= 8


# --- time and addresses ---------------------------------------------------------------------------------------


def test_the_callers_deadline_narrows_the_process_wide_one(peer: Peer, make: Make) -> None:
    peer.usual = lambda talk: talk.hold()
    upstream = make(peer, deadline=0.3)
    for deadline, most in ((0.1, 0.25), (9.0, 0.6), (0.0, 0.1), (-1.0, 0.1)):
        began = time.monotonic()
        assert fails(upstream, deadline=deadline).status == 504
        assert time.monotonic() - began < most


def test_a_deadline_that_has_passed_sends_nothing(peer: Peer, upstream: Upstream) -> None:
    assert not fails(upstream, deadline=0.0).sent
    assert peer.requests == []


def test_a_name_lookup_that_hangs_ends_by_the_deadline(make: Make) -> None:
    """REL-44"""
    hanging = threading.Event()
    upstream = make(resolve=lambda *_, **__: hanging.wait(5) and [], deadline=0.2)
    began = time.monotonic()
    errors = [fails(upstream), *(fails(upstream, deadline=0.01) for _ in range(20))]
    assert time.monotonic() - began < 1.0
    assert {(error.status, error.sent) for error in errors} == {(504, False), (503, False)}
    hanging.set()


def test_a_name_that_is_not_found_is_a_typed_failure(make: Make, ask: Ask) -> None:
    """REL-40"""

    def not_found(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(ProviderUnavailable) as caught:
        ask(make(resolve=not_found))
    assert (caught.value.status, caught.value.sent, caught.value.retryable) == (502, False, True)


def at(*addresses: str) -> Callable[..., list[Any]]:
    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in addresses
        ]

    return resolve


INTERNAL = [
    *("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254"),
    *("100.64.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1"),
    *("::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1"),
    *("::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001:db8::1"),
]


@pytest.mark.parametrize("production", [True, False])
@pytest.mark.parametrize("address", INTERNAL)
def test_an_internal_address_is_not_connected_to(make: Make, address: str, production: bool) -> None:
    """REL-54: rebinding, IPv6-mapped and translated forms. Only the map leads to loopback, in development."""
    error = fails(
        make(production=production, resolve=at(address)), "https://provider.example:1/", pins=frozenset({f"{REAL}:1"})
    )
    assert error.detail == "provider.example:1 has no address that may be connected to."
    assert not error.sent


def test_a_decimal_address_is_not_connected_to(make: Make) -> None:
    """REL-54: with the system's own lookup."""
    pins = frozenset({"https://2130706433"})
    assert "no address" in fails(make(production=True), "https://2130706433/", pins=pins).detail


def test_a_mapped_origin_is_reached_on_loopback_and_nowhere_else(make: Make, peer: Peer) -> None:
    upstream = make(origins={REAL: f"http://localhost:{peer.port}"}, resolve=at("8.8.8.8"))
    assert "no address" in fails(upstream).detail
    assert peer.connections == 0


def test_the_next_address_is_tried_when_one_does_not_answer(make: Make, peer: Peer) -> None:
    upstream = make(peer, resolve=at("127.0.0.7", "127.0.0.1"))
    assert get(upstream).status == 200


def test_the_address_that_was_checked_is_the_one_connected_to(make: Make, peer: Peer) -> None:
    """REL-54: one lookup for one connection, so that no second answer can differ."""
    lookups: list[str] = []

    def resolve(host: str, port: int, **more: Any) -> list[Any]:
        lookups.append(host)
        return at("127.0.0.1")(host, port)

    upstream = make(peer, resolve=resolve)
    get(upstream)
    get(upstream)
    assert len(lookups) == 1


# --- the breaker ----------------------------------------------------------------------------------------------


class Clock:
    """A monotonic clock that a test can move on."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def broken(peer: Peer, make: Make, clock: Clock) -> Upstream:
    """A way out whose breaker has just opened."""
    upstream = make(peer, clock=clock)
    peer.will(*[says(503, {})] * 5, *[Talk.reset] * 5)
    for _ in range(5):
        assert get(upstream).status == 503
    for _ in range(5):
        fails(upstream)
    peer.requests.clear()
    return upstream


def test_after_ten_failures_in_a_row_the_provider_is_left_alone(peer: Peer, broken: Upstream, ask: Ask) -> None:
    """REL-58"""
    with pytest.raises(ProviderUnavailable) as caught:
        ask(broken)
    error = caught.value
    assert (error.status, error.retryable, error.sent) == (503, True, False)
    assert error.members["retry_after"] == 2
    assert peer.requests == []


def test_after_the_pause_one_probe_goes_and_the_rest_wait(peer: Peer, broken: Upstream, clock: Clock) -> None:
    """REL-58: no stampede."""
    clock.ahead += 2.1
    probing, release = threading.Event(), threading.Event()
    peer.will(lambda talk: (probing.set(), release.wait(5), talk.send(message(200, b"{}")))[0])
    probe = threading.Thread(target=get, args=(broken,))
    probe.start()
    assert probing.wait(5)
    assert [fails(broken).status for _ in range(5)] == [503] * 5
    release.set()
    probe.join()
    assert len(peer.requests) == 1
    assert get(broken).status == 200


def test_each_failed_probe_doubles_the_pause_up_to_a_minute(peer: Peer, broken: Upstream, clock: Clock) -> None:
    """REL-58"""
    peer.usual = says(500, {})
    pauses = []
    for _ in range(7):
        pauses.append(fails(broken).members["retry_after"])
        clock.ahead += pauses[-1]
        assert get(broken).status == 500
    assert pauses == [2, 4, 8, 16, 32, 60, 60]


def test_a_success_starts_the_count_again(peer: Peer, upstream: Upstream) -> None:
    peer.will(*[says(500, {})] * 9, says(200, {}), *[says(500, {})] * 9)
    assert [get(upstream).status for _ in range(19)] == [500] * 9 + [200] + [500] * 9
    assert get(upstream).status == 200


@pytest.mark.parametrize(
    "script",
    [
        says(400, {}),
        says(401, {}),
        says(429, {}),
        says(302, {}),
        says(200, b"x" * 2000),
        says(200, b"", "Content-Encoding: gzip"),
    ],
    ids=["400", "401", "429", "a redirect", "too large", "compressed"],
)
def test_an_answer_that_only_we_dislike_is_no_outage(
    peer: Peer, upstream: Upstream, script: Callable[[Talk], None]
) -> None:
    peer.will(*[script] * 12)
    for _ in range(12):
        with contextlib.suppress(ProviderUnavailable):
            get(upstream, max_bytes=1000)
    assert get(upstream).status == 200


def test_one_origins_breaker_is_not_anothers(peer: Peer, make: Make, broken: Upstream) -> None:
    assert fails(broken).status == 503
    other = "https://other.example"
    both = make(origins={REAL: "http://127.0.0.1:1", other: peer.origin})
    for _ in range(11):
        fails(both)
    assert fails(both).status == 503
    assert get(both, f"{other}/", pins=frozenset({other})).status == 200


def test_a_refused_url_does_not_count_against_the_provider(upstream: Upstream) -> None:
    for _ in range(15):
        fails(upstream, f"{REAL}/../x")
    assert get(upstream).status == 200


# --- Retry-After ----------------------------------------------------------------------------------------------

NOON = 1_800_000_000.0
WAITS = [
    ("", 60),
    ("7", 7),
    ("0", 1),
    ("-5", 1),
    ("1000000000", 3600),
    ("9" * 5000, 3600),
    ("1.5", 60),
    ("soon", 60),
    ("Fri, 15 Jan 2027 08:00:30 GMT", 30),
    ("Fri, 15 Jan 2027 07:00:00 GMT", 1),
    ("Fri, 15 Jan 2100 08:00:00 GMT", 3600),
    ("Fri, 99 Jan 2027 08:00:30 GMT", 60),
]


@pytest.mark.parametrize(("said", "wait"), WAITS, ids=[said[:20] or "absent" for said, _ in WAITS])
def test_retry_after_is_honoured_within_bounds(said: str, wait: int) -> None:
    """REL-42"""
    answer = Answer(429, {"retry-after": said} if said else {}, b"")
    assert retry_after(answer, now=lambda: NOON) == wait


def test_a_retry_date_is_read_against_the_providers_own_clock() -> None:
    """REL-57: its clock is an hour ahead."""
    headers = {"retry-after": "Fri, 15 Jan 2027 09:00:30 GMT", "date": "Fri, 15 Jan 2027 09:00:00 GMT"}
    assert retry_after(Answer(429, headers, b""), now=lambda: NOON) == 30
