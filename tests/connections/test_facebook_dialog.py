"""Facebook's dialog, of classic Login and of Login for Business: docs/facts/meta.md §1.1, §1.2, §1.4, §1.7, §8."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.connections.facebook import PAGES, PROFILE, connect, departure, exchanges
from tests.house import Browser, House, SalesApp, query
from tests.meta import ANI, Facebook

CONFIGURATION = "77001122"


@pytest.fixture
def house(meta: House, facebook: Facebook) -> House:
    return meta


# --- the dialog ----------------------------------------------------------------------------------------------


def test_permissions_go_by_commas_to_the_version_that_is_set(build_meta: Callable[..., House], sqlite_url: str) -> None:
    """§1.1, §1.5."""
    app = build_meta(sqlite_url, BROKER_FACEBOOK_GRAPH_VERSION="v25.0").client()
    address = Browser().approve(app.begin(PAGES, provider="facebook"), [PAGES])
    assert "/v25.0/dialog/oauth?" in address
    assert query(address)["scope"] == "pages_read_engagement,pages_show_list,public_profile"


@pytest.mark.parametrize("setting", ["on", "off"])
def test_pkce_is_a_setting(setting: str, build_meta: Callable[..., House], sqlite_url: str, facebook: Facebook) -> None:
    """§1.4: never relied on in place of `state`. Sent, the verifier must come too, or the exchange fails."""
    app = build_meta(sqlite_url, BROKER_FACEBOOK_PKCE=setting).client()
    assert ("code_challenge" in departure(app, PROFILE)) == (setting == "on")
    assert connect(app)["state"] == "active"


def test_a_first_request_asks_for_nothing_anew(app: SalesApp) -> None:
    """§1.1."""
    assert "auth_type" not in departure(app, PROFILE)


def test_what_was_declined_is_asked_for_again_only_by_rerequest(app: SalesApp) -> None:
    """§1.1, H6: without it the dialog would never ask for the address again."""
    first = connect(app, without=["email"])
    assert "email" not in first["scopes"]
    assert departure(app, PROFILE)["auth_type"] == "rerequest"
    assert "email" in connect(app, connection=first["id"])["scopes"]
    assert "auth_type" not in departure(app, PROFILE)


def test_an_attempt_that_failed_for_want_of_a_permission_is_asked_anew(app: SalesApp) -> None:
    """§1.1, H6: there is no connection yet from which the broker could know."""
    declined = ["pages_show_list", "pages_read_engagement"]
    returned = app.pending(PAGES, provider="facebook", account=ANI, without=declined)
    assert app.confirm(returned).json()["code"] == "insufficient_scope"
    assert departure(app, PAGES)["auth_type"] == "rerequest"
    assert connect(app, PAGES)["grants"][0]["missing_scopes"] == []


def test_permissions_that_come_along_do_not_count(app: SalesApp, facebook: Facebook) -> None:
    """§9.1: old grants add up at Meta; asked for here, and shown to the user here, was less."""
    facebook.quirk(extra_scopes=["ads_read", "pages_show_list", "pages_read_engagement"])
    connection = connect(app)
    assert set(connection["scopes"]) == {"public_profile", "email"}
    assert app.records(connection["id"], PAGES).json()["code"] == "not_granted"


def test_one_permission_the_app_may_not_ask_for_fails_the_whole_dialog(
    build_meta: Callable[..., House], sqlite_url: str, facebook: Facebook
) -> None:
    """H17: the setting keeps such a one out, and the connector goes without it."""
    facebook.quirk(allowed_scopes=["pages_show_list"])
    app = build_meta(sqlite_url, BROKER_FACEBOOK_PERMISSIONS="pages_show_list").client()
    assert departure(app, PROFILE)["scope"] == "public_profile"
    connection = connect(app)
    assert app.records(connection["id"], PROFILE).json()["withheld"][0]["missing_scopes"] == ["email"]


def test_without_that_setting_the_user_is_left_at_facebook(app: SalesApp, facebook: Facebook) -> None:
    """H17, the counterpart."""
    facebook.quirk(allowed_scopes=["pages_show_list"])
    browser = Browser()
    page = browser.get(browser.approve(app.begin(PROFILE, provider="facebook"), [PROFILE]))
    assert page.status_code == 400
    assert "Invalid Scopes" in page.text


def test_the_tail_of_a_copied_address_is_no_part_of_the_code(app: SalesApp, facebook: Facebook) -> None:
    """§1.2: `#_=_`."""
    facebook.quirk(code_with_suffix=True)
    assert connect(app)["state"] == "active"


# --- Login for Business --------------------------------------------------------------------------------------


@pytest.fixture
def business(build_meta: Callable[..., House], sqlite_url: str, facebook: Facebook) -> SalesApp:
    facebook.control("configurations", {"config_id": CONFIGURATION, "scopes": _CONFIGURED})
    return build_meta(sqlite_url, BROKER_FACEBOOK_CONFIG_ID=CONFIGURATION).client()


_CONFIGURED = ["email", "public_profile", "pages_show_list", "pages_read_engagement"]


def test_a_configuration_takes_the_place_of_scope(business: SalesApp) -> None:
    """§1.7."""
    asked = departure(business, PROFILE, PAGES)
    assert asked["config_id"] == CONFIGURATION
    assert "scope" not in asked
    assert asked["response_type"] == "code"


def test_all_or_nothing_has_no_boxes_to_untick(business: SalesApp, app: SalesApp) -> None:
    """§1.7: the page here does not offer what the page there does not."""
    boxes = [
        Browser().get(each.begin(PROFILE, PAGES, provider="facebook")).text.count('type="checkbox"')
        for each in (business, app)
    ]
    assert boxes == [0, 2]


def test_all_or_nothing_grants_every_connector(business: SalesApp) -> None:
    """§1.7: a form that leaves one out changes nothing."""
    browser = Browser()
    address = browser.approve(business.begin(PROFILE, PAGES, provider="facebook"), [PROFILE])
    returned = browser.come_back(browser.at_provider(address, account=ANI))
    grants = business.confirm(returned).json()["connection"]["grants"]
    assert {grant["connector"]: grant["missing_scopes"] for grant in grants} == {PROFILE: [], PAGES: []}


def test_a_system_users_token_never_ends_and_is_never_exchanged(
    build_meta: Callable[..., House], sqlite_url: str, facebook: Facebook
) -> None:
    """§1.6: of a business portfolio, and of no person; it has neither `email` nor `public_profile`."""
    scopes = ["pages_show_list", "pages_read_engagement"]
    facebook.control("configurations", {"config_id": CONFIGURATION, "scopes": scopes, "kind": "system_user"})
    house = build_meta(sqlite_url, BROKER_FACEBOOK_CONFIG_ID=CONFIGURATION)
    app = house.client()
    connection = connect(app, PAGES)
    assert (connection["expires_at"], set(connection["scopes"])) == (None, set(scopes))
    app.call("PUT", f"/v1/connections/{connection['id']}/assets/{PAGES}", {"assets": [_first_page(app, connection)]})
    for _ in range(6):
        house.clock.advance(days=50)
        app._token = ""
        house.work()
    answer = app.records(connection["id"], PAGES)
    assert answer.status_code == 200, answer.text
    assert exchanges(facebook) == ["authorization_code"]


def _first_page(app: SalesApp, connection: dict[str, Any]) -> str:
    return str(app.call("GET", f"/v1/connections/{connection['id']}/assets/{PAGES}").json()["items"][0]["id"])
