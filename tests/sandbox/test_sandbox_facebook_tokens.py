"""Codes, tokens, proofs, debug_token. docs/facts/meta.md §1.3 to §1.6, §1.8, §1.11."""

import base64
import hashlib
from collections.abc import Callable
from urllib.parse import parse_qs

import pytest

from tests.sandbox.conftest import Clock
from tests.sandbox.facebook_client import (
    ANI_INSTAGRAM,
    ANI_PAGE,
    BUDI,
    CATERING_PAGE,
    DAY,
    KOPI_PAGE,
    FacebookApp,
    error,
)

VERIFIER = "VERIFIER-1-that-is-long-enough-for-rfc-7636-to-accept"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()

# --- codes ---------------------------------------------------------------------------------------------------


def test_an_exchange_gives_a_short_lived_token_and_nothing_else(facebook: FacebookApp) -> None:
    answer = facebook.exchange(facebook.callback()["code"]).json()
    assert answer.keys() == {"access_token", "token_type", "expires_in"}
    assert answer["token_type"] == "bearer"
    assert 3600 <= answer["expires_in"] <= 7200


def test_an_exchange_works_by_get_too(facebook: FacebookApp) -> None:
    code = facebook.callback()["code"]
    answer = facebook.token("GET", code=code, redirect_uri="https://broker.example/callback/facebook")
    assert answer.status_code == 200


def test_a_code_works_once(facebook: FacebookApp) -> None:
    code = facebook.callback()["code"]
    assert facebook.exchange(code).status_code == 200
    assert error(facebook.exchange(code)) == (400, 100, 36009)


def test_a_code_needs_the_redirect_uri_of_the_dialog(facebook: FacebookApp) -> None:
    code = facebook.callback()["code"]
    assert error(facebook.exchange(code, redirect_uri="https://broker.example/callback")) == (400, 100, 36008)


def test_a_code_ends_after_ten_minutes(facebook: FacebookApp) -> None:
    code = facebook.callback()["code"]
    facebook.told("clock", {"advance": 601})
    assert error(facebook.exchange(code)) == (400, 100, 36007)


def test_a_code_is_of_its_own_app_and_with_the_stray_suffix_of_none(facebook: FacebookApp) -> None:
    code = facebook.callback()["code"]
    assert facebook.exchange(code, client_id="4810002", client_secret="OTHER").status_code == 400
    assert facebook.exchange(f"{code}#_=_").status_code == 400
    assert facebook.exchange(code).status_code == 200


def test_the_first_secret_of_an_app_is_its_secret(facebook: FacebookApp) -> None:
    facebook.connect()
    assert error(facebook.exchange(facebook.callback()["code"], client_secret="WRONG"))[:2] == (400, 1)


def test_a_registered_app_keeps_others_out(facebook: FacebookApp) -> None:
    facebook.told("apps", {"app": "9", "secret": "S"})
    assert facebook.page(facebook.request()).status_code == 400
    assert error(facebook.token(grant_type="client_credentials"))[:2] == (400, 101)


@pytest.mark.parametrize("name", ["client_secret", "code", "redirect_uri", "client_id"])
def test_what_an_exchange_lacks_is_refused(facebook: FacebookApp, name: str) -> None:
    code = facebook.callback()["code"]
    given = {"code": code, **{name: None}}
    assert facebook.exchange(given.pop("code") or "", **given).status_code == 400


def test_a_challenge_is_verified_at_the_exchange(facebook: FacebookApp) -> None:
    challenged = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
    good, bad, none = (facebook.callback(**challenged)["code"] for _ in range(3))
    assert facebook.exchange(good, code_verifier=VERIFIER).status_code == 200
    assert error(facebook.exchange(bad, code_verifier="x" * 43))[:2] == (400, 100)
    assert error(facebook.exchange(none))[:2] == (400, 100)


def test_a_code_dies_with_the_grant(facebook: FacebookApp) -> None:
    code = facebook.callback()["code"]
    facebook.told("revoke", {"account": "ani@example.com"})
    assert facebook.exchange(code).status_code == 400


@pytest.mark.parametrize("told", [9999999999999, -5, 0, "3600", 1.5])
def test_the_end_can_be_told_absurdly(facebook: FacebookApp, told: object) -> None:
    facebook.quirk(expires_in=told)
    assert facebook.exchange(facebook.callback()["code"]).json()["expires_in"] == told


