"""How Facebook is told: the whole authorization of a person, or the permissions that nothing needs any more:
docs/facts/meta.md §1.10."""

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.test import run_wsgi_app

from broker.sandbox.facebook import create_facebook
from broker.sandbox.facebook.seed import ANI_PAGE
from broker.sandbox.serve import Running, mapped
from tests.house import Clock, Google, House, SalesApp
from tests.meta import ANI, BUDI, Facebook

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PROFILE, PAGES = "facebook_profile", "facebook_pages"
OF_PAGES = {"pages_read_engagement", "pages_show_list"}


@pytest.fixture
def house(meta: House, facebook: Facebook) -> House:
    return meta


def connect(app: SalesApp, *connectors: str, **how: Any) -> dict[str, Any]:
    return app.connect(*connectors, provider="facebook", **{"account": ANI, **how})


def deletes(facebook: Facebook) -> list[str]:
    """What was told, without the version and the person's id."""
    entries = [entry for entry in facebook.requests() if entry["method"] == "DELETE"]
    return [entry["path"].split("/", 3)[3] for entry in entries]


def outcome(app: SalesApp, answer: Any) -> str:
    return str(app.receipt(answer.json()["revocation"]["id"])["connections"][0]["provider_outcome"])


def permissions(facebook: Facebook) -> dict[str, str]:
    (grant,) = facebook.state()["grants"]
    return dict(grant["permissions"])


# --- the whole -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [False, True], ids=["true", "success_object"])
def test_either_form_of_yes_is_one(form: bool, app: SalesApp, house: House, facebook: Facebook) -> None:
    """Documented is the bare JSON `true`; nowadays it is often `{"success": true}`."""
    facebook.quirk(success_object=form)
    answer = app.revoke(connect(app, PROFILE)["id"])
    house.work()
    assert outcome(app, answer) == "confirmed"
    assert facebook.state()["grants"] == []


def test_a_no_is_not_taken_for_a_yes(app: SalesApp, house: House, facebook: Facebook) -> None:
    """200 and `false`."""
    facebook.quirk(delete_fails=True)
    answer = app.revoke(connect(app, PROFILE)["id"])
    house.work()
    assert outcome(app, answer) == "pending"
    facebook.quirk(delete_fails=False)
    house.clock.advance(seconds=31)
    house.work()
    assert outcome(app, answer) == "confirmed"
    assert deletes(facebook) == ["permissions", "permissions"]


def test_it_is_told_for_an_account_whose_token_is_dead(app: SalesApp, house: House, facebook: Facebook) -> None:
    """By the app's own token, with the person's id: the permissions would else stand for ever."""
    connection = connect(app, PROFILE)
    facebook.control("kill", {"account": ANI, "why": "password"})
    app.records(connection["id"], PROFILE)
    assert app.connection(connection["id"])["state"] == "reconnect_required"
    answer = app.revoke(connection["id"])
    house.work()
    assert outcome(app, answer) == "confirmed"
    assert facebook.state()["grants"] == []


def test_the_tokens_of_pages_die_with_it(app: SalesApp, house: House, facebook: Facebook) -> None:
    connection = connect(app, PAGES, assets={PAGES: [ANI_PAGE]})
    assert app.records(connection["id"], PAGES).status_code == 200
    app.revoke(connection["id"])
    house.work()
    assert facebook.live_tokens() == 0


