"""Whose the tokens are says the id_token alone, and only one that checks out (docs/facts/security.md STD-16, STD-18,
INC-13, INC-14; docs/facts/google.md §1.11)."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from flask import Flask, jsonify, request
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

from broker.endpoints import Endpoints
from broker.errors import ProviderUnavailable
from broker.identity import Identity
from broker.sandbox.serve import Running
from broker.upstream import Upstream
from tests.connections.insight import rows
from tests.house import Clock, Google, House, SalesApp

NOW = 1_800_000_000.0
ISSUER = "https://idp.example"
JWKS = f"{ISSUER}/keys"


# --- through the broker --------------------------------------------------------------------------------------


@pytest.fixture
def house(sqlite_house: House) -> House:
    return sqlite_house


@pytest.mark.parametrize(
    "fault", ["alg_none", "wrong_aud", "wrong_nonce", "wrong_iss", "expired", "bad_signature", "missing"]
)
def test_an_id_token_that_does_not_check_out_ends_the_session(
    app: SalesApp, house: House, google: Google, fault: str
) -> None:
    """No connection, no second exchange, and the tokens that came along are told to the provider (I5, G-5)."""
    google.quirk(bad_id_token=fault)
    returned = app.pending()
    first = app.confirm(returned)
    assert (first.status_code, first.json()["code"], first.json()["retryable"]) == (502, "provider_unavailable", False)
    google.quirk(bad_id_token=None)
    again = app.confirm(returned)
    assert {**again.json(), "request_id": ""} == {**first.json(), "request_id": ""}
    assert app.status(returned["session"]) == "failed"
    assert app.call("GET", "/v1/connections").json()["items"] == []
    assert [call["grant_type"] for call in google.requests("/token")] == ["authorization_code"]
    assert google.live_tokens() == 2
    house.work()
    assert google.live_tokens() == 0
    assert rows(house)["orphans"] == []


def test_keys_that_cannot_be_had_end_the_session(app: SalesApp, house: House, google: Google) -> None:
    """I9: what cannot be checked is not believed."""
    google.quirk(outage={"/oauth2/v3/certs": 503})
    returned = app.pending()
    answer = app.confirm(returned)
    assert (answer.status_code, answer.json()["code"]) == (502, "provider_unavailable")
    google.quirk(outage=None)
    assert app.confirm(returned).status_code == 502
    house.work()
    assert google.live_tokens() == 0


def test_a_new_signing_key_of_the_provider_is_fetched(app: SalesApp, google: Google, clock: Clock) -> None:
    app.connect("google_contacts")
    clock.advance(seconds=11)
    google.control("rotate-keys")
    app.connect("google_contacts")


# --- by itself -----------------------------------------------------------------------------------------------


class Issuer:
    """An issuer of id_tokens: its keys over HTTP, and a hand that signs."""

    def __init__(self) -> None:
        self.rsa = RSAKey.generate_key(2048, {"kid": "r1", "use": "sig"}, private=True)
        self.ec = ECKey.generate_key("P-256", {"kid": "e1", "use": "sig"}, private=True)
        self.published: list[Any] = [self.rsa, self.ec]
        self.asked: list[str] = []
        self.app = Flask("issuer")
        self.app.before_request(lambda: self.asked.append(request.path))
        self.app.add_url_rule("/keys", view_func=lambda: jsonify(KeySet(self.published).as_dict(private=False)))

    def claims(self, **changes: Any) -> dict[str, Any]:
        sound = {"iss": ISSUER, "aud": "CLIENT", "sub": "S-1", "nonce": "N-1", "iat": int(NOW), "exp": int(NOW) + 3600}
        return {name: value for name, value in {**sound, **changes}.items() if value is not None}

    def token(self, key: Any = None, header: dict[str, Any] | None = None, **changes: Any) -> str:
        key = key or self.rsa
        alg = "ES256" if isinstance(key, ECKey) else "RS256"
        return jwt.encode({"alg": alg, "kid": key.kid, **(header or {})}, self.claims(**changes), key)


@pytest.fixture(scope="module")
def _signing() -> Issuer:
    return Issuer()


@pytest.fixture
def issuer(_signing: Issuer) -> Issuer:
    _signing.published, _signing.asked[:] = [_signing.rsa, _signing.ec], []
    return _signing


@pytest.fixture
def identity(issuer: Issuer) -> Iterator[Identity]:
    with Running(issuer.app) as running:
        upstream = Upstream(origins={ISSUER: running.url}, production=False)
        issuer.now = NOW  # type: ignore[attr-defined]
        yield Identity(upstream, now=lambda: issuer.now)  # type: ignore[attr-defined]
        upstream.close()


def _verified(identity: Identity, token: str | None, nonce: str | None = "N-1"):
    endpoints = Endpoints(issuers=(ISSUER,), authorization=ISSUER, token=ISSUER, jwks=JWKS, revocation=None)
    return identity.verify(token, endpoints=endpoints, client_id="CLIENT", nonce=nonce)


def _refused(identity: Identity, token: str | None, nonce: str | None = "N-1") -> None:
    with pytest.raises(ProviderUnavailable) as caught:
        _verified(identity, token, nonce)
    assert (caught.value.status, caught.value.retryable) == (502, False)
    assert str(caught.value) == "The provider's id_token does not check out."
    assert caught.value.__cause__ is None


def test_sound_tokens_of_both_kinds_are_taken(identity: Identity, issuer: Issuer) -> None:
    for key in (issuer.rsa, issuer.ec):
        assert _verified(identity, issuer.token(key))["sub"] == "S-1"
    assert issuer.asked == ["/keys"]


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": None},
        {"iss": "https://idp.example/"},
        {"iss": "https://evil.example"},
        {"iss": [ISSUER]},
        {"aud": None},
        {"aud": "OTHER"},
        {"aud": ["CLIENT", "OTHER"]},
        {"aud": []},
        {"aud": "client"},
        {"azp": "OTHER"},
        {"nonce": None},
        {"nonce": ""},
        {"nonce": "N-2"},
        {"nonce": ["N-1"]},
        {"exp": None},
        {"exp": int(NOW) - 11},
        {"exp": str(int(NOW) + 3600)},
        {"exp": True},
        {"exp": float("nan")},
        {"iat": None},
        {"iat": int(NOW) + 11},
        {"iat": 10**400},
        {"iat": "now"},
        {"nbf": int(NOW) + 11},
        {"nbf": "now"},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 256},
        {"sub": ["S-1"]},
    ],
)
def test_a_claim_that_is_wrong_or_missing(identity: Identity, issuer: Issuer, changes: dict[str, Any]) -> None:
    _refused(identity, issuer.token(**changes))


@pytest.mark.parametrize("changes", [{"aud": ["CLIENT"]}, {"azp": "CLIENT"}, {"exp": 10**400}, {"sub": "x" * 255}])
def test_claims_that_are_as_good(identity: Identity, issuer: Issuer, changes: dict[str, Any]) -> None:
    assert _verified(identity, issuer.token(**changes))


def test_of_a_refresh_it_needs_no_nonce(identity: Identity, issuer: Issuer) -> None:
    """OpenID Connect Core §12.2."""
    assert _verified(identity, issuer.token(nonce=None), nonce=None)


@pytest.mark.parametrize("token", [None, "", ".", "..", "a.b.c", "e30.e30.", "x" * 20_000, "é.é.é", "{}"])
def test_what_is_no_token(identity: Identity, token: str | None) -> None:
    _refused(identity, token)


def test_a_token_longer_than_16_kb(identity: Identity, issuer: Issuer) -> None:
    _refused(identity, issuer.token(padding="x" * 16_384))
    assert issuer.asked == []


def test_signed_by_nobody(identity: Identity, issuer: Issuer) -> None:
    for alg in ("none", "None", "NONE", "nOnE", "", None, "HS256", "RS1", ["RS256"]):
        header = {"typ": "JWT", "kid": "r1"} if alg is None else {"alg": alg, "kid": "r1"}
        _refused(identity, f"{_part(header)}.{_part(issuer.claims())}.")


def test_signed_with_the_public_key_as_if_it_were_a_secret(identity: Identity, issuer: Issuer) -> None:
    """INC-13."""
    for secret in (
        issuer.rsa.as_pem(private=False),
        issuer.rsa.as_der(private=False),
        json.dumps(issuer.rsa.as_dict(private=False)).encode(),
        b"",
    ):
        signed = f"{_part({'alg': 'HS256', 'kid': 'r1'})}.{_part(issuer.claims())}"
        tag = base64.urlsafe_b64encode(hmac.digest(secret, signed.encode(), hashlib.sha256)).rstrip(b"=").decode()
        _refused(identity, f"{signed}.{tag}")


def test_signed_by_a_key_that_the_token_brings_along(identity: Identity, issuer: Issuer) -> None:
    """INC-14: jwk, jku, x5u and x5c have no effect, and nothing is fetched from where they point."""
    evil = RSAKey.generate_key(2048, {"kid": "r1"}, private=True)
    for header in (
        {"jwk": evil.as_dict(private=False)},
        {"jku": JWKS + "2"},
        {"x5u": ISSUER + "/certificate"},
        {"kid": "unknown", "jwk": evil.as_dict(private=False)},
    ):
        token = f"{_part({'alg': 'RS256', 'kid': 'r1', **header})}.{_part(issuer.claims())}"
        signature = jwt.encode({"alg": "RS256", "kid": "r1"}, issuer.claims(), evil).rpartition(".")[2]
        _refused(identity, f"{token}.{signature}")
        _refused(identity, jwt.encode({"alg": "RS256", "kid": "r1"}, issuer.claims(), evil))
    assert set(issuer.asked) == {"/keys"}


def test_an_extension_that_nobody_here_knows(identity: Identity, issuer: Issuer) -> None:
    """`crit` names what must be understood (RFC 7515 §4.1.11)."""
    for crit in (["exotic"], ["b64"], [], "exotic"):
        header = {"alg": "RS256", "kid": "r1", "crit": crit, "exotic": 1, "b64": False}
        _refused(identity, _signed(issuer, header))


def test_an_algorithm_that_is_not_on_the_list(identity: Identity, issuer: Issuer) -> None:
    for alg in ("RS512", "PS256", "ES256"):
        _refused(identity, _signed(issuer, {"alg": alg, "kid": "r1"}))
    for alg in ("RS384", "RS512", "PS256"):
        _refused(identity, jwt.encode({"alg": alg, "kid": "r1"}, issuer.claims(), issuer.rsa, algorithms=[alg]))


def test_a_key_of_another_kind_under_the_id(identity: Identity, issuer: Issuer) -> None:
    _refused(identity, issuer.token(header={"kid": "e1"}))
    _refused(identity, issuer.token(OctKey.import_key("s" * 32, {"kid": "r1"}), header={"alg": "HS256"}))


def test_every_changed_octet_of_the_signature(identity: Identity, issuer: Issuer) -> None:
    head, _, tag = issuer.token().rpartition(".")
    for place in range(0, len(tag) - 2, 17):
        flipped = "A" if tag[place] != "A" else "B"
        _refused(identity, f"{head}.{tag[:place]}{flipped}{tag[place + 1 :]}")


def test_an_unknown_key_id_asks_for_the_keys_at_most_every_ten_seconds(identity: Identity, issuer: Issuer) -> None:
    """A stranger's tokens must not make us hammer the provider."""
    newer = RSAKey.generate_key(2048, {"kid": "r2"}, private=True)
    _verified(identity, issuer.token())
    issuer.now += 11  # type: ignore[attr-defined]
    for _ in range(5):
        _refused(identity, issuer.token(newer))
    assert issuer.asked == ["/keys"] * 2
    issuer.published = [newer]
    issuer.now += 11  # type: ignore[attr-defined]
    assert _verified(identity, issuer.token(newer))


def test_keys_are_kept_for_an_hour(identity: Identity, issuer: Issuer) -> None:
    for later in (0, 3599, 2):
        issuer.now += later  # type: ignore[attr-defined]
        _verified(identity, issuer.token(exp=int(NOW) + 9999))
    assert issuer.asked == ["/keys"] * 2


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _signed(issuer: Issuer, header: dict[str, Any]) -> str:
    """Any header over a sound RS256 signature of that very text."""
    text = f"{_part(header)}.{_part(issuer.claims())}"
    tag = issuer.rsa.private_key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{text}.{base64.urlsafe_b64encode(tag).rstrip(b'=').decode()}"
