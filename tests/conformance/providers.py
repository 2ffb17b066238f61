"""The providers that go through the suite, each as one small value: where it is asked what, how a person acts there,
how it is broken, and what the broker then says.

A provider that is not here comes with a value of its own: `fourth/` shows one.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from broker.sandbox.facebook.seed import ANI_PAGE
from broker.sandbox.instagram.permissions import BASIC, COMMENTS
from tests import house, meta
from tests.house import CONTACTS, EVENTS, Google

Steer = Callable[[Google, str], object]
"""Does something to an account at the provider."""


@dataclass(frozen=True)
class Call:
    """A kind of request to the provider, as its journal has it. `{account}` in the path stands for the account's id."""

    method: str
    path: str
    grant_type: str | None = None

    def among(self, entries: list[dict[str, Any]], account: str = "") -> list[dict[str, Any]]:
        path = self.at(account or "[^/]+")
        return [
            entry
            for entry in entries
            if entry["method"] == self.method
            and re.fullmatch(rf"(/v\d+\.\d)?{path}", entry["path"])
            and self.grant_type in (None, entry["grant_type"])
        ]

    def at(self, account: str) -> str:
        return self.path.replace("{account}", account)


@dataclass(frozen=True)
class Needs:
    """A connector, and a scope that the user may refuse it."""

    connector: str
    scope: str
    field: str = ""
    """What is withheld without it; empty where the connector then gives nothing."""


