"""What people and providers do to a token, and what becomes of the connection: removed, held, dead, narrowed; and what
must not happen to it through an outage or a slip of the operator's. docs/token-life.md; docs/facts/meta.md §6.1.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
import requests
from flask import Flask, Response
from sqlalchemy import select

from broker.connections import tend
from broker.contract import Connector, Reads
from broker.errors import ProviderUnavailable
from broker.models import AuditEntry
from broker.providers.data.instagram import BASIC, Media
from broker.providers.facebook import PROVIDER as FACEBOOK
from broker.providers.instagram import PROVIDER
from broker.providers.line import Line
from broker.providers.resource import Resource
from broker.sandbox.serve import Running
from broker.secret import Secret
from broker.upstream import TokenRefused, Upstream
from tests.connections.life import ACCOUNTS, Life
from tests.house import House
from tests.meta import ANI, FACEBOOK_APP, Facebook, Instagram

Lives = Callable[[str], Life]
each = pytest.mark.parametrize("provider", ["facebook", "instagram"])
PAGES = "facebook_pages"
COMMENTS = "instagram_business_manage_comments"


@pytest.fixture
def lives(meta: House, facebook: Facebook, instagram: Instagram) -> Lives:
    """Ani's connection at a provider."""
    fakes = {"facebook": facebook, "instagram": instagram}
    return lambda provider: Life(meta, meta.client(), fakes[provider], provider).connect()


def happens(life: Life, what: str, **how: Any) -> None:
    life.fake.control(what, {"account": ACCOUNTS[life.provider], **how})


def found_by_a_read(life: Life) -> None:
    life.read()


def found_by_the_look(life: Life) -> None:
    life.tended()


each_finder = pytest.mark.parametrize("found", [found_by_a_read, found_by_the_look])


# --- removed by the user -------------------------------------------------------------------------------------


@each_finder
@each
def test_a_user_who_removes_the_app_there_has_revoked_with_a_receipt(
    lives: Lives, provider: str, found: Callable[[Life], None]
) -> None:
    life = lives(provider)
    happens(life, "revoke")
    found(life)
    assert life.state in ("revoking", "revoked")
    life.house.work()
    (receipt,) = life.app.call("GET", "/v1/revocations", params={"connection": life.id}).json()["items"]
    (ended,) = receipt["connections"]
    assert (ended["provider_outcome"], receipt["state"]) == ("already_gone", "completed")
    assert ended["shredded_at"]
    assert (life.state, life.hears()) == ("revoked", "410 connection_revoked")
    assert [entry.actor for entry in life.entries() if entry.action == "connection.revoked"] == ["provider"]
    assert life.fake.live_tokens() == 0


@each
def test_the_read_that_finds_it_out_hears_that_it_was_revoked(lives: Lives, provider: str) -> None:
    life = lives(provider)
    happens(life, "revoke")
    assert life.hears() == "410 connection_revoked"


@each
def test_who_removed_the_app_can_connect_anew(lives: Lives, provider: str) -> None:
    life = lives(provider)
    happens(life, "revoke")
    life.tended()
    ended = life.id
    assert life.connect().id != ended
    assert life.hears() == "200"


# --- held by the provider ------------------------------------------------------------------------------------


@each_finder
@each
def test_an_account_that_its_owner_must_see_to_is_suspended_by_the_provider_and_its_token_kept(
    lives: Lives, provider: str, found: Callable[[Life], None]
) -> None:
    life = lives(provider)
    before = life.token()
    happens(life, "checkpoint")
    found(life)
    assert (life.state, life.token()) == ("suspended", before)
    problem = life.read().json()
    assert (problem["code"], problem["source"]) == ("connection_suspended", "provider")


@each
def test_it_goes_on_by_itself_once_the_owner_has_seen_to_it(lives: Lives, provider: str) -> None:
    life = lives(provider)
    happens(life, "checkpoint")
    life.tended()
    asked = life.days(3)
    assert all(0 < len(day) <= 4 for day in asked), asked
    happens(life, "checkpoint", passed=True)
    life.tended()
    assert (life.state, life.hears()) == ("active", "200")
    assert life.said("connection.suspended", "connection.resumed") == ["connection.suspended", "connection.resumed"]


@each
def test_a_new_connect_ends_the_providers_suspension_too(lives: Lives, provider: str) -> None:
    life = lives(provider)
    happens(life, "checkpoint")
    life.tended()
    happens(life, "checkpoint", passed=True)
    held = life.id
    assert life.connect().id == held
    assert (life.state, life.hears()) == ("active", "200")


