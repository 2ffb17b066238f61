"""No refresh token though one is needed: the user goes once more, and the provider is asked to ask (contract §3, 5;
docs/facts/google.md §1.2, §1.4, §1.8)."""

import pytest

from tests.house import ANI, BUDI, Browser, Google, House, SalesApp, query

CONTACTS = ("google_contacts",)


@pytest.fixture
def house(sqlite_house: House) -> House:
    return sqlite_house


@pytest.fixture
def ani(house: House) -> SalesApp:
    """She has connected her account, so that Google sees nothing new to ask about."""
    ani = house.client()
    ani.connect(*CONTACTS)
    return ani


@pytest.fixture
def budi(ani: SalesApp, house: House) -> SalesApp:
    """He uses the same account."""
    return house.client(subject="budi")


def test_without_lasting_access_the_user_is_sent_once_more(budi: SalesApp, house: House) -> None:
    returned = budi.pending(*CONTACTS)
    answer = budi.confirm(returned)
    assert (answer.status_code, answer.json()["code"]) == (409, "consent_again")
    assert answer.json()["url"].startswith(f"{house.url}/connect/")
    assert budi.status(returned["session"]) == "open"
    assert budi.call("GET", "/v1/connections?subject=budi").json()["items"] == []


def test_the_second_trip_asks_for_consent_and_ends_connected(budi: SalesApp, house: House, browser: Browser) -> None:
    returned = budi.pending(*CONTACTS, browser=browser)
    address = browser.approve(budi.confirm(returned).json()["url"], CONTACTS)
    assert query(address)["prompt"].split() == ["select_account", "consent"]
    again = browser.come_back(browser.at_google(address))
    assert (again["session"], again["status"]) == (returned["session"], "pending")
    answer = budi.confirm(again)
    assert answer.status_code == 200
    house.clock.advance(hours=2)
    later = house.client(subject="budi")
    assert later.records(answer.json()["connection"]["id"]).status_code == 200


def test_the_first_trip_does_not_force_consent(budi: SalesApp, browser: Browser) -> None:
    """Each forced consent mints a refresh token, and the hundred-and-first kills the oldest (§1.8)."""
    assert query(browser.approve(budi.begin(*CONTACTS), CONTACTS))["prompt"] == "select_account"


def test_the_link_of_the_first_trip_is_over(budi: SalesApp, browser: Browser) -> None:
    link = budi.begin(*CONTACTS)
    callback = browser.at_google(browser.approve(link, CONTACTS))
    url = budi.confirm(browser.come_back(callback)).json()["url"]
    assert url != link
    assert browser.get(link).status_code == 400
    assert browser.get(callback).status_code == 400
    assert browser.get(url).status_code == 200


def test_repeated_it_names_the_same_link_until_the_user_is_back(budi: SalesApp, browser: Browser) -> None:
    returned = budi.pending(*CONTACTS, browser=browser)
    first = budi.confirm(returned).json()
    assert budi.confirm(returned).json()["url"] == first["url"]
    callback = browser.at_google(browser.approve(first["url"], CONTACTS))
    again = budi.confirm(returned)
    assert (again.status_code, again.json()["url"]) == (409, first["url"])
    newer = browser.come_back(callback)
    assert budi.confirm(returned).status_code == 403
    assert budi.confirm(newer).status_code == 200


def test_a_second_trip_without_lasting_access_is_asked_for_again(
    budi: SalesApp, browser: Browser, google: Google
) -> None:
    google.quirk(no_refresh_token=True)
    returned = budi.pending(*CONTACTS, browser=browser)
    urls = set()
    for _ in range(2):
        answer = budi.confirm(returned)
        assert answer.json()["code"] == "consent_again"
        urls.add(answer.json()["url"])
        returned = browser.come_back(browser.at_google(browser.approve(answer.json()["url"], CONTACTS)))
    assert len(urls) == 2
    google.quirk(no_refresh_token=None)


def test_the_token_of_the_first_trip_is_no_orphan_while_others_use_the_account(
    ani: SalesApp, budi: SalesApp, house: House, google: Google
) -> None:
    """I5: it is covered by an authorization that a live connection holds; telling Google would end that one."""
    budi.confirm(budi.pending(*CONTACTS))
    house.work()
    house.clock.advance(minutes=11)
    house.work()
    assert google.requests("/revoke") == []
    (connection,) = ani.call("GET", "/v1/connections?subject=ani").json()["items"]
    assert ani.records(connection["id"]).status_code == 200