def test_the_end_can_be_left_out(facebook: FacebookApp) -> None:
    facebook.quirk(expires_in="absent")
    assert "expires_in" not in facebook.exchange(facebook.callback()["code"]).json()


def test_a_token_answer_can_be_a_form_as_of_old(facebook: FacebookApp) -> None:
    facebook.quirk(token_form_encoded=True)
    answer = facebook.exchange(facebook.callback()["code"])
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert parse_qs(answer.text).keys() == {"access_token", "token_type", "expires"}


# --- long-lived tokens ---------------------------------------------------------------------------------------


def test_a_long_lived_token_is_a_new_string_beside_the_old_one(facebook: FacebookApp) -> None:
    short = facebook.short()
    answer = facebook.lengthen(short).json()
    assert answer["access_token"] != short
    assert 59 * DAY < answer["expires_in"] <= 60 * DAY
    assert facebook.get("/me", short).status_code == 200
    facebook.told("clock", {"advance": 7200})
    assert error(facebook.get("/me", short)) == (400, 190, 463)
    assert facebook.get("/me", answer["access_token"]).status_code == 200


def test_an_expired_token_cannot_be_exchanged(facebook: FacebookApp) -> None:
    short = facebook.short()
    facebook.told("clock", {"advance": 7200})
    assert error(facebook.lengthen(short)) == (400, 190, 463)


def test_a_second_exchange_moves_the_end(facebook: FacebookApp) -> None:
    first = facebook.connect()
    facebook.told("clock", {"advance": 45 * DAY})
    second = facebook.lengthen(first).json()["access_token"]
    assert facebook.debug(second)["expires_at"] - facebook.debug(first)["expires_at"] == pytest.approx(45 * DAY, abs=2)


def test_a_second_exchange_may_keep_the_end(facebook: FacebookApp) -> None:
    facebook.quirk(second_exchange_keeps_end=True)
    first = facebook.connect()
    facebook.told("clock", {"advance": 45 * DAY})
    answer = facebook.lengthen(first).json()
    assert answer["access_token"] != first
    assert facebook.debug(answer["access_token"])["expires_at"] == facebook.debug(first)["expires_at"]


def test_the_real_life_of_tokens_can_be_set(facebook: FacebookApp) -> None:
    facebook.quirk(token_lifetime={"short": 60, "long": 120})
    token = facebook.connect()
    facebook.told("clock", {"advance": 121})
    assert error(facebook.get("/me", token)) == (400, 190, 463)


def test_a_page_token_cannot_be_exchanged(facebook: FacebookApp) -> None:
    assert error(facebook.lengthen(facebook.of_page()))[:2] == (400, 190)


def test_client_credentials_give_the_app_token(facebook: FacebookApp) -> None:
    token = facebook.token(grant_type="client_credentials").json()["access_token"]
    facebook.connect()
    assert facebook.get(f"/{facebook.user_id()}/permissions", token).status_code == 200


def test_another_grant_type_is_refused(facebook: FacebookApp) -> None:
    assert error(facebook.token(grant_type="password"))[0] == 400


# --- the token of a call -------------------------------------------------------------------------------------


def test_a_token_may_stand_in_header_query_or_form(facebook: FacebookApp) -> None:
    token = facebook.of_page()
    assert facebook.get("/me", token).status_code == 200
    assert facebook.http.get(f"{facebook.url}/me", params={"access_token": token}).status_code == 200
    form = {"access_token": token, "subscribed_fields": "feed"}
    assert facebook.http.post(f"{facebook.url}/{ANI_PAGE}/subscribed_apps", data=form).status_code == 200


def test_a_call_without_a_token_is_refused(facebook: FacebookApp) -> None:
    assert error(facebook.http.get(f"{facebook.url}/me"))[:2] == (400, 104)


def test_a_made_up_token_is_refused_with_a_challenge(facebook: FacebookApp) -> None:
    answer = facebook.get("/me", "EAAnothing")
    assert error(answer) == (400, 190, None)
    assert "invalid_token" in answer.headers["WWW-Authenticate"]


def test_an_app_token_is_nobody(facebook: FacebookApp) -> None:
    facebook.connect()
    assert error(facebook.get("/me", facebook.app_token))[:2] == (400, 2500)


