"""Facebook's ways at the dialog and with tokens, as far as they are other than the standards': docs/facts/meta.md §1,
§8. Pages have tests of their own (`test_facebook_pages.py`), and so has the end (`test_facebook_revoke.py`).
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.connections.insight import logged
from tests.house import Browser, House, SalesApp, query
from tests.meta import ANI, Facebook

PROFILE, PAGES = "facebook_profile", "facebook_pages"
CONFIGURATION = "77001122"


@pytest.fixture
def house(meta: House, facebook: Facebook) -> House:
    return meta


def connect(app: SalesApp, *connectors: str, **how: Any) -> dict[str, Any]:
    return app.connect(*(connectors or (PROFILE,)), provider="facebook", **{"account": ANI, **how})


def departure(app: SalesApp, *connectors: str, **members: Any) -> dict[str, str]:
    """What the browser takes to Facebook."""
    url = app.begin(*connectors, provider="facebook", **members)
    return query(Browser().approve(url, connectors))


def exchanges(facebook: Facebook) -> list[str]:
    return [entry["grant_type"] for entry in facebook.requests("/v26.0/oauth/access_token")]


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


# --- what is said of a token ---------------------------------------------------------------------------------


def test_a_token_that_is_not_valid_is_refused(app: SalesApp, facebook: Facebook) -> None:
    """§1.8: `is_valid` must be true, whatever else stands there."""
    returned = app.pending(PROFILE, provider="facebook", account=ANI)
    facebook.quirk(token_lifetime={"long": 0})
    answer = app.confirm(returned)
    assert (answer.status_code, answer.json()["code"]) == (502, "provider_unavailable")
    assert answer.json()["retryable"] is False


def test_ids_may_come_as_numbers(app: SalesApp, facebook: Facebook) -> None:
    """§1.8: compared, and kept, as texts."""
    facebook.quirk(numeric_ids=True)
    connection = connect(app)
    assert connection["account"]["id"] == facebook.state()["grants"][0]["user_id"]


def test_the_hours_token_is_exchanged_for_one_of_sixty_days(app: SalesApp, facebook: Facebook) -> None:
    """§1.6: on the server, at once, by POST."""
    connection = connect(app)
    assert exchanges(facebook) == ["authorization_code", "fb_exchange_token"]
    assert {entry["method"] for entry in facebook.requests("/v26.0/oauth/access_token")} == {"POST"}
    assert timedelta(days=58) < _left(connection) < timedelta(days=61)


def _left(connection: dict[str, Any]) -> timedelta:
    created = datetime.fromisoformat(connection["created_at"])
    return datetime.fromisoformat(connection["expires_at"]) - created


@pytest.mark.parametrize("said", ["absent", 9999999999999, 0, -5, "soon", []])
def test_debug_token_says_when_a_token_ends(said: Any, app: SalesApp, facebook: Facebook) -> None:
    """§1.3: `expires_in` may be absent, or absurd."""
    facebook.quirk(expires_in=said)
    connection = connect(app)
    assert timedelta(days=58) < _left(connection) < timedelta(days=61)
    assert app.records(connection["id"], PROFILE).status_code == 200


def test_a_permission_taken_back_or_run_out_is_noticed_within_the_day(
    app: SalesApp, house: House, facebook: Facebook
) -> None:
    """§1.9: `declined` and `expired` are not granted."""
    connection = connect(app, PROFILE, PAGES)
    facebook.control("permissions", {"account": ANI, "expire": ["email"], "take": ["pages_read_engagement"]})
    house.clock.advance(days=1)
    app._token = ""
    house.work()
    assert set(app.connection(connection["id"])["scopes"]) == {"public_profile", "pages_show_list"}
    facebook.control("permissions", {"account": ANI, "give": ["email", "pages_read_engagement", "ads_read"]})
    house.clock.advance(days=1)
    app._token = ""
    house.work()
    assert "ads_read" not in app.connection(connection["id"])["scopes"]


def test_an_address_may_be_absent_though_granted(app: SalesApp, facebook: Facebook) -> None:
    """H7: right after consent; nothing is withheld, it is just not there yet."""
    facebook.quirk(late_email=True)
    body = app.records(connect(app)["id"], PROFILE).json()
    assert (body["withheld"], "email" in body["records"][0]) == ([], False)
    facebook.quirk(late_email=False)


def test_renewing_brings_another_text_and_the_old_one_is_used_no_more(
    app: SalesApp, house: House, facebook: Facebook
) -> None:
    """H18: who only moves the date keeps a dead token."""
    connection = connect(app)
    app.records(connection["id"], PROFILE)
    first = facebook.requests("/v26.0/me")[-1]["token"]
    house.clock.advance(days=51)
    app._token = ""
    house.work()
    assert app.records(connection["id"], PROFILE).status_code == 200
    assert facebook.requests("/v26.0/me")[-1]["token"] != first
    moved = app.connection(connection["id"])["expires_at"]
    assert moved > connection["expires_at"]


def test_a_renewal_that_does_not_move_the_end_is_believed(app: SalesApp, house: House, facebook: Facebook) -> None:
    """§1.6, §10: Meta does not promise it. The end stays, is announced, and comes; nothing is renewed in a loop."""
    connection = connect(app)
    facebook.quirk(second_exchange_keeps_end=True)
    for _ in range(12):
        house.clock.advance(days=5)
        house.work()
    app._token = ""
    assert app.connection(connection["id"])["state"] == "reconnect_required"
    assert 2 < len(exchanges(facebook)) <= 5
    assert app.records(connection["id"], PROFILE).json()["code"] == "reconnect_required"


def test_data_access_ends_by_itself(app: SalesApp, house: House, facebook: Facebook) -> None:
    """§1.6: the token is valid, and user data are refused all the same, until the person logs in again."""
    facebook.control("pages", {"account": ANI})
    connection = connect(app)
    facebook.control("data-access", {"account": ANI, "in": 3 * 86_400})
    house.clock.advance(days=1)
    app._token = ""
    house.work()
    assert _left(app.connection(connection["id"])) < timedelta(days=4)
    facebook.control("data-access", {"account": ANI})
    assert app.records(connection["id"], PROFILE).json()["code"] == "reconnect_required"
    assert connect(app, connection=connection["id"])["state"] == "active"


# --- the proof of the app secret -----------------------------------------------------------------------------


def test_every_call_bears_a_proof_over_its_own_token(
    app: SalesApp, house: House, facebook: Facebook, caplog: pytest.LogCaptureFixture
) -> None:
    """§1.11: with "Require App Secret" on, a call without one fails; the timed form, and a Page's own for a Page token.
    A whole life long."""
    facebook.quirk(require_app_secret=True)
    connection = connect(app, PROFILE, PAGES, assets={PAGES: [_PAGE]})
    assert app.records(connection["id"], PROFILE).status_code == 200
    assert app.records(connection["id"], PAGES).status_code == 200
    house.clock.advance(days=51)
    app._token = ""
    house.work()
    assert app.records(connection["id"], PAGES).status_code == 200
    app.withdraw(connection["id"], PAGES)
    house.work()
    receipt = app.revoke(connection["id"]).json()["revocation"]["id"]
    house.work()
    assert app.receipt(receipt)["connections"][0]["provider_outcome"] == "confirmed"
    of_graph = [entry for entry in facebook.requests("/v26.0/") if "oauth" not in entry["path"]]
    assert len(of_graph) > 10
    assert [entry for entry in of_graph if "appsecret_proof=" not in entry["query"]] == []
    assert [entry for entry in of_graph if "appsecret_time=" not in entry["query"]] == []
    assert not [token for entry in of_graph if (token := entry["token"]) and logged(caplog, token)]


_PAGE = "104820017650001"


# --- errors --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"code": 10, "status": 400}, "insufficient_scope"),
        ({"code": 3, "status": 400}, "insufficient_scope"),
        ({"code": 200, "status": 403}, "insufficient_scope"),
        ({"code": 299, "status": 403}, "insufficient_scope"),
        ({"code": 1, "status": 400}, "provider_unavailable"),
        ({"code": 2, "status": 500}, "provider_unavailable"),
        ({"code": 341, "status": 400}, "provider_unavailable"),
        ({"code": 9, "status": 400, "is_transient": True}, "provider_unavailable"),
        ({"code": 4, "status": 400}, "rate_limited"),
        ({"code": 17, "status": 400}, "rate_limited"),
        ({"code": 613, "status": 400}, "rate_limited"),
        ({"code": 80001, "status": 400}, "rate_limited"),
        ({"code": 368, "status": 400}, "rate_limited"),
        ({"code": 100, "subcode": 33, "status": 400}, "provider_unavailable"),
        ({"code": 506, "status": 400}, "provider_unavailable"),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else None,
)
def test_no_error_but_a_dead_token_asks_for_a_new_connect(
    error: dict[str, Any], code: str, app: SalesApp, house: House, facebook: Facebook
) -> None:
    """§6.1, H9: "reconnect" at every Graph error cuts users off daily; throttling comes with 400."""
    connection = connect(app)
    facebook.quirk(graph_error={"/me": {"value": error, "times": 1}})
    assert app.records(connection["id"], PROFILE).json()["code"] == code
    assert app.connection(connection["id"])["state"] == "active"
    house.clock.advance(hours=2)
    app._token = ""
    assert app.records(connection["id"], PROFILE).status_code == 200


@pytest.mark.parametrize("subcode", [460, 463, 467, None])
def test_a_token_called_dead_is_asked_about_before_anything_ends(
    subcode: int | None, app: SalesApp, facebook: Facebook
) -> None:
    """§6.1: look at debug_token; what one data call was told may be wrong."""
    connection = connect(app)
    error = {"code": 190, "status": 400} | ({"subcode": subcode} if subcode else {})
    facebook.quirk(graph_error={"/me": {"value": error, "times": 1}})
    assert app.records(connection["id"], PROFILE).status_code == 200
    assert app.connection(connection["id"])["state"] == "active"


@pytest.mark.parametrize("why", ["checkpoint", "unconfirmed"])
def test_a_checkpoint_keeps_the_token(why: str, app: SalesApp, house: House, facebook: Facebook) -> None:
    """§6.1, 190/459 and 190/464: the person has to clear something up at facebook.com; then it goes on by itself."""
    connection = connect(app)
    facebook.control("checkpoint", {"account": ANI, "why": why})
    answer = app.records(connection["id"], PROFILE).json()
    assert (answer["code"], answer["source"]) == ("connection_suspended", "provider")
    facebook.control("checkpoint", {"account": ANI, "passed": True})
    house.clock.advance(days=1)
    app._token = ""
    house.work()
    assert app.records(connection["id"], PROFILE).status_code == 200


def test_a_removal_that_nobody_told_of_is_noticed_within_the_day(
    app: SalesApp, house: House, facebook: Facebook
) -> None:
    """§2.2, H15: neither delivery nor repetition of the callback is promised, hence the daily look."""
    connection = connect(app)
    facebook.control("revoke", {"account": ANI})
    house.clock.advance(days=1)
    app._token = ""
    house.work()
    assert app.connection(connection["id"])["state"] == "revoked"


def test_how_long_to_wait_is_said_in_minutes(app: SalesApp, facebook: Facebook) -> None:
    """§6.2: `estimated_time_to_regain_access`, for an error that comes with HTTP 400."""
    connection = connect(app)
    facebook.quirk(rate_limit={"/me": {"code": 80001, "minutes": 7}})
    answer = app.records(connection["id"], PROFILE)
    assert answer.status_code == 429
    assert 400 < int(answer.headers["Retry-After"]) <= 420
