"""Codes, short-lived and long-lived tokens, the refresh: docs/facts/meta.md §3.1, §6.1."""

import pytest
import requests

from tests.sandbox.instagram_client import ALL, ANI, BASIC, BUDI, COMMENTS, DAY, HOUR, App, error

UNSAFE = 2**53
"""Beyond it a number does not survive every reader of JSON."""


def flat(answer: requests.Response) -> dict[str, object]:
    assert answer.json().keys() == {"error_type", "code", "error_message"}
    assert answer.json()["error_type"] == "OAuthException"
    assert answer.json()["code"] == answer.status_code
    return answer.json()


def test_the_documented_answer_wraps_token_id_and_permissions(instagram: App) -> None:
    answer = instagram.exchange(instagram.callback(BASIC, COMMENTS)["code"])
    assert answer.json().keys() == {"data"}
    (told,) = answer.json()["data"]
    assert told.keys() == {"access_token", "user_id", "permissions"}
    assert told["permissions"] == f"{BASIC},{COMMENTS}"
    assert isinstance(told["user_id"], str)
    assert "no-store" in answer.headers["Cache-Control"]


@pytest.mark.parametrize(("form", "told"), [("flat_text", ",".join(ALL)), ("flat_list", list(ALL))])
def test_quirk_token_answer(instagram: App, form: str, told: object) -> None:
    """§9.2: flat, with the id as a number beyond what a double holds."""
    instagram.quirk(token_answer=form)
    answer = instagram.exchange(instagram.callback()["code"]).json()
    assert answer.keys() == {"access_token", "user_id", "permissions"}
    assert answer["permissions"] == told
    assert isinstance(answer["user_id"], int)
    assert answer["user_id"] > UNSAFE
    instagram.quirk(token_answer="wrapped")
    assert instagram.short()["user_id"] == str(answer["user_id"])


def test_the_id_of_the_answer_is_app_scoped(instagram: App) -> None:
    first = instagram.short()
    profile = instagram.get("/me", first["access_token"], fields="id,user_id").json()
    assert first["user_id"] == profile["id"] != profile["user_id"]
    instagram.client_id = "IG-APP-2"
    other = instagram.short()
    assert other["user_id"] != first["user_id"]
    assert instagram.get("/me", other["access_token"], fields="user_id").json()["user_id"] == ANI


def test_quirk_professional_user_id(instagram: App) -> None:
    instagram.quirk(professional_user_id=True)
    assert instagram.short()["user_id"] == ANI


def test_quirk_omit_permissions(instagram: App) -> None:
    instagram.quirk(omit_permissions=True)
    assert instagram.short().keys() == {"access_token", "user_id"}


def test_a_code_is_used_once(instagram: App) -> None:
    code = instagram.callback()["code"]
    assert instagram.exchange(code).status_code == 200
    assert flat(instagram.exchange(code))["code"] == 400


def test_a_code_lives_for_an_hour(instagram: App, instagram_clock) -> None:
    first, second = instagram.callback()["code"], instagram.callback()["code"]
    instagram_clock.now += HOUR - 1
    assert instagram.exchange(first).status_code == 200
    instagram_clock.now += 1
    assert flat(instagram.exchange(second))["code"] == 400


@pytest.mark.parametrize(
    "changed",
    [
        {"redirect_uri": "https://broker.example/callback/instagram/"},
        {"client_id": "IG-APP-2"},
        {"grant_type": "client_credentials"},
        *({name: None} for name in ("client_id", "client_secret", "grant_type", "redirect_uri", "code")),
    ],
    ids=str,
)
def test_a_wrong_exchange_is_refused_flat(instagram: App, changed: dict[str, str | None]) -> None:
    assert flat(instagram.exchange(instagram.callback()["code"], **changed))["code"] == 400


def test_a_code_is_exchanged_by_post_alone(instagram: App) -> None:
    answer = instagram.http.get(f"{instagram.url}/oauth/access_token", params={"code": instagram.callback()["code"]})
    assert flat(answer)["code"] == 405


def test_quirk_token_error(instagram: App) -> None:
    code = instagram.callback()["code"]
    instagram.quirk(token_error={"error_message": "Try again", "code": 500, "times": 1})
    assert flat(instagram.exchange(code)) == {
        "error_type": "OAuthException",
        "code": 500,
        "error_message": "Try again",
    }
    assert instagram.exchange(code).status_code == 200


