"""Instagram's ways (Instagram API with Instagram Login), as far as they are other than the standards': docs/facts/
meta.md §3, §6, §8."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from broker.sandbox.instagram.permissions import BASIC, COMMENTS, INSIGHTS
from broker.sandbox.instagram.seed import accounts
from tests.connections.insight import logged
from tests.house import Browser, House, SalesApp, query
from tests.meta import ANI_AT_INSTAGRAM, INSTAGRAM_APP, Instagram

PROFILE, MEDIA = "instagram_profile", "instagram_media"
ANI = accounts()[0]


@pytest.fixture
def house(meta: House, instagram: Instagram) -> House:
    return meta


def connect(app: SalesApp, *connectors: str, **how: Any) -> dict[str, Any]:
    return app.connect(*(connectors or (MEDIA,)), provider="instagram", **{"account": ANI_AT_INSTAGRAM, **how})


def departure(app: SalesApp) -> str:
    return Browser().approve(app.begin(MEDIA, provider="instagram"), [MEDIA])


def later(app: SalesApp, house: House, **by: float) -> None:
    """Time goes by, and the duties are done."""
    house.clock.advance(**by)
    app._token = ""
    house.work()


def told(instagram: Instagram) -> list[str]:
    """Deletions, without the version."""
    entries = [entry for entry in instagram.requests() if entry["method"] == "DELETE"]
    return [entry["path"].split("/", 2)[2] for entry in entries]


def outcome(app: SalesApp, answer: Any) -> str:
    return str(app.receipt(answer.json()["revocation"]["id"])["connections"][0]["provider_outcome"])


# --- the dialog ----------------------------------------------------------------------------------------------


def test_the_dialog_is_asked_by_commas_for_a_login_anew(app: SalesApp, instagram: Instagram) -> None:
    """§3.1. Without PKCE, which is not documented there, and without a nonce: it is no OpenID provider."""
    address = departure(app)
    asked = query(address)
    assert address.startswith(f"{instagram.url}/oauth/authorize?")
    assert (asked["client_id"], asked["scope"], asked["force_reauth"]) == (INSTAGRAM_APP, BASIC, "true")
    assert not {"code_challenge", "code_challenge_method", "nonce", "enable_fb_login"} & asked.keys()


def test_host_and_parameters_of_the_dialog_are_settings(build_meta: Callable[..., House], sqlite_url: str) -> None:
    """H14: both changed in August 2026; one page still has the former host."""
    house = build_meta(
        sqlite_url,
        BROKER_INSTAGRAM_AUTHORIZE_URL="https://api.instagram.com/oauth/authorize/v2",
        BROKER_INSTAGRAM_AUTHORIZE_PARAMETERS="force_authentication=1&enable_fb_login=0",
    )
    address = departure(house.client())
    asked = query(address)
    assert "/oauth/authorize/v2?" in address
    assert (asked["force_authentication"], asked["enable_fb_login"]) == ("1", "0")
    assert "force_reauth" not in asked


def test_a_dialog_that_has_moved_is_met_with_the_new_parameter(
    app: SalesApp, build_meta: Callable[..., House], sqlite_url: str, instagram: Instagram
) -> None:
    """H14: with the former one the page is not available."""
    instagram.quirk(authorize_moved=True)
    assert Browser().get(departure(app)).status_code == 200
    former = build_meta(sqlite_url, BROKER_INSTAGRAM_AUTHORIZE_PARAMETERS="force_authentication=1").client()
    assert Browser().get(departure(former)).status_code == 404


@pytest.mark.parametrize("suffix", ["#_", "%23_"])
def test_what_instagram_hangs_on_its_codes_is_no_part_of_them(suffix: str, app: SalesApp, instagram: Instagram) -> None:
    """§3.1."""
    instagram.quirk(code_suffix=suffix)
    assert connect(app)["state"] == "active"


# --- the token answer ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("professional", [False, True])
@pytest.mark.parametrize("form", ["wrapped", "flat_text", "flat_list"])
def test_every_form_of_the_token_answer_is_read(
    form: str, professional: bool, app: SalesApp, instagram: Instagram
) -> None:
    """§3.1: wrapped in `data`, or flat with a number as id, permissions as text or list. Its `user_id` may be either
    id, so the account is that of /me, to the last of its seventeen digits, beyond 2^53."""
    instagram.quirk(token_answer=form, professional_user_id=professional)
    connection = connect(app, MEDIA, "instagram_comments")
    assert (connection["account"]["id"], connection["account"]["label"]) == (ANI.id, ANI.username)
    assert int(ANI.id) > 2**53
    assert connection["scopes"] == [BASIC, COMMENTS]
    assert app.records(connection["id"], MEDIA).json()["records"][0]["source"]["account"] == ANI.id


def test_permissions_of_the_answer_are_what_was_granted(app: SalesApp, instagram: Instagram) -> None:
    """§3.1: the only statement there is. What comes along unasked does not count."""
    instagram.quirk(extra_scopes=[COMMENTS, INSIGHTS])
    connection = connect(app)
    assert connection["scopes"] == [BASIC]
    assert app.connection(connection["id"])["grants"][0]["scopes"] == [BASIC]


def test_an_error_of_the_exchange_is_flat(app: SalesApp, instagram: Instagram) -> None:
    """§3.1: `error_type`, `code`, `error_message`."""
    returned = app.pending(MEDIA, provider="instagram", account=ANI_AT_INSTAGRAM)
    instagram.quirk(token_error={"error_message": "Matching code was not found or was already used", "code": 400})
    answer = app.confirm(returned)
    assert (answer.status_code, answer.json()["retryable"]) == (502, False)
    assert "Matching code" not in answer.text


def test_the_hours_token_is_lengthened_at_once(
    app: SalesApp, instagram: Instagram, caplog: pytest.LogCaptureFixture
) -> None:
    """§3.1: secret and token stand in the address of that call, and nothing may log it."""
    connection = connect(app)
    (entry,) = instagram.requests("/access_token")
    assert (entry["method"], "ig_exchange_token" in entry["query"]) == ("GET", True)
    assert timedelta(days=59) < _left(connection) < timedelta(days=61)
    tokens = {token["value"] for kind in instagram.state()["live_tokens"].values() for token in kind}
    assert len(tokens) == 2
    assert not [token for token in tokens if logged(caplog, token)]


def _left(connection: dict[str, Any]) -> timedelta:
    created = datetime.fromisoformat(connection["created_at"])
    return datetime.fromisoformat(connection["expires_at"]) - created


@pytest.mark.parametrize("said", ["absent", "soon", []])
def test_an_end_that_is_not_said_is_the_usual_one(said: Any, app: SalesApp, instagram: Instagram) -> None:
    """§3.1: 60 days; nobody can be asked."""
    instagram.quirk(expires_in=said)
    assert timedelta(days=59) < _left(connect(app)) < timedelta(days=61)


# --- renewal -------------------------------------------------------------------------------------------------


def renewals(instagram: Instagram) -> list[dict[str, Any]]:
    return instagram.requests("/refresh_access_token")


def test_it_is_renewed_within_its_window_by_get_alone(app: SalesApp, house: House, instagram: Instagram) -> None:
    """§3.1, H11: between day 30 and day 50, without the secret; by POST it would be refused."""
    connection = connect(app)
    later(app, house, days=29)
    assert renewals(instagram) == []
    later(app, house, days=22)
    (entry,) = renewals(instagram)
    assert (entry["method"], entry["status"]) == ("GET", 200)
    assert "client_secret" not in entry["query"]
    assert app.connection(connection["id"])["expires_at"] > connection["expires_at"]


def test_a_token_is_never_renewed_on_its_first_day(app: SalesApp, house: House, instagram: Instagram) -> None:
    """§3.1: at least 24 hours old, even where it says that it ends tomorrow."""
    instagram.quirk(token_lifetime={"long": 30 * 3600})
    connection = connect(app)
    for _ in range(8):
        later(app, house, hours=3)
    assert renewals(instagram) == []
    later(app, house, hours=2)
    assert [entry["status"] for entry in renewals(instagram)] == [200]
    assert app.records(connection["id"], MEDIA).status_code == 200


@pytest.mark.parametrize("keeps", [False, True], ids=["another_text", "the_same_text"])
def test_a_renewal_may_bring_the_same_text_or_another(
    keeps: bool, app: SalesApp, house: House, instagram: Instagram
) -> None:
    """H18: either way the token that came is the one in use, and the end has moved."""
    instagram.quirk(refresh_keeps_token=keeps)
    connection = connect(app)
    app.records(connection["id"], MEDIA)
    later(app, house, days=51)
    assert app.records(connection["id"], MEDIA).status_code == 200
    used = [entry["token"] for entry in instagram.requests("/v26.0/me/media")]
    assert (used[0] == used[-1]) == keeps
    later(app, house, days=14)
    assert app.records(connection["id"], MEDIA).status_code == 200
    assert app.connection(connection["id"])["expires_at"] > connection["expires_at"]


def test_a_token_not_renewed_in_time_takes_a_new_login(app: SalesApp, house: House, instagram: Instagram) -> None:
    """H10: after its end nothing lengthens it, and nothing is tried."""
    connection = connect(app)
    house.clock.advance(days=61)
    app._token = ""
    assert app.records(connection["id"], MEDIA).json()["code"] == "reconnect_required"
    house.work()
    assert renewals(instagram) == []
    assert connect(app, connection=connection["id"])["state"] == "active"
    assert app.records(connection["id"], MEDIA).status_code == 200


def test_a_refused_renewal_is_tried_once_a_day(app: SalesApp, house: House, instagram: Instagram) -> None:
    """§3.1: daily after a failure, and no more often."""
    connect(app)
    instagram.quirk(outage={"/refresh_access_token": 503})
    later(app, house, days=51)
    for _ in range(6):
        later(app, house, hours=1)
    assert len(renewals(instagram)) == 1
    later(app, house, days=1)
    assert len(renewals(instagram)) == 2


# --- the end -------------------------------------------------------------------------------------------------


def test_deliveries_end_by_the_users_own_token_before_it_is_shredded(
    app: SalesApp, house: House, instagram: Instagram
) -> None:
    """§3.2, H13: with the app's token it fails."""
    connection = connect(app)
    token = instagram.state()["live_tokens"]["long"][0]["value"]
    subscribed = instagram.http.post(
        f"{instagram.url}/v26.0/{ANI.id}/subscribed_apps",
        data={"subscribed_fields": "mentions"},
        headers={"Authorization": f"Bearer {token}"},
        timeout=10,
    )
    assert (subscribed.status_code, len(instagram.state()["subscriptions"])) == (200, 1)
    app.revoke(connection["id"])
    house.work()
    assert instagram.state()["subscriptions"] == []
    (entry,) = [entry for entry in instagram.requests() if entry["method"] == "DELETE"]
    assert (entry["token"], entry["status"]) == (token, 200)


