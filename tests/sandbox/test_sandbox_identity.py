"""id_tokens, keys, userinfo, tokeninfo, discovery. docs/facts/google.md §1.10 to §1.12."""

from collections.abc import Callable
from typing import Any

from broker.sandbox.google.id_tokens import at_hash
from tests.sandbox.google_client import ANI, CONTACTS, Client, scopes

Start = Callable[..., Client]


def test_the_second_revocation_says_invalid_token(google: Client) -> None:
    token = google.connect()["refresh_token"]
    google.revoke(token)
    second = google.revoke(token)
    assert (second.status_code, second.json()["error"]) == (400, "invalid_token")


def test_the_id_token_checks_out(google: Client, clock) -> None:
    answer = google.connect()
    assert google.claims(answer["id_token"]) == {
        "iss": "https://accounts.google.com",
        "azp": "CLIENT-1",
        "aud": "CLIENT-1",
        "sub": ANI,
        "email": "ani@example.com",
        "email_verified": True,
        "nonce": "NONCE-1",
        "at_hash": at_hash(answer["access_token"]),
        "iat": int(clock.now),
        "exp": int(clock.now) + 3600,
    }


def test_at_hash_is_that_of_the_standard() -> None:
    """OpenID Connect Core, appendix A.3."""
    assert at_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y") == "77QmUPtjPfzWtF2AnpK9RQ"


def test_the_id_token_of_a_refresh_has_no_nonce(google: Client) -> None:
    renewed = google.refresh(google.connect()["refresh_token"]).json()
    assert "nonce" not in google.claims(renewed["id_token"])


def test_without_a_sign_in_scope_there_is_no_id_token(google: Client) -> None:
    assert "id_token" not in google.connect(CONTACTS, nonce=None)


def test_two_keys_are_published_with_an_age(google: Client) -> None:
    answer = google.http.get(f"{google.url}/oauth2/v3/certs")
    keys = answer.json()["keys"]
    assert [(key["kty"], key["alg"], key["use"]) for key in keys] == [("RSA", "RS256", "sig")] * 2
    assert not any("d" in key for key in keys)
    assert "max-age=" in answer.headers["Cache-Control"]


def test_rotated_keys_leave_the_last_id_token_good(google: Client) -> None:
    before = google.connect()["id_token"]
    google.control("rotate-keys")
    after = google.connect(prompt="consent")["id_token"]
    assert before.split(".")[0] != after.split(".")[0]
    assert google.claims(before)["sub"] == google.claims(after)["sub"]


def test_userinfo_tells_what_the_scopes_open(google: Client) -> None:
    token = google.connect("openid")["access_token"]
    assert google.get("/v1/userinfo", token).json() == {"sub": ANI}
    token = google.connect("openid", "email", "profile")["access_token"]
    assert google.get("/v1/userinfo", token).json() == {
        "sub": ANI,
        "email": "ani@example.com",
        "email_verified": True,
        "name": "Ani Wijaya",
        "given_name": "Ani",
        "family_name": "Wijaya",
        "picture": f"https://lh3.googleusercontent.com/a/{ANI}",
    }
    assert google.get("/oauth2/v2/userinfo", token).json()["id"] == ANI


def test_userinfo_refuses_a_token_that_is_not_one(google: Client) -> None:
    assert google.get("/v1/userinfo", "ya29.NOT-ONE").status_code == 401
    assert google.http.get(f"{google.url}/v1/userinfo").status_code == 401


def test_tokeninfo_tells_of_live_tokens_only(google: Client) -> None:
    answer = google.connect()
    about = google.http.get(f"{google.url}/tokeninfo", params={"access_token": answer["access_token"]}).json()
    assert (about["sub"], about["aud"], about["expires_in"]) == (ANI, "CLIENT-1", "3599")
    assert set(about["scope"].split()) == scopes(answer)
    about = google.http.get(f"{google.url}/tokeninfo", params={"id_token": answer["id_token"]}).json()
    assert about["email_verified"] == "true"
    google.revoke(answer["access_token"])
    gone = google.http.get(f"{google.url}/tokeninfo", params={"access_token": answer["access_token"]})
    assert (gone.status_code, gone.json()["error"]) == (400, "invalid_token")


def test_discovery_keeps_googles_names_and_does_not_promise_iss(google: Client) -> None:
    metadata: dict[str, Any] = google.http.get(f"{google.url}/.well-known/openid-configuration").json()
    assert metadata["issuer"] == "https://accounts.google.com"
    assert metadata["token_endpoint"] == "https://oauth2.googleapis.com/token"
    assert "authorization_response_iss_parameter_supported" not in metadata


def test_a_kept_connection_serves_many_calls(google: Client) -> None:
    """Like the broker's: a server that closed each connection would hide faults of keeping them."""
    google.http.get(f"{google.url}/oauth2/v3/certs")
    pool = google.http.get_adapter(google.url).poolmanager.connection_from_url(google.url)
    before = pool.num_connections
    for _ in range(20):
        google.token(grant_type="refresh_token", refresh_token="NOT-ONE")
    assert pool.num_connections == before
