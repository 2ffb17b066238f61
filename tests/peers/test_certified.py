"""The flows against oidc-provider, a certified OpenID provider: rotation, partial consent, denial, `iss`, revocation.

It is as strict as Google or stricter; only that it would take a request without a nonce.
"""

from collections.abc import Callable, Collection
from typing import Any

import pytest

from tests.house import Browser, Clock, House, SalesApp, query
from tests.peers.acts import PROFILE, connect, departure, later, pending, profile, tokens, with_query
from tests.peers.certified import NAME, Certified

EMAIL = {"email", "email_verified"}
PROFILE_FIELDS = {"name", "given_name", "family_name", "preferred_username", "picture", "locale"}
STALE: dict[str, float] = {"minutes": 7}
"""Access tokens live for ten minutes of the provider's own clock, id_tokens for an hour."""


@pytest.fixture
def house(build: Callable[..., House], sqlite_url: str, certified: Certified) -> House:
    return build(sqlite_url, **certified.environ())


@pytest.fixture
def connection(app: SalesApp, certified: Certified) -> dict[str, Any]:
    return connect(app, certified, NAME)


def connections(app: SalesApp) -> list[dict[str, Any]]:
    return list(app.call("GET", "/v1/connections").json()["items"])


# --- consent -----------------------------------------------------------------------------------------------------


def test_a_person_is_connected_and_read(app: SalesApp, connection: dict[str, Any]):
    assert (connection["account"]["id"], connection["state"]) == ("ani", "active")
    record = profile(app, connection)
    assert (record["name"], record["email"], record["withheld"]) == ("ani by name", "ani@example.com", set())


@pytest.mark.parametrize(
    ("without", "withheld"),
    [({"email"}, EMAIL), ({"profile"}, PROFILE_FIELDS), ({"email", "profile"}, EMAIL | PROFILE_FIELDS)],
)
def test_a_scope_that_was_unticked_there_is_withheld_here(
    app: SalesApp, certified: Certified, without: Collection[str], withheld: set[str]
):
    connection = connect(app, certified, NAME, without=without)
    assert not set(without) & set(connection["scopes"])
    assert profile(app, connection)["withheld"] == withheld


def test_what_is_unticked_at_a_second_consent_is_granted_no_more(
    app: SalesApp, certified: Certified, connection: dict[str, Any]
):
    """Replaced, never merged (design decision 4)."""
    assert connect(app, certified, NAME, without={"email"})["id"] == connection["id"]
    record = profile(app, connection)
    assert (record["withheld"], "email" in record) == (EMAIL, False)


def test_without_lasting_access_a_connection_ends_with_its_access_token(
    app: SalesApp, certified: Certified, clock: Clock
):
    """The user unticked `offline_access`; not every provider gives a refresh token, and less will do for a while."""
    connection = connect(app, certified, NAME, without={"offline_access"})
    assert profile(app, connection)["id"] == "ani"
    later(app, clock, minutes=61)
    answer = app.records(connection["id"], PROFILE)
    assert (answer.status_code, answer.json()["code"]) == (409, "reconnect_required")


@pytest.mark.parametrize("page", ["login", "consent"])
def test_who_says_no_there_is_not_connected(app: SalesApp, certified: Certified, page: str):
    returned = pending(app, certified, NAME, deny_at=page)
    assert (returned["status"], "code" in returned) == ("denied", False)
    assert app.status(returned["session"]) == "denied"
    assert connections(app) == []


def test_another_account_than_the_renewed_one_is_refused_and_its_tokens_are_ended(
    app: SalesApp, house: House, certified: Certified, connection: dict[str, Any]
):
    browser = Browser()
    address = departure(app, browser, NAME, connection=connection["id"])
    answer = app.confirm(browser.come_back(certified.sign_in(browser, address, user="budi")))
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_account")
    before = certified.revocations()
    house.work()
    assert certified.revocations() == before + 1  # the refresh token, and its access token along with it
    assert profile(app, connection)["id"] == "ani"


# --- the callback ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deny_at", ["", "consent"], ids=["granted", "denied"])
@pytest.mark.parametrize("issuer", ["https://id.other.example", None], ids=["another issuer", "no issuer"])
def test_an_answer_that_is_not_by_the_issuer_is_refused(
    app: SalesApp, certified: Certified, issuer: str | None, deny_at: str
):
    """RFC 9207 §2.4, for errors too: whoever mixes providers up must not even be able to say no for the user."""
    browser = Browser()
    callback = certified.sign_in(browser, departure(app, browser, NAME), deny_at=deny_at)
    assert query(callback)["iss"] == certified.url
    answer = browser.get(with_query(callback, iss=issuer))
    assert (answer.status_code, "Location" in answer.headers) == (400, False)
    assert connections(app) == []


# --- tokens ------------------------------------------------------------------------------------------------------


def test_each_refresh_takes_the_token_that_the_last_one_brought(
    app: SalesApp, house: House, certified: Certified, clock: Clock, connection: dict[str, Any]
):
    held = [tokens(house, connection)]
    for _ in range(3):
        later(app, clock, **STALE)
        assert profile(app, connection)["id"] == "ani"
        held.append(tokens(house, connection))
    assert len({refresh for _, refresh in held}) == 4
    assert [certified.lives(refresh) for _, refresh in held] == [False, False, False, True]


def test_a_used_refresh_token_that_comes_again_ends_access_at_once(
    app: SalesApp, house: House, certified: Certified, clock: Clock, connection: dict[str, Any]
):
    """The provider ends the whole grant, what we refreshed meanwhile included; then only the user can help."""
    refresh = tokens(house, connection)[1]
    later(app, clock, **STALE)
    assert profile(app, connection)["id"] == "ani"
    assert certified.asked("/token", grant_type="refresh_token", refresh_token=refresh).status_code == 400
    assert [certified.lives(token) for token in tokens(house, connection)] == [False, False]
    answer = app.records(connection["id"], PROFILE)
    assert (answer.status_code, answer.json()["code"]) == (409, "reconnect_required")
    assert connect(app, certified, NAME)["id"] == connection["id"]
    assert profile(app, connection)["id"] == "ani"


def test_a_revocation_ends_refresh_and_access_there(
    app: SalesApp, house: House, certified: Certified, connection: dict[str, Any]
):
    held = tokens(house, connection)
    other = connect(app, certified, NAME, user="budi")
    receipt = app.revoke(connection["id"]).json()["revocation"]["id"]
    assert app.records(connection["id"], PROFILE).status_code == 410
    house.work()
    (entry,) = app.receipt(receipt)["connections"]
    assert (entry["provider_outcome"], bool(entry["shredded_at"])) == ("confirmed", True)
    assert [certified.lives(token) for token in held] == [False, False]
    assert [certified.lives(token) for token in tokens(house, other)] == [True, True]
    assert profile(app, other)["id"] == "budi"


def test_withdrawing_the_only_connector_ends_them_too(
    app: SalesApp, house: House, certified: Certified, connection: dict[str, Any]
):
    held = tokens(house, connection)
    assert app.withdraw(connection["id"], PROFILE).status_code in (200, 202)
    house.work()
    assert [certified.lives(token) for token in held] == [False, False]