def test_the_receipt_says_that_instagram_ends_nothing(app: SalesApp, house: House, instagram: Instagram) -> None:
    """§3.2: the token is gone here, and lives there until the user removes the app; nobody claims otherwise."""
    connection = connect(app)
    answer = app.revoke(connection["id"])
    house.work()
    assert outcome(app, answer) == "not_supported"
    assert instagram.state()["counts"]["long"] == 1
    assert told(instagram) == [f"{ANI.id}/subscribed_apps"]
    assert app.records(connection["id"], MEDIA).status_code == 410


def test_a_token_that_is_refused_already_proves_an_end(app: SalesApp, house: House, instagram: Instagram) -> None:
    """§3.2: only 190 does."""
    connection = connect(app)
    instagram.control("revoke", {"account": ANI.username})
    answer = app.revoke(connection["id"])
    house.work()
    assert outcome(app, answer) == "already_gone"


@pytest.mark.parametrize(("works", "ended"), [(False, "not_supported"), (True, "confirmed")])
def test_the_call_that_is_not_documented_is_a_setting(
    works: bool, ended: str, build_meta: Callable[..., House], sqlite_url: str, instagram: Instagram
) -> None:
    """§3.2, `DELETE /me/permissions`: what comes of it says the look afterwards, not its answer."""
    house = build_meta(sqlite_url, BROKER_INSTAGRAM_REMOTE_REVOKE="on")
    instagram.quirk(delete_permissions=works)
    app = house.client()
    answer = app.revoke(connect(app)["id"])
    house.work()
    assert outcome(app, answer) == ended
    assert told(instagram) == [f"{ANI.id}/subscribed_apps", "me/permissions"]