def test_an_app_token_with_a_wrong_secret_is_refused(facebook: FacebookApp) -> None:
    facebook.connect()
    assert error(facebook.get("/me/permissions", f"{facebook.client_id}|WRONG"))[:2] == (400, 190)


# --- proofs --------------------------------------------------------------------------------------------------


def test_a_right_proof_passes_in_either_form(facebook: FacebookApp, facebook_clock: Clock) -> None:
    token = facebook.connect()
    assert facebook.get("/me", token, **facebook.proof(token)).status_code == 200
    assert facebook.get("/me", token, **facebook.proof(token, facebook_clock.now)).status_code == 200


@pytest.mark.parametrize("off", [-301, 301])
def test_a_timed_proof_is_good_for_five_minutes(facebook: FacebookApp, facebook_clock: Clock, off: int) -> None:
    token = facebook.connect()
    proof = facebook.proof(token, facebook_clock.now + off)
    assert error(facebook.get("/me", token, **proof))[:2] == (400, 100)


def test_a_wrong_proof_fails_though_none_is_needed(facebook: FacebookApp, facebook_clock: Clock) -> None:
    token, other = facebook.connect(), facebook.connect(account=BUDI)
    timed = facebook.proof(token, facebook_clock.now)
    wrong = (
        facebook.proof(other),
        {"appsecret_proof": "0" * 64},
        {"appsecret_proof": timed["appsecret_proof"]},
        {**timed, "appsecret_time": str(int(facebook_clock.now) + 1)},
        {"appsecret_proof": facebook.proof(token)["appsecret_proof"].upper()},
    )
    for proof in wrong:
        assert error(facebook.get("/me", token, **proof))[:2] == (400, 100), proof


def test_calls_without_proof_fail_once_the_app_requires_it(facebook: FacebookApp) -> None:
    token = facebook.connect()
    facebook.quirk(require_app_secret=True)
    assert error(facebook.get("/me", token))[:2] == (400, 100)
    assert facebook.get("/me", token, **facebook.proof(token)).status_code == 200
    assert facebook.exchange(facebook.callback()["code"]).status_code == 200


def test_the_proof_of_a_page_call_is_over_the_page_token(facebook: FacebookApp) -> None:
    facebook.told("apps", {"app": facebook.client_id, "secret": facebook.client_secret, "require_app_secret": True})
    token = facebook.connect()
    answer = facebook.get(f"/{ANI_PAGE}", token, fields="access_token", **facebook.proof(token))
    page = answer.json()["access_token"]
    assert error(facebook.get(f"/{ANI_PAGE}/posts", page))[:2] == (400, 100)
    assert error(facebook.get(f"/{ANI_PAGE}/posts", page, **facebook.proof(token)))[:2] == (400, 100)
    assert facebook.get(f"/{ANI_PAGE}/posts", page, **facebook.proof(page)).status_code == 200


# --- debug_token ---------------------------------------------------------------------------------------------


def test_debug_token_tells_all_of_a_living_token(facebook: FacebookApp, facebook_clock: Clock) -> None:
    token = facebook.connect("email", "pages_show_list")
    told = facebook.debug(token)
    now = facebook_clock.now
    assert told["expires_at"] == pytest.approx(now + 60 * DAY, abs=300)
    assert told["data_access_expires_at"] == now + 90 * DAY
    known = {name: told[name] for name in ("app_id", "type", "is_valid", "user_id", "issued_at", "scopes")}
    assert known == {
        "app_id": facebook.client_id,
        "type": "USER",
        "is_valid": True,
        "user_id": facebook.user_id(),
        "issued_at": now,
        "scopes": ["public_profile", "email", "pages_show_list"],
    }


def test_target_ids_are_absent_where_everything_was_granted(facebook: FacebookApp) -> None:
    assert all("target_ids" not in entry for entry in facebook.debug(facebook.connect())["granular_scopes"])


def test_target_ids_are_pages_or_instagram_accounts(facebook: FacebookApp) -> None:
    token = facebook.connect(
        "email", "pages_show_list", "instagram_basic", pages=[ANI_PAGE, KOPI_PAGE], instagram=[ANI_INSTAGRAM]
    )
    assert facebook.debug(token)["granular_scopes"] == [
        {"scope": "public_profile"},
        {"scope": "email"},
        {"scope": "pages_show_list", "target_ids": [ANI_PAGE, KOPI_PAGE]},
        {"scope": "instagram_basic", "target_ids": [ANI_INSTAGRAM]},
    ]