def test_a_second_trip_that_nobody_makes_leaves_no_live_token(app: SalesApp, house: House, google: Google) -> None:
    """I5: told once the session is over, not before: it may still be wanted."""
    google.quirk(no_refresh_token=True)
    assert app.confirm(app.pending(*CONTACTS)).json()["code"] == "consent_again"
    house.work()
    assert (google.live_tokens(), google.requests("/revoke")) == (1, [])
    house.clock.advance(minutes=10, seconds=1)
    house.work()
    assert google.live_tokens() == 0


def test_a_second_trip_that_is_denied_leaves_no_live_token(
    app: SalesApp, house: House, browser: Browser, google: Google
) -> None:
    google.quirk(no_refresh_token=True)
    url = app.confirm(app.pending(*CONTACTS, browser=browser)).json()["url"]
    browser.post(url, {"decision": "deny"})
    house.clock.advance(minutes=11)
    house.work()
    assert google.live_tokens() == 0


def test_a_second_trip_that_connects_does_not_kill_what_it_made(
    app: SalesApp, house: House, browser: Browser, google: Google
) -> None:
    """The first trip's token is owed to Google, and the telling would end the new connection with it."""
    google.quirk(no_refresh_token=True)
    url = app.confirm(app.pending(*CONTACTS, browser=browser)).json()["url"]
    google.quirk(no_refresh_token=None)
    returned = browser.come_back(browser.at_google(browser.approve(url, CONTACTS)))
    connection = app.confirm(returned).json()["connection"]["id"]
    for _ in range(3):
        house.work()
        house.clock.advance(minutes=5)
    assert google.requests("/revoke") == []
    assert house.client().records(connection).status_code == 200


def test_another_account_on_the_second_trip_makes_another_connection(
    app: SalesApp, browser: Browser, google: Google, house: House
) -> None:
    google.quirk(no_refresh_token=True)
    url = app.confirm(app.pending(*CONTACTS, browser=browser, account=ANI)).json()["url"]
    google.quirk(no_refresh_token=None)
    returned = browser.come_back(browser.at_google(browser.approve(url, CONTACTS), account=BUDI))
    assert app.confirm(returned).json()["connection"]["account"]["id"] == BUDI
    house.clock.advance(minutes=11)
    house.work()
    accounts = {token["account"] for tokens in google.state()["live_tokens"].values() for token in tokens}
    assert accounts == {BUDI}


def test_a_held_refresh_token_is_kept(app: SalesApp, house: House, google: Google) -> None:
    """§1.4: connecting the same account again brings none, and the stored one is never replaced by nothing."""
    first = app.connect(*CONTACTS)
    second = app.connect(*CONTACTS)
    assert second["id"] == first["id"]
    assert len(google.state()["live_tokens"]["refresh"]) == 1
    house.clock.advance(hours=2)
    assert house.client().records(second["id"]).status_code == 200


def test_the_end_of_a_held_refresh_token_stays_known(app: SalesApp, google: Google) -> None:
    """A bug once: access limited in time, connected again without a new refresh token, came out as unlimited."""
    google.quirk(refresh_token_expires_in=7200)
    first = app.connect(*CONTACTS)
    assert first["expires_at"] is not None
    assert app.connect(*CONTACTS)["expires_at"] == first["expires_at"]


def test_a_dead_connection_is_renewed_with_consent_at_once(app: SalesApp, house: House, google: Google) -> None:
    """What it held is dead, so the first trip already asks for a new one."""
    connection = app.connect(*CONTACTS)
    google.control("revoke", {"account": ANI})
    house.clock.advance(hours=2)
    app = house.client()
    assert app.records(connection["id"]).json()["code"] == "reconnect_required"
    browser = Browser()
    address = browser.approve(app.begin(*CONTACTS, connection=connection["id"]), CONTACTS)
    assert (query(address)["prompt"], query(address)["login_hint"]) == ("consent", ANI)
    renewed = app.confirm(browser.come_back(browser.at_google(address))).json()["connection"]
    assert (renewed["id"], renewed["state"]) == (connection["id"], "active")
    assert app.records(connection["id"]).status_code == 200


def test_a_dead_connections_refresh_token_does_not_count_as_held(app: SalesApp, house: House, google: Google) -> None:
    connection = app.connect(*CONTACTS)
    google.control("revoke", {"account": ANI})
    house.clock.advance(hours=2)
    app = house.client()
    app.records(connection["id"])
    google.quirk(no_refresh_token=True)
    answer = app.confirm(app.pending(*CONTACTS))
    assert (answer.status_code, answer.json()["code"]) == (409, "consent_again")
    assert app.connection(connection["id"])["state"] == "reconnect_required"
