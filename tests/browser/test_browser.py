"""The whole way in a real browser without script: sales app, consent, Google, back, records, withdraw, revoke."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from broker.consent import TEXTS
from tests.processes import Installation

pytestmark = pytest.mark.timeout(400)  # the first of them may have to install the browser
Look = Callable[[str], None]


def to_google(page: Page, salesapp: str, language: str, *, untick: tuple[str, ...] = ()) -> None:
    page.goto(f"{salesapp}/?lang={language}")
    page.locator("form[action='/connect']").filter(has=page.locator("[value=google]")).get_by_role("button").click()
    for connector in untick:
        page.locator(f"input[name=connector][value={connector}]").uncheck()


def test_a_user_connects_sees_records_withdraws_and_disconnects(
    page: Page, salesapp: str, language: str, looked_at: Look
) -> None:
    to_google(page, salesapp, language)
    expect(page.locator("html")).to_have_attribute("lang", language)
    looked_at("1-consent")
    page.locator("button[value=approve]").click()
    looked_at("2-google")
    page.locator("input[name=account]").first.check()
    page.locator("button[value=allow]").click()
    expect(page.locator("table.records")).to_have_count(2)
    looked_at("3-connection")
    connection = page.url
    page.locator("button[name=connector][value=google_calendar]").click()
    looked_at("4-receipt-of-a-withdrawal")
    page.goto(connection)
    expect(page.locator("table.records")).to_have_count(1)
    expect(page.locator("code", has_text="grant_withdrawn")).to_be_visible()
    page.locator("button.danger").click()
    looked_at("5-receipt")
    page.goto(f"{salesapp}/?lang={language}")
    looked_at("6-home")


def test_only_what_stays_ticked_is_asked_for_and_read(plain_page: Page, salesapp: str) -> None:
    to_google(plain_page, salesapp, "en", untick=("google_calendar",))
    plain_page.locator("button[value=approve]").click()
    assert "calendar" not in plain_page.url
    plain_page.locator("input[name=account]").first.check()
    plain_page.locator("button[value=allow]").click()
    expect(plain_page.locator("table.records")).to_have_count(1)


def test_nothing_ticked_is_said_on_the_page(page: Page, salesapp: str, language: str, looked_at: Look) -> None:
    to_google(page, salesapp, language, untick=("google_contacts", "google_calendar"))
    page.locator("button[value=approve]").click()
    expect(page.get_by_role("alert")).to_have_text(TEXTS[language]["nothing_ticked"])
    looked_at("7-nothing-ticked")


def test_no_at_the_broker_leads_home_with_nothing_connected(
    plain_page: Page, salesapp: str, installation: Installation
) -> None:
    to_google(plain_page, salesapp, "en")
    plain_page.locator("button[value=deny]").click()
    assert plain_page.url.startswith(f"{salesapp}/return")
    assert installation.google.requests("/o/oauth2") == []


def test_no_at_google_leads_home_with_nothing_connected(
    plain_page: Page, salesapp: str, installation: Installation
) -> None:
    to_google(plain_page, salesapp, "en")
    plain_page.locator("button[value=approve]").click()
    plain_page.locator("button[value=cancel]").click()
    assert plain_page.url.startswith(f"{salesapp}/return")
    assert installation.google.live_tokens() == 0


def test_the_consent_page_can_be_used_with_the_keyboard_alone(plain_page: Page, salesapp: str) -> None:
    to_google(plain_page, salesapp, "en")
    button = plain_page.locator("button[value=approve]")
    for _ in range(20):
        plain_page.keyboard.press("Tab")
        if plain_page.locator(":focus").count() and plain_page.locator(":focus").get_attribute("value") == "approve":
            break
    expect(button).to_be_focused()
    plain_page.keyboard.press("Enter")
    expect(plain_page.locator("input[name=account]").first).to_be_visible()


def test_the_way_back_through_the_browsers_history_does_no_harm(
    page: Page, salesapp: str, language: str, looked_at: Look
) -> None:
    """The callback's address is used up; reloading it gives a page that says what to do."""
    to_google(page, salesapp, language)
    page.locator("button[value=approve]").click()
    page.locator("input[name=account]").first.check()
    with page.expect_request(lambda request: "/callback/google" in request.url) as callback:
        page.locator("button[value=allow]").click()
    expect(page.locator("table.records")).to_have_count(2)
    answer = page.goto(callback.value.url)
    assert answer is not None
    assert answer.status == 400
    looked_at("8-error")


def test_a_page_of_the_broker_loads_nothing_from_elsewhere(plain_page: Page, salesapp: str) -> None:
    to_google(plain_page, salesapp, "en")
    asked: list[str] = []
    plain_page.on("request", lambda request: asked.append(request.url))
    plain_page.reload()
    origin = plain_page.url.split("/connect/")[0]
    assert asked
    assert all(url.startswith(origin) for url in asked)
