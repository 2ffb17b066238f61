"""Judging what a token endpoint answered (docs/facts/security.md STD-21…23, REL-41, REL-49)."""

import json
from typing import Any

import pytest

from broker.errors import ProviderUnavailable, RateLimited
from broker.secret import Secret
from broker.upstream import Answer, TokenAnswer, TokenRefused
from broker.upstream.tokens import LONGEST_TOKEN, judged
from tests.upstream.peers import assert_tells_nothing

SOUND = {"access_token": "ACCESS-2", "token_type": "Bearer"}


def answer(status: int, document: Any, **headers: str) -> Answer:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def of(**members: Any) -> TokenAnswer:
    return judged(answer(200, {**SOUND, **members}))


def unavailable(status: int, document: Any, **headers: str) -> ProviderUnavailable:
    with pytest.raises(ProviderUnavailable) as caught:
        judged(answer(status, document, **headers))
    assert_tells_nothing(str(caught.value))
    return caught.value


# --- an outage is no refusal ----------------------------------------------------------------------------------

WORDLESS = {
    "HTML": b"<html>502 Bad Gateway</html>",
    "nothing": b"",
    "cut off": b'{"error": "invalid_gra',
    "an array": [{"error": "invalid_grant"}],
    "a text": b'"invalid_grant"',
    "no words": {},
}
BODIES = {**WORDLESS, "a definite refusal": {"error": "invalid_grant"}, "tokens": SOUND}


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 599])
@pytest.mark.parametrize("body", BODIES.values(), ids=list(BODIES))
def test_an_outage_ends_no_connection_whatever_it_says(status: int, body: Any) -> None:
    """STD-23, REL-41: a 503 that says invalid_grant is a 503."""
    assert unavailable(status, body).retryable


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404])
@pytest.mark.parametrize("body", WORDLESS.values(), ids=list(WORDLESS))
def test_an_answer_that_says_nothing_ends_no_connection(status: int, body: Any) -> None:
    """STD-23, REL-41: an HTML page or nothing at all, with any status."""
    assert unavailable(status, body).retryable


@pytest.mark.parametrize("status", [200, 201, 204])
def test_a_success_without_a_body_is_none(status: int) -> None:
    """REL-41"""
    assert unavailable(status, b"").retryable


@pytest.mark.parametrize("error", ["temporarily_unavailable", "server_error", "internal_failure"])
@pytest.mark.parametrize("status", [400, 401, 403])
def test_an_error_that_passes_is_no_refusal(status: int, error: str) -> None:
    """STD-23, docs/facts/google.md §1.9"""
    assert unavailable(status, {"error": error}).retryable


def test_an_outage_may_say_when_to_come_back() -> None:
    """REL-42"""
    assert unavailable(503, {}, retry_after="17").members == {"retry_after": 17}
    assert unavailable(503, {}).members == {}


@pytest.mark.parametrize("body", BODIES.values(), ids=list(BODIES))
def test_a_rate_limit_is_no_refusal_whatever_it_says(body: Any) -> None:
    """STD-23, REL-42"""
    with pytest.raises(RateLimited) as caught:
        judged(answer(429, body))
    assert caught.value.members == {"retry_after": 60}


def test_an_error_with_success_is_believed_in_neither() -> None:
    assert unavailable(200, {"error": "invalid_grant"}).retryable
    assert unavailable(200, {**SOUND, "error": "invalid_grant"}).retryable


# --- a refusal ------------------------------------------------------------------------------------------------


def refusal(status: int, **members: Any) -> TokenRefused:
    with pytest.raises(TokenRefused) as caught:
        judged(answer(status, members))
    return caught.value


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize("error", ["invalid_grant", "invalid_client", "admin_policy_enforced", "deleted_client"])
def test_a_refusal_is_told_by_its_word(status: int, error: str) -> None:
    """RFC 6749 §5.2, docs/facts/google.md §1.9"""
    refused = refusal(status, error=error, error_description="ACCESS-1")
    assert (refused.error, refused.error_subtype, refused.code, str(refused)) == (error, None, None, error)