@each
def test_what_a_caller_suspended_stays_so_when_the_provider_lets_go(lives: Lives, provider: str) -> None:
    life = lives(provider)
    happens(life, "checkpoint")
    life.tended()
    assert life.app.call("POST", f"/v1/connections/{life.id}/suspend").status_code in (200, 204)
    happens(life, "checkpoint", passed=True)
    life.tended()
    assert (life.state, life.read().json().get("source")) == ("suspended", None)
    assert life.app.call("POST", f"/v1/connections/{life.id}/resume").status_code in (200, 204)
    assert life.hears() == "200"


@each
def test_one_that_died_while_both_held_it_is_not_revived_by_the_caller(lives: Lives, provider: str) -> None:
    life = lives(provider)
    assert life.app.call("POST", f"/v1/connections/{life.id}/suspend").status_code in (200, 204)
    happens(life, "checkpoint")
    life.tended()
    happens(life, "checkpoint", passed=True)
    happens(life, "kill", why="password")
    life.tended()
    life.app.call("POST", f"/v1/connections/{life.id}/resume")
    assert (life.state, life.hears()) == ("reconnect_required", "409 reconnect_required")


# --- dead ----------------------------------------------------------------------------------------------------


@each_finder
@pytest.mark.parametrize("why", ["password", "expired", "invalid"])
@each
def test_a_dead_token_calls_for_the_user_once_and_is_asked_about_no_more(
    lives: Lives, provider: str, why: str, found: Callable[[Life], None]
) -> None:
    life = lives(provider)
    happens(life, "kill", why=why)
    found(life)
    assert life.state == "reconnect_required"
    life.calls()
    assert [life.hears() for _ in range(4)] == ["409 reconnect_required"] * 4
    assert life.days(3) == [[], [], []]
    assert life.said("connection.reconnect_required") == ["connection.reconnect_required"]
    kept = life.id
    assert life.connect().id == kept
    assert (life.state, life.hears(), life.duty is not None) == ("active", "200", True)


@each
def test_eight_readers_who_meet_a_dead_token_ask_about_it_once(lives: Lives, provider: str) -> None:
    life = lives(provider)
    look = {"facebook": "/debug_token", "instagram": "/me"}[provider]
    happens(life, "kill", why="password")
    bearer = life.app.bearer
    with life.quirk(delay={look: 0.3}), ThreadPoolExecutor(8) as pool:
        readers = [replace(life, app=replace(life.app, _token=bearer, http=requests.Session())) for _ in range(8)]
        heard = list(pool.map(lambda reader: reader.hears(), readers))
    assert set(heard) == {"409 reconnect_required"}
    assert life.calls().count(look) == 1


# --- less than before ----------------------------------------------------------------------------------------


@pytest.fixture
def pages(lives: Lives, facebook: Facebook) -> Life:
    """Ani's Pages and profile; two Pages are chosen."""
    life = lives("facebook")
    found = life.app.pending(PAGES, "facebook_profile", provider="facebook", account=ANI)
    confirmed = life.app.confirm(found)
    assert confirmed.status_code == 200, confirmed.text
    life.id = confirmed.json()["connection"]["id"]
    offered = life.app.call("GET", f"/v1/connections/{life.id}/assets/{PAGES}").json()["items"]
    chosen = [asset["id"] for asset in offered][:2]
    answer = life.app.call("PUT", f"/v1/connections/{life.id}/assets/{PAGES}", {"assets": chosen})
    assert answer.status_code == 200, answer.text
    life.calls()
    return life


def chosen(life: Life, connector: str = PAGES) -> list[str]:
    (grant,) = [grant for grant in life.shown["grants"] if grant["connector"] == connector]
    return [asset["id"] for asset in grant["assets"]]


def test_a_role_that_was_lost_closes_that_page_alone(pages: Life) -> None:
    first, second = chosen(pages)
    assert [pages.hears(PAGES, asset=page) for page in (first, second)] == ["200", "200"]
    happens(pages, "role", page=first, tasks=[])
    problem = pages.read(PAGES, asset=first).json()
    assert (problem["code"], problem["source"]) == ("not_granted", "provider")
    assert chosen(pages) == [second]
    pages.calls()
    assert pages.hears(PAGES, asset=first) == "403 not_granted"
    assert pages.calls() == []
    assert [pages.hears(PAGES, asset=second), pages.hears("facebook_profile"), pages.state] == ["200", "200", "active"]


def test_a_permission_taken_away_is_read_again_and_denied_here_from_then_on(pages: Life) -> None:
    page = chosen(pages)[0]
    pages.read(PAGES, asset=page)
    happens(pages, "permissions", take=["pages_read_engagement"])
    pages.calls()
    problem = pages.read(PAGES, asset=page).json()
    assert (problem["code"], problem["source"]) == ("insufficient_scope", "provider")
    assert problem["missing_scopes"] == ["pages_read_engagement"]
    assert len(pages.calls()) <= 9
    assert "pages_read_engagement" not in pages.shown["scopes"]
    problem = pages.read(PAGES, asset=page).json()
    assert (problem["code"], problem["source"]) == ("insufficient_scope", "broker")
    assert pages.calls() == []
    assert (pages.hears("facebook_profile"), pages.state) == ("200", "active")


