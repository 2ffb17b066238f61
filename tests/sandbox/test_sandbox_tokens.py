"""Codes, consents and tokens. docs/facts/google.md §1.4 to §1.9."""

from collections.abc import Callable

import pytest

from tests.sandbox.google_client import BUDI, CONTACTS, EMAIL, EVENTS, REDIRECT, Client, scopes

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


def test_a_refresh_token_that_is_not_used_for_six_months_ends(google: Client, clock) -> None:
    used, unused = google.connect()["refresh_token"], google.connect(prompt="consent")["refresh_token"]
    clock.now += 180 * 24 * 3600
    assert google.refresh(used).status_code == 200
    clock.now += 3 * 24 * 3600
    assert google.refresh(used).status_code == 200
    assert google.refresh(unused).json()["error"] == "invalid_grant"


def test_the_order_of_scopes_is_not_the_one_asked_for(google: Client) -> None:
    assert google.connect("openid", "email", CONTACTS)["scope"] == " ".join(sorted([CONTACTS, EMAIL, "openid"]))


def test_a_plain_challenge_is_its_own_verifier(google: Client) -> None:
    plain = "PLAIN-VERIFIER-that-is-long-enough-for-rfc-7636-to-take"
    code = google.callback(code_challenge=plain, code_challenge_method="plain")["code"]
    assert google.exchange(code, code_verifier=plain).status_code == 200


def test_a_failed_exchange_spends_the_code(google: Client) -> None:
    code = google.callback()["code"]
    google.exchange(code, code_verifier="VERIFIER-2-that-is-another-one-of-good-length-for-sure")
    assert google.exchange(code).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("missing", ["grant_type", "client_id", "client_secret", "code"])
def test_a_token_call_without_what_it_needs_is_invalid(google: Client, missing: str) -> None:
    form = {"grant_type": "authorization_code", "code": "4/ANY", "client_id": "CLIENT-1", "client_secret": "ANY"}
    del form[missing]
    answer = google.http.post(f"{google.url}/token", data=form)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_a_token_answer_is_not_to_be_cached(google: Client) -> None:
    assert "no-store" in google.exchange(google.callback()["code"]).headers["Cache-Control"]