@pytest.mark.parametrize("word", ["<script>", "ACCESS-1", "x" * 65, "", "invalid grant", "invalid_grant\n", "é"])
def test_a_word_that_is_none_is_not_passed_on(word: str) -> None:
    """STD-15: nor taken for the one that ends a connection."""
    refused = refusal(400, error=word, error_subtype=word)
    assert (refused.error, refused.error_subtype) == ("unknown", "unknown")
    assert refusal(400, error="invalid_grant", error_subtype=7).error_subtype == "unknown"


def test_graphs_error_is_told_by_its_numbers() -> None:
    refused = refusal(400, error={"message": "ACCESS-1", "type": "OAuthException", "code": 190, "error_subcode": 463})
    assert (refused.error, refused.code, refused.subcode, str(refused)) == ("unknown", 190, 463, "190/463")


@pytest.mark.parametrize("number", [None, "190", 190.0, True, [190]])
def test_a_number_that_is_none_is_not_passed_on(number: Any) -> None:
    refused = refusal(400, error={"code": number, "error_subcode": number})
    assert (refused.code, refused.subcode) == (None, None)


@pytest.mark.parametrize("error", [None, 7, True, ["invalid_grant"]])
def test_an_error_that_is_no_word_is_no_refusal(error: Any) -> None:
    assert unavailable(400, {"error": error}).retryable


# --- tokens ---------------------------------------------------------------------------------------------------


def test_the_least_answer_says_nothing_that_it_does_not_say() -> None:
    """A scope that is not said is not what was asked."""
    assert of() == TokenAnswer(
        access_token=Secret("ACCESS-2"),
        refresh_token=None,
        expires_in=None,
        scope=None,
        id_token=None,
        refresh_token_expires_in=None,
        members={},
    )


@pytest.mark.parametrize("document", [[SOUND], [], b'"ACCESS-2"', b"1", b"null"])
def test_an_answer_that_is_no_object_is_refused(document: Any) -> None:
    """STD-21"""
    assert unavailable(200, document).retryable


@pytest.mark.parametrize(
    "body",
    [
        b'{"access_token": "ACCESS-1", "access_token": "ACCESS-2", "token_type": "Bearer"}',
        b'{"access_token": "ACCESS-2", "token_type": "Bearer", "expires_in": NaN}',
        b'{"access_token": "ACCESS-2", "token_type": "Bearer", "expires_in": 1e999}',
        b'\xef\xbb\xbf{"access_token": "ACCESS-2", "token_type": "Bearer"}',
        b'{"access_token": "ACCESS-2", "token_type": "Bearer"} ,',
    ],
    ids=["a name twice", "NaN", "infinity", "a byte order mark", "a trailing comma"],
)
def test_an_answer_that_is_no_strict_json_is_refused(body: bytes) -> None:
    """STD-21, REL-45"""
    assert unavailable(200, body).retryable


@pytest.mark.parametrize("kind", ["Bearer", "bearer", "BEARER"])
def test_a_bearer_token_is_one_in_any_case(kind: str) -> None:
    """STD-21, RFC 6749 §5.1"""
    assert of(token_type=kind).access_token == Secret("ACCESS-2")


@pytest.mark.parametrize("kind", ["mac", "DPoP", "", None, 1, ["bearer"], "Bearer "])
def test_a_token_of_another_kind_is_refused(kind: Any) -> None:
    """STD-21"""
    assert not unavailable(200, {**SOUND, "token_type": kind}).retryable


def test_an_answer_without_a_kind_or_a_token_is_refused() -> None:
    """STD-21"""
    assert not unavailable(200, {"access_token": "ACCESS-2"}).retryable
    assert unavailable(200, {"token_type": "Bearer"}).retryable


