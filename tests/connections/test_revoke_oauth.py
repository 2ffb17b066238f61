"""`POST /oauth/revoke` (RFC 7009, contract §2 and §5): the same empty answer for whatever is named, and only what the
caller may end ends. docs/facts/security.md STD-26 … STD-32.
"""

import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from sqlalchemy import event, select

from broker.connections import use
from broker.models import AuditEntry
from broker.web.oauth import ALIKE
from tests.connections.test_revoke import code, disk_is_full, of_kios
from tests.house import House, SalesApp
from tests.processes import wait_until

HINTS = ["access_token", "refresh_token", "connection", "%00", ""]


def revoke(client: SalesApp, token: str | None, **form: str) -> requests.Response:
    """With `client_secret_post`."""
    given = {"client_id": client.client_id, "client_secret": client.client_secret, **form}
    return post(client, {**given, "token": token} if token is not None else given)


def post(client: SalesApp, form: Any, **how: Any) -> requests.Response:
    return client.http.post(f"{client.url}/oauth/revoke", data=form, timeout=35, **how)


def basic(client: SalesApp, secret: str | None = None) -> dict[str, str]:
    pair = f"{client.client_id}:{secret or client.client_secret}"
    return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


def is_success(answer: requests.Response) -> bool:
    return (answer.status_code, answer.content) == (200, b"")


def works(client: SalesApp) -> bool:
    """Whether the access token that it holds is still one."""
    return client.call("GET", "/v1/connections").status_code == 200


# --- what ends -----------------------------------------------------------------------------------------------


def test_a_connection_is_revoked_by_its_id_and_its_receipt_stands(house: House, app: SalesApp) -> None:
    connection = app.connect()["id"]
    assert is_success(revoke(app, connection))
    assert code(app.records(connection)) == (410, "connection_revoked")
    (receipt,) = app.call("GET", "/v1/revocations", params={"connection": connection}).json()["items"]
    assert receipt["connections"][0]["ended"] == "connection"
    assert is_success(revoke(app, connection))
    assert len(app.call("GET", "/v1/revocations").json()["items"]) == 1
    house.work()
    assert len(house.google.requests("/revoke")) == 1
    assert is_success(revoke(app, connection))


def test_a_client_ends_its_own_access_token(house: House, app: SalesApp) -> None:
    """And not the other one that it holds."""
    other = SalesApp(app.url, app.client_id, app.client_secret)
    assert works(app)
    assert works(other)
    assert is_success(revoke(app, app.bearer))
    assert code(app.call("GET", "/v1/connections")) == (401, "unauthorized")
    assert works(other)
    assert is_success(revoke(app, app.bearer))


def test_a_request_under_way_gives_no_data_once_its_access_token_was_revoked(sqlite_house: House) -> None:
    """I2, STD-28: a stolen job is stopped at once, and not at its next call. Other tokens of the client go on."""
    app = sqlite_house.client()
    connection, other = app.connect()["id"], SalesApp(app.url, app.client_id, app.client_secret)
    assert other.bearer
    sqlite_house.google.quirk(delay={"/v1/people": 1.0})
    with ThreadPoolExecutor(2) as jobs:
        stolen, honest = jobs.submit(app.records, connection), jobs.submit(other.records, connection)
        wait_until(lambda: len(sqlite_house.google.requests("/v1/people")) == 2, "both readings")
        assert is_success(revoke(app, app.bearer))
        assert code(stolen.result()) == (401, "unauthorized")
        assert honest.result().status_code == 200


def foreign(house: House) -> list[tuple[str, str, str]]:
    """What the broker's own audit tells of tries on what is another's: whose, and on what. No token stands there."""
    with house.broker.database.read() as session:
        rows = session.scalars(select(AuditEntry).where(AuditEntry.action == "revoke_foreign").order_by(AuditEntry.seq))
        return [(row.tenant, row.actor, row.detail) for row in rows]


