"""A tenant's own provider app: its client, its paths, its secret alone, and nobody shares with it (design decision 5,
docs/facts/security.md STD-03)."""

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
import requests
from sqlalchemy import select

from broker import apps
from broker.apps import AppRemoved
from broker.errors import BrokerError, InvalidRequest
from broker.models import Connection, Orphan
from broker.secret import Secret
from tests.connections.insight import holds, logged
from tests.connections.own import ENVIRON, GOOGLE, NEW_SECRET, OPENID, OWN_SECRET, WAYS, Stage, Way
from tests.house import RETURN_URL, Browser, House, SalesApp, query
from tests.meta import Facebook, Google, Instagram

EVERY_WAY = pytest.mark.parametrize("way", WAYS, ids=str)
BY_GOOGLE = pytest.mark.parametrize("way", [GOOGLE], ids=str)


@pytest.fixture
def fakes(google: Google, facebook: Facebook, instagram: Instagram) -> dict[str, Google]:
    return {"google": google, "idp": google, "facebook": facebook, "instagram": instagram}


@pytest.fixture
def stage(build_meta: Callable[..., House], sqlite_url: str, fakes: dict[str, Google], way: Way) -> Stage:
    stage = Stage(build_meta(sqlite_url, **ENVIRON), way, fakes[way.provider])
    stage.shared()
    return stage


@pytest.fixture
def both(build_meta: Callable[..., House], database_url: str, fakes: dict[str, Google]) -> Stage:
    """By Google, over each kind of database in turn."""
    stage = Stage(build_meta(database_url, **ENVIRON), GOOGLE, fakes["google"])
    stage.shared()
    return stage


def departure(stage: Stage, app: SalesApp) -> dict[str, str]:
    """What the browser is sent to the provider with."""
    way = stage.way
    return query(Browser().approve(app.begin(way.connector, provider=way.provider), [way.connector]))


def callback(stage: Stage, app: SalesApp, browser: Browser) -> str:
    """The provider's answer, not yet followed."""
    way = stage.way
    return app.callback(way.connector, browser=browser, provider=way.provider, account=way.account)


def at(path: str, address: str) -> str:
    """The same answer on another path."""
    return urlsplit(address)._replace(path=path).geturl()


def remove(stage: Stage, app_id: str) -> None:
    """As `broker providers remove` does it."""
    from broker.connections.appless import end_use

    broker = stage.house.broker
    apps.remove(broker.database, broker.vault, broker.clock(), app_id)
    end_use(broker, app_id)


def change_secret(stage: Stage, app_id: str, secret: str) -> None:
    broker = stage.house.broker
    apps.change_secret(broker.database, broker.vault, app_id, Secret(secret))


def revoked(stage: Stage, app: SalesApp, connection: str) -> dict[str, object]:
    """How a revocation went at the provider, after one round of duties."""
    receipt = app.revoke(connection).json()["revocation"]["id"]
    stage.house.work()
    (item,) = app.receipt(receipt)["connections"]
    return dict(item)


# --- its own client, and nobody else's -----------------------------------------------------------------------


@EVERY_WAY
def test_the_tenants_own_client_and_address_go_to_the_provider(stage: Stage) -> None:
    app_id = stage.own()
    asked = departure(stage, stage.client())
    assert asked["client_id"] == stage.way.own_id
    assert asked["redirect_uri"] == f"{stage.house.url}/callback/{stage.way.provider}/{app_id}"


@EVERY_WAY
def test_another_tenant_goes_through_the_shared_app(stage: Stage) -> None:
    stage.own()
    asked = departure(stage, stage.client("warung"))
    assert asked["client_id"] == stage.way.shared[0]
    assert asked["redirect_uri"] == f"{stage.house.url}/callback/{stage.way.provider}"


@EVERY_WAY
def test_each_connects_and_reads_by_its_own_app(stage: Stage) -> None:
    """The fake provider compares id, secret and redirect URI, and Facebook's the proof that is made of the secret."""
    stage.own()
    for app in (stage.client(), stage.client("warung")):
        assert stage.way.read(app, stage.way.connect(app)) == 200
    assert stage.way.own_id in {entry["client"] for entry in stage.fake.requests()}


