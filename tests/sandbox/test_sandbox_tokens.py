"""Codes, tokens, revocation, identity. docs/facts/google.md §1.4 to §1.11."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from broker.sandbox.google.id_tokens import at_hash
from tests.sandbox.google_client import ANI, BUDI, CONTACTS, EMAIL, EVENTS, REDIRECT, Client, scopes

Start = Callable[..., Client]


def test_the_token_answer_has_googles_shape(google: Client) -> None:
    answer = google.connect()
    assert set(answer) == {"access_token", "expires_in", "token_type", "scope", "refresh_token", "id_token"}
    assert (answer["expires_in"], answer["token_type"]) == (3599, "Bearer")
    assert answer["access_token"].startswith("ya29.")


def test_scopes_come_back_in_full_and_openid_by_itself(google: Client) -> None:
    assert scopes(google.connect("email", CONTACTS)) == {"openid", EMAIL, CONTACTS}


def test_unticked_scopes_are_not_granted_and_nothing_says_so(google: Client) -> None:
    assert scopes(google.connect(ticked=[CONTACTS])) == {"openid", EMAIL, CONTACTS}


def test_a_single_scope_is_granted_without_a_tick(google: Client) -> None:
    assert CONTACTS in scopes(google.connect("openid", CONTACTS, ticked=[]))


def test_a_scope_that_was_not_asked_cannot_be_ticked(google: Client) -> None:
    assert EVENTS not in scopes(google.connect("openid", CONTACTS, ticked=[CONTACTS, EVENTS]))


def test_a_code_is_used_once(google: Client) -> None:
    code = google.callback()["code"]
    assert google.exchange(code).status_code == 200
    second = google.exchange(code)
    assert (second.status_code, second.json()["error"]) == (400, "invalid_grant")


def test_a_code_lives_ten_minutes(google: Client, clock) -> None:
    code, other = google.callback()["code"], google.callback()["code"]
    clock.now += 599
    assert google.exchange(code).status_code == 200
    clock.now += 1
    assert google.exchange(other).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("verifier", ["", "VERIFIER-2-that-is-another-one-of-good-length-for-sure"])
def test_a_code_needs_its_verifier(google: Client, verifier: str) -> None:
    refused = google.exchange(google.callback()["code"], code_verifier=verifier)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


def test_a_code_is_bound_to_its_redirect_uri(google: Client) -> None:
    assert google.exchange(google.callback()["code"], redirect_uri=f"{REDIRECT}/").status_code == 400


def test_a_code_is_bound_to_its_client(google: Client) -> None:
    code = google.callback()["code"]
    assert google.exchange(code, client_id="CLIENT-2").json()["error"] == "invalid_grant"
    assert google.exchange(code).status_code == 200


def test_a_malformed_code_says_so(google: Client) -> None:
    assert google.exchange("4%2F0A").json() == {"error": "invalid_grant", "error_description": "Malformed auth code."}


def test_client_secret_basic_works_too(google: Client) -> None:
    form = {"grant_type": "authorization_code", "code": google.callback()["code"], "redirect_uri": REDIRECT}
    form["code_verifier"] = "VERIFIER-1-that-is-long-enough-for-rfc-7636-to-accept"
    assert google.http.post(f"{google.url}/token", data=form, auth=("CLIENT-1", "ANY")).status_code == 200


def test_a_wrong_secret_is_refused_once_the_clients_are_told(start: Start) -> None:
    google = start(clients={"CLIENT-1": "CLIENT-SECRET-1"})
    refused = google.exchange(google.callback()["code"], client_secret="WRONG")
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    assert "refresh_token" in google.connect(prompt="consent")


def test_an_unknown_grant_type_is_refused(google: Client) -> None:
    assert google.token(grant_type="password").json()["error"] == "unsupported_grant_type"


def test_no_refresh_token_without_offline(google: Client) -> None:
    assert "refresh_token" not in google.connect(access_type="online")


def test_a_refresh_token_comes_at_the_first_consent_and_when_consent_is_forced(google: Client) -> None:
    assert "refresh_token" in google.connect()
    assert "refresh_token" not in google.connect()
    assert "refresh_token" in google.connect(prompt="consent")


def test_an_abandoned_consent_was_the_first_one(google: Client) -> None:
    google.callback()
    assert "refresh_token" not in google.connect()


def test_another_account_has_a_first_consent_of_its_own(google: Client) -> None:
    google.connect()
    assert "refresh_token" in google.connect(account=BUDI)


def test_consent_to_a_new_scope_brings_a_refresh_token(google: Client) -> None:
    google.connect("openid", CONTACTS)
    assert "refresh_token" in google.connect("openid", EVENTS)


def test_without_including_the_granted_a_new_consent_has_only_the_new(google: Client) -> None:
    google.connect("openid", CONTACTS)
    assert scopes(google.connect("openid", EVENTS)) == {"openid", EVENTS}


def test_including_the_granted_merges(google: Client) -> None:
    google.connect("openid", CONTACTS)
    assert scopes(google.connect("openid", EVENTS, include_granted_scopes="true")) == {"openid", CONTACTS, EVENTS}


def test_clients_of_one_project_share_the_authorization(start: Start) -> None:
    google = start(projects={"CLIENT-1": "project", "CLIENT-2": "project"})
    google.connect("openid", CONTACTS)
    google.client_id = "CLIENT-2"
    assert CONTACTS in scopes(google.connect("openid", EVENTS, include_granted_scopes="true"))


def test_clients_have_projects_of_their_own_otherwise(google: Client) -> None:
    google.connect("openid", CONTACTS)
    google.client_id = "CLIENT-2"
    assert CONTACTS not in scopes(google.connect("openid", EVENTS, include_granted_scopes="true"))


def test_a_refresh_gives_a_new_access_token_and_no_refresh_token(google: Client) -> None:
    first = google.connect()
    renewed = google.refresh(first["refresh_token"]).json()
    assert renewed["access_token"] != first["access_token"]
    assert "refresh_token" not in renewed
    assert scopes(renewed) == scopes(first)


def test_a_refresh_can_ask_for_less(google: Client) -> None:
    renewed = google.refresh(google.connect()["refresh_token"], scope=CONTACTS).json()
    assert scopes(renewed) == {CONTACTS}
    assert google.events(renewed["access_token"]).status_code == 403


def test_a_refresh_cannot_ask_for_more(google: Client) -> None:
    token = google.connect("openid", CONTACTS)["refresh_token"]
    refused = google.refresh(token, scope=f"{CONTACTS} {EVENTS}")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_scope")


def test_a_refresh_token_is_bound_to_its_client(google: Client) -> None:
    assert google.refresh(google.connect()["refresh_token"], client_id="CLIENT-2").status_code == 400


def test_an_access_token_ends(google: Client, clock) -> None:
    token = google.connect()["access_token"]
    assert google.people(token).status_code == 200
    clock.now += 3599
    assert google.people(token).status_code == 401


def test_of_more_than_a_hundred_refresh_tokens_the_oldest_dies(google: Client) -> None:
    tokens = [google.connect(prompt="consent")["refresh_token"] for _ in range(101)]
    assert google.refresh(tokens[0]).json()["error"] == "invalid_grant"
    assert google.refresh(tokens[1]).status_code == 200


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_revoking_any_token_ends_the_whole_authorization(google: Client, which: str) -> None:
    """§1.6: also the tokens of another consent, with other scopes."""
    first = google.connect("openid", CONTACTS)
    second = google.connect("openid", EVENTS)
    answer = google.revoke(second[which])
    assert (answer.status_code, answer.json()) == (200, {})
    assert google.people(first["access_token"]).status_code == 401
    assert google.refresh(first["refresh_token"]).json() == {
        "error": "invalid_grant",
        "error_description": "Token has been expired or revoked.",
    }
    state = google.state()
    assert state["live_tokens"] == {"access": [], "refresh": []}
    assert state["authorizations"] == []


def test_a_revocation_ends_the_other_clients_of_the_project_too(start: Start) -> None:
    google = start(projects={"CLIENT-1": "project", "CLIENT-2": "project"})
    first = google.connect()
    google.client_id = "CLIENT-2"
    google.revoke(google.connect(prompt="consent")["refresh_token"])
    assert google.people(first["access_token"]).status_code == 401


def test_a_revocation_leaves_other_accounts_and_projects_alone(google: Client) -> None:
    other_account = google.connect(account=BUDI)
    google.client_id = "CLIENT-2"
    other_project = google.connect()
    google.client_id = "CLIENT-1"
    google.revoke(google.connect()["refresh_token"])
    assert google.people(other_account["access_token"]).status_code == 200
    assert google.people(other_project["access_token"]).status_code == 200


def test_a_revocation_ends_codes_that_are_under_way(google: Client) -> None:
    """Also where a later consent makes a new authorization."""
    token, code = google.connect()["refresh_token"], google.callback()["code"]
    google.revoke(token)
    google.callback()
    assert google.exchange(code).json()["error"] == "invalid_grant"


def test_after_a_revocation_the_first_consent_is_a_first_one_again(google: Client) -> None:
    google.revoke(google.connect()["refresh_token"])
    assert "refresh_token" in google.connect()


def test_the_second_revocation_says_invalid_token(google: Client) -> None:
    token = google.connect()["refresh_token"]
    google.revoke(token)
    second = google.revoke(token)
    assert (second.status_code, second.json()["error"]) == (400, "invalid_token")


def test_an_ended_access_token_cannot_be_revoked(google: Client, clock) -> None:
    answer = google.connect()
    clock.now += 3600
    assert google.revoke(answer["access_token"]).status_code == 400
    assert google.refresh(answer["refresh_token"]).status_code == 200


def test_the_token_to_revoke_may_stand_in_the_query(google: Client) -> None:
    token = google.connect()["refresh_token"]
    assert google.http.post(f"{google.url}/revoke", params={"token": token}).status_code == 200


def test_revoking_by_get_is_not_found_and_revokes_nothing(google: Client) -> None:
    token = google.connect()["refresh_token"]
    assert google.http.get(f"{google.url}/revoke", params={"token": token}).status_code == 404
    assert google.refresh(token).status_code == 200


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
    before, began = pool.num_connections, time.monotonic()
    for _ in range(20):
        google.token(grant_type="refresh_token", refresh_token="NOT-ONE")
    assert pool.num_connections == before
    assert time.monotonic() - began < 2