def test_a_short_lived_token_lives_for_an_hour(instagram: App, instagram_clock) -> None:
    token = instagram.short()["access_token"]
    instagram_clock.now += HOUR - 1
    assert instagram.get("/me", token).status_code == 200
    instagram_clock.now += 1
    assert error(instagram.get("/me", token)) == (400, 190, 463)
    assert error(instagram.lengthen(token)) == (400, 190, 463)


def test_a_long_lived_token_lives_for_sixty_days(instagram: App, instagram_clock) -> None:
    answer = instagram.lengthen(instagram.short()["access_token"]).json()
    assert answer.keys() == {"access_token", "token_type", "expires_in"}
    assert (answer["token_type"], answer["expires_in"]) == ("bearer", 60 * DAY)
    instagram_clock.now += 60 * DAY - 1
    assert instagram.get("/me", answer["access_token"]).status_code == 200
    instagram_clock.now += 1
    assert error(instagram.get("/me", answer["access_token"])) == (400, 190, 463)


def test_lengthening_leaves_the_short_lived_token_alive(instagram: App) -> None:
    short = instagram.short()["access_token"]
    assert instagram.lengthen(short).json()["access_token"] != short
    assert instagram.get("/me", short).status_code == 200
    assert instagram.state()["counts"] == {"short": 1, "long": 1}


def test_lengthening_takes_the_secret_of_the_app_and_a_short_lived_token(instagram: App) -> None:
    instagram.control("apps", {"app": "IG-APP-1", "secret": "IG-SECRET-1"})
    short = instagram.short()["access_token"]
    assert error(instagram.lengthen(short, client_secret="another"))[:2] == (400, 1)
    assert error(instagram.lengthen(short, client_secret=None))[:2] == (400, 1)
    assert error(instagram.lengthen(short, grant_type="fb_exchange_token"))[:2] == (400, 100)
    assert error(instagram.lengthen(instagram.lengthen(short).json()["access_token"]))[:2] == (400, 100)


def test_a_refresh_counts_sixty_days_from_itself(instagram: App, instagram_clock) -> None:
    token = instagram.connect()
    instagram_clock.now += 30 * DAY
    answer = instagram.refresh(token).json()
    assert answer.keys() == {"access_token", "token_type", "expires_in"}
    assert answer["access_token"] != token
    assert answer["expires_in"] == 60 * DAY
    instagram_clock.now += 60 * DAY - 1
    assert instagram.get("/me", answer["access_token"]).status_code == 200
    assert error(instagram.get("/me", token)) == (400, 190, 463)


def test_quirk_refresh_keeps_token(instagram: App, instagram_clock) -> None:
    """H18."""
    token = instagram.connect()
    instagram.quirk(refresh_keeps_token=True)
    instagram_clock.now += 30 * DAY
    assert instagram.refresh(token).json()["access_token"] == token
    assert error(instagram.refresh(token))[:2] == (400, 100)
    instagram_clock.now += 60 * DAY - 1
    assert instagram.get("/me", token).status_code == 200


def test_a_token_younger_than_a_day_is_not_refreshed_and_lives_on(instagram: App, instagram_clock) -> None:
    token = instagram.connect()
    instagram_clock.now += DAY - 1
    assert error(instagram.refresh(token)) == (400, 100, None)
    assert instagram.get("/me", token).status_code == 200
    instagram_clock.now += 1
    assert instagram.refresh(token).status_code == 200


def test_a_short_lived_token_is_not_refreshed(instagram: App) -> None:
    instagram.quirk(token_lifetime={"short": 3 * DAY})
    token = instagram.short()["access_token"]
    instagram.control("clock", {"advance": 2 * DAY})
    assert error(instagram.refresh(token)) == (400, 100, None)


def test_after_sixty_days_without_a_refresh_a_token_is_dead_for_good(instagram: App, instagram_clock) -> None:
    """H10."""
    token = instagram.connect()
    instagram_clock.now += 60 * DAY
    assert error(instagram.refresh(token)) == (400, 190, 463)