def test_a_permission_that_comes_back_is_counted_within_what_was_confirmed(pages: Life) -> None:
    before = pages.shown["scopes"]
    happens(pages, "permissions", take=["pages_read_engagement"])
    pages.tended()
    assert pages.shown["scopes"] == [scope for scope in before if scope != "pages_read_engagement"]
    happens(pages, "permissions", give=["pages_read_engagement", "ads_management", "leads_retrieval"])
    pages.tended()
    assert pages.shown["scopes"] == before


def test_pages_that_the_user_unticks_there_leave_the_grant_and_come_back_by_consent_alone(pages: Life) -> None:
    first, second = chosen(pages)
    happens(pages, "permissions", pages=[second])
    pages.tended()
    assert chosen(pages) == [second]
    assert "grant.narrowed" in pages.said()
    happens(pages, "permissions", pages=None)
    pages.tended()
    assert chosen(pages) == [second]
    assert pages.hears(PAGES, asset=first) == "403 not_granted"


class Replies(Media):
    """What one further permission opens."""

    name = "replies"
    fields: Mapping[str, Any] = {"caption": (f"{BASIC} {COMMENTS}",)}  # type: ignore[assignment]


@pytest.fixture
def replies(meta: House) -> Iterator[str]:
    """A connector of it."""
    connectors = cast(dict[str, Connector], meta.broker.connectors)
    resources = cast(dict[str, Resource], PROVIDER.resources)
    resources["replies"] = Replies()
    titles = {"en": "Replies", "id": "Balasan"}
    reads = Reads("replies", ("caption",))
    connectors["replies"] = Connector("replies", "instagram", "probe", reads, lambda raw: dict(raw), {}, titles)
    yield "replies"
    del connectors["replies"], resources["replies"]


def test_what_instagram_refuses_is_taken_away_here_since_nobody_can_ask_it(lives: Lives, replies: str) -> None:
    life = lives("instagram").connect("instagram_media", replies)
    assert life.hears(replies) == "200"
    life.calls()
    with life.quirk(graph_error={"/me/media": {"code": 10}}):
        problem = life.read(replies).json()
        assert (problem["code"], problem["source"]) == ("insufficient_scope", "provider")
        assert COMMENTS in problem["missing_scopes"]
    assert life.calls() == ["/me/media"]
    assert COMMENTS not in life.shown["scopes"]
    assert (life.hears(replies), life.calls()) == ("403 insufficient_scope", [])
    assert (life.hears(), life.state) == ("200", "active")
    life.tended()
    assert COMMENTS not in life.shown["scopes"]


# --- faults of nobody's token --------------------------------------------------------------------------------


@each
def test_a_block_for_a_breach_of_policy_is_told_to_the_operator(
    lives: Lives, provider: str, caplog: pytest.LogCaptureFixture
) -> None:
    life = lives(provider)
    with life.quirk(graph_error={"/me": {"code": 368}}):
        assert life.hears() == "429 rate_limited 3600"
    assert [record for record in caplog.records if record.levelno == logging.ERROR and "policy" in record.message]
    assert life.state == "active"


def test_a_wrong_app_secret_condemns_nobody_and_ends_no_revocation(
    lives: Lives, facebook: Facebook, caplog: pytest.LogCaptureFixture
) -> None:
    """The operator has rotated it at Meta, and not here yet."""
    life = lives("facebook")
    facebook.control("apps", {"app": FACEBOOK_APP, "secret": "rotated-there-already"})
    for _ in range(3):
        life.tended()
        assert life.state == "active"
    assert [record for record in caplog.records if record.levelno == logging.ERROR and "own token" in record.message]
    receipt = life.app.revoke(life.id).json()["revocation"]["id"]
    life.house.work()
    told = life.app.receipt(receipt)["connections"][0]
    assert (told["provider_outcome"], facebook.live_tokens() > 0) == ("pending", True)
    facebook.control("apps", {"app": FACEBOOK_APP, "secret": "PROVIDER-SECRET-2"})
    life.passes(minutes=10)
    life.house.work()
    assert life.app.receipt(receipt)["connections"][0]["provider_outcome"] == "confirmed"
    assert facebook.live_tokens() == 0


@pytest.mark.parametrize("look", [{"facebook": "/debug_token"}, {"facebook": "/me/permissions"}, {"instagram": "/me"}])
def test_a_new_token_is_kept_though_nobody_can_say_yet_what_it_is_worth(lives: Lives, look: dict[str, str]) -> None:
    """The token before it may have ended with the renewal (docs/facts/meta.md §10)."""
    ((provider, path),) = look.items()
    life = lives(provider)
    before, shown = life.token(), life.shown
    life.passes(days=51)
    with life.quirk(outage={path: 503}):
        life.tended()
    assert life.token() != before
    if provider == "facebook":
        assert life.shown["expires_at"] == shown["expires_at"], "an end that nobody has confirmed"
    life.tended()
    assert life.shown["expires_at"] > shown["expires_at"]
    assert life.hears() == "200"