@pytest.mark.parametrize(("form", "expected"), [("empty", [[], []]), ("absent", None)])
def test_granular_scopes_have_other_forms(facebook: FacebookApp, form: str, expected: list[list[str]] | None) -> None:
    facebook.quirk(granular_scopes=form)
    told = facebook.debug(facebook.connect("pages_show_list"))
    found = [entry["target_ids"] for entry in told["granular_scopes"]] if "granular_scopes" in told else None
    assert found == expected


def test_ids_can_be_numbers(facebook: FacebookApp) -> None:
    facebook.quirk(numeric_ids=True)
    told = facebook.debug(facebook.connect())
    assert (told["app_id"], told["user_id"]) == (int(facebook.client_id), int(facebook.user_id()))


def test_a_token_can_seem_to_be_of_another_app(facebook: FacebookApp) -> None:
    facebook.quirk(other_app=True)
    told = facebook.debug(facebook.connect())
    assert (told["is_valid"], told["app_id"] != facebook.client_id) == (True, True)


def test_a_page_token_names_its_page_and_never_ends(facebook: FacebookApp) -> None:
    told = facebook.debug(facebook.of_page())
    assert (told["type"], told["profile_id"], told["expires_at"]) == ("PAGE", ANI_PAGE, 0)


def test_a_page_token_of_a_short_lived_one_ends_with_it(facebook: FacebookApp) -> None:
    short = facebook.short()
    page = facebook.page_token(short)
    assert facebook.debug(page)["expires_at"] == facebook.debug(short)["expires_at"] > 0


def test_a_dead_token_is_described_with_its_error(facebook: FacebookApp) -> None:
    token = facebook.connect()
    facebook.told("kill", {"why": "password"})
    told = facebook.debug(token)
    assert (told["is_valid"], told["scopes"], told["app_id"]) == (False, [], facebook.client_id)
    assert (told["error"]["code"], told["error"]["subcode"]) == (190, 460)
    assert "granular_scopes" not in told


def test_a_made_up_token_is_described_too(facebook: FacebookApp) -> None:
    told = facebook.debug("EAAnothing")
    assert (told["is_valid"], told["error"]["code"]) == (False, 190)


def test_a_token_of_another_app_tells_nothing(facebook: FacebookApp) -> None:
    other = FacebookApp(facebook.url, "4810002", "OTHER")
    told = facebook.debug(other.connect())
    assert (told["is_valid"], "user_id" in told) == (False, False)


def test_debug_token_wants_an_app_token_or_one_of_the_same_app(facebook: FacebookApp) -> None:
    token = facebook.connect()
    assert facebook.debug(token, by=facebook.connect())["is_valid"]
    assert error(facebook.http.get(f"{facebook.url}/debug_token", params={"input_token": token}))[0] == 400
    assert error(facebook.get("/debug_token", facebook.app_token))[:2] == (400, 100)


def test_the_nonce_of_a_reauthentication_shows_in_the_metadata(facebook: FacebookApp) -> None:
    token = facebook.connect("email", auth_type="reauthenticate", auth_nonce="NONCE-1")
    assert facebook.debug(token)["metadata"] == {"auth_type": "reauthenticate", "auth_nonce": "NONCE-1"}


def test_the_last_consent_chooses_the_pages(facebook: FacebookApp) -> None:
    """H3: a Page that it leaves out is lost to the older connection too."""
    old = facebook.page_token(facebook.connect(pages=[ANI_PAGE, KOPI_PAGE]))
    facebook.connect(pages=[CATERING_PAGE])
    assert error(facebook.get(f"/{ANI_PAGE}/posts", old)) == (400, 190, None)


def test_apps_that_are_given_at_the_start_are_the_only_ones(start_facebook: Callable[..., FacebookApp]) -> None:
    app = start_facebook(apps={"4810001": "FB-SECRET-1"}, redirect_uris={"4810001": ["https://broker.example/other"]})
    assert "URL blocked" in app.page(app.request()).text
    assert "Invalid App ID" in app.page(app.request(client_id="2")).text
