"""Connecting to nanoidp: discovery, the whole flow, and what is refused on the way (contract §3).

nanoidp has no button to deny and none to consent to less; what a person can do there is alter the address. It wants
neither a nonce nor a state, and repeats what it was given.
"""

import json
from collections.abc import Callable

import pytest

from tests.house import Browser, Clock, House, SalesApp, query
from tests.peers.acts import PROFILE, connect, departure, pending, profile, tokens, with_query
from tests.peers.conftest import NAMED
from tests.peers.nano import Nano

EMAIL, NAMES = {"email", "email_verified"}, {"name", "given_name", "family_name", "preferred_username"}
PROFILE_FIELDS = NAMES | {"picture", "locale"}


def test_a_person_is_connected_by_discovery_alone(app: SalesApp, nano: Nano):
    returned = pending(app, nano)
    assert nano.given("authorization_code") == 0  # no token before the confirmation (I8)
    connection = app.confirm(returned).json()["connection"]
    assert nano.given("authorization_code") == 1
    assert (connection["provider"], connection["account"]["id"], connection["state"]) == ("nano", "ani", "active")
    record = profile(app, connection)
    assert (record["id"], record["username"], record["email"]) == ("ani", "ani", "ani@example.com")
    assert (record["source"], record["withheld"]) == ({"provider": "nano", "account": "ani"}, set())


def test_an_issuer_by_a_name_of_its_own_is_found_through_the_origin_map(app: SalesApp, named: Nano):
    browser = Browser()
    callback = named.sign_in(browser, departure(app, browser, "named"))
    assert query(callback)["iss"] == NAMED
    connection = app.confirm(browser.come_back(callback)).json()["connection"]
    assert profile(app, connection)["email"] == "ani@example.com"


def test_lasting_access_is_asked_for_where_the_provider_lists_it(app: SalesApp, house: House, nano: Nano):
    """OpenID Connect Core §11: `offline_access`, and then with the consent page."""
    asked = query(departure(app, Browser(), "nano"))
    assert asked["scope"].split() == ["openid", "email", "offline_access", "profile"]
    assert asked["prompt"] == "consent"


@pytest.mark.parametrize(
    ("scope", "withheld"),
    [("openid profile", EMAIL), ("openid email", PROFILE_FIELDS), ("openid", EMAIL | PROFILE_FIELDS)],
)
def test_what_was_not_granted_is_withheld_though_the_provider_sends_it(
    app: SalesApp, house: House, nano: Nano, scope: str, withheld: set[str]
):
    """Asked is not granted. The `claims` parameter has this provider send what no scope opens."""
    claims = json.dumps({"userinfo": {"email": None, "preferred_username": None}})
    connection = connect(app, nano, scope=scope, claims=claims)
    assert connection["scopes"] == sorted(scope.split())
    assert {"email", "preferred_username"} <= nano.userinfo(tokens(house, connection)[0]).json().keys()
    record = profile(app, connection)
    assert record["withheld"] == withheld
    assert ("email" in record, "username" in record) == ("email" in scope, "profile" in scope)


def test_what_the_provider_adds_of_its_own_is_not_passed_on(app: SalesApp, house: House, nano: Nano):
    connection = connect(app, nano)
    assert {"roles", "tenant"} <= nano.userinfo(tokens(house, connection)[0]).json().keys()
    record = profile(app, connection)
    expected = {"id", "type", "deleted", "source", "username", "email", "email_verified"}
    assert record.keys() - {"withheld"} == expected


def test_a_scope_that_the_provider_does_not_list_is_not_asked_for(
    mortal: Nano, build: Callable[..., House], sqlite_url: str
):
    """This one refuses a whole request for the sake of one scope that it does not know."""
    mortal.configure(scopes_supported=["openid", "email"])
    app = build(sqlite_url, **mortal.environ()).client()
    connection = connect(app, mortal)
    assert connection["scopes"] == ["email", "openid"]
    assert profile(app, connection)["withheld"] == PROFILE_FIELDS


def test_the_same_id_at_two_providers_is_two_accounts(app: SalesApp, nano: Nano, named: Nano):
    first, second = connect(app, nano), connect(app, named, "named")
    assert first["account"]["id"] == second["account"]["id"] == "ani"
    assert first["id"] != second["id"]
    assert app.revoke(first["id"]).status_code in (200, 202)
    assert profile(app, second)["id"] == "ani"


def test_a_key_that_is_new_to_us_is_fetched(app: SalesApp, nano: Nano, clock: Clock):
    connect(app, nano)
    nano.rotate_keys()
    clock.advance(seconds=11)
    assert connect(app, nano, user="budi")["account"]["id"] == "budi"


# --- what is refused ---------------------------------------------------------------------------------------------


def refused(app: SalesApp, returned: dict[str, str]) -> None:
    """A confirmation that fails for good, and leaves nothing connected."""
    answer = app.confirm(returned)
    assert (answer.status_code, answer.json()["code"], answer.json()["retryable"]) == (
        502,
        "provider_unavailable",
        False,
    )
    assert app.status(returned["session"]) == "failed"
    assert app.call("GET", "/v1/connections").json()["items"] == []


