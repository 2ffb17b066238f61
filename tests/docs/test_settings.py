"""Each setting that is read is in the README with its default, and no page names one that is not."""

import ast
import re
from functools import cache

import pytest

from broker.config import Settings
from broker.providers import built_in
from tests.docs.pages import ROOT, Page, page, pages, spans

OPENID = "BROKER_OIDC_ANY"
LEAST = {
    "BROKER_KEYS": "env:KEYS",
    "BROKER_PUBLIC_URL": "https://broker.example.com",
    **{f"{OPENID}_{part}": "https://id.example.com" for part in ("ISSUER", "CLIENT_ID", "CLIENT_SECRET")},
}


class Recorded(dict[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.asked: set[str] = set()

    def get(self, name: str, *default: object) -> object:
        self.asked.add(name)
        return super().get(name, *default)


def _read() -> tuple[Settings, set[str]]:
    environ = Recorded(LEAST)
    settings = Settings.read(environ, {name: provider.options for name, provider in built_in().items()})
    return settings, environ.asked


@cache
def _known() -> set[str]:
    """What `Settings` asks for, and every name that stands as a text of its own anywhere in the code."""
    texts = {
        node.value
        for path in (ROOT / "broker").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    named = {text for text in texts if re.fullmatch(r"BROKER_[A-Z_]*[A-Z]", text)}
    return {name.replace(OPENID, "BROKER_OIDC_<NAME>") for name in _read()[1] | named}


def _told() -> dict[str, str]:
    """Variable → default, as the README has them."""
    return {name: row[2] for row in page("README.md").rows("Settings") for name in spans(row[0])}


def test_each_setting_that_is_read_is_in_the_readme_and_no_other() -> None:
    assert set(_told()) == _known()


@pytest.mark.parametrize("page", pages(), ids=str)
def test_each_variable_that_a_page_names_is_read(page: Page) -> None:
    """`<PROVIDER>` and `<OPTION>` stand for any."""
    families = ("BROKER_<NAME>_<OPTION>", "BROKER_<PROVIDER>_<OPTION>")
    named = set(re.findall(r"BROKER_(?:<[A-Z]+>|[A-Z_])*(?:<[A-Z]+>|[A-Z])", page.text)) - set(families)
    assert named <= _known(), str(page)


def test_the_defaults_in_the_readme_are_those_of_the_code() -> None:
    settings, told = _read()[0], _told()
    assert told["BROKER_REQUEST_DEADLINE"] == f"{settings.request_deadline:g}"
    assert told["BROKER_PROVIDER_DEADLINE"] == f"{settings.provider_deadline:g}"
    assert (told["BROKER_ENV"] == "`production`") is settings.production
    assert settings.database_url.endswith(spans(told["BROKER_DATABASE_URL"])[0])


def test_what_the_readme_calls_required_is_required() -> None:
    from broker.errors import ConfigurationError

    with pytest.raises(ConfigurationError) as refusal:
        Settings.read({}, {})
    missing = {name for problem in refusal.value.problems for name in re.findall(r"(BROKER_\w+) is not set", problem)}
    assert missing == {name for name, default in _told().items() if default == "required"}