NO_TEXTS = [7, True, ["ACCESS-2"], {"a": "ACCESS-2"}]
NO_TOKENS = [*NO_TEXTS, "ACCESS 2", "ACCESS-2\r\nX: y", "é", "x" * (LONGEST_TOKEN + 1)]


@pytest.mark.parametrize("token", [*NO_TOKENS, "", None], ids=lambda token: str(token)[:12])
def test_what_is_no_token_is_not_taken_for_one(token: Any) -> None:
    """STD-21"""
    assert not unavailable(200, {**SOUND, "access_token": token}).retryable


@pytest.mark.parametrize("token", NO_TOKENS, ids=lambda token: str(token)[:12])
def test_what_is_no_refresh_token_is_not_taken_for_one(token: Any) -> None:
    """STD-21"""
    assert not unavailable(200, {**SOUND, "refresh_token": token}).retryable


def test_a_token_may_be_as_long_as_that() -> None:
    assert of(access_token="x" * LONGEST_TOKEN).access_token == Secret("x" * LONGEST_TOKEN)


@pytest.mark.parametrize("members", [{}, {"refresh_token": ""}, {"refresh_token": None}])
def test_no_new_refresh_token_is_none(members: dict[str, Any]) -> None:
    """STD-22: the caller keeps the one it has."""
    assert of(**members).refresh_token is None


def test_a_new_refresh_token_is_handed_over() -> None:
    """STD-22"""
    assert of(refresh_token="REFRESH-2").refresh_token == Secret("REFRESH-2")


LIFETIMES = [
    *((3600, 3600), (1, 1), (0, 0), (-1, 0), (10**12, 31_536_000), (3599.9, 3599), (1e300, 31_536_000)),
    *(("3600", 3600), ("+60", 60), ("-1", 0), ("3599.9", 3599), ("999999999999999", 31_536_000)),
    *((None, None), ("", None), ("soon", None), ("1e3", None), (" 60", None), ("60\n", None), ("0x10", None)),
    *((True, None), ([60], None), ({}, None), ("9" * 16, None), ("٦٠", None)),
]


@pytest.mark.parametrize(("said", "seconds"), LIFETIMES, ids=[repr(said) for said, _ in LIFETIMES])
def test_a_lifetime_is_a_number_of_seconds_or_not_said(said: Any, seconds: int | None) -> None:
    """REL-49"""
    token = of(expires_in=said, refresh_token_expires_in=said)
    assert (token.expires_in, token.refresh_token_expires_in) == (seconds, seconds)


@pytest.mark.parametrize("scope", [["a", "b"], {"a": 1}, 7, True])
def test_a_scope_that_is_no_text_is_refused(scope: Any) -> None:
    """STD-19: what was granted must not be guessed."""
    assert not unavailable(200, {**SOUND, "scope": scope}).retryable


def test_a_scope_that_says_nothing_grants_nothing() -> None:
    """STD-19"""
    assert of(scope="").scope == frozenset()
    assert of(scope=None).scope is None
    assert of(scope=" b  a b ").scope == frozenset({"a", "b"})


@pytest.mark.parametrize("id_token", ["", None, 7, {"sub": "1"}])
def test_what_is_no_id_token_is_none(id_token: Any) -> None:
    assert of(id_token=id_token).id_token is None


def test_other_members_are_handed_over_but_for_secrets() -> None:
    others = {"user_id": "17", "permissions": ["a"], "page_access_token": "ACCESS-2", "Client_Secret": "ACCESS-2"}
    assert of(**others, refresh_token="REFRESH-2", id_token="x.y.z").members == {"user_id": "17", "permissions": ["a"]}


def test_a_token_answer_does_not_print_what_it_holds() -> None:
    token = of(refresh_token="REFRESH-2", id_token="ACCESS-1", code="CODE-1", scope="a")
    assert_tells_nothing(repr(token))
    assert_tells_nothing(str(token))
