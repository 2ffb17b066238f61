"""Chromium, a small sales app and the whole installation behind it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from broker.sandbox.salesapp import create_salesapp
from broker.sandbox.serve import Running
from tests.browser.chromium import ARGUMENTS, chromium
from tests.house import free_port
from tests.processes import Installation

SIZES = {"phone": {"width": 390, "height": 844}, "desktop": {"width": 1280, "height": 900}}


@pytest.fixture(scope="session")
def _chromium() -> Iterator[Browser]:
    path = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, chromium_sandbox=False, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def installation(_served_sqlite: Installation) -> Installation:
    """As all tests' own, but over SQLite alone: a browser does not see the database."""
    _served_sqlite.empty()
    return _served_sqlite


@pytest.fixture
def salesapp(installation: Installation) -> Iterator[str]:
    """The address of a sales app whose client the broker knows."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    client_id, secret = installation.register(return_urls=(f"{url}/return",))
    app = create_salesapp(installation.url, client_id, secret, tenant="toko", public_url=url)
    with Running(app, port):
        yield url


@pytest.fixture(params=[(language, size) for language in ("en", "id") for size in SIZES], ids="-".join)
def variant(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Language and size of the screen."""
    language, size = request.param
    return str(language), str(size)


@pytest.fixture
def language(variant: tuple[str, str]) -> str:
    return variant[0]


@pytest.fixture
def page(_chromium: Browser, variant: tuple[str, str]) -> Iterator[Page]:
    """A page in each language, as wide as a phone and as a desktop."""
    with _opened(_chromium, *variant) as page:
        yield page


@pytest.fixture
def plain_page(_chromium: Browser) -> Iterator[Page]:
    """A page in English on a phone, where neither matters, without script: the broker's own need none."""
    with _opened(_chromium, "en", "phone", java_script_enabled=False) as page:
        yield page


@contextmanager
def _opened(browser: Browser, language: str, size: str, **settings: bool) -> Iterator[Page]:
    context = browser.new_context(viewport=SIZES[size], locale=language, **settings)
    context.set_default_timeout(20_000)
    yield context.new_page()
    context.close()


@pytest.fixture
def looked_at(page: Page, variant: tuple[str, str]) -> Callable[[str], None]:
    """Checks a page as people meet it: nothing wider than the screen, nothing that axe-core finds wrong.

    BROKER_SCREENSHOTS names a folder in which a picture of each is kept.
    """

    def look(name: str) -> None:
        if folder := os.environ.get("BROKER_SCREENSHOTS"):
            page.screenshot(path=Path(folder) / f"{name}-{'-'.join(variant)}.png", full_page=True)
        assert _width(page) <= page.viewport_size["width"], f"{name} is wider than the screen"
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()

    return look


def _width(page: Page) -> int:
    page.wait_for_load_state()
    return int(page.evaluate("document.documentElement.scrollWidth"))
