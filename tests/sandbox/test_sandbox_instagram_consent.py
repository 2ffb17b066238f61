"""Instagram's page and the way back: docs/facts/meta.md §3.1, pitfalls of its §8."""

from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.sandbox.instagram_client import ALL, ANI, BASIC, BUDI, COMMENTS, DODI, INSIGHTS, REDIRECT, App


def permissions(answer: dict[str, str]) -> set[str]:
    return set(answer["permissions"].split(","))


def test_the_page_offers_professional_accounts_and_a_box_for_all_but_the_basic_permission(instagram: App) -> None:
    page = instagram.page(instagram.request(BASIC, COMMENTS)).text
    assert 'value="17841400000000101"' in page
    assert DODI not in page
    assert f'name="scope" value="{COMMENTS}"' in page
    assert f'name="scope" value="{BASIC}"' not in page
    assert BASIC in page


@pytest.mark.parametrize(("language", "told"), [("id", "ini bukan Instagram"), ("en", "this is not Instagram")])
def test_the_page_speaks_the_language_of_the_browser(instagram: App, language: str, told: str) -> None:
    page = instagram.page(instagram.request(), **{"Accept-Language": language}).text
    assert told in page
    assert f'<html lang="{language}">' in page


def test_the_page_runs_no_script_and_is_one_form(instagram: App) -> None:
    page = instagram.page(instagram.request())
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert page.text.count("<form") == 1
    assert "<script" not in page.text


def test_the_callback_has_the_code_and_the_state_and_a_fragment_that_is_no_part_of_them(instagram: App) -> None:
    location = instagram.location()
    query = dict(parse_qsl(urlsplit(location).query))
    assert location.endswith("#_")
    assert query.keys() == {"code", "state"}
    assert query["state"] == "STATE-1"
    assert instagram.exchange(query["code"]).status_code == 200


def test_cancelling_comes_back_as_the_user_denied(instagram: App) -> None:
    location = instagram.decide(instagram.request(), decision="cancel").headers["Location"]
    assert dict(parse_qsl(urlsplit(location).query)) == {
        "error": "access_denied",
        "error_reason": "user_denied",
        "error_description": "The user denied your request",
        "state": "STATE-1",
    }


@pytest.mark.parametrize("separator", [",", " ", ", "])
def test_scopes_may_be_separated_by_commas_or_spaces(instagram: App, separator: str) -> None:
    asked = instagram.request(scope=separator.join([BASIC, COMMENTS]))
    back = instagram.decide(asked, [COMMENTS])
    code = dict(parse_qsl(urlsplit(back.headers["Location"]).query))["code"]
    assert permissions(instagram.exchange(code).json()["data"][0]) == {BASIC, COMMENTS}


def test_an_unticked_permission_is_not_granted_and_the_basic_one_cannot_be_unticked(instagram: App) -> None:
    assert permissions(instagram.short(BASIC, COMMENTS, INSIGHTS, ticked=[INSIGHTS])) == {BASIC, INSIGHTS}
    assert permissions(instagram.short(BASIC, COMMENTS, ticked=[])) == {BASIC, INSIGHTS}


def test_a_ticked_permission_that_was_not_asked_is_not_granted(instagram: App) -> None:
    assert permissions(instagram.short(BASIC, ticked=[BASIC, COMMENTS])) == {BASIC}


def test_a_later_consent_adds_to_what_was_granted_and_takes_away_what_is_unticked(instagram: App) -> None:
    instagram.short(BASIC, COMMENTS)
    assert permissions(instagram.short(BASIC, INSIGHTS)) == {BASIC, COMMENTS, INSIGHTS}
    assert permissions(instagram.short(BASIC, COMMENTS, ticked=[])) == {BASIC, INSIGHTS}


def test_the_account_may_be_named_by_id_or_by_username(instagram: App) -> None:
    for name in (BUDI, "budi.santoso"):
        instagram.short(account=name)
    assert {entry["account"] for entry in instagram.state()["authorizations"]} == {BUDI}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"client_id": None}, "client_id"),
        ({"redirect_uri": None}, "redirect_uri"),
        ({"redirect_uri": REDIRECT + "#fragment"}, "redirect_uri"),
        ({"response_type": "token"}, "response_type"),
        ({"scope": None}, BASIC),
        ({"scope": COMMENTS}, BASIC),
        ({"scope": f"{BASIC},business_manage_comments"}, "business_manage_comments"),
        ({"scope": "business_basic"}, "business_basic"),
        ({"scope": f"{BASIC},instagram_basic"}, "instagram_basic"),
        ({"scope": "user_profile"}, "user_profile"),
    ],
)
def test_a_wrong_request_ends_on_instagrams_own_page(instagram: App, changed: dict[str, str], told: str) -> None:
    asked = instagram.request(**changed)
    page = instagram.page(asked)
    assert page.status_code == 400
    assert told in page.text
    assert instagram.decide({"scope": "", **asked}).status_code == 400


