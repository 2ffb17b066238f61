"""Where an OpenID provider says it is: its metadata is believed only of itself, and only over https
(docs/facts/security.md STD-04, STD-36; OpenID Connect Discovery §4.3)."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, Response, jsonify

from broker.errors import ProviderUnavailable
from broker.identity import Identity
from broker.sandbox.serve import Running
from broker.upstream import Upstream

ISSUER = "https://idp.example"
SOUND = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": "https://keys.example/keys",
    "revocation_endpoint": f"{ISSUER}/revoke",
    "userinfo_endpoint": f"{ISSUER}/userinfo",
}

Discover = Callable[[object], Any]


@pytest.fixture
def discovered() -> Iterator[Discover]:
    """What comes of metadata: a value to be sent as JSON, or a whole response."""
    answers: list[Any] = []
    fake = Flask("idp")

    @fake.get("/.well-known/openid-configuration")
    def metadata() -> Response:
        return answers[-1] if isinstance(answers[-1], Response) else jsonify(answers[-1])

    with Running(fake) as running:
        upstream = Upstream(origins={ISSUER: running.url}, production=False)

        def discover(answer: object) -> Any:
            answers.append(answer)
            return Identity(upstream).discovered(ISSUER)

        yield discover
        upstream.close()


def test_sound_metadata_gives_the_endpoints(discovered: Discover) -> None:
    endpoints = discovered(SOUND)
    assert endpoints.issuers == (ISSUER,)
    assert (endpoints.authorization, endpoints.token) == (f"{ISSUER}/authorize", f"{ISSUER}/token")
    assert (endpoints.revocation, endpoints.userinfo) == (f"{ISSUER}/revoke", f"{ISSUER}/userinfo")
    assert endpoints.jwks == "https://keys.example/keys"
    assert endpoints.issuer_in_callback is False


@pytest.mark.parametrize("promised", [True, False, None, "true", 1])
def test_only_a_plain_true_promises_iss(discovered: Discover, promised: object) -> None:
    found = discovered({**SOUND, "authorization_response_iss_parameter_supported": promised})
    assert found.issuer_in_callback is (promised is True)


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": f"{ISSUER}/"},
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"issuer": [ISSUER]},
        {"authorization_endpoint": None},
        {"token_endpoint": None},
        {"jwks_uri": None},
        {"token_endpoint": "http://idp.example/token"},
        {"jwks_uri": "http://idp.example/keys"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"token_endpoint": 7},
        {"token_endpoint": ["https://idp.example/token"]},
    ],
)
def test_metadata_of_another_or_without_an_endpoint_is_refused(
    discovered: Discover, changes: dict[str, object]
) -> None:
    with pytest.raises(ProviderUnavailable) as caught:
        discovered({**SOUND, **changes})
    assert caught.value.retryable is False


@pytest.mark.parametrize("name", ["revocation_endpoint", "userinfo_endpoint"])
@pytest.mark.parametrize("value", [None, "", 7, "http://idp.example/x", "file:///etc/passwd"])
def test_an_endpoint_that_may_be_missing_is_missing_where_it_is_unsound(
    discovered: Discover, name: str, value: object
) -> None:
    endpoints = discovered({**SOUND, name: value})
    assert getattr(endpoints, name.partition("_")[0]) is None


@pytest.mark.parametrize(
    "answer",
    [
        [],
        "text",
        None,
        7,
        Response("<html>", mimetype="text/html"),
        Response("{", mimetype="application/json"),
        Response("{}", status=404),
        Response("", status=302, headers={"Location": "https://evil.example"}),
        Response("", status=503),
    ],
)
def test_what_is_no_metadata_is_an_outage(discovered: Discover, answer: object) -> None:
    with pytest.raises(ProviderUnavailable):
        discovered(answer)