def test_a_checkpoint_puts_the_telling_off(app: SalesApp, house: House, instagram: Instagram) -> None:
    """§6.1, 190/459: the token is not dead, so that is no proof of an end."""
    connection = connect(app)
    instagram.control("checkpoint", {"account": ANI.username})
    answer = app.revoke(connection["id"])
    house.work()
    assert outcome(app, answer) == "pending"
    instagram.control("checkpoint", {"account": ANI.username, "passed": True})
    later(app, house, seconds=31)
    assert outcome(app, answer) == "not_supported"


def test_a_removal_that_nobody_told_of_is_noticed_within_the_day(
    app: SalesApp, house: House, instagram: Instagram
) -> None:
    """§2.2, §2.4, H15: what Instagram sends, and whether it does, is not known (§10)."""
    connection = connect(app)
    instagram.control("revoke", {"account": ANI.username})
    later(app, house, days=1)
    assert app.connection(connection["id"])["state"] == "revoked"


# --- data ----------------------------------------------------------------------------------------------------


def test_a_permission_that_was_taken_away_is_no_dead_token(app: SalesApp, instagram: Instagram) -> None:
    """§6.1, H9: code 10; nobody can be asked what still stands, so the refusal is the word that counts."""
    connection = connect(app)
    instagram.control("permissions", {"account": ANI.username, "take": [BASIC]})
    answer = app.records(connection["id"], MEDIA).json()
    assert (answer["code"], answer["source"]) == ("insufficient_scope", "provider")
    assert app.connection(connection["id"])["state"] == "active"


@pytest.mark.parametrize("form", [None, "half", "empty"])
def test_paging_goes_by_cursors_and_never_by_the_address_with_a_token(
    form: str | None, app: SalesApp, instagram: Instagram
) -> None:
    """§6.3."""
    instagram.quirk(pages=form)
    connection = connect(app)
    ids: list[str] = []
    texts, cursor = "", None
    for _ in range(12):
        answer = app.records(connection["id"], MEDIA, limit=60, **({"cursor": cursor} if cursor else {}))
        body = answer.json()
        ids += [record["id"] for record in body["records"]]
        texts, cursor = texts + answer.text, body["next_cursor"]
        if not body["has_more"]:
            break
    assert len(ids) == len(set(ids)) == len(ANI.media)
    assert "access_token" not in texts
    assert all(isinstance(found, str) for found in ids)
    listed = instagram.requests("/v26.0/me/media")
    assert not [entry for entry in listed if "access_token=" in entry["query"]]


def test_no_proof_is_sent(app: SalesApp, instagram: Instagram) -> None:
    """§1.11: whether graph.instagram.com honours one is not documented."""
    app.records(connect(app)["id"], MEDIA)
    assert not [entry for entry in instagram.requests() if "appsecret_proof" in entry["query"]]