def test_an_account_that_is_not_professional_cannot_be_linked(instagram: App) -> None:
    answer = instagram.decide(instagram.request(), account=DODI)
    assert answer.status_code == 400
    assert "professional" in answer.text


def test_a_decision_that_is_none_and_an_account_that_is_none_are_refused(instagram: App) -> None:
    assert instagram.decide(instagram.request(), decision="maybe").status_code == 400
    assert instagram.decide(instagram.request(), account="nobody").status_code == 400


def test_a_registered_redirect_uri_counts_to_the_character(start_instagram) -> None:
    app = start_instagram(apps={"IG-APP-1": "IG-SECRET-1"}, redirect_uris={"IG-APP-1": [REDIRECT]})
    assert app.page(app.request()).status_code == 200
    assert app.page(app.request(redirect_uri=REDIRECT + "/")).status_code == 400
    assert app.page(app.request(redirect_uri=REDIRECT + "?tenant=1")).status_code == 400


def test_once_apps_are_registered_only_they_pass(instagram: App) -> None:
    instagram.control("apps", {"app": "IG-APP-2", "secret": "IG-SECRET-2"})
    assert instagram.page(instagram.request()).status_code == 400
    instagram.client_id = "IG-APP-2"
    code = instagram.callback()["code"]
    assert instagram.exchange(code).status_code == 400
    assert instagram.exchange(code, client_secret="IG-SECRET-2").status_code == 200


def test_pkce_is_ignored(instagram: App) -> None:
    code = instagram.callback(code_challenge="short", code_challenge_method="S256")["code"]
    assert instagram.exchange(code).status_code == 200


@pytest.mark.parametrize("name", ["force_reauth", "force_authentication"])
def test_a_forced_login_shows_on_the_page(instagram: App, name: str) -> None:
    assert "log in again" not in instagram.page(instagram.request()).text
    assert "log in again" in instagram.page(instagram.request(**{name: "true"})).text
    assert "log in again" in instagram.page(instagram.request(**{name: "1"})).text


def test_logging_in_with_facebook_is_offered_unless_switched_off(instagram: App) -> None:
    assert "log in with Facebook" in instagram.page(instagram.request()).text
    assert "log in with Facebook" not in instagram.page(instagram.request(enable_fb_login="0")).text
    assert "log in with Facebook" not in instagram.page(instagram.request(enable_fb_login="false")).text


def test_quirk_authorize_moved(instagram: App) -> None:
    """H14."""
    instagram.quirk(authorize_moved=True)
    assert instagram.page(instagram.request()).status_code == 404
    assert instagram.page(instagram.request(force_authentication="1")).status_code == 404
    assert instagram.page(instagram.request(force_reauth="true")).status_code == 200


def test_quirk_allowed_scopes(instagram: App) -> None:
    """H17: one that is not enabled fails the whole dialog."""
    instagram.quirk(allowed_scopes=[COMMENTS])
    assert instagram.page(instagram.request(BASIC, COMMENTS)).status_code == 200
    assert instagram.page(instagram.request(BASIC, COMMENTS, INSIGHTS)).status_code == 400


def test_quirk_partial(instagram: App) -> None:
    instagram.quirk(partial=[COMMENTS])
    assert permissions(instagram.short()) == set(ALL) - {COMMENTS}


def test_quirk_extra_scopes(instagram: App) -> None:
    instagram.quirk(extra_scopes=[COMMENTS])
    assert permissions(instagram.short(BASIC)) == {BASIC, COMMENTS}


@pytest.mark.parametrize("suffix", ["#_", "%23_"])
def test_quirk_code_suffix(instagram: App, suffix: str) -> None:
    """§9.2: it stands in the value, and nothing but the code before it can be exchanged."""
    instagram.quirk(code_suffix=suffix)
    location = instagram.location()
    query = dict(parse_qsl(urlsplit(location).query))
    assert urlsplit(location).fragment == ""
    assert query["code"].endswith(suffix)
    assert query["state"] == "STATE-1"
    assert instagram.exchange(query["code"]).status_code == 400
    assert instagram.exchange(query["code"].removesuffix(suffix)).status_code == 200


def test_quirk_no_fragment(instagram: App) -> None:
    instagram.quirk(no_fragment=True)
    assert "#" not in instagram.location()


def test_quirk_callback_error(instagram: App) -> None:
    """§1.2: the second error form has no `error`."""
    instagram.quirk(callback_error={"error_code": 1349187, "error_message": "App not active"})
    assert instagram.callback() == {
        "error_code": "1349187",
        "error_message": "App not active",
        "state": "STATE-1",
    }


def test_the_journal_knows_who_consented(instagram: App) -> None:
    instagram.location(account=ANI)
    entry = instagram.state()["requests"][-1]
    assert (entry["client"], entry["account"], entry["status"]) == ("IG-APP-1", ANI, 303)
