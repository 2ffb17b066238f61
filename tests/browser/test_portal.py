"""The subject's portal in a real browser, on a phone: both languages, keyboard alone, no script, axe-core."""

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from broker.models import AccessCount, Connection
from broker.portal.texts import TEXTS
from tests.processes import Installation

pytestmark = pytest.mark.timeout(400)  # the first of them may have to install the browser
Look = Callable[[str], None]


@pytest.fixture(params=["en", "id"])
def variant(request: pytest.FixtureRequest) -> tuple[str, str]:
    """On a phone alone: wider screens have the same page with more room."""
    return str(request.param), "phone"


def connect(page: Page, salesapp: str, language: str) -> None:
    """Ani's contacts and calendar at Google."""
    page.goto(f"{salesapp}/?lang={language}")
    page.locator("form[action='/connect']").filter(has=page.locator("[value=google]")).get_by_role("button").click()
    page.locator("button[value=approve]").click()
    page.locator("input[name=account]").first.check()
    page.locator("button[value=allow]").click()
    expect(page.locator("table.records")).to_have_count(2)


def read_for_a_month(installation: Installation) -> None:
    """As a sync job would have: contacts, more on some days than on others, none on Sundays."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    with installation.database() as session:
        (connection,) = session.scalars(select(Connection.id)).all()
        for back in range(1, 28):
            hour = now - timedelta(days=back)
            if hour.weekday() != 6:
                records = round(120 + 110 * math.sin(back / 3))
                named = {"connector": "google_contacts", "resource": "contacts", "client_id": "cli_1"}
                session.add(AccessCount(connection_id=connection, hour=hour, pages=3, records=records, **named))


def to_portal(page: Page, salesapp: str, language: str) -> None:
    page.goto(f"{salesapp}/?lang={language}")
    page.locator("form[action='/portal'] button").click()


def tab_to(page: Page, text: str) -> None:
    """With the keyboard alone, to what bears this text, and press it."""
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        if focused.count() and (focused.text_content() or "").strip().startswith(text):
            page.keyboard.press("Enter")
            return
    raise AssertionError(f"{text} cannot be reached by the keyboard")


def until_told(page: Page, text: str) -> None:
    """The worker tells Google; whoever looks again sees what came of it."""
    for _ in range(100):
        if page.get_by_text(text).is_visible():
            return
        page.wait_for_timeout(100)
        page.reload()
    raise AssertionError(f"never told: {text}")


def test_a_subject_sees_withdraws_disconnects_and_goes_back(
    page: Page, salesapp: str, installation: Installation, language: str, looked_at: Look, tmp_path: Path
) -> None:
    texts = TEXTS[language]
    connect(page, salesapp, language)
    read_for_a_month(installation)
    to_portal(page, salesapp, language)
    expect(page.locator("html")).to_have_attribute("lang", language)
    looked_at("portal-1-open")
    page.get_by_role("button", name=texts["open"]).click()
    expect(page.get_by_text(texts["active"])).to_be_visible()
    expect(page.locator("svg.chart rect").first).to_be_visible()
    page.locator("summary").first.click()
    expect(page.locator("td.number").first).to_be_visible()
    page.locator("summary").first.click()
    looked_at("portal-2-page")

    with page.expect_download() as download:
        page.get_by_role("button", name=texts["download_json"]).click()
    download.value.save_as(tmp_path / "mine.json")
    assert json.loads((tmp_path / "mine.json").read_text())["subject"] == "ani"

    page.locator("a[href*='connector=google_calendar']").click()
    looked_at("portal-3-asked")
    page.get_by_role("button", name=texts["yes_grant"]).click()
    looked_at("portal-4-withdrawn")
    page.get_by_role("link", name=texts["back"]).click()
    expect(page.locator("section.granted")).to_have_count(1)

    page.locator("a.danger").click()
    page.get_by_role("button", name=texts["yes_connection"]).click()
    until_told(page, texts["confirmed"].format(provider="Google"))
    looked_at("portal-5-disconnected")
    page.get_by_role("link", name=texts["back"]).click()
    expect(page.get_by_text(texts["none"])).to_be_visible()
    looked_at("portal-6-nothing-left")
    page.get_by_role("button", name=texts["leave"]).click()
    expect(page).to_have_url(f"{salesapp}/")


def test_the_portal_needs_neither_script_nor_pointer(
    plain_page: Page, salesapp: str, installation: Installation
) -> None:
    page, texts = plain_page, TEXTS["en"]
    connect(page, salesapp, "en")
    to_portal(page, salesapp, "en")
    tab_to(page, texts["open"])
    expect(page.get_by_text(texts["active"])).to_be_visible()
    tab_to(page, "Bahasa Indonesia")
    expect(page.locator("html")).to_have_attribute("lang", "id")
    tab_to(page, TEXTS["id"]["withdraw"].format(title="Google Kalender"))
    tab_to(page, TEXTS["id"]["yes_grant"])
    expect(page.get_by_role("heading", level=1)).to_have_text(TEXTS["id"]["done"])
    assert installation.google.live_tokens() > 0
