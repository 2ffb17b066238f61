"""The authorization endpoint: its page, its checks, the way back. docs/facts/google.md §1.2, §1.3, §1.5."""

import re
from urllib.parse import parse_qsl, urlsplit

import pytest

from broker.sandbox.google.consent_texts import TEXTS
from broker.sandbox.google.scope_texts import MEANINGS
from tests.sandbox.google_client import ANI, BUDI, CONTACTS, EMAIL, EVENTS, REDIRECT, Client

PATH = "/o/oauth2/v2/auth"


def _page(google: Client, asked: dict[str, str]) -> str:
    answer = google.http.get(google.url + PATH, params=asked)
    assert answer.status_code == 200
    return answer.text


def test_the_page_says_that_it_is_not_google_and_works_without_script(google: Client) -> None:
    page = _page(google, google.request())
    assert "Sandbox: this is not Google" in page
    assert "<script" not in page
    assert 'name="viewport"' in page


@pytest.mark.parametrize(
    ("language", "told", "scope"),
    [
        ("id", "ini bukan Google", "Melihat dan mengunduh kontak Anda"),
        ("en", "this is not Google", "See and download your contacts"),
    ],
)
def test_the_page_speaks_the_language_of_the_browser(google: Client, language: str, told: str, scope: str) -> None:
    answer = google.http.get(google.url + PATH, params=google.request(), headers={"Accept-Language": language})
    assert f'<html lang="{language}">' in answer.text
    assert told in answer.text
    assert scope in answer.text
    wrong = google.http.get(google.url + PATH, headers={"Accept-Language": language})
    assert (wrong.status_code, told in wrong.text) == (400, True)


def test_each_text_is_there_in_both_languages() -> None:
    assert TEXTS["en"].keys() == TEXTS["id"].keys()
    assert all(english and indonesian and english != indonesian for english, indonesian in MEANINGS.values())


def test_the_page_lets_the_form_redirect_to_the_client(google: Client) -> None:
    answer = google.http.get(google.url + PATH, params=google.request())
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "form-action" not in policy


def test_each_scope_beyond_signing_in_has_a_checkbox(google: Client) -> None:
    page = _page(google, google.request())
    assert re.findall(r'type="checkbox" name="scope" value="([^"]+)"', page) == [EVENTS, CONTACTS]


def test_a_single_scope_beyond_signing_in_has_none(google: Client) -> None:
    assert "checkbox" not in _page(google, google.request("openid", CONTACTS))


@pytest.mark.parametrize("hint", ["budi@example.com", BUDI])
def test_login_hint_preselects_the_account(google: Client, hint: str) -> None:
    page = _page(google, google.request(login_hint=hint))
    assert re.findall(r'value="(\d+)" required checked', page) == [BUDI]


def test_the_form_of_the_page_leads_back_to_the_client(google: Client) -> None:
    page = _page(google, google.request())
    found = re.search(r'action="([^"]+)"', page)
    assert found
    action = found[1].replace("&amp;", "&")
    form = {"account": ANI, "decision": "allow", "scope": [CONTACTS]}
    back = google.http.post(google.url + action, data=form, allow_redirects=False)
    assert back.headers["Location"].startswith(REDIRECT)


def test_the_callback_carries_what_google_sends_in_its_order(google: Client) -> None:
    back = google.decide(google.request())
    query = parse_qsl(urlsplit(back.headers["Location"]).query)
    assert [name for name, _ in query] == ["state", "iss", "code", "scope", "authuser", "prompt"]
    assert dict(query) | {"code": ""} == {
        "state": "STATE-1",
        "iss": "https://accounts.google.com",
        "code": "",
        "scope": " ".join(sorted(["openid", EMAIL, CONTACTS, EVENTS])),
        "authuser": "0",
        "prompt": "consent",
    }
    assert dict(query)["code"].startswith("4/")


def test_a_workspace_account_brings_hd(google: Client) -> None:
    assert google.callback(account="citra@tokocitra.example")["hd"] == "tokocitra.example"


def test_state_comes_back_unchanged(google: Client) -> None:
    assert google.callback(state="a b&c=ä%2F")["state"] == "a b&c=ä%2F"


def test_cancel_comes_back_as_access_denied_with_state(google: Client) -> None:
    back = google.decide(google.request(), decision="cancel")
    assert dict(parse_qsl(urlsplit(back.headers["Location"]).query)) == {"error": "access_denied", "state": "STATE-1"}


