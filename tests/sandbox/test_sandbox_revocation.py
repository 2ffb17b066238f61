"""Revocation: one ends them all. docs/facts/google.md §1.6, §1.7."""

from collections.abc import Callable

import pytest

from tests.sandbox.google_client import BUDI, CONTACTS, EVENTS, Client

Start = Callable[..., Client]


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