def test_an_own_app_connects_and_reads_on_either_database(both: Stage) -> None:
    both.own()
    app = both.client()
    assert both.way.read(app, both.way.connect(app)) == 200


@EVERY_WAY
@pytest.mark.parametrize("first", ["toko", "warung"])
def test_ending_one_leaves_the_same_account_of_the_other_alive(stage: Stage, first: str) -> None:
    """Nobody shares: the provider is told at once, by the app that the authorization is of."""
    stage.own()
    clients = {tenant: stage.client(tenant) for tenant in ("toko", "warung")}
    made = {tenant: stage.way.connect(app) for tenant, app in clients.items()}
    (other,) = set(clients) - {first}
    assert revoked(stage, clients[first], made[first])["provider_outcome"] == stage.way.outcome
    assert stage.way.read(clients[other], made[other]) == 200
    assert revoked(stage, clients[other], made[other])["provider_outcome"] == stage.way.outcome


@pytest.mark.parametrize("way", [way for way in WAYS if way.outcome == "confirmed"], ids=str)
def test_the_provider_is_told_by_the_app_that_the_authorization_is_of(stage: Stage) -> None:
    stage.own()
    app = stage.client()
    connection = stage.way.connect(app)
    before = len(stage.fake.requests())
    revoked(stage, app, connection)
    told = {entry["client"] for entry in stage.fake.requests()[before:]} - {None}
    assert told == {stage.way.own_id}


@BY_GOOGLE
def test_two_tenants_with_an_app_each_do_not_share_either(stage: Stage) -> None:
    stage.own()
    stage.own("warung", "warung-client")
    toko, warung = stage.client(), stage.client("warung")
    mine, theirs = stage.way.connect(toko), stage.way.connect(warung)
    assert revoked(stage, toko, mine)["provider_outcome"] == "confirmed"
    assert stage.way.read(warung, theirs) == 200


@BY_GOOGLE
def test_a_dry_run_names_no_sibling_at_another_app(stage: Stage) -> None:
    app = stage.client()
    shared = stage.way.connect(app)
    stage.own()
    own = stage.way.connect(app)
    assert own != shared
    assert app.revoke(own, dry_run="true").json()["siblings"] == []


# --- answers are not mixed up (STD-03) -----------------------------------------------------------------------


def refused(answer: requests.Response) -> None:
    assert answer.status_code == 400, answer.text
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "Location" not in answer.headers


@EVERY_WAY
def test_an_answer_to_an_own_app_counts_on_its_own_path_alone(stage: Stage) -> None:
    app_id, other = stage.own(), stage.own("warung", "987654321")
    browser, provider = Browser(), stage.way.provider
    came = callback(stage, stage.client(), browser)
    assert urlsplit(came).path == f"/callback/{provider}/{app_id}"
    paths = (provider, f"{provider}/{other}", f"{provider}/{provider}", f"{provider}/app_none", app_id)
    elsewhere = "facebook" if provider == "google" else "google"
    for path in (*paths, f"{elsewhere}/{app_id}", elsewhere):
        refused(browser.get(at(f"/callback/{path}", came)))
    assert browser.get(came).status_code == 303


@EVERY_WAY
def test_an_answer_to_the_shared_app_counts_on_the_shared_path_alone(stage: Stage) -> None:
    app_id = stage.own()
    browser, provider = Browser(), stage.way.provider
    came = callback(stage, stage.client("warung"), browser)
    assert urlsplit(came).path == f"/callback/{provider}"
    for path in (f"{provider}/{app_id}", f"{provider}/{provider}", f"{provider}/app_none"):
        refused(browser.get(at(f"/callback/{path}", came)))
    assert browser.get(came).status_code == 303