def test_a_renewal_that_brings_another_apps_token_changes_nothing(lives: Lives) -> None:
    life = lives("facebook")
    before = life.token()
    life.passes(days=51)
    with life.quirk(other_app=True):
        life.tended()
        assert (life.token(), life.state) == (before, "active")


@each
def test_a_renewal_that_brings_another_accounts_token_changes_nothing(lives: Lives, provider: str) -> None:
    """REL-50."""
    life = lives(provider)
    index, before = life.row.account_index, life.token()
    life.passes(days=51)
    life.set(account_index=b"of somebody else")
    life.tended()
    assert (life.token(), life.state) == (before, "active")
    life.set(account_index=index)
    life.tended()
    assert life.token() != before


@each
def test_a_revocation_during_a_renewal_leaves_nothing_behind(lives: Lives, provider: str) -> None:
    """REL-31: what the renewal brings is ended too, or at Instagram destroyed."""
    life = lives(provider)
    life.passes(days=51)
    renewal = {"facebook": "/oauth/access_token", "instagram": "/refresh_access_token"}[provider]
    assert life.app.bearer
    with life.quirk(delay={renewal: 1.0}):
        renewing = threading.Thread(target=lambda: tend.tend(life.house.broker, life.id, begin_by=float("inf")))
        renewing.start()
        threading.Event().wait(0.3)
        assert life.app.revoke(life.id).status_code in (200, 202)
        renewing.join()
    life.house.work()
    assert (life.state, life.row.access_token) == ("revoked", None)
    assert "orphan.kept" in audit_of_all(life)
    assert audit_of_all(life)[-1] == "orphan.ended"
    if provider == "facebook":
        assert life.fake.live_tokens() == 0
    assert life.duty is None
    assert life.row.obtained_at is not None
    assert life.house.clock() - life.row.obtained_at > timedelta(days=50)


def audit_of_all(life: Life) -> list[str]:
    with life.house.broker.database.read() as session:
        return list(session.scalars(select(AuditEntry.action).order_by(AuditEntry.seq)))


# --- answers that say nothing --------------------------------------------------------------------------------


@pytest.fixture
def says(meta: House) -> Iterator[Callable[[object], Line]]:
    """A line to a Facebook that answers every call with this."""
    with ExitStack() as stack:

        def line(body: object) -> Line:
            answer = Response(json.dumps(body), mimetype="application/json")
            app = Flask("says")
            app.add_url_rule("/<path:_>", "all", lambda _: answer)
            url = stack.enter_context(Running(app)).url
            upstream = Upstream(origins={"https://graph.facebook.com": url}, production=False)
            stack.callback(upstream.close)
            return replace(meta.broker.line("facebook"), upstream=upstream)

        yield line


UNCLEAR: list[object] = [
    {},
    {"data": None},
    {"data": []},
    {"data": {}},
    {"data": {"is_valid": None}},
    {"data": {"is_valid": "false"}},
    {"data": {"is_valid": 0}},
    {"data": {"is_valid": True, "app_id": FACEBOOK_APP, "user_id": "7"}},
    {"data": {"is_valid": True, "app_id": FACEBOOK_APP, "user_id": "7", "scopes": "email"}},
    {"data": {"is_valid": True, "app_id": "of another", "user_id": "7", "scopes": []}},
    {"error": {"code": 190, "error_subcode": 458}},
    {"error": "190"},
]


@pytest.mark.parametrize("body", UNCLEAR, ids=json.dumps)
def test_a_debug_token_that_says_nothing_clear_condemns_nothing(says: Callable[[object], Line], body: object) -> None:
    with pytest.raises(ProviderUnavailable):
        FACEBOOK.inspect(says(body), Secret("T"))


@pytest.mark.parametrize(
    ("error", "fate"),
    [
        (None, "dead"),
        ({}, "dead"),
        ({"code": 190}, "dead"),
        ({"code": 190, "subcode": 458}, "removed"),
        ({"code": 190, "error_subcode": 459}, "paused"),
        ({"code": 100, "message": "The App_id in the input_token did not match the Viewing App"}, "passing"),
    ],
)
def test_what_debug_token_says_of_a_dead_token_is_its_fate(
    says: Callable[[object], Line], error: object, fate: str
) -> None:
    with pytest.raises(TokenRefused) as refused:
        FACEBOOK.inspect(says({"data": {"is_valid": False, "error": error}}), Secret("T"))
    assert FACEBOOK.fate(refused.value) == fate
