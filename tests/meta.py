"""The fake Facebook and Instagram beside the fake Google, and a house that knows all three."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from broker.sandbox.facebook import create_facebook
from broker.sandbox.instagram import create_instagram
from broker.sandbox.serve import Running, mapped
from tests.house import Clock, Google, House

FACEBOOK_APP, INSTAGRAM_APP = "100200300400500", "900800700600500"
SETTINGS = {
    "BROKER_FACEBOOK_CLIENT_ID": FACEBOOK_APP,
    "BROKER_FACEBOOK_CLIENT_SECRET": "PROVIDER-SECRET-2",
    "BROKER_INSTAGRAM_CLIENT_ID": INSTAGRAM_APP,
    "BROKER_INSTAGRAM_CLIENT_SECRET": "PROVIDER-SECRET-3",
}
ANI, BUDI = "ani@example.com", "budi@example.com"
"""People at the fake Facebook."""
ANI_AT_INSTAGRAM, BUDI_AT_INSTAGRAM = "ani.wijaya", "budi.santoso"
"""Accounts at the fake Instagram."""


class Facebook(Google):
    """The fake Facebook, steered and looked into from outside."""


class Instagram(Google):
    """The fake Instagram, steered and looked into from outside."""


@pytest.fixture(scope="session")
def _fake_meta(_fake_google: tuple[Google, Clock]) -> Iterator[tuple[Facebook, Instagram]]:
    clock = _fake_google[1].timestamp
    with Running(create_facebook(clock=clock)) as facebook, Running(create_instagram(clock=clock)) as instagram:
        yield Facebook(facebook.url), Instagram(instagram.url)


@pytest.fixture
def facebook(_fake_meta: tuple[Facebook, Instagram], clock: Clock) -> Facebook:
    """A fake Facebook that is as at the start."""
    _fake_meta[0].control("reset")
    return _fake_meta[0]


@pytest.fixture
def instagram(_fake_meta: tuple[Facebook, Instagram], clock: Clock) -> Instagram:
    """A fake Instagram that is as at the start."""
    _fake_meta[1].control("reset")
    return _fake_meta[1]


@pytest.fixture
def build_meta(
    build: Callable[..., House], google: Google, facebook: Facebook, instagram: Instagram
) -> Callable[..., House]:
    """Builds houses that know all three providers: `build_meta(database_url, BROKER_…="…")`."""
    origins = mapped({"google": google.url, "facebook": facebook.url, "instagram": instagram.url})

    def built(database_url: str, **more: Any) -> House:
        return build(database_url, **{"BROKER_ORIGINS": origins, **SETTINGS, **more})

    return built


@pytest.fixture
def meta(build_meta: Callable[..., House], sqlite_url: str) -> House:
    """A broker over SQLite that knows all three."""
    return build_meta(sqlite_url)


@pytest.fixture
def meta_house(build_meta: Callable[..., House], database_url: str) -> House:
    """A broker over each kind of database in turn that knows all three."""
    return build_meta(database_url)