def test_another_clients_access_token_is_not_touched(sqlite_house: House) -> None:
    """STD-27. Even of the same tenant, with every scope: a token is its own client's affair."""
    app, other = sqlite_house.client(), sqlite_house.client()
    assert works(other)
    assert is_success(revoke(app, other.bearer))
    assert works(other)
    assert foreign(sqlite_house) == [("*", app.client_id, '{"kind":"access_token"}')]


def test_a_connection_id_is_unknown_to_a_client_without_the_scope_revoke(sqlite_house: House) -> None:
    app, job = sqlite_house.client(), sqlite_house.client("connect", "connections:read", "records:read")
    connection = app.connect()["id"]
    assert is_success(revoke(job, connection))
    assert app.records(connection).status_code == 200
    assert foreign(sqlite_house) == [("*", job.client_id, '{"kind":"connection"}')]


def test_a_connection_of_another_tenant_is_unknown(house: House, app: SalesApp) -> None:
    """I6, STD-27: and the try is a security event."""
    connection, stranger = app.connect()["id"], of_kios(house)
    assert is_success(revoke(stranger, connection))
    assert app.records(connection).status_code == 200
    assert stranger.call("GET", "/v1/revocations").json()["items"] == []
    assert foreign(house) == [("*", stranger.client_id, '{"kind":"connection"}')]


def test_what_is_ones_own_and_what_is_nobodys_is_no_security_event(sqlite_house: House) -> None:
    app = sqlite_house.client()
    connection = app.connect()["id"]
    for token in ("unknown", f"con_{'0' * 32}", connection, connection, app.bearer, app.bearer):
        assert is_success(revoke(app, token))
    assert foreign(sqlite_house) == []


@pytest.mark.parametrize("hint", HINTS)
def test_hints_decide_nothing(sqlite_house: House, hint: str) -> None:
    """STD-30."""
    app = sqlite_house.client()
    connection = app.connect()["id"]
    assert is_success(revoke(app, connection, token_type_hint=hint))
    assert code(app.records(connection)) == (410, "connection_revoked")
    assert is_success(revoke(app, app.bearer, token_type_hint=hint))
    assert not works(app)


def test_the_client_authenticates_in_the_header_too(sqlite_house: House) -> None:
    app = sqlite_house.client()
    connection = app.connect()["id"]
    assert is_success(post(app, {"token": connection}, headers=basic(app)))
    assert code(app.records(connection)) == (410, "connection_revoked")


# --- always the same answer ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "token",
    ["unknown", "con_" + "0" * 32, "con_", "con_%", "con_\x00", "ya29.provider", "é" * 10, " ", "x" * 10_000, "\udcff"],
    ids=ascii,
)
def test_whatever_is_no_token_of_the_client_is_a_success(
    build: Callable[..., House], postgres_url: str, token: str
) -> None:
    """STD-26. On PostgreSQL, which takes no NUL in a text: that was 503 once."""
    app = build(postgres_url).client()
    assert is_success(revoke(app, token.encode("utf-8", "surrogateescape").decode("latin-1")))
    assert works(app)


def test_every_success_comes_after_the_same_wait(sqlite_house: House) -> None:
    """I2, and nobody can tell by it what there is."""
    app, stranger = sqlite_house.client(), of_kios(sqlite_house)
    connection, foreign = app.connect()["id"], stranger.connect()["id"]
    job = sqlite_house.client("records:read")
    tried = [(app, "unknown"), (app, "x" * 10_000), (app, "con_0"), (app, foreign), (job, connection)]
    ends = [(app, connection), (app, connection), (app, app.bearer), (app, app.bearer)]
    for client, token in [*tried, *ends]:
        began = time.monotonic()
        assert is_success(revoke(client, token))
        assert use.WAIT + ALIKE <= time.monotonic() - began < use.WAIT + 2


def test_no_other_site_is_told_that_it_may_call(sqlite_house: House) -> None:
    """STD-32: no CORS, no JSONP."""
    app = sqlite_house.client()
    given = {"client_id": app.client_id, "client_secret": app.client_secret, "token": "unknown", "callback": "call"}
    answer = post(app, given, headers={"Origin": "https://evil.example"})
    assert is_success(answer)
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
    asked = app.http.options(f"{app.url}/oauth/revoke", headers={"Origin": "https://evil.example"}, timeout=35)
    assert not [name for name in asked.headers if name.lower().startswith("access-control-")]


