"""Exchange, refresh and revoke: what each makes of the answer that really came over the wire."""

from collections.abc import Callable
from typing import Any

import pytest

from broker.errors import ProviderUnavailable, RateLimited
from broker.secret import Secret
from broker.upstream import TokenAnswer, TokenRefused, Upstream
from tests.upstream.hostile_peer import Peer, Script, Talk, says
from tests.upstream.peers import REAL, exchange, fails, failure, refresh, revoke
from tests.upstream.test_upstream_json import UNSOUND

Way = Callable[..., Any]
GRANTED = says(200, {"access_token": "ACCESS-2", "token_type": "Bearer", "expires_in": 3599, "scope": "a b"})


OUTAGES = [
    *(says(status, {"error": "invalid_grant"}) for status in (500, 502, 503, 504)),
    *(says(status, b"<html>Sorry</html>", "Content-Type: text/html") for status in (200, 400, 403, 502)),
    *(says(status, b"") for status in (200, 204, 400, 401)),
]


@pytest.mark.parametrize("script", OUTAGES)
@pytest.mark.parametrize("way", [exchange, refresh])
def test_an_outage_of_the_token_endpoint_is_no_refusal(
    peer: Peer, upstream: Upstream, way: Way, script: Script
) -> None:
    """REL-41, docs/facts/security.md STD-23"""
    peer.will(script)
    error = failure(way, upstream)
    assert (error.retryable, error.sent) == (True, True)
    assert len(peer.requests) == 1


@pytest.mark.parametrize("body", UNSOUND.values(), ids=list(UNSOUND))
@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("way", [exchange, refresh])
def test_an_unsound_document_from_the_token_endpoint_is_no_answer(
    peer: Peer, upstream: Upstream, way: Way, status: int, body: bytes
) -> None:
    """REL-45"""
    peer.will(says(status, body))
    assert failure(way, upstream).retryable


LIFETIMES = [
    (None, None),
    (0, 0),
    (-1, 0),
    (1, 1),
    ("3600", 3600),
    (1e12, 31_536_000),
    (59.9, 59),
    ("soon", None),
    ([60], None),
]


@pytest.mark.parametrize(("said", "seconds"), LIFETIMES)
def test_any_lifetime_comes_out_as_seconds_or_not_said(
    peer: Peer, upstream: Upstream, said: object, seconds: int | None
) -> None:
    """REL-49"""
    peer.will(says(200, {"access_token": "ACCESS-2", "token_type": "Bearer", "expires_in": said}))
    assert refresh(upstream).expires_in == seconds


@pytest.mark.parametrize("way", [exchange, refresh])
def test_the_answer_is_handed_over_normalised(peer: Peer, upstream: Upstream, way: Way) -> None:
    peer.usual = says(
        200,
        {
            "access_token": "ACCESS-2",
            "refresh_token": "REFRESH-2",
            "token_type": "bearer",
            "expires_in": "3599",
            "scope": "b a b",
            "id_token": "x.y.z",
            "refresh_token_expires_in": 604799,
            "user_id": 17,
        },
    )
    assert way(upstream) == TokenAnswer(
        access_token=Secret("ACCESS-2"),
        refresh_token=Secret("REFRESH-2"),
        expires_in=3599,
        scope=frozenset({"a", "b"}),
        id_token="x.y.z",
        refresh_token_expires_in=604799,
        members={"user_id": 17},
    )


@pytest.mark.parametrize("way", [exchange, refresh])
def test_what_is_granted_is_what_the_answer_says_not_what_was_asked(peer: Peer, upstream: Upstream, way: Way) -> None:
    """REL-50: whether it widens or narrows is told as it stands, and no library fails over it."""
    for scope in ("", "a", "a b c d", "z"):
        peer.will(says(200, {"access_token": "ACCESS-2", "token_type": "Bearer", "scope": scope}))
        assert way(upstream).scope == frozenset(scope.split())


@pytest.mark.parametrize("expires_in", [3600, 0, -1])
def test_a_refresh_that_yields_the_same_or_an_expired_token_has_asked_once(
    peer: Peer, upstream: Upstream, expires_in: int
) -> None:
    """REL-51: no loop."""
    token = {"access_token": "ACCESS-2", "token_type": "Bearer", "expires_in": expires_in}
    peer.usual = says(200, token)
    for asked in (1, 2):
        assert refresh(upstream).access_token == Secret("ACCESS-2")
        assert len(peer.requests) == asked