def test_a_query_of_the_redirect_uri_is_kept(google: Client) -> None:
    back = google.decide(google.request(redirect_uri=f"{REDIRECT}?kept=1"))
    assert dict(parse_qsl(urlsplit(back.headers["Location"]).query))["kept"] == "1"


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"client_id": None}, "invalid_request"),
        ({"redirect_uri": None}, "redirect_uri_mismatch"),
        ({"redirect_uri": "javascript:alert(1)"}, "redirect_uri_mismatch"),
        ({"redirect_uri": "javascript://broker.example/%0aalert(1)"}, "redirect_uri_mismatch"),
        ({"redirect_uri": f"{REDIRECT}#here"}, "redirect_uri_mismatch"),
        ({"response_type": "token"}, "invalid_request"),
        ({"scope": None}, "invalid_request"),
        ({"scope": "openid offline_access"}, "invalid_scope"),
        ({"prompt": "none consent"}, "invalid_request"),
        ({"code_challenge_method": "S512"}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"access_type": "sometimes"}, "invalid_request"),
        ({"include_granted_scopes": "yes"}, "invalid_request"),
    ],
)
def test_a_malformed_request_ends_on_googles_own_page(
    google: Client, changed: dict[str, str | None], error: str
) -> None:
    answer = google.http.get(google.url + PATH, params=google.request(**changed), allow_redirects=False)
    assert (answer.status_code, error in answer.text) == (400, True)
    assert "Location" not in answer.headers


def test_a_parameter_given_twice_is_refused(google: Client) -> None:
    query = [*google.request().items(), ("state", "STATE-2")]
    assert google.http.get(google.url + PATH, params=query).status_code == 400


def test_the_form_is_checked_as_the_page_is(google: Client) -> None:
    assert google.decide(google.request(response_type="token")).status_code == 400


@pytest.mark.parametrize("form", [{"decision": "perhaps"}, {"account": "nobody@example.com"}])
def test_a_decision_of_nobody_or_of_no_kind_is_refused(google: Client, form: dict[str, str]) -> None:
    assert google.decide(google.request(), **form).status_code == 400


def test_a_client_that_the_sandbox_was_not_told_of_is_not_found(start) -> None:
    google = start(clients={"KNOWN": "SECRET-1"})
    assert google.http.get(google.url + PATH, params=google.request()).status_code == 401
    assert google.http.get(google.url + PATH, params=google.request(client_id="KNOWN")).status_code == 200


def test_prompt_none_answers_without_a_page(google: Client) -> None:
    def silent(**parameters: str | None) -> dict[str, str]:
        asked = google.request(prompt="none", **parameters)
        back = google.http.get(google.url + PATH, params=asked, allow_redirects=False)
        return dict(parse_qsl(urlsplit(back.headers["Location"]).query))

    assert silent()["error"] == "login_required"
    assert silent(login_hint=ANI)["error"] == "consent_required"
    google.callback()
    assert silent(login_hint=ANI)["prompt"] == "none"


REGISTERED = {"client_id": "CLIENT-1", "client_secret": "CLIENT-SECRET-1", "redirect_uris": [REDIRECT]}


@pytest.mark.parametrize(
    "uri", [f"{REDIRECT}/", REDIRECT.upper(), f"{REDIRECT}?a=1", REDIRECT.replace("https", "http")]
)
def test_a_redirect_uri_is_compared_to_the_character_once_registered(google: Client, uri: str) -> None:
    google.control("clients", REGISTERED)
    refused = google.decide(google.request(redirect_uri=uri))
    assert (refused.status_code, "redirect_uri_mismatch" in refused.text) == (400, True)
    assert google.callback()["code"]


def test_the_page_proposes_an_account_of_the_hinted_domain(google: Client) -> None:
    page = _page(google, google.request(hd="tokocitra.example"))
    assert re.findall(r'value="(\d+)" required checked', page) == ["117000000000000000042"]


def test_each_choice_has_a_label_of_its_own(google: Client) -> None:
    page = _page(google, google.request())
    labels = re.findall(r'<label class="choice"><input type="(\w+)".*?</label>', page, re.DOTALL)
    assert labels == ["radio"] * 3 + ["checkbox"] * 2
    assert page.count("<input") == len(labels)
    assert page.count("<legend>") == page.count("<fieldset>") == 2


def test_of_thousands_of_accounts_the_page_lists_few_and_the_hinted_one(google: Client) -> None:
    made = google.control("accounts", {"count": 1000}).json()["accounts"]
    page = _page(google, google.request(login_hint=made[-1]["email"]))
    assert page.count('type="radio"') == 9
    assert re.findall(r'value="(\d+)" required checked', page) == [made[-1]["sub"]]


def test_where_nothing_has_to_be_asked_unticking_takes_nothing_away(google: Client) -> None:
    """§1.2: without `prompt` the user is asked only the first time."""
    google.callback()
    back = google.callback(ticked=[CONTACTS])
    assert back["prompt"] == "none"
    assert EVENTS in back["scope"].split()


def test_where_consent_is_forced_unticking_counts(google: Client) -> None:
    google.callback()
    back = google.callback(ticked=[CONTACTS], prompt="consent")
    assert (back["prompt"], EVENTS in back["scope"].split()) == ("consent", False)


def test_an_error_page_is_not_told_to_the_client_and_says_that_it_is_not_google(google: Client) -> None:
    answer = google.http.get(google.url + PATH, params=google.request(scope="offline_access"), allow_redirects=False)
    assert "Sandbox: this is not Google" in answer.text
    assert "invalid_scope" in answer.text