def test_a_refresh_by_post_is_unsupported_and_changes_nothing(instagram: App, instagram_clock) -> None:
    """H11."""
    token = instagram.connect()
    instagram_clock.now += 2 * DAY
    form = {"grant_type": "ig_refresh_token", "access_token": token}
    answer = instagram.http.post(f"{instagram.url}/refresh_access_token", data=form)
    assert error(answer)[:2] == (400, 100)
    assert answer.json()["error"]["message"] == "Unsupported request - method type: post"
    assert instagram.state()["counts"]["long"] == 1


def test_a_refresh_takes_the_basic_permission(instagram: App, instagram_clock) -> None:
    token = instagram.connect()
    instagram_clock.now += 2 * DAY
    instagram.control("permissions", {"account": ANI, "take": [BASIC]})
    assert error(instagram.refresh(token)) == (400, 10, None)


def test_a_refresh_takes_no_secret(instagram: App, instagram_clock) -> None:
    token = instagram.connect()
    instagram_clock.now += 2 * DAY
    assert "client_secret" not in instagram.refresh(token).request.url
    assert instagram.refresh(token).status_code == 200


@pytest.mark.parametrize("said", [9999999999999, -1, 0, 0.5, "soon", "3600"])
def test_quirk_expires_in(instagram: App, said: object) -> None:
    instagram.quirk(expires_in=said)
    short = instagram.short()["access_token"]
    assert instagram.lengthen(short).json()["expires_in"] == said
    assert instagram.get("/me", instagram.connect()).status_code == 200


def test_quirk_expires_in_absent(instagram: App) -> None:
    instagram.quirk(expires_in="absent")
    assert instagram.lengthen(instagram.short()["access_token"]).json().keys() == {"access_token", "token_type"}


def test_quirk_token_lifetime(instagram: App, instagram_clock) -> None:
    instagram.quirk(token_lifetime={"short": 10, "long": 100})
    short = instagram.short()["access_token"]
    answer = instagram.lengthen(short).json()
    assert answer["expires_in"] == 100
    instagram_clock.now += 10
    assert error(instagram.get("/me", short)) == (400, 190, 463)
    assert instagram.get("/me", answer["access_token"]).status_code == 200


def test_tokens_stand_under_any_version_and_none(instagram: App) -> None:
    short = instagram.short()["access_token"]
    query = {"grant_type": "ig_exchange_token", "client_secret": "IG-SECRET-1", "access_token": short}
    for version in ("", "/v21.0", "/v26.0"):
        assert instagram.http.get(f"{instagram.url}{version}/access_token", params=query).status_code == 200
        assert instagram.get(f"{version}/me", short).status_code == 200


def test_a_token_goes_as_bearer_or_in_the_query(instagram: App) -> None:
    token = instagram.short()["access_token"]
    assert instagram.get("/me", token).status_code == 200
    assert instagram.http.get(f"{instagram.url}/me", params={"access_token": token}).status_code == 200


def test_without_a_token_or_with_a_wrong_one_or_an_apps_own_nothing_opens(instagram: App) -> None:
    instagram.short()
    assert error(instagram.http.get(f"{instagram.url}/me")) == (400, 190, None)
    assert error(instagram.get("/me", "IGAAunknown")) == (400, 190, None)
    answer = instagram.get("/me", "IG-APP-1|IG-SECRET-1")
    assert error(answer) == (400, 190, None)
    assert "valid app ID" in answer.json()["error"]["message"]


def test_there_is_no_way_to_ask_what_a_token_may_do(instagram: App) -> None:
    token = instagram.short()["access_token"]
    assert error(instagram.get("/debug_token", token, input_token=token))[:2] == (400, 100)
    assert error(instagram.get("/me/permissions", token))[:2] == (400, 100)


def test_an_authorization_is_of_one_account_and_one_app(instagram: App) -> None:
    first = instagram.connect(BASIC)
    instagram.client_id = "IG-APP-2"
    instagram.connect(BASIC, COMMENTS)
    instagram.connect(BASIC, account=BUDI)
    assert [(a["app"], a["account"], a["permissions"]) for a in instagram.state()["authorizations"]] == [
        ("IG-APP-1", ANI, [BASIC]),
        ("IG-APP-2", ANI, [BASIC, COMMENTS]),
        ("IG-APP-2", BUDI, [BASIC]),
    ]
    assert error(instagram.get("/17900001000000300/comments", first))[:2] == (400, 10)