@pytest.mark.parametrize("hours", [-1, 1])
def test_the_providers_clock_does_not_count(peer: Peer, upstream: Upstream, hours: int) -> None:
    """REL-57: a lifetime is what the answer says, whatever its Date."""
    date = f"Date: Fri, 15 Jan 2027 {12 + hours}:00:00 GMT"
    peer.usual = says(200, {"access_token": "ACCESS-2", "token_type": "Bearer", "expires_in": 3599}, date)
    assert refresh(upstream).expires_in == 3599


@pytest.mark.parametrize("way", [exchange, refresh])
def test_a_provider_may_have_a_form_of_its_own(peer: Peer, upstream: Upstream, way: Way) -> None:
    """It is read by us alone: the library would stumble over such a scope."""
    peer.usual = says(200, {"data": [{"access_token": "ACCESS-2", "permissions": "a,b"}], "scope": 17})

    def departure(members: Any) -> dict[str, Any]:
        (inner,) = members["data"]
        scope = inner["permissions"].replace(",", " ")
        return {"access_token": inner["access_token"], "token_type": "bearer", "scope": scope}

    answer = way(upstream, departure=departure)
    assert (answer.access_token, answer.scope) == (Secret("ACCESS-2"), frozenset({"a", "b"}))


@pytest.mark.parametrize("way", [exchange, refresh])
def test_a_refusal_is_told_by_its_word_alone(peer: Peer, upstream: Upstream, way: Way) -> None:
    peer.will(says(400, {"error": "invalid_grant", "error_description": "ACCESS-1 is bad", "error_subtype": "rapt"}))
    with pytest.raises(TokenRefused) as caught:
        way(upstream)
    assert (caught.value.error, caught.value.error_subtype) == ("invalid_grant", "rapt")
    assert str(caught.value) == "invalid_grant rapt"
    assert caught.value.__context__ is None
    assert len(peer.requests) == 1


@pytest.mark.parametrize("way", [exchange, refresh])
def test_a_rate_limit_says_when_to_come_back(peer: Peer, upstream: Upstream, way: Way) -> None:
    """REL-42"""
    peer.will(says(429, {"error": "invalid_grant"}, "Retry-After: 17"))
    with pytest.raises(RateLimited) as caught:
        way(upstream)
    assert caught.value.members == {"retry_after": 17}


@pytest.mark.parametrize("way", [exchange, refresh, revoke])
def test_no_token_request_is_sent_twice(peer: Peer, upstream: Upstream, way: Way) -> None:
    """REL-40: what rotates is unknown once it may have arrived."""
    peer.will(GRANTED, Talk.reset)
    refresh(upstream)
    assert failure(way, upstream).sent
    assert len(peer.requests) == 2


@pytest.mark.parametrize("status", [200, 400, 401, 404, 429, 500])
def test_the_caller_reads_what_a_revocation_was_answered(peer: Peer, upstream: Upstream, status: int) -> None:
    peer.will(says(status, {"error": "invalid_token"}))
    answer = revoke(upstream)
    assert (answer.status, answer.json()) == (status, {"error": "invalid_token"})


@pytest.mark.parametrize("target", ["/token?x=%7e", "/a/../token", "/token#x", "/tok en"])
@pytest.mark.parametrize("way", [exchange, refresh, revoke])
def test_a_token_endpoint_that_would_not_go_out_as_given_is_not_asked(
    peer: Peer, upstream: Upstream, way: Way, target: str
) -> None:
    with pytest.raises(ProviderUnavailable) as caught:
        way(upstream, endpoint=REAL + target)
    assert not caught.value.retryable
    assert peer.connections == 0


def test_flows_and_data_share_breaker_and_caps(peer: Peer, upstream: Upstream) -> None:
    """REL-58: ten refusals to answer a refresh are ten for data."""
    peer.usual = says(503, {})
    for _ in range(10):
        failure(refresh, upstream)
    assert fails(upstream).status == 503