@pytest.mark.parametrize("nonce", ["another", None])
def test_an_id_token_with_another_nonce_or_none_is_refused_and_its_tokens_are_ended(
    app: SalesApp, house: House, nano: Nano, nonce: str | None
):
    """STD-18; the tokens that came along are owed to the provider (I5)."""
    refused(app, pending(app, nano, nonce=nonce))
    assert nano.given("authorization_code") == 1
    house.work()
    house.work()
    ended = [entry for entry in nano.heard("revocation_request") if entry["status"] == "success"]
    assert len(ended) == 2  # access and refresh token


@pytest.mark.parametrize("issuer", ["https://id.other.example", NAMED + "/", None])
def test_a_callback_that_does_not_name_its_issuer_as_promised_is_refused(
    app: SalesApp, named: Nano, issuer: str | None
):
    """RFC 9207 §2.4: compared as it stands; this provider promised to send it."""
    browser = Browser()
    callback = named.sign_in(browser, departure(app, browser, "named"))
    answer = browser.get(with_query(callback, iss=issuer))
    assert (answer.status_code, "Location" in answer.headers) == (400, False)
    assert named.given("authorization_code") == 0
    assert app.call("GET", "/v1/connections").json()["items"] == []


def test_a_callback_that_names_another_issuer_is_refused_though_none_was_promised(app: SalesApp, nano: Nano):
    browser = Browser()
    callback = nano.sign_in(browser, departure(app, browser, "nano"))
    assert "iss" not in query(callback)
    assert browser.get(with_query(callback, iss=NAMED)).status_code == 400


def test_a_code_of_another_attempt_is_refused(app: SalesApp, nano: Nano):
    """The provider holds each code to its verifier (RFC 7636 §4.6): what was injected into a callback is of no use."""
    stolen = query(nano.sign_in(thief := Browser(), departure(app, thief, "nano")))["code"]
    victim = Browser()
    callback = nano.sign_in(victim, departure(app, victim, "nano"), user="budi")
    refused(app, victim.come_back(with_query(callback, code=stolen)))


def test_an_answer_at_another_provider_s_callback_is_refused_and_the_true_one_still_counts(
    app: SalesApp, nano: Nano, named: Nano
):
    """STD-03: one callback path per provider; the state alone, which both have seen, does not say whose it is."""
    browser = Browser()
    callback = nano.sign_in(browser, departure(app, browser, "nano"))
    elsewhere = callback.replace("/callback/nano", "/callback/named")
    assert elsewhere != callback
    assert browser.get(elsewhere).status_code == 400
    assert browser.get(f"{elsewhere}&iss={NAMED}").status_code == 400
    assert (nano.given("authorization_code"), named.given("authorization_code")) == (0, 0)
    assert app.confirm(browser.come_back(callback)).status_code == 200


def test_two_providers_under_way_in_one_browser_do_not_mix(app: SalesApp, nano: Nano, named: Nano):
    """Each has a state, a cookie and a verifier of its own; the one's code with the other's state leads nowhere."""
    browser = Browser()
    at_nano, at_named = departure(app, browser, "nano"), departure(app, browser, "named")
    first, second = nano.sign_in(browser, at_nano), named.sign_in(browser, at_named, user="budi")
    swapped = with_query(first, state=query(second)["state"])
    assert browser.get(swapped).status_code == 400
    connections = [app.confirm(browser.come_back(callback)).json()["connection"] for callback in (first, second)]
    assert [(c["provider"], c["account"]["id"]) for c in connections] == [("nano", "ani"), ("named", "budi")]


def test_a_wrong_client_secret_is_no_passing_fault(nano: Nano, build: Callable[..., House], sqlite_url: str):
    app = build(sqlite_url, **nano.environ(CLIENT_SECRET="not the secret")).client()
    refused(app, pending(app, nano))
    assert nano.given("authorization_code") == 0


@pytest.mark.parametrize(
    "path", ["localhost", "another path"], ids=["the issuer calls itself something else", "there is no metadata"]
)
def test_metadata_that_is_not_the_issuer_s_own_is_refused(
    nano: Nano, build: Callable[..., House], sqlite_url: str, path: str
):
    """OpenID Connect Discovery §4.3. The same server by another name is another issuer."""
    issuer = nano.url.replace("127.0.0.1", "localhost") if path == "localhost" else f"{nano.url}/tenant"
    app = build(sqlite_url, **nano.environ("broken", ISSUER=issuer)).client()
    browser, url = Browser(), app.begin(PROFILE, provider="broken")
    assert browser.get(url).status_code == 502
    answer = browser.post(url, [("decision", "approve"), ("connector", PROFILE)])
    assert (answer.status_code, "Location" in answer.headers, "Set-Cookie" in answer.headers) == (502, False, False)
