"""Facebook's dialog: its page, its checks, the way back. docs/facts/meta.md §1.1, §1.2, §1.7."""

import re
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.sandbox.facebook_client import (
    ANI,
    ANI_INSTAGRAM,
    ANI_PAGE,
    BUDI_PAGE,
    CATERING_PAGE,
    KOPI_PAGE,
    REDIRECT,
    FacebookApp,
)


def test_the_page_says_that_it_is_not_facebook_and_works_without_script(facebook: FacebookApp) -> None:
    page = facebook.page(facebook.request()).text
    assert "Sandbox: this is not Facebook" in page
    assert "<script" not in page
    assert 'name="viewport"' in page


def test_the_page_speaks_the_browsers_language(facebook: FacebookApp) -> None:
    page = facebook.page(facebook.request(), **{"Accept-Language": "id"}).text
    assert "ini bukan Facebook" in page
    assert '<html lang="id">' in page


def test_the_page_lets_the_form_redirect_to_the_app(facebook: FacebookApp) -> None:
    policy = facebook.page(facebook.request()).headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "form-action" not in policy


def test_each_permission_but_public_profile_has_a_checkbox(facebook: FacebookApp) -> None:
    page = facebook.page(facebook.request("public_profile", "email", "pages_show_list")).text
    assert re.findall(r'name="scope" value="([^"]+)"', page) == ["email", "pages_show_list"]


def test_pages_and_instagram_accounts_can_be_ticked(facebook: FacebookApp) -> None:
    page = facebook.page(facebook.request()).text
    assert {ANI_PAGE, CATERING_PAGE, KOPI_PAGE, BUDI_PAGE} <= set(re.findall(r'name="pages" value="(\d+)"', page))
    assert re.findall(r'name="instagram" value="(\d+)"', page) == [ANI_INSTAGRAM]


def test_nothing_is_to_be_chosen_where_no_permission_is_limited(facebook: FacebookApp) -> None:
    page = facebook.page(facebook.request("email")).text
    assert 'name="pages"' not in page
    assert 'name="instagram"' not in page


def test_the_form_of_the_page_leads_back_to_the_app(facebook: FacebookApp) -> None:
    found = re.search(r'action="([^"]+)"', facebook.page(facebook.request("email")).text)
    assert found
    form = {"account": ANI, "decision": "allow", "scope": ["email"]}
    action = facebook.url + found[1].replace("&amp;", "&")
    back = facebook.http.post(action, data=form, allow_redirects=False)
    assert back.headers["Location"].startswith(REDIRECT)


def test_the_callback_has_code_and_state_and_the_stray_fragment(facebook: FacebookApp) -> None:
    location = urlsplit(facebook.location(state="a b&c=ä%2F"))
    assert [name for name, _ in parse_qsl(location.query)] == ["code", "state"]
    assert dict(parse_qsl(location.query))["state"] == "a b&c=ä%2F"
    assert location.fragment == "_=_"


def test_a_query_of_the_redirect_uri_is_kept(facebook: FacebookApp) -> None:
    back = facebook.decide(facebook.request(redirect_uri=f"{REDIRECT}?kept=1"))
    assert dict(parse_qsl(urlsplit(back.headers["Location"]).query))["kept"] == "1"


@pytest.mark.parametrize("scope", ["email,pages_show_list", "email pages_show_list", "email, pages_show_list"])
def test_permissions_are_apart_by_commas_or_spaces(facebook: FacebookApp, scope: str) -> None:
    token = facebook.short(scope=scope, ticked=["email", "pages_show_list"])
    assert facebook.permissions(token) == dict.fromkeys(("public_profile", "email", "pages_show_list"), "granted")


def test_cancel_comes_back_with_error_and_reason(facebook: FacebookApp) -> None:
    back = facebook.decide(facebook.request(), decision="cancel")
    query = dict(parse_qsl(urlsplit(back.headers["Location"]).query))
    assert query.keys() == {"error", "error_reason", "error_description", "state"}
    assert (query["error"], query["error_reason"]) == ("access_denied", "user_denied")


def test_the_second_error_form_has_no_error(facebook: FacebookApp) -> None:
    facebook.quirk(callback_error={"error_code": 1349126, "error_message": "App Not Set Up"})
    found = facebook.callback()
    assert found == {"error_code": "1349126", "error_message": "App Not Set Up", "state": "STATE-1"}


def test_the_suffix_can_stand_in_the_code_itself(facebook: FacebookApp) -> None:
    facebook.quirk(code_with_suffix=True)
    assert facebook.callback()["code"].endswith("#_=_")