class _Lying:
    """Before a fake Facebook: says `true` to the first deletion, and deletes nothing."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self.app, self.lies = app, 1

    def __call__(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "DELETE" or not self.lies:
            return self.app(environ, start)
        self.lies -= 1
        start("200 OK", [("Content-Type", "application/json"), ("Content-Length", "4")])
        return [json.dumps(True).encode()]


@pytest.fixture
def lying(clock: Clock) -> Iterator[Facebook]:
    created = create_facebook(clock=clock.timestamp)
    created.wsgi_app = _Lying(created.wsgi_app)  # type: ignore[method-assign]
    with Running(created) as running:
        yield Facebook(running.url)


def test_a_token_that_is_still_honoured_is_told_again(
    build_meta: Callable[..., House], sqlite_url: str, google: Google, lying: Facebook
) -> None:
    """Look with debug_token afterwards: a yes is believed where nothing lives on."""
    origins = mapped({"google": google.url, "facebook": lying.url})
    house = build_meta(sqlite_url, BROKER_ORIGINS=origins)
    app = house.client()
    answer = app.revoke(connect(app, PROFILE)["id"])
    house.work()
    assert (outcome(app, answer), lying.live_tokens()) == ("pending", 2)
    house.clock.advance(seconds=31)
    house.work()
    assert (outcome(app, answer), lying.live_tokens()) == ("confirmed", 0)


def test_a_token_whose_account_was_never_known_is_ended_by_itself(
    app: SalesApp, house: House, facebook: Facebook
) -> None:
    """I5: whose it is could not be asked at the exchange."""
    returned = app.pending(PROFILE, provider="facebook", account=ANI)
    facebook.quirk(outage={"/debug_token": {"value": 503, "times": 1}})
    assert app.confirm(returned).json()["code"] == "provider_unavailable"
    assert facebook.live_tokens() > 0
    house.work()
    assert facebook.live_tokens() == 0
    assert facebook.state()["grants"] == []


# --- single permissions --------------------------------------------------------------------------------------


def test_what_only_a_withdrawn_connector_needed_is_taken_back(app: SalesApp, house: House, facebook: Facebook) -> None:
    """One by one, and `public_profile` never: it cannot be declined."""
    connection = connect(app, PROFILE, PAGES)
    answer = app.withdraw(connection["id"], PAGES)
    assert outcome(app, answer) == "pending"
    house.work()
    assert outcome(app, answer) == "confirmed"
    assert deletes(facebook) == [f"permissions/{name}" for name in sorted(OF_PAGES)]
    assert {name for name, status in permissions(facebook).items() if status == "granted"} == {
        "public_profile",
        "email",
    }
    assert set(app.connection(connection["id"])["scopes"]) == {"public_profile", "email"}
    assert app.records(connection["id"], PROFILE).status_code == 200


def test_what_another_tenant_needs_stays(app: SalesApp, house: House, facebook: Facebook) -> None:
    """§1.10: counted by person and app."""
    other = house.client(tenants=("warung",), tenant="warung")
    connection, theirs = connect(app, PROFILE, PAGES), connect(other, PAGES, assets={PAGES: [ANI_PAGE]})
    answer = app.withdraw(connection["id"], PAGES)
    house.work()
    assert outcome(app, answer) == "shared"
    assert deletes(facebook) == []
    assert other.records(theirs["id"], PAGES).status_code == 200
    last = other.revoke(theirs["id"])
    house.work()
    assert outcome(other, last) == "shared"
    assert set(deletes(facebook)) == {f"permissions/{name}" for name in OF_PAGES}
    assert app.records(connection["id"], PROFILE).status_code == 200


def test_another_persons_permissions_are_their_own(app: SalesApp, house: House, facebook: Facebook) -> None:
    mine, theirs = connect(app, PROFILE, PAGES), connect(app, PROFILE, PAGES, account=BUDI)
    app.withdraw(mine["id"], PAGES)
    house.work()
    told = [entry["path"] for entry in facebook.requests() if entry["method"] == "DELETE"]
    assert told
    assert all(mine["account"]["id"] in path for path in told)
    assert set(app.connection(theirs["id"])["scopes"]) >= OF_PAGES


def test_what_a_session_under_way_asks_for_is_not_taken_back(app: SalesApp, house: House, facebook: Facebook) -> None:
    """Design decision 5: withdrawn, and while the user is at Facebook to grant it anew."""
    connection = connect(app, PROFILE, PAGES)
    returned = app.pending(PAGES, provider="facebook", account=ANI, connection=connection["id"])
    app.withdraw(connection["id"], PAGES)
    house.work()
    assert deletes(facebook) == []
    assert app.confirm(returned, assets={PAGES: [ANI_PAGE]}).status_code == 200
    assert app.records(connection["id"], PAGES).status_code == 200


def test_a_no_while_taking_back_is_not_taken_for_a_yes(app: SalesApp, house: House, facebook: Facebook) -> None:
    """200 and `false`; nobody looks afterwards here."""
    connection = connect(app, PROFILE, PAGES)
    facebook.quirk(delete_fails=True)
    answer = app.withdraw(connection["id"], PAGES)
    house.work()
    assert outcome(app, answer) == "pending"
    facebook.quirk(delete_fails=False)
    house.clock.moved += timedelta(seconds=31)
    house.work()
    assert outcome(app, answer) == "confirmed"


def test_an_outage_while_taking_back_is_waited_out(app: SalesApp, house: House, facebook: Facebook) -> None:
    connection = connect(app, PROFILE, PAGES)
    path = f"/{connection['account']['id']}/permissions"
    facebook.quirk(outage={path: 503})
    answer = app.withdraw(connection["id"], PAGES)
    house.work()
    assert outcome(app, answer) == "pending"
    facebook.quirk(outage=None)
    house.clock.moved += timedelta(seconds=31)
    house.work()
    assert outcome(app, answer) == "confirmed"


class _Naming:
    """Before a fake Facebook: lists permissions that are none beside the person's."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self.app = app

    def __call__(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "GET" or not environ["PATH_INFO"].endswith("/permissions"):
            return self.app(environ, start)
        pieces, status, headers = run_wsgi_app(self.app, environ, buffered=True)
        body = json.loads(b"".join(pieces))
        body["data"] += [{"permission": name, "status": "granted"} for name in (None, "email?x=1", "a/b", "", ["c"])]
        text = json.dumps(body).encode()
        headers["Content-Length"] = str(len(text))
        start(status, headers.to_wsgi_list())
        return [text]


@pytest.fixture
def naming(clock: Clock) -> Iterator[Facebook]:
    created = create_facebook(clock=clock.timestamp)
    created.wsgi_app = _Naming(created.wsgi_app)  # type: ignore[method-assign]
    with Running(created) as running:
        yield Facebook(running.url)


def test_what_is_no_name_of_a_permission_never_stands_in_an_address(
    build_meta: Callable[..., House], sqlite_url: str, google: Google, naming: Facebook
) -> None:
    """Nor does it keep the others from being taken back."""
    house = build_meta(sqlite_url, BROKER_ORIGINS=mapped({"google": google.url, "facebook": naming.url}))
    app = house.client()
    connection = connect(app, PROFILE, PAGES)
    answer = app.withdraw(connection["id"], PAGES)
    house.work()
    assert deletes(naming) == [f"permissions/{name}" for name in sorted(OF_PAGES)]
    assert outcome(app, answer) == "confirmed"