@dataclass(frozen=True)
class Refusal:
    """How a connector gets nothing of what it needs: what the user unticks, and what the provider does."""

    connector: str
    without: frozenset[str] = frozenset()
    quirks: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Candidate:
    """One provider. `ani` and `budi`: two accounts there, as a person chooses them."""

    name: str
    fake: str
    """The fixture that plays it."""
    environ: Callable[[str], Mapping[str, str]]
    """The broker's settings, by the fake's address."""
    ani: str
    budi: str
    connector: str
    """It gives data as soon as the user has allowed."""
    scopes: frozenset[str]
    """What is asked for it."""
    exchanged: Call
    renewed: Call
    told: Call
    """What tells the provider that it is over."""
    read: str
    """Where its data are, by the beginning of the path."""
    dies: Steer
    """Every token of the account dies, and the provider does not say why."""
    renewed_after: timedelta
    """From then on a token is renewed: when something is read, or ahead of its end by a duty."""
    first_ends: timedelta
    """When the first token is surely over."""
    refusal: Refusal
    limit: Any = 7
    """What the quirk `rate_limit` takes here."""
    renewed_by_duty: bool = False
    pkce: bool = True
    second: str = ""
    """Another connector of its."""
    required: Needs | None = None
    optional: Needs | None = None
    tails: tuple[str, ...] = ()
    """What hangs on a code without being of it."""
    faults: tuple[Mapping[str, str], ...] = ({"error": "server_error"},)
    """Callbacks that say that something went wrong, not that the user refused."""
    foreign: Mapping[str, Any] = field(default_factory=dict)
    """The provider answers with a token of another app."""
    removed: Steer | None = None
    """The user ends the app's access at the provider, which says so when the token is used next."""
    tellings: int = 1
    """Requests that a revocation takes: one for each token where it ends no more than that one."""
    outcome: str = "confirmed"
    gone: str = "already_gone"
    """How a revocation ends, and how one ends that comes after the tokens' end."""
    ends_there: bool = True
    """A revocation reaches the provider's tokens."""
    assets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What the user chooses at confirm, by connector."""

    def __repr__(self) -> str:
        return self.name

    @property
    def connectors(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.connector, self.second)))


def _killed(**how: Any) -> Steer:
    return lambda fake, account: fake.control("kill", {"account": account, **how})


def _revoked(fake: Google, account: str) -> object:
    return fake.control("revoke", {"account": account})


GOOGLE = Candidate(
    name="google",
    fake="google",
    environ=lambda _url: {},
    ani=house.ANI,
    budi=house.BUDI,
    connector="google_contacts",
    second="google_calendar",
    scopes=frozenset({"openid", "https://www.googleapis.com/auth/userinfo.email", CONTACTS}),
    exchanged=Call("POST", "/token", "authorization_code"),
    renewed=Call("POST", "/token", "refresh_token"),
    told=Call("POST", "/revoke"),
    read="/v1/people",
    limit={"retry_after": 7},
    dies=_killed(tokens="all"),
    renewed_after=timedelta(hours=2),
    first_ends=timedelta(hours=2),
    required=Needs("google_calendar", EVENTS),
    refusal=Refusal("google_contacts", quirks={"partial": [CONTACTS]}),
    foreign={"bad_id_token": "wrong_aud"},
)
FACEBOOK = Candidate(
    name="facebook",
    fake="facebook",
    environ=lambda _url: {},
    ani=meta.ANI,
    budi=meta.BUDI,
    connector="facebook_profile",
    second="facebook_pages",
    scopes=frozenset({"public_profile", "email"}),
    exchanged=Call("POST", "/oauth/access_token", "authorization_code"),
    renewed=Call("POST", "/oauth/access_token", "fb_exchange_token"),
    told=Call("DELETE", "/{account}/permissions"),
    read="/me",
    limit=4,
    dies=_killed(why="password"),
    removed=_revoked,
    renewed_after=timedelta(days=51),
    first_ends=timedelta(days=65),
    renewed_by_duty=True,
    required=Needs("facebook_pages", "pages_read_engagement"),
    optional=Needs("facebook_profile", "email", field="email"),
    refusal=Refusal("facebook_pages", without=frozenset({"pages_show_list", "pages_read_engagement"})),
    tails=("#_=_",),
    faults=({"error_code": "1349126", "error_message": "App Not Set Up"}, {"error": "server_error"}),
    foreign={"other_app": True},
    assets={"facebook_pages": (ANI_PAGE,)},
)
INSTAGRAM = Candidate(
    name="instagram",
    fake="instagram",
    environ=lambda _url: {},
    ani=meta.ANI_AT_INSTAGRAM,
    budi=meta.BUDI_AT_INSTAGRAM,
    connector="instagram_media",
    second="instagram_comments",
    scopes=frozenset({BASIC}),
    exchanged=Call("POST", "/oauth/access_token", "authorization_code"),
    renewed=Call("GET", "/refresh_access_token"),
    told=Call("DELETE", "/{account}/subscribed_apps"),
    read="/me/media",
    limit=80002,
    dies=_killed(why="password"),
    removed=_revoked,
    renewed_after=timedelta(days=51),
    first_ends=timedelta(days=65),
    renewed_by_duty=True,
    pkce=False,
    required=Needs("instagram_comments", COMMENTS),
    refusal=Refusal("instagram_media", quirks={"omit_permissions": True}),
    tails=("#_", "%23_"),
    faults=({"error_code": "1349187", "error_message": "App not active"}, {"error": "server_error"}),
    outcome="not_supported",
    ends_there=False,
)
OPENID = Candidate(
    name="book",
    fake="openid",
    environ=lambda url: {
        "BROKER_OIDC_BOOK_ISSUER": url,
        "BROKER_OIDC_BOOK_CLIENT_ID": "broker",
        "BROKER_OIDC_BOOK_CLIENT_SECRET": "PROVIDER-SECRET-1",
    },
    ani="ani",
    budi="budi",
    connector="openid_profile",
    scopes=frozenset({"openid", "profile", "email", "offline_access"}),
    exchanged=Call("POST", "/token", "authorization_code"),
    renewed=Call("POST", "/token", "refresh_token"),
    told=Call("POST", "/revoke"),
    read="/userinfo",
    dies=_killed(),
    renewed_after=timedelta(hours=1),
    first_ends=timedelta(hours=1),
    optional=Needs("openid_profile", "email", field="email"),
    refusal=Refusal("openid_profile", quirks={"granted": ["email"]}),
    foreign={"other_client": True},
    tellings=2,
    gone="confirmed",
)
CANDIDATES = (GOOGLE, FACEBOOK, INSTAGRAM, OPENID)