def test_the_fragment_can_be_absent(facebook: FacebookApp) -> None:
    facebook.quirk(no_fragment=True)
    assert urlsplit(facebook.location()).fragment == ""


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"client_id": None}, "Invalid App ID"),
        ({"redirect_uri": None}, "URL blocked"),
        ({"redirect_uri": "javascript:alert(1)"}, "URL blocked"),
        ({"redirect_uri": "http://broker.example/callback"}, "URL blocked"),
        ({"redirect_uri": f"{REDIRECT}#here"}, "URL blocked"),
        ({"redirect_uri": "https://[::1"}, "URL blocked"),
        ({"response_type": "token"}, "Invalid parameter"),
        ({"state": None}, "Invalid parameter"),
        ({"scope": "email,contacts"}, "Invalid Scopes"),
        ({"auth_type": "again"}, "Invalid parameter"),
        ({"code_challenge": "A" * 43}, "Invalid parameter"),
        ({"code_challenge": "A" * 43, "code_challenge_method": "plain"}, "Invalid parameter"),
        ({"code_challenge": "short", "code_challenge_method": "S256"}, "Invalid parameter"),
        ({"config_id": "1"}, "Invalid configuration"),
    ],
)
def test_a_malformed_request_ends_on_facebooks_own_page(
    facebook: FacebookApp, changed: dict[str, str | None], error: str
) -> None:
    asked = facebook.request(**changed)
    for answer in (facebook.page(asked), facebook.decide(asked)):
        assert (answer.status_code, error in answer.text) == (400, True)
        assert "Location" not in answer.headers


def test_a_parameter_given_twice_is_refused(facebook: FacebookApp) -> None:
    query = [*facebook.request().items(), ("state", "STATE-2")]
    assert facebook.http.get(f"{facebook.url}/dialog/oauth", params=query).status_code == 400


def test_loopback_needs_no_https(facebook: FacebookApp) -> None:
    assert facebook.page(facebook.request(redirect_uri="http://127.0.0.1:5000/callback")).status_code == 200


def test_a_registered_redirect_uri_counts_to_the_character(facebook: FacebookApp) -> None:
    facebook.told("apps", {"app": facebook.client_id, "secret": "S", "redirect_uris": [f"{REDIRECT}?a=1"]})
    assert facebook.page(facebook.request(redirect_uri=f"{REDIRECT}?a=1")).status_code == 200
    for uri in (REDIRECT, f"{REDIRECT}?a=1&b=2", f"{REDIRECT}?a=1/"):
        assert "URL blocked" in facebook.page(facebook.request(redirect_uri=uri)).text


def test_one_permission_that_is_not_enabled_ends_the_whole_dialog(facebook: FacebookApp) -> None:
    facebook.told("apps", {"app": facebook.client_id, "secret": "S", "scopes": ["email"]})
    assert facebook.page(facebook.request("public_profile", "email")).status_code == 200
    refused = facebook.page(facebook.request("email", "pages_show_list"))
    assert "Invalid Scopes: pages_show_list" in refused.text


def test_the_quirk_enables_permissions_too(facebook: FacebookApp) -> None:
    facebook.quirk(allowed_scopes=["email"])
    assert "Invalid Scopes: ads_read" in facebook.page(facebook.request("email", "ads_read")).text


def test_a_permission_that_was_declined_is_not_asked_again(facebook: FacebookApp) -> None:
    facebook.short("email", "pages_show_list", ticked=["email"])
    token = facebook.short("email", "pages_show_list")
    assert facebook.permissions(token)["pages_show_list"] == "declined"


def test_rerequest_asks_again_for_what_was_declined(facebook: FacebookApp) -> None:
    facebook.short("email", "pages_show_list", ticked=["email"])
    token = facebook.short("email", "pages_show_list", auth_type="rerequest")
    assert facebook.permissions(token)["pages_show_list"] == "granted"


def test_nobody_can_decline_public_profile(facebook: FacebookApp) -> None:
    token = facebook.short("email", ticked=[])
    assert facebook.permissions(token) == {"public_profile": "granted", "email": "declined"}


def test_permissions_add_up_over_consents(facebook: FacebookApp) -> None:
    first = facebook.short("email")
    facebook.short("pages_show_list")
    assert facebook.permissions(first) == dict.fromkeys(("public_profile", "email", "pages_show_list"), "granted")


def test_permissions_that_nobody_asked_for_can_come_back(facebook: FacebookApp) -> None:
    facebook.quirk(extra_scopes=["ads_read"])
    assert facebook.permissions(facebook.short("email"))["ads_read"] == "granted"


def test_a_permission_can_be_lost_whatever_is_ticked(facebook: FacebookApp) -> None:
    facebook.quirk(partial=["email"])
    assert facebook.permissions(facebook.short("email"))["email"] == "declined"


