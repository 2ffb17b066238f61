"""Facebook's ways with tokens and errors, as far as they are other than the standards': docs/facts/meta.md §1, §6, §8.
The dialog, Pages and the end have tests of their own beside these."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.test import run_wsgi_app

from broker.sandbox.facebook import create_facebook
from broker.sandbox.serve import Running, mapped
from tests.connections.facebook import PAGES, PROFILE, connect, exchanges
from tests.connections.insight import logged
from tests.house import Clock, Google, House, SalesApp
from tests.meta import ANI, FACEBOOK_APP, Facebook

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


@pytest.fixture
def house(meta: House, facebook: Facebook) -> House:
    return meta


# --- what is said of a token ---------------------------------------------------------------------------------


def test_a_token_that_is_not_valid_is_refused(app: SalesApp, facebook: Facebook) -> None:
    """§1.8: `is_valid` must be true, whatever else stands there."""
    returned = app.pending(PROFILE, provider="facebook", account=ANI)
    facebook.quirk(token_lifetime={"long": 0})
    answer = app.confirm(returned)
    assert (answer.status_code, answer.json()["code"]) == (502, "provider_unavailable")
    assert answer.json()["retryable"] is False


@dataclass
class _Correcting:
    """Before a fake Facebook: what debug_token says, with other members."""

    app: Callable[..., Iterable[bytes]]
    members: dict[str, Any] = field(default_factory=dict)

    def __call__(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        if not environ["PATH_INFO"].endswith("/debug_token"):
            return self.app(environ, start)
        pieces, status, headers = run_wsgi_app(self.app, environ, buffered=True)
        body = json.dumps({"data": json.loads(b"".join(pieces))["data"] | self.members}).encode()
        headers["Content-Length"] = str(len(body))
        start(status, headers.to_wsgi_list())
        return [body]


@pytest.fixture
def said(
    build_meta: Callable[..., House], sqlite_url: str, google: Google, clock: Clock
) -> Iterator[tuple[SalesApp, dict[str, Any]]]:
    """A client of a broker whose Facebook says of tokens what a test wants it to say."""
    created = create_facebook(clock=clock.timestamp)
    created.wsgi_app = correcting = _Correcting(created.wsgi_app)  # type: ignore[method-assign]
    with Running(created) as running:
        origins = mapped({"google": google.url, "facebook": running.url})
        yield build_meta(sqlite_url, BROKER_ORIGINS=origins).client(), correcting.members


@pytest.mark.parametrize("valid", [False, None, "true", 1])
def test_nothing_but_a_plain_true_is_valid(valid: Any, said: tuple[SalesApp, dict[str, Any]]) -> None:
    """§1.8: though the token would open everything."""
    app, members = said
    returned = app.pending(PROFILE, provider="facebook", account=ANI)
    members["is_valid"] = valid
    assert app.confirm(returned).json()["code"] == "provider_unavailable"
    assert app.call("GET", "/v1/connections").json()["items"] == []


@pytest.mark.parametrize("other", ["999000999000999", 999000999000999, None, "", f"0{FACEBOOK_APP}"])
def test_a_token_of_any_other_app_is_refused(other: Any, said: tuple[SalesApp, dict[str, Any]]) -> None:
    """§1.8: `app_id` must be ours, to the character."""
    app, members = said
    returned = app.pending(PROFILE, provider="facebook", account=ANI)
    members["app_id"] = other
    answer = app.confirm(returned)
    assert (answer.json()["code"], answer.json()["retryable"]) == ("provider_unavailable", False)


def test_both_must_say_what_is_granted(said: tuple[SalesApp, dict[str, Any]]) -> None:
    """§1.8, §1.9: the token's own list, and the person's."""
    app, members = said
    members["scopes"] = ["public_profile", "email", "pages_show_list", "pages_read_engagement"]
    assert set(connect(app, PROFILE, PAGES, without=["email"])["scopes"]) == set(members["scopes"]) - {"email"}
    members["scopes"] = ["public_profile", "pages_show_list"]
    assert set(connect(app, PROFILE, PAGES)["scopes"]) == {"public_profile", "pages_show_list"}


def test_ids_may_come_as_numbers(app: SalesApp, facebook: Facebook) -> None:
    """§1.8: compared, and kept, as texts."""
    facebook.quirk(numeric_ids=True)
    connection = connect(app)
    assert connection["account"]["id"] == facebook.state()["grants"][0]["user_id"]


def test_the_hours_token_is_exchanged_for_one_of_sixty_days(app: SalesApp, facebook: Facebook) -> None:
    """§1.6: on the server, at once, by POST."""
    connection = connect(app)
    assert exchanges(facebook) == ["authorization_code", "fb_exchange_token"]
    assert {entry["method"] for entry in facebook.requests("/v26.0/oauth/access_token")} == {"POST"}
    assert timedelta(days=58) < _left(connection) < timedelta(days=61)


def _left(connection: dict[str, Any]) -> timedelta:
    created = datetime.fromisoformat(connection["created_at"])
    return datetime.fromisoformat(connection["expires_at"]) - created


@pytest.mark.parametrize("said", ["absent", 9999999999999, 0, -5, "soon", []])
def test_debug_token_says_when_a_token_ends(said: Any, app: SalesApp, facebook: Facebook) -> None:
    """§1.3: `expires_in` may be absent, or absurd."""
    facebook.quirk(expires_in=said)
    connection = connect(app)
    assert timedelta(days=58) < _left(connection) < timedelta(days=61)
    assert app.records(connection["id"], PROFILE).status_code == 200


@pytest.mark.parametrize("end", [False, "0", None])
def test_only_a_plain_zero_means_that_a_token_never_ends(end: Any, said: tuple[SalesApp, dict[str, Any]]) -> None:
    """§1.8: else it would be renewed too late."""
    app, members = said
    members.update(expires_at=end, data_access_expires_at=0)
    assert connect(app)["expires_at"] is not None


def test_debug_token_is_believed_over_the_answer(app: SalesApp, facebook: Facebook) -> None:
    """§1.3, §1.6: the answer may promise more than the token keeps."""
    facebook.quirk(expires_in=5_184_000, token_lifetime={"long": 10 * 86_400})
    assert timedelta(days=9) < _left(connect(app)) < timedelta(days=11)


def test_a_permission_taken_back_or_run_out_is_noticed_within_the_day(
    app: SalesApp, house: House, facebook: Facebook
) -> None:
    """§1.9: `declined` and `expired` are not granted."""
    connection = connect(app, PROFILE, PAGES)
    facebook.control("permissions", {"account": ANI, "expire": ["email"], "take": ["pages_read_engagement"]})
    house.clock.advance(days=1)
    app._token = ""
    house.work()
    assert set(app.connection(connection["id"])["scopes"]) == {"public_profile", "pages_show_list"}
    facebook.control("permissions", {"account": ANI, "give": ["email", "pages_read_engagement", "ads_read"]})
    house.clock.advance(days=1)
    app._token = ""
    house.work()
    assert "ads_read" not in app.connection(connection["id"])["scopes"]


def test_an_address_may_be_absent_though_granted(app: SalesApp, facebook: Facebook) -> None:
    """H7: right after consent; nothing is withheld, it is just not there yet."""
    facebook.quirk(late_email=True)
    body = app.records(connect(app)["id"], PROFILE).json()
    assert (body["withheld"], "email" in body["records"][0]) == ([], False)
    facebook.quirk(late_email=False)


def test_renewing_brings_another_text_and_the_old_one_is_used_no_more(
    app: SalesApp, house: House, facebook: Facebook
) -> None:
    """H18: who only moves the date keeps a dead token."""
    connection = connect(app)
    app.records(connection["id"], PROFILE)
    first = facebook.requests("/v26.0/me")[-1]["token"]
    house.clock.advance(days=51)
    app._token = ""
    house.work()
    assert app.records(connection["id"], PROFILE).status_code == 200
    assert facebook.requests("/v26.0/me")[-1]["token"] != first
    moved = app.connection(connection["id"])["expires_at"]
    assert moved > connection["expires_at"]


def test_a_renewal_that_does_not_move_the_end_is_believed(app: SalesApp, house: House, facebook: Facebook) -> None:
    """§1.6, §10: Meta does not promise it. The end stays, is announced, and comes; nothing is renewed in a loop."""
    connection = connect(app)
    facebook.quirk(second_exchange_keeps_end=True)
    for _ in range(12):
        house.clock.advance(days=5)
        house.work()
    app._token = ""
    assert app.connection(connection["id"])["state"] == "reconnect_required"
    assert 2 < len(exchanges(facebook)) <= 5
    assert app.records(connection["id"], PROFILE).json()["code"] == "reconnect_required"


def test_data_access_ends_by_itself(app: SalesApp, house: House, facebook: Facebook) -> None:
    """§1.6: the token is valid, and user data are refused all the same, until the person logs in again."""
    facebook.control("pages", {"account": ANI})
    connection = connect(app)
    facebook.control("data-access", {"account": ANI, "in": 3 * 86_400})
    house.clock.advance(days=1)
    app._token = ""
    house.work()
    assert _left(app.connection(connection["id"])) < timedelta(days=4)
    facebook.control("data-access", {"account": ANI})
    assert app.records(connection["id"], PROFILE).json()["code"] == "reconnect_required"
    assert connect(app, connection=connection["id"])["state"] == "active"


# --- the proof of the app secret -----------------------------------------------------------------------------


def test_every_call_bears_a_proof_over_its_own_token(
    app: SalesApp, house: House, facebook: Facebook, caplog: pytest.LogCaptureFixture
) -> None:
    """§1.11: with "Require App Secret" on, a call without one fails; the timed form, and a Page's own for a Page token.
    A whole life long."""
    facebook.quirk(require_app_secret=True)
    connection = connect(app, PROFILE, PAGES, assets={PAGES: [_PAGE]})
    assert app.records(connection["id"], PROFILE).status_code == 200
    assert app.records(connection["id"], PAGES).status_code == 200
    house.clock.advance(days=51)
    app._token = ""
    house.work()
    assert app.records(connection["id"], PAGES).status_code == 200
    app.withdraw(connection["id"], PAGES)
    house.work()
    receipt = app.revoke(connection["id"]).json()["revocation"]["id"]
    house.work()
    assert app.receipt(receipt)["connections"][0]["provider_outcome"] == "confirmed"
    of_graph = [entry for entry in facebook.requests("/v26.0/") if "oauth" not in entry["path"]]
    assert len(of_graph) > 10
    assert [entry for entry in of_graph if "appsecret_proof=" not in entry["query"]] == []
    assert [entry for entry in of_graph if "appsecret_time=" not in entry["query"]] == []
    assert not [token for entry in of_graph if (token := entry["token"]) and logged(caplog, token)]


_PAGE = "104820017650001"


# --- errors --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"code": 10, "status": 400}, "insufficient_scope"),
        ({"code": 3, "status": 400}, "insufficient_scope"),
        ({"code": 200, "status": 403}, "insufficient_scope"),
        ({"code": 299, "status": 403}, "insufficient_scope"),
        ({"code": 1, "status": 400}, "provider_unavailable"),
        ({"code": 2, "status": 500}, "provider_unavailable"),
        ({"code": 341, "status": 400}, "provider_unavailable"),
        ({"code": 9, "status": 400, "is_transient": True}, "provider_unavailable"),
        ({"code": 4, "status": 400}, "rate_limited"),
        ({"code": 17, "status": 400}, "rate_limited"),
        ({"code": 613, "status": 400}, "rate_limited"),
        ({"code": 80001, "status": 400}, "rate_limited"),
        ({"code": 368, "status": 400}, "rate_limited"),
        ({"code": 100, "subcode": 33, "status": 400}, "provider_unavailable"),
        ({"code": 506, "status": 400}, "provider_unavailable"),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else None,
)
def test_no_error_but_a_dead_token_asks_for_a_new_connect(
    error: dict[str, Any], code: str, app: SalesApp, house: House, facebook: Facebook
) -> None:
    """§6.1, H9: "reconnect" at every Graph error cuts users off daily; throttling comes with 400."""
    connection = connect(app)
    facebook.quirk(graph_error={"/me": {"value": error, "times": 1}})
    assert app.records(connection["id"], PROFILE).json()["code"] == code
    assert app.connection(connection["id"])["state"] == "active"
    house.clock.advance(hours=2)
    app._token = ""
    assert app.records(connection["id"], PROFILE).status_code == 200


@pytest.mark.parametrize("subcode", [460, 463, 467, None])
def test_a_token_called_dead_is_asked_about_before_anything_ends(
    subcode: int | None, app: SalesApp, facebook: Facebook
) -> None:
    """§6.1: look at debug_token; what one data call was told may be wrong."""
    connection = connect(app)
    error = {"code": 190, "status": 400} | ({"subcode": subcode} if subcode else {})
    facebook.quirk(graph_error={"/me": {"value": error, "times": 1}})
    assert app.records(connection["id"], PROFILE).status_code == 200
    assert app.connection(connection["id"])["state"] == "active"


@pytest.mark.parametrize("why", ["checkpoint", "unconfirmed"])
def test_a_checkpoint_keeps_the_token(why: str, app: SalesApp, house: House, facebook: Facebook) -> None:
    """§6.1, 190/459 and 190/464: the person has to clear something up at facebook.com; then it goes on by itself."""
    connection = connect(app)
    facebook.control("checkpoint", {"account": ANI, "why": why})
    answer = app.records(connection["id"], PROFILE).json()
    assert (answer["code"], answer["source"]) == ("connection_suspended", "provider")
    facebook.control("checkpoint", {"account": ANI, "passed": True})
    house.clock.advance(days=1)
    app._token = ""
    house.work()
    assert app.records(connection["id"], PROFILE).status_code == 200


def test_a_removal_that_nobody_told_of_is_noticed_within_the_day(
    app: SalesApp, house: House, facebook: Facebook
) -> None:
    """§2.2, H15: neither delivery nor repetition of the callback is promised, hence the daily look."""
    connection = connect(app)
    facebook.control("revoke", {"account": ANI})
    house.clock.advance(days=1)
    app._token = ""
    house.work()
    assert app.connection(connection["id"])["state"] == "revoked"


def test_how_long_to_wait_is_said_in_minutes(app: SalesApp, facebook: Facebook) -> None:
    """§6.2: `estimated_time_to_regain_access`, for an error that comes with HTTP 400."""
    connection = connect(app)
    facebook.quirk(rate_limit={"/me": {"code": 80001, "minutes": 7}})
    answer = app.records(connection["id"], PROFILE)
    assert answer.status_code == 429
    assert 400 < int(answer.headers["Retry-After"]) <= 420