# --- refused -------------------------------------------------------------------------------------------------


@contextmanager
def statements(house: House) -> Iterator[list[str]]:
    """What the database is asked meanwhile."""
    seen: list[str] = []

    def listen(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(house.broker.database.engine, "before_cursor_execute", listen)
    try:
        yield seen
    finally:
        event.remove(house.broker.database.engine, "before_cursor_execute", listen)


@pytest.mark.parametrize("how", ["body", "header", "unknown client", "nothing"])
def test_the_caller_is_authenticated_before_anything_is_looked_up(sqlite_house: House, how: str) -> None:
    """STD-27."""
    app = sqlite_house.client()
    connection, bearer = app.connect()["id"], app.bearer
    with statements(sqlite_house) as seen:
        answers = [refused(app, how, token) for token in (connection, bearer, "unknown")]
    assert {answer.status_code for answer in answers} == {401}
    assert {answer.json()["error"] for answer in answers} == {"invalid_client"}
    assert len({answer.content for answer in answers}) == 1
    assert not [statement for statement in seen if "connections" in statement or "access_tokens" in statement]
    assert works(app)
    assert app.records(connection).status_code == 200


def refused(app: SalesApp, how: str, token: str) -> requests.Response:
    if how == "body":
        return post(app, {"client_id": app.client_id, "client_secret": "wrong", "token": token})
    if how == "header":
        return post(app, {"token": token}, headers=basic(app, "wrong"))
    if how == "unknown client":
        return post(app, {"client_id": "cli_0", "client_secret": app.client_secret, "token": token})
    return post(app, {"token": token})


def test_a_bearer_token_does_not_authenticate_a_client(sqlite_house: House) -> None:
    app = sqlite_house.client()
    answer = post(app, {"token": app.bearer}, headers={"Authorization": f"Bearer {app.bearer}"})
    assert answer.status_code == 401
    assert works(app)


@pytest.mark.parametrize("token", [None, ""])
def test_no_token_is_an_invalid_request(sqlite_house: House, token: str | None) -> None:
    answer = revoke(sqlite_house.client(), token)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_parameters_come_once_and_in_a_form_alone(sqlite_house: House) -> None:
    """INP-90. A token in an address stands in logs."""
    app = sqlite_house.client()
    connection = app.connect()["id"]
    own = {"client_id": app.client_id, "client_secret": app.client_secret}
    in_query = post(app, own, params={"token": connection})
    twice = post(app, [*own.items(), ("token", "unknown"), ("token", connection)])
    as_json = app.http.post(f"{app.url}/oauth/revoke", json={**own, "token": connection}, timeout=35)
    for answer in (in_query, twice, as_json):
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert app.records(connection).status_code == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_only_a_post_revokes(sqlite_house: House, method: str) -> None:
    app = sqlite_house.client()
    connection = app.connect()["id"]
    form = {"client_id": app.client_id, "client_secret": app.client_secret, "token": connection}
    answer = app.http.request(method, f"{app.url}/oauth/revoke", params=form, data=form, timeout=35)
    assert code(answer) == (405, "method_not_allowed")
    assert "POST" in answer.headers["Allow"]
    assert app.records(connection).status_code == 200


@pytest.mark.parametrize("what", ["connection", "access token"])
def test_what_cannot_be_made_durable_is_503_and_never_200(house: House, app: SalesApp, what: str) -> None:
    """STD-29."""
    connection = app.connect()["id"]
    token = connection if what == "connection" else app.bearer
    event.listen(house.broker.database.engine, "commit", disk_is_full)
    try:
        answer = revoke(app, token)
    finally:
        event.remove(house.broker.database.engine, "commit", disk_is_full)
    assert code(answer) == (503, "unavailable")
    assert answer.headers["Retry-After"]
    assert works(app)
    assert app.records(connection).status_code == 200
    assert is_success(revoke(app, token))