def test_a_page_of_somebody_else_cannot_be_chosen(facebook: FacebookApp) -> None:
    answer = facebook.decide(facebook.request(), pages=[BUDI_PAGE])
    assert (answer.status_code, BUDI_PAGE in answer.text) == (400, True)


def test_granted_scopes_come_back_where_they_are_asked_for(facebook: FacebookApp) -> None:
    found = facebook.callback(
        "email", "pages_show_list", ticked=["email"], response_type="code granted_scopes", return_scopes="true"
    )
    assert found["granted_scopes"] == "public_profile,email"
    assert found["denied_scopes"] == "pages_show_list"


def test_where_nothing_is_asked_a_session_goes_straight_through(facebook: FacebookApp) -> None:
    facebook.quirk(straight_through=True)
    assert facebook.page(facebook.request("email")).status_code == 200
    facebook.short("email")
    assert facebook.page(facebook.request("email")).headers["Location"].startswith(REDIRECT)
    assert facebook.page(facebook.request("email", auth_type="reauthenticate")).status_code == 200


# --- Facebook Login for Business -----------------------------------------------------------------------------


def _configured(facebook: FacebookApp, kind: str = "user") -> dict[str, str]:
    scopes = ["pages_show_list", "pages_read_engagement"]
    facebook.told("configurations", {"config_id": "777", "scopes": scopes, "kind": kind})
    return facebook.request(scope=None, config_id="777")


def test_a_configuration_is_all_or_nothing(facebook: FacebookApp) -> None:
    asked = _configured(facebook)
    assert 'name="scope"' not in facebook.page(asked).text
    back = facebook.decide(asked, [])
    code = dict(parse_qsl(urlsplit(back.headers["Location"]).query))["code"]
    granted = facebook.permissions(facebook.exchange(code).json()["access_token"])
    assert granted == dict.fromkeys(("public_profile", "pages_show_list", "pages_read_engagement"), "granted")


def test_cancelling_a_configuration_gives_nothing(facebook: FacebookApp) -> None:
    back = facebook.decide(_configured(facebook), decision="cancel")
    assert "error=access_denied" in back.headers["Location"]
    assert facebook.state()["grants"] == []


def test_a_configuration_replaces_the_scope_beside_it(facebook: FacebookApp) -> None:
    asked = _configured(facebook) | {"scope": "ads_read"}
    back = facebook.decide(asked, ["ads_read"])
    code = dict(parse_qsl(urlsplit(back.headers["Location"]).query))["code"]
    assert "ads_read" not in facebook.permissions(facebook.exchange(code).json()["access_token"])


def test_a_configuration_for_system_users_wants_the_code_named(facebook: FacebookApp) -> None:
    asked = _configured(facebook, "system_user")
    del asked["response_type"]
    assert facebook.page(asked).status_code == 400


def test_a_system_users_token_never_ends_and_reaches_what_was_delegated(facebook: FacebookApp) -> None:
    back = facebook.decide(_configured(facebook, "system_user"), pages=[KOPI_PAGE])
    answer = facebook.exchange(dict(parse_qsl(urlsplit(back.headers["Location"]).query))["code"]).json()
    assert answer.keys() == {"access_token", "token_type"}
    told = facebook.debug(answer["access_token"])
    assert (told["type"], told["expires_at"], told["data_access_expires_at"]) == ("SYSTEM_USER", 0, 0)
    assert told["granular_scopes"][0] == {"scope": "pages_show_list", "target_ids": [KOPI_PAGE]}
    assert [page["id"] for page in facebook.data("/me/accounts", answer["access_token"])] == [KOPI_PAGE]


def test_a_system_user_tells_its_business_and_no_address(facebook: FacebookApp) -> None:
    back = facebook.decide(_configured(facebook, "system_user"))
    answer = facebook.exchange(dict(parse_qsl(urlsplit(back.headers["Location"]).query))["code"]).json()
    me = facebook.get("/me", answer["access_token"], fields="id,name,email,client_business_id").json()
    assert me.keys() == {"id", "name", "client_business_id"}


def test_data_access_of_a_system_user_does_not_end(facebook: FacebookApp) -> None:
    back = facebook.decide(_configured(facebook, "system_user"), pages=[KOPI_PAGE])
    token = facebook.exchange(dict(parse_qsl(urlsplit(back.headers["Location"]).query))["code"]).json()["access_token"]
    page = facebook.page_token(token, KOPI_PAGE)
    facebook.told("clock", {"advance": 91 * 24 * 3600})
    assert facebook.get(f"/{KOPI_PAGE}/posts", page).status_code == 200
    told = facebook.debug(page)
    assert (told["type"], told["expires_at"], told["data_access_expires_at"]) == ("PAGE", 0, 0)