@BY_GOOGLE
def test_a_code_of_another_app_is_of_no_use_with_a_state_of_ones_own(stage: Stage) -> None:
    """Mix-up: who puts a code made for tenant A's app beside the state of a session of B's gets nothing, for B's
    session is exchanged by B's app."""
    stage.own()
    stage.own("warung", "warung-client")
    code = query(callback(stage, stage.client(), Browser()))["code"]
    warung, browser = stage.client("warung"), Browser()
    mine = callback(stage, warung, browser)
    given = mine.replace(query(mine)["code"].replace("/", "%2F"), code.replace("/", "%2F"))
    assert query(given)["code"] == code
    answer = warung.confirm(browser.come_back(given))
    assert (answer.status_code, answer.json()["code"]) == (502, "provider_unavailable")
    assert stage.fake.live_tokens() == 0


@BY_GOOGLE
def test_nobody_learns_which_apps_there_are(stage: Stage) -> None:
    """I6: with a state that is unknown, or one's own of elsewhere, an app's path answers as one that does not exist."""
    app_id, browser = stage.own(), Browser()
    mine = callback(stage, stage.client("warung"), browser)
    removed = stage.own("kedai", "kedai-client")
    remove(stage, removed)
    told = set()
    for address in (at("/callback/google", mine).replace("state=", "state=x"), mine):
        for path in (app_id, removed, "app_" + "0" * 32, "nothing"):
            answer = browser.get(at(f"/callback/google/{path}", address))
            told.add((answer.status_code, re.sub(r"<code>\w+</code>", "", answer.text)))
    assert [status for status, _ in told] == [400]


# --- the secret ----------------------------------------------------------------------------------------------


@EVERY_WAY
def test_the_secret_is_stored_sealed_and_logged_nowhere(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    app_id = stage.own()
    app = stage.client()
    stage.way.read(app, stage.way.connect(app))
    stage.change_secret(app_id, NEW_SECRET)
    change_secret(stage, app_id, NEW_SECRET)
    assert holds(stage.house, stage.way.own_id)
    for secret in (OWN_SECRET, NEW_SECRET):
        assert not holds(stage.house, secret)
        assert not logged(caplog, secret)


def test_no_database_holds_the_secret_in_clear(both: Stage) -> None:
    both.own()
    assert holds(both.house, both.way.own_id)
    assert not holds(both.house, OWN_SECRET)


@EVERY_WAY
def test_a_secret_that_changes_while_an_attempt_is_open_counts_at_once(stage: Stage) -> None:
    app_id = stage.own()
    app, browser = stage.client(), Browser()
    returned = browser.come_back(callback(stage, app, browser))
    stage.change_secret(app_id, NEW_SECRET)
    change_secret(stage, app_id, NEW_SECRET)
    answer = app.confirm(returned)
    assert answer.status_code == 200, answer.text
    assert stage.way.read(app, answer.json()["connection"]["id"]) == 200


@EVERY_WAY
def test_with_a_secret_that_the_provider_does_not_know_nothing_is_confirmed(stage: Stage) -> None:
    app_id = stage.own()
    app, browser = stage.client(), Browser()
    returned = browser.come_back(callback(stage, app, browser))
    stage.change_secret(app_id, NEW_SECRET)
    answer = app.confirm(returned)
    assert (answer.status_code, answer.json()["code"]) == (502, "provider_unavailable")


@pytest.mark.parametrize("way", [WAYS[1]], ids=str)
def test_what_is_owed_when_a_secret_changes_is_told_with_the_new_one(stage: Stage) -> None:
    app_id, app = stage.own(), stage.client()
    connection = stage.way.connect(app)
    stage.change_secret(app_id, NEW_SECRET)
    item = revoked(stage, app, connection)
    assert (item["provider_outcome"], item["attempts"]) == ("pending", 1)
    change_secret(stage, app_id, NEW_SECRET)
    stage.house.clock.advance(minutes=1)
    stage.house.work()
    (receipt,) = app.call("GET", "/v1/revocations").json()["items"]
    assert receipt["connections"][0]["provider_outcome"] == "confirmed"


@pytest.mark.parametrize("way", [WAYS[1]], ids=str)
def test_a_secret_option_of_the_shared_app_is_not_that_of_an_own_one(
    build_meta: Callable[..., House], sqlite_url: str, fakes: dict[str, Google], way: Way
) -> None:
    """Its hooks are verified with what is its own; what is not secret it has from the settings."""
    settings = {"BROKER_FACEBOOK_WEBHOOK_VERIFY_TOKEN": "PROVIDER-SECRET-1", "BROKER_FACEBOOK_PKCE": "off"}
    stage = Stage(build_meta(sqlite_url, **settings), way, fakes["facebook"])
    broker = stage.house.broker
    options = broker.app(stage.own()).options
    assert broker.app("facebook").options["WEBHOOK_VERIFY_TOKEN"] == "PROVIDER-SECRET-1"
    assert (options["WEBHOOK_VERIFY_TOKEN"], options["PKCE"]) == ("", "off")


# --- one for each tenant and registration --------------------------------------------------------------------


def test_a_tenant_has_one_app_at_a_provider_however_many_are_added_at_once(both: Stage) -> None:
    """Each with another client id; on either database one wins."""
    broker, started = both.house.broker, threading.Barrier(4)

    def add(number: int) -> str | None:
        started.wait()
        try:
            return apps.add(
                broker.database, broker.vault, broker.clock(), provider="google", tenant="toko",
                client_id=f"client-{number}", client_secret=Secret(OWN_SECRET), options={}, secret_options={},
            )  # fmt: skip
        except InvalidRequest:
            return None

    with ThreadPoolExecutor(4) as threads:
        made = [app_id for app_id in threads.map(add, range(4)) if app_id]
    assert len(made) == 1
    assert [app["id"] for app in apps.listed(broker.database)] == made
    assert broker.app(made[0]).client_secret == Secret(OWN_SECRET)


@BY_GOOGLE
def test_two_tenants_do_not_have_one_registration(stage: Stage) -> None:
    """They would end each other's authorizations at the provider, and here nobody would know."""
    stage.own()
    with pytest.raises(InvalidRequest, match="client id"):
        stage.own("warung")
    assert [app["tenant"] for app in apps.listed(stage.house.broker.database)] == ["toko"]


# --- what a tenant sees of it --------------------------------------------------------------------------------


@pytest.fixture
def unshared(build_meta: Callable[..., House], sqlite_url: str, fakes: dict[str, Google]) -> Stage:
    """Nobody but tenant toko can connect by Facebook."""
    without = {"BROKER_FACEBOOK_CLIENT_ID": "", "BROKER_FACEBOOK_CLIENT_SECRET": ""}
    stage = Stage(build_meta(sqlite_url, **without), WAYS[1], fakes["facebook"])
    stage.own()
    return stage


def listed(stage: Stage, *tenants: str) -> set[str]:
    client = stage.house.client(tenants=tenants)
    return {item["provider"] for item in client.call("GET", "/v1/connectors").json()["items"]}


def test_connectors_of_a_provider_are_for_those_who_can_connect_by_it(unshared: Stage) -> None:
    """I6: that toko has an app of its own is not for warung to see."""
    assert listed(unshared, "toko") == listed(unshared, "*") == {"google", "facebook", "instagram"}
    assert listed(unshared, "warung", "toko") == {"google", "facebook", "instagram"}
    assert listed(unshared, "warung") == {"google", "instagram"}


def test_a_tenant_without_any_app_is_told_that_the_provider_is_not_configured(unshared: Stage) -> None:
    answer = unshared.client("warung").session("facebook_profile", provider="facebook")
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": "provider", "problem": "unknown or not configured"}]
    assert unshared.client().session("facebook_profile", provider="facebook").status_code == 201


# --- an app that is removed ----------------------------------------------------------------------------------


@EVERY_WAY
def test_connections_of_a_removed_app_give_no_data_and_say_so(stage: Stage) -> None:
    app_id, app = stage.own(), stage.client()
    connection = stage.way.connect(app)
    remove(stage, app_id)
    before = len(stage.fake.requests())
    answer = app.records(connection, stage.way.connector)
    assert (answer.status_code, answer.json()["code"]) == (409, "reconnect_required")
    assert app.connection(connection)["state"] == "reconnect_required"
    assert len(stage.fake.requests()) == before


@BY_GOOGLE
def test_nobody_is_asked_for_data_even_where_the_connection_still_stands_as_active(stage: Stage) -> None:
    """Between the two steps of a removal, or where it was killed there."""
    app_id, app = stage.own(), stage.client()
    connection = stage.way.connect(app)
    broker = stage.house.broker
    apps.remove(broker.database, broker.vault, broker.clock(), app_id)
    before = len(stage.fake.requests())
    answer = app.records(connection, stage.way.connector)
    assert (answer.status_code, answer.json()["code"]) == (502, "provider_unavailable")
    assert answer.json()["retryable"] is False
    assert len(stage.fake.requests()) == before
    remove(stage, app_id)
    assert app.connection(connection)["state"] == "reconnect_required"


@EVERY_WAY
def test_after_a_removal_the_tenant_connects_by_the_shared_app(stage: Stage) -> None:
    app_id, app = stage.own(), stage.client()
    before = stage.way.connect(app)
    remove(stage, app_id)
    after = stage.way.connect(app)
    assert after != before
    assert stage.way.read(app, after) == 200


@EVERY_WAY
def test_what_a_removed_app_still_owes_is_given_up_at_once_and_says_why(stage: Stage) -> None:
    """Its secret is gone for good: a week of trying would only keep tokens."""
    app_id, app = stage.own(), stage.client()
    connection = stage.way.connect(app)
    remove(stage, app_id)
    item = revoked(stage, app, connection)
    assert (item["provider_outcome"], item["attempts"]) == ("gave_up", 1)
    assert item["last_error"] == "The tenant's own provider app was removed."
    assert item["shredded_at"]


def test_a_duty_that_was_waiting_is_given_up_too(both: Stage) -> None:
    app_id, app = both.own(), both.client()
    connection = both.way.connect(app)
    both.fake.quirk(outage={"/revoke": 503})
    assert revoked(both, app, connection)["provider_outcome"] == "pending"
    remove(both, app_id)
    both.house.clock.advance(minutes=1)
    both.house.work()
    (receipt,) = app.call("GET", "/v1/revocations").json()["items"]
    assert (receipt["state"], receipt["connections"][0]["provider_outcome"]) == ("completed", "gave_up")


@BY_GOOGLE
def test_what_the_shared_app_owes_waits_for_it_to_be_configured_again(
    stage: Stage, build_meta: Callable[..., House]
) -> None:
    """A setting comes back; what was removed does not."""
    app = stage.client()
    receipt = app.revoke(stage.way.connect(app)).json()["revocation"]["id"]
    url = stage.house.environ["BROKER_DATABASE_URL"]
    build_meta(url, BROKER_GOOGLE_CLIENT_ID="", BROKER_GOOGLE_CLIENT_SECRET="").work()
    assert app.receipt(receipt)["connections"][0]["provider_outcome"] == "pending"


@EVERY_WAY
def test_an_attempt_at_a_removed_app_ends_on_the_consent_page(stage: Stage) -> None:
    app_id, app = stage.own(), stage.client()
    url = app.begin(stage.way.connector, provider=stage.way.provider)
    remove(stage, app_id)
    refused(Browser().get(url))
    refused(Browser().post(url, {"decision": "approve", "connector": stage.way.connector}))


@EVERY_WAY
def test_an_attempt_at_a_removed_app_ends_at_the_callback(stage: Stage) -> None:
    app_id, app, browser = stage.own(), stage.client(), Browser()
    came = callback(stage, app, browser)
    remove(stage, app_id)
    refused(browser.get(came))


@EVERY_WAY
def test_an_attempt_at_a_removed_app_ends_at_the_confirmation(stage: Stage) -> None:
    app_id, app, browser = stage.own(), stage.client(), Browser()
    returned = browser.come_back(callback(stage, app, browser))
    remove(stage, app_id)
    before = len(stage.fake.requests())
    answer = app.confirm(returned)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert app.status(returned["session"]) == "failed"
    assert len(stage.fake.requests()) == before


@BY_GOOGLE
def test_without_the_second_step_of_a_removal_an_attempt_ends_all_the_same(stage: Stage) -> None:
    """In the browser with the plain page, at confirm with an error that says not to try again."""
    app_id, app, browser = stage.own(), stage.client(), Browser()
    url = app.begin(stage.way.connector)
    came, other = callback(stage, app, browser), Browser()
    returned = other.come_back(callback(stage, app, other))
    broker = stage.house.broker
    apps.remove(broker.database, broker.vault, broker.clock(), app_id)
    refused(Browser().get(url))
    refused(Browser().post(url, {"decision": "approve", "connector": stage.way.connector}))
    refused(browser.get(came))
    answer = app.confirm(returned)
    assert (answer.status_code, answer.json()["code"]) == (502, "provider_unavailable")
    assert answer.json()["retryable"] is False
    assert app.status(returned["session"]) == "failed"


@pytest.mark.parametrize("at_work", ["/token", "/calendar/v3/users/me/calendarList"])
def test_an_app_that_is_removed_during_a_confirmation_leaves_no_live_connection(both: Stage, at_work: str) -> None:
    """While the code is exchanged, or just before the connection is stored. The token is kept as possibly orphaned:
    nobody can end it any more (I5)."""
    app_id, app, browser = both.own(), both.client(), Browser()
    returned = app.pending("google_calendar", browser=browser)
    broker = both.house.broker
    both.fake.quirk(delay={at_work: 1.0})
    with ThreadPoolExecutor(1) as thread:
        confirming = thread.submit(app.confirm, returned)
        _until(lambda: bool(both.fake.requests(at_work)))
        remove(both, app_id)
        answer = confirming.result()
    assert (answer.status_code, answer.json()["code"]) == (502, "provider_unavailable")
    with broker.database.read() as session:
        assert session.scalars(select(Connection).where(Connection.app_id == app_id)).all() == []
        assert len(session.scalars(select(Orphan).where(Orphan.app_id == app_id)).all()) == 1


@BY_GOOGLE
def test_a_removed_app_has_no_secret_left(stage: Stage) -> None:
    app_id = stage.own()
    remove(stage, app_id)
    broker = stage.house.broker
    with broker.database.read() as session:
        assert not broker.vault.shred(session, tenant="toko", connection=f"app:{app_id}")
    with pytest.raises(AppRemoved):
        broker.app(app_id)
    with pytest.raises(BrokerError, match="no such provider app"):
        change_secret(stage, app_id, NEW_SECRET)


@BY_GOOGLE
def test_removal_of_one_app_touches_no_other(stage: Stage) -> None:
    app_id, warung = stage.own(), stage.client("warung")
    connection = stage.way.connect(warung)
    remove(stage, app_id)
    assert stage.way.read(warung, connection) == 200


# --- renewing ------------------------------------------------------------------------------------------------


@EVERY_WAY
def test_a_connection_is_renewed_by_the_app_that_it_was_made_by(stage: Stage) -> None:
    """Its account is known there alone, though the tenant has an app of its own by now."""
    app, way = stage.client(), stage.way
    connection = way.connect(app)
    stage.own()
    renewed = app.connect(way.connector, provider=way.provider, account=way.account, connection=connection)
    assert renewed["id"] == connection
    assert way.connect(app) != connection


@BY_GOOGLE
def test_a_connection_of_a_removed_app_cannot_be_renewed(stage: Stage) -> None:
    app_id, app = stage.own(), stage.client()
    connection = stage.way.connect(app)
    remove(stage, app_id)
    answer = app.session(stage.way.connector, connection=connection, return_url=RETURN_URL)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "connection"


@pytest.mark.parametrize("way", [OPENID], ids=str)
def test_an_own_app_of_an_openid_provider_is_at_the_issuer_of_the_settings(stage: Stage) -> None:
    broker = stage.house.broker
    assert broker.endpoints(broker.app(stage.own())).issuers[0] == "https://accounts.google.com"


def _until(happened: Callable[[], bool]) -> None:
    waited = threading.Event()
    for _ in range(200):
        if happened():
            return
        waited.wait(0.02)
    raise AssertionError("It did not happen.")
